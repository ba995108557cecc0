"""Words of competitions. Amounts are units of an asset, scores are integers of the board's scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple, NewType, TypeAlias
from uuid import UUID

from palio.kernel.ids import UserId
from palio.kernel.permissions import Permission
from palio.kernel.providers import After, RowKey
from palio.kernel.settings import Setting

SeriesId = NewType("SeriesId", UUID)
CompetitionId = NewType("CompetitionId", UUID)
EntrantId = NewType("EntrantId", int)
ListId = NewType("ListId", int)
BoardId = NewType("BoardId", int)

Product: TypeAlias = Literal["quest", "race", "steps", "game", "custom"]
Cadence: TypeAlias = Literal["daily", "weekly", "weekend", "monthly", "special"]
SeriesCadence: TypeAlias = Cadence | Literal["custom"]  # by a rule of its own: what it makes is special
Status: TypeAlias = Literal["draft", "upcoming", "live", "settling", "completed", "archived", "cancelled"]
Phase: TypeAlias = Literal["collecting", "review", "paying"]
TieRule: TypeAlias = Literal["share", "earliest"]
EmptyRule: TypeAlias = Literal["redistribute", "keep"]
LeftoverTo: TypeAlias = Literal["treasury", "house", "rollover"]
NoWinner: TypeAlias = Literal["treasury", "rollover", "refund"]
RewardStatus: TypeAlias = Literal["pending", "approved", "paid", "unclaimed", "withheld", "expired", "void"]
ResultsVisible: TypeAlias = Literal["live", "after_end"]
Direction: TypeAlias = Literal["desc", "asc"]
EntrantKind: TypeAlias = Literal["user", "player", "team"]
Op: TypeAlias = Literal["add", "best", "last", "set"]
PeriodKind: TypeAlias = Literal["D", "W", "WE", "M", "ALL"]
ScoreKind: TypeAlias = Literal["score", "correction", "adjust"]
RuleKind: TypeAlias = Literal["bps", "fixed", "proportional"]
ItemKind: TypeAlias = Literal["code", "badge", "goods"]
Source: TypeAlias = Literal["user_payment", "admin_fund", "bonus_event", "entry_fee", "rollover", "sponsor"]
RefundTo: TypeAlias = Literal["wallet"]
JoinMode: TypeAlias = Literal["auto", "open", "invite"]
WayIn: TypeAlias = Literal["automatic", "closed", "out", "uninvited", "full", "open", "invited", "in"]
JoinedState: TypeAlias = Literal["active", "left", "invited", "disqualified"]
AppealState: TypeAlias = Literal["open", "upheld", "rejected"]
Split: TypeAlias = Literal["occupants", "places"]

WHOLE_BPS = 10_000
BANDS_MAX = 200
SCORE_MAX = 9_000_000_000_000_000
AMOUNT_MAX = 2**53 - 1
ENTRANT_DIGITS_MAX = 18
ENTRANT_ID_MAX = 10**ENTRANT_DIGITS_MAX - 1
KEY_CHARS_MAX = 180  # of a contribution; the ledger's key has words of its own before it
APPEALS_MAX = 3  # of one entrant in a competition

PERMISSION_READ = Permission(
    "competitions.competition.read",
    "See competitions as staff see them: drafts, pools and appeals too.",
    roles=("finance", "races", "quests", "support", "moderator", "analyst", "auditor"),
)
PERMISSION_EDIT = Permission(
    "competitions.competition.edit",
    "Draft, publish, start, pause, extend and end competitions, and invite players.",
    roles=("races", "quests"),
)
PERMISSION_FUND = Permission("competitions.pool.fund", "Put money of the house into pools.", roles=("finance",))
PERMISSION_ADJUST = Permission("competitions.score.adjust", "Add to scores, for a reason.", roles=("races", "quests"))
PERMISSION_DISQUALIFY = Permission(
    "competitions.entrant.disqualify",
    "Take entrants out, and let them in again.",
    roles=("races", "quests", "moderator"),
)
PERMISSION_SETTLE = Permission(
    "competitions.settlement.run",
    "Freeze, release, pay and cancel competitions, and answer appeals.",
    roles=("finance", "races", "quests"),
)
PERMISSIONS = (
    *(PERMISSION_READ, PERMISSION_EDIT, PERMISSION_FUND),
    *(PERMISSION_ADJUST, PERMISSION_DISQUALIFY, PERMISSION_SETTLE),
)
LEAST_SCORE = 2**62  # no sum of scores comes near it

RANK_MEMORY_MB = Setting(
    "competitions.rank_memory_mb",
    "int",
    2_048,
    "How much memory of each process live rankings may take; those not read for longest are loaded anew",
    unit="MiB",
    low=64,
    high=65_536,
)
RANK_REFRESH_MS = Setting(
    "competitions.rank_refresh_ms",
    "int",
    250,
    "How long a board that was read is told to others without another look",
    unit="ms",
    low=100,
    high=5_000,
)
RANK_STALE_AFTER_S = Setting(
    "competitions.rank_stale_after_s",
    "int",
    10,
    "How long a board is told as it was when the database cannot be asked; from then on it says that it is stale",
    unit="s",
    low=2,
    high=600,
)
RANK_MOVE_PLACES = Setting(
    "competitions.rank_move_places",
    "int",
    5,
    "By how many ranks a player must have moved to be told, unless he reached or lost a prize",
    unit="ranks",
    low=1,
    high=100,
)
RANK_NOTICE_H = Setting(
    "competitions.rank_notice_h",
    "int",
    6,
    "How long a player is left alone after he was told of his rank, unless he reaches or loses a prize",
    unit="h",
    low=1,
    high=168,
)
PAY_APPROVAL_ABOVE = Setting(
    "competitions.pay_approval_above",
    "money",
    100_000,
    "A pool above this needs a second person before it is paid",
    unit="units of the prize asset",
    low=0,
    high=10**12,
)
_UNITS_MAX = 10**12
_FUNDED = "More than this, put into one pool by one person within 24 hours, needs a second person"
FUND_LIMITS = {
    "USD": Setting("competitions.fund_limit.USD", "int", 100_000, _FUNDED, "cents", low=0, high=_UNITS_MAX),
    "QC": Setting("competitions.fund_limit.QC", "int", 10_000_000, _FUNDED, "hundredths", low=0, high=_UNITS_MAX),
    "COIN": Setting("competitions.fund_limit.COIN", "int", 100_000, _FUNDED, "coins", low=0, high=_UNITS_MAX),
}
FUND_SETTINGS = tuple(FUND_LIMITS.values())
TREASURY_BPS = Setting(
    "competitions.treasury_bps",
    "bps",
    1_000,
    "Share of paid contributions that goes to the treasury",
    unit="bps",
    low=0,
    high=WHOLE_BPS,
)
ARCHIVE_AFTER_DAYS = Setting(
    "competitions.archive_after_d",
    "int",
    30,
    "How long a competition that is over stands among the completed ones before it is only in the archive",
    unit="days",
    low=1,
    high=3_650,
)
DEFAULT_BOARD = Setting(
    "competitions.default_board",
    "text",
    "",
    "Code of the board that /boards opens with, as `steps` or `wager:default`; empty: the first there is",
    high=100,
    pattern=r"[a-z0-9_.:-]*",
)
RACE_GRACE_S = Setting(
    "competitions.race_grace_s",
    "int",
    900,
    "How long after the end of a race late scores are taken, where its terms do not say",
    unit="s",
    low=0,
    high=86_400,
)
GRACE_S = Setting(
    "competitions.grace_s",
    "int",
    0,
    "How long after the end of other competitions late scores are taken, where their terms do not say",
    unit="s",
    low=0,
    high=86_400,
)
RACE_REVIEW_H = Setting(
    "competitions.race_review_h",
    "int",
    24,
    "How long the result of a race is reviewed before it is paid, where its terms do not say; 0 pays at once",
    unit="h",
    low=0,
    high=336,
)
REVIEW_H = Setting(
    "competitions.review_h",
    "int",
    0,
    "How long results of other competitions are reviewed before they are paid, where their terms do not say",
    unit="h",
    low=0,
    high=336,
)
REFUND_TO: Setting[RefundTo] = Setting(
    "competitions.refund_to",
    "choice",
    "wallet",
    "Where what a player paid goes when a competition is cancelled: into his wallet, until payments can be returned",
    choices=("wallet",),
)
UNCLAIMED_DAYS = Setting(
    "competitions.unclaimed_d",
    "int",
    30,
    "How long a prize waits for an entrant without a user",
    unit="days",
    low=1,
    high=365,
)


@dataclass(frozen=True, slots=True)
class Band:
    """Places `first` to `last` (None: everybody below) and their value: bps of the whole band, or units per place."""

    first: int
    last: int | None
    value: int


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is no money, one for each of the places `first` to `last`. Its owner knows by `ref` what it is."""

    first: int
    last: int
    kind: ItemKind
    ref: str
    title: str


