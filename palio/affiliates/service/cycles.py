"""A cycle step by step, each in a transaction of its own: the network is only spoken to in between."""

from dataclasses import replace
from datetime import datetime, timedelta

from palio.affiliates import rules, sql
from palio.affiliates.messages import FEED_STEP, FeedAuthFailed
from palio.affiliates.rules import Parsed
from palio.affiliates.service.feeds import asking
from palio.affiliates.service.ingest import read
from palio.affiliates.types import (
    BREAKER_CYCLES,
    BREAKER_PAUSE_S,
    Attempt,
    Cycle,
    CycleId,
    FeedId,
    Trigger,
    Turn,
)
from palio.infra import outbox, relay, settings
from palio.infra.db import Tx
from palio.kernel import clock

RUNNING_MAX = timedelta(seconds=rules.CYCLE_SECONDS_MAX + 60)


async def open_cycle(tx: Tx, *, feed_id: FeedId, due_at: datetime, trigger: Trigger, now: datetime) -> Turn | None:
    """Begin the cycle of an instant, or take up the one that a killed worker has left; None if there is nothing to do.

    That is so when it has ended, or when another cycle of the feed is on: then this one is missed. Refuses with
    NoSuchFeed, SecretInvalid, crypto.Shredded.
    """
    feed = await sql.lock_pull_feed(tx, feed_id)
    await sql.update_abandoned(tx, feed_id, now - RUNNING_MAX, now)
    running = await sql.find_running(tx, feed_id)
    is_ours = running is not None and (running.due_at, running.trigger) == (due_at, trigger)
    is_on = running is not None and not is_ours
    await sql.insert_cycles(tx, feed_id, [due_at], trigger, "missed" if is_on else "running", now)
    cycle = await sql.find_cycle(tx, feed_id, due_at, trigger)
    if cycle is None or cycle.state != "running":
        return None
    if feed.breaker == "open":
        await sql.update_breaker(tx, feed_id, replace(feed.breaker_now, state="half_open"))
    await _tell(tx, cycle, "began")
    return Turn(cycle, await asking(tx, feed=feed), await sql.find_brought(tx, cycle.id))


async def try_out(tx: Tx, *, feed_id: FeedId, body: bytes, content_type: str) -> Parsed:
    """What a body says by the mapping of a feed. Refuses as `rules.parse` does."""
    feed = await sql.get_feed(tx, feed_id)
    return await read(tx, feed=feed, content_type=content_type, body=body, roster=rules.Roster())


async def note_attempt(tx: Tx, *, cycle_id: CycleId, n: int, attempt: Attempt) -> None:
    """Write down an exchange, and where what it brought lies."""
    cycle = await sql.get_cycle(tx, cycle_id)
    if attempt.payload:
        await sql.upsert_payload(tx, cycle.feed_id, attempt.payload)
    await sql.insert_attempt(tx, cycle_id, n, attempt)
    await _tell(tx, cycle, "asked")


async def note_verdict(tx: Tx, *, cycle_id: CycleId, n: int, attempt: Attempt) -> None:
    """Write down that what an exchange brought was refused."""
    await sql.update_attempt(tx, cycle_id, n, attempt)


async def fail_cycle(tx: Tx, *, cycle_id: CycleId, attempt: Attempt, now: datetime) -> None:
    """End a cycle in which nothing came that could be judged. A refused key is told at once."""
    await sql.update_cycle(tx, cycle_id, "failed", attempt.error_code, now)
    if attempt.error_code == "auth_failed":
        cycle = await sql.get_cycle(tx, cycle_id)
        feed = await sql.lock_pull_feed(tx, cycle.feed_id)
        await outbox.send(tx, FeedAuthFailed(feed.programme_id, feed.id, attempt.http_status or 0))


async def close_cycle(tx: Tx, *, cycle_id: CycleId, last: Attempt) -> Cycle:
    """Let the breaker hear how a cycle ended, and answer it; a feed that asked for a longer rest is due after it."""
    cycle = await sql.get_cycle(tx, cycle_id)
    feed = await sql.lock_pull_feed(tx, cycle.feed_id)
    breaker = rules.breaker_after(
        feed.breaker_now,
        cycle.state,
        now=cycle.due_at,  # not when it ended: a pause of whole intervals then ends with an instant
        cycles_max=settings.value(BREAKER_CYCLES),
        pause=timedelta(seconds=settings.value(BREAKER_PAUSE_S)),
    )
    if breaker != feed.breaker_now:
        await sql.update_breaker(tx, feed.id, breaker)
    if cycle.state == "failed" and (later := rules.postponed_until(last)):
        await sql.update_next_due(tx, feed.id, max(later, feed.next_due))
    await _tell(tx, cycle, cycle.state)
    return cycle


async def _tell(tx: Tx, cycle: Cycle, step: str) -> None:
    """Let staff who look at the feeds see how far a reading is."""
    facts = {"feed": str(cycle.feed_id), "cycle": str(cycle.id), "due_at": clock.text(cycle.due_at), "step": step}
    await relay.tell(tx, topic="console:feeds", user_id=None, kind=FEED_STEP, facts=facts)
