"""Keeps the server of a data directory running: by supervising it, or by waiting to take over from who does."""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from pwd import struct_passwd

import psycopg

from palio.infra import logging
from palio.infra.embedded import announcement, creation, programs, server
from palio.infra.embedded.account import account_for, can_enter, first_closed
from palio.infra.embedded.announcement import Announcement
from palio.infra.embedded.cluster import SOCKET_PORT, Cluster, at, socket_folder
from palio.infra.embedded.failure import CannotStartError
from palio.infra.embedded.lock import SupervisorLock
from palio.infra.embedded.runner import Runner
from palio.infra.embedded.server import Server, StoppedError
from palio.kernel import clock

WATCH_SECONDS = 0.1
CHORES_SECONDS = 1.0
JOIN_SECONDS_MAX = 120
TAKE_OVER_SECONDS = 0.25
PAUSES_SECONDS = (0, 1, 2, 4, 8)  # before another start after the first, second … unexpected exit
EXITS_WINDOW_SECONDS = 600

log = logging.get("infra.embedded")


def _nothing(_: Cluster) -> None:
    """There is nothing to prepare."""


def _end_process(reason: str) -> None:
    """The database is lost: whatever supervises us shall decide. Nothing here can be stopped in order any more."""
    sys.stderr.write(reason + "\n")
    sys.stderr.flush()
    os._exit(os.EX_SOFTWARE)


@dataclass(frozen=True, slots=True)
class Options:
    """How the server is wanted. `port` opens TCP on 127.0.0.1; `unsafe_fast` loses data in a crash, for tests only."""

    port: int | None = None
    user: str | None = None
    unsafe_fast: bool = False
    prepare: Callable[[Cluster], None] = _nothing
    give_up: Callable[[str], None] = _end_process


@contextmanager
def running(
    home: Path,
    *,
    port: int | None = None,
    user: str | None = None,
    unsafe_fast: bool = False,
    prepare: Callable[[Cluster], None] = _nothing,
    give_up: Callable[[str], None] = _end_process,
) -> Iterator[Cluster]:
    """Keep a server reachable for the length of the block, ours or another process's. Raises CannotStartError.

    `prepare` is called by whoever starts the server, before others are told of it. `give_up` gets the server's last
    lines when it has ended too often; it ends the process.
    """
    supervisor = Supervisor(home, Options(port, user, unsafe_fast, prepare, give_up))
    supervisor.start()
    try:
        yield supervisor.cluster()
    finally:
        supervisor.stop()


def pause_before_start(exits: Sequence[float], now: float) -> int | None:
    """Seconds to wait before the server is started again after these exits; None after the sixth within ten minutes."""
    recent = sum(now - at < EXITS_WINDOW_SECONDS for at in exits)
    return PAUSES_SECONDS[recent - 1] if recent <= len(PAUSES_SECONDS) else None


