"""Thirty people choose one name at the same moment."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import psycopg
import pytest

from palio import identity
from palio.identity import sql
from palio.infra import db, embedded
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, new_id
from tests.conftest import PATIENCE_S

RUNNERS = 30
SYSTEM = Actor("system", None, RequestId(new_id()))


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[Database]:
    """A database of its own, where transactions really commit."""
    name = f"palio_names_{worker_id}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(f"create database {name} template palio")
        conn.execute(f"grant connect on database {name} to palio_app")
    with psycopg.connect(cluster.dsn("postgres", name), autocommit=True) as conn:
        conn.execute("create table public.naive (username text)")  # the same act without a unique key
        conn.execute("grant select, insert on public.naive to palio_app")
    database = Database(cluster.dsn("palio_app", name), connections_max=RUNNERS)
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(f"drop database {name} with (force)")


async def naive(tx: Tx, ready: asyncio.Barrier) -> None:
    """Look first, then take: what the unique key is for."""
    taken = await db.value(tx, "select count(*) from public.naive where username = 'alice'")
    await ready.wait()
    if taken:
        raise identity.UsernameTaken(username="alice")
    await db.run(tx, "insert into public.naive (username) values ('alice')")


async def test_one_of_thirty_gets_the_name_and_a_naive_check_gives_it_to_all(crowd: Database, noon: datetime) -> None:
    async def attempt(ready: asyncio.Barrier, *, carefully: bool) -> bool:
        try:
            async with crowd.begin(SYSTEM) as tx:
                if carefully:
                    await ready.wait()
                    await identity.create(tx, username="alice", now=noon)
                else:
                    await naive(tx, ready)
        except identity.UsernameTaken:
            return False
        return True

    for carefully, winners in ((True, 1), (False, RUNNERS)):
        ready = asyncio.Barrier(RUNNERS)
        async with asyncio.timeout(PATIENCE_S):
            won = await asyncio.gather(*(attempt(ready, carefully=carefully) for _ in range(RUNNERS)))
        assert sum(won) == winners

    async with crowd.begin(SYSTEM) as tx:
        assert await sql.users.find_by_key(tx, "alice") is not None
        assert await db.value(tx, "select count(*) from identity.users") == 1
