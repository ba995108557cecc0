"""Words of the feeds: amounts are integer micro-units of the programme's currency, and what is not said is unknown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, IntFlag
from typing import Final, Literal, NamedTuple, NewType, TypeAlias
from uuid import UUID

from palio.kernel.ids import UserId
from palio.kernel.permissions import Permission
from palio.kernel.providers import RowKey, SealedColumn
from palio.kernel.settings import Setting

ProgrammeId = NewType("ProgrammeId", UUID)
FeedId = NewType("FeedId", UUID)
SnapshotId = NewType("SnapshotId", UUID)
PlayerId = NewType("PlayerId", UUID)
HeldRowId = NewType("HeldRowId", UUID)
CycleId = NewType("CycleId", UUID)
LinkId = NewType("LinkId", UUID)
LinkRequestId = NewType("LinkRequestId", UUID)
AttachmentId = NewType("AttachmentId", UUID)

SEALED_COLUMNS = (SealedColumn("affiliates.feeds", "secret", user_id=None, purpose="feeds"),)

Micro: TypeAlias = int
Coverage: TypeAlias = Literal["full", "partial"]
Trigger: TypeAlias = Literal["schedule", "manual", "probe", "push", "upload"]
CycleState: TypeAlias = Literal[
    "running", "applied", "unchanged", "suspicious", "invalid", "failed", "skipped_open", "missed"
]
SnapshotStatus: TypeAlias = Literal["applied", "suspicious", "invalid", "discarded"]
Shape: TypeAlias = Literal["flat", "array", "results", "users", "object", "grouped"]
StatsKind: TypeAlias = Literal["first", "change", "columns_only", "correction"]
Suspicion: TypeAlias = Literal[
    "empty", "shrink", "incomplete", "upstream_regress", "mass_correction", "mostly_quarantined"
]
HeldReason: TypeAlias = Literal[
    "not_object",
    "missing_uid",
    "bad_uid",
    "bad_name",
    "no_values",
    "missing_wagered",
    "bad_number",
    "negative",
    "too_large",
    "jump",
]
HeldState: TypeAlias = Literal["held", "accepted", "dismissed"]
AnomalyCode: TypeAlias = Literal[
    "column_lag",
    "totals_mismatch",
    "dup_conflict",
    "correction",
    "renamed",
    "name_reused",
    "name_cleaned",
    "all_time_missing",
    "first_seen_jump",
    "jump_confirmed",
    "mass_vanish",
    "total_users_mismatch",
    "total_users_jump",
    "upstream_future",
    "schema_drift",
    "page_skew",
]
AuthKind: TypeAlias = Literal["none", "bearer", "header", "basic", "query"]
BreakerState: TypeAlias = Literal["closed", "open", "half_open"]
AttemptOutcome: TypeAlias = Literal[
    "ok",
    "network",
    "timeout",
    "http_4xx",
    "http_5xx",
    "throttled",
    "too_large",
    "bad_content_type",
    "bad_encoding",
    "upstream_refused",
]
LinkState: TypeAlias = Literal["active", "unlinked", "transferred"]
Proof: TypeAlias = Literal[
    "name_code", "screenshot", "transaction", "email", "support_ticket", "staff", "import", "other"
]
ProofShown: TypeAlias = Literal["name_code", "screenshot", "transaction", "email", "support_ticket", "other"]
RequestState: TypeAlias = Literal[
    "pending", "under_review", "approved", "rejected", "cancelled", "superseded", "expired"
]
RequestSource: TypeAlias = Literal["web", "telegram", "console"]
LinkDecision: TypeAlias = Literal["approve", "reject"]
LinkObstacle: TypeAlias = Literal["taken", "resting"]
ReadingKind: TypeAlias = Literal["listed", "stale", "quarantined", "unknown"]
NamesShown: TypeAlias = Literal["full", "masked", "hidden"]
PeriodKind: TypeAlias = Literal["D", "W", "M", "ALL"]
Source: TypeAlias = Literal["reported", "computed"]

MICRO_PER_UNIT: Final = 1_000_000
MICRO_MAX: Final = 2**53 - 1
UNKNOWN: Final = -(2**63)  # how a column of integers says that a number is not known
UPLOAD_FEED: Final = "upload"
PULL_FEED: Final = "pull"
DEFAULT_PROGRAMME: Final = "default"
PERIOD_KINDS: Final[tuple[PeriodKind, ...]] = ("D", "W", "M", "ALL")

MAX_BYTES: Setting[int] = Setting(
    "affiliates.max_bytes", "int", 67_108_864, "Largest body of a feed", "bytes", low=1_024, high=536_870_912
)
STALE_AFTER_S: Setting[int] = Setting(
    "affiliates.stale_after_s",
    "duration",
    1_800,
    "Age at which a programme's numbers are shown as stale",
    "seconds",
    low=60,
    high=86_400,
)
JUMP_LIMIT: Setting[int] = Setting(
    "affiliates.jump_limit",
    "int",
    250_000,
    "Rise of one player between two snapshots that is held until it is confirmed; 0 believes everything",
    "units of the programme's currency",
    low=0,
    high=9_007_199_254,
)
FIRST_SEEN_LIMIT: Setting[int] = Setting(
    "affiliates.first_seen_limit",
    "int",
    10_000,
    "Wager up to which a player who turns up is taken to have joined since the snapshot before",
    "units of the programme's currency",
    low=0,
    high=9_007_199_254,
)
INTERVAL_S: Setting[int] = Setting(
    "affiliates.interval_s", "duration", 900, "How often a new feed is read", "seconds", low=10, high=86_400
)
TIMEOUT_S: Setting[int] = Setting(
    "affiliates.timeout_s", "duration", 20, "Patience with one answer of a new feed", "seconds", low=1, high=120
)
MAX_ATTEMPTS: Setting[int] = Setting(
    "affiliates.max_attempts", "int", 4, "How often a new feed is asked in one cycle", "attempts", low=1, high=10
)
BREAKER_CYCLES: Setting[int] = Setting(
    "affiliates.breaker_cycles",
    "int",
    5,
    "Failed cycles in a row after which a feed is left alone",
    "cycles",
    low=1,
    high=50,
)
BREAKER_PAUSE_S: Setting[int] = Setting(
    "affiliates.breaker_pause_s",
    "duration",
    1_800,
    "How long a feed is left alone at first; each failure after doubles it, up to four hours",
    "seconds",
    low=60,
    high=14_400,
)
PLACEHOLDER_NAMES: Setting[str] = Setting(
    "affiliates.placeholder_names",
    "choice",
    "masked",
    "How players whom nobody has linked are named in public",
    choices=("full", "masked", "hidden"),
)
BOARD_SOURCE: Setting[str] = Setting(
    "affiliates.board_source",
    "choice",
    "auto",
    "What boards of a day, week or month show: what the provider reports, or what we count; auto counts as soon as we"
    " have seen the whole of it",
    choices=("auto", "reported", "computed"),
)

RELINK_REST_DAYS: Setting[int] = Setting(
    "affiliates.relink_rest_days",
    "duration",
    30,
    "How long a player who was unlinked cannot be asked for by somebody else",
    "days",
    low=0,
    high=365,
)
REQUEST_DAYS: Setting[int] = Setting(
    "affiliates.request_days", "duration", 14, "How long a request to link stays open", "days", low=1, high=90
)
AUTO_APPROVE_CODE: Setting[bool] = Setting(
    "affiliates.auto_approve_code",
    "bool",
    default=False,
    description="Whether a request is approved by itself when the player shows its code in the name",
)

PERMISSION_READ: Final = Permission(
    "affiliates.read",
    "See players of programmes, their links and requests.",
    roles=("races", "support", "moderator", "analyst", "auditor"),
)
PERMISSION_REVIEW: Final = Permission(
    "affiliates.links.review", "Decide requests to link, and end or move links.", roles=("support", "moderator")
)
PERMISSION_FEEDS: Final = Permission(
    "affiliates.feeds.edit", "Connect programmes and feeds, and hand in their lists.", roles=("races",)
)
PERMISSION_SNAPSHOTS: Final = Permission(
    "affiliates.snapshots.decide", "Apply or discard what cannot be believed by itself.", roles=("races",)
)
PERMISSIONS: Final = (PERMISSION_READ, PERMISSION_REVIEW, PERMISSION_FEEDS, PERMISSION_SNAPSHOTS)


class Flag(IntFlag):
    """What is odd about a player at present; `FIRST_SEEN_JUMP` stays."""

    COLUMN_LAG = 1
    ALL_TIME_MISSING = 2
    NAME_CLEANED = 4
    DUP_CONFLICT = 8
    FIRST_SEEN_JUMP = 16
    STRANGE_KEYS = 32  # of the row, not of the player


class Mark(IntEnum):
    """Whether the last snapshot showed a player: it listed him, it did not, or his row was not believed."""

    LISTED = 0
    STALE = 1
    QUARANTINED = 2


class Reading(NamedTuple):
    """The four numbers of one player in one snapshot. A tuple, since a feed has a hundred thousand of them."""

    uid: str
    name: str | None
    today: Micro | None
    week: Micro | None
    month: Micro | None
    all_time: Micro | None
    flags: int = 0
    strange_keys: tuple[str, ...] = ()


class Totals(NamedTuple):
    """Sums over the accepted rows of a snapshot; what is unknown counts nothing."""

    today: int = 0
    week: int = 0
    month: int = 0
    all_time: int = 0


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A row that is not believed. `uid` is None when it cannot be read; `row` is its text as it came, cut at 4 KiB."""

    row_no: int
    uid: str | None
    reason: HeldReason
    row: str
    all_time: Micro | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """Raw bytes that lie in the archive, and where."""

    sha256: bytes
    size: int
    content_type: str
    storage_key: str
    received_at: datetime
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """Where raw bytes lie in the archive."""

    id: UUID
    feed_id: FeedId
    sha256: bytes
    size: int
    content_type: str
    storage_key: str


