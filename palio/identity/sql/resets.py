"""Statements of second factors that are to be removed for whoever has lost them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from palio.identity.types import FactorReset
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def insert(tx: Tx, reset: FactorReset) -> bool:
    """Plan a removal; False if one is planned already."""
    return bool(
        await db.run(
            tx,
            """insert into identity.factor_resets (id, user_id, created_at, due_at) values (%s, %s, %s, %s)
            on conflict do nothing""",
            *(reset.id, reset.user_id, reset.created_at, reset.due_at),
        )
    )


async def find(tx: Tx, user_id: UserId) -> FactorReset | None:
    """The removal that is planned for somebody, or None."""
    return await db.find(
        tx,
        FactorReset,
        """select id, user_id, created_at, due_at from identity.factor_resets
        where user_id = %s and cancelled_at is null and done_at is null""",
        user_id,
    )


async def update_cancelled(tx: Tx, user_id: UserId, *, now: datetime) -> UUID | None:
    """Take back what is planned for somebody, and answer which it was; None if nothing is."""
    found: UUID | None = await db.value(
        tx,
        """update identity.factor_resets set cancelled_at = %s
        where user_id = %s and cancelled_at is null and done_at is null returning id""",
        *(now, user_id),
    )
    return found


async def update_done(tx: Tx, *, now: datetime, limit: int) -> list[UserId]:
    """Note that what is due is done, the longest due first, and answer for whom."""
    return await db.column(
        tx,
        """update identity.factor_resets r set done_at = %s
        from (select id from identity.factor_resets where due_at <= %s and cancelled_at is null and done_at is null
          order by due_at limit %s for update skip locked) as due
        where r.id = due.id returning r.user_id""",
        *(now, now, limit),
    )


async def delete_factors(tx: Tx, user_ids: Sequence[UserId]) -> None:
    """Remove the authenticators, passkeys and recovery codes of these users."""
    await db.run(tx, "delete from identity.totp_secrets where user_id = any (%s::uuid[])", list(user_ids))
    await db.run(tx, "delete from identity.passkeys where user_id = any (%s::uuid[])", list(user_ids))
    await db.run(tx, "delete from identity.recovery_codes where user_id = any (%s::uuid[])", list(user_ids))


async def update_sessions_ended(tx: Tx, user_ids: Sequence[UserId], *, now: datetime) -> None:
    """End the open sessions of these users."""
    await db.run(
        tx,
        """update identity.sessions set ended_at = %s, end_reason = 'revoked_by_staff'
        where user_id = any (%s::uuid[]) and ended_at is null""",
        *(now, list(user_ids)),
    )
