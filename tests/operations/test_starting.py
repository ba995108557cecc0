"""`palio up` from nothing, as root and as an ordinary user, and what it refuses before it has changed anything."""

import signal
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psycopg
import pytest

from palio.infra import embedded
from tests.operations.processes import OURSELVES, Deployment, Process, deployed, until


@dataclass(frozen=True, slots=True)
class Begun:
    """A deployment that was started on an empty place, with what there was before."""

    deployment: Deployment
    process: Process
    modes: list[tuple[str, int, int, int]]
    accounts: bytes
    started: float


def modes(path: Path) -> list[tuple[str, int, int, int]]:
    found = [(folder, folder.stat()) for folder in path.parents]
    return [(str(folder), stat.S_IMODE(at.st_mode), at.st_uid, at.st_gid) for folder, at in found]


@pytest.fixture(scope="module")
def both(ordinary_user) -> Iterator[dict[str, Begun]]:
    """Two people start their deployments at the same time."""
    with ExitStack() as stack:
        people = {"ourselves": OURSELVES} | ({"ordinary": ordinary_user} if ordinary_user else {})
        places = {name: stack.enter_context(deployed(person)) for name, person in people.items()}
        accounts = Path("/etc/passwd").read_bytes()
        yield {
            name: Begun(place, place.start("up", "--no-demo"), modes(place.home), accounts, time.monotonic())
            for name, place in places.items()
        }


@pytest.fixture(params=["ourselves", "ordinary"])
def begun(request: pytest.FixtureRequest, both: dict[str, Begun]) -> Begun:
    if request.param not in both:
        pytest.skip("no interpreter that an ordinary user may run")
    return both[request.param]


def test_an_empty_directory_becomes_a_ready_deployment(begun: Begun) -> None:
    """No folder above the data changes, nothing is left in the temporary one, no account is made."""
    home = begun.deployment.home

    until(lambda: begun.process.url and begun.process.is_ready())

    assert modes(home) == begun.modes
    assert list(begun.deployment.temporary.iterdir()) == []
    assert Path("/etc/passwd").read_bytes() == begun.accounts
    assert {path.name for path in home.iterdir() if not path.name.startswith("pg-bin-")} == {
        *("pg", "run", "secrets", "wal-spool", "files", "anchors", "backups", "logs", "supervisor.lock")
    }
    assert stat.S_IMODE((home / "secrets/pg.json").stat().st_mode) == 0o600


def test_an_upgrade_nobody_asked_for_is_answered_at_our_edge(begun: Begun) -> None:
    """As any address that leads nowhere, and without the name of the library that serves."""
    until(lambda: begun.process.url and begun.process.is_ready())
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}

    answer = httpx2.get(
        f"{begun.process.url}/api/v1/socket", headers={**upgrade, "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    )

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "content-security-policy" in answer.headers and "server" not in answer.headers


def test_kill_9_takes_the_server_along_and_loses_nothing(begun: Begun) -> None:
    """No server process after 3 s, or 10 on a busy machine; the next start is ready and has every committed row."""
    deployment, process = begun.deployment, begun.process
    until(lambda: process.url and process.is_ready())
    with psycopg.connect(embedded.at(deployment.home).dsn(), autocommit=True) as conn:
        conn.execute("create table kept (number int)")
        conn.execute("insert into kept select generate_series(1, 1000)")

    process.signal(signal.SIGKILL)

    until(lambda: not deployment.server_processes(), seconds_max=10)
    again = deployment.start("up", "--no-demo")
    until(lambda: again.url and again.is_ready())
    with psycopg.connect(embedded.at(deployment.home).dsn()) as conn:
        assert conn.execute("select count(*) from kept").fetchone() == (1000,)
