"""What a competition tells others: each event once, in its order, whatever is repeated."""

from dataclasses import replace
from datetime import datetime

from palio import competitions
from palio.competitions.types import Claim, CompetitionId, EntrantId
from palio.infra import db
from palio.infra.db import Address, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import HOUR, enter, live, new, score, settle

STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))
EVENTS = (
    *(competitions.CompetitionPublished, competitions.CompetitionWentLive, competitions.CompetitionFrozen),
    *(competitions.CompetitionCompleted, competitions.CompetitionCancelled, competitions.RewardPaid),
    *(competitions.RewardUnclaimed, competitions.AppealDecided),
)


def listen(tx: Tx) -> None:
    """Let somebody hear everything in this transaction."""
    heard = {event: (Address(f"told:{event.__name__}", "default", 0),) for event in EVENTS}
    tx.equipment = replace(tx.equipment, addresses={**tx.equipment.addresses, **heard})


async def told(tx: Tx) -> list[str]:
    """The events that were sent, by name, in their order."""
    statement = "select substr(task_name, 6) from jobs.procrastinate_jobs where task_name like 'told:%%' order by id"
    return list(await db.column(tx, statement))


async def rewards_told(tx: Tx) -> list[tuple[int, int, int]]:
    """Entrant, rank and amount of each prize that was told."""
    statement = "select args -> 'message' from jobs.procrastinate_jobs where task_name like 'told:Reward%%' order by id"
    return [(each["entrant"], each["rank"], each["amount"]) for each in await db.column(tx, statement)]


async def doubt(tx: Tx, competition_id: CompetitionId, entrant: EntrantId, now: datetime) -> None:
    """He doubts the result, and staff do not."""
    user_id = (await competitions.entrants_many(tx, [entrant]))[entrant].user_id
    assert user_id
    appeal = await competitions.open_appeal(
        tx, appeal_id=new_id(), competition_id=competition_id, user_id=user_id, text="My game is missing.", now=now
    )
    await competitions.decide_appeal(
        tx, appeal_id=appeal.id, decision="rejected", answer="It came after the end.", actor=STAFF, now=now
    )


async def test_each_step_and_each_prize_is_told_once(tx: Tx, noon: datetime) -> None:
    """A stranger has won the second prize; when he is known, he is paid, and that is told too."""
    listen(tx)
    competition_id = await live(tx, noon, review_h=24)
    first, third = await enter(tx, competition_id, 2, noon)
    (stranger,) = await enter(tx, competition_id, 1, noon, linked=False)
    await score(tx, competition_id, [first, stranger, third], [30, 20, 10], noon)
    await settle(tx, competition_id, noon + 5 * HOUR)
    await doubt(tx, competition_id, first, noon + 6 * HOUR)
    for _ in range(2):
        await settle(tx, competition_id, noon + 30 * HOUR)

    of_steps = ["CompetitionPublished", "CompetitionWentLive", "CompetitionFrozen", "AppealDecided"]
    found = await told(tx)
    assert found[:4] == of_steps
    assert sorted(found[4:7]) == ["RewardPaid", "RewardPaid", "RewardUnclaimed"]
    assert found[7:] == ["CompetitionCompleted"]
    assert sorted(await rewards_told(tx)) == sorted([(first, 1, 5_000), (stranger, 2, 3_000), (third, 3, 2_000)])

    known = await competitions.entrants_many(tx, [stranger])
    for _ in range(2):
        await competitions.claim_many(
            tx, [Claim("player", known[stranger].ref, UserId(new_id()))], now=noon + 31 * HOUR
        )
    assert (await told(tx))[8:] == ["RewardPaid"]
    assert (await rewards_told(tx))[-1] == (stranger, 2, 3_000)


async def test_what_is_called_off_is_told_once_and_pays_nobody(tx: Tx, noon: datetime) -> None:
    listen(tx)
    competition_id = await competitions.create(tx, new=new(noon + HOUR), created_by=None, now=noon)
    await competitions.publish(tx, competition_id=competition_id, now=noon)
    await competitions.cancel(tx, competition_id=competition_id, actor=STAFF, reason="no venue", now=noon)
    assert await settle(tx, competition_id, noon + 99 * HOUR) == 0
    assert await told(tx) == ["CompetitionPublished", "CompetitionCancelled"]
