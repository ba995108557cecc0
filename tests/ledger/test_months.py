"""Months of a wallet, its balance at an instant, and what is set aside of it: read by its owner, adding up."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio import ledger
from palio.infra.db import Database, Tx
from palio.infra.ratelimit import Limiter
from palio.kernel.ids import UserId, new_id
from palio.ledger import Capture, Held, Hold, Post
from palio.ledger.rules import months
from palio.ledger.types import Flow, MonthStatement
from tests.conftest import SYSTEM
from tests.factories.ledger import HOUSE, new_wallet, owner_of, pay
from tests.ui.conftest import talk_to
from tests.ui.people import caller
from tests.ui.product import product

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
REASON = "asked for it by letter"


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(product(database)) as client:
        yield client


async def seed(tx: Tx) -> UserId:
    """Somebody with movements on both sides of the edges of March."""
    wallet = new_wallet()
    moved = [
        (datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC), "ledger.opening", 500),
        (datetime(2026, 3, 1, tzinfo=UTC), "bonuses.daily", 50),
        (datetime(2026, 3, 9, 12, tzinfo=UTC), "games.bet", -120),
        (datetime(2026, 3, 9, 13, tzinfo=UTC), "games.bet", -30),
        (datetime(2026, 3, 9, 13, tzinfo=UTC), "games.win", 90),
        (datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=UTC), "bonuses.wheel", 7),
        (datetime(2026, 4, 1, tzinfo=UTC), "bonuses.daily", 1000),
    ]
    for n, (at, kind, amount) in enumerate(moved):
        legs = ((wallet, "COIN", amount), (HOUSE, "COIN", -amount))
        await ledger.post(tx, Post(f"{wallet}:{n}", kind, legs, "=1+1"), now=at)
    return owner_of(wallet)


@pytest.fixture
async def owner(database: Database) -> UserId:
    async with database.begin(SYSTEM) as tx:
        return await seed(tx)


async def ask(client: httpx2.AsyncClient, owner: UserId, path: str, status: int = 200) -> httpx2.Response:
    answer = await client.get(f"/api/v1/wallet{path}", headers=caller("player", owner))
    assert answer.status_code == status, answer.text
    return answer


async def test_a_month_begins_and_ends_at_midnight_and_adds_up(tx: Tx) -> None:
    owner = await seed(tx)
    found = await ledger.month_statement(tx, owner_id=owner, asset="COIN", month=date(2026, 3, 17))
    assert found == MonthStatement(
        date(2026, 3, 1),
        opening=500,
        closing=497,
        flows=[Flow("bet", 0, 150, 2), Flow("bonus", 57, 0, 2), Flow("win", 90, 0, 1)],
        first_seq=2,
    )
    assert (found.opening + found.came - found.went, found.lines) == (found.closing, 5)
    before = await ledger.month_statement(tx, owner_id=owner, asset="COIN", month=date(2026, 2, 1))
    after = await ledger.month_statement(tx, owner_id=owner, asset="COIN", month=date(2026, 4, 1))
    later = await ledger.month_statement(tx, owner_id=owner, asset="COIN", month=date(2026, 12, 31))
    assert (before.opening, before.closing, after.opening, after.closing) == (0, 500, 497, 1497)
    assert (later.opening, later.closing, later.flows) == (1497, 1497, [])
    with pytest.raises(ledger.UnknownAsset):
        await ledger.month_statement(tx, owner_id=owner, asset="GOLD", month=date(2026, 3, 1))


async def test_a_month_agrees_with_balances_at_its_edges(tx: Tx) -> None:
    owner = await seed(tx)
    for month in (date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)):
        begins, ends = months.edges(month)
        found = await ledger.month_statement(tx, owner_id=owner, asset="COIN", month=month)
        at_edges = [
            await ledger.balance(tx, address=f"user:{owner}:main", asset="COIN", at=edge - timedelta(microseconds=1))
            for edge in (begins, ends)
        ]
        assert [found.opening, found.closing] == at_edges


async def test_hiding_leaves_a_month_as_it_is(tx: Tx) -> None:
    owner = await seed(tx)
    before = await ledger.month_statement(tx, owner_id=owner, asset="COIN", month=date(2026, 3, 1))
    for seq in (2, 3):
        await ledger.hide(tx, owner_id=owner, asset="COIN", seq=seq, now=NOON, reason=REASON)
    assert await ledger.month_statement(tx, owner_id=owner, asset="COIN", month=date(2026, 3, 1)) == before


async def test_a_month_is_told(client: httpx2.AsyncClient, owner: UserId) -> None:
    found = (await ask(client, owner, "/COIN/statement?month=2026-03")).json()
    assert (found["month"], found["opening"]["amount"], found["closing"]["amount"]) == ("2026-03", 500, 497)
    assert [(flow["category"], flow["amount"]["amount"]) for flow in found["in"]] == [("bonus", 57), ("win", 90)]
    assert [(flow["category"], flow["amount"]["amount"]) for flow in found["out"]] == [("bet", -150)]
    assert found["lines"] == 5


async def test_the_file_of_a_month_adds_up_whatever_is_hidden(
    client: httpx2.AsyncClient, owner: UserId, database: Database
) -> None:
    async with database.begin(SYSTEM) as tx:
        await ledger.hide(tx, owner_id=owner, asset="COIN", seq=3, now=NOON, reason=REASON)
    answer = await ask(client, owner, "/COIN/statement?month=2026-03&format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"] == 'attachment; filename="wallet-COIN-2026-03.csv"'
    assert answer.headers["cache-control"] == "no-store"
    assert [(int(row["seq"]), int(row["amount_amount"]), row["hidden"]) for row in rows] == [
        *((2, 50, "false"), (3, -120, "true"), (4, -30, "false"), (5, 90, "false"), (6, 7, "false")),
    ]
    assert sum(int(row["amount_amount"]) for row in rows) == 497 - 500
    assert {row["description"] for row in rows} == {"'=1+1"}
    empty = await ask(client, owner, "/COIN/statement?month=2026-01&format=csv")
    assert empty.text == answer.text.splitlines(keepends=True)[0]


async def test_a_long_month_is_a_file_of_many_parts(client: httpx2.AsyncClient, database: Database) -> None:
    wallet = new_wallet()
    noon = datetime(2026, 3, 20, 12, tzinfo=UTC)
    async with database.begin(SYSTEM) as tx:
        await ledger.post_many(tx, [pay(f"{wallet}:{n}", wallet, n + 1) for n in range(2_000)], now=noon)
        await ledger.post(tx, pay(f"{wallet}:next", wallet, 5), now=datetime(2026, 4, 1, tzinfo=UTC))
    answer = await ask(client, owner_of(wallet), "/COIN/statement?month=2026-03&format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["seq"]) for row in rows] == list(range(1, 2_001))
    assert sum(int(row["amount_amount"]) for row in rows) == 2_001_000


async def test_files_are_counted_and_figures_are_not(database: Database, owner: UserId) -> None:
    """Six an hour, for each player; what is no file is read on."""
    path = "/COIN/statement?month=2026-03"
    async with talk_to(product(database, limiter=Limiter(database, new_id().bytes * 2))) as client:
        for _ in range(6):
            await ask(client, owner, f"{path}&format=csv")
        refused = (await ask(client, owner, f"{path}&format=csv", 429)).json()
        assert (refused["facts"]["policy"], refused["facts"]["limit"]) == ("wallet-files", 6)
        await ask(client, owner, path)
        await ask(client, UserId(new_id()), f"{path}&format=csv")


@pytest.mark.parametrize("lines", [1_000_001, 1_000_000])
def test_a_file_has_its_limit(lines: int) -> None:
    found = MonthStatement(date(2026, 3, 1), 0, lines, [Flow("bonus", lines, 0, lines)], 1)
    if lines > 1_000_000:
        with pytest.raises(ledger.StatementTooLong) as refused:
            months.require_room(found, 1_000_000)
        assert refused.value.facts == {"lines": 1_000_001, "limit": 1_000_000}
    else:
        months.require_room(found, 1_000_000)


@pytest.mark.parametrize(
    ("at", "balance"),
    [
        ("2026-02-28T23:59:59.999998Z", 0),
        ("2026-02-28T23:59:59.999999Z", 500),
        ("2026-03-01", 550),
        ("2026-03-09T13:00:00%2B01:00", 430),
        ("2026-03-09T13:00:00Z", 490),
        ("2030-01-01", 1497),
    ],
)
async def test_a_balance_is_what_it_was(client: httpx2.AsyncClient, owner: UserId, at: str, balance: int) -> None:
    assert (await ask(client, owner, f"/COIN/balance?at={at}")).json()["balance"]["amount"] == balance


async def test_a_balance_without_an_instant_is_that_of_now(client: httpx2.AsyncClient, owner: UserId) -> None:
    found = (await ask(client, owner, "/COIN/balance")).json()
    assert found == {
        "asset": "COIN",
        "scale": 0,
        "at": "2026-03-20T12:00:00.000000Z",
        "balance": {"asset": "COIN", "amount": 1497, "text": "1497"},
    }


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/COIN/balance?at=2026-03-01T12:00:00", 422),
        ("/COIN/balance?at=soon", 422),
        ("/GOLD/balance", 404),
        ("/GOLD/statement?month=2026-03", 404),
        ("/COIN/statement", 422),
        ("/COIN/statement?month=2026-13", 422),
        ("/COIN/statement?month=2026-3", 422),
        ("/COIN/statement?month=0000-01", 422),
        ("/COIN/statement?month=9999-12", 422),
        ("/COIN/statement?month=2026-03&format=pdf", 422),
        ("/holds?cursor=nonsense", 400),
    ],
)
async def test_what_cannot_be_read_is_refused(
    client: httpx2.AsyncClient, owner: UserId, path: str, status: int
) -> None:
    await ask(client, owner, path, status)


async def test_holds_say_for_what_until_when_and_what_was_taken(
    client: httpx2.AsyncClient, database: Database, noon: datetime
) -> None:
    """Only those that are open, page by page, and only to whom they belong."""
    wallet = new_wallet()
    until = noon + timedelta(days=2)
    async with database.begin(SYSTEM) as tx:
        await ledger.post(tx, pay(f"{wallet}:fund", wallet, 1000), now=noon)
        held = await ledger.hold_many(
            tx,
            [Hold(f"{wallet}:h{n}", wallet, "COIN", 100 + n, f"order:{n}", "store.order", until) for n in range(4)],
            now=noon,
        )
        ids = [outcome.hold_id for outcome in held if isinstance(outcome, Held)]
        legs = ((wallet, "COIN", -60), (HOUSE, "COIN", 60))
        await ledger.capture_many(tx, [Post(f"{wallet}:c", "store.order", legs, capture=Capture(ids[2]))], now=noon)
        await ledger.void_many(tx, [ledger.Void(f"{wallet}:v", ids[0])], now=noon)
    owner = owner_of(wallet)

    found = (await ask(client, owner, "/holds")).json()
    told = [(one["subject"], one["amount"]["amount"], one["captured"]["amount"]) for one in found["items"]]
    assert told == [("order:3", 103, 0), ("order:2", 102, 60), ("order:1", 101, 0)]
    assert found["items"][1] == {
        "id": str(ids[2]),
        "asset": "COIN",
        "kind": "store.order",
        "label": "Order",
        "subject": "order:2",
        "amount": {"asset": "COIN", "amount": 102, "text": "102"},
        "captured": {"asset": "COIN", "amount": 60, "text": "60"},
        "remaining": {"asset": "COIN", "amount": 42, "text": "42"},
        "created_at": "2026-03-20T12:00:00.000000Z",
        "expires_at": "2026-03-22T12:00:00.000000Z",
    }
    wallets = {one["asset"]: one for one in (await ask(client, owner, "")).json()["items"]}
    assert (wallets["COIN"]["held"]["amount"], wallets["COIN"]["available"]["amount"]) == (246, 694)

    first = (await ask(client, owner, "/holds?limit=2")).json()
    second = (await ask(client, owner, f"/holds?limit=2&cursor={first['next']}")).json()
    back = (await ask(client, owner, f"/holds?limit=2&cursor={second['prev']}")).json()
    pages = [[one["subject"] for one in page["items"]] for page in (first, second, back)]
    assert pages == [["order:3", "order:2"], ["order:1"], ["order:3", "order:2"]]
    assert (first["prev"], second["next"], back["prev"]) == (None, None, None)

    stranger = UserId(new_id())
    assert (await ask(client, stranger, "/holds")).json()["items"] == []
    await ask(client, stranger, f"/holds?limit=2&cursor={first['next']}", 422)


async def test_what_a_stranger_asks_about_himself_is_nothing(client: httpx2.AsyncClient, owner: UserId) -> None:
    stranger = UserId(new_id())
    assert (await ask(client, stranger, "/COIN/balance")).json()["balance"]["amount"] == 0
    found = (await ask(client, stranger, "/COIN/statement?month=2026-03")).json()
    assert (found["opening"]["amount"], found["in"], found["out"], found["lines"]) == (0, [], [], 0)


@given(st.dates(date(1, 1, 1), date(9998, 12, 31)))
def test_a_month_holds_its_days_and_no_other(day: date) -> None:
    begins, ends = months.edges(day)
    assert begins <= months.midnight(day) < ends
    assert (begins.day, ends.day) == (1, 1)
    assert {(begins + timedelta(days=n)).month for n in range((ends - begins).days)} == {day.month}


def test_months_go_back_to_the_first_movement() -> None:
    found = months.down_to(date(2025, 11, 30), date(2026, 2, 1))
    assert found == [date(2026, 2, 1), date(2026, 1, 1), date(2025, 12, 1), date(2025, 11, 1)]
    assert months.down_to(date(2026, 2, 1), date(2026, 2, 28)) == [date(2026, 2, 1)]
    assert len(months.down_to(date(1990, 1, 1), date(2026, 2, 1))) == months.MONTHS_MAX
