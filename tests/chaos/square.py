"""A worker for the chaos of tests/chaos/test_jobs.py: `python square.py DSN FOLDER` works until it is killed.

What it does is a row per effect; where it is, it tells by files in the folder.
"""

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from palio.infra import db, jobs
from palio.infra.db import Database, Equipment, Tx
from palio.infra.jobs import Pace, Queue
from palio.kernel.ids import new_id
from palio.kernel.messages import Envelope, Job, handles

PACE = Pace(poll=0.1, tick=0.2, heartbeat=0.3, silence=1.5, rescue=0.3, stop=1)
EFFECT = """insert into infra.instances (id, role, host, pid, version, schema_version, started_at, seen_at)
    values (%s, 'cli', %s, 1, '', 1, now(), now())"""


@dataclass(frozen=True, slots=True)
class Settle(Job):
    """Pay in one transaction, and be killed before it commits."""


@dataclass(frozen=True, slots=True)
class Deliver(Job):
    """Pay in a transaction of its own, and be killed between the payment and the end of the job."""


@dataclass(frozen=True, slots=True)
class Poison(Job):
    """Kill whoever takes it."""


@dataclass(frozen=True, slots=True)
class Sweep(Job):
    """Do something harmless."""


class Square:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def pause_at(self, place: str, envelope: Envelope) -> None:
        """On the first attempt: tell where we are, and wait there to be killed."""
        if envelope.attempt == 1:
            (self.folder / place).touch()
            await asyncio.sleep(60)


square = Square(Path(sys.argv[-1]))


@handles(Settle, queue="critical")
async def settle(tx: Tx, job: Settle, envelope: Envelope) -> None:
    await db.run(tx, EFFECT, new_id(), "settled")
    await square.pause_at("settling", envelope)


@handles(Deliver)
async def deliver(database: Database, job: Deliver, envelope: Envelope) -> None:
    async with database.begin_system("delivery") as tx:
        await db.run(tx, EFFECT + " on conflict do nothing", envelope.event_id, "delivered")
    await square.pause_at("delivering", envelope)


@handles(Poison)
async def poison(database: Database, job: Poison) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@handles(Sweep)
async def sweep(tx: Tx, job: Sweep) -> None:
    await db.run(tx, EFFECT, new_id(), "swept")


ROUTES = {Settle: (settle,), Deliver: (deliver,), Poison: (poison,), Sweep: (sweep,)}


async def work(dsn: str) -> None:
    database = Database(dsn, equipment=Equipment(jobs.addresses(ROUTES)))
    await database.pool.open(wait=True)
    await Queue(dsn, database, ROUTES, pace=PACE).work()


if __name__ == "__main__":
    import square as this  # under its own name, by which the queue knows the handlers

    asyncio.run(this.work(sys.argv[1]))
