"""A migrated database of one's own, in which transactions really commit and nobody else looks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from palio.infra import embedded
from palio.infra.db import Database, Equipment


@asynccontextmanager
async def own_database(
    cluster: embedded.Cluster, name: str, *, equipment: Equipment, connections_max: int = 4
) -> AsyncIterator[Database]:
    """The database, made for the block and dropped after it."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(f"create database {name} template palio")
        conn.execute(f"grant connect on database {name} to palio_app")
    database = Database(cluster.dsn("palio_app", name), equipment=equipment, connections_max=connections_max)
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(f"drop database {name} with (force)")
