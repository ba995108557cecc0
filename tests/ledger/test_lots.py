"""Points that expire: the earliest end is spent first, what is over is nobody's, what is held is protected."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import errors

from palio import ledger
from palio.infra import db, embedded
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, new_id
from palio.ledger import Capture, Hold, HoldId, Lot, Post, Posted, Refused, Reverse, Void
from palio.ledger.service import debts, desk, reading
from palio.ledger.service import lots as service
from palio.ledger.types import AccountId, Lapsing, Origin
from tests.factories.ledger import HOUSE, Payment, Superuser, codes, fan_out, new_wallet, owner_of, pay
from tests.ledger.test_posting import counted
from tests.ui.conftest import talk_to
from tests.ui.people import caller
from tests.ui.product import product

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = NOON + HOUR
BREAKAGE = "breakage:expired"


@pytest.fixture
async def tx(tx: Tx) -> Tx:
    """Coins expire here."""
    await keep(tx, lots=True)
    return tx


async def keep(tx: Tx, *, lots: bool) -> None:
    terms = replace(await ledger.asset_terms(tx, asset="COIN"), lots=lots)
    await ledger.change_asset(tx, asset="COIN", terms=terms, reason="points expire", now=NOON)


def get(key: str, wallet: str, amount: int, until: datetime | None = None, origin: Origin = "earned") -> Post:
    return pay(key, wallet, amount, lot=Lot(origin, until))


async def purse(tx: Tx, wallet: str, now: datetime = NOON) -> tuple[int, int, int]:
    """What is posted, held and available."""
    found = await ledger.wallets(tx, owner_id=owner_of(wallet), now=now)
    [coins] = [one for one in found if one.asset == "COIN"]
    return coins.balance, coins.held, coins.available


async def left(tx: Tx, wallet: str) -> list[tuple[object, ...]]:
    """What is left of each lot, what of it is held, what expired; the earliest end first."""
    found = await tx.execute(
        """select remaining, held, expired from ledger.lots where owner_id = %s
        order by expires_at nulls last, opened_at, id""",
        [owner_of(wallet)],
    )
    return await found.fetchall()


async def expired(tx: Tx) -> int:
    return await ledger.balance(tx, address=BREAKAGE, asset="COIN")


async def sound(tx: Tx) -> bool:
    return (await ledger.verify(tx)).findings == []


async def test_the_earliest_end_is_spent_first(tx: Tx, wallet: str) -> None:
    """100 until then and 50 without end: 120 spent leaves 30, of which nothing expires."""
    await ledger.post_many(tx, [get("a", wallet, 50), get("b", wallet, 100, LATER)], now=NOON)
    await ledger.post(tx, pay("spend", wallet, -120), now=NOON)
    assert await left(tx, wallet) == [(0, 0, 0), (30, 0, 0)]
    await service.expire(tx, now=LATER)
    assert await purse(tx, wallet, LATER) == (30, 0, 30)
    assert await expired(tx) == 0
    assert await sound(tx)


async def test_lots_are_told_in_parts_in_the_order_in_which_they_are_spent(tx: Tx, wallet: str) -> None:
    """Those without an end come last; what is spent is not told; forth and back."""
    ends = [LATER, None, NOON + 3 * HOUR, None, NOON + 2 * HOUR, LATER]
    posts = [get(f"{wallet}:{n}", wallet, 10 + n, end) for n, end in enumerate(ends)]
    await ledger.post_many(tx, posts, now=NOON)
    await ledger.post(tx, pay(f"{wallet}:spend", wallet, -10), now=NOON)
    number = AccountId(await db.value(tx, "select id from ledger.accounts where address = %s", wallet))
    whole = await desk.list_lots(tx, account_id=number, limit=10)
    assert [(lot.remaining, lot.expires_at) for lot in whole] == [
        (15, LATER),
        (14, NOON + 2 * HOUR),
        (12, NOON + 3 * HOUR),
        (11, None),
        (13, None),
    ]
    places = [(lot.expires_at, lot.id) for lot in whole]
    assert await desk.list_lots(tx, account_id=number, after=places[0], limit=3) == whole[1:4]
    assert await desk.list_lots(tx, account_id=number, after=places[3], limit=3) == whole[4:]
    assert await desk.list_lots(tx, account_id=number, before=places[4], limit=3) == whole[1:4]
    assert await desk.list_lots(tx, account_id=number, before=places[1], limit=3) == whole[:1]


async def test_what_expires_next_is_told_without_what_is_held(tx: Tx, wallet: str) -> None:
    """What ends at one instant is one sum; what has no end, or is over, is not in it."""
    ends = [NOON, LATER, LATER, LATER + HOUR, None]
    await ledger.post_many(tx, [get(f"g{n}", wallet, 10 + n, end) for n, end in enumerate(ends)], now=NOON - HOUR)
    await ledger.hold_many(tx, [Hold("h", wallet, "COIN", 15, "order:1", "store.order", LATER)], now=NOON)

    found = await reading.lapsing(tx, owner_id=owner_of(wallet), asset="COIN", now=NOON)

    assert found == [Lapsing(11 + 12 - 15, LATER), Lapsing(13, LATER + HOUR)]
    assert await reading.lapsing(tx, owner_id=owner_of(wallet), asset="USD", now=NOON) == []


async def test_what_has_expired_moves_once(tx: Tx, wallet: str) -> None:
    """20 spent instead: 80 expire, and a second run moves nothing."""
    await ledger.post_many(tx, [get("a", wallet, 100, LATER), get("b", wallet, 50)], now=NOON)
    await ledger.post(tx, pay("spend", wallet, -20), now=NOON)
    for _ in range(2):
        assert not await service.expire(tx, now=LATER)
        assert await purse(tx, wallet, LATER) == (50, 0, 50)
        assert await expired(tx) == 80
    [line] = (await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN", limit=1)).lines
    assert (line.kind, line.category, line.amount, line.balance_after) == ("ledger.expiry", "expiry", -80, 50)
    assert await left(tx, wallet) == [(0, 0, 80), (50, 0, 0)]
    assert await sound(tx)


async def test_what_is_over_is_not_there_before_the_job_as_after_it(tx: Tx, wallet: str) -> None:
    """+100 until then, +50, 80 spent: at that instant 60 are refused, though 70 are posted; and so is a hold."""
    await ledger.post_many(tx, [get("a", wallet, 100, LATER), get("b", wallet, 50)], now=NOON)
    await ledger.post(tx, pay("spend", wallet, -80), now=NOON)
    refusal = Refused("ledger.insufficient_funds", {"available": 50, "needed": 60})
    assert await purse(tx, wallet, LATER) == (70, 0, 50)
    for run in ("before", "after"):
        hold = Hold(f"h {run}".replace(" ", "-"), wallet, "COIN", 60, "a test", "store.order")
        outcomes = await ledger.post_many(tx, [pay(f"s-{run}", wallet, -60), hold], now=LATER)
        assert outcomes == [refusal, refusal]
        await service.expire(tx, now=LATER)
    assert await purse(tx, wallet, LATER) == (50, 0, 50)
    assert codes(await ledger.post_many(tx, [pay("all", wallet, -50)], now=LATER)) == ["posted"]


async def test_staff_and_files_tell_the_same_as_available(tx: Tx, wallet: str) -> None:
    """What is over is in a wallet until the job comes, and not there to be spent."""
    await ledger.post_many(tx, [get("a", wallet, 100, LATER), get("b", wallet, 50)], now=NOON)
    hold = Hold("held", wallet, "COIN", 30, "a test", "store.order", NOON + 2 * HOUR)
    assert codes(await ledger.post_many(tx, [hold], now=NOON)) == ["held"]
    number = AccountId(await db.value(tx, "select id from ledger.accounts where address = %s", wallet))
    for now, available in ((NOON, 120), (LATER, 50)):
        [row] = [one async for one in ledger.export_wallets(tx, now=now, address=wallet, asset="COIN")]
        account = await desk.get_account(tx, account_id=number)
        told = row.available, await desk.available_in(tx, account=account, now=now), (await purse(tx, wallet, now))[2]
        assert told == (available, available, available)


async def test_an_instant_before_its_end_a_lot_is_spent(tx: Tx, wallet: str) -> None:
    await ledger.post(tx, get("a", wallet, 10, LATER), now=NOON)
    moment = timedelta(microseconds=1)
    assert codes(await ledger.post_many(tx, [pay("b", wallet, -4)], now=LATER - moment)) == ["posted"]
    assert codes(await ledger.post_many(tx, [pay("c", wallet, -4)], now=LATER)) == ["ledger.insufficient_funds"]


async def placed(tx: Tx, wallet: str, amount: int, *, now: datetime = NOON) -> HoldId:
    item = Hold(f"hold:{new_id()}", wallet, "COIN", amount, "a test", "store.order", now + 30 * HOUR)
    [held] = await ledger.hold_many(tx, [item], now=now)
    assert isinstance(held, ledger.Held)
    return held.hold_id


async def test_a_hold_protects_what_it_would_spend_and_it_expires_when_the_hold_ends(tx: Tx, wallet: str) -> None:
    """70 of 100 held: 30 expire at once; 40 are captured afterwards, and 30 expire when the rest is given back."""
    await ledger.post_many(tx, [get("a", wallet, 100, LATER), get("b", wallet, 50)], now=NOON)
    hold = await placed(tx, wallet, 70)
    assert await left(tx, wallet) == [(100, 70, 0), (50, 0, 0)]
    await service.expire(tx, now=LATER)
    assert (await purse(tx, wallet, LATER), await expired(tx)) == ((120, 70, 50), 30)

    await ledger.post(tx, pay("c", wallet, -40, capture=Capture(hold)), now=LATER)
    assert await left(tx, wallet) == [(30, 30, 30), (50, 0, 0)]
    await ledger.void_many(tx, [Void("v", hold)], now=LATER)
    assert await purse(tx, wallet, LATER) == (80, 0, 50)
    for _ in range(2):
        await service.expire(tx, now=LATER)
        assert (await purse(tx, wallet, LATER), await expired(tx)) == ((50, 0, 50), 60)
    found = await tx.execute("select key from ledger.transfers where kind = 'ledger.expiry' order by id")
    [first], [second] = await found.fetchall()
    assert (first[:4], first[-7:], second) == ("lot:", ":expire", f"{first}:30")
    assert await sound(tx)


async def test_a_hold_that_comes_too_late_protects_nothing(tx: Tx, wallet: str) -> None:
    """It is of what has no end; what is over stays over, and is not held back from expiring."""
    await ledger.post_many(tx, [get("a", wallet, 100, LATER), get("b", wallet, 50)], now=NOON)
    await placed(tx, wallet, 30, now=LATER)
    assert await purse(tx, wallet, LATER) == (150, 30, 20)
    assert await left(tx, wallet) == [(100, 0, 0), (50, 30, 0)]
    await service.expire(tx, now=LATER)
    assert await purse(tx, wallet, LATER) == (50, 30, 20)


async def test_a_final_capture_lets_the_rest_go(tx: Tx, wallet: str) -> None:
    """The earliest of what was set aside is taken; the other lots are as free as before."""
    await ledger.post_many(tx, [get("a", wallet, 10, LATER), get("b", wallet, 10, LATER + HOUR)], now=NOON)
    hold = await placed(tx, wallet, 15)
    await ledger.post(tx, pay("c", wallet, -4, capture=Capture(hold, is_final=True)), now=NOON)
    assert await left(tx, wallet) == [(6, 0, 0), (10, 0, 0)]
    found = await tx.execute("select amount from ledger.held_lots where hold_id = %s order by amount", [hold])
    assert await found.fetchall() == [(0,), (0,)]
    assert await sound(tx)


async def test_what_is_taken_back_returns_to_where_it_was_spent_from(tx: Tx, wallet: str) -> None:
    """In parts, the latest end first; and it ends when it would have ended."""
    await ledger.post_many(tx, [get("a", wallet, 10, LATER), get("b", wallet, 10, LATER + HOUR)], now=NOON)
    spent = await ledger.post(tx, pay("c", wallet, -16), now=NOON)
    assert await left(tx, wallet) == [(0, 0, 0), (4, 0, 0)]
    await ledger.reverse(tx, Reverse("r", spent.transfer_id, "a test", 8), now=NOON)
    assert await left(tx, wallet) == [(2, 0, 0), (10, 0, 0)]
    await ledger.reverse(tx, Reverse("s", spent.transfer_id, "a test"), now=LATER)
    assert await purse(tx, wallet, LATER) == (20, 0, 10)
    await service.expire(tx, now=LATER)
    assert (await purse(tx, wallet, LATER), await expired(tx)) == ((10, 0, 10), 10)
    assert await sound(tx)


async def test_a_credit_that_is_taken_back_takes_what_it_brought(tx: Tx, wallet: str) -> None:
    """And of others only what is missing there."""
    await ledger.post(tx, get("a", wallet, 10, LATER), now=NOON)
    late = await ledger.post(tx, get("b", wallet, 10, LATER + HOUR), now=NOON)
    await ledger.post(tx, pay("c", wallet, -13), now=NOON)
    await ledger.post(tx, get("d", wallet, 5, LATER), now=NOON)
    await ledger.reverse(tx, Reverse("r", late.transfer_id, "a test", 8), now=NOON)
    assert await left(tx, wallet) == [(0, 0, 0), (4, 0, 0), (0, 0, 0)]


async def test_an_expiry_that_is_taken_back_has_no_end_any_more(tx: Tx, wallet: str) -> None:
    """Or the next run would take it again."""
    await ledger.post(tx, get("a", wallet, 10, LATER), now=NOON)
    await service.expire(tx, now=LATER)
    [line] = (await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN", limit=1)).lines
    await ledger.reverse(tx, Reverse("r", line.transfer_id, "he was ill"), now=LATER)
    await service.expire(tx, now=LATER + HOUR)
    assert await purse(tx, wallet, LATER + HOUR) == (10, 0, 10)


async def test_what_is_over_is_owed_when_it_is_clawed_back(tx: Tx, wallet: str) -> None:
    """It is not his, so it cannot pay; nor can it pay what he owes."""
    await ledger.post_many(tx, [get("a", wallet, 10, LATER), get("b", wallet, 5)], now=NOON)
    await ledger.clawback_many(tx, [pay("c", wallet, -8)], now=LATER)
    assert await purse(tx, wallet, LATER) == (10, 0, 0)
    assert await ledger.balance(tx, address=wallet.replace(":main", ":debt"), asset="COIN") == -3
    await debts.collect(tx, now=LATER)
    assert await purse(tx, wallet, LATER) == (10, 0, 0)
    assert await sound(tx)


async def origins(tx: Tx) -> list[ledger.OfOrigin]:
    """What staff read of coins by where they came from."""
    return [one for each in await ledger.conservation(tx, now=LATER) for one in each.origins]


async def test_a_fan_out_opens_a_lot_for_each(tx: Tx, wallet: str) -> None:
    """One end for all; two payments to one wallet are two lots; without an end it has none."""
    other, about = new_wallet(), {"source": HOUSE, "asset": "COIN", "kind": "bonuses.gift"}
    owners = [owner_of(wallet), owner_of(other), owner_of(wallet)]
    rows = ledger.Payments(["a", "b", "c"], owners, [5, 6, 7])
    for _ in range(2):
        await ledger.fan_out(tx, payments=rows, lot=Lot("bonus", LATER), now=NOON, **about)
    await fan_out(tx, [Payment("d", owner_of(other), 3)], now=NOON)
    assert (await left(tx, wallet), await left(tx, other)) == ([(5, 0, 0), (7, 0, 0)], [(6, 0, 0), (3, 0, 0)])
    assert await origins(tx) == [
        ledger.OfOrigin("COIN", "bonus", 18, 0, 18, 0),
        ledger.OfOrigin("COIN", "earned", 3, 0, 0, 0),
    ]
    await service.expire(tx, now=LATER)
    assert await origins(tx) == [
        ledger.OfOrigin("COIN", "bonus", 0, 0, 0, 18),
        ledger.OfOrigin("COIN", "earned", 3, 0, 0, 0),
    ]
    assert await sound(tx)


async def test_a_payment_between_wallets_ends_where_it_came_from_and_begins_anew(tx: Tx, wallet: str) -> None:
    """Several wallets that get something by one transfer have a lot each."""
    others = [new_wallet(), new_wallet()]
    await ledger.post(tx, get("a", wallet, 10, LATER), now=NOON)
    legs = [(wallet, "COIN", -7), (others[0], "COIN", 3), (others[1], "COIN", 4)]
    await ledger.post(tx, Post("b", "ledger.gift", legs, lot=Lot(expires_at=LATER + HOUR)), now=NOON)
    assert [await left(tx, one) for one in (wallet, *others)] == [[(3, 0, 0)], [(3, 0, 0)], [(4, 0, 0)]]
    assert await sound(tx)


async def test_the_terms_of_a_lot_are_no_part_of_the_request(tx: Tx, wallet: str) -> None:
    """A repeat with another end answers as the first time. What is no origin and no instant is refused."""
    first = await ledger.post(tx, get("a", wallet, 5, LATER), now=NOON)
    again = await ledger.post(tx, get("a", wallet, 5, LATER + HOUR, "paid"), now=NOON)
    assert again == first._replace(replayed=True)
    bad = [Lot("stolen"), Lot("paid", LATER.replace(tzinfo=None))]  # type: ignore[arg-type]
    outcomes = await ledger.post_many(tx, [pay(f"x{n}", wallet, 1, lot=lot) for n, lot in enumerate(bad)], now=NOON)
    assert outcomes == [Refused("ledger.invalid", {"field": "lot"})] * 2
    rows = ledger.Payments(["f"], [owner_of(wallet)], [1])
    with pytest.raises(ledger.InvalidPost):
        await ledger.fan_out(tx, source=HOUSE, asset="COIN", kind="bonuses.gift", payments=rows, lot=bad[0], now=NOON)


async def test_a_frozen_wallet_keeps_what_has_expired_and_holds_nobody_up(tx: Tx, wallet: str) -> None:
    other = new_wallet()
    await ledger.post_many(tx, [get("a", wallet, 5, LATER), get("b", other, 6, LATER)], now=NOON)
    found = await tx.execute("select id from ledger.accounts where address = %s", [wallet])
    [(number,)] = await found.fetchall()
    await ledger.set_status(tx, account_id=number, status="frozen", reason="a test")
    await service.expire(tx, now=LATER)
    assert (await purse(tx, wallet, LATER), await purse(tx, other, LATER)) == ((5, 0, 0), (0, 0, 0))


async def test_an_asset_begins_and_ceases_to_have_lots(tx: Tx, wallet: str) -> None:
    """What is there is one lot without end, with what is held of it; afterwards nothing has an end."""
    await keep(tx, lots=False)
    await ledger.post(tx, get("a", wallet, 10, LATER), now=NOON)
    hold = await placed(tx, wallet, 4)
    assert await left(tx, wallet) == []
    await keep(tx, lots=True)
    assert await left(tx, wallet) == [(10, 4, 0)]
    await ledger.post(tx, pay("c", wallet, -3, capture=Capture(hold)), now=NOON)
    await ledger.post(tx, get("b", wallet, 5, LATER), now=NOON)
    assert await left(tx, wallet) == [(5, 0, 0), (7, 1, 0)]
    assert await sound(tx)
    await keep(tx, lots=False)
    assert await purse(tx, wallet, LATER) == (12, 1, 11)
    await ledger.post(tx, pay("d", wallet, -11), now=LATER)
    await ledger.void_many(tx, [Void("v", hold)], now=LATER)
    await service.expire(tx, now=LATER)
    assert await purse(tx, wallet, LATER) == (1, 0, 1)
    assert await sound(tx)
    found = await tx.execute(
        "select changes from infra.audit_rows where action = 'asset.change' order by id desc limit 1"
    )
    assert await found.fetchall() == [({"lots": [True, False]},)]


# --- what the database sees to by itself ---


@pytest.fixture
async def shop(database: Database, wallet: str) -> AsyncIterator[str]:
    """A wallet of an asset with lots, for everybody who looks."""
    async with database.begin(SYSTEM) as tx:
        await keep(tx, lots=True)
        await ledger.post(tx, get(f"{wallet}:a", wallet, 10, LATER), now=NOON)
    yield wallet
    async with database.begin(SYSTEM) as tx:
        await keep(tx, lots=False)


async def test_the_page_of_a_wallet_says_what_expires_next(shop: str, database: Database) -> None:
    async with talk_to(product(database)) as client:
        page = (await client.get("/wallet/COIN", headers=caller("player", owner_of(shop)))).text
    told = page.partition("Expires next")[2].partition("</section>")[0]

    assert 'datetime="2026-03-20T13:00:00' in told
    assert "10" in told.partition("</dt>")[2].partition("</dd>")[0]


async def test_items_of_one_batch_see_the_lots_of_those_before_them(database: Database, shop: str) -> None:
    """Opened, spent, held and let go in one go; two round trips."""
    async with database.begin(SYSTEM) as tx:
        hold = await placed(tx, shop, 7)
    batch = [
        get(f"{shop}:b", shop, 10, LATER - HOUR / 2),
        pay(f"{shop}:c", shop, -9),
        Void(f"{shop}:v", hold),
        pay(f"{shop}:d", shop, -4),
        Hold(f"{shop}:h", shop, "COIN", 8, "a test", "store.order"),
        pay(f"{shop}:e", shop, -1),
    ]
    async with database.begin(SYSTEM) as tx:
        with counted(tx) as trips:
            outcomes = await ledger.post_many(tx, batch, now=NOON)
        assert trips == [2]
        assert codes(outcomes) == ["posted", "posted", "voided", "posted", "ledger.insufficient_funds", "posted"]
        assert await left(tx, shop) == [(0, 0, 0), (6, 0, 0)]
        assert await sound(tx)


async def test_parts_of_one_thing_in_one_batch_add_up(tx: Tx, wallet: str) -> None:
    """Two captures of one hold, and two reversals of one transfer, out of the same lot."""
    await ledger.post(tx, get("a", wallet, 10, LATER), now=NOON)
    hold = await placed(tx, wallet, 9)
    captures = [pay(f"c{n}", wallet, -n, capture=Capture(hold)) for n in (2, 3)]
    assert codes(await ledger.capture_many(tx, captures, now=NOON)) == ["posted"] * 2
    spent = await ledger.post(tx, pay("s", wallet, -1), now=NOON)
    assert await left(tx, wallet) == [(4, 4, 0)]
    whole = await ledger.post(tx, pay("f", wallet, -4, capture=Capture(hold)), now=NOON)
    parts = [Reverse(f"r{n}", whole.transfer_id, "a test", n) for n in (1, 2)]
    undone = await ledger.reverse_many(tx, [*parts, Reverse("r", spent.transfer_id, "a test")], now=NOON)
    assert codes(undone) == ["posted"] * 3
    assert await left(tx, wallet) == [(4, 0, 0)]
    assert await sound(tx)


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        ("update ledger.lots set remaining = remaining - 1 where remaining > 0", "PL007"),
        ("update ledger.lots set held = 1 where remaining > 0", "PL007"),
        ("update ledger.lots set remaining = amount + 1", "23514"),
        ("update ledger.lots set remaining = -1", "23514"),
        ("update ledger.lots set held = -1", "23514"),
        ("update ledger.lots set expires_at = null", "PL004"),
        ("update ledger.balances set balance = 9, seq = seq + 1 where lots = 10", "23514"),
        ("delete from ledger.lots", "PL004"),
        ("truncate ledger.lots cascade", "PL004"),
    ],
)
async def test_lots_are_what_is_in_the_wallet(shop: str, superuser: Superuser, statement: str, state: str) -> None:
    """Also for the owner of the tables."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the state is what counts
        superuser.run(statement)  # type: ignore[arg-type]
    assert getattr(caught.value, "sqlstate", None) == state


