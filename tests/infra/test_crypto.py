"""Sealed columns: they open where they belong and nowhere else, and never again once a person is forgotten."""

import stat
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from palio.infra import crypto, db, jobs, keyring
from palio.infra.crypto import Place, Shredded, WrongContext
from palio.infra.db import Database, Equipment
from palio.infra.keyring import Keyring, KeyringError
from palio.kernel.ids import Actor, RequestId, UserId, new_id

RING = Keyring({1: bytes(range(32))}, {1: bytes(range(32, 64))})


@pytest.fixture
async def tx(cluster, database_name):
    database = Database(cluster.dsn("palio_app", database_name), equipment=Equipment(jobs.addresses({}), keyring=RING))
    await database.pool.open(wait=True)
    async with database.pool.connection() as tx, tx.transaction(force_rollback=True):
        tx.actor, tx.equipment, tx.committed = Actor("system", None, RequestId(new_id())), database.equipment, []
        await tx.execute("set local palio.kind = 'system'")
        yield tx
    await database.pool.close()


def email_of(user_id: UserId, row_id: UUID | None = None) -> Place:
    return Place("identity.users", "email", row_id or user_id, user_id)


async def test_what_is_sealed_opens_again_and_never_looks_the_same(tx):
    place = email_of(UserId(new_id()))
    first, second = await crypto.seal_many(tx, [("smith@example.com", place), ("smith@example.com", place)])

    assert await crypto.open_many(tx, [(first, place), (second, place)]) == ["smith@example.com"] * 2
    assert first != second
    assert first[0] == 1
    assert b"smith" not in first


@pytest.mark.parametrize("text", ["", "x" * 14, "é" * 1000])
async def test_any_text_survives_and_its_length_is_blurred(tx, text):
    place = email_of(UserId(new_id()))
    sealed = await crypto.seal(tx, text, place)
    assert await crypto.open_sealed(tx, sealed, place) == text
    assert (len(sealed) - 21 - 16) % 16 == 0


async def test_moved_to_another_row_column_or_table_it_does_not_open(tx):
    user = UserId(new_id())
    sealed = await crypto.seal(tx, "smith@example.com", email_of(user))
    elsewhere = [
        email_of(user, new_id()),
        Place("identity.users", "phone", user, user),
        Place("store.orders", "email", user, user),
    ]
    for place in elsewhere:
        with pytest.raises(WrongContext):
            await crypto.open_sealed(tx, sealed, place)


@pytest.mark.parametrize("byte", [0, 8, 9, 21, -1])
async def test_one_altered_bit_anywhere_is_noticed(tx, byte):
    place = email_of(UserId(new_id()))
    altered = bytearray(await crypto.seal(tx, "smith@example.com", place))
    altered[byte] ^= 1
    with pytest.raises(WrongContext):
        await crypto.open_sealed(tx, bytes(altered), place)


async def test_a_shredded_person_is_unreadable_and_his_neighbour_is_not(tx):
    smith, jones = UserId(new_id()), UserId(new_id())
    sealed = await crypto.seal_many(tx, [("smith", email_of(smith)), ("jones", email_of(jones))])
    await crypto.shred(tx, smith)

    with pytest.raises(Shredded):
        await crypto.open_sealed(tx, sealed[0], email_of(smith))
    assert await crypto.open_sealed(tx, sealed[1], email_of(jones)) == "jones"


async def test_rows_of_nobody_share_the_key_of_their_purpose(tx):
    places = [Place("infra.webhooks", "secret", new_id(), purpose="webhooks") for _ in range(2)]
    sealed = await crypto.seal_many(tx, [("a", places[0]), ("b", places[1])])
    assert sealed[0][:9] == sealed[1][:9]
    assert await crypto.open_many(tx, list(zip(sealed, places, strict=True))) == ["a", "b"]


async def test_a_player_sees_only_his_own_data_key(tx):
    smith, jones = UserId(new_id()), UserId(new_id())
    await crypto.seal_many(tx, [("smith", email_of(smith)), ("jones", email_of(jones))])
    await tx.execute(
        "select set_config('palio.kind', 'player', true), set_config('palio.user_id', %s, true)", [str(smith)]
    )
    assert await db.column(tx, "select user_id from infra.data_keys") == [smith]


async def test_without_the_keyring_nothing_opens_and_the_missing_key_is_named(tx):
    place = email_of(UserId(new_id()))
    sealed = await crypto.seal(tx, "smith", place)
    tx.equipment = Equipment(keyring=Keyring({2: bytes(32)}, {1: bytes(32)}))
    with pytest.raises(KeyringError, match="lacks wrapping key 1"):
        await crypto.open_sealed(tx, sealed, place)


def test_a_blind_index_is_the_same_for_equal_values_of_one_column_only():
    index = RING.blind_index("identity.users.email", "smith@example.com")
    assert (index.version, len(index.digest)) == (1, 32)
    assert index == RING.blind_index("identity.users.email", "smith@example.com")
    assert index != RING.blind_index("newsletter.subscriptions.email", "smith@example.com")
    assert index != RING.blind_index("identity.users.email", "jones@example.com")


def test_eight_starters_make_one_private_keyring(tmp_path):
    path = tmp_path / "secrets/keyring.json"
    with ThreadPoolExecutor(8) as starters:
        rings = list(starters.map(lambda _: keyring.load_or_make(path), range(8)))
    assert all(ring == rings[0] for ring in rings)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["keyring.json"]
    assert "bytes" not in repr(rings[0]) and "b'" not in repr(rings[0])


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"wrapping": {"1": "c2hvcnQ="}, "index": {}}'])
def test_a_file_that_is_no_keyring_is_named(tmp_path, text):
    path = tmp_path / "keyring.json"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(KeyringError, match=r"keyring\.json is not a keyring"):
        keyring.load(path)


def test_a_keyring_that_others_may_read_or_that_is_missing_is_refused(tmp_path):
    path = tmp_path / "keyring.json"
    with pytest.raises(KeyringError, match="there is no keyring"):
        keyring.load(path)
    keyring.load_or_make(path)
    path.chmod(0o640)
    with pytest.raises(KeyringError, match="chmod 600"):
        keyring.load(path)
