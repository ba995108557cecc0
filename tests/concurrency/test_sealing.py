"""Many sealers at once, beside many who post: every transfer is in exactly one seal.

The race also runs the naive way, look first and append then, which must go wrong: or the harness would prove nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from palio import ledger
from palio.infra import embedded
from palio.infra.db import Database, Tx
from palio.infra.seals import Seal, sealing
from palio.ledger import CHAIN
from tests.factories.ledger import new_wallet, pay, settled
from tests.factories.seals import SYSTEM, equipment

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
RUNNERS = 12
TURNS_MIN, BLOCKS_MIN = 8, 3


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Database]:
    """A connection for each runner."""
    database = Database(cluster.dsn("palio_app", database_name), equipment=equipment(), connections_max=2 * RUNNERS)
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()


async def race(crowd: Database, run: Callable[[Tx, asyncio.Barrier], Awaitable[Seal | None]]) -> list[object]:
    """Everybody has begun a transaction before anybody goes on; what each gets, or how he fails."""
    barrier = asyncio.Barrier(RUNNERS)

    async def one() -> Seal | None:
        async with crowd.begin(SYSTEM) as tx:
            await barrier.wait()
            return await run(tx, barrier)

    return await asyncio.gather(*(one() for _ in range(RUNNERS)), return_exceptions=True)


async def post(crowd: Database) -> None:
    async with crowd.begin(SYSTEM) as tx:
        await ledger.post(tx, pay(f"{new_wallet()}", new_wallet(), 1), now=NOON)


async def test_of_many_sealers_one_seals_and_nobody_waits_or_fails(crowd: Database) -> None:
    await post(crowd)
    await settled(crowd)
    outcomes = await race(crowd, lambda tx, _: ledger.seal(tx, now=NOON))
    assert len([one for one in outcomes if isinstance(one, Seal)]) == 1
    assert [one for one in outcomes if one is not None and not isinstance(one, Seal)] == []


async def test_looking_first_and_appending_then_goes_wrong(crowd: Database) -> None:
    """The control: the same race without the lock; the database refuses all but one of the seals."""
    await post(crowd)
    await settled(crowd)

    async def naive(tx: Tx, barrier: asyncio.Barrier) -> Seal | None:
        plan = await sealing.plan(tx, chain=CHAIN, now=NOON)
        await barrier.wait()
        assert plan is not None
        return await sealing.append(tx, chain=CHAIN, block=plan)

    outcomes = await race(crowd, naive)
    assert len([one for one in outcomes if isinstance(one, Seal)]) == 1
    failures = [one for one in outcomes if isinstance(one, psycopg.Error)]
    assert len(failures) == RUNNERS - 1
    assert {failure.sqlstate for failure in failures} <= {"23505", "PL007"}


async def test_whatever_is_posted_meanwhile_is_in_exactly_one_seal(crowd: Database) -> None:
    """Three seal as fast as they can while nine post, some of them for long, until several blocks have rows."""
    made: list[int] = []
    is_over = asyncio.Event()

    async def poster(number: int) -> int:
        turn = 0
        while turn < TURNS_MIN or len(made) < BLOCKS_MIN:  # others may hold the horizon back for a while
            async with crowd.begin(SYSTEM) as tx:
                await ledger.post(tx, pay(f"meanwhile:{number}:{turn}", new_wallet(), 1), now=NOON)
                if (number + turn) % 3 == 0:  # others are sealed while this stays open
                    await tx.execute("select count(*) from generate_series(1, 200000)")
            turn += 1
        return turn

    async def sealer() -> None:
        minute = 0
        while not is_over.is_set():
            minute += 1
            async with crowd.begin(SYSTEM) as tx:
                sealed = await ledger.seal(tx, now=NOON + timedelta(minutes=minute))
            if sealed and sealed.rows:
                made.append(sealed.n)

    sealers = [asyncio.create_task(sealer()) for _ in range(3)]
    posted = sum(await asyncio.gather(*(poster(number) for number in range(9))))
    is_over.set()
    await asyncio.gather(*sealers)
    await settled(crowd)
    async with crowd.begin(SYSTEM) as tx:
        await ledger.seal(tx, now=NOON + timedelta(days=3_000))
    async with crowd.begin(SYSTEM) as tx:
        found = await ledger.check_seals(tx)
        ids = await (await tx.execute("select id from ledger.transfers where key like 'meanwhile:%'")).fetchall()
        places = [await ledger.seal_of(tx, transfer_id=number) for (number,) in ids[:200]]
    assert (found.status, found.unsealed, found.flaws) == (0, 0, ())
    assert len(ids) == posted
    assert all(places)
