"""A task that lives through failures ends when it is asked to, also if a failure comes instead of the cancellation."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from palio.infra import tasks


class AwayError(Exception):
    """What a driver raises when its server goes while a query is being cancelled."""


async def ends(heed: Callable[[], None]) -> bool:
    """Does a loop end that goes on after failures?"""

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise AwayError from None

    async def loop() -> None:
        for _ in range(2):
            with suppress(AwayError):
                await work()
            heed()

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=0.1)
    is_over = task.cancelled()
    task.cancel()
    await asyncio.wait([task])
    return is_over


@pytest.mark.parametrize(("heed", "expected"), [(tasks.heed_cancellation, True), (lambda: None, False)])
async def test_a_cancellation_is_heeded_after_a_failure(heed, expected):
    """With the naive loop as control."""
    assert await ends(heed) is expected


async def test_whoever_was_not_cancelled_goes_on():
    tasks.heed_cancellation()