@dataclass(frozen=True, slots=True)
class PrizeRule:
    """How a pool is split: `occupants` divides a band by those who stand in it, `places` by its size.

    `proportional` has one band, whose occupants share it by their scores. Items come on top.
    """

    kind: RuleKind
    split: Split
    bands: tuple[Band, ...]
    items: tuple[Item, ...] = ()


class Why(NamedTuple):
    """The arithmetic behind one prize: exact fractions as text, places inclusive, units of the asset."""

    first: int
    last: int
    head: str
    exact: str
    unit: int
    tied: int = 1
    shared: int = 0


class Share(NamedTuple):
    """What one place earns, and its shown rank."""

    place: int
    rank: int
    amount: int
    why: Why


@dataclass(frozen=True, slots=True)
class NewCompetition:
    """What is needed to make one; times are half-open, the pool is paid by the house."""

    product: Product
    title: str
    starts_at: datetime
    ends_at: datetime
    prize_asset: str
    guaranteed_pool: int
    prize_rule: PrizeRule
    cadence: Cadence = "special"
    subject_ref: str | None = None
    description: str = ""
    rules_text: str = ""
    tz: str = "UTC"
    score_scale: int = 0
    direction: Direction = "desc"
    min_score: int = 0
    allow_nonpositive: bool = False
    treasury_bps: int | None = None  # None: the setting
    tie_rule: TieRule = "share"
    empty_rule: EmptyRule = "redistribute"
    leftover_to: LeftoverTo = "treasury"
    no_winner: NoWinner = "treasury"
    grace_s: int | None = None  # None: the setting of the product
    review_h: int | None = None
    rank_events: bool = True
    results_visible: ResultsVisible = "live"
    series_id: SeriesId | None = None
    period_key: str | None = None
    join_mode: JoinMode = "auto"
    entry_fee: int = 0
    min_participants: int | None = None
    max_participants: int | None = None
    eligibility: Mapping[str, object] = field(default_factory=dict)
    collect_s: int | None = None  # how long the product may review before its freeze; None: as the grace
    op: Op = "add"
    has_subscore: bool = False
    blackout_s: int = 0  # how long before the end nobody sees the board any more, until all is over


