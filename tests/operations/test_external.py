"""A server that somebody else runs: here the test server, reached by an address as an operator writes it."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from psycopg import conninfo

from palio.infra import embedded, external, roles
from palio.infra.external import UnfitServerError
from tests.entry.conftest import run


@pytest.fixture
def spare(cluster: embedded.Cluster) -> Iterator[str]:
    """A database that is encoded wrongly, and a role that may too much."""
    name = f"spare_{uuid4().hex[:8]}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(f"create database {name} template template0 encoding 'SQL_ASCII' locale 'C' locale_provider libc")
        conn.execute(f"create role {name} login bypassrls password 'spare'")
        conn.execute(f"grant palio_owner to {name}")
        yield name
        conn.execute(f"drop database {name} (force)")
        conn.execute(f"drop role {name}")


def url_of(cluster: embedded.Cluster, user: str = "palio_app", password: str = "", database: str = "palio") -> str:
    login = f"{user}:{password}" if password else user
    return f"postgresql://{login}@/{database}?host={quote(str(cluster.socket))}&port={cluster.port}"


def test_passwords_that_we_made_are_filled_in(cluster: embedded.Cluster) -> None:
    found = external.addresses(url_of(cluster), None, cluster.passwords)

    assert external.require_fit(found).is_pooled is False
    assert conninfo.conninfo_to_dict(found.migrate)["user"] == "palio_migrate"
    with psycopg.connect(found.migrate) as conn:
        assert conn.execute("select current_user").fetchone() == ("palio_migrate",)


def test_every_reason_against_a_server_is_told_at_once(cluster: embedded.Cluster, spare: str) -> None:
    found = external.addresses(url_of(cluster, spare, "spare", spare), None, cluster.passwords)

    with pytest.raises(UnfitServerError) as refused:
        external.require_fit(found)

    assert str(refused.value).splitlines() == [
        "the database is encoded in SQL_ASCII: make one in UTF8, see `palio db roles --print`",
        f"{spare} bypasses row security, so that row security means nothing: use palio_app, see `palio db roles`",
        f"{spare} owns the tables, so that row security means nothing: use palio_app, see `palio db roles`",
    ]


def test_a_superuser_is_refused(cluster: embedded.Cluster) -> None:
    found = external.addresses(url_of(cluster, "postgres"), None, cluster.passwords)

    with pytest.raises(UnfitServerError, match="postgres is a superuser, so that row security means nothing"):
        external.require_fit(found)


def test_only_a_socket_or_this_machine_may_do_without_encryption() -> None:
    assert [external.is_local(host) for host in ("/run", "@palio", "localhost", "127.0.0.1", "::1", "")] == [True] * 6
    assert not external.is_local("db.example.com")


def test_an_address_nobody_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnfitServerError, match="the address of the database cannot be read"):
        external.addresses("postgresql://[", None, tmp_path / "none.json")


def test_roles_are_made_again_without_a_change_and_printed_without_a_password(cluster: embedded.Cluster) -> None:
    before = cluster.passwords.read_text()

    assert roles.make(cluster.dsn(), cluster.passwords) == []

    assert cluster.passwords.read_text() == before
    passwords = roles.ensure_passwords(cluster.passwords)
    script = "\n".join(roles.script(passwords))
    assert not any(password in script for password in passwords.values())
    with psycopg.connect(cluster.dsn()) as conn:
        found = conn.execute(
            "select rolname, rolcanlogin, rolsuper, rolbypassrls, rolinherit, rolreplication, rolconfig from pg_roles"
            " where rolname like 'palio\\_%' order by rolname"
        ).fetchall()
    idle, no_jit = "idle_in_transaction_session_timeout=10s", "jit=off"
    assert found == [
        ("palio_app", True, False, False, False, False, [no_jit, idle]),
        ("palio_backup", True, False, False, True, True, None),
        ("palio_dump", False, False, True, True, False, None),
        ("palio_ledger", False, False, False, True, False, None),
        ("palio_migrate", True, False, False, True, False, None),
        ("palio_owner", False, False, False, True, False, None),
        ("palio_read", True, False, False, False, False, [no_jit, idle, "default_transaction_read_only=on"]),
    ]


def test_an_unfit_server_ends_the_command_with_78(
    cluster: embedded.Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = roles.ensure_passwords(cluster.passwords)
    monkeypatch.setenv("PALIO_DATA", str(tmp_path))
    monkeypatch.setenv("PALIO_DATABASE_URL", url_of(cluster, "postgres", passwords["postgres"]))

    told = run("migrate")

    assert told.status == 78
    assert "postgres is a superuser" in told.err
    assert "[db.unfit]" in told.err
    assert passwords["postgres"] not in told.err
