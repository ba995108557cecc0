"""`run/server.json`: what the supervisor tells other processes once the server answers."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from palio.infra import private


@dataclass(frozen=True, slots=True)
class Announcement:
    """`pid` is the server's own; `port` is null when it listens on its socket only."""

    pid: int
    socket: str
    port: int | None
    started_at: str
    pg_version: str


_SHAPE = TypeAdapter(Announcement)


def write(path: Path, told: Announcement) -> None:
    """Tell it."""
    private.write(path, json.dumps(asdict(told)) + "\n")


def read(path: Path) -> Announcement | None:
    """What was told, or None: nobody has yet, or the file is damaged, which its supervisor will mend."""
    try:
        return _SHAPE.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
