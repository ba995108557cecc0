"""Somebody comes while the relay drops what is told to nobody: whatever is committed after he began reaches him."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Literal, TypeAlias

import pytest

from palio import ledger
from palio.infra import db, embedded, relay
from palio.infra.db import Database
from palio.infra.realtime import LOCK, Hub
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.ui.house import House, Stream, housed
from tests.ui.people import caller
from tests.ui.product import product

Way: TypeAlias = Literal["as it is", "naive"]

RUNNERS = 30
SYSTEM = Actor("system", None, RequestId(new_id()))
TOPIC = "me:wallet"
VISITORS = 10
PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Database]:
    """A connection for each runner, and numbers that have been given for longer than everything is kept."""
    database = Database(cluster.dsn("palio_app", database_name), connections_max=RUNNERS + 2)
    await database.pool.open(wait=True)
    await tell(database, [UserId(new_id())], 0)
    await number_all(database)
    async with database.begin(SYSTEM) as tx:
        await tx.execute("update infra.stream_marks set since = clock_timestamp() - %s", [timedelta(minutes=2)])
    yield database
    await database.pool.close()


async def tell(database: Database, people: Sequence[UserId], n: int) -> None:
    async with database.begin(SYSTEM) as tx:
        for user_id in people:
            await relay.tell(tx, topic=TOPIC, user_id=user_id, kind=ledger.WALLET_CHANGED, facts={"n": n})


async def number_all(database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        while await relay.number(tx):
            pass


async def become_listener(database: Database, user_id: UserId) -> bool:
    async with database.begin(SYSTEM) as tx:
        return bool(await relay.listen(tx, [user_id]))


async def newest(database: Database) -> int:
    async with database.begin(SYSTEM) as tx:
        return await relay.newest(tx)


async def heard(database: Database, user_id: UserId, after: int) -> list[int]:
    """What somebody is told who comes back behind a number."""
    listener = Hub("nobody speaks").join([], own_topics=[TOPIC], owner=user_id)
    async with database.begin(Actor("player", user_id, RequestId(new_id()))) as tx:
        found = await relay.resume(tx, listener=listener, after=after)
    assert not found.is_lost
    return [json.loads(frame.data)["data"]["n"] for frame in found.frames]


@pytest.mark.parametrize("way", ["as it is", "naive"])
async def test_whoever_is_told_where_he_begins_is_a_listener_by_then(crowd: Database, way: Way) -> None:
    """Thirty come, then something is told to each and numbered. Who became a listener only after he had looked where
    he begins has missed it, and nobody tells him so.
    """
    people = [UserId(new_id()) for _ in range(RUNNERS)]
    begun, numbered = asyncio.Barrier(RUNNERS + 1), asyncio.Barrier(RUNNERS + 1)

    async def come(user_id: UserId) -> int:
        if way == "as it is":
            assert await become_listener(crowd, user_id)
        after = await newest(crowd)
        await begun.wait()
        await numbered.wait()
        if way == "naive":
            assert await become_listener(crowd, user_id)
        return after

    async def go_on() -> None:
        await begun.wait()
        await tell(crowd, people, 1)
        await number_all(crowd)
        await numbered.wait()

    going_on = asyncio.create_task(go_on())
    places = await asyncio.gather(*map(come, people))
    await going_on
    await tell(crowd, people, 2)
    await number_all(crowd)
    told = [await heard(crowd, user_id, after) for user_id, after in zip(people, places, strict=True)]
    assert told == RUNNERS * ([[1, 2]] if way == "as it is" else [[2]])


async def number_for_those_known_before(database: Database) -> None:
    """The control: a relay that asks who listens, and then takes what there is to tell."""
    async with database.begin(SYSTEM) as tx:
        listeners = await db.column(tx, "select user_id from infra.stream_listeners")
        await tx.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        await tx.execute(
            """
            with gone as (delete from infra.stream_pending returning id, topic, user_id, type, data, at),
            numbered as (
              insert into infra.stream_events (seq, topic, user_id, type, data, at)
              select nextval('infra.stream_seq'), topic, user_id, type, data, at
              from (select * from gone where user_id = any (%s) order by id) kept returning seq)
            insert into infra.stream_marks (floor, head) select min(seq) - 1, max(seq) from numbered having count(*) > 0
            on conflict (is_only) do update set head = excluded.head""",
            [listeners],
        )


@pytest.mark.parametrize("way", ["as it is", "naive"])
async def test_a_relay_that_was_held_up_knows_who_came_meanwhile(crowd: Database, way: Way) -> None:
    """It waits for a hub that gives numbers; thirty come, and something is told to each before it goes on."""
    people = [UserId(new_id()) for _ in range(RUNNERS)]
    relaying = number_all if way == "as it is" else number_for_those_known_before
    async with crowd.begin(SYSTEM) as speaker:
        await speaker.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        running = asyncio.create_task(relaying(crowd))
        await until_it_waits(crowd)
        await asyncio.gather(*(become_listener(crowd, user_id) for user_id in people))
        after = await newest(crowd)
        await tell(crowd, people, 1)
    await running
    await tell(crowd, people, 2)
    await number_all(crowd)
    told = [await heard(crowd, user_id, after) for user_id in people]
    assert told == RUNNERS * ([[1, 2]] if way == "as it is" else [[2]])


async def until_it_waits(database: Database) -> None:
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and objid = %s and not granted"
    async with asyncio.timeout(PATIENCE_SECONDS), database.begin(SYSTEM) as tx:
        while not await db.value(tx, waiting, LOCK):  # noqa: ASYNC110 - another process knows
            await asyncio.sleep(0.01)


@pytest.fixture
async def house(cluster: embedded.Cluster, database_name: str, crowd: Database) -> AsyncIterator[House]:
    async with housed(cluster.dsn("palio_app", database_name), lambda hub: product(crowd, hub)) as house:
        yield house


async def test_who_comes_at_any_moment_misses_nothing_and_goes_on_where_he_left_off(house: House) -> None:
    """A writer that goes on and on, the relay and the hub as they run. Each comes, is cut off and comes back: from the
    first event that began after his `ready` he has every one, once and in order.
    """
    people = [UserId(new_id()) for _ in range(VISITORS)]
    dice = random.Random(20261128)  # noqa: S311 - the same walk every time
    begun = 0  # the newest event whose transaction has begun

    async def write() -> None:
        nonlocal begun
        while True:
            begun += 1
            await tell(house.database, people, begun)
            await asyncio.sleep(0.02)  # no reader is so slow that he would have to read again

    async def until(n: int) -> None:
        while begun < n:  # noqa: ASYNC110 - every event counts
            await asyncio.sleep(0.001)

    async def visit(user_id: UserId, late: int, stays: int, away: int) -> tuple[int, list[int]]:
        await until(late)
        async with house.listen(TOPIC, **caller("player", user_id)) as stream:
            assert (await stream.frame())["event"] == "ready"
            owed = begun + 1
            last, seen = await events(stream, until=owed + stays)
        await until(seen[-1] + away)
        async with house.listen(TOPIC, **caller("player", user_id), **{"last-event-id": last}) as stream:
            assert (await stream.frame())["event"] == "ready"
            _, more = await events(stream, until=begun + stays)
        return owed, seen + more

    plans = [(user_id, dice.randrange(40), dice.randrange(1, 20), dice.randrange(20)) for user_id in people]
    writing = asyncio.create_task(write())
    async with asyncio.timeout(PATIENCE_SECONDS):
        found = await asyncio.gather(*(visit(*plan) for plan in plans))
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    for owed, seen in found:
        assert seen == list(range(seen[0], seen[-1] + 1))
        assert seen[0] <= owed


async def events(stream: Stream, *, until: int) -> tuple[str, list[int]]:
    """What is told up to an event, and the id of the last one."""
    seen: list[int] = []
    last = ""
    while not seen or seen[-1] < until:
        frame = await stream.frame()
        assert frame.get("event") in {"changed", None}, frame  # None is a comment
        if frame.get("event") == "changed":
            seen.append(json.loads(frame["data"])["data"]["n"])
            last = frame["id"]
    return last, seen
