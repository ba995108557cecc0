"""How boards look from outside, whoever orders them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from palio.competitions.ranks import Place
from palio.competitions.rules import trends
from palio.competitions.types import EntrantId, RankPoint
from palio.kernel.providers import BoardHead, BoardLine, BoardPeriod, BoardView
from palio.ui.paging import Paging
from palio.ui.values import Instant, decimal


@dataclass(frozen=True, slots=True)
class HeadAnswer:
    """A board. A score is an integer; `scale` of its digits are decimals of `unit`."""

    code: str
    title: str
    metric: str
    scale: int
    unit: str | None
    periods: tuple[str, ...]

    @classmethod
    def of(cls, head: BoardHead) -> "HeadAnswer":
        return cls(head.code, head.title, head.metric, head.scale, head.unit, head.periods)


@dataclass(frozen=True, slots=True)
class BoardsAnswer:
    """Every board there is."""

    items: tuple[HeadAnswer, ...]
    next: None
    prev: None

    @classmethod
    def of(cls, heads: Sequence[BoardHead]) -> "BoardsAnswer":
        return cls(tuple(map(HeadAnswer.of, heads)), None, None)


@dataclass(frozen=True, slots=True)
class BoardLineAnswer:
    """One line: `display` is the score as text, `ties` how many share the rank, `trend` how far it rose in an hour.

    `among` is its rank in the part of the board that was asked for, as of friends.
    """

    rank: int
    place: int
    entrant: str
    name: str
    score: int
    display: str
    ties: int
    trend: int | None
    among: int | None

    @classmethod
    def of(cls, line: BoardLine, scale: int) -> "BoardLineAnswer":
        return cls(
            rank=line.rank,
            place=line.place,
            entrant=line.entrant,
            name=line.name,
            score=line.score,
            display=format(decimal(line.score, scale), "f"),
            ties=line.ties,
            trend=line.trend,
            among=line.among,
        )


class LineWritten(msgspec.Struct, gc=False):
    """The same line for whoever writes thousands a second."""

    rank: int
    place: int
    entrant: str
    name: str
    score: int
    display: str
    ties: int
    trend: int | None
    among: None = None

    @classmethod
    def of_many(
        cls, places: Sequence[Place], names: Mapping[EntrantId, str], earlier: Mapping[int, int], scale: int
    ) -> "list[LineWritten]":
        return [
            cls(
                rank,
                place,
                str(entrant),
                names[EntrantId(entrant)],
                score,
                format(decimal(score, scale), "f") if scale else str(score),
                ties,
                trends.rose_by(rank, earlier[entrant]) if entrant in earlier else None,
            )
            for place, rank, entrant, score, ties, _, _ in places
        ]


write_lines = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class BoardAnswer:
    """Lines of a board; `of` is how many there are. While it is `warming` nobody's rank is known."""

    items: tuple[BoardLineAnswer, ...]
    next: str | None
    prev: str | None
    board: HeadAnswer
    period: str
    starts_at: Instant | None
    ends_at: Instant | None
    final: bool
    of: int
    as_of: Instant | None
    version: int
    stale: bool
    warming: bool

    @classmethod
    def of_view(cls, view: BoardView, after: str | None, before: str | None) -> "BoardAnswer":
        return cls(
            items=tuple(BoardLineAnswer.of(line, view.head.scale) for line in view.lines),
            next=after,
            prev=before,
            board=HeadAnswer.of(view.head),
            period=view.period.key,
            starts_at=view.period.starts_at,
            ends_at=view.period.ends_at,
            final=view.period.is_final,
            of=view.of,
            as_of=view.as_of,
            version=view.version,
            stale=view.is_stale,
            warming=view.is_warming,
        )


def beside(view: BoardView, page: Paging) -> tuple[str | None, str | None]:
    """The cursors `(next, prev)` beside the lines of a board; while its order is not known nothing goes on."""
    keys = [] if view.is_warming else [line.key for line in view.lines]
    return page.beside(keys, after=view.after, of=view.of)


@dataclass(frozen=True, slots=True)
class NextAnswer:
    """The next better rank, and how much is lacking to it."""

    rank: int
    gap: int


@dataclass(frozen=True, slots=True)
class MyLineAnswer:
    """Where whoever asks stands; `percentile` is the part of the others in per cent who are not better.

    While the board is `warming` nobody's rank is known.
    """

    rank: int | None
    place: int | None
    of: int
    entrant: str | None
    score: int | None
    display: str | None
    ties: int | None
    percentile: int | None
    next: NextAnswer | None
    period: str
    as_of: Instant | None
    version: int
    warming: bool

    @classmethod
    def of_line(cls, line: BoardLine, view: BoardView, above: BoardLine | None) -> "MyLineAnswer":
        return cls(
            rank=line.rank,
            place=line.place,
            of=view.of,
            entrant=line.entrant,
            score=line.score,
            display=format(decimal(line.score, view.head.scale), "f"),
            ties=line.ties,
            percentile=percentile(line.rank, view.of),
            next=NextAnswer(above.rank, abs(above.score - line.score)) if above else None,
            period=view.period.key,
            as_of=view.as_of,
            version=view.version,
            warming=False,
        )

    @classmethod
    def of_warming(cls, period: str) -> "MyLineAnswer":
        return cls(*(None, None, 0, None, None, None, None, None, None), period, None, 0, warming=True)


def percentile(rank: int | None, of: int) -> int | None:
    """Which part of all, in whole per cent, stands at this rank or below it; of nobody that is not known."""
    return 100 * (of - rank + 1) // of if rank is not None and of else None


@dataclass(frozen=True, slots=True)
class PointAnswer:
    """Where somebody stood at an instant that has passed."""

    at: Instant
    rank: int
    score: int
    display: str


@dataclass(frozen=True, slots=True)
class HistoryAnswer:
    """Where somebody stood by the hour, the newest first, as far as he was among the first hundred."""

    items: tuple[PointAnswer, ...]
    next: None
    prev: None

    @classmethod
    def of(cls, points: Sequence[RankPoint], scale: int) -> "HistoryAnswer":
        found = tuple(
            PointAnswer(each.at, each.rank, each.score, format(decimal(each.score, scale), "f")) for each in points
        )
        return cls(found, None, None)


HEAD = BoardHead("wager:default", "Wagers", "wager", 6, "USD", ("today", "week", "month", "all"))
VIEW = BoardView(
    head=HEAD,
    period=BoardPeriod("W:2026-W12", datetime(2026, 3, 16, tzinfo=UTC), datetime(2026, 3, 23, tzinfo=UTC), False),
    lines=(
        BoardLine(1, 1, "019cffd0-4c00-7000-8000-000000000001", "cob***", 9_203_670_000, trend=2),
        BoardLine(2, 2, "019cffd0-4c00-7000-8000-000000000002", "lin***", 2_406_200_000, ties=2),
    ),
    of=127,
    version=418,
    as_of=datetime(2026, 3, 18, 14, 5, 9, 123456, tzinfo=UTC),
    is_stale=False,
)
BOARDS_EXAMPLE = BoardsAnswer.of([HEAD])
BOARD_EXAMPLE = BoardAnswer.of_view(VIEW, "AAECAwQFBgc", None)
AROUND_EXAMPLE = BoardAnswer.of_view(VIEW, None, None)
MY_LINE_EXAMPLE = MyLineAnswer.of_line(VIEW.lines[1], VIEW, VIEW.lines[0])
HISTORY_EXAMPLE = HistoryAnswer.of([RankPoint(datetime(2026, 3, 18, 14, tzinfo=UTC), 3, 2_301_400_000)], HEAD.scale)
