"""Twenty clicks of two people on one proposal: a decision each, one execution. Looking first would do it many times."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.infra import approvals, db, embedded, jobs
from palio.infra.approvals import Approved, Closed, Command, Payload, Proposal
from palio.infra.db import Database, Equipment, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.providers import Change

RUNNERS = 20
REQUEST = RequestId(new_id())
SYSTEM = Actor("system", None, REQUEST)
MAKER, ONE, TWO = (Actor("staff", UserId(new_id()), REQUEST) for _ in range(3))
HELD = {"admin.approval.decide", "shop.price.set"}


async def mark(tx: Tx, *, approved: Approved) -> Payload:
    await note(tx, approved.key)
    return {}


async def note(tx: Tx, key: str) -> None:
    await db.run(
        tx,
        """insert into infra.audit_rows (actor_kind, action, entity_type, entity_id, request_id, via)
        values ('system', 'price.set', 'shelf', %s, %s, 'job')""",
        *(key, new_id()),
    )


async def looked(tx: Tx, *, approved: Approved) -> list[Change]:
    return [Change("shelf", "price", None, approved.payload["price"])]


COMMANDS = {"shop.price": Command("shop.price.set", mark, looked)}


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Database]:
    equipment = Equipment(jobs.addresses(SUBSCRIPTIONS))
    database = Database(cluster.dsn("palio_app", database_name), equipment=equipment, connections_max=RUNNERS)
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()


async def proposed(crowd: Database, now: datetime) -> approvals.Approval:
    proposal = Proposal("shop.price", {"n": new_id().hex}, "A new price", "shelf", "1", "the market moved")
    async with crowd.begin(SYSTEM) as tx:
        return await approvals.open_proposal(tx, actor=MAKER, proposal=proposal, now=now)


async def effects(crowd: Database, key: str) -> int:
    async with crowd.begin(SYSTEM) as tx:
        return await db.value(tx, "select count(*) from infra.audit_rows where entity_id = %s", key)


async def test_two_people_press_at_once_and_it_is_done_once(crowd: Database, noon: datetime) -> None:
    """Ten clicks each: one is the decision, the others hear who has decided. Twenty workers: one does it."""
    found, ready = await proposed(crowd, noon), asyncio.Barrier(RUNNERS)

    async def press(actor: Actor) -> str:
        async with crowd.begin(actor) as tx:
            await tx.execute("select 1")
            await ready.wait()
            try:
                given = {"decision": "approve", "reason": "", "held": HELD, "commands": {**COMMANDS}, "now": noon}
                return (await approvals.decide(tx, approval_id=found.id, actor=actor, **given)).state
            except Closed:
                return "closed"

    async def work() -> str:
        async with crowd.begin(SYSTEM) as tx:
            await ready.wait()
            return (await approvals.execute(tx, approval_id=found.id, commands=COMMANDS, now=noon)).state

    async with asyncio.timeout(60):
        pressed = Counter(await asyncio.gather(*(press((ONE, TWO)[number % 2]) for number in range(RUNNERS))))
        worked = Counter(await asyncio.gather(*(work() for _ in range(RUNNERS))))
    async with crowd.begin(SYSTEM) as tx:
        made = await approvals.decisions(tx, approval_id=found.id)
    assert pressed == {"approved": 1, "closed": RUNNERS - 1}
    assert len(made) == 1 and made[0].user_id in {ONE.user_id, TWO.user_id}
    assert (worked, await effects(crowd, f"approval:{found.id}")) == ({"executed": RUNNERS}, 1)


async def test_looking_at_the_state_first_does_it_many_times(crowd: Database, noon: datetime) -> None:
    """The control: everybody sees that it is approved before anybody has done it."""
    found, ready, key = await proposed(crowd, noon), asyncio.Barrier(RUNNERS), new_id().hex
    async with crowd.begin(ONE) as tx:
        await approvals.decide(
            tx, approval_id=found.id, actor=ONE, decision="approve", reason="", held=HELD, commands=COMMANDS, now=noon
        )

    async def work() -> None:
        async with crowd.begin(SYSTEM) as tx:
            state = await db.value(tx, "select state from infra.approvals where id = %s", found.id)
            await ready.wait()
            if state == "approved":
                await note(tx, key)
                await db.run(
                    tx,
                    """update infra.approvals set state = 'executed', executed_at = %s
                    where id = %s and state = 'approved'""",
                    *(noon, found.id),
                )

    async with asyncio.timeout(60):
        await asyncio.gather(*(work() for _ in range(RUNNERS)))
    assert await effects(crowd, key) == RUNNERS
