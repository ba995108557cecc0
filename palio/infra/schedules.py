"""Schedules: declared in code, with a row each that holds what is next and what an operator changed, read by a tick.

They follow our clock, also a simulated one: an instant becomes a row of the queue when the tick sees that it is due.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from palio.infra import db, outbox
from palio.infra.db import Tx
from palio.kernel.schedules import Schedule, newest_until, next_after

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Due:
    """A schedule whose instant has come, with what an operator has changed about it."""

    name: str
    cron: str | None
    zone: str | None
    max_lag_s: int | None
    singleton: bool | None
    next_at: datetime
    is_pending: bool


async def declare(tx: Tx, schedules: Mapping[str, Schedule], *, now: datetime) -> None:
    """Make the row of each schedule. A new or quicker cadence acts at once; what an operator changed stays."""
    for name in sorted(schedules):
        schedule = schedules[name]
        first = now if schedule.at_start else next_after(schedule.when, schedule.zone, now)
        await db.run(
            tx,
            """insert into infra.schedules as s (name, next_at) values (%s, %s)
            on conflict (name) do update set next_at = least(s.next_at, excluded.next_at)""",
            name,
            first,
        )


async def set_pace(tx: Tx, *, name: str, when: str, now: datetime) -> None:
    """Have a schedule follow a setting: due as `when` says from now on. Raises ValueError if that cannot be read."""
    await db.run(
        tx,
        "update infra.schedules set cron = %s, next_at = least(next_at, %s) where name = %s",
        *(when, next_after(when, "UTC", now), name),
    )


async def tick(tx: Tx, schedules: Mapping[str, Schedule], *, now: datetime) -> None:
    """Queue what is due. Of several missed instants only the newest is made up; a clock set back repeats none."""
    due = await db.rows(
        tx,
        Due,
        """select s.name, s.cron, s.zone, s.max_lag_s, s.singleton, s.next_at,
          coalesce(j.status in ('todo', 'doing'), false) as is_pending
        from infra.schedules s left join jobs.procrastinate_jobs j on j.id = s.job_id
        where s.name = any (%s::text[]) and s.enabled and s.next_at <= %s
          and (s.paused_until is null or s.paused_until <= %s)
        order by s.name limit 1000 for update of s skip locked""",
        list(schedules),
        now,
        now,
    )
    for row in due:
        await _queue(tx, _as_changed(schedules[row.name], row), row, now)


def _as_changed(schedule: Schedule, row: Due) -> Schedule:
    return replace(
        schedule,
        when=row.cron or schedule.when,
        zone=row.zone or schedule.zone,
        max_lag_s=schedule.max_lag_s if row.max_lag_s is None else row.max_lag_s,
        singleton=schedule.singleton if row.singleton is None else row.singleton,
    )


async def _queue(tx: Tx, schedule: Schedule, row: Due, now: datetime) -> None:
    due_at = newest_until(schedule.when, schedule.zone, now, first=row.next_at)
    job_id = None
    if schedule.max_lag_s is not None and now - due_at > timedelta(seconds=schedule.max_lag_s):
        log.warning("a schedule was missed", schedule=row.name, due_at=due_at.isoformat())
    elif schedule.singleton and row.is_pending:
        log.info("a schedule is still busy", schedule=row.name, due_at=due_at.isoformat())
    else:
        job_id = await outbox.send_due(tx, schedule.job, schedule=row.name, due_at=due_at)
    await db.run(
        tx,
        "update infra.schedules set next_at = %s, job_id = coalesce(%s, job_id) where name = %s",
        next_after(schedule.when, schedule.zone, now),
        job_id,
        row.name,
    )
