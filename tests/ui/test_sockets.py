"""The socket on a real server: who it is, what he hears, and what closes it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from palio import competitions
from palio.infra import embedded, realtime
from palio.infra.db import Database
from palio.kernel.errors import Unauthenticated
from palio.kernel.ids import UserId, new_id
from palio.ui.streams import socket as door
from tests.conftest import PATIENCE_S
from tests.factories.competitions import new
from tests.ui import people
from tests.ui.house import House, housed
from tests.ui.people import OURS, caller
from tests.ui.product import product
from tests.ui.test_own_streams import pay

Told = dict[str, object]


@pytest.fixture
async def ended() -> set[UserId]:
    """Whose sessions have ended."""
    return set()


@pytest.fixture
async def house(
    cluster: embedded.Cluster, database_name: str, database: Database, ended: set[UserId]
) -> AsyncIterator[House]:
    async def recall(request, holder):  # type: ignore[no-untyped-def]
        if holder.user_id in ended:
            raise Unauthenticated
        return await people.recall(request, holder)

    async with housed(
        cluster.dsn("palio_app", database_name), lambda hub: product(database, hub, recall=recall)
    ) as house:
        yield house


class Talk:
    """One socket, and what is said over it."""

    def __init__(self, line: ClientConnection) -> None:
        self.line = line

    async def say(self, op: str, **members: object) -> None:
        await self.line.send(json.dumps({"op": op, **members}))

    async def frame(self) -> Told:
        async with asyncio.timeout(PATIENCE_S):
            return json.loads(await self.line.recv())

    async def event(self) -> Told:
        """The next event; what else comes is passed over."""
        while (frame := await self.frame())["op"] != "event":
            pass
        return frame["event"]  # type: ignore[return-value]

    async def end(self) -> tuple[int, list[Told]]:
        """How the server closes, and what it says until then."""
        said = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    said.append(json.loads(await self.line.recv()))
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006, said


@asynccontextmanager
async def talking(house: House, query: str = "", **more: object) -> AsyncIterator[Talk]:
    address = f"{house.base.replace('http', 'ws')}/api/v1/stream/ws{query}"
    async with connect(address, proxy=None, **more) as line:  # type: ignore[arg-type]  # options of the client
        yield Talk(line)


async def ticket_of(house: House, user_id: UserId, **headers: str) -> str:
    async with httpx2.AsyncClient(base_url=house.base, timeout=PATIENCE_S) as client:
        asked = {**caller("player", user_id), **OURS, **headers}
        answer = await client.post("/api/v1/stream/tickets", headers=asked)
    assert (answer.status_code, answer.json()["expires_in_s"], answer.headers["cache-control"]) == (201, 30, "no-store")
    return answer.json()["ticket"]


@asynccontextmanager
async def greeted(house: House, user_id: UserId, topics: list[str], **more: object) -> AsyncIterator[Talk]:
    async with talking(house) as talk:
        await talk.say("hello", ticket=await ticket_of(house, user_id), topics=topics, **more)
        ready = await talk.frame()
        assert (ready["op"], ready["topics"]) == ("ready", sorted(topics))
        yield talk


async def test_a_guest_hears_public_topics_and_says_which(house: House) -> None:
    one, other = f"race:{new_id()}", f"race:{new_id()}"
    async with talking(house) as talk:
        await talk.say("hello")
        ready = await talk.frame()
        await talk.say("subscribe", topics=[one, "me:wallet", "secret"])
        frames = [await talk.frame() for _ in range(3)]
        await house.tell(one, seq=1)
        first = await talk.event()
        await talk.say("subscribe", topics=[other])
        both = await talk.frame()
        await talk.say("unsubscribe", topics=[one])
        rest = await talk.frame()
        await house.tell(one, seq=2)
        await house.tell(other, seq=3)
        second = await talk.event()

    assert UUID(str(ready["connection_id"])) and ready["topics"] == []
    assert [frame["op"] for frame in frames] == ["ready", "error", "error"]
    codes = [(frame["problem"]["code"], frame["problem"]["facts"]["topic"]) for frame in frames[1:]]  # type: ignore[index]
    assert codes == [("not_found", "me:wallet"), ("not_found", "secret")]
    assert (first["topic"], first["type"], first["data"]) == (one, "race.updated", {"seq": 1})
    assert (both["topics"], rest["topics"]) == (sorted([one, other]), [other])
    assert (second["topic"], second["data"]) == (other, {"seq": 3})
    assert int(str(second["id"])) > int(str(first["id"]))


async def test_who_comes_back_has_every_event_once_and_in_order(house: House, noon: datetime) -> None:
    """A hundred transfers commit from twenty connections while he is away, and more while he comes back."""
    alice = UserId(new_id())
    async with greeted(house, alice, ["me:wallet"]) as talk:
        await pay(house.database, alice, 1, noon)
        seen = await talk.event()

    async def pay_five(_: int) -> None:
        for _ in range(5):
            await pay(house.database, alice, 1, noon)

    await asyncio.gather(*map(pay_five, range(20)))
    async with talking(house) as talk:
        await talk.say("hello", ticket=await ticket_of(house, alice), resume=seen["id"])
        await asyncio.gather(talk.say("subscribe", topics=["me:wallet"]), *map(pay_five, range(4)))
        found = [await talk.event() for _ in range(120)]
        await pay(house.database, alice, 1, noon)
        found.append(await talk.event())

    seqs = [int(str(event["id"])) for event in found]
    balances = [event["data"]["balance"] for event in found]  # type: ignore[index]
    assert (seqs, balances) == (sorted(set(seqs)), list(range(2, 123)))


@pytest.mark.parametrize("said", ["999999999999", "-1", "nonsense"])
async def test_who_knows_an_unknown_number_reads_everything_again(house: House, noon: datetime, said: str) -> None:
    alice = UserId(new_id())
    async with greeted(house, alice, ["me:wallet", "races"], resume=said) as talk:
        resync = await talk.frame()
        await pay(house.database, alice, 1, noon)
        event = await talk.event()
    assert (resync["op"], resync["topics"]) == ("resync", ["me:wallet", "races"])
    assert int(str(event["id"])) > int(str(resync["from"]))


async def test_three_transports_tell_the_same_events_in_the_same_order(house: House, noon: datetime) -> None:
    """Live, and again behind the first of them: states in between, of which only the newest comes again."""
    alice, one = UserId(new_id()), f"race:{new_id()}"
    topics = [one, "me:wallet"]
    me = caller("player", alice)
    async with (
        greeted(house, alice, topics) as talk,
        house.listen(",".join(topics), **me) as stream,
        httpx2.AsyncClient(base_url=house.base, timeout=PATIENCE_S) as client,
    ):
        await stream.frame()

        async def poll(after: str | None, wait: int = 0) -> Told:
            query = {"topics": ",".join(topics), "wait": wait, **({"after": after} if after else {})}
            answer = await client.get("/api/v1/stream/poll", params=query, headers=me)
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
            return answer.json()

        begun = str((await poll(None))["next"])
        for number in range(3):
            await pay(house.database, alice, 1, noon)
            await asyncio.sleep(0.3)  # a state rests so long
            await house.tell(one, seq=number)
            await asyncio.sleep(0.3)
        by_socket = [await talk.event() for _ in range(6)]
        by_stream = [await _changed(stream) for _ in range(6)]
        by_poll = await poll(begun, 5)
        async with greeted(house, alice, topics, resume=begun) as again:
            by_socket_again = [await again.event() for _ in range(4)]
        async with house.listen(",".join(topics), **me, **{"last-event-id": begun}) as stream_again:
            by_stream_again = [await _changed(stream_again) for _ in range(4)]

    assert by_socket == by_stream
    assert [event["topic"] for event in by_socket] == ["me:wallet", one] * 3
    assert by_poll["items"] == by_socket_again == by_stream_again
    states = [event for event in by_socket if event["topic"] == one]
    assert by_poll["items"] == [event for event in by_socket if event not in states[:-1]]
    assert by_poll["next"] == by_socket[-1]["id"]


async def _changed(stream) -> Told:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(PATIENCE_S):
        while (frame := await stream.frame()).get("event") != "changed":
            pass
    return json.loads(frame["data"])


async def test_a_poll_waits_for_what_comes_and_no_longer(house: House, noon: datetime) -> None:
    alice = UserId(new_id())
    async with httpx2.AsyncClient(base_url=house.base, timeout=PATIENCE_S, headers=caller("player", alice)) as client:

        async def poll(**query: object) -> httpx2.Response:
            return await client.get("/api/v1/stream/poll", params={"topics": "me:wallet", **query})

        begun = (await poll()).json()["next"]
        nothing = (await poll(after=begun, wait=1)).json()
        waiting = asyncio.create_task(poll(after=begun, wait=25))
        await asyncio.sleep(0.2)
        await pay(house.database, alice, 7, noon)
        async with asyncio.timeout(PATIENCE_S):
            found = (await waiting).json()
        lost = (await poll(after="999999999999", wait=25)).json()
        refused = await poll(after=begun, wait=26)

    assert (nothing["items"], nothing["next"]) == ([], begun)
    [event] = found["items"]
    assert (event["data"]["amount"], found["next"]) == (7, event["id"])
    assert (lost["items"], lost["resync"]) == ([], ["me:wallet"])
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/wait")


async def test_me_is_all_of_mine_and_nothing_of_others(house: House, noon: datetime) -> None:
    alice, bob = UserId(new_id()), UserId(new_id())
    async with greeted(house, alice, ["me"]) as mine, greeted(house, bob, ["me"]) as his:
        await pay(house.database, alice, 40, noon)
        await pay(house.database, bob, 7, noon)
        told, other = await mine.event(), await his.event()
        await mine.say(
            "subscribe", topics=[f"me:wallet:{bob}", f"user:{bob}", f"me:{bob}", "console:feeds", "console:home"]
        )
        frames = [await mine.frame() for _ in range(6)]
    assert (told["data"]["amount"], other["data"]["amount"]) == (40, 7)  # type: ignore[index]
    assert [frame["op"] for frame in frames] == ["ready", *["error"] * 5]
    assert frames[0]["topics"] == ["me"]


async def test_what_is_not_published_cannot_be_heard(house: House, noon: datetime) -> None:
    """Whoever guesses the id of a draft is told that there is nothing; his other topics go on."""
    async with house.database.begin_system("a test") as tx:
        draft = await competitions.create(tx, new=new(noon + timedelta(hours=2)), created_by=None, now=noon)
    async with talking(house) as talk:
        await talk.say("hello", topics=[f"race:{draft}", f"competition:{draft}", "races"])
        frames = [await talk.frame() for _ in range(3)]
    assert [frame["op"] for frame in frames] == ["ready", "error", "error"]
    assert frames[0]["topics"] == ["races"]
    staff = caller("staff", people.STELLA, permissions="admin.home.read")
    async with httpx2.AsyncClient(base_url=house.base, headers=staff, timeout=PATIENCE_S) as client:
        polled = await client.get(f"/api/v1/console/stream/poll?topics=race:{draft},console:feeds,console:home")
    codes = [(problem["code"], problem["facts"]["topic"]) for problem in polled.json()["problems"]]
    assert codes == [("permission_missing", "console:feeds")]


# tickets


async def test_a_ticket_opens_one_stream(house: House) -> None:
    alice = UserId(new_id())
    ticket = await ticket_of(house, alice)
    async with talking(house, f"?ticket={ticket}") as first:
        await first.say("hello", topics=["me:wallet"])
        assert (await first.frame())["topics"] == ["me:wallet"]
        async with talking(house) as second:
            await second.say("hello", ticket=ticket)
            code, said = await second.end()
    assert code == 4401
    assert [frame["problem"]["code"] for frame in said] == ["ticket_invalid"]  # type: ignore[index]
    async with httpx2.AsyncClient(base_url=house.base, timeout=PATIENCE_S) as client:
        query = {"topics": "me:wallet", "ticket": ticket}
        for path in ("/api/v1/stream", "/api/v1/stream/poll"):
            answer = await client.get(path, params=query)
            assert (answer.status_code, answer.json()["code"]) == (401, "ticket_invalid")
        fresh = await client.get("/api/v1/stream/poll", params={**query, "ticket": await ticket_of(house, alice)})
    assert (fresh.status_code, fresh.json()["problems"]) == (200, [])


async def test_a_ticket_counts_at_the_page_that_got_it(house: House) -> None:
    ours = {"origin": house.base}
    ticket = await ticket_of(house, UserId(new_id()), **ours)
    async with talking(house) as talk:  # a program, which is no page
        await talk.say("hello", ticket=ticket)
        code, _ = await talk.end()
    ticket = await ticket_of(house, UserId(new_id()), **ours)
    async with talking(house, origin=house.base) as talk:
        await talk.say("hello", ticket=ticket)
        ready = await talk.frame()
    assert (code, ready["op"]) == (4403, "ready")


async def test_a_foreign_page_opens_nothing(house: House) -> None:
    ticket = await ticket_of(house, UserId(new_id()))
    with pytest.raises(InvalidStatus) as refused:
        async with talking(house, f"?ticket={ticket}", origin="https://evil.example"):
            pass
    answer = refused.value.response
    assert (answer.status_code, json.loads(answer.body or b"")["code"]) == (403, "origin_rejected")
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == (
        "application/problem+json",
        "nosniff",
    )
    assert UUID(answer.headers["x-request-id"])


async def test_a_session_that_ends_closes_its_socket_within_two_seconds(
    house: House, ended: set[UserId], noon: datetime
) -> None:
    """Nothing need happen on its topics, and others stay."""
    alice, bob = UserId(new_id()), UserId(new_id())
    async with greeted(house, alice, ["races"]) as mine, greeted(house, bob, ["me:wallet"]) as his:
        ended.add(alice)
        async with house.database.begin_system("a test") as tx:
            realtime.judge_anew(tx, user_id=alice)
        async with asyncio.timeout(2):
            code, said = await mine.end()
        await pay(house.database, bob, 1, noon)
        assert (await his.event())["topic"] == "me:wallet"
    assert (code, [frame["reason"] for frame in said]) == (4401, ["signed_out"])


# limits


async def test_who_says_nothing_is_let_go(house: House) -> None:
    async with talking(house) as talk, asyncio.timeout(door.HELLO_SECONDS_MAX + 5):
        code, said = await talk.end()
    assert (code, said) == (4408, [])


async def test_too_many_frames_close_the_socket(house: House) -> None:
    async with talking(house) as talk:
        await talk.say("hello")
        for _ in range(door.FRAMES_MAX):
            await talk.say("pong")
        code, said = await talk.end()
    assert code == 4429
    assert said[-1]["problem"]["code"] == "rate_limited"  # type: ignore[index]


async def test_a_stream_hears_fifty_topics(house: House) -> None:
    topics = [f"race:{new_id()}" for _ in range(51)]
    async with talking(house) as talk:
        await talk.say("hello", topics=topics[:50])
        ready = await talk.frame()
        await talk.say("subscribe", topics=topics[50:])
        error = await talk.frame()
        await house.tell(topics[0], seq=1)
        event = await talk.event()
    assert len(ready["topics"]) == 50  # type: ignore[arg-type]
    assert (error["op"], error["problem"]["code"]) == ("error", "too_many_items")  # type: ignore[index]
    assert event["topic"] == topics[0]


async def test_one_person_has_five_streams_whatever_they_are(house: House) -> None:
    alice = UserId(new_id())
    async with (
        greeted(house, alice, ["races"]),
        greeted(house, alice, ["races"]),
        house.listen("races", **caller("player", alice)) as third,
        house.listen("races", **caller("player", alice)) as fourth,
        greeted(house, alice, ["races"]),
    ):
        assert [(await one.frame())["event"] for one in (third, fourth)] == ["ready", "ready"]
        async with talking(house) as talk:
            await talk.say("hello", ticket=await ticket_of(house, alice))
            code, said = await talk.end()
        async with httpx2.AsyncClient(
            base_url=house.base, headers=caller("player", alice), timeout=PATIENCE_S
        ) as client:
            polled = await client.get("/api/v1/stream/poll?topics=races")
    assert (code, said[0]["problem"]["code"]) == (4429, "rate_limited")  # type: ignore[index]
    assert polled.status_code == 429


async def test_a_stopping_server_says_goodbye(house: House) -> None:
    async with talking(house) as talk:
        await talk.say("hello", topics=["races"])
        await talk.frame()
        house.hub.close()
        code, said = await talk.end()
    assert (code, said) == (1012, [{"op": "bye", "reason": "restart", "retry_ms": 3000}])


# what is no frame

FRAMES = st.one_of(
    st.text(max_size=50),
    st.binary(max_size=50),
    st.sampled_from(
        [
            "",
            "null",
            "[]",
            "{}",
            "[" * 5_000,
            '{"op":' * 900 + "1" + "}" * 900,
            '{"op": "hello", "op": "hello"}',
            '{"op": "hello"} {"op": "hello"}',
            '{"op": NaN}',
            '{"op": "hello", "topics": "races"}',
            '{"op": "hello", "ticket": 5}',
            '{"op": "hello", "more": 1}',
            '{"op": "subscribe", "topics": ["races"]}',
            '{"op": "' + "x" * 8_200 + '"}',
            '{"op": "hello", "resume": "\\ud800"}',
            b'{"op": "hello"}',
            b"\xff" * 9_000,
        ]
    ),
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda part: st.lists(part) | st.dictionaries(st.text(max_size=5), part),
        max_leaves=10,
    ).map(json.dumps),
)


async def test_what_is_no_frame_closes_the_socket_and_nothing_else(house: House) -> None:
    """Whatever is said first; a neighbour hears on. Addresses are many, so that none has too many open."""
    one = f"race:{new_id()}"
    spoken = settings(max_examples=60, deadline=None, suppress_health_check=[*HealthCheck], database=None)
    said: list[str | bytes] = []

    def keep(frame: str | bytes) -> None:
        said.append(frame)

    spoken(given(FRAMES)(keep))()
    async with talking(house) as neighbour:
        await neighbour.say("hello", topics=[one])
        await neighbour.frame()
        for frame in said:
            async with talking(house) as talk:
                await talk.line.send(frame)
                code, _ = await talk.end()
                assert code == 4400, frame
        await house.tell(one, seq=1)
        assert (await neighbour.event())["data"] == {"seq": 1}


async def test_a_huge_frame_is_not_even_read(house: House) -> None:
    async with talking(house) as talk:
        await talk.line.send("x" * (1 << 20))
        code, _ = await talk.end()
    assert code == 1009
    async with talking(house) as talk:
        await talk.say("hello")
        assert (await talk.frame())["op"] == "ready"


async def test_a_bad_frame_later_is_one_too(house: House) -> None:
    for bad in ('{"op": "hello"}', '{"op": "subscribe", "topics": []}', b"\x00"):
        async with talking(house) as talk:
            await talk.say("hello")
            await talk.frame()
            await talk.line.send(bad)
            code, said = await talk.end()
        assert (code, said[0]["problem"]["code"]) == (4400, "stream.bad_frame")  # type: ignore[index]


@pytest.mark.parametrize(("path", "status"), [("/api/v1/races", 200), ("/api/v1/stream", 422), ("/nowhere", 404)])
async def test_elsewhere_an_upgrade_is_a_request_like_any_other(house: House, path: str, status: int) -> None:
    with pytest.raises(InvalidStatus) as answered:
        async with connect(f"{house.base.replace('http', 'ws')}{path}", proxy=None):
            pass
    assert answered.value.response.status_code == status
    assert "content-security-policy" in answered.value.response.headers
