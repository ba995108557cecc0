"""Workers are killed in the middle of a copy, an erasure and a rotation of keys.

Whoever comes next goes on: nothing is left half, nothing is there twice, and nobody else is touched.
"""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from uuid import UUID

import psycopg
import pytest

from palio import identity
from palio.entry import wiring
from palio.identity import doors, personal, service
from palio.identity.messages import RunPrivacy
from palio.infra import crypto, db, keyring, outbox, roles
from palio.infra.anchors import Anchors
from palio.infra.db import Database
from palio.infra.messages import Reencrypt
from palio.infra.passwords import Hasher
from palio.infra.storage import Storage
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.messages import Job
from tests.chaos import programs
from tests.chaos.house import House, until

SYSTEM = Actor("system", None, RequestId(new_id()))
MOMENT_SECONDS_MAX = 0.8  # about what a worker takes from its start to the end of what is asked here
ATTEMPTS, PEOPLE = 40, 1_200
ERASE = (  # in the order in which somebody is forgotten
    "identity.privacy_steps",
    "affiliates.link_requests",
    "identity.role_grants",
    "identity.privacy_requests",
    "identity.users",
    "infra.data_keys",
)
AUDITED = "select count(*) from infra.audit_rows where action = %s and subject_user_id = %s"


@dataclass(frozen=True, slots=True)
class Town:
    """A database with keys of its own."""

    house: House
    name: str
    keys: Path

    def worker(self) -> partial[None]:
        return partial(programs.keyed, str(self.keys))

    def command(self, *words: str) -> None:
        done = self.house.run(self.name, partial(programs.keyed, str(self.keys), *words))
        assert done.wait() == 0, done.output + done.errors

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Database]:
        home = Path(self.house.cluster.home)
        async with self.house.opened(self.name) as database:
            database.equipment = replace(
                database.equipment,
                keyring=keyring.load(self.keys),
                storage=Storage(home / "files"),
                anchors=Anchors(home / "anchors"),
                personal=wiring.PERSONAL,
                sealed=wiring.SEALED_COLUMNS,
            )
            yield database

    async def send(self, *work: Job) -> None:
        """Have it done, whatever became of what was sent before, as the clock and the queue do after a minute."""
        async with self.opened() as database, database.begin(SYSTEM) as tx:
            await outbox.send(tx, *work)

    def kill_sometime(self, seconds: float) -> None:
        process = self.house.start(self.name, self.worker())
        process.ends_within(seconds)
        process.kill()
        self.house.settle_down(self.name)

    def kill_at(self, table: str) -> bool:
        """Kill a worker that is about to write to a table; had it written before in that transaction?"""
        with self.house.hold(self.name, table) as caught:
            process = self.house.start(self.name, self.worker())
            found = caught(process)
            process.kill()
        self.house.settle_down(self.name)
        return found.is_inside

    def in_peace(self, statement: str, *values: object) -> None:
        """Let a worker go on until this is true."""
        worker = self.house.start(self.name, self.worker())
        until(lambda: self.value(statement, *values), what=lambda: f"{statement}\n{worker.errors}")
        worker.kill()
        self.house.settle_down(self.name)

    def value(self, statement: str, *values: object) -> object:
        with psycopg.connect(self.house.dsn(self.name)) as conn:
            found = conn.execute(statement, values).fetchone()  # type: ignore[arg-type]  # a test's own statement
        return found[0] if found else None


@pytest.fixture
def town(house: House, tmp_path: Path) -> Town:
    name, keys = house.copy(roles.DATABASE), tmp_path / "keyring.json"
    keyring.load_or_make(keys)
    return Town(house, name, keys)


async def settle_in(town: Town, username: str) -> UserId:
    """Somebody of whom every kind of thing is known, some of it many times."""
    now = clock.now()
    async with town.opened() as database, database.begin(SYSTEM) as tx:
        user = await identity.create(tx, username=username, now=now)
        account = await service.credentials.get_account(tx, user_id=user.id)
        for number in range(ATTEMPTS):
            visitor = identity.Visitor(f"198.51.100.{number}", f"{username} {number}")
            await service.attempts.note(
                tx, account=account, method="password", outcome="bad_credentials", visitor=visitor, now=now
            )
            await service.sessions.note_network(tx, user_id=user.id, visitor=visitor, kind="login", now=now)
        await service.phones.link(tx, user_id=user.id, number=f"+49151{user.id.int % 10**8:08}", now=now)
        await identity.take_break(tx, user_id=user.id, length="24h", now=now)
        await identity.grant_role(tx, user_id=user.id, role="support", reason="for the test", now=now)
    return user.id


