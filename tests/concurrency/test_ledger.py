"""Many at once: as many debits as fit, one transfer per key, no deadlock, nothing half done.

Each race also runs the naive way, check first and act then, which must go wrong: or the harness would prove nothing.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import psycopg
import pytest

from palio import ledger
from palio.infra import embedded
from palio.infra.db import Busy, Database, Tx
from palio.kernel.errors import Unavailable
from palio.kernel.ids import Actor, RequestId, new_id
from palio.ledger import AnyOutcome, Capture, Held, Hold, HoldId, Item, Outcome, Post, Posted, Reverse, Void
from tests.factories.ledger import Payment, codes, fan_out, fund, new_wallet, owner_of, pay

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
RUNNERS = 30
Done = TypeVar("Done", bound=AnyOutcome)


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Database]:
    """A connection for each runner."""
    database = Database(cluster.dsn("palio_app", database_name), connections_max=RUNNERS)
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()


async def race(crowd: Database, run: Callable[[Tx, int, asyncio.Barrier], Awaitable[Done]]) -> list[Done]:
    """Everybody has begun a transaction before anybody goes on."""
    barrier = asyncio.Barrier(RUNNERS)

    async def one(number: int) -> Done:
        async with crowd.begin(SYSTEM) as tx:
            await tx.execute("set local lock_timeout = '30s'")  # a racer waits for all others, on a busy machine too
            await barrier.wait()
            return await run(tx, number, barrier)

    return await asyncio.gather(*(one(number) for number in range(RUNNERS)))


async def balance_of(crowd: Database, wallet: str) -> int:
    async with crowd.begin(SYSTEM) as tx:
        return await ledger.balance(tx, address=wallet, asset="COIN")


async def funded(crowd: Database, amount: int) -> str:
    wallet = new_wallet()
    async with crowd.begin(SYSTEM) as tx:
        await fund(tx, wallet, amount, now=NOON)
    return wallet


async def test_as_many_debits_as_fit(crowd: Database) -> None:
    """Seven of thirty."""
    wallet = await funded(crowd, 79)

    async def debit(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        return (await ledger.post_many(tx, [pay(f"{wallet}:{number}", wallet, -11)], now=NOON))[0]

    outcomes = await race(crowd, debit)
    assert Counter(codes(outcomes)) == {"posted": 7, "ledger.insufficient_funds": 23}
    assert await balance_of(crowd, wallet) == 2


async def test_looking_first_and_debiting_then_grants_too_much(crowd: Database) -> None:
    """The control: the same race, decided by a balance that was read before everybody went on."""
    wallet = await funded(crowd, 79)
    granted = 0

    async def debit(tx: Tx, number: int, barrier: asyncio.Barrier) -> Outcome:
        nonlocal granted
        fits = await ledger.balance(tx, address=wallet, asset="COIN") >= 11
        await barrier.wait()
        granted += fits
        return ledger.Refused("naive")

    await race(crowd, debit)
    assert granted > 7


async def test_one_key_at_once_is_one_transfer(crowd: Database) -> None:
    """Everybody else is answered the same."""
    wallet = await funded(crowd, 1)

    async def once(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        return (await ledger.post_many(tx, [pay(f"{wallet}:once", wallet, 10)], now=NOON))[0]

    outcomes = await race(crowd, once)
    assert Counter(codes(outcomes)) == {"posted": 1, "replayed": RUNNERS - 1}
    assert len({outcome.transfer_id for outcome in outcomes if isinstance(outcome, Posted)}) == 1
    assert {str(outcome.balances) for outcome in outcomes if isinstance(outcome, Posted)} == {str({wallet: (11, 2)})}
    assert await balance_of(crowd, wallet) == 11


async def test_looking_for_the_key_first_posts_many_times(crowd: Database) -> None:
    """The control: nobody sees the key, so everybody posts under a name of his own."""
    wallet = await funded(crowd, 1)
    key = f"{wallet}:naive"

    async def once(tx: Tx, number: int, barrier: asyncio.Barrier) -> Outcome:
        found = await (await tx.execute("select 1 from ledger.keys where key like %s", [f"{key}%"])).fetchone()
        await barrier.wait()
        if found:
            return ledger.Refused("seen")
        return (await ledger.post_many(tx, [pay(f"{key}:{number}", wallet, 10)], now=NOON))[0]

    assert codes(await race(crowd, once)).count("posted") > 1


async def test_one_with_another_amount_is_a_mismatch(crowd: Database) -> None:
    """Whoever comes first decides what the key means."""
    wallet = await funded(crowd, 1)

    async def once(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        amount = 11 if number == 3 else 10
        return (await ledger.post_many(tx, [pay(f"{wallet}:k", wallet, amount)], now=NOON))[0]

    words = Counter(codes(await race(crowd, once)))
    assert words["posted"] == 1
    assert words in (
        Counter({"replayed": RUNNERS - 2, "posted": 1, "ledger.key_mismatch": 1}),
        Counter({"ledger.key_mismatch": RUNNERS - 1, "posted": 1}),
    )


async def test_a_key_that_was_given_back_goes_to_the_next(crowd: Database) -> None:
    """One holder rolls back, the one that waits has it."""
    wallet = await funded(crowd, 1)
    claimed = asyncio.Event()

    async def rolled_back() -> None:
        async with crowd.begin(SYSTEM) as tx, tx.transaction(force_rollback=True):
            await ledger.post(tx, pay(f"{wallet}:k", wallet, 10), now=NOON)
            claimed.set()
            await wait_for_a_waiter(crowd)

    async def waiting() -> Posted:
        await claimed.wait()
        async with crowd.begin(SYSTEM) as tx:
            return await ledger.post(tx, pay(f"{wallet}:k", wallet, 10), now=NOON)

    _, posted = await asyncio.gather(rolled_back(), waiting())
    assert not posted.replayed
    assert posted.balances == {wallet: (11, 2)}


async def wait_for_a_waiter(crowd: Database) -> None:
    """Until somebody waits for a transaction to end."""
    async with crowd.begin(SYSTEM) as tx:
        while True:
            found = await tx.execute("select 1 from pg_locks where locktype = 'transactionid' and not granted")
            if await found.fetchone():
                return


async def placed(crowd: Database, wallet: str, amount: int) -> HoldId:
    item = Hold(f"{wallet}:hold", wallet, "COIN", amount, "a bet", "games.bet", NOON + timedelta(hours=1))
    async with crowd.begin(SYSTEM) as tx:
        [held] = await ledger.hold_many(tx, [item], now=NOON)
    assert isinstance(held, Held)
    return held.hold_id


async def test_a_hold_is_captured_once(crowd: Database) -> None:
    """Everybody wants the whole of it."""
    wallet = await funded(crowd, 100)
    capture = Capture(await placed(crowd, wallet, 60), is_final=True)

    async def take(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        return (await ledger.capture_many(tx, [pay(f"{wallet}:{number}", wallet, -60, capture=capture)], now=NOON))[0]

    assert Counter(codes(await race(crowd, take))) == {"posted": 1, "ledger.hold_not_open": RUNNERS - 1}
    assert await balance_of(crowd, wallet) == 40


async def test_as_many_parts_of_a_hold_as_fit(crowd: Database) -> None:
    """Five of thirty, and nothing of what is not held."""
    wallet = await funded(crowd, 100)
    capture = Capture(await placed(crowd, wallet, 60))

    async def take(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        return (await ledger.capture_many(tx, [pay(f"{wallet}:{number}", wallet, -11, capture=capture)], now=NOON))[0]

    assert Counter(codes(await race(crowd, take))) == {"posted": 5, "ledger.hold_exceeded": RUNNERS - 5}
    assert await balance_of(crowd, wallet) == 45


async def test_a_hold_is_captured_or_expires(crowd: Database) -> None:
    """Half of them come in time by their own clock, half of them clear up: one of the two, once."""
    wallet = await funded(crowd, 100)
    hold_id = await placed(crowd, wallet, 60)

    async def end(tx: Tx, number: int, _: asyncio.Barrier) -> AnyOutcome:
        if number % 2:
            item = Void(f"hold:{hold_id}:expire", hold_id, expired=True)
            return (await ledger.void_many(tx, [item], now=NOON + timedelta(hours=1)))[0]
        item_of = pay(f"{wallet}:{number}", wallet, -60, capture=Capture(hold_id))
        return (await ledger.capture_many(tx, [item_of], now=NOON))[0]

    words = Counter(codes(await race(crowd, end)))
    assert words in (
        Counter({"posted": 1, "ledger.hold_not_open": RUNNERS - 1}),
        Counter({"voided": 1, "replayed": RUNNERS // 2 - 1, "ledger.hold_not_open": RUNNERS // 2}),
    )
    assert await balance_of(crowd, wallet) == (40 if words["posted"] else 100)


async def test_looking_whether_a_hold_is_open_captures_it_many_times(crowd: Database) -> None:
    """The control: everybody sees that it is open, and goes on."""
    wallet = await funded(crowd, 100)
    hold_id = await placed(crowd, wallet, 60)
    captured = 0

    async def take(tx: Tx, number: int, barrier: asyncio.Barrier) -> Outcome:
        nonlocal captured
        found = await tx.execute("select 1 from ledger.holds where id = %s and state = 'open'", [hold_id])
        is_open = await found.fetchone() is not None
        await barrier.wait()
        captured += is_open
        return ledger.Refused("naive")

    await race(crowd, take)
    assert captured > 1


async def test_a_transfer_is_taken_back_once(crowd: Database) -> None:
    """Everybody wants 600 of 1000 back."""
    wallet = await funded(crowd, 5000)
    async with crowd.begin(SYSTEM) as tx:
        posted = await ledger.post(tx, pay(f"{wallet}:k", wallet, 1000), now=NOON)

    async def back(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        item = Reverse(f"{wallet}:{number}", posted.transfer_id, "a mistake", 600)
        return (await ledger.reverse_many(tx, [item], now=NOON))[0]

    assert Counter(codes(await race(crowd, back))) == {"posted": 1, "ledger.reversal_exceeds": RUNNERS - 1}
    assert await balance_of(crowd, wallet) == 5400


async def test_adding_up_what_was_taken_back_takes_too_much_back(crowd: Database) -> None:
    """The control: nobody sees a reversal of anybody else, and 600 always fit."""
    wallet = await funded(crowd, 5000)
    async with crowd.begin(SYSTEM) as tx:
        posted = await ledger.post(tx, pay(f"{wallet}:k", wallet, 1000), now=NOON)
    taken = 0

    async def back(tx: Tx, number: int, barrier: asyncio.Barrier) -> Outcome:
        nonlocal taken
        found = await tx.execute("select count(*) from ledger.transfers where reverses_id = %s", [posted.transfer_id])
        fits = await found.fetchone() == (0,)
        await barrier.wait()
        taken += 600 if fits else 0
        return ledger.Refused("naive")

    await race(crowd, back)
    assert taken > 1000


async def test_transfers_taken_back_in_opposite_order_do_not_deadlock(crowd: Database) -> None:
    """Two transfers between two wallets: what is left of both, from either end, beside plain ones."""
    first, second = await funded(crowd, 1000), await funded(crowd, 1000)
    legs = [((first, "COIN", -30), (second, "COIN", 30)), ((second, "COIN", -30), (first, "COIN", 30))]
    async with crowd.begin(SYSTEM) as tx:
        posts = [Post(f"{first}:{n}", "ledger.transfer", both) for n, both in enumerate(legs)]
        ids = [
            outcome.transfer_id
            for outcome in await ledger.post_many(tx, posts, now=NOON)
            if isinstance(outcome, Posted)
        ]

    async def back(tx: Tx, number: int, _: asyncio.Barrier) -> AnyOutcome:
        ordered = ids if number % 2 else ids[::-1]
        items: list[Item] = [Reverse(f"{first}:{number}:{ref}", ref, "a mistake", 1) for ref in ordered]
        outcomes = await ledger.post_many(tx, [pay(f"{first}:{number}:p", second, 1), *items], now=NOON)
        assert set(codes(outcomes)) == {"posted"}
        return outcomes[0]

    await race(crowd, back)
    assert (await balance_of(crowd, first), await balance_of(crowd, second)) == (1000, 1000 + RUNNERS)


async def test_one_payment_at_once_is_one_transfer(crowd: Database) -> None:
    """A fan-out answers those who waited with what the first one left behind."""
    wallet = await funded(crowd, 1)
    rows = [Payment(f"{wallet}:prize", owner_of(wallet), 10)]

    async def once(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        return (await fan_out(tx, rows, now=NOON))[0]

    outcomes = await race(crowd, once)
    assert Counter(codes(outcomes)) == {"posted": 1, "replayed": RUNNERS - 1}
    assert {str(outcome.balances) for outcome in outcomes if isinstance(outcome, Posted)} == {str({wallet: (11, 2)})}
    assert await balance_of(crowd, wallet) == 11


@pytest.mark.parametrize("way", ["post_many", "fan_out"])
async def test_batches_in_opposite_order_do_not_deadlock(crowd: Database, way: str) -> None:
    """Keys a, b against b, a over the same two new wallets, fifteen times each."""
    first, second = new_wallet(), new_wallet()
    run = new_id().hex

    async def both(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        named = [(f"{run}:a", first), (f"{run}:b", second)]
        if number % 2:
            named.reverse()
        if way == "fan_out":
            rows = [Payment(key, owner_of(wallet), 5) for key, wallet in named]
            return (await fan_out(tx, rows, now=NOON))[0]
        return (await ledger.post_many(tx, [pay(key, wallet, 5) for key, wallet in named], now=NOON))[0]

    assert Counter(codes(await race(crowd, both))) == {"posted": 1, "replayed": RUNNERS - 1}
    assert (await balance_of(crowd, first), await balance_of(crowd, second)) == (5, 5)


async def test_wallets_in_opposite_order_do_not_deadlock(crowd: Database) -> None:
    """Different keys, so that only the wallets meet."""
    first, second = await funded(crowd, 100), await funded(crowd, 100)

    async def move(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        here, there = (first, second) if number % 2 else (second, first)
        legs = ((here, "COIN", -1), (there, "COIN", 1))
        return (await ledger.post_many(tx, [Post(f"{first}:{number}", "ledger.transfer", legs)], now=NOON))[0]

    assert set(codes(await race(crowd, move))) == {"posted"}
    assert await balance_of(crowd, first) + await balance_of(crowd, second) == 200


@pytest.mark.parametrize("way", ["wallets", "keys"])
async def test_one_after_the_other_in_opposite_order_deadlocks(crowd: Database, way: str) -> None:
    """The control: each of two has what the other one wants next, and the server ends one of them."""
    wallets = [await funded(crowd, 100) for _ in range(2)]
    both = asyncio.Barrier(2)

    async def take(tx: Tx, number: int) -> None:
        if way == "wallets":
            await ledger.lock_many(tx, [(wallets[number], "COIN")], now=NOON)
        else:
            await ledger.post(tx, pay(f"{wallets[0]}:{number}", new_wallet(), 1), now=NOON)

    async def move(first: int) -> None:
        async with crowd.begin(SYSTEM) as tx:
            await take(tx, first)
            await both.wait()
            await take(tx, 1 - first)

    ended = await asyncio.gather(move(0), move(1), return_exceptions=True)
    [lost] = [failure for failure in ended if failure]
    assert isinstance(lost, Busy) and isinstance(lost.__cause__, psycopg.errors.DeadlockDetected)


async def test_looking_for_an_account_first_makes_it_many_times(crowd: Database) -> None:
    """The control: whoever decides by what was there before everybody went on would make it as well."""
    house, made = f"house:{new_id().hex}", 0

    async def make(tx: Tx, _: int, barrier: asyncio.Barrier) -> Outcome:
        nonlocal made
        found = await tx.execute("select from ledger.accounts where address = %s", [house])
        await barrier.wait()
        made += found.rowcount == 0
        return ledger.Refused("naive")

    await race(crowd, make)
    assert made == RUNNERS


async def test_new_accounts_are_made_once(crowd: Database) -> None:
    wallet, house = new_wallet(), f"house:{new_id().hex}"

    async def credit(tx: Tx, number: int, _: asyncio.Barrier) -> Outcome:
        legs = ((wallet, "COIN", 1), (house, "COIN", -1))
        return (await ledger.post_many(tx, [Post(f"{wallet}:{number}", "ledger.transfer", legs)], now=NOON))[0]

    assert set(codes(await race(crowd, credit))) == {"posted"}
    assert await balance_of(crowd, wallet) == RUNNERS
    async with crowd.begin(SYSTEM) as tx:
        found = await tx.execute("select count(*) from ledger.accounts where address in (%s, %s)", [wallet, house])
        assert await found.fetchone() == (2,)


@pytest.mark.parametrize("batches", [25, pytest.param(200, marks=pytest.mark.nightly)])
async def test_writers_of_random_batches_leave_a_sound_ledger(crowd: Database, batches: int) -> None:
    """Eight of them over fifty wallets, with keys and holds they share and one transaction in ten undone."""
    wallets = [await funded(crowd, 50) for _ in range(50)]
    keys = [new_id().hex for _ in range(300)]
    holds = [(wallet, await placed(crowd, wallet, 20)) for wallet in wallets[:20]]

    async def writer(seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311 - the same walk every time
        for _ in range(batches):
            items: list[Item] = [
                pay(dice.choice(keys), dice.choice(wallets), dice.choice([-30, -7, -1, 2, 9]))
                for _ in range(dice.randrange(1, 20))
            ]
            wallet, hold_id = dice.choice(holds)
            items.append(pay(dice.choice(keys), wallet, -3, capture=Capture(hold_id)))
            items.append(Void(dice.choice(keys), dice.choice(holds)[1]) if dice.random() < 0.2 else items[0])
            async with crowd.begin(SYSTEM) as tx, tx.transaction(force_rollback=dice.random() < 0.1):
                await ledger.post_many(tx, items, now=NOON)

    await asyncio.gather(*(writer(seed) for seed in range(8)))
    async with crowd.begin(SYSTEM) as tx:
        assert (await ledger.verify(tx)).findings == []
        balances: Sequence[int] = list(
            (await ledger.balances_many(tx, owner_ids=[owner_of(w) for w in wallets], asset="COIN")).values()
        )
        assert min(balances) >= 0


async def test_a_killed_connection_leaves_nothing(crowd: Database) -> None:
    """After the entries were written and before the commit: the key is free, and the retry posts."""
    wallet = await funded(crowd, 1)
    item = pay(f"{wallet}:k", wallet, 10)

    async def die() -> None:
        async with crowd.begin(SYSTEM) as tx:
            await ledger.post(tx, item, now=NOON)
            tx.pgconn.finish()
            await tx.execute("select 1")

    with pytest.raises((psycopg.OperationalError, Unavailable)):
        await die()
    assert await balance_of(crowd, wallet) == 1
    async with crowd.begin(SYSTEM) as tx:
        posted = await ledger.post(tx, item, now=NOON)
        assert (posted.replayed, posted.balances) == (False, {wallet: (11, 2)})


async def test_a_commit_whose_answer_was_lost_is_a_replay(crowd: Database) -> None:
    wallet = await funded(crowd, 1)
    item = pay(f"{wallet}:k", wallet, 10)
    async with crowd.begin(SYSTEM) as tx:
        first = await ledger.post(tx, item, now=NOON)
    async with crowd.begin(SYSTEM) as tx:
        again = await ledger.post(tx, item, now=NOON)
    assert again == first._replace(replayed=True)
    assert await balance_of(crowd, wallet) == 11