@dataclass(frozen=True, slots=True)
class Programme:
    """One affiliate agreement at one operator. `seq` counts its applied snapshots."""

    id: ProgrammeId
    code: str
    name: str
    currency: str
    status: str
    seq: int
    last_snapshot_id: SnapshotId | None
    upload_feed_id: FeedId


@dataclass(frozen=True, slots=True)
class Feed:
    """The connector that reads a programme."""

    id: FeedId
    programme_id: ProgrammeId
    name: str
    kind: str
    coverage: Coverage
    mapping_version: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A payload at the door of a feed, and the id of the snapshot that it becomes."""

    snapshot_id: SnapshotId
    feed: Feed
    sha256: bytes
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One payload parsed and judged, as it is stored; counts and sums as the specification names them."""

    id: SnapshotId
    programme_id: ProgrammeId
    feed_id: FeedId
    mapping_version: int
    seq: int | None
    fetched_at: datetime
    upstream_at: datetime | None
    as_of: datetime
    status: SnapshotStatus
    reason: str | None
    shape: Shape | None
    complete: bool
    rows_total: int
    accepted: int
    quarantined: int
    new_players: int
    changed: int
    all_time_changed: int
    vanished: int
    corrections: int
    sum_today_micro: int
    sum_week_micro: int
    sum_month_micro: int
    sum_all_time_micro: int
    delta_micro: int
    total_users: int | None
    anomaly_counts: dict[AnomalyCode, int]
    sha256: bytes


