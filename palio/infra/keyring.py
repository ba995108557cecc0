"""The keyring: the keys that never lie in the database, in one private file."""

import base64
import fcntl
import hmac
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from palio.infra import private

KEY_BYTES = 32
Keys: TypeAlias = dict[int, bytes]


class KeyringError(Exception):
    """The keyring cannot be read; the message says what is wrong with which file. Without it sealed data is lost."""


@dataclass(frozen=True, slots=True)
class BlindIndex:
    """What a sealed value is looked up by, and the version of the key that made it."""

    digest: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by number; the highest number of each kind is the one new values are written with.

    `sealing` are the secret halves of the keys that seals are signed with: where there is none, nothing is sealed.
    """

    wrapping: Keys = field(repr=False)
    index: Keys = field(repr=False)
    sealing: Keys = field(repr=False, default_factory=dict)

    @property
    def wrapping_id(self) -> int:
        return max(self.wrapping)

    def blind_index(self, column: str, value: str) -> BlindIndex:
        """The index of a value in its normal form, in a column `schema.table.column`: equal values, equal bytes."""
        version = max(self.index)
        column_key = hmac.digest(self.index[version], f"palio-index|{column}".encode(), "sha256")
        return BlindIndex(hmac.digest(column_key, value.encode(), "sha256"), version)

    def key_for(self, purpose: str) -> bytes:
        """A key of its own for something that is not stored, like the signature of a cursor."""
        return hmac.digest(self.index[max(self.index)], f"palio-key|{purpose}".encode(), "sha256")


def load_or_make(path: Path) -> Keyring:
    """The keyring of a file; where there is none, a new one is made, once however many processes start.

    Raises KeyringError if the file is unreadable or others may read it.
    """
    if not path.exists():
        _make(path)
    return load(path)


def load(path: Path) -> Keyring:
    """The keyring of a file. Raises KeyringError if it is missing, unreadable or others may read it."""
    try:
        if path.stat().st_mode & 0o077:
            raise KeyringError(f"{path} may be read by others: chmod 600 it")
        stored = json.loads(path.read_text())
        sealing = _keys(stored["sealing"]) if "sealing" in stored else {}
        return Keyring(_keys(stored["wrapping"]), _keys(stored["index"]), sealing)
    except FileNotFoundError:
        raise KeyringError(f"there is no keyring at {path}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as failure:
        raise KeyringError(f"{path} is not a keyring") from failure


def add_sealing_key(path: Path, *, above: int) -> int:
    """Add a key that seals are signed with from the next start on, and return its number.

    It is higher than `above`, the last that was ever used, so that no number ever stands for two keys. Raises
    KeyringError.
    """
    load(path)
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        stored = json.loads(path.read_text())
        sealing = stored.setdefault("sealing", {})
        number = max([above, *map(int, sealing)]) + 1
        sealing[str(number)] = _new_key()
        private.write(path, json.dumps(stored))
    return number


def _keys(stored: dict[str, str]) -> Keys:
    keys = {int(number): base64.b64decode(text, validate=True) for number, text in stored.items()}
    if not keys or any(len(key) != KEY_BYTES for key in keys.values()):
        raise ValueError(len(keys))
    return keys


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kinds = ("wrapping", "index", "sealing")
    text = json.dumps({"version": 1} | {kind: {"1": _new_key()} for kind in kinds})
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(draft, path)  # whoever comes first gives the name; the others take his
    draft.unlink()


def _new_key() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
