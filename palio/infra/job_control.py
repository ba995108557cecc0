"""What became of jobs, and what an operator may do about it: look, try the dead ones again, run a schedule now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias
from uuid import UUID

from palio.infra import audit, db
from palio.infra.db import Tx
from palio.kernel.errors import Conflict, NotFound
from palio.kernel.ids import new_id

State: TypeAlias = Literal["waiting", "running", "failed"]
RETRIED_MAX = 10_000


class NoSuchJob(NotFound):
    """No job `job` has given up; the known ones that have are `dead`."""

    code: ClassVar[str] = "infra.no_such_job"


class NoSuchSchedule(NotFound):
    """There is no schedule `schedule`; the known ones are `known`."""

    code: ClassVar[str] = "infra.no_such_schedule"


class NotDead(Conflict):
    """The job is `state`: only one that has given up can be tried again."""

    code: ClassVar[str] = "infra.job_not_dead"


class AlreadyQueued(Conflict):
    """The same waits in the queue already: this one can only be cancelled."""

    code: ClassVar[str] = "infra.job_already_queued"


class NotCancellable(Conflict):
    """The job is `state`: only one that waits or has given up can be cancelled."""

    code: ClassVar[str] = "infra.job_not_cancellable"


class NotQueued(NotFound):
    """The job is not in the queue: it is done, was cancelled, or never was."""

    code: ClassVar[str] = "infra.job_not_queued"


class StillRunning(Conflict):
    """A run of `schedule` waits or works already."""

    code: ClassVar[str] = "infra.still_running"


@dataclass(frozen=True, slots=True)
class Queued:
    """A row of the queue. `state` failed means that it gave up; what is done is not in the queue any more."""

    id: int
    job: str
    queue: str
    state: State
    attempts: int
    due_at: datetime | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a job, and how it ended."""

    started_at: datetime
    finished_at: datetime | None
    attempt: int
    status: str
    ms: int | None
    error_code: str | None
    error: str | None
    request_id: UUID


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A schedule, when it is due next and how it went last."""

    name: str
    enabled: bool
    paused_until: datetime | None
    next_at: datetime
    last_finished_at: datetime | None
    last_status: str | None


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """How a queue does: `lag_s` is how long the oldest job that is due has waited."""

    queue: str
    waiting: int
    running: int
    failed: int
    lag_s: int


async def figures(tx: Tx) -> list[QueueFigures]:
    """How each queue does that holds anything, by name."""
    return await db.rows(
        tx,
        QueueFigures,
        """select j.queue_name as queue, count(*) filter (where j.status = 'todo') as waiting,
          count(*) filter (where j.status = 'doing') as running, count(*) filter (where j.status = 'failed') as failed,
          coalesce(max(extract(epoch from clock_timestamp() - coalesce(j.scheduled_at, e.at))) filter (
            where j.status = 'todo' and coalesce(j.scheduled_at, '-infinity') <= clock_timestamp()), 0)::int as lag_s
        from jobs.procrastinate_jobs j
        left join lateral (select min(at) as at from jobs.procrastinate_events where job_id = j.id) e
          on j.status = 'todo'
        where j.status in ('todo', 'doing', 'failed') group by j.queue_name order by 1""",
    )


QUEUED = """
    select j.id, j.task_name as job, j.queue_name as queue,
      case j.status when 'todo' then 'waiting' when 'doing' then 'running' else 'failed' end as state,
      j.attempts, j.scheduled_at as due_at, r.error
    from jobs.procrastinate_jobs j
    left join lateral (select error from infra.job_runs r
      where r.job = j.task_name and r.request_id = (j.args->>'request_id')::uuid and r.error is not null
      order by r.started_at desc limit 1) r on true
    where j.status in ('todo', 'doing', 'failed')"""


WANTED = """
      and (%s::text[] = '{}'
        or case j.status when 'todo' then 'waiting' when 'doing' then 'running' else 'failed' end = any (%s::text[]))
      and (%s::text is null or j.queue_name = %s)"""


async def list_queued(
    tx: Tx,
    *,
    states: Sequence[State] = (),
    limit: int,
    queue: str | None = None,
    behind: int = 0,
    in_front_of: int | None = None,
) -> list[Queued]:
    """What is in the queue behind a row or in front of one, the oldest first, with the newest error of each."""
    values = list(states), list(states), queue, queue
    if in_front_of is not None:
        found = await db.rows(
            tx, Queued, QUEUED + WANTED + " and j.id < %s order by j.id desc limit %s::int", *values, in_front_of, limit
        )
        return found[::-1]
    return await db.rows(
        tx, Queued, QUEUED + WANTED + " and j.id > %s order by j.id limit %s::int", *values, behind, limit
    )


async def get_queued(tx: Tx, *, row_id: int) -> Queued:
    """A row of the queue. Refuses with NotQueued."""
    found = await db.find(tx, Queued, QUEUED + " and j.id = %s", row_id)
    if found is None:
        raise NotQueued
    return found


async def attempts_of(tx: Tx, *, row_id: int) -> list[Attempt]:
    """What became of the attempts at a row of the queue, the newest first."""
    return await db.rows(
        tx,
        Attempt,
        """select r.started_at, r.finished_at, r.attempt, r.status::text, r.ms, r.error_code, r.error, r.request_id
        from jobs.procrastinate_jobs j
        join infra.job_runs r on r.job = j.task_name and r.request_id = (j.args->>'request_id')::uuid
        where j.id = %s order by r.started_at desc limit 50""",
        row_id,
    )


async def list_schedules(tx: Tx) -> list[Scheduled]:
    """Every schedule, by name."""
    return await db.rows(
        tx,
        Scheduled,
        "select name, enabled, paused_until, next_at, last_finished_at, last_status from infra.schedules order by name",
    )


async def retry(tx: Tx, *, job: str, reason: str) -> int:
    """Put the rows of a job that gave up back into the queue, at most 10,000, and say how many. Audited.

    Refuses with NoSuchJob.
    """
    number = await db.run(
        tx,
        """with dead as (select id from jobs.procrastinate_jobs where task_name = %s and status = 'failed'
          order by id limit %s::int for update)
        update jobs.procrastinate_jobs j set status = 'todo', scheduled_at = null, attempts = 0, worker_id = null
        from dead where j.id = dead.id""",
        job,
        RETRIED_MAX,
    )
    if not number:
        dead = await db.column(
            tx, "select distinct task_name from jobs.procrastinate_jobs where status = 'failed' order by 1 limit 100"
        )
        raise NoSuchJob(job=job, dead=dead)
    await _note(tx, "job.retry", job, {"rows": (None, number)}, reason)
    db.after_commit(tx, tx.equipment.wake)
    return number


async def retry_one(tx: Tx, *, row_id: int, reason: str) -> Queued:
    """Put one job that gave up back into the queue. Audited. Refuses with NotQueued, NotDead, AlreadyQueued."""
    found = await _lock(tx, row_id)
    if found.state != "failed":
        raise NotDead(state=found.state)
    is_done = await db.run(
        tx,
        """update jobs.procrastinate_jobs j set status = 'todo', scheduled_at = null, attempts = 0, worker_id = null
        where id = %s and not exists (select from jobs.procrastinate_jobs w
          where w.queueing_lock = j.queueing_lock and w.status = 'todo')""",
        row_id,
    )
    if not is_done:
        raise AlreadyQueued
    await _note(tx, "job.retry", found.job, {"state": ("failed", "waiting"), "row": (row_id, row_id)}, reason)
    db.after_commit(tx, tx.equipment.wake)
    return await get_queued(tx, row_id=row_id)


async def cancel(tx: Tx, *, row_id: int, reason: str, now: datetime) -> Queued:
    """Take one job that waits or has given up out of the queue. Audited. Refuses with NotQueued, NotCancellable."""
    found = await _lock(tx, row_id)
    if found.state == "running":
        raise NotCancellable(state=found.state)
    await db.run(
        tx,
        """with gone as (delete from jobs.procrastinate_jobs where id = %s
          returning task_name, queue_name, attempts, args)
        insert into infra.job_runs (started_at, id, job, queue, schedule, subject, attempt, status, finished_at, ms,
          request_id)
        select %s, %s, g.task_name, g.queue_name, g.args->>'schedule', coalesce(g.args->>'key', ''), g.attempts,
          'cancelled', %s, 0, (g.args->>'request_id')::uuid from gone g""",
        *(row_id, now, new_id(), now),
    )
    await _note(tx, "job.cancel", found.job, {"state": (found.state, "cancelled"), "row": (row_id, None)}, reason)
    return found


async def _lock(tx: Tx, row_id: int) -> Queued:
    await db.run(tx, "select from jobs.procrastinate_jobs where id = %s for update", row_id)
    return await get_queued(tx, row_id=row_id)


async def run_now(tx: Tx, *, schedule: str, now: datetime, reason: str) -> None:
    """Make a schedule due now; a worker queues it at its next look, within about a second. Audited.

    Refuses with NoSuchSchedule, StillRunning.
    """
    is_busy = await db.value(
        tx,
        """select exists (select from jobs.procrastinate_jobs j where j.id = s.job_id and j.status in ('todo', 'doing'))
        from infra.schedules s where s.name = %s for update of s""",
        schedule,
    )
    if is_busy is None:
        raise NoSuchSchedule(schedule=schedule, known=[known.name for known in await list_schedules(tx)])
    if is_busy:
        raise StillRunning(schedule=schedule)
    await db.run(tx, "update infra.schedules set next_at = least(next_at, %s) where name = %s", now, schedule)
    await _note(tx, "schedule.run", schedule, {}, reason)


async def _note(tx: Tx, action: str, name: str, changes: dict[str, tuple[object, object]], reason: str) -> None:
    await audit.record(
        tx,
        actor=tx.actor,
        action=action,
        entity_type="job",
        entity_id=name,
        changes=changes,
        reason=reason,
        via="cli" if tx.actor.kind == "system" else None,
    )
