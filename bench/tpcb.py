"""TPCB: what PostgreSQL's own load program gets out of this server. It moves with the machine, and with its disk."""

import os
import pwd
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench import children
from bench.ground import Ground
from bench.rounds import Arm, Work
from palio.infra.embedded import Cluster, programs

ACCOUNTS, ACCOUNTS_PER_SCALE = 10_000_000, 100_000  # scale 100
CLIENTS, THREADS = 8, 2
AGING_SECONDS = 30  # fresh tables give a quarter less, and rise while they are measured
DATABASE = "tpcb"
VARIABLES = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password", "PGDATABASE": "dbname"}
RATE = re.compile(r"^tps = ([\d.]+) \(without", re.MULTILINE)
DONE = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)
BALANCE = "select (select sum(tbalance) from pgbench_tellers) - (select sum(bbalance) from pgbench_branches)"
HISTORY = "select count(*) from pgbench_history"


class Tpcb(Arm):
    """pgbench's TPC-B: three updates, a read and an insert in each transaction, prepared, eight clients."""

    name, unit = "TPCB", "transactions"

    def __init__(self, cluster: Cluster, conn: psycopg.AsyncConnection[Any], seconds: int) -> None:
        self._cluster = cluster
        self._conn = conn
        self._seconds = seconds
        self._acknowledged = self._stored = 0

    async def prepare(self) -> None:
        self._stored = await _value(self._conn, HISTORY)

    async def act(self) -> Work:
        printed = await drive(self._cluster, self._seconds)
        self._acknowledged = int(_number(DONE, printed))
        return Work(_number(RATE, printed) * self._seconds, self._seconds)

    async def check(self) -> list[str]:
        stored = await _value(self._conn, HISTORY) - self._stored
        lost = f"TPCB: {self._acknowledged} transactions acknowledged, {stored} stored"
        difference = await _value(self._conn, BALANCE)
        uneven = f"TPCB: tellers and branches differ by {difference}"
        return [lost] * (stored != self._acknowledged) + [uneven] * (difference != 0)


async def _value(conn: psycopg.AsyncConnection[Any], statement: LiteralString) -> int:
    row = await (await conn.execute(statement)).fetchone()
    return int(row[0]) if row else 0


def scale_of(share: float) -> int:
    """pgbench's measure of size."""
    return max(1, round(ACCOUNTS * share / ACCOUNTS_PER_SCALE))


def caveats(share: float) -> list[str]:
    """What is to be said beside ratios to a smaller yard-stick than the stated one."""
    scale, stated = scale_of(share), scale_of(1)
    told = (
        f"TPCB at scale {scale} instead of {stated}: its {CLIENTS} clients wait for each other, so ratios to it flatter"
    )
    return [told] if scale < stated else []


@asynccontextmanager
async def ready(ground: Ground, *, seconds: float, share: float = 1.0) -> AsyncIterator[Tpcb]:
    """The yard-stick with its tables filled and aged; pgbench counts in whole seconds."""
    cluster = ground.cluster
    async with await psycopg.AsyncConnection.connect(cluster.dsn(), autocommit=True) as conn:
        await conn.execute("create database tpcb")
    await pgbench(cluster, "--initialize", "--quiet", f"--scale={scale_of(share)}")
    await drive(cluster, max(1, round(AGING_SECONDS * share)))
    async with await psycopg.AsyncConnection.connect(cluster.dsn(database=DATABASE), autocommit=True) as conn:
        yield Tpcb(cluster, conn, max(1, round(seconds)))
    async with await psycopg.AsyncConnection.connect(cluster.dsn(), autocommit=True) as conn:
        await conn.execute("drop database tpcb with (force)")


async def drive(cluster: Cluster, seconds: int) -> str:
    """Load for so long, and what pgbench says about it."""
    shape = [f"--client={CLIENTS}", f"--jobs={THREADS}", "--protocol=prepared", "--no-vacuum"]
    return await pgbench(cluster, *shape, f"--time={seconds}")


async def pgbench(cluster: Cluster, *words: str) -> str:
    """Run the program that lies beside the server's."""
    where = conninfo_to_dict(cluster.dsn(database=DATABASE))
    environment = {name: str(where[key]) for name, key in VARIABLES.items()}
    program = programs.find(cluster.home, pwd.getpwuid(os.geteuid())) / "pgbench"
    return await children.answer(str(program), *words, environment=environment)


def _number(pattern: re.Pattern[str], printed: str) -> float:
    match = pattern.search(printed)
    if match is None:
        raise children.ChildError(f"pgbench said something new: {printed}")
    return float(match[1])
