"""Balances, wallets and statements, now and then."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from palio import ledger
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger import Cursor, Filter, Post, Wallet
from tests.factories.ledger import HOUSE, codes, fund, new_wallet, owner_of, pay

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
SYSTEM = Actor("system", None, RequestId(new_id()))


async def test_an_account_nobody_used_has_nothing(tx: Tx, wallet: str, noon: datetime) -> None:
    assert await ledger.balance(tx, address=wallet, asset="COIN") == 0
    assert await ledger.balance(tx, address=wallet, asset="COIN", at=noon) == 0
    assert await ledger.balance(tx, address="house:nobody", asset="XXX") == 0


async def test_a_balance_at_an_instant_equals_a_replay_of_the_entries(tx: Tx, wallet: str, noon: datetime) -> None:
    """A hundred instants, for a wallet and for the open account on the other side."""
    seed = random.Random(20260320)  # noqa: S311 - the same walk every time
    house = f"house:{new_id().hex}"
    moments = sorted(noon + timedelta(seconds=seed.randrange(1000)) for _ in range(200))
    for part in range(0, 200, 20):
        items = []
        for n in range(part, part + 20):
            items.append(Post(f"{house}:{n}", "ledger.transfer", ((wallet, "COIN", n + 1), (house, "COIN", -n - 1))))
            await ledger.post_many(tx, items[-1:], now=moments[n])
    entries = await (
        await tx.execute(
            """select e.posted_at, e.amount from ledger.entries e join ledger.accounts a on a.id = e.account_id
            where a.address = %s""",
            [wallet],
        )
    ).fetchall()
    for _ in range(100):
        at = noon + timedelta(seconds=seed.randrange(-10, 1010))
        replayed = sum(amount for posted_at, amount in entries if posted_at <= at)
        assert await ledger.balance(tx, address=wallet, asset="COIN", at=at) == replayed
        assert await ledger.balance(tx, address=house, asset="COIN", at=at) == -replayed


async def test_balances_of_many_include_those_who_have_none(tx: Tx, wallet: str, noon: datetime) -> None:
    await fund(tx, wallet, 7, now=noon)
    await fund(tx, wallet, 9, now=noon, asset="USD")
    nobody = UserId(new_id())
    found = await ledger.balances_many(tx, owner_ids=[nobody, owner_of(wallet)], asset="COIN")
    assert found == {nobody: 0, owner_of(wallet): 7}


async def test_wallets_list_every_active_asset(tx: Tx, wallet: str, noon: datetime) -> None:
    await fund(tx, wallet, 1250, now=noon, asset="USD")
    await ledger.post(tx, pay("debt", wallet.replace(":main", ":debt"), -30), now=noon)
    found = await ledger.wallets(tx, owner_id=owner_of(wallet))
    assert found == [
        Wallet("USD", 2, 1250, 0, 0, noon),
        Wallet("QC", 2, 0, 0, 0, None),
        Wallet("COIN", 0, 0, 0, -30, None),
        Wallet("INPUT", 0, 0, 0, 0, None),
        Wallet("XTR", 0, 0, 0, 0, None),
    ]
    assert found[0].available == 1250


async def test_the_view_of_wallets_has_the_columns_of_its_readers(tx: Tx, wallet: str, noon: datetime) -> None:
    await fund(tx, wallet, 5, now=noon)
    await ledger.post(tx, pay("debt", wallet.replace(":main", ":debt"), -30), now=noon)
    found = await tx.execute(
        "select asset, balance, frozen, available, last_posted_at from ledger.wallets where owner_id = %s",
        [owner_of(wallet)],
    )
    assert await found.fetchall() == [("COIN", 5, 0, 5, noon)]


@pytest.fixture
async def history(tx: Tx, wallet: str, noon: datetime) -> str:
    """Fifty lines of one instant, then one a day on each of three days."""
    await ledger.post_many(tx, [pay(f"h{n}", wallet, n + 1) for n in range(50)], now=noon)
    await ledger.post(tx, pay("debit", wallet, -100, description="out", metadata={"ref": "x"}), now=noon + DAY)
    prize = Post("prize", "competitions.prize", ((wallet, "COIN", 40), ("pool:x", "COIN", -40)))
    await ledger.post(tx, prize, now=noon + 2 * DAY)
    await ledger.post(tx, pay("last", wallet, -1), now=noon + 3 * DAY)
    return wallet


@pytest.mark.parametrize("size", [1, 7, 20, 53, 200])
async def test_pages_hold_each_line_once(tx: Tx, history: str, noon: datetime, size: int) -> None:
    """Also when a line is added on the way; and the walk ends."""
    seen: list[int] = []
    after: Cursor | None = None
    for step in range(60):
        page = await ledger.statement(tx, owner_id=owner_of(history), asset="COIN", after=after, limit=size)
        seen += [line.seq for line in page.lines]
        if step == 0:
            await ledger.post(tx, pay("meanwhile", history, 1), now=noon + 4 * DAY)
        if page.next is None:
            break
        after = page.next
    assert seen == list(range(53, 0, -1))


async def test_a_page_is_at_most_10_000_lines(tx: Tx, wallet: str, noon: datetime) -> None:
    await ledger.post_many(tx, [pay(f"h{n}", wallet, 1) for n in range(10_000)], now=noon)
    await ledger.post(tx, pay("h10000", wallet, 1), now=noon)
    await tx.execute("set local enable_seqscan = off")  # of rows that nobody else sees there are no statistics
    await tx.execute("set local statement_timeout = '60s'")  # and whatever plan that leads to is allowed to end
    page = await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN", limit=20_000)
    assert len(page.lines) == 10_000
    assert page.next == Cursor(noon, 2)
    assert len((await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN")).lines) == 50
    assert len((await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN", limit=0)).lines) == 1


async def test_a_line_tells_what_happened(tx: Tx, history: str, noon: datetime) -> None:
    page = await ledger.statement(tx, owner_id=owner_of(history), asset="COIN", wanted=Filter(direction="debit"))
    last, out = page.lines
    assert (last.amount, last.balance_after, last.description, last.metadata, last.reverses_id) == (
        -1,
        1214,
        "",
        {},
        None,
    )
    assert (out.seq, out.kind, out.category, out.amount, out.balance_after) == (
        51,
        "ledger.transfer",
        "transfer",
        -100,
        1175,
    )
    assert (out.description, out.metadata, out.posted_at) == ("out", {"ref": "x"}, noon + DAY)


@pytest.mark.parametrize(
    ("wanted", "seqs"),
    [
        (Filter(direction="debit"), [53, 51]),
        (Filter(kinds=["competitions.prize"]), [52]),
        (Filter(categories=["prize", "bet"]), [52]),
        (Filter(categories=["bet"]), []),
        (Filter(amount_min=49), [51, 50, 49]),
        (Filter(amount_min=40, amount_max=41), [52, 41, 40]),
        (Filter(amount_max=1, direction="credit"), [1]),
        (Filter(since=datetime(2026, 3, 21, 12, tzinfo=UTC), until=datetime(2026, 3, 22, 12, tzinfo=UTC)), [51]),
        (Filter(since=datetime(2026, 3, 22, tzinfo=UTC)), [53, 52]),
    ],
)
async def test_lines_are_filtered(tx: Tx, history: str, wanted: Filter, seqs: list[int]) -> None:
    page = await ledger.statement(tx, owner_id=owner_of(history), asset="COIN", wanted=wanted)
    assert [line.seq for line in page.lines] == seqs


async def test_an_unknown_asset_has_no_statement(tx: Tx, wallet: str) -> None:
    with pytest.raises(ledger.UnknownAsset):
        await ledger.statement(tx, owner_id=owner_of(wallet), asset="EUR")


async def test_a_strangers_cursor_leads_nowhere(database: Database, wallet: str, noon: datetime) -> None:
    """Row security, not the cursor, decides whose lines there are."""
    stranger = new_wallet()
    async with database.begin(SYSTEM) as tx:
        items = [pay(f"{wallet}:{n}", wallet, 5) for n in range(3)]
        assert codes(await ledger.post_many(tx, items, now=noon)) == ["posted"] * 3
        page = await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN", limit=1)
    async with database.begin(Actor("player", owner_of(stranger), RequestId(new_id()))) as tx:
        assert (await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN", after=page.next)).lines == []
        assert (await ledger.wallets(tx, owner_id=owner_of(wallet)))[2].balance == 0
        assert await ledger.balance(tx, address=wallet, asset="COIN") == 0
        assert await ledger.balance(tx, address=wallet, asset="COIN", at=noon) == 0
    async with database.begin(Actor("player", owner_of(wallet), RequestId(new_id()))) as tx:
        own = await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN", after=page.next)
        assert [line.seq for line in own.lines] == [2, 1]
        assert HOUSE not in str(own)
