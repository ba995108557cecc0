"""What makes races move: snapshots through a job per programme, the clock through a job per race, two workers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress

import pytest

from palio import affiliates, competitions, races
from palio.competitions.types import Admission, Submission
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.infra import db, embedded
from palio.infra import jobs as queue
from palio.infra.db import Database, Equipment, Tx
from palio.kernel import clock
from palio.kernel.ids import new_id
from palio.races import jobs
from palio.races.messages import OnSnapshot, SettleRace, TickRaces
from palio.races.types import Race
from tests.factories.races import SYSTEM, T1, T2, at, feed, race, run, setup_r


@pytest.fixture
def evening() -> Iterator[None]:
    """The clock of the worker stands after the end of the race."""
    clock.use(lambda: at("20:30:00"))
    yield
    clock.use(clock.real)


async def queued(tx: Tx, task: str) -> list[dict[str, object]]:
    statement = "select args -> 'message' from jobs.procrastinate_jobs where task_name = %s order by id"
    return await db.column(tx, statement, task)


async def test_the_schedule_and_the_handlers_fit() -> None:
    assert jobs.SCHEDULE.job == TickRaces()
    assert SUBSCRIPTIONS[affiliates.SnapshotApplied] == (jobs.queue_snapshot,)
    for kind in (OnSnapshot, TickRaces, SettleRace):
        (handler,) = SUBSCRIPTIONS[kind]
        assert handler.message is kind  # type: ignore[attr-defined]


@pytest.mark.usefixtures("evening")
async def test_a_tick_gives_each_due_race_one_job_and_a_snapshot_one_per_programme(wired: Database) -> None:
    async with wired.begin(SYSTEM) as tx:
        source, made = await setup_r(tx)
    async with wired.begin(SYSTEM) as tx:
        waiting = await queued(tx, "races.jobs:queue_snapshot")
        assert {message["programme_id"] for message in waiting} >= {str(source.programme_id)}
        event = affiliates.SnapshotApplied(source.programme_id, source.programme_id, 2)  # type: ignore[arg-type]
        for _ in range(2):
            await jobs.queue_snapshot(tx, event)
            await jobs.tick(tx, TickRaces())
        jobs_of_programme = await queued(tx, "races.jobs:on_snapshot")
        assert jobs_of_programme.count({"programme": str(source.programme_id)}) == 1
        assert (await queued(tx, "races.jobs:settle")).count({"number": made.number}) == 1

        await jobs.settle(tx, SettleRace(made.number))
        await jobs.on_snapshot(tx, OnSnapshot(source.programme_id))
        assert (await competitions.get(tx, competition_id=made.competition_id)).status == "completed"


@pytest.fixture
async def wired(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Database]:
    """A database whose messages find their handlers."""
    found = Database(cluster.dsn("palio_app", database_name), equipment=Equipment(queue.addresses(SUBSCRIPTIONS)))
    await found.pool.open(wait=True)
    yield found
    await found.pool.close()


async def test_two_workers_bring_the_same_snapshots_once(database: Database) -> None:
    """Both read, one waits for the other, nothing counts twice; a settlement in between waits too."""
    async with database.begin(SYSTEM) as tx:
        source = await feed(tx)
        await source.take(tx, T1, at("08:21:15"))
        made = await race(tx, source, at("08:22:00"))
        await run(tx, at("08:30:00"))
        await source.take(tx, T2, at("20:28:00"))

    async def look(number: int) -> None:
        async with database.begin(SYSTEM) as tx:
            if number % 3:
                await races.on_snapshot_many(tx, [made.competition_id], now=at("20:30:00"))
            else:
                await races.advance(tx, number=made.number, now=at("20:30:00"))

    await asyncio.gather(*map(look, range(6)))
    async with database.begin(SYSTEM) as tx:
        await run(tx, at("20:30:00"))
        lines = await races.lines(tx, number=made.number)
        assert sum(line.total_micro for line in lines) == 450_299_844
        statement = """
            select count(*) from competitions.receipts r
            join competitions.competitions c on c.list_id = r.list_id where c.id = %s"""
        assert await db.value(tx, statement, made.competition_id) == 13
        archived = "select count(*) from competitions.archives where competition_id = %s"
        assert await db.value(tx, archived, made.competition_id) == 1


STEPS = [{"ann": 110, "bob": 50}, {"ann": 105, "bob": 70}, {"ann": 125, "bob": 70, "cid": 3}, {"ann": 125, "bob": 71}]
Look = Callable[[Tx, Race, asyncio.Barrier], Awaitable[None]]


async def snapshots(database: Database, look: Look, *, workers: int) -> tuple[list[str], dict[str, int]]:
    """Four snapshots, after each of which so many workers look at once; receipts and totals afterwards."""
    async with database.begin(SYSTEM) as tx:
        source = await feed(tx)
        await source.show(tx, at("08:25:00"), {"ann": "100", "bob": "50"})
        made = await race(tx, source, at("08:25:00"))
        await run(tx, at("08:30:00"))

    async def work(barrier: asyncio.Barrier) -> None:
        async with database.begin(SYSTEM) as tx:
            await tx.execute("select 1")
            await barrier.wait()
            await look(tx, made, barrier)

    for hour, totals in enumerate(STEPS, 10):
        async with database.begin(SYSTEM) as tx:
            await source.show(tx, at(f"{hour}:00:00"), {uid: str(total) for uid, total in totals.items()})
        barrier = asyncio.Barrier(workers)
        await asyncio.gather(*(work(barrier) for _ in range(workers)))
    statement = """
        select p.uid || ' ' || r.key || ' ' || r.kind || ' ' || r.delta / 1000000 || ' ' || r.happened_at
        from competitions.receipts r
        join competitions.competitions c on c.list_id = r.list_id
        join competitions.entrants e on e.id = r.entrant_id join affiliates.players p on p.id::text = e.ref
        where c.id = %s order by 1"""
    async with database.begin(SYSTEM) as tx:
        receipts = await db.column(tx, statement, made.competition_id)
        totals = {line.uid: line.total_micro // 10**6 for line in await races.lines(tx, number=made.number)}
        await source.show(tx, at("20:20:00"), {"ann": "125", "bob": "71", "cid": "3"})
        await run(tx, at("20:20:00"))
    return receipts, totals


async def carefully(tx: Tx, made: Race, barrier: asyncio.Barrier) -> None:
    await races.on_snapshot_many(tx, [made.competition_id], now=at("19:00:00"))


async def naively(tx: Tx, made: Race, barrier: asyncio.Barrier) -> None:
    """Read how far the race is, let everybody read it, and add what has come since under a key that names nothing."""
    statement = "select last_seq from races.races where competition_id = %s"
    seq = await db.value(tx, statement, made.competition_id)
    changes = await affiliates.changes_since(tx, programme_id=made.programme_id, seq=seq, through_seq=9, limit=9)
    await barrier.wait()
    label = new_id().hex
    admissions = [Admission(made.competition_id, "player", str(change.player_id)) for change in changes]
    entrants = await competitions.admit_many(tx, admissions, now=at("09:00:00"))
    items = [
        Submission(
            *(made.competition_id, entrant, change.after_micro - (change.before_micro or 0)),
            *(f"{label}:{change.seq}", at("09:00:00"), "score", {}),
        )
        for change, entrant in zip(changes, entrants, strict=True)
    ]
    await competitions.submit_many(tx, items, now=at("09:00:00"))
    await db.run(
        tx,
        "update races.races set last_seq = greatest(last_seq, %s) where competition_id = %s",
        *(max((change.seq for change in changes), default=seq), made.competition_id),
    )


async def test_snapshots_looked_at_by_many_workers_at_once_count_once(database: Database) -> None:
    """One worker and eight leave the same receipts and totals; whoever only looks first counts more than once."""
    alone = await snapshots(database, carefully, workers=1)
    crowded = await snapshots(database, carefully, workers=8)
    assert alone == crowded
    assert alone[1] == {"ann": 25, "bob": 21, "cid": 3}
    _, naive = await snapshots(database, naively, workers=2)
    assert naive["ann"] > 25


async def test_snapshots_announced_twice_and_in_reverse_order_count_once(wired: Database) -> None:
    """Four snapshots are there before the first job runs; jobs of all of them run twice, the newest first."""
    async with wired.begin(SYSTEM) as tx:
        source = await feed(tx)
        await source.show(tx, at("08:25:00"), {"ann": "100", "bob": "50"})
        made = await race(tx, source, at("08:25:00"))
        await run(tx, at("08:30:00"))
        taken = [
            await source.show(tx, at(f"{hour}:00:00"), {uid: str(total) for uid, total in totals.items()})
            for hour, totals in enumerate(STEPS, 10)
        ]
    clock.use(lambda: at("19:00:00"))
    try:
        for snapshot in [*reversed(taken)] * 2:
            async with wired.begin(SYSTEM) as tx:
                event = affiliates.SnapshotApplied(source.programme_id, snapshot.id, snapshot.seq or 0)  # type: ignore[arg-type]  # it has been applied
                await jobs.queue_snapshot(tx, event)
                await jobs.on_snapshot(tx, OnSnapshot(source.programme_id))
    finally:
        clock.use(clock.real)
    async with wired.begin(SYSTEM) as tx:
        lines = await races.lines(tx, number=made.number)
        assert [(line.uid, line.total_micro) for line in lines] == [
            ("ann", 25_000_000),
            ("bob", 21_000_000),
            ("cid", 3_000_000),
        ]
        statement = """
            select count(*) from competitions.receipts r
            join competitions.competitions c on c.list_id = r.list_id where c.id = %s"""
        assert await db.value(tx, statement, made.competition_id) == 6
        await source.show(tx, at("20:20:00"), {"ann": "125", "bob": "71", "cid": "3"})
        await run(tx, at("20:20:00"))


class PowerCutError(Exception):
    """Ends a transaction where a worker would have died."""


async def test_a_worker_that_dies_anywhere_leaves_nothing_half_done(database: Database) -> None:
    """Each of the due steps is done, lost and done again, one by one."""
    async with database.begin(SYSTEM) as tx:
        _, made = await setup_r(tx)
    steps: list[str] = []
    for count in range(1, 20):
        with suppress(PowerCutError):
            async with database.begin(SYSTEM) as tx:
                await races.advance(tx, number=made.number, now=at("20:30:00"), steps_max=count)
                raise PowerCutError
        async with database.begin(SYSTEM) as tx:
            steps += (await races.advance(tx, number=made.number, now=at("20:30:00"), steps_max=1)).steps
    assert steps == [
        "started",
        "start picture chosen",
        "wagers counted",
        "ended",
        "final picture chosen",
        "frozen",
        "done",
    ]
    async with database.begin(SYSTEM) as tx:
        rewards = await competitions.rewards(tx, competition_id=made.competition_id)
        assert sum(reward.amount for reward in rewards) == 50_000
        archived = "select count(*) from competitions.archives where competition_id = %s"
        assert await db.value(tx, archived, made.competition_id) == 1
        logged = "select count(*) from races.picture_log where competition_id = %s"
        assert await db.value(tx, logged, made.competition_id) == 2
