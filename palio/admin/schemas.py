"""Shapes of the console's calls and forms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator, Field, JsonValue, StrictInt

from palio.admin.service import Desk
from palio.admin.types import Act, Card, CardPanel, ProposalView, SettingLine, SettingVersion, Today
from palio.infra.job_control import Attempt, Queued, Scheduled
from palio.kernel.permissions import Object, object_named
from palio.kernel.providers import Change, Fact
from palio.ui.access import is_fresh, step_up_needed
from palio.ui.actor import Asking
from palio.ui.bodies import Body
from palio.ui.paging import Listed
from palio.ui.values import Blank, Instant, Moment, instant

REASON_CHARACTERS_MAX = 500
ReasonText = Annotated[str, Field(max_length=REASON_CHARACTERS_MAX)]
Version = Annotated[int, Field(ge=0, le=2**31 - 1)]


def require_fresh(ask: Asking, *, is_sensitive: bool) -> None:
    """Let a sensitive setting be changed by whoever has just shown a second factor. Refuses with StepUpRequired."""
    if is_sensitive and not is_fresh(ask):
        raise step_up_needed()


def day_of(text: str) -> date | None:
    """A day as a field of a form gives it, or None when it is empty. Refuses what is no day."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        words = "A day is written as 2026-03-20."
        raise RequestValidationError([{"loc": ("query", "since"), "type": "date_invalid", "msg": words}]) from None


# what is sent


class Reason(Body):
    """Why, for the audit log."""

    reason: ReasonText


class MaybeReason(Body):
    """Why, if there is anything to say."""

    reason: ReasonText = ""


class NewValue(Body):
    """The value of a setting as JSON; null is the default."""

    value: JsonValue
    reason: ReasonText


class VersionedValue(Body):
    """A setting in a change set, with the version that was seen."""

    key: Annotated[str, Field(max_length=100)]
    value: JsonValue
    version: StrictInt


class ChangeSet(Body):
    """Settings that are changed together."""

    changes: Annotated[list[VersionedValue], Field(min_length=1, max_length=100)]
    reason: ReasonText


class Revert(Body):
    """Which version a setting goes back to; 0 is the default."""

    to_version: Annotated[StrictInt, Field(ge=0)]
    reason: ReasonText


class SettingForm(Body):
    """A setting from its page."""

    value: Annotated[str, Field(max_length=10_000)] = ""
    version: Version
    reason: ReasonText = ""


class ReasonForm(Body):
    """Why, from a page."""

    reason: ReasonText = ""


class JobForm(Body):
    """What becomes of a job."""

    act: Literal["retry", "cancel"]
    reason: ReasonText = ""


class DecisionForm(Body):
    """A decision about a proposal."""

    decision: Literal["approve", "reject"]
    reason: ReasonText = ""


def read_object(text: object) -> object:
    """The one thing that a role is held of, as forms write it. Raises ValueError for what is none."""
    if isinstance(text, str) and (found := object_named(text.strip())) is None:
        raise ValueError("Write competition:, and its id")
    return found if isinstance(text, str) else text


class RoleForm(Body):
    """Which role is taken, everywhere or of one thing, and why."""

    role: Annotated[str, Field(max_length=40)]
    of: Annotated[Object | None, BeforeValidator(read_object), Blank] = None
    reason: ReasonText


class GrantForm(RoleForm):
    """Which role is given, until when, and why."""

    expires_at: Annotated[Moment | None, Blank] = None


class SessionsForm(Body):
    """Which session ends (all of them without one), and why."""

    session_id: Annotated[UUID | None, Blank] = None
    reason: ReasonText


class NothingForm(Body):
    """A form without fields of its own."""


# what is answered


@dataclass(frozen=True, slots=True)
class Done:
    """It is done."""

    status: Literal["done"] = "done"


DONE = Done()


def desk_of(request: Request) -> Desk:
    """What the console of this application works with."""
    desk: Desk = request.app.state.desk
    return desk


@dataclass(frozen=True, slots=True)
class RacesTile:
    """How many races are on, end within a day, and wait to be settled."""

    live: int
    ending: int
    settling: int
    next_end_at: Instant | None


@dataclass(frozen=True, slots=True)
class FeedTile:
    """How old the numbers of a programme are."""

    programme: str
    as_of: Instant | None
    stale: bool