class Supervisor:
    """A thread that lives as long as its server: the server gets a signal when the thread that started it ends."""

    def __init__(self, home: Path, options: Options) -> None:
        self._home, self._options = home.absolute(), options
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._stopping = threading.Event()
        self._first: Future[Cluster] = Future()

    def start(self) -> None:
        self._thread.start()

    def cluster(self) -> Cluster:
        """The server, once it can be reached. Raises CannotStartError."""
        return self._first.result()

    def stop(self) -> None:
        """Stop the server in order if it is ours, and wait for that."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._keep()
        except StoppedError:
            return
        except Exception as failure:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
            if not self._first.done():
                self._first.set_exception(_explained(failure))
            else:
                self._options.give_up(f"the database is lost: {failure}")

    def _keep(self) -> None:
        if not self._home.exists():
            self._account_for(self._home, way_to=creation.nearest(self._home))  # refused before anything is made
        creation.make_home(self._home)
        self._home = self._home.resolve()
        lock = SupervisorLock(self._home)
        deadline = time.monotonic() + JOIN_SECONDS_MAX
        try:
            while not self._stopping.is_set():
                if lock.acquire():
                    try:
                        self._supervise()
                    finally:
                        lock.release()
                elif not self._first.done():
                    self._join(deadline)
                self._stopping.wait(TAKE_OVER_SECONDS if self._first.done() else WATCH_SECONDS)
        finally:
            lock.close()

    def _join(self, deadline: float) -> None:
        try:
            cluster = at(self._home)
            psycopg.connect(cluster.dsn(), connect_timeout=2).close()
        except (CannotStartError, psycopg.OperationalError, OSError, ValueError, KeyError):  # not yet
            if time.monotonic() > deadline:
                raise CannotStartError(
                    f"another Palio has {self._home} and its server has not answered for {JOIN_SECONDS_MAX} s",
                    status=os.EX_UNAVAILABLE,
                ) from None
        else:
            self._first.set_result(cluster)

    def _supervise(self) -> None:
        port = self._options.port or SOCKET_PORT
        cluster = Cluster(self._home, socket_folder(self._home, port), port)
        cluster.announcement.unlink(missing_ok=True)
        account = self._account_for(cluster.data, way_to=self._home)
        runner = Runner(programs.find(self._home, account), account)
        creation.prepare(cluster, runner)
        is_open = self._options.port is not None
        creation.configure(cluster, runner, is_open=is_open, is_unsafe_fast=self._options.unsafe_fast)
        running, version = server.start(cluster, runner, self._stopping)
        watch = _Watch(cluster, runner, running, self._stopping)
        try:
            self._options.prepare(cluster)
            watch.announce(version, self._options.port)
            if not self._first.done():
                self._first.set_result(cluster)
            else:
                log.warning("server taken over", pid=running.pid)
            watch.run()
        finally:
            watch.end()

    def _account_for(self, data: Path, *, way_to: Path) -> struct_passwd:
        account = account_for(data, self._options.user)
        if not can_enter(account, way_to):
            closed = first_closed(account, way_to)
            raise CannotStartError(
                f"{account.pw_name}, who runs the server, may not enter {closed}:"
                f" chmod o+x {closed}, or choose another PALIO_DATA"
            )
        return account


class _Watch:
    """Sees that the server runs, is announced, and keeps its log short."""

    def __init__(self, cluster: Cluster, runner: Runner, first: Server, stopping: threading.Event) -> None:
        self._cluster, self._runner, self._server, self._stopping = cluster, runner, first, stopping
        self._exits: list[float] = []
        self._told: Announcement | None = None

    def announce(self, version: str, port: int | None) -> None:
        """Tell others that the server answers."""
        self._told = Announcement(self._server.pid, str(self._cluster.socket), port, clock.now().isoformat(), version)
        announcement.write(self._cluster.announcement, self._told)

    def run(self) -> None:
        """Watch until told to stop. Raises CannotStartError when the server has ended too often."""
        chores = time.monotonic()
        while not self._stopping.wait(WATCH_SECONDS):
            if self._server.status is not None:
                self._start_again()
            elif time.monotonic() > chores:
                self._do_chores()
                chores = time.monotonic() + CHORES_SECONDS

    def _do_chores(self) -> None:
        server.keep_short(self._cluster.log)
        if self._told and announcement.read(self._cluster.announcement) != self._told:
            announcement.write(self._cluster.announcement, self._told)

    def _start_again(self) -> None:
        """Start until it answers, ever more slowly."""
        while True:
            self._exits.append(time.monotonic())
            pause = pause_before_start(self._exits, time.monotonic())
            if pause is None:
                lines = "\n".join(server.last_lines(self._cluster.log))
                raise CannotStartError(f"the server ended {len(self._exits)} times; its last lines:\n{lines}")
            log.warning("server ended", status=self._server.status, seconds_to_start=pause)
            if self._stopping.wait(pause):
                raise StoppedError
            try:
                self._server, version = server.start(self._cluster, self._runner, self._stopping)
            except CannotStartError as failure:
                log.warning("server does not start", reason=str(failure))
            else:
                self.announce(version, self._told.port if self._told else None)
                log.warning("server restarted", pid=self._server.pid)
                return

    def end(self) -> None:
        """Stop the server, and leave nothing that says that it runs."""
        self._cluster.announcement.unlink(missing_ok=True)
        self._server.stop()
        if self._cluster.socket.parent != self._cluster.home:
            shutil.rmtree(self._cluster.socket, ignore_errors=True)


def _explained(failure: Exception) -> Exception:
    """What the system refuses about the data directory, as something an operator can act upon."""
    if isinstance(failure, OSError):
        return CannotStartError(f"cannot use the data directory: {failure.strerror}: {failure.filename}")
    return failure
