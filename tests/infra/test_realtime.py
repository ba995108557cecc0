"""Live notices: after the commit, newest value wins, one NOTIFY for many, resync after a gap, bye at the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress

import psycopg
import pytest

from palio.infra import realtime
from palio.infra.db import Database, Equipment
from palio.infra.realtime import BYE, READY, RESYNC, Frame, Hub

PATIENCE_SECONDS = 10


@asynccontextmanager
async def running(hub: Hub) -> AsyncIterator[None]:
    task = asyncio.create_task(hub.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def dsn(cluster, database_name):
    return cluster.dsn("palio_app", database_name)


@pytest.fixture
async def hub(dsn):
    """The hub of one process, listening."""
    hub = Hub(dsn)
    listening = asyncio.Event()
    hub.on("palio_test", listening.set)
    async with running(hub), asyncio.timeout(PATIENCE_SECONDS):
        await listening.wait()
        yield hub


@pytest.fixture
async def speaker(dsn):
    """Another process: a database whose commits are told by a hub of its own."""
    async with AsyncExitStack() as stack:
        other = Hub(dsn)
        await stack.enter_async_context(running(other))
        database = Database(dsn, equipment=Equipment(tell=other.tell))
        await database.pool.open(wait=True)
        stack.push_async_callback(database.pool.close)
        yield database


async def tell(speaker: Database, topic: str, seq: int) -> None:
    async with speaker.begin_system("a test") as tx:
        realtime.publish(tx, topic, "race.updated", {"seq": seq})


async def following(frames: AsyncIterator[Frame]) -> Frame:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await anext(frames)


async def test_what_a_commit_publishes_reaches_the_streams_of_another_process(hub, speaker):
    async with aclosing(hub.stream(["race:1", "races"])) as frames:
        assert await following(frames) is READY
        await tell(speaker, "race:2", 8)
        await tell(speaker, "race:1", 9)
        frame = await following(frames)
    event = json.loads(frame.data)
    assert event.pop("at").endswith("Z")
    assert event == {"topic": "race:1", "type": "race.updated", "data": {"seq": 9}}
    assert frame.sse == f"event: changed\ndata: {frame.data}\n\n".encode()


async def test_nothing_is_told_of_what_was_undone(hub, speaker):
    async with aclosing(hub.stream(["race:1"])) as frames:
        await following(frames)
        with suppress(ZeroDivisionError):
            async with speaker.begin_system("a test") as tx:
                realtime.publish(tx, "race:1", "race.updated", {"seq": 1})
                raise ZeroDivisionError
        await tell(speaker, "race:1", 2)
        assert json.loads((await following(frames)).data)["data"] == {"seq": 2}


async def test_many_topics_travel_together_and_of_each_the_newest(hub, speaker, dsn):
    """A thousand events on 200 topics: every topic ends at its newest, in a few notices of less than 8,000 bytes."""
    heard = []
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as ear:
        await ear.execute("listen palio_topics")
        async with speaker.begin_system("a test") as tx:
            for seq in range(1_000):
                realtime.publish(tx, f"race:{seq % 200}", "race.updated", {"seq": seq})
        async for notice in ear.notifies(timeout=PATIENCE_SECONDS):
            heard.append(notice.payload)
            if sum(payload.count("\n") + 1 for payload in heard) == 200:
                break
    assert max(map(len, heard)) < 8_000
    assert len(heard) < 10
    events = [json.loads(line) for payload in heard for line in payload.splitlines()]
    assert {event["data"]["seq"] for event in events} == set(range(800, 1_000))


async def test_a_topic_arrives_at_most_every_quarter_second_and_ends_at_its_newest(hub, speaker):
    loop, seqs = asyncio.get_running_loop(), []
    began = loop.time()
    async with aclosing(hub.stream(["race:1"])) as frames:
        await following(frames)

        async def hurry() -> None:
            for seq in range(1, 31):
                await tell(speaker, "race:1", seq)
                await asyncio.sleep(0.02)

        hurrying = asyncio.create_task(hurry())
        while not seqs or seqs[-1] < 30:
            seqs.append(json.loads((await following(frames)).data)["data"]["seq"])
        await hurrying
    assert seqs == sorted(seqs)
    assert len(seqs) <= (loop.time() - began) / 0.25 + 2


async def test_after_a_lost_connection_every_stream_is_told_to_load_again(hub, speaker, cluster, database_name):
    async with aclosing(hub.stream(["race:1"])) as frames, aclosing(hub.stream(["races"])) as others:
        await following(frames)
        await following(others)
        async with await psycopg.AsyncConnection.connect(cluster.dsn(), autocommit=True) as admin:
            statement = """select pg_terminate_backend(pid) from pg_stat_activity
                where datname = %s and query ilike 'listen%%'"""
            await admin.execute(statement, [database_name])
        assert await following(frames) is RESYNC
        assert await following(others) is RESYNC
        await tell(speaker, "race:1", 5)
        assert json.loads((await following(frames)).data)["data"] == {"seq": 5}


async def test_closing_says_bye_to_every_stream_and_to_later_ones():
    hub = Hub("")
    async with aclosing(hub.stream(["race:1"])) as frames:
        assert await following(frames) is READY
        hub.close()
        assert [frame async for frame in frames] == [BYE]
    assert [frame async for frame in hub.stream(["race:1"])] == [READY, BYE]
    assert hub.streams_open == 0


async def test_a_client_that_reads_nothing_keeps_only_the_newest_of_each_topic():
    hub = Hub("")
    async with aclosing(hub.stream(["race:1", "race:2"])) as frames:
        await following(frames)
        for seq in range(1_000):
            for client in hub._clients:
                client.put(Frame("changed", str(seq), f"race:{1 + seq % 2}"))
        assert [(await following(frames)).data for _ in range(2)] == ["998", "999"]


async def test_streams_and_topics_are_limited():
    hub = Hub("")
    with pytest.raises(ValueError, match="51 topics"):
        await anext(hub.stream([f"race:{number}" for number in range(51)]))
    hub._clients = set(range(realtime.STREAMS_MAX))
    with pytest.raises(realtime.TooManyStreams):
        await anext(hub.stream(["races"]))


@pytest.mark.parametrize("facts", [{"text": "x" * 4_096}, {"share": float("nan")}])
async def test_facts_are_small_and_plain(tx, facts):
    with pytest.raises(ValueError, match=r"."):
        realtime.publish(tx, "races", "race.updated", facts)
