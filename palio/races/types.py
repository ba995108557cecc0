"""Words of races: totals are integer micro-units, prizes are units of the prize asset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias
from uuid import UUID

from palio.affiliates.types import PlayerId, ProgrammeId, SnapshotId, SnapshotView
from palio.competitions.types import (
    Cadence,
    CompetitionId,
    EntrantId,
    Phase,
    PrizeReceipt,
    PrizeRule,
    RewardStatus,
    SeriesCadence,
    SeriesId,
    Status,
)
from palio.kernel import parts
from palio.kernel.ids import UserId
from palio.kernel.permissions import Permission
from palio.kernel.providers import RowKey
from palio.kernel.settings import Setting

StartState: TypeAlias = Literal["waiting", "exact", "late", "chained", "staff"]
FinalState: TypeAlias = Literal["waiting", "exact", "late", "forced"]
Stage: TypeAlias = Literal["none", "waiting_final", "computed", "frozen", "done"]
BaselineKind: TypeAlias = Literal["picture", "last_known", "unknown", "first_seen", "zero", "staff"]
HoldDecision: TypeAlias = Literal["kept", "from_zero", "from_value", "excluded"]
HoldState: TypeAlias = Literal["open", "kept", "from_zero", "from_value", "excluded"]
HoldReason: TypeAlias = Literal["first_seen_jump", "stale", "big_correction", "dispute"]
Waiting: TypeAlias = Literal["start_picture", "final_picture", "recompute", "review", "release"]
ChangeKind: TypeAlias = Literal["score", "correction", "adjust"]
Flag: TypeAlias = Literal["stale", "corrected", "held", "adjusted"]

MICRO_PER_UNIT = 1_000_000

PICTURE_TOLERANCE_S = Setting(
    "races.picture_tolerance_s",
    "duration",
    1_800,
    "How long before the start of a race the snapshot that opens it may have been fetched",
    unit="s",
    low=0,
    high=7_200,
)
FINAL_LATE_S = Setting(
    "races.final_late_s",
    "duration",
    7_200,
    "From how long after the end and the grace on a final snapshot is late and keeps the payment waiting for a person",
    unit="s",
    low=0,
    high=86_400,
)
BIG_CORRECTION_BPS = Setting(
    "races.big_correction_bps",
    "bps",
    1_000,
    "Part of a paid total that corrections may have taken away before a person must look",
    unit="bps",
    low=0,
    high=10_000,
)
FINAL_ALARM_H = Setting(
    "races.final_alarm_h",
    "int",
    6,
    "How long after the end a race without a final snapshot raises an alarm, and may be closed by hand",
    unit="h",
    low=1,
    high=168,
)
ADJUST_OVER = Setting(
    "races.adjust_over",
    "int",
    1_000,
    "More than this, adjusted by one person in one race within 24 hours, needs a second person",
    unit="units of the programme's currency",
    low=0,
    high=10**9,
)
LEADER_GAP_MIN = Setting(
    "races.leader_gap_min",
    "int",
    30,
    "How long after the news of a leader the next one may be told",
    unit="min",
    low=0,
    high=1_440,
)
DEFAULT_MIN_WAGER = Setting(
    "races.default_min_wager",
    "int",
    0,
    "Minimum wager of a race that states none",
    unit="units of the programme's currency",
    low=0,
    high=10**9,
)


PERMISSIONS: Final = (
    Permission(
        "races.race.read",
        "See races as staff see them, drafts and doubts too.",
        roles=("finance", "races", "support", "moderator", "analyst", "auditor"),
    ),
    Permission("races.race.edit", "Draft, publish, extend and rehearse races, exclude entrants.", roles=("races",)),
    Permission(
        "races.race.money", "Change what a race pays: adjust, cancel, release, force.", roles=("finance", "races")
    ),
    Permission("races.race.backdate", "Let a race count from an instant that is over.", roles=("races",)),
)


@dataclass(frozen=True, slots=True)
class NewRace:
    """What is needed to make one: micro-units for the minimum, units of the asset for the pool; None: the default.

    With `linked_only` only players rank whom a user is linked to.
    """

    title: str
    programme: str
    starts_at: datetime
    ends_at: datetime
    pool_asset: str
    pool: int
    prize_rule: PrizeRule
    cadence: Cadence = "special"
    description: str = ""
    rules_text: str = ""
    min_wager_micro: int | None = None
    grace_s: int = 900
    review_h: int = 24
    previous: int | None = None
    backdated_reason: str | None = None
    linked_only: bool = False


@dataclass(frozen=True, slots=True)
class NewRaceSeries:
    """Races that follow each other by the calendar; what is said of one race is said of all of them."""

    code: str
    cadence: Cadence
    tz: str
    race: NewRace
    chained: bool = True
    create_lead_h: int = 24


@dataclass(frozen=True, slots=True)
class RaceSeries:
    """What is special about a series of races."""

    series_id: SeriesId
    programme_id: ProgrammeId
    chained: bool
    linked_only: bool


@dataclass(frozen=True, slots=True)
class SeriesLine:
    """A series in a list: its code, what it pays, and the numbers of its races that are not over."""

    code: str
    cadence: SeriesCadence
    tz: str
    title: str
    asset: str
    asset_scale: int
    pool: int
    programme: str
    chained: bool
    races: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Race:
    """What is special about a race beside its competition; `last_seq` is the last snapshot that was submitted.

    `leader_entrant` is whom everybody knows to lead, since `leader_told_at` if that was told.
    """

    competition_id: CompetitionId
    number: int
    programme_id: ProgrammeId
    linked_only: bool
    previous_id: CompetitionId | None
    start_state: StartState
    start_snapshot_id: SnapshotId | None
    start_seq: int | None
    final_state: FinalState
    final_snapshot_id: SnapshotId | None
    last_seq: int
    stage: Stage
    review_reasons: Sequence[str]
    backdated_reason: str | None
    gap_from: datetime | None
    gap_to: datetime | None
    leader_entrant: EntrantId | None
    leader_told_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Start:
    """The snapshot that opens a race, and the time without data before a late one."""

    state: StartState
    snapshot: SnapshotView
    gap_from: datetime | None = None
    gap_to: datetime | None = None


class Baseline(NamedTuple):
    """Where a player's total begins, in micro-units; None while it is unknown."""

    player_id: PlayerId
    value_micro: int | None
    kind: BaselineKind
    snapshot_id: SnapshotId


