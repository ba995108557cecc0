"""How a command of the terminal reaches the database, and how its refusals are told: text, or a problem object."""

import asyncio
import logging as levels
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn, TypeVar

import psycopg
import typer

from palio.entry import printing, wiring
from palio.entry.wiring import Wiring as Place
from palio.infra import embedded, logging, migrate
from palio.infra.db import Busy
from palio.infra.external import UnfitServerError
from palio.infra.keyring import KeyringError
from palio.infra.realtime import Hub
from palio.infra.settings import Environment, environment
from palio.infra.settings.environment import WrongSettingError
from palio.kernel.errors import Refusal, TooMany, Unavailable

__all__ = ["Place", "Progress", "read_environment", "refusing", "run", "say"]

Answer = TypeVar("Answer")
STATEMENT_SECONDS_MAX = 60
SPEAK_SECONDS_MAX = 2


def run(work: Callable[[Place], Awaitable[Answer]], *, json: bool = False, scratch: bool = False) -> Answer:
    """Carry out a command on the configured database, or with `scratch` on a throw-away one, and return its answer.

    A refusal ends the program: its code and facts go to stderr (with `json` as a problem object to stdout), and the
    exit status is 1 (refused), 69 (unavailable), 75 (try later) or 78 (configuration).
    """
    with refusing(json=json), _settled(is_scratch=scratch) as settled, wiring.reached(settled) as found:
        wiring.bring_up_to_date(found, say)
        opened = wiring.opened(settled, found, statement_seconds_max=STATEMENT_SECONDS_MAX)

        async def call() -> Answer:
            async with opened as place:
                try:
                    return await work(place)
                finally:
                    await _speak_up(place.hub)

        return asyncio.run(call())


async def _speak_up(hub: Hub) -> None:
    """Pass on what was committed: a job to be taken up, news of a topic. Others also look for themselves."""
    if hub.is_silent:
        return
    speaking = asyncio.create_task(hub.run())
    with suppress(TimeoutError):
        async with asyncio.timeout(SPEAK_SECONDS_MAX):
            await hub.silence()
    speaking.cancel()
    await asyncio.gather(speaking, return_exceptions=True)


@contextmanager
def refusing(*, json: bool = False) -> Iterator[None]:
    """End the program with a message and the right status when the block meets what an operator can act upon."""
    try:
        yield
    except Refusal as refusal:
        _end(_status(refusal), refusal.code, {"detail": refusal.detail, **refusal.facts}, json=json)
    except migrate.MigrationError as failure:
        _end(failure.status, failure.code, {"detail": str(failure)}, json=json)
    except embedded.CannotStartError as failure:
        _end(failure.status, "db.cannot_start", {"detail": str(failure)}, json=json)
    except UnfitServerError as failure:
        _end(os.EX_CONFIG, "db.unfit", {"detail": str(failure)}, json=json)
    except KeyringError as failure:
        _end(os.EX_CONFIG, "keyring.unusable", {"detail": str(failure)}, json=json)
    except WrongSettingError as failure:
        _end(os.EX_CONFIG, failure.code, {"detail": str(failure)}, json=json)
    except psycopg.OperationalError as failure:
        _end(os.EX_UNAVAILABLE, Unavailable.code, {"detail": str(failure).strip()}, json=json)


def read_environment(*, level: int = levels.WARNING, **command_line: object) -> Environment:
    """The settings of this program, with its logs begun. Raises WrongSettingError."""
    found = environment.load(**command_line)
    logging.configure(found.log, level=level)
    for name, nearest in environment.unknown():
        logging.get("settings").warning("unknown setting", name=name, nearest=nearest)
    return found


def say(line: str) -> None:
    """Tell a person how far we are; stdout belongs to the answer."""
    typer.echo(line, err=True)


@contextmanager
def _settled(*, is_scratch: bool) -> Iterator[Environment]:
    found = read_environment()
    if not is_scratch:
        yield found
        return
    folder = Path(tempfile.mkdtemp(prefix="palio-scratch-"))
    folder.chmod(0o711)  # as root the server is another account, which must pass through
    try:
        yield found.model_copy(update={"data": folder, "database_url": None, "pg_port": None, "keyring_file": None})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Progress:
    """Tells on stderr how far long work is, whenever so much more of it is done."""

    def __init__(self, what: str, every: int, *, of: int | None = None) -> None:
        self._what, self._every, self._told = what, every, 0
        self._of = "" if of is None else f" of {of:,}"

    def __call__(self, done: int) -> None:
        if done - self._told >= self._every:
            self._told = done
            say(f"  {done:,}{self._of} {self._what}")


def _status(refusal: Refusal) -> int:
    if isinstance(refusal, Busy | TooMany):
        return os.EX_TEMPFAIL
    return os.EX_UNAVAILABLE if isinstance(refusal, Unavailable) else 1


def _end(status: int, code: str, facts: Mapping[str, object], *, json: bool) -> NoReturn:
    detail = facts["detail"]
    facts = {name: fact for name, fact in facts.items() if name != "detail"}
    if json:
        problem = {"type": f"/problems/{code}", "code": code, "detail": detail, "facts": facts}
        typer.echo(printing.json_of(problem))
    else:
        known = [line for name, fact in facts.items() for line in _told(name, printing.plain(fact))]
        typer.echo("\n  ".join([f"{detail} [{code}]", *known]), err=True)
    raise SystemExit(status)


def _told(name: str, fact: object) -> list[str]:
    """A fact as lines: each part of a list has its own."""
    if isinstance(fact, list):
        return [f"{name}:", *[f"  {_words(part)}" for part in fact]]
    return [f"{name}: {_words(fact)}"]


def _words(fact: object) -> str:
    """A fact as people read it."""
    if isinstance(fact, dict):
        return ", ".join(f"{name} {_words(part)}" for name, part in fact.items())
    return ", ".join(map(_words, fact)) if isinstance(fact, list) else str(fact)
