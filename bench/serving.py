"""A web process of the product over the database of a run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench import children, traffic
from bench.echo import until_answering
from bench.ground import SYSTEM, Ground
from palio.infra import ratelimit, settings

CALLS_PER_MINUTE = 1_000_000  # all readers of a bench call from one address


@asynccontextmanager
async def serving(ground: Ground) -> AsyncIterator[tuple[int, int]]:
    """Its port and its process id, for the length of the block."""
    await _lift_limits(ground)
    port = traffic.free_port()
    environment = {"PALIO_DATA": str(ground.home), "PALIO_BIND": f"{traffic.HOST}:{port}"}
    async with children.running("palio", "web", log=ground.home / "web.log", environment=environment) as child:
        await until_answering(port)
        yield port, child.pid


async def _lift_limits(ground: Ground) -> None:
    """Let one address ask as often as it can; it is counted all the same."""
    change = settings.Change(ratelimit.ANONYMOUS_PER_MINUTE, CALLS_PER_MINUTE)
    async with ground.database.begin(SYSTEM) as tx:
        await settings.change(tx, SYSTEM, [change], "a bench asks all the time")
