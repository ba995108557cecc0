"""What is done about operations by the clock: work whose worker is gone goes on, and files past their time go."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from palio.infra import db, outbox
from palio.infra.db import Database
from palio.infra.messages import KeepOperations, RunOperation
from palio.infra.operations import running
from palio.kernel import clock
from palio.kernel.messages import handles
from palio.kernel.schedules import Schedule

SCHEDULE = Schedule("operations.keep", "every 1m", KeepOperations())
SILENCE = timedelta(minutes=2)  # longer than any part takes
ROWS_KEPT = timedelta(days=30)
OPERATIONS_AT_ONCE = 20
PRUNED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class _Due:
    id: UUID


@handles(KeepOperations, queue="bulk")
async def keep(database: Database, job: KeepOperations) -> None:
    """Wake what has come no further for two minutes, remove files that are past their time, forget what is old."""
    now = clock.now()
    async with database.begin_system("operations") as tx:
        silent = await db.rows(
            tx,
            _Due,
            """select id from infra.operations where state in ('queued', 'running') and touched_at < %s
            order by touched_at limit %s""",
            *(now - SILENCE, OPERATIONS_AT_ONCE),
        )
        for one in silent:  # a handful; a job that waits already is not added again
            await outbox.send(tx, RunOperation(one.id), key=str(one.id))
        past = await db.rows(
            tx,
            _Due,
            """select id from infra.operations where has_files and finished_at is not null
              and coalesce(expires_at, finished_at) <= %s order by touched_at limit %s""",
            *(now, OPERATIONS_AT_ONCE),
        )
        await db.run(
            tx,
            """delete from infra.operations where id in (
              select id from infra.operations where finished_at < %s and not has_files
              order by finished_at limit %s)""",
            *(now - ROWS_KEPT, PRUNED_MAX),
        )
        await db.run(tx, "delete from infra.operation_links where expires_at < %s", clock.real() - timedelta(hours=1))
    for one in past:
        await running.remove_files(database, one.id)
