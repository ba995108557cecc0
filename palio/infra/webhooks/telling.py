"""Telling: an event becomes a delivery for each endpoint that wants it, and each endpoint has a job of its own.

Nothing is held while somebody outside takes his time: what is due is claimed in one transaction, sent, and what came of
it is written down in another. Whoever dies between the two leaves what he had claimed to the next one, so an endpoint
may hear something twice, under the same id.
"""

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic
from typing import Final
from uuid import UUID

import structlog

from palio.infra import audit, db, outbox, settings
from palio.infra.audit import Via
from palio.infra.db import Database, Equipment, Tx
from palio.infra.http import UNTRUSTED, Profile
from palio.infra.messages import DeliverWebhooks, TellWebhooks, Told, WakeWebhooks
from palio.infra.webhooks import endpoints, verdicts
from palio.infra.webhooks.endpoints import EndpointState, Opened
from palio.infra.webhooks.settings import TIMEOUT_S
from palio.infra.webhooks.verdicts import Verdict
from palio.kernel import clock, signatures
from palio.kernel.ids import new_id
from palio.kernel.messages import handles
from palio.kernel.schedules import Schedule
from palio.kernel.signatures import SignedMessage

log = structlog.get_logger()

SCHEDULE = Schedule("webhooks.deliver", "every 5s", WakeWebhooks())
TURN_SECONDS_MAX = 20  # then a job makes room for itself to be stopped
WOKEN_MAX = 200
HELD_SECONDS = 60  # longer than any attempt takes
PROFILE: Final = replace(
    UNTRUSTED,
    door="webhooks",
    bytes_max=verdicts.EXCERPT_BYTES_MAX,
    methods=frozenset({"POST"}),
    is_excerpt=True,
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is ours to send, and after how many seconds its endpoint wants it."""

    created_at: datetime
    id: UUID
    webhook_id: UUID
    attempts: int
    type: str
    at: datetime
    data: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of sending a delivery: when, with which signatures, in how many milliseconds."""

    claimed: Claimed
    sent_at: datetime
    signature: str
    duration_ms: int
    verdict: Verdict


def profile(equipment: Equipment) -> Profile:
    """How endpoints may be called: never inside, unless the outside is played on this machine."""
    return replace(PROFILE, seconds_max=settings.value(TIMEOUT_S), may_be_inside=equipment.is_simulated)


def body_of(kind: str, at: datetime, data: str) -> bytes:
    """What is sent: the same bytes at every attempt. `data` is JSON."""
    return f'{{"type":{json.dumps(kind)},"timestamp":{json.dumps(clock.text(at))},"data":{data}}}'.encode()


# from an event to deliveries


@handles(TellWebhooks)
async def tell(tx: Tx, job: TellWebhooks) -> None:
    """Keep what anybody wants to hear of, and queue it for each endpoint, once however often it is told."""
    await queue_events(tx, job.events, now=clock.now())


@dataclass(frozen=True, slots=True)
class Pair:
    """An event and somebody who wants to hear of it."""

    endpoint_id: UUID
    event_id: UUID


async def queue_events(tx: Tx, events: Sequence[Told], *, now: datetime) -> int:
    """Queue events for every endpoint that wants them, once for each of both; answers how many were queued."""
    pairs = await db.rows(
        tx,
        Pair,
        """select e.id as endpoint_id, t.id as event_id
        from unnest(%s::uuid[], %s::text[]) as t (id, type)
        join infra.webhook_endpoints e on infra.webhook_hears(e.types, t.type)""",
        [event.event_id for event in events],
        [event.type for event in events],
    )
    wanted = {pair.event_id for pair in pairs}
    await keep(tx, [event for event in events if event.event_id in wanted])
    return await queue_pairs(tx, events, pairs, now=now)


async def keep(tx: Tx, events: Sequence[Told]) -> None:
    """Remember events, so that they can be told, and told again."""
    await db.run(
        tx,
        """insert into infra.webhook_events (at, id, type, data)
        select * from unnest(%s::timestamptz[], %s::uuid[], %s::text[], %s::jsonb[]) on conflict do nothing""",
        [event.at for event in events],
        [event.event_id for event in events],
        [event.type for event in events],
        [json.dumps(event.data, allow_nan=False) for event in events],
    )


async def queue_pairs(tx: Tx, events: Sequence[Told], pairs: Sequence[Pair], *, now: datetime) -> int:
    """Queue kept events for endpoints that are not disabled, unless that has been done; answers how many it did."""
    by_id = {event.event_id: event for event in events}
    queued = await db.column(
        tx,
        QUEUE,
        [pair.endpoint_id for pair in pairs],
        [pair.event_id for pair in pairs],
        [new_id() for _ in pairs],
        [by_id[pair.event_id].at for pair in pairs],
        [by_id[pair.event_id].type for pair in pairs],
        *(now, now),
    )
    await wake_endpoints(tx, queued)
    return len(queued)


QUEUE = """
    with wanted as (
      select * from unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::timestamptz[], %s::text[])
        as w (endpoint_id, event_id, delivery_id, at, type)
      where exists (select from infra.webhook_endpoints e where e.id = w.endpoint_id and e.state <> 'disabled')),
    once as (
      insert into infra.webhook_once (endpoint_id, event_id, delivery_id, at)
      select endpoint_id, event_id, delivery_id, at from wanted order by endpoint_id, event_id
      on conflict do nothing returning delivery_id)
    insert into infra.webhook_deliveries
      (created_at, id, endpoint_id, event_id, event_at, type, webhook_id, state, next_at)
    select %s, w.delivery_id, w.endpoint_id, w.event_id, w.at, w.type, w.event_id, 'queued', %s
    from once o join wanted w on w.delivery_id = o.delivery_id
    returning endpoint_id"""


async def wake_endpoints(tx: Tx, endpoint_ids: Sequence[UUID]) -> None:
    """Have a job for each of these endpoints, unless one waits already."""
    for endpoint_id in sorted(set(endpoint_ids)):
        await outbox.send(tx, DeliverWebhooks(endpoint_id), key=str(endpoint_id))


@handles(WakeWebhooks)
async def wake(tx: Tx, job: WakeWebhooks) -> None:
    """Have a job for each endpoint where something is due: tries that come again, and what a dead process had."""
    found = await db.column(
        tx,
        """select e.id from infra.webhook_endpoints e
        where e.state = 'active' and coalesce(e.rests_until <= %s, true) and exists (
          select from infra.webhook_deliveries d where d.endpoint_id = e.id and (
            (d.state in ('queued', 'retrying') and d.next_at <= %s)
            or (d.state = 'sending' and d.held_until < clock_timestamp())))
        limit %s""",
        *(clock.now(), clock.now(), WOKEN_MAX),
    )
    await wake_endpoints(tx, found)


# from a delivery to the endpoint


@handles(DeliverWebhooks, queue="webhooks")
async def deliver(database: Database, job: DeliverWebhooks) -> None:
    """Send an endpoint what is due, as fast as it wants and at most for a while; the rest is for the next job."""
    end = monotonic() + TURN_SECONDS_MAX
    while monotonic() < end:
        if not await deliver_some(database, job.endpoint):
            return
    async with database.begin_system("webhooks") as tx:
        await outbox.send(tx, job, key=str(job.endpoint))


async def deliver_some(database: Database, endpoint_id: UUID, *, of: EndpointState = "active") -> list[Attempt]:
    """Send an endpoint in this state what it takes in a second, all of it at once; answers what came of each."""
    async with database.begin_system("webhooks") as tx:
        claimed = await claim(tx, endpoint_id, now=clock.now(), of=of)
        if not claimed:
            return []
        target = await endpoints.opened(tx, endpoint_id, now=clock.now())
    attempts = await asyncio.gather(*(_attempt(database.equipment, target, one) for one in claimed))
    async with database.begin_system("webhooks") as tx:
        await settle(tx, endpoint_id, attempts, now=clock.now())
    return attempts


async def claim(tx: Tx, endpoint_id: UUID, *, now: datetime, of: EndpointState = "active") -> list[Claimed]:
    """Take what is due at an endpoint, at most as much as it wants in a second, and never what somebody else has."""
    return await db.rows(tx, Claimed, CLAIM, endpoint_id, of, now, now, HELD_SECONDS)


# `paced_until` is when the endpoint may hear the next message: whoever claims some moves it on by their number, so that
# all processes together keep to its pace.
CLAIM = """
    with endpoint as (
      select id, per_second, greatest(paced_until, clock_timestamp()) as start from infra.webhook_endpoints
      where id = %s and state = %s and coalesce(rests_until <= %s, true)
        and coalesce(paced_until < clock_timestamp() + interval '1 second', true)
      for update),
    due as (
      select d.created_at, d.id from infra.webhook_deliveries d join endpoint e on d.endpoint_id = e.id
      where (d.state in ('queued', 'retrying') and d.next_at <= %s)
        or (d.state = 'sending' and d.held_until < clock_timestamp())
      order by d.next_at, d.id limit (select per_second from endpoint)
      for update of d skip locked),
    taken as (
      update infra.webhook_deliveries d set state = 'sending', attempts = d.attempts + 1,
        held_until = clock_timestamp() + %s * interval '1 second'
      from due where (d.created_at, d.id) = (due.created_at, due.id)
      returning d.created_at, d.id, d.webhook_id, d.attempts, d.event_at, d.event_id),
    paced as (
      update infra.webhook_endpoints t
      set paced_until = e.start + (select count(*) from taken) * interval '1 second' / e.per_second
      from endpoint e where t.id = e.id)
    select t.created_at, t.id, t.webhook_id, t.attempts, v.type, v.at, v.data::text as data,
      (extract(epoch from e.start - clock_timestamp())
        + (row_number() over (order by t.created_at, t.id) - 1)::numeric / e.per_second)::float8 as wait_s
    from taken t join infra.webhook_events v on (v.at, v.id) = (t.event_at, t.event_id), endpoint e"""


async def _attempt(equipment: Equipment, target: Opened, claimed: Claimed) -> Attempt:
    await asyncio.sleep(claimed.wait_s)
    sent_at, begun = clock.now(), monotonic()
    body = body_of(claimed.type, claimed.at, claimed.data)
    signed = SignedMessage(str(claimed.webhook_id), str(int(sent_at.timestamp())), body)
    signature = " ".join(signatures.signature(secret, signed) for secret in target.secrets)
    outcome = await equipment.http.call(
        target.url,
        profile=profile(equipment),
        method="POST",
        headers=headers_of(signed, signature),
        content=body,
    )
    spread = secrets.randbelow(2 * verdicts.SPREAD_PERMILLE + 1) - verdicts.SPREAD_PERMILLE
    verdict = verdicts.judge(outcome, attempt=claimed.attempts, spread_permille=spread, now=clock.now())
    return Attempt(claimed, sent_at, signature, round((monotonic() - begun) * 1_000), verdict)


def headers_of(signed: SignedMessage, signature: str) -> dict[str, str]:
    """What goes with a message, beside what the client adds."""
    return {
        "content-type": "application/json",
        "accept-encoding": "identity",
        "webhook-id": signed.webhook_id,
        "webhook-timestamp": signed.timestamp,
        "webhook-signature": signature,
    }


async def settle(tx: Tx, endpoint_id: UUID, attempts: Sequence[Attempt], *, now: datetime) -> None:
    """Write down what came of deliveries, and of their endpoint; what somebody else has taken over stays his."""
    verdicts = [one.verdict for one in attempts]
    await db.run(
        tx,
        SETTLE,
        [one.claimed.created_at for one in attempts],
        [one.claimed.id for one in attempts],
        [one.claimed.attempts for one in attempts],
        [one.verdict.state for one in attempts],
        [one.verdict.next_at for one in attempts],
        [one.sent_at for one in attempts],
        [one.signature for one in attempts],
        [one.verdict.status for one in attempts],
        [one.verdict.failure for one in attempts],
        [one.duration_ms for one in attempts],
        [one.verdict.excerpt for one in attempts],
    )
    rests = [verdict.rests_until for verdict in verdicts if verdict.rests_until]
    await db.run(
        tx,
        """update infra.webhook_endpoints e set rests_until = greatest(e.rests_until, n.rests_until),
          last_success_at = case when n.is_well then n.now else e.last_success_at end,
          failing_since = case when n.is_well then null else coalesce(e.failing_since, n.now) end,
          told_days = case when n.is_well then 0 else e.told_days end
        from (select %s::bool as is_well, %s::timestamptz as now, %s::timestamptz as rests_until) n where e.id = %s""",
        *(any(verdict.state == "delivered" for verdict in verdicts), now, max(rests, default=None), endpoint_id),
    )
    if any(verdict.is_gone for verdict in verdicts):
        await endpoints.disable(tx, endpoint_id=endpoint_id, why="gone", now=now)
    for one in attempts:
        if one.verdict.failure:
            log.info("an endpoint did not take a message", delivery=str(one.claimed.id), failure=one.verdict.failure)


SETTLE = """
    update infra.webhook_deliveries d set state = n.state, next_at = coalesce(n.next_at, d.next_at),
      sent_at = n.sent_at, held_until = null, signature = n.signature, status = n.status, failure = n.failure,
      duration_ms = n.duration_ms,
      response_excerpt = n.excerpt
    from unnest(%s::timestamptz[], %s::uuid[], %s::int[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[],
      %s::smallint[], %s::text[], %s::int[], %s::text[])
      as n (created_at, id, attempts, state, next_at, sent_at, signature, status, failure, duration_ms, excerpt)
    where (d.created_at, d.id) = (n.created_at, n.id) and d.state = 'sending' and d.attempts = n.attempts"""


async def queue_test(tx: Tx, *, endpoint_id: UUID, reason: str, now: datetime, via: Via | None = None) -> UUID:
    """Queue a message of type `webhook.test` for one endpoint, and answer the id of its delivery. Audited.

    Refuses with NoSuchEndpoint, EndpointDisabled.
    """
    endpoint = await endpoints.lock_endpoint(tx, endpoint_id)
    if endpoint.state == "disabled":
        raise endpoints.EndpointDisabled(reason=endpoint.disabled_reason)
    event_id, delivery_id = new_id(), new_id()
    await db.run(
        tx,
        """with kept as (
          insert into infra.webhook_events (at, id, type, data) values (%s, %s, 'webhook.test', %s::jsonb))
        insert into infra.webhook_deliveries
          (created_at, id, endpoint_id, event_id, event_at, type, webhook_id, state, next_at)
        values (%s, %s, %s, %s, %s, 'webhook.test', %s, 'queued', %s)""",
        *(now, event_id, json.dumps({"event_id": str(event_id), "endpoint": str(endpoint_id)})),
        *(now, delivery_id, endpoint_id, event_id, now, event_id, now),
    )
    await outbox.send(tx, DeliverWebhooks(endpoint_id), key=str(endpoint_id))
    await audit.record(
        tx,
        actor=tx.actor,
        action="webhook.test",
        entity_type="webhook",
        entity_id=str(endpoint_id),
        changes={"delivery": (None, delivery_id)},
        reason=reason,
        via=via,
    )
    return delivery_id
