"""Thirty requests with one key at the same moment: one effect, and everybody hears of it or is told to come again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from hashlib import sha256

import psycopg
import pytest

from palio.infra import db, embedded, idempotency
from palio.infra.db import Database, Tx
from palio.infra.idempotency import Asked, InProgress, Kept
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.ui import till
from tests.ui.conftest import talk_to
from tests.ui.people import ALICE, caller

RUNNERS = 30
USER = UserId(new_id())
PLAYER = Actor("player", USER, RequestId(new_id()))


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[Database]:
    """A database of its own, where transactions really commit, and a connection for each runner."""
    name = f"palio_keys_{worker_id}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(f"create database {name} template palio")
        conn.execute(f"grant connect on database {name} to palio_app")
    with psycopg.connect(cluster.dsn("postgres", name), autocommit=True) as conn:
        conn.execute("create table public.sales (amount int, buyer uuid); create table public.closed (why text)")
        conn.execute("create table public.naive (key text)")  # keys without a unique index
        conn.execute("grant select, insert on public.sales, public.closed, public.naive to palio_app")
    database = Database(cluster.dsn("palio_app", name), connections_max=RUNNERS)
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(f"drop database {name} with (force)")


async def sales(crowd: Database) -> int:
    async with crowd.begin(PLAYER) as tx:
        return await db.value(tx, "select count(*) from public.sales")


async def sell(tx: Tx) -> None:
    await db.run(tx, "insert into public.sales (amount, buyer) values (1, %s)", USER)


async def test_one_of_thirty_has_the_effect_and_looking_first_gives_it_to_all(crowd: Database, noon: datetime) -> None:
    """The control looks for the key and then acts: everybody looks before anybody has acted."""

    async def careful(tx: Tx) -> str:
        asked = Asked(USER, "till_make_sale", "once", sha256(b"sale").digest())
        if await idempotency.claim(tx, asked, now=noon):
            return "replayed"
        await sell(tx)
        await idempotency.keep(tx, asked, Kept(201, {}, b"{}"), keep_until=noon)
        return "done"

    async def naive(tx: Tx, ready: asyncio.Barrier) -> str:
        is_known = await db.value(tx, "select count(*) from public.naive where key = 'once'")
        await ready.wait()
        if is_known:
            return "replayed"
        await sell(tx)
        await db.run(tx, "insert into public.naive (key) values ('once')")
        return "done"

    async def attempt(ready: asyncio.Barrier, *, carefully: bool) -> str:
        try:
            async with crowd.begin(PLAYER) as tx:
                if carefully:
                    await ready.wait()
                    return await careful(tx)
                return await naive(tx, ready)
        except InProgress:
            return "in progress"

    for carefully in (True, False):
        before, ready = await sales(crowd), asyncio.Barrier(RUNNERS)
        async with asyncio.timeout(60):
            told = Counter(await asyncio.gather(*(attempt(ready, carefully=carefully) for _ in range(RUNNERS))))
        assert (told["done"], await sales(crowd) - before) == ((1, 1) if carefully else (RUNNERS, RUNNERS))


async def test_thirty_posts_with_one_key_are_one_sale(crowd: Database) -> None:
    """Through the edge: one answer is the first, the others are its repeats or say that it is in progress."""
    before = await sales(crowd)
    async with talk_to(till.app(crowd)) as client, asyncio.timeout(60):
        headers = {**caller("player", ALICE), "idempotency-key": "thirty"}
        posts = (client.post("/api/v1/sales", json={"amount": 3}, headers=headers) for _ in range(RUNNERS))
        answers = await asyncio.gather(*posts)
        late = await client.post("/api/v1/sales", json={"amount": 3}, headers=headers)

    done = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code != 201]
    first = [answer for answer in done if "idempotency-replayed" not in answer.headers]
    assert (len(first), await sales(crowd) - before) == (1, 1)
    assert {answer.json()["id"] for answer in (*done, late)} == {first[0].json()["id"]}
    assert {(a.status_code, a.json()["code"], a.headers["retry-after"]) for a in waiting} <= {
        (409, "idempotency_in_progress", "1")
    }
