"""Partitions: ready before they are needed; rows that came without one are moved, with their guards kept."""

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest

from palio.infra import audit, db, jobs, partitions
from palio.infra.db import Database, Equipment
from palio.infra.messages import KeepPartitions, PartitionMissing
from palio.infra.partitions import Range, gaps, period_of, periods_ahead
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.messages import handles


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@handles(PartitionMissing)
async def hear(tx, event): ...


@pytest.fixture
def name(database_name):
    return f"{database_name}_partitions"


@pytest.fixture
async def own(cluster, name):
    """A database of its own, since partitions are made in transactions that commit."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(f"create database {name} template palio")
    routes = {PartitionMissing: (hear,), KeepPartitions: (partitions.keep,)}
    database = Database(cluster.dsn("palio_app", name), equipment=Equipment(jobs.addresses(routes)))
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(f"drop database {name}")


@pytest.fixture
def a_year_later():
    clock.use(lambda: at(2027, 3, 1, 0, 5))
    yield
    clock.use(clock.real)


async def test_without_upkeep_rows_still_find_a_place_and_upkeep_moves_them_and_says_so(
    own, a_year_later, cluster, name
):
    """Three months nobody made partitions: audit rows are written all the same; one run empties the default."""
    robot = Actor("system", None, RequestId(new_id()))
    async with own.begin_system("a test") as tx:
        for entity in "abc":
            await audit.record(tx, actor=robot, action="a.b", entity_type="x", entity_id=entity, changes={})
        assert await db.value(tx, COUNT_BY_TABLE) == {"infra.audit_rows_default": 3}
        before = await db.value(tx, "select jsonb_agg(to_jsonb(a) order by id) from infra.audit_rows a")
        month = before[0]["at"][:7].replace("-", "_")

    await partitions.keep(own, KeepPartitions())

    async with own.begin_system("a test") as tx:
        assert await db.value(tx, COUNT_BY_TABLE) == {f"infra.audit_rows_{month}": 3}
        assert await db.value(tx, "select jsonb_agg(to_jsonb(a) order by id) from infra.audit_rows a") == before
        told = await db.column(tx, "select args -> 'message' ->> 'table' from jobs.procrastinate_jobs")
        assert told == ["infra.audit_rows"]
        made = await db.column(tx, "select child from infra.partitions where parent = 'infra.job_runs' order by child")
        assert made == [f"infra.job_runs_2027_{number:02}" for number in (3, 4, 5, 6)]
    with psycopg.connect(cluster.dsn("postgres", name)) as owner:
        for statement in ("delete from infra.audit_rows", f"truncate infra.audit_rows_{month}"):
            with pytest.raises(psycopg.Error) as refused:
                owner.execute(statement)
            assert refused.value.sqlstate == "PL004"
            owner.rollback()


COUNT_BY_TABLE = """select jsonb_object_agg(t, n) from
    (select tableoid::regclass::text as t, count(*) as n from infra.audit_rows group by 1) counted"""


async def test_repeating_it_changes_nothing(own):
    await partitions.keep(own, KeepPartitions())
    async with own.begin_system("a test") as tx:
        before = await db.column(tx, "select child from infra.partitions")
    await partitions.keep(own, KeepPartitions())
    async with own.begin_system("a test") as tx:
        assert await db.column(tx, "select child from infra.partitions") == before
        assert await db.value(tx, "select count(*) from jobs.procrastinate_jobs") == 0


async def test_a_past_instant_gets_its_partition_before_somebody_writes_there(own):
    async with own.begin_system("a test") as tx:
        await partitions.ensure(tx, "infra.job_runs", at(2025, 2, 14, 9))
        await partitions.ensure(tx, "infra.job_runs", at(2025, 2, 27, 9))
        await db.run(
            tx,
            """insert into infra.job_runs (started_at, id, job, queue, attempt, status, request_id)
            values ('2025-02-20', %s, 'x', 'bulk', 1, 'done', %s)""",
            new_id(),
            new_id(),
        )
        assert await db.column(tx, "select tableoid::regclass::text from infra.job_runs") == ["infra.job_runs_2025_02"]


async def test_a_row_that_is_written_meanwhile_is_moved_too(own, cluster, name):
    """The writer has not committed when the partition is asked for: it waits, and the row ends up in it."""
    async with asyncio.TaskGroup() as group:
        with psycopg.connect(cluster.dsn("palio_app", name)) as writer:
            writer.execute(
                """insert into infra.job_runs (started_at, id, job, queue, attempt, status, request_id)
                values ('2025-02-20', gen_random_uuid(), 'x', 'bulk', 1, 'done', gen_random_uuid())"""
            )
            making = group.create_task(partitions.ensure_span(own, since=at(2025, 2, 1), until=at(2025, 2, 2)))
            with psycopg.connect(cluster.dsn(), autocommit=True) as observer:
                while not observer.execute("select 1 from pg_locks where not granted").fetchone():
                    assert not making.done()
                    await asyncio.sleep(0.01)
    async with own.begin_system("a test") as tx:
        assert await db.column(tx, "select tableoid::regclass::text from infra.job_runs") == ["infra.job_runs_2025_02"]


async def test_only_listed_parents_and_whole_periods_are_served(own):
    async with own.begin_system("a test") as tx:
        with pytest.raises(LookupError):
            await partitions.ensure(tx, "infra.settings", at(2025, 2, 14))
    for parent, lower, upper, state in (
        ("infra.settings", at(2025, 2, 1), at(2025, 3, 1), "42501"),
        ("infra.job_runs", at(2025, 2, 2), at(2025, 3, 1), "22023"),
        ("infra.job_runs", at(2025, 2, 1), at(2025, 4, 1), "22023"),
    ):
        with pytest.raises(psycopg.Error) as refused:
            async with own.begin_system("a test") as tx:
                await db.run(tx, "select infra.make_partition(%s, %s, %s)", parent, lower, upper)
        assert refused.value.sqlstate == state


async def test_a_partition_is_detached_attached_and_dropped_only_after_it_was_archived(own):
    async with own.begin_system("a test") as tx:
        await partitions.ensure(tx, "infra.job_runs", at(2025, 2, 14))
        names = ("infra.job_runs", "infra.job_runs_2025_02")
        await db.run(tx, "select infra.detach_partition(%s, %s)", *names)
        assert await db.value(tx, "select count(*) from pg_inherits where inhparent = 'infra.job_runs'::regclass") == 1
        await db.run(tx, "select infra.attach_partition(%s, %s)", *names)
        assert await db.value(tx, "select count(*) from pg_inherits where inhparent = 'infra.job_runs'::regclass") == 2
        await db.run(tx, "select infra.detach_partition(%s, %s)", *names)
    with pytest.raises(psycopg.Error, match="no archived partition"):
        async with own.begin_system("a test") as tx:
            await db.run(tx, "select infra.drop_partition(%s, %s)", *names)


@pytest.mark.parametrize(
    ("period", "lower", "upper"),
    [
        ("hour", at(2026, 12, 31, 23), at(2027, 1, 1)),
        ("day", at(2026, 12, 31), at(2027, 1, 1)),
        ("month", at(2026, 12, 1), at(2027, 1, 1)),
    ],
)
def test_a_period_holds_its_instant(period, lower, upper):
    assert period_of(period, at(2026, 12, 31, 23, 59, 59)) == Range(lower, upper)


def test_three_periods_ahead_are_ready_and_forty_eight_hours():
    months = [period.lower for period in periods_ahead("month", at(2026, 11, 30))]
    assert months == [at(2026, 11, 1), at(2026, 12, 1), at(2027, 1, 1), at(2027, 2, 1)]
    assert len(list(periods_ahead("hour", at(2026, 11, 30)))) == 49


def test_gaps_are_everything_that_no_partition_holds():
    attached = [Range(at(2026, 3, 1), at(2026, 4, 1)), Range(at(2026, 1, 1), at(2026, 2, 1))]
    assert gaps(attached) == [
        Range(partitions.FIRST, at(2026, 1, 1)),
        Range(at(2026, 2, 1), at(2026, 3, 1)),
        Range(at(2026, 4, 1), partitions.LAST),
    ]
    assert gaps([]) == [Range(partitions.FIRST, partitions.LAST)]
