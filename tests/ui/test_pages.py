"""Pages: one block or all of it, in the language, the direction and the light that the caller wants."""

from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from palio.ui.languages import Languages
from tests.ui import preview, race_views
from tests.ui.conftest import talk_to

WORDS = {"Standings": "الترتيب", "Skip to content": "تخطَّ إلى المحتوى"}


@pytest.fixture
def languages(tmp_path: Path) -> Languages:
    """English, and an Arabic of two words."""
    catalogue = Catalog(locale="ar")
    for word, meaning in WORDS.items():
        catalogue.add(word, meaning)
    folder = tmp_path / "ar/LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "messages.mo").open("wb") as file:
        write_mo(file, catalogue)
    return Languages(tmp_path)


async def test_htmx_gets_the_block_alone(client: httpx2.AsyncClient) -> None:
    """Caches are told that the answers differ."""
    page = await client.get("/races/38")
    part = await client.get("/races/38", headers={"hx-request": "true"})

    assert page.text.startswith("<!doctype html>") and page.text.count('id="race"') == 1
    assert part.text.lstrip().startswith('<div id="race"') and "<html" not in part.text
    assert {"HX-Request", "Cookie", "Accept-Language"} <= {word.strip() for word in page.headers["vary"].split(",")}


@pytest.mark.parametrize(
    ("cookie", "written"),
    [("theme=night", 'data-theme="night"'), ("theme=day", 'data-theme="day"'), ("theme=x", ""), ("", "")],
)
async def test_day_and_night_come_from_the_cookie(client: httpx2.AsyncClient, cookie: str, written: str) -> None:
    page = await client.get("/problems", headers={"cookie": cookie})
    root = page.text[page.text.index("<html") :].partition(">")[0]

    assert (written in root, "data-theme" in root) == (True, bool(written))


async def test_the_page_speaks_the_language_of_the_caller(languages: Languages) -> None:
    async with talk_to(preview.app(languages=languages)) as client:
        arabic = await client.get("/races/38", headers={"accept-language": "fr, ar-EG;q=0.8, en;q=0.5"})
        english = await client.get("/races/38", headers={"accept-language": "fr, ar;q=0, en;q=0.1"})

    assert '<html lang="ar" dir="rtl"' in arabic.text and arabic.headers["content-language"] == "ar"
    assert all(meaning in arabic.text for meaning in WORDS.values())
    assert '<html lang="en" dir="ltr"' in english.text and "Standings" in english.text


@pytest.mark.parametrize("accepted", ["", "*", ";;;", "en;q=x", "xx-yy-zz", "a" * 5000])
def test_any_header_has_an_answer(languages: Languages, accepted: str) -> None:
    assert languages.choose(accepted).tag == "en"


@pytest.mark.parametrize(
    ("grace_s", "said"),
    [
        (0, "the first one after the end."),
        (60, "the first one that comes a minute or more after the end"),
        (900, "the first one that comes 15 minutes or more after the end"),
        (90, "the first one that comes 90 seconds or more after the end"),
    ],
)
async def test_the_page_says_which_picture_is_the_last(client: httpx2.AsyncClient, grace_s: int, said: str) -> None:
    race_views.BY_NUMBER[42] = replace(race_views.LIVE, number=42, grace_s=grace_s)
    page = (await client.get("/races/42")).text
    del race_views.BY_NUMBER[42]

    assert f"The final picture is {said}" in page


async def test_an_end_that_is_past_has_its_year(client: httpx2.AsyncClient) -> None:
    """Races stay where they are for years."""
    page = (await client.get("/races/36")).text
    head = page[page.index("head-clock") :].partition("</section>")[0]

    assert 'data-kind="moment"' in head and "2026" in head.partition("</time>")[0].rpartition(">")[2]


async def test_what_players_wrote_is_text(client: httpx2.AsyncClient) -> None:
    """Names that are markup stay names, and no name turns the row round."""
    nasty = '<img src=x onerror="alert(1)">\N{RIGHT-TO-LEFT OVERRIDE}'
    race_views.BY_NUMBER[41] = replace(
        race_views.LIVE, number=41, title=nasty, rows=(race_views.row(1, 5, name=nasty),)
    )
    page = (await client.get("/races/41")).text
    del race_views.BY_NUMBER[41]

    assert "<img" not in page and page.count("<bdi>&lt;img src=x onerror=&#34;alert(1)&#34;&gt;") == 2


@pytest.mark.parametrize(
    ("state", "said", "unsaid"),
    [
        ("live", ["Live", "Ends in", "Provisional until the review", "Paid places end"], ["Final</span>", "Stale"]),
        ("before", ["Announced", "Starts in", "The board opens with the start"], ["Live", "Waiting for the start"]),
        (
            "waiting",
            ["Waiting for the start picture", "The board is about to open"],
            ["Ended", "Nobody has", "Provisional"],
        ),
        ("late", ["Counts from a later picture", "Announced after its start", "The numbers are old", "Stale"], []),
        ("marks", ["being checked", "stale", "corrected", "adjusted", "Not ranked", "Places below", "level"], []),
        ("collecting", ["Being settled", "the last numbers are on their way", "Ended"], ["Live", "Final</span>"]),
        ("review", ["being reviewed", "Final</span>", "Frozen standings"], ["Provisional", "on their way"]),
        ("late end", ["The final picture came late", "being reviewed", "that is final"], ["leads with"]),
        ("completed", ["Completed", "prize waiting", "paid", "Not given out", "$37.50"], ["Pays now", "Live"]),
        ("cancelled", ["Cancelled", "The feed of the programme ended.", "There is no result"], ["Ends in"]),
        ("empty", ["Nobody has wagered yet", "Live"], ["Paid places end"]),
    ],
)
async def test_each_state_of_a_race_says_what_it_is(
    client: httpx2.AsyncClient, state: str, said: list[str], unsaid: list[str]
) -> None:
    page = (await client.get(f"/races/{race_views.VIEWS[state].number}")).text

    assert [words for words in said if words not in page] == []
    assert [words for words in unsaid if words in page] == []


async def test_a_board_is_drawn_anew_when_anything_of_it_is_new(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Boards are kept as drawn; what they show is the key."""
    race = preview.BY_NUMBER[38]
    leader = race.rows[0]
    total = leader.total_micro + 1
    shown = [(await client.get("/races/38")).text for _ in range(2)]
    monkeypatch.setitem(preview.BY_NUMBER, 38, replace(race, rows=(replace(leader, total_micro=total), *race.rows[1:])))
    changed = (await client.get("/races/38")).text

    assert [f'data-total="{total}"' in text for text in (*shown, changed)] == [False, False, True]