async def test_the_check_of_a_wallet_reads_only_what_changes_of_its_lots(
    database: Database, shop: str, superuser: Superuser
) -> None:
    """Their own triggers count them. Another lot of the wallet that was tampered with is for the reconciliation."""
    owner = owner_of(shop)
    change = "update ledger.lots set remaining = %s where owner_id = %s and expires_at = %s"
    sums = """select s.remaining, s.held from ledger.lot_sums s join ledger.balances b using (account_id)
        where b.owner_id = %s"""
    async with database.begin(SYSTEM) as tx:
        await ledger.post_many(tx, [get(f"{shop}:{n}", shop, 10, LATER + n * HOUR) for n in (1, 2)], now=NOON)
        await placed(tx, shop, 12)
    assert superuser.ask(sums, owner) == [(30, 12)]
    superuser.tamper(change, 9, owner, LATER + 2 * HOUR)
    async with database.begin(SYSTEM) as tx, tx.transaction(force_rollback=True):
        [held] = await ledger.hold_many(tx, [Hold(f"{shop}:h", shop, "COIN", 1, "a test", "store.order")], now=NOON)
        assert isinstance(held, ledger.Held)
        assert [finding.check for finding in (await ledger.reconcile(tx, now=NOON)).findings] == ["R8"]
    superuser.tamper(change, 10, owner, LATER + 2 * HOUR)
    with pytest.raises(errors.InsufficientPrivilege):
        async with database.begin(SYSTEM) as tx:
            await tx.execute("update ledger.lot_sums set remaining = 0")


