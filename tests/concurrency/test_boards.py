"""Boards of everybody while many write: lists that end, values that overtake each other, orders in two processes."""

import asyncio
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from palio import competitions
from palio.competitions.service import programs, rankings
from palio.competitions.service.rankings import Rankings
from palio.competitions.types import Counted, EntrantId, NewBoard, NewEntrant, ProgramScore, RankTerms, Submission
from palio.competitions.web.gathering import Scorer
from palio.competitions.web.warming import Warmer
from palio.infra import db, embedded
from palio.infra.db import Database
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.providers import BoardAsk
from tests.conftest import PATIENCE_S

SYSTEM = Actor("system", None, RequestId(new_id()))
NOBODY = Actor("none", None, RequestId(new_id()))
DAY = date(2026, 3, 18)
NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
END = datetime(2026, 3, 21, 12, tzinfo=UTC)
RANKED = "select rank, entrant_id, score from competitions.ranked_on(%s) order by place limit %s"


async def people(database: Database, count: int) -> list[EntrantId]:
    async with database.begin(SYSTEM) as tx:
        new = [NewEntrant("player", f"{new_id()}", None, f"Walker {n}") for n in range(count)]
        return await competitions.enter_many(tx, new)


async def list_of(database: Database, code: str, key: str) -> int:
    async with database.begin(SYSTEM) as tx:
        found = """select l.id from competitions.lists l join competitions.boards b on b.id = l.board_id
            where b.code = %s and l.period_key = %s"""
        return int(await db.value(tx, found, code, key))


async def test_submissions_that_race_the_end_of_a_list_are_in_its_standings_or_were_told(database: Database) -> None:
    """Two hundred at the last moment while four processes make the list final: what was counted is written down."""
    crowd = await people(database, 20)
    before = END - timedelta(seconds=1)
    at_once = asyncio.Semaphore(16)  # the others wait here, where nobody loses patience

    async def submit(number: int) -> int:
        item = Submission(None, crowd[number % 20], 1, f"k{number}", None, board="steps", day=DAY)
        async with at_once, database.begin(SYSTEM) as tx:
            (outcome,) = await competitions.submit_many(tx, [item], now=before)
            await asyncio.sleep(number % 7 / 1_000)
        assert isinstance(outcome, Counted)
        return "D:2026-03-18" not in outcome.skipped

    async def close() -> None:
        await asyncio.sleep(0.05)
        async with database.begin(SYSTEM) as tx:
            await competitions.close_list(tx, now=END)

    *counted, _, _, _, _ = await asyncio.gather(*(submit(n) for n in range(200)), *(close() for _ in range(4)))
    list_id = await list_of(database, "steps", "D:2026-03-18")
    async with database.begin(SYSTEM) as tx:
        frozen = await db.value(tx, "select sum(score) from competitions.standings where list_id = %s", list_id)
        scores = await db.value(tx, "select sum(score) from competitions.scores where list_id = %s", list_id)
        receipts = await db.value(tx, "select sum(delta) from competitions.receipts where list_id = %s", list_id)
    assert (frozen, scores, receipts) == (sum(map(int, counted)),) * 3
    assert 0 < sum(map(int, counted)) <= 200


async def test_a_list_is_made_final_although_somebody_always_submits(database: Database) -> None:
    """Nobody commits before the next one shares the list; the control waits for the row alone, and never gets it."""
    crowd = await people(database, 300)
    day, end = date(2026, 3, 11), END - timedelta(days=7)
    before, is_over = end - timedelta(seconds=1), asyncio.Event()
    shared = [asyncio.Event() for _ in range(len(crowd) + 1)]

    async def submit(number: int) -> None:
        await shared[number].wait()
        if not is_over.is_set():
            async with database.begin(SYSTEM) as tx:
                item = Submission(None, crowd[number], 1, "k", None, board="steps", day=day)
                await competitions.submit_many(tx, [item], now=before)
                shared[number + 1].set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await shared[min(number + 2, len(crowd))].wait()
        shared[number + 1].set()

    async def take_the_row(list_id: int) -> None:
        async with database.begin(SYSTEM) as tx:
            await tx.execute("select from competitions.lists where id = %s for update", [list_id])

    stream = [asyncio.create_task(submit(number)) for number in range(len(crowd))]
    try:
        shared[0].set()
        await shared[2].wait()
        list_id = await list_of(database, "steps", f"D:{day}")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(take_the_row(list_id), 0.3)
        async with asyncio.timeout(PATIENCE_S), database.begin(SYSTEM) as tx:
            assert await competitions.close_list(tx, now=end)
        assert not shared[-1].is_set()
    finally:
        is_over.set()
        await asyncio.gather(*stream)
    async with database.begin(SYSTEM) as tx:
        assert await db.value(tx, "select state from competitions.lists where id = %s", list_id) == "final"


