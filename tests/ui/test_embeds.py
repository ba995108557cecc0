"""What stands in pages of others: framed only where it may be, plain, small, and its address is read strictly."""

import html
import re
from dataclasses import replace

import httpx2
import pytest

from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.settings import Catalogue, NotAllowed, read
from palio.ui.pages import DIST
from palio.ui.types import EMBED_ORIGINS
from tests.ui import race_views
from tests.ui.house import SYSTEM
from tests.ui.test_headers import EDGE

EMBED = "/embed/races/38"
BYTES_MAX = 10_000


def ancestors(answer: httpx2.Response) -> str:
    return answer.headers["content-security-policy"].partition("frame-ancestors ")[2]


@pytest.mark.parametrize("path", [EMBED, f"{EMBED}/countdown", f"{EMBED}?rows=0", "/embed/nothing"])
async def test_without_a_list_only_our_own_pages_frame_an_embed(client: httpx2.AsyncClient, path: str) -> None:
    """Nothing in it can be sent anywhere, and the other headers are those of every answer."""
    answer = await client.get(path)
    others = {name: value for name, value in EDGE.items() if name != "content-security-policy"}

    assert ancestors(answer) == "'self'"
    assert "form-action 'none'" in answer.headers["content-security-policy"]
    assert {name: answer.headers[name] for name in others} == others


async def test_the_operator_says_who_else_may(client: httpx2.AsyncClient, tx: Tx) -> None:
    """Embeds alone: no other page is ever framed."""
    await settings.declare(tx, Catalogue([EMBED_ORIGINS]))
    change = settings.Change(EMBED_ORIGINS, ["https://news.example", "https://*.club.example:8443"])
    await settings.change(tx, SYSTEM, [change], "partners")
    await settings.snapshot.load(tx)
    embed, page = await client.get(EMBED), await client.get("/races/38")
    await settings.change(tx, SYSTEM, [settings.Change(EMBED_ORIGINS, None)], "no longer")
    await settings.snapshot.load(tx)

    assert ancestors(embed) == "'self' https://news.example https://*.club.example:8443"
    assert ancestors(page) == "'none'"


@pytest.mark.parametrize(
    "origin", ["news.example", "https://news.example/", "https://a b", "https://a;script-src *", "*"]
)
def test_what_is_no_origin_cannot_be_set(origin: str) -> None:
    with pytest.raises(NotAllowed):
        read(EMBED_ORIGINS, [origin])


@pytest.mark.parametrize(
    ("query", "place", "word"),
    [
        ("theme=dusk", "/theme", "'day' or 'night'"),
        ("accent=ff0000", "/accent", "'azure'"),
        ("rows=0", "/rows", "greater than or equal to 1"),
        ("rows=51", "/rows", "less than or equal to 50"),
        ("rows=1_0", "/rows", "plain digits"),
        ("lang=tlh", "/lang", "There are no words in it: choose one of en."),
        ("overlay=yes", "/overlay", "'0' or '1'"),
        ("row=5", "/row", "not permitted"),
    ],
)
async def test_a_bad_option_is_refused_and_named(client: httpx2.AsyncClient, query: str, place: str, word: str) -> None:
    answer = await client.get(f"{EMBED}?{query}")
    (error,) = answer.json()["errors"]

    assert (answer.status_code, error["pointer"]) == (422, place)
    assert word in error["detail"]


async def test_an_embed_looks_as_its_address_says(client: httpx2.AsyncClient) -> None:
    """And not as a cookie says: it is the same for everybody."""
    plain = await client.get(EMBED, headers={"cookie": "theme=night"})
    dressed = await client.get(f"{EMBED}?theme=night&accent=green&rows=3&lang=en")

    assert "data-theme" not in plain.text and plain.text.count("data-row=") == 10
    assert 'data-theme="night"' in dressed.text and 'data-accent="green"' in dressed.text
    assert dressed.text.count("data-row=") == 3
    assert plain.headers["vary"] == "HX-Request, Accept-Language, Accept-Encoding"
    assert "set-cookie" not in plain.headers and "<form" not in plain.text


async def test_an_overlay_has_nothing_to_press(client: httpx2.AsyncClient) -> None:
    page = (await client.get(f"{EMBED}?overlay=1")).text

    assert "data-overlay" in page and re.findall(r"<(?:a|button|input)\b", page) == []


async def test_a_countdown_is_the_clock_alone(client: httpx2.AsyncClient) -> None:
    page = (await client.get(f"{EMBED}/countdown")).text

    assert "<count-down" in page and "2 d 09:54:38" in page and "<table" not in page


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("live", ["Ends in", "leads with", "up 2", "$250.00", "All 13 players"]),
        ("before", ["Starts in", "$500.00</bdi> for the first 10 places."]),
        ("waiting", ["Waiting for the start picture"]),
        ("late", ["Stale, as of"]),
        ("collecting", ["Being settled", "Provisional", "Ended"]),
        ("completed", ["Completed", "Ended", "and that is final."]),
        ("cancelled", ["Cancelled", "Nothing is paid"]),
        ("empty", ["Nobody has wagered yet"]),
    ],
)
async def test_every_state_says_what_it_is(client: httpx2.AsyncClient, state: str, said: list[str]) -> None:
    text = (await client.get(f"/embed/races/{race_views.VIEWS[state].number}")).text

    assert [words for words in said if words not in text] == []


async def test_its_stylesheet_is_small_and_its_own(client: httpx2.AsyncClient) -> None:
    page = (await client.get(EMBED)).text
    (sheet,) = re.findall(r'<link rel="stylesheet" href="/static/dist/([^"]+)"', page)

    assert "/embed-" in sheet and (DIST / sheet).stat().st_size <= BYTES_MAX


async def test_the_code_to_paste_names_the_race_as_text(client: httpx2.AsyncClient) -> None:
    """A title that is markup cannot leave the attribute, neither here nor in the page it is pasted into."""
    nasty = '"><script>alert(1)</script>'
    race_views.BY_NUMBER[45] = replace(race_views.LIVE, number=45, title=nasty)
    page = (await client.get("/races/45/share")).text
    del race_views.BY_NUMBER[45]
    (code,) = re.findall(r'data-text="(&lt;iframe[^"]+)"', page)
    pasted = html.unescape(code)

    assert "<script>" not in page.replace('<script type="module"', "")
    assert pasted.startswith('<iframe src="http://palio.test/embed/races/45" title="&quot;&gt;&lt;script&gt;alert(1)')
    assert pasted.endswith(' width="100%" height="590" loading="lazy" frameborder="0"></iframe>')


async def test_the_page_of_a_race_names_its_card(client: httpx2.AsyncClient) -> None:
    """In full, since whoever reads it is elsewhere; the version makes a new address of a new picture."""
    page = (await client.get("/races/38")).text

    assert '<meta property="og:title" content="Weekly wager race 38">' in page
    assert '<meta property="og:image" content="http://palio.test/embed/races/38/card.png?v=3-411">' in page
    assert '<meta property="og:url" content="http://palio.test/races/38">' in page
