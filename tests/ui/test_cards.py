"""Share cards: the picture that goes with a link, in the colours of the pages, in every script the machine writes."""

import io
import math
import re
from dataclasses import replace

import httpx2
import pytest
from PIL import Image

from palio.ui.cards import Card, CardRow, draw, lettering, tinctures
from palio.ui.cards.cloth import banner
from palio.ui.pages import ROOT
from tests.ui import race_views

BYTES_MAX = 80_000
CARD = "/embed/races/38/card.png"
ROWS = tuple(CardRow(str(n), f"Somebody {n}", "$1,234,567.89", "$100,000.00") for n in (1, 2, 3))
WIDE = Card(
    8, "Live until Mon, Mar 23, 00:00 UTC", "Race " * 30, "$500.00 for the first place", ROWS, "Northwind", "Palio"
)


def picture(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png)).convert("RGB")


async def test_a_card_is_a_small_picture_that_is_asked_for_once(client: httpx2.AsyncClient) -> None:
    """The same race has the same tag; when the race moves on, it is another picture."""
    answer = await client.get(CARD)
    known = await client.get(CARD, headers={"if-none-match": answer.headers["etag"]})
    weak = await client.get(CARD, headers={"if-none-match": f'"other", W/{answer.headers["etag"]}'})
    race_views.BY_NUMBER[46] = replace(race_views.LIVE, number=38, rows=race_views.ROWS[1:])
    moved = await client.get("/embed/races/46/card.png", headers={"if-none-match": answer.headers["etag"]})
    del race_views.BY_NUMBER[46]

    assert (answer.headers["content-type"], picture(answer.content).size) == ("image/png", (1200, 630))
    assert len(answer.content) <= BYTES_MAX
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert [(one.status_code, one.content) for one in (known, weak)] == [(304, b"")] * 2
    assert moved.status_code == 200 and moved.headers["etag"] != answer.headers["etag"]


@pytest.mark.parametrize("number", range(10))
def test_the_widest_card_of_every_banner_is_small(number: int) -> None:
    assert len(draw(replace(WIDE, number=number))) <= BYTES_MAX


@pytest.mark.parametrize("number", range(10))
def test_a_banner_has_both_tinctures_and_no_third(number: int) -> None:
    """Each division shows enough of either to be told apart."""
    cloth = banner(number, 104, 148).crop((10, 12, 94, 120))
    counts = {"#" + bytes(pixel[:3]).hex(): n for n, pixel in cloth.getcolors(100_000)}
    first, second = (counts.get(colour, 0) for colour in tinctures.OF_BANNER[number])

    assert min(first, second) > 0.15 * cloth.width * cloth.height
    assert first + second > 0.9 * cloth.width * cloth.height


def test_a_card_from_right_to_left_is_hung_on_the_other_side() -> None:
    left, right = picture(draw(WIDE)), picture(draw(replace(WIDE, is_rtl=True)))

    assert left.getpixel((190, 4)) == right.getpixel((1010, 4)) == (0x7A, 0x58, 0x3E)
    assert right.getpixel((190, 4)) == left.getpixel((1010, 4)) == (0xFE, 0xFC, 0xF9)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Zażółć", "Zażółć"),
        ("Max \N{FIRE}", "Max"),
        ("\N{FIRE}\N{RIGHT-TO-LEFT OVERRIDE}\U0010fffd", "\N{BULLET}\N{BULLET}\N{BULLET}"),
        ("", "\N{BULLET}\N{BULLET}\N{BULLET}"),
    ],
)
def test_what_no_letter_is_here_for_is_left_out(name: str, shown: str) -> None:
    """No boxes where a letter is missing; a name of nothing else is three dots."""
    assert lettering.drawable(name) == shown


def test_a_text_is_shortened_to_its_room() -> None:
    short = lettering.fitted("Nightjar of the northern woods", 34, 700, 200)

    assert short.startswith("Nightj") and short.endswith("…")
    assert lettering.width(short, 34, 700) <= 200
    assert lettering.fitted("Nightjar", 34, 700, 200) == "Nightjar"


def test_a_long_title_ends_after_its_lines() -> None:
    lines = lettering.broken("One two three four five six seven eight nine ten eleven", 50, 700, 400, 2)

    assert len(lines) == 2 and lines[0] == "One two three" and lines[1].endswith("…")
    assert lettering.broken("Short", 50, 700, 400, 2) == ["Short"]


def test_the_colours_are_those_of_the_pages() -> None:
    """By the definition of OKLCH, to the step of a byte."""
    css = (ROOT.parent / "web/src/tokens.css").read_text()
    told = {name: rgb(value) for name, value in re.findall(r"--([\w-]+): (?:light-dark\()?oklch\(([^)]*)\)", css)}
    ours = {
        **{name: getattr(tinctures, name.upper()) for name in ("azure", "gold", "red", "cream", "green", "rose")},
        **{name: getattr(tinctures, name.upper()) for name in ("sable", "plum", "sky", "brown")},
        "banner-rod": tinctures.ROD,
        "banner-text": tinctures.ON_CLOTH,
        "gold-wash": tinctures.GOLD_WASH,
        "color-base-100": tinctures.PAPER,
        "color-base-300": tinctures.LINE,
        "color-base-content": tinctures.INK,
    }
    pairs = {
        n: (f"var(--{a})", f"var(--{b})")
        for n, a, b in re.findall(r"banner-(\d) \{ --b1: var\(--(\w+)\); --b2: var\(--(\w+)\)", css)
    }

    assert {name: told[name] for name in ours} == ours
    assert [tuple(ours[name[6:-1]] for name in pairs[str(n)]) for n in range(10)] == list(tinctures.OF_BANNER)


def rgb(oklch: str) -> str:
    light, chroma, hue = (float(part.strip("%")) for part in oklch.split())
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    light /= 100
    l, m, s = (  # noqa: E741 - the names of the definition
        (light + 0.3963377774 * a + 0.2158037573 * b) ** 3,
        (light - 0.1055613458 * a - 0.0638541728 * b) ** 3,
        (light - 0.0894841775 * a - 1.2914855480 * b) ** 3,
    )
    linear = (
        4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
        -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
        -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
    )
    return "#" + "".join(f"{round(255 * gamma(min(1, max(0, part)))):02x}" for part in linear)


def gamma(part: float) -> float:
    return 12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055
