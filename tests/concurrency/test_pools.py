"""Pools and places under many hands: nothing comes in after the close, and nobody sits on a place too many."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from palio import competitions, ledger
from palio.competitions import sql
from palio.competitions.types import Admission, CompetitionId, Contributed, Refused, TakeBack, TakenBack
from palio.infra import embedded
from palio.infra.db import Database, Equipment
from palio.kernel.ids import UserId
from tests.conftest import SYSTEM
from tests.factories.competitions import HOUR, balances, live, paid_in, players
from tests.factories.databases import own_database

RUNNERS = 30
PAYMENTS = 500
PATIENCE_SECONDS = 30
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
END = NOON + 5 * HOUR


@pytest.fixture(scope="module")
async def house(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[Database]:
    name = f"palio_pools_{worker_id}"
    async with own_database(cluster, name, equipment=Equipment(), connections_max=RUNNERS) as database:
        yield database


async def crowded(house: Database, count: int, **changes: object) -> tuple[CompetitionId, list[UserId]]:
    """A competition that runs, without a promised pool, and people with 99 each."""
    async with house.begin(SYSTEM) as tx:
        competition_id = await live(tx, NOON, **{"guaranteed_pool": 0, **changes})
        return competition_id, await players(tx, count, NOON, each=99)


async def test_payments_that_race_the_close_are_in_the_pool_or_refused(house: Database) -> None:
    """500 of 99 at 10 %: the final pool is 90 for each that was taken, the treasury has 9, and none comes later."""
    competition_id, users = await crowded(house, PAYMENTS)
    async with house.begin(SYSTEM) as tx:
        before = await balances(tx, "treasury:main")
    gate = asyncio.Semaphore(RUNNERS - 1)  # some of them always hold the header: the close has a turn all the same

    async def pay(user: UserId) -> str:
        async with gate, house.begin(SYSTEM) as tx:
            (outcome,) = await competitions.contribute_many(tx, [paid_in(competition_id, user, 99)], now=END)
        return "taken" if isinstance(outcome, Contributed) else outcome.code

    async def end_it() -> int | None:
        await asyncio.sleep(0)
        async with house.begin(SYSTEM) as tx:
            await competitions.close(tx, competition_id=competition_id, now=END)
            frozen = await competitions.freeze(tx, competition_id=competition_id, evidence={}, now=END)
        return frozen.pool_final

    first = [asyncio.create_task(pay(user)) for user in users[: PAYMENTS // 3]]
    await first[RUNNERS]
    final, *outcomes = await asyncio.gather(end_it(), *first, *map(pay, users[PAYMENTS // 3 :]))
    counted = Counter(map(str, outcomes))
    assert counted["taken"] + counted["competitions.pool_closed"] == PAYMENTS
    assert RUNNERS <= counted["taken"] < PAYMENTS  # both happened
    async with house.begin(SYSTEM) as tx:
        after = await balances(tx, "treasury:main")
        sums = (await competitions.pool_sums(tx, competition_ids=[competition_id]))[competition_id]
    assert final == sums.pool == 90 * counted["taken"]
    assert sums.treasury == 9 * counted["taken"]
    assert after[0] - before[0] == 99 * counted["taken"]  # nobody won: what was in the pool went there too


async def test_whoever_comes_later_waits_behind_the_close(house: Database) -> None:
    """Two who look at the header overlap; without a turn a third would too, and the close would wait for all."""
    competition_id, _ = await crowded(house, 0)
    may_end, order = asyncio.Event(), list[str]()

    async def look(name: str) -> None:
        async with house.begin(SYSTEM) as tx:
            gates = await competitions.gate_many(tx, [competition_id])
            order.append(f"{name}: {gates[competition_id].status}")
            await may_end.wait()

    async def end_it() -> None:
        async with house.begin(SYSTEM) as tx:
            await competitions.close(tx, competition_id=competition_id, now=END)
            order.append("closed")

    looking = [asyncio.create_task(look("first"))]
    await _until(lambda: len(order) == 1)
    closing = asyncio.create_task(end_it())
    await _until_waiting(house, 1)
    looking.append(asyncio.create_task(look("second")))
    await _until_waiting(house, 2)
    may_end.set()
    await asyncio.gather(closing, *looking)
    assert order == ["first: live", "closed", "second: settling"]


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110 - a list, which nobody tells of
            await asyncio.sleep(0.01)


async def _until_waiting(house: Database, count: int) -> None:
    """Until so many of this database wait for a lock."""
    statement = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with house.begin(SYSTEM) as tx:
                if await (await tx.execute(statement)).fetchone() == (count,):
                    return
            await asyncio.sleep(0.01)


async def test_without_the_header_a_payment_comes_in_after_the_freeze(house: Database) -> None:
    """The control: who looks at the status without holding it pays into what is frozen, and the pool keeps it."""
    competition_id, (user,) = await crowded(house, 1)
    looked, frozen = asyncio.Event(), asyncio.Event()

    async def pay() -> None:
        async with house.begin(SYSTEM) as tx:
            found = await competitions.get(tx, competition_id=competition_id)
            assert found.status == "live"
            looked.set()
            await frozen.wait()
            legs = ((f"user:{user}:main", "USD", -99), (f"pool:{competition_id}", "USD", 99))
            await ledger.post(tx, ledger.Post(f"naive:{user}", "competitions.contribution", legs), now=END)

    async def end_it() -> None:
        await looked.wait()
        async with house.begin(SYSTEM) as tx:
            await competitions.close(tx, competition_id=competition_id, now=END)
            await competitions.freeze(tx, competition_id=competition_id, evidence={}, now=END)
        frozen.set()

    await asyncio.gather(pay(), end_it())
    async with house.begin(SYSTEM) as tx:
        found = await competitions.get(tx, competition_id=competition_id)
        assert (found.status, found.pool_final) == ("completed", 0)
        assert await balances(tx, f"pool:{competition_id}") == [99]


async def enter(house: Database, competition_id: CompetitionId, user: UserId, barrier: asyncio.Barrier) -> str:
    async with house.begin(SYSTEM) as tx:
        await barrier.wait()
        try:
            await competitions.join(tx, competition_id=competition_id, user_id=user, now=NOON)
        except competitions.Full as full:
            return full.code
    return "in"


async def test_thirty_run_for_ten_places(house: Database) -> None:
    competition_id, users = await crowded(house, RUNNERS, join_mode="open", max_participants=10, entry_fee=99)
    barrier = asyncio.Barrier(RUNNERS)
    outcomes = Counter(await asyncio.gather(*(enter(house, competition_id, user, barrier) for user in users)))
    assert outcomes == {"in": 10, "competitions.full": 20}
    async with house.begin(SYSTEM) as tx:
        assert await sql.count_active(tx, competition_id) == 10
        assert (await competitions.pool_sums(tx, competition_ids=[competition_id]))[competition_id].pool == 900


async def test_without_the_lock_more_than_ten_find_a_place(house: Database) -> None:
    """The control: everybody counts, and then everybody sits down."""
    competition_id, users = await crowded(house, RUNNERS, join_mode="open", max_participants=10)
    barrier = asyncio.Barrier(RUNNERS)

    async def naive(user: UserId) -> None:
        async with house.begin(SYSTEM) as tx:
            await barrier.wait()
            free = await sql.count_active(tx, competition_id) < 10
            await barrier.wait()
            if free:
                await competitions.admit_many(tx, [Admission(competition_id, "user", str(user), user)], now=NOON)

    await asyncio.gather(*map(naive, users))
    async with house.begin(SYSTEM) as tx:
        assert await sql.count_active(tx, competition_id) == RUNNERS


async def test_one_player_who_joins_thirty_times_at_once_pays_once(house: Database) -> None:
    competition_id, (user,) = await crowded(house, 1, join_mode="open", entry_fee=33)
    barrier = asyncio.Barrier(RUNNERS)
    outcomes = await asyncio.gather(*(enter(house, competition_id, user, barrier) for _ in range(RUNNERS)))
    assert set(outcomes) == {"in"}
    async with house.begin(SYSTEM) as tx:
        assert await balances(tx, f"user:{user}:main", f"pool:{competition_id}") == [66, 30]


async def test_parts_of_one_contribution_at_the_same_moment_never_exceed_it(house: Database) -> None:
    """Thirty want ten units of 99 each: nine have them, and what is left ends exact."""
    competition_id, (user,) = await crowded(house, 1)
    item = paid_in(competition_id, user, 99)
    async with house.begin(SYSTEM) as tx:
        await competitions.contribute_many(tx, [item], now=NOON)
    barrier = asyncio.Barrier(RUNNERS)

    async def take(number: int) -> TakenBack | Refused:
        part = TakeBack(item.key, 10, "clearing:refunds", f"undo:{competition_id}:{number}")
        async with house.begin(SYSTEM) as tx:
            await barrier.wait()
            (outcome,) = await competitions.take_back_many(tx, [part], now=NOON)
        return outcome

    outcomes = await asyncio.gather(*map(take, range(RUNNERS)))
    assert sum(isinstance(outcome, TakenBack) for outcome in outcomes) == 9
    async with house.begin(SYSTEM) as tx:
        rest = TakeBack(item.key, 9, f"user:{user}:main", f"undo:{competition_id}:rest")
        await competitions.take_back_many(tx, [rest], now=NOON)
        assert await balances(tx, f"pool:{competition_id}", f"user:{user}:main") == [0, 9]
        sums = (await competitions.pool_sums(tx, competition_ids=[competition_id]))[competition_id]
    assert (sums.pool, sums.treasury) == (0, 0)
