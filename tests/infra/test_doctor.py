"""The doctor finds what a test broke, and nothing on a healthy deployment."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

import palio
from palio.identity.types import USERNAME_MAX
from palio.infra import doctor, embedded, migrate
from palio.infra.db import Tx
from palio.infra.doctor.partitions import Partition, end_of
from palio.infra.settings import Environment
from palio.kernel import clock
from palio.kernel.settings import Catalogue

MIGRATIONS = migrate.read_files(Path(palio.__file__).parent / "migrations")


@pytest.fixture
def known() -> doctor.Known:
    return doctor.Known(now=clock.now(), is_bundled=False, migrations=MIGRATIONS, settings=Catalogue([USERNAME_MAX]))


@pytest.fixture
async def admin(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Tx]:
    """A superuser's transaction that is undone: it breaks things, then looks with the eyes of the product."""
    async with await psycopg.AsyncConnection.connect(cluster.dsn("postgres", database_name)) as conn:
        await conn.execute("set local search_path = jobs")
        await conn.execute("delete from infra.partitions")  # nobody has prepared a month here
        await conn.execute("delete from infra.partition_parents")
        await conn.execute("delete from jobs.procrastinate_jobs")  # of other tests: nobody works here
        yield conn
        await conn.rollback()


async def ids(tx: Tx, known: doctor.Known) -> list[str]:
    await tx.execute("set local role palio_app")
    return [finding.id for finding in await doctor.examine_database(tx, known)]


async def test_a_healthy_database_has_no_findings(admin: Tx, known: doctor.Known) -> None:
    assert await ids(admin, known) == []


BREAKAGES = {
    "sealed.misplaced": """
        insert into infra.misplaced_values (table_name, column_name, row_id, data_key_id)
        values ('identity.emails', 'address', gen_random_uuid(), 7)
        """,
    "rls.not_forced": "alter table identity.users no force row level security",
    "triggers.disabled": "alter table identity.users disable trigger refuse_transition",
    "instances.dead": """
        insert into infra.instances (id, role, host, pid, version, schema_version, started_at, seen_at, draining)
        values (gen_random_uuid(), 'worker', 'here', 7, '0', 1, now(), now() - interval '31 s', false)
        """,
    "migrations.unknown": """
        insert into infra.migrations (number, phase, name, sha256, ms) values (9999, 'pre', 'tomorrow', ''::bytea, 1)
        """,
    "migrations.pending": "delete from infra.migrations where number = 4",
    "migrations.edited": "update infra.migrations set sha256 = ''::bytea where number = 4",
    "jobs.dead": """
        insert into jobs.procrastinate_jobs (queue_name, task_name, status) values ('default', 'a:b', 'failed')
        """,
    "queue.lag": """
        insert into jobs.procrastinate_jobs (queue_name, task_name, scheduled_at)
        values ('critical', 'a:b', now() - interval '61 s'), ('default', 'a:b', now() - interval '61 s')
        """,
    "indexes.invalid": """
        update pg_index set indisvalid = false where indexrelid = 'identity.users_username_prefix'::regclass
        """,
}


BREAKAGES |= {
    "grants.too_strong": "grant update on ledger.transfers to palio_app",
    "settings.unknown": """
        insert into infra.settings (key, description, type, version, value)
        values ('identity.of_yesterday', '', 'int', 1, '7')
        """,
    "settings.invalid": """
        insert into infra.settings (key, description, type, version, value)
        values ('identity.username_max', '', 'int', 1, '7')
        on conflict (key) do update set version = 1, value = '7'
        """,
}


@pytest.mark.parametrize(("finding", "breakage"), BREAKAGES.items(), ids=BREAKAGES.keys())
async def test_one_breakage_is_one_finding(admin: Tx, known: doctor.Known, finding: str, breakage: str) -> None:
    await admin.execute(breakage.encode())

    assert await ids(admin, known) == [finding]


async def test_a_clock_that_is_played_is_not_taken_for_a_wrong_one(admin: Tx, known: doctor.Known) -> None:
    clock.use(lambda: clock.real() + timedelta(days=7))
    try:
        assert "clock.skew" not in await ids(admin, known)
    finally:
        clock.use(clock.real)


async def test_a_strong_role_a_slow_clock_and_the_bundled_server_are_told(admin: Tx, known: doctor.Known) -> None:
    late = replace(known, clock=lambda: clock.now() - timedelta(seconds=3), is_bundled=True)

    found = await doctor.examine_database(admin, late)

    told = {finding.id: finding.what for finding in found}
    assert told.keys() == {"server.bundled", "roles.too_strong", "grants.too_strong", "clock.skew"}
    assert told["clock.skew"].startswith("The clocks of this machine and of the database differ by 3")
    assert doctor.exit_status(found) == 2


async def test_a_dead_instance_is_forgotten_by_its_fix(admin: Tx, known: doctor.Known) -> None:
    await admin.execute(BREAKAGES["instances.dead"].encode())
    await admin.execute("set local role palio_app")
    (finding,) = await doctor.examine_database(admin, known)

    assert finding.fix is not None
    await finding.fix(admin)

    assert await doctor.examine_database(admin, known) == []