async def test_a_missing_lot_is_found(database: Database, shop: str, superuser: Superuser) -> None:
    """R8: the account is frozen, as by every other finding."""
    superuser.tamper("update ledger.lots set remaining = 7 where owner_id = %s", owner_of(shop))
    async with database.begin(SYSTEM) as tx, tx.transaction(force_rollback=True):
        [finding] = (await ledger.reconcile(tx, now=NOON)).findings
        assert (finding.check, finding.expected, finding.actual) == (
            "R8",
            "10 of which 0 held",
            "7 of which 0 held",
        )
        assert codes(await ledger.post_many(tx, [pay("x", shop, -1)], now=NOON)) == ["ledger.account_frozen"]
    superuser.tamper("update ledger.lots set remaining = 10 where owner_id = %s", owner_of(shop))


async def test_another_process_obeys_at_once(
    database: Database, cluster: embedded.Cluster, database_name: str, wallet: str
) -> None:
    """It has posted to that wallet before the asset had lots, and remembers everything it can."""
    other = Database(cluster.dsn("palio_app", database_name), connections_max=1)
    await other.pool.open(wait=True)
    try:
        async with other.begin(SYSTEM) as tx:
            await ledger.post(tx, get(f"{wallet}:a", wallet, 10, LATER), now=NOON)
        async with database.begin(SYSTEM) as tx:
            await keep(tx, lots=True)
        async with other.begin(SYSTEM) as tx:
            await ledger.post(tx, get(f"{wallet}:b", wallet, 5, LATER), now=NOON)
            await ledger.post(tx, get(f"{wallet}:c", new_wallet(), 5, LATER), now=NOON)
            assert await left(tx, wallet) == [(5, 0, 0), (10, 0, 0)]
            assert await sound(tx)
        async with database.begin(SYSTEM) as tx:
            await keep(tx, lots=False)
        async with other.begin(SYSTEM) as tx:
            await ledger.post(tx, pay(f"{wallet}:d", wallet, -15), now=LATER)
            assert await sound(tx)
    finally:
        await other.pool.close()


