"""When a process is to stop: told by a signal, or because one of its parts has failed."""

import asyncio
import signal

from palio.infra import logging

SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = logging.get("process")


class Stop:
    """The first signal asks to stop in order, the second to wait for nobody any more."""

    def __init__(self) -> None:
        self.asked, self.hurried = asyncio.Event(), asyncio.Event()
        self.is_failure = False
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._ask)

    def _ask(self) -> None:
        if self.asked.is_set():
            self.hurried.set()
        self.asked.set()

    def part_ended(self, task: asyncio.Task[None]) -> None:
        """A part that ends by itself has failed, and a process that has lost one of its parts ends."""
        if not task.cancelled() and not self.asked.is_set():
            log.critical("part failed", part=task.get_name(), exc_info=task.exception())
            self.is_failure = True
            self.asked.set()

    async def first_of(self, task: asyncio.Task[None]) -> bool:
        """Wait for the task, but no longer than until a second signal. Returns whether the task is done."""
        hurry = asyncio.create_task(self.hurried.wait())
        await asyncio.wait((task, hurry), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        return task.done()
