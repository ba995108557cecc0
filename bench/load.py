"""LOAD: how many rows this server can write at all. It follows the processor, where TPCB follows the disk."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from bench.ground import Ground
from bench.rounds import Arm, Work

ROWS = 1_000_000
TARGET = """
create table load_target (id uuid primary key, owner_id uuid not null, amount bigint not null, at timestamptz not null)
with (autovacuum_enabled = off)
"""
SOURCE = """
create temporary table load_source as
select uuidv7() as id, gen_random_uuid() as owner_id, number as amount, clock_timestamp() as at
from generate_series(1, %s::int) as number
"""
WRITE = "insert into load_target (id, owner_id, amount, at) select id, owner_id, amount, at from load_source"


class Load(Arm):
    """One INSERT … SELECT of prepared rows into an empty table, committed."""

    name, unit = "LOAD", "rows"

    def __init__(self, ground: Ground, conn: psycopg.AsyncConnection[Any], rows: int) -> None:
        self._ground, self._conn = ground, conn
        self._rows = rows

    async def prepare(self) -> None:
        await self._conn.execute("truncate load_target")
        await self._ground.rest()

    async def act(self) -> Work:
        await self._conn.execute(WRITE)
        return Work(self._rows)

    async def check(self) -> list[str]:
        found = await (await self._conn.execute("select count(*), sum(amount) from load_target")).fetchone()
        expected = (self._rows, self._rows * (self._rows + 1) // 2)
        return [] if found == expected else [f"LOAD: count and sum are {found}, not {expected}"]


def rows_of(share: float) -> int:
    """How many rows a turn writes."""
    return max(1_000, round(ROWS * share))


@asynccontextmanager
async def ready(ground: Ground, *, share: float = 1.0) -> AsyncIterator[Load]:
    """The yard-stick with its rows prepared; they live as long as the connection."""
    rows = rows_of(share)
    async with await psycopg.AsyncConnection.connect(ground.cluster.dsn(), autocommit=True) as conn:
        await conn.execute(TARGET)
        await conn.execute(SOURCE, [rows])
        await conn.execute("analyze load_source")
        try:
            yield Load(ground, conn, rows)
        finally:
            await conn.execute("drop table load_target")
