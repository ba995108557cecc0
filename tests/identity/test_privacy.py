"""A copy of what is known of somebody, and to be forgotten: step by step, whoever is killed in between."""

import asyncio
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import LiteralString
from uuid import UUID

import pytest

from palio import identity, ledger
from palio.entry import wiring
from palio.identity import doors, jobs, service, sql
from palio.identity.messages import RunPrivacy, TickPrivacy
from palio.identity.types import TelegramUser, Vouching
from palio.infra import crypto, db
from palio.infra.anchors import Anchors
from palio.infra.db import Database
from palio.infra.storage import Storage
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from palio.kernel.messages import Envelope
from palio.kernel.providers import Obstacle, PersonalRow
from tests.factories.identity import ELSEWHERE, PASSWORD, World, later
from tests.factories.ledger import pay


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def at(noon: datetime) -> Iterator[Clock]:
    """The time that jobs see."""
    face = Clock(noon)
    clock.use(face)
    yield face
    clock.use(clock.real)


@pytest.fixture
def anchors(tmp_path: Path) -> Anchors:
    return Anchors(tmp_path / "anchors")


@pytest.fixture
def house(world: World, tmp_path: Path, anchors: Anchors) -> Iterator[doors.House]:
    world.database.equipment = replace(
        world.equipment,
        storage=Storage(tmp_path / "files"),
        personal=wiring.PERSONAL,
        sealed=wiring.SEALED_COLUMNS,
        anchors=anchors,
    )
    yield world.house
    world.database.equipment = world.equipment


def envelope(now: datetime) -> Envelope:
    return Envelope(new_id(), now, 1)


async def step(database: Database, request_id: UUID) -> bool:
    """One job; False once nothing is left to do."""
    async with database.begin_system("a test") as tx:
        request = await sql.privacy.find_request(tx, request_id)
    if request is None or request.state != "running":
        return False
    await jobs.run_privacy(database, RunPrivacy(request_id))
    return True


async def finish(database: Database, request_id: UUID) -> int:
    steps = 0
    while await step(database, request_id):
        steps += 1
    return steps


def parts_of(content: bytes) -> dict[str, list[dict[str, object]]]:
    archive = zipfile.ZipFile(io.BytesIO(content))
    return {
        name: [json.loads(line) for line in archive.read(name).decode().splitlines()]
        for name in archive.namelist()
        if name.endswith(".jsonl")
    }


# a copy


async def test_a_copy_holds_all_that_every_module_knows_and_only_its_owner_has_it(
    world: World, house: doors.House, noon: datetime, at: Clock, tmp_path: Path
) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    await world.signed_in("alice", noon)
    async with world.database.begin_system("a test") as tx:
        await identity.take_break(tx, user_id=alice.id, length="24h", now=noon)

    asked = await doors.ask_for_export(house, user_id=alice.id, now=noon)
    assert await finish(world.database, asked.id) == len(wiring.PERSONAL) + 1
    content = await doors.fetch_export(house, user_id=alice.id, request_id=asked.id, now=noon)

    parts = parts_of(content)
    assert set(parts) == {f"{section.module}.jsonl" for section in wiring.PERSONAL}
    known = {row["of"]: row for row in parts["identity.jsonl"]}
    assert known["email"]["address"] == "alice@example.com"
    assert known["account"]["username"] == "alice"
    assert known["sign_in"]["ip"] == "198.51.100.7"
    assert known["break_from_playing"]["kind"] == "time_out"
    assert any(row["action"] == "play_exclusion.set" for row in parts["infra.jsonl"])
    assert "bob" not in content.decode(errors="replace")
    for somebody, moment in ((bob.id, noon), (alice.id, later(noon, days=7))):
        with pytest.raises(identity.NoSuchPrivacyRequest):
            await doors.fetch_export(house, user_id=somebody, request_id=asked.id, now=moment)
    stored = b"".join(path.read_bytes() for path in (tmp_path / "files").rglob("*") if path.is_file())
    assert b"alice" not in stored and stored


