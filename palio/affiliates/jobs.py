"""What the feeds do by the clock, and when a list has been sent: each in transactions of its own."""

from palio.affiliates import doors, service
from palio.affiliates.messages import (
    ApproveByCode,
    ClosePeriods,
    ExpireRequests,
    FetchFeed,
    TakePushed,
    TickFeeds,
    WatchStaleness,
)
from palio.affiliates.types import Payload
from palio.infra import db, files, logging
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.errors import Conflict, Refusal, Unavailable
from palio.kernel.messages import handles
from palio.kernel.schedules import Schedule

log = logging.get("feeds")

TICK_SCHEDULE = Schedule("affiliates.tick", "every 10s", TickFeeds())
STALE_SCHEDULE = Schedule("affiliates.stale_watch", "every 1m", WatchStaleness())
CLOSING_SCHEDULE = Schedule("affiliates.close_periods", "every 5m", ClosePeriods())
EXPIRY_SCHEDULE = Schedule("affiliates.expire", "every 1h", ExpireRequests())

PERIODS_OF_RUN_MAX = 500  # of one programme; the next run goes on
EXPIRIES_OF_RUN_MAX = 50  # batches


@handles(TickFeeds)
async def tick(tx: Tx, job: TickFeeds) -> None:
    """Queue a reading of each feed that is due."""
    await service.queue_due(tx, now=clock.now())


@handles(WatchStaleness)
async def watch_staleness(tx: Tx, job: WatchStaleness) -> None:
    """Tell whose numbers have become too old, or are fresh again."""
    await service.watch_staleness(tx, now=clock.now())


@handles(ClosePeriods)
async def close_periods(database: Database, job: ClosePeriods) -> None:
    """Close what is over of every programme, each period in a transaction of its own."""
    async with database.begin_system("periods are closed by the clock") as tx:
        programme_ids = await service.programme_ids(tx)
    for programme_id in programme_ids:
        for _ in range(PERIODS_OF_RUN_MAX):
            async with database.begin_system(
                "periods are closed by the clock", seconds_max=doors.STATEMENT_SECONDS_MAX, generic_plans=True
            ) as tx:
                if await service.close_next(tx, programme_id=programme_id, now=clock.now()) is None:
                    break


@handles(ExpireRequests)
async def expire_requests(database: Database, job: ExpireRequests) -> None:
    """End what is due, some at a time."""
    for _ in range(EXPIRIES_OF_RUN_MAX):
        async with database.begin_system("requests end by the clock") as tx:
            if not await service.expire(tx, now=clock.now()):
                break


@handles(ApproveByCode)
async def approve_by_code(tx: Tx, job: ApproveByCode) -> None:
    """Approve a request by its code; what is in the way leaves it to staff."""
    try:
        async with db.attempt(tx):
            await service.approve_by_code(tx, request_id=job.request_id, now=clock.now())
    except Conflict as refusal:
        log.info("a request with its code shown waits for staff", request=str(job.request_id), code=refusal.code)


@handles(FetchFeed, queue="outgoing")
async def fetch_feed(database: Database, job: FetchFeed) -> None:
    """Read a feed."""
    await doors.fetch(database, feed_id=job.feed_id, due_at=job.due_at, trigger=job.trigger)


@handles(TakePushed)
async def take_pushed(database: Database, job: TakePushed) -> None:
    """Judge and apply what a provider has sent; what is refused has left its cycle, and is not tried again."""
    async with database.begin_system("a list was sent") as tx:
        stored, actor = await service.pushed(tx, job=job), tx.actor
    body = await service.restore(files.storage_of(database), payload=stored)
    payload = Payload(stored.sha256, stored.size, stored.content_type, stored.storage_key, job.received_at, body)
    try:
        await doors.apply_payload(
            database,
            actor=actor,
            feed_id=job.feed_id,
            payload=payload,
            fetched_at=job.received_at,
            trigger="push",
        )
    except Unavailable:
        raise
    except Refusal as refusal:
        log.warning("a list that was sent is refused", feed_id=str(job.feed_id), code=refusal.code)