@dataclass(frozen=True, slots=True)
class SnapshotView:
    """What other modules need of an applied snapshot; `sha256` is that of the bytes received."""

    id: SnapshotId
    programme_id: ProgrammeId
    seq: int
    fetched_at: datetime
    as_of: datetime
    complete: bool
    sha256: bytes


@dataclass(frozen=True, slots=True)
class ProgrammeStatus:
    """How far a programme has been read. Without any snapshot `as_of` is None and everything is stale."""

    id: ProgrammeId
    code: str
    name: str
    currency: str
    status: str
    seq: int
    first_as_of: datetime | None
    as_of: datetime | None
    last_fetched_at: datetime | None
    last_snapshot_id: SnapshotId | None
    stale_after: timedelta

    def is_stale(self, now: datetime) -> bool:
        """Are the numbers too old to be shown without a warning?"""
        return self.as_of is None or now - self.as_of > self.stale_after


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Where an archived payload, read anew, says something else than what is stored as of its snapshot."""

    seq: int
    uid: str | None
    what: str
    stored: int | str | None
    now: int | str | None


@dataclass(frozen=True, slots=True)
class ProgrammeHead:
    """A programme in a list of programmes."""

    id: ProgrammeId
    code: str
    name: str
    currency: str
    status: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class BoardPlayer:
    """A player as a board needs him; the last two are what a closed period says, None while it is on."""

    id: PlayerId
    no: int
    uid: str
    name: str | None
    name_hidden: bool
    growth_bps: int | None
    share_bps: int | None


@dataclass(frozen=True, slots=True)
class Period:
    """A day, ISO week or month in UTC, `[starts_at, ends_at)`; ALL has no ends."""

    key: str
    kind: PeriodKind
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PeriodTotal:
    """What a closed period says of one player, or of the programme: final, and never computed again.

    `reported` is the last value that the provider's own column had in it, None if it had none.
    """

    no: int
    wagered: Micro
    corrected: Micro
    reported: Micro | None
    growth_bps: int | None
    share_bps: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which board is asked for: a programme (None: the default one), and a period by its kind or its key."""

    programme: str | None = None
    kind: PeriodKind = "ALL"
    key: str | None = None


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One line of a board; `ties` is how many share the rank. Growth is of whole periods only.

    Who has wagered nothing has no place. `key` is what orders it; `lead` is that of a row a few places above, behind
    which to go on for whoever looks for this one, where there is such a row. `among` is its rank among some players.
    """

    place: int | None
    rank: int | None
    ties: int
    player_id: PlayerId
    name: str
    wagered_micro: Micro
    growth_bps: int | None
    share_bps: int
    key: RowKey = ()
    lead: RowKey | None = None
    among: int | None = None


@dataclass(frozen=True, slots=True)
class BoardView:
    """A part of a board. While its order is not known (`is_warming`) there are no rows, rather than wrong ones.

    `coverage_from` is since when its numbers are known to us. `programme` is None in a deployment that has none.
    """

    programme: ProgrammeStatus | None
    period: Period
    source: Source
    rows: tuple[BoardRow, ...] = ()
    after: int = 0
    of: int = 0
    total_micro: Micro = 0
    as_of: datetime | None = None
    coverage_from: datetime | None = None
    is_stale: bool = True
    is_final: bool = False
    is_warming: bool = False
    has_earlier: bool = False  # whether there are numbers of the period before


@dataclass(frozen=True, slots=True)
class ProgrammeTotals:
    """What a programme adds up to: players, the columns as reported, and the total of each current board."""

    programme: ProgrammeStatus
    players: int
    total_users: int | None
    reported: Totals
    boards: tuple[BoardView, ...]


@dataclass(frozen=True, slots=True)
class Player:
    """An external player as the last snapshot left him."""

    id: PlayerId
    programme_id: ProgrammeId
    no: int
    uid: str
    name: str | None
    today_micro: Micro | None
    week_micro: Micro | None
    month_micro: Micro | None
    all_time_micro: Micro | None
    value_at: datetime
    first_seen_at: datetime
    stale_since: datetime | None
    flags: int
    name_hidden: bool


@dataclass(frozen=True, slots=True)
class ReadingAt:
    """What was known of a player as of a snapshot; `all_time_micro` is his last known value."""

    player_id: PlayerId
    no: int
    uid: str
    all_time_micro: Micro | None
    kind: ReadingKind


@dataclass(frozen=True, slots=True)
class WagerChange:
    """One change of one player's all-time wager; a first reading has nothing before it."""

    seq: int
    snapshot_id: SnapshotId
    player_id: PlayerId
    no: int
    uid: str
    at: datetime
    before_micro: Micro | None
    after_micro: Micro
    kind: StatsKind


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A row or snapshot that was believed but is odd."""

    snapshot_id: SnapshotId
    at: datetime
    uid: str | None
    code: AnomalyCode
    facts: dict[str, object]


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row that was not believed, as staff see it."""

    id: HeldRowId
    snapshot_id: SnapshotId
    feed_id: FeedId
    row_no: int
    uid: str | None
    reason: HeldReason
    row: str
    held_all_time_micro: Micro | None
    state: HeldState


