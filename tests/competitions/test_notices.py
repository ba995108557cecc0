"""What whoever looks on hears of a competition: each step, and that its board is to be read again."""

from dataclasses import replace
from datetime import datetime

from palio import competitions
from palio.infra import realtime
from palio.infra.db import Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import HOUR, enter, live, score, settle

STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))


async def test_each_step_is_told_once_and_a_batch_of_scores_once(tx: Tx, noon: datetime) -> None:
    tx.committed.clear()
    heard_of: list[tuple[str, str]] = []
    tx.equipment = replace(tx.equipment, tell=lambda topic, event: heard_of.append((topic, event)))
    competition_id = await live(tx, noon)
    people = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, people, [3, 2, 1], noon)
    await competitions.disqualify(
        tx, competition_id=competition_id, entrant_id=people[0], actor=STAFF, reason="two accounts", now=noon + HOUR
    )
    await settle(tx, competition_id, noon + 6 * HOUR)
    for call in tx.committed:
        call()

    heard_of = [(topic, event) for topic, event in heard_of if topic != realtime.WRITTEN]
    on_list = [event for topic, event in heard_of if topic.startswith("list:")]
    assert [('"leaderboard.updated"' in event, '"changed": 3' in event) for event in on_list] == [(True, True)]
    heard_of = [(topic, event) for topic, event in heard_of if not topic.startswith("list:")]
    assert {topic for topic, _ in heard_of} == {f"competition:{competition_id}"}
    assert [event.split('"type": "')[1].split('"')[0] for _, event in heard_of] == [
        "competition.status_changed",
        "competition.status_changed",
        "competition.updated",
        "competition.updated",
        "competition.status_changed",
        "competition.completed",
    ]
    assert '"changed": 3' in heard_of[2][1]
    assert '"status": "live"' in heard_of[1][1]
