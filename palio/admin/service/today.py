"""The first page: how the house does at a glance, what needs a person, and what waits for one."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from palio import affiliates, competitions, ledger, races
from palio.admin import rules
from palio.admin.service.desk import Desk
from palio.admin.types import Defect, FeedNow, JobsNow, LateNow, QueueLag, QueueNow, RacesNow, Today, WebhookNow
from palio.infra import db, job_control, logging, webhooks
from palio.infra.db import Tx
from palio.kernel.providers import Queue

log = logging.get("admin.today")

PANEL_SECONDS_MAX = 1.0  # what is slower than this is left out; usually each takes a few milliseconds
RACES_LOOKED_AT = 200
COMPETITIONS, BOOKS = "competitions.competition.read", "ledger.wallet.read"
ENDING = timedelta(hours=24)
EXAMINED_FOR = timedelta(minutes=1)

Read = TypeVar("Read")


async def today(tx: Tx, *, desk: Desk, held: Collection[str], now: datetime) -> Today:
    """How the house does, as far as somebody who holds these permissions may know."""
    found_races = await alone(tx, part="races", read=lambda: _races(tx, now))
    feeds = await alone(tx, part="feeds", read=lambda: _feeds(tx, now))
    jobs = await alone(tx, part="jobs", read=lambda: _jobs(tx)) if "admin.job.read" in held else None
    is_reader = COMPETITIONS in held
    late = await alone(tx, part="settlements", read=lambda: _late(tx, now)) if is_reader else None
    queues = [await _queue(tx, queue, now) for queue in desk.queues if queue.permission in held]
    defects = await alone(tx, part="defects", read=lambda: _defects(tx, desk, now))
    wrong = await alone(tx, part="ledger", read=lambda: ledger.open_findings(tx)) if BOOKS in held else None
    deaf = await alone(tx, part="webhooks", read=lambda: _deaf(tx, now)) if "admin.webhook.read" in held else None
    alarms = rules.alarms(
        feeds=feeds or (),
        jobs=jobs,
        defects=defects or (),
        webhooks=deaf or (),
        late=late or (),
        mismatches=wrong or 0,
        now=now,
    )
    return Today(now, found_races, feeds, jobs, queues, defects, alarms)


async def waiting(tx: Tx, *, queues: Sequence[Queue[Tx]], held: Collection[str], now: datetime) -> dict[str, int]:
    """How much waits, by the address of the page where it is dealt with."""
    found = [await _queue(tx, queue, now) for queue in queues if queue.permission in held]
    return {queue.path: queue.count for queue in found if queue.count}


async def alone(tx: Tx, *, part: str, read: Callable[[], Awaitable[Read]]) -> Read | None:
    """What a part of a page reads, or None: when it fails or takes too long, the others go on without it."""
    try:
        async with db.attempt(tx), asyncio.timeout(PANEL_SECONDS_MAX):
            return await read()
    except Exception:
        log.exception("a part of a page could not be read", part=part)
        return None


async def _races(tx: Tx, now: datetime) -> RacesNow:
    lines = await races.recent(tx, limit=RACES_LOOKED_AT)
    ends = sorted(line.ends_at for line in lines if line.status == "live")
    return RacesNow(
        live=len(ends),
        ending=sum(now <= end < now + ENDING for end in ends),
        settling=sum(line.status == "settling" for line in lines),
        next_end_at=ends[0] if ends else None,
    )


async def _feeds(tx: Tx, now: datetime) -> list[FeedNow]:
    return [FeedNow(one.programme, one.as_of, one.is_stale) for one in await affiliates.health(tx, now=now)]


async def _deaf(tx: Tx, now: datetime) -> list[WebhookNow]:
    return [WebhookNow(one.id, one.host, one.since, one.is_off) for one in await webhooks.troubles(tx, now=now)]


async def _late(tx: Tx, now: datetime) -> list[LateNow]:
    return [LateNow(one.title, one.ends_at) for one in await competitions.overdue(tx, now=now)]


async def _jobs(tx: Tx) -> JobsNow:
    found = await job_control.figures(tx)
    return JobsNow(
        lag_s=max((queue.lag_s for queue in found), default=0),
        waiting=sum(queue.waiting for queue in found),
        running=sum(queue.running for queue in found),
        dead=sum(queue.failed for queue in found),
        queues=[QueueLag(queue.queue, queue.lag_s) for queue in found],
    )


@dataclass
class _Examined:
    """What this process has found wrong with the deployment, and when it looked."""

    at: datetime | None = None
    defects: Sequence[Defect] = ()


async def _defects(tx: Tx, desk: Desk, now: datetime) -> Sequence[Defect]:
    """What is wrong, at most a minute old: an examination asks for far more than a page may take."""
    known = db.memory(tx, _Examined)
    if known.at is None or abs(now - known.at) >= EXAMINED_FOR:
        known.defects, known.at = await desk.examine(tx, now), now
    return known.defects


async def _queue(tx: Tx, queue: Queue[Tx], now: datetime) -> QueueNow:
    found = await alone(tx, part=queue.path, read=lambda: queue.waiting(tx, now))
    return QueueNow(queue.label, queue.path, found.count if found else None, found.oldest_at if found else None)
