"""Boards and standings are read page by page while rows move: who stays is met once, wherever he stands by then."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from palio import competitions
from palio.competitions.service import reads
from palio.competitions.types import (
    Admission,
    CompetitionId,
    Counted,
    EntrantId,
    NewBoard,
    NewEntrant,
    StateChange,
    Submission,
)
from palio.infra.db import Database
from palio.kernel.ids import new_id
from tests.factories.competitions import HOUR, live, score, settle
from tests.ui.conftest import talk_to
from tests.ui.house import SYSTEM
from tests.ui.people import NOW
from tests.ui.product import product

DAY = datetime(2026, 2, 2, 12, tzinfo=UTC)
PEOPLE = 12
SCORES = [100 - 10 * (n // 2) for n in range(PEOPLE)]  # two and two are level
MOVERS = (1, 4, 7, 10)
Move = Callable[[int], Awaitable[None]]


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    async with talk_to(product(database)) as client:
        yield client


async def walked(client: httpx2.AsyncClient, address: str, move: Move, *, limit: int = 3) -> list[dict[str, Any]]:
    """The pages of a list to its end, with moves before each of them but the first."""
    pages: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await client.get(f"{address}{'&' if '?' in address else '?'}limit={limit}{cursor}")
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
        if pages[-1]["next"] is None:
            return pages
        cursor = f"&cursor={pages[-1]['next']}"
        await move(len(pages))


def met(pages: list[dict[str, Any]], name: str) -> list[int]:
    return [int(item[name]) for page in pages for item in page["items"]]


@dataclass
class Walks:
    """A board of its own for each test, of twelve players of one country, two and two of whom are level."""

    database: Database
    code: str
    crowd: list[EntrantId]

    async def add(self, key: str, *deltas: tuple[int, int]) -> None:
        async with self.database.begin(SYSTEM) as tx:
            items = [Submission(None, self.crowd[n], by, key, DAY, board=self.code) for n, by in deltas]
            outcomes = await competitions.submit_many(tx, items, now=DAY)
        assert all(isinstance(outcome, Counted) for outcome in outcomes)


@pytest.fixture
async def walks(database: Database) -> Walks:
    code = f"test.{new_id().hex[-12:]}"
    async with database.begin(SYSTEM) as tx:
        await competitions.ensure_board(tx, new=NewBoard(code, "Walks", "steps", periods=("ALL", "D")))
        new = [NewEntrant("player", f"{new_id()}", None, f"Walker {n}", "NP") for n in range(PEOPLE)]
        found = Walks(database, code, await competitions.enter_many(tx, new))
    await found.add("first", *enumerate(SCORES))
    return found


@pytest.mark.parametrize("narrow", ["", "?filter=country:NP"])
async def test_a_board_is_read_to_its_end_while_others_overtake(
    client: httpx2.AsyncClient, walks: Walks, narrow: str
) -> None:
    """Movers jump from the end to the front, and from the front to the end."""

    async def move(turn: int) -> None:
        if turn < 3:
            await walks.add(f"m{turn}", (MOVERS[-turn], 500), (MOVERS[turn - 1], -500))

    pages = await walked(client, f"/api/v1/boards/{walks.code}/all{narrow}", move)

    ours = [who for n, who in enumerate(walks.crowd) if n not in MOVERS]
    assert [who for who in met(pages, "entrant") if who in ours] == ours


async def test_friends_are_ranked_among_themselves_beside_their_rank_among_all(
    client: httpx2.AsyncClient, walks: Walks
) -> None:
    answer = (await client.get(f"/api/v1/boards/{walks.code}/all?filter=country:NP&limit=3")).json()
    whole = (await client.get(f"/api/v1/boards/{walks.code}/all?limit=1")).json()
    stranger = await client.get(f"/api/v1/boards/{walks.code}/all?filter=friends")
    odd = await client.get(f"/api/v1/boards/{walks.code}/all?filter=country:Nepal")

    assert [(item["rank"], item["among"]) for item in answer["items"]] == [(1, 1), (1, 1), (3, 3)]
    assert whole["items"][0]["among"] is None
    assert (stranger.status_code, odd.status_code) == (401, 422)


async def test_a_walk_goes_on_where_a_list_has_become_final(client: httpx2.AsyncClient, walks: Walks) -> None:
    """Also for whom the row that he has come to changed just before: it is counted then instead of looked up."""

    async def move(turn: int) -> None:
        if turn == 1:
            await walks.add("late", (2, 500))
            async with walks.database.begin(SYSTEM) as tx:
                while await competitions.close_list(tx, now=DAY + timedelta(days=2)):
                    pass

    pages = await walked(client, f"/api/v1/boards/{walks.code}/{DAY:D:%Y-%m-%d}", move)

    assert [page["final"] for page in pages] == [False, True, True, True]
    assert met(pages, "entrant") == walks.crowd
    back = await client.get(f"/api/v1/boards/{walks.code}/{DAY:D:%Y-%m-%d}?limit=3&cursor={pages[-1]['prev']}")
    assert [item["place"] for item in back.json()["items"]] == [7, 8, 9]


async def competition(database: Database, **changes: object) -> tuple[CompetitionId, list[EntrantId]]:
    """Twelve players of a country, the last two of them below the line."""
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, NOW, min_score=55, **changes)
        new = [Admission(competition_id, "player", f"{new_id()}", None, "pla***", country="NP") for _ in range(PEOPLE)]
        entrants = await competitions.admit_many(tx, new, now=NOW)
        await score(tx, competition_id, entrants, SCORES, NOW)
    return competition_id, entrants


@pytest.mark.parametrize("narrow", ["", "?filter=country:NP"])
@pytest.mark.parametrize("is_frozen", [False, True])
async def test_standings_are_read_to_their_end_while_others_move(
    client: httpx2.AsyncClient, database: Database, narrow: str, *, is_frozen: bool
) -> None:
    """Over the line too, and over the freeze, after which somebody is taken out and the rest moves up."""
    competition_id, crowd = await competition(database, results_visible="live", review_h=1)
    out_at = NOW + 4 * HOUR

    async def move(turn: int) -> None:
        async with database.begin(SYSTEM) as tx:
            if turn == 1:
                deltas = [(10, 500, "up"), (1, -60, "down")]
                items = [Submission(competition_id, crowd[n], by, key, NOW) for n, by, key in deltas]
                await competitions.submit_many(tx, items, now=NOW + HOUR)
                change = StateChange(competition_id, crowd[4], "out", "out", out_at, "because")
                await competitions.set_state_many(tx, [change], now=out_at)
                if is_frozen:
                    await settle(tx, competition_id, NOW + 5 * HOUR)

    pages = await walked(client, f"/api/v1/competitions/{competition_id}/standings{narrow}", move)

    ours = [who for n, who in enumerate(crowd) if n not in (1, 4, 10)]
    assert [who for who in met(pages, "entrant_id") if who in ours] == ours
    assert pages[-1]["of"] == PEOPLE - 1
    assert pages[-1]["provisional"] is not is_frozen


async def test_somebody_is_told_his_own_row_whoever_passes_him(database: Database) -> None:
    """Place, neighbours and the next better rank are of one moment: nobody is told another's row as his own."""
    competition_id, crowd = await competition(database)
    async with database.begin(SYSTEM) as tx:
        header = await competitions.get(tx, competition_id=competition_id)
        found = await reads.nearby(tx, competition=header, entrant_id=crowd[4], radius=1, now=NOW)
        await settle(tx, competition_id, NOW + 6 * HOUR)
        header = await competitions.get(tx, competition_id=competition_id)
        frozen = await reads.nearby(tx, competition=header, entrant_id=crowd[4], radius=1, now=NOW)
        nobody = await reads.nearby(tx, competition=header, entrant_id=EntrantId(2**40), radius=1, now=NOW)

    assert found and frozen and nobody is None
    for near in (found, frozen):
        assert [row.standing.entrant_id for row in near.board.rows] == crowd[3:6]
        assert (near.row.standing.place, near.row.standing.rank, near.ahead) == (5, 5, (3, 90))
