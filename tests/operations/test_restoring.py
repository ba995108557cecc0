"""A dump that is loaded into another server: whoever writes first succeeds, and what was done before stays done."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from palio import ledger
from palio.infra import clusters, embedded, roles
from palio.infra.db import Database
from palio.infra.embedded import programs
from palio.infra.external import UnfitServerError
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from tests.factories.ledger import HOUSE, Payment, codes, fan_out, new_wallet, settled
from tests.factories.programs import SYSTEM, TRANSFERS, Bank, furnish, program
from tests.factories.seals import check, equipment


@pytest.fixture
def other() -> Iterator[embedded.Cluster]:
    """A server of which nothing is known, with the roles of an operator who has set it up."""
    home = Path(tempfile.mkdtemp(prefix="palio-test-"))
    home.chmod(0o711)  # as root the server is another account, which must pass through
    with embedded.running(home, unsafe_fast=True) as cluster:
        roles.make(cluster.dsn(), cluster.passwords)
        yield cluster
    shutil.rmtree(home)


def load(cluster: embedded.Cluster, name: str, other: embedded.Cluster) -> None:
    """Have pg_dump write the database, and psql read it there, with every owner, right and sequence."""
    folder = programs.find(cluster.home, pwd.getpwuid(os.geteuid()))
    plain = {**os.environ, "LC_ALL": "C"}
    told = subprocess.run(
        [folder / "pg_dump", cluster.dsn("postgres", name)], check=True, capture_output=True, env=plain
    )
    subprocess.run(
        [folder / "psql", "-q", "-v", "ON_ERROR_STOP=1", other.dsn("postgres", roles.DATABASE)],
        check=True,
        capture_output=True,
        input=told.stdout,
        env=plain,
    )


def move(wallet: str, amount: int) -> dict[str, object]:
    legs = [{"account": place, "asset": "COIN", "amount": n} for place, n in ((wallet, amount), (HOUSE, -amount))]
    return {"kind": "ledger.transfer", "legs": legs}


async def test_keys_are_known_and_the_first_writes_succeed(
    cluster: embedded.Cluster, database_name: str, database: Database, other: embedded.Cluster
) -> None:
    """Transfers on both ways, a payment to many, a new program with its token, a seal: each at the first try."""
    wallet, key = new_wallet(), {"idempotency-key": str(new_id())}
    await furnish(database)
    _, token = await program(database)
    async with Bank(database).talk(token) as client:
        first = await client.post(TRANSFERS, json=move(wallet, 7), headers=key)
    await settled(database)
    database.equipment = equipment()
    async with database.begin(SYSTEM) as tx:
        assert await ledger.seal(tx, now=clock.now())
    load(cluster, database_name, other)

    there = Database(other.dsn("palio_app", roles.DATABASE))
    await there.pool.open(wait=True)
    async with there.begin(SYSTEM) as tx:
        with pytest.raises(UnfitServerError, match="palio db adopt"):
            await clusters.require_known(tx)
    assert clusters.adopt(other.dsn("palio_migrate", roles.DATABASE), why="a new machine")

    told = []
    for is_quick in (True, False):
        _, fresh = await program(there)
        bank = Bank(there, is_quick=is_quick, key=new_id().bytes * 2)
        async with bank.talk(token) as client, bank.talk(fresh) as newcomer:
            again = await client.post(TRANSFERS, json=move(wallet, 7), headers=key)
            changed = await client.post(TRANSFERS, json=move(wallet, 8), headers=key)
            new = await newcomer.post(TRANSFERS, json=move(wallet, 5), headers=key)
        told.append(((again.status_code, again.content), changed.status_code, new.status_code))
        assert (again.headers["idempotency-replayed"], "idempotency-replayed" in new.headers) == ("true", False)
    async with there.begin(SYSTEM) as tx:
        rows = [Payment(f"prize:{n}", UserId(new_id()), 3) for n in range(3)]
        paid = codes(await fan_out(tx, rows, now=clock.now()))
        balance = await ledger.balance(tx, address=wallet, asset="COIN")
    await settled(there)
    there.equipment = equipment()
    async with there.begin(SYSTEM) as tx:
        sealed = await ledger.seal(tx, now=clock.now())
        is_sound = (await ledger.verify(tx)).is_sound
    found = await check(there, ledger.CHAIN)
    await there.pool.close()

    assert told == [((201, first.content), 422, 201)] * 2
    assert (paid, balance, is_sound) == (["posted"] * 3, 17, True)
    assert sealed and (sealed.n, sealed.rows, found.status, found.unsealed) == (2, 5, 0, 0)
