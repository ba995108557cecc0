"""Sealed columns: what is personal is stored encrypted under a data key, which is wrapped by the keyring.

A person has a data key of his own, so that destroying it forgets him everywhere at once; rows without a person share
one by purpose. The sealed bytes belong to one row of one column: moved elsewhere they do not open.

    byte 0 version | 1-8 number of the data key | 9-20 nonce | AES-256-GCM of the padded text, with its tag
"""

import os
import struct
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar, TypeAlias
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from palio.infra import audit, db
from palio.infra.db import Equipment, Leaving, Tx
from palio.infra.keyring import KEY_BYTES, Keyring, KeyringError
from palio.kernel.errors import Gone
from palio.kernel.ids import Actor, UserId
from palio.kernel.providers import SealedColumn

VERSION = 1
HEAD = struct.Struct(">Bq12s")
LENGTH = struct.Struct(">H")
BLOCK_BYTES = 16
NONCE_BYTES = 12
TEXT_BYTES_MAX = 60_000

Owner: TypeAlias = tuple[UUID | None, str]  # whose a data key is, or else what it is for


class Shredded(Gone):
    """The data key of this value was destroyed: the person was forgotten, and nobody can read it again."""

    code: ClassVar[str] = "crypto.shredded"


class BrokenSealError(Exception):
    """The bytes were altered, or belong to another name or key."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value lives. `user_id` is whose it is; values of nobody are sealed for a `purpose`."""

    table: str
    column: str
    row_id: UUID
    user_id: UserId | None = None
    purpose: str = "general"


class WrongContext(Gone, Leaving):
    """What is kept here encrypted was put here from another place, or altered: nobody can read it, and the house has
    been told.
    """

    code: ClassVar[str] = "crypto.wrong_context"

    place: Place

    @classmethod
    def at(cls, place: Place) -> "WrongContext":
        """The refusal of what lies there."""
        refusal = cls()
        refusal.place = place
        return refusal

    async def leave(self, tx: Tx, actor: Actor) -> None:
        """Write down where, and who came upon it."""
        await audit.record(
            tx,
            actor=actor,
            action="sealed_value.refuse",
            entity_type=self.place.table,
            entity_id=str(self.place.row_id),
            changes={self.place.column: (audit.SEALED, audit.SEALED)},
            reason="it was sealed for another place, or altered",
            subject=self.place.user_id,
        )


@dataclass(frozen=True, slots=True)
class DataKey:
    id: int
    user_id: UUID | None
    purpose: str
    wrapped: bytes | None
    kek_id: int


def place_in(column: SealedColumn, row_id: UUID, user_id: UUID | None) -> Place:
    """Where the value of a row lies in a column."""
    return Place(column.table, column.column, row_id, UserId(user_id) if user_id else None, column.purpose)


async def seal(tx: Tx, text: str, place: Place) -> bytes:
    """The text as the bytes of a sealed column; the same text twice gives different bytes."""
    return (await seal_many(tx, [(text, place)]))[0]


async def seal_many(tx: Tx, items: Sequence[tuple[str, Place]]) -> list[bytes]:
    """Seal texts of at most 60,000 bytes each, in the order given; data keys that are missing are made.

    A data key that seals is kept from being replaced until the transaction ends, so that nothing is sealed behind the
    back of a rotation.
    """
    keys = await _keys_of(tx, {_owner_of(place) for _, place in items})
    secrets = {owner: _unwrap(tx, key) for owner, key in keys.items()}
    return [_seal(secrets[owner], keys[owner].id, text, place) for text, place in items for owner in [_owner_of(place)]]


async def open_sealed(tx: Tx, sealed: bytes, place: Place) -> str:
    """The text of a sealed column. Refuses with Shredded, WrongContext."""
    return (await open_many(tx, [(sealed, place)]))[0]


async def open_many(tx: Tx, items: Sequence[tuple[bytes, Place]]) -> list[str]:
    """Open sealed columns, in the order given. Refuses with Shredded, WrongContext."""
    return [_text(one) for one in await open_each(tx, items)]


async def open_each(tx: Tx, items: Sequence[tuple[bytes, Place]]) -> list[str | Shredded | WrongContext]:
    """Open sealed columns, in the order given: each its text, or why nobody can read it."""
    ids = sorted({data_key_of(sealed) for sealed, _ in items})
    found = await db.rows(tx, DataKey, KEYS + " where id = any (%s::bigint[])", ids)
    secrets = {key.id: _unwrap(tx, key) if key.wrapped else None for key in found}
    return [_open(secrets, sealed, place) for sealed, place in items]


def _text(opened: str | Shredded | WrongContext) -> str:
    if isinstance(opened, str):
        return opened
    raise opened


def new_file_secret() -> str:
    """The secret of one file, which is kept in a sealed column beside the place of the file."""
    return AESGCM.generate_key(8 * KEY_BYTES).hex()


