"""How competitions look to staff: what is asked for, and what is answered. Amounts are units of the prize asset."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, StrictBool, StrictInt

from palio.competitions.rules import prizes, recurrence
from palio.competitions.schemas.competitions import SHOWN, CompetitionAnswer
from palio.competitions.types import (
    AMOUNT_MAX,
    ENTRANT_ID_MAX,
    Contributed,
    Direction,
    EmptyRule,
    JoinMode,
    LeftoverTo,
    NewCompetition,
    NewSeries,
    NoWinner,
    Op,
    Preview,
    PrizeList,
    ResultsVisible,
    Series,
    SeriesCadence,
    Shown,
    TieRule,
)
from palio.infra.approvals import Approval
from palio.ui.bodies import Body
from palio.ui.paging import Listed
from palio.ui.values import Asset, Instant, Money

Reason = Annotated[str, Field(min_length=5, max_length=500, description="Why; it stays with the act")]
Amount = Annotated[StrictInt, Field(ge=0, le=AMOUNT_MAX)]
Count = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
Score = Annotated[StrictInt, Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
Bps = Annotated[StrictInt, Field(ge=0, le=10_000)]
Title = Annotated[str, Field(min_length=1, max_length=200)]
Prose = Annotated[str, Field(max_length=20_000)]
Zone = Annotated[str, Field(min_length=1, max_length=64, examples=["Europe/Berlin"])]
AssetCode = Annotated[str, Field(min_length=1, max_length=16, examples=["USD"])]
Rule = Annotated[
    object,
    Field(
        description="`kind` bps, fixed or proportional, `split` occupants or places, `bands` of from, to and value, and"
        " `items` of from, to, kind (code, badge, goods), ref and title",
        examples=[{"kind": "bps", "split": "places", "bands": [{"from": 1, "to": 1, "value": 10_000}]}],
    ),
]
Blackout = Annotated[
    StrictInt, Field(ge=0, le=2_592_000, description="How long before the end the board is hidden, until all is over")
]
Operator = Annotated[
    Op, Field(description="How scores come together: they add up, or the best, the last or the newest version counts")
]
HasSubscore = Annotated[
    StrictBool, Field(description="Whether a second figure orders equal scores: the lower one first")
]
RankEvents = Annotated[StrictBool, Field(description="Whether players are told when their rank has changed enough")]
Recurrence = Annotated[
    str | None,
    Field(
        max_length=recurrence.TEXT_CHARS_MAX,
        description="Of the cadence custom: when the first begins (in `tz`), how long each lasts, how they repeat",
        examples=[recurrence.EXAMPLE],
    ),
]
Eligibility = Annotated[
    Mapping[str, object],
    Field(description="Who may enter: `countries` with allow or deny, and rules of other modules, by name"),
]
OfSteps = Literal["quest", "steps", "game", "custom"]  # races are made on their own pages


class CompetitionBody(Body):
    """A competition to be drafted; what is left out has its default."""

    product: OfSteps = "custom"
    title: Title
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    prize_asset: AssetCode
    guaranteed_pool: Amount
    prize_rule: Rule
    description: Prose = ""
    rules_text: Prose = ""
    tz: Zone = "UTC"
    score_scale: Annotated[StrictInt, Field(ge=0, le=6)] = 0
    op: Operator = "add"
    direction: Direction = "desc"
    has_subscore: HasSubscore = False
    min_score: Score = 0
    allow_nonpositive: StrictBool = False
    treasury_bps: Bps | None = None
    tie_rule: TieRule = "share"
    empty_rule: EmptyRule = "redistribute"
    leftover_to: LeftoverTo = "treasury"
    no_winner: NoWinner = "treasury"
    grace_s: Annotated[StrictInt, Field(ge=0, le=86_400)] | None = None
    collect_s: Annotated[StrictInt, Field(ge=0, le=2_592_000)] | None = None
    review_h: Annotated[StrictInt, Field(ge=0, le=336)] | None = None
    results_visible: ResultsVisible = "live"
    blackout_s: Blackout = 0
    rank_events: RankEvents = True
    join_mode: JoinMode = "auto"
    entry_fee: Amount = 0
    min_participants: Count | None = None
    max_participants: Count | None = None
    eligibility: Eligibility = Field(default_factory=dict)

    def new(self) -> NewCompetition:
        """The competition as it is made. Refuses with PrizeShape."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return NewCompetition(**given | {"prize_rule": prizes.read(self.prize_rule)})


