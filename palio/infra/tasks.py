"""Tasks that live through failures, and nevertheless end when they are asked to."""

import asyncio


def times_cancelled() -> int:
    """How often the present task was asked to end."""
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def heed_cancellation(*, beyond: int = 0) -> None:
    """Raise the cancellation of the present task again, if it was asked to end more often than `beyond`.

    A database that goes away while a task is being cancelled has the driver or the queue raise an error of their own.
    A loop that writes it down and goes on would never end: it calls this before it goes on.
    """
    if times_cancelled() > beyond:
        raise asyncio.CancelledError