class Period(NamedTuple):
    """A span of a calendar, half-open: `W:2026-W12`."""

    key: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class NewSeries:
    """What is needed to make one: what each of its competitions will be, and how long ahead it is announced."""

    code: str
    product: Product
    cadence: SeriesCadence
    tz: str
    title: str
    prize_asset: str
    guaranteed_pool: int
    prize_rule: PrizeRule
    description: str = ""
    rules_text: str = ""
    score_scale: int = 0
    min_score: int = 0
    tie_rule: TieRule = "share"
    empty_rule: EmptyRule = "redistribute"
    leftover_to: LeftoverTo = "treasury"
    no_winner: NoWinner = "treasury"
    grace_s: int | None = None  # None: the setting of the product
    review_h: int | None = None
    create_lead_h: int = 24
    rrule: str | None = None  # of a custom one
    op: Op = "add"
    direction: Direction = "desc"
    has_subscore: bool = False
    allow_nonpositive: bool = False
    treasury_bps: int | None = None  # None: the setting when each is made
    results_visible: ResultsVisible = "live"
    collect_s: int | None = None
    blackout_s: int = 0
    rank_events: bool = True
    join_mode: JoinMode = "auto"
    entry_fee: int = 0
    min_participants: int | None = None
    max_participants: int | None = None
    eligibility: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Series:
    """A series as it is stored, its template in columns."""

    id: SeriesId
    code: str
    product: Product
    cadence: SeriesCadence
    rrule: str | None
    tz: str
    create_lead_h: int
    title: str
    description: str
    rules_text: str
    prize_asset: str
    guaranteed_pool: int
    prize_rule: Mapping[str, object]
    score_scale: int
    min_score: int
    tie_rule: TieRule
    empty_rule: EmptyRule
    leftover_to: LeftoverTo
    no_winner: NoWinner
    grace_s: int | None
    review_h: int | None
    op: Op
    direction: Direction
    has_subscore: bool
    allow_nonpositive: bool
    treasury_bps: int | None
    results_visible: ResultsVisible
    collect_s: int | None
    blackout_s: int
    rank_events: bool
    join_mode: JoinMode
    entry_fee: int
    min_participants: int | None
    max_participants: int | None
    eligibility: Mapping[str, object]
    active: bool = True
    version: int = 1


@dataclass(frozen=True, slots=True)
class Competition:
    """The header of a competition as it is stored."""

    id: CompetitionId
    series_id: SeriesId | None
    product: Product
    subject_ref: str | None
    period_key: str | None
    cadence: Cadence
    title: str
    description: str
    rules_text: str
    status: Status
    phase: Phase | None
    list_id: ListId
    starts_at: datetime
    ends_at: datetime
    tz: str
    score_scale: int
    op: Op
    direction: Direction
    has_subscore: bool
    min_score: int
    allow_nonpositive: bool
    prize_asset: str
    guaranteed_pool: int
    treasury_bps: int
    prize_rule: Mapping[str, object]
    tie_rule: TieRule
    empty_rule: EmptyRule
    leftover_to: LeftoverTo
    no_winner: NoWinner
    results_visible: ResultsVisible
    grace_s: int
    review_h: int
    terms_hash: bytes | None
    pool_final: int | None
    standings_hash: bytes | None
    paused_at: datetime | None
    frozen_at: datetime | None
    review_reasons: Sequence[str]
    backdated_reason: str | None
    evidence: Mapping[str, object]
    cancel_reason: str | None
    created_at: datetime
    updated_at: datetime
    version: int
    join_mode: JoinMode = "auto"
    entry_fee: int = 0
    min_participants: int | None = None
    max_participants: int | None = None
    eligibility: Mapping[str, object] = field(default_factory=dict)
    collect_s: int = 0
    blackout_s: int = 0

    @property
    def pool_address(self) -> str:
        """The ledger account that holds the prizes."""
        return f"pool:{self.id}"

    @property
    def least_score(self) -> int:
        """The lowest score that qualifies."""
        return self.min_score if self.allow_nonpositive else max(self.min_score, 1)

    @property
    def dark_from(self) -> datetime | None:
        """From when on nobody but staff sees who stands where, if its board is hidden at the end."""
        return self.ends_at - timedelta(seconds=self.blackout_s) if self.blackout_s else None

    @property
    def terms(self) -> "RankTerms":
        """How its list is ranked."""
        return RankTerms(self.list_id, self.direction, self.tie_rule, self.has_subscore, self.least_score)