class CompetitionPatch(Body):
    """What is to be another; what is left out stays."""

    title: Title | None = None
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    prize_asset: AssetCode | None = None
    guaranteed_pool: Amount | None = None
    prize_rule: Rule = None
    description: Prose | None = None
    rules_text: Prose | None = None
    tz: Zone | None = None
    min_score: Score | None = None
    allow_nonpositive: StrictBool | None = None
    treasury_bps: Bps | None = None
    tie_rule: TieRule | None = None
    empty_rule: EmptyRule | None = None
    leftover_to: LeftoverTo | None = None
    no_winner: NoWinner | None = None
    grace_s: Annotated[StrictInt, Field(ge=0, le=86_400)] | None = None
    collect_s: Annotated[StrictInt, Field(ge=0, le=2_592_000)] | None = None
    review_h: Annotated[StrictInt, Field(ge=0, le=336)] | None = None
    results_visible: ResultsVisible | None = None
    blackout_s: Blackout | None = None
    join_mode: JoinMode | None = None
    entry_fee: Amount | None = None
    min_participants: Annotated[Count | None, Field(description="null: however few")] = None
    max_participants: Annotated[Count | None, Field(description="null: however many")] = None
    eligibility: Eligibility | None = None

    def changes(self) -> dict[str, object]:
        """The fields that were named, the rule of prizes as it is stored. Refuses with PrizeShape."""
        may_be_none = ("min_participants", "max_participants")
        given = {
            name: getattr(self, name)
            for name in self.model_fields_set
            if name in may_be_none or getattr(self, name) is not None
        }
        if "prize_rule" in given:
            given["prize_rule"] = prizes.written(prizes.read(given["prize_rule"]))
        return given


class ReasonBody(Body):
    """Why."""

    reason: Reason


class ExtendBody(ReasonBody):
    """A later end, and why."""

    ends_at: AwareDatetime


class FundBody(ReasonBody):
    """So much for the pool, from where, and why."""

    amount: Annotated[StrictInt, Field(ge=1, le=AMOUNT_MAX)]
    source: Literal["admin_fund", "bonus_event", "sponsor"] = "admin_fund"


class EntrantBody(ReasonBody):
    """An entrant, and the reason that he reads."""

    entrant_id: Annotated[StrictInt, Field(ge=1, le=ENTRANT_ID_MAX)]


class AdjustBody(EntrantBody):
    """So much more or less, and which adjustment it takes back, if it does."""

    delta: Score
    undoes: UUID | None = None


class InviteBody(Body):
    """Users who may join."""

    user_ids: Annotated[list[UUID], Field(min_length=1, max_length=1_000)]


class AppealBody(Body):
    """What is decided about a doubt, and what the player reads."""

    decision: Literal["upheld", "rejected"]
    answer: Annotated[str, Field(min_length=10, max_length=2_000)]


class PartBody(Body):
    """Which of the places are wanted: what follows a place, so many at most."""

    after: Annotated[StrictInt, Field(ge=0, le=1_000_000)] = 0
    limit: Annotated[StrictInt, Field(ge=1, le=200)] = 200


class PreviewBody(PartBody):
    """A rule of prizes, a pool, how many qualify, and how many share which rank."""

    prize_rule: Rule
    pool: Amount
    entrants: Annotated[StrictInt, Field(ge=0, le=100_000)]
    ties: Annotated[
        dict[Annotated[str, Field(pattern="^[1-9][0-9]{0,5}$")], Count],
        Field(max_length=1_000, description="How many share a rank, by rank"),
    ] = Field(default_factory=dict)
    prize_asset: AssetCode = "USD"
    tie_rule: TieRule = "share"
    empty_rule: EmptyRule = "keep"
    scores: Annotated[
        list[Annotated[StrictInt, Field(ge=1, le=AMOUNT_MAX)]],
        Field(max_length=10_000, description="By place, where a rule shares by scores"),
    ] = Field(default_factory=list)


class SimulateBody(PartBody):
    """Other prizes for the ranking as it is; what is left out is that of the competition."""

    prize_rule: Rule = None
    pool: Amount | None = None
    empty_rule: EmptyRule | None = None


