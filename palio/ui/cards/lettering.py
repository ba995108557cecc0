"""Letters of a card: the display face of the pages, and for other scripts what the machine has."""

from collections.abc import Iterator
from functools import cache
from itertools import groupby
from unicodedata import category

from PIL import ImageFont
from PIL.ImageFont import FreeTypeFont

from palio.ui.pages import DIST

OURS = ("latin", "latin-ext")
OF_THE_MACHINE = (  # looked for in its font folders
    *("DejaVuSans-Bold.ttf", "NotoSans-Bold.ttf", "NotoSansArabic-Bold.ttf", "NotoSansHebrew-Bold.ttf"),
    *("NotoSansDevanagari-Bold.ttf", "NotoSansThai-Bold.ttf", "NotoSansCJK-Bold.ttc", "Arial Unicode.ttf"),
)
NOBODYS = "\U0010fffe"  # no character: every font draws it as the one it has not
JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # some scripts are spelt with them
UNDRAWABLE = "\N{BULLET}" * 3
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def width(text: str, size: int, weight: int) -> float:
    """How wide a text is, as it is drawn."""
    return sum(font.getlength(part) for font, part in runs(text, size, weight))


def fitted(text: str, size: int, weight: int, room: float) -> str:
    """The text, or its beginning with an ellipsis where there is no room for all of it."""
    shown = drawable(text)
    if width(shown, size, weight) <= room:
        return shown
    while shown and width(shown + ELLIPSIS, size, weight) > room:
        shown = shown[:-1]
    return shown.rstrip() + ELLIPSIS


def broken(text: str, size: int, weight: int, room: float, lines_max: int) -> list[str]:
    """The text in lines, broken between words; the last one ends with an ellipsis where something is left."""
    words, lines = drawable(text).split(), [""]
    while words and len(lines) <= lines_max:
        longer = f"{lines[-1]} {words[0]}".strip()
        if not lines[-1] or width(longer, size, weight) <= room:
            lines[-1], words = longer, words[1:]
        else:
            lines.append("")
    rest = " ".join(filter(None, [*lines[lines_max - 1 :], *words]))
    return [fitted(line, size, weight, room) for line in [*lines[: lines_max - 1], rest] if line]


def drawable(text: str) -> str:
    """The text without what no letter is here for, and without marks of direction; three dots when nothing is left."""
    text = "".join(c for c in text if category(c)[0] != "C" or c in JOINERS)
    shown = "".join(c for c in text if any(_has(face, c) for face in OURS))
    if len(shown) < len(text):
        others = ("".join(c for c in text if _has(name, c)) for name in OF_THE_MACHINE)
        shown = max((shown, *others), key=len)
    return shown.strip() or UNDRAWABLE


def runs(text: str, size: int, weight: int) -> Iterator[tuple[FreeTypeFont, str]]:
    """The text cut where another font begins: whole in one of the machine unless our own have all of it."""
    if all(any(_has(face, c) for face in OURS) for c in text):
        for face, letters in groupby(text, key=lambda c: next(face for face in OURS if _has(face, c))):
            yield _required(face, size, weight), "".join(letters)
        return
    whole = next((name for name in OF_THE_MACHINE if all(_has(name, c) for c in text)), OURS[0])
    yield _required(whole, size, weight), text


def _required(name: str, size: int, weight: int) -> FreeTypeFont:
    font = _face(name, size, weight)
    assert font is not None  # noqa: S101 - only names that have glyphs come here
    return font


@cache
def _face(name: str, size: int, weight: int) -> FreeTypeFont | None:
    if name not in OURS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            return None
    file = next(DIST.glob(f"assets/bricolage-grotesque-{name}-wght-*.woff2"))
    font = ImageFont.truetype(file, size)
    if weight:
        font.set_variation_by_axes([weight])
    return font


@cache
def _has(name: str, letter: str) -> bool:
    """Does a font draw this letter as something else than a letter that it has not?"""
    font = _face(name, 16, 0)
    if font is None:
        return False
    shown, none = font.getmask(letter), font.getmask(NOBODYS)
    return (shown.size, bytes(shown)) != (none.size, bytes(none))