async def test_the_best_of_many_at_once_is_the_best_and_a_naive_one_is_overtaken(database: Database) -> None:
    """The control reads the score, waits for the others to have read it too, and writes what it thinks is the best."""
    (anna, naive) = await people(database, 2)
    async with database.begin(SYSTEM) as tx:
        await competitions.ensure_board(tx, new=NewBoard("test.race", "Race", "points", "best", periods=("ALL",)))
    both_have_read = asyncio.Barrier(2)

    async def submit(value: int) -> None:
        async with database.begin(SYSTEM) as tx:
            item = Submission(None, anna, None, f"k{value}", NOON, value=value, board="test.race")
            await competitions.submit_many(tx, [item], now=NOON)
            await asyncio.sleep(value % 5 / 1_000)

    await asyncio.gather(*(submit(value) for value in Random(3).sample(range(60), 60)))  # noqa: S311 - an order
    list_id = await list_of(database, "test.race", "ALL")
    async with database.begin(SYSTEM) as tx:
        row = "select score, submissions from competitions.scores where list_id = %s and entrant_id = %s"
        assert await (await tx.execute(row, (list_id, anna))).fetchone() == (59, 60)
        change = "select sum(delta) from competitions.receipts where list_id = %s and entrant_id = %s"
        assert await db.value(tx, change, list_id, anna) == 59
        made = "insert into competitions.scores (list_id, entrant_id, updated_at) values (%s, %s, now())"
        await tx.execute(made, (list_id, naive))

    async def naively(value: int, pause: float) -> None:
        async with database.begin(SYSTEM) as tx:
            found = "select score from competitions.scores where list_id = %s and entrant_id = %s"
            known = await db.value(tx, found, list_id, naive)
            await both_have_read.wait()
            await asyncio.sleep(pause)
            write = "update competitions.scores set score = %s where list_id = %s and entrant_id = %s"
            await tx.execute(write, (max(known, value), list_id, naive))

    await asyncio.gather(naively(9, 0), naively(5, 0.1))
    async with database.begin(SYSTEM) as tx:
        found = "select score from competitions.scores where list_id = %s and entrant_id = %s"
        assert await db.value(tx, found, list_id, naive) == 5


async def test_two_processes_answer_as_the_table_while_both_write(
    database: Database, cluster: embedded.Cluster, database_name: str
) -> None:
    """Each has its own memory; ties, outs and subscores; every answer is compared within its own snapshot."""
    other = Database(cluster.dsn("palio_app", database_name), equipment=database.equipment)
    await other.pool.open(wait=True)
    crowd = await people(database, 40)
    async with database.begin(SYSTEM) as tx:
        new = NewBoard("test.two", "Two", "points", has_subscore=True, direction="asc", periods=("ALL",))
        await competitions.ensure_board(tx, new=new)
        items = [Submission(None, each, 1, "k", NOON, board="test.two") for each in crowd[:3]]
        await competitions.submit_many(tx, items, now=NOON)
    list_id = await list_of(database, "test.two", "ALL")
    chance = Random(11)  # noqa: S311 - scores

    async def write(process: Database) -> None:
        for _ in range(20):
            async with process.begin(SYSTEM) as tx:
                at = NOON + timedelta(seconds=chance.randrange(5))
                item = Submission(
                    *(None, chance.choice(crowd), chance.randrange(-2, 3), str(new_id()), at),
                    sub=chance.randrange(3),
                    board="test.two",
                )
                await competitions.submit_many(tx, [item], now=NOON + timedelta(hours=1))
                await asyncio.sleep(chance.random() / 200)

    async def compare(process: Database) -> None:
        async with process.begin(NOBODY) as tx:
            await tx.execute("set transaction isolation level repeatable read")
            view = await competitions.EVERYBODY.top(tx, BoardAsk("test.two", "all", NOON), 0, 50)
            assert view is not None
            sorted_anew = await (await tx.execute(RANKED, (list_id, 50))).fetchall()
            assert [(line.rank, int(line.entrant), line.score) for line in view.lines] == sorted_anew

    try:
        async with asyncio.TaskGroup() as group:
            writers = [group.create_task(write(process)) for process in (database, other, database, other)]
            while not all(writer.done() for writer in writers):
                await compare(database)
                await compare(other)
        await compare(database)
        await compare(other)
    finally:
        await other.pool.close()


@pytest.fixture
async def warm(cluster: embedded.Cluster, database_name: str) -> Database:
    """A process that has just been started."""
    return Database(cluster.dsn("palio_app", database_name))