@dataclass(frozen=True, slots=True)
class Admission:
    """An entrant to be, as the product knows it; `label` only for those without a user.

    `country` is what the product knows; where there is a user, he says it himself.
    """

    competition_id: CompetitionId
    kind: EntrantKind
    ref: str
    user_id: UserId | None = None
    label: str | None = None
    via: str = "auto"
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """A change of one score, of a competition or on every open list of the `board` of this code.

    `delta` is for what adds, `value` for the other operators, `version` for `set`; `sub` is the same for the subscore:
    how much it changes, or what comes with the value. Its key and the time of the event together make it count once.
    On a board it says when it happened, or on which `day`: then the event is at the beginning of that day.
    """

    competition_id: CompetitionId | None
    entrant_id: EntrantId
    delta: int | None
    key: str
    happened_at: datetime | None
    kind: ScoreKind = "score"
    facts: Mapping[str, object] | None = None
    value: int | None = None
    sub: int = 0
    version: int | None = None
    board: str | None = None
    day: date | None = None


class Waits(NamedTuple):
    """How long a result waits for late scores, and then for its review."""

    grace_s: int
    review_h: int


class Entry(NamedTuple):
    """As whom somebody takes part."""

    competition_id: CompetitionId
    entrant_id: EntrantId


class Fees(NamedTuple):
    """How often somebody has paid to take part."""

    competition_id: CompetitionId
    paid: int


@dataclass(frozen=True, slots=True)
class StateChange:
    """Take an entrant out of the ranking or let him back in; his score stays."""

    competition_id: CompetitionId
    entrant_id: EntrantId
    state: Literal["out", "in"]
    key: str
    happened_at: datetime
    reason: str


class ListScore(NamedTuple):
    """What an entrant has on a list after the whole batch."""

    list_id: ListId
    entrant_id: EntrantId
    period_key: str
    score: int


@dataclass(frozen=True, slots=True)
class Counted:
    """The submission counts; the score is the entrant's after the whole batch, on the list of the longest period.

    `skipped` are the periods whose lists are final already: there it does not count.
    """

    score: int
    replayed: bool
    lists: tuple[ListScore, ...] = field(default=(), compare=False)
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The submission does not count, and why."""

    code: str
    facts: Mapping[str, object]


Outcome: TypeAlias = Counted | Refused


@dataclass(frozen=True, slots=True)
class Gate:
    """What a product must know before it writes rows of its own beside a submission."""

    id: CompetitionId
    status: Status
    phase: Phase | None
    paused_at: datetime | None
    starts_at: datetime
    ends_at: datetime
    treasury_bps: int
    list_id: ListId
    op: Op
    direction: Direction
    has_subscore: bool
    prize_asset: str


@dataclass(frozen=True, slots=True)
class Participant:
    """An entrant in a competition."""

    competition_id: CompetitionId
    entrant_id: EntrantId
    state: Literal["active", "left", "disqualified"]
    kind: EntrantKind
    user_id: UserId | None
    label: str | None

    @property
    def owner_id(self) -> UserId | None:
        """Whose private rows his receipts are: those of players and teams repeat public boards."""
        return self.user_id if self.kind == "user" else None


@dataclass(frozen=True, slots=True)
class Participation:
    """A user in a competition; `invited` ones may join. `reason` is why he was taken out."""

    competition_id: CompetitionId
    entrant_id: EntrantId
    state: Literal["active", "left", "disqualified"]
    joined_at: datetime
    via: str
    reason: str | None
    fee_transfer_id: UUID | None


@dataclass(frozen=True, slots=True)
class Latest:
    """A competition that a user takes part in, left, or is invited to, with his rank and prize in what is frozen."""

    id: CompetitionId
    title: str
    status: Status
    starts_at: datetime
    asset: str
    state: Literal["active", "left", "disqualified", "invited"]
    rank: int | None
    prize: int | None
    reward_status: RewardStatus | None


@dataclass(frozen=True, slots=True)
class Contribution:
    """What somebody puts into a pool, in units of its asset. Its key makes it count once.

    `payer` is the user it is given back to, `from_address` the ledger account it comes from.
    """

    competition_id: CompetitionId
    source: Source
    amount: int
    from_address: str
    key: str
    payer: UserId | None = None
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Contributed:
    """It is in the pool, now or before, with its share of the treasury."""

    to_pool: int
    to_treasury: int
    transfer_id: UUID
    replayed: bool = False


class Parts(NamedTuple):
    """An amount as it lies in a pool and in the treasury."""

    pool: int
    treasury: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A contribution as it is kept; `taken_back` of it has left again."""

    id: UUID
    competition_id: CompetitionId
    source: Source
    asset: str
    amount: int
    treasury_bps: int
    taken_back: int
    payer_id: UserId | None
    from_address: str
    ref: str | None
    key: str
    transfer_id: UUID

    @property
    def left(self) -> int:
        """What has not been given back."""
        return self.amount - self.taken_back

    @property
    def pool_address(self) -> str:
        """The ledger account it lies in."""
        return f"pool:{self.competition_id}"


@dataclass(frozen=True, slots=True)
class TakeBack:
    """So much of a contribution is to leave again, to its payer or to an account `clearing:<name>`."""

    contribution_key: str
    amount: int
    to: str
    key: str


@dataclass(frozen=True, slots=True)
class TakenBack:
    """It has left, now or before: so much of it from the pool, the rest from the treasury."""

    contribution_id: UUID
    amount: int
    from_pool: int
    from_treasury: int
    to_address: str
    transfer_id: UUID
    key: str
    replayed: bool = False


class SourceSum(NamedTuple):
    """What a pool has from one source: how many contributions, and where they lie."""

    source: Source
    contributions: int
    to_pool: int
    to_treasury: int


