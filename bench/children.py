"""Other processes of a run: servers under load, and the programs that load them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parents[1]
STOP_SECONDS_MAX = 40
SAID_BYTES_MAX = 2_000


class ChildError(Exception):
    """A process of the run ended badly; the message holds what it said."""


@asynccontextmanager
async def running(
    *words: str, log: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Keep `python -m words…` running for the length of the block, then stop it in order and await its end.

    It sees no PALIO_* variable but those given here: the operator's own settings do not take part in a measurement.

    Raises ChildError when it ends badly: neither with status 0 nor, as many servers do, by the SIGTERM we send.
    """
    with log.open("wb") as output:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *words),
            cwd=ROOT,
            env=_plain_environment() | dict(environment or {}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield child
    finally:
        await _stop(child, words, log)


def _plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PALIO_", "PYTHON"))}


async def _stop(child: asyncio.subprocess.Process, words: tuple[str, ...], log: Path) -> None:
    if child.returncode is None:
        child.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(child.wait(), STOP_SECONDS_MAX)
    except TimeoutError:
        child.kill()
        await child.wait()
    if child.returncode not in {0, -signal.SIGTERM}:
        raise ChildError(_ending(words, child.returncode, _read(log)))


def _read(log: Path) -> bytes:
    return log.read_bytes()


async def answer(*words: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> str:
    """Run a program to its end and return what it printed. Raises ChildError for any status but 0."""
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *words, cwd=ROOT, env=_plain_environment() | dict(environment or {}), stdin=pipe, stdout=pipe, stderr=pipe
    )
    printed, complaints = await child.communicate(stdin)
    if child.returncode != 0:
        raise ChildError(_ending(words, child.returncode, printed + complaints))
    return printed.decode()


class Assistant:
    """A program that is told something, answers in one line, and stays until it is dismissed."""

    def __init__(self, words: Sequence[str], child: asyncio.subprocess.Process) -> None:
        self._words, self._child = words, child

    @classmethod
    async def told(cls, *words: str, order: bytes) -> "Assistant":
        """Start it with its order, a line."""
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            *words, cwd=ROOT, env=_plain_environment(), stdin=pipe, stdout=pipe, stderr=pipe
        )
        cast(asyncio.StreamWriter, child.stdin).write(order + b"\n")
        return cls(words, child)

    async def answer(self) -> bytes:
        """Its line, as soon as it is there; nothing if it has ended."""
        return await cast(asyncio.StreamReader, self._child.stdout).readline()

    async def dismiss(self) -> None:
        """Let it end. Raises ChildError for any status but 0."""
        printed, complaints = await self._child.communicate(b"")  # which closes its stdin
        if self._child.returncode != 0:
            raise ChildError(_ending(self._words, self._child.returncode, printed + complaints))


def _ending(words: Sequence[str], status: int | None, said: bytes) -> str:
    return f"{' '.join(words)} ended with {status}: {said[-SAID_BYTES_MAX:].decode(errors='replace')}"
