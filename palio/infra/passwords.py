"""Hashes of what people type to get in: argon2id, worked out beside the event loop, a bounded number at once."""

import asyncio
import base64
import hmac
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from palio.kernel.errors import Unavailable

Answer = TypeVar("Answer")

MEMORY_KIB, PASSES, LANES = 19_456, 2, 1  # the least that OWASP advises; a hash takes about 20 ms
WAITING_MAX = 64
SHA1_HEX = 40


class HashingBusy(Unavailable):
    """Too many people sign in at this moment; try again in a second."""

    code: ClassVar[str] = "crypto.busy"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Does the word belong to the hash? `renewed` is its hash by today's parameters, where they have risen."""

    matches: bool
    renewed: str | None = None


def peppered(word: str, key: bytes | None) -> str:
    """What is hashed in the place of a word, so that a stolen hash without the key tells nothing; None: the word."""
    if key is None:
        return word
    return base64.b64encode(hmac.digest(key, word.encode(errors="surrogatepass"), "sha256")).decode()


class Hasher:
    """One per process. Beyond the threads, 64 calls wait; more are refused before they cost anything."""

    def __init__(
        self,
        *,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
        threads: int | None = None,
        waiting: int = WAITING_MAX,
    ) -> None:
        self._memory_kib, self._passes, self._hashes = memory_kib, passes, _hashes_of(memory_kib, passes)
        threads = threads or 2 * (os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="hash")
        self._taken, self._places = 0, threads + waiting
        self._decoy: str | None = None

    def raise_to(self, *, memory_kib: int, passes: int) -> None:
        """Hash with this much from now on; what is less than before changes nothing."""
        wanted = max(memory_kib, self._memory_kib), max(passes, self._passes)
        if wanted != (self._memory_kib, self._passes):
            self._memory_kib, self._passes = wanted
            self._hashes, self._decoy = _hashes_of(*wanted), None

    async def hash(self, word: str) -> str:
        """The hash to store, as a PHC string. Refuses with HashingBusy."""
        return await self._work(lambda: self._hashes.hash(word))

    async def verify(self, word: str, stored: str | None) -> Verdict:
        """Compare; where nothing is stored the same work is done for nothing. Refuses with HashingBusy."""
        return await self._work(lambda: self._verify(word, stored))

    def _verify(self, word: str, stored: str | None) -> Verdict:
        if self._decoy is None:
            self._decoy = self._hashes.hash("nobody's")
        matches, renewed = self._hashes.verify_and_update(word, stored or self._decoy)
        return Verdict(matches, renewed) if stored and matches else Verdict(matches=False)

    async def _work(self, work: Callable[[], Answer]) -> Answer:
        if self._taken >= self._places:
            raise HashingBusy(retry_after_s=1)
        self._taken += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._taken -= 1


def _hashes_of(memory_kib: int, passes: int) -> PasswordHash:
    return PasswordHash((Argon2Hasher(time_cost=passes, memory_cost=memory_kib, parallelism=LANES),))


class Leaked:
    """The operator's list of leaked passwords: a file of upper-case SHA-1 sums in order, one a line, `:count` after it.

    It is searched where it lies, so that a list of many gigabytes costs no memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def has(self, sha1: str) -> bool:
        """Does the list hold this sum? Without a list it holds nothing."""
        if self._path is None:
            return False
        wanted = sha1.upper().encode()
        with self._path.open("rb") as file:
            low, high = 0, file.seek(0, os.SEEK_END)
            while low < high:
                middle = (low + high) // 2
                file.seek(max(middle - 1, 0))
                if middle:
                    file.readline()  # the rest of the line before
                found = file.readline()[:SHA1_HEX].upper()
                if found and found < wanted:
                    low = middle + 1
                else:
                    high = middle
            file.seek(max(low - 1, 0))
            if low:
                file.readline()
            return file.readline()[:SHA1_HEX].upper() == wanted
