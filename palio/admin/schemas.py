"""Shapes of the console's calls and forms."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from palio.admin.service import Desk
from palio.admin.types import Today
from palio.ui.values import Instant


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


NOON = datetime.fromisoformat("2026-03-20T12:00:00Z")
HOME = Home(
    NOON,
    RacesTile(2, 1, 0, datetime.fromisoformat("2026-03-21T00:00:00Z")),
    [FeedTile("harbour-club", datetime.fromisoformat("2026-03-20T11:13:00Z"), stale=True)],
    JobsTile(1, 3, 1, 0),
    [
        AlarmLine(
            "feed_stale", "warning", "harbour-club", 0, datetime.fromisoformat("2026-03-20T11:13:00Z"), "/console/feeds"
        )
    ],
    [QueueLine("Approvals", "/console/approvals", 2, datetime.fromisoformat("2026-03-20T09:00:00Z"))],
)
