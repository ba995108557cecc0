"""A ticket opens one stream, however many show it at once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import psycopg
import pytest

from palio.infra import db, embedded, tickets
from palio.infra.db import Database
from palio.infra.tickets import Holder
from palio.kernel.ids import new_id

RUNNERS = 30


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[Database]:
    """A database of its own, where transactions really commit, and a connection for each runner."""
    name = f"palio_tickets_{worker_id}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(f"create database {name} template palio")
        conn.execute(f"grant connect on database {name} to palio_app")
    database = Database(cluster.dsn("palio_app", name), connections_max=RUNNERS)
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(f"drop database {name} with (force)")


async def issued(crowd: Database, now: datetime) -> tuple[str, Holder]:
    holder = Holder(new_id(), new_id(), None)
    async with crowd.begin_system("a test") as tx:
        return await tickets.issue(tx, holder=holder, origin="https://palio.test", now=now), holder


async def test_one_of_thirty_has_it_and_looking_first_gives_it_to_many(crowd: Database, noon: datetime) -> None:
    """The control looks whether it was used and then uses it: everybody looks before anybody has."""
    barrier = asyncio.Barrier(RUNNERS)

    async def careful(ticket: str) -> bool:
        async with crowd.begin_system("a test") as tx:
            await barrier.wait()
            return await tickets.redeem(tx, ticket=ticket, now=noon) is not None

    async def naive(ticket: str) -> bool:
        async with crowd.begin_system("a test") as tx:
            is_unused = await db.value(
                tx, "select used_at is null from infra.stream_tickets where ticket_hash = sha256(%s)", ticket.encode()
            )
            await barrier.wait()
            if is_unused:
                await tx.execute(
                    "update infra.stream_tickets set used_at = %s where ticket_hash = sha256(%s)",
                    [noon, ticket.encode()],
                )
            return bool(is_unused)

    winners = {}
    for way in (careful, naive):
        ticket, _ = await issued(crowd, noon)
        winners[way.__name__] = sum(await asyncio.gather(*(way(ticket) for _ in range(RUNNERS))))
    assert winners == {"careful": 1, "naive": RUNNERS}


async def test_a_ticket_counts_for_thirty_seconds_and_is_forgotten_after_an_hour(
    crowd: Database, noon: datetime
) -> None:
    async def redeemed(ticket: str, seconds: float) -> Holder | None:
        async with crowd.begin_system("a test") as tx:
            found = await tickets.redeem(tx, ticket=ticket, now=noon + timedelta(seconds=seconds))
        return found and found.holder

    (soon, holder), (late, _) = await issued(crowd, noon), await issued(crowd, noon)
    assert await redeemed(late, 30) is None
    assert await redeemed(late, 31) is None
    assert await redeemed(soon, 29.9) == holder
    assert await redeemed(soon, 29.9) is None
    assert await redeemed("nonsense \ud800", 0) is None
    async with crowd.begin_system("a test") as tx:
        stored = await db.value(tx, "select string_agg(t::text, ' ') from infra.stream_tickets t")
        assert soon not in stored
        assert await tickets.prune(tx, now=noon + timedelta(hours=1), rows_max=100) == 0
        assert await tickets.prune(tx, now=noon + timedelta(hours=1, seconds=31), rows_max=100) >= 2
