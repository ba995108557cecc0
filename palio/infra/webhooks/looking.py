"""Looking: how endpoints are, what was sent to them, and sending it again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from psycopg.rows import class_row

from palio.infra import audit, db
from palio.infra.audit import Via
from palio.infra.db import Tx
from palio.infra.messages import Told
from palio.infra.webhooks import endpoints, telling
from palio.infra.webhooks.telling import Pair
from palio.infra.webhooks.verdicts import DeliveryState
from palio.kernel.errors import NotFound
from palio.kernel.events import TypeName
from palio.kernel.ids import new_id
from palio.kernel.parts import EVER, Dated, Part
from palio.kernel.signatures import SignedMessage

REPLAYED_MAX = 10_000
HEALTH_HOURS = 24
ENDPOINTS_MAX = 200
TYPES_MAX = 200


class NoSuchDelivery(NotFound):
    """There is no delivery `delivery` to this endpoint, or it is forgotten by now."""

    code: ClassVar[str] = "webhook.no_such_delivery"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What was, or is to be, sent to an endpoint, and how its last attempt went."""

    created_at: datetime
    id: UUID
    endpoint_id: UUID
    event_id: UUID
    event_at: datetime
    type: TypeName
    webhook_id: UUID
    replay_of: UUID | None
    attempts: int
    state: DeliveryState
    next_at: datetime
    sent_at: datetime | None
    signature: str | None
    status: int | None
    failure: str | None
    duration_ms: int | None
    response_excerpt: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries are wanted; None and empty mean all. `type` is how one begins, `id` any of the three."""

    states: Sequence[DeliveryState] = ()
    type: str = ""
    id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How telling an endpoint went in the last 24 hours: `p95_ms` is how long it takes to answer."""

    endpoint_id: UUID
    delivered: int
    failing: int
    waiting: int
    p95_ms: int | None
    next_at: datetime | None

    @property
    def share_bps(self) -> int | None:
        """How many of those that were tried it has taken, in ten-thousandths; None when none was."""
        tried = self.delivered + self.failing
        return self.delivered * 10_000 // tried if tried else None


@dataclass(frozen=True, slots=True)
class Hour:
    """How many deliveries of an hour were taken, and how many were not (yet)."""

    at: datetime
    delivered: int
    failing: int


DELIVERIES = """
    select created_at, id, endpoint_id, event_id, event_at, type, webhook_id, replay_of, attempts, state, next_at,
      sent_at, signature, status, failure, duration_ms, response_excerpt
    from infra.webhook_deliveries"""
FILTER = """
    where endpoint_id = %(endpoint)s and (%(states)s::text[] = '{}' or state = any (%(states)s::text[]))
      and starts_with(type, %(type)s::text)
      and (%(id)s::uuid is null or %(id)s::uuid in (id, event_id, webhook_id))
      and (%(since)s::timestamptz is null or created_at >= %(since)s::timestamptz)
      and (%(until)s::timestamptz is null or created_at < %(until)s::timestamptz)"""
BETWEEN = """
      and (created_at, id) > (%(low_at)s, %(low_id)s) and (created_at, id) < (%(high_at)s, %(high_id)s)"""


async def list_deliveries(tx: Tx, *, endpoint_id: UUID, wanted: Wanted, part: Part[Dated]) -> list[Delivery]:
    """A part of what was sent to an endpoint, the newest first."""
    low, high = part.between(*EVER)
    facts = {
        "endpoint": endpoint_id,
        "states": list(wanted.states),
        "type": wanted.type,
        "id": wanted.id,
        "since": wanted.since,
        "until": wanted.until,
        "low_at": low[0],
        "low_id": low[1],
        "high_at": high[0],
        "high_id": high[1],
        "limit": part.limit,
    }
    async with tx.cursor(row_factory=class_row(Delivery)) as cursor:
        if part.is_back:
            await cursor.execute(DELIVERIES + FILTER + BETWEEN + " order by created_at, id limit %(limit)s::int", facts)
            return (await cursor.fetchall())[::-1]
        await cursor.execute(
            DELIVERIES + FILTER + BETWEEN + " order by created_at desc, id desc limit %(limit)s::int", facts
        )
        return await cursor.fetchall()


