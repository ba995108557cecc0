"""Value moves exactly, once, and is refused without a trace."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from palio import ledger
from palio.infra import embedded
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger import Hold, Post, Posted, Refused
from tests.factories.ledger import HOUSE, Superuser, codes, fund, new_wallet, owner_of, pay

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


async def kept(tx: Tx, wallet: str) -> tuple[int, int, int]:
    """How many keys, transfers and entries there are for a wallet's key prefix."""
    found = await tx.execute(
        """select (select count(*) from ledger.keys where key like %(like)s),
          (select count(*) from ledger.transfers where key like %(like)s),
          (select count(*) from ledger.entries e join ledger.transfers t on t.id = e.transfer_id
            where t.key like %(like)s)""",
        {"like": f"{wallet}%"},
    )
    return await found.fetchone()  # type: ignore[return-value]


async def test_a_batch_answers_each_item_in_order(tx: Tx, wallet: str, noon: datetime) -> None:
    """Posted, refused, replayed, mismatch; the refused key stays free."""
    await fund(tx, wallet, 1000, now=noon)

    first, second, third, fourth = await ledger.post_many(
        tx,
        [pay("k1", wallet, -600), pay("k2", wallet, -600), pay("k1", wallet, -600), pay("k1", wallet, -601)],
        now=noon,
    )

    assert isinstance(first, Posted)
    assert first == Posted(first.transfer_id, {wallet: (400, 2)}, noon)
    assert second == Refused("ledger.insufficient_funds", {"available": 400, "needed": 600})
    assert third == Posted(first.transfer_id, {wallet: (400, 2)}, noon, replayed=True)
    assert fourth == Refused("ledger.key_mismatch")
    keys = await (await tx.execute("select key from ledger.keys where key in ('k1', 'k2')")).fetchall()
    assert keys == [("k1",)]
    assert await ledger.balance(tx, address=wallet, asset="COIN") == 400


async def test_a_repeat_answers_the_same_and_changes_nothing(tx: Tx, wallet: str, noon: datetime) -> None:
    """A credit makes room for a later debit of the batch; the same call again is two replays."""
    await fund(tx, wallet, 400, now=noon)
    batch = [pay("c1", wallet, 500), pay("k2", wallet, -600)]

    before = await ledger.post_many(tx, batch, now=noon)
    again = await ledger.post_many(tx, batch, now=noon + SECOND)

    assert codes(before) == ["posted", "posted"]
    assert again == [o._replace(replayed=True) for o in before if isinstance(o, Posted)]
    assert await ledger.balance(tx, address=wallet, asset="COIN") == 300
    assert await ledger.total(tx) == 0