@dataclass(frozen=True, slots=True)
class JobsTile:
    """What waits, works and has given up; `lag_s` is how long the oldest that is due has waited."""

    lag_s: int
    waiting: int
    running: int
    dead: int


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """Something that needs a person."""

    kind: str
    severity: str
    subject: str
    n: int
    since: Instant | None
    path: str


@dataclass(frozen=True, slots=True)
class QueueLine:
    """How much waits somewhere; null when it could not be told."""

    label: str
    path: str
    count: int | None
    oldest_at: Instant | None


@dataclass(frozen=True, slots=True)
class Home:
    """How the house does. A part that could not be read, or that you may not see, is null."""

    at: Instant
    races: RacesTile | None
    feeds: list[FeedTile] | None
    jobs: JobsTile | None
    alarms: list[AlarmLine]
    queues: list[QueueLine]

    @classmethod
    def of(cls, today: Today) -> "Home":
        """The answer for a page."""
        races, jobs = today.races, today.jobs
        return cls(
            today.at,
            RacesTile(races.live, races.ending, races.settling, races.next_end_at) if races else None,
            [FeedTile(one.programme, one.as_of, one.is_stale) for one in today.feeds]
            if today.feeds is not None
            else None,
            JobsTile(jobs.lag_s, jobs.waiting, jobs.running, jobs.dead) if jobs else None,
            [AlarmLine(one.kind, one.severity, one.subject, one.n, one.since, one.path) for one in today.alarms],
            [QueueLine(one.label, one.path, one.count, one.oldest_at) for one in today.queues],
        )


@dataclass(frozen=True, slots=True)
class SettingAnswer:
    """A setting as it acts now; `value` and `default` are as an operator types them."""

    key: str
    kind: str
    description: str
    unit: str
    low: int | None
    high: int | None
    choices: tuple[str, ...]
    value: str
    default: str
    is_default: bool
    version: int
    updated_at: Instant | None
    updated_by: UUID | None

    @classmethod
    def of(cls, line: SettingLine) -> "SettingAnswer":
        """The answer for a setting."""
        return cls(
            line.key,
            line.kind,
            line.description,
            line.unit,
            line.low,
            line.high,
            line.choices,
            line.words,
            line.default_words,
            line.is_default,
            line.version,
            line.updated_at,
            line.updated_by,
        )


@dataclass(frozen=True, slots=True)
class SettingVersionAnswer:
    """What a setting was from an instant on."""

    version: int
    value: str
    changed_at: Instant
    changed_by: UUID | None
    kind: str
    reason: str

    @classmethod
    def of(cls, one: SettingVersion) -> "SettingVersionAnswer":
        """The answer for a version."""
        return cls(one.version, one.words, one.changed_at, one.changed_by, one.kind, one.reason)


@dataclass(frozen=True, slots=True)
class SettingWithHistory:
    """A setting with its value as JSON, and what it was, the newest first."""

    setting: SettingAnswer
    stored: Any
    history: tuple[SettingVersionAnswer, ...]

    @classmethod
    def of(cls, line: SettingLine, history: Sequence[SettingVersion]) -> "SettingWithHistory":
        """The answer for a setting and its history."""
        return cls(SettingAnswer.of(line), line.value, tuple(map(SettingVersionAnswer.of, history)))


@dataclass(frozen=True, slots=True)
class Changed:
    """The versions of what was changed, by key."""

    versions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """A row of the queue; `error` is what went wrong last."""

    id: int
    job: str
    queue: str
    state: str
    attempts: int
    due_at: Instant | None
    error: str | None

    @classmethod
    def of(cls, row: Queued) -> "JobAnswer":
        """The answer for a row."""
        return cls(row.id, row.job, row.queue, row.state, row.attempts, row.due_at, row.error)


@dataclass(frozen=True, slots=True)
class AttemptAnswer:
    """One attempt at a job, and how it ended."""

    started_at: Instant
    attempt: int
    status: str
    ms: int | None
    error_code: str | None
    error: str | None
    request_id: UUID

    @classmethod
    def of(cls, one: Attempt) -> "AttemptAnswer":
        """The answer for an attempt."""
        return cls(one.started_at, one.attempt, one.status, one.ms, one.error_code, one.error, one.request_id)


@dataclass(frozen=True, slots=True)
class JobWithAttempts:
    """A row of the queue and what became of its attempts, the newest first."""

    job: JobAnswer
    attempts: tuple[AttemptAnswer, ...]

    @classmethod
    def of(cls, row: Queued, attempts: Sequence[Attempt]) -> "JobWithAttempts":
        """The answer for a row and its attempts."""
        return cls(JobAnswer.of(row), tuple(map(AttemptAnswer.of, attempts)))


