"""How programmes and their boards look from outside."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from palio.affiliates.types import BoardRow, BoardView, ProgrammeStatus, ProgrammeTotals
from palio.ui.paging import Listed, Paging
from palio.ui.values import Instant


@dataclass(frozen=True, slots=True)
class ProgrammeAnswer:
    """A programme, and how far it has been read: `seq` counts its snapshots. Without any, everything is stale."""

    id: UUID
    code: str
    name: str
    currency: str
    status: str
    seq: int
    as_of: Instant | None
    stale: bool

    @classmethod
    def of(cls, programme: ProgrammeStatus, now: datetime) -> "ProgrammeAnswer":
        return cls(
            id=programme.id,
            code=programme.code,
            name=programme.name,
            currency=programme.currency,
            status=programme.status,
            seq=programme.seq,
            as_of=programme.as_of,
            stale=programme.is_stale(now),
        )


@dataclass(frozen=True, slots=True)
class BoardRowAnswer:
    """One line. Equal totals share a rank, `ties` says how many; growth is of whole periods only."""

    rank: int | None
    place: int | None
    ties: int
    name: str
    wagered_micro: int
    growth_bps: int | None
    share_bps: int

    @classmethod
    def of(cls, row: BoardRow) -> "BoardRowAnswer":
        return cls(
            rank=row.rank,
            place=row.place,
            ties=row.ties,
            name=row.name,
            wagered_micro=row.wagered_micro,
            growth_bps=row.growth_bps,
            share_bps=row.share_bps,
        )


@dataclass(frozen=True, slots=True)
class BoardAnswer:
    """Lines of a board by place. Wagers are micro-units of `currency`; `of` is how many stand there in all.

    `source` is `reported` (the provider's own figure) or `computed` (what we counted since the period began);
    `coverage_from` is since when its numbers are known here. `warming`: the order is being worked out, ask again.
    """

    items: tuple[BoardRowAnswer, ...]
    next: str | None
    prev: str | None
    programme: str | None
    currency: str | None
    period: str
    starts_at: Instant | None
    ends_at: Instant | None
    final: bool
    source: str
    coverage_from: Instant | None
    as_of: Instant | None
    stale: bool
    warming: bool
    of: int
    total_micro: int

    @classmethod
    def of_view(cls, board: BoardView, page: Paging | None) -> "BoardAnswer":
        """A part of a list, or what was found in it when there is no `page`."""
        after, before = beside(board, page) if page else (None, None)
        return cls(
            items=tuple(map(BoardRowAnswer.of, board.rows)),
            next=after,
            prev=before,
            programme=board.programme.code if board.programme else None,
            currency=board.programme.currency if board.programme else None,
            period=board.period.key,
            starts_at=board.period.starts_at,
            ends_at=board.period.ends_at,
            final=board.is_final,
            source=board.source,
            coverage_from=board.coverage_from,
            as_of=board.as_of,
            stale=board.is_stale,
            warming=board.is_warming,
            of=board.of,
            total_micro=board.total_micro,
        )


def beside(board: BoardView, page: Paging) -> tuple[str | None, str | None]:
    """The cursors `(next, prev)` beside the rows of a board."""
    return page.beside([row.key for row in board.rows], after=board.after, of=board.of)


@dataclass(frozen=True, slots=True)
class ColumnsAnswer:
    """Sums of the provider's own columns over the rows of the last snapshot."""

    today_micro: int
    week_micro: int
    month_micro: int
    all_time_micro: int


@dataclass(frozen=True, slots=True)
class PeriodTotalAnswer:
    """What a board adds up to."""

    period: str
    source: str
    total_micro: int
    players: int
    coverage_from: Instant | None


@dataclass(frozen=True, slots=True)
class TotalsAnswer:
    """What a programme adds up to; `total_users` is what the provider itself says, if it does."""

    programme: str | None
    currency: str | None
    as_of: Instant | None
    stale: bool
    players: int
    total_users: int | None
    reported: ColumnsAnswer
    boards: tuple[PeriodTotalAnswer, ...]

    @classmethod
    def of(cls, found: ProgrammeTotals | None, now: datetime) -> "TotalsAnswer":
        if found is None:
            return cls(None, None, None, True, 0, None, ColumnsAnswer(0, 0, 0, 0), ())
        status, sums = found.programme, found.reported
        return cls(
            programme=status.code,
            currency=status.currency,
            as_of=status.as_of,
            stale=status.is_stale(now),
            players=found.players,
            total_users=found.total_users,
            reported=ColumnsAnswer(sums.today, sums.week, sums.month, sums.all_time),
            boards=tuple(
                PeriodTotalAnswer(one.period.key, one.source, one.total_micro, one.of, one.coverage_from)
                for one in found.boards
            ),
        )


_AS_OF = datetime(2026, 3, 18, 14, 0, 12, tzinfo=UTC)
PROGRAMMES_EXAMPLE = Listed(
    (
        ProgrammeAnswer(
            id=UUID("0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44"),
            code="harbour-club",
            name="Harbour Club",
            currency="USD",
            status="active",
            seq=4_212,
            as_of=_AS_OF,
            stale=False,
        ),
    ),
    None,
    None,
)
BOARD_EXAMPLE = BoardAnswer(
    items=(
        BoardRowAnswer(
            rank=1,
            place=1,
            ties=1,
            name="Nig***",
            wagered_micro=48_912_400_000,
            growth_bps=None,
            share_bps=812,
        ),
    ),
    next="Zm9sbG93cw",
    prev=None,
    programme="harbour-club",
    currency="USD",
    period="W:2026-W12",
    starts_at=datetime(2026, 3, 16, tzinfo=UTC),
    ends_at=datetime(2026, 3, 23, tzinfo=UTC),
    final=False,
    source="computed",
    coverage_from=datetime(2026, 3, 16, tzinfo=UTC),
    as_of=_AS_OF,
    stale=False,
    warming=False,
    of=127,
    total_micro=602_369_458_128,
)
TOTALS_EXAMPLE = TotalsAnswer(
    programme="harbour-club",
    currency="USD",
    as_of=_AS_OF,
    stale=False,
    players=127,
    total_users=127,
    reported=ColumnsAnswer(1_034_096_947, 14_278_682_678, 535_161_854_344, 3_018_947_973_505),
    boards=(PeriodTotalAnswer("D:2026-03-18", "computed", 450_299_844, 13, datetime(2026, 3, 18, tzinfo=UTC)),),
)
