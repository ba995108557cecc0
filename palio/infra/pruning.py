"""What the doors end or forget after a time that operators choose."""

from datetime import timedelta

from palio.infra import approvals, db, deprecations, idempotency, ratelimit, relay, tickets, webhooks
from palio.infra.db import Tx
from palio.infra.messages import ExpireApprovals, PruneRequests, PruneRuns
from palio.infra.settings import exact
from palio.kernel import clock
from palio.kernel.messages import handles
from palio.kernel.schedules import Schedule
from palio.kernel.settings import Setting

ROWS_MAX = 50_000

RETENTION_DAYS = Setting("jobs.retention_days", "int", 30, "How long finished runs of jobs are kept.", "days", 1, 365)
SCHEDULE = Schedule("infra.prune", "0 * * * *", PruneRuns())
APPROVALS_SCHEDULE = Schedule("infra.expire_approvals", "every 1m", ExpireApprovals())
REQUESTS_SCHEDULE = Schedule("infra.prune_requests", "20 * * * *", PruneRequests())


@handles(PruneRuns, queue="bulk")
async def prune_runs(tx: Tx, job: PruneRuns) -> None:
    """Delete the oldest runs, live events and webhooks that are past their time, at most 50,000 of each in one go."""
    days: int = await exact(tx, RETENTION_DAYS)
    await db.run(
        tx,
        """delete from infra.job_runs where (started_at, id) in (
          select started_at, id from infra.job_runs where started_at < %s order by started_at limit %s)""",
        clock.now() - timedelta(days=days),
        ROWS_MAX,
    )
    await relay.prune(tx, now=clock.now())
    await relay.forget_listeners(tx)
    await webhooks.prune(tx, now=clock.now(), rows_max=ROWS_MAX)


@handles(PruneRequests, queue="bulk")
async def prune_requests(tx: Tx, job: PruneRequests) -> None:
    """Forget what is past its time, at most 50,000 of a kind in one go."""
    days: int = await exact(tx, idempotency.KEY_DAYS)
    await idempotency.prune(tx, now=clock.now(), keys_kept=timedelta(days=days), rows_max=ROWS_MAX)
    await ratelimit.prune(tx, rows_max=ROWS_MAX)
    await tickets.prune(tx, now=clock.real(), rows_max=ROWS_MAX)
    await deprecations.prune(tx, now=clock.now(), rows_max=ROWS_MAX)


@handles(ExpireApprovals)
async def expire_approvals(tx: Tx, job: ExpireApprovals) -> None:
    """End proposals that nobody has decided, or carried out, in time."""
    await approvals.expire(tx, now=clock.now())