UNTOLD = {  # tables with a column `user_id` whose rows nobody is told, and why
    "avatar_files": "the picture that is shown is told with the account; others are about to go",
    "auth_flows": "secrets of ten minutes",
    "otp_challenges": "secrets of ten minutes",
    "privacy_steps": "how far this very copy is, told where it is fetched",
    "recovery_codes": "secrets",
    "refresh_tokens": "secrets; their sessions are told",
    "reveal_permits": "between two of the staff; what was read is told",
    "staff_notes": "what staff write for each other",
    "upload_days": "how many bytes were sent today, to count them",
    "verification_tokens": "secrets of mailed links",
}


def test_every_table_of_a_person_is_told_or_has_a_reason_not_to_be(world: World) -> None:
    with world.superuser() as server:
        found = server.execute(
            """select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid
            where c.relnamespace = 'identity'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
              and a.attname = 'user_id' and not a.attisdropped"""
        ).fetchall()
    tables = {name for (name,) in found}
    told = set(re.findall(r"from identity\.(\w+)", sql.privacy.KNOWN))
    assert tables - told == UNTOLD.keys(), "told, or with a reason"
    assert told - tables == {"users"}


async def test_a_copy_tells_of_every_way_in_and_that_staff_looked_but_of_no_key(
    world: World, house: doors.House, noon: datetime, at: Clock
) -> None:
    alice = await world.player("alice", noon)
    vouched = Vouching("google", "canary-subject", None, is_email_verified=False, nonce="n", expires_at=noon)
    async with world.database.begin_system("a test") as tx:
        await service.phones.link(tx, user_id=alice.id, number="+4915123456789", now=noon)
        await service.telegram.link(tx, user_id=alice.id, user=TelegramUser(7_000_000_001, "ada_l"), now=noon)
        await service.external.link(tx, user_id=alice.id, who=vouched, now=noon)
        await service.zones.change_zone(tx, user_id=alice.id, zone="Asia/Tokyo", now=noon)
        await db.run(
            tx,
            """insert into identity.passkeys (id, user_id, credential_id, public_key, sign_count, aaguid, transports,
              backed_up, name, created_at)
            values (%s, %s, 'canary-id', 'canary-key', 0, %s, '{}', true, 'Laptop', %s)""",
            *(new_id(), alice.id, new_id(), noon),
        )
        await db.run(
            tx,
            "insert into identity.reveals (id, user_id, name, by_id, at) values (%s, %s, 'full_name', %s, %s)",
            *(new_id(), alice.id, new_id(), noon),
        )
        await db.run(tx, "insert into identity.user_activity values (%s, %s) on conflict do nothing", alice.id, noon)

    asked = await doors.ask_for_export(house, user_id=alice.id, now=noon)
    await finish(world.database, asked.id)
    parts = parts_of(await doors.fetch_export(house, user_id=alice.id, request_id=asked.id, now=noon))

    known = {row["of"]: row for row in parts["identity.jsonl"]}
    assert known["phone"]["number"] == "+4915123456789"
    assert (known["telegram"]["telegram_id"], known["telegram_link"]["action"]) == ("7000000001", "linked")
    assert (known["external_identity"]["provider"], known["external_identity"]["subject"]) == (
        "google",
        "canary-subject",
    )
    assert known["passkey"]["name"] == "Laptop" and "canary-key" not in json.dumps(parts)
    assert known["time_zone_change"]["zone"] == "Asia/Tokyo"
    assert known["ip_address"]["ip"] == "198.51.100.7" and known["activity"]["last_active_at"]
    assert known["read_by_staff"]["what"] == "full_name" and "by_id" not in known["read_by_staff"]


