"""A server and where its things lie, as everybody sees it who may use the data directory."""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo

from palio.infra.embedded import announcement
from palio.infra.embedded.failure import CannotStartError

SOCKET_PORT = 5432  # names the socket's file where no TCP port does
SOCKET_PATH_BYTES_MAX = 100  # the kernel's limit is 107, and some systems have less


@dataclass(frozen=True, slots=True)
class Cluster:
    """`socket` is the folder of the socket; `port` names the file in it, and is open on 127.0.0.1 only if asked."""

    home: Path
    socket: Path
    port: int = SOCKET_PORT

    @property
    def data(self) -> Path:
        return self.home / "pg"

    @property
    def passwords(self) -> Path:
        return self.home / "secrets/pg.json"

    @property
    def log(self) -> Path:
        return self.home / "logs/postgresql.log"

    @property
    def announcement(self) -> Path:
        return self.home / "run/server.json"

    def dsn(self, role: str = "postgres", database: str = "postgres") -> str:
        """How a role connects. The product is `palio_app`; `postgres` (roles, migrations) sees past row security."""
        password = json.loads(self.passwords.read_text())[role]
        return make_conninfo(host=str(self.socket), port=self.port, user=role, password=password, dbname=database)


def at(home: Path) -> Cluster:
    """The server that runs for this data directory, as it announced itself. Raises CannotStartError if none does."""
    home = home.resolve()
    found = announcement.read(home / "run/server.json")
    if found is None:
        raise CannotStartError(f"no server runs in {home}", status=os.EX_UNAVAILABLE)
    return Cluster(home, Path(found.socket), found.port or SOCKET_PORT)


def socket_folder(home: Path, port: int) -> Path:
    """`run/`, or where that path is too long for a socket, a folder with a name that every process works out alike."""
    if len(os.fsencode(home / "run" / f".s.PGSQL.{port}")) <= SOCKET_PATH_BYTES_MAX:
        return home / "run"
    name = f"palio-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"
    places = [Path("/run"), Path(f"/run/user/{os.geteuid()}"), Path(tempfile.gettempdir())]
    return next(place for place in places if place.is_dir() and os.access(place, os.W_OK)) / name
