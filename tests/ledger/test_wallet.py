"""The wallet over HTTP: what its owner reads of it, and that nobody else learns it is there."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx2
import pytest

from palio import ledger
from palio.infra.db import Database
from palio.kernel.ids import UserId, new_id
from palio.ledger import Post
from tests.conftest import SYSTEM
from tests.factories.ledger import HOUSE, new_wallet, owner_of, pay
from tests.ui.conftest import talk_to
from tests.ui.people import caller
from tests.ui.product import product

HOUR = timedelta(hours=1)
COMPETITION = "01981f2c-7d1e-7a33-9c52-6f0a3b1d8e44"


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(product(database)) as client:
        yield client


@pytest.fixture
async def owner(database: Database, noon: datetime) -> UserId:
    """Somebody with five movements of coins, an hour apart: +500, +50, -120, a prize of 30, and one with a formula."""
    user_id = UserId(new_id())
    wallet = f"user:{user_id}:main"

    def moved(n: int, kind: str, amount: int, other: str, **more: object) -> Post:
        legs = ((wallet, "COIN", amount), (other, "COIN", -amount))
        return Post(f"{user_id}:{n}", kind, legs, **more)  # type: ignore[arg-type]  # the caller names fields

    posts = [
        moved(1, "ledger.opening", 500, "external:opening"),
        moved(2, "bonuses.daily", 50, HOUSE),
        moved(3, "ledger.gift", -120, f"user:{new_id()}:main"),
        moved(*(4, "competitions.prize", 30, f"pool:{new_id()}"), metadata={"competition": COMPETITION, "rank": 3}),
        moved(5, "ledger.transfer", 7, HOUSE, description="=1+1"),
    ]
    async with database.begin(SYSTEM) as tx:
        for n, post in enumerate(posts):
            await ledger.post(tx, post, now=noon + n * HOUR)
    return user_id


def as_player(user_id: UserId) -> dict[str, str]:
    return caller("player", user_id)


async def lines(client: httpx2.AsyncClient, owner: UserId, query: str = "") -> dict:
    answer = await client.get(f"/api/v1/wallet/COIN/transactions{query}", headers=as_player(owner))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_wallets_are_listed_with_zeros(client: httpx2.AsyncClient, owner: UserId) -> None:
    answer = await client.get("/api/v1/wallet", headers=as_player(owner))
    items = {item["asset"]: item for item in answer.json()["items"]}
    assert answer.headers["cache-control"] == "no-store"
    assert list(items) == ["USD", "QC", "COIN", "INPUT", "XTR"]
    assert items["COIN"]["balance"] == {"asset": "COIN", "amount": 467, "text": "467"}
    assert items["COIN"]["last_updated"] == "2026-03-20T16:00:00.000000Z"
    assert (items["USD"]["available"]["text"], items["USD"]["last_updated"]) == ("0.00", None)


async def test_each_movement_says_the_balance_it_left(client: httpx2.AsyncClient, owner: UserId) -> None:
    found = (await lines(client, owner))["items"]
    assert [
        (line["seq"], line["type"], line["amount"]["amount"], line["balance_after"]["amount"]) for line in found
    ] == [
        (5, "credit", 7, 467),
        (4, "credit", 30, 460),
        (3, "debit", -120, 430),
        (2, "credit", 50, 550),
        (1, "credit", 500, 500),
    ]


@pytest.mark.parametrize(
    ("query", "seqs"),
    [
        ("?type=debit", [3]),
        ("?category=prize,bonus", [4, 2]),
        ("?kind=ledger.gift,ledger.opening", [3, 1]),
        ("?min=50&max=120", [3, 2]),
        ("?min=500", [1]),
        (f"?subject={COMPETITION}", [4]),
        (f"?subject=competition:{COMPETITION}", [4]),
        ("?subject=rank:3&type=credit", [4]),
        ("?subject=rank", []),
        ("?category=prize", [4]),
        ("?from=2026-03-20T13:00:00Z&to=2026-03-20T15:00:00Z", [3, 2]),
        ("?from=2026-03-21", []),
        ("?to=2026-03-21", [5, 4, 3, 2, 1]),
        ("?from=2026-03-20T14:00:00%2B01:00&category=bonus", [2]),
    ],
)
async def test_a_list_is_narrowed(client: httpx2.AsyncClient, owner: UserId, query: str, seqs: list[int]) -> None:
    assert [line["seq"] for line in (await lines(client, owner, query))["items"]] == seqs


async def test_pages_go_on_and_back_beside_new_movements(
    client: httpx2.AsyncClient, owner: UserId, database: Database, noon: datetime
) -> None:
    first = await lines(client, owner, "?limit=2")
    legs = ((f"user:{owner}:main", "COIN", 1), (HOUSE, "COIN", -1))
    async with database.begin(SYSTEM) as tx:
        await ledger.post(tx, Post(f"{owner}:6", "ledger.transfer", legs), now=noon + 6 * HOUR)
    second = await lines(client, owner, f"?limit=2&cursor={first['next']}")
    third = await lines(client, owner, f"?limit=2&cursor={second['next']}")
    back = await lines(client, owner, f"?limit=2&cursor={third['prev']}")
    newest = await lines(client, owner, f"?limit=2&cursor={first_prev(back)}")

    pages = [[line["seq"] for line in page["items"]] for page in (first, second, third, back, newest)]
    assert pages == [[5, 4], [3, 2], [1], [3, 2], [5, 4]]
    assert (first["prev"], third["next"]) == (None, None)
    assert newest["prev"] is not None  # the movement that came meanwhile is in front


def first_prev(page: dict) -> str:
    return page["prev"]


@pytest.mark.parametrize("size", [1, 7, 20])
async def test_fifty_of_one_instant_are_walked_there_and_back(
    client: httpx2.AsyncClient, database: Database, noon: datetime, size: int
) -> None:
    """After three that are a microsecond apart; one more comes on the way, and both walks end."""
    wallet = new_wallet()
    moment = timedelta(microseconds=1)
    async with database.begin(SYSTEM) as tx:
        for n in range(3):
            await ledger.post(tx, pay(f"{wallet}:{n}", wallet, 1), now=noon + n * moment)
        await ledger.post_many(tx, [pay(f"{wallet}:{n}", wallet, 1) for n in range(3, 53)], now=noon + 3 * moment)

    async def walked(page: dict, way: str) -> list[list[int]]:
        pages = [[line["seq"] for line in page["items"]]]
        while page[way]:
            page = await lines(client, owner_of(wallet), f"?limit={size}&cursor={page[way]}")
            pages.append([line["seq"] for line in page["items"]])
        ends[way] = page
        return pages

    ends: dict[str, dict] = {}
    first = await lines(client, owner_of(wallet), f"?limit={size}")
    async with database.begin(SYSTEM) as tx:
        await ledger.post(tx, pay(f"{wallet}:53", wallet, 1), now=noon + 4 * moment)
    there = await walked(first, "next")
    back = await walked(ends["next"], "prev")
    assert [seq for page in there for seq in page] == list(range(53, 0, -1))
    assert [seq for page in reversed(back) for seq in page] == list(range(54, 0, -1))


async def test_a_table_holds_the_same_movements_and_runs_no_formula(client: httpx2.AsyncClient, owner: UserId) -> None:
    answer = await client.get("/api/v1/wallet/COIN/transactions.csv?type=credit", headers=as_player(owner))
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-type"].startswith("text/csv")
    assert [(row["seq"], row["amount_amount"], row["description"]) for row in rows] == [
        ("5", "7", "'=1+1"),
        ("4", "30", ""),
        ("2", "50", ""),
        ("1", "500", ""),
    ]


async def test_a_receipt_says_what_why_and_who_without_naming_anybody(
    client: httpx2.AsyncClient, owner: UserId
) -> None:
    found = (await lines(client, owner))["items"]
    receipts = {
        line["seq"]: (await client.get(f"/api/v1/wallet/transactions/{line['id']}", headers=as_player(owner))).json()
        for line in found
    }
    prize, gift = receipts[4], receipts[3]
    assert (prize["kind"], prize["metadata"]["rank"], prize["done_by"]) == ("competitions.prize", 3, "system")
    assert prize["key"] == f"{owner}:4"
    assert prize["entries"] == [
        {
            "asset": "COIN",
            "seq": 4,
            "amount": {"asset": "COIN", "amount": 30, "text": "30"},
            "balance_before": {"asset": "COIN", "amount": 430, "text": "430"},
            "balance_after": {"asset": "COIN", "amount": 460, "text": "460"},
            "others": [
                {
                    "family": "pool",
                    "name": None,
                    "own": False,
                    "amount": {"asset": "COIN", "amount": -30, "text": "-30"},
                }
            ],
            "hold": None,
            "reverses": None,
            "reversed_by": [],
        }
    ]
    assert [(other["family"], other["name"]) for other in gift["entries"][0]["others"]] == [("user", None)]
    assert receipts[2]["entries"][0]["others"][0]["name"] == "gift"


async def test_the_page_of_a_receipt_leads_to_the_arithmetic_of_a_prize(
    client: httpx2.AsyncClient, owner: UserId
) -> None:
    page = await client.get("/wallet/COIN/entries/4", headers=as_player(owner))
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    assert "Prize for place 3" in page.text and f'href="/competitions/{COMPETITION}/me/receipt"' in page.text
    assert (
        "How the amount came about" not in (await client.get("/wallet/COIN/entries/2", headers=as_player(owner))).text
    )


async def test_pages_show_what_the_calls_say(client: httpx2.AsyncClient, owner: UserId) -> None:
    wallet = (await client.get("/wallet", headers=as_player(owner))).text
    statement = (await client.get("/wallet/COIN", headers=as_player(owner))).text
    narrowed = (
        await client.get("/wallet/COIN?category=prize&from=2026-03-20&to=2026-03-20", headers=as_player(owner))
    ).text
    assert "467 coins" in wallet and 'href="/wallet/COIN"' in wallet and "/wallet/USD" not in wallet
    assert [statement.count(f'href="/wallet/COIN/entries/{seq}"') for seq in range(1, 6)] == [1] * 5
    assert [narrowed.count(f'href="/wallet/COIN/entries/{seq}"') for seq in range(1, 6)] == [0, 0, 0, 1, 0]
    assert "/api/v1/wallet/COIN/transactions.csv?category=prize&amp;from=2026-03-20&amp;to=2026-03-21" in narrowed


@pytest.mark.parametrize(
    ("query", "seqs", "table"),
    [
        ("type=debit", [3], "type=debit"),
        ("category=prize,bonus&kind=bonuses.daily", [2], "category=prize%2Cbonus&amp;kind=bonuses.daily"),
        ("min=50&max=120.0", None, None),
        ("min=50&max=120", [3, 2], "min=50&amp;max=120"),
        (f"subject={COMPETITION}", [4], f"subject={COMPETITION}"),
        ("type=&category=&from=&to=&min=&max=&subject=", [5, 4, 3, 2, 1], ""),
        ("include_hidden=true", [5, 4, 3, 2, 1], "include_hidden=true"),
    ],
)
async def test_a_page_is_narrowed_as_its_table_is(
    client: httpx2.AsyncClient, owner: UserId, query: str, seqs: list[int] | None, table: str | None
) -> None:
    """Amounts stand in the address as people write them; with more places than the asset has they are refused."""
    page = await client.get(f"/wallet/COIN?{query}", headers=as_player(owner))
    assert page.status_code == (200 if seqs else 422)
    if seqs:
        assert [int(seq) for seq in re.findall(r'href="/wallet/COIN/entries/(\d+)"', page.text)] == seqs
        assert f'transactions.csv{"?" if table else ""}{table}"' in page.text


async def test_the_first_page_shows_the_latest_of_all_assets_and_how_the_balance_went(
    client: httpx2.AsyncClient, database: Database, noon: datetime
) -> None:
    owner = UserId(new_id())
    moved = [("COIN", 500, 40), ("COIN", -100, 3), ("USD", 250, 2), ("COIN", 8, 1)]
    async with database.begin(SYSTEM) as tx:
        for n, (asset, amount, days_ago) in enumerate(moved):
            legs = ((f"user:{owner}:main", asset, amount), (HOUSE, asset, -amount))
            at = noon - timedelta(days=days_ago)
            await ledger.post(tx, Post(f"{owner}:{n}", "ledger.transfer", legs), now=at)
    page = (await client.get("/wallet", headers=as_player(owner))).text
    assert re.findall(r'href="(/wallet/\w+/entries/\d+)"', page) == [
        *("/wallet/COIN/entries/3", "/wallet/USD/entries/1", "/wallet/COIN/entries/2", "/wallet/COIN/entries/1"),
    ]
    assert 'src="/wallet/COIN/chart?of=' in page and "Coins, 30 days" in page

    chart = (await client.get("/wallet/COIN/chart", headers=as_player(owner))).json()
    (series,) = chart["series"]
    assert (len(chart["categories"]), chart["categories"][-1]) == (31, "Mar 20")
    assert (series["kind"], series["values"][0], series["values"][-5:]) == ("step", 500, [500, 400, 400, 408, 408])
    cash = (await client.get("/wallet/USD/chart", headers=as_player(owner))).json()
    assert cash["series"][0]["values"][-4:] == [0, 2.5, 2.5, 2.5]
    foreign = (await client.get("/wallet/COIN/chart", headers=as_player(UserId(new_id())))).json()
    assert {*foreign["series"][0]["values"]} == {0}


async def test_an_empty_wallet_says_what_will_come(client: httpx2.AsyncClient) -> None:
    nobody = UserId(new_id())
    assert "Nothing in your wallet yet" in (await client.get("/wallet", headers=as_player(nobody))).text
    assert "Nothing has moved yet" in (await client.get("/wallet/USD", headers=as_player(nobody))).text
    assert "Nothing moved then" in (await client.get("/wallet/USD?category=bet", headers=as_player(nobody))).text


async def test_what_belongs_to_somebody_else_is_not_there(client: httpx2.AsyncClient, owner: UserId) -> None:
    """Also with his cursor, his transfer and his numbers; and a stranger is asked who he is."""
    found = await lines(client, owner, "?limit=2")
    stranger = as_player(UserId(new_id()))
    transfer = found["items"][0]["id"]
    asked = {
        f"/api/v1/wallet/transactions/{transfer}": (404, "ledger.no_such_entry"),
        f"/api/v1/wallet/transactions/{new_id()}": (404, "ledger.no_such_entry"),
        f"/api/v1/wallet/COIN/transactions?limit=2&cursor={found['next']}": (422, "cursor_mismatch"),
        "/api/v1/wallet/GOLD/transactions": (404, "ledger.unknown_asset"),
        "/wallet/COIN/entries/5": (404, "ledger.no_such_entry"),
        "/wallet/GOLD/chart": (404, "ledger.unknown_asset"),
        "/wallet/GOLD": (404, "ledger.unknown_asset"),
        "/wallet/GOLD/entries/1": (404, "ledger.unknown_asset"),
    }
    plain = {"accept": "application/problem+json, application/json"}
    for address, (status, code) in asked.items():
        answer = await client.get(address, headers={**stranger, **plain})
        assert (answer.status_code, answer.json()["code"]) == (status, code), address
        said = answer.text.replace(answer.json()["request_id"], "")  # whose digits may be any
        assert str(owner) not in said and "467" not in said
    assert (await lines_of(client, stranger)) == []
    for address in ("/api/v1/wallet", "/wallet", "/wallet/COIN", "/wallet/COIN/entries/5", *asked):
        assert (await client.get(address, headers=plain)).status_code == 401, address


async def lines_of(client: httpx2.AsyncClient, headers: dict[str, str]) -> list:
    return (await client.get("/api/v1/wallet/COIN/transactions", headers=headers)).json()["items"]


@pytest.mark.parametrize(
    ("query", "code", "pointer"),
    [
        ("from=2026-03-20T13:00:00", "time_zone_required", "/from"),
        ("from=yesterday", "datetime_from_date_parsing", "/from"),
        ("type=both", "literal_error", "/type"),
        ("category=money", "literal_error", "/category"),
        ("limit=201", "less_than_equal", "/limit"),
        ("category=prize,money", "literal_error", "/category"),
        ("kind=bet", "literal_error", "/kind"),
        ("kind=ledger.gift&kind=ledger.transfer", "unknown_parameter", "/kind"),
        ("min=1.5", "value_error", "/min"),
        ("max=-1", "greater_than_equal", "/max"),
        ("max=9007199254740992", "less_than_equal", "/max"),
        ("include_hidden=perhaps", "bool_parsing", "/include_hidden"),
        ("until=2026-03-20", "unknown_parameter", "/until"),
    ],
)
async def test_a_bad_filter_is_named(
    client: httpx2.AsyncClient, owner: UserId, query: str, code: str, pointer: str
) -> None:
    answer = await client.get(f"/api/v1/wallet/COIN/transactions?{query}", headers=as_player(owner))
    problem = answer.json()
    assert (answer.status_code, [(error["code"], error["pointer"]) for error in problem["errors"]]) == (
        422,
        [(code, pointer)],
    )