async def test_a_copy_is_made_once_a_day_and_removed_after_seven(
    world: World, house: doors.House, noon: datetime, at: Clock, tmp_path: Path
) -> None:
    alice = await world.player("alice", noon)
    asked = await doors.ask_for_export(house, user_id=alice.id, now=noon)
    assert (await doors.ask_for_export(house, user_id=alice.id, now=noon)).id == asked.id, "one is on the way"
    await finish(world.database, asked.id)
    with pytest.raises(identity.ExportTooSoon) as refused:
        await doors.ask_for_export(house, user_id=alice.id, now=later(noon, days=1) - timedelta(microseconds=1))
    assert refused.value.facts == {"next_at": later(noon, days=1)}
    assert (await doors.ask_for_export(house, user_id=alice.id, now=later(noon, days=1))).id != asked.id

    at.now = later(noon, days=7)
    await jobs.tick_privacy(world.database, TickPrivacy())
    assert not list((tmp_path / "files").rglob("export.zip"))
    assert await world.count("select count(*) from identity.privacy_requests where file_key is not null") == 1


async def test_whoever_is_killed_between_two_steps_leaves_the_rest_to_the_next(
    world: World, house: doors.House, noon: datetime, at: Clock
) -> None:
    """Each step is done, or not, or done again with the same outcome."""
    alice = await world.player("alice", noon)
    asked = await doors.ask_for_export(house, user_id=alice.id, now=noon)

    class KilledError(Exception):
        pass

    async def dying(tx: db.Tx, user_id: UserId):  # type: ignore[no-untyped-def]
        yield PersonalRow("entry", {"n": 1})
        raise KilledError

    sound = world.database.equipment
    broken = replace(wiring.PERSONAL[2], export=dying)
    world.database.equipment = replace(sound, personal=(*wiring.PERSONAL[:2], broken, *wiring.PERSONAL[3:]))
    assert await step(world.database, asked.id) and await step(world.database, asked.id)
    for _ in range(3):
        with pytest.raises(KilledError):
            await step(world.database, asked.id)
    async with world.database.begin_system("a test") as tx:
        (card,) = await identity.exports_of(tx, user_id=alice.id)
    red = card.steps[2]
    assert (card.request.state, red.attempts, red.error_code) == ("running", 3, "KilledError")
    assert [one.finished_at is not None for one in card.steps] == [True, True, False, False, False]

    world.database.equipment = sound
    await finish(world.database, asked.id)
    assert parts_of(await doors.fetch_export(house, user_id=alice.id, request_id=asked.id, now=noon))


class Late(Storage):
    """A storage where the first to do an act with a key waits until he is let go."""

    def __init__(self, place: Path, *held_up: str) -> None:
        super().__init__(place)
        self.held_up, self.is_met, self.may_go = held_up, asyncio.Event(), asyncio.Event()

    async def _wait(self, act: str, key: str) -> None:
        if (act, key.rpartition("/")[2]) == self.held_up and not self.is_met.is_set():
            self.is_met.set()
            await self.may_go.wait()

    async def get(self, key: str) -> bytes:
        await self._wait("get", key)
        return await super().get(key)

    async def keep(self, key: str, content: bytes) -> bool:
        await self._wait("keep", key)
        return await super().keep(key, content)


@pytest.mark.parametrize(
    "held_up", [("keep", "identity.part"), ("get", "identity.part"), ("keep", "export.zip")], ids="-".join
)
async def test_an_operator_beside_a_worker_makes_one_copy_with_him(
    world: World, house: doors.House, noon: datetime, at: Clock, tmp_path: Path, held_up: tuple[str, str]
) -> None:
    """Whoever was held up between two steps finds it done, by what the other one wrote, and nothing goes wrong."""
    alice = await world.player("alice", noon)
    asked = await doors.ask_for_export(house, user_id=alice.id, now=noon)
    slow = Late(tmp_path / "files", *held_up)
    world.database.equipment = replace(world.database.equipment, storage=slow)
    operator = asyncio.create_task(finish(world.database, asked.id))
    await slow.is_met.wait()
    await finish(world.database, asked.id)
    slow.may_go.set()
    await operator

    content = await doors.fetch_export(house, user_id=alice.id, request_id=asked.id, now=noon)
    (digest,) = await rows_of(world, "select sha256 from identity.privacy_requests")
    assert (set(parts_of(content)), hashlib.sha256(content).digest()) == (
        {f"{section.module}.jsonl" for section in wiring.PERSONAL},
        digest,
    )
    rows = sum(map(len, parts_of(content).values()))
    assert await world.count("select sum(rows) from identity.privacy_steps") == rows


