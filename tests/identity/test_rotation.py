"""People sign in and are found while their keys are rotated, and afterwards nothing is under the old one."""

import asyncio
from dataclasses import replace
from datetime import datetime

import pytest
from psycopg import sql

from palio import identity
from palio.entry import wiring
from palio.identity import personal
from palio.infra import crypto, db, rotation
from palio.infra.keyring import Keyring
from palio.kernel.ids import UserId, new_id
from tests.factories.identity import RING, World, later

PEOPLE_AT_ONCE = 5_000


@pytest.fixture
def ring(world: World) -> Keyring:
    """The keys of this world; a second one is put into it by the test."""
    ring = Keyring(dict(RING.wrapping), RING.index)
    world.database.equipment = replace(world.equipment, keyring=ring, sealed=wiring.SEALED_COLUMNS)
    return ring


@pytest.fixture(autouse=True)
def as_it_was(world: World):
    yield
    world.database.equipment = world.equipment
    with world.superuser() as server:
        server.execute("truncate infra.data_keys")


async def crowd(world: World, count: int, now: datetime) -> None:
    """So many people with a sealed name and a sealed address."""
    for start in range(0, count, PEOPLE_AT_ONCE):
        await _crowd(world, min(PEOPLE_AT_ONCE, count - start), now)


async def _crowd(world: World, count: int, now: datetime) -> None:
    ids = sorted(UserId(new_id()) for _ in range(count))
    rows = [new_id() for _ in ids]
    async with world.database.begin_system("a test") as tx:
        await db.run(
            tx,
            """insert into identity.users (id, username, display_name, kind, status, locale, time_zone, board_name,
              created_at, activated_at)
            select id, 'p' || replace(id::text, '-', ''), 'P', 'person', 'active', 'en', 'UTC', 'full', now(), now()
            from unnest(%s::uuid[]) id""",
            ids,
        )
        names = await crypto.seal_many(tx, [("Some Body", personal.place_of_full_name(one)) for one in ids])
        mails = [f"{one.hex}@example.com" for one in ids]
        places = [personal.place_of_email(row, one) for row, one in zip(rows, ids, strict=True)]
        sealed = await crypto.seal_many(tx, list(zip(mails, places, strict=True)))
        await db.run(
            tx,
            """insert into identity.user_pii (user_id, full_name, created_at)
            select *, now() from unnest(%s::uuid[], %s::bytea[])""",
            *(ids, names),
        )
        await db.run(
            tx,
            """insert into identity.emails (id, user_id, address, bidx, bidx_version, normal_bidx, is_primary,
              verified_at, created_at)
            select *, true, now(), now()
            from unnest(%s::uuid[], %s::uuid[], %s::bytea[], %s::bytea[], %s::int[], %s::bytea[])""",
            *(rows, ids, sealed, [personal.email_index(tx, one).digest for one in mails], [1] * count),
            [personal.normal_index(tx, one).digest for one in mails],
        )


async def forgotten(world: World) -> None:
    """Somebody was erased before: the key he had is destroyed, is never emptied, and is nothing that is left."""
    user_id = UserId(new_id())
    async with world.database.begin_system("a test") as tx:
        await crypto.seal(tx, "Some Body", personal.place_of_full_name(user_id))
        await crypto.shred(tx, user_id)


@pytest.mark.parametrize("count", [600, pytest.param(50_000, marks=pytest.mark.nightly)])  # two values each
async def test_people_sign_in_and_are_found_throughout(world: World, ring: Keyring, noon: datetime, count: int) -> None:
    players = ["ada", "bela", "carol"]
    for name in players:
        await world.player(name, noon)
    await forgotten(world)
    await crowd(world, count, noon)
    ring.wrapping[2] = bytes(range(100, 132))
    over = asyncio.Event()
    sign_ins = 0

    async def come_in(name: str) -> None:
        nonlocal sign_ins
        while not over.is_set():
            now = later(noon, seconds=sign_ins)
            session = await world.signed_in(name, now)
            async with world.database.begin_system("a test") as tx:
                me = await identity.get(tx, name_or_id=name)
                assert await identity.sessions_of(tx, user_id=me.id, current=session.session_id, now=now)
                assert await identity.log_ins(tx, user_id=me.id)
            sign_ins += 1

    async def rotate() -> None:
        for _ in range(10_000):
            if not await rotation.turn(world.database):
                break
        over.set()

    await asyncio.gather(rotate(), *(come_in(name) for name in players))
    for _ in range(1_000):  # what was held when they came by
        if not await rotation.turn(world.database):
            break

    assert sign_ins >= len(players)
    under_old = "select count(*) from infra.data_keys where kek_id = 1 and emptied_at is null and destroyed_at is null"
    assert await world.count(under_old) == 0
    for one in wiring.SEALED_COLUMNS:
        left = await world.count(
            sql.SQL(
                """select count(*) from {} t
                where infra.data_key_of(t.{}) in (select id from infra.data_keys where kek_id = 1)"""
            ).format(sql.Identifier(*one.table.split(".")), sql.Identifier(one.column))
        )
        assert (one, left) == (one, 0)
    assert await world.count("select count(*) from identity.emails") == count + len(players)
    await world.signed_in("ada@example.com", later(noon, days=1))
