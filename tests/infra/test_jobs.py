"""Messages: with the transaction or not at all, handled after it, again when they fail, once when nothing fails."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest

from palio.infra import db, jobs, outbox, realtime
from palio.infra.db import Database, Equipment, Tx
from palio.infra.jobs import Pace, Queue, Routes
from palio.infra.messages import JobDead
from palio.kernel.ids import new_id
from palio.kernel.messages import Envelope, Event, Job, handles

QUICK = Pace(poll=0.05, tick=0.05, heartbeat=0.2, silence=1.0, rescue=0.1, stop=0.3)
PATIENCE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Rang(Event):
    bell: UUID


@dataclass(frozen=True, slots=True)
class Ring(Job):
    bell: UUID


class Ledger:
    """What the handlers of a test have seen."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.news = asyncio.Event()

    def note(self, who: str, what: Any) -> None:
        self.seen.append((who, what))
        self.news.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.seen) < count:
                self.news.clear()
                await self.news.wait()


@pytest.fixture
def dsn(cluster, database_name) -> str:
    return cluster.dsn("palio_app", database_name)


@asynccontextmanager
async def opened(dsn: str, routes: Routes, wake: Callable[[], None] = lambda: None) -> AsyncIterator[Database]:
    database = Database(dsn, equipment=Equipment(jobs.addresses(routes), wake))
    await database.pool.open(wait=True)
    try:
        async with database.begin_system("an empty queue") as tx:
            await db.run(tx, "delete from jobs.procrastinate_jobs")
        yield database
    finally:
        await database.pool.close()


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def working(dsn: str, database: Database, routes: Routes, **more: Any) -> AbstractAsyncContextManager[None]:
    return running(Queue(dsn, database, routes, pace=QUICK, **more).work())


async def count(database: Database, statement: str, *values: object) -> int:
    async with database.begin_system("counting") as tx:
        return await db.value(tx, statement, *values)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - rows of the database ring no bell
            await asyncio.sleep(0.02)


async def test_a_message_is_handled_once_its_transaction_commits_and_never_if_it_does_not(dsn):
    """Each listener gets the same event, with the same id and instant; the run is recorded."""
    ledger, bell = Ledger(), new_id()

    @handles(Rang)
    async def listen(tx: Tx, event: Rang, envelope: Envelope) -> None:
        ledger.note("first", (event, envelope))

    @handles(Rang, queue="bulk")
    async def listen_too(database: Database, event: Rang, envelope: Envelope) -> None:
        ledger.note("second", (event, envelope))

    routes = {Rang: (listen, listen_too)}
    async with opened(dsn, routes) as database, working(dsn, database, routes):
        with suppress(ZeroDivisionError):
            async with database.begin_system("a test") as tx:
                await outbox.send(tx, Rang(new_id()))
                raise ZeroDivisionError
        async with database.begin_system("a test") as tx:
            await outbox.send(tx, Rang(bell))
        await ledger.until(2)
        left = "select count(*) from jobs.procrastinate_jobs"
        await until(lambda: _is(database, 0, left))
        done = "select count(*) from infra.job_runs where status = 'done' and job like %s"
        await until(lambda: _is(database, 2, done, "%test_a_message_is_handled_once%"))

    assert [who for who, _ in sorted(ledger.seen, key=str)] == ["first", "second"]
    assert {what for _, what in ledger.seen} == {(Rang(bell), ledger.seen[0][1][1])}


async def _is(database: Database, expected: int, statement: str, *values: object) -> bool:
    return await count(database, statement, *values) == expected


async def test_one_waiting_message_of_a_key_is_enough(dsn):
    """The second send in the same transaction, and one in another, add nothing; the transaction goes on."""

    @handles(Ring)
    async def ring(tx: Tx, job: Ring) -> None: ...

    async with opened(dsn, {Ring: (ring,)}) as database:
        async with database.begin_system("a test") as tx:
            await outbox.send(tx, Ring(new_id()), Ring(new_id()), key="bell:1")
            await outbox.send(tx, Ring(new_id()), key="bell:1")
        async with database.begin_system("a test") as tx:
            await outbox.send(tx, Ring(new_id()), key="bell:1")
            await outbox.send(tx, Ring(new_id()), key="bell:2")
        assert await count(database, "select count(*) from jobs.procrastinate_jobs") == 2


async def test_a_job_without_its_one_handler_is_a_bug(dsn):
    async with opened(dsn, {}) as database:
        with pytest.raises(LookupError, match="Ring needs one handler, it has 0"):
            async with database.begin_system("a test") as tx:
                await outbox.send(tx, Ring(new_id()))


