"""What goes into pools and out of them: split to the unit, once each, and nobody's single payment seen by others."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio import competitions, ledger
from palio.competitions.messages import PoolChanged, TellPool
from palio.competitions.rules import pools as rules
from palio.competitions.types import (
    CompetitionId,
    Contributed,
    Contribution,
    Kept,
    Refused,
    SourceSum,
    TakeBack,
    TakenBack,
)
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel.errors import TooLarge
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import HOUR, balances, live, new, paid_in, players

PAYER = UserId(new_id())


def kept(amount: int, treasury_bps: int = 1_000, taken_back: int = 0) -> Kept:
    return Kept(
        *(new_id(), new_id(), "user_payment", "USD", amount, treasury_bps, taken_back, PAYER),
        *(f"user:{PAYER}:main", None, "key", new_id()),
    )


@pytest.mark.parametrize(("amount", "pool", "treasury"), [(100, 90, 10), (99, 90, 9), (1, 1, 0), (10, 9, 1)])
def test_the_treasury_has_its_part_rounded_down(amount: int, pool: int, treasury: int) -> None:
    assert rules.parts_of(amount, 1_000) == (pool, treasury)


@given(st.integers(1, 10**12), st.integers(0, 10_000), st.lists(st.integers(1, 10**9), max_size=20))
def test_parts_that_leave_end_exactly(amount: int, treasury_bps: int, parts: list[int]) -> None:
    """However a contribution leaves, after c units the treasury has returned floor(c·bps/10000), the pool the rest."""
    found, pool, treasury = kept(amount, treasury_bps), 0, 0
    for part in [*parts, amount]:
        leaving = min(part, found.left)
        of = rules.returned_by(found, leaving)
        assert of.pool >= 0 and of.treasury >= 0 and sum(of) == leaving
        found = kept(amount, treasury_bps, found.taken_back + leaving)
        pool, treasury = pool + of.pool, treasury + of.treasury
        assert treasury == found.taken_back * treasury_bps // 10_000
    assert (found.left, (pool, treasury)) == (0, rules.parts_of(amount, treasury_bps))


async def test_payments_are_split_and_what_the_house_gives_is_not(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, guaranteed_pool=0)
    payer, other = await players(tx, 2, noon, each=1_000)
    items = [
        paid_in(competition_id, payer, 100),
        paid_in(competition_id, other, 99),
        paid_in(competition_id, payer, 1),
        Contribution(competition_id, "sponsor", 50, "external:manual", f"test:{new_id()}"),
        Contribution(competition_id, "bonus_event", 7, "house:promotions", f"test:{new_id()}"),
    ]
    outcomes = await competitions.contribute_many(tx, items, now=noon)
    assert [(each.to_pool, each.to_treasury) for each in outcomes if isinstance(each, Contributed)] == [
        *((90, 10), (90, 9), (1, 0), (50, 0), (7, 0))
    ]
    sums = (await competitions.pool_sums(tx, competition_ids=[competition_id]))[competition_id]
    assert (sums.pool, sums.treasury) == (238, 19)
    assert sums.sources == (
        SourceSum("bonus_event", 1, 7, 0),
        SourceSum("sponsor", 1, 50, 0),
        SourceSum("user_payment", 3, 181, 19),
    )
    assert await balances(tx, f"pool:{competition_id}", f"user:{payer}:main") == [238, 899]
    board = await competitions.top(tx, competition_id=competition_id, limit=1)
    assert board.undistributed == 238


async def test_the_same_key_counts_once_and_another_request_under_it_is_refused(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    (payer,) = await players(tx, 1, noon, each=1_000)
    item = paid_in(competition_id, payer, 100, key="intent:1")
    first, twin = await competitions.contribute_many(tx, [item, item], now=noon)
    again, other = await competitions.contribute_many(
        tx, [item, paid_in(competition_id, payer, 101, key="intent:1")], now=noon
    )
    assert isinstance(first, Contributed) and not first.replayed
    assert [twin, again] == [Contributed(90, 10, first.transfer_id, replayed=True)] * 2
    assert other == Refused("competitions.key_mismatch", {"key": "intent:1"})
    assert await balances(tx, f"user:{payer}:main") == [900]


async def test_a_refused_contribution_fails_nobody_else(tx: Tx, noon: datetime) -> None:
    running, draft = await live(tx, noon), await competitions.create(tx, new=new(noon), created_by=None, now=noon)
    rich, poor = await players(tx, 2, noon, each=50)
    nowhere = CompetitionId(new_id())
    items = [
        paid_in(running, rich, 0),
        paid_in(running, rich, 50, payer=None),
        paid_in(nowhere, rich, 5),
        paid_in(draft, rich, 5),
        paid_in(running, poor, 51),
        paid_in(running, rich, 50),
        Contribution(draft, "admin_fund", 3, "house:prizes", f"test:{new_id()}"),
    ]
    outcomes = await competitions.contribute_many(tx, items, now=noon)
    assert [each.code if isinstance(each, Refused) else each.to_pool for each in outcomes] == [
        *("competitions.invalid", "competitions.invalid", "competitions.no_such_competition"),
        *("competitions.pool_closed", "ledger.insufficient_funds", 45, 3),
    ]
    assert await balances(tx, f"user:{rich}:main", f"user:{poor}:main") == [0, 50]
    with pytest.raises(TooLarge):
        await competitions.contribute_many(tx, items * 2_000, now=noon)


async def test_parts_leave_to_where_they_came_from_or_to_the_clearing(tx: Tx, noon: datetime) -> None:
    """99 at 10 % leave in three parts; the pool has 90 less and the treasury 9, and a repeat changes nothing."""
    competition_id = await live(tx, noon, guaranteed_pool=0)
    (payer,) = await players(tx, 1, noon, each=99)
    before = await balances(tx, "treasury:main", "clearing:refunds")
    item = paid_in(competition_id, payer, 99)
    await competitions.contribute_many(tx, [item], now=noon)
    parts = [
        TakeBack(item.key, 50, "clearing:refunds", "undo:1"),
        TakeBack(item.key, 40, f"user:{payer}:main", "undo:2"),
        TakeBack(item.key, 9, "clearing:refunds", "undo:3"),
    ]
    left = [outcome for part in parts for outcome in await competitions.take_back_many(tx, [part], now=noon)]
    assert [(each.from_pool, each.from_treasury) for each in left if isinstance(each, TakenBack)] == [
        *((45, 5), (36, 4), (9, 0))
    ]
    (again,) = await competitions.take_back_many(tx, [parts[1]], now=noon)
    assert isinstance(again, TakenBack) and again.replayed and again.from_pool == 36
    after = await balances(tx, "treasury:main", "clearing:refunds")
    assert [now - then for now, then in zip(after, before, strict=True)] == [0, 59]
    assert await balances(tx, f"pool:{competition_id}", f"user:{payer}:main") == [0, 40]
    sums = (await competitions.pool_sums(tx, competition_ids=[competition_id]))[competition_id]
    assert (sums.pool, sums.treasury, sums.sources[0].contributions) == (0, 0, 0)


async def test_what_cannot_leave_stays(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    (payer,) = await players(tx, 1, noon, each=100)
    item = paid_in(competition_id, payer, 100)
    await competitions.contribute_many(tx, [item], now=noon)
    wallet = f"user:{payer}:main"
    taken = TakeBack(item.key, 60, wallet, "undo:a")
    wanted = [
        taken,
        taken,
        TakeBack(item.key, 10, wallet, "undo:b"),
        TakeBack(item.key, 101, wallet, "undo:c"),
        TakeBack(item.key, 1, f"user:{new_id()}:main", "undo:d"),
        TakeBack("test:nothing", 1, wallet, "undo:e"),
        TakeBack(f"comp:{competition_id}:fund", 1, "clearing:refunds", "undo:f"),
        TakeBack(item.key, 0, wallet, "undo:g"),
    ]
    outcomes = await competitions.take_back_many(tx, wanted, now=noon)
    assert [each.code if isinstance(each, Refused) else each.replayed for each in outcomes] == [
        *(False, True, "competitions.one_part_a_batch", "competitions.exceeds_contribution"),
        *("competitions.not_returnable", "competitions.no_such_contribution", "competitions.not_returnable"),
        "competitions.invalid",
    ]
    later = [TakeBack(item.key, 41, wallet, "undo:h"), TakeBack(item.key, 1, wallet, "undo:a")]
    refused = await competitions.take_back_many(tx, later, now=noon)
    assert [each.code for each in refused if isinstance(each, Refused)] == [
        *("competitions.exceeds_contribution", "competitions.key_mismatch")
    ]
    await competitions.close(tx, competition_id=competition_id, now=noon + 6 * HOUR)
    (closed,) = await competitions.take_back_many(tx, [TakeBack(item.key, 1, wallet, "undo:i")], now=noon)
    (late,) = await competitions.contribute_many(tx, [paid_in(competition_id, payer, 1)], now=noon)
    assert [each.code for each in (closed, late) if isinstance(each, Refused)] == ["competitions.pool_closed"] * 2
    assert await balances(tx, f"pool:{competition_id}", wallet) == [10_036, 60]


async def test_everybody_sees_the_pool_and_only_his_own_payments(database: Database, noon: datetime) -> None:
    """Sums come from a function that tells nothing else; rows of others do not exist for a player."""
    system = Actor("system", None, RequestId(new_id()))
    async with database.begin(system) as tx:
        competition_id = await live(tx, noon)
        payer, stranger = await players(tx, 2, noon, each=100)
        item = paid_in(competition_id, payer, 100)
        await competitions.contribute_many(tx, [item], now=noon)
        await competitions.take_back_many(tx, [TakeBack(item.key, 10, f"user:{payer}:main", "undo:z")], now=noon)
    seen = {}
    for who in (payer, stranger):
        async with database.begin(Actor("player", who, RequestId(new_id()))) as tx:
            sums = (await competitions.pool_sums(tx, competition_ids=[competition_id]))[competition_id]
            own = [
                (await (await tx.execute(statement)).fetchone() or [None])[0]
                for statement in (
                    "select count(*) from competitions.contributions",
                    "select count(*) from competitions.take_backs",
                )
            ]
            seen[who] = (sums.pool, own, await ledger.balance(tx, address=f"pool:{competition_id}", asset="USD"))
    assert seen == {payer: (10_081, [1, 1], 0), stranger: (10_081, [0, 0], 0)}


async def test_others_are_told_of_a_pool_once_a_second_and_of_its_last_change(tx: Tx, noon: datetime) -> None:
    """Whichever process pays in; nothing is told of what was taken back, and without a listener nothing waits."""
    competition_id = await live(tx, noon)
    [user] = await players(tx, 1, noon, each=100)
    waiting = """select scheduled_at = now() + interval '1 second' from jobs.procrastinate_jobs
        where status = 'todo' and task_name like %s and args -> 'message' ->> 'competition' = %s"""
    names = ("%tell_pool", str(competition_id))
    await competitions.contribute_many(tx, [paid_in(competition_id, user, 10)], now=noon)
    assert await db.column(tx, waiting, *names) == []

    before, tell = tx.equipment, tx.equipment.addresses[TellPool]
    tx.equipment = replace(before, addresses={**before.addresses, PoolChanged: tell})
    try:
        with suppress(ZeroDivisionError):
            async with tx.transaction():
                await competitions.contribute_many(tx, [paid_in(competition_id, user, 10)], now=noon)
                raise ZeroDivisionError
        assert await db.column(tx, waiting, *names) == []
        for _ in range(3):
            await competitions.contribute_many(tx, [paid_in(competition_id, user, 10)], now=noon)
        assert await db.column(tx, waiting, *names) == [True]
    finally:
        tx.equipment = before
