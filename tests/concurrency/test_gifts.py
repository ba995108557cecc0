"""Thirty gifts at the same moment: a day has room for ten, whichever assets they are of."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest

from palio import ledger
from palio.infra import embedded, settings
from palio.infra.db import Database, Equipment
from palio.kernel.ids import new_id
from palio.kernel.settings import Catalogue
from palio.ledger import Gift, Post
from palio.ledger.sql import gifts as sql
from palio.ledger.types import GIFTS_ENABLED, GIVEN_ON_A_DAY_MAX
from palio.ledger.types import SETTINGS as OF_LEDGER
from tests.conftest import PATIENCE_S, SYSTEM
from tests.factories.databases import own_database
from tests.factories.ledger import fund, new_wallet, owner_of

RUNNERS = 30
GIFTS_MAX = 10
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
MIDNIGHT = NOON.replace(hour=0)


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[Database]:
    """A house in which coins and inputs are given away, with a connection for each runner."""
    name = f"palio_gifts_{worker_id}"
    async with own_database(cluster, name, equipment=Equipment(), connections_max=RUNNERS) as database:
        with psycopg.connect(cluster.dsn(database=name), autocommit=True) as conn:
            conn.execute("update ledger.assets set giftable = code in ('COIN', 'INPUT')")
        async with database.begin(SYSTEM) as tx:
            await settings.declare(tx, Catalogue(OF_LEDGER))
            await settings.change(tx, SYSTEM, [settings.Change(GIFTS_ENABLED, True)], "a test of gifts")
        yield database


async def rich(crowd: Database) -> str:
    wallet = new_wallet()
    async with crowd.begin(SYSTEM) as tx:
        await fund(tx, wallet, 100_000, now=NOON)
        await fund(tx, wallet, 100_000, now=NOON, asset="INPUT")
    return wallet


def of(wallet: str, number: int, amount: int = 1) -> Gift:
    """Every second one is of the other asset."""
    return Gift(new_id().hex, owner_of(wallet), owner_of(new_wallet()), ("COIN", "INPUT")[number % 2], amount)


async def race(crowd: Database, wallet: str, *, amount: int, carefully: bool) -> Counter[str]:
    """Everybody has begun a transaction before anybody goes on."""
    barrier = asyncio.Barrier(RUNNERS)

    async def one(number: int) -> str:
        gift = of(wallet, number, amount)
        try:
            async with crowd.begin(SYSTEM) as tx:
                await tx.execute("set local lock_timeout = '30s'")  # a racer waits for all others
                if carefully:
                    await barrier.wait()
                    await ledger.gift(tx, gift=gift, now=NOON)
                    return "given"
                given = sum(each.gifts for each in await sql.list_given(tx, gift.giver, MIDNIGHT))
                await barrier.wait()
                if given >= GIFTS_MAX:
                    return "refused"
                legs = ((wallet, gift.asset, -amount), (f"user:{gift.receiver}:main", gift.asset, amount))
                await ledger.post(tx, Post(f"gift:{gift.key}", "ledger.gift", legs), now=NOON)
                return "given"
        except ledger.GiftLimit:
            return "refused"

    async with asyncio.timeout(60):
        return Counter(await asyncio.gather(*(one(number) for number in range(RUNNERS))))


async def given_by(crowd: Database, wallet: str) -> dict[str, tuple[int, int]]:
    async with crowd.begin(SYSTEM) as tx:
        found = await sql.list_given(tx, owner_of(wallet), MIDNIGHT)
    return {each.asset: (each.gifts, each.amount) for each in found}


async def test_ten_of_thirty_gifts_fit_into_a_day_and_looking_first_lets_all_through(crowd: Database) -> None:
    wallet = await rich(crowd)
    assert await race(crowd, wallet, amount=1, carefully=True) == {"given": GIFTS_MAX, "refused": RUNNERS - GIFTS_MAX}
    assert sum(gifts for gifts, _ in (await given_by(crowd, wallet)).values()) == GIFTS_MAX

    careless = await rich(crowd)
    assert (await race(crowd, careless, amount=1, carefully=False))["given"] > GIFTS_MAX


async def test_no_more_than_a_day_allows_is_given_of_an_asset(crowd: Database) -> None:
    """Three of 300 fit under 1,000, of each of two assets."""
    wallet = await rich(crowd)
    assert GIVEN_ON_A_DAY_MAX.default == 1_000
    assert (await race(crowd, wallet, amount=300, carefully=True))["given"] == 6
    assert await given_by(crowd, wallet) == {"COIN": (3, 900), "INPUT": (3, 900)}


async def test_two_who_give_to_each_other_do_not_wait_for_ever(crowd: Database) -> None:
    one, other = await rich(crowd), await rich(crowd)
    barrier = asyncio.Barrier(10)

    async def give(number: int) -> None:
        giver, receiver = (one, other) if number % 2 else (other, one)
        async with crowd.begin(SYSTEM) as tx:
            await barrier.wait()
            gift = Gift(new_id().hex, owner_of(giver), owner_of(receiver), "COIN", 7)
            await ledger.gift(tx, gift=gift, now=NOON)

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(give(number) for number in range(10)))
    assert [await given_by(crowd, wallet) for wallet in (one, other)] == [{"COIN": (5, 35)}] * 2
