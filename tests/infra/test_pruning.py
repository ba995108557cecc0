"""What is past its time is forgotten, and nothing else."""

from datetime import timedelta

from palio.infra import db, pruning
from palio.infra.messages import PruneRuns
from palio.kernel import clock
from palio.kernel.ids import new_id


async def test_runs_older_than_the_setting_are_forgotten(tx):
    """Thirty days are kept by default: one run of 31 days ago goes, one of 29 days ago stays."""
    for days in (29, 31):
        await db.run(
            tx,
            """insert into infra.job_runs (started_at, id, job, queue, subject, attempt, status, request_id)
            values (%s, %s, 'x', 'bulk', %s, 1, 'done', %s)""",
            *(clock.now() - timedelta(days=days), new_id(), f"pruned:{days}", new_id()),
        )
    await pruning.prune_runs(tx, PruneRuns())
    left = await db.column(tx, "select subject from infra.job_runs where subject like 'pruned:%%'")
    assert left == ["pruned:29"]
