"""Statements about sealed transfers."""

from dataclasses import dataclass
from uuid import UUID

from palio.infra import db
from palio.infra.db import Tx


@dataclass(frozen=True, slots=True)
class Sealed:
    """The number of the seal that a transfer is in, or None while it waits for one."""

    n: int | None


async def find_seal(tx: Tx, transfer_id: UUID) -> Sealed | None:
    """The seal of a transfer that the actor may see."""
    return await db.find(
        tx,
        Sealed,
        """
        select (select s.n from ledger.seals s where s.to_tx > t.tx_id order by s.to_tx limit 1) as n
        from ledger.transfers t where t.id = %s::uuid""",
        transfer_id,
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transfer stands: its seal, or None while it waits for one, and its place there; its content as JSON."""

    n: int | None
    place: int
    content: str


async def find_place(tx: Tx, transfer_id: UUID) -> Place | None:
    """The place of a transfer that the actor may see: those before it in its seal are counted."""
    return await db.find(tx, Place, "select n, place, content from ledger.place_of(%s::uuid)", transfer_id)


@dataclass(frozen=True, slots=True)
class Lost:
    """A transfer that its key remembers, and whether something that may be it stands elsewhere or has another id."""

    id: UUID
    is_elsewhere: bool


async def find_lost(tx: Tx, from_tx: int, to_tx: int) -> Lost | None:
    """The first transfer that was posted by these transactions and is not there; the keys are read through for it."""
    return await db.find(
        tx,
        Lost,
        """
        select k.ref_id as id,
          exists (select from ledger.transfers t where t.id = k.ref_id or t.key = k.key) as is_elsewhere
        from ledger.keys k where k.op = 'transfer' and k.tx_id >= %s::bigint and k.tx_id < %s::bigint
          and not exists (select from ledger.transfers t where t.id = k.ref_id and t.tx_id = k.tx_id)
        order by k.tx_id, k.ref_id limit 1""",
        from_tx,
        to_tx,
    )


async def has_own_key(tx: Tx, transfer_id: UUID) -> bool:
    """Does a key know the transfer, under its id and of its transaction?"""
    return bool(
        await db.value(
            tx,
            """
            select exists (select from ledger.transfers t join ledger.keys k on k.key = t.key
              where t.id = %s::uuid and k.ref_id = t.id and k.tx_id = t.tx_id)""",
            transfer_id,
        )
    )


async def has_moved(tx: Tx, transfer_id: UUID) -> bool:
    """Does a key know the transfer, but of another transaction?"""
    return bool(
        await db.value(
            tx,
            """
            select exists (select from ledger.transfers t join ledger.keys k on k.key = t.key
              where t.id = %s::uuid and k.ref_id = t.id and k.tx_id <> t.tx_id)""",
            transfer_id,
        )
    )
