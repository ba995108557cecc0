"""The doors of the feeds: bytes are archived before they are judged, and what a refusal leaves is written by itself."""

from datetime import datetime

from palio.affiliates import service
from palio.affiliates.types import FeedId, Snapshot, Trigger
from palio.infra import partitions
from palio.infra.db import Database
from palio.infra.storage import Storage
from palio.kernel.errors import Refusal, Unavailable
from palio.kernel.ids import Actor

STATEMENT_SECONDS_MAX = 60  # one statement may write a hundred thousand rows
STATS = "affiliates.stats"  # the table of readings, which has a partition for each month


async def take_in(
    database: Database,
    storage: Storage,
    *,
    actor: Actor,
    feed_id: FeedId,
    body: bytes,
    content_type: str,
    fetched_at: datetime,
    trigger: Trigger,
    now: datetime,
) -> Snapshot:
    """Archive a payload, then read, judge and apply it. Refuses as `archive` and `ingest` do."""
    async with database.begin(actor) as tx:
        await partitions.ensure(tx, STATS, fetched_at)
    payload = await service.archive(storage, body=body, content_type=content_type, received_at=now)
    try:
        async with database.begin(actor, seconds_max=STATEMENT_SECONDS_MAX, generic_plans=True) as tx:
            return await service.ingest(tx, feed_id=feed_id, payload=payload, fetched_at=fetched_at, trigger=trigger)
    except Unavailable:
        raise  # the database was away or busy: that says nothing of the payload, and is no failure of the feed
    except Refusal as refusal:
        async with database.begin(actor) as tx:
            await service.note_refusal(
                tx, feed_id=feed_id, payload=payload, fetched_at=fetched_at, trigger=trigger, refusal=refusal
            )
        raise
