"""What became of jobs: a row for each attempt, kept for `jobs.retention_days`."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from uuid import UUID

import psycopg

from palio.infra import db, outbox
from palio.infra.db import Tx
from palio.infra.masking import mask
from palio.infra.messages import JobDead
from palio.infra.outbox import Stored
from palio.kernel import clock
from palio.kernel.messages import Envelope

RunStatus: TypeAlias = Literal["done", "failed", "dead"]

ERROR_CHARACTERS_MAX = 2_000


class WorkerLostError(Exception):
    """The process that worked on a job is gone."""

    code = "jobs.worker_lost"


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt at a message by one handler."""

    id: UUID
    row_id: int
    worker_id: int | None
    task: str
    queue: str
    attempt: int
    stored: Stored
    started_at: datetime

    @property
    def envelope(self) -> Envelope:
        return Envelope(self.stored.event_id, self.stored.at, self.attempt, self.stored.due_at)


async def record(
    tx: Tx, this: Run, status: RunStatus, failure: Exception | None = None, *, instance_id: UUID | None
) -> None:
    """Write down how an attempt ended, and tell of a job that is dead. `instance_id` is the process that worked."""
    now = clock.now()
    await db.run(
        tx,
        """insert into infra.job_runs (started_at, id, job, queue, schedule, subject, attempt, status, finished_at, ms,
          error_code, error, request_id, instance_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        *(this.started_at, this.id, this.task, this.queue, this.stored.schedule, this.stored.key or "", this.attempt),
        *(status, now, max(0, round((now - this.started_at) / timedelta(milliseconds=1)))),
        *(_code_of(failure), _text_of(failure), this.stored.request_id, instance_id),
    )
    if this.stored.schedule:
        await db.run(
            tx,
            """update infra.schedules set last_started_at = %s, last_finished_at = %s, last_status = %s
            where name = %s""",
            *(this.started_at, now, status, this.stored.schedule),
        )
    if status == "dead":
        await outbox.send(tx, JobDead(this.id))


def _code_of(failure: Exception | None) -> str | None:
    return None if failure is None else str(getattr(failure, "code", type(failure).__name__))


def _text_of(failure: Exception | None) -> str | None:
    """What went wrong, without personal data: the server's detail lines would quote rows."""
    if failure is None:
        return None
    text = failure.diag.message_primary if isinstance(failure, psycopg.Error) else None
    return mask(text or str(failure))[:ERROR_CHARACTERS_MAX]