async def test_a_replay_may_carry_other_texts(tx: Tx, wallet: str, noon: datetime) -> None:
    first = await ledger.post(tx, pay("k", wallet, 5, description="first", metadata={"try": 1}), now=noon)
    again = await ledger.post(tx, pay("k", wallet, 5, description="again", metadata={"try": 2}), now=noon)
    assert again == first._replace(replayed=True)
    [line] = (await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN")).lines
    assert (line.description, line.metadata) == ("first", {"try": 1})


async def test_mode_all_says_what_was_wrong_and_keeps_nothing(database: Database, wallet: str, noon: datetime) -> None:
    async with database.begin(SYSTEM) as tx:
        await fund(tx, wallet, 1000, now=noon)
    items = [(f"{wallet}1", -600), (f"{wallet}2", -600), (f"{wallet}1", -600), (f"{wallet}1", -601)]

    with pytest.raises(ledger.BatchRefused) as caught:
        async with database.begin(SYSTEM) as tx:
            await ledger.post_many(tx, [pay(key, wallet, amount) for key, amount in items], now=noon, mode="all")

    assert codes(caught.value.facts["outcomes"]) == [  # type: ignore[arg-type]
        "ledger.batch_aborted",
        "ledger.insufficient_funds",
        "ledger.batch_aborted",
        "ledger.key_mismatch",
    ]
    async with database.begin(SYSTEM) as tx:
        assert await kept(tx, wallet) == (0, 0, 0)
        assert await ledger.balance(tx, address=wallet, asset="COIN") == 1000


async def test_mode_all_without_a_refusal_posts(tx: Tx, wallet: str, noon: datetime) -> None:
    outcomes = await ledger.post_many(tx, [pay("a", wallet, 5), pay("b", wallet, -5)], now=noon, mode="all")
    assert codes(outcomes) == ["posted", "posted"]


async def test_a_dry_run_answers_the_same_and_keeps_nothing(tx: Tx, wallet: str, noon: datetime) -> None:
    items = [pay(f"{wallet}1", wallet, 10), pay(f"{wallet}2", wallet, -11)]
    rehearsed = await ledger.post_many(tx, items, now=noon, dry_run=True)
    assert codes(rehearsed) == ["posted", "ledger.insufficient_funds"]
    assert await kept(tx, wallet) == (0, 0, 0)
    assert codes(await ledger.post_many(tx, items, now=noon)) == codes(rehearsed)


async def test_a_refused_item_changes_nothing_and_its_neighbours_stand(tx: Tx, wallet: str, noon: datetime) -> None:
    bad = Post("bad", "ledger.transfer", ((wallet, "COIN", 1.5), (HOUSE, "COIN", -1)))  # type: ignore[arg-type]
    unknown = Post("unknown", "ledger.bribe", ((wallet, "EUR", 1), (HOUSE, "EUR", -1)))
    outcomes = await ledger.post_many(tx, [bad, pay("good", wallet, 5), unknown], now=noon)
    assert outcomes[0] == Refused("ledger.invalid", {"field": "amount"})
    assert isinstance(outcomes[1], Posted)
    assert outcomes[2] == Refused("ledger.invalid", {"field": "kind"})


async def test_a_refused_key_can_be_used_again_later(tx: Tx, wallet: str, noon: datetime) -> None:
    assert codes(await ledger.post_many(tx, [pay("later", wallet, -5)], now=noon)) == ["ledger.insufficient_funds"]
    await fund(tx, wallet, 5, now=noon)
    assert codes(await ledger.post_many(tx, [pay("later", wallet, -5)], now=noon)) == ["posted"]


async def test_a_refusal_is_not_tried_again_inside_the_batch(tx: Tx, wallet: str, noon: datetime) -> None:
    """One key, one decision, although the credit between would have made room."""
    batch = [pay("k", wallet, -5), pay("c", wallet, 5), pay("k", wallet, -5)]
    assert codes(await ledger.post_many(tx, batch, now=noon)) == [
        "ledger.insufficient_funds",
        "posted",
        "ledger.insufficient_funds",
    ]


async def test_one_item_raises_its_refusal(tx: Tx, wallet: str, noon: datetime) -> None:
    with pytest.raises(ledger.InsufficientFunds) as caught:
        await ledger.post(tx, pay("k", wallet, -5), now=noon)
    assert caught.value.facts == {"available": 0, "needed": 5}


async def test_an_empty_batch_has_no_outcomes(tx: Tx, noon: datetime) -> None:
    assert await ledger.post_many(tx, [], now=noon) == []


@pytest.mark.parametrize(("items", "legs"), [(10_001, 2), (501, 100)])
async def test_a_batch_has_limits(tx: Tx, wallet: str, noon: datetime, items: int, legs: int) -> None:
    post = Post("k", "ledger.transfer", tuple((HOUSE, "COIN", 1) for _ in range(legs)))
    with pytest.raises(ledger.BatchTooLarge):
        await ledger.post_many(tx, [post] * items, now=noon)


async def test_a_transfer_moves_several_assets_at_once(tx: Tx, wallet: str, noon: datetime) -> None:
    """An exchange: each asset balances by itself."""
    await fund(tx, wallet, 100, now=noon)
    house = "house:exchange"
    legs = (wallet, "COIN", -100), (house, "COIN", 100), (house, "USD", -50), (wallet, "USD", 50)
    await ledger.post(tx, Post("swap", "ledger.transfer", legs), now=noon)
    assert await ledger.balance(tx, address=wallet, asset="COIN") == 0
    assert await ledger.balance(tx, address=wallet, asset="USD") == 50
    assert await ledger.balance(tx, address=house, asset="USD") == -50


async def test_an_exact_balance_never_leaves_the_exact_range(tx: Tx, wallet: str, noon: datetime) -> None:
    await fund(tx, wallet, 2**53 - 1, now=noon)
    outcomes = await ledger.post_many(tx, [pay("k", wallet, 1)], now=noon)
    assert outcomes == [Refused("ledger.balance_limit", {"account": wallet})]


async def test_a_debt_account_goes_below_zero_to_its_floor_and_never_above(tx: Tx, wallet: str, noon: datetime) -> None:
    debt = wallet.replace(":main", ":debt")
    outcomes = await ledger.post_many(
        tx, [pay("d1", debt, -(10**9)), pay("d2", debt, -1), pay("d3", debt, 10**9), pay("d4", debt, 1)], now=noon
    )
    assert codes(outcomes) == ["posted", "ledger.insufficient_funds", "posted", "ledger.balance_limit"]


@pytest.mark.parametrize(
    ("status", "debit", "credit"),
    [
        ("no_debit", "ledger.account_frozen", "posted"),
        ("frozen", "ledger.account_frozen", "ledger.account_frozen"),
        ("closed", "ledger.account_closed", "ledger.account_closed"),
    ],
)
async def test_a_status_stops_debits_or_everything(
    database: Database, superuser: Superuser, status: str, debit: str, credit: str
) -> None:
    """On a wallet and on an open account alike."""
    wallet, house = new_wallet(), f"house:{new_id().hex}"
    run = new_id().hex

    def move(key: str, amount: int) -> Post:
        return Post(f"{run}:{key}", "ledger.transfer", ((wallet, "COIN", amount), (house, "COIN", -amount)))

    async with database.begin(SYSTEM) as tx:
        await ledger.post(tx, move("first", 10), now=NOON)
    for address in (wallet, house):
        sign = 1 if address == wallet else -1  # what takes from one gives to the other
        superuser.set_status(address, status)
        async with database.begin(SYSTEM) as tx:
            items = [move("debit", -5 * sign), move("credit", 5 * sign)]
            outcomes = await ledger.post_many(tx, items, now=NOON, dry_run=True)
        superuser.set_status(address, "active")
        assert codes(outcomes) == [debit, credit]
        assert outcomes[0] == Refused(debit, {"account": address})


async def test_time_never_runs_against_seq(tx: Tx, wallet: str, noon: datetime) -> None:
    """Posted after its last one although the clock of this transaction is behind; the house does not care."""
    other = new_wallet()
    await ledger.post_many(tx, [pay("a", wallet, 1)], now=noon)
    await ledger.post_many(tx, [pay("b", wallet, 1), pay("c", other, 1)], now=noon - SECOND)
    lines = (await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN")).lines
    assert [(line.seq, line.posted_at) for line in lines] == [(2, noon), (1, noon)]
    [line] = (await ledger.statement(tx, owner_id=owner_of(other), asset="COIN")).lines
    assert line.posted_at == noon - SECOND


async def test_an_item_of_the_system_may_name_its_actor(tx: Tx, wallet: str, noon: datetime) -> None:
    player = UserId(new_id())
    actor = Actor("player", player, RequestId(new_id()))
    await ledger.post_many(tx, [pay("a", wallet, 1, actor=actor), pay("b", wallet, 1)], now=noon)
    found = await (
        await tx.execute("select actor from ledger.transfers where key in ('a', 'b') order by key")
    ).fetchall()
    assert found == [(f"player:{player}",), ("system",)]


async def test_nobody_else_may_name_one(database: Database, wallet: str, noon: datetime) -> None:
    staff = Actor("staff", UserId(new_id()), RequestId(new_id()))
    forged = Actor("player", owner_of(wallet), RequestId(new_id()))
    key = f"{wallet}:forged"
    async with database.begin(staff) as tx:
        await ledger.post(tx, pay(key, wallet, 1, actor=forged), now=noon)
        found = await (await tx.execute("select actor from ledger.transfers where key = %s", [key])).fetchone()
    assert found == (f"staff:{staff.user_id}",)


async def test_accounts_undone_by_a_savepoint_are_made_again(database: Database, wallet: str, noon: datetime) -> None:
    """The number is remembered when the transaction commits, although the part that made it was undone."""
    house = f"house:{new_id().hex}"

    def item(key: str) -> Post:
        return Post(key, "ledger.transfer", ((wallet, "COIN", 1), (house, "COIN", -1)))

    async with database.begin(SYSTEM) as tx, tx.transaction(force_rollback=True):
        await ledger.post(tx, item(f"{wallet}:1"), now=noon)
    async with database.begin(SYSTEM) as tx:
        posted = await ledger.post(tx, item(f"{wallet}:2"), now=noon)
        assert posted.balances == {wallet: (1, 1)}


async def test_locked_accounts_let_a_use_case_post_twice(tx: Tx, wallet: str, noon: datetime) -> None:
    await ledger.lock_many(tx, [(wallet, "COIN"), (HOUSE, "COIN")], now=noon)
    await ledger.post(tx, pay("a", wallet, 5), now=noon)
    await ledger.post(tx, pay("b", wallet, -5), now=noon)
    assert await ledger.balance(tx, address=wallet, asset="COIN") == 0


@pytest.mark.parametrize(("place", "field"), [(("vault:main", "COIN"), "address"), (("house:games", "EUR"), "asset")])
async def test_only_real_places_are_locked(tx: Tx, noon: datetime, place: tuple[str, str], field: str) -> None:
    with pytest.raises(ledger.InvalidPost) as caught:
        await ledger.lock_many(tx, [place], now=noon)
    assert caught.value.facts == {"field": field}


@pytest.mark.parametrize(("held", "trips_wanted"), [(0, 1), (1, 2)], ids=["plain", "with a hold"])
async def test_ten_thousand_items_take_one_or_two_round_trips(
    cluster: embedded.Cluster, database_name: str, noon: datetime, held: int, trips_wanted: int
) -> None:
    """Counted by the driver; every balance is that of a plain sum."""
    wallets = [new_wallet() for _ in range(100)]
    run = new_id().hex
    items = [pay(f"{run}:{n}", wallets[n % 100], 1 + n % 7 if n < 5000 else -(1 + n % 3)) for n in range(10_000)]
    holds = [Hold(f"{run}:hold", wallets[0], "COIN", 1, "a bet", "ledger.transfer")] * held
    async with opened(cluster, database_name) as database:
        async with database.begin(SYSTEM) as tx:
            await ledger.lock_many(tx, [(wallet, "COIN") for wallet in (*wallets, HOUSE)], now=noon)
            await ledger.post_many(tx, [pay(f"{run}:warm", wallets[0], 1)], now=noon, dry_run=True)
        async with database.begin(SYSTEM) as tx:
            with counted(tx) as trips:
                outcomes = await ledger.post_many(tx, [*items[held:], *holds], now=noon)
            assert trips == [trips_wanted]
            assert set(codes(outcomes)) <= {"posted", "held"}

        plain: dict[str, int] = dict.fromkeys(wallets, 0)
        for item in items[held:]:
            plain[item.legs[0][0]] += item.legs[0][2]
        async with database.begin(SYSTEM) as tx:
            found = await ledger.balances_many(tx, owner_ids=[owner_of(wallet) for wallet in wallets], asset="COIN")
        assert {f"user:{owner}:main": balance for owner, balance in found.items()} == plain


@asynccontextmanager
async def opened(cluster: embedded.Cluster, name: str) -> AsyncIterator[Database]:
    """A process of its own: nothing remembered, nothing prepared."""
    database = Database(cluster.dsn("palio_app", name))
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()


@contextmanager
def counted(tx: Tx) -> Iterator[list[int]]:
    """How often the server said that it was ready again; the number is there when the block has ended."""
    trips: list[int] = []
    with tempfile.TemporaryFile("w+b") as trace:
        tx.pgconn.trace(trace.fileno())
        yield trips
        tx.pgconn.untrace()
        trace.seek(0)
        trips.append(trace.read().count(b"ReadyForQuery"))
