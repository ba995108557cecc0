"""What became of jobs, and what an operator may do about it: look, try the dead ones again, run a schedule now."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

from palio.infra import audit, db
from palio.infra.db import Tx
from palio.kernel.errors import Conflict, NotFound

State: TypeAlias = Literal["waiting", "running", "failed"]
RETRIED_MAX = 10_000


class NoSuchJob(NotFound):
    """No job `job` has given up; the known ones that have are `dead`."""

    code: ClassVar[str] = "infra.no_such_job"


class NoSuchSchedule(NotFound):
    """There is no schedule `schedule`; the known ones are `known`."""

    code: ClassVar[str] = "infra.no_such_schedule"


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


async def list_queued(tx: Tx, *, state: State | None, limit: int) -> list[Queued]:
    """What is in the queue, the oldest first, with the newest error of each."""
    return await db.rows(
        tx,
        Queued,
        """select j.id, j.task_name as job, j.queue_name as queue,
          case j.status when 'todo' then 'waiting' when 'doing' then 'running' else 'failed' end as state,
          j.attempts, j.scheduled_at as due_at, r.error
        from jobs.procrastinate_jobs j
        left join lateral (select error from infra.job_runs r
          where r.job = j.task_name and r.request_id = (j.args->>'request_id')::uuid and r.error is not null
          order by r.started_at desc limit 1) r on true
        where j.status in ('todo', 'doing', 'failed')
          and (%s::text is null or j.status = case %s::text when 'waiting' then 'todo' when 'running' then 'doing'
            else 'failed' end::jobs.procrastinate_job_status)
        order by j.id limit %s::int""",
        state,
        state,
        limit,
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
        via="cli",
    )
