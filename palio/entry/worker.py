"""The half of a process that carries out jobs, and what else runs beside it until the end."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from palio.entry.stopping import Stop


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