@dataclass(frozen=True, slots=True)
class PoolSums:
    """What a pool holds of contributions, in units of its asset, and what of them the treasury has."""

    pool: int
    treasury: int
    sources: tuple[SourceSum, ...]


NO_SUMS = PoolSums(0, 0, ())


@dataclass(frozen=True, slots=True)
class SumOfSource:
    """A row of sums as it is read."""

    competition_id: CompetitionId
    source: Source
    contributions: int
    to_pool: int
    to_treasury: int


@dataclass(frozen=True, slots=True)
class Appeal:
    """An entrant's doubt about a frozen ranking, and what was answered."""

    id: UUID
    competition_id: CompetitionId
    entrant_id: EntrantId
    user_id: UserId
    text: str
    state: AppealState
    answer: str | None
    decided_by: UserId | None
    created_at: datetime
    decided_at: datetime | None


class Sent(NamedTuple):
    """A receipt to be: `amount` is a change or a value, as the operator of the list asks for, `facts` are JSON."""

    list_id: ListId
    entrant_id: EntrantId
    key: str
    happened_at: datetime
    kind: ScoreKind
    amount: int
    sub: int
    version: int | None
    facts: str | None


class Scored(NamedTuple):
    """A stored receipt with the score of its entrant: `amount` is the change or the value that was sent."""

    list_id: ListId
    entrant_id: EntrantId
    key: str
    happened_at: datetime
    amount: int
    score: int


@dataclass(frozen=True, slots=True)
class Score:
    """The sum of an entrant's receipts, whether he is ranked or out."""

    entrant_id: EntrantId
    ref: str
    score: int


EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Standing:
    """One entrant in ranking order, live or frozen; `rank` is None below the line.

    While the ranking is loaded, `place` is 0 and `rank` None for whoever is read by himself: they are not known.
    """

    place: int
    rank: int | None
    entrant_id: EntrantId
    kind: EntrantKind
    ref: str
    label: str | None
    user_id: UserId | None
    score: int
    subscore: int
    reached_at: datetime

    @property
    def key(self) -> RowKey:
        """What orders it."""
        return self.score, self.subscore, (self.reached_at - EPOCH) // MICROSECOND, self.entrant_id


@dataclass(frozen=True, slots=True)
class Entrant:
    """Somebody who can stand on lists, whichever they are."""

    entrant_id: EntrantId
    kind: EntrantKind
    ref: str
    label: str | None
    user_id: UserId | None


@dataclass(frozen=True, slots=True)
class Ending:
    """A competition that ends within so many hours."""

    id: CompetitionId
    product: Product
    subject_ref: str | None
    period_key: str | None
    hours: int


@dataclass(frozen=True, slots=True)
class Entrants:
    """How many are on the list of a competition."""

    id: CompetitionId
    entrants: int


class Changed(NamedTuple):
    """Scores of a list as columns, times in microseconds since 1970; `is_ranked` of 0 is out.

    Where everybody was read it is not said who is out: nobody is. `horizon` is from which transaction on the next look
    must read, `version` the newest one that changed the list, `is_private` says that the transaction that looked has
    written something itself. Of two looks that are not private the one of the later `moment` has seen all of the other.
    """

    horizon: int
    moment: int
    version: int
    is_private: bool
    entrants: Sequence[int]
    scores: Sequence[int]
    reached_at_us: Sequence[int]
    subscores: Sequence[int]
    is_ranked: Sequence[int]


class Moved(NamedTuple):
    """Who is of a country (`is_here` of 1), or is not any more; horizon, moment and privacy are as in `Changed`.

    Where everybody was read it is not said who is not: nobody is.
    """

    horizon: int
    moment: int
    is_private: bool
    entrants: Sequence[int]
    is_here: Sequence[int]


@dataclass(frozen=True, slots=True)
class Country:
    """All who live there, where some of a ranking are wanted."""

    code: str


Some: TypeAlias = Sequence[EntrantId] | Country


@dataclass(frozen=True, slots=True)
class Ranked:
    """Somebody's rank at an instant that has passed."""

    entrant_id: EntrantId
    rank: int


@dataclass(frozen=True, slots=True)
class Mark:
    """The rank that an entrant knows of: the one he was told last, or the first one we saw; None below the line."""

    entrant_id: EntrantId
    rank: int | None
    told_at: datetime | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list of competitions is narrowed to; empty or None: not at all. Year and month are those of the archive.

    They begin in `[begins_since, begins_until)`.
    """

    statuses: Sequence[Status] = ()
    products: Sequence[Product] = ()
    year: int | None = None
    month: int | None = None
    is_archived: bool = False
    has_drafts: bool = False
    begins_since: datetime | None = None
    begins_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Archived:
    """How a competition ended; of its participants the first ones, as they were frozen."""

    competition_id: CompetitionId
    month: int
    year: int
    total_score: int
    participant_count: int
    participants: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Line:
    """A competition in a list, with what is known of how it ended."""

    competition: Competition
    asset_scale: int
    entrants: int
    archived: Archived | None
    names: Mapping[EntrantId, str]
    pool: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A competition as everybody may see it, with rows of its board, the names in them, and what places pay."""

    competition: Competition
    asset_scale: int
    board: "Board"
    names: Mapping[EntrantId, str]
    prizes: tuple["Prizes", ...]
    as_of: datetime
    pool: int = 0
    sums: PoolSums = NO_SUMS
    is_dark: bool = False  # nobody may see the rows yet
    rule: PrizeRule = PrizeRule("bps", "places", ())