@dataclass(frozen=True, slots=True)
class Link:
    """An active pair of external player and user."""

    player_id: PlayerId
    user_id: UserId


@dataclass(frozen=True, slots=True)
class Breaker:
    """Whether a feed is left alone: it opened at `opened_at` and is tried again at `probe_at`."""

    state: BreakerState = "closed"
    failed_cycles: int = 0
    opened_at: datetime | None = None
    probe_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PullFeed:
    """A feed that we read by ourselves, and what is due about it."""

    id: FeedId
    programme_id: ProgrammeId
    url: str = field(repr=False)
    auth_kind: AuthKind
    secret: bytes | None = field(repr=False)
    interval_s: int
    timeout_s: int
    max_attempts: int
    max_bytes: int
    next_due: datetime
    breaker: BreakerState
    failed_cycles: int
    opened_at: datetime | None
    probe_at: datetime | None

    @property
    def breaker_now(self) -> Breaker:
        return Breaker(self.breaker, self.failed_cycles, self.opened_at, self.probe_at)


@dataclass(frozen=True, slots=True)
class NewFeed:
    """What an operator says about a feed that is to be read; None leaves it to the settings."""

    url: str = field(repr=False)
    auth_kind: AuthKind = "none"
    secret: str | None = field(default=None, repr=False)
    interval_s: int | None = None
    coverage: Coverage = "full"