async def rows_of(world: World, statement: LiteralString) -> list[bytes]:
    async with world.database.begin_system("a test") as tx:
        return await db.column(tx, statement)


# to be erased


def link_in(text: str) -> str:
    return text.split("/erase/")[1].split(maxsplit=1)[0]


async def confirmed(world: World, house: doors.House, user_id: UserId, now: datetime) -> UUID:
    asked = await doors.ask_for_erasure(house, user_id=user_id, now=now)
    (letter,) = await world.deliver()
    await doors.confirm_erasure(house, secret=link_in(letter.text), now=now)
    return asked.id


async def test_nobody_is_erased_before_he_confirms_by_mail_and_has_waited(
    world: World, house: doors.House, noon: datetime, at: Clock
) -> None:
    alice = await world.player("alice", noon)
    asked = await doors.ask_for_erasure(house, user_id=alice.id, now=noon)
    assert asked.state == "requested"
    assert (await doors.ask_for_erasure(house, user_id=alice.id, now=noon)).id == asked.id
    (letter,) = await world.deliver()
    at.now = later(noon, minutes=5)
    await jobs.tick_privacy(world.database, TickPrivacy())
    assert not await step(world.database, asked.id)

    told = await doors.confirm_erasure(house, secret=link_in(letter.text), now=noon)
    assert (told.state, told.due_at) == ("confirmed", later(noon, days=7))
    with pytest.raises(identity.TokenInvalid):
        await doors.confirm_erasure(house, secret=link_in(letter.text), now=noon)
    at.now = later(noon, days=7) - timedelta(microseconds=1)
    await jobs.tick_privacy(world.database, TickPrivacy())
    assert not await step(world.database, asked.id)
    async with world.database.begin_system("a test") as tx:
        assert (await identity.get(tx, name_or_id=alice.id)).status == "closing"


async def test_who_changes_his_mind_stays_what_he_was(
    world: World, house: doors.House, noon: datetime, at: Clock
) -> None:
    alice = await world.player("alice", noon)
    await confirmed(world, house, alice.id, noon)
    await world.signed_in("alice", noon)  # he can still come in to say so
    await doors.cancel_erasure(house, user_id=alice.id, now=later(noon, days=6))
    async with world.database.begin_system("a test") as tx:
        assert (await identity.get(tx, name_or_id="alice")).status == "active"
    at.now = later(noon, days=8)
    await jobs.tick_privacy(world.database, TickPrivacy())
    with pytest.raises(identity.NoSuchPrivacyRequest):
        await doors.cancel_erasure(house, user_id=alice.id, now=at.now)
    assert await world.count("select count(*) from identity.emails") == 1


async def test_what_nobody_confirms_within_a_day_is_dropped(
    world: World, house: doors.House, noon: datetime, at: Clock
) -> None:
    alice = await world.player("alice", noon)
    await doors.ask_for_erasure(house, user_id=alice.id, now=noon)
    (letter,) = await world.deliver()
    at.now = later(noon, days=1, seconds=1)
    await jobs.tick_privacy(world.database, TickPrivacy())
    async with world.database.begin_system("a test") as tx:
        assert await identity.erasure_of(tx, user_id=alice.id) is None
    with pytest.raises(identity.TokenInvalid):
        await doors.confirm_erasure(house, secret=link_in(letter.text), now=at.now)