class Prizes(NamedTuple):
    """What each of some neighbouring places pays when every place is taken, in units of the asset.

    Where it is open, everybody from the place on shares the amount.
    """

    first: int
    last: int
    amount: int
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it must be: which check, of which entrant (None: of all), and both figures."""

    check: str
    entrant_id: EntrantId | None
    expected: str
    actual: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What a recomputation of a competition saw."""

    competition: Competition
    entrants: int
    differences: tuple[Difference, ...]


class Winners(NamedTuple):
    """Everybody whose rank can win something, in place order: a column each."""

    ranks: Sequence[int]
    entrant_ids: Sequence[EntrantId]
    user_ids: Sequence[UserId | None]
    scores: Sequence[int]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many are on a list, and how many of them could win."""

    entrants: int
    qualified: int
    total_score: int


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One line of a board with its prize in units of the asset: what it would be paid now, or what it won.

    `ties` is how many share its rank, `trend` by how many ranks it rose within the hour (None: not known), `among` its
    rank in a part of the board, as of friends.
    """

    standing: Standing
    prize: int
    reward_status: RewardStatus | None
    ties: int = 1
    trend: int | None = None
    items: Sequence[Mapping[str, object]] = ()
    among: int | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """Rows of a ranking; `is_provisional` says that prizes are what would be paid if it ended now.

    Of two versions of a live ranking the larger is the later one. `after` is how many rows come before these, and
    `above` the score in the last of them; `sums` are those that its prizes are worked out of. While it is warming they
    are those of the newest picture there is, which was taken `as_of`, or some of it without ranks.
    """

    rows: tuple[BoardRow, ...]
    entrants: int
    qualified: int
    undistributed: int
    is_provisional: bool
    version: int = 0
    after: int = 0
    above: int | None = None
    sums: PoolSums | None = None
    is_warming: bool = False
    as_of: datetime | None = None

    @property
    def keys(self) -> list[RowKey]:
        """What orders its rows."""
        return [row.standing.key for row in self.rows]


@dataclass(frozen=True, slots=True)
class Reward:
    """The prize of one entrant, in units of the asset, and what he wins besides: `kind`, `ref` and `title` of each."""

    entrant_id: EntrantId
    place: int
    rank: int
    asset: str
    amount: int
    status: RewardStatus
    user_id: UserId | None
    transfer_id: UUID | None
    claim_by: datetime | None
    why: Mapping[str, object]
    paid_at: datetime | None
    items: Sequence[Mapping[str, object]] = ()


@dataclass(frozen=True, slots=True)
class PrizeReceipt:
    """The prize of one place with its arithmetic, and where in the wallet of its winner it lies."""

    rank: int
    amount: int
    status: str
    claim_by: datetime | None
    paid_at: datetime | None
    first: int
    last: int
    head: str
    exact: str
    unit: int
    tied: int
    shared: int | None
    transfer_id: UUID | None
    wallet_seq: int | None
    items: Sequence[Mapping[str, object]] = ()
    forfeited: str | None = None  # why staff sent it back, which its winner reads


@dataclass(frozen=True, slots=True)
class Entered:
    """An entrant with a score in a competition."""

    competition_id: CompetitionId
    entrant_id: EntrantId


class Won(NamedTuple):
    """What frozen places are to be paid, before it is known whether they can be: a column each.

    `whys` is their arithmetic as JSON, `items` what they win besides money, or nothing where nobody does.
    """

    entrant_ids: Sequence[EntrantId]
    user_ids: Sequence[UserId | None]
    places: Sequence[int]
    ranks: Sequence[int]
    amounts: Sequence[int]
    whys: Sequence[str]
    items: Sequence[str] = ()


