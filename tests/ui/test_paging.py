"""Cursors belong to one list and one reader, and lists can be had as tables."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

import httpx2
import pytest
from fastapi import Depends

from palio.infra import settings
from palio.infra.db import Tx
from palio.infra.keyring import Keyring
from palio.kernel.providers import Spot
from palio.kernel.settings import Catalogue
from palio.ui import tables
from palio.ui.paging import Cursors, Listed, Listing, Paged, Paging, Position, sorted_by
from palio.ui.refusals import CursorExpired, CursorInvalid, CursorMismatch
from palio.ui.routes import Routes
from palio.ui.types import CURSOR_DAYS, LIMIT_MAX
from tests.ui import preview
from tests.ui.conftest import talk_to
from tests.ui.house import SYSTEM

NOW = datetime(2026, 3, 20, 14, 5, 22, tzinfo=UTC)
LISTING = Listing("/api/v1/races", "", "state=live", "anna")
CURSORS = Cursors(bytes(32))
TEXT = CURSORS.write(Position((17, "x"), is_back=True), LISTING, NOW)


@dataclass(frozen=True, slots=True)
class Item:
    """A numbered row with something nasty in it."""

    n: int
    name: str
    price: dict[str, int | str]


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Item, ...]
    next: str | None
    prev: str | None


def paging(key: int | None = None, *, is_back: bool = False) -> Paging:
    return Paging(2, None if key is None else Position((key,), is_back), LISTING, CURSORS, NOW)


def read(text: str | None) -> Position | None:
    return CURSORS.read(text, LISTING, NOW) if text else None


@pytest.mark.parametrize(
    ("page", "found", "rows", "following", "preceding"),
    [
        (paging(), [1, 2, 3], [1, 2], Position((2,)), None),
        (paging(), [1, 2], [1, 2], None, None),
        (paging(), [], [], None, None),
        (paging(2), [3, 4, 5], [3, 4], Position((4,)), Position((3,), is_back=True)),
        (paging(4), [5], [5], None, Position((5,), is_back=True)),
        (paging(5), [], [], None, None),
        (paging(5, is_back=True), [2, 3, 4], [3, 4], Position((4,)), Position((3,), is_back=True)),
        (paging(3, is_back=True), [1, 2], [1, 2], Position((2,)), None),
    ],
)
def test_a_page_is_made_out_of_one_row_more_than_it_takes(
    page: Paging, found: list[int], rows: list[int], following: Position | None, preceding: Position | None
) -> None:
    part = page.part(found, lambda n: (n,))
    assert (part.rows, read(part.next), read(part.prev)) == (rows, following, preceding)


numbers = Routes("numbers")
NAMES = ("=1+1", "-5", "@x", "\tx", 'a "b", c', "Ünï")


def item(n: int) -> Item:
    return Item(n, NAMES[n % len(NAMES)], {"asset": "USD", "amount": -5})


@numbers.get("/numbers", access="public", example=Items((item(1),), None, None))
async def list_numbers(page: Paged, last: int = 25) -> Items:
    """List the numbers from 1 on."""
    behind, limit = page.span()
    found = tuple(item(n) for n in range(behind + 1, last + 1)[:limit])
    return Items(found, *page.around(behind + 1, behind + len(found), of=last))


EVENTS = [(f"2026-03-20T12:00:0{n // 4}+00:00", n) for n in range(25, 0, -1)]  # newest first, some at one instant
ByTime = Annotated[Paging, Depends(sorted_by("-at", end=("0001-01-01T00:00:00+00:00", 0)))]


@numbers.get("/events", access="public", example=Listed((item(1),), None, None))
async def list_events(page: ByTime) -> Listed[Item]:
    """List what happened, newest first."""
    part = page.wanted(lambda at, n: (str(at), int(n))).and_one
    low, high = part.between(("", 0), ("9", 0))
    found = [event for event in EVENTS if low < event < high]
    found = found[-part.limit :] if part.is_back else found[: part.limit]
    return page.part(found, lambda event: event).told(lambda event: item(event[1]))


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(preview.app(numbers)) as client:
        yield client


def test_a_cursor_comes_back_as_it_was_given() -> None:
    assert CURSORS.read(TEXT, LISTING, NOW) == Position((17, "x"), is_back=True)


@pytest.mark.parametrize("changes", [{"address": "/x"}, {"sort": "-n"}, {"filters": ""}, {"caller": "bert"}])
def test_a_cursor_of_another_list_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(CursorMismatch):
        CURSORS.read(TEXT, replace(LISTING, **changes), NOW)


@pytest.mark.parametrize("n", range(len(TEXT)))
def test_an_altered_cursor_is_refused(n: int) -> None:
    """Whichever character is another one; what only fills the last byte up is not looked at."""
    altered = TEXT[:n] + ("A" if TEXT[n] != "A" else "Q") + TEXT[n + 1 :]
    with pytest.raises(CursorInvalid):
        CURSORS.read(altered, LISTING, NOW)


@pytest.mark.parametrize("text", ["", "!", "a", "AAAA", "é", TEXT[:-4], TEXT + "AAAA"])
def test_what_was_never_a_cursor_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        CURSORS.read(text, LISTING, NOW)


def test_a_cursor_lasts_seven_days() -> None:
    """To the hour in which it was written."""
    assert CURSORS.read(TEXT, LISTING, NOW + timedelta(days=7))
    with pytest.raises(CursorExpired) as refused:
        CURSORS.read(TEXT, LISTING, NOW + timedelta(days=7, hours=1))

    assert refused.value.facts == {"days_max": 7}


def test_another_key_reads_nothing() -> None:
    with pytest.raises(CursorInvalid):
        Cursors(b"x" * 32).read(TEXT, LISTING, NOW)


def test_the_keyring_has_a_key_for_each_purpose() -> None:
    """It is none of the keys that stored values are made with, and comes of the present index key."""
    one, two, both = (
        Keyring({1: bytes(32)}, index) for index in ({1: bytes(32)}, {2: b"x" * 32}, {1: bytes(32), 2: b"x" * 32})
    )
    keys = {one.key_for("cursors"), one.key_for("others"), two.key_for("cursors")}

    assert len(keys) == 3 and keys.isdisjoint([*both.wrapping.values(), *both.index.values()])
    assert both.key_for("cursors") == one.key_for("cursors"), "while another key takes its place"


async def test_a_list_is_walked_there_and_back(client: httpx2.AsyncClient) -> None:
    """Whatever the limit on the way: no row twice, none left out, and the ends have no further cursor."""
    there, cursor = [], ""
    while cursor is not None:
        answer = (await client.get(f"/api/v1/numbers?limit=10&cursor={cursor}")).json()
        there.append([row["n"] for row in answer["items"]])
        cursor, back = answer["next"], answer["prev"]
    assert there == [[*range(1, 11)], [*range(11, 21)], [*range(21, 26)]]

    first = (await client.get(f"/api/v1/numbers?limit=15&cursor={back}")).json()
    rest = (await client.get(f"/api/v1/numbers?limit=200&cursor={first['prev']}")).json()
    assert [row["n"] for row in first["items"]] == [*range(6, 21)]
    assert [row["n"] for row in rest["items"]] == [*range(1, 6)] and rest["prev"] is None


@pytest.mark.parametrize("limit", [1, 7, 20, 25, 200])
@pytest.mark.parametrize(
    ("order", "numbers"), [("", [*range(25, 0, -1)]), ("-at", [*range(25, 0, -1)]), ("at", [*range(1, 26)])]
)
async def test_a_list_is_sorted_either_way_and_walked_there_and_back(
    client: httpx2.AsyncClient, order: str, numbers: list[int], limit: int
) -> None:
    """Its order is the one its index has; the other one is the same read from its end."""
    address = f"/api/v1/events?limit={limit}" + (f"&sort={order}" if order else "")
    there, back, cursor = [], [], ""
    while cursor is not None:
        answer = (await client.get(f"{address}&cursor={cursor}")).json()
        there.append([row["n"] for row in answer["items"]])
        cursor, before = answer["next"], answer["prev"]
    while before is not None:
        answer = (await client.get(f"{address}&cursor={before}")).json()
        back.append([row["n"] for row in answer["items"]])
        before = answer["prev"]

    assert [n for part in there for n in part] == numbers
    assert back[::-1] == there[:-1]


async def test_an_order_that_a_list_does_not_have_is_refused(client: httpx2.AsyncClient) -> None:
    """As is one where there is none at all, and a cursor of another order."""
    cursor = (await client.get("/api/v1/events?limit=5")).json()["next"]
    other = await client.get("/api/v1/events?sort=name")
    none = await client.get("/api/v1/numbers?sort=n")
    turned = await client.get(f"/api/v1/events?limit=5&sort=at&cursor={cursor}")
    described = (await client.get("/api/v1/openapi.json")).json()["paths"]["/api/v1/events"]["get"]["parameters"]
    counted = (await client.get("/api/v1/events?limit=5&sort=at")).json()["items"][0]["n"]

    assert (other.status_code, other.json()["code"]) == (422, "validation_failed")
    assert other.json()["errors"][0]["pointer"] == "/sort"
    assert (none.status_code, none.json()["code"], none.json()["errors"][0]["pointer"]) == (
        *(422, "unknown_parameter", "/sort"),
    )
    assert (turned.status_code, turned.json()["code"], counted) == (422, "cursor_mismatch", 1)
    assert next(one["schema"]["enum"] for one in described if one["name"] == "sort") == ["-at", "at"]


@pytest.fixture
async def other_limits(tx: Tx) -> AsyncIterator[None]:
    """What an operator has set: parts of at most 60 rows, cursors of two days."""
    await settings.declare(tx, Catalogue([LIMIT_MAX, CURSOR_DAYS]))
    await settings.change(tx, SYSTEM, [settings.Change(LIMIT_MAX, 60), settings.Change(CURSOR_DAYS, 2)], "a test")
    await settings.snapshot.load(tx)
    yield
    settings.snapshot.forget()


@pytest.mark.usefixtures("other_limits")
async def test_an_operator_says_how_long_parts_are_and_how_long_a_cursor_leads_on(client: httpx2.AsyncClient) -> None:
    most, more = [await client.get(f"/api/v1/numbers?last=100&limit={limit}") for limit in (60, 61)]

    assert (len(most.json()["items"]), more.status_code, more.json()["errors"][0]["pointer"]) == (60, 422, "/limit")
    assert CURSORS.read(TEXT, LISTING, NOW + timedelta(days=2))
    with pytest.raises(CursorExpired) as refused:
        CURSORS.read(TEXT, LISTING, NOW + timedelta(days=2, hours=1))
    assert refused.value.facts == {"days_max": 2}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("last=9&cursor={}", 422, "cursor_mismatch"),
        ("cursor={}x", 400, "cursor_invalid"),
        ("cursor=" + "A" * 1001, 422, "validation_failed"),
        ("limit=0", 422, "validation_failed"),
        ("limit=201", 422, "validation_failed"),
    ],
)
async def test_a_cursor_that_does_not_fit_is_a_clear_refusal(
    client: httpx2.AsyncClient, query: str, status: int, code: str
) -> None:
    cursor = (await client.get("/api/v1/numbers?limit=10")).json()["next"]
    answer = await client.get("/api/v1/numbers?" + query.replace("{}", cursor))

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_an_unchanged_page_keeps_its_tag(client: httpx2.AsyncClient) -> None:
    first = await client.get("/api/v1/numbers?limit=10")
    again = await client.get("/api/v1/numbers?limit=10", headers={"if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        ("/api/v1/numbers", "text/csv"),
        ("/api/v1/numbers", "text/csv, */*;q=0.1"),
        ("/api/v1/numbers.csv", "text/html, */*;q=0.8"),
    ],
)
async def test_a_list_is_a_table_for_whoever_prefers_that(client: httpx2.AsyncClient, path: str, accepted: str) -> None:
    """All of it, whatever a page holds; no cell is a formula, and numbers stay numbers."""
    answer = await client.get(path, headers={"accept": accepted})
    table = list(csv.reader(io.StringIO(answer.text, newline="")))

    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"] == 'attachment; filename="numbers.csv"'
    assert table[0] == ["n", "name", "price_asset", "price_amount"]
    assert table[1] == ["1", "'-5", "USD", "-5"] and table[6][1] == "'=1+1"
    assert {row[1] for row in table[1:]} == {"'=1+1", "'-5", "'@x", "'\tx", 'a "b", c', "Ünï"}
    assert len(table) == 26 and answer.text.count("\r\n") == 26 and "link" not in answer.headers


async def test_one_asks_for_some_fields_of_a_list(client: httpx2.AsyncClient) -> None:
    """As JSON and as a table, with a tag of their own and the cursors of the whole list; what no row has is refused."""
    whole = await client.get("/api/v1/numbers?limit=10")
    some = await client.get("/api/v1/numbers?limit=10&fields=n,price")
    table = await client.get("/api/v1/numbers.csv?fields=price,n")
    rest = await client.get(f"/api/v1/numbers?limit=10&fields=name&cursor={whole.json()['next']}")
    refused = await client.get("/api/v1/numbers?fields=n,secret")

    assert some.json()["items"][0] == {"n": 1, "price": {"asset": "USD", "amount": -5}}
    assert (some.json()["next"], some.headers["etag"] == whole.headers["etag"]) == (whole.json()["next"], False)
    assert table.text.startswith("n,price_asset,price_amount\r\n1,USD,-5\r\n")
    assert list(rest.json()["items"][0]) == ["name"]
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/fields")


@pytest.mark.parametrize("accepted", ["", "*/*", "application/json, text/csv", "text/csv;q=0, */*"])
async def test_json_stays_json(client: httpx2.AsyncClient, accepted: str) -> None:
    answer = await client.get("/api/v1/numbers", headers={"accept": accepted})

    assert answer.headers["content-type"] == "application/json"


def test_a_table_says_true_and_nothing() -> None:
    row = {"a": True, "b": None, "c": ["=x", "y"], "d": []}

    assert tables.cells(row) == {"a": "true", "b": "", "c": "'=x y", "d": ""}


async def test_what_a_table_does_not_hold_follows_under_a_link(client: httpx2.AsyncClient) -> None:
    """The link keeps what the list was narrowed to."""
    first = await client.get("/api/v1/numbers.csv?last=10001")
    link = first.headers["link"]
    rest = await client.get(link.partition(">")[0].removeprefix("<"))

    assert (first.text.count("\r\n"), link[-12:]) == (tables.ROWS_MAX + 1, '; rel="next"')
    assert rest.text.splitlines()[1].startswith("10001,") and rest.text.count("\r\n") == 2


async def test_the_description_tells_of_tables_and_cursors(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/api/v1/openapi.json")).json()
    call = document["paths"]["/api/v1/numbers"]["get"]

    assert call["responses"]["200"]["content"]["text/csv"]["example"].startswith(
        "n,name,price_asset,price_amount\r\n1,"
    )
    assert {"cursor_invalid", "cursor_mismatch", "cursor_expired"} <= set(call["x-problems"])
    assert {parameter["name"] for parameter in call["parameters"]} == {"limit", "cursor", "last", "fields", "count"}
    assert "/api/v1/numbers.csv" not in document["paths"]


def test_a_list_whose_rows_move_goes_on_from_a_row() -> None:
    key, other = (90, 0, 17, 5), (80, 0, 18, 6)
    begun, gone_on = paging(), replace(paging(), position=Position(key, is_back=True))

    assert (begun.cut(), gone_on.cut()) == (0, Spot(key, is_back=True))
    assert begun.beside([], after=3, of=9) == (None, None)
    following, preceding = begun.beside([key, other], after=3, of=6)
    assert (read(following), read(preceding)) == (Position(other), Position(key, is_back=True))
    assert begun.beside([key, other], after=0, of=2) == (None, None)
    with pytest.raises(CursorInvalid):
        paging(50).cut()
