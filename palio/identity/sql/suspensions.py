"""Statements of accounts that are suspended."""

from datetime import datetime

from palio.identity.types import Suspension
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def lock(tx: Tx, user_id: UserId) -> Suspension | None:
    """How an account stands, which waits for us; None if there is none.

    It is read once it is ours: one statement would see the roles of before it waited.
    """
    await db.run(tx, "select from identity.users where id = %s for no key update", user_id)
    return await find(tx, user_id)


async def find(tx: Tx, user_id: UserId) -> Suspension | None:
    """How an account stands; None if there is none."""
    return await db.find(
        tx,
        Suspension,
        """select u.id as user_id, u.username, u.status::text, u.suspension_reason as reason,
          u.suspended_until as until,
          exists (select from identity.role_grants g where g.user_id = u.id and g.revoked_at is null) as is_staff
        from identity.users u where u.id = %s""",
        user_id,
    )


async def update_suspended(tx: Tx, user_id: UserId, *, reason: str, until: datetime | None) -> None:
    """Suspend an account, or say anew why and until when."""
    await db.run(
        tx,
        """update identity.users set status = 'suspended', suspension_reason = %s, suspended_until = %s
        where id = %s""",
        *(reason, until, user_id),
    )


async def update_reinstated(tx: Tx, user_id: UserId) -> None:
    """Let an account in again."""
    await db.run(
        tx,
        """update identity.users set status = 'active', suspension_reason = null, suspended_until = null
        where id = %s""",
        user_id,
    )


async def update_lifted(tx: Tx, *, now: datetime, limit: int) -> list[UserId]:
    """Let in again accounts whose suspension is over, the longest ago first, and answer whose they are."""
    return await db.column(
        tx,
        """update identity.users u set status = 'active', suspension_reason = null, suspended_until = null
        from (select id from identity.users where status = 'suspended' and suspended_until <= %s
          order by suspended_until limit %s for update skip locked) as due
        where u.id = due.id returning u.id""",
        *(now, limit),
    )


async def list_permissions(tx: Tx, user_id: UserId, *, now: datetime) -> list[str]:
    """What somebody may do everywhere by all his roles; at most 1,000."""
    return await db.column(
        tx,
        """select distinct p.name from identity.role_grants g join identity.roles r on r.name = g.role
          cross join unnest(r.permissions) as p (name)
        where g.user_id = %s and g.revoked_at is null and g.object_id is null
          and (g.expires_at is null or g.expires_at > %s)
        order by p.name limit 1000""",
        *(user_id, now),
    )
