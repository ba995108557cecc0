"""A batch of scores whose caller does not wait (`Prefer: respond-async`), for a board and for a competition."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from palio.competitions.types import CompetitionId
from palio.entry.wiring import BULK
from palio.infra import operations, settings
from palio.infra.db import Database
from palio.infra.messages import RunOperation
from palio.infra.storage import Storage
from palio.kernel.ids import UserId, new_id
from palio.kernel.settings import Catalogue
from palio.ui.types import BULK_MAX
from tests.competitions import test_score_calls as calls
from tests.competitions.test_score_calls import PROGRAM, count_receipts, people, score
from tests.ui.conftest import talk_to
from tests.ui.house import SYSTEM
from tests.ui.people import caller
from tests.ui.product import product

LATER = PROGRAM | {"prefer": "respond-async"}
board, race = calls.board, calls.race  # fixtures of their own for each test


@pytest.fixture
async def client(database: Database, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    database.equipment = replace(database.equipment, bulk={one.call: one for one in BULK}, storage=Storage(tmp_path))
    async with talk_to(product(database)) as client:
        yield client


async def test_scores_of_a_board_are_counted_later_and_told_as_the_call_tells_them(
    client: httpx2.AsyncClient, database: Database, board: str
) -> None:
    """Nothing is counted before the answer; the worker counts it once, and a second look finds nothing to do."""
    anna, bert = await people(database, 2)
    path = f"/api/v1/boards/{board}/scores/batch"
    body = {"items": [score(anna, 5, "a"), score(UserId(new_id()), 5, "b"), score(bert, 7, "c"), {"entrant": "user:1"}]}
    accepted = await client.post(path, json=body, headers=LATER)
    address = accepted.headers["location"]
    early = await client.get(f"{address}/result", headers=PROGRAM)

    assert (accepted.status_code, accepted.headers["preference-applied"]) == (202, "respond-async"), accepted.text
    assert (accepted.json()["kind"], accepted.json()["state"], accepted.json()["total"]) == ("bulk", "queued", 4)
    assert (early.status_code, early.json()["code"]) == (409, "operation.not_ready")
    assert await count_receipts(database, board) == 0

    for _ in range(2):
        await operations.run(database, RunOperation(accepted.json()["id"]))
    result = (await client.get(f"{address}/result", headers=PROGRAM)).json()
    again = (await client.post(path, json=body, headers=PROGRAM)).json()

    assert [one["status"] for one in result["results"]] == ["ok", "refused", "ok", "refused"]
    assert result["counts"] == {"ok": 2, "duplicate": 0, "refused": 2}
    assert [one["status"] for one in again["results"]] == ["duplicate", "refused", "duplicate", "refused"]
    assert result["results"][3]["problem"] == again["results"][3]["problem"]
    assert await count_receipts(database, board) == 4


async def test_scores_of_a_competition_are_taken_back_whole_and_that_is_told(
    client: httpx2.AsyncClient, database: Database, race: tuple[CompetitionId, list[UserId], datetime]
) -> None:
    competition_id, users, began = race
    path, at = f"/api/v1/competitions/{competition_id}", (began + timedelta(minutes=5)).isoformat()
    items = [score(users[0], 50, "a", happened_at=at), score(users[1], 50, "b", happened_at=at, surprise=1)]
    body = {"mode": "all", "items": items}
    accepted = await client.post(f"{path}/scores/batch", json=body, headers=LATER)
    await operations.run(database, RunOperation(accepted.json()["id"]))
    done, result = [
        (await client.get(accepted.headers["location"] + end, headers=PROGRAM)).json() for end in ("", "/result")
    ]
    receipts = await client.get(f"{path}/receipts/me", headers=caller("player", users[0]))

    assert (done["state"], done["code"]) == ("failed", "batch_refused")
    assert (result["code"], result["counts"]["refused"]) == ("batch_refused", 1)
    assert (receipts.status_code, receipts.json()["code"]) == (404, "competitions.not_taking_part"), (
        "nothing was counted"
    )


@pytest.fixture
async def a_hundred_at_once(database: Database) -> AsyncIterator[None]:
    async with database.begin(SYSTEM) as tx:
        await settings.declare(tx, Catalogue([BULK_MAX]))
        await settings.change(tx, SYSTEM, [settings.Change(BULK_MAX, 100)], "a test")
        await settings.snapshot.load(tx)
    yield
    settings.snapshot.forget()


@pytest.mark.usefixtures("a_hundred_at_once")
@pytest.mark.parametrize("headers", [PROGRAM, LATER], ids=["at once", "later"])
async def test_an_operator_says_how_many_items_a_bulk_call_takes(
    client: httpx2.AsyncClient, database: Database, board: str, headers: dict[str, str]
) -> None:
    (anna,) = await people(database, 1)
    path, items = f"/api/v1/boards/{board}/scores/batch", [score(anna, 1, f"k{n}") for n in range(101)]
    refused = await client.post(path, json={"items": items}, headers=headers)
    counted = await count_receipts(database, board)
    taken = await client.post(path, json={"items": items[:100]}, headers=headers)

    assert (refused.status_code, refused.json()["code"], counted) == (413, "too_many_items", 0)
    assert refused.json()["facts"] == {"items": 101, "limit": 100}
    assert taken.is_success
