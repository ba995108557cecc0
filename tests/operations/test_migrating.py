"""Migrations against databases of their own: what is applied, what is refused, and who is named."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

import palio
from palio.infra import embedded, migrate
from palio.infra.migrate import BusyError, MigrationError, NewerError, NotAllowedError, Patience
from tests.entry.conftest import run
from tests.operations.processes import Deployment

HASTY = Patience(lock_seconds=1, tries_max=2, pause_seconds=0.05)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two releases: a table, then a column, and a post file that takes the old one away."""
    (tmp_path / "0001_first.sql").write_text("create schema first; create table first.things (id int, old int);")
    (tmp_path / "0002_second.sql").write_text("alter table first.things add new int;")
    (tmp_path / "0002_second.post.sql").write_text("alter table first.things drop old;")
    return tmp_path


@pytest.fixture
def name(cluster: embedded.Cluster) -> Iterator[str]:
    """An empty database with the rights of ours."""
    name = f"palio_{uuid4().hex[:8]}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(f"create database {name} template template0")
        conn.execute(f"grant create, connect on database {name} to palio_owner, palio_ledger")
        yield name
        conn.execute(f"drop database {name} (force)")


@pytest.fixture
def dsn(cluster: embedded.Cluster, name: str) -> str:
    return cluster.dsn("palio_migrate", name)


def applied(dsn: str) -> list[tuple[int, str]]:
    with psycopg.connect(dsn) as conn:
        return conn.execute("select number, phase from infra.migrations order by number, phase desc").fetchall()


def test_files_are_applied_in_order_once_and_told(dsn: str, folder: Path) -> None:
    told: list[str] = []

    first = migrate.migrate(dsn, folder, tell=lambda file: told.append(file.file_name))
    second = migrate.migrate(dsn, folder, tell=lambda file: told.append(file.file_name))

    assert told == ["0001_first.sql", "0002_second.sql", "0002_second.post.sql"]
    assert ([file.file_name for file in first.pending], second.pending) == (told, [])
    assert applied(dsn) == [(1, "pre"), (2, "pre"), (2, "post")]


def test_a_plan_changes_nothing_and_a_number_bounds_it(dsn: str, folder: Path) -> None:
    assert [file.file_name for file in migrate.planned(dsn, folder, to=1).pending] == ["0001_first.sql"]
    with psycopg.connect(dsn) as conn:
        assert conn.execute("select to_regclass('infra.migrations')").fetchone() == (None,)

    migrate.migrate(dsn, folder, to=1)

    assert applied(dsn) == [(1, "pre")]


def test_an_edited_file_is_refused(dsn: str, folder: Path) -> None:
    migrate.migrate(dsn, folder)
    (folder / "0001_first.sql").write_text("create schema first;")

    with pytest.raises(MigrationError) as refused:
        migrate.migrate(dsn, folder)

    assert (refused.value.code, refused.value.status) == ("migrate.changed", 1)
    assert str(refused.value) == "0001_first.sql was changed after it ran: restore it and write a new one"


def test_an_older_program_runs_beside_later_pre_files_but_not_post_files(dsn: str, folder: Path) -> None:
    migrate.migrate(dsn, folder)
    (folder / "0002_second.post.sql").unlink()

    with pytest.raises(NewerError, match="it has migration 0002"):
        migrate.planned(dsn, folder)

    with psycopg.connect(dsn) as conn:
        conn.execute("delete from infra.migrations where phase = 'post'")
    (folder / "0002_second.sql").unlink()
    assert migrate.planned(dsn, folder) == migrate.Plan([], [])


