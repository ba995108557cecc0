"""One person in a hurry, and two who agree at once. Looking at the sum or the state first lets too much through."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from palio import ledger
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.infra import embedded, jobs
from palio.infra.approvals import Closed
from palio.infra.db import Database, Equipment, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger import AdjustmentLine
from palio.ledger.rules import adjusting as rules
from palio.ledger.sql import adjusting as sql

RUNNERS, EACH, LIMIT = 30, 2_000, 10_000
PATIENT = "set local lock_timeout = '60s'"  # thirty in a row, on a machine that does other things too
WHY = "the bet was counted twice"
REQUEST = RequestId(new_id())
ONE, TWO = (Actor("staff", UserId(new_id()), REQUEST) for _ in range(2))


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Database]:
    equipment = Equipment(jobs.addresses(SUBSCRIPTIONS))
    database = Database(cluster.dsn("palio_app", database_name), equipment=equipment, connections_max=RUNNERS)
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()


async def held_by(crowd: Database, owner: UserId) -> int:
    async with crowd.begin(ONE) as tx:
        return await ledger.balance(tx, address=f"user:{owner}:main", asset="USD")


async def test_thirty_corrections_at_once_are_as_much_as_five(crowd: Database, noon: datetime) -> None:
    """Five of 2,000 are the limit of 10,000: twenty-five wait for somebody else."""
    owner, maker, ready = UserId(new_id()), Actor("staff", UserId(new_id()), REQUEST), asyncio.Barrier(RUNNERS)

    async def correct() -> str:
        async with crowd.begin(maker) as tx:
            await tx.execute(PATIENT)
            await ready.wait()
            lines = [AdjustmentLine(owner, "USD", EACH)]
            return (await ledger.adjust(tx, lines=lines, reason=WHY, maker=maker.user_id, now=noon)).status  # type: ignore[arg-type]  # a person

    async with asyncio.timeout(60):
        made = Counter(await asyncio.gather(*(correct() for _ in range(RUNNERS))))
    assert made == {"posted": LIMIT // EACH, "pending": RUNNERS - LIMIT // EACH}
    assert await held_by(crowd, owner) == LIMIT


async def test_looking_at_the_sum_first_lets_thirty_through(crowd: Database, noon: datetime) -> None:
    """The control: everybody sees a sum of nothing, and posts."""
    owner, maker, ready = UserId(new_id()), Actor("staff", UserId(new_id()), REQUEST), asyncio.Barrier(RUNNERS)

    async def correct() -> None:
        async with crowd.begin(maker) as tx:
            lines = [AdjustmentLine(owner, "USD", EACH)]
            done = await sql.list_done(tx, maker.user_id, [owner], noon - rules.SUMMED_OVER)  # type: ignore[arg-type]  # a person
            await ready.wait()
            if not rules.needs_second(
                lines, done={(owner, "USD"): sum(row.units for row in done)}, limits={"USD": LIMIT}
            ):
                [post] = rules.posts(
                    new_id(),
                    lines,
                    reason=WHY,
                    ticket="",
                    maker=maker.user_id,
                    to_debt=False,
                    people=1,  # type: ignore[arg-type]  # a person
                )
                await ledger.post(tx, post, now=noon)

    async with asyncio.timeout(60):
        await asyncio.gather(*(correct() for _ in range(RUNNERS)))
    assert await held_by(crowd, owner) == RUNNERS * EACH


async def waiting(crowd: Database, owner: UserId, now: datetime) -> ledger.Adjustment:
    maker = Actor("staff", UserId(new_id()), REQUEST)
    async with crowd.begin(maker) as tx:
        lines = [AdjustmentLine(owner, "USD", LIMIT + 1)]
        return await ledger.adjust(tx, lines=lines, reason=WHY, maker=maker.user_id, now=now)  # type: ignore[arg-type]  # a person


async def approve(tx: Tx, found: ledger.Adjustment, checker: Actor, now: datetime) -> str:
    try:
        decided = await ledger.decide_adjustment(
            tx,
            adjustment_id=found.id,
            decision="approve",
            checker=checker.user_id,
            now=now,  # type: ignore[arg-type]  # a person
        )
    except Closed as closed:
        return f"closed by {closed.facts['decided_by']}"
    return f"{decided.status} by {decided.checker}"


async def test_two_people_agree_at_once_and_one_hears_of_the_other(crowd: Database, noon: datetime) -> None:
    owner, ready = UserId(new_id()), asyncio.Barrier(RUNNERS)
    found = await waiting(crowd, owner, noon)

    async def press(checker: Actor) -> str:
        async with crowd.begin(checker) as tx:
            await tx.execute(PATIENT)
            await ready.wait()
            return await approve(tx, found, checker, noon)

    async with asyncio.timeout(60):
        told = Counter(await asyncio.gather(*(press((ONE, TWO)[n % 2]) for n in range(RUNNERS))))
    [winner] = [answer.removeprefix("posted by ") for answer in told if answer.startswith("posted")]
    assert told == {f"posted by {winner}": 1, f"closed by {winner}": RUNNERS - 1}
    assert await held_by(crowd, owner) == LIMIT + 1


async def test_looking_at_the_state_first_pays_every_time(crowd: Database, noon: datetime) -> None:
    """The control: everybody sees that it waits; only a key that all of them share would save it."""
    owner, ready = UserId(new_id()), asyncio.Barrier(RUNNERS)
    found = await waiting(crowd, owner, noon)

    async def press(checker: Actor) -> None:
        async with crowd.begin(checker) as tx:
            seen = await ledger.get_adjustment(tx, adjustment_id=found.id)
            await ready.wait()
            if seen.status == "pending":
                lines = [AdjustmentLine(line.owner_id, line.asset, line.amount) for line in seen.lines]
                [post] = rules.posts(new_id(), lines, reason=WHY, ticket="", maker=seen.maker, to_debt=False, people=2)
                await ledger.post(tx, post, now=noon)

    async with asyncio.timeout(60):
        await asyncio.gather(*(press((ONE, TWO)[n % 2]) for n in range(RUNNERS)))
    assert await held_by(crowd, owner) == RUNNERS * (LIMIT + 1)
