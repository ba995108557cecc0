"""Accounts that are frozen, closed and let go again, by whom and why; what is held there ends in any case."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from palio import ledger
from palio.infra import settings
from palio.infra.db import Address, Database, Tx
from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.settings import Catalogue, Setting
from palio.ledger import AccountId, Hold, Refused, Void
from palio.ledger.service import debts, holding
from palio.ledger.types import BATCH_ITEMS_MAX, HOLD_USUAL_HOURS, LOCK_WAIT_MS, Status
from tests.factories.ledger import HOUSE, codes, fund, new_wallet, owner_of, pay
from tests.ledger.test_holds import placed, purse

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
REASON = "a ticket says so"


async def number_of(tx: Tx, address: str) -> AccountId:
    found = await tx.execute("select id from ledger.accounts where address = %s and asset_id = 3", [address])
    [row] = await found.fetchall()
    return AccountId(row[0])


async def statuses(tx: Tx, address: str) -> list[str]:
    """Of the account, and of its balance row."""
    found = await tx.execute(
        """select a.status, b.status from ledger.accounts a left join ledger.balances b on b.account_id = a.id
        where a.address = %s and a.asset_id = 3""",
        [address],
    )
    [row] = await found.fetchall()
    return list(row)


async def make(tx: Tx, address: str, status: Status) -> ledger.Account:
    return await ledger.set_status(tx, account_id=await number_of(tx, address), status=status, reason=REASON)


async def test_a_frozen_wallet_takes_nothing_until_it_is_released(tx: Tx, wallet: str) -> None:
    """Whoever did it says why, and the row of the audit has both."""
    await fund(tx, wallet, 10, now=NOON)
    before = await make(tx, wallet, "frozen")
    assert (before.address, before.asset, before.status, before.balance) == (wallet, "COIN", "active", 10)
    assert await statuses(tx, wallet) == ["frozen", "frozen"]
    both = [pay("a", wallet, 1), pay("b", wallet, -1)]
    assert codes(await ledger.post_many(tx, both, now=NOON)) == ["ledger.account_frozen"] * 2
    await make(tx, wallet, "no_debit")
    assert codes(await ledger.post_many(tx, both, now=NOON)) == ["posted", "ledger.account_frozen"]
    await make(tx, wallet, "active")
    await make(tx, wallet, "active")
    assert codes(await ledger.post_many(tx, both, now=NOON)) == ["replayed", "posted"]
    found = await tx.execute(
        """select action, changes -> 'status', reason, subject_user_id from infra.audit_rows
        where entity_id = %s order by id""",
        [str(await number_of(tx, wallet))],
    )
    owner = owner_of(wallet)
    assert await found.fetchall() == [
        ("account.freeze", ["active", "frozen"], REASON, owner),
        ("account.status", ["frozen", "no_debit"], REASON, owner),
        ("account.status", ["no_debit", "active"], REASON, owner),
    ]


async def test_only_what_is_empty_is_closed_and_for_good(tx: Tx, wallet: str) -> None:
    """Nothing in it, nothing held, nothing owed."""
    await fund(tx, wallet, 10, now=NOON)
    [held] = await ledger.hold_many(tx, [Hold("h", wallet, "COIN", 10, "a test", "store.order")], now=NOON)
    assert isinstance(held, ledger.Held)
    await refused(tx, wallet, "closed", ledger.NotEmpty.code)
    await ledger.void_many(tx, [Void("v", held.hold_id)], now=NOON)
    await ledger.clawback_many(tx, [pay("gone", wallet, -15)], now=NOON)
    await refused(tx, wallet, "closed", ledger.NotEmpty.code)
    await refused(tx, wallet.replace(":main", ":debt"), "closed", ledger.NotEmpty.code)
    await fund(tx, wallet, 5, now=NOON)
    await debts.collect(tx, now=NOON)
    await make(tx, wallet, "closed")
    assert codes(await ledger.post_many(tx, [pay("late", wallet, 1)], now=NOON)) == ["ledger.account_closed"]
    await make(tx, wallet, "closed")
    await refused(tx, wallet, "active", ledger.AccountClosed.code)
    assert await statuses(tx, wallet) == ["closed", "closed"]


async def refused(tx: Tx, address: str, status: Status, code: str) -> None:
    was = await statuses(tx, address)
    with pytest.raises(Refusal) as refusal:
        await make(tx, address, status)
    assert refusal.value.code == code
    assert await statuses(tx, address) == was


async def test_an_open_account_is_frozen_and_closed_as_well(tx: Tx, wallet: str) -> None:
    """Its balance is the sum of its entries."""
    house = f"house:{new_id().hex}"
    there, back = ((wallet, "COIN", 5), (house, "COIN", -5)), ((wallet, "COIN", -5), (house, "COIN", 5))
    await ledger.post(tx, ledger.Post("a", "ledger.transfer", there), now=NOON)
    assert (await make(tx, house, "no_debit")).balance == -5
    again = ledger.Post("b", "ledger.transfer", there)
    assert await ledger.post_many(tx, [again], now=NOON) == [Refused("ledger.account_frozen", {"account": house})]
    await refused(tx, house, "closed", ledger.NotEmpty.code)
    await ledger.post(tx, ledger.Post("c", "ledger.transfer", back), now=NOON)
    await make(tx, house, "closed")
    assert await statuses(tx, house) == ["closed", None]


async def test_an_unknown_account_and_an_act_without_reason_are_refused(tx: Tx, wallet: str) -> None:
    await fund(tx, wallet, 1, now=NOON)
    with pytest.raises(ledger.NoSuchAccount):
        await ledger.set_status(tx, account_id=AccountId(1), status="frozen", reason=REASON)
    number = await number_of(tx, wallet)
    for reason in ("", "  ", "x" * 256, "a\0b"):
        with pytest.raises(ledger.InvalidPost):
            await ledger.set_status(tx, account_id=number, status="frozen", reason=reason)
    assert await statuses(tx, wallet) == ["active", "active"]


@pytest.mark.parametrize("status", ["no_debit", "frozen"])
async def test_holds_end_whatever_the_status(tx: Tx, wallet: str, status: Status) -> None:
    """One is voided, one expires; none is captured."""
    await fund(tx, wallet, 10, now=NOON)
    first, second = await placed(tx, wallet, 4), await placed(tx, wallet, 6)
    await make(tx, wallet, status)
    capture = pay("c", wallet, -1, capture=ledger.Capture(first))
    assert codes(await ledger.capture_many(tx, [capture], now=NOON)) == ["ledger.account_frozen"]
    assert codes(await ledger.void_many(tx, [Void("v", first)], now=NOON)) == ["voided"]
    assert await purse(tx, wallet) == (10, 6, 4)
    await holding.expire(tx, now=NOON + HOUR)
    assert await purse(tx, wallet) == (10, 0, 10)
    assert codes(await ledger.void_many(tx, [Void("w", second)], now=NOON)) == ["ledger.hold_not_open"]


async def test_nobody_changes_the_status_of_his_own_account(database: Database, wallet: str) -> None:
    """The database refuses it too."""
    async with database.begin(Actor("system", None, RequestId(new_id()))) as tx:
        await fund(tx, wallet, 1, now=NOON)
    player = Actor("player", owner_of(wallet), RequestId(new_id()))
    with pytest.raises(Exception, match="not its owner's to change"):
        async with database.begin(player) as tx:
            await make(tx, wallet, "frozen")


async def test_a_hold_without_an_end_lasts_the_usual_time(tx: Tx, wallet: str) -> None:
    """A day; never longer than holds may."""
    await fund(tx, wallet, 10, now=NOON)
    [held] = await ledger.hold_many(tx, [Hold("h", wallet, "COIN", 1, "a test", "store.order")], now=NOON)
    assert isinstance(held, ledger.Held)
    assert held.expires_at == NOON + timedelta(days=1)


async def test_whoever_listens_hears_what_a_batch_has_posted_once(tx: Tx, wallet: str) -> None:
    """Ids in the order of the items, of those that are new; nothing for a batch that moved nothing."""
    tx.equipment = replace(tx.equipment, addresses={ledger.TransfersPosted: (Address("tests:heard", "default", 0),)})
    items = [pay("a", wallet, 5), pay("b", wallet, -9), pay("c", wallet, -1)]
    first, _, third = await ledger.post_many(tx, items, now=NOON)
    await ledger.post_many(tx, items, now=NOON)
    rows = ledger.Payments(["d", "e"], [owner_of(wallet), owner_of(new_wallet())], [1, 2])
    paid = await ledger.fan_out(tx, source=HOUSE, asset="COIN", kind="bonuses.gift", payments=rows, now=NOON)
    found = await tx.execute(
        """select args -> 'message' -> 'transfers' from jobs.procrastinate_jobs
        where task_name = 'tests:heard' order by id"""
    )
    assert isinstance(first, ledger.Posted)
    assert isinstance(third, ledger.Posted)
    [(posted,), (fanned,)] = await found.fetchall()
    assert posted == [str(first.transfer_id), str(third.transfer_id)]
    assert [number.replace("-", "") for number in fanned] == [number.hex() for number in paid.transfer_ids if number]


async def test_settings_of_batches_act_in_the_next_one(tx: Tx, wallet: str) -> None:
    """How many items, how long a hold lasts, and how long others are waited for."""
    chosen: list[tuple[Setting[Any], int]] = [(BATCH_ITEMS_MAX, 1), (HOLD_USUAL_HOURS, 2), (LOCK_WAIT_MS, 100)]
    await settings.declare(tx, Catalogue([setting for setting, _ in chosen]))
    await settings.change(tx, tx.actor, [settings.Change(setting, value) for setting, value in chosen], "a test")
    await settings.snapshot.load(tx)
    try:
        await fund(tx, wallet, 10, now=NOON)
        item = Hold("h", wallet, "COIN", 1, "a test", "store.order")
        [held] = await ledger.hold_many(tx, [item], now=NOON)
        with pytest.raises(ledger.BatchTooLarge):
            await ledger.hold_many(tx, [item, item], now=NOON)
        [patience] = await (await tx.execute("show lock_timeout")).fetchall()
    finally:
        await settings.change(tx, tx.actor, [settings.Change(setting, None) for setting, _ in chosen], "no longer")
        await settings.snapshot.load(tx)
    assert isinstance(held, ledger.Held)
    assert held.expires_at == NOON + timedelta(hours=2)
    assert patience == ("100ms",)