async def get_delivery(tx: Tx, *, endpoint_id: UUID, delivery_id: UUID) -> Delivery:
    """One delivery. Refuses with NoSuchDelivery."""
    found = await db.find(
        tx, Delivery, DELIVERIES + " where endpoint_id = %s and id = %s limit 1", endpoint_id, delivery_id
    )
    if found is None:
        raise NoSuchDelivery(delivery=delivery_id)
    return found


async def body_of(tx: Tx, *, delivery: Delivery) -> bytes:
    """What is sent of a delivery, as it goes out. Refuses with NoSuchDelivery when its event is forgotten."""
    data = await db.value(
        tx,
        "select data::text from infra.webhook_events where at = %s and id = %s",
        *(delivery.event_at, delivery.event_id),
    )
    if data is None:
        raise NoSuchDelivery(delivery=delivery.id)
    return telling.body_of(delivery.type, delivery.event_at, data)


def headers_sent(delivery: Delivery) -> dict[str, str]:
    """The headers of the last attempt at a delivery; none before the first."""
    if delivery.sent_at is None or delivery.signature is None:
        return {}
    timestamp = str(int(delivery.sent_at.timestamp()))
    return telling.headers_of(SignedMessage(str(delivery.webhook_id), timestamp, b""), delivery.signature)


async def health(tx: Tx, *, now: datetime) -> dict[UUID, Health]:
    """How telling went in the last 24 hours, by endpoint."""
    found = await db.rows(
        tx,
        Health,
        """select e.id as endpoint_id, count(*) filter (where d.state = 'delivered') as delivered,
          count(*) filter (where d.state <> 'delivered' and d.failure is not null) as failing,
          count(*) filter (where d.state in ('queued', 'sending', 'retrying')) as waiting,
          (percentile_disc(0.95) within group (order by d.duration_ms))::int as p95_ms,
          min(d.next_at) filter (where d.state in ('queued', 'retrying')) as next_at
        from infra.webhook_endpoints e left join infra.webhook_deliveries d
          on d.endpoint_id = e.id and d.created_at >= %s
        group by e.id limit %s""",
        *(now - timedelta(hours=HEALTH_HOURS), ENDPOINTS_MAX),
    )
    return {one.endpoint_id: one for one in found}


async def by_hour(tx: Tx, *, endpoint_id: UUID, now: datetime) -> list[Hour]:
    """The last 24 hours of an endpoint, hour by hour, the oldest first."""
    return await db.rows(
        tx,
        Hour,
        """select h.at, count(*) filter (where d.state = 'delivered') as delivered,
          count(*) filter (where d.state <> 'delivered' and d.failure is not null) as failing
        from generate_series(date_trunc('hour', %s::timestamptz) - interval '23 hours',
          date_trunc('hour', %s::timestamptz), interval '1 hour') as h (at)
        left join infra.webhook_deliveries d on d.endpoint_id = %s and d.created_at >= h.at
          and d.created_at < h.at + interval '1 hour'
        group by h.at order by h.at limit 24""",
        *(now, now, endpoint_id),
    )


async def last_sent(tx: Tx) -> dict[TypeName, datetime]:
    """When an event of each type was last there to be told."""
    rows = await tx.execute("select type, max(at) from infra.webhook_events group by type limit %s", (TYPES_MAX,))
    return dict(await rows.fetchall())


# sending again


