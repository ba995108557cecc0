"""What is told to people one by one (log topics): every event once, in order, and again from where somebody left off.

Writers add events to `infra.stream_pending` in the transaction of the act. One relay at a time moves those that are
committed to `infra.stream_events` and numbers them there: a number that was taken by the writer would let a late commit
hide behind a higher one that a client has already seen. The relay holds its lock until its own commit, so whoever sees
a number has seen all below it.

Most is told to people who are not here. The relay keeps what is told to listeners: whoever had a stream since events
are kept. Somebody who comes anew becomes one before he learns where he begins.
"""

import asyncio
import json
import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

import structlog

from palio.infra import db, tasks
from palio.infra.db import Database, Tx
from palio.infra.realtime import (
    FACTS_BYTES_MAX,
    LOCK,
    NUMBERED,
    RESYNC,
    WRITTEN,
    Frame,
    Hub,
    Listener,
    with_number,
)
from palio.kernel import clock
from palio.kernel.errors import Unavailable
from palio.kernel.topics import ALL_OF_MINE, LiveType

log = structlog.get_logger()

IS_WRITTEN = json.dumps({"topic": WRITTEN})
RELAY = 0x5EA2  # of the one relay
EVENTS_MAX = 5_000  # of one transaction of the relay, and of one look of a process
RESUMED_MAX = 1_000  # of more than that a client reads everything again
PAGE_MAX = 200  # of log topics in one poll
POLL_SECONDS = 1.0
PAUSE_SECONDS = 0.02  # between two looks, so that what many commits tell at the same time is numbered together
KEPT = timedelta(hours=24)
LISTENER_KEPT = KEPT + timedelta(hours=3)  # so that nobody who can still go on is forgotten
HEARD_AGAIN = timedelta(hours=1)  # before that nobody writes again that somebody listens
PRUNED_MAX = 50_000


class Event(NamedTuple):
    """Something that was told about a topic, numbered; without a user it is for everybody who hears the topic."""

    seq: int
    topic: str
    user_id: UUID | None
    type: str
    data: str  # as JSON
    at: datetime

    def frame(self) -> Frame:
        """As it goes to clients: its number is where they go on."""
        told = (
            f'{{"id": "{self.seq}", "topic": {json.dumps(self.topic)}, "type": {json.dumps(self.type)},'
            f' "at": "{clock.text(self.at)}", "data": {self.data}}}'
        )
        return Frame("changed", told, self.topic, seq=self.seq, is_log=True)


async def tell(tx: Tx, *, topic: str, user_id: UUID | None, kind: LiveType, facts: Mapping[str, object]) -> None:
    """Tell somebody something of his own, once this transaction is committed: ids and figures, at most 4 KiB.

    Without a user it is for everybody who hears the topic, as staff do those of the console.
    """
    data = json.dumps(facts, allow_nan=False)
    if len(data) > FACTS_BYTES_MAX:
        raise ValueError(f"{topic}: {len(data)} bytes of facts, at most {FACTS_BYTES_MAX}")
    await db.run(
        tx,
        "insert into infra.stream_pending (topic, user_id, type, data, at) values (%s, %s, %s, %s::jsonb, %s)",
        *(topic, user_id, kind.name, data, clock.now()),
    )
    wake(tx)


def wake(tx: Tx) -> None:
    """Have the relay look as soon as this transaction is committed: something in it has been told."""
    db.after_commit(tx, partial(tx.equipment.tell, WRITTEN, IS_WRITTEN))