def encrypted(content: bytes, secret: str, name: str) -> bytes:
    """The content of a file under its own secret and name, for a place where others may read it."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(bytes.fromhex(secret)).encrypt(nonce, content, name.encode())


def decrypted(stored: bytes, secret: str, name: str) -> bytes:
    """The content again. Raises BrokenSealError."""
    return _decrypt(bytes.fromhex(secret), stored[:NONCE_BYTES], stored[NONCE_BYTES:], name.encode())


async def shred(tx: Tx, user_id: UserId) -> None:
    """Destroy the data keys of a person: everything sealed for him is unreadable once this is committed.

    His id is noted beside the anchors, so that a database that was restored is told to forget him again.
    Raises OSError.
    """
    if tx.equipment.anchors:
        tx.equipment.anchors.note_shredded(user_id)
    await db.run(
        tx,
        """update infra.data_keys set wrapped = null, destroyed_at = clock_timestamp()
        where user_id = %s and destroyed_at is null""",
        user_id,
    )


KEYS = "select id, user_id, purpose, wrapped, kek_id from infra.data_keys"


def _owner_of(place: Place) -> Owner:
    return (place.user_id, "person") if place.user_id else (None, place.purpose)


async def _keys_of(tx: Tx, owners: AbstractSet[Owner]) -> dict[Owner, DataKey]:
    """The data keys that these owners seal with, made where they are missing."""
    found = await _list_keys(tx, owners)
    if missing := owners - found.keys():
        await make_keys(tx, sorted(missing, key=str))
        found |= await _list_keys(tx, missing)  # ours, or those of whoever was quicker
    if unseen := owners - found.keys():
        raise LookupError(f"the data keys of {unseen} are not visible to {tx.actor.kind}")
    return found


async def _list_keys(tx: Tx, owners: AbstractSet[Owner]) -> dict[Owner, DataKey]:
    found = await db.rows(
        tx,
        DataKey,
        KEYS
        + """ where (user_id = any (%s::uuid[]) or user_id is null and purpose = any (%s::text[]))
        and retired_at is null and destroyed_at is null order by id for key share""",
        [user_id for user_id, _ in owners if user_id],
        [purpose for user_id, purpose in owners if user_id is None],
    )
    return {(key.user_id, key.purpose): key for key in found}


async def make_keys(tx: Tx, owners: Sequence[Owner]) -> None:
    """Make data keys for owners, whatever their number; for whoever has one by now none is made."""
    keyring = keyring_of(tx.equipment)
    keyring.look()
    await db.run(
        tx,
        """insert into infra.data_keys (user_id, purpose, wrapped, kek_id)
        select user_id, purpose, wrapped, %s
        from unnest(%s::uuid[], %s::text[], %s::bytea[]) as x (user_id, purpose, wrapped)
        on conflict do nothing""",
        keyring.wrapping_id,
        [user_id for user_id, _ in owners],
        [purpose for _, purpose in owners],
        [_wrap(AESGCM.generate_key(8 * KEY_BYTES), owner, keyring) for owner in owners],
    )


def _wrap(secret: bytes, owner: Owner, keyring: Keyring) -> bytes:
    nonce, number = os.urandom(NONCE_BYTES), keyring.wrapping_id
    return nonce + AESGCM(keyring.wrapping[number]).encrypt(nonce, secret, _wrap_binding(*owner, number))


def keyring_of(equipment: Equipment) -> Keyring:
    """The keyring of a process. Raises KeyringError if it has none."""
    if equipment.keyring is None:
        raise KeyringError("this process has no keyring")
    return equipment.keyring


def _unwrap(tx: Tx, key: DataKey) -> bytes:
    if key.wrapped is None:
        raise Shredded
    wrapping = keyring_of(tx.equipment).wrapping_key(key.kek_id)
    nonce, wrapped = key.wrapped[:NONCE_BYTES], key.wrapped[NONCE_BYTES:]
    return _decrypt(wrapping, nonce, wrapped, _wrap_binding(key.user_id, key.purpose, key.kek_id))


def _wrap_binding(user_id: UUID | None, purpose: str, kek_id: int) -> bytes:
    return f"infra.data_keys|{user_id or ''}|{purpose}|{kek_id}".encode()


def _binding(place: Place, key_id: int) -> bytes:
    return f"{place.table}|{place.column}|{place.row_id}|{key_id}".encode()


def _seal(secret: bytes, key_id: int, text: str, place: Place) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return HEAD.pack(VERSION, key_id, nonce) + AESGCM(secret).encrypt(nonce, _padded(text), _binding(place, key_id))


def _padded(text: str) -> bytes:
    """With its length in front, filled up to whole blocks, so that the size does not tell one address from another."""
    plain = text.encode()
    if len(plain) > TEXT_BYTES_MAX:
        raise ValueError(f"{len(plain)} bytes, at most {TEXT_BYTES_MAX}")
    framed = LENGTH.pack(len(plain)) + plain
    return framed + bytes(-len(framed) % BLOCK_BYTES)


def data_key_of(sealed: bytes) -> int:
    """The number of the data key that a value is under; 0, which no key has, for bytes that were never sealed."""
    if len(sealed) < HEAD.size or sealed[0] != VERSION:
        return 0
    key_id: int = HEAD.unpack_from(sealed)[1]
    return key_id


def _open(secrets: dict[int, bytes | None], sealed: bytes, place: Place) -> str | Shredded | WrongContext:
    key_id = data_key_of(sealed)
    if key_id not in secrets:
        return WrongContext.at(place)
    secret = secrets[key_id]
    if secret is None:
        return Shredded()
    nonce: bytes = HEAD.unpack_from(sealed)[2]
    try:
        framed = _decrypt(secret, nonce, sealed[HEAD.size :], _binding(place, key_id))
    except BrokenSealError:
        return WrongContext.at(place)
    (length,) = LENGTH.unpack_from(framed)
    return framed[LENGTH.size : LENGTH.size + length].decode()


def _decrypt(secret: bytes, nonce: bytes, content: bytes, binding: bytes) -> bytes:
    try:
        return AESGCM(secret).decrypt(nonce, content, binding)
    except InvalidTag:
        raise BrokenSealError from None
