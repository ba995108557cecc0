"""Anchors: heads of seals outside the database, a line each, where whoever rewrites the database does not reach.

A file a month in a folder, or one file that the operator has named, on another disk or a medium that only grows.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

BLOCK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Anchors:
    """Where the lines of this machine are."""

    folder: Path
    file: Path | None = None

    @property
    def files(self) -> list[Path]:
        """Those that are there, the newest first."""
        return [self.file] * self.file.exists() if self.file else sorted(self.folder.glob("*.jsonl"), reverse=True)

    def newest_first(self) -> Iterator[str]:
        """Every line, backwards: whoever looks for the last one reads little."""
        for path in self.files:
            yield from _backwards(path)

    def append(self, at: datetime, choose: Callable[[Iterator[str]], Sequence[str]]) -> int:
        """Add the lines that `choose` names when it has seen what is there, while nobody else adds any.

        They are on the disk when this returns; it answers how many. Raises OSError.
        """
        path = self.file or self.folder / f"{at:%Y-%m}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            lines = choose(self.newest_first())
            if lines:
                file.write(_from_a_new_line(file.fileno()) + b"".join(f"{line}\n".encode() for line in lines))
                file.flush()
                os.fsync(file.fileno())
        return len(lines)


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
