"""A process that carries out one export and tells how long that took and what memory it cost: see test_exporting."""

import asyncio
import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.entry.wiring import EXPORTS
from palio.infra import jobs, operations
from palio.infra.db import Database, Equipment
from palio.infra.storage import Storage


async def work(dsn: str, operation_id: UUID, folder: Path) -> None:
    """Carry it out."""
    equipment = Equipment(jobs.addresses(SUBSCRIPTIONS), exports={one.name: one for one in EXPORTS})
    database = Database(dsn, equipment=replace(equipment, storage=Storage(folder)))
    await database.pool.open(wait=True)
    before, began, used = _memory(), time.monotonic(), time.process_time()
    await operations.carry_out(database, operation_id)
    told = {"seconds": time.monotonic() - began, "cpu_s": time.process_time() - used}
    await database.close()
    sys.stdout.write("\n" + json.dumps({**told, "grew_bytes": _memory() - before, "peak_bytes": _memory()}))


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], UUID(sys.argv[2]), Path(sys.argv[3])))
