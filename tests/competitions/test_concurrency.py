"""Several processes at once: nobody is paid twice, nothing accepted is lost. The naive ways fail as they should."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

import psycopg
import pytest
from psycopg import sql

from palio import competitions, ledger
from palio.competitions import sql as statements
from palio.competitions.types import (
    CompetitionId,
    Contributed,
    Contribution,
    Counted,
    Outcome,
    Refused,
    Sent,
    Submission,
)
from palio.infra import db, embedded
from palio.infra.db import Database
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import HOUR, enter, live, score
from tests.factories.ledger import Payment, fan_out

SYSTEM = Actor("system", None, RequestId(new_id()))


async def prepared(database: Database, noon: datetime, *, review_h: int = 0) -> CompetitionId:
    """Three linked entrants with scores, committed."""
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, noon, review_h=review_h)
        entrants = await enter(tx, competition_id, 3, noon)
        await score(tx, competition_id, entrants, [3, 2, 1], noon)
    return competition_id


async def step(database: Database, competition_id: CompetitionId, now: datetime) -> bool:
    async with database.begin(SYSTEM) as tx:
        return await competitions.settle(tx, competition_id=competition_id, now=now)


async def paid(database: Database, competition_id: CompetitionId) -> tuple[list[int], int, int]:
    """Wallets of the winners, what is left in the pool, and the number of standings."""
    async with database.begin(SYSTEM) as tx:
        rewards = await competitions.rewards(tx, competition_id=competition_id)
        owners = [reward.user_id for reward in rewards if reward.user_id]
        wallets = await ledger.balances_many(tx, owner_ids=owners, asset="USD")
        pool = await ledger.balance(tx, address=f"pool:{competition_id}", asset="USD")
        placed = await competitions.standings(tx, competition_id=competition_id, limit=100)
    return list(wallets.values()), pool, len(placed)


@pytest.mark.parametrize("review_h", [0, 1])
async def test_settled_by_four_processes_at_once_everybody_is_paid_once(
    database: Database, noon: datetime, review_h: int
) -> None:
    competition_id = await prepared(database, noon, review_h=review_h)
    for hours in (6, 8):
        for _ in range(5):
            now = noon + hours * HOUR
            await asyncio.gather(*(step(database, competition_id, now) for _ in range(4)))
    assert await paid(database, competition_id) == ([5000, 3000, 2000], 0, 3)


async def test_without_the_lock_and_the_keys_everybody_is_paid_twice(database: Database, noon: datetime) -> None:
    """The control: two processes that look first and pay then, each under keys of its own, pay twice."""
    competition_id = await prepared(database, noon, review_h=1)
    for _ in range(2):
        await step(database, competition_id, noon + 6 * HOUR)
    both_have_looked = asyncio.Barrier(2)

    async def naive(process: int) -> None:
        async with database.begin(SYSTEM) as tx:
            pending = [
                reward
                for reward in await competitions.rewards(tx, competition_id=competition_id)
                if reward.status == "pending" and reward.user_id
            ]
            await both_have_looked.wait()
            rows = [
                Payment(f"naive:{process}:{competition_id}:{reward.entrant_id}", reward.user_id, reward.amount)
                for reward in pending
                if reward.user_id
            ]
            pool = f"pool:{competition_id}"
            await fan_out(tx, rows, source=pool, asset="USD", kind="competitions.prize", now=noon + 8 * HOUR)

    await asyncio.gather(naive(1), naive(2))
    wallets, pool, _ = await paid(database, competition_id)
    assert (wallets, pool) == ([10_000, 6_000, 4_000], -10_000)


async def test_submissions_that_race_the_end_are_in_the_standings_or_refused(
    database: Database, noon: datetime
) -> None:
    """Whatever was answered as counted is frozen; whoever came after the close was told so."""
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, noon)
        entrants = await enter(tx, competition_id, 50, noon)
    end = noon + 5 * HOUR
    just_before = end - timedelta(microseconds=1)

    async def submit(number: int) -> Outcome:
        async with database.begin(SYSTEM) as tx:
            item = Submission(competition_id, entrants[number % 50], 7, f"k{number}", just_before)
            (outcome,) = await competitions.submit_many(tx, [item], now=end)
            return outcome

    async def end_it() -> None:
        async with database.begin(SYSTEM) as tx:
            await competitions.close(tx, competition_id=competition_id, now=end)
            await competitions.freeze(tx, competition_id=competition_id, evidence={}, now=end)

    calls = [submit(number) for number in range(200)]
    outcomes = await asyncio.gather(*calls[:120], end_it(), *calls[120:])
    counted = [outcome for outcome in outcomes if isinstance(outcome, Counted)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert {outcome.code for outcome in refused} <= {"competitions.not_live"}
    async with database.begin(SYSTEM) as tx:
        placed = await competitions.standings(tx, competition_id=competition_id, limit=100)
        receipts = await db.value(
            tx,
            """
            select sum(r.delta) from competitions.receipts r
            join competitions.competitions c on c.list_id = r.list_id where c.id = %s""",
            competition_id,
        )
    assert sum(standing.score for standing in placed) == receipts == 7 * len(counted)
    assert len(counted) + len(refused) == 200


async def test_without_the_header_a_score_is_counted_and_not_in_the_standings(
    database: Database, noon: datetime
) -> None:
    """The control: who looks at the status without holding it writes into what is frozen, and calls it counted."""
    competition_id = await prepared(database, noon, review_h=1)
    end = noon + 5 * HOUR
    looked, frozen = asyncio.Event(), asyncio.Event()

    async def submit() -> None:
        async with database.begin(SYSTEM) as tx:
            found = await competitions.get(tx, competition_id=competition_id)
            entrant = (await competitions.top(tx, competition_id=competition_id, limit=1)).rows[0].standing.entrant_id
            assert found.status == "live"
            looked.set()
            await frozen.wait()
            late = Sent(found.list_id, entrant, "naive", end - HOUR, "score", 7, 0, None, None)
            assert len(await statements.insert_changes(tx, [late], end)) == 1

    async def end_it() -> None:
        await looked.wait()
        async with database.begin(SYSTEM) as tx:
            await competitions.close(tx, competition_id=competition_id, now=end)
            await competitions.freeze(tx, competition_id=competition_id, evidence={}, now=end)
        frozen.set()

    await asyncio.gather(submit(), end_it())
    async with database.begin(SYSTEM) as tx:
        placed = await competitions.standings(tx, competition_id=competition_id, limit=9)
        scores = await competitions.scores(tx, competition_id=competition_id)
    assert (sum(each.score for each in placed), sum(each.score for each in scores)) == (6, 13)


class PowerCutError(Exception):
    """Ends a transaction where a process would have died."""


async def test_killed_after_each_step_the_next_run_continues(database: Database, noon: datetime) -> None:
    """Every step is done once and lost, then done again: one set of standings, paid once, one archive row."""
    competition_id = await prepared(database, noon, review_h=1)
    for now in (noon + 6 * HOUR, noon + 8 * HOUR):
        goes_on = True
        while goes_on:
            with suppress(PowerCutError):
                async with database.begin(SYSTEM) as tx:
                    goes_on = await competitions.settle(tx, competition_id=competition_id, now=now)
                    raise PowerCutError
            await step(database, competition_id, now)
    assert await paid(database, competition_id) == ([5000, 3000, 2000], 0, 3)
    async with database.begin(SYSTEM) as tx:
        statement = "select count(*) from competitions.archives where competition_id = %s"
        assert await db.value(tx, statement, competition_id) == 1


async def test_a_closed_wallet_leaves_the_prize_in_the_pool(
    database: Database, cluster: embedded.Cluster, database_name: str, noon: datetime
) -> None:
    """The winner's account was closed meanwhile: his prize is withheld with the reason, the others are paid."""
    competition_id = await prepared(database, noon, review_h=1)
    for _ in range(2):
        await step(database, competition_id, noon + 6 * HOUR)
    async with database.begin(SYSTEM) as tx:
        winner = (await competitions.rewards(tx, competition_id=competition_id))[0]
        legs = (("house:prizes", "USD", -1), (f"user:{winner.user_id}:main", "USD", 1))
        await ledger.post(tx, ledger.Post(f"test:{competition_id}", "ledger.adjustment", legs), now=noon)
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as operator:
        for table in ("accounts", "balances"):
            statement = sql.SQL("update ledger.{} set status = 'closed' where owner_id = %s")
            operator.execute(statement.format(sql.Identifier(table)), [winner.user_id])
    for _ in range(4):
        await step(database, competition_id, noon + 8 * HOUR)
    async with database.begin(SYSTEM) as tx:
        rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [(reward.status, reward.why.get("refused")) for reward in rewards] == [
        ("withheld", "ledger.account_closed"),
        ("paid", None),
        ("paid", None),
    ]
    wallets, pool, _ = await paid(database, competition_id)
    assert (wallets, pool) == ([1, 3000, 2000], 5000)


