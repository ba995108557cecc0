"""A transfer is taken back whole or in parts, never more of it than there was; what a wallet lacks is owed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from palio import ledger
from palio.infra.db import Address, Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger import Capture, Held, Hold, Post, Posted, Refused, Reverse, TransferId
from palio.ledger import jobs as ledger_jobs
from palio.ledger.messages import CollectDebts
from palio.ledger.service import debts
from palio.ledger.service.memory import Book
from tests.factories.ledger import HOUSE, Superuser, codes, fund, new_wallet, owner_of, pay
from tests.ledger.test_posting import counted

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def debt_of(wallet: str) -> str:
    return wallet.replace(":main", ":debt")


def undo(key: str, transfer_id: TransferId, amount: int | None = None, *, to_debt: bool = False) -> Reverse:
    return Reverse(key, transfer_id, "paid by mistake", amount, to_debt)


async def word(tx: Tx, item: Reverse) -> str:
    """What becomes of one reversal."""
    return codes(await ledger.reverse_many(tx, [item], now=NOON))[0]


async def balances(tx: Tx, *addresses: str) -> list[int]:
    return [await ledger.balance(tx, address=address, asset="COIN") for address in addresses]


async def won_and_spent(tx: Tx, wallet: str) -> TransferId:
    """A win of 500 of which 100 are left."""
    won = await ledger.post(tx, pay(f"{wallet}:win", wallet, 500), now=NOON)
    await ledger.post(tx, pay(f"{wallet}:spent", wallet, -400), now=NOON)
    return won.transfer_id


async def test_a_transfer_is_taken_back_in_parts_and_then_no_more(tx: Tx, wallet: str) -> None:
    """1000: 400, 400, not 400 more; what is left; nothing; and a reversal not at all."""
    posted = await ledger.post(tx, pay("k", wallet, 1000), now=NOON)
    first, second, third, rest, nothing = await ledger.reverse_many(
        tx,
        [
            undo("a", posted.transfer_id, 400),
            undo("b", posted.transfer_id, 400),
            undo("c", posted.transfer_id, 400),
            undo("d", posted.transfer_id),
            undo("e", posted.transfer_id),
        ],
        now=NOON,
    )
    assert isinstance(first, Posted)
    assert isinstance(rest, Posted)
    assert (first.balances, rest.balances) == ({wallet: (600, 2)}, {wallet: (0, 4)})
    assert isinstance(second, Posted)
    assert third == Refused("ledger.reversal_exceeds", {"left": 200})
    assert nothing == Refused("ledger.already_reversed")
    assert await word(tx, undo("f", posted.transfer_id, 1)) == "ledger.already_reversed"
    assert await word(tx, undo("g", rest.transfer_id)) == "ledger.reversal_of_reversal"
    assert await balances(tx, wallet) == [0]
    assert (await ledger.verify(tx)).is_sound


async def test_what_is_taken_back_says_why_and_of_what(tx: Tx, wallet: str) -> None:
    posted = await ledger.post(tx, pay("k", wallet, 10), now=NOON)
    back = await ledger.reverse(tx, undo("r", posted.transfer_id, 4), now=NOON)
    [line, original] = (await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN")).lines
    assert (line.kind, line.category, line.amount) == ("ledger.reversal", "reversal", -4)
    assert (line.description, line.reverses_id) == ("paid by mistake", posted.transfer_id)
    assert original.reverses_id is None
    receipt = await ledger.receipt(tx, owner_id=owner_of(wallet), asset="COIN", seq=1)
    assert receipt.reversed_by == (back.transfer_id,)


async def test_a_repeat_answers_as_the_first_time(tx: Tx, wallet: str) -> None:
    """Whatever was taken back since; another amount is another request, another reason is not."""
    posted = await ledger.post(tx, pay("k", wallet, 10), now=NOON)
    back = await ledger.reverse(tx, undo("r", posted.transfer_id, 4), now=NOON)
    await ledger.reverse(tx, undo("s", posted.transfer_id), now=NOON)
    again = await ledger.reverse(tx, replace(undo("r", posted.transfer_id, 4), reason="again"), now=NOON)
    assert again == Posted(back.transfer_id, {wallet: (6, 2)}, back.posted_at, replayed=True)
    assert await word(tx, undo("r", posted.transfer_id, 5)) == "ledger.key_mismatch"
    assert await word(tx, undo("k", posted.transfer_id, 5)) == "ledger.key_mismatch"


async def test_a_payment_sent_back_under_three_keys_is_taken_back_once(tx: Tx, wallet: str) -> None:
    """1.00 from 500.00: with the same key and with two new ones it is 500.00, one reversing transfer in all."""
    await fund(tx, wallet, 50_000, now=NOON)
    posted = await ledger.post(tx, pay("k", wallet, -100), now=NOON)
    for key in ("r", "r", "s", "t"):
        await word(tx, undo(key, posted.transfer_id))
        assert await balances(tx, wallet) == [50_000]
    found = await tx.execute("select count(*) from ledger.transfers where reverses_id = %s", [posted.transfer_id])
    assert await found.fetchone() == (1,)


async def test_a_transfer_of_many_legs_is_taken_back_whole(tx: Tx, wallet: str) -> None:
    other = new_wallet()
    legs = (wallet, "COIN", 3), (other, "COIN", 4), (HOUSE, "COIN", -7)
    posted = await ledger.post(tx, Post("k", "ledger.transfer", legs), now=NOON)
    [outcome] = await ledger.reverse_many(tx, [undo("a", posted.transfer_id, 3)], now=NOON)
    assert outcome == Refused("ledger.invalid", {"field": "amount"})
    assert await word(tx, undo("b", posted.transfer_id)) == "posted"
    assert await balances(tx, wallet, other) == [0, 0]


async def test_what_was_spent_is_not_taken_back(tx: Tx, wallet: str) -> None:
    """And nothing of it is, so that the whole can be tried again."""
    won = await won_and_spent(tx, wallet)
    [outcome] = await ledger.reverse_many(tx, [undo("r", won)], now=NOON)
    assert outcome == Refused("ledger.insufficient_funds", {"available": 100, "needed": 500})
    await fund(tx, wallet, 400, now=NOON)
    assert await word(tx, undo("r", won)) == "posted"
    assert await balances(tx, wallet) == [0]


async def test_what_is_held_is_not_taken_back(tx: Tx, wallet: str) -> None:
    posted = await ledger.post(tx, pay("k", wallet, 10), now=NOON)
    hold = Hold("h", wallet, "COIN", 7, "order 7", "store.order", NOON + HOUR)
    await ledger.hold_many(tx, [hold], now=NOON)
    assert await word(tx, undo("r", posted.transfer_id)) == "ledger.insufficient_funds"
    assert await word(tx, undo("s", posted.transfer_id, 3)) == "posted"


async def test_a_capture_that_is_taken_back_leaves_the_hold_closed(tx: Tx, wallet: str) -> None:
    await fund(tx, wallet, 10, now=NOON)
    hold = Hold("h", wallet, "COIN", 7, "order 7", "store.order", NOON + HOUR)
    [held] = await ledger.hold_many(tx, [hold], now=NOON)
    assert isinstance(held, Held)
    posted = await ledger.post(tx, pay("c", wallet, -7, capture=Capture(held.hold_id)), now=NOON)
    await ledger.reverse(tx, undo("r", posted.transfer_id), now=NOON)
    assert await balances(tx, wallet) == [10]
    assert await ledger.void_many(tx, [ledger.Void("v", held.hold_id)], now=NOON) == [
        Refused("ledger.hold_not_open", {"state": "captured"})
    ]


async def test_an_unknown_transfer_is_not_found(tx: Tx) -> None:
    with pytest.raises(ledger.NoSuchTransfer):
        await ledger.reverse(tx, undo("r", TransferId(new_id())), now=NOON)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"key": "a b"}, "key"),
        ({"original_id": "x"}, "original_id"),
        ({"amount": 0}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 1.0}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": 2**53}, "amount"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 256}, "reason"),
    ],
)
async def test_a_bad_reversal_names_its_field_and_harms_nobody(
    tx: Tx, wallet: str, change: dict[str, object], field: str
) -> None:
    posted = await ledger.post(tx, pay("k", wallet, 10), now=NOON)
    bad = replace(undo("bad", posted.transfer_id, 1), **change)  # type: ignore[arg-type]
    outcomes = await ledger.reverse_many(tx, [bad, undo("good", posted.transfer_id, 1)], now=NOON)
    assert outcomes[0] == Refused("ledger.invalid", {"field": field})
    assert codes(outcomes[1:]) == ["posted"]
    assert await balances(tx, wallet) == [9]


async def test_a_status_stops_reversals(database: Database, superuser: Superuser) -> None:
    """Also that of an open account."""
    wallet, house = new_wallet(), f"house:{new_id().hex}"
    async with database.begin(SYSTEM) as tx:
        legs = (wallet, "COIN", 5), (house, "COIN", -5)
        posted = await ledger.post(tx, Post(f"{wallet}:k", "ledger.transfer", legs), now=NOON)
    for address, status, code in (
        (wallet, "no_debit", "account_frozen"),
        (house, "frozen", "account_frozen"),
        (house, "closed", "account_closed"),
    ):
        superuser.set_status(address, status)
        async with database.begin(SYSTEM) as tx:
            [outcome] = await ledger.reverse_many(tx, [undo(f"{wallet}:r", posted.transfer_id)], now=NOON)
        superuser.set_status(address, "active")
        assert outcome == Refused(f"ledger.{code}", {"account": address})


async def test_a_win_that_was_spent_is_owed_and_paid_from_the_next_credit(tx: Tx, wallet: str) -> None:
    """500 of which 100 are left: main 0, debt -400; 1000 come in: main 600, debt 0."""
    won = await won_and_spent(tx, wallet)
    back = await ledger.reverse(tx, undo("r", won, to_debt=True), now=NOON)
    assert back.balances == {wallet: (0, 3), debt_of(wallet): (-400, 1)}
    assert not await debts.collect(tx, now=NOON)
    assert await balances(tx, wallet, debt_of(wallet)) == [0, -400]

    await fund(tx, wallet, 1000, now=NOON)
    for _ in range(2):
        await ledger_jobs.collect_debts(tx, CollectDebts())
        assert await balances(tx, wallet, debt_of(wallet)) == [600, 0]
    [line] = [
        line
        for line in (await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN")).lines
        if line.kind == "ledger.debt"
    ]
    assert line.amount == -400
    assert (await ledger.verify(tx)).is_sound


async def test_what_was_owed_and_paid_comes_back_to_the_wallet(tx: Tx, wallet: str) -> None:
    """100 taken of 60: 40 owed, 30 of it paid; taking that back, 10 are no longer owed, and 90 are his again."""
    await fund(tx, wallet, 60, now=NOON)
    [taken] = await ledger.clawback_many(tx, [pay("taken", wallet, -100)], now=NOON)
    assert isinstance(taken, Posted)
    await fund(tx, wallet, 30, now=NOON)
    await debts.collect(tx, now=NOON)
    assert await balances(tx, wallet, debt_of(wallet)) == [0, -10]
    await ledger.reverse(tx, undo("r", taken.transfer_id), now=NOON)
    assert await balances(tx, wallet, debt_of(wallet)) == [90, 0]
    assert (await ledger.verify(tx)).is_sound


async def test_what_was_owed_alone_comes_back_to_the_wallet(database: Database, wallet: str) -> None:
    """Two legs, taken back in parts; the process that does it has never heard of the wallet. Two round trips."""
    async with database.begin(SYSTEM) as tx:
        [taken] = await ledger.clawback_many(tx, [pay(f"{wallet}:taken", wallet, -100)], now=NOON)
        assert isinstance(taken, Posted)
        assert taken.balances == {debt_of(wallet): (-100, 1)}
        await fund(tx, wallet, 80, now=NOON)
        await debts.collect(tx, now=NOON)
        assert await balances(tx, wallet, debt_of(wallet)) == [0, -20]
    database.remembered(Book).places.clear()
    async with database.begin(SYSTEM) as tx:
        with counted(tx) as trips:
            parts = [undo(f"{wallet}:{amount}", taken.transfer_id, amount) for amount in (15, 25, 60)]
            outcomes = await ledger.reverse_many(tx, parts, now=NOON)
        assert trips == [2]
        assert [outcome.balances for outcome in outcomes if isinstance(outcome, Posted)] == [
            {debt_of(wallet): (-5, 3)},
            {debt_of(wallet): (0, 4), wallet: (20, 3)},
            {wallet: (80, 4)},
        ]
        assert (await ledger.verify(tx)).is_sound


async def test_a_debt_is_paid_as_far_as_somebody_can(tx: Tx, wallet: str) -> None:
    """What is held is not his to pay with."""
    await ledger.reverse(tx, undo("r", await won_and_spent(tx, wallet), to_debt=True), now=NOON)
    await fund(tx, wallet, 50, now=NOON)
    await ledger.hold_many(tx, [Hold("h", wallet, "COIN", 20, "order 7", "store.order", NOON + HOUR)], now=NOON)
    await debts.collect(tx, now=NOON)
    assert await balances(tx, wallet, debt_of(wallet)) == [20, -370]


async def test_who_has_enough_owes_nothing(tx: Tx, wallet: str) -> None:
    posted = await ledger.post(tx, pay("k", wallet, 10), now=NOON)
    back = await ledger.reverse(tx, undo("r", posted.transfer_id, to_debt=True), now=NOON)
    assert back.balances == {wallet: (0, 2)}


async def test_what_is_clawed_back_is_owed_where_it_is_gone(tx: Tx, wallet: str) -> None:
    """Each of a batch sees what the one before left; told once for each."""
    tx.equipment = replace(tx.equipment, addresses={ledger.DebtCreated: (Address("tests:heard", "default", 0),)})
    await fund(tx, wallet, 100, now=NOON)
    outcomes = await ledger.clawback_many(
        tx, [pay("a", wallet, -70), pay("b", wallet, -70), pay("c", wallet, -70), pay("d", new_wallet(), 1)], now=NOON
    )
    first, second, third, _ = outcomes
    assert isinstance(first, Posted)
    assert isinstance(second, Posted)
    assert isinstance(third, Posted)
    assert first.balances == {wallet: (30, 2)}
    assert second.balances == {wallet: (0, 3), debt_of(wallet): (-40, 1)}
    assert third.balances == {debt_of(wallet): (-110, 2)}
    assert await ledger.clawback_many(tx, [pay("b", wallet, -70)], now=NOON) == [second._replace(replayed=True)]
    found = await tx.execute(
        "select args -> 'message' from jobs.procrastinate_jobs where task_name = 'tests:heard' order by id"
    )
    assert [row[0] for row in await found.fetchall()] == [
        {"owner": str(owner_of(wallet)), "asset": "COIN", "amount": amount} for amount in (40, 70)
    ]


async def test_what_is_held_is_not_clawed_back(tx: Tx, wallet: str) -> None:
    """It is promised to somebody: owed as well."""
    await fund(tx, wallet, 100, now=NOON)
    await ledger.hold_many(tx, [Hold("h", wallet, "COIN", 60, "order 7", "store.order", NOON + HOUR)], now=NOON)
    assert codes(await ledger.clawback_many(tx, [pay("a", wallet, -70)], now=NOON)) == ["posted"]
    assert await balances(tx, wallet, debt_of(wallet)) == [60, -30]


async def test_a_debt_has_a_limit(tx: Tx, wallet: str) -> None:
    """Then all of it is refused."""
    await fund(tx, wallet, 5, now=NOON)
    [outcome] = await ledger.clawback_many(tx, [pay("a", wallet, -(10**9) - 6)], now=NOON)
    assert isinstance(outcome, Refused)
    assert outcome.code == "ledger.insufficient_funds"
    assert await balances(tx, wallet, debt_of(wallet)) == [5, 0]
    assert codes(await ledger.clawback_many(tx, [pay("b", wallet, -(10**9) - 5)], now=NOON)) == ["posted"]


async def test_a_clawback_names_no_debt_account_and_captures_nothing(tx: Tx, wallet: str) -> None:
    await fund(tx, wallet, 5, now=NOON)
    both = Post("a", "ledger.clawback", ((wallet, "COIN", -3), (debt_of(wallet), "COIN", -3), (HOUSE, "COIN", 6)))
    capture = pay("b", wallet, -1, capture=Capture(ledger.HoldId(new_id())))
    for item in (both, capture):
        assert await ledger.clawback_many(tx, [item], now=NOON) == [Refused("ledger.invalid", {"field": "to_debt"})]


async def test_batches_of_every_kind_take_two_round_trips(database: Database, wallet: str) -> None:
    """Reversals, debts, captures and plain transfers in one."""
    async with database.begin(SYSTEM) as tx:
        won = await won_and_spent(tx, wallet)
        posted = await ledger.post(tx, pay(f"{wallet}:p", wallet, 50), now=NOON)
        hold = Hold(f"{wallet}:h", wallet, "COIN", 30, "order 7", "store.order", NOON + HOUR)
        [held] = await ledger.hold_many(tx, [hold], now=NOON)
    assert isinstance(held, Held)
    items = [
        undo(f"{wallet}:r", won, to_debt=True),
        pay(f"{wallet}:c", wallet, -30, capture=Capture(held.hold_id, is_final=True)),
        pay(f"{wallet}:d", wallet, 50),
        undo(f"{wallet}:s", posted.transfer_id),
    ]
    async with database.begin(SYSTEM) as tx:
        with counted(tx) as trips:
            outcomes = await ledger.post_many(tx, items, now=NOON)
        assert trips == [2]
        assert codes(outcomes) == ["posted"] * 4
        assert await balances(tx, wallet, debt_of(wallet)) == [0, -380]
        assert (await ledger.verify(tx)).is_sound


async def test_players_do_not_see_the_counters(database: Database, wallet: str) -> None:
    """Which legs were taken back: operators alone; a player sums the reversals that he may see."""
    async with database.begin(SYSTEM) as tx:
        posted = await ledger.post(tx, pay(f"{wallet}:k", wallet, 10), now=NOON)
        await ledger.reverse(tx, undo(f"{wallet}:r", posted.transfer_id), now=NOON)
    for kind, seen in (("player", 0), ("system", 2)):
        user = owner_of(wallet) if kind == "player" else None
        async with database.begin(Actor(kind, user and UserId(user), RequestId(new_id()))) as tx:  # type: ignore[arg-type]
            found = await tx.execute(
                "select count(*) from ledger.reversals where original_id = %s", [posted.transfer_id]
            )
            assert await found.fetchone() == (seen,)
