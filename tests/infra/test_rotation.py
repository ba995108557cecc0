"""Rotation of keys: values are sealed anew while people work on, and nothing is left under the older key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from palio.entry import wiring
from palio.infra import crypto, db, embedded, jobs, keyring, rotation
from palio.infra.crypto import Place
from palio.infra.db import Database, Equipment
from palio.infra.keyring import Keyring, KeyringError
from palio.kernel.ids import UserId, new_id

AT_ONCE = timedelta(0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keyring.json"


@asynccontextmanager
async def process(cluster: embedded.Cluster, name: str, path: Path) -> AsyncIterator[Database]:
    """One of several processes that share a file of keys."""
    equipment = Equipment(jobs.addresses({}), keyring=keyring.load_or_make(path), sealed=wiring.SEALED_COLUMNS)
    found = Database(cluster.dsn("palio_app", name), equipment=equipment)
    await found.pool.open(wait=True)
    yield found
    await found.pool.close()


@pytest.fixture
async def database(cluster: embedded.Cluster, database_name: str, path: Path) -> AsyncIterator[Database]:
    async with process(cluster, database_name, path) as found:
        async with found.begin_system("a test") as tx:
            await db.run(tx, "delete from identity.users")
            await db.run(
                tx, "update infra.data_keys set wrapped = null, destroyed_at = now() where destroyed_at is null"
            )
        yield found


@pytest.fixture
async def other(database: Database, cluster, database_name: str, path: Path) -> AsyncIterator[Database]:
    async with process(cluster, database_name, path) as found:
        yield found


def ring_of(database: Database) -> Keyring:
    assert database.equipment.keyring
    return database.equipment.keyring


def place_of(user_id: UUID) -> Place:
    return Place("identity.user_pii", "full_name", user_id, UserId(user_id))


async def people(database: Database, count: int) -> list[UUID]:
    """So many people with a sealed name."""
    ids = sorted(new_id() for _ in range(count))
    async with database.begin_system("a test") as tx:
        await db.run(
            tx,
            """insert into identity.users (id, username, display_name, kind, status, locale, time_zone, board_name,
              created_at, activated_at)
            select id, 'p' || replace(id::text, '-', ''), 'P', 'person', 'active', 'en', 'UTC', 'full', now(), now()
            from unnest(%s::uuid[]) id""",
            ids,
        )
        sealed = await crypto.seal_many(tx, [(f"Name {user_id}", place_of(user_id)) for user_id in ids])
        await db.run(
            tx,
            """insert into identity.user_pii (user_id, full_name, created_at)
            select *, now() from unnest(%s::uuid[], %s::bytea[])""",
            *(ids, sealed),
        )
    return ids


async def names(database: Database, ids: list[UUID]) -> list[str]:
    async with database.begin_system("a test") as tx:
        rows = await db.column(
            tx,
            "select full_name from identity.user_pii where user_id = any (%s::uuid[]) order by user_id",
            ids,
        )
        return await crypto.open_many(tx, [(row, place_of(one)) for row, one in zip(rows, ids, strict=True)])


async def under(database: Database, number: int) -> tuple[int, int]:
    """How many names, and how many data keys that are not destroyed, are under a wrapping key."""
    async with database.begin_system("a test") as tx:
        rows = await db.value(
            tx,
            """select count(*) from identity.user_pii p join infra.data_keys k on k.id = infra.data_key_of(p.full_name)
            where k.kek_id = %s""",
            number,
        )
        return rows, await db.value(
            tx, "select count(*) from infra.data_keys where kek_id = %s and destroyed_at is null", number
        )


async def finish(database: Database) -> int:
    done = 0
    while more := await rotation.turn(database, rest=AT_ONCE):
        done += more
    await rotation.turn(database, rest=AT_ONCE)
    return done


async def test_every_value_is_sealed_anew_and_nothing_is_left_under_the_old_key(database, path) -> None:
    ids = await people(database, 1_200)
    before = await names(database, ids)
    keyring.add_wrapping_key(path, above=1)

    assert await finish(database) == 3 * 1_200  # a key, a name, and the old key that is empty then

    assert await under(database, 1) == (0, 0)
    assert await under(database, 2) == (1_200, 1_200)
    assert await names(database, ids) == before


async def test_a_rotation_that_was_stopped_goes_on_where_it_was(database, other, path) -> None:
    ids = await people(database, 700)
    keyring.add_wrapping_key(path, above=1)
    await rotation.turn(database)
    rows, keys = await under(database, 1)
    assert 0 < rows < 700 and keys == 700  # the empty ones rest

    await finish(other)

    assert await under(database, 1) == (0, 0)
    assert len(await names(database, ids)) == 700


async def test_a_process_that_began_before_takes_the_new_key_up_by_itself(database, other, path) -> None:
    """For what others have sealed under it, and before it makes data keys of its own."""
    ids = await people(database, 3)
    keyring.add_wrapping_key(path, above=1)
    await finish(other)
    assert ring_of(database).wrapping_id == 1
    assert len(await names(database, ids)) == 3
    assert ring_of(database).wrapping_id == 2

    keyring.add_wrapping_key(path, above=2)
    await people(database, 2)
    assert (await under(database, 3))[1] == 2


async def test_a_value_that_is_being_written_is_never_left_behind(database, path) -> None:
    """Whoever seals while his key is to be retired keeps it, and the rotation comes back for both."""
    (user_id,) = await people(database, 1)
    keyring.add_wrapping_key(path, above=1)
    async with database.begin_system("a test") as tx:
        sealed = await crypto.seal(tx, "Newer", place_of(user_id))
        assert await rotation.turn(database, rest=AT_ONCE) == 0
        await db.run(tx, "update identity.user_pii set full_name = %s where user_id = %s", *(sealed, user_id))

    await finish(database)

    assert await under(database, 1) == (0, 0)
    assert await names(database, [user_id]) == ["Newer"]


async def test_people_read_and_write_throughout(database, path) -> None:
    ids = await people(database, 300)
    keyring.add_wrapping_key(path, above=1)
    over = asyncio.Event()
    acts = 0

    async def work(part: int) -> None:
        nonlocal acts
        while not over.is_set():
            for user_id in ids[part::4]:
                async with database.begin_system("a test") as tx:
                    value = await db.value(
                        tx, "select full_name from identity.user_pii where user_id = %s for update", user_id
                    )
                    name = await crypto.open_sealed(tx, value, place_of(user_id))
                    await db.run(
                        tx,
                        "update identity.user_pii set full_name = %s where user_id = %s",
                        *(await crypto.seal(tx, name, place_of(user_id)), user_id),
                    )
                acts += 1
                if over.is_set():
                    return

    async def rotate() -> None:
        for _ in range(200):
            await rotation.turn(database)
            rows, _ = await under(database, 1)
            if rows == 0:
                break
            await asyncio.sleep(0)
        over.set()

    await asyncio.gather(rotate(), *(work(part) for part in range(4)))

    await finish(database)
    assert acts > 0
    assert await under(database, 1) == (0, 0)
    assert await names(database, ids) == [f"Name {user_id}" for user_id in ids]


async def test_what_was_shredded_stays_shredded(database, path) -> None:
    kept, gone = await people(database, 2)
    async with database.begin_system("a test") as tx:
        await crypto.shred(tx, UserId(gone))
    keyring.add_wrapping_key(path, above=1)
    await finish(database)

    assert await names(database, [kept]) == [f"Name {kept}"]
    with pytest.raises(crypto.Shredded):
        await names(database, [gone])


async def test_a_staged_key_waits_until_it_is_taken_up_and_the_one_in_use_is_not_dropped(path: Path) -> None:
    keyring.load_or_make(path)
    assert keyring.add_wrapping_key(path, above=4, is_staged=True) == 5
    assert keyring.load(path).wrapping_id == 1
    assert keyring.add_wrapping_key(path, above=4) == 5
    assert keyring.load(path).wrapping_id == 5
    with pytest.raises(KeyringError):
        keyring.drop_wrapping_key(path, 5)
    keyring.drop_wrapping_key(path, 1)
    assert list(keyring.load(path).wrapping) == [5]


async def test_a_key_that_is_needed_is_not_dropped_and_without_it_nothing_starts(database, path) -> None:
    await people(database, 1)
    async with database.begin_system("a test") as tx:
        assert await rotation.needed_keys(tx) == [1]
        with pytest.raises(rotation.WrappingKeyNeeded):
            await rotation.require_unneeded(tx, number=1)
        await rotation.require_keys(tx)
        ring_of(database).wrapping = {7: bytes(32)}
        with pytest.raises(KeyringError, match="1"):
            await rotation.require_keys(tx)


async def test_every_sealed_column_is_part_of_a_rotation(database) -> None:
    """A column that rotations do not know would be lost with its key: name it in `SEALED_COLUMNS` of its module."""
    async with database.begin_system("a test") as tx:
        sealed = await db.column(
            tx,
            """select n.nspname || '.' || c.relname || '.' || a.attname from pg_attribute a
              join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
            where col_description(c.oid, a.attnum) = 'sealed' and not c.relispartition""",
        )
    assert {f"{one.table}.{one.column}" for one in wiring.SEALED_COLUMNS} == set(sealed)
