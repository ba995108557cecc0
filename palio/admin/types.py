"""What the console shows across modules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from palio.kernel.permissions import Permission
from palio.kernel.providers import Change, Fact

AlarmKind: TypeAlias = Literal[
    "feed_stale",
    "feed_silent",
    "jobs_dead",
    "jobs_late",
    "ledger.mismatch",
    "overdue.settlement",
    "webhook_failing",
    "webhook_off",
    "defect",
]
Severity: TypeAlias = Literal["warning", "critical"]


PERMISSIONS = (
    Permission(
        "admin.home.read",
        "See how the house does.",
        roles=("finance", "races", "quests", "store", "support", "moderator", "marketing", "analyst", "auditor"),
    ),
    Permission("admin.approval.read", "See what waits for a second person.", roles=("finance", "races", "auditor")),
    Permission(
        "admin.approval.decide", "Approve or reject what somebody else has proposed.", roles=("finance", "races")
    ),
    Permission("admin.setting.read", "See what is set, and what it was.", roles=("finance", "races", "auditor")),
    Permission("admin.setting.write", "Change what is set."),
    Permission("admin.audit.read", "See who did what.", roles=("finance", "auditor")),
    Permission("admin.audit.export", "Take who did what out of the house as a file.", roles=("auditor",)),
    Permission("admin.export.run", "Have files made of what may be exported.", roles=("finance", "races", "auditor")),
    Permission("admin.export.personal", "Have such files say who people are."),
    Permission("admin.job.read", "See what is done in the background.", roles=("races", "auditor")),
    Permission("admin.job.control", "Try jobs again, cancel them, run schedules."),
    Permission("admin.health.read", "See what is wrong with the deployment.", roles=("auditor",)),
    Permission("admin.webhook.read", "See which machines outside are told of what.", roles=("auditor",)),
    Permission("admin.webhook.manage", "Say which machines outside are told of what, and tell them again."),
    Permission(
        "admin.developer.read", "See who uses the API by what, and what of it is going away.", roles=("auditor",)
    ),
    Permission("admin.card.read", "Look people up.", roles=("finance", "races", "support", "auditor")),
)


@dataclass(frozen=True, slots=True)
class RacesNow:
    """How many races are on, how many of them end within a day, and how many wait to be settled."""

    live: int
    ending: int
    settling: int
    next_end_at: datetime | None


@dataclass(frozen=True, slots=True)
class FeedNow:
    """How old the numbers of a programme are."""

    programme: str
    as_of: datetime | None
    is_stale: bool


@dataclass(frozen=True, slots=True)
class QueueLag:
    """How long the oldest job of a queue that is due has waited."""

    queue: str
    lag_s: int


@dataclass(frozen=True, slots=True)
class Defect:
    """Something that is wrong with the deployment, why that matters and what to do; `id` names the check."""

    id: str
    severity: Literal["error", "warning", "note"]
    what: str
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class JobsNow:
    """The queues together: `lag_s` is how long the oldest job that is due has waited."""

    lag_s: int
    waiting: int
    running: int
    dead: int
    queues: Sequence[QueueLag]


@dataclass(frozen=True, slots=True)
class WebhookNow:
    """A machine outside that takes nothing: since when, and whether it is told nothing any more."""

    id: UUID
    host: str
    since: datetime | None
    is_off: bool


@dataclass(frozen=True, slots=True)
class QueueNow:
    """Something that waits for staff. `count` is None when it could not be told."""

    label: str
    path: str
    count: int | None
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class LateNow:
    """A competition that ended, and whose product has not brought its last scores."""

    title: str
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that needs a person; `subject` is what it is about, `n` how many, `since` when it began."""

    kind: AlarmKind
    severity: Severity
    subject: str
    path: str
    n: int = 0
    since: datetime | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Today:
    """The first page of the console. What could not be read in time is None, and the others are there."""

    at: datetime
    races: RacesNow | None
    feeds: Sequence[FeedNow] | None
    jobs: JobsNow | None
    queues: Sequence[QueueNow]
    defects: Sequence[Defect] | None
    alarms: Sequence[Alarm]


@dataclass(frozen=True, slots=True)
class SettingLine:
    """A setting as it acts now. `words` are the value as an operator types it, `value` the same as JSON."""

    key: str
    module: str
    kind: str
    description: str
    unit: str
    low: int | None
    high: int | None
    choices: tuple[str, ...]
    is_sensitive: bool
    value: object
    words: str
    default_words: str
    is_default: bool
    version: int
    updated_at: datetime | None
    updated_by: UUID | None


@dataclass(frozen=True, slots=True)
class SettingVersion:
    """What a setting was from an instant on."""

    version: int
    words: str
    changed_at: datetime
    changed_by: UUID | None
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field before and after."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did, with the names of who did it and of whom it is about."""

    at: datetime
    id: int
    actor_kind: str
    actor_id: UUID | None
    actor_name: str
    subject_id: UUID | None
    subject_name: str
    action: str
    entity_type: str
    entity_id: str
    changes: Sequence[FieldChange]
    reason: str
    request_id: UUID
    approval_id: UUID | None
    via: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one person decided about a proposal."""

    name: str
    decision: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ProposalView:
    """A proposal as staff see it: what it does, who made it, what became of it, and what the reader may do.

    `changes` are what it would change now, and `obstacle` why it would fail now; both only of one that is still to
    come, and None where nobody has looked. `path` leads to its own page where its module has one.
    """

    id: UUID
    command: str
    summary: str
    effect: Sequence[tuple[str, str]]
    entity_type: str
    entity_id: str
    subject_name: str
    made_by: UUID
    maker: str
    made_at: datetime
    reason: str
    needed: int
    given: int
    state: str
    expires_at: datetime
    executed_at: datetime | None
    error_code: str | None
    verdicts: Sequence[Verdict]
    is_mine: bool
    may_decide: bool
    refusal: Literal["own", "subject", "decided", "closed", "permission"] | None
    changes: Sequence[Change] | None = None
    obstacle: str | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Inbox:
    """Proposals, and the modules whose own ones could not be read."""

    proposals: Sequence[ProposalView]
    unread: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as staff find him."""

    id: UUID
    username: str
    display_name: str
    kind: str
    status: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CardPanel:
    """What a module shows of somebody; `facts` is None when it could not be read. `acts` are words and pages."""

    module: str
    title: str
    facts: Sequence[Fact] | None
    acts: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """Somebody with everything the reader may see of him."""

    person: Person
    panels: Sequence[CardPanel]
