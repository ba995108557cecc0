"""How races look from outside: the answers of the API, and the standings as the page cuts them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise, takewhile
from typing import Annotated, TypeAlias
from uuid import UUID

from fastapi import Depends, Path, Query

from palio.competitions.types import PrizeReceipt
from palio.kernel.parts import Cut
from palio.races.types import (
    MICRO_PER_UNIT,
    BoardRow,
    Change,
    Mine,
    Outcome,
    OwnReceipt,
    Part,
    Picture,
    RaceLine,
    RaceView,
    Reading,
)
from palio.ui import paging
from palio.ui.charts import Chart, Series
from palio.ui.paging import Listed, Paging
from palio.ui.values import Asset, Instant, Money, Whole

PODIUM_PLACES = 3

Number = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[38])]
EntrantNumber = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[112])]
Year = Annotated[Whole | None, Query(ge=2000, le=2100)]
Month = Annotated[Whole | None, Query(ge=1, le=12)]


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
    linked_only: bool
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
            linked_only=race.linked_only,
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
    """One line. `total_micro` is never shown below 0; `gap_micro` more would draw level with the line above.

    `trend` is how many ranks the line has risen within the last hour, null when it was not there.
    """

    rank: int | None
    place: int
    entrant_id: int
    name: str
    total_micro: int
    gap_micro: int | None
    prize_now: Money
    trend: int | None
    flags: tuple[str, ...]
    reward_status: str | None
    me: bool = False


@dataclass(frozen=True, slots=True)
class StandingsAnswer:
    """Lines of the board. `below_line` has wagered and does not rank: the minimum is not reached.

    `me` is the line of whoever asks, wherever it stands.
    """

    items: tuple[StandingAnswer, ...]
    next: str | None
    prev: str | None
    as_of: Instant | None
    stale: bool
    below_line: tuple[StandingAnswer, ...]
    me: StandingAnswer | None = None

    @classmethod
    def of(cls, race: RaceView, page: Paging, own: Mine | None = None) -> "StandingsAnswer":
        asset = asset_of(race)
        totals = [race.above_micro, *(row.total_micro for row in race.rows)]
        gaps = [None if above is None or total is None else above - total for above, total in pairwise(totals)]
        mine = own.row.entrant_id if own else None
        lines = [
            _standing(row, gap, asset, is_mine=row.entrant_id == mine) for row, gap in zip(race.rows, gaps, strict=True)
        ]
        after, before = beside(race, page)
        return cls(
            items=tuple(line for line in lines if line.rank is not None),
            next=after,
            prev=before,
            as_of=race.as_of,
            stale=race.is_stale,
            below_line=tuple(line for line in lines if line.rank is None),
            me=_standing(own.row, own.gap_micro, asset, is_mine=True) if own else None,
        )


def beside(race: RaceView, page: Paging) -> tuple[str | None, str | None]:
    """The cursors `(next, prev)` beside the rows of a board."""
    return page.beside([row.key for row in race.rows], after=race.after, of=race.entrants)


def _standing(row: BoardRow, gap: int | None, asset: Asset, *, is_mine: bool = False) -> StandingAnswer:
    return StandingAnswer(
        rank=row.rank if row.is_qualified else None,
        place=row.place,
        entrant_id=row.entrant_id,
        name=row.name,
        total_micro=max(0, row.total_micro),
        gap_micro=gap,
        prize_now=Money.of(row.prize, asset),
        trend=row.trend,
        flags=row.flags,
        reward_status=row.reward_status,
        me=is_mine,
    )


@dataclass(frozen=True, slots=True)
class NextAnswer:
    """The line above: `difference_micro` more would draw level with it."""

    position: int
    name: str
    wager_micro: int
    difference_micro: int


@dataclass(frozen=True, slots=True)
class MyRaceAnswer:
    """Which race it is."""

    number: int
    title: str
    status: str
    ends_at: Instant
    currency: str
    as_of: Instant | None
    stale: bool


@dataclass(frozen=True, slots=True)
class MyPlaceAnswer:
    """Where you stand. `position` is null while your wagers do not count, `previous_position` is that of an hour ago.

    `paid_place` is the last place that wins something; `missing_micro` more would win something, 0 if you do.
    """

    position: int | None
    total_participants: int
    wager_micro: int
    previous_position: int | None
    next_position: NextAnswer | None
    paid_place: int
    missing_micro: int
    prize_now: Money
    entrant_id: int
    race: MyRaceAnswer

    @classmethod
    def of(cls, own: Mine, race: RaceView) -> "MyPlaceAnswer":
        row, above = own.row, own.above
        position = row.rank if row.is_qualified else None
        return cls(
            position=position,
            total_participants=own.entrants,
            wager_micro=row.total_micro,
            previous_position=position + row.trend if position and row.trend is not None else None,
            next_position=NextAnswer(above.rank, above.name, above.total_micro, above.total_micro - row.total_micro)
            if above
            else None,
            paid_place=own.paid_places,
            missing_micro=own.missing_micro,
            prize_now=Money.of(row.prize, asset_of(race)),
            entrant_id=row.entrant_id,
            race=MyRaceAnswer(
                race.number, race.title, race.status, race.ends_at, race.currency, race.as_of, race.is_stale
            ),
        )


@dataclass(frozen=True, slots=True)
class ReadingAnswer:
    """What a picture says of you: `all_time_micro` is null where it was not known, `kind` how it was."""

    picture: PictureAnswer
    all_time_micro: int | None
    kind: str

    @classmethod
    def of(cls, reading: Reading | None) -> "ReadingAnswer | None":
        if reading is None:
            return None
        shown = reading.picture
        picture = PictureAnswer(shown.seq, shown.fetched_at, shown.as_of, shown.sha256)
        return cls(picture, reading.all_time_micro, reading.kind)


@dataclass(frozen=True, slots=True)
class WonPartsAnswer:
    """The arithmetic of a prize: places `first` to `last` pay `head` each, `exact` before rounding.

    `shared` is what `tied` people took together, `unit` what was left over of it for you; `forfeited` is why staff sent
    back what your wallet could not take.
    """

    rank: int
    prize: Money
    status: str
    claim_by: Instant | None
    paid_at: Instant | None
    first: int
    last: int
    head: str
    exact: str
    unit: int
    tied: int
    shared: Money | None
    transfer_id: UUID | None
    wallet_seq: int | None
    forfeited: str | None

    @classmethod
    def of(cls, won: PrizeReceipt | None, asset: Asset) -> "WonPartsAnswer | None":
        if won is None:
            return None
        return cls(
            rank=won.rank,
            prize=Money.of(won.amount, asset),
            status=won.status,
            claim_by=won.claim_by,
            paid_at=won.paid_at,
            first=won.first,
            last=won.last,
            head=won.head,
            exact=won.exact,
            unit=won.unit,
            tied=won.tied,
            shared=None if won.shared is None else Money.of(won.shared, asset),
            transfer_id=won.transfer_id,
            wallet_seq=won.wallet_seq,
            forfeited=won.forfeited,
        )


@dataclass(frozen=True, slots=True)
class MyReceiptAnswer:
    """How your total, place and prize came about.

    `raw_micro` lies between the two pictures, staff added `adjusted_micro`; both together are `score_micro`.
    """

    me: MyPlaceAnswer
    start: ReadingAnswer | None
    baseline_kind: str
    baseline_micro: int | None
    now: ReadingAnswer | None
    raw_micro: int | None
    adjusted_micro: int
    score_micro: int
    min_wager_micro: int
    rank: int | None
    ties: int
    reached_at: Instant
    changes: "tuple[ChangeAnswer, ...]"
    won: WonPartsAnswer | None

    @classmethod
    def of(cls, receipt: OwnReceipt, race: RaceView) -> "MyReceiptAnswer":
        own = receipt.mine
        return cls(
            me=MyPlaceAnswer.of(own, race),
            start=ReadingAnswer.of(receipt.start),
            baseline_kind=receipt.baseline_kind,
            baseline_micro=receipt.baseline_micro,
            now=ReadingAnswer.of(receipt.now),
            raw_micro=receipt.raw_micro,
            adjusted_micro=receipt.adjusted_micro,
            score_micro=own.score_micro,
            min_wager_micro=race.min_wager_micro,
            rank=own.row.rank if own.row.is_qualified else None,
            ties=own.ties,
            reached_at=own.reached_at,
            changes=tuple(map(ChangeAnswer.of, receipt.changes)),
            won=WonPartsAnswer.of(receipt.won, asset_of(race)),
        )


@dataclass(frozen=True, slots=True)
class LineAnswer:
    """A race in a list of races; `pool` is what it pays in all."""

    id: UUID
    number: int
    title: str
    programme: str
    status: str
    starts_at: Instant
    ends_at: Instant
    pool: Money
    participants: int

    @classmethod
    def of(cls, line: RaceLine) -> "LineAnswer":
        return cls(
            id=line.competition_id,
            number=line.number,
            title=line.title,
            programme=line.programme,
            status=line.status,
            starts_at=line.starts_at,
            ends_at=line.ends_at,
            pool=Money.of(line.pool, Asset(line.asset, line.asset_scale)),
            participants=line.entrants,
        )


@dataclass(frozen=True, slots=True)
class ArchivedAnswer:
    """A race that is over, as the archive keeps it. The winners are all on rank 1; wagers are micro-units."""

    id: UUID
    number: int
    title: str
    programme: str
    status: str
    year: int
    month: int
    starts_at: Instant
    ends_at: Instant
    pool: Money
    participants: int
    currency: str
    total_micro: int
    winners: tuple[str, ...]
    standings_sha256: str
    start_payload_sha256: str
    final_payload_sha256: str

    @classmethod
    def of(cls, line: RaceLine, outcome: Outcome) -> "ArchivedAnswer":
        return cls(
            id=line.competition_id,
            number=line.number,
            title=line.title,
            programme=line.programme,
            status=line.status,
            year=outcome.year,
            month=outcome.month,
            starts_at=line.starts_at,
            ends_at=line.ends_at,
            pool=Money.of(line.pool, Asset(line.asset, line.asset_scale)),
            participants=outcome.participants,
            currency=outcome.currency,
            total_micro=outcome.total_micro,
            winners=outcome.winners,
            standings_sha256=outcome.standings_sha256,
            start_payload_sha256=outcome.start_sha256,
            final_payload_sha256=outcome.final_sha256,
        )


@dataclass(frozen=True, slots=True)
class ArchiveAnswer:
    """Races that are over, the newest first."""

    items: tuple[ArchivedAnswer, ...]
    next: str | None
    prev: str | None

    @classmethod
    def of(cls, found: Cut[RaceLine], page: Paging) -> "ArchiveAnswer":
        part = shown_of(found, page)
        lines = tuple(ArchivedAnswer.of(line, line.outcome) for line in part.rows if line.outcome)
        return cls(lines, part.next, part.prev)


ByEnd: TypeAlias = Annotated[
    Paging, Depends(paging.sorted_by("-ends_at", end=("0001-01-01T00:00:00+00:00", 0)))
]  # races are listed by when they end


def part_of(page: Paging) -> Part:
    """Which part of a list of races a page is."""
    return page.wanted(lambda ends_at, number: (datetime.fromisoformat(str(ends_at)), int(number)))


def shown_of(found: Cut[RaceLine], page: Paging) -> paging.Part[RaceLine]:
    """The page of such a part."""
    return page.shown(found, lambda line: (line.ends_at.isoformat(), line.number))


@dataclass(frozen=True, slots=True)
class WonAnswer:
    """What a place has won: `paid`, `unclaimed` until `claim_by`, or `expired`, among others."""

    place: int
    rank: int
    name: str
    prize: Money
    status: str
    claim_by: Instant | None


@dataclass(frozen=True, slots=True)
class PrizesAnswer:
    """The prizes in the order of places; none before the standings are frozen."""

    items: tuple[WonAnswer, ...]
    next: str | None
    prev: str | None

    @classmethod
    def of(cls, race: RaceView, page: Paging) -> "PrizesAnswer":
        asset = asset_of(race)
        won = tuple(
            WonAnswer(row.place, row.rank, row.name, Money.of(row.prize, asset), row.reward_status, row.claim_by)
            for row in race.rows
            if row.reward_status
        )
        after, before = beside(race, page)
        return cls(won, after if len(won) == len(race.rows) else None, before)


@dataclass(frozen=True, slots=True)
class ChangeAnswer:
    """One change of a total, in micro-units: a score, a correction by the source, or an adjustment by the house."""

    n: int
    happened_at: Instant
    kind: str
    delta_micro: int
    total_micro: int
    note: str | None
    snapshot_seq: int | None

    @classmethod
    def of(cls, change: Change) -> "ChangeAnswer":
        return cls(
            n=change.n,
            happened_at=change.happened_at,
            kind=change.kind,
            delta_micro=change.delta,
            total_micro=change.total,
            note=change.note,
            snapshot_seq=change.seq,
        )


@dataclass(frozen=True, slots=True)
class ChangesAnswer:
    """How a total came about, from the first change on; totals are never shown below 0."""

    items: tuple[ChangeAnswer, ...]
    next: str | None
    prev: str | None

    @classmethod
    def of(cls, changes: Sequence[Change], of: int, page: Paging) -> "ChangesAnswer":
        after, _ = page.span()
        return cls(tuple(map(ChangeAnswer.of, changes)), *page.around(after + 1, after + len(changes), of=of))


@dataclass(frozen=True, slots=True)
class Board:
    """The standings as the page shows them: three on the podium, the paid, the others, and who does not rank."""

    podium: tuple[BoardRow, ...]
    paid: tuple[BoardRow, ...]
    unpaid: tuple[BoardRow, ...]
    below: tuple[BoardRow, ...]
    paid_places: int
    missing_micro: int | None
    has_ties: bool
    has_trends: bool
    flags: frozenset[str]

    @classmethod
    def of(cls, race: RaceView) -> "Board":
        ranked = tuple(row for row in race.rows if row.is_qualified)
        podium = () if race.after else ranked[:PODIUM_PLACES]
        paid_places = max((prize.last for prize in race.prizes), default=0)
        rest = ranked[len(podium) :]
        paid = tuple(takewhile(lambda row: row.place <= paid_places, rest))
        unpaid = rest[len(paid) :]
        last_paid = next((row for row in ranked if row.place == paid_places), None)
        return cls(
            podium=podium,
            paid=paid,
            unpaid=unpaid,
            below=tuple(row for row in race.rows if not row.is_qualified),
            paid_places=paid_places,
            missing_micro=last_paid.total_micro - unpaid[0].total_micro if last_paid and unpaid else None,
            has_ties=any(a.rank == b.rank and b.prize for a, b in pairwise(ranked)),
            has_trends=race.status == "live" and any(row.trend is not None for row in race.rows),
            flags=frozenset(flag for row in race.rows for flag in row.flags),
        )


def lines_with_assets(lines: Sequence[RaceLine]) -> list[tuple[RaceLine, Asset]]:
    """Races beside what their pools are counted in, as lists show them."""
    return [(line, Asset(line.asset, line.asset_scale)) for line in lines]


def chart_of(changes: Sequence[Change], name: str) -> Chart:
    """How a total grew; drawn to the cent."""
    values = tuple(round(change.total / MICRO_PER_UNIT, 2) for change in changes)
    return Chart(tuple(f"{change.happened_at:%d.%m. %H:%M}" for change in changes), (Series(name, "step", values),))


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
    linked_only=False,
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
    items=(StandingAnswer(1, 1, 112, "pla***", 155_530_000, None, Money("USD", 25_000, "250.00"), 2, (), None),),
    next=None,
    prev=None,
    as_of=_AT,
    stale=False,
    below_line=(),
)
LINE = LineAnswer(
    id=_RACE_ID,
    number=38,
    title="Weekly wager race 38",
    programme="northwind",
    status="live",
    starts_at=datetime(2026, 3, 16, tzinfo=UTC),
    ends_at=datetime(2026, 3, 23, tzinfo=UTC),
    pool=Money("USD", 50_000, "500.00"),
    participants=212,
)
RACES_EXAMPLE = Listed(items=(LINE,), next=None, prev=None)
ARCHIVE_EXAMPLE = ArchiveAnswer(
    items=(
        ArchivedAnswer(
            id=_RACE_ID,
            number=37,
            title="Weekly wager race 37",
            programme="northwind",
            status="completed",
            year=2026,
            month=3,
            starts_at=datetime(2026, 3, 9, tzinfo=UTC),
            ends_at=datetime(2026, 3, 16, tzinfo=UTC),
            pool=Money("USD", 50_000, "500.00"),
            participants=198,
            currency="USD",
            total_micro=450_299_844,
            winners=("pla***",),
            standings_sha256=_DIGEST,
            start_payload_sha256=_DIGEST,
            final_payload_sha256=_DIGEST,
        ),
    ),
    next=None,
    prev=None,
)
PRIZES_EXAMPLE = PrizesAnswer(
    items=(WonAnswer(1, 1, "pla***", Money("USD", 25_000, "250.00"), "unclaimed", _AT),), next=None, prev=None
)
CHANGES_EXAMPLE = ChangesAnswer(
    items=(ChangeAnswer(1, _AT, "score", 155_530_000, 155_530_000, None, 412),), next=None, prev=None
)
MY_PLACE_EXAMPLE = MyPlaceAnswer(
    position=8,
    total_participants=212,
    wager_micro=15_214_600_000,
    previous_position=11,
    next_position=NextAnswer(7, "ils***", 15_977_350_000, 762_750_000),
    paid_place=10,
    missing_micro=0,
    prize_now=Money("USD", 12_500, "125.00"),
    entrant_id=112,
    race=MyRaceAnswer(38, "Weekly wager race 38", "live", datetime(2026, 3, 23, tzinfo=UTC), "USD", _AT, stale=False),
)
MY_RECEIPT_EXAMPLE = MyReceiptAnswer(
    me=MY_PLACE_EXAMPLE,
    start=ReadingAnswer(_PICTURE, 40_000_000_000, "listed"),
    baseline_kind="picture",
    baseline_micro=40_000_000_000,
    now=ReadingAnswer(_PICTURE, 55_214_600_000, "listed"),
    raw_micro=15_214_600_000,
    adjusted_micro=0,
    score_micro=15_214_600_000,
    min_wager_micro=0,
    rank=8,
    ties=1,
    reached_at=_AT,
    changes=(ChangeAnswer(1, _AT, "score", 15_214_600_000, 15_214_600_000, None, 412),),
    won=WonPartsAnswer(
        rank=8,
        prize=Money("USD", 12_500, "125.00"),
        status="paid",
        claim_by=None,
        paid_at=_AT,
        first=8,
        last=8,
        head="250",
        exact="12500",
        unit=0,
        tied=1,
        shared=None,
        transfer_id=UUID("0195b0a2-6c1e-7d44-9a31-52f0c8e7b916"),
        wallet_seq=17,
        forfeited=None,
    ),
)
