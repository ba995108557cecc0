"""One life of the server: from its start, over its first answer, to its end."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from palio.infra import logging
from palio.infra.embedded.cluster import Cluster
from palio.infra.embedded.failure import CannotStartError
from palio.infra.embedded.runner import Runner

READY_SECONDS_MAX = 120
REPORT_SECONDS = 5
POLL_SECONDS = 0.05
STOP_SECONDS_MAX = 60
LOG_BYTES_MAX = 16 << 20
LAST_LINES = 50
HELD = ("is still in use", "lock file")  # what the remains of a killed server hold for a second or two
RECOVERS = "elapsed time"

log = logging.get("infra.embedded")


class StoppedError(Exception):
    """We were told to stop before the server answered."""


class Server:
    """The running server program."""

    def __init__(self, cluster: Cluster, runner: Runner) -> None:
        self._cluster, self._runner = cluster, runner
        self._log_start = _size(cluster.log)
        with cluster.log.open("ab") as output:
            os.fchmod(output.fileno(), 0o600)
            self._child = runner.start("postgres", "-D", cluster.data, output=output.fileno())

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def status(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._child.poll()

    def wait_ready(self, stopping: threading.Event) -> str:
        """Wait for its first answer, as long as it recovers, and return its version.

        Raises CannotStartError with its last lines, and StoppedError.
        """
        patience, reports = _Patience(), time.monotonic() + REPORT_SECONDS
        while self.status is None and not patience.is_over(self._progress()):
            if version := self._version():
                return version
            if time.monotonic() > reports:
                log.info("server starting", line=self._progress() or "".join(self.lines()[-1:]))
                reports += REPORT_SECONDS
            if stopping.wait(POLL_SECONDS):
                raise StoppedError
        raise CannotStartError("PostgreSQL does not start:\n" + "\n".join(self.lines()[-3:]), status=os.EX_UNAVAILABLE)

    def _version(self) -> str | None:
        try:
            with psycopg.connect(self._cluster.dsn(), connect_timeout=2) as conn:
                conn.execute("select 1")
                return conn.info.parameter_status("server_version")
        except psycopg.OperationalError as failure:
            if "password authentication failed" in str(failure):
                raise CannotStartError(f"{self._cluster.passwords} is not of {self._cluster.data}") from None
            return None

    def _progress(self) -> str:
        return next((line for line in reversed(self.lines()) if RECOVERS in line), "")

    def lines(self) -> list[str]:
        """Its last lines, none of an earlier life."""
        return last_lines(self._cluster.log, self._log_start)

    def was_held_up(self) -> bool:
        """Did it end because a killed predecessor is not quite gone?"""
        return any(word in line for line in self.lines() for word in HELD)

    def stop(self) -> None:
        """Fast shutdown; a server that hangs is stopped hard and recovers from its log at the next start."""
        for number, patience in ((signal.SIGINT, STOP_SECONDS_MAX), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            if self.status is not None:
                return
            if number != signal.SIGINT:
                log.warning("server hangs", signal=number.name)
            self._child.send_signal(number)
            try:
                self._child.wait(patience)
            except subprocess.TimeoutExpired:
                continue


class _Patience:
    """Two minutes, and two more whenever recovery has come further."""

    def __init__(self) -> None:
        self._seen, self._deadline = "", time.monotonic() + READY_SECONDS_MAX

    def is_over(self, progress: str) -> bool:
        if progress != self._seen:
            self._seen, self._deadline = progress, time.monotonic() + READY_SECONDS_MAX
        return time.monotonic() > self._deadline


def start(cluster: Cluster, runner: Runner, stopping: threading.Event) -> tuple[Server, str]:
    """Start a server and return it with its version, once it answers.

    Tries again while the remains of a killed one hold its memory or its lock. Raises CannotStartError, StoppedError.
    """
    patience = _Patience()
    while True:
        remove_remains(cluster)
        server = Server(cluster, runner)
        try:
            return server, server.wait_ready(stopping)
        except BaseException as failure:
            server.stop()
            if not isinstance(failure, CannotStartError) or not server.was_held_up() or patience.is_over(""):
                raise
        if stopping.wait(0.2):
            raise StoppedError


def remove_remains(cluster: Cluster) -> None:
    """End what outlived an earlier supervisor, and remove the lock files of the dead: our lock proves nobody uses them.

    PostgreSQL itself refuses to start while any process of its account, a zombie too, has the number in such a file.
    """
    leader = _recorded_pid(cluster.data)
    if leader and _works_in(leader, cluster.data):
        _end([leader], signal.SIGINT, STOP_SECONDS_MAX, cluster.data)
    orphans = list(_server_processes(cluster.data))  # backends too busy to notice that their leader was killed
    _end(orphans, signal.SIGQUIT, 5, cluster.data)
    _end(orphans, signal.SIGKILL, 5, cluster.data)
    (cluster.data / "postmaster.pid").unlink(missing_ok=True)
    (cluster.socket / f".s.PGSQL.{cluster.port}.lock").unlink(missing_ok=True)


def _recorded_pid(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None


def _works_in(pid: int, folder: Path) -> bool:
    """Is `pid` a living process of this cluster? A server's working directory is its data; a zombie has none."""
    if Path("/proc/self/cwd").exists():
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == folder
        except OSError:
            return False
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], check=False, capture_output=True, text=True)
    return f"-D {folder}" in listed.stdout


def _server_processes(data: Path) -> Iterator[int]:
    """Processes of PostgreSQL in the data; an operator's shell that stands there is none."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "comm").read_text().strip() == "postgres" and _works_in(int(entry.name), data):
                yield int(entry.name)
        except OSError:
            continue  # it ended while we looked


def _end(pids: list[int], number: signal.Signals, seconds_max: float, data: Path) -> None:
    alive = [pid for pid in pids if _works_in(pid, data)]
    for pid in alive:
        log.warning("leftover server process stopped", pid=pid, signal=number.name)
        os.kill(pid, number)
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline and any(_works_in(pid, data) for pid in alive):
        time.sleep(POLL_SECONDS)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def last_lines(path: Path, start: int = 0) -> list[str]:
    """The last lines of a log, none that stands before `start`."""
    with path.open("rb") as file:
        file.seek(max(start, _size(path) - LAST_LINES * 400))
        return file.read().decode(errors="replace").splitlines()[-LAST_LINES:]


def keep_short(path: Path) -> None:
    """Move a log that has grown long aside. The server appends, so that the emptied file goes on at its beginning."""
    if _size(path) > LOG_BYTES_MAX:
        shutil.copy2(path, path.with_suffix(".log.1"))
        os.truncate(path, 0)
