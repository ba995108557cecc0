"""Personal data stays closed: whatever a person tells is planted, the product is driven, and every place is searched.

A canary must stand nowhere in clear, nor as base64, hexadecimal or UTF-16: not in a dump, not in the write-ahead log,
not in a log, not in the queue, not in a table that staff export, not in the stored files.
"""

import base64
import io
import os
import pwd
import subprocess
import zipfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import httpx2
import pytest

from palio import identity
from palio.entry import wiring
from palio.identity import doors, jobs, service
from palio.identity.messages import RunPrivacy
from palio.infra import embedded
from palio.infra.embedded import programs
from palio.infra.storage import Storage
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, new_id
from tests.factories.identity import World, secret_in
from tests.identity.test_web import OURS, application

# Words that no other test says: they share the log of the server and the write-ahead log.
PASSWORD = "Zq7-canary-password-Vx"
IP, AGENT = "192.0.2.187", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
NAME, BORN, REASON = "Zephyrine Quillfeather", date(1987, 10, 23), "zq-canary-reason-of-the-house"
EMAIL = "zephyrine.quillfeather@canary.example.com"


@pytest.fixture(scope="module")
async def world(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[World]:
    found = World(cluster, f"palio_canary_{worker_id}")
    await found.open()
    yield found
    await found.close()


@dataclass(frozen=True)
class Planted:
    """Everything personal that somebody told, by what it is."""

    words: dict[str, str]

    def forms(self) -> Iterator[tuple[str, bytes]]:
        """How each could be found: in clear, at any place within base64, hexadecimal, UTF-16."""
        for name, word in self.words.items():
            plain = word.encode()
            yield name, plain
            yield f"{name} in hexadecimal", plain.hex().encode()
            yield f"{name} in UTF-16", word.encode("utf-16-le")
            for shift in range(3):
                encoded = base64.b64encode(bytes(shift) + plain)
                start, cut = -(-shift * 8 // 6), len(plain) % 3 and 4
                yield f"{name} in base64", encoded[start + 1 : len(encoded) - cut - 1]

    def found_in(self, content: bytes) -> set[str]:
        return {name for name, form in self.forms() if len(form) > 6 and form in content}


def test_the_scan_finds_what_is_there() -> None:
    """The control: in each form, whatever stands before it."""
    planted = Planted({"name": NAME})
    for padding in (b"", b"x", b"xy", b"xyz"):
        for content in (
            padding + NAME.encode(),
            base64.b64encode(padding + NAME.encode()),
            (padding + NAME.encode()).hex().encode(),
            padding + NAME.encode("utf-16-le"),
        ):
            assert planted.found_in(b"before " + content + b" after")
    assert planted.found_in(b"nothing of that") == set()


async def drive(world: World, noon: datetime, folder: Path) -> Planted:
    """Everything somebody can tell of himself, and everything that is done with it."""
    await world.empty(noon)
    world.database.equipment = replace(
        world.equipment, storage=Storage(folder), personal=wiring.PERSONAL, sealed=wiring.SEALED_COLUMNS
    )
    transport = httpx2.ASGITransport(application(world), client=(IP, 4711))
    async with httpx2.AsyncClient(
        transport=transport, base_url="https://palio.test/api/v1", headers={**OURS, "user-agent": AGENT}
    ) as http:
        applied = {"username": "quill", "email": EMAIL, "password": PASSWORD, "full_name": NAME}
        assert (await http.post("/auth/register", json=applied)).status_code == 202
        (letter,) = await world.deliver()
        link = secret_in(letter)
        assert (await http.post("/auth/verify-email", json={"token": link})).status_code == 200
        assert (await http.post("/auth/login", json={"identifier": EMAIL, "password": "wrong " + NAME})).is_error
        assert (await http.post("/auth/login", json={"identifier": EMAIL, "password": PASSWORD})).is_success
        cookie = next(iter(http.cookies.values()))
        app = await http.post(
            "/auth/login",
            json={"identifier": EMAIL, "password": PASSWORD, "client": "app"},
            headers={"Palio-Device": "d" * 32},
        )
        tokens = app.json()["tokens"]
        assert (await http.post("/auth/step-up", json={"secret": PASSWORD})).is_success
        made = await http.post("/me/api-tokens", json={"name": "mine", "scopes": ["identity:read"], "days": 30})
        assert made.is_success, made.text
        api_token = made.json()["secret"]
        enrolment = (await http.post("/me/mfa/totp")).json()
        assert (await http.post("/me/consents", json={"document": "terms", "version": 1})).status_code == 404
        assert (await http.get("/me")).json()["email"] == EMAIL
        assert (await http.post("/auth/password/forgot", json={"email": EMAIL})).status_code == 202
        reset = secret_in((await world.deliver())[0])
    async with world.database.begin_system("a test") as tx:
        me = await identity.get(tx, name_or_id="quill")
        await service.accounts.say_once(tx, user_id=me.id, born=BORN, now=noon)
        by = (await identity.create(tx, username="warden", now=noon)).id
    async with world.database.begin(Actor("staff", by, RequestId(new_id()))) as tx:
        await service.play.exclude_for_house(tx, user_id=me.id, days=3, by=by, reason=REASON, now=clock.now())
    asked = await doors.ask_for_export(world.house, user_id=me.id, now=clock.now())
    for _ in range(len(wiring.PERSONAL) + 1):
        await jobs.run_privacy(world.database, RunPrivacy(asked.id))
    copy = await doors.fetch_export(world.house, user_id=me.id, request_id=asked.id, now=clock.now())
    told = b"".join(zipfile.ZipFile(io.BytesIO(copy)).read("identity.jsonl").splitlines())
    assert all(word.encode() in told for word in (EMAIL, NAME, BORN.isoformat(), IP)), "its owner has it in clear"
    return Planted(
        {
            "address": EMAIL,
            "local part": EMAIL.partition("@")[0],
            "full name": NAME,
            "birth date": BORN.isoformat(),
            "ip": IP,
            "password": PASSWORD,
            "mailed link": link,
            "reset link": reset,
            "cookie": cookie,
            "access token": tokens["access_token"],
            "refresh token": tokens["refresh_token"],
            "api token": api_token,
            "authenticator": enrolment["secret"],
            "reason of the house": REASON,
        }
    )


async def test_nothing_personal_stands_anywhere_in_the_clear(
    world: World, cluster: embedded.Cluster, noon: datetime, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "files"
    planted = await drive(world, noon, folder)
    places = {
        "dump": dump_of(cluster, world),
        "write-ahead log": b"".join(
            path.read_bytes() for path in sorted((cluster.data / "pg_wal").iterdir()) if path.is_file()
        ),
        "log of the server": cluster.log.read_bytes(),
        "log of the product": "".join(capfd.readouterr()).encode(),
        "stored files": b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file()),
    }
    said = {place: content for place, content in places.items() if place != "log of the product"}
    assert all(said.values()), "there is something to search; how much the product says, tests before have settled"
    assert {place: found for place, content in places.items() if (found := planted.found_in(content))} == {}


def dump_of(cluster: embedded.Cluster, world: World) -> bytes:
    """All of the database, the queue too, as pg_dump writes it."""
    program = programs.find(cluster.home, pwd.getpwuid(os.geteuid())) / "pg_dump"
    with world.superuser() as server:
        name = server.info.dbname
    done = subprocess.run(
        [program, cluster.dsn("postgres", name)], check=True, capture_output=True, env={**os.environ, "LC_ALL": "C"}
    )
    return done.stdout