async def told(town: Town, user_id: UserId, request_id: UUID) -> dict[str, list[str]]:
    """The copy that its owner fetches: the lines of each part, but for what tells of the copy itself."""
    async with town.opened() as database:
        house = doors.House(database, Hasher(memory_kib=8, passes=1, threads=1))
        content = await doors.fetch_export(house, user_id=user_id, request_id=request_id, now=clock.now())
    archive = zipfile.ZipFile(io.BytesIO(content))
    return {
        name: sorted(line for line in archive.read(name).decode().splitlines() if "privacy_request" not in line)
        for name in archive.namelist()
        if name.endswith(".jsonl")
    }


def privacy_files(town: Town, request_id: UUID) -> set[str]:
    folder = Path(town.house.cluster.home) / "files/privacy" / request_id.hex
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


async def asked(town: Town, user_id: UserId) -> UUID:
    async with town.opened() as database, database.begin(SYSTEM) as tx:
        return (await identity.ask_for_export(tx, user_id=user_id, is_ordered=True, now=clock.now())).id


async def finished(town: Town, request_id: UUID) -> None:
    await town.send(RunPrivacy(request_id))
    town.in_peace("select state = 'done' from identity.privacy_requests where id = %s", request_id)


DONE = "select state = 'done' from identity.privacy_requests where id = %s"


@pytest.mark.parametrize("kills", [4, pytest.param(40, marks=pytest.mark.nightly)])
async def test_a_copy_that_was_killed_again_and_again_tells_each_thing_once(
    town: Town, chance: Random, kills: int
) -> None:
    anna = await settle_in(town, "anna")
    await settle_in(town, "bruno")
    peaceful = await asked(town, anna)
    await finished(town, peaceful)
    expected = await told(town, anna, peaceful)
    assert len(expected["identity.jsonl"]) > 2 * ATTEMPTS

    request_id = await asked(town, anna)
    town.kill_at("identity.privacy_steps")  # before the first step
    left = kills
    while left:
        for _ in range(min(left, 4)):
            await town.send(RunPrivacy(request_id))
            town.kill_sometime(chance.uniform(0, MOMENT_SECONDS_MAX))
            left -= 1
        if not town.value(DONE, request_id):
            continue
        assert await told(town, anna, request_id) == expected
        request_id = await asked(town, anna)  # it was quicker than we were: the next one
    if town.value("select finished_at is null from identity.privacy_requests where id = %s", request_id):
        await finished(town, request_id)

    assert await told(town, anna, request_id) == expected
    assert "bruno" not in json.dumps(expected)
    assert privacy_files(town, request_id) >= {"export.zip"}


async def test_a_copy_killed_before_it_is_counted_as_ready_is_put_together_anew(town: Town) -> None:
    """What was stored and not yet told of is replaced by the same."""
    anna = await settle_in(town, "anna")
    request_id = await asked(town, anna)
    assert town.kill_at("identity.privacy_requests"), "the request is locked, and every part is done"
    assert not town.value(DONE, request_id) and "export.zip" in privacy_files(town, request_id)

    await finished(town, request_id)

    assert len((await told(town, anna, request_id))["identity.jsonl"]) > 2 * ATTEMPTS
    assert privacy_files(town, request_id) == {"export.zip"}


async def test_an_erasure_killed_at_each_step_and_at_random_leaves_nothing_half(
    town: Town, chance: Random, request: pytest.FixtureRequest
) -> None:
    """After each kill somebody is whole, or a whole part of the house has forgotten him; at last all have, once."""
    kills = 30 if request.config.option.nightly else 3
    town.command("settings", "set", "identity.erasure_wait_days", "0", "--reason", "for the test")
    anna, bruno = await settle_in(town, "anna"), await settle_in(town, "bruno")
    before = {user: _rows_of(town, user) for user in (anna, bruno)}
    town.command("identity", "erase", "anna", "--reason", "she asked")
    request_id = UUID(str(town.value("select id from identity.privacy_requests where user_id = %s", anna)))
    async with town.opened() as database, database.begin(SYSTEM) as tx:
        assert await service.privacy.start_due(tx, now=clock.now()) == 1

    for table in ERASE:
        await town.send(RunPrivacy(request_id))
        town.kill_at(table)
        assert town.value("select status from identity.users where id = %s", anna) == "closing"
        assert _rows_of(town, anna) == before[anna], table
    for _ in range(kills):
        await town.send(RunPrivacy(request_id))
        town.kill_sometime(chance.uniform(0, MOMENT_SECONDS_MAX))
        is_erased = town.value("select status = 'erased' from identity.users where id = %s", anna)
        assert _rows_of(town, anna) == ({} if is_erased else before[anna])
    if not town.value(DONE, request_id):
        await finished(town, request_id)

    assert _rows_of(town, anna) == {} and _rows_of(town, bruno) == before[bruno]
    assert town.value(AUDITED, "user.erase", anna) == 1
    assert town.value("select count(*) from infra.data_keys where user_id = %s and wrapped is not null", anna) == 0
    assert town.value("select count(*) from infra.data_keys where user_id = %s and wrapped is not null", bruno) == 1
    assert anna in Anchors(Path(town.house.cluster.home) / "anchors").shredded()


