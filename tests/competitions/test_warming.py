"""A process that has just been started does not know a ranking yet: it says so, and tells the newest picture."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from palio import competitions
from palio.competitions.service.rankings import Rankings
from palio.competitions.types import Admission, CompetitionId, NewBoard, NewEntrant, Submission
from palio.identity.service import friends
from palio.infra import embedded
from palio.infra.db import Database, Tx
from palio.kernel.ids import UserId, new_id
from tests.factories.competitions import HOUR, banded, live, players, score
from tests.ui.conftest import talk_to
from tests.ui.house import SYSTEM
from tests.ui.people import NOW, caller
from tests.ui.product import product


@dataclass
class Started:
    """A process whose rankings are still being loaded."""

    client: httpx2.AsyncClient
    database: Database

    def finish(self) -> None:
        """Let the rankings be known."""
        self.database.remembered(Rankings).apart = None

    async def read(self, path: str, user: UserId | None = None) -> dict[str, Any]:
        answer = await self.client.get(f"/api/v1{path}", headers=caller("player", user) if user else {})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def started(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Started]:
    database = Database(cluster.dsn("palio_app", database_name))
    await database.pool.open(wait=True)
    never = asyncio.get_running_loop().create_future()
    rankings = database.remembered(Rankings)
    rankings.apart, rankings.patience_s = lambda terms: never, 0.01
    async with talk_to(product(database)) as client:
        yield Started(client, database)
    await database.pool.close()


async def played(tx: Tx, **terms: object) -> tuple[CompetitionId, list[UserId]]:
    """Three with 30, 20 and 20 points, as the picture of two hours ago has them; the last has 25 by now."""
    users = await players(tx, 3, NOW)
    competition_id = await live(tx, NOW - 3 * HOUR, **terms)
    items = [Admission(competition_id, "user", str(user), user) for user in users]
    people = await competitions.admit_many(tx, items, now=NOW)
    await score(tx, competition_id, people, [30, 20, 20], NOW - 2 * HOUR)
    await competitions.take_snapshots(tx, now=NOW - 2 * HOUR)
    later = Submission(competition_id, people[2], 5, "later", NOW - HOUR)
    await competitions.submit_many(tx, [later], now=NOW)
    return competition_id, users


async def test_a_board_that_is_loaded_is_that_of_the_last_picture_and_nobody_has_a_rank(
    database: Database, started: Started
) -> None:
    async with database.begin(SYSTEM) as tx:
        competition_id, (anna, *_) = await played(tx)
    path = f"/competitions/{competition_id}"
    board = await started.read(f"{path}/standings")
    mine = await started.read(f"{path}/standings/me", anna)
    terms = await started.read(path)
    page = await started.client.get(path, headers=caller("player", anna))
    around = await started.client.get(f"/api/v1{path}/standings/around", headers=caller("player", anna))
    behind = await started.client.get(f"/api/v1{path}/standings?limit=1")

    assert [(row["rank"], row["score"], row["prize"]["amount"]) for row in board["items"]] == [
        *((1, 30, 5_000), (2, 20, 2_500), (2, 20, 2_500)),
    ]
    assert (board["stale"], board["warming"], board["next"], board["of"]) == (True, True, None, 3)
    assert board["as_of"] == "2026-03-20T10:00:00.000000Z"
    assert (mine["rank"], mine["warming"], mine["score"]) == (None, True, None)
    assert (terms["entrants"], terms["qualified"]) == (3, 3)
    assert page.status_code == 200 and "Stale, as of" in page.text and "Your place" not in page.text
    assert around.status_code == 200, around.text
    [own] = around.json()["items"]
    assert (own["rank"], own["place"], own["among"], own["score"]) == (None, None, None, 30)
    assert (around.json()["warming"], own["prize"]["amount"]) == (True, 0)
    assert behind.json()["next"] is None

    started.finish()
    mine, board = await started.read(f"{path}/standings/me", anna), await started.read(f"{path}/standings")
    assert (mine["rank"], mine["warming"], board["stale"], board["warming"]) == (1, False, False, False)
    assert [row["score"] for row in board["items"]] == [30, 25, 20]


async def test_without_a_picture_there_are_no_lines(database: Database, started: Started) -> None:
    async with database.begin(SYSTEM) as tx:
        (user,) = await players(tx, 1, NOW)
        competition_id = await live(tx, NOW - HOUR)
        [entrant] = await competitions.admit_many(tx, [Admission(competition_id, "user", str(user), user)], now=NOW)
        await score(tx, competition_id, [entrant], [5], NOW - HOUR)
    board = await started.read(f"/competitions/{competition_id}/standings")
    page = await started.client.get(f"/competitions/{competition_id}")

    assert (board["items"], board["of"], board["warming"], board["stale"]) == ([], 1, True, True)
    assert "The board is being put in order" in page.text


async def test_what_a_line_is_worth_is_not_guessed_where_more_are_paid_than_the_picture_has(
    database: Database, started: Started
) -> None:
    """A hundred stand in it; where the last band is open, the hundred and first changes what each of them gets."""
    rule = banded("occupants", (1, 1, 5_000), (2, None, 5_000))
    async with database.begin(SYSTEM) as tx:
        found = []
        for terms in ({}, {"prize_rule": rule}):
            competition_id = await live(tx, NOW - 3 * HOUR, **terms)
            items = [Admission(competition_id, "player", f"{new_id()}", None, "pla***") for _ in range(101)]
            people = await competitions.admit_many(tx, items, now=NOW)
            await score(tx, competition_id, people, range(200, 99, -1), NOW - 2 * HOUR)
            found.append(competition_id)
        await competitions.take_snapshots(tx, now=NOW - HOUR)
    three, open_band = [await started.read(f"/competitions/{each}/standings?limit=200") for each in found]

    assert [row["prize"]["amount"] for row in three["items"]][:4] == [5_000, 3_000, 2_000, 0]
    assert (len(three["items"]), open_band["items"]) == (100, [])
    assert three["of"] == open_band["of"] == 101


async def test_friends_and_a_country_are_told_with_their_scores_and_without_ranks_of_all(
    database: Database, started: Started
) -> None:
    """As they are by now, in their order among each other; whoever is below the line has none."""
    async with database.begin(SYSTEM) as tx:
        competition_id, (anna, bela, cora) = await played(tx, min_score=25)
        for asking, asked, what in (
            (bela, anna, "ask"),
            (anna, bela, "accept"),
            (cora, anna, "ask"),
            (anna, cora, "accept"),
        ):
            await friends.act(tx, user_id=asking, friend_id=asked, what=what, now=NOW)
        await tx.execute("update competitions.entrants set country = 'NP' where user_id = any(%s)", [[anna, cora]])
    path = f"/competitions/{competition_id}/standings"
    ours = await started.read(f"{path}?filter=friends", anna)
    country = await started.read(f"{path}?filter=country:NP")
    page = await started.client.get(f"/competitions/{competition_id}?country=NP")
    told = [(row["score"], row["among"], row["rank"], row["place"], row["prize"]["amount"]) for row in ours["items"]]
    assert told == [(30, 1, None, None, 0), (25, 2, None, None, 0), (20, None, None, None, 0)]
    assert (ours["of"], ours["warming"]) == (3, True)
    assert [(row["score"], row["among"]) for row in country["items"]] == [(30, 1), (25, 2)]
    assert ("Places of all are being put in order" in page.text, "place None" in page.text) == (True, False)
    first = await started.read(f"{path}?filter=friends&limit=2", anna)
    rest = await started.read(f"{path}?filter=friends&limit=2&cursor={first['next']}", anna)
    assert [row["score"] for row in (*first["items"], *rest["items"])] == [30, 25, 20]

    started.finish()
    after = await started.read(f"{path}?filter=friends", anna)
    assert [(row["score"], row["among"], row["rank"]) for row in after["items"]] == [
        (30, 1, 1),
        (25, 2, 2),
        (20, None, None),
    ]
    rest = await started.read(f"{path}?filter=friends&limit=2&cursor={first['next']}", anna)
    assert [row["score"] for row in rest["items"]] == [20]


async def test_a_part_of_a_board_of_everybody_has_no_lines_rather_than_wrong_ones(
    database: Database, started: Started
) -> None:
    async with database.begin(SYSTEM) as tx:
        code = f"test.{new_id().hex[-12:]}"
        await competitions.ensure_board(tx, new=NewBoard(code, "Warm", "steps", periods=("ALL",)))
        new = [NewEntrant("player", f"{new_id()}", None, f"Walker {n}", "NP") for n in range(3)]
        crowd = await competitions.enter_many(tx, new)
        items = [Submission(None, each, n, "first", NOW, board=code) for n, each in enumerate(crowd)]
        await competitions.submit_many(tx, items, now=NOW)
    for query in (f"{code}/all?filter=country:NP", f"{code}/all/around?entrant={crowd[1]}"):
        found = await started.read(f"/boards/{query}")
        assert (found["items"], found["warming"], found["stale"]) == ([], True, True)
    started.finish()
    found = await started.read(f"/boards/{code}/all?filter=country:NP")
    assert ([row["score"] for row in found["items"]], found["warming"]) == ([2, 1, 0], False)
