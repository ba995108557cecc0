"""One open account pays many wallets: the same keys, guards and outcomes as single posts."""

from datetime import datetime, timedelta

import psycopg
import pytest

from palio import ledger
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger import Post, Posted, Refused
from palio.ledger.rules import payments as rules
from palio.ledger.sql import posting
from palio.ledger.types import Asset
from tests.factories import ledger as factory
from tests.factories.ledger import Payment, Superuser, codes, fund, new_wallet, owner_of, pay

SYSTEM = Actor("system", None, RequestId(new_id()))
SECOND = timedelta(seconds=1)


@pytest.fixture
def pool() -> str:
    """Of the house: a real pool pays no more than was put into it."""
    return f"house:{new_id().hex}"


async def fan_out(tx: Tx, pool: str, rows: list[Payment], now: datetime) -> list[ledger.Outcome]:
    return await factory.fan_out(tx, rows, source=pool, kind="competitions.prize", now=now)


async def test_everybody_is_paid_in_the_order_given(tx: Tx, pool: str, wallet: str, noon: datetime) -> None:
    """New wallets are made, and somebody who occurs twice has both."""
    await fund(tx, wallet, 10, now=noon)
    alice, bob = owner_of(wallet), UserId(new_id())
    rows = [Payment("p1", alice, 5), Payment("p2", bob, 7, {"why": "second"}), Payment("p3", alice, 20)]

    outcomes = await fan_out(tx, pool, rows, noon)

    assert [outcome.balances for outcome in outcomes if isinstance(outcome, Posted)] == [
        {wallet: (15, 2)},
        {f"user:{bob}:main": (7, 1)},
        {wallet: (35, 3)},
    ]
    assert await ledger.balance(tx, address=pool, asset="COIN") == -32
    [line] = (await ledger.statement(tx, owner_id=bob, asset="COIN")).lines
    assert (line.kind, line.category, line.amount, line.metadata) == (
        "competitions.prize",
        "prize",
        7,
        {"why": "second"},
    )
    assert (await ledger.verify(tx)).findings == []


async def test_nobody_is_paid_twice(tx: Tx, pool: str, wallet: str, noon: datetime) -> None:
    """A repeat, half of one, another amount, and the same key twice in one call."""
    owner = owner_of(wallet)
    first = await fan_out(tx, pool, [Payment("p1", owner, 5)], noon)

    outcomes = await fan_out(
        tx,
        pool,
        [Payment("p1", owner, 5), Payment("p2", owner, 6), Payment("p2", owner, 6), Payment("p2", owner, 7)],
        noon + SECOND,
    )
    assert codes(outcomes) == ["replayed", "posted", "replayed", "ledger.key_mismatch"]
    assert [outcome.balances for outcome in outcomes[:3]] == [{wallet: (5, 1)}, {wallet: (11, 2)}, {wallet: (11, 2)}]  # type: ignore[union-attr]
    assert outcomes[0].transfer_id == first[0].transfer_id  # type: ignore[union-attr]

    assert codes(await fan_out(tx, pool, [Payment("p1", owner, 6)], noon)) == ["ledger.key_mismatch"]
    assert await ledger.balance(tx, address=wallet, asset="COIN") == 11


async def test_a_post_that_does_the_same_is_the_same_request(tx: Tx, pool: str, wallet: str, noon: datetime) -> None:
    [paid] = await fan_out(tx, pool, [Payment("p1", owner_of(wallet), 5)], noon)
    post = Post("p1", "competitions.prize", ((pool, "COIN", -5), (wallet, "COIN", 5)))
    again = await ledger.post(tx, post, now=noon)
    assert again == Posted(paid.transfer_id, {wallet: (5, 1)}, noon, replayed=True)  # type: ignore[union-attr]


async def test_a_bad_row_is_refused_and_the_others_stand(tx: Tx, pool: str, wallet: str, noon: datetime) -> None:
    owner = owner_of(wallet)
    outcomes = await fan_out(
        tx, pool, [Payment("p1", owner, 0), Payment("p2", owner, 5), Payment("a b", owner, 5)], noon
    )
    assert codes(outcomes) == ["ledger.invalid", "posted", "ledger.invalid"]
    assert await fan_out(tx, pool, [Payment("p1", owner, -1)], noon) == [Refused("ledger.invalid", {"field": "amount"})]


