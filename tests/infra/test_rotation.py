"""Rotation of keys: values are sealed anew while people work on, and nothing is left under the older key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from palio.entry import wiring
from palio.infra import crypto, db, embedded, jobs, keyring, misplaced, rotation
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
            await db.run(tx, "delete from infra.misplaced_values")
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


async def copy_name(database: Database, source: UUID, target: UUID) -> None:
    """Put the sealed name of one person into the row of another."""
    async with database.begin_system("a test") as tx:
        await db.run(
            tx,
            """update identity.user_pii set full_name = (select full_name from identity.user_pii where user_id = %s)
            where user_id = %s""",
            *(source, target),
        )


async def found(database: Database) -> list[tuple[str, str, UUID]]:
    async with database.begin_system("a test") as tx:
        return [(one.table_name, one.column_name, one.row_id) for one in await misplaced.list_found(tx)]


async def noted(database: Database, row_id: UUID) -> int:
    """How often the audit has it that the value of this row was refused."""
    async with database.begin_system("a test") as tx:
        return await db.value(
            tx,
            "select count(*) from infra.audit_rows where action = 'sealed_value.refuse' and entity_id = %s",
            str(row_id),
        )


@pytest.mark.parametrize("has_key", [True, False], ids=["of somebody with a key", "of somebody without"])
async def test_a_value_that_was_put_elsewhere_stops_neither_the_others_nor_the_end_of_other_keys(
    database, path, has_key: bool
) -> None:
    """Its own key stays, and so does the wrapping key, until somebody mends it; then the rotation comes to its end."""
    ids = await people(database, 600)
    robbed, source = ids[0], ids[1]
    right = await names(database, [robbed])
    if not has_key:
        async with database.begin_system("a test") as tx:
            await crypto.shred(tx, UserId(robbed))
    await copy_name(database, source, robbed)
    keyring.add_wrapping_key(path, above=1)

    await finish(database)
    await finish(database)

    assert await found(database) == [("identity.user_pii", "full_name", robbed)]
    assert await noted(database, robbed) == 1
    assert await under(database, 1) == (1, 1)  # the value, and the key of whoever it was taken from
    assert await names(database, ids[1:]) == [f"Name {one}" for one in ids[1:]]
    async with database.begin_system("a test") as tx:
        assert [(one.wrapping_key, one.retired, one.empty, one.misplaced) for one in await rotation.status(tx)] == [
            (1, 0, 0, 1),
            (2, 0, 0, 0),
        ]
        with pytest.raises(rotation.WrappingKeyNeeded):
            await rotation.require_unneeded(tx, number=1)

    async with database.begin_system("a test") as tx:
        sealed = await crypto.seal(tx, right[0], place_of(robbed))
        await db.run(tx, "update identity.user_pii set full_name = %s where user_id = %s", *(sealed, robbed))
    await finish(database)

    assert await found(database) == []
    assert await under(database, 1) == (0, 0)
    assert await names(database, ids) == [f"Name {one}" for one in ids]


async def test_a_value_that_is_put_back_from_a_backup_is_sealed_anew_like_the_others(database, path) -> None:
    first, second = await people(database, 2)
    async with database.begin_system("a test") as tx:
        backup = await db.value(tx, "select full_name from identity.user_pii where user_id = %s", first)
    async with database.begin_system("a test") as tx:
        altered = backup[:-1] + bytes([backup[-1] ^ 1])
        await db.run(tx, "update identity.user_pii set full_name = %s where user_id = %s", *(altered, first))
    keyring.add_wrapping_key(path, above=1)
    await finish(database)
    assert await found(database) == [("identity.user_pii", "full_name", first)]
    assert await under(database, 1) == (1, 1)

    async with database.begin_system("a test") as tx:
        await db.run(tx, "update identity.user_pii set full_name = %s where user_id = %s", *(backup, first))
    await finish(database)
    await finish(database)

    assert (await found(database), await under(database, 1)) == ([], (0, 0))
    assert await names(database, [first, second]) == [f"Name {first}", f"Name {second}"]


async def test_more_values_than_a_turn_takes_are_misplaced_and_the_others_get_their_turn(database, path) -> None:
    """More than 500 keys are held; nobody behind them waits."""
    ids = await people(database, 1_300)
    async with database.begin_system("a test") as tx:
        await db.run(
            tx,
            """update identity.user_pii p set full_name = q.full_name from identity.user_pii q
            where p.user_id = any (%s::uuid[]) and q.user_id = any (%s::uuid[])
              and array_position(%s::uuid[], p.user_id) = array_position(%s::uuid[], q.user_id)""",
            *(ids[:600], ids[600:1_200], ids[:600], ids[600:1_200]),
        )
    keyring.add_wrapping_key(path, above=1)

    await finish(database)
    await finish(database)

    assert len(await found(database)) == 600
    assert await under(database, 1) == (600, 600)
    assert await names(database, ids[600:]) == [f"Name {one}" for one in ids[600:]]


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
