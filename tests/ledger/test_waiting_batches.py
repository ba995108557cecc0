"""A batch whose caller does not wait (`Prefer: respond-async`): done once, later, and told as the call tells it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from palio.entry.wiring import BULK
from palio.infra import operations
from palio.infra.db import Database
from palio.infra.messages import RunOperation
from palio.infra.operations import bulk
from palio.infra.storage import Storage
from palio.kernel.ids import UserId, new_id
from tests.factories.programs import BATCH, SYSTEM, Bank, furnish, program
from tests.ledger.test_transfers import balance, lines, move

LATER = {"prefer": "respond-async, wait=10"}
ONE = "/api/v1/operations/{}"


@pytest.fixture(scope="module")
async def service(database: Database) -> tuple[UserId, str]:
    await furnish(database)
    return await program(database)


@pytest.fixture(params=[True, False], ids=["short way", "ordinary way"])
async def bank(database: Database, request: pytest.FixtureRequest, tmp_path: Path) -> Bank:
    database.equipment = replace(database.equipment, bulk={one.call: one for one in BULK}, storage=Storage(tmp_path))
    async with database.begin(SYSTEM) as tx:
        await tx.execute("delete from infra.operations")
    return Bank(database, is_quick=request.param, key=new_id().bytes * 2)


@pytest.fixture
async def client(bank: Bank, service: tuple[UserId, str]) -> AsyncIterator[httpx2.AsyncClient]:
    async with bank.talk(service[1]) as client:
        yield client


class FullStorage(Storage):
    """A store that takes nothing more: whoever has worked dies before he can say so."""

    async def put(self, key: str, content: bytes) -> None:  # noqa: ARG002 - as of a store
        raise OSError("full")


def batch(wallet: str, *amounts: int, mode: str = "each") -> dict[str, object]:
    items = [move(wallet, amount, key=f"{new_id()}") for amount in amounts]
    return {"mode": mode, "items": items}


async def test_lines_are_done_later_as_they_are_done_at_once(
    client: httpx2.AsyncClient, database: Database, wallet: str
) -> None:
    items = batch(wallet, 100, 20)["items"]
    body = lines(*items, "{")
    accepted = await client.post(BATCH, content=body["content"], headers=LATER | body["headers"])
    assert (accepted.status_code, accepted.json()["total"]) == (202, 3)

    await operations.run(database, RunOperation(accepted.json()["id"]))
    result = await client.get(f"{accepted.headers['location']}/result")

    assert result.json()["counts"] == {"ok": 2, "duplicate": 0, "refused": 1}
    assert result.json()["results"][2]["problem"]["errors"][0]["pointer"] == "/items/2"
    assert await balance(database, wallet) == 120


async def test_a_batch_is_done_later_and_told_as_the_call_tells_it(
    client: httpx2.AsyncClient, database: Database, wallet: str
) -> None:
    """Nothing is done before the answer; the worker does it once, and a second look finds nothing to do."""
    wished = batch(wallet, 100, 20, -1_000_000)
    accepted = await client.post(BATCH, json=wished, headers=LATER)
    address = accepted.headers["location"]
    early = await client.get(f"{address}/result")

    assert (accepted.status_code, accepted.headers["preference-applied"]) == (202, "respond-async")
    told = accepted.json()
    assert (told["kind"], told["state"], told["total"]) == ("bulk", "queued", 3)
    assert (early.status_code, early.json()["code"]) == (409, "operation.not_ready")
    assert await balance(database, wallet) == 0

    for _ in range(2):
        await operations.run(database, RunOperation(told["id"]))
    done, result = await client.get(address), await client.get(f"{address}/result")
    at_once = await client.post(BATCH, json=wished)

    assert (done.json()["state"], done.json()["done"], done.json()["has_file"]) == ("done", 3, True)
    assert [one["status"] for one in result.json()["results"]] == ["ok", "ok", "refused"]
    assert result.json()["counts"] == {"ok": 2, "duplicate": 0, "refused": 1}
    assert [one["status"] for one in at_once.json()["results"]] == ["duplicate", "duplicate", "refused"]
    assert await balance(database, wallet) == 120


async def test_one_that_is_taken_back_whole_says_why(
    client: httpx2.AsyncClient, database: Database, wallet: str
) -> None:
    accepted = await client.post(BATCH, json=batch(wallet, 100, -1_000_000, mode="all"), headers=LATER)
    await operations.run(database, RunOperation(accepted.json()["id"]))
    done, result = [await client.get(accepted.headers["location"] + end) for end in ("", "/result")]

    assert (done.json()["state"], done.json()["code"]) == ("failed", "batch_refused")
    assert (result.json()["code"], result.json()["counts"]["refused"]) == ("batch_refused", 2)
    assert await balance(database, wallet) == 0


async def test_a_worker_that_dies_is_followed_by_one_that_pays_nothing_twice(
    client: httpx2.AsyncClient, database: Database, wallet: str, tmp_path: Path
) -> None:
    """It has paid and dies before it says so; two begin anew at once, and one of them tells."""
    accepted = await client.post(BATCH, json=batch(wallet, 100, 20), headers=LATER)
    operation_id = accepted.json()["id"]

    kept = database.equipment
    database.equipment = replace(kept, storage=FullStorage(tmp_path))
    with pytest.raises(OSError, match="full"):
        await operations.run(database, RunOperation(operation_id))
    database.equipment = kept
    assert (await client.get(accepted.headers["location"])).json()["state"] == "running"

    await asyncio.gather(*(operations.run(database, RunOperation(operation_id)) for _ in range(2)))
    result = (await client.get(accepted.headers["location"] + "/result")).json()

    assert result["counts"] == {"ok": 0, "duplicate": 2, "refused": 0}
    assert await balance(database, wallet) == 120


async def test_one_that_kills_everybody_is_given_up(
    client: httpx2.AsyncClient, database: Database, wallet: str
) -> None:
    accepted = await client.post(BATCH, json=batch(wallet, 100), headers=LATER)
    async with database.begin(SYSTEM) as tx:
        await tx.execute(
            "update infra.operations set tries = %s where id = %s", (bulk.TRIES_MAX, accepted.json()["id"])
        )
    await operations.run(database, RunOperation(accepted.json()["id"]))
    done = (await client.get(accepted.headers["location"])).json()

    assert (done["state"], done["code"]) == ("failed", "operation.never_ends")
    assert await balance(database, wallet) == 0


async def test_what_was_stopped_is_not_done(client: httpx2.AsyncClient, database: Database, wallet: str) -> None:
    accepted = await client.post(BATCH, json=batch(wallet, 100), headers=LATER)
    stopped = await client.post(accepted.headers["location"] + "/cancel")
    await operations.run(database, RunOperation(accepted.json()["id"]))

    assert (stopped.status_code, stopped.json()["state"]) == (200, "cancelled")
    assert await balance(database, wallet) == 0


async def test_twenty_may_wait(client: httpx2.AsyncClient, wallet: str) -> None:
    """Asked for at once as well: whoever is one too many is refused, and nothing of his is kept."""
    answers = await asyncio.gather(
        *(client.post(BATCH, json=batch(wallet, 1), headers=LATER) for _ in range(bulk.OPEN_MAX + 5))
    )

    assert sorted(one.status_code for one in answers) == [202] * bulk.OPEN_MAX + [409] * 5
    assert {one.json()["code"] for one in answers if one.status_code == 409} == {"operation.too_many_open"}


@pytest.mark.parametrize("said", ["", "wait=5", "return=minimal", "respond-sync"])
async def test_whoever_waits_is_answered(client: httpx2.AsyncClient, wallet: str, said: str) -> None:
    answer = await client.post(BATCH, json=batch(wallet, 1), headers={"prefer": said} if said else {})

    assert (answer.status_code, "preference-applied" in answer.headers) == (200, False)


async def test_a_batch_of_another_shape_is_refused_at_once(client: httpx2.AsyncClient, wallet: str) -> None:
    answer = await client.post(BATCH, json={**batch(wallet, 1), "colour": "red"}, headers=LATER)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/colour")


async def test_nobody_reads_what_somebody_else_has_asked_for(
    client: httpx2.AsyncClient, bank: Bank, database: Database, wallet: str
) -> None:
    accepted = await client.post(BATCH, json=batch(wallet, 1), headers=LATER)
    await operations.run(database, RunOperation(accepted.json()["id"]))
    _, other = await program(database)
    async with bank.talk(other) as stranger:
        answers = [await stranger.get(accepted.headers["location"] + end) for end in ("", "/result")]

    assert [(one.status_code, one.json()["code"]) for one in answers] == [(404, "operation.unknown")] * 2
