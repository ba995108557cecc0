"""One index key takes the place of another while people sign in, are found, and claim what only one may have."""

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from palio import identity
from palio.entry import wiring
from palio.identity import personal, sql
from palio.identity.errors import IndexKeyNeeded
from palio.identity.service import people, phones, play, reindexing
from palio.infra import db, misplaced
from palio.infra.db import Database
from palio.infra.keyring import Keyring, KeyringError, add_index_key, drop_index_key, load, load_or_make
from tests.factories.identity import HOME, PASSWORD, RING, World, later, secret_in
from tests.identity.test_rotation import crowd

NUMBER, OTHER = "+4915123456789", "+4915123456780"
NAIVE = "select count(*) from identity.emails where bidx_version = 1 and bidx = %s"
SECOND = bytes(range(64, 96))


@pytest.fixture
def ring(world: World) -> Keyring:
    """The keys of this world; a second one for indexes is put into it by the test."""
    ring = Keyring(dict(RING.wrapping), dict(RING.index))
    world.database.equipment = replace(world.equipment, keyring=ring)
    return ring


@pytest.fixture(autouse=True)
def as_it_was(world: World):
    yield
    world.database.equipment = world.equipment
    with world.superuser() as server:
        server.execute("truncate identity.index_rotations, infra.data_keys")


async def turn(database: Database, now: datetime, rest: timedelta = timedelta(0)) -> int:
    async with database.begin_system("a test") as tx:
        return await reindexing.turn(tx, now=now, rest=rest)


async def to_the_end(database: Database, now: datetime) -> None:
    idle = 0
    for _ in range(2_000):
        idle = 0 if await turn(database, now) else idle + 1
        if idle == 3:  # noted, rested, moved
            return
    raise AssertionError("it does not end")


async def held(world: World) -> dict[tuple[int, str], int]:
    async with world.database.begin_system("a test") as tx:
        return {(one.version, one.part): one.rows for one in await reindexing.status(tx)}


async def link_phone(world: World, user: identity.User, number: str, now: datetime) -> str:
    try:
        async with world.database.begin_system("a test") as tx:
            await phones.link(tx, user_id=user.id, number=number, now=now)
    except identity.PhoneTaken as refusal:
        return refusal.code
    return "linked"


async def found_by(world: World, text: str) -> list[str]:
    async with world.database.begin_system("a test") as tx:
        return [one.username for one in await people.search(tx, text=text)]


@pytest.mark.parametrize("count", [600, pytest.param(10_000, marks=pytest.mark.nightly)])
async def test_people_sign_in_by_address_and_are_found_throughout(
    world: World, ring: Keyring, noon: datetime, count: int
) -> None:
    """The control asks for the index of the present key alone, as if nothing were going on: it misses people."""
    players = ["ada", "bela", "carol"]
    for name in players:
        await world.player(name, noon)
    await crowd(world, count, noon)
    first = personal_index(ring, "ada@example.com")
    ring.index[2] = SECOND
    over = asyncio.Event()
    sign_ins = 0
    naive: set[bool] = set()

    async def come_in(name: str) -> None:
        nonlocal sign_ins
        while not over.is_set():
            await world.signed_in(f"{name}@example.com", later(noon, seconds=sign_ins))
            assert await found_by(world, f"{name}@example.com") == [name]
            naive.add(
                bool(
                    await world.count(
                        "select count(*) from identity.emails where bidx_version = 1 and bidx = %s", first
                    )
                )
            )
            sign_ins += 1

    async def rotate() -> None:
        await to_the_end(world.database, noon)
        over.set()

    await asyncio.gather(rotate(), *(come_in(name) for name in players))
    await to_the_end(world.database, noon)

    assert sign_ins >= len(players)
    assert await held(world) == {(2, "emails"): count + len(players)}
    assert await world.count("select count(*) from identity.emails where bidx_next is not null") == 0
    naive.add(await world.count(NAIVE, first) > 0)
    ring.index.pop(1)
    for name in players:
        await world.signed_in(f"{name}@example.com", later(noon, days=1))
    assert False in naive, "the control: with the old key alone somebody is not found"


def personal_index(ring: Keyring, address: str) -> bytes:
    return ring.blind_index("identity.emails.address", address).digest


async def test_every_write_fills_both_and_every_look_up_asks_both(world: World, ring: Keyring, noon: datetime) -> None:
    before = await world.player("before", noon)
    assert await link_phone(world, before, NUMBER, noon) == "linked"
    ring.index[2] = SECOND
    amid = await world.player("amid", noon)
    assert await link_phone(world, amid, OTHER, noon) == "linked"
    lacking = await world.count("select count(*) from identity.emails where bidx_next is null")
    assert (lacking, await found_by(world, NUMBER), await found_by(world, OTHER)) == (1, ["before"], ["amid"])

    await to_the_end(world.database, noon)
    assert await held(world) == {(2, "emails"): 2, (2, "phones"): 2}
    assert [await found_by(world, one) for one in (NUMBER, OTHER)] == [["before"], ["amid"]]
    late = await world.player("late", noon)
    assert await link_phone(world, late, NUMBER, noon) == "identity.phone_taken"
    ring.index.pop(1)
    assert await found_by(world, "late@example.com") == ["late"], "written with both, moved by nobody yet"
    await turn(world.database, noon)
    assert {version for version, _ in await held(world)} == {2}


