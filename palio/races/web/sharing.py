"""What is handed out of a race: the words of its share card, and the code that puts it into another page."""

from dataclasses import dataclass
from html import escape

from palio.races.schemas import asset_of
from palio.races.types import RaceView
from palio.ui.cards import Card, CardRow
from palio.ui.formats import Formats
from palio.ui.languages import Language

FRAME_PX, ROW_PX = 190, 40  # how high a frame is: its head and foot, and each row


@dataclass(frozen=True, slots=True)
class Frame:
    """Addresses of a race for other pages; `code` is what is pasted into them."""

    link: str
    board: str
    countdown: str
    overlay: str
    overlay_countdown: str
    card: str
    code: str
    height: int


def frame_of(race: RaceView, origin: str, *, query: str, rows: int) -> Frame:
    """The addresses below `origin`, with the look that `query` says."""
    path = f"/embed/races/{race.number}"
    asked, more = (f"?{query}", f"&{query}") if query else ("", "")
    height = FRAME_PX + ROW_PX * rows
    board = f"{origin}{path}{asked}"
    code = (
        f'<iframe src="{escape(board)}" title="{escape(race.title)}" width="100%" height="{height}"'
        ' loading="lazy" frameborder="0"></iframe>'
    )
    return Frame(
        link=f"{origin}/races/{race.number}",
        board=board,
        countdown=f"{origin}{path}/countdown{asked}",
        overlay=f"{origin}{path}?overlay=1{more}",
        overlay_countdown=f"{origin}{path}/countdown?overlay=1{more}",
        card=f"{origin}{path}/card.png?v={race.version}-{race.seq}",
        code=code,
        height=height,
    )


def card_of(race: RaceView, language: Language) -> Card:
    """The card of a race as it stands, in a language."""
    formats, asset = Formats(language.locale, language.words), asset_of(race)
    places = max((prize.last for prize in race.prizes), default=0)
    words = language.words.ngettext(
        "%(pool)s for the first place", "%(pool)s for the first %(places)s places", places
    ) % {"pool": formats.money(race.pool, asset), "places": formats.count(places)}
    rows = [
        CardRow(
            rank=formats.count(row.rank),
            name=row.name,
            total=formats.wager(row.total_micro, race.currency),
            prize=formats.money(row.prize, asset) if row.prize else "",
        )
        for row in race.rows
        if row.is_qualified
    ]
    return Card(
        number=race.number % 10,
        mark=_mark(race, language, formats),
        title=race.title,
        words=words,
        rows=tuple(rows[:3]),
        foot=race.programme,
        site="Palio",
        is_rtl=language.direction == "rtl",
    )


def _mark(race: RaceView, language: Language, formats: Formats) -> str:
    said = language.words.gettext
    if race.status == "cancelled":
        return said("Cancelled")
    if race.status == "upcoming":
        return said("Starts %(time)s UTC") % {"time": formats.weekday(race.starts_at)}
    time = {"time": formats.weekday(race.ends_at)}
    if race.status == "live":
        return said("Live until %(time)s UTC") % time
    if race.standings_sha256:
        return said("Final result of %(time)s UTC") % {"time": formats.moment(race.ends_at)}
    return said("Provisional result of %(time)s UTC") % time
