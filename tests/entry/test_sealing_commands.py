"""`palio ledger seal`, `palio verify …`, `palio keys seal` and `palio doctor`: what an operator sees of seals."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from palio import ledger
from palio.infra import embedded, keyring, seals
from palio.infra.anchors import Anchors
from palio.infra.db import Database, Equipment
from palio.kernel import clock
from tests.entry.conftest import Command
from tests.factories.ledger import Superuser, new_wallet, pay, settled
from tests.factories.seals import SYSTEM, act


@pytest.fixture(scope="module")
async def database(commands_dsn: str) -> AsyncIterator[Database]:
    database = Database(commands_dsn)
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()


@pytest.fixture
def superuser(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Superuser]:  # type: ignore[misc]
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as conn:
        yield Superuser(conn)


@pytest.fixture
async def ring(deployment: Path, database: Database, superuser: Superuser, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The keyring of a deployment in which one transfer was posted and nothing is sealed."""
    for statement in (
        *("delete from ledger.seal_leaves", "delete from ledger.seals", "delete from infra.seal_leaves"),
        *("delete from infra.seals", "delete from ledger.entries", "delete from ledger.transfers"),
        *("delete from ledger.keys", "delete from ledger.balances", "delete from ledger.accounts"),
    ):
        superuser.tamper(statement)  # type: ignore[arg-type]
    path = deployment / "ring.json"
    keyring.load_or_make(path)
    monkeypatch.setenv("PALIO_KEYRING_FILE", str(path))
    async with database.begin(SYSTEM) as tx:
        await ledger.post(tx, pay("one", new_wallet(), 5), now=clock.now())
    await settled(database)
    return path


def lose_sealing_keys(ring: Path) -> None:
    kept = json.loads(ring.read_text())
    kept.pop("sealing")
    ring.write_text(json.dumps(kept))


def sealed(command: Command) -> str:
    """The head of the seal that is made."""
    told = command("ledger", "seal", "--json")
    assert told.status == 0, told.err
    return str(told.answer["seals"][0]["head"])


def test_transfers_are_sealed_and_anchored(command: Command, ring: Path, deployment: Path) -> None:
    told = command("ledger", "seal")
    assert told.status == 0
    assert told.out.startswith("Seal 1: 1 transfers, head ")
    (anchors,) = (deployment / "anchors").iterdir()
    assert told.out.strip().endswith(json.loads(anchors.read_text())["head"])
    assert command("ledger", "seal").out == "Nothing was to be sealed.\n"

    verified = command("verify", "ledger")
    sizes = "transfers 1, entries 2, accounts 2; seals 1 over 1 rows, 0 not sealed yet, anchored up to 1"
    assert (verified.status, verified.out) == (0, f"Sound: {sizes}.\n")
    assert command("verify", "anchors").out == "Sound: audit up to seal 0, ledger up to seal 1.\n"
    assert command("verify", "audit").status == 0


def test_everything_is_verified_in_one_go(
    command: Command, ring: Path, database: Database, superuser: Superuser
) -> None:
    """Whatever one check finds, the others are done; what is broken is worse than what is behind its anchors."""
    sealed(command)
    told, as_json = command("verify", "all"), command("verify", "all", "--json")
    assert (told.status, as_json.status) == (0, 0)
    assert [line.partition(": ")[0] for line in told.out.splitlines()] == [
        *("ledger", "audit", "anchors", "boards", "Sound.")
    ]
    assert [as_json.answer[name]["status"] for name in ("ledger", "audit", "anchors", "boards")] == [0, 0, 0, 0]
    assert as_json.answer["boards"]["competitions"] == 0

    superuser.tamper("update ledger.transfers set kind = 'ledger.gift'")
    told, as_json = command("verify", "all"), command("verify", "all", "--json")
    assert (told.status, as_json.status, as_json.answer["sound"]) == (1, 1, False)
    assert told.out.splitlines()[0].startswith("ledger: changed  transfer ")
    assert told.out.splitlines()[-1] == "Broken."
    assert [as_json.answer[name]["status"] for name in ("ledger", "audit", "anchors")] == [1, 0, 0]

    superuser.tamper("update ledger.transfers set kind = 'ledger.transfer'")
    superuser.tamper("delete from ledger.seal_leaves")
    superuser.tamper("delete from ledger.seals")
    told = command("verify", "all")
    assert (told.status, told.out.splitlines()[-1]) == (2, "Behind its anchors.")


def test_a_transfer_that_was_altered_is_named(
    command: Command, ring: Path, database: Database, superuser: Superuser
) -> None:
    sealed(command)
    ((number,),) = superuser.ask("select id from ledger.transfers")
    superuser.tamper("update ledger.transfers set kind = 'ledger.gift'")
    told, as_json = command("verify", "ledger"), command("verify", "ledger", "--json")
    assert (told.status, as_json.status) == (1, 1)
    ((partition,),) = superuser.ask("select tableoid::regclass::text from ledger.transfers")
    assert told.out.splitlines()[0] == f"changed  transfer {number} of seal 1 in {partition}: row 1 of 1 of seal 1"
    assert as_json.answer["seals"]["flaws"][0]["row"] == str(number)
    assert command("verify", "ledger", "--to", "2026-01-01T00:00:00Z").status == 0, "it was sealed later"


