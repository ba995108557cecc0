"""Whoever is cancelled while he waits for a connection hears of it, in whatever turn of the loop that happens."""

import asyncio

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from palio.infra.pool import Pool

TURNS_MAX = 20  # more than there are between the return of a connection and its arrival at who waits


async def forgotten(kind: type[AsyncConnectionPool[AsyncConnection]], dsn: str) -> list[int]:
    """After how many turns since a connection came back a cancellation of who waits for it is forgotten."""
    found = []
    async with kind(dsn, min_size=1, max_size=1, open=False) as pool:
        for turns in range(TURNS_MAX):
            held = await pool.getconn()
            waiting = asyncio.create_task(pool.getconn())
            await asyncio.sleep(0.01)
            await pool.putconn(held)
            for _ in range(turns):
                await asyncio.sleep(0)
            is_late = waiting.done()
            waiting.cancel()
            await asyncio.wait([waiting])
            if not waiting.cancelled():
                await pool.putconn(waiting.result())
                if not is_late:
                    found.append(turns)
            await pool.putconn(await pool.getconn())  # it is there again
    return found


async def test_a_cancellation_in_the_turn_of_the_connection_is_not_forgotten(cluster, database_name):
    assert await forgotten(Pool, cluster.dsn(database=database_name)) == []


async def test_the_pool_of_the_library_forgets_it(cluster, database_name):
    """The control: on a Python where this fails, `palio.infra.pool` is needed no more."""
    assert await forgotten(AsyncConnectionPool, cluster.dsn(database=database_name)) != []
