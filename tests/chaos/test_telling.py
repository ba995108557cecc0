"""Workers that tell webhooks are killed in the middle of it: every event is told, and what is told twice has one id."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from palio.infra import db, embedded, jobs, outbox, webhooks
from palio.infra.db import Database
from palio.infra.messages import TellWebhooks
from palio.kernel import clock
from palio.kernel.parts import Part
from palio.sim import Clock, World, fault_of
from tests.chaos.herald import ROUTES
from tests.factories.webhooks import endpoint, equip, events

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
PER_SECOND = 50
EVENTS, KILLS = 120, 3
RECEIVERS = 8
DELIVERED = "select count(*) filter (where state = 'delivered') >= {} from infra.webhook_deliveries"
TOLD_PER_SECOND_MIN = 200
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class Town:
    """A database of its own, where it is, and the outside."""

    database: Database
    dsn: str
    world: World

    async def hears(self, receiver: str, *, per_second: int = PER_SECOND) -> UUID:
        async with self.database.begin_system("a test") as tx:
            found, secret = await endpoint(tx, self.world.hook_url(receiver), per_second=per_second, now=clock.now())
        self.world.hooks.control("secret", {"name": receiver, "secret": secret})
        return found

    async def tell(self, count: int) -> set[str]:
        """Have events told, as a commit leaves them to the queue; their ids."""
        told = events(count, now=clock.now())
        async with self.database.begin_system("a test") as tx:
            for start in range(0, count, 100):
                await outbox.send(tx, TellWebhooks(tuple(told[start : start + 100])))
        return {str(one.event_id) for one in told}

    async def until(self, statement: str, expected: object) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await self.value(statement) != expected:  # noqa: ASYNC110 - other processes ring no bell
                await asyncio.sleep(0.05)

    async def value(self, statement: str) -> object:
        async with self.database.begin_system("a test") as tx:
            return await db.value(tx, statement)  # type: ignore[arg-type]  # literals of this file


@pytest.fixture
async def town(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Town]:
    name = f"{database_name}_telling"
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(f"create database {name} template palio")
    dsn = cluster.dsn("palio_app", name)
    database = equip(Database(dsn), addresses=jobs.addresses(ROUTES))
    await database.pool.open(wait=True)
    async with World(clock=Clock()).serving() as world:
        yield Town(database, dsn, world)
        world.expected(len(world.journal))
    await database.pool.close()
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


@contextmanager
def worker(dsn: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.herald", dsn],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def test_a_killed_worker_loses_nothing_and_tells_nothing_under_another_id(town: Town) -> None:
    """Killed three times while messages are on their way: what nobody has written down is told again, once for each
    time that it was interrupted, and the endpoint knows it by its id.
    """
    here = await town.hears("one")
    town.world.faults.add(fault_of({"sim": "hooks", "effect": {"name": "delay", "ms": 300}}))
    told = await town.tell(EVENTS)
    heard = town.world.hooks.heard
    interrupted = 0
    for kill in range(1, KILLS + 1):
        before = len(heard)
        with worker(town.dsn):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while len(heard) < before + 10:  # noqa: ASYNC110 - the receiver has nothing that could be awaited
                    await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)  # what was on its way arrives
        held = await town.value("select count(*) from infra.webhook_deliveries where state = 'sending'")
        assert isinstance(held, int) and held > 0, f"kill {kill} has interrupted nothing"
        interrupted += held
        async with town.database.begin_system("a minute has passed") as tx:
            await tx.execute(
                "update infra.webhook_deliveries set held_until = clock_timestamp() where state = 'sending'"
            )
    with worker(town.dsn):
        await town.until("select count(*) from infra.webhook_deliveries where state <> 'delivered'", 0)

    times = Counter(one.webhook_id for one in heard)
    assert times.keys() == told, "every event, and nothing else"
    assert len(heard) - len(told) <= interrupted and max(times.values()) <= KILLS + 1
    assert all(one.is_genuine for one in heard)
    async with town.database.begin_system("a test") as tx:
        deliveries = await webhooks.list_deliveries(tx, endpoint_id=here, wanted=webhooks.Wanted(), part=Part(1_000))
    assert len(deliveries) == EVENTS
    assert {str(one.webhook_id) for one in deliveries} == told


@pytest.mark.nightly
async def test_a_worker_tells_two_hundred_a_second(town: Town) -> None:
    """By the processor time of the worker, whoever else uses the machine; eight endpoints of a hundred a second."""
    for number in range(RECEIVERS):
        await town.hears(f"number{number}", per_second=100)
    await town.tell(250)
    with worker(town.dsn) as process:
        await town.until(DELIVERED.format(100), True)
        begun, before = cpu_seconds(process.pid), len(town.world.hooks.heard)
        await town.until(DELIVERED.format(250 * RECEIVERS), True)
        used, told = cpu_seconds(process.pid) - begun, len(town.world.hooks.heard) - before

    sys.stdout.write(f"{told} messages in {used:.2f} s of processor time: {told / used:.0f} a second\n")
    assert told / used >= TOLD_PER_SECOND_MIN


def cpu_seconds(pid: int) -> float:
    """How much processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND
