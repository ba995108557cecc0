"""Lists say how many rows they have where that is asked, and take ranges of time and words out of a few."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import httpx2
import pytest
from fastapi import Depends
from starlette.types import ASGIApp

from palio.infra import audit, db
from palio.infra.db import Database
from palio.infra.ratelimit import Limiter
from palio.ui import counting, documents
from palio.ui.actor import Ask, InTx
from palio.ui.languages import Languages
from palio.ui.pages import Pages
from palio.ui.paging import Cursors, Paged
from palio.ui.ranges import Span, of_times, of_words
from palio.ui.routes import Routes
from palio.ui.site import assemble
from tests.ui import people
from tests.ui.conftest import talk_to
from tests.ui.people import ALICE, caller

ME = caller("player", ALICE)
BEGUN = datetime(2026, 3, 20, 12, tzinfo=UTC)
MANY = 1_000
COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, slots=True)
class Bead:
    """A bead, one a minute."""

    n: int
    at: str
    colour: str


@dataclass(frozen=True, slots=True)
class Beads:
    """Beads."""

    items: tuple[Bead, ...]
    next: str | None
    prev: str | None


def bead(n: int) -> Bead:
    return Bead(n, (BEGUN + timedelta(minutes=n)).isoformat(), COLOURS[n % 3])


beads = Routes("beads")
Shown = Annotated[Span, Depends(of_times("at"))]
Colours = Annotated[list[str], Depends(of_words("colour", COLOURS))]


@beads.get("/beads", access="public", example=Beads((bead(1),), None, None))
async def list_beads(ask: Ask, tx: InTx, page: Paged, at: Shown, colours: Colours, last: int = 25) -> Beads:
    """List beads; whoever takes many away is written down."""
    every = [bead(n) for n in range(1, last + 1)]
    span = (at.since or BEGUN, at.until or datetime.max.replace(tzinfo=UTC))
    kept = [
        one
        for one in every
        if span[0] <= datetime.fromisoformat(one.at) < span[1] and (not colours or one.colour in colours)
    ]
    behind, limit = page.span()
    if limit > MANY:
        await audit.record(
            tx, actor=ask.actor, action="beads.taken", entity_type="beads", entity_id="all", changes={}, reason="many"
        )
    found = tuple(kept[behind : behind + limit])
    return Beads(found, *page.around(behind + 1, behind + len(found), of=len(kept)))


def app(database: Database, limiter: Limiter | None = None) -> ASGIApp:
    return assemble(
        [beads, documents.routes],
        state={"database": database, "cursors": Cursors(bytes(32)), "pages": Pages(Languages())},
        served=lambda served: None,
        identify=people.identify,
        limiter=limiter,
        key=bytes(32),
    )


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(app(database)) as client:
        yield client


async def count(client: httpx2.AsyncClient, query: str = "") -> object:
    answer = await client.get(f"/api/v1/beads?count=exact&{query}", headers=ME)
    assert answer.status_code == 200, answer.text
    return answer.json()["count"]


async def test_a_list_says_how_many_rows_it_has(client: httpx2.AsyncClient) -> None:
    """All of the same filter, whichever part of it is read; without being asked it says nothing."""
    first = (await client.get("/api/v1/beads?limit=10&count=exact", headers=ME)).json()
    second = await client.get(f"/api/v1/beads?limit=10&count=exact&cursor={first['next']}", headers=ME)
    plain = (await client.get("/api/v1/beads?limit=10", headers=ME)).json()

    assert (first["count"], len(first["items"])) == (25, 10)
    assert (second.json()["count"], second.json()["items"][0]["n"]) == (25, 11)
    assert "count" not in plain and plain["next"] == first["next"]
    assert [await count(client, query) for query in ("colour=red", "last=0", "colour.ne=red,green")] == [8, 0, 8]


async def test_what_a_count_looks_at_is_not_taken_away(client: httpx2.AsyncClient, database: Database) -> None:
    """The list writes down who takes many rows; a count reads as many, and leaves nothing behind."""
    assert await count(client, "last=1500&limit=10") == 1_500

    async with database.begin_system("a test") as tx:
        assert await db.value(tx, "select count(*) from infra.audit_rows where action = 'beads.taken'") == 0


@pytest.mark.parametrize(
    ("last", "told"), [(10_000, 10_000), (10_001, {"at_least": 10_000}), (90_000, {"at_least": 10_000})]
)
async def test_it_counts_as_far_as_a_table_goes(client: httpx2.AsyncClient, last: int, told: object) -> None:
    assert await count(client, f"last={last}") == told


async def test_counts_that_cost_more_than_a_page_are_limited(database: Database) -> None:
    """A list that fits into its page costs nothing more; others are counted twenty times a minute."""
    limiter = Limiter(database, bytes(32))
    async with talk_to(app(database, limiter)) as client:
        answers = [
            await client.get(f"/api/v1/beads?count=exact&limit={limit}", headers=ME) for limit in (10,) * 21 + (50,)
        ]

    assert [answer.status_code for answer in answers] == [200] * 20 + [429, 200]
    assert answers[20].json()["facts"]["policy"] == counting.READS.name


@pytest.mark.parametrize(
    ("query", "pointer", "code"),
    [
        ("count=all", "/count", "validation_failed"),
        ("at.gte=2026-03-20T12:00:00", "/at.gte", "time_zone_required"),
        ("at.gte=yesterday", "/at.gte", "validation_failed"),
        ("at.ne=2026-03-20T12:00:00Z", "/at.ne", "unknown_parameter"),
        ("n.gte=5", "/n.gte", "unknown_parameter"),
        ("include=owner", "/include", "unknown_parameter"),
        ("sort=-n", "/sort", "unknown_parameter"),
        ("colour=red,pink", "/colour", "validation_failed"),
        ("colour.ne=red,green,blue", "/colour.ne", "validation_failed"),
        ("colour=" + ",".join(["red"] * 101), "/colour", "validation_failed"),
    ],
)
async def test_what_a_list_does_not_declare_is_refused(
    client: httpx2.AsyncClient, query: str, pointer: str, code: str
) -> None:
    answer = await client.get("/api/v1/beads", params=dict([query.split("=", 1)]), headers=ME)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert code in {answer.json()["code"], answer.json()["errors"][0]["code"]}


async def test_a_table_has_no_place_for_a_count(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/v1/beads.csv?count=exact", headers=ME)

    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"at.gte": 10, "at.lt": 13}, [10, 11, 12]),
        ({"at.gt": 10, "at.lte": 13}, [11, 12, 13]),
        ({"at.gt": 23}, [24, 25]),
        ({"at.gte": 3, "at.gt": 3, "at.lte": 5, "at.lt": 5}, [4]),
        ({"at.gte": 9, "at.lt": 9}, []),
    ],
)
async def test_a_range_has_its_ends_as_they_are_named(
    client: httpx2.AsyncClient, query: dict[str, int], numbers: list[int]
) -> None:
    asked = {name: (BEGUN + timedelta(minutes=n)).isoformat() for name, n in query.items()}
    answer = await client.get("/api/v1/beads", params=asked, headers=ME)

    assert [one["n"] for one in answer.json()["items"]] == numbers


async def test_the_last_instant_of_all_is_one(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/v1/beads", params={"at.lte": "9999-12-31T23:59:59.999999Z"}, headers=ME)

    assert len(answer.json()["items"]) == 25


async def test_a_cursor_keeps_to_its_range(client: httpx2.AsyncClient) -> None:
    until = (BEGUN + timedelta(minutes=20)).isoformat()
    first = (await client.get("/api/v1/beads?limit=5", params={"limit": 5, "at.lt": until}, headers=ME)).json()
    other = await client.get("/api/v1/beads", params={"limit": 5, "cursor": first["next"]}, headers=ME)

    assert other.json()["code"] == "cursor_mismatch"


async def test_the_description_tells_of_counts_and_ranges(client: httpx2.AsyncClient) -> None:
    document = (await client.get("/api/v1/openapi.json")).json()
    call = document["paths"]["/api/v1/beads"]["get"]

    assert {one["name"] for one in call["parameters"]} == {
        *("limit", "cursor", "last", "fields", "count", "colour", "colour.ne"),
        *("at.gte", "at.gt", "at.lte", "at.lt"),
    }
    assert document["components"]["schemas"]["Beads"]["properties"]["count"]["anyOf"][0]["maximum"] == 10_000
    assert "count" not in document["components"]["schemas"]["Beads"]["required"]