class Settled(NamedTuple):
    """What became of prizes: the transfers of those that were paid (16 bytes each), by number why a wallet refused."""

    transfer_ids: Sequence[bytes | None]
    refused: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Leftover:
    """The part of a pool that nobody won, and where it goes."""

    amount: int
    to_address: str
    reason: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody is the user behind an entrant from now on, or nobody is."""

    kind: EntrantKind
    ref: str
    user_id: UserId | None


class Waiting(NamedTuple):
    """A prize that waits for its winner."""

    competition_id: CompetitionId
    entrant_id: EntrantId
    rank: int
    asset: str
    amount: int
    leftover_to: LeftoverTo
    title: str

    @property
    def pool_address(self) -> str:
        """The ledger account in which it waits."""
        return f"pool:{self.competition_id}"


class WithheldKey(NamedTuple):
    """What orders prizes that are withheld: those of the newest competition first."""

    competition_id: UUID
    entrant_id: int


@dataclass(frozen=True, slots=True)
class Withheld:
    """A prize that the wallet of its winner did not take: `refusal` is the code of why not, `since` when it was won."""

    competition_id: CompetitionId
    title: str
    entrant_id: EntrantId
    user_id: UserId
    rank: int
    asset: str
    amount: int
    refusal: str
    since: datetime | None

    @property
    def key(self) -> WithheldKey:
        """What orders it."""
        return WithheldKey(self.competition_id, self.entrant_id)


class Claimed(NamedTuple):
    """What became of a prize that found its winner; `refusal` is why his wallet did not take it."""

    waiting: Waiting
    user_id: UserId
    transfer_id: UUID | None
    refusal: str | None


class Linked(NamedTuple):
    """An entrant and the user behind him, as a claim asks for it."""

    entrant_id: EntrantId
    user_id: UserId | None


@dataclass(frozen=True, slots=True)
class Preview:
    """Amounts by place, in units, and what nobody would win."""

    shares: tuple[Share, ...]
    undistributed: int


# Boards: what is ranked, by whatever period


class ListPeriod(NamedTuple):
    """A period of a board, half-open; all time has neither beginning nor end."""

    key: str
    starts_at: datetime | None
    ends_at: datetime | None


class RankTerms(NamedTuple):
    """How a list is ranked; below `least_score` nobody has a rank."""

    list_id: ListId
    direction: Direction
    tie_rule: TieRule
    has_subscore: bool
    least_score: int


@dataclass(frozen=True, slots=True)
class NewBoard:
    """A board of everybody, as a module declares it: what is ranked, how scores combine, and for which periods.

    A list takes scores until `final_after_h` after its period.
    """

    code: str
    title: str
    metric: str
    op: Op = "add"
    direction: Direction = "desc"
    score_scale: int = 0
    unit: str | None = None
    has_subscore: bool = False
    periods: tuple[PeriodKind, ...] = ("D", "W", "M", "ALL")
    tz: str = "UTC"
    final_after_h: int = 0
    tie_rule: TieRule = "share"


@dataclass(frozen=True, slots=True)
class ScoreBoard:
    """A board of everybody as it is stored."""

    id: BoardId
    code: str
    title: str
    metric: str
    unit: str | None
    score_scale: int
    op: Op
    direction: Direction
    has_subscore: bool
    periods: Sequence[PeriodKind]
    tz: str
    final_after_h: int
    tie_rule: TieRule

    @property
    def kinds(self) -> tuple[PeriodKind, ...]:
        """The kinds of its periods."""
        return tuple(self.periods)

    def terms(self, list_id: ListId) -> RankTerms:
        """How one of its lists is ranked: everybody has a rank."""
        return RankTerms(list_id, self.direction, self.tie_rule, self.has_subscore, -LEAST_SCORE)


@dataclass(frozen=True, slots=True)
class ScoreList:
    """One period of a board as it is stored; final, it does not change any more, and has so many entrants."""

    id: ListId
    board_id: BoardId
    period_key: str
    starts_at: datetime | None
    ends_at: datetime | None
    state: Literal["live", "final"]
    final_at: datetime | None
    entrants: int | None


@dataclass(frozen=True, slots=True)
class PlaceOfList:
    """What a list is one of: a period of a board, or the one list of a competition."""

    code: str
    period_key: str
    competition_id: CompetitionId | None


class NewList(NamedTuple):
    """A list to be."""

    board_id: BoardId
    period: ListPeriod


class NewEntrant(NamedTuple):
    """Somebody who is to stand on boards; `label` only for those without a user."""

    kind: EntrantKind
    ref: str
    user_id: UserId | None = None
    label: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class RankPoint:
    """Where somebody stood at an instant that has passed, among the first hundred."""

    at: datetime
    rank: int
    score: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """One change of somebody's score, numbered from the first, with what they had added up to by then."""

    number: int
    entrant_id: EntrantId
    key: str
    happened_at: datetime
    kind: Literal["score", "correction", "adjust", "out", "in"]
    delta: int
    sub_delta: int
    value: int | None
    facts: Mapping[str, object] | None
    total: int


class Ahead(NamedTuple):
    """The next better rank, and the score of the last who has it: whom to catch up with."""

    rank: int
    score: int


class Nearby(NamedTuple):
    """A row of a board with those around it, and what is ahead of it: None for who is first."""

    board: "Board"
    row: "BoardRow"
    ahead: Ahead | None


@dataclass(frozen=True, slots=True)
class MyRank:
    """Where somebody stands among how many, and how much he lacks to the next rank."""

    row: BoardRow
    of: int
    qualified: int
    next_rank: int | None
    gap: int | None
    gap_to_qualify: int
    as_of: datetime
    version: int


@dataclass(frozen=True, slots=True)
class Own:
    """What somebody sees of himself: where he stands, and the rows around his own."""

    rank: MyRank
    around: Shown


class Look(NamedTuple):
    """What somebody wants to see of a board: so many places behind one, or so many on either side of an entrant."""

    code: str
    period: str
    limit: int
    after: After = 0
    entrant: str | None = None