async def test_who_comes_while_a_list_is_loaded_is_told_that_it_is_warming(database: Database, warm: Database) -> None:
    """A restarted process does not know a rank, says so with the last picture, and knows it a moment later."""
    anna, bert = await people(database, 2)
    async with database.begin(SYSTEM) as tx:
        items = [
            Submission(None, who, points, "k", NOON, board="quest_points") for who, points in ((anna, 3), (bert, 5))
        ]
        await competitions.submit_many(tx, items, now=NOON)
        await competitions.take_snapshots(tx, now=NOON)
    await warm.pool.open(wait=True)
    loads = asyncio.get_running_loop().create_future()
    remembered = warm.remembered(Rankings)
    remembered.apart = lambda terms: loads
    remembered.patience_s = 0.01
    ask = BoardAsk("quest_points", "all", NOON)
    try:
        async with warm.begin(NOBODY) as tx:
            view = await competitions.EVERYBODY.top(tx, ask, 0, 10)
            ranks = await rankings.ranks_many(tx, asked={await terms_of(database): [anna, bert]})
        assert view is not None
        assert (view.is_warming, view.is_stale, ranks) == (True, True, {})
        assert [(line.rank, line.score) for line in view.lines] == [(1, 5), (2, 3)]

        terms = await terms_of(database)
        async with warm.begin(SYSTEM) as tx:  # a settlement holds what a loader may wait for: it reads for itself
            await tx.execute("select 1 from competitions.lists where id = %s for update", [terms.list_id])
            assert (await rankings.live(tx, terms=terms)).ranking.qualified == 2
        remembered.forget(terms.list_id)

        Warmer(warm)
        remembered.patience_s = 5
        async with warm.begin(NOBODY) as tx:
            view = await competitions.EVERYBODY.top(tx, ask, 0, 10)
        assert view is not None
        assert (view.is_warming, view.is_stale, len(view.lines)) == (False, False, 2)
    finally:
        await warm.pool.close()


async def terms_of(database: Database) -> RankTerms:
    async with database.begin(SYSTEM) as tx:
        found = """select l.id from competitions.lists l join competitions.boards b on b.id = l.board_id
            where b.code = 'quest_points' and l.period_key = 'ALL'"""
        list_id = await db.value(tx, found)
        board = await competitions.ensure_board(tx, new=NewBoard("quest_points", "Quest points", "points"))
        return board.terms(list_id)


async def test_a_ranking_that_differs_from_the_table_is_found_and_loaded_anew(database: Database) -> None:
    """What no reader could notice, the check does: somebody has written a score without a receipt."""
    *crowd, unseen = await people(database, 9)
    async with database.begin(SYSTEM) as tx:
        await competitions.ensure_board(tx, new=NewBoard("test.check", "Check", "points", periods=("ALL",)))
        items = [Submission(None, who, n, "k", NOON, board="test.check") for n, who in enumerate(crowd)]
        await competitions.submit_many(tx, items, now=NOON)
    list_id = await list_of(database, "test.check", "ALL")
    async with database.begin(SYSTEM) as tx:
        board = await competitions.ensure_board(tx, new=NewBoard("test.check", "Check", "points", periods=("ALL",)))
    terms = board.terms(list_id)  # type: ignore[arg-type]  # a number of a list
    chance = Random(2).randrange  # noqa: S311 - whom to look at

    async with database.begin(SYSTEM) as tx:
        assert await rankings.check(tx, terms=terms, chance=chance) == []
    async with database.begin(SYSTEM) as tx:
        made = "insert into competitions.scores (list_id, entrant_id, score, updated_at) values (%s, %s, 100, now())"
        await tx.execute(made, (list_id, unseen))
    async with database.begin(SYSTEM) as tx:
        wrong = await rankings.check(tx, terms=terms, chance=chance)
    async with database.begin(SYSTEM) as tx:
        again = await rankings.check(tx, terms=terms, chance=chance)

    assert set(wrong) <= set(crowd)
    assert (wrong != [], again) == (True, [])


async def two_processes(database: Database, cluster: embedded.Cluster, name: str) -> tuple[Scorer, Scorer, Database]:
    """Those who carry out what programs submit, in this process and another one."""
    other = Database(cluster.dsn("palio_app", name), equipment=database.equipment)
    await other.pool.open(wait=True)
    return Scorer(database), Scorer(other), other


def named(ref: str, delta: int, key: str, code: str, at: datetime) -> ProgramScore:
    return ProgramScore("player", ref, Submission(None, EntrantId(0), delta, key, at, board=code))


