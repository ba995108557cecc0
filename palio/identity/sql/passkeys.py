"""Statements of passkeys."""

from datetime import datetime

from palio.identity.types import Passkey, PasskeyId, PasskeyRow
from palio.infra import db
from palio.infra.db import Tx
from palio.infra.passkeys import Made
from palio.kernel.ids import UserId


async def insert_passkey(
    tx: Tx, passkey_id: PasskeyId, user_id: UserId, made: Made, *, transports: list[str], name: str, now: datetime
) -> bool:
    """Store a passkey; False if there is one of this id already, whoever has it."""
    return bool(
        await db.run(
            tx,
            """insert into identity.passkeys (id, user_id, credential_id, public_key, sign_count, aaguid, transports,
              backed_up, name, created_at)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) on conflict (credential_id) do nothing""",
            *(passkey_id, user_id, made.credential_id, made.public_key, made.sign_count, made.aaguid, transports),
            *(made.is_backed_up, name, now),
        )
    )


async def list_passkeys(tx: Tx, user_id: UserId) -> list[Passkey]:
    """The passkeys of a user in the order in which they were made; at most 100."""
    return await db.rows(
        tx,
        Passkey,
        """select id, credential_id, name, backed_up as is_backed_up, created_at, last_used_at
        from identity.passkeys where user_id = %s order by created_at, id limit 100""",
        user_id,
    )


async def find_owner(tx: Tx, credential_id: bytes) -> UserId | None:
    """Whose passkey this is, or None."""
    found: UserId | None = await db.value(
        tx, "select user_id from identity.passkeys where credential_id = %s", credential_id
    )
    return found


async def lock_passkey(tx: Tx, credential_id: bytes) -> PasskeyRow | None:
    """The passkey of this id, whose counter nobody else moves meanwhile; None if there is none."""
    return await db.find(
        tx,
        PasskeyRow,
        """select id, user_id, public_key, sign_count from identity.passkeys where credential_id = %s
        for no key update""",
        credential_id,
    )


async def update_signed(tx: Tx, passkey_id: PasskeyId, *, sign_count: int, is_backed_up: bool, now: datetime) -> None:
    """Note that a passkey has signed."""
    await db.run(
        tx,
        "update identity.passkeys set sign_count = %s, backed_up = %s, last_used_at = %s where id = %s",
        *(sign_count, is_backed_up, now, passkey_id),
    )


async def delete_passkey(tx: Tx, user_id: UserId, passkey_id: PasskeyId) -> bool:
    """Remove a passkey; False if the user has none of this id."""
    return bool(
        await db.run(tx, "delete from identity.passkeys where user_id = %s and id = %s", *(user_id, passkey_id))
    )
