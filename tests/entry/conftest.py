"""Commands run in this process, on a database of their own in which they commit."""

import contextlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from psycopg import conninfo

from palio.entry import cli
from palio.infra import embedded


@dataclass(frozen=True)
class Done:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str

    @property
    def answer(self):  # type: ignore[no-untyped-def]
        return json.loads(self.out)


Command = Callable[..., Done]


def run(*words: str) -> Done:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        cli.main(words)
    return Done(end.value.code or 0, out.getvalue(), err.getvalue())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def commands_dsn(cluster: embedded.Cluster, database_name: str) -> str:
    return address_of(cluster.dsn("palio_app", database_name))


def address_of(dsn: str) -> str:
    """The address that an operator would write for it."""
    parts = conninfo.conninfo_to_dict(dsn)
    login = f"{parts.pop('user')}:{quote(str(parts.pop('password')))}"
    return f"postgresql://{login}@/{parts.pop('dbname')}?{urlencode(parts)}"


@pytest.fixture(autouse=True)
def deployment(commands_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where commands go, so that none can reach a deployment of this machine; the data directory."""
    monkeypatch.setenv("PALIO_DATABASE_URL", commands_dsn)
    monkeypatch.setenv("PALIO_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def command() -> Command:
    """Runs `palio …` and says how it ended."""
    return run
