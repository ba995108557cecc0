"""Live notices: after the commit, newest value wins, one NOTIFY for many, resync after a gap, bye at the end."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress

import psycopg
import pytest

from palio import races
from palio.infra import realtime
from palio.infra.db import Database, Equipment
from palio.infra.realtime import BYE, RESYNC, Frame, Hub, Listener

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
        realtime.publish(tx, topic, races.RACE_UPDATED, {"seq": seq})


@contextmanager
def listening(hub: Hub, *topics: str) -> Iterator[Listener]:
    listener = hub.join(topics)
    try:
        yield listener
    finally:
        hub.leave(listener)


async def following(listener: Listener) -> Frame:
    [frame] = await listener.take(PATIENCE_SECONDS)
    return frame


async def test_what_a_commit_publishes_reaches_the_streams_of_another_process(hub, speaker):
    with listening(hub, "race:1", "races") as listener:
        await tell(speaker, "race:2", 8)
        await tell(speaker, "race:1", 9)
        frame = await following(listener)
    event = json.loads(frame.data)
    number = event.pop("id")
    assert event.pop("at").endswith("Z")
    assert event == {"topic": "race:1", "type": "race.updated", "data": {"seq": 9}}
    assert frame.sse == f"id: {number}\nevent: changed\ndata: {frame.data}\n\n".encode()


async def test_nothing_is_told_of_what_was_undone(hub, speaker):
    with listening(hub, "race:1") as listener:
        with suppress(ZeroDivisionError):
            async with speaker.begin_system("a test") as tx:
                realtime.publish(tx, "race:1", races.RACE_UPDATED, {"seq": 1})
                raise ZeroDivisionError
        await tell(speaker, "race:1", 2)
        assert json.loads((await following(listener)).data)["data"] == {"seq": 2}


async def test_many_topics_travel_together_and_of_each_the_newest(hub, speaker, dsn):
    """A thousand events on 200 topics: every topic ends at its newest, in a few notices of less than 8,000 bytes."""
    heard = []
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as ear:
        await ear.execute("listen palio_topics")
        async with speaker.begin_system("a test") as tx:
            for seq in range(1_000):
                realtime.publish(tx, f"race:{seq % 200}", races.RACE_UPDATED, {"seq": seq})
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
    with listening(hub, "race:1") as listener:

        async def hurry() -> None:
            for seq in range(1, 31):
                await tell(speaker, "race:1", seq)
                await asyncio.sleep(0.02)

        hurrying = asyncio.create_task(hurry())
        while not seqs or seqs[-1] < 30:
            seqs.append(json.loads((await following(listener)).data)["data"]["seq"])
        await hurrying
    assert seqs == sorted(seqs)
    assert len(seqs) <= (loop.time() - began) / 0.25 + 2


async def test_after_a_lost_connection_every_stream_is_told_to_load_again(hub, speaker, cluster, database_name):
    with listening(hub, "race:1") as listener, listening(hub, "races") as other:
        async with await psycopg.AsyncConnection.connect(cluster.dsn(), autocommit=True) as admin:
            statement = """select pg_terminate_backend(pid) from pg_stat_activity
                where datname = %s and query ilike 'listen%%'"""
            await admin.execute(statement, [database_name])
        assert await following(listener) is RESYNC
        assert await following(other) is RESYNC
        await tell(speaker, "race:1", 5)
        assert json.loads((await following(listener)).data)["data"] == {"seq": 5}


async def test_closing_says_bye_to_every_stream_and_to_later_ones():
    hub = Hub("")
    with listening(hub, "race:1") as listener:
        hub.close()
        assert await following(listener) is BYE
    with listening(hub, "race:1") as late:
        assert await following(late) is BYE
    assert hub.streams_open == 0


async def test_a_client_that_reads_nothing_keeps_only_the_newest_of_each_topic():
    hub = Hub("")
    with listening(hub, "race:1", "race:2") as listener:
        for seq in range(1_000):
            listener.put(Frame("changed", str(seq), f"race:{1 + seq % 2}"))
        assert [frame.data for frame in await listener.take(PATIENCE_SECONDS)] == ["998", "999"]
        assert await listener.take(0.01) == []


async def test_patience_counts_from_the_last_time_something_was_taken():
    """Although one alarm serves many waits: it is put off by what comes, and moved up for whoever waits less long."""
    listener, loop, news = Listener(frozenset({"races"})), asyncio.get_running_loop(), Frame("changed", "{}", "races")
    async with asyncio.timeout(PATIENCE_SECONDS):
        patient = asyncio.create_task(listener.take(0.2))
        await asyncio.sleep(0)
        listener.put(news)
        assert await patient == [news]
        began = loop.time()
        assert await listener.take(0.3) == []  # the alarm of the first wait rings meanwhile
        assert loop.time() - began >= 0.29

        patient = asyncio.create_task(listener.take(60))
        await asyncio.sleep(0)
        listener.put(news)
        assert await patient == [news]
        assert await listener.take(0.01) == []


def test_streams_and_topics_are_limited():
    hub = Hub("")
    with pytest.raises(ValueError, match="51 topics"):
        hub.join([f"race:{number}" for number in range(51)])
    hub._listeners = set(range(realtime.STREAMS_MAX))
    with pytest.raises(realtime.TooManyStreams):
        hub.join(["races"])


@pytest.mark.parametrize("facts", [{"text": "x" * 4_096}, {"share": float("nan")}])
async def test_facts_are_small_and_plain(tx, facts):
    with pytest.raises(ValueError, match=r"."):
        realtime.publish(tx, "races", races.RACE_UPDATED, facts)


async def test_what_changes_in_one_turn_is_told_in_one_go_and_wakes_nobody(hub, speaker):
    """Whoever waits stays asleep, and the next thing that is not told so comes behind it."""
    told: list[list[str]] = []
    heard = asyncio.Event()

    def tell(frames):
        told.append([json.loads(frame.data)["topic"] for frame in frames])
        heard.set()
        return True

    with listening(hub, "race:1", "race:2", "race:3") as listener:
        listener.tell_at_once = tell
        asleep = asyncio.create_task(listener.take(None))
        await asyncio.sleep(0)
        async with speaker.begin_system("a test") as tx:
            for n in (1, 2, 3):
                realtime.publish(tx, f"race:{n}", races.RACE_UPDATED, {"seq": n})
        await asyncio.wait_for(heard.wait(), PATIENCE_SECONDS)
        assert (told, asleep.done()) == ([["race:1", "race:2", "race:3"]], False)

        listener.put(BYE)
        assert await asleep == [BYE]


async def test_who_cannot_be_told_at_once_takes_the_newest_himself(hub, speaker):
    with listening(hub, "race:1") as listener:
        listener.tell_at_once = lambda _: False
        await tell(speaker, "race:1", 7)
        [frame] = await listener.take(PATIENCE_SECONDS)
        assert json.loads(frame.data)["data"] == {"seq": 7}


async def test_another_process_hears_at_once_that_something_has_ended(hub, speaker):
    """Also after a gap in listening: then it may have."""
    heard = asyncio.Event()
    hub.heed(":endings", heard.set)
    async with speaker.begin_system("a test") as tx:
        realtime.publish(tx, ":endings", races.RACE_UPDATED, {})
    await heard.wait()
    heard.clear()
    hub._resume()
    assert heard.is_set()
