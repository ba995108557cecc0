"""How what staff look at is written: months, prizes with their arithmetic, money in and out, the pulse of a board."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from palio.competitions.schemas.competitions import ItemAnswer
from palio.competitions.types import (
    Competition,
    CompetitionId,
    Gone,
    Joined,
    Liability,
    Owed,
    PrizeList,
    Progress,
    Put,
    Upcoming,
    Watched,
    Withheld,
)
from palio.kernel.ids import UserId
from palio.ui.paging import Listed, Paging
from palio.ui.values import Asset, Instant, Money, decimal


@dataclass(frozen=True, slots=True)
class RunningAnswer:
    """A competition in a calendar."""

    id: UUID
    title: str
    product: str
    status: str
    phase: str | None
    starts_at: Instant
    ends_at: Instant
    series_id: UUID | None
    period_key: str | None

    @classmethod
    def of(cls, competition: Competition) -> "RunningAnswer":
        return cls(
            id=competition.id,
            title=competition.title,
            product=competition.product,
            status=competition.status,
            phase=competition.phase,
            starts_at=competition.starts_at,
            ends_at=competition.ends_at,
            series_id=competition.series_id,
            period_key=competition.period_key,
        )


@dataclass(frozen=True, slots=True)
class CalendarAnswer:
    """What runs in the weeks of a month, drafts too, the first to begin first; at most 300."""

    items: tuple[RunningAnswer, ...]
    next: None
    prev: None

    @classmethod
    def of(cls, found: Sequence[Competition]) -> "CalendarAnswer":
        return cls(tuple(map(RunningAnswer.of, found)), None, None)


@dataclass(frozen=True, slots=True)
class PrizeAnswer:
    """What a place earns, and why: `exact` is the fraction before units are given out, `unit` whether it got one.

    Before the freeze, and when other prizes are tried, `status` is null and nothing is promised.
    """

    place: int
    rank: int
    entrant_id: int
    name: str
    score: str
    prize: Money
    status: str | None
    band_from: int
    band_to: int
    head: str
    exact: str
    unit: int
    tied: int
    user_id: UUID | None
    transfer_id: UUID | None
    paid_at: Instant | None
    claim_by: Instant | None
    items: tuple[ItemAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class PrizesAnswer:
    """The prizes of a ranking by place. `paid_places` is how many earn something, `undistributed` what nobody wins."""

    items: tuple[PrizeAnswer, ...]
    next: str | None
    prev: str | None
    pool: Money
    qualified: int
    paid_places: int
    undistributed: Money
    provisional: bool

    @classmethod
    def of(cls, found: PrizeList, after: int, page: Paging) -> "PrizesAnswer":
        asset = Asset(found.competition.prize_asset, found.asset_scale)
        following, preceding = page.around(after + 1, after + len(found.rows), of=found.paid)
        return cls(
            items=tuple(prizes_of(found, asset)),
            next=following,
            prev=preceding,
            pool=Money.of(found.pool, asset),
            qualified=found.qualified,
            paid_places=found.paid,
            undistributed=Money.of(found.undistributed, asset),
            provisional=found.is_provisional,
        )


def prizes_of(found: PrizeList, asset: Asset) -> list[PrizeAnswer]:
    """The rows of a list of prizes."""
    return [
        PrizeAnswer(
            place=row.standing.place,
            rank=row.standing.rank or row.standing.place,
            entrant_id=row.standing.entrant_id,
            name=found.names[row.standing.entrant_id],
            score=format(decimal(row.standing.score, found.competition.score_scale), "f"),
            prize=Money.of(row.amount, asset),
            status=row.reward.status if row.reward else None,
            band_from=_band(row.why, "from", row.standing.place),
            band_to=_band(row.why, "to", row.standing.place),
            head=str(row.why.get("head", "")),
            exact=str(row.why.get("exact", "")),
            unit=int(str(row.why.get("unit", 0))),
            tied=int(str(row.why.get("tied", 1))),
            user_id=row.standing.user_id,
            transfer_id=row.reward.transfer_id if row.reward else None,
            paid_at=row.reward.paid_at if row.reward else None,
            claim_by=row.reward.claim_by if row.reward else None,
            items=ItemAnswer.many(row.items),
        )
        for row in found.rows
    ]


def _band(why: Mapping[str, object], side: str, place: int) -> int:
    band = why.get("band")
    return int(str(band[side])) if isinstance(band, Mapping) and band.get(side) is not None else place


@dataclass(frozen=True, slots=True)
class ContributionAnswer:
    """What came into a pool, how it was split, and what of it has left again."""

    id: UUID
    source: str
    at: Instant
    amount: Money
    to_pool: Money
    to_treasury: Money
    taken_back: Money
    payer_id: UUID | None
    from_address: str
    ref: str | None
    transfer_id: UUID

    @classmethod
    def of(cls, put: Put, asset: Asset) -> "ContributionAnswer":
        return cls(
            id=put.id,
            source=put.source,
            at=put.at,
            amount=Money.of(put.amount, asset),
            to_pool=Money.of(put.to_pool, asset),
            to_treasury=Money.of(put.to_treasury, asset),
            taken_back=Money.of(put.taken_back, asset),
            payer_id=put.payer_id,
            from_address=put.from_address,
            ref=put.ref,
            transfer_id=put.transfer_id,
        )


@dataclass(frozen=True, slots=True)
class TakeBackAnswer:
    """What of a contribution left again, out of the pool and out of the treasury; `whole` if nothing of it is left.

    `at` and `transfer_id` are null where a cancellation gave it back, by the key `comp:<competition>:refund:<id>`.
    """

    contribution_id: UUID
    source: str
    at: Instant | None
    amount: Money
    from_pool: Money
    from_treasury: Money
    whole: bool
    to_address: str
    payer_id: UUID | None
    transfer_id: UUID | None

    @classmethod
    def of(cls, gone: Gone, asset: Asset) -> "TakeBackAnswer":
        return cls(
            contribution_id=gone.contribution_id,
            source=gone.source,
            at=gone.at,
            amount=Money.of(gone.amount, asset),
            from_pool=Money.of(gone.from_pool, asset),
            from_treasury=Money.of(gone.from_treasury, asset),
            whole=gone.is_whole,
            to_address=gone.to_address,
            payer_id=gone.payer_id,
            transfer_id=gone.transfer_id,
        )


@dataclass(frozen=True, slots=True)
class ParticipantAnswer:
    """Who takes part (`active`), has `left`, may join (`invited`) or was taken out (`disqualified`), and since when.

    `score` and `display` are null for whoever has none; while it is `out`, it does not count.
    """

    entrant_id: int
    kind: str
    name: str
    user_id: UUID | None
    state: str
    joined_at: Instant
    via: str
    fee_paid: bool
    score: int | None
    display: str | None
    out: bool
    reason: str | None
    decided_by: UUID | None

    @classmethod
    def of(cls, found: Joined, name: str, scale: int) -> "ParticipantAnswer":
        return cls(
            entrant_id=found.entrant_id,
            kind=found.kind,
            name=name,
            user_id=found.user_id,
            state=found.state,
            joined_at=found.joined_at,
            via=found.via,
            fee_paid=found.has_paid,
            score=found.score,
            display=None if found.score is None else format(decimal(found.score, scale), "f"),
            out=found.is_out,
            reason=found.reason,
            decided_by=found.decided_by,
        )


@dataclass(frozen=True, slots=True)
class WithheldAnswer:
    """A prize that the wallet of its winner did not take, and the code of why not; it was won at `since`."""

    competition_id: UUID
    title: str
    entrant_id: int
    name: str
    user_id: UUID
    rank: int
    prize: Money
    refusal: str
    since: Instant | None

    @classmethod
    def of(cls, withheld: Withheld, name: str, asset: Asset) -> "WithheldAnswer":
        return cls(
            competition_id=withheld.competition_id,
            title=withheld.title,
            entrant_id=withheld.entrant_id,
            name=name,
            user_id=withheld.user_id,
            rank=withheld.rank,
            prize=Money.of(withheld.amount, asset),
            refusal=withheld.refusal,
            since=withheld.since,
        )


@dataclass(frozen=True, slots=True)
class MinuteAnswer:
    """How many changes came in within a minute."""

    at: Instant
    changes: int


@dataclass(frozen=True, slots=True)
class OddAnswer:
    """What a person should look at: `outsized`, `correction` and `adjust` have the change as `value`, `burst` how many
    came within the minute, `late` by how many seconds.
    """

    kind: str
    entrant_id: int
    at: Instant
    value: int


@dataclass(frozen=True, slots=True)
class MonitorAnswer:
    """How scores came in within an hour, by minute, how many seconds after their event, and what is odd about them."""

    in_hour: int
    whole: bool
    newest_at: Instant | None
    lag_median_s: int | None
    lag_high_s: int | None
    per_minute: tuple[MinuteAnswer, ...]
    odd: tuple[OddAnswer, ...]

    @classmethod
    def of(cls, found: Watched) -> "MonitorAnswer":
        return cls(
            in_hour=found.in_hour,
            whole=found.is_whole,
            newest_at=found.newest_at,
            lag_median_s=found.lag_median_s,
            lag_high_s=found.lag_high_s,
            per_minute=tuple(MinuteAnswer(each.at, each.changes) for each in found.per_minute),
            odd=tuple(OddAnswer(each.kind, each.entrant_id, each.at, each.value) for each in found.odd),
        )


@dataclass(frozen=True, slots=True)
class RewardSumAnswer:
    """How many prizes are in a state, and what they add up to."""

    status: str
    prizes: int
    amount: Money


@dataclass(frozen=True, slots=True)
class SettlementAnswer:
    """How far a settlement has come. `pays_at` is when it is paid by itself, if nothing stands in the way."""

    status: str
    phase: str | None
    frozen_at: Instant | None
    standings_sha256: str | None
    entrants: int
    qualified: int
    pool: Money
    undistributed: Money
    left_to: str | None
    rewards: tuple[RewardSumAnswer, ...]
    review_reasons: tuple[str, ...]
    appeals_open: int
    needs_second: bool
    pays_at: Instant | None
    evidence: Mapping[str, object]

    @classmethod
    def of(cls, competition: Competition, found: Progress, asset: Asset) -> "SettlementAnswer":
        digest = competition.standings_hash
        return cls(
            status=competition.status,
            phase=competition.phase,
            frozen_at=competition.frozen_at,
            standings_sha256=digest.hex() if digest else None,
            entrants=found.entrants,
            qualified=found.qualified,
            pool=Money.of(competition.pool_final or 0, asset),
            undistributed=Money.of(found.left.amount if found.left else 0, asset),
            left_to=found.left.to_address if found.left else None,
            rewards=tuple(
                RewardSumAnswer(each.status, each.prizes, Money.of(each.amount, asset)) for each in found.rewards
            ),
            review_reasons=tuple(competition.review_reasons),
            appeals_open=found.appeals_open,
            needs_second=found.needs_second,
            pays_at=found.pays_at,
            evidence=competition.evidence,
        )


@dataclass(frozen=True, slots=True)
class OwedAnswer:
    """What competitions of one state owe."""

    state: str
    competitions: int
    amount: Money

    @classmethod
    def of(cls, owed: Owed, asset: Asset) -> "OwedAnswer":
        return cls(owed.status, owed.competitions, Money.of(owed.amount, asset))


@dataclass(frozen=True, slots=True)
class LiabilityAnswer:
    """What is promised in one asset. Drafts and what series announce within a month are not owed yet; `house` is what
    the account holds from which pools are promised.
    """

    asset: str
    total: Money
    owed: tuple[OwedAnswer, ...]
    drafts: OwedAnswer
    series: OwedAnswer
    house: Money

    @classmethod
    def of(cls, found: Liability, asset: Asset) -> "LiabilityAnswer":
        return cls(
            asset=found.asset,
            total=Money.of(found.total, asset),
            owed=tuple(OwedAnswer.of(each, asset) for each in found.owed),
            drafts=OwedAnswer.of(found.drafts, asset),
            series=OwedAnswer.of(found.series, asset),
            house=Money.of(found.house, asset),
        )


@dataclass(frozen=True, slots=True)
class InstanceAnswer:
    """A period of a series, and its competition if it has been made."""

    period_key: str
    starts_at: Instant
    ends_at: Instant
    competition_id: UUID | None

    @classmethod
    def of(cls, found: Upcoming) -> "InstanceAnswer":
        return cls(found.period.key, found.period.starts_at, found.period.ends_at, found.competition_id)


def _march(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


ID = UUID("019cffd0-4c00-7000-8000-0000000000c1")
TRANSFER = UUID("019cffd0-4c00-7000-8000-0000000000f1")
PAYER = UserId(UUID("019cffd0-4c00-7000-8000-000000000001"))
NOTHING = Money("USD", 0, "0.00")
CALENDAR_EXAMPLE = CalendarAnswer(
    (
        RunningAnswer(
            *(CompetitionId(ID), "Weekly league 2026-W12", "custom", "live", None, _march(16), _march(23)),
            *(UUID("019cffd0-4c00-7000-8000-0000000000e1"), "W:2026-W12"),
        ),
    ),
    None,
    None,
)
PRIZES_EXAMPLE = PrizesAnswer(
    items=(
        PrizeAnswer(
            place=1,
            rank=1,
            entrant_id=112,
            name="cob***",
            score="9203.67",
            prize=Money("USD", 25_000, "250.00"),
            status="paid",
            band_from=1,
            band_to=1,
            head="5000",
            exact="25000",
            unit=0,
            tied=1,
            user_id=PAYER,
            transfer_id=TRANSFER,
            paid_at=_march(24),
            claim_by=None,
        ),
    ),
    next="AAECAwQFBgc",
    prev=None,
    pool=Money("USD", 50_000, "500.00"),
    qualified=88,
    paid_places=10,
    undistributed=NOTHING,
    provisional=False,
)
CONTRIBUTIONS_EXAMPLE = Listed(
    (
        ContributionAnswer(
            id=ID,
            source="entry_fee",
            at=_march(17),
            amount=Money("USD", 500, "5.00"),
            to_pool=Money("USD", 450, "4.50"),
            to_treasury=Money("USD", 50, "0.50"),
            taken_back=NOTHING,
            payer_id=PAYER,
            from_address=f"user:{PAYER}:main",
            ref=None,
            transfer_id=TRANSFER,
        ),
    ),
    "AAECAwQFBgc",
    None,
)
TAKE_BACKS_EXAMPLE = Listed(
    (
        TakeBackAnswer(
            contribution_id=ID,
            source="entry_fee",
            at=_march(18),
            amount=Money("USD", 500, "5.00"),
            from_pool=Money("USD", 450, "4.50"),
            from_treasury=Money("USD", 50, "0.50"),
            whole=True,
            to_address=f"user:{PAYER}:main",
            payer_id=PAYER,
            transfer_id=TRANSFER,
        ),
    ),
    "AAECAwQFBgc",
    None,
)
PARTICIPANTS_EXAMPLE = Listed(
    (
        ParticipantAnswer(
            entrant_id=112,
            kind="user",
            name="cob***",
            user_id=PAYER,
            state="active",
            joined_at=_march(17),
            via="join",
            fee_paid=True,
            score=None,
            display=None,
            out=False,
            reason=None,
            decided_by=None,
        ),
    ),
    "AAECAwQFBgc",
    None,
)
WITHHELD_EXAMPLE = Listed(
    (
        WithheldAnswer(
            competition_id=ID,
            title="Weekly league 2026-W12",
            entrant_id=112,
            name="cob***",
            user_id=PAYER,
            rank=1,
            prize=Money("USD", 25_000, "250.00"),
            refusal="ledger.account_frozen",
            since=_march(23, 1),
        ),
    ),
    "AAECAwQFBgc",
    None,
)
MONITOR_EXAMPLE = MonitorAnswer(
    in_hour=4_180,
    whole=True,
    newest_at=_march(18, 14),
    lag_median_s=1,
    lag_high_s=12,
    per_minute=(MinuteAnswer(_march(18, 14), 71),),
    odd=(OddAnswer("outsized", 112, _march(18, 14), 90_000),),
)
SETTLEMENT_EXAMPLE = SettlementAnswer(
    status="settling",
    phase="review",
    frozen_at=_march(23, 1),
    standings_sha256="0" * 64,
    entrants=127,
    qualified=88,
    pool=Money("USD", 50_000, "500.00"),
    undistributed=NOTHING,
    left_to=None,
    rewards=(RewardSumAnswer("pending", 10, Money("USD", 50_000, "500.00")),),
    review_reasons=(),
    appeals_open=0,
    needs_second=False,
    pays_at=_march(24, 1),
    evidence={},
)
LIABILITIES_EXAMPLE = Listed(
    (
        LiabilityAnswer(
            asset="USD",
            total=Money("USD", 50_000, "500.00"),
            owed=(OwedAnswer("live", 1, Money("USD", 50_000, "500.00")),),
            drafts=OwedAnswer("draft", 0, NOTHING),
            series=OwedAnswer("series", 4, Money("USD", 200_000, "2000.00")),
            house=Money("USD", -50_000, "-500.00"),
        ),
    ),
    None,
    None,
)
INSTANCES_EXAMPLE = Listed((InstanceAnswer("W:2026-W12", _march(16), _march(23), ID),), None, None)