async def test_nothing_is_moved_before_whoever_began_earlier_is_done_nor_while_it_is_staged(
    world: World, ring: Keyring, noon: datetime
) -> None:
    await world.player("ada", noon)
    ring.index[2], ring.staged_index = SECOND, 2
    rest = reindexing.REST
    assert await turn(world.database, noon, rest) == 1
    assert [await turn(world.database, noon, rest) for _ in range(2)] == [0, 0]
    assert [await turn(world.database, noon + rest, rest) for _ in range(2)] == [0, 0], "staged"
    assert await held(world) == {(1, "emails"): 1}
    ring.staged_index = None
    assert await turn(world.database, noon + rest - timedelta(seconds=1), rest) == 0
    assert await turn(world.database, noon + rest, rest) == 1
    assert await held(world) == {(2, "emails"): 1}


async def test_a_row_that_somebody_holds_comes_with_the_next_pass(world: World, ring: Keyring, noon: datetime) -> None:
    ada = await world.player("ada", noon)
    await world.player("bela", noon)
    ring.index[2] = SECOND
    async with world.database.begin_system("a test") as holder:
        await db.run(holder, "select id from identity.emails where user_id = %s for update", ada.id)
        assert await turn(world.database, noon) == 1
        assert [await turn(world.database, noon) for _ in range(3)] == [0, 0, 0]
        assert await held(world) == {(1, "emails"): 2}
    await to_the_end(world.database, noon)
    assert await held(world) == {(2, "emails"): 2}


async def test_an_address_that_was_put_elsewhere_keeps_the_earlier_key_and_nobody_else_waits_for_it(
    world: World, ring: Keyring, noon: datetime
) -> None:
    ada, bela = await world.player("ada", noon), await world.player("bela", noon)
    await world.player("carol", noon)
    with world.superuser() as server:
        (right,) = server.execute("select address from identity.emails where user_id = %s", [ada.id]).fetchone()
        server.execute(
            """update identity.emails set address = (select address from identity.emails where user_id = %s)
            where user_id = %s""",
            [bela.id, ada.id],
        )
    ring.index[2] = SECOND
    assert await turn(world.database, noon) == 3
    assert await world.count("select count(*) from identity.emails where bidx_next is null") == 1
    assert [await turn(world.database, noon) for _ in range(3)] == [0, 1, 0], "it is looked at again in every pass"
    assert await held(world) == {(1, "emails"): 3}
    async with world.database.begin_system("a test") as tx:
        (found,) = await misplaced.list_found(tx)
    assert (found.table_name, found.column_name) == ("identity.emails", "address")

    with world.superuser() as server:
        server.execute("update identity.emails set address = %s where user_id = %s", [right, ada.id])
    async with world.database.begin_system("a test") as tx:
        assert await misplaced.look_again(tx, wiring.SEALED_COLUMNS) == 1
    await to_the_end(world.database, noon)
    assert await held(world) == {(2, "emails"): 3}


async def test_links_that_were_mailed_before_work_afterwards(world: World, ring: Keyring, noon: datetime) -> None:
    application = identity.Application("alice", "alice@example.com", PASSWORD)
    registration = await identity.register(world.house, application=application, visitor=HOME, now=noon)
    (letter,) = await world.deliver()
    ring.index[2] = SECOND
    await to_the_end(world.database, noon)
    await identity.verify_email(
        world.house, secret=secret_in(letter), registration=registration.told, visitor=HOME, now=later(noon, minutes=30)
    )
    assert await world.count("select count(*) from identity.emails where verified_at is not null") == 1


async def test_of_two_who_prove_one_address_amid_a_rotation_one_owns_it(
    world: World, ring: Keyring, noon: datetime
) -> None:
    letters = []
    for name in ("alice", "mallory"):
        application = identity.Application(name, "one@example.com", PASSWORD)
        registration = await identity.register(world.house, application=application, visitor=HOME, now=noon)
        letters.append((registration.told, (await world.deliver())[-1]))
        ring.index[2] = SECOND  # the second application is written with both
    with world.superuser() as server:  # and is as if it had been moved already
        server.execute(
            """update identity.emails e set bidx = bidx_next, normal_bidx = normal_next, bidx_next = null,
              normal_next = null, bidx_version = 2 where bidx_next is not null"""
        )
        server.execute(
            """update identity.verification_tokens t set target_bidx = e.bidx from identity.emails e
            where e.user_id = t.user_id and e.bidx_version = 2"""
        )
    assert await turn(world.database, noon) == 1

    async def prove(registration: str, secret: str) -> str:
        try:
            await identity.verify_email(
                world.house, secret=secret, registration=registration, visitor=HOME, now=later(noon, minutes=1)
            )
        except identity.TokenInvalid as refusal:
            return refusal.code
        return "proven"

    told = await asyncio.gather(*(prove(one, secret_in(letter)) for one, letter in letters))
    assert sorted(told) == ["identity.token_invalid", "proven"]
    assert await world.count("select count(*) from identity.emails where verified_at is not null") == 1