class Wager(NamedTuple):
    """A change of one total: `before` is the baseline for a player's first."""

    player_id: PlayerId
    seq: int
    snapshot_id: SnapshotId
    at: datetime
    before: int
    after: int

    @property
    def delta(self) -> int:
        return self.after - self.before


class Pair(NamedTuple):
    """A total as it was submitted and as the pictures say it, in micro-units."""

    submitted: int
    recomputed: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What some changes of a feed mean for one race."""

    wagers: tuple[Wager, ...]
    entering: tuple[PlayerId, ...]
    baselines: tuple[Baseline, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """A player whose number needs a decision of staff."""

    player_id: PlayerId
    reason: HoldReason
    facts: dict[str, object]


@dataclass(frozen=True, slots=True)
class StatedHold:
    """A hold with what became of it, as it is stored; the note is public."""

    player_id: PlayerId
    reason: HoldReason
    facts: Mapping[str, object]
    state: HoldState
    note: str | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Made:
    """A decision of a person as it is stored: the reason is for staff, the note for everybody."""

    what: str
    player_id: PlayerId | None
    after: Mapping[str, object]
    reason: str
    note: str | None
    by: UserId | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Move:
    """Whose rank another start picture changes; None is below the line or not on the board."""

    player_id: PlayerId
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a race stands after its due steps; `steps` names what was done, `waits_for` what is missing."""

    number: int
    status: Status
    phase: Phase | None
    stage: Stage
    steps: tuple[str, ...]
    waits_for: Waiting | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the standings as staff see it: `rank` is None below the line, `prize` in units of the asset."""

    place: int
    rank: int | None
    uid: str
    name: str
    total_micro: int
    prize: int
    reward_status: RewardStatus | None


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored snapshot that opens or closes a race, as everybody sees it; `sha256` is its payload's, in hex."""

    snapshot_id: UUID
    seq: int
    fetched_at: datetime
    as_of: datetime
    sha256: str