async def test_of_parts_put_in_at_once_no_more_pass_than_one_person_may(database: Database, noon: datetime) -> None:
    """Five of 400.00 at once where 1,000.00 are the limit: two are in the pool, three wait as one proposal."""
    maker = Actor("staff", UserId(new_id()), RequestId(new_id()))
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, noon)

    async def put() -> bool:
        async with database.begin(maker) as tx:
            found = await competitions.fund_or_propose(
                tx,
                fund_id=new_id(),
                competition_id=competition_id,
                source="admin_fund",
                amount=40_000,
                actor=maker,
                reason="more for the winners",
                now=noon,
            )
        return isinstance(found, Contributed)

    assert sorted(await asyncio.gather(*(put() for _ in range(5)))) == [False] * 3 + [True] * 2
    async with database.begin(SYSTEM) as tx:
        assert await ledger.balance(tx, address=f"pool:{competition_id}", asset="USD") == 90_000
        waiting = "select count(*) from infra.approvals where entity_id = %s and state = 'open'"
        assert await db.value(tx, waiting, str(competition_id)) == 1


async def test_without_the_lock_on_the_sum_all_of_them_pass(database: Database, noon: datetime) -> None:
    """The control: both have seen that nothing was put in yet, and put in 1,200.00 where 1,000.00 are the limit."""
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, noon)
    both_have_looked = asyncio.Barrier(2)

    async def naive() -> None:
        async with database.begin(SYSTEM) as tx:
            sums = (await competitions.pool_sums(tx, competition_ids=[competition_id]))[competition_id]
            await both_have_looked.wait()
            if sums.pool - 10_000 + 60_000 <= 100_000:
                item = Contribution(competition_id, "admin_fund", 60_000, "house:prizes", f"naive:{new_id()}")
                await competitions.contribute_many(tx, [item], now=noon)

    await asyncio.gather(naive(), naive())
    async with database.begin(SYSTEM) as tx:
        assert await ledger.balance(tx, address=f"pool:{competition_id}", asset="USD") == 130_000
