"""Heads: what is signed of a block, and by whom. The bytes are those of security, part 6."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from palio.infra.keyring import Keyring
from palio.infra.seals.trees import DIGEST_BYTES
from palio.kernel import clock
from palio.kernel.errors import Unavailable

FIGURES, INSTANT = struct.Struct(">QQQ"), struct.Struct(">q")
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
BEFORE_THE_FIRST = bytes(DIGEST_BYTES)


class SealingKeyMissing(Unavailable):
    """The keyring of this process holds no key to sign seals with; `palio keys seal` adds one."""

    code: ClassVar[str] = "seal.key_missing"


@dataclass(frozen=True, slots=True)
class Head:
    """The seal over the rows with `from_tx` ≤ tx_id < `to_tx`: their number, their root, and the head before.

    `sums` is canonical JSON where the chain has sums, else empty.
    """

    n: int
    from_tx: int
    to_tx: int
    rows: int
    root: bytes
    sums: str
    prev: bytes
    sealed_at: datetime

    @property
    def digest(self) -> bytes:
        """What is signed, and what the next head begins with."""
        figures = FIGURES.pack(self.rows, self.from_tx, self.to_tx)
        instant = INSTANT.pack((self.sealed_at - EPOCH) // MICROSECOND)
        return sha256(self.prev + self.root + figures + self.sums.encode() + instant).digest()


@dataclass(frozen=True, slots=True)
class Seal(Head):
    """A head as it is kept: with its digest, and who signed it."""

    head: bytes
    key_id: int
    signature: bytes


def signing_key(keyring: Keyring | None) -> int:
    """The number of the newest key. Refuses with SealingKeyMissing."""
    return _newest(keyring)[0]


def sign(keyring: Keyring | None, label: str, digest: bytes) -> tuple[int, bytes]:
    """The number of the newest key, and its signature of a digest under a label. Refuses with SealingKeyMissing."""
    number, key = _newest(keyring)
    return number, Ed25519PrivateKey.from_private_bytes(key).sign(label.encode() + digest)


def is_signed(key: bytes, label: str, digest: bytes, signature: bytes) -> bool:
    """Has the owner of this public key signed the digest under this label?"""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, label.encode() + digest)
    except InvalidSignature:
        return False
    return True


def public_keys(keyring: Keyring | None) -> Mapping[int, bytes]:
    """What signatures are checked with, by the number of the key: 32 bytes each."""
    return {
        number: Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        for number, key in (keyring.sealing if keyring else {}).items()
    }


def told(seal: Seal) -> dict[str, object]:
    """A seal for others to check: digests in hexadecimal, instants as everywhere."""
    return {
        "n": seal.n,
        "from_tx": seal.from_tx,
        "to_tx": seal.to_tx,
        "rows": seal.rows,
        "root": seal.root.hex(),
        "sums": seal.sums,
        "prev": seal.prev.hex(),
        "sealed_at": clock.text(seal.sealed_at),
        "head": seal.head.hex(),
        "key_id": seal.key_id,
        "signature": seal.signature.hex(),
    }


def label_of(chain: str) -> str:
    """What stands in front of a head when it is signed, so that a signature says nothing about another chain."""
    return f"palio-seal-v1:{chain}:"


def _newest(keyring: Keyring | None) -> tuple[int, bytes]:
    if keyring is None or not keyring.sealing:
        raise SealingKeyMissing
    return max(keyring.sealing.items())