async def test_an_open_matter_holds_an_erasure_back_but_no_longer_than_thirty_days(
    world: World, house: doors.House, noon: datetime, at: Clock
) -> None:
    alice = await world.player("alice", noon)
    opened_at = noon

    async def blocks(tx: db.Tx, user_id: UserId, since: datetime) -> list[Obstacle]:
        return [Obstacle("ledger", "hold", 2)] if opened_at >= since else []

    sections = tuple(replace(one, blocks=blocks) if one.module == "ledger" else one for one in wiring.PERSONAL)
    world.database.equipment = replace(world.database.equipment, personal=sections)
    with pytest.raises(identity.ErasureBlocked) as refused:
        await doors.ask_for_erasure(house, user_id=alice.id, now=noon)
    assert refused.value.facts == {"open": [{"module": "ledger", "what": "hold", "count": 2}]}
    assert await world.count("select count(*) from identity.privacy_requests") == 0

    opened_at = noon - timedelta(days=31)
    request_id = await confirmed(world, house, alice.id, noon)
    opened_at = later(noon, days=1)  # something came in the way meanwhile
    at.now = later(noon, days=8)
    await jobs.tick_privacy(world.database, TickPrivacy())
    assert not await step(world.database, request_id)
    at.now = later(noon, days=32)
    await jobs.tick_privacy(world.database, TickPrivacy())
    assert await step(world.database, request_id)


KEPT = {"identity.users", "identity.privacy_requests", "identity.privacy_steps", "identity.role_grants"}


async def test_whoever_is_erased_is_found_by_nothing_and_what_others_hold_stays(
    world: World, house: doors.House, noon: datetime, at: Clock, anchors: Anchors
) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    session = await world.signed_in("alice", noon)
    await world.with_factor(await world.signed_in("bob", noon), noon)
    async with world.database.begin_system("a test") as tx:
        await identity.take_break(tx, user_id=alice.id, length="1y", now=noon)
        await ledger.post(tx, pay(f"prize:{alice.id}", f"user:{alice.id}:main", 7), now=noon)
    request_id = await confirmed(world, house, alice.id, noon)
    at.now = later(noon, days=7)
    await jobs.tick_privacy(world.database, TickPrivacy())
    assert await finish(world.database, request_id) == len(wiring.PERSONAL) + 1

    everything = world.everything()
    assert "alice" not in everything
    with world.superuser() as server:
        owned = server.execute(
            """select c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid
            where c.relnamespace = 'identity'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
              and a.attname = 'user_id'"""
        ).fetchall()
        left = {
            table
            for (table,) in owned
            if server.execute(f"select count(*) from {table} where user_id = %s", [alice.id]).fetchone() != (0,)  # noqa: S608
        }
    assert left <= KEPT
    async with world.database.begin_system("a test") as tx:
        gone = await identity.get(tx, name_or_id=alice.id)
        assert gone.status == "erased" and gone.username.startswith("erased-") and len(gone.username) == 15
        assert await identity.names(tx, ids=[alice.id]) == {alice.id: gone.username}
        assert await ledger.balance(tx, address=f"user:{alice.id}:main", asset="COIN") == 7
        with pytest.raises(crypto.Shredded):
            await crypto.open_sealed(tx, await a_value_of(tx, alice.id), crypto.Place("x.y", "z", alice.id, alice.id))
    assert not await world.recognised(identity.Presented("cookie", session.cookie or ""), at.now)
    assert anchors.shredded() == [alice.id]
    with pytest.raises(identity.BadCredentials):
        await identity.sign_in(
            house, identifier="alice", password=PASSWORD, kind="browser", visitor=ELSEWHERE, now=at.now
        )
    with pytest.raises(identity.RegistrationRefused):
        await identity.register(
            house,
            application=identity.Application("alice", "alice+again@example.com", PASSWORD),
            visitor=ELSEWHERE,
            now=at.now,
        )
    assert bob.status == "active"


