"""A process ends though a part of it did not hear that it should."""

import asyncio
from contextlib import suppress

from palio.entry import up


def test_whoever_loses_a_cancellation_is_told_again() -> None:
    ended: list[str] = []

    async def deaf() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("deaf")

    async def work() -> None:
        task = asyncio.create_task(deaf())
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await up.end_what_is_left()
        assert task.cancelled()

    asyncio.run(work())
    assert ended == ["deaf"]