@dataclass(frozen=True, slots=True)
class FeedHealth:
    """How fresh the numbers of a programme are; `players` is how many the provider says it has."""

    programme: str
    as_of: datetime | None
    is_stale: bool
    players: int | None


@dataclass(frozen=True, slots=True)
class FeedState:
    """A feed as staff see it: never its key, only how that ends."""

    id: FeedId
    programme: str
    name: str
    kind: str
    host: str | None
    auth_kind: AuthKind
    secret_hint: str | None
    coverage: Coverage
    interval_s: int
    enabled: bool
    breaker: BreakerState
    failed_cycles: int
    probe_at: datetime | None
    next_due: datetime | None
    as_of: datetime | None
    last_due_at: datetime | None
    last_state: CycleState | None
    last_error: str | None

    @property
    def is_retired(self) -> bool:
        """Was it removed for good? Then it has given up the name of its kind."""
        return self.name != self.kind


@dataclass(frozen=True, slots=True)
class Cycle:
    """One scheduled pull with its retries."""

    id: CycleId
    feed_id: FeedId
    due_at: datetime
    trigger: Trigger
    state: CycleState
    attempts: int
    error_code: str | None
    snapshot_id: SnapshotId | None
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One exchange with a feed. `payload` are the bytes it brought, if they are worth looking at."""

    at: datetime
    waited_ms: int
    duration_ms: int
    http_status: int | None
    outcome: AttemptOutcome
    size: int = 0
    detail: str = ""
    error_code: str | None = None
    retry_after_s: int | None = None
    payload: Payload | None = None


@dataclass(frozen=True, slots=True)
class Brought:
    """What an earlier attempt of a cycle brought and nobody has judged yet."""

    payload: StoredPayload
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class Push:
    """What a provider sends by itself, with the headers of Standard Webhooks as they came."""

    event_id: str
    timestamp: str
    signatures: str = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PushFeed:
    """A feed whose provider sends by itself, with its sealed secrets."""

    id: FeedId
    secret: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Paging:
    """How a list of several pages is asked for them, and where each says how many there are."""

    parameter: str
    total_pages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asking:
    """How a feed is asked, with its key; without `paging` it has one page."""

    feed: PullFeed
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    secret: str | None = field(repr=False)
    paging: Paging | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What it takes to go on with a cycle; `brought` lies in the archive already and waits to be judged."""

    cycle: Cycle
    asking: Asking
    brought: Brought | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What a feed would bring now, without writing anything: the first rows as read, and every row that is held."""

    outcome: AttemptOutcome
    http_status: int | None
    detail: str
    size: int
    error_code: str | None = None
    shape: Shape | None = None
    rows: tuple[Reading, ...] = ()
    accepted: int = 0
    held: tuple[HeldRow, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A link as it is stored."""

    id: LinkId
    programme_id: ProgrammeId
    player_id: PlayerId
    user_id: UserId
    state: LinkState
    linked_at: datetime