PARENTED = "insert into infra.partition_parents (parent, period, bound) values ('partly.rows', 'month', '{bound}')"
PARENTS = {  # a table whose last partition ends with February, for each kind of bound
    "instant": """
        create table partly.rows (at timestamptz not null) partition by range (at);
        create table partly.rows_1 partition of partly.rows for values from ('2026-02-01Z') to ('2026-03-01Z')
        """,
    "date": """
        create table partly.rows (at date not null) partition by range (at);
        create table partly.rows_1 partition of partly.rows for values from ('2026-02-01') to ('2026-03-01')
        """,
    "uuid7": """
        create table partly.rows (id uuid not null) partition by range (id);
        create table partly.rows_1 partition of partly.rows
          for values from ('019c167f-cc00-7000-8000-000000000000') to ('019ca6b1-dc00-7000-8000-000000000000')
        """,
}


@pytest.mark.parametrize(("bound", "table"), PARENTS.items(), ids=PARENTS.keys())
async def test_partitions_that_end_are_an_error_and_short_ones_a_warning(
    admin: Tx, known: doctor.Known, bound: str, table: str
) -> None:
    await admin.execute("create schema partly")
    await admin.execute(table.encode())
    await admin.execute("create table partly.rest partition of partly.rows default")
    await admin.execute(PARENTED.format(bound=bound).encode())
    march = datetime(2026, 3, 1, tzinfo=UTC)

    seen = {}
    for days_before in (31, 29, 0):
        found = await doctor.examine_database(admin, replace(known, now=march - timedelta(days=days_before)))
        seen[days_before] = [finding.severity for finding in found if finding.id == "partitions.missing"]

    assert seen == {31: [], 29: ["warning"], 0: ["error"]}


async def test_tables_that_nobody_prepared_are_one_finding(admin: Tx, known: doctor.Known) -> None:
    for name in ("first", "second"):
        await admin.execute(f"create table infra.{name} (at timestamptz) partition by range (at)")
        await admin.execute(f"create table infra.{name}_default partition of infra.{name} default")
        await admin.execute("insert into infra.partition_parents values (%s, 'month', 'instant')", [f"infra.{name}"])
    await admin.execute("set local role palio_app")

    found = {finding.id: finding for finding in await doctor.examine_database(admin, known)}

    finding = found["partitions.none"]  # others may have left rows in a default partition
    assert finding.severity == "warning"
    assert "infra.first, infra.second" in finding.what


def test_an_id_ends_a_partition_at_its_milliseconds() -> None:
    expression = "FOR VALUES FROM (MINVALUE) TO ('019ca6b1-dc00-7000-8000-000000000000')"
    part = Partition("a.b", "month", "uuid7", "a.b_1", is_default=False, expression=expression, live=0)

    assert end_of(part).isoformat() == "2026-03-01T00:00:00+00:00"


def test_secrets_are_for_us_alone_and_the_fix_closes_them(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir(mode=0o755)
    (secrets / "pg.json").write_text("{}")
    (secrets / "pg.json").chmod(0o644)
    secrets.chmod(0o755)

    found = [f for f in doctor.examine_host(Environment(data=tmp_path, public_url="https://palio.example/")) if f.fix]

    assert [finding.id for finding in found] == ["files.open", "files.open"]
    assert [finding.severity for finding in found] == ["error", "error"]


def test_a_misspelt_variable_is_named_with_the_nearest_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALIO_BINDD", "1")

    found = doctor.examine_host(Environment(data=tmp_path, public_url="https://palio.example/"))

    (finding,) = [finding for finding in found if finding.id == "settings.unknown_variable"]
    assert finding.remedy == "Did you mean PALIO_BIND?"


@pytest.mark.parametrize(
    ("bind", "public_url", "severities"),
    [
        ("127.0.0.1:8000", None, ["note"]),
        ("127.0.0.1:8000", "https://palio.example/", []),
        ("127.0.0.1:8000", "http://palio.example/", ["error"]),
        ("0.0.0.0:8000", None, ["error"]),
        ("0.0.0.0:8000", "https://palio.example/", []),
    ],
)
def test_plain_http_is_for_the_own_machine(
    tmp_path: Path, bind: str, public_url: str | None, severities: list[str]
) -> None:
    found = doctor.examine_host(Environment(data=tmp_path, bind=bind, public_url=public_url))

    assert [finding.severity for finding in found if finding.id == "url.plain_http"] == severities


def test_a_simulated_outside_is_told(tmp_path: Path) -> None:
    """Then feeds may lie inside, which no deployment for players may have."""
    for sim, expected in (("off", []), ("on", ["sim.on"])):
        found = doctor.examine_host(Environment(data=tmp_path, public_url="http://localhost", sim=sim))
        assert [finding.id for finding in found if finding.id.startswith("sim")] == expected