class Ties(NamedTuple):
    """How many share a rank."""

    rank: int
    ties: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The first hundred of a list at an instant that has passed: `entrant`, `rank` and `score` of each."""

    taken_at: datetime
    top: Sequence[Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class ProgramScore:
    """What a program submits for somebody whom it names: the number of the entrant is found by his kind and ref."""

    kind: EntrantKind
    ref: str
    score: Submission

    @property
    def named(self) -> tuple[str, str]:
        """Whom it means."""
        return self.kind, self.ref


PERMISSION_SCORE_SUBMIT = Permission(
    "competitions.score.submit", "Submit scores of competitions and boards by program.", roles=("races", "quests")
)


# What lies before staff


class Bar(NamedTuple):
    """A competition in a week of a calendar: from which column on (1 is Monday), and for how many days."""

    competition: Competition
    column: int
    days: int
    begins: bool
    ends: bool


class Week(NamedTuple):
    """Seven days from Monday, and what runs on them."""

    days: tuple[date, ...]
    bars: tuple[Bar, ...]


class Arrival(NamedTuple):
    """A change of a score as it came in."""

    entrant_id: EntrantId
    kind: ScoreKind
    delta: int
    happened_at: datetime
    created_at: datetime


class Minute(NamedTuple):
    """How many changes came in within a minute."""

    at: datetime
    changes: int


class Oddity(NamedTuple):
    """Something a person should look at: a change (`outsized`, `correction`, `adjust`), how many came from one entrant
    within a minute (`burst`), or by how many seconds one was `late`.
    """

    kind: Literal["outsized", "burst", "correction", "adjust", "late"]
    entrant_id: EntrantId
    at: datetime
    value: int


@dataclass(frozen=True, slots=True)
class Watched:
    """The pulse of a board: changes by minute over an hour, how long after their event they came, and what is odd.

    `is_whole` is false where so many came that the hour holds more than were looked at.
    """

    per_minute: tuple[Minute, ...]
    in_hour: int
    is_whole: bool
    newest_at: datetime | None
    lag_median_s: int | None
    lag_high_s: int | None  # of the slowest twentieth
    odd: tuple[Oddity, ...]


@dataclass(frozen=True, slots=True)
class Put:
    """A contribution as staff see it, and what of it has left again."""

    id: UUID
    source: Source
    amount: int
    to_pool: int
    to_treasury: int
    taken_back: int
    payer_id: UserId | None
    from_address: str
    ref: str | None
    transfer_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class Gone:
    """What of a contribution has left again, as staff see it; the last transfer if it was taken back by itself, and
    none where the whole was cancelled.
    """

    contribution_id: UUID
    source: Source
    amount: int
    from_pool: int
    from_treasury: int
    to_address: str
    payer_id: UserId | None
    is_whole: bool
    transfer_id: UUID | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What staff added to a score or took from it, by whom and why; `is_undone` if another one has taken it back."""

    entrant_id: EntrantId
    delta: int
    at: datetime
    by: UserId | None
    reason: str
    is_undone: bool


@dataclass(frozen=True, slots=True)
class Joined:
    """Who takes part, left, may join or was taken out, as staff see it; `score` is None for whoever has none.

    With `is_out` the score does not count. `reason` is why he was taken out, by `decided_by`.
    """

    entrant_id: EntrantId
    kind: EntrantKind
    ref: str
    user_id: UserId | None
    state: JoinedState
    joined_at: datetime
    via: str
    has_paid: bool
    reason: str | None
    decided_by: UserId | None
    score: int | None
    is_out: bool


@dataclass(frozen=True, slots=True)
class WantedJoined:
    """Which of those who joined are wanted: in one of these states, with a score or without; empty and None: all."""

    states: Sequence[JoinedState] = ()
    has_score: bool | None = None


class RewardSum(NamedTuple):
    """How many prizes are in a state, and what they add up to."""

    status: RewardStatus
    prizes: int
    amount: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a settlement has come: who stands there, what is won, and where what nobody won goes."""

    entrants: int
    qualified: int
    rewards: tuple[RewardSum, ...]
    left: "Leftover | None"
    appeals_open: int
    needs_second: bool
    pays_at: datetime | None

    def of(self, *statuses: RewardStatus) -> RewardSum:
        """The prizes in some of the states together, under the name of the first."""
        found = [each for each in self.rewards if each.status in statuses]
        return RewardSum(statuses[0], sum(each.prizes for each in found), sum(each.amount for each in found))


StageName: TypeAlias = Literal["evidence", "standings", "allocation", "approved", "paid"]
StageState: TypeAlias = Literal["done", "on", "ahead"]


class Stage(NamedTuple):
    """A part of a settlement, and how far it is."""

    name: StageName
    state: StageState


class Owed(NamedTuple):
    """What the house owes or will owe by competitions in one state, in units of an asset."""

    asset: str
    status: str
    competitions: int
    amount: int


@dataclass(frozen=True, slots=True)
class Liability:
    """What is promised in one asset: drafts and what series will announce within a month are not owed yet."""

    asset: str
    owed: tuple[Owed, ...]  # by state: upcoming, live, settling, unclaimed
    drafts: Owed
    series: Owed
    house: int  # what the account holds from which pools are promised

    @property
    def total(self) -> int:
        """What is owed now."""
        return sum(each.amount for each in self.owed)


@dataclass(frozen=True, slots=True)
class Listed:
    """A prize in a list: what a place earns or would earn, why, what became of it, and what is won besides money."""

    standing: Standing
    amount: int
    why: Mapping[str, object]
    reward: "Reward | None"
    items: Sequence[Mapping[str, object]] = ()


@dataclass(frozen=True, slots=True)
class PrizeList:
    """A part of the prizes of a ranking. `paid` is how many places earn something, `undistributed` what nobody wins."""

    competition: Competition
    asset_scale: int
    rows: tuple[Listed, ...]
    names: Mapping[EntrantId, str]
    pool: int
    qualified: int
    paid: int
    undistributed: int
    is_provisional: bool


class Made(NamedTuple):
    """A period of a series that has its competition."""

    period_key: str
    competition_id: CompetitionId


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A period of a series, and its competition if it has been made."""

    period: Period
    competition_id: CompetitionId | None