class SeriesTerms(Body):
    """What each competition of a series will be."""

    title: Title
    prize_asset: AssetCode
    guaranteed_pool: Amount
    prize_rule: Rule
    description: Prose = ""
    rules_text: Prose = ""
    score_scale: Annotated[StrictInt, Field(ge=0, le=6)] = 0
    min_score: Score = 0
    tie_rule: TieRule = "share"
    empty_rule: EmptyRule = "redistribute"
    leftover_to: LeftoverTo = "treasury"
    no_winner: NoWinner = "treasury"
    grace_s: Annotated[StrictInt, Field(ge=0, le=86_400)] | None = None
    review_h: Annotated[StrictInt, Field(ge=0, le=336)] | None = None
    op: Operator = "add"
    direction: Direction = "desc"
    has_subscore: HasSubscore = False
    allow_nonpositive: StrictBool = False
    treasury_bps: Bps | None = None
    results_visible: ResultsVisible = "live"
    collect_s: Annotated[StrictInt, Field(ge=0, le=2_592_000)] | None = None
    blackout_s: Blackout = 0
    rank_events: RankEvents = True
    join_mode: JoinMode = "auto"
    entry_fee: Amount = 0
    min_participants: Count | None = None
    max_participants: Count | None = None
    eligibility: Eligibility = Field(default_factory=dict)
    rrule: Recurrence = None
    create_lead_h: Annotated[StrictInt, Field(ge=1, le=720)] = 24


