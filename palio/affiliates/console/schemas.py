"""How feeds look to staff: what is asked for, and what is answered. Wagers are micro-units."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from fastapi import Path, Query
from pydantic import AwareDatetime, Field, JsonValue, StrictBool, StrictInt

from palio.affiliates.types import (
    AnomalyCard,
    AnomalyCode,
    AuthKind,
    Contrast,
    Coverage,
    CycleRow,
    FeedCard,
    FeedChange,
    HeldCard,
    HeldReason,
    HeldState,
    MappingRow,
    NewFeed,
    ProgrammeCard,
    ProgrammeChange,
    Reading,
    ReadingChange,
    Snapshot,
    SnapshotRow,
    Trial,
)
from palio.ui.bodies import Body
from palio.ui.values import Blank, Instant

UPLOAD_BYTES_MAX = 64 << 20
Reason = Annotated[str, Field(min_length=5, max_length=500, description="Why; it stays in the audit")]
Code = Annotated[str, Path(pattern="^[a-z0-9-]{2,40}$", examples=["northwind"])]
Version = Annotated[int, Path(ge=0, le=2**31 - 1, examples=[3])]  # 0: what a feed begins with
Url = Annotated[str, Field(min_length=8, max_length=2_000)]
Secret = Annotated[str, Field(min_length=1, max_length=500, description="The key; it is sealed, and never shown")]
Interval = Annotated[StrictInt, Field(ge=10, le=86_400)]
Host = Annotated[str, Field(pattern=r"^[a-z0-9.-]{3,253}$")]
Status: TypeAlias = Literal["applied", "suspicious", "invalid", "discarded"]
AnomalyKind = Annotated[AnomalyCode | None, Query(description="One kind; all of them without it"), Blank]
HeldFor = Annotated[HeldReason | None, Query(description="One kind of doubt; all of them without it"), Blank]
HeldAs = Annotated[HeldState | None, Query(description="What became of them; all of them when it is empty"), Blank]


class WithReason(Body):
    """What a call of staff takes, and why."""

    reason: Reason


class ProgrammeBody(WithReason):
    """A programme to be made."""

    code: Annotated[str, Field(pattern="^[a-z0-9-]{2,40}$")]
    name: Annotated[str, Field(min_length=1, max_length=80)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    coverage: Coverage = "full"


class ProgrammeChangeBody(WithReason):
    """What changes of a programme; what is left out stays."""

    name: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    status: Literal["active", "paused"] | None = None
    link_url: Annotated[str, Field(max_length=2_000, pattern="^https://|^$")] | None = None
    site_hosts: Annotated[list[Host], Field(max_length=50)] | None = None

    def change(self) -> ProgrammeChange:
        """As the use case takes it."""
        return ProgrammeChange(self.name, self.status, self.link_url, self.site_hosts)


class FeedBody(WithReason):
    """A feed that is read by itself; without an interval the setting holds."""

    programme: Annotated[str, Field(pattern="^[a-z0-9-]{2,40}$")]
    url: Url
    auth_kind: AuthKind = "none"
    key: Secret | None = None
    interval_s: Interval | None = None
    coverage: Coverage = "full"

    def new(self) -> NewFeed:
        """As the use case takes it."""
        return NewFeed(self.url, self.auth_kind, self.key, self.interval_s, self.coverage)


class FeedChangeBody(WithReason):
    """What changes of a feed; what is left out stays."""

    url: Url | None = None
    auth_kind: AuthKind | None = None
    key: Secret | None = None
    interval_s: Interval | None = None
    timeout_s: Annotated[StrictInt, Field(ge=1, le=120)] | None = None
    max_attempts: Annotated[StrictInt, Field(ge=1, le=10)] | None = None
    max_bytes: Annotated[StrictInt, Field(ge=1_024, le=536_870_912)] | None = None
    coverage: Coverage | None = None
    enabled: StrictBool | None = None

    def change(self) -> FeedChange:
        """As the use case takes it."""
        return FeedChange(
            url=self.url,
            auth_kind=self.auth_kind,
            secret=self.key,
            interval_s=self.interval_s,
            timeout_s=self.timeout_s,
            max_attempts=self.max_attempts,
            max_bytes=self.max_bytes,
            coverage=self.coverage,
            enabled=self.enabled,
        )


class MappingBody(WithReason):
    """How a feed is to be read."""

    mapping: Annotated[dict[str, JsonValue], Field(examples=[{"page": "page", "total_pages": "meta.pages"}])]


class UploadBody(WithReason):
    """A file as it came, and when it was fetched."""

    fetched_at: AwareDatetime
    content: Annotated[str, Field(min_length=1, description="The file, as text")]
    content_type: Annotated[str, Field(max_length=100)] = "application/json"


class ReasonBody(WithReason):
    """Why."""


@dataclass(frozen=True, slots=True)
class StaffProgrammeAnswer:
    """A programme as staff change it."""

    id: UUID
    code: str
    name: str
    currency: str
    status: str
    link_url: str | None
    site_hosts: tuple[str, ...]
    default: bool
    seq: int
    as_of: Instant | None
    version: int

    @classmethod
    def of(cls, card: ProgrammeCard) -> "StaffProgrammeAnswer":
        return cls(
            id=card.id,
            code=card.code,
            name=card.name,
            currency=card.currency,
            status=card.status,
            link_url=card.link_url,
            site_hosts=tuple(card.site_hosts),
            default=card.is_default,
            seq=card.seq,
            as_of=card.as_of,
            version=card.version,
        )


@dataclass(frozen=True, slots=True)
class StaffProgrammesAnswer:
    """Every programme, the default one first."""

    items: tuple[StaffProgrammeAnswer, ...]


@dataclass(frozen=True, slots=True)
class FeedAnswer:
    """A feed as staff change it: where it is read, how often, and whether it is left alone. Its key is never shown."""

    id: UUID
    programme: str
    name: str
    kind: str
    host: str | None
    auth_kind: str
    key_ends_with: str | None
    coverage: str
    interval_s: int
    timeout_s: int
    max_attempts: int
    max_bytes: int
    mapping_version: int
    enabled: bool
    breaker: str
    failed_cycles: int
    opened_at: Instant | None
    probe_at: Instant | None
    next_due: Instant | None
    as_of: Instant | None
    version: int

    @classmethod
    def of(cls, card: FeedCard) -> "FeedAnswer":
        return cls(
            id=card.id,
            programme=card.programme,
            name=card.name,
            kind=card.kind,
            host=card.host,
            auth_kind=card.auth_kind,
            key_ends_with=card.secret_hint,
            coverage=card.coverage,
            interval_s=card.interval_s,
            timeout_s=card.timeout_s,
            max_attempts=card.max_attempts,
            max_bytes=card.max_bytes,
            mapping_version=card.mapping_version,
            enabled=card.enabled,
            breaker=card.breaker,
            failed_cycles=card.failed_cycles,
            opened_at=card.opened_at,
            probe_at=card.probe_at,
            next_due=card.next_due,
            as_of=card.as_of,
            version=card.version,
        )


@dataclass(frozen=True, slots=True)
class FeedsAnswer:
    """Every feed, by programme and name."""

    items: tuple[FeedAnswer, ...]


@dataclass(frozen=True, slots=True)
class CycleAnswer:
    """One reading of a feed with its retries; status, detail and bytes are those of the last exchange."""

    id: UUID
    due_at: Instant
    trigger: str
    state: str
    attempts: int
    error_code: str | None
    snapshot_id: UUID | None
    started_at: Instant
    ended_at: Instant | None
    http_status: int | None
    detail: str | None
    bytes: int
    took_ms: int

    @classmethod
    def of(cls, row: CycleRow) -> "CycleAnswer":
        return cls(
            id=row.id,
            due_at=row.due_at,
            trigger=row.trigger,
            state=row.state,
            attempts=row.attempts,
            error_code=row.error_code,
            snapshot_id=row.snapshot_id,
            started_at=row.started_at,
            ended_at=row.ended_at,
            http_status=row.http_status,
            detail=row.detail,
            bytes=row.size,
            took_ms=row.took_ms,
        )


@dataclass(frozen=True, slots=True)
class CyclesAnswer:
    """The last fifty cycles, the newest first."""

    items: tuple[CycleAnswer, ...]


@dataclass(frozen=True, slots=True)
class TriedRowAnswer:
    """A row as it would be read; null is what the feed does not say."""

    uid: str
    name: str | None
    today_micro: int | None
    week_micro: int | None
    month_micro: int | None
    all_time_micro: int | None


@dataclass(frozen=True, slots=True)
class HeldTrialAnswer:
    """A row that would be set aside, and why."""

    row_no: int
    uid: str | None
    reason: str
    row: str


@dataclass(frozen=True, slots=True)
class TrialAnswer:
    """What a feed would bring now: the first rows, and every row with a problem. Nothing is written."""

    outcome: str
    http_status: int | None
    detail: str
    bytes: int
    error_code: str | None
    shape: str | None
    accepted: int
    rows: tuple[TriedRowAnswer, ...]
    held: tuple[HeldTrialAnswer, ...]

    @classmethod
    def of(cls, trial: Trial) -> "TrialAnswer":
        return cls(
            outcome=trial.outcome,
            http_status=trial.http_status,
            detail=trial.detail,
            bytes=trial.size,
            error_code=trial.error_code,
            shape=trial.shape,
            accepted=trial.accepted,
            rows=tuple(
                TriedRowAnswer(row.uid, row.name, row.today, row.week, row.month, row.all_time) for row in trial.rows
            ),
            held=tuple(HeldTrialAnswer(row.row_no, row.uid, row.reason, row.row) for row in trial.held),
        )


@dataclass(frozen=True, slots=True)
class FetchAnswer:
    """A reading that a job carries out: `manual`, or the `probe` of a feed that is left alone."""

    feed_id: UUID
    trigger: str


@dataclass(frozen=True, slots=True)
class MappingAnswer:
    """A version of how a feed is read."""

    version: int
    mapping: Mapping[str, object]
    sha256: str
    created_by: UUID | None
    note: str

    @classmethod
    def of(cls, row: MappingRow) -> "MappingAnswer":
        return cls(row.version, row.document, row.sha256.hex(), row.created_by, row.note)


@dataclass(frozen=True, slots=True)
class MappingsAnswer:
    """Every version, the newest first; 0 is the built-in one and stands nowhere."""

    items: tuple[MappingAnswer, ...]


@dataclass(frozen=True, slots=True)
class MappedAnswer:
    """The version by which a feed is read from now on."""

    version: int


@dataclass(frozen=True, slots=True)
class SnapshotAnswer:
    """One payload parsed and judged; `seq` counts those that were applied."""

    id: UUID
    programme: str
    feed: str
    seq: int | None
    fetched_at: Instant
    as_of: Instant
    status: str
    doubt: str | None
    complete: bool
    rows: int
    accepted: int
    quarantined: int
    new_players: int
    changed: int
    vanished: int
    corrections: int
    delta_micro: int
    sum_all_time_micro: int
    total_users: int | None
    anomalies: Mapping[str, int]
    payload_sha256: str
    payload_bytes: int
    decided_by: UUID | None
    decided_at: Instant | None

    @classmethod
    def of(cls, row: SnapshotRow) -> "SnapshotAnswer":
        return cls(
            id=row.id,
            programme=row.programme,
            feed=row.feed,
            seq=row.seq,
            fetched_at=row.fetched_at,
            as_of=row.as_of,
            status=row.status,
            doubt=row.reason,
            complete=row.complete,
            rows=row.rows_total,
            accepted=row.accepted,
            quarantined=row.quarantined,
            new_players=row.new_players,
            changed=row.changed,
            vanished=row.vanished,
            corrections=row.corrections,
            delta_micro=row.delta_micro,
            sum_all_time_micro=row.sum_all_time_micro,
            total_users=row.total_users,
            anomalies=row.anomaly_counts,
            payload_sha256=row.sha256.hex(),
            payload_bytes=row.size,
            decided_by=row.decided_by,
            decided_at=row.decided_at,
        )


@dataclass(frozen=True, slots=True)
class VerdictAnswer:
    """What became of a snapshot."""

    id: UUID
    status: str
    seq: int | None
    accepted: int
    changed: int
    quarantined: int

    @classmethod
    def of(cls, snapshot: Snapshot) -> "VerdictAnswer":
        return cls(
            *(snapshot.id, snapshot.status, snapshot.seq, snapshot.accepted, snapshot.changed, snapshot.quarantined)
        )


@dataclass(frozen=True, slots=True)
class SideAnswer:
    """A player in one of two lists; null is what it does not say."""

    name: str | None
    today_micro: int | None
    week_micro: int | None
    month_micro: int | None
    all_time_micro: int | None

    @classmethod
    def of(cls, reading: Reading | None) -> "SideAnswer | None":
        if reading is None:
            return None
        return cls(reading.name, reading.today, reading.week, reading.month, reading.all_time)


@dataclass(frozen=True, slots=True)
class DifferenceAnswer:
    """A player of whom two lists say different things; null where he is not in one."""

    uid: str
    before: SideAnswer | None
    after: SideAnswer | None
    delta_micro: int

    @classmethod
    def of(cls, row: ReadingChange) -> "DifferenceAnswer":
        return cls(row.uid, SideAnswer.of(row.before), SideAnswer.of(row.after), row.delta)


@dataclass(frozen=True, slots=True)
class ContrastAnswer:
    """How two lists differ: counts of all players, and the two hundred largest differences."""

    appeared: int
    gone: int
    changed: int
    same: int
    delta_micro: int
    items: tuple[DifferenceAnswer, ...]

    @classmethod
    def of(cls, found: Contrast) -> "ContrastAnswer":
        return cls(
            *(found.appeared, found.gone, found.changed, found.same, found.delta),
            tuple(map(DifferenceAnswer.of, found.rows)),
        )


@dataclass(frozen=True, slots=True)
class QuarantineAnswer:
    """A row that was not believed, as it came; only a `jump` can be believed after all.

    `known_micro` is the all-time wager that is believed of its player, null for whom nobody knows.
    """

    id: UUID
    programme: str
    feed: str
    snapshot_id: UUID
    at: Instant
    row_no: int
    uid: str | None
    problem: str
    row: str
    all_time_micro: int | None
    known_micro: int | None
    state: str

    @classmethod
    def of(cls, card: HeldCard) -> "QuarantineAnswer":
        return cls(
            *(card.id, card.programme, card.feed, card.snapshot_id, card.at, card.row_no, card.uid, card.reason),
            *(card.row, card.held_all_time_micro, card.known_micro, card.state),
        )


@dataclass(frozen=True, slots=True)
class AnomalyAnswer:
    """Something that was believed but is odd."""

    programme: str
    snapshot_id: UUID
    at: Instant
    uid: str | None
    code: str
    facts: Mapping[str, object]

    @classmethod
    def of(cls, card: AnomalyCard) -> "AnomalyAnswer":
        return cls(card.programme, card.snapshot_id, card.at, card.uid, card.code, card.facts)


_ID = UUID("0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44")
_AT = datetime(2026, 3, 18, 14, 5, 9, 123456, tzinfo=UTC)
_DIGEST = "02ba421e" + "0" * 56
PROGRAMME_EXAMPLE = StaffProgrammeAnswer(
    *(_ID, "northwind", "Northwind", "USD", "active", "https://northwind.example/?ref=palio", ("northwind.example",)),
    default=True,
    seq=412,
    as_of=_AT,
    version=2,
)
FEED_EXAMPLE = FeedAnswer(
    *(_ID, "northwind", "pull", "pull", "api.northwind.example", "bearer", "-XYZ", "full", 900, 20, 4, 67_108_864),
    mapping_version=1,
    enabled=True,
    breaker="open",
    failed_cycles=5,
    opened_at=_AT,
    probe_at=_AT,
    next_due=_AT,
    as_of=_AT,
    version=3,
)
CYCLE_EXAMPLE = CycleAnswer(
    *(_ID, _AT, "schedule", "failed", 4, "http_5xx", None, _AT, _AT, 503, "it answered 503", 0, 9_120)
)
TRIAL_EXAMPLE = TrialAnswer(
    *("ok", 200, "", 21_204, None, "flat", 127),
    (TriedRowAnswer("5XLJobqamfk6lZCvYKGR", "player0018", 0, 70_628_429, 70_628_429, 155_530_000),),
    (HeldTrialAnswer(13, "abc", "bad_number", '{"uid": "abc", "wagered": {"all_time": "many"}}'),),
)
MAPPING_EXAMPLE = MappingAnswer(1, {"page": "page", "total_pages": "meta.pages"}, _DIGEST, _ID, "two pages now")
SNAPSHOT_EXAMPLE = SnapshotAnswer(
    *(_ID, "northwind", "pull", None, _AT, _AT, "suspicious", "shrink", True, 63, 63, 0, 0, 0, 64, 0, 0),
    sum_all_time_micro=3_018_947_973_505,
    total_users=None,
    anomalies={"mass_vanish": 1},
    payload_sha256=_DIGEST,
    payload_bytes=10_604,
    decided_by=None,
    decided_at=None,
)
VERDICT_EXAMPLE = VerdictAnswer(_ID, "applied", 413, 63, 12, 0)
CONTRAST_EXAMPLE = ContrastAnswer(
    *(1, 0, 1, 125, 84_600_000),
    (
        DifferenceAnswer(
            "abc", SideAnswer("ann", 0, 0, 0, 100_000_000), SideAnswer("ann", 0, 0, 0, 90_000_000), -(10**7)
        ),
    ),
)
QUARANTINE_EXAMPLE = QuarantineAnswer(
    *(_ID, "northwind", "pull", _ID, _AT, 13, "abc", "jump", '{"uid": "abc", "wagered": {"all_time": 900000}}'),
    *(900_000_000_000, 155_530_000, "held"),
)
ANOMALY_EXAMPLE = AnomalyAnswer(
    *("northwind", _ID, _AT, "abc", "correction", {"before": 100_000_000, "after": 90_000_000})
)