async def test_what_a_failing_handler_did_is_undone_and_the_job_comes_again(dsn):
    """The first attempt fails after a write, the second succeeds: one write, two runs, the first with its error."""
    ledger, bell = Ledger(), new_id()

    @handles(Ring)
    async def ring(tx: Tx, job: Ring, envelope: Envelope) -> None:
        await outbox.send(tx, Rang(job.bell))
        ledger.note("ring", envelope.attempt)
        if envelope.attempt == 1:
            raise ValueError("no clapper, ask smith@example.com")

    @handles(Rang)
    async def listen(tx: Tx, event: Rang) -> None:
        ledger.note("rang", event.bell)

    routes = {Ring: (ring,), Rang: (listen,)}
    async with opened(dsn, routes) as database, working(dsn, database, routes):
        async with database.begin_system("a test") as tx:
            await outbox.send(tx, Ring(bell), key=f"ring:{bell}")
        await ledger.until(3)
        runs = "select count(*) from infra.job_runs where subject = %s and status = 'done' and attempt = 2"
        await until(lambda: _is(database, 1, runs, f"ring:{bell}"))
        failed = "select error_code || ': ' || error from infra.job_runs where subject = %s and status = 'failed'"
        assert await count(database, failed, f"ring:{bell}") == "ValueError: no clapper, ask •"
    assert ledger.seen == [("ring", 1), ("ring", 2), ("rang", bell)]


async def test_a_commit_wakes_the_worker_at_once(dsn):
    """With a poll of a minute the message is handled all the same, by the wake-up after the commit."""
    ledger, hub = Ledger(), realtime.Hub(dsn)

    @handles(Rang)
    async def listen(tx: Tx, event: Rang) -> None:
        ledger.note("rang", event.bell)

    routes, slow = {Rang: (listen,)}, Pace(poll=60, stop=0.3)
    listening = """select count(*) from pg_stat_activity
        where query ilike 'listen%%procrastinate%%' and datname = current_database()"""
    async with (
        opened(dsn, routes, hub.wake) as database,
        running(hub.run()),
        running(Queue(dsn, database, routes, pace=slow).work()),
    ):
        await until(lambda: _is(database, 3, listening))
        async with database.begin_system("a test") as tx:
            await outbox.send(tx, Rang(new_id()))
        await ledger.until(1)


async def test_a_worker_that_lost_its_connections_works_on(cluster, dsn, database_name):
    """Every connection of the role is cut in the middle of a job: the job is repeated, later messages are handled."""
    ledger, cut = Ledger(), asyncio.Event()

    @handles(Ring)
    async def ring(tx: Tx, job: Ring, envelope: Envelope) -> None:
        ledger.note("ring", envelope.attempt)
        if len(ledger.seen) == 1:
            await cut.wait()
        await db.value(tx, "select 1")

    routes = {Ring: (ring,)}
    async with opened(dsn, routes) as database, working(dsn, database, routes):
        async with database.begin_system("a test") as tx:
            await outbox.send(tx, Ring(new_id()))
        await ledger.until(1)
        async with await psycopg.AsyncConnection.connect(cluster.dsn(), autocommit=True) as admin:
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'palio_app' and datname = %s",
                [database_name],
            )
        cut.set()
        await ledger.until(2)
        async with database.begin_system("a test") as tx:
            await outbox.send(tx, Ring(new_id()))
        await ledger.until(3)
        await until(lambda: _is(database, 0, "select count(*) from jobs.procrastinate_jobs"))


async def test_a_stopped_worker_returns_what_it_could_not_finish(dsn):
    """After the time of grace the job waits in the queue again, and the next worker does it."""
    ledger, never = Ledger(), asyncio.Event()

    @handles(Ring)
    async def ring(tx: Tx, job: Ring) -> None:
        ledger.note("ring", job.bell)
        if len(ledger.seen) == 1:
            await never.wait()

    routes = {Ring: (ring,)}
    async with opened(dsn, routes) as database:
        async with working(dsn, database, routes):
            async with database.begin_system("a test") as tx:
                await outbox.send(tx, Ring(new_id()))
            await ledger.until(1)
        assert await count(database, "select status::text from jobs.procrastinate_jobs") == "todo"
        async with working(dsn, database, routes):
            await ledger.until(2)


