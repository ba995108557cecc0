"""How a command of the terminal reaches the database, and how its refusals are told: text, or a problem object."""

import asyncio
import json as jsons
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import psycopg
import typer

from palio.entry import wiring
from palio.entry.wiring import Wiring as Place
from palio.infra import embedded, migrate
from palio.infra.settings import Environment
from palio.kernel.errors import Refusal, TooMany, Unavailable

__all__ = ["Place", "run"]

Answer = TypeVar("Answer")


def run(work: Callable[[Place], Awaitable[Answer]], *, json: bool = False, scratch: bool = False) -> Answer:
    """Carry out a command on the configured database, or with `scratch` on a throw-away one, and return its answer.

    A refusal ends the program: its code and facts go to stderr (with `json` as a problem object to stdout), and the
    exit status is 1 (refused), 69 (unavailable), 75 (try later) or 78 (configuration).
    """
    try:
        with _environment(is_scratch=scratch) as environment, wiring.addresses(environment, _say) as found:

            async def call() -> Answer:
                async with wiring.opened(environment, found) as place:
                    return await work(place)

            return asyncio.run(call())
    except Refusal as refusal:
        _end(_status(refusal), refusal.code, refusal.facts, json=json)
    except migrate.BusyError as busy:
        _end(os.EX_TEMPFAIL, busy.code, {"detail": str(busy)}, json=json)
    except migrate.MigrationError as failure:
        _end(1, failure.code, {"detail": str(failure)}, json=json)
    except embedded.CannotStartError as failure:
        _end(failure.status, "db.cannot_start", {"detail": str(failure)}, json=json)
    except psycopg.OperationalError as failure:
        _end(os.EX_UNAVAILABLE, Unavailable.code, {"detail": str(failure).strip()}, json=json)


@contextmanager
def _environment(*, is_scratch: bool) -> Iterator[Environment]:
    if not is_scratch:
        yield Environment()
        return
    folder = Path(tempfile.mkdtemp(prefix="palio-scratch-"))
    folder.chmod(0o711)  # as root the server is another account, which must pass through
    try:
        yield Environment(data=folder, database_url=None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _status(refusal: Refusal) -> int:
    if isinstance(refusal, Unavailable):
        return os.EX_UNAVAILABLE
    return os.EX_TEMPFAIL if isinstance(refusal, TooMany) else 1


def _end(status: int, code: str, facts: dict[str, object], *, json: bool) -> NoReturn:
    if json:
        typer.echo(jsons.dumps({"code": code, **facts}, default=str))
    else:
        known = ", ".join(f"{name}: {value}" for name, value in facts.items() if name != "detail")
        parts = [str(facts["detail"]) if "detail" in facts else "refused", f"({known})" if known else "", f"[{code}]"]
        typer.echo(" ".join(part for part in parts if part), err=True)
    raise SystemExit(status)
