"""A settled competition can be worked out once more from its receipts; whoever changes one is found."""

from datetime import datetime, timedelta

import psycopg
import pytest

from palio import competitions
from palio.competitions.types import CompetitionId, Difference, EntrantId, Submission
from palio.infra import db, embedded
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import HOUR, enter, live, score, settle

SYSTEM = Actor("system", None, RequestId(new_id()))
STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))


async def differences(tx: Tx, competition_id: CompetitionId) -> list[Difference]:
    return list((await competitions.verify(tx, competition_id=competition_id)).differences)


@pytest.mark.parametrize("terms", [{}, {"direction": "asc", "min_score": 4}, {"tie_rule": "earliest"}], ids=str)
async def test_what_was_settled_properly_is_sound(tx: Tx, noon: datetime, terms: dict[str, object]) -> None:
    """Live, with corrections and somebody taken out; frozen; and paid."""
    competition_id = await live(tx, noon, review_h=1, **terms)
    people = await enter(tx, competition_id, 7, noon)
    await score(tx, competition_id, people, [9, 7, 7, 7, 5, 3, 12], noon)
    at = noon + HOUR
    lowered = Submission(competition_id, people[0], -1, "corrected", at, kind="correction")
    await competitions.submit_many(tx, [lowered], now=at)
    await competitions.disqualify(
        tx, competition_id=competition_id, entrant_id=people[6], actor=STAFF, reason="two accounts", now=at
    )
    assert await differences(tx, competition_id) == []

    for hours in (6, 8):
        await settle(tx, competition_id, noon + hours * HOUR)
        assert await differences(tx, competition_id) == []
    assert (await competitions.get(tx, competition_id=competition_id)).status == "completed"


async def test_a_changed_receipt_names_competition_entrant_and_difference(
    database: Database, cluster: embedded.Cluster, database_name: str, noon: datetime
) -> None:
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, noon)
        people = await enter(tx, competition_id, 3, noon)
        await score(tx, competition_id, people, [9, 7, 5], noon)
        await settle(tx, competition_id, noon + 6 * HOUR)
        list_id = (await competitions.get(tx, competition_id=competition_id)).list_id
    with psycopg.connect(cluster.dsn("postgres", database_name)) as superuser:
        superuser.execute(
            "update competitions.receipts set delta = 70 where list_id = %s and entrant_id = %s", [list_id, people[1]]
        )
    async with database.begin(SYSTEM) as tx:
        proof = await competitions.verify(tx, competition_id=competition_id)
    reached = (noon + timedelta(seconds=1)).strftime("%Y-%m-%d %H:%M:%S+00")

    assert proof.competition.id == competition_id
    assert proof.differences == (
        Difference("score", people[1], f"70 at {reached}", f"7 at {reached}"),
        Difference("standing", people[0], "place 2, rank 2, score 9", "place 1, rank 1, score 9"),
        Difference("standing", people[1], "place 1, rank 1, score 70", "place 2, rank 2, score 7"),
    )


async def test_a_changed_prize_and_a_changed_standing_are_found(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    people: list[EntrantId] = await enter(tx, competition_id, 3, noon, linked=False)
    await score(tx, competition_id, people, [9, 7, 5], noon)
    await settle(tx, competition_id, noon + 6 * HOUR)
    await db.run(
        tx,
        "update competitions.rewards set amount = amount + 1 where competition_id = %s and entrant_id = %s",
        *(competition_id, people[0]),
    )

    assert await differences(tx, competition_id) == [
        Difference("prize", people[0], "5000", "5001"),
        Difference("pool", None, "10001", "10000"),
    ]