@dataclass(frozen=True, slots=True)
class PrizePlaces:
    """What each of the places `first` to `last` pays if everything is occupied, in units of the asset."""

    first: int
    last: int
    amount: int


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One line of the standings as everybody sees it; `prize` is what it would pay now, or pays when frozen.

    `trend` is how many ranks it has risen within the last hour, negative when it fell, None when it was not there.
    `decimals` of the total tell it from its neighbours' where those are others; `key` is what orders it.
    """

    place: int
    rank: int
    entrant_id: int
    name: str
    total_micro: int
    prize: int
    is_qualified: bool
    flags: tuple[Flag, ...] = ()
    reward_status: str | None = None
    claim_by: datetime | None = None
    trend: int | None = None
    decimals: int = 2
    key: RowKey = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list of races is narrowed to; empty or None: not at all."""

    states: Sequence[str] = ()
    programme: str | None = None
    year: int | None = None
    month: int | None = None
    is_over: bool = False
    has_drafts: bool = False


Part: TypeAlias = parts.Part[tuple[datetime, int]]  # races are ordered by when they end, then by number


@dataclass(frozen=True, slots=True)
class Listed:
    """A race with what its competition and, when it is over, its archive say of it."""

    competition_id: CompetitionId
    number: int
    programme_id: ProgrammeId
    title: str
    status: Status
    starts_at: datetime
    ends_at: datetime
    asset: str
    pool: int
    year: int | None
    month: int | None
    participant_count: int | None
    total_micro: int | None
    standings_sha256: str | None
    start_sha256: str | None
    final_sha256: str | None
    winners: Sequence[EntrantId]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a race ended, as the archive keeps it; `winners` are all on rank 1, `total_micro` is what all wagered."""

    year: int
    month: int
    participants: int
    total_micro: int
    currency: str
    winners: tuple[str, ...]
    standings_sha256: str
    start_sha256: str
    final_sha256: str


@dataclass(frozen=True, slots=True)
class RaceLine:
    """A race in a list of races; `outcome` is there when it is over."""

    competition_id: UUID
    number: int
    title: str
    programme: str
    status: str
    starts_at: datetime
    ends_at: datetime
    asset: str
    asset_scale: int
    pool: int
    entrants: int
    currency: str
    outcome: Outcome | None = None

    @property
    def when(self) -> Literal["now", "soon", "over"]:
        """Where it hangs among the others."""
        return "now" if self.status in ("live", "settling") else "soon" if self.status == "upcoming" else "over"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a total, as everybody sees it: numbered, with the total it led to, never shown below 0."""

    n: int
    happened_at: datetime
    kind: ChangeKind
    delta: int
    total: int
    note: str | None
    seq: int | None


@dataclass(frozen=True, slots=True)
class RaceView:
    """What the race page shows. `rows` are those of the board behind place `after`, the qualified before the others.

    `above_micro` is the total in the line above them. `asset_scale` is how many decimal places the prize asset has;
    `version` and the two times are the competition's.
    """

    competition_id: UUID
    number: int
    title: str
    description: str
    rules_text: str
    programme: str
    status: str
    phase: str | None
    starts_at: datetime
    ends_at: datetime
    asset: str
    pool: int
    min_wager_micro: int
    currency: str
    as_of: datetime | None
    is_stale: bool
    is_provisional: bool
    rows: tuple[BoardRow, ...]
    entrants: int
    qualified: int
    prizes: tuple[PrizePlaces, ...]
    start_state: StartState
    start: Picture | None
    final_state: FinalState
    final: Picture | None
    gap_from: datetime | None
    gap_to: datetime | None
    backdated_reason: str | None
    terms_sha256: str
    standings_sha256: str | None
    undistributed: int
    seq: int
    version: int
    created_at: datetime
    updated_at: datetime
    asset_scale: int
    grace_s: int
    review_h: int
    cancel_reason: str | None = None
    linked_only: bool = False
    after: int = 0
    above_micro: int | None = None


