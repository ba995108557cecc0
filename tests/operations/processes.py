"""Real processes of Palio, started from this checkout as root or as an ordinary user."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS_MAX = 120  # so long only on a machine that is very busy


@dataclass(frozen=True, slots=True)
class Person:
    """Who starts it, with an interpreter that he may run."""

    name: str
    interpreter: str
    entry: pwd.struct_passwd | None  # None: as we are

    def environment(self, home: Path, temporary: Path) -> dict[str, str]:
        """A plain environment, with a temporary folder nobody else writes into."""
        return {
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PALIO_DATA": str(home),
            "PALIO_BIND": "127.0.0.1:0",
            "TMPDIR": str(temporary),
        }

    def start(self, command: list[str], **options: object) -> subprocess.Popen[str]:
        if self.entry:
            options |= {"user": self.entry.pw_uid, "group": self.entry.pw_gid, "extra_groups": []}
        return subprocess.Popen([self.interpreter, *command], text=True, cwd="/", **options)  # type: ignore[call-overload]

    def own(self, path: Path) -> None:
        if self.entry:
            os.chown(path, self.entry.pw_uid, self.entry.pw_gid)


OURSELVES = Person("ourselves", sys.executable, None)


def ordinary() -> Person | None:
    """An ordinary user: ourselves, or as root `nobody`, if there is an interpreter he may run."""
    if os.geteuid() != 0:
        return OURSELVES
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for interpreter in (sys.executable, shutil.which(f"python{version}", path="/usr/local/bin:/usr/bin")):
        person = Person("nobody", interpreter or "", pwd.getpwnam("nobody"))
        with tempfile.TemporaryFile() as silence:
            try:
                environment = person.environment(Path("/"), Path("/"))
                tried = person.start(["-c", "import palio.entry.up"], env=environment, stderr=silence)
            except OSError:
                continue
            if tried.wait(PATIENCE_SECONDS_MAX) == 0:
                return person
    return None


class Deployment:
    """A data directory and the processes that were started on it."""

    def __init__(self, person: Person, home: Path) -> None:
        self.person, self.home = person, home
        self.temporary = home.parent / "temporary"
        self._stack = ExitStack()

    @property
    def announced(self) -> dict[str, object]:
        return json.loads((self.home / "run/server.json").read_text())  # type: ignore[no-any-return]

    @property
    def server_pid(self) -> int:
        return int((self.home / "pg/postmaster.pid").read_text().split()[0])

    def start(self, *words: str, program: str | None = None, **settings: str) -> "Process":
        """Start `palio WORDS`, or another program of ours, with settings by their environment names."""
        begin = [program] if program else ["-m", "palio"]
        process = Process(self, [*begin, *words], {name: value for name, value in settings.items() if value})
        self._stack.callback(process.end)
        return process

    def run(self, *words: str, **settings: str) -> "Process":
        """Start a command and wait for its end."""
        process = self.start(*words, **settings)
        process.wait()
        return process

    def server_processes(self) -> list[int]:
        """Living processes of this data directory's server."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (entry / "cwd").readlink() == self.home / "pg":
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def close(self) -> None:
        self._stack.close()


class Process:
    """One process of a deployment."""

    def __init__(self, deployment: Deployment, command: list[str], settings: dict[str, str]) -> None:
        self.deployment = deployment
        self._folder = Path(tempfile.mkdtemp(prefix="output-", dir=deployment.home.parent))
        environment = deployment.person.environment(deployment.home, deployment.temporary) | settings
        with (self._folder / "out").open("w") as out, (self._folder / "err").open("w") as err:
            self._child = deployment.person.start(command, env=environment, stdout=out, stderr=err)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def output(self) -> str:
        return (self._folder / "out").read_text()

    @property
    def errors(self) -> str:
        return (self._folder / "err").read_text()

    def logged(self, event: str) -> list[dict[str, object]]:
        """The log lines of one event."""
        lines = (json.loads(line) for line in self.errors.splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == event]

    @property
    def alarms(self) -> list[str]:
        """What went wrong: every line of its errors that is not a log line of level info."""
        return [
            line
            for line in self.errors.splitlines()
            if not (line.startswith("{") and json.loads(line)["level"] in {"debug", "info"})
        ]

    @property
    def url(self) -> str:
        """Where it answers, once it does."""
        until(lambda: " is at http" in self.output, what=lambda: f"an address\n{self.output}{self.errors}")
        return self.output.split(" is at ", 1)[1].split("/\n", 1)[0]

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by lower-case names, and body."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310 - our own address
                return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as failure:
            with failure:
                headers = {name.lower(): value for name, value in failure.headers.items()}
                return failure.code, headers, failure.read()

    def is_alive(self) -> bool:
        return self._child.poll() is None

    def is_ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def signal(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def wait(self, seconds_max: float = PATIENCE_SECONDS_MAX) -> int:
        return self._child.wait(seconds_max)

    def end(self) -> None:
        """Whatever the test left running."""
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait(5)


def until(
    holds: Callable[[], object], *, seconds_max: float = PATIENCE_SECONDS_MAX, what: Callable[[], str] = str
) -> float:
    """Wait until something holds; returns how many seconds that took."""
    started = time.monotonic()
    while not holds():
        if time.monotonic() - started > seconds_max:
            raise AssertionError(f"waited {seconds_max} s for {what()}")
        time.sleep(0.05)
    return time.monotonic() - started


@contextmanager
def deployed(person: Person) -> Iterator[Deployment]:
    """An empty place for a deployment of this person; it and its processes are gone afterwards."""
    top = Path(tempfile.mkdtemp(prefix="palio-operations-"))
    top.chmod(0o755)
    for folder in (top / "temporary", top / "home"):
        folder.mkdir()
        folder.chmod(0o755)
        person.own(folder)
    deployment = Deployment(person, top / "home/data")
    deployment.temporary = top / "temporary"
    try:
        yield deployment
    finally:
        deployment.close()
        until(lambda: not deployment.server_processes(), what=lambda: f"the end of {deployment.server_processes()}")
        shutil.rmtree(top, ignore_errors=True)
