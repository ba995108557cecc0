"""What the clock does beside the life cycle: it says that an end comes, files what is over, and may go backwards."""

from dataclasses import replace
from datetime import datetime, timedelta

from palio import competitions
from palio.competitions.types import CompetitionId
from palio.infra import db
from palio.infra.db import Address, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import HOUR, balances, enter, live, new, score, settle

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))


def listen(tx: Tx) -> None:
    """Let somebody hear in this transaction that something ends soon."""
    heard = {**tx.equipment.addresses, competitions.CompetitionEndingSoon: (Address("tests:ends", "default", 0),)}
    tx.equipment = replace(tx.equipment, addresses=heard)


async def told(tx: Tx, competition_id: CompetitionId) -> list[int]:
    """How many hours before its end this was said of a competition, in order."""
    statement = """select (args -> 'message' ->> 'hours')::int from jobs.procrastinate_jobs
      where task_name = 'tests:ends' and args -> 'message' ->> 'competition' = %s order by id"""
    return list(await db.column(tx, statement, str(competition_id)))


async def test_an_end_is_said_a_day_and_an_hour_ahead_each_once(tx: Tx, noon: datetime) -> None:
    listen(tx)
    competition_id = await live(tx, noon, ends_at=noon + 3 * DAY)
    for after in (timedelta(), 2 * DAY - MINUTE, 2 * DAY, 2 * DAY + MINUTE, 3 * DAY - HOUR, 3 * DAY - MINUTE, 3 * DAY):
        await competitions.tell_ending(tx, now=noon + after)
    assert await told(tx, competition_id) == [24, 1]


async def test_what_nobody_looked_at_in_time_is_said_once_and_as_it_is(tx: Tx, noon: datetime) -> None:
    """The day has passed as well, but only the hour is true."""
    listen(tx)
    competition_id = await live(tx, noon, ends_at=noon + 3 * DAY)
    for _ in range(2):
        await competitions.tell_ending(tx, now=noon + 3 * DAY - 10 * MINUTE)
    assert await told(tx, competition_id) == [1]


async def test_what_lasts_less_than_a_day_has_only_its_last_hour(tx: Tx, noon: datetime) -> None:
    listen(tx)
    competition_id = await live(tx, noon)
    await competitions.tell_ending(tx, now=noon + HOUR)
    assert await told(tx, competition_id) == []
    await competitions.tell_ending(tx, now=noon + 4 * HOUR)
    assert await told(tx, competition_id) == [1]


async def test_of_a_later_end_it_is_said_anew_and_of_a_rest_nothing(tx: Tx, noon: datetime) -> None:
    listen(tx)
    act = {"actor": STAFF, "reason": "the server was down"}
    competition_id = await live(tx, noon, ends_at=noon + 2 * DAY)
    await competitions.tell_ending(tx, now=noon + 2 * DAY - HOUR)
    await competitions.extend(
        tx, competition_id=competition_id, ends_at=noon + 2 * DAY + HOUR, now=noon + 2 * DAY - HOUR, **act
    )
    await competitions.tell_ending(tx, now=noon + 2 * DAY - MINUTE)
    assert await told(tx, competition_id) == [1]
    await competitions.pause(tx, competition_id=competition_id, now=noon + 2 * DAY - MINUTE, **act)
    await competitions.tell_ending(tx, now=noon + 2 * DAY)
    assert await told(tx, competition_id) == [1]
    await competitions.resume(tx, competition_id=competition_id, now=noon + 2 * DAY + MINUTE, **act)
    await competitions.tell_ending(tx, now=noon + 2 * DAY + 2 * MINUTE)
    assert await told(tx, competition_id) == [1, 1]


async def test_what_is_over_is_archived_after_its_time_with_its_row(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    running = await live(tx, noon, ends_at=noon + 90 * DAY)
    people = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, people, [3, 2, 1], noon)
    over_at = noon + 5 * HOUR
    await settle(tx, competition_id, over_at)

    assert await competitions.archive(tx, now=over_at + 30 * DAY - MINUTE) == 0
    assert await competitions.archive(tx, now=over_at + 30 * DAY) == 1
    assert await competitions.archive(tx, now=over_at + 30 * DAY) == 0

    archived = await competitions.get(tx, competition_id=competition_id)
    assert (archived.status, archived.phase, archived.standings_hash is not None) == ("archived", None, True)
    assert (await competitions.get(tx, competition_id=running)).status == "live"
    row = await db.value(
        tx, "select participant_count from competitions.archives where competition_id = %s", competition_id
    )
    assert row == 3
    assert not (await competitions.verify(tx, competition_id=competition_id)).differences
    assert await settle(tx, competition_id, over_at + 31 * DAY) == 0


async def test_a_clock_that_goes_backwards_undoes_nothing_and_pays_nothing_twice(tx: Tx, noon: datetime) -> None:
    """Each step is taken once, whatever the time says later."""
    competition_id = await live(tx, noon, review_h=1)
    people = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, people, [3, 2, 1], noon)
    past, statuses = noon - 2 * DAY, []
    for now in (noon + 5 * HOUR, past, noon + 6 * HOUR, past, noon + 6 * HOUR, past):
        await competitions.advance(tx, competition_id=competition_id, now=now)
        found = await competitions.get(tx, competition_id=competition_id)
        statuses.append(found.phase or found.status)
        await competitions.tell_ending(tx, now=now)
    assert statuses == ["review", "review", "completed", "completed", "completed", "completed"]
    assert await balances(tx, f"pool:{competition_id}") == [0]
    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [reward.amount for reward in rewards] == [5_000, 3_000, 2_000]
    assert await balances(tx, *(f"user:{reward.user_id}:main" for reward in rewards)) == [5_000, 3_000, 2_000]
    assert await competitions.archive(tx, now=past) == 0


async def test_a_jump_over_everything_takes_each_step_once_and_in_its_order(tx: Tx, noon: datetime) -> None:
    """Nobody looked between the announcement and long after the review."""
    steps = (
        competitions.CompetitionWentLive,
        competitions.CompetitionFrozen,
        competitions.CompetitionCompleted,
    )
    heard = {**tx.equipment.addresses, **{step: (Address(f"tests:{step.__name__}", "default", 0),) for step in steps}}
    tx.equipment = replace(tx.equipment, addresses=heard)
    terms = new(noon, product="game", review_h=24, grace_s=60)
    competition_id = await competitions.create(tx, new=terms, created_by=None, now=noon - HOUR)
    await competitions.publish(tx, competition_id=competition_id, now=noon - HOUR)
    people = await enter(tx, competition_id, 2, noon)
    later = noon + 40 * DAY

    assert await competitions.due(tx, now=later) == [competition_id]
    assert await competitions.advance(tx, competition_id=competition_id, now=later) == 3  # begun, closed, frozen
    assert await competitions.advance(tx, competition_id=competition_id, now=later) == 0
    assert await competitions.advance(tx, competition_id=competition_id, now=later + DAY) == 2  # released, completed
    assert await competitions.due(tx, now=later + DAY) == []

    statement = """select task_name from jobs.procrastinate_jobs
      where task_name like 'tests:%%' and args -> 'message' ->> 'competition' = %s order by id"""
    told = await db.column(tx, statement, str(competition_id))
    assert told == [f"tests:{step.__name__}" for step in steps]
    assert len(people) == 2 and await balances(tx, f"pool:{competition_id}") == [0]
