"""How races look from outside: the answers of the API, and the standings as the page cuts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise, takewhile
from uuid import UUID

from palio.races.types import BoardRow, Picture, RaceView
from palio.ui.values import Asset, Instant, Money

PODIUM_PLACES = 3


@dataclass(frozen=True, slots=True)
class PictureAnswer:
    """A stored picture of the feed; the SHA-256 is that of the payload as it was received."""

    seq: int
    fetched_at: Instant
    as_of: Instant
    payload_sha256: str

    @classmethod
    def of(cls, picture: Picture | None) -> "PictureAnswer | None":
        return cls(picture.seq, picture.fetched_at, picture.as_of, picture.sha256) if picture else None


@dataclass(frozen=True, slots=True)
class PrizeAnswer:
    """What each of the places `first` to `last` pays when every place is taken."""

    first: int
    last: int
    prize: Money


@dataclass(frozen=True, slots=True)
class RaceAnswer:
    """The terms of a race, its pictures, and how far it has come. Wagers are micro-units of `currency`."""

    id: UUID
    number: int
    title: str
    description: str
    rules_text: str
    programme: str
    status: str
    phase: str | None
    starts_at: Instant
    ends_at: Instant
    currency: str
    min_wager_micro: int
    pool: Money
    prizes: tuple[PrizeAnswer, ...]
    undistributed: Money
    entrants: int
    qualified: int
    as_of: Instant | None
    stale: bool
    provisional: bool
    start_state: str
    start_picture: PictureAnswer | None
    final_state: str
    final_picture: PictureAnswer | None
    no_data_from: Instant | None
    no_data_to: Instant | None
    backdated_reason: str | None
    cancel_reason: str | None
    terms_sha256: str
    standings_sha256: str | None
    version: int
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, race: RaceView) -> "RaceAnswer":
        asset = asset_of(race)
        return cls(
            id=race.competition_id,
            number=race.number,
            title=race.title,
            description=race.description,
            rules_text=race.rules_text,
            programme=race.programme,
            status=race.status,
            phase=race.phase,
            starts_at=race.starts_at,
            ends_at=race.ends_at,
            currency=race.currency,
            min_wager_micro=race.min_wager_micro,
            pool=Money.of(race.pool, asset),
            prizes=tuple(PrizeAnswer(p.first, p.last, Money.of(p.amount, asset)) for p in race.prizes),
            undistributed=Money.of(race.undistributed, asset),
            entrants=race.entrants,
            qualified=race.qualified,
            as_of=race.as_of,
            stale=race.is_stale,
            provisional=race.is_provisional,
            start_state=race.start_state,
            start_picture=PictureAnswer.of(race.start),
            final_state=race.final_state,
            final_picture=PictureAnswer.of(race.final),
            no_data_from=race.gap_from,
            no_data_to=race.gap_to,
            backdated_reason=race.backdated_reason,
            cancel_reason=race.cancel_reason,
            terms_sha256=race.terms_sha256,
            standings_sha256=race.standings_sha256,
            version=race.version,
            created_at=race.created_at,
            updated_at=race.updated_at,
        )


@dataclass(frozen=True, slots=True)
class StandingAnswer:
    """One line. `total_micro` is never shown below 0; `gap_micro` more would draw level with the line above."""

    rank: int | None
    place: int
    name: str
    total_micro: int
    gap_micro: int | None
    prize_now: Money
    flags: tuple[str, ...]
    reward_status: str | None


@dataclass(frozen=True, slots=True)
class StandingsAnswer:
    """The first lines of the board. `below_line` has wagered and does not rank: the minimum is not reached."""

    items: tuple[StandingAnswer, ...]
    next: str | None
    prev: str | None
    as_of: Instant | None
    stale: bool
    below_line: tuple[StandingAnswer, ...]

    @classmethod
    def of(cls, race: RaceView, limit: int) -> "StandingsAnswer":
        asset = asset_of(race)
        gaps = [above.total_micro - row.total_micro for above, row in pairwise(race.rows)]
        lines = [_standing(row, gap, asset) for row, gap in zip(race.rows[:limit], [None, *gaps], strict=False)]
        return cls(
            items=tuple(line for line in lines if line.rank is not None),
            next=None,
            prev=None,
            as_of=race.as_of,
            stale=race.is_stale,
            below_line=tuple(line for line in lines if line.rank is None),
        )


def _standing(row: BoardRow, gap: int | None, asset: Asset) -> StandingAnswer:
    return StandingAnswer(
        rank=row.rank if row.is_qualified else None,
        place=row.place,
        name=row.name,
        total_micro=max(0, row.total_micro),
        gap_micro=gap,
        prize_now=Money.of(row.prize, asset),
        flags=row.flags,
        reward_status=row.reward_status,
    )


@dataclass(frozen=True, slots=True)
class Board:
    """The standings as the page shows them: three on the podium, the paid, the others, and who does not rank."""

    podium: Sequence[BoardRow]
    paid: Sequence[BoardRow]
    unpaid: Sequence[BoardRow]
    below: Sequence[BoardRow]
    paid_places: int
    missing_micro: int | None
    has_ties: bool
    flags: frozenset[str]
    hidden: int

    @classmethod
    def of(cls, race: RaceView) -> "Board":
        ranked = [row for row in race.rows if row.is_qualified]
        paid_places = max((prize.last for prize in race.prizes), default=0)
        rest = ranked[PODIUM_PLACES:]
        paid = list(takewhile(lambda row: row.place <= paid_places, rest))
        unpaid = rest[len(paid) :]
        last_paid = next((row for row in ranked if row.place == paid_places), None)
        return cls(
            podium=ranked[:PODIUM_PLACES],
            paid=paid,
            unpaid=unpaid,
            below=[row for row in race.rows if not row.is_qualified],
            paid_places=paid_places,
            missing_micro=last_paid.total_micro - unpaid[0].total_micro if last_paid and unpaid else None,
            has_ties=any(a.rank == b.rank and b.prize for a, b in pairwise(ranked)),
            flags=frozenset(flag for row in race.rows for flag in row.flags),
            hidden=race.entrants - len(race.rows),
        )


def asset_of(race: RaceView) -> Asset:
    """What the prizes of a race are counted in."""
    return Asset(race.asset, race.asset_scale)


_AT = datetime(2026, 3, 18, 14, 5, 9, 123456, tzinfo=UTC)
_DIGEST = "02ba421e" + "0" * 56
_RACE_ID = UUID("01981f2c-7d1e-7a33-9c52-6f0a3b1d8e44")
_PICTURE = PictureAnswer(seq=412, fetched_at=_AT, as_of=_AT, payload_sha256=_DIGEST)
RACE_EXAMPLE = RaceAnswer(
    id=_RACE_ID,
    number=38,
    title="Weekly wager race 38",
    description="",
    rules_text="",
    programme="northwind",
    status="live",
    phase=None,
    starts_at=datetime(2026, 3, 16, tzinfo=UTC),
    ends_at=datetime(2026, 3, 23, tzinfo=UTC),
    currency="USD",
    min_wager_micro=0,
    pool=Money("USD", 50_000, "500.00"),
    prizes=(PrizeAnswer(1, 1, Money("USD", 25_000, "250.00")), PrizeAnswer(2, 3, Money("USD", 12_500, "125.00"))),
    undistributed=Money("USD", 0, "0.00"),
    entrants=212,
    qualified=180,
    as_of=_AT,
    stale=False,
    provisional=True,
    start_state="exact",
    start_picture=_PICTURE,
    final_state="waiting",
    final_picture=None,
    no_data_from=None,
    no_data_to=None,
    backdated_reason=None,
    cancel_reason=None,
    terms_sha256=_DIGEST,
    standings_sha256=None,
    version=3,
    created_at=_AT,
    updated_at=_AT,
)
STANDINGS_EXAMPLE = StandingsAnswer(
    items=(StandingAnswer(1, 1, "pla***", 155_530_000, None, Money("USD", 25_000, "250.00"), (), None),),
    next=None,
    prev=None,
    as_of=_AT,
    stale=False,
    below_line=(),
)
