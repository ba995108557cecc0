"""The half of a process that carries out jobs, and what else runs beside it until the end."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager

from palio.entry.stopping import Stop
from palio.entry.wiring import Lanes
from palio.infra import jobs

HURRIED_SECONDS_MAX = 2


def lanes(queues: Collection[str], workers: int | None) -> Lanes:
    """How many jobs of which queues this process does at once: all queues if none is named.

    `workers` counts those of the usual queues; `critical` and `webhooks` keep their own, so that settlement never waits
    for mail, nor one endpoint for another. Raises ValueError for a queue that does not exist.
    """
    known = {queue for lane in jobs.LANES for queue in lane}
    if unknown := set(queues) - known:
        raise ValueError(f"there is no queue {', '.join(sorted(unknown))}: choose from {', '.join(sorted(known))}")
    chosen = {tuple(queue for queue in lane if queue in (queues or known)): lane for lane in jobs.LANES}
    return {
        kept: workers or jobs.LANES[lane] if "default" in lane else jobs.LANES[lane]
        for kept, lane in chosen.items()
        if kept
    }


@asynccontextmanager
async def beside(stop: Stop, name: str, work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Have something run for the length of the block, and end it after: in order, or at once when that is wanted."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(stop.part_ended)
    try:
        yield
    finally:
        task.cancel()
        if not await stop.first_of(task):
            task.cancel()
            await asyncio.wait([task], timeout=HURRIED_SECONDS_MAX)  # to give back what it had begun