async def test_a_key_that_two_processes_send_at_once_counts_once_and_a_naive_look_counts_it_twice(
    database: Database, cluster: embedded.Cluster, database_name: str
) -> None:
    """Each of two hundred comes to both at the same moment; the control looks for the key before it writes."""
    at = clock.now().replace(microsecond=0)
    refs, code = [f"{new_id()}" for _ in range(9)], f"test.{new_id().hex[-12:]}"
    async with database.begin(SYSTEM) as tx:
        await competitions.enter_many(tx, [NewEntrant("player", ref, None, ref) for ref in refs])
        await competitions.ensure_board(tx, new=NewBoard(code, "Twice", "points", periods=("D", "ALL")))
    here, there, other = await two_processes(database, cluster, database_name)
    try:
        for scorer in (here, there):
            await scorer.submit([named(refs[0], 1, "first", code, at)])
        items = [named(refs[n % 9], n % 5, f"k{n}", code, at) for n in range(200)]
        told = await asyncio.gather(*(scorer.submit([item]) for item in items for scorer in (here, there)))
    finally:
        await other.pool.close()
    outcomes = [one.outcome for [one] in told]
    list_id = await list_of(database, code, "ALL")
    async with database.begin(SYSTEM) as tx:
        total = await db.value(tx, "select sum(score)::bigint from competitions.scores where list_id = %s", list_id)
        receipts = await db.value(tx, "select count(*) from competitions.receipts where list_id = %s", list_id)
    assert all(isinstance(outcome, Counted) for outcome in outcomes)
    assert [outcome.replayed for outcome in outcomes if isinstance(outcome, Counted)].count(False) == 200
    assert (total, receipts) == (1 + sum(n % 5 for n in range(200)), 201)

    both_have_looked = asyncio.Barrier(2)

    async def naively() -> None:
        async with database.begin(SYSTEM) as tx:
            entrant = await db.value(tx, "select id from competitions.entrants where ref = %s", refs[0])
            seen = "select exists (select from competitions.receipts where list_id = %s and key = 'naive')"
            assert not await db.value(tx, seen, list_id)
            await both_have_looked.wait()
            change = "update competitions.scores set score = score + 100 where list_id = %s and entrant_id = %s"
            await tx.execute(change, (list_id, entrant))

    await asyncio.gather(naively(), naively())
    async with database.begin(SYSTEM) as tx:
        again = await db.value(tx, "select sum(score)::bigint from competitions.scores where list_id = %s", list_id)
    assert again == total + 200


async def test_plain_scores_that_race_the_end_of_a_list_are_in_its_standings_and_naive_ones_are_not(
    database: Database,
) -> None:
    """Whoever counts holds the list until he has committed; the control reads its state, and writes a moment later."""
    crowd = [f"{new_id()}" for _ in range(20)]
    day, end, before = date(2026, 3, 4), END - timedelta(days=14), END - timedelta(days=14, seconds=1)
    at = before - timedelta(days=3)
    async with database.begin(SYSTEM) as tx:
        await competitions.enter_many(tx, [NewEntrant("player", ref, None, ref) for ref in crowd])
        await programs.submit_many(tx, [named(crowd[0], 1, "first", "steps", at)], now=before)
    list_id = await list_of(database, "steps", f"D:{day}")

    async def submit(number: int) -> bool:
        async with database.alone("a test") as tx:
            item = named(crowd[number % 20], 1, f"k{number}", "steps", at)
            [outcome] = (await programs.submit_alone_many(tx, [item], now=before)).outcomes
        return outcome is not None

    async def close() -> None:
        await asyncio.sleep(0.02)
        async with database.begin(SYSTEM) as tx:
            while await competitions.close_list(tx, now=end):
                pass

    at_once = asyncio.Semaphore(8)

    async def in_turn(number: int) -> bool:
        async with at_once:
            return await submit(number)

    *counted, _ = await asyncio.gather(*(in_turn(n) for n in range(200)), close())
    frozen = "select sum(score)::bigint from competitions.standings where list_id = %s"
    scores = "select sum(score)::bigint from competitions.scores where list_id = %s"
    async with database.begin(SYSTEM) as tx:
        assert await db.value(tx, "select state from competitions.lists where id = %s", list_id) == "final"
        assert await db.value(tx, frozen, list_id) == await db.value(tx, scores, list_id) == 1 + sum(counted) > 1

    async with database.begin(SYSTEM) as tx:
        await programs.submit_many(tx, [named(crowd[0], 1, "next", "steps", at + timedelta(days=1))], now=before)
    list_id = await list_of(database, "steps", f"D:{day + timedelta(days=1)}")
    async with database.begin(SYSTEM) as naive:
        assert await db.value(naive, "select state from competitions.lists where id = %s", list_id) == "live"
        async with database.begin(SYSTEM) as tx:
            while await competitions.close_list(tx, now=end + timedelta(days=1)):
                pass
        await naive.execute("update competitions.scores set score = score + 1 where list_id = %s", [list_id])
    async with database.begin(SYSTEM) as tx:
        assert await db.value(tx, frozen, list_id) < await db.value(tx, scores, list_id)
