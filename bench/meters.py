"""What work costs: wall clock, and the processor time of the processes that serve and of the database's."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
REAPED_USER, REAPED_SYSTEM = 13, 14  # fields of /proc/<pid>/stat after the name: man 5 proc


class CannotMeasureError(Exception):
    """This machine does not show what a process costs, or would not keep what it stores."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds: on the wall clock, and of processor time."""

    wall: float
    server: float
    database: float

    @property
    def cpu(self) -> float:
        return self.server + self.database

    def __sub__(self, before: "Cost") -> "Cost":
        return Cost(self.wall - before.wall, self.server - before.server, self.database - before.database)


@dataclass(frozen=True, slots=True)
class Meter:
    """Reads what has been used so far by the processes that serve (by default this one) and by one database server."""

    postmaster: int
    servers: Sequence[int] = ()

    def read(self) -> Cost:
        server = sum(map(_cpu_seconds, self.servers or [os.getpid()]))
        return Cost(time.perf_counter(), server, _tree_seconds(self.postmaster))


def postmaster_of(data: Path) -> int:
    """The process at the head of the server that runs in a data directory."""
    return int((data / "postmaster.pid").read_text().split("\n", 1)[0])


def _tree_seconds(parent: int) -> float:
    """A parent, its living children, and those it has buried: a connection that closed meanwhile still counts."""
    buried = _stat(parent)
    ended = (int(buried[REAPED_USER]) + int(buried[REAPED_SYSTEM])) / TICKS_PER_SECOND
    return ended + sum(map(_cpu_seconds, [parent, *_children(parent)]))


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in (PROC / f"{parent}/task/{parent}/children").read_text().split()]


def _stat(pid: int) -> list[str]:
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _cpu_seconds(pid: int) -> float:
    """By the process's own clock, to the nanosecond: /proc counts in ticks of 10 ms."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # what clock_getcpuclockid(3) answers on Linux
    except OSError:
        return 0.0  # ended while we looked


def require_proc() -> None:
    """Refuse with CannotMeasureError where there is no /proc."""
    if not (PROC / "self/stat").exists():
        raise CannotMeasureError("palio bench reads processor times from /proc: run it on Linux")
