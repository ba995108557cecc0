"""A server whose log survives, and real processes of Palio on it that are killed where a lock of ours holds them.

A process holds still because we hold what its next statement needs. That the statement waits, and that its transaction
has written already, the server itself tells; the product is not touched.
"""

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from palio.infra import embedded, jobs, roles
from palio.infra.db import Database, Equipment
from palio.infra.embedded.supervisor import pause_before_start
from tests.chaos import books, programs
from tests.entry.conftest import address_of

PATIENCE_SECONDS_MAX = 60  # so long only on a machine that is very busy
NOBODY = "nobody"  # a standby that never comes, so that every commit waits for it
WAITING = """select pid, backend_xid is not null from pg_stat_activity
    where datname = %s and %s = any (pg_blocking_pids(pid))"""
COMMITTING = "select from pg_stat_activity where pid = %s and wait_event = 'SyncRep'"
OTHERS = "select from pg_stat_activity where datname = %s and pid <> pg_backend_pid()"

FORKS = get_context("forkserver")  # every process begins with the product imported: a start costs a fork
FORKS.set_forkserver_preload(["pytest", "tests.chaos.programs"])

Part = Callable[[], None]
ROOM_BYTES_MIN = 2 << 30
VERIFY = partial(programs.command, "verify", "ledger", "--json")


@dataclass(frozen=True, slots=True)
class Caught:
    """A session that waits for us, in a transaction that has written or locked rows before, or not."""

    pid: int
    is_inside: bool


class House:
    """The server and its databases; it is started again when it is killed."""

    def __init__(self, cluster: embedded.Cluster, folder: Path) -> None:
        self.cluster, self._folder = cluster, folder
        self._stack = ExitStack()
        self._databases = 0
        self._killed_at: list[float] = []

    def close(self) -> None:
        """End whatever runs; from now on nothing needs to survive, so that the server stops quickly."""
        self._stack.close()
        with self._admin() as conn:
            conn.execute("alter system set fsync = off")
            conn.execute("select pg_reload_conf()")

    def copy(self, template: str) -> str:
        """A database of its own with everything that is in another one."""
        self._databases += 1
        name = f"copy_{self._databases}"
        with self._admin() as conn:
            statement = "create database {} template {}"
            conn.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Identifier(template)))
            conn.execute(
                "checkpoint"
            )  # or a crash forgets what copied sequences gave since: their last log is not here
        return name

    def dsn(self, database: str) -> str:
        """How the tests look into a database, past row security."""
        return self.cluster.dsn(database=database)

    def start(self, database: str, part: Part) -> "Process":
        """Start a part of the product on a database."""
        process = Process(part, self._environment(database), self._folder)
        self._stack.callback(process.kill)
        return process

    def run(self, database: str, part: Part) -> "Process":
        """Start it, and wait for its end."""
        process = self.start(database, part)
        process.wait()
        return process

    def _environment(self, database: str) -> dict[str, str]:
        url = address_of(self.cluster.dsn("palio_app", database))
        return {"PALIO_DATA": str(self.cluster.home), "PALIO_DATABASE_URL": url, "PALIO_BIND": "127.0.0.1:0"}

    @asynccontextmanager
    async def opened(self, database: str) -> AsyncIterator[Database]:
        """A database as the product opens it, which knows the handlers of the worker."""
        found = Database(self.cluster.dsn("palio_app", database), equipment=Equipment(jobs.addresses(programs.ROUTES)))
        await found.pool.open(wait=True)
        yield found
        await found.pool.close()

    def require_sound(self, database: str) -> None:
        """The ledger proves itself, sums to zero, and has a key for each transfer."""
        proof = self.run(database, VERIFY)
        assert (proof.wait(), json.loads(proof.output)["sound"]) == (0, True), proof.output
        sums = books.sums(self.dsn(database))
        assert sums["entries"] == 0
        assert sums["keys"] == sums["paired"] == sums["transfers"]

    @contextmanager
    def hold(self, database: str, table: str) -> Iterator[Callable[["Process"], Caught]]:
        """Keep everybody from writing to a table; the call waits until somebody wants to."""
        with psycopg.connect(self.dsn(database)) as holder, self._admin() as conn:
            holder.execute(sql.SQL("lock table {} in share mode").format(sql.Identifier(*table.split("."))))
            yield partial(self._caught, conn, database, holder.info.backend_pid)

    @staticmethod
    def _caught(conn: psycopg.Connection[Any], database: str, holder: int, process: "Process") -> Caught:
        found: list[Caught] = []

        def is_caught() -> bool:
            found.extend(Caught(pid, is_inside) for pid, is_inside in conn.execute(WAITING, [database, holder]))
            return bool(found)

        until(is_caught, what=lambda: f"a writer in {database}\n{process.output}{process.errors}")
        return found[0]

    @contextmanager
    def hold_commits(self, pid: int) -> Iterator[Callable[[], object]]:
        """Keep everybody from hearing that his commit is done; the call waits until that session has committed."""
        with self._admin() as conn:
            self._wait_for_standby(conn, NOBODY)
            try:
                self._see_one_held(conn)
                yield lambda: until(lambda: conn.execute(COMMITTING, [pid]).fetchall(), what=lambda: "a commit")
            finally:
                self._wait_for_standby(conn, "")

    @staticmethod
    def _wait_for_standby(conn: psycopg.Connection[Any], name: str) -> None:
        conn.execute(sql.SQL("alter system set synchronous_standby_names = {}").format(name))
        conn.execute("select pg_reload_conf()")

    def _see_one_held(self, conn: psycopg.Connection[Any]) -> None:
        """Commit something ourselves until it has to wait: the server takes a setting when it comes to it."""
        with self._admin() as probe, ThreadPoolExecutor(1) as pool:

            def is_held() -> bool:
                commit = pool.submit(probe.execute, "select pg_logical_emit_message(true, 'probe', '')")
                until(lambda: commit.done() or held(), what=lambda: "a commit, done or held")
                if was_held := held():
                    conn.execute("select pg_cancel_backend(%s)", [probe.info.backend_pid])  # it is done all the same
                commit.result()
                return was_held

            def held() -> bool:
                return bool(conn.execute(COMMITTING, [probe.info.backend_pid]).fetchall())

            until(is_held, what=lambda: "a commit that is held")

    def settle_down(self, database: str) -> None:
        """Wait until the server has noticed that those who were killed are gone."""
        with self._admin() as conn:
            until(
                lambda: not conn.execute(OTHERS, [database]).fetchall(),
                what=lambda: f"the end of all sessions of {database}",
            )

    @property
    def can_lose_its_server(self) -> bool:
        """Would it be started again? Its supervisor, the process of the tests, ends with one that is lost too often."""
        now = time.monotonic()
        return pause_before_start([*self._killed_at, now], now) is not None

    def kill_server(self) -> None:
        """kill -9 of the postmaster; returns when there is a new one that has recovered."""
        assert self.can_lose_its_server
        old = self._server_pid()
        os.kill(old, signal.SIGKILL)
        self._killed_at.append(time.monotonic())
        until(lambda: self._server_pid() != old and self._is_there(), what=lambda: "another server")

    def _server_pid(self) -> int:
        return int(json.loads(self.cluster.announcement.read_text())["pid"])

    def _is_there(self) -> bool:
        try:
            self._admin().close()
        except psycopg.OperationalError:
            return False
        return True

    def _admin(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.cluster.dsn(), autocommit=True)