@dataclass(frozen=True, slots=True)
class LinkWish:
    """What a user asks for: a player by uid or by the exact name (the uid is looked at first), and how he proves it.

    `programme` is a code; None is the default one.
    """

    user_id: UserId
    proof: Proof
    programme: str | None = None
    uid: str | None = None
    name: str | None = None
    note: str = ""
    source: RequestSource = "web"
    telegram_id: int | None = None
    telegram_name: str | None = None


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """A request to link as it is stored. `player_note` is what the user was told, `staff_notes` is what he is not."""

    id: LinkRequestId
    ref: str
    programme_id: ProgrammeId
    user_id: UserId
    player_id: PlayerId
    uid: str
    name_at_request: str | None
    telegram_id: int | None
    telegram_name: str | None
    source: RequestSource
    proof: Proof
    proof_code: str
    code_seen_at: datetime | None
    attachments: Sequence[AttachmentId]
    note: str
    state: RequestState
    staff_notes: str
    player_note: str
    taken_by: UserId | None
    taken_until: datetime | None
    decided_by: UserId | None
    decided_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class LinkStep:
    """A step of the history of a request or a link; its note is meant for the user."""

    request_id: LinkRequestId | None
    link_id: LinkId | None
    user_id: UserId
    player_id: PlayerId
    uid: str
    name: str | None
    telegram_id: int | None
    from_state: str | None
    to_state: str
    actor_id: UserId | None
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Attachment:
    """A picture that proves something, and where its bytes lie."""

    id: AttachmentId
    request_id: LinkRequestId
    user_id: UserId
    storage_key: str
    sha256: bytes
    bytes: int
    width: int
    height: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class QueuedRequest:
    """A request as staff see it: who asks, how the player is called now, and who else asks for him.

    `others` is how many other users ask for the same player now, `earlier` how often this user has asked before.
    """

    request: LinkRequest
    programme: str
    currency: str
    username: str
    player_name: str | None
    all_time_micro: Micro | None
    others: int
    earlier: int

    @property
    def is_contested(self) -> bool:
        return self.others > 0


