"""Statements of how many accounts a device asks for."""

from datetime import datetime
from uuid import UUID

from palio.infra import db
from palio.infra.db import Tx


async def count_sign_ups(tx: Tx, device_hash: bytes, *, since: datetime) -> int:
    """How many accounts were asked for on a device since then."""
    statement = "select count(*) from identity.sign_ups where device_hash = %s and at > %s"
    count: int = await db.value(tx, statement, *(device_hash, since))
    return count


async def insert_sign_up(tx: Tx, sign_up_id: UUID, device_hash: bytes, *, now: datetime) -> None:
    """Note that an account is asked for on a device."""
    await db.run(
        tx, "insert into identity.sign_ups (id, device_hash, at) values (%s, %s, %s)", *(sign_up_id, device_hash, now)
    )


async def delete_old(tx: Tx, *, before: datetime) -> int:
    """Remove what counts for no limit any more."""
    return await db.run(tx, "delete from identity.sign_ups where at < %s", before)