def test_post_files_wait_until_every_live_instance_knows_them(dsn: str, folder: Path) -> None:
    migrate.migrate(dsn, folder, to=1)
    with psycopg.connect(dsn) as conn:
        conn.execute("create table infra.instances (schema_version int, seen_at timestamptz)")
        conn.execute("insert into infra.instances values (1, now()), (2, now()), (1, now() - interval '31 seconds')")

    done = migrate.migrate(dsn, folder)

    assert [file.file_name for file in done.pending] == ["0002_second.sql"]
    assert [file.file_name for file in done.waiting] == ["0002_second.post.sql"]
    with psycopg.connect(dsn) as conn:
        conn.execute("update infra.instances set schema_version = 2 where seen_at > now() - interval '30 seconds'")
    assert [file.file_name for file in migrate.migrate(dsn, folder).pending] == ["0002_second.post.sql"]


def test_whoever_blocks_a_file_is_named_and_nothing_is_changed(dsn: str, folder: Path) -> None:
    migrate.migrate(dsn, folder, to=1)
    with psycopg.connect(dsn) as blocker:
        blocker.execute("lock table first.things in access exclusive mode")

        with pytest.raises(BusyError) as busy:
            migrate.migrate(dsn, folder, patience=HASTY)

        pid = blocker.info.backend_pid
    assert (busy.value.code, busy.value.status) == ("migrate.busy", os.EX_TEMPFAIL)
    assert f"0002_second.sql waits for pid {pid} (palio_migrate): lock table first.things" in str(busy.value)
    assert applied(dsn) == [(1, "pre")]


def test_a_role_without_the_right_is_told_who_has_it(cluster: embedded.Cluster, name: str, folder: Path) -> None:
    """Nothing is begun: the history is not even made."""
    with pytest.raises(NotAllowedError, match="3 migrations are to be applied, and palio_app is no member of palio_o"):
        migrate.migrate(cluster.dsn("palio_app", name), folder)


def test_a_locked_history_is_busy_and_not_waited_for_without_end(dsn: str, folder: Path) -> None:
    migrate.migrate(dsn, folder, to=1)
    with psycopg.connect(dsn) as blocker:
        blocker.execute("lock table infra.migrations in access exclusive mode")

        with pytest.raises(BusyError, match="the history of migrations is locked"):
            migrate.migrate(dsn, folder, patience=HASTY)


@pytest.mark.parametrize(
    ("stray", "said"), [("0004_gap.sql", "gap or a double"), ("3_short.sql", "expected a name like 0007_add_orders")]
)
def test_files_that_cannot_be_a_history_are_refused(folder: Path, stray: str, said: str) -> None:
    (folder / stray).write_text("select 1;")

    with pytest.raises(MigrationError, match=said):
        migrate.read_files(folder)


def test_the_command_ends_with_1_when_an_applied_file_was_edited(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an operator sees it, with the program's own files."""
    copy = deployment.home.parent / "copy"
    shutil.copytree(Path(palio.__file__).parent, copy / "palio", ignore=shutil.ignore_patterns("static", "__pycache__"))
    paths = [str(copy), *(path for path in sys.path if path.endswith("site-packages"))]
    settings = {"PYTHONPATH": os.pathsep.join(paths)}
    monkeypatch.setenv("PALIO_DATA", str(deployment.home))
    first = run("migrate", "--to", "1")
    assert (first.status, first.out) == (0, "applied: 0001_infra.sql\nwaiting: nothing\n")
    edited = next((copy / "palio/migrations").glob("0001_*.sql"))
    edited.write_text(edited.read_text() + "-- and one more line\n")

    process = deployment.run("migrate", **settings)

    assert process.wait() == 1
    assert "0001_infra.sql was changed after it ran" in process.errors
    assert "[migrate.changed]" in process.errors


@pytest.mark.nightly
def test_the_command_ends_with_75_while_somebody_holds_a_table(deployment: Deployment) -> None:
    """Five tries of four seconds, five seconds between them."""
    deployment.run("migrate", "--to", "2")
    with embedded.running(deployment.home) as cluster, psycopg.connect(cluster.dsn(database="palio")) as blocker:
        blocker.execute("lock table infra.partition_parents in access exclusive mode")
        process = deployment.start("migrate")

        assert process.wait(90) == os.EX_TEMPFAIL

        assert f"0003_ledger.sql waits for pid {blocker.info.backend_pid} (postgres): lock table" in process.errors