@dataclass(frozen=True, slots=True)
class QueueFilter:
    """Which requests of the queue: of a programme, only those that others ask for too, only those somebody looks at.

    `text` is what people call a request, a uid, the name a player had, or how a user name begins.
    """

    programme: str | None = None
    text: str = ""
    is_contested: bool = False
    taken_by: UserId | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """What staff look at before they decide: the request, the player now, who else asks, and what came before.

    `holder` is who is linked to the player now, `own` the uid that the user is linked to; `before` are the steps of
    everything else that this user or this player was part of, newest first. `names` are those of everybody in it.
    """

    one: QueuedRequest
    player: Player
    steps: Sequence[LinkStep]
    rivals: Sequence[QueuedRequest]
    before: Sequence[LinkStep]
    holder: UserId | None
    own: str | None
    names: Mapping[UserId, str]


@dataclass(frozen=True, slots=True)
class LinksFilter:
    """Which links: of a programme, those that hold or those that have ended.

    `text` is a uid, how the name of a player begins, or how a user name begins.
    """

    programme: str | None = None
    text: str = ""
    has_ended: bool = False


@dataclass(frozen=True, slots=True)
class LinkLine:
    """A link as staff see it: whose player, since when and by what proof; how it ended, if it has."""

    id: LinkId
    programme: str
    currency: str
    player_id: PlayerId
    uid: str
    player_name: str | None
    all_time_micro: Micro | None
    user_id: UserId
    username: str
    state: LinkState
    proof: Proof
    linked_at: datetime
    unlinked_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class ImportLine:
    """A line of a list of links, and what became of it, or would: `linked`, `present`, or the code of its refusal."""

    line: int
    uid: str
    user: str
    verdict: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a list of links. With a line in the way, or in a dry run, nothing of it was written."""

    lines: tuple[ImportLine, ...]
    is_written: bool


@dataclass(frozen=True, slots=True)
class MyProgramme:
    """A programme as one of its players sees it: what he is there, and where he stands.

    `month_micro` is his total of the month that is on, by the source that its board shows; `ranks` are his places on
    the current boards by their kind.
    """

    status: ProgrammeStatus
    link: LinkRow | None
    request: LinkRequest | None
    player: Player | None
    month_source: Source | None = None
    month_micro: Micro | None = None
    ranks: tuple[tuple[PeriodKind, BoardRow], ...] = ()


@dataclass(frozen=True, slots=True)
class ProgrammeCard:
    """A programme as staff change it; `version` counts their changes."""

    id: ProgrammeId
    code: str
    name: str
    currency: str
    status: str
    link_url: str | None
    site_hosts: Sequence[str]
    is_default: bool
    seq: int
    as_of: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class FeedCard:
    """A feed as staff change it: never its address in full, which may hold a key, nor the key, only how that ends."""

    id: FeedId
    programme: str
    name: str
    kind: str
    host: str | None
    auth_kind: AuthKind
    secret_hint: str | None
    coverage: Coverage
    interval_s: int
    timeout_s: int
    max_attempts: int
    max_bytes: int
    mapping_version: int
    enabled: bool
    breaker: BreakerState
    failed_cycles: int
    opened_at: datetime | None
    probe_at: datetime | None
    next_due: datetime | None
    as_of: datetime | None
    version: int

    @property
    def is_retired(self) -> bool:
        """Was it removed for good? Then it has given up the name of its kind."""
        return self.name != self.kind


@dataclass(frozen=True, slots=True)
class CycleRow:
    """A cycle as staff see it; `waited_ms` and `took_ms` are of all its exchanges together."""

    id: CycleId
    due_at: datetime
    trigger: Trigger
    state: CycleState
    attempts: int
    error_code: str | None
    snapshot_id: SnapshotId | None
    started_at: datetime
    ended_at: datetime | None
    http_status: int | None
    detail: str | None
    size: int
    took_ms: int


@dataclass(frozen=True, slots=True)
class MappingRow:
    """A version of how a feed is read; `document` is what an operator wrote."""

    version: int
    document: Mapping[str, object]
    sha256: bytes
    created_by: UserId | None
    note: str


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """A snapshot in a list of staff, and where it came from; sums are micro-units."""

    id: SnapshotId
    programme: str
    feed: str
    seq: int | None
    fetched_at: datetime
    as_of: datetime
    status: SnapshotStatus
    reason: str | None
    complete: bool
    rows_total: int
    accepted: int
    quarantined: int
    new_players: int
    changed: int
    vanished: int
    corrections: int
    delta_micro: int
    sum_all_time_micro: int
    total_users: int | None
    anomaly_counts: Mapping[str, int]
    sha256: bytes
    size: int
    content_type: str
    decided_by: UserId | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class CycleMark:
    """How one cycle of a feed ended, for a row of them side by side."""

    feed_id: FeedId
    due_at: datetime
    state: CycleState
    error_code: str | None


@dataclass(frozen=True, slots=True)
class FeedLine:
    """A feed among all of them: how it is, whether its numbers are too old, and its last cycles, oldest first."""

    state: FeedState
    is_stale: bool
    cycles: Sequence[CycleMark]


@dataclass(frozen=True, slots=True)
class AnomalyCard:
    """An anomaly as staff see it, and whose it is; `player_id` is None for one of a whole snapshot."""

    id: UUID
    programme: str
    snapshot_id: SnapshotId
    at: datetime
    player_id: PlayerId | None
    uid: str | None
    name: str | None
    code: AnomalyCode
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class HeldCard:
    """A row that was not believed as staff decide about it, beside what is known of its player."""

    id: HeldRowId
    programme: str
    currency: str
    feed: str
    snapshot_id: SnapshotId
    at: datetime
    row_no: int
    uid: str | None
    reason: HeldReason
    row: str
    held_all_time_micro: Micro | None
    state: HeldState
    decided_by: UserId | None
    decided_at: datetime | None
    note: str
    name: str | None
    known_micro: Micro | None


@dataclass(frozen=True, slots=True)
class ReadingChange:
    """What one list says of a player, and what another one says; None where he is not in it."""

    uid: str
    name: str | None
    before: Reading | None
    after: Reading | None

    @property
    def delta(self) -> Micro:
        """By how much the all-time wager differs; what is not known counts nothing."""
        before, after = (reading.all_time or 0 if reading else 0 for reading in (self.before, self.after))
        return after - before


@dataclass(frozen=True, slots=True)
class Contrast:
    """How two lists of players differ: the counts of all, and the largest differences."""

    rows: tuple[ReadingChange, ...]
    appeared: int
    gone: int
    changed: int
    same: int
    delta: Micro


ForeseenKind: TypeAlias = Literal[
    "first", "change", "correction", "columns_only", "described", "vanished", "returned", "held"
]


@dataclass(frozen=True, slots=True)
class ForeseenRow:
    """What applying a doubted snapshot would do to one player; None is what is not known."""

    uid: str
    name: str | None
    kind: ForeseenKind
    before: Micro | None
    after: Micro | None
    delta: Micro


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A doubted snapshot as it would be if it were applied now, and the largest changes; `changes` counts all."""

    snapshot: Snapshot
    rows: tuple[ForeseenRow, ...]
    changes: int


@dataclass(frozen=True, slots=True)
class UsersPoint:
    """How many players a programme had as of a snapshot."""

    at: datetime
    users: int


@dataclass(frozen=True, slots=True)
class FeedChange:
    """What staff change of a feed; None leaves it as it is. A new key replaces the old one."""

    url: str | None = field(default=None, repr=False)
    auth_kind: AuthKind | None = None
    secret: str | None = field(default=None, repr=False)
    interval_s: int | None = None
    timeout_s: int | None = None
    max_attempts: int | None = None
    max_bytes: int | None = None
    coverage: Coverage | None = None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class ProgrammeChange:
    """What staff change of a programme; None leaves it as it is."""

    name: str | None = None
    status: str | None = None
    link_url: str | None = None
    site_hosts: Sequence[str] | None = None
