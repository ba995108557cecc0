"""People at the same moment: both ask each other, both have room for one more, one stops playing as he stakes, one
sends many pictures at once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta

import psycopg
import pytest

from palio import identity
from palio.identity import service, sql
from palio.identity.service import avatars, friends, uploads
from palio.identity.types import Friend, FriendAct, SessionId
from palio.infra import db, embedded
from palio.infra.db import Database, Tx
from palio.infra.files import DAY_BYTES_MAX
from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.conftest import PATIENCE_S
from tests.factories.databases import own_database
from tests.factories.identity import HOME, RING

PAIRS = 10
SECOND, IDLE = timedelta(seconds=1), timedelta(days=14)
SYSTEM = Actor("system", None, RequestId(new_id()))
Act = Callable[[Tx], Awaitable[object]]


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[Database]:
    name = f"palio_people_{worker_id}"
    async with own_database(cluster, name, equipment=db.Equipment({}, keyring=RING), connections_max=24) as database:
        with psycopg.connect(cluster.dsn("postgres", name), autocommit=True) as server:
            server.execute("create table public.naive (user_id uuid, friend_id uuid, state text)")
            server.execute("create table public.bets (user_id uuid)")
            server.execute("grant select, insert, update on public.naive, public.bets to palio_app")
        yield database


async def people(crowd: Database, count: int, now: datetime) -> list[UserId]:
    async with crowd.begin(SYSTEM) as tx:
        return [(await identity.create(tx, username=f"u{new_id().hex[-12:]}", now=now)).id for _ in range(count)]


async def at_once(crowd: Database, acts: list[Act]) -> list[str]:
    """Everybody acts in a transaction of his own, at one moment; answers codes."""
    ready = asyncio.Barrier(len(acts))

    async def one(act: Act) -> str:
        try:
            async with crowd.begin(SYSTEM) as tx:
                await tx.execute("select 1")
                await ready.wait()
                await act(tx)
        except Refusal as refusal:
            return refusal.code
        return "done"

    async with asyncio.timeout(60):
        return await asyncio.gather(*(one(act) for act in acts))


def acting(user_id: UserId, friend_id: UserId, what: FriendAct, now: datetime) -> Act:
    async def act(tx: Tx) -> None:
        await friends.act(tx, user_id=user_id, friend_id=friend_id, what=what, now=now)

    return act


async def test_two_who_ask_each_other_at_the_same_moment_are_friends(crowd: Database, noon: datetime) -> None:
    everybody = await people(crowd, 2 * PAIRS, noon)
    pairs = list(zip(everybody[::2], everybody[1::2], strict=True))
    acts = [acting(*side, "ask", noon) for one, other in pairs for side in ((one, other), (other, one))]
    assert await at_once(crowd, acts) == ["done"] * (2 * PAIRS)
    async with crowd.begin(SYSTEM) as tx:
        for one, other in pairs:
            assert await identity.friends(tx, user_id=one) == [other]
            assert await identity.friends(tx, user_id=other) == [one]


async def test_looking_first_leaves_both_of_them_asking(crowd: Database, noon: datetime) -> None:
    """The control: without the lock both see nothing and both ask; nobody is told that they are friends."""
    one, other = await people(crowd, 2, noon)
    looked = asyncio.Barrier(2)

    def naive(user_id: UserId, friend_id: UserId) -> Act:
        async def act(tx: Tx) -> None:
            asked = await db.value(tx, "select count(*) from public.naive where user_id = %s", friend_id)
            await looked.wait()
            state = "accepted" if asked else "asking"
            await db.run(tx, "insert into public.naive values (%s, %s, %s)", user_id, friend_id, state)

        return act

    assert await at_once(crowd, [naive(one, other), naive(other, one)]) == ["done"] * 2
    async with crowd.begin(SYSTEM) as tx:
        assert await db.column(tx, "select state from public.naive") == ["asking"] * 2


async def test_the_last_place_in_a_list_is_taken_once(crowd: Database, noon: datetime) -> None:
    """Ninety-nine wait for an answer of others, and ten more are asked at once: one has room."""
    alice, *others = await people(crowd, 110, noon)
    async with crowd.begin(SYSTEM) as tx:
        await sql.friends.upsert_friends(tx, [Friend(alice, other, "asking", noon) for other in others[:99]])
    outcomes = await at_once(crowd, [acting(alice, other, "ask", noon) for other in others[99:]])
    assert sorted(outcomes) == ["done"] + ["identity.friends_full"] * 9
    async with crowd.begin(SYSTEM) as tx:
        assert await friends.counts(tx, user_id=alice) == {"asking": 100}


async def test_a_block_and_an_acceptance_leave_no_half_of_a_friendship(crowd: Database, noon: datetime) -> None:
    alice, bob = await people(crowd, 2, noon)
    for _ in range(PAIRS):
        await at_once(crowd, [acting(alice, bob, "ask", noon)])
        await at_once(crowd, [acting(alice, bob, "block", noon), acting(bob, alice, "accept", noon)])
        async with crowd.begin(SYSTEM) as tx:
            assert await friends.counts(tx, user_id=alice) == {"blocked": 1}
            assert await friends.counts(tx, user_id=bob) == {}
        await at_once(crowd, [acting(alice, bob, "remove", noon)])


# times in which somebody does not play


async def staked(tx: Tx, user_id: UserId, now: datetime) -> bool:
    """Stake, as a product does it: who may not is refused, and nothing is written."""
    (refusal,) = await identity.require_play_many(tx, [(user_id, "stake")], now=now)
    if refusal is None:
        await db.run(tx, "insert into public.bets values (%s)", user_id)
    return refusal is None


async def naively_staked(tx: Tx, user_id: UserId) -> bool:
    """The control: the same without holding the player."""
    count = await db.value(
        tx, "select count(*) from identity.play_exclusions where user_id = %s and lifted_at is null", user_id
    )
    if not count:
        await db.run(tx, "insert into public.bets values (%s)", user_id)
    return not count


async def verified(crowd: Database, cluster: embedded.Cluster, worker_id: str, now: datetime) -> UserId:
    (user_id,) = await people(crowd, 1, now)
    with psycopg.connect(cluster.dsn("postgres", f"palio_people_{worker_id}"), autocommit=True) as server:
        server.execute(
            """insert into identity.emails (id, user_id, address, bidx, bidx_version, normal_bidx, is_primary,
              verified_at, created_at) values (%s, %s, '', %s, 1, %s, true, %s, %s)""",
            (new_id(), user_id, user_id.bytes * 2, user_id.bytes * 2, now, now),
        )
    return user_id


async def test_nothing_is_staked_behind_a_break(
    crowd: Database, cluster: embedded.Cluster, worker_id: str, noon: datetime
) -> None:
    """Acceptance 18: who stakes first is waited for; who stakes while a break is being set waits for it."""
    alice = await verified(crowd, cluster, worker_id, noon)
    is_set, goes_on = asyncio.Event(), asyncio.Event()

    async def excluding() -> None:
        async with crowd.begin(SYSTEM) as tx:
            await identity.take_break(tx, user_id=alice, length="24h", now=noon)
            is_set.set()
            await goes_on.wait()

    async def staking() -> bool:
        async with crowd.begin(SYSTEM) as tx:
            return await staked(tx, alice, noon)

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        async with crowd.begin(SYSTEM) as tx:
            assert await staked(tx, alice, noon)
            excluder = group.create_task(excluding())
            await waiting(crowd)
            assert not is_set.is_set()
        await is_set.wait()
        late = group.create_task(staking())
        await waiting(crowd)
        async with crowd.begin(SYSTEM) as tx:
            assert await naively_staked(tx, alice)  # the control stakes behind the break
        goes_on.set()
        await excluder
        assert not await late
    async with crowd.begin(SYSTEM) as tx:
        assert await db.value(tx, "select count(*) from public.bets where user_id = %s", alice) == 2


async def waiting(crowd: Database) -> None:
    """Until somebody waits for a lock."""
    while True:
        async with crowd.begin(SYSTEM) as tx:
            if await db.value(tx, "select count(*) from pg_locks where not granted"):
                return


async def lost_pictures(crowd: Database, now: datetime, *, naively: bool) -> tuple[int, int]:
    """Many pictures of somebody are shown at once: how many files are shown, and how many neither shown nor dropped."""
    (user_id,) = await people(crowd, 1, now)
    async with crowd.begin(SYSTEM) as tx:
        keys = [await avatars.announce(tx, user_id=user_id, now=now) for _ in range(PAIRS)]

    def showing(key: str) -> Act:
        async def act(tx: Tx) -> None:
            if naively:
                await sql.avatars.update_avatar(tx, user_id, key, now=now)  # as if nobody else did
            else:
                await avatars.show(tx, user_id=user_id, key=key, now=now)

        return act

    assert await at_once(crowd, [showing(key) for key in keys]) == ["done"] * PAIRS
    async with crowd.begin(SYSTEM) as tx:
        statement = """select count(*) filter (where f.key = u.avatar_key),
          count(*) filter (where f.key <> u.avatar_key and f.dropped_at is null)
        from identity.avatar_files f join identity.users u on u.id = f.user_id where u.id = %s"""
        (found,) = await (await tx.execute(statement, (user_id,))).fetchall()
    return found


async def test_of_many_pictures_at_once_one_is_shown_and_all_others_are_known_to_have_served(
    crowd: Database, noon: datetime
) -> None:
    """The control loses sight of some: their files would lie about until a day has passed."""
    assert await lost_pictures(crowd, noon, naively=False) == (1, 0)
    shown, lost = await lost_pictures(crowd, noon, naively=True)
    assert (shown, lost > 0) == (1, True)


async def test_a_day_takes_what_it_takes_however_many_send_at_once(crowd: Database, noon: datetime) -> None:
    """Twelve files of a tenth of the day: ten are counted. The control, which looks first, counts all of them."""
    one, other = await people(crowd, 2, noon)
    sent = DAY_BYTES_MAX // 10

    async def sending(tx: Tx) -> None:
        await uploads.take(tx, user_id=one, sent=sent, now=noon)

    async def naive(tx: Tx) -> None:
        day = noon.date()
        query = "select coalesce(sum(bytes), 0)::bigint from identity.upload_days where user_id = %s and day = %s"
        before = await db.value(tx, query, other, day)
        if before + sent <= DAY_BYTES_MAX:
            await sql.uploads.upsert_day(tx, other, day, sent=sent, bytes_max=DAY_BYTES_MAX * 10)

    answers = await at_once(crowd, [sending] * 12)
    assert (answers.count("done"), answers.count("file.sent_enough")) == (10, 2)
    await at_once(crowd, [naive] * 12)
    async with crowd.begin(SYSTEM) as tx:
        counted = await db.column(
            tx, "select bytes / %s from identity.upload_days where user_id = any (%s) order by 1", sent, [one, other]
        )
    assert (counted[0], counted[1] > 10) == (10, True)


async def lapsed(crowd: Database, now: datetime) -> tuple[UserId, SessionId]:
    """Somebody whose session runs out at this instant."""
    [user_id] = await people(crowd, 1, now)
    async with crowd.begin(SYSTEM) as tx:
        session = await service.sessions.begin_session(
            tx, user_id=user_id, kind="browser", method="password", visitor=HOME, with_factor=False, now=now - IDLE
        )
    return user_id, session.session_id


async def used_at_the_last_moment(crowd: Database, now: datetime, sweep: Act) -> str | None:
    """He uses his session just before it runs out, and has not committed when the job comes; why it has ended then."""
    _, session_id = await lapsed(crowd, now)
    used, swept = asyncio.Event(), asyncio.Event()

    async def use() -> None:
        async with crowd.begin(SYSTEM) as tx:
            await sql.sessions.update_seen(tx, session_id, now=now - SECOND, idle_at=now + IDLE)
            used.set()
            with suppress(TimeoutError):  # whoever waits for us comes after us
                await asyncio.wait_for(swept.wait(), 0.5)

    async def look() -> None:
        await used.wait()
        async with crowd.begin(SYSTEM) as tx:
            await sweep(tx)
        swept.set()

    await asyncio.gather(use(), look())
    async with crowd.begin(SYSTEM) as tx:
        return await db.value(tx, "select end_reason::text from identity.sessions where id = %s", session_id)


async def test_a_session_that_is_used_at_the_last_moment_goes_on(crowd: Database, noon: datetime) -> None:
    async def sweep(tx: Tx) -> None:
        await sql.sessions.update_run_out(tx, sql.sessions.FIRST, now=noon, limit=10_000)

    assert await used_at_the_last_moment(crowd, noon, sweep) is None


async def test_looking_first_ends_the_session_of_somebody_who_uses_it(crowd: Database, noon: datetime) -> None:
    """The control: what has run out is read, and ended by its id."""

    async def naive(tx: Tx) -> None:
        due = await db.column(
            tx, "select id from identity.sessions where ended_at is null and idle_expires_at <= %s", noon
        )
        await db.run(
            tx,
            "update identity.sessions set ended_at = %s, end_reason = 'idle' where id = any (%s::uuid[])",
            *(noon, due),
        )

    assert await used_at_the_last_moment(crowd, noon, naive) == "idle"
