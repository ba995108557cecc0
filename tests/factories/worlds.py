"""Worlds of the simulators for tests."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from palio.sim import World


@contextmanager
def beside(world: World) -> Iterator[World]:
    """A world that is served beside commands, which have an event loop of their own."""
    is_there, loop = threading.Event(), asyncio.new_event_loop()
    is_over = asyncio.Event()

    async def serve() -> None:
        async with world.serving():
            is_there.set()
            await is_over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert is_there.wait(10)
    yield world
    loop.call_soon_threadsafe(is_over.set)
    thread.join(10)
    loop.close()