@dataclass(frozen=True, slots=True)
class Mine:
    """Where somebody stands himself: his line and those beside it.

    `score_micro` is his total with its sign; `ties` is how many share his rank. `missing_micro` more would be paid,
    0 if he is; `lead_micro` is how far he is ahead of the first who is not paid, None where there is nobody.
    """

    row: BoardRow
    above: BoardRow | None
    below: BoardRow | None
    score_micro: int
    ties: int
    entrants: int
    qualified: int
    paid_places: int
    missing_micro: int
    lead_micro: int | None
    reached_at: datetime

    @property
    def is_paid(self) -> bool:
        """Does this place win something?"""
        return self.row.is_qualified and self.row.place <= self.paid_places

    @property
    def gap_micro(self) -> int | None:
        """How much more would draw level with the line above."""
        return self.above.total_micro - self.row.total_micro if self.above else None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a stored picture says of one player: his all-time wager, None if it was not known."""

    picture: Picture
    all_time_micro: int | None
    kind: str


@dataclass(frozen=True, slots=True)
class OwnReceipt:
    """How somebody's total and place came about. `raw_micro` lies between the pictures, `adjusted_micro` is what staff
    added; together they are the score once the newest picture is counted.
    """

    mine: Mine
    start: Reading | None
    baseline_kind: BaselineKind
    baseline_micro: int | None
    now: Reading | None
    raw_micro: int | None
    adjusted_micro: int
    changes: tuple[Change, ...]
    won: PrizeReceipt | None

    @property
    def is_complete(self) -> bool:
        """Do the parts add up to the score?"""
        return self.raw_micro is None or self.raw_micro + self.adjusted_micro == self.mine.score_micro


@dataclass(frozen=True, slots=True)
class Difference:
    """A player whose score is not what the pictures say; both in micro-units, adjustments of staff left aside."""

    uid: str
    name: str
    submitted_micro: int
    recomputed_micro: int


@dataclass(frozen=True, slots=True)
class Recomputed:
    """Every total anew, from the picture that opened a race and the one that closed it, or the newest so far."""

    number: int
    start: Picture
    final: Picture
    players: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How a race between stored snapshots would have ended; amounts in units of the asset."""

    start_state: StartState
    start: Picture
    final_state: FinalState
    final: Picture
    lines: tuple[Line, ...]
    qualified: int
    undistributed: int


@dataclass(frozen=True, slots=True)
class StaffRow:
    """A line of the board as staff see it: full name and uid, and what corrections and staff changed of the total.

    `rank` is None below the line; amounts are micro-units, the prize is in units of the asset.
    """

    place: int
    rank: int | None
    player_id: PlayerId
    entrant_id: EntrantId
    uid: str
    name: str
    is_linked: bool
    total_micro: int
    lowered_micro: int
    adjusted_micro: int
    prize: int
    flags: tuple[Flag, ...]
    reward_status: RewardStatus | None
    trend: int | None


@dataclass(frozen=True, slots=True)
class HeldPlayer:
    """A player whose number was doubted, and what became of it. `total_micro` is None for whoever is on no board."""

    player_id: PlayerId
    uid: str
    name: str
    reason: HoldReason
    facts: Mapping[str, object]
    state: HoldState
    note: str | None
    decided_at: datetime | None
    total_micro: int | None
    rank: int | None
    prize: int


@dataclass(frozen=True, slots=True)
class Desk:
    """What staff know of a race beside its page: how far the settlement is, what holds it up, what hangs on it.

    `pays_from` is when it is paid by itself; `is_own` says that the asking person has a player in a paid place.
    `house` is what the account for prizes holds, `needs_second` that its payment takes two people.
    """

    stage: Stage
    waits_for: Waiting | None
    review_reasons: tuple[str, ...]
    programme_code: str
    previous: int | None
    successor: int | None
    pays_from: datetime | None
    forced_from: datetime | None
    is_own: bool
    needs_second: bool
    house: int
    board: tuple[StaffRow, ...]
    held: tuple[HeldPlayer, ...]
    decisions: tuple[Made, ...]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A line that an act would move: place, rank and prize before and after; None where it does not stand."""

    uid: str
    name: str
    total_before: int
    total_after: int
    rank_before: int | None
    rank_after: int | None
    prize_before: int
    prize_after: int


@dataclass(frozen=True, slots=True)
class RuleTried:
    """What a prize rule would have paid over a period: the units it gives away and those nobody wins."""

    name: str
    awarded: int
    undistributed: int
    winners: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class PeriodTried:
    """A past period under several rules; without pictures of it there is no outcome, only `missing`."""

    starts_at: datetime
    ends_at: datetime
    qualified: int
    entrants: int
    total_micro: int
    rules: tuple[RuleTried, ...]
    missing: str | None = None
