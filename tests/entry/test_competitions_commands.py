"""`palio competitions …`: what there is, how a settlement goes on, and whether it can be proved."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest

from palio.competitions.types import CompetitionId
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.infra import embedded, jobs
from palio.infra.db import Database, Equipment
from palio.kernel.ids import Actor, RequestId, new_id
from tests.entry.conftest import Command
from tests.factories.competitions import enter, live, score

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
OVER = ("--at", "2026-03-20T18:00:00Z")
SYSTEM = Actor("system", None, RequestId(new_id()))


@pytest.fixture
async def competition_id(commands_dsn: str) -> AsyncIterator[CompetitionId]:
    """Three people from noon until five."""
    database = Database(commands_dsn, equipment=Equipment(jobs.addresses(SUBSCRIPTIONS)))
    await database.pool.open(wait=True)
    async with database.begin(SYSTEM) as tx:
        made = await live(tx, NOON, title="Spring of commands")
        await score(tx, made, await enter(tx, made, 3, NOON), [9, 7, 5], NOON)
    yield made
    await database.pool.close()


def test_competitions_are_listed(command: Command, competition_id: CompetitionId) -> None:
    shown, told = command("competitions", "list"), command("competitions", "list", "--json")
    [line] = [line for line in told.answer["items"] if line["id"] == str(competition_id)]

    assert f"{competition_id}  custom   live" in shown.out and "100.00" in shown.out
    assert (line["status"], line["entrants"], line["pool"]) == ("live", 3, {"asset": "USD", "amount": 10_000})


def test_a_settlement_is_tried_done_and_proved(command: Command, competition_id: CompetitionId) -> None:
    trial = command("competitions", "settle", str(competition_id), *OVER, "--dry-run")
    done = command("competitions", "settle", str(competition_id), *OVER, "--json")
    again = command("competitions", "settle", str(competition_id), *OVER, "--json")
    proof = command("competitions", "verify", str(competition_id))

    assert trial.out.splitlines() == ["Nothing was changed; this would be done:", "2 steps; it is completed."]
    assert done.answer == {"steps": 2, "status": "completed", "phase": None}
    assert again.answer == {"steps": 0, "status": "completed", "phase": None}
    assert (proof.status, proof.out) == (0, "Sound: 3 entrants, completed.\n")


def test_what_cannot_be_proved_is_named(
    command: Command, competition_id: CompetitionId, cluster: embedded.Cluster, database_name: str
) -> None:
    command("competitions", "settle", str(competition_id), *OVER)
    with psycopg.connect(cluster.dsn("postgres", database_name)) as superuser:
        found = superuser.execute(
            """
            update competitions.receipts r set delta = 8 from competitions.competitions c
            where c.id = %s and r.list_id = c.list_id and r.delta = 7 returning r.entrant_id""",
            [competition_id],
        )
        [(entrant_id,)] = found.fetchall()
    proof, told = (command("competitions", "verify", str(competition_id), *words) for words in ([], ["--json"]))

    assert (proof.status, told.status) == (1, 1)
    assert proof.out.splitlines() == [
        (
            f"score  {competition_id}  entrant {entrant_id}: expected 8 at 2026-03-20 12:00:01+00,"
            " found 7 at 2026-03-20 12:00:01+00"
        ),
        (
            f"standing  {competition_id}  entrant {entrant_id}: expected place 2, rank 2, score 8,"
            " found place 2, rank 2, score 7"
        ),
        "Broken: 3 entrants, completed.",
    ]
    assert told.answer["sound"] is False and told.answer["differences"][0]["entrant_id"] == entrant_id


@pytest.mark.parametrize("act", ["settle", "verify"])
def test_an_id_of_nothing_is_refused(command: Command, act: str) -> None:
    unknown = command("competitions", act, str(new_id()), "--json")
    odd = command("competitions", act, "38")

    assert (unknown.status, unknown.answer["code"]) == (1, "competitions.no_such_competition")
    assert odd.status == 64


def test_a_board_that_nobody_offers_is_refused(command: Command) -> None:
    answer = command("competitions", "board", "pears:green", "week", "--json")

    assert (answer.status, answer.answer["code"]) == (1, "competitions.no_such_board")