async def test_a_payment_is_never_posted_before_the_last_one_of_its_wallet(
    tx: Tx, pool: str, wallet: str, noon: datetime
) -> None:
    await fund(tx, wallet, 10, now=noon)
    other = UserId(new_id())
    await fan_out(tx, pool, [Payment("p1", owner_of(wallet), 5), Payment("p2", other, 5)], noon - SECOND)
    assert (await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN")).lines[0].posted_at == noon
    assert (await ledger.statement(tx, owner_id=other, asset="COIN")).lines[0].posted_at == noon - SECOND


async def test_no_wallet_leaves_the_exact_range(tx: Tx, pool: str, wallet: str, noon: datetime) -> None:
    """The key stays free; payments behind the refused one of that wallet wait too."""
    await fund(tx, wallet, 2**53 - 10, now=noon)
    owner, other = owner_of(wallet), UserId(new_id())
    rows = [Payment("p1", owner, 5), Payment("p2", owner, 5), Payment("p3", owner, 1), Payment("p4", other, 5)]
    outcomes = await fan_out(tx, pool, rows, noon)
    assert codes(outcomes) == ["posted", "ledger.balance_limit", "ledger.balance_limit", "posted"]
    assert outcomes[1] == Refused("ledger.balance_limit", {"account": wallet})
    assert codes(await fan_out(tx, pool, [Payment("p3", owner, 1)], noon)) == ["posted"]
    assert (await ledger.verify(tx)).findings == []


@pytest.mark.parametrize(
    ("status", "wallet_says", "pool_says"),
    [
        ("no_debit", "posted", "ledger.account_frozen"),
        ("frozen", "ledger.account_frozen", "ledger.account_frozen"),
        ("closed", "ledger.account_closed", "ledger.account_closed"),
    ],
)
async def test_a_status_refuses_those_it_concerns(
    database: Database, superuser: Superuser, noon: datetime, status: str, wallet_says: str, pool_says: str
) -> None:
    pool, shut, free = f"house:{new_id().hex}", new_wallet(), new_wallet()
    rows = [Payment(f"{pool}:1", owner_of(shut), 5), Payment(f"{pool}:2", owner_of(free), 5)]
    async with database.begin(SYSTEM) as tx:
        await fund(tx, shut, 10, now=noon)
        await ledger.post(
            tx, Post(f"{pool}:0", "competitions.fund", ((pool, "COIN", 9), ("house:prizes", "COIN", -9))), now=noon
        )

    superuser.set_status(shut, status)
    async with database.begin(SYSTEM) as tx:
        outcomes = await fan_out(tx, pool, rows, noon)
        assert codes(outcomes) == [wallet_says, "posted"]
        if wallet_says != "posted":
            assert outcomes[0] == Refused(wallet_says, {"account": shut})

    superuser.set_status(pool, status)
    more = [Payment(f"{pool}:3", owner_of(free), 5)]
    async with database.begin(SYSTEM) as tx:
        assert await fan_out(tx, pool, more, noon) == [Refused(pool_says, {"account": pool})]
    superuser.set_status(pool, "active")
    async with database.begin(SYSTEM) as tx:
        assert codes(await fan_out(tx, pool, more, noon)) == ["posted"]


async def test_nobody_to_pay(tx: Tx, pool: str, noon: datetime) -> None:
    assert await fan_out(tx, pool, [], noon) == []


async def test_a_wallet_cannot_pay_many(tx: Tx, wallet: str, noon: datetime) -> None:
    """Neither by the face nor past it."""
    await fund(tx, wallet, 10, now=noon)
    with pytest.raises(ledger.InvalidPost) as caught:
        await fan_out(tx, wallet, [Payment("p1", UserId(new_id()), 5)], noon)
    assert caught.value.facts == {"field": "source"}
    with pytest.raises(psycopg.Error) as broken:
        await tx.execute(
            "select ledger.fan_out(%s, 3::smallint, 'x', '{}', '{}', '{}', '{}', '{}', '{}', now())", [wallet]
        )
    assert broken.value.sqlstate == "PL003"


async def test_a_fan_out_has_a_limit(tx: Tx, pool: str, noon: datetime) -> None:
    with pytest.raises(ledger.BatchTooLarge):
        await fan_out(tx, pool, [Payment("p", UserId(new_id()), 1)] * 100_001, noon)


async def test_a_thousand_payments_equal_a_thousand_posts(tx: Tx, pool: str, noon: datetime) -> None:
    owners = [UserId(new_id()) for _ in range(300)]
    rows = [Payment(f"{pool}:{n}", owners[n * 7 % 300], 1 + n % 11) for n in range(1000)]
    twin = [(UserId(new_id()), owner) for owner in owners]
    twins = {owner: copy for copy, owner in twin}
    posts = [pay(f"{pool}:twin:{n}", f"user:{twins[row.owner]}:main", row.amount) for n, row in enumerate(rows)]
    paid = await fan_out(tx, pool, rows, noon)
    posted = await ledger.post_many(tx, posts, now=noon)
    assert [list(outcome.balances.values()) for outcome in paid if isinstance(outcome, Posted)] == [
        list(outcome.balances.values()) for outcome in posted if isinstance(outcome, Posted)
    ]
    assert (await ledger.verify(tx)).findings == []


async def test_each_payment_is_told_its_own_transfer(tx: Tx, pool: str, noon: datetime) -> None:
    """Ids are handed out in the order of the wallets, which is not that of the payments."""
    rows = [Payment(f"p{n}", UserId(new_id()), n) for n in range(1, 6)][::-1]
    bills = rules.judge(factory.payments(rows))
    about = {"source": pool, "kind": "competitions.prize"}
    hashes = rules.hashes(bills.payments, slice(None), asset="COIN", **about)
    carried = await posting.fan_out(
        tx, bills, hashes, asset=Asset(3, "COIN", "Coins", 0, lots=False), now=noon, **about
    )
    found = await tx.execute(
        """select t.key, t.id, e.amount, e.posted_at = t.posted_at from ledger.transfers t
        join ledger.entries e on e.transfer_id = t.id and e.leg = 1 where t.key = any (%s)""",
        [[row.key for row in rows]],
    )
    told = dict(zip(bills.payments.keys, carried.transfer_ids, strict=True))
    paid = await found.fetchall()
    assert {key: number.bytes for key, number, _, _ in paid} == told
    assert {(key, amount) for key, _, amount, _ in paid} == {(row.key, row.amount) for row in rows}


@pytest.mark.parametrize("odd", ["twice", "frozen", "new"])
async def test_one_odd_wallet_changes_nothing_for_the_plain_ones(
    database: Database, superuser: Superuser, noon: datetime, odd: str
) -> None:
    """All go another way then, and what had moved on the plain one is undone first."""
    pool, wallets = f"house:{new_id().hex}", [new_wallet() for _ in range(3)]
    async with database.begin(SYSTEM) as tx:
        for wallet in wallets:
            await fund(tx, wallet, 10, now=noon)
    if odd == "frozen":
        superuser.set_status(wallets[1], "frozen")
    people = {"twice": [*wallets, wallets[0]], "frozen": wallets, "new": [*wallets, new_wallet()]}[odd]
    rows = [Payment(f"{pool}:{n}", owner_of(wallet), 5) for n, wallet in enumerate(people)]
    async with database.begin(SYSTEM) as tx:
        outcomes = await fan_out(tx, pool, rows, noon)
        right = [{wallets[0]: (15, 2)}, {wallets[1]: (15, 2)}, {wallets[2]: (15, 2)}]
        last = {"twice": [{wallets[0]: (20, 3)}], "frozen": [], "new": [{people[-1]: (5, 1)}]}[odd]
        told = [outcome.balances if isinstance(outcome, Posted) else outcome.code for outcome in outcomes]
        assert told == [right[0], "ledger.account_frozen" if odd == "frozen" else right[1], right[2], *last]
        assert (await ledger.verify(tx)).findings == []
