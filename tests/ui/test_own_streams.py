"""Streams of one's own: every event once, in order, for whom it is, and again from where he left off."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import NoReturn
from uuid import UUID

import httpx2
import pytest

from palio import ledger
from palio.infra import db, embedded, relay
from palio.infra.db import Database
from palio.infra.realtime import BYTES_WAITING_MAX, FRAMES_WAITING_MAX, LOCK, Frame, Hub, Listener
from palio.kernel import clock
from palio.kernel.errors import Unauthenticated, Unavailable
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger import Post
from tests.conftest import PATIENCE_S
from tests.factories.ledger import HOUSE
from tests.ui import people
from tests.ui.house import SYSTEM, House, Stream, housed
from tests.ui.people import caller
from tests.ui.product import product

Told = dict[str, object]
IDLE = """select count(*) from pg_stat_activity where datname = current_database()
    and state like 'idle in transaction%%' and clock_timestamp() - state_change > interval '1 second'"""


@pytest.fixture
async def house(cluster: embedded.Cluster, database_name: str, database: Database) -> AsyncIterator[House]:
    async with housed(cluster.dsn("palio_app", database_name), lambda hub: product(database, hub)) as house:
        yield house


@asynccontextmanager
async def listening(house: House, user_id: UserId, topics: str = "me:wallet", **more: str) -> AsyncIterator[Stream]:
    async with house.listen(topics, **caller("player", user_id), **more) as stream:
        yield stream


async def pay(database: Database, user_id: UserId, amount: int, noon: datetime) -> None:
    legs = ((f"user:{user_id}:main", "COIN", amount), (HOUSE, "COIN", -amount))
    async with database.begin(SYSTEM) as tx:
        await ledger.post(tx, Post(f"{user_id}:{new_id()}", "ledger.transfer", legs), now=noon)


async def events(stream: Stream, count: int) -> list[Told]:
    """The next events; comments are passed over."""
    found: list[Told] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < count:
            frame = await stream.frame()
            if frame.get("event") == "changed":
                assert frame["id"] == json.loads(frame["data"])["id"]
                found.append(json.loads(frame["data"]))
    return found


async def test_a_movement_of_my_wallet_is_told_to_me_alone(house: House, noon: datetime) -> None:
    alice, bob = UserId(new_id()), UserId(new_id())
    async with listening(house, alice) as mine, listening(house, bob, "me") as his:
        ready = await mine.frame()
        await his.frame()
        await pay(house.database, alice, 40, noon)
        await pay(house.database, bob, 7, noon)
        [told], [other] = await events(mine, 1), await events(his, 1)

    assert ready["event"] == "ready" and int(ready["id"]) >= 0
    assert (told["topic"], told["type"]) == ("me:wallet", "wallet.changed")
    facts = told["data"]
    assert isinstance(facts, dict) and isinstance(other["data"], dict)
    assert {name: facts[name] for name in ("asset", "amount", "balance", "held")} == {
        "asset": "COIN",
        "amount": 40,
        "balance": 40,
        "held": 0,
    }
    assert UUID(str(facts["transfer"])) and other["data"]["amount"] == 7


async def test_a_guest_cannot_name_what_is_somebodys_own(house: House) -> None:
    async with house.listen("races,me:wallet,me") as stream:
        frames = [await stream.frame() for _ in range(3)]
    assert [frame["event"] for frame in frames] == ["ready", "problem", "problem"]
    assert "id" not in frames[0]
    async with listening(house, UserId(new_id()), f"me:wallet:{new_id()},user:{new_id()},races") as stream:
        frames = [await stream.frame() for _ in range(3)]
    assert [frame["event"] for frame in frames] == ["ready", "problem", "problem"]


async def test_who_comes_back_has_every_event_once_and_in_order(house: House, noon: datetime) -> None:
    """A hundred transfers commit from twenty connections while he is away."""
    alice = UserId(new_id())
    async with listening(house, alice) as stream:
        await stream.frame()
        await pay(house.database, alice, 1, noon)
        [seen] = await events(stream, 1)

    async def pay_five(_: int) -> None:
        for _ in range(5):
            await pay(house.database, alice, 1, noon)

    await asyncio.gather(*map(pay_five, range(20)))
    async with listening(house, alice, **{"last-event-id": str(seen["id"])}) as stream:
        ready = await stream.frame()
        assert (ready["event"], "id" in ready) == ("ready", False), "else whoever is cut off after it misses them all"
        found = await events(stream, 100)
        await pay(house.database, alice, 1, noon)
        found += await events(stream, 1)

    seqs = [int(str(event["id"])) for event in found]
    balances = [event["data"]["balance"] for event in found]  # type: ignore[index]  # facts of a wallet
    assert (seqs, balances) == (sorted(set(seqs)), list(range(2, 103)))


async def test_who_knows_an_unknown_number_reads_everything_again(house: House, noon: datetime) -> None:
    alice = UserId(new_id())
    await pay(house.database, alice, 1, noon)
    for said in ("999999999999", "-1", "nonsense"):
        async with listening(house, alice, **{"last-event-id": said}) as stream:
            ready, resync = await stream.frame(), await stream.frame()
            assert (ready["event"], resync["event"]) == ("ready", "resync")
            assert json.loads(resync["data"]) == {"topics": ["me:wallet"], "from": resync["id"]}
            await pay(house.database, alice, 1, noon)
            assert len(await events(stream, 1)) == 1  # it goes on from there


async def test_nothing_is_told_to_a_session_that_has_ended(
    cluster: embedded.Cluster, database_name: str, database: Database, noon: datetime
) -> None:
    alice, ended = UserId(new_id()), set[UserId]()

    async def identify(request):  # type: ignore[no-untyped-def]
        ask = await people.identify(request)
        if ask.actor.user_id in ended:
            raise Unauthenticated
        return ask

    def make(hub: Hub):  # type: ignore[no-untyped-def]
        return product(database, hub, identify=identify)

    async with housed(cluster.dsn("palio_app", database_name), make) as house, listening(house, alice) as stream:
        await stream.frame()
        ended.add(alice)
        await pay(house.database, alice, 5, noon)
        frames = [frame async for frame in _to_the_end(stream)]

    assert [frame["event"] for frame in frames if "event" in frame] == ["bye"]
    assert json.loads(frames[-1]["data"])["reason"] == "signed_out"


async def _to_the_end(stream: Stream) -> AsyncIterator[dict[str, str]]:
    async with asyncio.timeout(PATIENCE_S):
        while frame := await stream.frame():
            yield frame


async def test_one_person_has_five_streams(house: House) -> None:
    alice = UserId(new_id())
    async with asyncio.timeout(PATIENCE_S):
        opened = [listening(house, alice, "races") for _ in range(6)]
        answers = [await one.__aenter__() for one in opened]
        assert [answer.answer.status_code for answer in answers] == [200] * 5 + [429]
        for one in reversed(opened):
            await one.__aexit__(None, None, None)


async def test_fifty_streams_leave_a_pool_of_five_to_those_who_work(
    cluster: embedded.Cluster, database_name: str, noon: datetime
) -> None:
    """People read their wallets and are paid while fifty listen; no stream keeps a connection or a transaction, and
    whoever has gone is forgotten.
    """
    small = Database(cluster.dsn("palio_app", database_name), connections_max=5)
    await small.pool.open(wait=True)
    people = [UserId(new_id()) for _ in range(50)]
    async with housed(cluster.dsn("palio_app", database_name), lambda hub: product(small, hub)) as house:
        async with AsyncExitStack() as opened, httpx2.AsyncClient(base_url=house.base, timeout=PATIENCE_S) as client:
            streams = [await opened.enter_async_context(listening(house, one)) for one in people]
            assert {(await stream.frame())["event"] for stream in streams} == {"ready"}
            heard = house.hub.streams_open

            async def coins_of(one: UserId) -> int:
                wallets = (await client.get("/api/v1/wallet", headers=caller("player", one))).json()["items"]
                return next(wallet["balance"]["amount"] for wallet in wallets if wallet["asset"] == "COIN")

            for one in people:
                await pay(small, one, 7, noon)
            found = [await asyncio.gather(*map(coins_of, people[n::10])) for n in range(10)]
            assert found == [[7] * 5] * 10
            assert [len(await events(stream, 1)) for stream in streams] == [1] * 50
            stats = small.pool.get_stats()
            async with small.begin(SYSTEM) as tx:
                idle = await db.value(tx, IDLE)
        assert (heard, stats["pool_size"] <= 5, stats["requests_waiting"], idle) == (50, True, 0, 0)
        async with asyncio.timeout(PATIENCE_S), httpx2.AsyncClient(base_url=house.base, timeout=PATIENCE_S) as client:
            while house.hub.streams_open:
                await client.get("/api/v1/wallet", headers=caller("player", people[0]))
    await small.pool.close()


async def test_a_slow_reader_is_told_to_read_again() -> None:
    listener = Listener(frozenset(), frozenset({"me:wallet"}), UserId(new_id()))
    for seq in range(1, FRAMES_WAITING_MAX + 3):
        listener.put_next(Frame("changed", "{}", "me:wallet", seq=seq, is_log=True))
    frames = await listener.take(1)
    assert [(frame.event, frame.seq) for frame in frames] == [("resync", 257), ("changed", 258)]
    assert json.loads(frames[0].data) == {"topics": ["me:wallet"], "from": "257"}


async def test_of_a_slow_reader_states_are_forgotten_first() -> None:
    """Nothing is lost silently: the topics of what was forgotten are to be read again."""
    listener = Listener(frozenset({"races"}), frozenset({"me"}), UserId(new_id()))
    listener.put(Frame("changed", "{}", "races", seq=1))
    for seq in range(2, FRAMES_WAITING_MAX + 2):
        listener.put_next(Frame("changed", "{}", "me:wallet", seq=seq, is_log=True))
    first, *others = await listener.take(1)
    assert (first.event, json.loads(first.data)) == ("resync", {"topics": ["races"]})
    assert [frame.seq for frame in others] == list(range(2, FRAMES_WAITING_MAX + 2))


async def test_a_slow_reader_costs_a_mebibyte_and_no_more() -> None:
    listener = Listener(frozenset(), frozenset({"me"}), UserId(new_id()))
    for seq in range(1, 201):
        listener.put_next(Frame("changed", "x" * 8_000, "me:wallet", seq=seq, is_log=True))
    frames = await listener.take(1)
    assert sum(len(frame.data) for frame in frames) <= BYTES_WAITING_MAX
    assert (frames[0].event, frames[-1].seq) == ("resync", 200)


async def test_what_was_told_in_the_answer_does_not_come_again() -> None:
    listener = Listener(frozenset(), frozenset({"me"}), UserId(new_id()))
    for seq in (4, 5, 6):
        listener.put_next(Frame("changed", "{}", "me:wallet", seq=seq, is_log=True))
    listener.begin(5)
    listener.put_next(Frame("changed", "{}", "me:wallet", seq=6, is_log=True))
    listener.put_next(Frame("changed", "{}", "me:steps", seq=9, is_log=True))
    assert [frame.seq for frame in await listener.take(1)] == [6, 9]


async def test_a_payment_tells_its_owners_in_one_row_and_a_large_one_everybody(
    database: Database, noon: datetime
) -> None:
    """Two hundred movements are told one by one; of more, whoever listens reads his wallet again."""

    async def told(count: int) -> tuple[set[UUID], Sequence[tuple[str, Sequence[UUID] | None]]]:
        owners = [UserId(new_id()) for _ in range(count)]
        payments = ledger.Payments([f"{owner}:prize" for owner in owners], owners, [1] * count)
        async with database.begin(SYSTEM) as tx:
            before = await db.value(tx, "select coalesce(max(id), 0) from infra.stream_pending")
            await ledger.fan_out(tx, source=HOUSE, asset="COIN", kind="bonuses.gift", payments=payments, now=noon)
            statement = "select topic, users from infra.stream_pending where id > %s and xmin::text = %s"
            mine = await db.value(tx, "select (pg_current_xact_id()::text::bigint & 4294967295)::text")
            found = await (await tx.execute(statement, [before, mine])).fetchall()
            await tx.execute("rollback")
        return set(owners), found

    owners, [(topic, users)] = await told(200)
    assert (topic, set(users or ())) == ("me:wallet", owners)
    _, found = await told(201)
    assert found == [("me:wallet", None)]


# numbering


async def told_of(database: Database, topic: str, after: int) -> list[int]:
    async with database.begin(SYSTEM) as tx:
        return [
            json.loads(event.data)["n"] for event in await relay.events_after(tx, after=after) if event.topic == topic
        ]


async def number_all(database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        while await relay.number(tx):
            pass


async def newest(database: Database) -> int:
    async with database.begin(SYSTEM) as tx:
        return await relay.newest(tx)


@pytest.mark.parametrize("way", ["relay", "naive"])
async def test_a_late_commit_is_not_hidden_behind_a_higher_number(database: Database, way: str) -> None:
    """A writes first and commits last; somebody reads in between. Numbers taken by the writers lose what A told."""
    topic, user_id = f"me:{new_id().hex[:8]}", UserId(new_id())
    await number_all(database)
    begun = await newest(database) if way == "relay" else await _last_written(database)
    async with database.begin(SYSTEM) as late:
        await relay.tell(late, topic=topic, user_id=user_id, kind=ledger.WALLET_CHANGED, facts={"n": 1})
        async with database.begin(SYSTEM) as early:
            await relay.tell(early, topic=topic, user_id=user_id, kind=ledger.WALLET_CHANGED, facts={"n": 2})
        if way == "relay":
            await number_all(database)
            first, mark = await told_of(database, topic, begun), await newest(database)
        else:
            first, mark = await _written_after(database, topic, begun)
    if way == "relay":
        await number_all(database)
        second = await told_of(database, topic, mark)
        assert (first, second) == ([2], [1])
    else:
        second, _ = await _written_after(database, topic, mark)
        assert (first, second) == ([2], [])  # the event of A is lost for ever
        await number_all(database)


async def _last_written(database: Database) -> int:
    async with database.begin(SYSTEM) as tx:
        return int(await db.value(tx, "select coalesce(max(id), 0) from infra.stream_pending"))


async def _written_after(database: Database, topic: str, after: int) -> tuple[list[int], int]:
    """What a reader sees who goes by the numbers that writers took."""
    async with database.begin(SYSTEM) as tx:
        rows = await (
            await tx.execute(
                "select id, (data ->> 'n')::int from infra.stream_pending where topic = %s and id > %s order by id",
                [topic, after],
            )
        ).fetchall()
    return [n for _, n in rows], max((number for number, _ in rows), default=after)


async def test_one_relay_numbers_at_a_time_and_no_number_is_given_twice(database: Database) -> None:
    topic, user_id = f"me:{new_id().hex[:8]}", UserId(new_id())
    await number_all(database)
    begun = await newest(database)
    async with database.begin(SYSTEM) as tx:
        for n in range(50):
            await relay.tell(tx, topic=topic, user_id=user_id, kind=ledger.WALLET_CHANGED, facts={"n": n})
    async with database.begin(SYSTEM) as holder:
        assert await relay.number(holder, limit=10) == 10
        async with database.begin(SYSTEM) as other:
            assert await relay.number(other) == 0
    await asyncio.gather(*(number_all(database) for _ in range(4)))
    await number_all(database)
    assert await told_of(database, topic, begun) == list(range(50))


async def test_events_are_read_only_where_somebody_listens_and_then_none_is_missing(
    database: Database, noon: datetime
) -> None:
    """A process without streams goes by the numbers in notices; after a gap in these, and for a listener, it reads."""
    alice, hub, away = UserId(new_id()), Hub("nobody speaks"), Away("")
    await pay(database, alice, 1, noon)
    await number_all(database)
    head = await newest(database)
    assert await relay._pass_on(away, hub, head - 1, head) == head
    assert await relay._pass_on(away, hub, head, head - 1) == head
    with pytest.raises(Unavailable):
        await relay._pass_on(away, hub, head)
    listener = hub.join([], own_topics=["me:wallet"], owner=alice)
    listener.begin(head)
    await pay(database, alice, 1, noon)
    await number_all(database)
    with pytest.raises(Unavailable):
        await relay._pass_on(away, hub, head, head + 1)
    assert await relay._pass_on(database, hub, head, head + 1) == await newest(database)
    assert [frame.topic for frame in await listener.take(1)] == ["me:wallet"]


async def test_who_was_here_before_the_first_look_reads_again_what_it_passed_over(
    database: Database, noon: datetime
) -> None:
    """A process that has just started, or had no database until now, passes on nothing that was numbered before."""
    alice, bob, hub = UserId(new_id()), UserId(new_id()), Hub("nobody speaks")
    await pay(database, alice, 1, noon)
    await number_all(database)
    early, late = (hub.join([], own_topics=["me:wallet"], owner=user_id) for user_id in (alice, bob))
    early.begin(await newest(database))
    await pay(database, alice, 1, noon)
    await number_all(database)
    head = await newest(database)

    assert await relay._pass_on(database, hub, None) == head
    late.begin(head)  # he had come, and was told of everything by himself
    await pay(database, bob, 1, noon)
    await number_all(database)
    await relay._pass_on(database, hub, head)

    [lost] = await early.take(1)
    assert (lost.event, json.loads(lost.data)) == ("resync", {"topics": ["me:wallet"], "from": str(head)})
    assert [(frame.event, frame.topic) for frame in await late.take(1)] == [("changed", "me:wallet")]


@pytest.fixture
async def grown_old(database: Database, noon: datetime) -> AsyncIterator[None]:
    """Numbers have been given for longer than the minute in which everything is kept."""
    await pay(database, UserId(new_id()), 1, noon)
    await number_all(database)
    move = "update infra.stream_marks set since = clock_timestamp() + %s"
    async with database.begin_system("a test") as tx:
        await tx.execute(move, [-timedelta(minutes=2)])
    yield
    async with database.begin_system("a test") as tx:
        await tx.execute(move, [timedelta(days=1)])


@pytest.mark.usefixtures("grown_old")
async def test_only_what_is_told_to_listeners_is_kept(database: Database, noon: datetime) -> None:
    alice, bob = UserId(new_id()), UserId(new_id())
    async with database.begin_system("a test") as tx:
        assert await relay.listen(tx, [alice]) == {alice}
        assert await relay.listen(tx, [alice]) == set()
    begun = await newest(database)
    payments = ledger.Payments([f"{alice}:two", f"{bob}:two"], [alice, bob], [2, 3])
    async with database.begin_system("a test") as tx:
        await ledger.fan_out(tx, source=HOUSE, asset="COIN", kind="bonuses.gift", payments=payments, now=noon)
        await relay.tell(tx, topic="me:wallet", user_id=bob, kind=ledger.WALLET_CHANGED, facts={})
    await number_all(database)
    async with database.begin_system("a test") as tx:
        told = [event for event in await relay.events_after(tx, after=begun) if event.user_id in {alice, bob}]
        assert await db.value(tx, "select count(*) from infra.stream_pending where users && %s", [alice, bob]) == 0
    [event] = told
    facts = json.loads(event.data)
    assert (event.user_id, facts["amount"], facts["asset"]) == (alice, 2, "COIN")
    assert {*facts} == {"transfer", "asset", "amount", "balance", "held"}


async def test_who_comes_anew_with_a_number_reads_everything_again(database: Database, noon: datetime) -> None:
    """What he was told before was not kept, whatever numbers are."""
    alice, hub = UserId(new_id()), Hub("nobody speaks")
    await pay(database, alice, 1, noon)
    await number_all(database)
    head = await newest(database)
    listener = hub.join([], own_topics=["me:wallet"], owner=alice)
    async with database.begin(Actor("player", alice, RequestId(new_id()))) as tx:
        assert not await relay.is_listener(tx, listener)
        for way in (relay.resume, relay.page):
            assert await way(tx, listener=listener, after=head, is_new=True) == relay.Resumed(head, (), is_lost=True)
            assert await way(tx, listener=listener, after=None, is_new=True) == relay.Resumed(head, ())
    await relay._say_who_listens(database, hub)
    async with database.begin(Actor("player", alice, RequestId(new_id()))) as tx:
        assert await relay.is_listener(tx, listener)
        assert not (await relay.resume(tx, listener=listener, after=head)).is_lost
    bob = hub.join([], own_topics=["me:wallet"], owner=UserId(new_id()))
    async with database.begin(Actor("player", bob.owner, RequestId(new_id()))) as tx:
        assert await db.value(tx, "select count(*) from infra.stream_listeners") == 0


async def test_listeners_are_forgotten_after_what_they_were_told(database: Database) -> None:
    alice, bob = UserId(new_id()), UserId(new_id())
    async with database.begin_system("a test") as tx:
        await relay.listen(tx, [alice, bob])
        old = "update infra.stream_listeners set heard_at = heard_at - %s where user_id = %s"
        await tx.execute(old, [relay.LISTENER_KEPT, alice])
        await tx.execute(old, [relay.KEPT, bob])
        await relay.forget_listeners(tx)
        assert await relay.listen(tx, [alice, bob]) == {alice}


class Away(Database):
    """A database that nobody reaches."""

    def begin_system(self, *_: object, **__: object) -> NoReturn:
        raise Unavailable(retry_after_s=2)


async def test_the_relay_waits_for_a_hub_that_gives_numbers(database: Database) -> None:
    """Looking again a second later would make every event late that comes at such a moment."""
    topic, user_id = f"me:{new_id().hex[:8]}", UserId(new_id())
    await number_all(database)
    begun = await newest(database)
    async with database.begin_system("a test") as tx:
        await relay.tell(tx, topic=topic, user_id=user_id, kind=ledger.WALLET_CHANGED, facts={"n": 1})
    async with database.begin_system("a test") as speaker:
        await speaker.execute("select pg_advisory_xact_lock(%s)", [LOCK])
        numbering = asyncio.create_task(number_all(database))
        await asyncio.sleep(0.1)
        assert not numbering.done()
    await numbering
    assert await told_of(database, topic, begun) == [1]


async def test_old_events_are_forgotten_and_the_newest_number_stays(database: Database, noon: datetime) -> None:
    user_id = UserId(new_id())
    await pay(database, user_id, 1, noon)
    await number_all(database)
    head = await newest(database)
    async with database.begin(SYSTEM) as tx:
        far = clock.now() + timedelta(days=2)
        assert await relay.prune(tx, now=far) > 0 or head == 1
        assert await relay.is_kept(tx, head) and await relay.newest(tx) == head
        await tx.execute("rollback")


async def test_row_security_hides_what_others_were_told(database: Database, noon: datetime) -> None:
    alice, bob = UserId(new_id()), UserId(new_id())
    await pay(database, alice, 1, noon)
    await number_all(database)
    for user_id, count in ((alice, 1), (bob, 0)):
        async with database.begin(Actor("player", user_id, RequestId(new_id()))) as tx:
            assert len([e for e in await relay.events_after(tx, after=0) if e.user_id]) == count
            seen = await db.value(tx, "select count(*) from infra.stream_pending")
            assert seen == 0