async def a_value_of(tx: db.Tx, user_id: UserId) -> bytes:
    """Bytes that look like a value under the destroyed key of somebody."""
    number = await db.value(tx, "select id from infra.data_keys where user_id = %s", user_id)
    return b"\x01" + number.to_bytes(8) + bytes(60)


async def test_who_was_erased_is_erased_again_after_a_restore(
    world: World, house: doors.House, noon: datetime, at: Clock, anchors: Anchors
) -> None:
    """The database of yesterday still knows him; the list outside says that he is to be forgotten."""
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    anchors.note_shredded(alice.id)
    async with world.database.begin_system("a test") as tx:
        begun = [await identity.erase_again(tx, user_id=UserId(one), now=noon) for one in anchors.shredded()]
        request = await identity.erasure_of(tx, user_id=alice.id)
    assert begun == [True] and request
    await finish(world.database, request.id)
    async with world.database.begin_system("a test") as tx:
        assert (await identity.get(tx, name_or_id=alice.id)).status == "erased"
        assert (await identity.get(tx, name_or_id=bob.id)).status == "active"
        assert not await identity.erase_again(tx, user_id=alice.id, now=noon)


async def test_only_the_system_forgets_and_only_who_is_closing(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    with pytest.raises(Exception, match="nobody of this id"):
        async with world.database.begin_system("a test") as tx:
            await db.run(tx, "select identity.forget(%s)", alice.id)


def test_every_table_of_a_person_can_be_forgotten(world: World) -> None:
    """A table without the policy `forgets` would keep its rows when somebody is erased."""
    with world.superuser() as server:
        bare = server.execute(
            """select c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid
            where c.relnamespace = 'identity'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
              and a.attname = 'user_id' and c.relrowsecurity
              and not exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'forgets')"""
        ).fetchall()
    assert bare == []


async def test_a_mailed_link_confirms_once_however_many_press_at_once(
    world: World, house: doors.House, noon: datetime, at: Clock
) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    await doors.ask_for_erasure(house, user_id=alice.id, now=noon)
    (letter,) = await world.deliver()
    pressed = await asyncio.gather(
        *(doors.confirm_erasure(house, secret=link_in(letter.text), now=noon) for _ in range(8)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in pressed) == ["PrivacyRequest", *["TokenInvalid"] * 7]
    events = "select count(*) from infra.audit_rows where action = 'privacy_request.confirm' and subject_user_id = %s"
    assert await world.count(events, alice.id) == 1

    await doors.ask_for_erasure(house, user_id=bob.id, now=noon)
    await world.deliver()
    with world.superuser() as server:
        (token_id,) = server.execute(
            "select id from identity.verification_tokens where user_id = %s and purpose = 'erase_confirm'", [bob.id]
        ).fetchone() or [None]
    together = asyncio.Barrier(8)

    async def naively() -> bool:
        """The control: looked at, then used, and nobody waits for the other."""
        async with world.database.begin_system("a test") as tx:
            mine = "from identity.verification_tokens where user_id = %s and purpose = 'erase_confirm'"
            used = await db.value(tx, f"select used_at {mine}", bob.id)  # type: ignore[arg-type]
            await together.wait()
            await db.run(tx, "update identity.verification_tokens set used_at = now() where id = %s", token_id)
            return used is None

    assert sum(await asyncio.gather(*(naively() for _ in range(8)))) > 1


async def test_whoever_asks_for_copies_at_once_gets_one(
    world: World, house: doors.House, noon: datetime, at: Clock
) -> None:
    alice = await world.player("alice", noon)
    asked = await asyncio.gather(*(doors.ask_for_export(house, user_id=alice.id, now=noon) for _ in range(8)))
    assert len({one.id for one in asked}) == 1
    assert await world.count("select count(*) from identity.privacy_requests") == 1
