"""Connections that are lent to one task at a time, and to none that was cancelled while it waited for one."""

from typing import TypeVar

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from palio.infra.tasks import heed_cancellation, times_cancelled

Kind = TypeVar("Kind", bound=AsyncConnection[tuple[object, ...]])


class Pool(AsyncConnectionPool[Kind]):
    """The pool of the library, which waits with `asyncio.wait_for`.

    In Python 3.11 that forgets a cancellation which comes in the same turn of the loop as the result. The task would
    never hear of it again, and a process that is told to stop would wait for it for ever.
    """

    async def wait(self, timeout: float = 30.0) -> None:
        """Wait until the pool is filled, as the library does, or for the cancellation of the present task."""
        before = times_cancelled()
        await super().wait(timeout)
        heed_cancellation(beyond=before)

    async def getconn(self, timeout: float | None = None) -> Kind:
        """Lend a connection, as the library does; a task that was cancelled meanwhile gets its cancellation."""
        before = times_cancelled()
        connection = await super().getconn(timeout)
        try:
            heed_cancellation(beyond=before)
        except BaseException:
            await self.putconn(connection)
            raise
        return connection
