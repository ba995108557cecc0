"""`palio keys rotate|status|reencrypt|drop`: an operator replaces the key that data keys are wrapped with."""

import json
from pathlib import Path

import psycopg
import pytest

from palio.infra import crypto, embedded, jobs, keyring
from palio.infra.db import Database, Equipment
from palio.kernel.ids import new_id
from tests.entry.conftest import Command
from tests.factories.seals import SYSTEM


@pytest.fixture
async def ring(deployment: Path, commands_dsn: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The keyring of a deployment that has sealed something."""
    path = deployment / "ring.json"
    monkeypatch.setenv("PALIO_KEYRING_FILE", str(path))
    database = Database(commands_dsn, equipment=Equipment(jobs.addresses({}), keyring=keyring.load_or_make(path)))
    await database.pool.open(wait=True)
    async with database.begin(SYSTEM) as tx:
        await tx.execute("update infra.data_keys set wrapped = null, destroyed_at = now() where destroyed_at is null")
        await crypto.seal(tx, "smith", crypto.Place("identity.emails", "address", SYSTEM.request_id))
    await database.close()
    return path


def test_a_key_is_rotated_and_the_old_one_dropped_once_nothing_is_under_it(
    command: Command, ring: Path, cluster: embedded.Cluster, database_name: str
) -> None:
    assert command("keys", "drop", "1", "--reason", "over").status == 1
    assert command("keys", "drop", "7", "--reason", "over").status == 78
    rotated = command("keys", "rotate", "--reason", "yearly", "--json")
    assert (rotated.status, rotated.answer["key"]) == (0, 2)
    done = command("keys", "reencrypt", "--json")
    assert done.status == 0
    held = {one["wrapping_key"]: (one["in_use"], one["retired"], one["empty"]) for one in done.answer["keys"]}
    assert held == {1: (0, 0, 1), 2: (1, 0, 0)}
    refused = command("keys", "drop", "1", "--reason", "rotated", "--json")
    assert (refused.status, refused.answer["code"], refused.answer["facts"]["data_keys"]) == (1, "crypto.key_needed", 1)
    assert "1" in json.loads(ring.read_text())["wrapping"]

    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as server:
        server.execute("update infra.data_keys set emptied_at = emptied_at - interval '1 hour'")
    assert command("keys", "reencrypt").status == 0
    assert command("keys", "drop", "1", "--reason", "rotated", "--dry-run").status == 0
    assert "1" in json.loads(ring.read_text())["wrapping"]
    assert command("keys", "drop", "1", "--reason", "rotated").status == 0
    assert list(json.loads(ring.read_text())["wrapping"]) == ["2"]
    assert "wrapping key" in command("keys", "status").out


def test_a_misplaced_value_is_named_and_keeps_its_key(
    command: Command, ring: Path, cluster: embedded.Cluster, database_name: str
) -> None:
    row = new_id()
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as server:
        server.execute("truncate infra.misplaced_values")
        server.execute(
            """insert into identity.users (id, username, display_name, kind, status, locale, time_zone, board_name,
              created_at, activated_at)
            values (%s, 'robbed', 'R', 'person', 'active', 'en', 'UTC', 'full', now(), now())""",
            [row],
        )
        server.execute(
            """insert into identity.user_pii (user_id, full_name, created_at)
            select %s, '\\x01'::bytea || int8send(max(id)) || sha256(''), now() from infra.data_keys""",
            [row],
        )
    assert command("keys", "rotate", "--reason", "yearly").status == 0
    done = command("keys", "reencrypt", "--json")
    assert (done.status, [one["row_id"] for one in done.answer["misplaced"]]) == (1, [str(row)])
    held = {one["wrapping_key"]: (one["empty"], one["misplaced"]) for one in done.answer["keys"]}
    assert held == {1: (0, 1), 2: (0, 0)}
    listed = command("keys", "misplaced")
    assert listed.status == 1
    assert f"identity.user_pii  full_name  {row}" in listed.out
    assert command("keys", "drop", "1", "--reason", "over").status == 1

    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as server:
        server.execute("delete from identity.users where id = %s", [row])
    assert command("keys", "reencrypt").status == 0
    assert command("keys", "misplaced").status == 0


def test_a_pepper_is_staged_taken_up_followed_and_dropped(command: Command, ring: Path) -> None:
    assert keyring.load(ring).pepper_id is None
    staged = command("keys", "pepper", "--stage", "--reason", "two machines", "--json")
    assert (staged.answer["key"], keyring.load(ring).pepper_id) == (1, None)
    assert command("keys", "pepper", "--reason", "two machines", "--json").answer["key"] == 1
    assert keyring.load(ring).pepper_id == 1
    assert command("keys", "pepper", "--reason", "yearly", "--json").answer["key"] == 2
    assert command("keys", "drop-pepper", "2", "--reason", "over").status == 78
    assert command("keys", "drop-pepper", "7", "--reason", "over").status == 78
    assert command("keys", "drop-pepper", "1", "--reason", "over", "--dry-run").status == 0
    assert sorted(json.loads(ring.read_text())["pepper"]) == ["1", "2"]
    assert command("keys", "drop-pepper", "1", "--reason", "over").status == 0
    assert (list(json.loads(ring.read_text())["pepper"]), keyring.load(ring).pepper_id) == (["2"], 2)


def test_a_staged_key_is_not_used_until_the_next_call(command: Command, ring: Path) -> None:
    staged = command("keys", "rotate", "--stage", "--reason", "three machines", "--json")
    assert (staged.answer["key"], staged.answer["is_staged"]) == (2, True)
    assert keyring.load(ring).wrapping_id == 1
    assert command("keys", "rotate", "--reason", "three machines", "--json").answer["key"] == 2
    assert keyring.load(ring).wrapping_id == 2


def test_nothing_starts_with_a_keyring_that_lacks_a_key(command: Command, ring: Path) -> None:
    stored = json.loads(ring.read_text())
    stored["wrapping"] = {"9": stored["wrapping"]["1"]}
    ring.write_text(json.dumps(stored))
    told = command("keys", "status")
    assert told.status == 78
    assert "1" in told.err


def test_an_index_key_takes_over_and_the_earlier_one_is_dropped_once_nothing_is_found_by_it(
    command: Command, ring: Path, cluster: embedded.Cluster, database_name: str
) -> None:
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as server:
        server.execute("truncate identity.emails, identity.phones, identity.external_identities")
        server.execute(
            """insert into identity.exclusion_marks (mark_bidx, bidx_version, kind, created_at)
            values (sha256('gone'), 1, 'time_out', now())"""
        )
    staged = command("keys", "rotate-index", "--stage", "--reason", "three machines", "--json")
    assert (staged.status, staged.answer["key"], staged.answer["is_staged"]) == (0, 2, True)
    assert keyring.load(ring).staged_index == 2
    assert command("keys", "rotate-index", "--reason", "three machines", "--json").answer["key"] == 2
    assert keyring.load(ring).staged_index is None
    assert command("keys", "rotate-index", "--reason", "a third").status == 78

    assert command("keys", "index", "--json").answer == [{"version": 1, "part": "marks", "rows": 1}]
    refused = command("keys", "drop-index", "1", "--reason", "rotated", "--json")
    assert (refused.status, refused.answer["code"]) == (1, "identity.index_key_needed")
    assert refused.answer["facts"]["rows"] == {"marks": 1}
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as server:
        server.execute("truncate identity.exclusion_marks")
    assert command("keys", "drop-index", "2", "--reason", "rotated").status == 78
    assert command("keys", "drop-index", "1", "--reason", "rotated", "--dry-run").status == 0
    assert list(json.loads(ring.read_text())["index"]) == ["1", "2"]
    assert command("keys", "drop-index", "1", "--reason", "rotated").status == 0
    assert list(json.loads(ring.read_text())["index"]) == ["2"]