async def test_of_two_who_claim_one_number_amid_a_rotation_one_has_it(
    world: World, ring: Keyring, noon: datetime
) -> None:
    """And the control: asked for the present index alone, the number of the other is not seen, and both have it."""
    owner, rival = await world.player("owner", noon), await world.player("rival", noon)
    ring.index[2] = SECOND
    assert await link_phone(world, owner, NUMBER, noon) == "linked"
    await to_the_end(world.database, noon)
    assert await link_phone(world, rival, NUMBER, noon) == "identity.phone_taken"

    async with world.database.begin_system("a test") as tx:
        index = personal.phone_index(tx, NUMBER)
        naive = "select count(*) from identity.phones where bidx_version = %s and bidx = %s"
        assert await db.value(tx, naive, index.version, index.digest) == 0
        assert await sql.phones.insert_phone(
            tx, rival.id, rival.id, number=b"sealed", index=index, country=None, now=noon
        ), "no constraint knows that it is the same number"
        await db.run(tx, "delete from identity.phones where id = %s", rival.id)
    assert await world.count("select count(*) from identity.phones") == 1


async def test_a_break_is_remembered_by_both_keys_and_lifted_by_both(
    world: World, ring: Keyring, noon: datetime
) -> None:
    ada = await world.player("ada", noon)
    assert await link_phone(world, ada, NUMBER, noon) == "linked"
    async with world.database.begin_system("a test") as tx:
        await play.take_break(tx, user_id=ada.id, length="6mo", now=noon)
    ring.index[2] = SECOND
    await turn(world.database, noon)
    async with world.database.begin_system("a test") as tx:
        await play.take_break(tx, user_id=ada.id, length="1y", now=later(noon, minutes=1))
    await to_the_end(world.database, noon)

    marks = await held(world)
    assert {key: rows for key, rows in marks.items() if key[1] == "marks"} == {(2, "marks"): 2}
    ring.index.pop(1)
    async with world.database.begin_system("a test") as tx:
        assert await sql.play.is_marked(tx, personal.phone_index(tx, NUMBER).known, now=later(noon, days=300))
        assert await sql.play.is_marked(tx, personal.normal_index(tx, "ada@example.com").known, now=noon)
        assert not await sql.play.is_marked(tx, personal.phone_index(tx, OTHER).known, now=noon)


async def test_a_key_by_which_something_is_known_is_not_dropped(world: World, ring: Keyring, noon: datetime) -> None:
    await world.player("ada", noon)
    ring.index[2] = SECOND
    async with world.database.begin_system("a test") as tx:
        with pytest.raises(IndexKeyNeeded) as refused:
            await reindexing.require_unneeded(tx, version=1)
    await to_the_end(world.database, noon)
    async with world.database.begin_system("a test") as tx:
        await reindexing.require_unneeded(tx, version=1)
    assert refused.value.facts == {"index_key": 1, "rows": {"emails": 1}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keyring.json"
    load_or_make(path)
    return path


def test_the_file_keeps_two_index_keys_at_most_and_running_programs_see_them(file: Path) -> None:
    running = load(file)
    alone = running.blind_index("a.b.c", "x")
    assert add_index_key(file, is_staged=True) == 2
    both = running.blind_index("a.b.c", "x")
    assert (both.digest, both.version, alone.next, running.staged_index) == (alone.digest, 1, None, 2)
    assert add_index_key(file) == 2
    assert load(file).staged_index is None
    with pytest.raises(KeyringError):
        add_index_key(file)
    for number in (2, 3):
        with pytest.raises(KeyringError):
            drop_index_key(file, number)
    drop_index_key(file, 1)
    after = running.blind_index("a.b.c", "x")
    assert (after.digest, after.version, after.next) == (both.next, 2, None)
    with pytest.raises(KeyringError):
        drop_index_key(file, 2)
    assert [*json.loads(file.read_text())["index"]] == ["2"]
    assert add_index_key(file) == 3


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("emails", "bidx = any ($1::bytea[]) or bidx_next = any ($1::bytea[])"),
        ("phones", "(bidx = any ($1::bytea[]) or bidx_next = any ($1::bytea[])) and verified_at is not null"),
        ("external_identities", "subject_bidx = any ($1::bytea[]) or bidx_next = any ($1::bytea[])"),
    ],
)
def test_a_look_up_by_both_indexes_reads_indexes_alone(world: World, table: str, where: str) -> None:
    with world.superuser() as server:
        server.execute("set enable_seqscan = off; set plan_cache_mode = force_generic_plan")
        server.execute(f"prepare asked (bytea[]) as select id from identity.{table} where {where}")  # type: ignore[arg-type]  # noqa: S608 - ours
        plan = [line for (line,) in server.execute("explain execute asked (null)").fetchall()]
    for column in ("bidx_next", "subject_bidx" if table == "external_identities" else "(bidx"):
        assert any("Index Cond" in line and f"{column} = ANY" in line for line in plan), plan
    assert not any("Seq Scan" in line for line in plan), plan
