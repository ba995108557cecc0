"""Boards that a module orders itself are served in one form, by the tuple that the wiring holds."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import httpx2
import pytest

from palio.competitions import web
from palio.infra.db import Database, Tx
from palio.kernel.providers import (
    After,
    BoardAsk,
    BoardHead,
    BoardLine,
    BoardPeriod,
    BoardSource,
    BoardView,
    Spot,
)
from palio.ui.files import Files
from palio.ui.languages import Languages
from palio.ui.pages import DIST, Pages
from palio.ui.paging import Cursors
from palio.ui.site import assemble
from tests.ui.conftest import talk_to

HEAD = BoardHead("apples:green", "Green apples", "apples", 2, "kg", ("week", "all"))
AS_OF = datetime(2026, 3, 18, 14, 5, tzinfo=UTC)
LINES = tuple(
    BoardLine(
        *(place, place, f"picker-{place}", f"Picker {place}", 5_000 - place),
        trend=1 if place == 1 else None,
        key=(5_000 - place, 0, 0, place),
    )
    for place in range(1, 8)
)
VIEW = BoardView(HEAD, BoardPeriod("ALL", None, None, False), LINES, len(LINES), 7, AS_OF, False)


async def heads(tx: Tx) -> Sequence[BoardHead]:
    return [HEAD]


def found(ask: BoardAsk, lines: Sequence[BoardLine]) -> BoardView | None:
    return replace(VIEW, lines=tuple(lines)) if (ask.code, ask.period) == ("apples:green", "all") else None


async def top(tx: Tx, ask: BoardAsk, after: After, limit: int) -> BoardView | None:
    if isinstance(after, Spot):
        after, limit = after.span(after.key[-1] - int(after.is_back), limit)
    view = found(ask, LINES[after : after + limit])
    return replace(view, after=after) if view else None


async def around(tx: Tx, ask: BoardAsk, entrant: str, radius: int) -> BoardView | None:
    places = [line.place for line in LINES if line.entrant == entrant]
    return found(ask, [line for line in LINES if abs(line.place - places[0]) <= radius]) if places else None


async def my_rank(tx: Tx, ask: BoardAsk, user_id: UUID) -> BoardLine | None:
    return None


async def ranks_many(tx: Tx, ask: BoardAsk, entrants: Sequence[str]) -> Mapping[str, BoardLine] | None:
    return {line.entrant: line for line in LINES if line.entrant in entrants}


APPLES: BoardSource[Tx] = BoardSource("apples:", heads, top, around, my_rank, ranks_many)


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    state = {
        "database": database,
        "boards": (APPLES,),
        "cursors": Cursors(bytes(32)),
        "pages": Pages(Languages()),
        "files": Files(DIST.parent),
    }
    async with talk_to(assemble([web.routes], state=state, served=lambda served: None)) as client:
        yield client


async def test_boards_are_listed_with_their_periods(client: httpx2.AsyncClient) -> None:
    items = (await client.get("/api/v1/boards")).json()["items"]

    assert [(item["code"], item["scale"], item["unit"], item["periods"]) for item in items] == [
        ("apples:green", 2, "kg", ["week", "all"])
    ]


async def test_a_board_is_read_page_by_page_and_back(client: httpx2.AsyncClient) -> None:
    first = (await client.get("/api/v1/boards/apples:green/all?limit=3")).json()
    second = (await client.get(f"/api/v1/boards/apples:green/all?limit=3&cursor={first['next']}")).json()
    third = (await client.get(f"/api/v1/boards/apples:green/all?limit=3&cursor={second['next']}")).json()
    back = (await client.get(f"/api/v1/boards/apples:green/all?limit=3&cursor={third['prev']}")).json()

    assert [[item["place"] for item in page["items"]] for page in (first, second, third)] == [[1, 2, 3], [4, 5, 6], [7]]
    assert (first["prev"], third["next"]) == (None, None)
    assert back["items"] == second["items"]
    assert first["items"][0] == {
        "rank": 1,
        "place": 1,
        "entrant": "picker-1",
        "name": "Picker 1",
        "score": 4_999,
        "display": "49.99",
        "ties": 1,
        "trend": 1,
        "among": None,
    }
    assert (first["of"], first["version"], first["as_of"]) == (7, 7, "2026-03-18T14:05:00.000000Z")
    assert (first["period"], first["final"], first["stale"], first["warming"]) == ("ALL", False, False, False)


async def test_who_has_a_board_already_is_told_so(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/v1/boards/apples:green/all")
    again = await client.get("/api/v1/boards/apples:green/all", headers={"If-None-Match": answer.headers["etag"]})

    assert (answer.headers["etag"][:3], answer.headers["cache-control"]) == ('W/"', "public, max-age=5")
    assert (again.status_code, again.content) == (304, b"")


async def test_a_board_is_a_table_too(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/v1/boards/apples:green/all.csv")

    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.text.splitlines()[:2] == [
        "rank,place,entrant,name,score,display,ties,trend,among",
        "1,1,picker-1,Picker 1,4999,49.99,1,1,",
    ]


async def test_the_lines_around_somebody(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/api/v1/boards/apples:green/all/around?entrant=picker-2&radius=2")

    assert [item["place"] for item in answer.json()["items"]] == [1, 2, 3, 4]
    assert (answer.json()["next"], answer.json()["prev"]) == (None, None)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/boards/pears:green/all", 404, "competitions.no_such_board"),
        ("/boards/apples:red/all", 404, "competitions.no_such_board"),
        ("/boards/apples:green/W:2026-W60", 404, "competitions.no_such_board"),
        ("/boards/pears:green/all/around?entrant=picker-2", 404, "competitions.no_such_board"),
        ("/boards/apples:green/all/around?entrant=nobody", 404, "competitions.not_on_board"),
        ("/boards/apples:green/all/around", 422, "validation_failed"),
        ("/boards/apples:green/all/around?entrant=picker-2&radius=26", 422, "validation_failed"),
        ("/boards/apples:green/all?limit=201", 422, "validation_failed"),
        ("/boards/apples:green/all?cursor=x", 400, "cursor_invalid"),
        ("/boards/apples:green/all?page=2", 422, "unknown_parameter"),
    ],
)
async def test_what_does_not_exist_or_cannot_be_read_is_refused(
    client: httpx2.AsyncClient, path: str, status: int, code: str
) -> None:
    answer = await client.get(f"/api/v1{path}")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
