"""Live rankings in memory while others write: every answer is that of the database, and no late commit is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from random import Random

import pytest

from palio import competitions
from palio.competitions.types import CompetitionId, EntrantId, StateChange, Submission
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, new_id
from tests.factories.competitions import HOUR, enter, live, score

SYSTEM = Actor("system", None, RequestId(new_id()))
NOBODY = Actor("none", None, RequestId(new_id()))
RANKED = """
    select place, rank, entrant_id, score from competitions.ranked(%s)
    where place > %s and place <= %s order by place"""


class UndoneError(Exception):
    """Ends a transaction that must not count."""


@asynccontextmanager
async def undone(database: Database) -> AsyncIterator[Tx]:
    with suppress(UndoneError):
        async with database.begin(SYSTEM) as tx:
            yield tx
            raise UndoneError


@pytest.fixture
async def started(database: Database, noon: datetime) -> tuple[CompetitionId, list[EntrantId]]:
    """Thirty people of whom one, two, three, … points are known, committed."""
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, noon, min_score=3)
        entrants = await enter(tx, competition_id, 30, noon)
        await score(tx, competition_id, entrants, [1 + n // 2 for n in range(30)], noon)
    return competition_id, entrants


async def shown(tx: Tx, competition_id: CompetitionId, after: int = 0, limit: int = 50) -> list[tuple[object, ...]]:
    board = await competitions.top(tx, competition_id=competition_id, limit=limit, after=after)
    lines = [row.standing for row in board.rows]
    return [(line.place, line.rank, line.entrant_id, line.score) for line in lines]


async def sorted_anew(
    tx: Tx, competition_id: CompetitionId, after: int = 0, limit: int = 50
) -> list[tuple[object, ...]]:
    return await (await tx.execute(RANKED, (competition_id, after, after + limit))).fetchall()


async def add(tx: Tx, competition_id: CompetitionId, entrant: EntrantId, delta: int, at: datetime) -> None:
    item = Submission(competition_id, entrant, delta, str(new_id()), at)
    await competitions.submit_many(tx, [item], now=at + HOUR)


async def top_score(database: Database, competition_id: CompetitionId) -> object:
    async with database.begin(NOBODY) as tx:
        return (await shown(tx, competition_id, limit=1))[0][3]


async def test_every_answer_is_that_of_the_database_while_four_write(
    database: Database, started: tuple[CompetitionId, list[EntrantId]], noon: datetime
) -> None:
    """Scores, outs and ins with random pauses before the commit; each answer is compared within one snapshot."""
    competition_id, entrants = started
    chance = Random(5)  # noqa: S311 - scores, no secrets

    async def write() -> None:
        for _ in range(25):
            async with database.begin(SYSTEM) as tx:
                entrant, at = chance.choice(entrants), noon + timedelta(seconds=chance.randrange(9_000))
                if chance.random() < 0.3:
                    state = chance.choice(["out", "in"])
                    change = StateChange(competition_id, entrant, state, str(new_id()), at, "because")  # type: ignore[arg-type]
                    await competitions.set_state_many(tx, [change], now=at)
                else:
                    await add(tx, competition_id, entrant, chance.randrange(-3, 9), at)
                await asyncio.sleep(chance.random() / 100)

    async def compare() -> None:
        async with database.begin(NOBODY) as tx:
            await tx.execute("set transaction isolation level repeatable read")
            after, limit = chance.randrange(30), chance.randrange(1, 30)
            answer = await shown(tx, competition_id, after, limit)
            assert answer == await sorted_anew(tx, competition_id, after, limit)

    async with asyncio.TaskGroup() as group:
        writers = [group.create_task(write()) for _ in range(4)]
        while not all(writer.done() for writer in writers):
            await compare()
    await compare()


async def test_a_commit_that_comes_late_is_not_lost_and_a_naive_mark_loses_it(
    database: Database, started: tuple[CompetitionId, list[EntrantId]], noon: datetime
) -> None:
    """The control remembers the newest transaction it has seen, and reads only what is newer."""
    competition_id, entrants = started
    async with database.begin(SYSTEM) as early:
        await add(early, competition_id, entrants[0], 1_000, noon)
        async with database.begin(SYSTEM) as late:
            await add(late, competition_id, entrants[1], 500, noon)
        assert await top_score(database, competition_id) == 501
        async with database.begin(SYSTEM) as tx:
            list_id = (await competitions.get(tx, competition_id=competition_id)).list_id
            mark = await db.value(tx, "select tx_id from competitions.newest_change(%s)", list_id)
    async with database.begin(SYSTEM) as tx:
        naive = await db.column(tx, "select * from competitions.changed_since(%s, %s)", list_id, mark + 1)

    assert await top_score(database, competition_id) == 1_001
    assert entrants[0] not in naive


async def test_what_is_undone_was_seen_by_nobody_else(
    database: Database, started: tuple[CompetitionId, list[EntrantId]], noon: datetime
) -> None:
    """Also when the ranking is read for the first time by the transaction that fails."""
    competition_id, entrants = started
    for _ in range(2):
        async with undone(database) as tx:
            await add(tx, competition_id, entrants[0], 1_000, noon)
            assert (await shown(tx, competition_id, limit=1))[0][3] == 1_001
            assert await top_score(database, competition_id) == 15
        assert await top_score(database, competition_id) == 15


async def test_a_reader_without_rights_to_receipts_sees_every_change(
    database: Database, started: tuple[CompetitionId, list[EntrantId]], noon: datetime
) -> None:
    """Receipts of users are private; that a public score changed is not."""
    competition_id, entrants = started
    for total in range(101, 105):
        async with database.begin(SYSTEM) as tx:
            await add(tx, competition_id, entrants[0], 100 if total == 101 else 1, noon)
        assert await top_score(database, competition_id) == total
