"""Anchors: heads of seals outside the database, a line each, where whoever rewrites the database does not reach.

A file a month in a folder, or one file that the operator has named, on another disk or a medium that only grows.
Besides, others may be told of them: a web address, an object store, a mailbox. What each has been told of is noted in
`told.json` of the folder, so that what failed is made up.
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from palio.kernel import clock

BLOCK_BYTES = 1 << 16
LOCK_SECONDS_MAX = 10
LOCK_SECONDS = 0.05
TOLD = "told.json"
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Untold:
    """Lines that somebody has not heard, and where they end: in which file, before which byte."""

    lines: Sequence[str]
    file: str
    end: int


@dataclass(frozen=True, slots=True)
class Anchors:
    """Where the lines of this machine are, and who else is told of them: an address (https), an object store as an
    address of it, a mailbox. `lock_seconds_max` is how long somebody else who adds lines is waited for.
    """

    folder: Path
    file: Path | None = None
    url: str | None = None
    store: str | None = None
    mailbox: str | None = None
    lock_seconds_max: float = LOCK_SECONDS_MAX

    @property
    def files(self) -> list[Path]:
        """Those that are there, the newest first."""
        return [self.file] * self.file.exists() if self.file else sorted(self.folder.glob("*.jsonl"), reverse=True)

    @property
    def shredded_file(self) -> Path:
        """Who was forgotten, an id a line; it is no file of heads."""
        return self.file.with_suffix(".shredded") if self.file else self.folder / "shredded.ids"

    def note_shredded(self, user_id: UUID) -> None:
        """Note that somebody is forgotten; it is on the disk when this returns. Once is enough, and twice does no harm.

        Raises OSError.
        """
        path = self.shredded_file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            _lock(file, self.lock_seconds_max)
            file.write(_from_a_new_line(file.fileno()) + f"{user_id}\n".encode())
            file.flush()
            os.fsync(file.fileno())

    def shredded(self) -> list[UUID]:
        """Everybody who was noted. A line that is none, as a crash may leave one, is left out."""
        path = self.shredded_file
        lines = path.read_text().splitlines() if path.exists() else []
        return [UUID(line) for line in dict.fromkeys(lines) if ID.fullmatch(line)]

    def newest_first(self) -> Iterator[str]:
        """Every line, backwards: whoever looks for the last one reads little."""
        for path in self.files:
            yield from _backwards(path)

    def append(self, at: datetime, choose: Callable[[Iterator[str]], Sequence[str]]) -> int:
        """Add the lines that `choose` names when it has seen what is there, while nobody else adds any.

        They are on the disk when this returns; it answers how many. Raises OSError, and that is TimeoutError where
        somebody else keeps the file locked.
        """
        path = self.file or self.folder / f"{at:%Y-%m}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            _lock(file, self.lock_seconds_max)
            lines = choose(self.newest_first())
            if lines:
                file.write(_from_a_new_line(file.fileno()) + b"".join(f"{line}\n".encode() for line in lines))
                file.flush()
                os.fsync(file.fileno())
        return len(lines)

    def untold(self, who: str, limit: int) -> Untold:
        """The lines that somebody was not told of yet, the oldest first, so many of them."""
        noted = self._told().get(who, {})
        files = {path.name: path for path in reversed(self.files)}
        names = list(files)
        start = names.index(noted["file"]) if noted.get("file") in files else 0
        lines: list[str] = []
        file, end = "", 0
        for file in names[start:]:
            end = int(noted.get("end", 0)) if file == noted.get("file") else 0
            for line in _forwards(files[file], end):
                end += len(line)
                lines.append(line.decode(errors="replace").rstrip("\n"))
                if len(lines) == limit:
                    return Untold(lines, file, end)
        return Untold(lines, file, end)

    def told_at(self, who: str) -> datetime | None:
        """When somebody was told last."""
        at = self._told().get(who, {}).get("at")
        return datetime.fromisoformat(at) if at else None

    def mark_told(self, who: str, what: Untold, at: datetime) -> None:
        """Note that somebody was told of these lines, and of those before them. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / TOLD).open("ab+") as file:
            _lock(file, self.lock_seconds_max)
            told = self._told() | {who: {"file": what.file, "end": str(what.end), "at": clock.text(at)}}
            file.truncate(0)
            file.write(json.dumps(told).encode())

    def _told(self) -> dict[str, dict[str, str]]:
        """What is noted; nothing where that cannot be read, for to be told twice does no harm."""
        try:
            told = json.loads((self.folder / TOLD).read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}


def _forwards(path: Path, start: int) -> Iterator[bytes]:
    """Whole lines from a place on, or from the beginning where the file is shorter: then it is another one."""
    with path.open("rb") as file:
        file.seek(start if start <= os.fstat(file.fileno()).st_size else 0)
        yield from (line for line in file if line.endswith(b"\n"))


def _lock(file: BinaryIO, seconds_max: float) -> None:
    """Have the file for ourselves. Raises TimeoutError."""
    patience = time.monotonic() + seconds_max
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= patience:
                raise TimeoutError(
                    f"another process has kept {file.name} locked for {seconds_max:g} s: see who has it open (fuser)"
                ) from None
        time.sleep(LOCK_SECONDS)


def _from_a_new_line(number: int) -> bytes:
    """What ends a line that a crash has left half written."""
    size = os.fstat(number).st_size
    return b"\n" if size and os.pread(number, 1, size - 1) != b"\n" else b""


def _backwards(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        at, rest = file.seek(0, os.SEEK_END), b""
        while at:
            start = max(0, at - BLOCK_BYTES)
            file.seek(start)
            rest, *lines = (file.read(at - start) + rest).split(b"\n")
            yield from (line.decode(errors="replace") for line in reversed(lines) if line)
            at = start
    if rest:
        yield rest.decode(errors="replace")
