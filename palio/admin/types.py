"""What the console shows across modules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

AlarmKind: TypeAlias = Literal["feed_stale", "feed_silent", "jobs_dead", "jobs_late", "defect"]
Severity: TypeAlias = Literal["warning", "critical"]


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
class QueueNow:
    """Something that waits for staff. `count` is None when it could not be told."""

    label: str
    path: str
    count: int | None
    oldest_at: datetime | None


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
