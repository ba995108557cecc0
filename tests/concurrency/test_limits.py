"""Many at once against what expires, what a player allows himself, and an account that is being frozen or closed.

Each race also runs the naive way, check first and act then, which must go wrong: or the harness would prove nothing.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from palio import ledger
from palio.infra import db, embedded
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, new_id
from palio.ledger import AccountId, Lot, Outcome, Post, Refused, Used
from palio.ledger.service import lots
from tests.concurrency.test_ledger import RUNNERS, balance_of, funded, race
from tests.factories.ledger import codes, fund, new_wallet, owner_of, pay

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
STATUS = "select status from ledger.balances where account_id = %s"
OVER = "select sum(remaining)::bigint from ledger.lots where owner_id = %s and expires_at <= %s"


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Database]:
    """A connection for each runner."""
    database = Database(cluster.dsn("palio_app", database_name), connections_max=RUNNERS)
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()


def bet(key: str, wallet: str, amount: int) -> Post:
    return replace(pay(key, wallet, -amount), kind="games.bet")


async def allowed(crowd: Database, amount: int) -> str:
    """Somebody with a thousand, who stakes no more than so much a day."""
    wallet = await funded(crowd, 1_000)
    async with crowd.begin(SYSTEM) as tx:
        await ledger.set_limit(
            tx,
            owner_id=owner_of(wallet),
            asset="COIN",
            group="stake",
            period="day",
            amount=amount,
            now=NOON,
            reason="a test",
        )
    return wallet


async def staked(crowd: Database, wallet: str) -> int:
    async with crowd.begin(SYSTEM) as tx:
        [limit] = await ledger.player_limits(tx, owner_id=owner_of(wallet), now=NOON)
    return limit.used


async def test_no_more_is_staked_than_is_allowed(crowd: Database) -> None:
    """Seven of thirty bets, and not one more."""
    wallet = await allowed(crowd, 79)

    async def stake(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        return (await ledger.post_many(tx, [bet(f"{wallet}:{number}", wallet, 11)], now=NOON))[0]

    assert Counter(codes(await race(crowd, stake))) == {"posted": 7, "ledger.limit_reached": 23}
    assert (await staked(crowd, wallet), await balance_of(crowd, wallet)) == (77, 923)


async def test_looking_at_the_limit_first_grants_too_much(crowd: Database) -> None:
    """The control: the same race, decided by what was used before everybody went on."""
    wallet = await allowed(crowd, 79)
    granted = 0

    async def stake(tx: Tx, number: int, barrier: asyncio.Barrier) -> Outcome:
        nonlocal granted
        [limit] = await ledger.player_limits(tx, owner_id=owner_of(wallet), now=NOON)
        await barrier.wait()
        granted += limit.used + 11 <= 79
        return Refused("naive")

    await race(crowd, stake)
    assert granted > 7


async def test_cards_and_wallets_share_one_limit(crowd: Database) -> None:
    """Every other one never touches the wallet."""
    wallet = await allowed(crowd, 79)

    async def stake(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        if number % 2:
            return (await ledger.post_many(tx, [bet(f"{wallet}:{number}", wallet, 11)], now=NOON))[0]
        try:
            await ledger.count_usage_many(tx, [Used(owner_of(wallet), "stake", "COIN", 11)], now=NOON)
        except ledger.LimitReached:
            return Refused(ledger.LimitReached.code)
        return Refused("counted")

    words = Counter(codes(await race(crowd, stake)))
    assert (words["posted"] + words["counted"], words["ledger.limit_reached"]) == (7, 23)
    assert await staked(crowd, wallet) == 77


async def number_of(crowd: Database, wallet: str) -> AccountId:
    async with crowd.begin(SYSTEM) as tx:
        found = await tx.execute("select id from ledger.accounts where address = %s", [wallet])
        [(number,)] = await found.fetchall()
    return AccountId(number)


async def test_a_post_comes_before_or_after_a_freeze(crowd: Database) -> None:
    """What was posted before is in the balance that the one who froze has seen; nothing is posted afterwards."""
    wallet = await funded(crowd, 1_000)
    account, seen = await number_of(crowd, wallet), 0

    async def act(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        nonlocal seen
        if number:
            return (await ledger.post_many(tx, [pay(f"{wallet}:{number}", wallet, -1)], now=NOON))[0]
        before = await ledger.set_status(tx, account_id=account, status="frozen", reason="a test")
        seen = before.balance
        return Refused("frozen")

    words = Counter(codes(await race(crowd, act)))
    assert words["posted"] + words["ledger.account_frozen"] == RUNNERS - 1
    assert seen == 1_000 - words["posted"] == await balance_of(crowd, wallet)


async def test_looking_at_the_status_first_spends_behind_a_freeze(crowd: Database) -> None:
    """The control: everybody has seen that it is active, and what the one who froze it has seen is no longer there."""
    wallet = await funded(crowd, 1_000)
    account, seen, granted = await number_of(crowd, wallet), 0, 0

    async def act(tx: Tx, number: int, barrier: asyncio.Barrier) -> Outcome:
        nonlocal seen, granted
        is_active = await db.value(tx, STATUS, account) == "active"
        await barrier.wait()
        if number:
            granted += is_active
        else:
            seen = (await ledger.set_status(tx, account_id=account, status="frozen", reason="a test")).balance
        return Refused("naive")

    await race(crowd, act)
    assert seen > 1_000 - granted


async def test_nothing_comes_into_an_account_that_was_found_empty(crowd: Database) -> None:
    """Either it is closed and empty, or somebody was first and it stays open."""
    wallet = await funded(crowd, 1)
    async with crowd.begin(SYSTEM) as tx:
        await ledger.post(tx, pay(f"{wallet}:out", wallet, -1), now=NOON)
    account = await number_of(crowd, wallet)

    async def act(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        if number % 2:
            return (await ledger.post_many(tx, [pay(f"{wallet}:{number}", wallet, 1)], now=NOON))[0]
        try:
            await ledger.set_status(tx, account_id=account, status="closed", reason="a test")
        except ledger.NotEmpty:
            return Refused("not empty")
        return Refused("closed")

    words = Counter(codes(await race(crowd, act)))
    assert (words["closed"] == 0) == (words["posted"] == 15) == (await balance_of(crowd, wallet) == 15)
    assert words["ledger.account_closed"] == 15 - words["posted"]


async def test_looking_whether_it_is_empty_first_closes_what_is_being_paid_into(crowd: Database) -> None:
    """The control: who closes has seen nothing in it, and who pays has seen it open."""
    wallet, found = await funded(crowd, 1), Counter[str]()
    async with crowd.begin(SYSTEM) as tx:
        await ledger.post(tx, pay(f"{wallet}:out", wallet, -1), now=NOON)
    account = await number_of(crowd, wallet)

    async def act(tx: Tx, number: int, barrier: asyncio.Barrier) -> Outcome:
        is_empty = await ledger.balance(tx, address=wallet, asset="COIN") == 0
        is_active = await db.value(tx, STATUS, account) == "active"
        await barrier.wait()
        found["paid" if number % 2 else "closed"] += is_active if number % 2 else is_empty
        return Refused("naive")

    await race(crowd, act)
    assert found["closed"] and found["paid"]


async def test_what_expires_moves_once_while_it_is_being_spent(crowd: Database) -> None:
    """Ten runs of the job among those who spend: of what is over nothing is spent, and it moves once."""
    wallet = new_wallet()
    await keep(crowd, lots=True)
    async with crowd.begin(SYSTEM) as tx:
        await ledger.post(tx, pay(f"{wallet}:a", wallet, 100, lot=Lot("bonus", LATER)), now=NOON)
        await fund(tx, wallet, 50, now=NOON)
    gone = await balance_of(crowd, "breakage:expired")

    async def act(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        if number % 3:
            return (await ledger.post_many(tx, [pay(f"{wallet}:{number}", wallet, -11)], now=LATER))[0]
        await lots.expire(tx, now=LATER)
        return Refused("ran")

    words = Counter(codes(await race(crowd, act)))
    assert words == {"ran": 10, "posted": 4, "ledger.insufficient_funds": 16}
    assert await balance_of(crowd, wallet) == 6
    assert await balance_of(crowd, "breakage:expired") == gone + 100
    await keep(crowd, lots=False)


async def test_looking_at_what_is_over_first_moves_it_many_times(crowd: Database) -> None:
    """The control: every run of the job has seen the whole of it."""
    wallet, moved = new_wallet(), 0
    await keep(crowd, lots=True)
    async with crowd.begin(SYSTEM) as tx:
        await ledger.post(tx, pay(f"{wallet}:a", wallet, 100, lot=Lot("bonus", LATER)), now=NOON)

    async def act(tx: Tx, number: int, barrier: asyncio.Barrier) -> Outcome:
        nonlocal moved
        left = await db.value(tx, OVER, owner_of(wallet), LATER)
        await barrier.wait()
        moved += left
        return Refused("naive")

    await race(crowd, act)
    assert moved > 100
    await keep(crowd, lots=False)


async def test_an_asset_gets_lots_while_people_post(crowd: Database) -> None:
    """Into wallets that exist and into new ones: whoever comes first, every lot is where its balance is."""
    wallet = await funded(crowd, 100)

    async def act(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        if number == 15:
            await switch(tx, lots=True)
            return Refused("switched")
        place = wallet if number % 2 else new_wallet()
        return (await ledger.post_many(tx, [pay(f"{place}:{number}", place, 1)], now=NOON))[0]

    assert Counter(codes(await race(crowd, act))) == {"posted": RUNNERS - 1, "switched": 1}
    async with crowd.begin(SYSTEM) as tx:
        assert (await ledger.verify(tx)).findings == []
    await keep(crowd, lots=False)


async def test_looking_at_the_asset_first_brings_in_what_is_in_no_lot(crowd: Database) -> None:
    """The control: whoever pays has seen an asset without lots, and it has them by then."""
    without = 0

    async def act(tx: Tx, number: int, barrier: asyncio.Barrier) -> Outcome:
        nonlocal without
        has_lots = (await ledger.asset_terms(tx, asset="COIN")).lots
        await barrier.wait()
        if number == 15:
            await switch(tx, lots=True)
        else:
            without += not has_lots
        return Refused("naive")

    await race(crowd, act)
    async with crowd.begin(SYSTEM) as tx:
        assert (await ledger.asset_terms(tx, asset="COIN")).lots
    assert without
    await keep(crowd, lots=False)


async def keep(crowd: Database, *, lots: bool) -> None:
    async with crowd.begin(SYSTEM) as tx:
        await switch(tx, lots=lots)


async def switch(tx: Tx, *, lots: bool) -> None:
    terms = replace(await ledger.asset_terms(tx, asset="COIN"), lots=lots)
    await ledger.change_asset(tx, asset="COIN", terms=terms, reason="a test", now=NOON)