@dataclass(frozen=True, slots=True)
class ScheduleAnswer:
    """A schedule, when it is due next and how it went last."""

    name: str
    enabled: bool
    paused_until: Instant | None
    next_at: Instant
    last_finished_at: Instant | None
    last_status: str | None

    @classmethod
    def of(cls, one: Scheduled) -> "ScheduleAnswer":
        """The answer for a schedule."""
        return cls(one.name, one.enabled, one.paused_until, one.next_at, one.last_finished_at, one.last_status)


@dataclass(frozen=True, slots=True)
class AuditAnswer:
    """What somebody did; `changes` says in one line what each field was and became."""

    id: int
    at: Instant
    actor_kind: str
    actor_id: UUID | None
    actor: str
    action: str
    entity_type: str
    entity_id: str
    subject_id: UUID | None
    changes: str
    reason: str
    request_id: UUID
    approval_id: UUID | None
    via: str

    @classmethod
    def of(cls, act: Act) -> "AuditAnswer":
        """The answer for an act."""
        return cls(
            act.id,
            act.at,
            act.actor_kind,
            act.actor_id,
            act.actor_name,
            act.action,
            act.entity_type,
            act.entity_id,
            act.subject_id,
            "; ".join(f"{one.field}: {one.before} → {one.after}" for one in act.changes),
            act.reason,
            act.request_id,
            act.approval_id,
            act.via,
        )


@dataclass(frozen=True, slots=True)
class VerdictAnswer:
    """What one person decided."""

    name: str
    decision: str
    reason: str
    at: Instant


@dataclass(frozen=True, slots=True)
class ChangeAnswer:
    """One thing that an act would change, before and after; of amounts `scale` digits are decimals of the asset."""

    whose: str
    what: str
    before: str | int | None
    after: str | int | None
    asset: str | None
    scale: int | None

    @classmethod
    def of(cls, one: Change) -> "ChangeAnswer":
        before, after = (instant(value) if isinstance(value, datetime) else value for value in (one.before, one.after))
        return cls(one.whose, one.what, before, after, *(one.asset or (None, None)))


@dataclass(frozen=True, slots=True)
class ProposalAnswer:
    """A proposal; `effect` are its facts, `may_decide` whether you may, and `refusal` why not.

    `changes` are what it would change now, `obstacle` the code with which it would fail now; both only where one
    proposal that is still to come is read, and null elsewhere.
    """

    id: UUID
    command: str
    summary: str
    effect: Mapping[str, str]
    entity_type: str
    entity_id: str
    made_by: UUID
    maker: str
    made_at: Instant
    reason: str
    needed: int
    given: int
    state: str
    expires_at: Instant
    executed_at: Instant | None
    error_code: str | None
    verdicts: tuple[VerdictAnswer, ...]
    may_decide: bool
    refusal: str | None
    changes: tuple[ChangeAnswer, ...] | None = None
    obstacle: str | None = None

    @classmethod
    def of(cls, one: ProposalView) -> "ProposalAnswer":
        """The answer for a proposal."""
        return cls(
            one.id,
            one.command,
            one.summary,
            dict(one.effect),
            one.entity_type,
            one.entity_id,
            one.made_by,
            one.maker,
            one.made_at,
            one.reason,
            one.needed,
            one.given,
            one.state,
            one.expires_at,
            one.executed_at,
            one.error_code,
            tuple(VerdictAnswer(each.name, each.decision, each.reason, each.at) for each in one.verdicts),
            one.may_decide,
            one.refusal,
            None if one.changes is None else tuple(map(ChangeAnswer.of, one.changes)),
            one.obstacle,
        )


@dataclass(frozen=True, slots=True)
class FactAnswer:
    """One line of a panel; an amount is in the smallest unit of its asset."""

    label: str
    value: str | int | None
    asset: str | None
    note: str

    @classmethod
    def of(cls, fact: Fact) -> "FactAnswer":
        """The answer for a line."""
        value = fact.value.isoformat() if isinstance(fact.value, datetime) else fact.value
        return cls(fact.label, value, fact.asset[0] if fact.asset else None, fact.note)


