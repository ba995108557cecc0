"""`supervisor.lock`: whoever holds it owns the server of a data directory."""

import fcntl
import json
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from palio.infra.embedded.failure import CannotStartError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Machine:
    """Containers of one machine differ in name and share the boot; a restarted machine keeps its name."""

    host: str
    boot: str

    def is_here(self, other: "Machine") -> bool:
        """Can a lock of the other be trusted to have gone with its process?"""
        return self.host == other.host or (self.boot != "" and self.boot == other.boot)


def this_machine() -> Machine:
    return Machine(socket.gethostname(), BOOT_ID.read_text().strip() if BOOT_ID.exists() else "")


class SupervisorLock:
    """The system takes it away from a dead process, but only on one machine: so the file says on which it was taken."""

    def __init__(self, home: Path) -> None:
        self._path = home / "supervisor.lock"
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self) -> bool:
        """Try once. Raises CannotStartError when a process of another machine has, or had, the data directory."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._require_here()
            return False
        self._require_here()
        here = this_machine()
        self._write(json.dumps({"host": here.host, "boot": here.boot, "pid": os.getpid()}) + "\n")
        return True

    def release(self) -> None:
        """Give it up in order: whoever comes next may be anywhere."""
        self._write("")
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, text: str) -> None:
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text.encode(), 0)

    def _require_here(self) -> None:
        with suppress(ValueError, KeyError, TypeError):  # a line cut short tells nothing
            written = json.loads(os.pread(self._file, 4096, 0))
            holder = Machine(written["host"], written["boot"])
            if not holder.is_here(this_machine()):
                raise CannotStartError(
                    f"{self._path.parent} is in use on host {holder.host} (process {written['pid']});"
                    f" when that process is certainly gone, remove {self._path}"
                )