async def number(tx: Tx, *, limit: int = EVENTS_MAX) -> int:
    """Number what is committed for listeners, and drop the rest, in a transaction of the system.

    Answers how many events it looked at; 0 while somebody else is at it. In the first minute after a start without
    numbers, as after a crash, everything is kept: whoever has a stream open is about to say so again.
    """
    is_ours = await db.value(  # a hub that numbers states has the second lock for a moment only: that is waited for
        tx,
        """select case when pg_try_advisory_xact_lock(%s) then pg_advisory_xact_lock(%s)::text is not null
          else false end""",
        *(RELAY, LOCK),
    )
    if not is_ours:
        return 0
    found = await tx.execute(
        """
        with gone as (
          delete from infra.stream_pending where id in (
            select id from (
              select id, sum(n) over (order by id) - n as before from (
                select id, coalesce(cardinality(users), 1) as n
                from infra.stream_pending order by id limit %(limit)s) p) p
            where before < %(limit)s)
          returning id, topic, user_id, users, type, data, at),
        every as (
          select g.id, 0 as n, g.topic, g.user_id, g.type, g.data, g.at from gone g where g.users is null
          union all select g.id, u.n, g.topic, u.user_id, g.type, g.data, g.at
          from gone g cross join unnest(g.users) with ordinality u (user_id, n)),
        numbered as (
          insert into infra.stream_events (seq, topic, user_id, type, data, at)
          select nextval('infra.stream_seq'), e.topic, e.user_id, e.type, case when e.n = 0 then e.data else (
            select jsonb_object_agg(d.key, d.value -> (e.n - 1)::int) from jsonb_each(e.data) d) end, e.at
          from (
            select * from every e where e.user_id is null
              or exists (select from infra.stream_listeners l where l.user_id = e.user_id)
              or (select since < clock_timestamp() - interval '1 minute' from infra.stream_marks) is not true
            order by id, n) e returning seq),
        marked as (
          insert into infra.stream_marks (floor, head) select min(seq) - 1, max(seq) from numbered having count(*) > 0
          on conflict (is_only) do update set head = excluded.head)
        select (select count(*) from every), coalesce(max(seq), 0) from numbered""",
        {"limit": limit},
    )
    [(taken, highest)] = await found.fetchall()
    if highest:
        notice = json.dumps({"topic": NUMBERED, "to": highest})
        db.after_commit(tx, partial(tx.equipment.tell, NUMBERED, notice))
    return int(taken)


async def is_listener(tx: Tx, listener: Listener) -> bool:
    """Is what a stream is to hear kept? That of its owner only if it is written, and not long ago, that he listens."""
    if not (listener.owner and listener.own_topics):
        return True
    statement = "select exists (select from infra.stream_listeners where user_id = %s and heard_at > %s)"
    return bool(await db.value(tx, statement, listener.owner, clock.real() - HEARD_AGAIN))


async def listen(tx: Tx, user_ids: Collection[UUID]) -> set[UUID]:
    """Have what is told to these people kept, in a transaction of the system; answers to whom it was not before."""
    now = clock.real()
    found = await tx.execute(
        """
        insert into infra.stream_listeners as l (user_id, heard_at)
        select u, %s from unnest(%s::uuid[]) u order by u
        on conflict (user_id) do update set heard_at = excluded.heard_at where l.heard_at < %s
        returning user_id, xmax = 0""",
        (now, sorted(user_ids), now - HEARD_AGAIN),
    )
    return {user_id for user_id, is_new in await found.fetchall() if is_new}


async def forget_listeners(tx: Tx, *, rows_max: int = PRUNED_MAX) -> None:
    """Forget who had no stream for longer than events are kept."""
    old = clock.real() - LISTENER_KEPT
    await db.run(
        tx,
        """delete from infra.stream_listeners where user_id in (
          select user_id from infra.stream_listeners where heard_at < %s order by heard_at limit %s)
        and heard_at < %s""",
        *(old, rows_max, old),
    )


async def newest(tx: Tx) -> int:
    """The highest number that was given; 0 if none is known."""
    return int(await db.value(tx, "select coalesce(max(head), 0) from infra.stream_marks"))


async def is_kept(tx: Tx, seq: int) -> bool:
    """Can somebody go on behind that number? Not if what followed is forgotten, or if it was not given yet."""
    return bool(
        await db.value(tx, "select exists (select from infra.stream_marks where %s between floor and head)", seq)
    )


