"""One share card: what it says, how it is drawn, and how it is answered."""

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from threading import Lock

from PIL import Image, ImageDraw
from starlette.requests import Request
from starlette.responses import Response

import palio
from palio.ui.cards import lettering
from palio.ui.cards.cloth import banner
from palio.ui.cards.tinctures import GOLD_WASH, INK, LINE, OF_BANNER, ON_CLOTH, PAPER, QUIET

WIDTH, HEIGHT = 1200, 630
KEPT_MAX = 64  # cards in memory, at most 80 kB each
COLOURS = 128  # the few tinctures and the steps of their edges: a palette makes the file a quarter of its size
EDGE, WORDS_FROM = 72, 372
BOLD, PLAIN = 700, 450


@dataclass(frozen=True, slots=True)
class CardRow:
    """Somebody on the podium: all of it as it is written."""

    rank: str
    name: str
    total: str
    prize: str


@dataclass(frozen=True, slots=True)
class Card:
    """What a card says; `number` is the last digit of the id, which gives the banner."""

    number: int
    mark: str
    title: str
    words: str
    rows: tuple[CardRow, ...]
    foot: str
    site: str
    is_rtl: bool = False

    @property
    def tag(self) -> str:
        """Its ETag: the same for the same words, drawn by the same version."""
        return f'"{hashlib.sha256(f"{palio.__version__} {self!r}".encode()).hexdigest()[:16]}"'


def respond(request: Request, card: Card) -> Response:
    """The card, or 304 for whoever has it. Drawing takes a tenth of a second: call it in a thread."""
    headers = {"ETag": card.tag, "Cache-Control": "public, max-age=60", "Vary": "Accept-Language"}
    if card.tag in [word.strip().removeprefix("W/") for word in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(draw(card), media_type="image/png", headers=headers)


@lru_cache(KEPT_MAX)
def draw(card: Card) -> bytes:
    """The card as PNG, 1200 x 630."""
    with _ONE_AT_A_TIME:
        image = _drawn(card)
        file = io.BytesIO()
        image.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        return file.getvalue()


_ONE_AT_A_TIME = Lock()  # a font is used by one thread at a time, and drawing must not take every core


def _drawn(card: Card) -> Image.Image:
    sheet = _Sheet(is_rtl=card.is_rtl)
    sheet.hang(card.number, EDGE, 240, 400)
    room = WIDTH - EDGE - WORDS_FROM
    below = 84 if card.rows else 196
    sheet.write(card.mark, WORDS_FROM, below, 28, PLAIN, QUIET, room=room)
    size = 62 if lettering.width(lettering.drawable(card.title), 62, BOLD) <= room else 50
    lines = lettering.broken(card.title, size, BOLD, room, 2)
    below += 12
    for line in lines:
        below += round(size * 1.12)
        sheet.write(line, WORDS_FROM, below, size, BOLD, INK, room=room)
    sheet.write(card.words, WORDS_FROM, below + 52, 30, PLAIN, QUIET, room=room)
    pays = max((lettering.width(row.prize, 28, BOLD) for row in card.rows if row.prize), default=0)
    for n, row in enumerate(card.rows):
        sheet.row(row, 352 + 64 * n, card.number, pays)
    sheet.foot(card)
    return sheet.image


class _Sheet:
    """The paper, written from the side where reading begins: `start` is how far from there, `base` the base line."""

    def __init__(self, *, is_rtl: bool) -> None:
        self.image = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
        self._pen = ImageDraw.Draw(self.image)
        self._is_rtl = is_rtl

    def hang(self, number: int, start: float, wide: int, high: int, top: int = 0) -> None:
        cloth = banner(number, wide, high)
        self.image.paste(cloth, (round(self._left(start, wide)), top), cloth)

    def write(self, text: str, start: float, base: float, size: int, weight: int, colour: str, *, room: float) -> float:
        """Write a line, shortened to the room there is; gives its width."""
        shown = lettering.fitted(text, size, weight, room)
        wide = lettering.width(shown, size, weight)
        at = self._left(start, wide)
        for font, part in lettering.runs(shown, size, weight):
            self._pen.text((at, base), part, font=font, fill=colour, anchor="ls")
            at += font.getlength(part)
        return wide

    def write_to(self, text: str, end: float, base: float, size: int, weight: int, colour: str) -> float:
        """Write a line that ends there."""
        wide = lettering.width(lettering.drawable(text), size, weight)
        return self.write(text, end - wide, base, size, weight, colour, room=wide)

    def row(self, row: CardRow, top: int, number: int, pays: float) -> None:
        """One of the podium; `pays` is how wide the widest prize is."""
        first, second = OF_BANNER[number]
        left, high = self._left(WORDS_FROM, 46), 52
        self._pen.polygon(
            [(left, top), (left + 46, top), (left + 46, top + high), (left + 23, top + high - 9), (left, top + high)],
            fill=first,
        )
        self._pen.rectangle((left, top, left + 46, top + 3), fill=second)
        wide = lettering.width(row.rank, 28, BOLD)
        self.write(row.rank, WORDS_FROM + 23 - wide / 2, top + 34, 28, BOLD, ON_CLOTH, room=46)
        end = float(WIDTH - EDGE)
        if row.prize:
            box = self._left(end - pays - 28, pays + 28)
            self._pen.rounded_rectangle((box, top + 4, box + pays + 28, top + 46), 10, fill=GOLD_WASH)
            self.write_to(row.prize, end - 14, top + 35, 28, BOLD, INK)
        if pays:
            end -= pays + 52
        end -= self.write_to(row.total, end, top + 35, 28, PLAIN, QUIET) + 24
        self.write(row.name, WORDS_FROM + 66, top + 36, 34, BOLD, INK, room=end - WORDS_FROM - 66)

    def foot(self, card: Card) -> None:
        self._pen.rectangle((EDGE, 560, WIDTH - EDGE, 561), fill=LINE)
        self.hang(0, EDGE, 26, 36, top=574)
        wide = self.write(card.site, EDGE + 40, 602, 28, BOLD, INK, room=400)
        room = WIDTH - 2 * EDGE - wide - 80
        text = lettering.fitted(card.foot, 26, PLAIN, room)
        self.write_to(text, WIDTH - EDGE, 602, 26, PLAIN, QUIET)

    def _left(self, start: float, wide: float) -> float:
        return WIDTH - start - wide if self._is_rtl else start
