"""The tick: what is due becomes one row of the queue, by our clock, however long nobody looked."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from palio.infra import db, jobs, schedules
from palio.infra.db import Equipment
from palio.kernel.messages import Job, handles
from palio.kernel.schedules import Schedule


@dataclass(frozen=True, slots=True)
class Sweep(Job):
    """Clean the square."""


@handles(Sweep, queue="bulk")
async def sweep(tx, job): ...


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def named(**more) -> dict[str, Schedule]:
    return {"test.sweep": Schedule("test.sweep", "10 0 * * *", Sweep(), **more)}


@pytest.fixture
async def square(tx):
    tx.equipment = Equipment(jobs.addresses({Sweep: (sweep,)}))
    await schedules.declare(tx, named(), now=at("2026-03-17 12:00"))
    return tx


async def queued(tx) -> list[str]:
    return await db.column(
        tx, "select args ->> 'due_at' from jobs.procrastinate_jobs where queue_name = 'bulk' order by id"
    )


async def end_runs(tx) -> None:
    await db.run(tx, "delete from jobs.procrastinate_jobs where queue_name = 'bulk'")


async def test_a_due_schedule_is_queued_once_and_its_next_instant_stored(square):
    await schedules.tick(square, named(), now=at("2026-03-18 00:09:59"))
    assert await queued(square) == []
    await schedules.tick(square, named(), now=at("2026-03-18 00:10"))
    await schedules.tick(square, named(), now=at("2026-03-18 00:10:01"))
    assert await queued(square) == ["2026-03-18T00:10:00Z"]
    row = "select next_at from infra.schedules where name = 'test.sweep'"
    assert await db.value(square, row) == at("2026-03-19 00:10")


async def test_three_days_without_a_scheduler_are_made_up_by_one_run(square):
    await schedules.tick(square, named(), now=at("2026-03-20 09:00"))
    await end_runs(square)
    await schedules.tick(square, named(), now=at("2026-03-20 09:01"))
    assert await queued(square) == []


async def test_a_run_that_would_be_too_late_is_left_out(square):
    late = named(max_lag_s=3_600)
    await schedules.tick(square, late, now=at("2026-03-20 09:00"))
    assert await queued(square) == []
    await schedules.tick(square, late, now=at("2026-03-21 01:00"))
    assert await queued(square) == ["2026-03-21T00:10:00Z"]


async def test_a_clock_that_is_set_back_repeats_no_run(square):
    await schedules.tick(square, named(), now=at("2026-03-18 00:10"))
    await end_runs(square)
    await schedules.tick(square, named(), now=at("2026-03-17 23:00"))
    await schedules.tick(square, named(), now=at("2026-03-18 00:10"))
    assert await queued(square) == []


@pytest.mark.parametrize(("singleton", "expected"), [(True, 1), (False, 2)])
async def test_a_singleton_is_not_queued_while_a_run_of_it_waits(square, singleton, expected):
    for day in (18, 19):
        await schedules.tick(square, named(singleton=singleton), now=at(f"2026-03-{day} 00:10"))
    assert len(await queued(square)) == expected


@pytest.mark.parametrize(
    "statement",
    [
        "update infra.schedules set enabled = false",
        "update infra.schedules set paused_until = '2026-03-18 01:00+00'",
        "update infra.schedules set cron = '20 0 * * *', next_at = '2026-03-18 00:20+00'",
    ],
)
async def test_what_an_operator_changed_counts(square, statement):
    await square.execute(statement)
    await schedules.tick(square, named(), now=at("2026-03-18 00:10"))
    assert await queued(square) == []


async def test_a_pause_ends_by_itself(square):
    await square.execute("update infra.schedules set paused_until = '2026-03-18 01:00+00' where name = 'test.sweep'")
    await schedules.tick(square, named(), now=at("2026-03-18 01:00"))
    assert await queued(square) == ["2026-03-18T00:10:00Z"]


async def test_declaring_again_keeps_what_is_next_unless_it_comes_sooner_now(square):
    row = "select next_at from infra.schedules where name = 'test.sweep'"
    await schedules.declare(square, named(), now=at("2026-03-17 12:05"))
    assert await db.value(square, row) == at("2026-03-18 00:10")
    quicker = {"test.sweep": Schedule("test.sweep", "every 1m", Sweep())}
    await schedules.declare(square, quicker, now=at("2026-03-17 12:05"))
    assert await db.value(square, row) == at("2026-03-17 12:06")
    await schedules.declare(square, named(at_start=True), now=at("2026-03-17 12:05"))
    assert await db.value(square, row) == at("2026-03-17 12:05")


async def test_a_failing_run_is_not_tried_again_once_the_next_instant_is_nearer(cluster, database_name):
    """A daily one is repeated like any job, one of every five seconds is left to its next instant."""
    quick = Schedule("test.quick", "every 5s", Sweep())
    daily = Schedule("test.daily", "10 0 * * *", Sweep())
    queue = jobs.Queue("", db.Database(""), {}, schedules=(quick, daily))

    def row(schedule: str, attempts: int) -> jobs.Row:
        args = {"schedule": schedule}
        return jobs.Row(queue="bulk", lock=None, queueing_lock=None, task_name="x", task_kwargs=args, attempts=attempts)

    assert queue._verdict(row("test.quick", 3)) == ("failed", None)
    assert queue._verdict(row("test.daily", 0)) == ("failed", timedelta(seconds=1))
    assert queue._verdict(row("test.daily", 11)) == ("dead", None)