def quick_place() -> Path | None:
    """In memory where that is possible: files outlive killed processes there too, and power cuts are not tried."""
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder of our own in it
    if not memory.is_dir():
        return None
    found = os.statvfs(memory)
    is_fit = not found.f_flag & os.ST_NOEXEC and found.f_bavail * found.f_frsize > ROOM_BYTES_MIN
    return memory if is_fit else None


@contextmanager
def built() -> Iterator[House]:
    """A server that keeps what it has acknowledged, with the schema in it."""
    top = Path(tempfile.mkdtemp(prefix="palio-house-", dir=quick_place()))
    top.chmod(0o711)  # as root the server is another account, which must pass through
    try:
        with embedded.running(top / "data") as cluster:
            roles.make(cluster.dsn(), cluster.passwords)
            house = House(cluster, top)
            made = house.run(roles.DATABASE, VERIFY)  # the first command brings the schema
            assert made.wait() == 0, made.errors
            house.settle_down(roles.DATABASE)
            yield house
            house.close()
    finally:
        shutil.rmtree(top, ignore_errors=True)


class Process:
    """One process of Palio."""

    def __init__(self, part: Part, environment: dict[str, str], folder: Path) -> None:
        self._output = Path(tempfile.mkstemp(dir=folder)[1])
        self._errors = self._output.with_suffix(".err")
        self._child = FORKS.Process(target=play, args=(part, environment, self._output, self._errors))
        self._child.start()

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def kill(self) -> None:
        """kill -9; nothing if it has ended."""
        self._child.kill()
        self._child.join(PATIENCE_SECONDS_MAX)

    def ends_within(self, seconds: float) -> bool:
        self._child.join(seconds)
        return self._child.exitcode is not None

    def wait(self) -> int:
        """Its exit status."""
        self._child.join(PATIENCE_SECONDS_MAX)
        assert self._child.exitcode is not None, f"it does not end\n{self.output}{self.errors}"
        return self._child.exitcode


def play(part: Part, environment: dict[str, str], output: Path, errors: Path) -> None:
    """What a forked process does: take its place in the world, and carry out its part."""
    os.environ.update(environment)
    for stream, path in ((sys.stdout, output), (sys.stderr, errors)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.chdir("/")
    part()


def until(holds: Callable[[], object], *, what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline, f"waited for {what()}"
        time.sleep(0.01)