class SeriesBody(SeriesTerms):
    """Competitions that follow each other by the calendar."""

    code: Annotated[str, Field(min_length=2, max_length=40, pattern="^[a-z0-9][a-z0-9_-]*$")]
    product: OfSteps = "custom"
    cadence: Literal["daily", "weekly", "weekend", "monthly", "custom"]
    tz: Zone = "UTC"

    def new(self) -> NewSeries:
        """The series as it is made. Refuses with PrizeShape."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return NewSeries(**given | {"prize_rule": prizes.read(self.prize_rule)})


class SeriesPatch(SeriesTerms):
    """The terms of the competitions that are not made yet; without `active` no more are made."""

    active: StrictBool = True

    def over(self, series: Series) -> NewSeries:
        """The series with these terms. Refuses with PrizeShape."""
        given = {name: getattr(self, name) for name in SeriesTerms.model_fields}
        fixed = {"code": series.code, "product": series.product, "cadence": series.cadence, "tz": series.tz}
        return NewSeries(**given | fixed | {"prize_rule": prizes.read(self.prize_rule)})


@dataclass(frozen=True, slots=True)
class ActAnswer:
    """What became of an act: `done`, or `waiting` for a second person (status 202), and then nothing has moved yet."""

    outcome: Literal["done", "waiting"]
    id: UUID
    approval_id: UUID | None = None
    summary: str | None = None
    needed: int | None = None
    expires_at: Instant | None = None

    @classmethod
    def of(cls, competition_id: UUID, waiting: Approval | None) -> "ActAnswer":
        if waiting is None:
            return cls("done", competition_id)
        return cls("waiting", competition_id, waiting.id, waiting.summary, waiting.needed, waiting.expires_at)


@dataclass(frozen=True, slots=True)
class DeskAnswer:
    """A competition as it lies before staff: as everybody sees it, and what keeps it from being paid."""

    id: UUID
    version: int
    created_at: Instant
    updated_at: Instant
    competition: CompetitionAnswer
    grace_s: int
    collect_s: int
    review_h: int
    review_reasons: tuple[str, ...]
    appeals_open: int
    evidence: Mapping[str, object]

    @classmethod
    def of(cls, shown: Shown, appeals_open: int) -> "DeskAnswer":
        competition = shown.competition
        return cls(
            id=competition.id,
            version=competition.version,
            created_at=competition.created_at,
            updated_at=competition.updated_at,
            competition=CompetitionAnswer.of(shown),
            grace_s=competition.grace_s,
            collect_s=competition.collect_s,
            review_h=competition.review_h,
            review_reasons=tuple(competition.review_reasons),
            appeals_open=appeals_open,
            evidence=competition.evidence,
        )


@dataclass(frozen=True, slots=True)
class PlaceAnswer:
    """What a place earns, and the arithmetic: `exact` is the fraction before units are given out."""

    place: int
    rank: int
    prize: Money
    head: str
    exact: str
    tied: int


@dataclass(frozen=True, slots=True)
class PreviewAnswer:
    """What a rule would pay: some of the places, how many are paid in all, and what nobody would win.

    `next_after` is the place behind which it goes on.
    """

    places: tuple[PlaceAnswer, ...]
    paid_places: int
    next_after: int | None
    undistributed: Money

    @classmethod
    def of(cls, preview: Preview, asset: Asset, part: PartBody) -> "PreviewAnswer":
        shares = preview.shares[part.after : part.after + part.limit]
        return cls(
            tuple(
                PlaceAnswer(
                    *(share.place, share.rank, Money.of(share.amount, asset)),
                    *(share.why.head, share.why.exact, share.why.tied),
                )
                for share in shares
            ),
            *_span(len(preview.shares), part),
            Money.of(preview.undistributed, asset),
        )

    @classmethod
    def of_list(cls, found: PrizeList, part: PartBody) -> "PreviewAnswer":
        asset = Asset(found.competition.prize_asset, found.asset_scale)
        return cls(
            tuple(
                PlaceAnswer(
                    *(row.standing.place, row.standing.rank or row.standing.place, Money.of(row.amount, asset)),
                    *(str(row.why["head"]), str(row.why["exact"]), int(str(row.why.get("tied", 1)))),
                )
                for row in found.rows
            ),
            *_span(found.paid, part),
            Money.of(found.undistributed, asset),
        )


def _span(paid: int, part: PartBody) -> tuple[int, int | None]:
    last = part.after + part.limit
    return paid, last if last < paid else None


@dataclass(frozen=True, slots=True)
class FundedAnswer:
    """What came into the pool, by which transfer of the ledger; `waiting` for a second person (status 202) nothing has
    moved yet, and the id is that of the approval.
    """

    outcome: Literal["done", "waiting"]
    id: UUID
    to_pool: int | None
    transfer_id: UUID | None
    summary: str | None = None
    needed: int | None = None
    expires_at: Instant | None = None

    @classmethod
    def of(cls, fund_id: UUID, found: Contributed | Approval) -> "FundedAnswer":
        if isinstance(found, Approval):
            return cls("waiting", found.id, None, None, found.summary, found.needed, found.expires_at)
        return cls("done", fund_id, found.to_pool, found.transfer_id)


@dataclass(frozen=True, slots=True)
class InvitedAnswer:
    """How many users were not invited before."""

    invited: int


@dataclass(frozen=True, slots=True)
class SeriesAnswer:
    """A series, and what each of its competitions will be."""

    id: UUID
    version: int
    code: str
    product: str
    cadence: SeriesCadence
    rrule: str | None
    tz: str
    active: bool
    create_lead_h: int
    title: str
    prize_asset: str
    guaranteed_pool: int
    prize_rule: Mapping[str, object]
    min_score: int
    tie_rule: str
    empty_rule: str
    leftover_to: str
    no_winner: str
    grace_s: int | None
    review_h: int | None
    op: str
    direction: str
    score_scale: int
    allow_nonpositive: bool
    treasury_bps: int | None
    results_visible: str
    collect_s: int | None
    blackout_s: int
    join_mode: str
    entry_fee: int
    min_participants: int | None
    max_participants: int | None
    eligibility: Mapping[str, object]

    @classmethod
    def of(cls, series: Series) -> "SeriesAnswer":
        return cls(**{each.name: getattr(series, each.name) for each in fields(cls)})


ID = UUID("019cffd0-4c00-7000-8000-0000000000c1")
ACT_EXAMPLE = ActAnswer("done", ID)
WAITING_EXAMPLE = ActAnswer(
    "waiting", ID, ID, "Pay 2500.00 USD to 3 players of Spring cup", 1, SHOWN.competition.created_at
)
DESK_EXAMPLE = DeskAnswer.of(SHOWN, 0)
PREVIEW_EXAMPLE = PreviewAnswer(
    (PlaceAnswer(1, 1, Money("USD", 10_000, "100.00"), "10000", "10000", 1),), 1, None, Money("USD", 0, "0.00")
)
FUNDED_EXAMPLE = FundedAnswer("done", ID, 50_000, UUID("019cffd0-4c00-7000-8000-0000000000f1"))
FUNDED_LATER_EXAMPLE = FundedAnswer(
    "waiting", ID, None, None, "Put 2500.00 USD into the pool of Spring cup", 1, SHOWN.competition.created_at
)
INVITED_EXAMPLE = InvitedAnswer(12)
SERIES_EXAMPLE = Listed(
    (
        SeriesAnswer(
            id=UUID("019cffd0-4c00-7000-8000-0000000000e1"),
            version=3,
            code="weekly-league",
            product="custom",
            cadence="weekly",
            rrule=None,
            tz="UTC",
            active=True,
            create_lead_h=24,
            title="Weekly league",
            prize_asset="USD",
            guaranteed_pool=50_000,
            prize_rule={"kind": "bps", "split": "places", "bands": [{"from": 1, "to": 1, "value": 10_000}]},
            min_score=0,
            tie_rule="share",
            empty_rule="redistribute",
            leftover_to="treasury",
            no_winner="treasury",
            grace_s=0,
            review_h=24,
            op="add",
            direction="desc",
            score_scale=0,
            allow_nonpositive=False,
            treasury_bps=None,
            results_visible="live",
            collect_s=None,
            blackout_s=0,
            join_mode="auto",
            entry_fee=0,
            min_participants=None,
            max_participants=None,
            eligibility={},
        ),
    ),
    None,
    None,
)
