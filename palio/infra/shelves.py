"""Columns of whole numbers that the processes of a host have in memory once: one writes them as a file, each maps it.

A file is written beside its place and renamed, so that it is there whole or not at all, and never changed: newer
columns are another file. Its name says how new it is and what its content hashes to. What is cut short, altered,
somebody else's or another thing's is left alone, as if it were not there. Nothing here outlives the run of a server,
and everything can be removed at any time: who has mapped a file keeps it.
"""

import asyncio
import fcntl
import hashlib
import json
import mmap
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
import structlog

Wholes: TypeAlias = npt.NDArray[np.int64]
HEAD_BYTES = 4096  # a page, so that columns begin at one
NUMBER_BYTES = 8
DRAFT = ".draft"
LOCK_PAUSE_S = 0.02

log = structlog.get_logger()


class _UnsoundError(Exception):
    """The file is not what its name says, or not ours; the text says why."""


@dataclass(frozen=True, slots=True)
class Book:
    """Columns as they lie in the file, for reading alone; `facts` is what their writer said about them."""

    generation: int
    facts: Mapping[str, int]
    columns: Sequence[Wholes]


class Shelf:
    """The folder of a host. `run` tells servers, their databases and their starts apart, `thing` and `kind` what it is
    that lies in a place.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._swept: set[str] = set()

    def place(self, run: str, thing: str, kind: str) -> "Place":
        """Where columns lie. What was left there of other runs is removed, once for each process. Raises OSError."""
        self._folder.mkdir(0o700, parents=True, exist_ok=True)
        if run not in self._swept:
            self._swept.add(run)
            for other in self._folder.iterdir():
                if other.name != run:
                    shutil.rmtree(other, ignore_errors=True)
        folder = self._folder
        for part in (run, thing, kind):
            folder /= part
            folder.mkdir(0o700, exist_ok=True)
        return Place(folder, f"{run}/{thing}/{kind}")

    def drop(self, thing: str) -> None:
        """Remove all that lies here of a thing."""
        for folder in self._folder.glob(f"*/{thing}"):
            shutil.rmtree(folder, ignore_errors=True)


class Place:
    """Where the newest columns of one kind lie."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name

    @property
    def generation(self) -> int:
        """That of the newest columns here, by their name; 0 if there are none."""
        return max((generation for generation, _ in self._files()), default=0)

    def newest(self, *, above: int = 0) -> Book | None:
        """The newest sound columns of a generation above this one; reads them whole once, so call it beside the loop.

        What is unsound is told to the log and passed over.
        """
        for generation, path in sorted(self._files(), reverse=True):
            if generation <= above:
                return None
            try:
                return self._opened(generation, path)
            except FileNotFoundError:  # a newer one has taken its place
                continue
            except (OSError, ValueError, KeyError, TypeError, _UnsoundError) as failure:
                log.warning("shared columns are not sound", file=str(path), failure=str(failure))
        return None

    def put(self, generation: int, facts: Mapping[str, int], columns: Sequence[Wholes]) -> Book:
        """Lay columns here in place of all others; whoever has the `turn` does. Beside the loop. Raises OSError."""
        lengths = [len(column) for column in columns]
        head = json.dumps({"place": self._name, "generation": generation, "facts": facts, "lengths": lengths})
        page = head.encode().ljust(HEAD_BYTES)
        if len(page) != HEAD_BYTES:
            raise ValueError("what is said about the columns is longer than a page")
        draft = self._folder / f"{os.getpid()}{DRAFT}"
        draft.unlink(missing_ok=True)
        parts: list[bytes | memoryview] = [page, *(column.data for column in columns)]
        digest = hashlib.sha256()
        with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            for part in parts:
                file.write(part)
                digest.update(part)
            file.flush()
            found = _columns(_mapped(file), lengths)
        path = self._folder / f"{generation}-{digest.hexdigest()}"
        draft.rename(path)
        for other in self._folder.iterdir():
            if other != path:
                other.unlink(missing_ok=True)
        return Book(generation, dict(facts), found)

    @asynccontextmanager
    async def turn(self, *, seconds_max: float = 0) -> AsyncIterator[bool]:
        """Whether we are the one process of this host that lays columns here until the end of the block; waits so long
        for another one. The system takes it away from a dead process. Raises OSError.
        """
        number = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield await _locked(number, seconds_max)
        finally:
            os.close(number)

    def clear(self) -> None:
        """Remove what lies here."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _files(self) -> Iterator[tuple[int, Path]]:
        with suppress(FileNotFoundError):
            for path in self._folder.iterdir():
                generation, _, _ = path.name.partition("-")
                if generation.isdecimal() and path.suffix != DRAFT:
                    yield int(generation), path

    def _opened(self, generation: int, path: Path) -> Book:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                raise _UnsoundError("it belongs to another account")
            mapped = _mapped(file)
        if path.name != f"{generation}-{hashlib.sha256(mapped).hexdigest()}":
            raise _UnsoundError("its content is not that of its name")
        head = json.loads(mapped[:HEAD_BYTES])
        if (head["place"], head["generation"]) != (self._name, generation):
            raise _UnsoundError("it is of another place")
        return Book(generation, head["facts"], _columns(mapped, head["lengths"]))


def _mapped(file: BinaryIO) -> mmap.mmap:
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _columns(mapped: mmap.mmap, lengths: Sequence[int]) -> list[Wholes]:
    """Raises ValueError where it holds less than that."""
    found, offset = [], HEAD_BYTES
    for length in lengths:
        found.append(np.frombuffer(mapped, np.int64, length, offset) if length else np.empty(0, np.int64))
        offset += length * NUMBER_BYTES
    return found


async def _locked(number: int, seconds_max: float) -> bool:
    patience = monotonic() + seconds_max
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if monotonic() >= patience:
            return False
        await asyncio.sleep(LOCK_PAUSE_S)
