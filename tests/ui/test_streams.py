"""Live streams on a real socket: what is told in a transaction arrives after its commit, in the frames we promise."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from uuid import UUID

import httpx2
import psycopg
import pytest
from starlette.types import Message

from palio import races
from palio.infra import embedded, realtime, settings
from palio.infra.db import Database
from palio.infra.realtime import STATE_INTERVAL_MS, Frame, Hub
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.settings import Catalogue
from palio.ui.actor import Asking
from palio.ui.streams import EventStream, Streams
from palio.ui.streams.hearing import Visitor
from palio.ui.types import STREAM_TOPICS_MAX
from tests.conftest import PATIENCE_S
from tests.ui import people
from tests.ui.house import SYSTEM, House, Stream, housed
from tests.ui.product import product

PATIENCE_SECONDS = 10
MOST_OF_A_SECOND = 0.7
NOBODY = Asking(Actor("none", None, RequestId(new_id())), people.NOW)


class UndoneError(Exception):
    """Ends a transaction without a commit."""


@pytest.fixture
async def house(cluster: embedded.Cluster, database_name: str, database: Database) -> AsyncIterator[House]:
    async with housed(cluster.dsn("palio_app", database_name), lambda hub: product(database, hub)) as house:
        yield house


def topic() -> str:
    return f"race:{new_id()}"


async def test_a_stream_begins_with_ready_and_tells_what_is_committed(house: House) -> None:
    one = topic()
    async with house.listen(one) as stream:
        ready = await stream.frame()
        await house.tell(one, seq=412, changed=3)
        changed = await stream.frame()

    assert stream.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert (stream.answer.headers["cache-control"], "content-encoding" in stream.answer.headers) == ("no-store", False)
    assert (ready["event"], ready["retry"]) == ("ready", "3000")
    assert UUID(json.loads(ready["data"])["connection_id"])
    event = json.loads(changed["data"])
    assert changed["event"] == "changed" and event.keys() == {"id", "topic", "type", "at", "data"}
    assert changed["id"] == event["id"]
    assert (event["topic"], event["type"], event["data"]) == (one, "race.updated", {"seq": 412, "changed": 3})


async def test_what_is_rolled_back_is_never_told(house: House) -> None:
    one = topic()
    async with house.listen(one) as stream:
        await stream.frame()
        with suppress(UndoneError):
            async with house.database.begin(SYSTEM) as tx:
                realtime.publish(tx, one, races.RACE_UPDATED, {"seq": 1})
                raise UndoneError
        await house.tell(one, seq=2)

        assert json.loads((await stream.frame())["data"])["data"] == {"seq": 2}


async def test_a_topic_that_cannot_be_heard_is_a_problem_and_the_others_stay(house: House) -> None:
    one = topic()
    async with house.listen(f"{one},me:wallet,race:nobody,secret") as stream:
        frames = [await stream.frame() for _ in range(4)]
        await house.tell(one, seq=1)
        changed = await stream.frame()

    assert [frame["event"] for frame in frames] == ["ready", "problem", "problem", "problem"]
    problems = [json.loads(frame["data"]) for frame in frames[1:]]
    assert [(problem["code"], problem["facts"]["topic"]) for problem in problems] == [
        ("not_found", "me:wallet"),
        ("not_found", "race:nobody"),
        ("not_found", "secret"),
    ]
    assert changed["event"] == "changed"


async def test_whoever_comes_back_is_told_the_newest_of_each_topic(house: House) -> None:
    """What was overtaken is not told again; control frames carry no id."""
    one, other = topic(), topic()
    async with house.listen(f"{one},{other}") as stream:
        await stream.frame()
        await house.tell(one, seq=1)
        seen = await stream.frame()
    for seq in (2, 3):
        await house.tell(one, seq=seq)
    await house.tell(other, seq=4)
    await house.settled()
    async with house.listen(f"{one},{other}", **{"last-event-id": seen["id"]}) as stream:
        frames = [await stream.frame() for _ in range(3)]

    assert [(frame["event"], "id" in frame) for frame in frames] == [
        ("ready", False),
        ("changed", True),
        ("changed", True),
    ]
    assert [json.loads(frame["data"])["data"]["seq"] for frame in frames[1:]] == [3, 4]


@pytest.mark.parametrize("said", ["999999999999", "-1", "nonsense"])
async def test_whoever_knows_an_unknown_number_reads_everything_again(house: House, said: str) -> None:
    one = topic()
    async with house.listen(one, **{"last-event-id": said}) as stream:
        frames = [await stream.frame() for _ in range(2)]

    assert [frame["event"] for frame in frames] == ["ready", "resync"]
    assert json.loads(frames[1]["data"]) == {"topics": [one], "from": frames[1]["id"]}


async def test_a_lost_listener_is_told_as_resync(house: House, cluster: embedded.Cluster, database_name: str) -> None:
    one = topic()
    async with house.listen(one) as stream:
        await stream.frame()
        await house.tell(one, seq=1)
        await stream.frame()
        with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
            admin.execute(
                """select pg_terminate_backend(pid) from pg_stat_activity
                where datname = %s and query like 'listen %%'""",
                [database_name],
            )
        frames = [frame async for frame in _until(stream, "resync")]

    assert json.loads(frames[-1]["data"]) == {"topics": [one]}


async def _until(stream: Stream, event: str) -> AsyncIterator[dict[str, str]]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            frame = await stream.frame()
            yield frame
            if frame.get("event") == event:
                return


async def test_a_quiet_line_is_kept_open_by_comments(house: House) -> None:
    async with house.listen(topic()) as stream:
        frames = [await stream.frame() for _ in range(3)]

    assert [frame.get("event", "comment") for frame in frames] == ["ready", "comment", "comment"]


async def test_a_slow_client_holds_up_nobody_and_is_told_the_newest_once() -> None:
    """The server waits before it writes to him, as it does when his line is full; then he gets what is true by then."""
    hub, one, is_free, written = Hub(""), topic(), asyncio.Event(), asyncio.Queue[bytes]()

    async def send(message: Message) -> None:
        if message.get("body"):
            await is_free.wait()
            written.put_nowait(message["body"])

    async def receive() -> Message:
        return await asyncio.Future()

    async def is_nobody() -> Asking:
        return NOBODY

    listener = hub.join([one])
    answer = EventStream(Streams(hub, None), Visitor(NOBODY, "here", 20, is_nobody), listener, b"ready")
    serving = asyncio.create_task(answer({"type": "http"}, receive, send))
    is_free.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await written.get() == b"ready"
        await asyncio.sleep(0)
        is_free.clear()
        for seq in (1, 2, 3):
            listener.offer(Frame("changed", str(seq), one))
            listener.settle()
            await asyncio.sleep(0)
        assert written.empty()
        is_free.set()
        told = [await written.get(), await written.get()]
        listener.offer(Frame("changed", "4", one))
        listener.settle()
        told.append(await written.get())
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert told == [Frame("changed", seq, one).sse for seq in "134"]


async def test_a_stopping_server_says_goodbye(house: House) -> None:
    async with house.listen(topic()) as stream:
        await stream.frame()
        house.hub.close()
        goodbye = await stream.frame()
        end = await stream.frame()

    assert (goodbye["event"], json.loads(goodbye["data"])) == ("bye", {"reason": "restart", "retry_ms": 3000})
    assert end == {}


async def test_one_address_has_twenty_streams_and_gets_its_places_back(house: House) -> None:
    async with AsyncExitStack() as opened:
        streams = [await opened.enter_async_context(house.listen("races")) for _ in range(20)]
        begun = [(await stream.frame())["event"] for stream in streams]
        refused = (await opened.enter_async_context(house.listen("races"))).answer
        problem = json.loads(await refused.aread())

    assert begun == ["ready"] * 20
    assert (refused.status_code, problem["code"], refused.headers["retry-after"]) == (429, "rate_limited", "60")
    assert problem["facts"] == {"policy": "streams", "limit": 20}
    assert await status_when_somebody_has_left(house) == 200


@pytest.fixture
async def few_and_seldom(database: Database) -> AsyncIterator[None]:
    """What an operator has set: five topics of a stream, each once a second."""
    wanted = {STREAM_TOPICS_MAX: 5, STATE_INTERVAL_MS: 1_000}
    async with database.begin(SYSTEM) as tx:
        await settings.declare(tx, Catalogue(wanted))
        await settings.change(tx, SYSTEM, [settings.Change(one, value) for one, value in wanted.items()], "a test")
        await settings.snapshot.load(tx)
    yield
    settings.snapshot.forget()


@pytest.mark.usefixtures("few_and_seldom")
async def test_an_operator_says_how_many_topics_a_stream_hears_and_how_often(house: House) -> None:
    topics = [topic() for _ in range(6)]
    async with httpx2.AsyncClient(base_url=house.base, timeout=PATIENCE_S) as client:
        refused = await client.get(f"/api/v1/stream?topics={','.join(topics)}")
    async with house.listen(topics[0]) as stream:
        await stream.frame()
        await house.tell(topics[0], seq=1)
        await next_change(stream)
        began = asyncio.get_running_loop().time()
        await house.tell(topics[0], seq=2)
        await next_change(stream)

    assert (refused.status_code, refused.json()["code"], refused.json()["facts"]) == (
        413,
        "too_many_items",
        {"limit": 5},
    )
    assert asyncio.get_running_loop().time() - began > MOST_OF_A_SECOND


async def next_change(stream: Stream) -> dict[str, str]:
    """The next frame that tells something, comments left out."""
    while True:
        if (frame := await stream.frame()).get("event") == "changed":
            return frame


async def status_when_somebody_has_left(house: House) -> int:
    """The server notices within a moment that a caller is gone."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with house.listen("races") as stream:
                if stream.answer.status_code != 429:
                    return stream.answer.status_code


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("topics=races", {"origin": "https://evil.example"}, 403, "origin_rejected"),
        ("topics=races", {"accept": "application/json"}, 406, "not_acceptable"),
        ("", {}, 422, "validation_failed"),
        ("topics=races&after=1", {}, 422, "unknown_parameter"),
        ("topics=" + ",".join(f"t{n}" for n in range(51)), {}, 413, "too_many_items"),
    ],
)
async def test_what_is_no_stream_is_refused_before_it_begins(
    house: House, query: str, headers: dict[str, str], status: int, code: str
) -> None:
    async with httpx2.AsyncClient(base_url=house.base, timeout=PATIENCE_S) as client:
        answer = await client.get(f"/api/v1/stream?{query}", headers=headers)
        head = await client.head("/api/v1/stream?topics=races")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (head.status_code, head.headers["allow"]) == (405, "GET")
