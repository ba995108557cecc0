"""Cycles in which feeds are read, and the exchanges of each."""

from collections.abc import Sequence
from datetime import datetime

from palio.affiliates.types import (
    Attempt,
    Brought,
    Cycle,
    CycleId,
    CycleState,
    FeedId,
    StoredPayload,
    Trigger,
)
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import new_id

CYCLE = """
    select id, feed_id, due_at, trigger, state, attempts, error_code, snapshot_id, started_at
    from affiliates.cycles """


async def find_cycle(tx: Tx, feed_id: FeedId, due_at: datetime, trigger: Trigger) -> Cycle | None:
    """The cycle of a feed for an instant."""
    return await db.find(
        tx, Cycle, CYCLE + "where feed_id = %s and due_at = %s and trigger = %s", feed_id, due_at, trigger
    )


async def get_cycle(tx: Tx, cycle_id: CycleId) -> Cycle:
    """A cycle that is there. Raises LookupError."""
    found = await db.find(tx, Cycle, CYCLE + "where id = %s", cycle_id)
    if found is None:
        raise LookupError(f"there is no cycle {cycle_id}")
    return found


async def find_running(tx: Tx, feed_id: FeedId) -> Cycle | None:
    """The cycle of a feed that is on."""
    return await db.find(
        tx, Cycle, CYCLE + "where feed_id = %s and state = 'running' order by started_at desc limit 1", feed_id
    )


async def insert_cycles(
    tx: Tx, feed_id: FeedId, instants: Sequence[datetime], trigger: Trigger, state: CycleState, now: datetime
) -> None:
    """Cycles of these instants; one that is there already stays as it is."""
    await db.run(
        tx,
        """
        insert into affiliates.cycles (id, feed_id, due_at, trigger, state, started_at, ended_at)
        select u.id, %s, u.due_at, %s, %s::text, %s::timestamptz,
          case when %s::text <> 'running' then %s::timestamptz end
        from unnest(%s::uuid[], %s::timestamptz[]) as u (id, due_at)
        on conflict (feed_id, due_at, trigger) do nothing""",
        *(feed_id, trigger, state, now, state, now),
        *([new_id() for _ in instants], list(instants)),
    )


async def update_abandoned(tx: Tx, feed_id: FeedId, before: datetime, now: datetime) -> None:
    """Cycles that began too long ago to be still on have failed."""
    await db.run(
        tx,
        """
        update affiliates.cycles set state = 'failed', error_code = 'abandoned', ended_at = %s
        where feed_id = %s and state = 'running' and started_at < %s""",
        *(now, feed_id, before),
    )


async def update_cycle(tx: Tx, cycle_id: CycleId, state: CycleState, error_code: str | None, now: datetime) -> None:
    """The cycle has ended."""
    await db.run(
        tx,
        "update affiliates.cycles set state = %s, error_code = %s, ended_at = %s where id = %s",
        *(state, error_code, now, cycle_id),
    )


async def insert_attempt(tx: Tx, cycle_id: CycleId, n: int, attempt: Attempt) -> None:
    """One exchange of a cycle. Its payload, if it brought one, is there already."""
    await db.run(
        tx,
        """
        with counted as (update affiliates.cycles set attempts = %s where id = %s returning id, feed_id)
        insert into affiliates.attempts (cycle_id, n, at, waited_ms, duration_ms, http_status, outcome, bytes,
          payload_id, detail)
        select c.id, %s, %s, %s, %s, %s, %s, %s, p.id, %s
        from counted c left join affiliates.payloads p on p.feed_id = c.feed_id and p.sha256 = %s::bytea""",
        *(n, cycle_id, n, attempt.at, attempt.waited_ms, attempt.duration_ms, attempt.http_status, attempt.outcome),
        *(attempt.size, attempt.detail, attempt.payload.sha256 if attempt.payload else None),
    )


async def update_attempt(tx: Tx, cycle_id: CycleId, n: int, attempt: Attempt) -> None:
    """What was found in the answer of an exchange when it was looked at."""
    await db.run(
        tx,
        "update affiliates.attempts set outcome = %s, detail = %s where cycle_id = %s and n = %s",
        *(attempt.outcome, attempt.detail, cycle_id, n),
    )


async def find_brought(tx: Tx, cycle_id: CycleId) -> Brought | None:
    """What the last exchange of a cycle brought, if it has not been looked at: then its detail is still empty."""
    cursor = await tx.execute(
        """
        select p.id, p.feed_id, p.sha256, p.bytes, p.content_type, p.storage_key, a.at
        from affiliates.cycles c join affiliates.attempts a on a.cycle_id = c.id and a.n = c.attempts
          join affiliates.payloads p on p.id = a.payload_id
        where c.id = %s and c.state = 'running' and a.outcome = 'ok' and a.detail = ''""",
        (cycle_id,),
    )
    row = await cursor.fetchone()
    return Brought(StoredPayload(*row[:6]), row[6]) if row else None
