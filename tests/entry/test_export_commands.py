"""`palio export` and `palio export-maker`: a file at the terminal, and who took a marked row out of the house."""

import asyncio
import csv
import hashlib
import io
import json
from datetime import timedelta
from pathlib import Path

import pytest

from palio.infra import audit, keyring
from palio.infra.db import Database
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.entry.conftest import Command

NOOR = UserId(new_id())
WINDOW = [
    *("--filter", f"since={(clock.now() - timedelta(days=1)).isoformat()}"),
    *("--filter", f"until={(clock.now() + timedelta(days=1)).isoformat()}"),
]


async def act(database: Database, count: int) -> None:
    async with database.begin(Actor("staff", NOOR, RequestId(new_id()))) as tx:
        for n in range(count):
            await audit.record(
                tx, actor=tx.actor, action="thing.do", entity_type="thing", entity_id=str(n), changes={}, reason="=1+1"
            )


async def test_a_file_is_written_with_its_digest_and_audited(
    command: Command, database: Database, tmp_path: Path
) -> None:
    await act(database, 3)
    out = tmp_path / "acts.csv"
    words = ("export", "audit", *WINDOW, "--filter", "action=thing.do", "--fields", "entity_id,reason")
    done = await asyncio.to_thread(command, *words, "--out", str(out), "--reason", "for the auditor", "--json")
    async with database.begin_system("a test") as tx:
        wanted = audit.Wanted(clock.now() - timedelta(days=1), clock.now() + timedelta(days=1), action="export.ready")
        (row,) = await audit.search(tx, wanted=wanted, part=audit.Part(5))

    assert (done.status, done.answer["rows"]) == (0, 3)
    assert out.read_bytes() == b"entity_id,reason\r\n0,'=1+1\r\n1,'=1+1\r\n2,'=1+1\r\n"
    assert done.answer["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert (row.via, row.changes["rows"]) == ("cli", [None, 3]) and "for the auditor" in row.reason


async def test_a_row_found_outside_names_its_export(
    command: Command, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring.load_or_make(tmp_path / "keyring.json")
    monkeypatch.setenv("PALIO_KEYRING_FILE", str(tmp_path / "keyring.json"))
    await act(database, 1)
    out = tmp_path / "acts.csv"
    words = ("export", "audit", *WINDOW, "--filter", "action=thing.do", "--fields", "id,at,actor", "--out", str(out))
    await asyncio.to_thread(command, *words, "--reason", "for the auditor")
    row = next(csv.DictReader(io.StringIO(out.read_text(), newline="")))
    key = f"{row['at']},{row['id']}"
    found = await asyncio.to_thread(command, "export-maker", row["export_ref"], "--row", key, "--json")
    stranger = await asyncio.to_thread(command, "export-maker", "0" * 20, "--row", key, "--json")

    assert found.status == 0 and "for the auditor" in json.dumps(found.answer)
    assert (stranger.status, stranger.answer["code"]) == (1, "not_found")


def test_what_is_not_declared_is_refused(command: Command, tmp_path: Path) -> None:
    out = str(tmp_path / "x")
    (tmp_path / "x").write_text("as before")
    unknown = command("export", "secrets", "--out", out, "--json")
    odd = command("export", "audit", *WINDOW, "--filter", "ip=::1", "--out", out, "--json")
    misspelt = command("export", "audit", "--filter", "action", "--out", out)

    assert (unknown.status, unknown.answer["code"]) == (1, "export.resource_unknown")
    assert (odd.status, odd.answer["code"]) == (1, "export.filter_unknown")
    assert misspelt.status == 64
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir() if one.is_file()] == [("x", "as before")]
