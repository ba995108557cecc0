"""Boards of a country out of memory while people move: every answer is that of the database, no late commit is lost."""

import asyncio
from datetime import datetime, timedelta
from random import Random

import pytest

from palio import competitions
from palio.competitions.service import countries, mine
from palio.competitions.service.countries import Countries
from palio.competitions.types import CompetitionId, EntrantId, Submission
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, new_id
from tests.concurrency.test_rankings import NOBODY, SYSTEM, undone
from tests.factories.competitions import HOUR, enter, live, score

COUNTRIES = ("NP", "IN", None)
OF_COUNTRY = """
    select r.place, case when r.place <= q.qualified then r.rank end, r.entrant_id, r.score,
      case when r.place <= q.qualified then rank() over (order by r.rank) end
    from competitions.ranked(%s) r join competitions.entrants e on e.id = r.entrant_id,
      (select count(*) as qualified from competitions.scores
        where list_id = %s and state = 'ranked' and score >= 3) q
    where e.country = %s order by r.place"""


@pytest.fixture
async def started(database: Database, noon: datetime) -> tuple[CompetitionId, list[EntrantId]]:
    """Thirty people, two of each score, those of the lowest below the line, committed."""
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, noon, min_score=3)
        entrants = await enter(tx, competition_id, 30, noon)
        await score(tx, competition_id, entrants, [1 + n // 2 for n in range(30)], noon)
    return competition_id, entrants


async def move(tx: Tx, entrant: EntrantId, country: str | None) -> None:
    await tx.execute("update competitions.entrants set country = %s where id = %s", (country, entrant))


async def told(tx: Tx, competition_id: CompetitionId, country: str, now: datetime) -> list[tuple[object, ...]]:
    header = await competitions.get(tx, competition_id=competition_id)
    shown = await mine.of_country(tx, competition=header, country=country, now=now, limit=50, after=0)
    assert shown.board.entrants == len(shown.board.rows)
    lines = [(row.standing, row.among) for row in shown.board.rows]
    return [(line.place, line.rank, line.entrant_id, line.score, among) for line, among in lines]


async def sorted_anew(tx: Tx, competition_id: CompetitionId, country: str) -> list[tuple[object, ...]]:
    list_id = (await competitions.get(tx, competition_id=competition_id)).list_id
    return await (await tx.execute(OF_COUNTRY, (competition_id, list_id, country))).fetchall()


async def of_country(database: Database, competition_id: CompetitionId, country: str, now: datetime) -> set[object]:
    async with database.begin(NOBODY) as tx:
        return {line[2] for line in await told(tx, competition_id, country, now)}


async def test_every_answer_is_that_of_the_database_while_people_move_and_score(
    database: Database, started: tuple[CompetitionId, list[EntrantId]], noon: datetime
) -> None:
    """With random pauses before the commit; each answer is compared within one snapshot."""
    competition_id, entrants = started
    chance = Random(11)  # noqa: S311 - scores, no secrets

    async def write() -> None:
        for _ in range(25):
            async with database.begin(SYSTEM) as tx:
                entrant, at = chance.choice(entrants), noon + timedelta(seconds=chance.randrange(3_000))
                if chance.random() < 0.6:
                    await move(tx, entrant, chance.choice(COUNTRIES))
                elif chance.random() < 0.5:
                    item = Submission(competition_id, entrant, chance.randrange(-3, 5), str(new_id()), at)
                    await competitions.submit_many(tx, [item], now=at + HOUR)
                else:
                    [newcomer] = await enter(tx, competition_id, 1, noon)
                    await move(tx, newcomer, "NP")
                    await score(tx, competition_id, [newcomer], [chance.randrange(1, 15)], noon)
                await asyncio.sleep(chance.random() / 100)

    async def compare() -> None:
        async with database.begin(NOBODY) as tx:
            await tx.execute("set transaction isolation level repeatable read")
            for country in ("NP", "IN"):
                assert await told(tx, competition_id, country, noon) == await sorted_anew(tx, competition_id, country)

    async with asyncio.TaskGroup() as group:
        writers = [group.create_task(write()) for _ in range(4)]
        while not all(writer.done() for writer in writers):
            await compare()
    await compare()


async def test_a_move_that_is_committed_late_is_not_lost_and_a_naive_mark_loses_it(
    database: Database, started: tuple[CompetitionId, list[EntrantId]], noon: datetime
) -> None:
    """The control remembers the newest transaction it has seen, and reads only what is newer."""
    competition_id, entrants = started
    async with database.begin(SYSTEM) as early:
        await move(early, entrants[0], "DE")
        async with database.begin(SYSTEM) as late:
            await move(late, entrants[1], "DE")
        assert await of_country(database, competition_id, "DE", noon) == {entrants[1]}
        async with database.begin(SYSTEM) as tx:
            mark = await db.value(tx, "select max(moved_tx) from competitions.entrants")
    async with database.begin(SYSTEM) as tx:
        naive = await db.column(tx, "select id from competitions.entrants where moved_tx > %s", mark)

    assert await of_country(database, competition_id, "DE", noon) == {entrants[0], entrants[1]}
    assert entrants[0] not in naive


async def test_a_move_that_is_undone_was_seen_by_nobody_else(
    database: Database, started: tuple[CompetitionId, list[EntrantId]], noon: datetime
) -> None:
    """Also when the country is read for the first time by the transaction that fails."""
    competition_id, entrants = started
    for _ in range(2):
        async with undone(database) as tx:
            await move(tx, entrants[5], "FR")
            assert [line[2] for line in await told(tx, competition_id, "FR", noon)] == [entrants[5]]
            assert await of_country(database, competition_id, "FR", noon) == set()
        assert await of_country(database, competition_id, "FR", noon) == set()


async def test_countries_nobody_has_asked_for_longest_leave_memory(database: Database) -> None:
    """The one read last stays, however large it is."""
    system = Actor("system", None, RequestId(new_id()))
    async with database.begin(system) as tx:
        known = db.memory(tx, Countries)
        for country in ("XA", "XB", "XC"):
            await countries.members(tx, country=country)
        first = known.of("XC").known
        known.shrink(1_000)
        assert known.of("XC").known is first is not None
        assert known.of("XA").known is None
        known.shrink(0)
        assert known.of("XA") is known.of("XA")
