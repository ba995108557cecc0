"""Each bench runs at a tiny size, so that none rots. Its figures mean nothing here; that nothing is wrong does."""

import sys
from collections.abc import AsyncIterator, Mapping

import psycopg
import pytest

from bench import children, echo, ground, p10_snapshot, suite, traffic
from bench.meters import CannotMeasureError
from bench.rounds import Plan

TINY = Plan(seconds=0.3, rounds=1, size=200)
EVERY: Mapping[str, suite.Measure] = {**suite.YARDSTICKS, **suite.chosen([])}


@pytest.fixture(scope="module")
async def standing() -> AsyncIterator[ground.Ground]:
    async with ground.standing() as stood:
        yield stood


def quiet(line: str) -> None:
    """Nobody listens."""


@pytest.mark.parametrize("name", EVERY)
async def test_a_bench_runs_and_finds_nothing_wrong(standing: ground.Ground, name: str) -> None:
    found = await EVERY[name](standing, TINY, quiet)

    assert found.faults == []
    assert all(series.turns for series in found.series)
    goals = {goal for goal, measure in suite.GOALS.items() if measure is EVERY[name]}
    assert {figure.goal.name for figure in found.figures} == goals


async def test_a_snapshot_that_loses_a_wager_is_a_wrong_run(standing: ground.Ground) -> None:
    feed, _ = await p10_snapshot.begun(standing, 40)
    arm = p10_snapshot.Ingest(standing, feed, share=0.05)
    await arm.prepare()
    await arm.act()
    assert await arm.check() == []

    async with standing.database.begin(ground.SYSTEM) as tx:
        await tx.execute(
            "update affiliates.players set all_time_micro = all_time_micro - 1 where no = 3 and programme_id = %s",
            [feed.programme.id],
        )

    [fault] = await arm.check()
    assert fault.startswith("40 players, 5% changed: total: ")


async def test_a_server_that_may_lose_commits_is_not_measured(standing: ground.Ground) -> None:
    dsn = standing.cluster.dsn()
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("alter role postgres set synchronous_commit = off")

    with pytest.raises(CannotMeasureError, match="synchronous_commit = off"):
        ground.require_durable(dsn)


async def test_requests_at_a_fixed_rate_are_spread_over_the_time() -> None:
    port = traffic.free_port()
    with ground.scratch_folder() as folder:
        async with children.running("bench.echo", str(port), log=folder / "log"):
            await echo.until_answering(port)
            answers = await traffic.drive(port, [traffic.request("POST", "/", body=b"1")], seconds=0.5, rate=200)

    assert answers.failed == 0
    assert 95 <= answers.answers <= 105


async def test_a_child_that_fails_says_why() -> None:
    with pytest.raises(children.ChildError, match="ended with 3: oh no"):
        await children.answer(sys.executable, "-c", "import sys; sys.stderr.write('oh no'); sys.exit(3)")
