"""What a process remembers: bounded, per database, and only what was committed."""

from datetime import datetime

from palio import ledger
from palio.infra import db
from palio.infra.db import Database
from palio.kernel.ids import Actor, RequestId, new_id
from palio.ledger.service.memory import FORGOTTEN_AT_ONCE, PLACES_MAX, Book
from palio.ledger.types import AccountId
from tests.factories.ledger import Superuser, codes, new_wallet, pay

SYSTEM = Actor("system", None, RequestId(new_id()))


def test_the_oldest_places_are_forgotten_first() -> None:
    book, count = Book(), PLACES_MAX + 100
    for n in range(0, count, 50):
        book.learn({(f"house:{m}", "COIN"): AccountId(m) for m in range(n, n + 50)})
        assert len(book.places) <= PLACES_MAX
    first = count - len(book.places)
    assert 100 <= first <= 100 + FORGOTTEN_AT_ONCE
    assert [*book.places] == [(f"house:{m}", "COIN") for m in range(first, count)]


async def test_a_number_is_remembered_when_its_transaction_is_committed(
    database: Database, wallet: str, noon: datetime
) -> None:
    """Not before, not after a rollback, not in a dry run."""
    place = wallet, "COIN"
    async with database.begin(SYSTEM) as tx:
        book = db.memory(tx, Book)
        await ledger.post_many(tx, [pay(f"{wallet}:1", wallet, 1)], now=noon, dry_run=True)
    assert place not in book.places
    async with database.begin(SYSTEM) as tx:
        await ledger.post(tx, pay(f"{wallet}:2", wallet, 1), now=noon)
        assert place not in book.places
    assert place in book.places


async def test_a_new_asset_and_kind_are_found_without_a_restart(
    database: Database, superuser: Superuser, noon: datetime
) -> None:
    wallet = new_wallet()
    item = pay(f"{wallet}:gold", wallet, 1, asset="GOLD")
    async with database.begin(SYSTEM) as tx:
        assert codes(await ledger.post_many(tx, [item], now=noon)) == ["ledger.invalid"]
    superuser.run(
        "insert into ledger.assets (id, code, name, scale, kind, active) values (99, 'GOLD', 'Gold', 0, 'play', false)"
    )
    async with database.begin(SYSTEM) as tx, tx.transaction(force_rollback=True):
        assert codes(await ledger.post_many(tx, [item], now=noon)) == ["posted"]
    async with database.begin(SYSTEM) as tx:
        assert "GOLD" in {asset.code for asset in await ledger.assets(tx)}
    superuser.run("delete from ledger.assets where code = 'GOLD'")