@dataclass(frozen=True, slots=True)
class PanelAnswer:
    """What a module knows of somebody; null when it could not be read."""

    module: str
    title: str
    facts: tuple[FactAnswer, ...] | None

    @classmethod
    def of(cls, panel: CardPanel) -> "PanelAnswer":
        """The answer for a panel."""
        facts = None if panel.facts is None else tuple(map(FactAnswer.of, panel.facts))
        return cls(panel.module, panel.title, facts)


@dataclass(frozen=True, slots=True)
class CardAnswer:
    """Somebody with what you may see of him."""

    id: UUID
    username: str
    display_name: str
    status: str
    panels: tuple[PanelAnswer, ...]

    @classmethod
    def of(cls, card: Card) -> "CardAnswer":
        """The answer for a card."""
        person = card.person
        panels = tuple(map(PanelAnswer.of, card.panels))
        return cls(person.id, person.username, person.display_name, person.status, panels)


# examples

NOON = datetime.fromisoformat("2026-03-20T12:00:00Z")
HOME = Home(
    NOON,
    RacesTile(2, 1, 0, datetime.fromisoformat("2026-03-21T00:00:00Z")),
    [FeedTile("harbour-club", datetime.fromisoformat("2026-03-20T11:13:00Z"), stale=True)],
    JobsTile(1, 3, 1, 0),
    [
        AlarmLine(
            "feed_stale",
            "warning",
            "harbour-club",
            0,
            datetime.fromisoformat("2026-03-20T11:13:00Z"),
            "/console/affiliates/feeds",
        )
    ],
    [QueueLine("Approvals", "/console/approvals", 2, datetime.fromisoformat("2026-03-20T09:00:00Z"))],
)
AN_ID = UUID("0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44")
ANOTHER_ID = UUID("0198a4f2-7d11-7c2a-8b31-1f5e2a7c9d02")
A_SETTING = SettingAnswer(
    "affiliates.stale_after_s",
    "duration",
    "After how many seconds without numbers a programme is stale",
    "seconds",
    60,
    86_400,
    (),
    "1800",
    "2700",
    is_default=False,
    version=3,
    updated_at=NOON,
    updated_by=AN_ID,
)
SETTINGS = Listed((A_SETTING,), None, None)
SETTING = SettingWithHistory(
    A_SETTING, 1_800, (SettingVersionAnswer(3, "1800", NOON, AN_ID, "set", "the provider is slower at night"),)
)
CHANGED = Changed({"affiliates.stale_after_s": 4})
A_JOB = JobAnswer(812, "palio.races.jobs.settle", "critical", "failed", 5, NOON, "the pool is short")
JOBS = Listed((A_JOB,), None, None)
JOB = JobWithAttempts(A_JOB, (AttemptAnswer(NOON, 5, "dead", 41, "ledger.funds", "the pool is short", ANOTHER_ID),))
SCHEDULES = Listed(
    (
        ScheduleAnswer(
            "races.tick", enabled=True, paused_until=None, next_at=NOON, last_finished_at=NOON, last_status="done"
        ),
    ),
    None,
    None,
)
AUDIT = Listed(
    (
        AuditAnswer(
            4_711,
            NOON,
            "staff",
            AN_ID,
            "Noor Haddad",
            "setting.change",
            "setting",
            "affiliates.stale_after_s",
            None,
            "value: 2700 → 1800",
            "the provider is slower at night",
            ANOTHER_ID,
            None,
            "web",
        ),
    ),
    None,
    None,
)
PROPOSALS = Listed(
    (
        ProposalAnswer(
            ANOTHER_ID,
            "races.adjust",
            "Adjust a total of race 36 by 250 USD: a wager was counted twice",
            {"number": "36", "amount micro": "250000000"},
            "race",
            str(AN_ID),
            AN_ID,
            "Noor Haddad",
            NOON,
            "the provider confirmed it",
            1,
            0,
            "open",
            datetime.fromisoformat("2026-03-23T12:00:00Z"),
            None,
            None,
            (),
            may_decide=True,
            refusal=None,
            changes=(ChangeAnswer("Hive", "total", 1_250_000_000, 1_500_000_000, "USD", 6),),
        ),
    ),
    None,
    None,
)
CARD = CardAnswer(
    AN_ID,
    "tomasz_w",
    "Tomasz",
    "active",
    (PanelAnswer("ledger", "Wallets", (FactAnswer("USD", 1_250_00, "USD", "0 held"),)),),
)