@pytest.fixture
async def audited(ring: Path, deployment: Path, database: Database) -> AsyncIterator[None]:
    """Twelve acts of the house, of which each has a seal of its own."""
    database.equipment = Equipment(keyring=keyring.load(ring), anchors=Anchors(deployment / "anchors"))
    for number in range(12):
        await act(database, f"door {number}", {"open": (number, number + 1)})
        await settled(database)
        assert not await seals.keep(database, seals.AUDIT)
    yield
    database.equipment = Equipment()


WHERE = "select id, tableoid::regclass::text from infra.audit_rows where entity_id = 'door 5'"
CHANGE = """update infra.audit_rows set changes = replace(changes::text, %s, %s)::jsonb where entity_id = 'door 5'"""


def test_an_audit_row_of_which_a_byte_was_changed_is_named_with_its_partition(
    command: Command, audited: None, superuser: Superuser
) -> None:
    """Acceptance 5 of security."""
    ((number, partition),) = superuser.ask(WHERE)
    superuser.tamper(CHANGE, "6", "7")
    told = command("verify", "audit")
    ((n,),) = superuser.ask("select n from infra.seals where %s between first_id and last_id", number)
    superuser.tamper(CHANGE, "7", "6")

    assert told.status == 1
    assert told.out.splitlines()[0].startswith(f"changed  audit row {number} of seal {n} in {partition}: ")
    assert command("verify", "audit").status == 0


def test_the_first_head_is_named_of_ten_seals_that_are_gone_with_their_rows(
    command: Command, audited: None, superuser: Superuser
) -> None:
    """Acceptance 6 of security."""
    heads = superuser.ask("select n, encode(head, 'hex') from infra.seals order by n")
    (first, head), last = heads[-10], heads[-1][0]
    for statement in (
        "delete from infra.audit_rows where id >= (select first_id from infra.seals where n = %s)",
        "delete from infra.seal_leaves where n >= %s",
        "delete from infra.seals where n >= %s",
    ):
        superuser.tamper(statement, first)  # type: ignore[arg-type]
    told = command("verify", "audit")

    assert told.status == 2
    assert told.out.splitlines()[:2] == [
        f"The anchors know seal {last}, and the database does not have it: it was restored, or cut off.",
        f"The first that it lacks is seal {first}, of the head {head}.",
    ]


def test_a_restore_is_told_from_what_is_broken_and_acknowledged(
    command: Command, ring: Path, superuser: Superuser
) -> None:
    sealed(command)
    superuser.tamper("delete from ledger.seal_leaves")
    superuser.tamper("delete from ledger.seals")

    told = command("verify", "ledger")
    assert told.status == 2
    assert told.out.splitlines()[0].startswith("The anchors know seal 1, and the database does not have it")
    assert command("ledger", "seal").status == 1
    doctor = {finding["id"] for finding in command("doctor", "--json").answer}
    assert "seal.anchors_ahead" in doctor

    assert command("verify", "anchors", "--acknowledge", "a disk died").status == 0
    assert superuser.ask("select count(*) from infra.clusters where why like 'a disk died%%'") == [(1,)]
    acts = superuser.ask("select changes from infra.audit_rows where action = 'database.acknowledge'")
    assert acts == [({"last_seal": [1, 0]},)]
    sealed(command)
    assert command("verify", "ledger").status == 0


def test_without_a_key_doctor_is_red_until_there_is_one(
    command: Command, ring: Path, database: Database, superuser: Superuser
) -> None:
    lose_sealing_keys(ring)
    refused = command("ledger", "seal", "--json")
    assert (refused.status, refused.answer["code"]) == (69, "seal.key_missing")
    findings = command("doctor", "--json")
    assert (findings.status, "seal.no_key" in {finding["id"] for finding in findings.answer}) == (2, True)

    assert command("keys", "seal", "--reason", "lost", "--json").answer["key"] == 1
    sealed(command)
    assert "seal.no_key" not in {finding["id"] for finding in command("doctor", "--json").answer}
    assert command("keys", "seal", "--reason", "a new one", "--json").answer["key"] == 2
    assert keyring.load(ring).sealing.keys() == {1, 2}

    lose_sealing_keys(ring)
    number = command("keys", "seal", "--reason", "lost again", "--json").answer["key"]
    assert number == 2, "never a number that has signed"


def test_doctor_says_that_sealing_is_late(command: Command, ring: Path, superuser: Superuser) -> None:
    assert "seal.late" not in {finding["id"] for finding in command("doctor", "--json").answer}
    superuser.tamper("update ledger.transfers set posted_at = posted_at - interval '6 minutes'")
    found = [finding for finding in command("doctor", "--json").answer if finding["id"] == "seal.late"]
    assert [finding["severity"] for finding in found] == ["error"]
    assert "ledger" in found[0]["what"]
