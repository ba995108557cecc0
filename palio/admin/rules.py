"""Decisions of the console: what is worth an alarm, and how a change is told."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from palio.admin.types import Alarm, AlarmKind, Defect, FeedNow, JobsNow, Severity

SILENT = timedelta(hours=3)
CRITICAL_LAG_S, LAG_S = 60, 600
UNTOLD = {"server.bundled"}  # true for as long as the house is a small one, and no news
FEEDS, JOBS, HEALTH = "/console/feeds", "/console/jobs", "/console/health"


def alarms(
    *,
    feeds: Sequence[FeedNow],
    jobs: JobsNow | None,
    defects: Sequence[Defect],
    now: datetime,
) -> list[Alarm]:
    """What needs a person, the critical first."""
    found = [*_of_feeds(feeds, now), *_of_jobs(jobs), *_of_defects(defects)]
    return sorted(found, key=lambda alarm: alarm.severity != "critical")


def _of_feeds(feeds: Sequence[FeedNow], now: datetime) -> Iterator[Alarm]:
    for feed in feeds:
        if not feed.is_stale:
            continue
        is_silent = feed.as_of is None or now - feed.as_of > SILENT
        kind: AlarmKind = "feed_silent" if feed.as_of is None else "feed_stale"
        yield Alarm(kind, "critical" if is_silent else "warning", feed.programme, FEEDS, since=feed.as_of)


def _of_jobs(jobs: JobsNow | None) -> Iterator[Alarm]:
    if jobs is None:
        return
    if jobs.dead:
        yield Alarm("jobs_dead", "warning", "", f"{JOBS}?state=failed", n=jobs.dead)
    for queue in jobs.queues:
        if queue.lag_s > (CRITICAL_LAG_S if queue.queue == "critical" else LAG_S):
            severity: Severity = "critical" if queue.queue == "critical" else "warning"
            yield Alarm("jobs_late", severity, queue.queue, JOBS, n=queue.lag_s)


def _of_defects(defects: Sequence[Defect]) -> Iterator[Alarm]:
    for defect in defects:
        if defect.severity != "note" and defect.id not in UNTOLD:
            severity: Severity = "critical" if defect.severity == "error" else "warning"
            yield Alarm("defect", severity, defect.what, HEALTH, text=defect.why)