async def test_the_job_of_a_silent_worker_is_taken_up_and_a_second_death_ends_it(dsn):
    """A worker that died leaves `doing` and an old heartbeat: the job returns once, then it is dead and tells so."""
    ledger = Ledger()

    @handles(Ring)
    async def ring(tx: Tx, job: Ring) -> None: ...

    @handles(JobDead)
    async def mourn(tx: Tx, event: JobDead) -> None:
        ledger.note("dead", event.run)

    routes = {Ring: (ring,), JobDead: (mourn,)}
    async with opened(dsn, routes) as database:
        queue = Queue(dsn, database, routes, pace=QUICK)
        async with database.begin_system("a test") as tx:
            await outbox.send(tx, Ring(new_id()), key="ring:doomed")
        for expected in ("todo", "failed"):
            async with database.begin_system("a test") as tx:
                await db.run(
                    tx,
                    """with dead as (
                        insert into jobs.procrastinate_workers (last_heartbeat)
                        values (now() - interval '1 h') returning id)
                    update jobs.procrastinate_jobs set status = 'doing', worker_id = dead.id from dead""",
                )
            await queue._rescue()
            assert (
                await count(database, "select status::text from jobs.procrastinate_jobs where task_name like '%%ring'")
                == expected
            )
        runs = """select string_agg(status::text || ' ' || error_code, ', ' order by started_at)
            from infra.job_runs where subject = 'ring:doomed'"""
        assert await count(database, runs) == "failed jobs.worker_lost, dead jobs.worker_lost"
        async with working(dsn, database, routes):
            await ledger.until(1)


async def test_a_job_that_is_merely_slow_is_not_taken_up(dsn):
    """Its worker seems dead by the clock, but its transaction holds the row: nobody starts it a second time."""
    ledger, go_on = Ledger(), asyncio.Event()

    @handles(Ring)
    async def ring(tx: Tx, job: Ring) -> None:
        ledger.note("ring", job.bell)
        await go_on.wait()

    routes = {Ring: (ring,)}
    async with opened(dsn, routes) as database, working(dsn, database, routes):
        async with database.begin_system("a test") as tx:
            await outbox.send(tx, Ring(new_id()))
        await ledger.until(1)
        async with database.begin_system("a test") as tx:
            await db.run(tx, "update jobs.procrastinate_workers set last_heartbeat = now() - interval '1 hour'")
        await Queue(dsn, database, routes, pace=QUICK)._rescue()
        go_on.set()
        await until(lambda: _is(database, 0, "select count(*) from jobs.procrastinate_jobs"))
    assert len(ledger.seen) == 1


def test_rests_grow_to_an_hour_and_end_after_twelve_attempts():
    rests = [jobs.rest_after(attempt, "default") for attempt in range(1, 13)]
    assert [rest and rest.total_seconds() for rest in rests] == [
        1,
        4,
        16,
        64,
        256,
        1024,
        3600,
        3600,
        3600,
        3600,
        3600,
        None,
    ]
    assert jobs.rest_after(23, "critical") and not jobs.rest_after(24, "critical")


REFUSES_RETRIES = """
    create function public.refuse_retry() returns trigger language plpgsql as $$
    begin raise exception 'no' using errcode = 'unique_violation', constraint = 'something_else'; end $$;
    create trigger refuse_retry before update on jobs.procrastinate_jobs for each row
      when (new.attempts > old.attempts) execute function public.refuse_retry()"""
TAKES_RETRIES = "drop trigger refuse_retry on jobs.procrastinate_jobs; drop function public.refuse_retry()"


@pytest.fixture
def refused_retries(cluster, database_name):
    """The database does not take in that a job has failed."""
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as admin:
        admin.execute(REFUSES_RETRIES)
        yield
        admin.execute(TAKES_RETRIES)


@pytest.mark.usefixtures("refused_retries")
async def test_a_job_whose_failure_could_not_be_written_is_neither_dropped_nor_held_for_ever(dsn):
    """Its worker lives, so nobody would rescue it: with the next heartbeat it goes back to the queue."""
    ledger, bell = Ledger(), new_id()

    @handles(Ring)
    async def ring(tx: Tx, job: Ring) -> None:
        ledger.note("rang", job.bell)
        if len(ledger.seen) == 1:
            raise ZeroDivisionError

    routes = {Ring: (ring,)}
    async with opened(dsn, routes) as database, working(dsn, database, routes):
        async with database.begin_system("a test") as tx:
            await outbox.send(tx, Ring(bell))
        await ledger.until(2)
    assert ledger.seen == [("rang", bell)] * 2
