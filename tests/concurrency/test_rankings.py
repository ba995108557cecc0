"""Live rankings in memory while others write: every answer is that of the database, and no late commit is lost."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random

import pytest

from palio import competitions
from palio.competitions import sql
from palio.competitions.service import rankings, reads
from palio.competitions.service.rankings import Glance, Rankings
from palio.competitions.types import Admission, CompetitionId, EntrantId, StateChange, Submission
from palio.infra import db, embedded
from palio.infra.db import Database, Tx
from palio.infra.shelves import Shelf
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


@dataclass(frozen=True)
class Size:
    """How much of it: entrants, changes by each of four writers, and how many answers are compared meanwhile."""

    entrants: int
    changes: int
    answers: int
    open_s: float


@pytest.fixture
def sharing(database: Database, tmp_path: Path) -> Iterator[Database]:
    """As a process of a host where others are."""
    plain = database.equipment
    database.equipment = replace(plain, shelf=Shelf(tmp_path))
    yield database
    database.equipment = plain


SIZES = [
    Size(1_500, 250, 20, 0.3),
    pytest.param(Size(100_000, 5_000, 200, 3), marks=pytest.mark.nightly),
]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size.entrants))
async def test_two_processes_agree_with_the_table_about_very_many_while_four_write(
    sharing: Database, cluster: embedded.Cluster, database_name: str, noon: datetime, size: Size
) -> None:
    """Ties, outs and ins, commits that come late, one that is open for long; at the end every rank is compared.

    A long list rests on bases that both lay and take over.
    """
    database = sharing
    other = Database(cluster.dsn("palio_app", database_name), equipment=database.equipment)
    await other.pool.open(wait=True)
    competition_id, entrants = await many(database, size.entrants, noon)
    chance = Random(14)  # noqa: S311 - scores, no secrets

    async def write(process: Database) -> None:
        left = size.changes
        while left > 0:
            batch = min(left, chance.randrange(1, 20))
            left -= batch
            async with process.begin(SYSTEM) as tx:
                await change(tx, competition_id, chance, entrants[:-1], batch, noon)  # the last one is late
                await asyncio.sleep(chance.random() / 100)

    async def keep_open() -> None:
        async with database.begin(SYSTEM) as tx:
            await add(tx, competition_id, entrants[-1], 5_000, noon)
            await asyncio.sleep(size.open_s)

    async def ask(process: Database) -> None:
        async with process.begin(NOBODY) as tx:
            await tx.execute("set transaction isolation level repeatable read")
            entrant = chance.choice(entrants)
            header = await competitions.get(tx, competition_id=competition_id)
            told = await reads.nearby(tx, competition=header, entrant_id=entrant, radius=0, now=noon)
            rank = await db.value(tx, RANK, header.list_id, entrant)
            assert (told.row.standing.rank or 0) == rank if told else rank is None

    async def compare(process: Database) -> None:
        async with process.begin(NOBODY) as tx:
            await tx.execute("set transaction isolation level repeatable read")
            answer = await shown(tx, competition_id, 0, size.entrants)
            assert answer == await sorted_anew(tx, competition_id, 0, size.entrants)

    try:
        async with asyncio.TaskGroup() as group:
            writers = [group.create_task(write(process)) for process in (database, other, database, other)]
            writers.append(group.create_task(keep_open()))
            for number in count():
                if number >= size.answers and all(writer.done() for writer in writers):
                    break
                await ask((database, other)[number % 2])
        await compare(database)
        await compare(other)
        async with other.begin(NOBODY) as tx:
            late = await competitions.top(tx, competition_id=competition_id, limit=1)
            assert late.rows[0].standing.score > 5_000
    finally:
        await other.pool.close()


RANK = """
    select case when s.score < 1 then 0 else 1 + (
      select count(*) from competitions.scores b
      where b.list_id = s.list_id and b.state = 'ranked' and b.score > s.score) end::int
    from competitions.scores s where s.list_id = %s and s.entrant_id = %s and s.state = 'ranked'"""


async def many(database: Database, people: int, noon: datetime) -> tuple[CompetitionId, list[EntrantId]]:
    """So many people with few different scores."""
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, noon)
    entrants: list[EntrantId] = []
    for first in range(0, people, 10_000):
        part = range(first, min(first + 10_000, people))
        async with database.begin(SYSTEM) as tx:
            new = [Admission(competition_id, "player", str(new_id()), None, "pla***") for _ in part]
            found = await competitions.admit_many(tx, new, now=noon)
            items = [
                Submission(competition_id, who, 1 + n % 1_000, "first", noon + timedelta(milliseconds=n))
                for n, who in zip(part, found, strict=True)
            ]
            await competitions.submit_many(tx, items, now=noon + HOUR)
        entrants += found
    return competition_id, entrants


async def change(
    tx: Tx, competition_id: CompetitionId, chance: Random, entrants: list[EntrantId], people: int, noon: datetime
) -> None:
    """Scores of so many, up and down, and now and then somebody out or in again."""
    crowd = sorted(chance.sample(entrants, people))
    at = noon + timedelta(seconds=chance.randrange(3_000))
    if chance.random() < 0.2:
        changes = [
            StateChange(competition_id, who, chance.choice(["out", "in"]), str(new_id()), at, "because")  # type: ignore[arg-type]
            for who in crowd
        ]
        await competitions.set_state_many(tx, changes, now=at)
        return
    items = [Submission(competition_id, who, chance.randrange(-40, 90), str(new_id()), at) for who in crowd]
    await competitions.submit_many(tx, items, now=at + HOUR)


async def test_whoever_is_looked_for_is_the_one_who_is_shown_and_a_place_read_apart_shows_another(
    database: Database, started: tuple[CompetitionId, list[EntrantId]], noon: datetime
) -> None:
    """Somebody overtakes and is overtaken all the time. The control asks for his place first, and then who is there."""
    competition_id, entrants = started
    mine, others = entrants[10], []

    async def move() -> None:
        for n in range(60):
            async with database.begin(SYSTEM) as tx:
                await add(tx, competition_id, mine, 9 if n % 2 else -9, noon + timedelta(seconds=9_000 + n))

    async def look() -> None:
        async with database.begin(NOBODY) as tx:
            competition = await competitions.get(tx, competition_id=competition_id)
            asked = {"competition": competition, "entrant_id": mine, "now": noon}
            found = await competitions.nearby(tx, radius=1, **asked)  # type: ignore[arg-type]  # as they are named
            assert found is not None and found.row.standing.entrant_id == mine
            places = [row.standing.place for row in found.board.rows]
            assert places == [*range(places[0], places[0] + len(places))]
            assert (found.board.after, found.row.standing.place in places) == (places[0] - 1, True)
            place = found.row.standing.place
            await asyncio.sleep(0.005)
            (there,) = await shown(tx, competition_id, after=place - 1, limit=1)
            others.append(there[2] != mine)

    async with asyncio.TaskGroup() as group:
        mover = group.create_task(move())
        while not mover.done():
            await look()
    assert any(others)


async def test_a_look_that_comes_back_late_changes_nothing_and_taken_as_it_comes_it_does(
    database: Database, started: tuple[CompetitionId, list[EntrantId]], noon: datetime
) -> None:
    """Two looks at one list, the earlier one told last. The control has forgotten when it looked."""
    competition_id, entrants = started
    orders, mine = database.remembered(Rankings), entrants[0]
    async with database.begin(NOBODY) as tx:
        terms = (await competitions.get(tx, competition_id=competition_id)).terms
        order = await rankings.live(tx, terms=terms)

    async def look_after(delta: int) -> Glance:
        async with database.begin(SYSTEM) as tx:
            await add(tx, competition_id, mine, delta, noon + timedelta(seconds=9_000))
        since = orders.since([terms])
        async with database.begin(NOBODY) as tx:
            return Glance(since, await sql.get_changed_many(tx, since, rankings.CHANGED_MAX), noon)

    async def rank(glance: Glance) -> int:
        return (await orders.after(glance, {terms: [mine]}))[terms.list_id][mine]

    early, late = await look_after(5), await look_after(90)
    assert [await rank(late), await rank(early), await rank(late)] == [1, 1, 1]
    order.moment = 0
    assert await rank(early) > 1


async def test_a_look_from_where_the_order_has_not_come_to_is_left_out(
    database: Database, started: tuple[CompetitionId, list[EntrantId]], noon: datetime
) -> None:
    """An order that was loaded by somebody with an older picture lacks what lies between."""
    competition_id, entrants = started
    orders = database.remembered(Rankings)
    async with database.begin(NOBODY) as tx:
        terms = (await competitions.get(tx, competition_id=competition_id)).terms
        order = await rankings.live(tx, terms=terms)
        since = orders.since([terms])
        glance = Glance(since, await sql.get_changed_many(tx, since, rankings.CHANGED_MAX), noon)
    order.horizon -= 1
    assert await orders.after(glance, {terms: entrants[:1]}) == {}


async def test_moments_rise_as_statements_follow_each_other(database: Database) -> None:
    """While transactions begin and end in any order; the control counts the end of the snapshot alone, and stands."""
    moments, ends, is_over = [], [], asyncio.Event()

    async def write(seconds: float) -> None:
        while not is_over.is_set():
            async with database.begin(SYSTEM) as tx:
                await db.value(tx, "select infra.tx_id()")
                await asyncio.sleep(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (0.002, 0.005, 0.011):
            group.create_task(write(seconds))
        for _ in range(200):
            async with database.alone("a test") as tx:
                found = "select infra.tx_moment(), pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
                moment, end = await (await tx.execute(found)).fetchone()  # type: ignore[misc]  # there is a row
            moments.append(moment)
            ends.append(end)
        is_over.set()
    assert moments == sorted(moments)
    assert len(set(moments)) > len(set(ends))