@dataclass(frozen=True, slots=True)
class Again:
    """What is sent again: one delivery, or what happened in `[since, until)` of some types.

    With `states` only what was sent and ended so; without, also what was never sent. `is_fresh` gives it a new id, so
    that a receiver who knows the old one takes it for another message.
    """

    delivery_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    types: Sequence[TypeName] = ()
    states: Sequence[DeliveryState] = ()
    is_fresh: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many messages were queued again; `has_more` says that there were too many for one call, the oldest first."""

    queued: int
    has_more: bool


@dataclass(frozen=True, slots=True)
class _Candidate:
    event_id: UUID
    at: datetime
    type: TypeName
    delivery_id: UUID | None
    webhook_id: UUID | None


async def replay(
    tx: Tx, *, endpoint_id: UUID, again: Again, reason: str, now: datetime, via: Via | None = None
) -> Replayed:
    """Send an endpoint what it was sent, or should have been; what waits to be sent anyway is left out.

    Refuses with NoSuchEndpoint, EndpointDisabled, NoSuchDelivery.
    """
    endpoint = await endpoints.lock_endpoint(tx, endpoint_id)  # two at once would queue everything twice
    if endpoint.state == "disabled":
        raise endpoints.EndpointDisabled(reason=endpoint.disabled_reason)
    if again.delivery_id:
        await get_delivery(tx, endpoint_id=endpoint_id, delivery_id=again.delivery_id)
    found = await _candidates(tx, endpoint_id, again)
    chosen = found[:REPLAYED_MAX]
    sent = [one for one in chosen if one.delivery_id]
    unsent = [one for one in chosen if not one.delivery_id]
    queued = await _queue_again(tx, endpoint_id, sent, is_fresh=again.is_fresh, now=now)
    told = [Told(one.event_id, one.type, one.at, {}) for one in unsent]
    queued += await telling.queue_pairs(tx, told, [Pair(endpoint_id, one.event_id) for one in unsent], now=now)
    await telling.wake_endpoints(tx, [endpoint_id] if queued else [])
    await audit.record(
        tx,
        actor=tx.actor,
        action="webhook.replay",
        entity_type="webhook",
        entity_id=str(endpoint_id),
        changes={
            "queued": (0, queued),
            "delivery": (None, again.delivery_id),
            "since": (None, again.since),
            "until": (None, again.until),
            "fresh": (None, again.is_fresh),
        },
        reason=reason,
        via=via,
    )
    return Replayed(queued, has_more=len(found) > REPLAYED_MAX)


async def _candidates(tx: Tx, endpoint_id: UUID, again: Again) -> list[_Candidate]:
    if again.delivery_id:
        return await db.rows(
            tx,
            _Candidate,
            """select d.event_id, d.event_at as at, d.type, d.id as delivery_id, d.webhook_id
            from infra.webhook_deliveries d where d.endpoint_id = %s and d.id = %s
              and not exists (select from infra.webhook_deliveries w where w.endpoint_id = d.endpoint_id
                and w.event_id = d.event_id and w.state in ('queued', 'retrying', 'sending')) limit 1""",
            *(endpoint_id, again.delivery_id),
        )
    return await db.rows(
        tx,
        _Candidate,
        """select v.id as event_id, v.at, v.type, d.id as delivery_id, d.webhook_id
        from infra.webhook_endpoints e
        join infra.webhook_events v on infra.webhook_hears(e.types, v.type)
          and (%s::text[] = '{}' or infra.webhook_hears(%s::text[], v.type))
          and v.at >= coalesce(%s::timestamptz, '-infinity') and v.at < coalesce(%s::timestamptz, 'infinity')
        left join infra.webhook_once o on o.endpoint_id = e.id and o.event_id = v.id
        left join infra.webhook_deliveries d on d.endpoint_id = e.id and d.id = o.delivery_id
        where e.id = %s and (o.event_id is null or d.id is not null)
          and (%s::text[] = '{}' or d.state = any (%s::text[]))
          and not exists (select from infra.webhook_deliveries w where w.endpoint_id = e.id and w.event_id = v.id
            and w.state in ('queued', 'retrying', 'sending'))
        order by v.at, v.id limit %s""",
        *(list(again.types), list(again.types), again.since, again.until, endpoint_id),
        *(list(again.states), list(again.states), REPLAYED_MAX + 1),
    )


async def _queue_again(tx: Tx, endpoint_id: UUID, sent: Sequence[_Candidate], *, is_fresh: bool, now: datetime) -> int:
    return await db.run(
        tx,
        """insert into infra.webhook_deliveries
          (created_at, id, endpoint_id, event_id, event_at, type, webhook_id, replay_of, state, next_at)
        select %s, n.id, %s, n.event_id, n.at, n.type, n.webhook_id, n.replay_of, 'queued', %s
        from unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::text[], %s::uuid[], %s::uuid[])
          as n (id, event_id, at, type, webhook_id, replay_of)""",
        *(now, endpoint_id, now),
        [new_id() for _ in sent],
        [one.event_id for one in sent],
        [one.at for one in sent],
        [one.type for one in sent],
        [new_id() if is_fresh else one.webhook_id for one in sent],
        [one.delivery_id for one in sent],
    )
