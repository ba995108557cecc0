"""A web process of the product over the database of a run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench import children, traffic
from bench.echo import until_answering
from bench.ground import Ground


@asynccontextmanager
async def serving(ground: Ground) -> AsyncIterator[tuple[int, int]]:
    """Its port and its process id, for the length of the block."""
    port = traffic.free_port()
    environment = {"PALIO_DATA": str(ground.home), "PALIO_BIND": f"{traffic.HOST}:{port}"}
    async with children.running("palio", "web", log=ground.home / "web.log", environment=environment) as child:
        await until_answering(port)
        yield port, child.pid