KEPT = ("privacy_requests", "privacy_steps", "role_grants")


def _rows_of(town: Town, user_id: UserId) -> dict[str, int]:
    """How many rows there are of somebody in each table of identity that forgets."""
    with psycopg.connect(town.house.dsn(town.name)) as conn:
        tables = conn.execute(
            """select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
            where c.relnamespace = 'identity'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
              and a.attname = 'user_id' and c.relname <> all (%s) order by 1""",
            [list(KEPT)],
        ).fetchall()
        counted = {
            name: conn.execute(
                f"select count(*) from identity.{name} where user_id = %s",  # noqa: S608 - a name of the catalogue
                [user_id],
            ).fetchone()
            for (name,) in tables
        }
    return {name: found[0] for name, found in counted.items() if found and found[0]}


@pytest.mark.parametrize("kills", [4, pytest.param(40, marks=pytest.mark.nightly)])
async def test_a_rotation_that_was_killed_again_and_again_loses_no_value_and_leaves_none_behind(
    town: Town, chance: Random, kills: int
) -> None:
    ids = await named_people(town)
    town.command("keys", "rotate", "--reason", "for the test")
    for table in ("infra.data_keys", "identity.user_pii"):
        await town.send(Reencrypt())
        town.kill_at(table)
        assert await names_of(town, ids) == [f"Name {one}" for one in ids], table
    for _ in range(kills):
        await town.send(Reencrypt())
        town.kill_sometime(chance.uniform(0, MOMENT_SECONDS_MAX))
        assert await names_of(town, ids) == [f"Name {one}" for one in ids]

    await town.send(Reencrypt())
    town.in_peace("select count(*) = 0 from infra.data_keys where kek_id = 1 and emptied_at is null")

    assert await names_of(town, ids) == [f"Name {one}" for one in ids]
    in_use = "select count(*) from infra.data_keys where retired_at is null and user_id is not null"
    assert town.value(in_use) == PEOPLE, "one key each, whatever was killed as it was made"
    old = "infra.data_key_of(p.full_name) in (select id from infra.data_keys where kek_id = 1)"
    assert town.value("select count(*) from identity.user_pii p where " + old) == 0  # noqa: S608 - put together above


async def named_people(town: Town) -> list[UUID]:
    ids = sorted(new_id() for _ in range(PEOPLE))
    async with town.opened() as database, database.begin(SYSTEM) as tx:
        await db.run(
            tx,
            """insert into identity.users (id, username, display_name, kind, status, locale, time_zone, board_name,
              created_at, activated_at)
            select id, 'p' || replace(id::text, '-', ''), 'P', 'person', 'active', 'en', 'UTC', 'full', now(), now()
            from unnest(%s::uuid[]) id""",
            ids,
        )
        places = [(f"Name {one}", personal.place_of_full_name(UserId(one))) for one in ids]
        await db.run(
            tx,
            """insert into identity.user_pii (user_id, full_name, created_at)
            select *, now() from unnest(%s::uuid[], %s::bytea[])""",
            *(ids, await crypto.seal_many(tx, places)),
        )
    return ids


async def names_of(town: Town, ids: list[UUID]) -> list[str]:
    async with town.opened() as database, database.begin(SYSTEM) as tx:
        rows = await db.column(tx, "select full_name from identity.user_pii order by user_id")
        places = [personal.place_of_full_name(UserId(one)) for one in ids]
        return await crypto.open_many(tx, list(zip(rows, places, strict=True)))
