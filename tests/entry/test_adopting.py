"""A database that was loaded into another server: refused until somebody adopts it, and then everything goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from palio import ledger
from palio.infra import clusters, embedded, keyring, seals
from palio.infra.db import Database
from palio.infra.external import UnfitServerError
from palio.kernel import clock
from palio.ledger import CHAIN
from tests.entry.conftest import Command
from tests.factories.ledger import Superuser, new_wallet, pay, settled
from tests.factories.seals import SYSTEM, check, equipment

OLD_NUMBERS = 10**9
ABOVE: tuple[LiteralString, ...] = (
    "select infra.tx_horizon() - pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
    "select infra.tx_id() - pg_current_xact_id()::text::bigint",
    "select (infra.tx_moment() + 65535) / 65536 - pg_snapshot_xmax(pg_current_snapshot())::text::bigint",
)
SET_OFFSET = "create or replace function infra.tx_offset() returns bigint language sql stable parallel safe return "


@pytest.fixture(scope="module")
def superuser(cluster: embedded.Cluster, database_name: str) -> Iterator[Superuser]:
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as conn:
        yield Superuser(conn)


async def post_and_seal(database: Database) -> seals.Seal | None:
    wallet = new_wallet()
    async with database.begin(SYSTEM) as tx:
        await ledger.post(tx, pay(wallet, wallet, 5), now=clock.now())
    await settled(database)
    async with database.begin(SYSTEM) as tx:
        return await ledger.seal(tx, now=clock.now())


@pytest.fixture
async def moved(database: Database, superuser: Superuser) -> Database:
    """Sealed on a server that had seen a billion transactions, and loaded into one that has not."""
    database.equipment = equipment()
    superuser.run(SET_OFFSET + "1000000000")
    assert await post_and_seal(database)
    superuser.run(SET_OFFSET + "0")
    superuser.tamper("update infra.clusters set system_identifier = system_identifier + 1")
    return database


def test_a_statement_that_was_prepared_before_has_the_new_numbers(
    superuser: Superuser, cluster: embedded.Cluster, database_name: str
) -> None:
    """Connections stay open, and what their statements are made into is kept."""
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True, prepare_threshold=0) as conn:
        conn.execute("set plan_cache_mode = force_generic_plan")
        told = []
        for offset in (0, OLD_NUMBERS, 0):
            superuser.run_text(f"{SET_OFFSET}{offset}::bigint")
            told += [conn.execute(statement).fetchone() for statement in ABOVE]
    assert told == [(0,), (0,), (0,), (OLD_NUMBERS,), (OLD_NUMBERS,), (OLD_NUMBERS,), (0,), (0,), (0,)]


async def test_nobody_works_in_it_and_nothing_is_sealed(moved: Database) -> None:
    async with moved.begin(SYSTEM) as tx:
        with pytest.raises(UnfitServerError, match="palio db adopt"):
            await clusters.require_known(tx)
        assert await ledger.seal(tx, now=clock.now()) is None


async def test_once_it_is_adopted_numbers_and_seals_go_on(
    moved: Database, superuser: Superuser, cluster: embedded.Cluster, database_name: str
) -> None:
    dsn = cluster.dsn("palio_migrate", database_name)
    offset = clusters.adopt(dsn, why="a new machine")
    assert offset
    assert offset > OLD_NUMBERS
    assert clusters.adopt(dsn, why="again") is None
    async with moved.begin(SYSTEM) as tx:
        await clusters.require_known(tx)

    second = await post_and_seal(moved)

    assert second
    assert second.rows == 1
    found = await check(moved, CHAIN)
    assert (found.status, found.unsealed) == (0, 0)
    rows = superuser.ask("select tx_offset, why from infra.clusters order by no desc limit 1")
    assert rows == [(offset, "a new machine")]
    acts = superuser.ask(
        "select changes, reason, tx_id > %s from infra.audit_rows where action = 'database.adopt'", offset
    )
    assert acts == [({"tx_offset": [None, offset]}, "a new machine", True)]


@pytest.fixture
def moved_deployment(
    deployment: Path, cluster: embedded.Cluster, superuser: Superuser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same as an operator has it, who also has the passwords of the roles."""
    monkeypatch.setenv("PALIO_KEYRING_FILE", str(deployment / "ring.json"))
    keyring.load_or_make(deployment / "ring.json")
    (deployment / "secrets").mkdir()
    (deployment / "secrets/pg.json").write_text(cluster.passwords.read_text())
    superuser.tamper("update infra.clusters set system_identifier = system_identifier + 1")


def test_commands_end_with_78_until_it_is_adopted(command: Command, moved_deployment: None) -> None:
    refused = command("verify", "ledger", "--json")
    assert (refused.status, refused.answer["code"]) == (78, "db.unfit")
    assert "palio db adopt --reason" in refused.answer["detail"]

    adopted = command("db", "adopt", "--reason", "moved")
    assert (adopted.status, adopted.out[:44]) == (0, "The database is at home here now; its transa"), adopted.err
    assert command("verify", "audit", "--json").status == 0
    assert command("db", "adopt", "--reason", "moved").out.endswith("nothing was changed.\n")
    assert command("db", "adopt", "--reason", "moved", "--json").answer == {"adopted": False, "above": None}
