"""Staff and players press at the same moment: one link, told once, and the others hear what became of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

import pytest

from palio import affiliates, identity
from palio.affiliates import types
from palio.affiliates.types import LinkRequest
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.infra import db, embedded, jobs, outbox
from palio.infra.db import Database, Equipment, Tx
from palio.infra.storage import Storage
from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.affiliates import body, ingest, row
from tests.factories.databases import own_database

RUNNERS = 12
SYSTEM = Actor("system", None, RequestId(new_id()))


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[Database]:
    equipment = Equipment(jobs.addresses(SUBSCRIPTIONS))
    name = f"palio_linked_{worker_id}"
    async with own_database(cluster, name, equipment=equipment, connections_max=RUNNERS) as database:
        yield database


@pytest.fixture
async def programme(crowd: Database, noon: datetime, tmp_path: object) -> types.Programme:
    async with crowd.begin(SYSTEM) as tx:
        made = await affiliates.ensure_programme(tx, code=f"p{new_id().hex[-12:]}")
        await ingest(tx, made, body(row("a", 100), row("b", 7)), noon, Storage(tmp_path))  # type: ignore[arg-type]
    return made


async def people(crowd: Database, count: int, now: datetime) -> list[UserId]:
    async with crowd.begin(SYSTEM) as tx:
        names = [f"u{new_id().hex[-12:]}" for _ in range(count)]
        return [(await identity.create(tx, username=name, now=now)).id for name in names]


async def asked(
    crowd: Database, programme: types.Programme, user_id: UserId, now: datetime, uid: str = "a"
) -> LinkRequest:
    async with crowd.begin(SYSTEM) as tx:
        wish = affiliates.LinkWish(user_id, "other", programme.code, uid=uid)
        return await affiliates.request_link(tx, wish=wish, now=now)


async def links(crowd: Database, programme: types.Programme) -> tuple[int, int]:
    """Active links, and how often one was told."""
    async with crowd.begin(SYSTEM) as tx:
        active = await db.value(
            tx, "select count(*) from affiliates.links where programme_id = %s and state = 'active'", programme.id
        )
        told = await db.value(
            tx,
            """select count(*) from jobs.procrastinate_jobs
            where task_name like '%%claim' and args -> 'message' ->> 'programme_id' = %s""",
            str(programme.id),
        )
        return active, told


async def press(crowd: Database, acts: list[Callable[[Tx], Awaitable[object]]]) -> list[str]:
    """Everybody acts in a transaction of his own, at one moment; answers codes."""
    ready = asyncio.Barrier(len(acts))

    async def one(act: Callable[[Tx], Awaitable[object]]) -> str:
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


def approving(request: LinkRequest, actor: Actor, now: datetime) -> Callable[[Tx], Awaitable[object]]:
    async def act(tx: Tx) -> None:
        await affiliates.decide(tx, request_id=request.id, actor=actor, decision="approve", note="", now=now)

    return act


async def test_staff_press_approve_at_once_and_it_is_one_link(
    crowd: Database, programme: types.Programme, noon: datetime
) -> None:
    """Acceptance 22."""
    alice, *staff = await people(crowd, 1 + RUNNERS, noon)
    request = await asked(crowd, programme, alice, noon)
    actors = [Actor("staff", user_id, RequestId(new_id())) for user_id in staff]
    pressed = Counter(await press(crowd, [approving(request, actor, noon) for actor in actors]))
    assert pressed == {"done": 1, "affiliates.already_decided": RUNNERS - 1}
    assert await links(crowd, programme) == (1, 1)


async def test_staff_approve_all_who_contest_a_player_at_once_and_one_gets_him(
    crowd: Database, programme: types.Programme, noon: datetime
) -> None:
    """Two links for one player: the others are superseded, nobody waits for somebody who waits for him."""
    users = await people(crowd, RUNNERS, noon)
    (judge,) = await people(crowd, 1, noon)
    requests = [await asked(crowd, programme, user_id, noon) for user_id in users]
    actor = Actor("staff", judge, RequestId(new_id()))
    pressed = Counter(await press(crowd, [approving(request, actor, noon) for request in requests]))
    assert pressed == {"done": 1, "affiliates.already_decided": RUNNERS - 1}
    assert await links(crowd, programme) == (1, 1)
    async with crowd.begin(SYSTEM) as tx:
        states = await db.column(tx, "select state from affiliates.link_requests where programme_id = %s", programme.id)
    assert Counter(states) == {"approved": 1, "superseded": RUNNERS - 1}


async def test_looking_first_links_a_player_many_times(
    crowd: Database, programme: types.Programme, noon: datetime
) -> None:
    """The control: without locks and without the unique key everybody sees that nobody has him."""
    request = await asked(crowd, programme, (await people(crowd, 1, noon))[0], noon)

    async def look_then_tell(tx: Tx) -> None:
        state = await db.value(tx, "select state from affiliates.link_requests where id = %s", request.id)
        taken = await db.value(
            tx, "select count(*) from affiliates.links where player_id = %s and state = 'active'", request.player_id
        )
        await looked.wait()
        if state == "pending" and not taken:
            await outbox.send(tx, affiliates.AccountLinked(request.user_id, request.player_id, programme.id))

    looked = asyncio.Barrier(RUNNERS)
    assert await press(crowd, [look_then_tell] * RUNNERS) == ["done"] * RUNNERS
    assert await links(crowd, programme) == (0, RUNNERS)


async def test_one_user_asks_many_times_at_once_and_one_request_is_open(
    crowd: Database, programme: types.Programme, noon: datetime
) -> None:
    (alice,) = await people(crowd, 1, noon)

    async def ask(tx: Tx) -> None:
        wish = affiliates.LinkWish(alice, "other", programme.code, uid="a")
        await affiliates.request_link(tx, wish=wish, now=noon)

    assert Counter(await press(crowd, [ask] * RUNNERS)) == {"done": 1, "affiliates.request_open": RUNNERS - 1}


async def test_a_request_that_comes_with_an_approval_is_superseded_or_refused(
    crowd: Database, programme: types.Programme, noon: datetime
) -> None:
    """Whoever asks while somebody else gets the player: no request stays open behind a link."""
    first, *others, judge = await people(crowd, RUNNERS, noon)
    request = await asked(crowd, programme, first, noon)

    def asking(user_id: UserId) -> Callable[[Tx], Awaitable[object]]:
        async def act(tx: Tx) -> None:
            wish = affiliates.LinkWish(user_id, "other", programme.code, uid="a")
            await affiliates.request_link(tx, wish=wish, now=noon)

        return act

    acts = [approving(request, Actor("staff", judge, RequestId(new_id())), noon), *map(asking, others)]
    approved, *told = await press(crowd, acts)
    assert approved == "done"
    assert {*told} <= {"done", "affiliates.player_taken"}
    async with crowd.begin(SYSTEM) as tx:
        still_open = await db.value(
            tx,
            "select count(*) from affiliates.link_requests where player_id = %s and state = 'pending'",
            request.player_id,
        )
    assert still_open == 0


async def test_a_user_is_approved_and_unlinked_and_expired_without_anybody_waiting_in_a_circle(
    crowd: Database, programme: types.Programme, noon: datetime
) -> None:
    """Every act on one player and user at the same moment, some of them refused, and the books agree."""
    alice, bob, judge = await people(crowd, 3, noon)
    actor = Actor("staff", judge, RequestId(new_id()))
    mine, his = await asked(crowd, programme, alice, noon), await asked(crowd, programme, bob, noon)

    async def unlink(tx: Tx) -> None:
        await affiliates.unlink(tx, programme_id=programme.id, uid="a", reason="a mistake", now=noon)

    async def link(tx: Tx) -> None:
        await affiliates.link(tx, programme_id=programme.id, uid="b", user_id=alice, reason="known", now=noon)

    async def expire(tx: Tx) -> None:
        await affiliates.expire(tx, now=noon)

    async def cancel(tx: Tx) -> None:
        await affiliates.cancel(tx, request_id=his.id, user_id=bob, now=noon)

    acts = [approving(mine, actor, noon), approving(his, actor, noon), link, unlink, expire, cancel]
    told = Counter(await press(crowd, acts * 2))
    assert not {code for code in told if code.startswith("db.")}
    async with crowd.begin(SYSTEM) as tx:
        pairs = await (
            await tx.execute(
                "select player_id, user_id from affiliates.links where programme_id = %s and state = 'active'",
                (programme.id,),
            )
        ).fetchall()
    assert len({player for player, _ in pairs}) == len({user for _, user in pairs}) == len(pairs)
