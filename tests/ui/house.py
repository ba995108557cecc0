"""A process on a socket: its hub, a database that tells it, and what streams from it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
from starlette.types import ASGIApp

from palio import races
from palio.infra import realtime, relay
from palio.infra.db import Database, Equipment
from palio.infra.realtime import RESYNC, Hub
from palio.kernel.ids import Actor, RequestId, new_id
from tests.conftest import PATIENCE_S
from tests.journeys.browser.conftest import serve

RUNNERS_MAX = 24  # at the same moment: each has a connection, on a busy machine too
SYSTEM = Actor("system", None, RequestId(new_id()))


@dataclass
class House:
    """One process, reached at `base`."""

    hub: Hub
    database: Database
    base: str

    async def tell(self, topic: str, **facts: object) -> None:
        async with self.database.begin(SYSTEM) as tx:
            realtime.publish(tx, topic, races.RACE_UPDATED, facts)

    async def settled(self) -> None:
        """Wait until what was told about state topics has its numbers."""
        await self.hub.silence()

    @asynccontextmanager
    async def listen(self, topics: str, **headers: str) -> AsyncIterator["Stream"]:
        async with httpx2.AsyncClient(base_url=self.base, timeout=PATIENCE_S) as client:
            path = f"/api/v1/stream?topics={topics}"
            async with client.stream("GET", path, headers={"accept": "text/event-stream", **headers}) as answer:
                yield Stream(answer)


class Stream:
    """The frames of one answer."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def frame(self) -> dict[str, str]:
        """The next frame; a comment is one too."""
        fields = {}
        async for line in self._lines:
            if not line:
                return fields
            name, _, value = line.partition(":")
            fields[name or "comment"] = value.strip()
        return fields


@asynccontextmanager
async def housed(dsn: str, make: Callable[[Hub], ASGIApp], *, sends_ahead_bytes: int = 0) -> AsyncIterator[House]:
    """The application over a hub that listens, for the length of the block."""
    hub = Hub(dsn)
    database = Database(dsn, equipment=Equipment(tell=hub.tell), connections_max=RUNNERS_MAX)
    await database.pool.open(wait=True)
    async with listening_hub(hub, database), serve(make(hub), sends_ahead_bytes=sends_ahead_bytes) as base:
        yield House(hub, database, base)
    await database.pool.close()


@asynccontextmanager
async def listening_hub(hub: Hub, database: Database) -> AsyncIterator[None]:
    """A hub that hears and speaks, and a relay, for the length of the block."""
    running = asyncio.gather(hub.run(), relay.run(database, hub))
    await _listening(hub)
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _listening(hub: Hub) -> None:
    """A hub that begins to listen has every stream read everything again."""
    listener = hub.join(["races"])
    while RESYNC not in await listener.take(1):
        pass
    hub.leave(listener)