async def test_owners_see_their_own_lots(database: Database, shop: str) -> None:
    async with database.begin(Actor("player", owner_of(shop), RequestId(new_id()))) as tx:
        assert await left(tx, shop) == [(10, 0, 0)]
        assert await purse(tx, shop, LATER) == (10, 0, 0)
    async with database.begin(Actor("player", owner_of(new_wallet()), RequestId(new_id()))) as tx:
        assert await left(tx, shop) == []


# --- against a plain model ---


@dataclass
class Model:
    """One wallet as anybody would write it down: lots with an hour of their end, and what is held of which."""

    lots: list[list[int]] = field(default_factory=list)  # end, remaining, held; 99 is never
    gone: int = 0

    def available(self, hour: int) -> int:
        return sum(left - held for end, left, held in self.lots if end > hour)

    def take(self, amount: int, hour: int) -> bool:
        if amount > self.available(hour):
            return False
        for lot in sorted(self.lots, key=lambda one: one[0]):
            if lot[0] > hour:
                part = min(lot[1] - lot[2], amount)
                lot[1] -= part
                amount -= part
        return True

    def hold(self, amount: int, hour: int) -> list[tuple[list[int], int]] | None:
        if amount > self.available(hour):
            return None
        parts = []
        for lot in sorted(self.lots, key=lambda one: one[0]):
            part = min(lot[1] - lot[2], amount) if lot[0] > hour else 0
            lot[2] += part
            amount -= part
            parts.append((lot, part))
        return parts

    def expire(self, hour: int) -> None:
        for lot in self.lots:
            if lot[0] <= hour:
                self.gone += lot[1] - lot[2]
                lot[1] = lot[2]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("get"), st.integers(1, 20), st.sampled_from([1, 2, 3, 5, 99])),
        st.tuples(st.just("spend"), st.integers(1, 30), st.just(0)),
        st.tuples(st.just("hold"), st.integers(1, 15), st.just(0)),
        st.tuples(st.sampled_from(["void", "take"]), st.integers(1, 15), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("expire"), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@pytest.fixture(params=[200, 2, 1])
def page(request: pytest.FixtureRequest, superuser: Superuser) -> Iterator[int]:
    """How many lots of a wallet are read at once: what a wallet with very many meets is met by one with a few."""
    [[text]] = superuser.ask("select pg_get_functiondef('ledger.read_lots'::regproc)")
    as_it_is, size = str(text), "page int := 200"
    assert size in as_it_is
    superuser.run_text(as_it_is.replace(size, f"page int := {request.param}"))
    yield request.param
    superuser.run_text(as_it_is)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
async def test_lots_do_what_the_plain_model_does(
    database: Database, page: int, steps: Sequence[tuple[str, int, int]]
) -> None:
    """Outcomes, what is available before and after the job, what has expired in all; and every guard holds."""
    wallet, model, hour = new_wallet(), Model(), 0
    holds: list[tuple[HoldId, list[tuple[list[int], int]]]] = []
    async with database.begin(SYSTEM) as tx, tx.transaction(force_rollback=True):
        await keep(tx, lots=True)
        for n, (what, amount, more) in enumerate(steps):
            now = NOON + hour * HOUR
            if what == "get":
                until = None if more == 99 else NOON + more * HOUR
                await ledger.post(tx, get(f"g{n}", wallet, amount, until), now=now)
                model.lots.append([more, amount, 0])
            elif what == "spend":
                [outcome] = await ledger.post_many(tx, [pay(f"s{n}", wallet, -amount)], now=now)
                assert isinstance(outcome, Posted) == model.take(amount, hour)
            elif what == "hold":
                item = Hold(f"h{n}", wallet, "COIN", amount, "a test", "store.order", NOON + 999 * HOUR)
                [held] = await ledger.hold_many(tx, [item], now=now)
                parts = model.hold(amount, hour)
                assert isinstance(held, ledger.Held) == (parts is not None)
                if isinstance(held, ledger.Held) and parts is not None:
                    holds.append((held.hold_id, parts))
            elif what in {"void", "take"} and holds:
                hold_id, parts = holds.pop(more % len(holds))
                taken = min(amount, sum(part for _, part in parts)) if what == "take" else 0
                if taken:
                    capture = Capture(hold_id, is_final=True)
                    await ledger.post(tx, pay(f"c{n}", wallet, -taken, capture=capture), now=now)
                else:
                    await ledger.void_many(tx, [Void(f"v{n}", hold_id)], now=now)
                for lot, part in parts:
                    lot[2] -= part
                    lot[1] -= min(part, taken)
                    taken -= min(part, taken)
            elif what == "wait":
                hour += amount
            elif what == "expire":
                await service.expire(tx, now=now)
                model.expire(hour)
            balance, _, available = await purse(tx, wallet, NOON + hour * HOUR)
            assert (balance, available) == (sum(lot[1] for lot in model.lots), model.available(hour))
        assert await expired(tx) == model.gone
        assert await sound(tx)


# --- very many ---


@pytest.mark.parametrize("page", [2], indirect=True)
async def test_what_is_taken_back_finds_lots_that_were_not_read(tx: Tx, page: int, wallet: str) -> None:
    """A credit takes its own lot first, and a debit returns to the lots it was spent from, wherever they stand."""
    ends = [NOON + n * HOUR for n in range(1, 9)]
    await ledger.post_many(tx, [get(f"g{n}", wallet, 10, end) for n, end in enumerate(ends[:6])], now=NOON)
    last = await ledger.post(tx, get("last", wallet, 10, ends[7]), now=NOON)
    spent = await ledger.post(tx, pay("spend", wallet, -35), now=NOON)
    assert await left(tx, wallet) == [(0, 0, 0)] * 3 + [(5, 0, 0)] + [(10, 0, 0)] * 3

    await ledger.reverse(tx, Reverse("back", last.transfer_id, "a mistake", 4), now=NOON)
    assert await left(tx, wallet) == [(0, 0, 0)] * 3 + [(5, 0, 0), (10, 0, 0), (10, 0, 0), (6, 0, 0)]
    await ledger.reverse(tx, Reverse("return", spent.transfer_id, "a mistake"), now=NOON)
    assert await left(tx, wallet) == [(10, 0, 0)] * 6 + [(6, 0, 0)]
    assert await sound(tx)


@pytest.mark.parametrize("page", [2], indirect=True)
async def test_what_is_over_counts_though_it_was_not_read(tx: Tx, page: int, wallet: str) -> None:
    """More lots than a page are over: they are not available, and the job moves each of them once."""
    ends = [LATER] * 5 + [None]
    await ledger.post_many(tx, [get(f"g{n}", wallet, 10, end) for n, end in enumerate(ends)], now=NOON)

    refused, paid = await ledger.post_many(tx, [pay("much", wallet, -11), pay("some", wallet, -7)], now=LATER)

    assert refused == Refused("ledger.insufficient_funds", {"available": 10, "needed": 11})
    assert isinstance(paid, Posted)
    await service.expire(tx, now=LATER)
    assert await purse(tx, wallet, LATER) == (3, 0, 3)
    assert await expired(tx) == 50
    assert await sound(tx)


async def test_a_wallet_of_many_lots_reads_a_page_of_them(database: Database, shop: str) -> None:
    """Of 3,000 lots one payment reads 200; what needs more reads on in one more round trip, and only so far; what
    nobody could pay reads nothing.
    """
    gets = [get(f"{shop}:m{n}", shop, 1, LATER + HOUR) for n in range(3_000)]
    async with database.begin(SYSTEM) as tx:
        await ledger.post_many(tx, gets, now=NOON)
    async with database.begin(SYSTEM) as tx:
        made = []
        for n, amount in enumerate([-1, -(10**9), -150, -500, -500]):
            posts = [pay(f"{shop}:s{n}", shop, amount), pay(f"{shop}:t{n}", shop, -1)]
            with counted(tx) as trips:
                outcome, _ = await ledger.post_many(tx, posts, now=NOON)
            assert isinstance(outcome, Posted) == (amount != -(10**9))
            made += trips
        assert [*made[:3], made[4]] == [2, 2, 2, 3]  # at its first time a statement is prepared
        assert await purse(tx, shop) == (3_010 - 1_156, 0, 3_010 - 1_156)
        assert await sound(tx)
