"""Sums beside writers: what an open transaction has posted is added once, when it has ended."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from palio import ledger
from palio.infra import embedded
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, new_id
from palio.ledger import Post
from tests.factories.ledger import Superuser, codes, new_wallet, settled

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
WRITERS, ROUNDS = 8, 12
Cut = Callable[[Database], Awaitable[None]]
# The naive way: everything that can be seen now, and from the newest of it on next time.
NAIVE = """
  with cut as (select (select coalesce(max(r.through_tx), 0) from ledger.rollups r) as since,
    (select max(e.tx_id) + 1 from ledger.entries e) as upto),
  fresh as (select e.account_id, sum(e.amount) as amount, count(*) as n from ledger.entries e
    where e.seq is null and e.tx_id >= (select since from cut) group by 1)
  insert into ledger.rollups as r (account_id, balance, entries, through_tx)
    select account_id, amount, n, (select upto from cut) from fresh on conflict (account_id) do update
    set balance = r.balance + excluded.balance, entries = r.entries + excluded.entries,
      through_tx = excluded.through_tx"""


@pytest.fixture(scope="module")
def superuser(cluster: embedded.Cluster, database_name: str) -> Iterator[Superuser]:
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as conn:
        yield Superuser(conn)


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Database]:
    database = Database(cluster.dsn("palio_app", database_name), connections_max=WRITERS + 2)
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()


@pytest.fixture
async def house(crowd: Database) -> str:
    """An account that is there and has paid 1, or two who open it would wait for each other."""
    house = f"house:{new_id().hex}"
    async with crowd.begin(SYSTEM) as tx:
        await pay_out(tx, house, 1)
    return house


async def by_the_horizon(crowd: Database) -> None:
    async with crowd.begin(SYSTEM) as tx:
        await ledger.roll_up(tx, now=NOON)


def by_what_is_seen(superuser: Superuser) -> Cut:
    async def cut(crowd: Database) -> None:
        superuser.run(NAIVE)

    return cut


async def pay_out(tx: Tx, house: str, amount: int) -> None:
    item = Post(f"{house}:{new_id()}", "ledger.transfer", ((house, "COIN", -amount), (new_wallet(), "COIN", amount)))
    assert codes(await ledger.post_many(tx, [item], now=NOON)) == ["posted"]


async def balance_of(crowd: Database, house: str, at: datetime | None = None) -> int:
    async with crowd.begin(SYSTEM) as tx:
        return await ledger.balance(tx, address=house, asset="COIN", at=at)


async def overtaken(crowd: Database, house: str, cut: Cut) -> list[int]:
    """Somebody posts 100 and stays open; others post 1 and commit, and sums are made; then he commits too."""
    seen = []
    async with crowd.begin(SYSTEM) as slow:
        await pay_out(slow, house, 100)
        async with crowd.begin(SYSTEM) as quick:
            await pay_out(quick, house, 1)
        await cut(crowd)
        seen.append(await balance_of(crowd, house))
        async with crowd.begin(SYSTEM) as quick:
            await pay_out(quick, house, 1)
        await cut(crowd)
        seen.append(await balance_of(crowd, house))
    seen.append(await balance_of(crowd, house))
    await cut(crowd)
    return [*seen, await balance_of(crowd, house)]


async def test_whoever_commits_late_is_counted_once(crowd: Database, house: str) -> None:
    assert await overtaken(crowd, house, by_the_horizon) == [-2, -3, -103, -103]
    await settled(crowd)
    async with crowd.begin(SYSTEM) as tx:
        await ledger.roll_up(tx, now=NOON)
        found = await tx.execute(
            """select r.balance, r.entries, d.amount, d.entries from ledger.rollups r
            join ledger.daily_sums d using (account_id) join ledger.accounts a on a.id = r.account_id
            where a.address = %s""",
            [house],
        )
        assert await found.fetchall() == [(-103, 4, -103, 4)]


async def test_cutting_at_what_is_seen_loses_who_commits_late(
    crowd: Database, house: str, superuser: Superuser
) -> None:
    """The control: the newest transaction that is seen is no horizon."""
    assert await overtaken(crowd, house, by_what_is_seen(superuser)) != [-2, -3, -103, -103]
    superuser.tamper("delete from ledger.rollups")  # wrong for good: whoever comes next begins anew
    superuser.tamper("delete from ledger.daily_sums")
    superuser.tamper("update ledger.rounds set through_tx = 0 where job = 'rollup'")
    await by_the_horizon(crowd)
    assert await balance_of(crowd, house) == -103


async def test_sums_beside_many_writers(crowd: Database, house: str) -> None:
    """Random writers, some of whom give up, instants in any order, and two jobs at once: each entry once, always."""
    seed = random.Random(41)  # noqa: S311 - the same walk every time
    steps = [(seed.randrange(1, 50), seed.random() < 0.2, seed.randrange(-3, 4)) for _ in range(ROUNDS * WRITERS)]
    plans = [steps[n::WRITERS] for n in range(WRITERS)]
    kept = 1 + sum(amount for amount, gives_up, _ in steps if not gives_up)
    writing = asyncio.Event()

    async def write(plan: list[tuple[int, bool, int]]) -> None:
        for amount, gives_up, days in plan:
            async with crowd.begin(SYSTEM) as tx, tx.transaction(force_rollback=gives_up):
                legs = ((house, "COIN", -amount), (new_wallet(), "COIN", amount))
                item = Post(f"{house}:{new_id()}", "ledger.transfer", legs)
                await ledger.post_many(tx, [item], now=NOON + timedelta(days=days))

    async def keep_summing() -> None:
        last = 0
        while not writing.is_set():
            await asyncio.gather(by_the_horizon(crowd), by_the_horizon(crowd))
            now = await balance_of(crowd, house)
            assert now <= last, "what was paid out does not come back"
            last = now

    async with asyncio.TaskGroup() as group:
        group.create_task(keep_summing())
        await asyncio.gather(*(write(plan) for plan in plans))
        writing.set()
    await settled(crowd)
    await by_the_horizon(crowd)
    assert await balance_of(crowd, house) == -kept
    assert await balance_of(crowd, house, at=NOON + timedelta(days=9)) == -kept
    async with crowd.begin(SYSTEM) as tx:
        found = await tx.execute(
            """select r.balance, r.entries, (select sum(d.amount) from ledger.daily_sums d where d.account_id = a.id),
              (select count(*) from ledger.entries e where e.account_id = a.id)
            from ledger.rollups r join ledger.accounts a on a.id = r.account_id where a.address = %s""",
            [house],
        )
        [(balance, entries, by_day, count)] = await found.fetchall()
    assert (balance, by_day, entries) == (-kept, -kept, count)