async def states_of(tx: Tx, *, topics: Collection[str], after: int, through: int) -> list[Frame]:
    """The newest event of each of these state topics, if its number lies between those."""
    found = await tx.execute(
        """
        select topic, seq, event from infra.stream_states where topic = any (%s) and seq > %s and seq <= %s
        order by seq""",
        (list(topics), after, through),
    )
    return [Frame("changed", with_number(event, seq), topic, seq=seq) for topic, seq, event in await found.fetchall()]


async def latest(
    tx: Tx, *, states: Collection[str], logs: Collection[str], owner: UUID | None, limit: int
) -> list[Frame]:
    """What was told last on these topics, the newest first: of a state the newest, of a log what its owner heard."""
    found = await tx.execute(
        """
        select seq, topic, user_id, type, data::text, at from infra.stream_events
        where topic = any (%s) and (user_id = %s or user_id is null) order by seq desc limit %s""",
        (list(logs), owner, limit),
    )
    told = [Event(*row).frame() for row in await found.fetchall()]
    newest_states = await states_of(tx, topics=states, after=0, through=await newest(tx))
    return _in_order([*told, *newest_states])[::-1][:limit]


async def events_after(tx: Tx, *, after: int, limit: int = EVENTS_MAX) -> list[Event]:
    """What everybody was told behind a number, in order, for a process that passes it on."""
    found = await tx.execute(
        """
        select seq, topic, user_id, type, data::text, at from infra.stream_events
        where seq > %s order by seq limit %s""",
        (after, limit),
    )
    return [Event(*row) for row in await found.fetchall()]


async def prune(tx: Tx, *, now: datetime, rows_max: int = PRUNED_MAX) -> int:
    """Forget what was told more than 24 hours ago, the oldest numbers first; answers how many events."""
    return int(
        await db.value(
            tx,
            """
            with old as (
              delete from infra.stream_events where seq in (
                select oldest.seq from (select seq, at from infra.stream_events order by seq limit %s) oldest
                where oldest.at < %s) returning seq),
            overtaken as (
              delete from infra.stream_states where topic in (
                select topic from infra.stream_states where at < %s order by at limit %s) returning seq),
            raised as (
              update infra.stream_marks set floor = greatest(floor, (
                select max(seq) from (select seq from old union all select seq from overtaken) gone)))
            select count(*) from old""",
            *(rows_max, now - KEPT, now - KEPT, rows_max),
        )
    )


