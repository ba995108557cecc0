"""How ranks move: arrows on a live board, and what is worth telling a player."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from palio import competitions
from palio.competitions.rules import trends
from palio.competitions.types import CompetitionId, EntrantId, Mark, StateChange, Submission
from palio.infra import db
from palio.infra.db import Address, Tx
from palio.kernel.ids import new_id
from tests.factories.competitions import HOUR, enter, live, score, settle

MINUTE = timedelta(minutes=1)
LIMITS = trends.Limits(paid=10, places=5, rest=6 * HOUR)
JANE = EntrantId(1)


@pytest.mark.parametrize(
    ("before", "told_hours_ago", "after", "is_news"),
    [
        pytest.param(11, None, 10, True, id="reaches a prize"),
        pytest.param(10, 0, 11, True, id="loses it, however lately he was told"),
        pytest.param(10, 0, None, True, id="loses it by leaving the ranking"),
        pytest.param(None, None, 10, True, id="reaches one from below the line"),
        pytest.param(None, None, 500, False, id="has come above the line"),
        pytest.param(40, None, 36, False, id="four places"),
        pytest.param(40, None, 35, True, id="five places"),
        pytest.param(35, None, 40, True, id="five places down"),
        pytest.param(40, 5, 30, False, id="ten places, but told five hours ago"),
        pytest.param(40, 6, 30, True, id="ten places, and told six hours ago"),
        pytest.param(4, None, 3, True, id="enters the first three"),
        pytest.param(3, None, 4, True, id="leaves them"),
        pytest.param(3, 1, 4, False, id="leaves them, but was told an hour ago"),
        pytest.param(1_005, None, 1_000, True, id="reaches the thousand"),
        pytest.param(1_000, None, 1_005, False, id="is lost in the crowd"),
        pytest.param(7, None, 7, False, id="stays"),
    ],
)
def test_what_is_news(
    noon: datetime, before: int | None, told_hours_ago: int | None, after: int | None, *, is_news: bool
) -> None:
    told_at = None if told_hours_ago is None else noon - told_hours_ago * HOUR

    moves, marks = trends.news({JANE: after}, [Mark(JANE, before, told_at)], LIMITS, noon)

    assert moves == ([trends.Move(JANE, before, after)] if is_news else [])
    assert marks == ([Mark(JANE, after, noon)] if is_news else [])


def test_who_is_seen_for_the_first_time_is_told_nothing(noon: datetime) -> None:
    assert trends.news({JANE: 1}, [], LIMITS, noon) == ([], [Mark(JANE, 1, None)])


def test_where_everybody_is_paid_the_line_is_the_border(noon: datetime) -> None:
    limits = trends.Limits(None, 5, HOUR)

    assert trends.news({JANE: 900}, [Mark(JANE, None, None)], limits, noon)[0] == [trends.Move(JANE, None, 900)]
    assert trends.news({JANE: 901}, [Mark(JANE, 900, None)], limits, noon)[0] == []


async def add(tx: Tx, competition_id: CompetitionId, entrant: EntrantId, delta: int, at: datetime) -> None:
    item = Submission(competition_id, entrant, delta, str(new_id()), at)
    await competitions.submit_many(tx, [item], now=at)


async def trend_of(tx: Tx, competition_id: CompetitionId, now: datetime) -> list[int | None]:
    board = await competitions.top(tx, competition_id=competition_id, limit=10, now=now)
    return [row.trend for row in board.rows]


def listen(tx: Tx) -> None:
    """Let somebody hear of ranks in this transaction."""
    heard = {**tx.equipment.addresses, competitions.RankChanged: (Address("tests:ranks", "default", 0),)}
    tx.equipment = replace(tx.equipment, addresses=heard)


async def told(tx: Tx) -> list[tuple[int, int | None, int | None]]:
    """What was sent so far: entrant, rank before, rank after."""
    statement = "select args -> 'message' from jobs.procrastinate_jobs where task_name = 'tests:ranks' order by id"
    return [(each["entrant"], each["before"], each["after"]) for each in await db.column(tx, statement)]


async def test_an_arrow_compares_with_the_newest_snapshot_of_at_least_55_minutes(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    first, second, third = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, [first, second], [30, 20], noon)
    await competitions.take_snapshots(tx, now=noon + MINUTE)
    await add(tx, competition_id, second, 20, noon + 2 * MINUTE)
    await competitions.take_snapshots(tx, now=noon + 40 * MINUTE)
    await add(tx, competition_id, third, 5, noon + 41 * MINUTE)

    assert await trend_of(tx, competition_id, noon + 55 * MINUTE) == [None, None, None]
    assert await trend_of(tx, competition_id, noon + 56 * MINUTE) == [1, -1, None]
    assert await trend_of(tx, competition_id, noon + 95 * MINUTE) == [0, 0, None]


async def test_a_frozen_board_has_no_arrows(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    await score(tx, competition_id, await enter(tx, competition_id, 2, noon), [30, 20], noon)
    await competitions.take_snapshots(tx, now=noon + MINUTE)
    await settle(tx, competition_id, noon + 6 * HOUR)

    assert await trend_of(tx, competition_id, noon + 6 * HOUR) == [None, None]


async def test_below_the_line_nobody_has_an_arrow(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, min_score=25)
    await score(tx, competition_id, await enter(tx, competition_id, 2, noon), [30, 20], noon)
    await competitions.take_snapshots(tx, now=noon)

    assert await trend_of(tx, competition_id, noon + HOUR) == [0, None]


async def test_snapshots_are_kept_for_35_days(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, ends_at=noon + timedelta(days=90))
    await score(tx, competition_id, await enter(tx, competition_id, 1, noon), [30], noon)
    for day in (0, 30, 40):
        await competitions.take_snapshots(tx, now=noon + timedelta(days=day))
    list_id = (await competitions.get(tx, competition_id=competition_id)).list_id
    kept = await db.column(tx, "select taken_at from competitions.snapshots where list_id = %s order by 1", list_id)

    assert kept == [noon + timedelta(days=30), noon + timedelta(days=40)]


async def test_players_are_told_when_their_rank_is_news(tx: Tx, noon: datetime) -> None:
    """Three are paid; strangers without a user are told nothing, nor is anybody twice."""
    listen(tx)
    competition_id = await live(tx, noon)
    people = await enter(tx, competition_id, 5, noon)
    strangers = await enter(tx, competition_id, 1, noon, linked=False)
    await score(tx, competition_id, [*people, *strangers], [50, 40, 30, 20, 10, 1], noon)
    await competitions.watch_ranks(tx, now=noon + MINUTE)
    assert await told(tx) == []

    await add(tx, competition_id, people[3], 15, noon + MINUTE)  # fourth becomes third
    assert await competitions.watch_ranks(tx, now=noon + 2 * MINUTE) == 2
    assert await competitions.watch_ranks(tx, now=noon + 3 * MINUTE) == 0
    change = StateChange(competition_id, people[0], "out", "out", noon + 4 * MINUTE, "because")
    await competitions.set_state_many(tx, [change], now=noon + 4 * MINUTE)
    await add(tx, competition_id, strangers[0], 99, noon + 4 * MINUTE)
    assert await competitions.watch_ranks(tx, now=noon + 5 * MINUTE) == 1

    assert set(await told(tx)) == {(people[3], 4, 3), (people[2], 3, 4), (people[0], 1, None)}
    assert len(await told(tx)) == 3


async def test_a_competition_may_keep_quiet_about_ranks(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, rank_events=False)
    people = await enter(tx, competition_id, 4, noon)
    await score(tx, competition_id, people, [50, 40, 30, 20], noon)
    await competitions.watch_ranks(tx, now=noon + MINUTE)
    await add(tx, competition_id, people[3], 15, noon + MINUTE)

    assert await competitions.watch_ranks(tx, now=noon + 2 * MINUTE) == 0


async def test_what_players_knew_is_forgotten_when_the_board_is_final(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    await score(tx, competition_id, await enter(tx, competition_id, 2, noon), [30, 20], noon)
    await competitions.watch_ranks(tx, now=noon + MINUTE)
    await settle(tx, competition_id, noon + 6 * HOUR)
    await competitions.take_snapshots(tx, now=noon + 7 * HOUR)
    list_id = (await competitions.get(tx, competition_id=competition_id)).list_id

    assert await db.value(tx, "select count(*) from competitions.rank_marks where list_id = %s", list_id) == 0


async def test_beyond_the_pictures_oneself_has_moved_since_the_rank_one_knows_of(tx: Tx, noon: datetime) -> None:
    """Of the first hundred there are pictures; the hundred and fourth was 106th when somebody last looked."""
    competition_id = await live(tx, noon, ends_at=noon + timedelta(days=2))
    people = await enter(tx, competition_id, 110, noon)
    await score(tx, competition_id, people, range(1_100, 0, -10), noon)
    await competitions.watch_ranks(tx, now=noon + MINUTE)
    await competitions.take_snapshots(tx, now=noon + MINUTE)
    await add(tx, competition_id, people[105], 25, noon + 2 * MINUTE)
    header = await competitions.get(tx, competition_id=competition_id)

    async def mine(number: int) -> tuple[int | None, int | None]:
        asked = {"competition": header, "entrant_id": people[number], "radius": 0, "now": noon + 2 * HOUR}
        near = await competitions.nearby(tx, **asked)  # type: ignore[arg-type]  # as they are named
        assert near
        assert near.board.rows == (near.row,)
        return near.row.standing.rank, near.row.trend

    assert [await mine(number) for number in (0, 105, 104)] == [(1, 0), (104, 2), (106, -1)]
