"""The keyring: the keys that never lie in the database, in one private file."""

import base64
import fcntl
import hmac
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from palio.infra import private

KEY_BYTES = 32
Keys: TypeAlias = dict[int, bytes]
Stamp: TypeAlias = tuple[int, int]  # what tells one state of the file from the next: its inode and when it was written


class KeyringError(Exception):
    """The keyring cannot be read; the message says what is wrong with which file. Without it sealed data is lost."""


@dataclass(frozen=True, slots=True)
class BlindIndex:
    """What a sealed value is looked up by, and the version of the key that made it.

    While one index key takes the place of another, `next` is what the later one makes of the value.
    """

    digest: bytes
    version: int
    next: bytes | None = None

    @property
    def known(self) -> list[bytes]:
        """Every index that a row of this value may have now."""
        return [self.digest] if self.next is None else [self.digest, self.next]


@dataclass(slots=True)
class Keyring:
    """Keys by number; the highest number of each kind is the one new values are written with, but for a `staged` one.

    `sealing` are the secret halves of the keys that seals are signed with: where there is none, nothing is sealed.
    Of index keys the lowest is the present one; a second one is to take its place, and nothing of it is used alone
    while it is `staged_index`. Passwords are mixed with a `pepper` before they are hashed, where there is one. Keys
    come and go while processes run, so a ring that was read from a file looks again.
    """

    wrapping: Keys = field(repr=False)
    index: Keys = field(repr=False)
    sealing: Keys = field(repr=False, default_factory=dict)
    staged: int | None = None
    staged_index: int | None = None
    pepper: Keys = field(repr=False, default_factory=dict)
    staged_pepper: int | None = None
    path: Path | None = None
    stamp: Stamp | None = field(repr=False, default=None)

    @property
    def wrapping_id(self) -> int:
        """The wrapping key that new data keys are wrapped with."""
        return max(number for number in self.wrapping if number != self.staged)

    def look(self) -> None:
        """Take up the keys that the file has now, if it was written since. Raises KeyringError."""
        if self.path is None or _stamp(self.path) == self.stamp:
            return
        found = load(self.path)
        self.wrapping, self.staged = found.wrapping, found.staged
        self.index, self.staged_index, self.stamp = found.index, found.staged_index, found.stamp
        self.pepper, self.staged_pepper = found.pepper, found.staged_pepper

    def wrapping_key(self, number: int) -> bytes:
        """A wrapping key, which may have come since this process began. Raises KeyringError."""
        if number not in self.wrapping:
            self.look()
        if number not in self.wrapping:
            raise KeyringError(f"the keyring lacks wrapping key {number}")
        return self.wrapping[number]

    @property
    def pepper_id(self) -> int | None:
        """The pepper that new passwords are mixed with; None: none."""
        self.look()
        return max((number for number in self.pepper if number != self.staged_pepper), default=None)

    def pepper_key(self, number: int | None) -> bytes | None:
        """A pepper, which may have come since this process began; of none, None. Raises KeyringError."""
        if number is None:
            return None
        if number not in self.pepper:
            self.look()
        if number not in self.pepper:
            raise KeyringError(f"the keyring lacks pepper {number}")
        return self.pepper[number]

    def blind_index(self, column: str, value: str) -> BlindIndex:
        """The index of a value in its normal form, in a column `schema.table.column`: equal values, equal bytes."""
        self.look()
        digests = [_index_of(self.index[version], column, value) for version in sorted(self.index)[:2]]
        return BlindIndex(digests[0], self.index_version, digests[1] if len(digests) > 1 else None)

    @property
    def index_version(self) -> int:
        """The present index key."""
        return min(self.index)

    @property
    def next_index_version(self) -> int | None:
        """The index key that is to take its place; None where none is."""
        return max(self.index) if len(self.index) > 1 else None

    def key_for(self, purpose: str) -> bytes:
        """A key of its own for something that is not stored, like the signature of a cursor.

        It comes of the present index key, so whatever was made by it is good no more once another takes its place.
        """
        return hmac.digest(self.index[self.index_version], f"palio-key|{purpose}".encode(), "sha256")


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
        stamp = _stamp(path)  # before it is read: what is written meanwhile is read again
        stored = json.loads(path.read_text())
        sealing = _keys(stored["sealing"]) if "sealing" in stored else {}
        staged = stored.get("staged"), stored.get("staged_index")
        pepper = _keys(stored["pepper"]) if stored.get("pepper") else {}
        ring = Keyring(
            *(_keys(stored["wrapping"]), _keys(stored["index"]), sealing, *staged),
            *(pepper, stored.get("staged_pepper"), path, stamp),
        )
    except FileNotFoundError:
        raise KeyringError(f"there is no keyring at {path}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as failure:
        raise KeyringError(f"{path} is not a keyring") from failure
    if not ring.wrapping.keys() - {ring.staged}:
        raise KeyringError(f"{path} has no wrapping key but the staged one")
    return ring


def add_sealing_key(path: Path, *, above: int) -> int:
    """Add a key that seals are signed with from the next start on, and return its number.

    It is higher than `above`, the last that was ever used, so that no number ever stands for two keys. Raises
    KeyringError.
    """
    with _changing(path) as stored:
        sealing = stored.setdefault("sealing", {})
        number = max([above, *map(int, sealing)]) + 1
        sealing[str(number)] = _new_key()
    return number


def add_wrapping_key(path: Path, *, above: int, is_staged: bool = False) -> int:
    """Add a key that data keys are wrapped with from now on, and return its number, higher than `above`.

    One that is staged is only kept, until a call that does not stage takes it up: so each machine can be given the file
    before anything needs its key. Raises KeyringError.
    """
    return _add(path, "wrapping", "staged", above=above, is_staged=is_staged)


def add_pepper(path: Path, *, above: int, is_staged: bool = False) -> int:
    """Add a pepper that new passwords are mixed with, as `add_wrapping_key` adds a key. Raises KeyringError."""
    return _add(path, "pepper", "staged_pepper", above=above, is_staged=is_staged)


def _add(path: Path, kind: str, staged: str, *, above: int, is_staged: bool) -> int:
    with _changing(path) as stored:
        keys, number = stored.setdefault(kind, {}), stored.pop(staged, None)
        if number is None:
            number = max([above, *map(int, keys)]) + 1
            keys[str(number)] = _new_key()
        if is_staged:
            stored[staged] = number
    return int(number)


def drop_pepper(path: Path, number: int) -> None:
    """Forget a pepper that no password was mixed with; without any, passwords are hashed as they are again.

    Raises KeyringError where there is none of this number, or a later one is there that is not staged.
    """
    ring = load(path)
    if number not in ring.pepper or (number == ring.pepper_id and len(ring.pepper) > 1):
        raise KeyringError(f"pepper {number} is the one in use, or there is none of this number")
    with _changing(path) as stored:
        del stored["pepper"][str(number)]
        if stored.get("staged_pepper") == number:
            del stored["staged_pepper"]


def drop_wrapping_key(path: Path, number: int) -> None:
    """Forget a wrapping key that nothing needs any more. Raises KeyringError where it is the present one, or none."""
    ring = load(path)
    if number not in ring.wrapping or number == ring.wrapping_id:
        raise KeyringError(f"wrapping key {number} is the one in use, or there is none of this number")
    with _changing(path) as stored:
        del stored["wrapping"][str(number)]
        if stored.get("staged") == number:
            del stored["staged"]


def add_index_key(path: Path, *, is_staged: bool = False) -> int:
    """Add a key that blind indexes are to be made with, and return its number, one above the present one.

    One that is staged is known and written beside the other, and nothing is moved to it until a call that does not
    stage. Raises KeyringError where two are kept already, none of them staged.
    """
    with _changing(path) as stored:
        numbers = sorted(map(int, stored["index"]))
        staged = stored.pop("staged_index", None)
        if staged is None and len(numbers) > 1:
            raise KeyringError(f"index key {numbers[-1]} is still taking the place of {numbers[0]}")
        number = numbers[-1] if staged else numbers[-1] + 1
        stored["index"].setdefault(str(number), _new_key())
        if is_staged:
            stored["staged_index"] = number
    return int(number)


def drop_index_key(path: Path, number: int) -> None:
    """Forget the index key that another has taken the place of. Raises KeyringError where it is not that."""
    ring = load(path)
    if ring.next_index_version is None or number != ring.index_version or ring.staged_index is not None:
        raise KeyringError(f"index key {number} is in use, or there is none of this number")
    with _changing(path) as stored:
        del stored["index"][str(number)]


def _index_of(key: bytes, column: str, value: str) -> bytes:
    column_key = hmac.digest(key, f"palio-index|{column}".encode(), "sha256")
    return hmac.digest(column_key, value.encode(), "sha256")


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, Any]]:
    """What the file holds, written back at the end of the block; nobody else changes it meanwhile."""
    load(path)
    with path.with_name(f"{path.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stored = json.loads(path.read_text())
        yield stored
        private.write(path, json.dumps(stored))


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except FileNotFoundError:
        raise KeyringError(f"there is no keyring at {path}") from None
    return found.st_ino, found.st_mtime_ns


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