async def run(database: Database, hub: Hub) -> None:
    """Number what is written, and pass on to the streams of this process what is numbered, until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_keep_numbering(database, hub))
        group.create_task(_keep_passing_on(database, hub))


async def _keep_numbering(database: Database, hub: Hub) -> None:
    with hub.hearing([WRITTEN]) as written:
        while True:
            await written.take(POLL_SECONDS)
            try:
                while await _number(database) >= EVENTS_MAX:
                    pass
            except Unavailable as refusal:
                log.warning("live events wait", code=refusal.code)
            tasks.heed_cancellation()
            await asyncio.sleep(PAUSE_SECONDS)


async def _number(database: Database) -> int:
    async with database.begin_system("numbering of live events") as tx:
        return await number(tx)


async def _keep_passing_on(database: Database, hub: Hub) -> None:
    last: int | None = None
    said_at = -math.inf
    with hub.hearing([NUMBERED]) as numbered:
        while True:
            news = await numbered.take(POLL_SECONDS if hub.has_owners else None)
            said_at = -math.inf if RESYNC in news else said_at
            try:
                if hub.has_owners and time.monotonic() > said_at + HEARD_AGAIN.total_seconds():
                    await _say_who_listens(database, hub)
                    said_at = time.monotonic()
                last = await _pass_on(database, hub, last, _highest(news))
            except Unavailable as refusal:
                log.warning("live events wait", code=refusal.code)
            tasks.heed_cancellation()


def _highest(news: Sequence[Frame]) -> int:
    """The highest number that notices name; 0 where somebody has to look: one may be missing, or names none."""
    named = [json.loads(frame.data).get("to", 0) for frame in news if frame is not RESYNC]
    return 0 if RESYNC in news or 0 in named else max(named, default=0)


async def _say_who_listens(database: Database, hub: Hub) -> None:
    """A stream may stay open for days, and a database that has crashed knows nobody."""
    async with database.begin_system("listeners of live events") as tx:
        await listen(tx, hub.owners)


async def _pass_on(database: Database, hub: Hub, last: int | None, told: int = 0) -> int:
    """Everything numbered since `last`, to whom it is for; answers the number it came to.

    While nobody is here to hear, nothing is read: whoever comes now reads what he has missed by himself, and begins
    behind all that is `told`, because that is committed. The first look begins at the newest, whoever was here before.
    """
    states = hub.states_behind  # seen before we look: whatever has a lower number than these is there by now
    if last is not None and told and not hub.has_owners:
        hub.pass_states(states)
        return max(last, told)
    async with database.begin_system("passing on of live events") as tx:
        found = [] if last is None else await events_after(tx, after=last)
        came_to = await newest(tx) if last is None else found[-1].seq if found else last
    if last is None:
        hub.pass_over(came_to)
    for event in found:
        if hub.has_ears_for(event.user_id):  # most are told to people who are not here
            hub.pass_to(event.user_id, event.frame())
    if len(found) == EVENTS_MAX:
        return await _pass_on(database, hub, came_to)
    hub.pass_states(states)
    return came_to


@dataclass(frozen=True, slots=True)
class Resumed:
    """Where a stream of somebody begins: behind which number, with what he missed, or that he must read all again."""

    seq: int
    frames: Sequence[Frame]
    is_lost: bool = False


async def resume(tx: Tx, *, listener: Listener, after: int | None, is_new: bool = False) -> Resumed:
    """What a listener, who hears already, has missed behind a number; None: he begins now.

    What comes meanwhile waits in the listener; what he is told here does not come again. Of his state topics he is told
    the newest in any case: one that rested may have come behind what he has seen. Of who is new nothing was kept.
    """
    head = await newest(tx)
    if after is None:
        return Resumed(head, ())
    if is_new or not await is_kept(tx, after):
        return Resumed(head, (), is_lost=is_new or after != head)
    logs = await _log_of(tx, listener, after, head, RESUMED_MAX + 1)
    if len(logs) > RESUMED_MAX:
        return Resumed(head, (), is_lost=True)
    states = await states_of(tx, topics=listener.topics, after=0, through=head)
    return Resumed(head, _in_order([*logs, *states]))


async def page(tx: Tx, *, listener: Listener, after: int | None, is_new: bool = False) -> Resumed:
    """What is kept behind a number, at most a page of it, and behind which number it goes on; None: at the newest."""
    head = await newest(tx)
    if after is None:
        return Resumed(head, ())
    if is_new or not await is_kept(tx, after):
        return Resumed(head, (), is_lost=is_new or after != head)
    logs = await _log_of(tx, listener, after, head, PAGE_MAX)
    through = (logs[-1].seq or head) if len(logs) == PAGE_MAX else head
    states = await states_of(tx, topics=listener.topics, after=after, through=through)
    return Resumed(through, _in_order([*logs, *states]))


async def _log_of(tx: Tx, listener: Listener, after: int, through: int, limit: int) -> list[Frame]:
    """What his log topics told between two numbers. Numbers are given in the order of commits, so none is missing."""
    if not listener.own_topics:
        return []
    found = await tx.execute(
        """
        select seq, topic, user_id, type, data::text, at from infra.stream_events
        where (user_id = %s or user_id is null) and seq > %s and seq <= %s
          and (topic = any (%s) or %s and topic like 'me:%%') order by seq limit %s""",
        (listener.owner, after, through, list(listener.own_topics), ALL_OF_MINE in listener.own_topics, limit),
    )
    return [Event(*row).frame() for row in await found.fetchall()]


def _in_order(frames: Sequence[Frame]) -> list[Frame]:
    return sorted(frames, key=lambda frame: frame.seq or 0)
