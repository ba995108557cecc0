"""Watching: endpoints that fail for days are told of, and in the end switched off; what is old is forgotten."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from palio.infra import audit, db, outbox, settings
from palio.infra.db import Tx
from palio.infra.messages import TellWebhookOwner, WatchWebhooks
from palio.infra.webhooks import endpoints, verdicts
from palio.infra.webhooks.settings import RETENTION_DAYS
from palio.kernel import clock
from palio.kernel.messages import handles
from palio.kernel.schedules import Schedule

SCHEDULE = Schedule("webhooks.watch", "every 1m", WatchWebhooks(), at_start=True)
LOOKED_AT_MAX = 200


@dataclass(frozen=True, slots=True)
class Failing:
    """An endpoint that has taken nothing for so long, and the day on which that was told last."""

    id: UUID
    host: str
    failing_since: datetime
    told_days: int


FAILING = """
    select id, host, failing_since, told_days from infra.webhook_endpoints
    where state = 'active' and failing_since <= %s order by failing_since limit %s"""


@dataclass(frozen=True, slots=True)
class Trouble:
    """An endpoint that needs a person: it fails for a day or longer, `since` then, or it is switched off."""

    id: UUID
    host: str
    since: datetime | None
    is_off: bool


async def troubles(tx: Tx, *, now: datetime) -> list[Trouble]:
    """Endpoints that need a person, those that are switched off first."""
    return await db.rows(
        tx,
        Trouble,
        """select id, host, failing_since as since, state = 'disabled' as is_off from infra.webhook_endpoints
        where state = 'disabled' or (state = 'active' and failing_since <= %s)
        order by is_off desc, failing_since, id limit %s""",
        *(now - timedelta(days=verdicts.TOLD_ON_DAYS[0]), LOOKED_AT_MAX),
    )


@handles(WatchWebhooks)
async def watch(tx: Tx, job: WatchWebhooks) -> None:
    """Tell of endpoints on the first, third and fifth day of failing, on which they are switched off."""
    now = clock.now()
    await endpoints.end_replaced_secrets(tx, now=now)
    for one in await db.rows(
        tx, Failing, FAILING + " for update", now - timedelta(days=verdicts.TOLD_ON_DAYS[0]), LOOKED_AT_MAX
    ):
        day = verdicts.days_failing(one.failing_since, now)
        if day > one.told_days:
            await _tell(tx, one, day)
        if day >= verdicts.FAILING_DAYS_MAX:
            await endpoints.disable(tx, endpoint_id=one.id, why="failing", now=now)


async def _tell(tx: Tx, one: Failing, day: int) -> None:
    """What staff see of it: the alarm on their first page, this line in the audit log, and a letter to its owner."""
    await db.run(tx, "update infra.webhook_endpoints set told_days = %s where id = %s", day, one.id)
    await audit.record(
        tx,
        actor=tx.actor,
        action="webhook.failing",
        entity_type="webhook",
        entity_id=str(one.id),
        changes={"days": (one.told_days, day), "since": (None, one.failing_since)},
    )
    if day < verdicts.FAILING_DAYS_MAX:  # on the last day it is switched off, and that is told
        await outbox.send(tx, TellWebhookOwner(one.id, days=day))


async def prune(tx: Tx, *, now: datetime, rows_max: int) -> None:
    """Forget events and deliveries past their time, the oldest first, at most so many rows of each.

    What waits to tell of an event that is forgotten is given up.
    """
    days: int = await settings.exact(tx, RETENTION_DAYS)
    before = now - timedelta(days=days)
    await db.run(
        tx,
        """update infra.webhook_deliveries set state = 'cancelled' where (created_at, id) in (
          select created_at, id from infra.webhook_deliveries
          where state in ('queued', 'retrying', 'sending') and event_at < %s limit %s)""",
        *(before, rows_max),
    )
    await db.run(
        tx,
        """delete from infra.webhook_deliveries where (created_at, id) in (
          select created_at, id from infra.webhook_deliveries where created_at < %s order by created_at limit %s)""",
        *(before, rows_max),
    )
    await db.run(
        tx,
        """delete from infra.webhook_once where (endpoint_id, event_id) in (
          select endpoint_id, event_id from infra.webhook_once where at < %s order by at limit %s)""",
        *(before, rows_max),
    )
    await db.run(
        tx,
        """delete from infra.webhook_events where (at, id) in (
          select at, id from infra.webhook_events where at < %s order by at limit %s)""",
        *(before, rows_max),
    )
