"""Workers are killed in the middle of their jobs: each job resumes, pays once, and poison does not spread."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import psycopg
import pytest

from palio.infra import db, jobs, outbox
from palio.infra.db import Database, Equipment

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
PATIENCE_SECONDS = 30


@pytest.fixture(scope="module")
def square():
    sys.path.insert(0, str(FOLDER))
    yield import_module("square")
    sys.path.remove(str(FOLDER))


@pytest.fixture
async def town(cluster, database_name, square):
    """A database of its own, and how to reach it."""
    name = f"{database_name}_chaos"
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(f"create database {name} template palio")
    dsn = cluster.dsn("palio_app", name)
    database = Database(dsn, equipment=Equipment(jobs.addresses(square.ROUTES)))
    await database.pool.open(wait=True)
    yield database, dsn
    await database.pool.close()
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


@contextmanager
def worker(dsn: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, str(FOLDER / "square.py"), dsn, str(folder)]
    process = subprocess.Popen(
        command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - other processes ring no bell
            await asyncio.sleep(0.05)


async def ask(database: Database, statement: str):
    async with database.begin_system("a test") as tx:
        return await db.column(tx, statement)


EFFECTS = "select host from infra.instances order by host"
RUNS = "select regexp_replace(job, '.*:', '') || ' ' || status::text || ' ' || attempt from infra.job_runs order by 1"


async def test_a_worker_killed_in_the_middle_of_its_jobs_leaves_them_to_the_next(town, square, tmp_path):
    """One is killed before its commit, one after its payment and before its end: both are done, each paid once."""
    database, dsn = town
    async with database.begin_system("a test") as tx:
        await outbox.send(tx, square.Settle(), square.Deliver())

    async def are_both_under_way() -> bool:
        return {path.name for path in tmp_path.iterdir()} >= {"settling", "delivering"}

    with worker(dsn, tmp_path):
        await until(are_both_under_way)
    assert await ask(database, EFFECTS) == ["delivered"]

    async def is_queue_empty() -> bool:
        return await ask(database, "select id from jobs.procrastinate_jobs") == []

    with worker(dsn, tmp_path):
        await until(is_queue_empty)
    assert await ask(database, EFFECTS) == ["delivered", "settled"]
    assert await ask(database, RUNS) == ["deliver done 2", "deliver failed 1", "settle done 2", "settle failed 1"]


async def test_a_job_that_killed_two_workers_is_dead_and_the_others_go_on(town, square, tmp_path):
    database, dsn = town
    async with database.begin_system("a test") as tx:
        await outbox.send(tx, square.Poison())
    for _ in range(2):
        with worker(dsn, tmp_path) as victim:

            async def is_killed(victim=victim) -> bool:
                return victim.poll() is not None

            await until(is_killed)
    async with database.begin_system("a test") as tx:
        await outbox.send(tx, square.Sweep())

    async def is_over() -> bool:
        return await ask(database, RUNS) == ["poison dead 2", "poison failed 1", "sweep done 1"]

    with worker(dsn, tmp_path) as survivor:
        await until(is_over)
        assert survivor.poll() is None
    assert await ask(database, "select status::text from jobs.procrastinate_jobs") == ["failed"]
    assert await ask(database, EFFECTS) == ["swept"]
