"""Accounts that are suspended: their bearers read what is theirs, and do nothing."""

from collections.abc import Collection
from datetime import datetime

from palio.identity import rules, sql
from palio.identity.errors import NoSuchUser
from palio.identity.messages import UserReinstated, UserSuspended
from palio.identity.service import sessions
from palio.identity.types import Suspension
from palio.infra import approvals, audit, outbox
from palio.infra.db import Tx
from palio.kernel.ids import UserId

LIFTED_AT_ONCE_MAX = 500


async def suspension_of(tx: Tx, *, user_id: UserId) -> Suspension:
    """How an account stands. Refuses with NoSuchUser."""
    found = await sql.suspensions.find(tx, user_id)
    if found is None:
        raise NoSuchUser(user=str(user_id))
    return found


async def suspend(
    tx: Tx,
    *,
    user_id: UserId,
    reason: str,
    until: datetime | None = None,
    now: datetime,
    held: Collection[str] = (),
    remark: str = "",
    via: audit.Via | None = None,
) -> Suspension:
    """Suspend an account, for good or until an instant; its sessions end, the bearer reads the reason. Audited.

    Of one that is suspended the reason and the end are changed. `held` is what the one who does it may do himself;
    `remark` stands beside the reason in the audit alone.
    Refuses with NoSuchUser, OwnAccount, Forbidden, NotSuspendable, LastOwner, EndsInPast, and with
    approvals.ReasonMissing.
    """
    why = approvals.checked_reason(reason)
    rules.suspensions.require_later(until, now)
    owners = await sql.roles.lock_owners(tx, now=now)  # before the account: who loses a role waits in this order too
    known = await _lock(tx, user_id)
    theirs = await sql.suspensions.list_permissions(tx, user_id, now=now) if known.is_staff else []
    rules.suspensions.require_suspendable(known, by=tx.actor.user_id, held=held, theirs=theirs)
    rules.roles.require_owner_left(owners, user_id)
    await sql.suspensions.update_suspended(tx, user_id, reason=why, until=until)
    await _record(tx, "user.suspend", known, "suspended", until, f"{why} {remark}".strip(), via)
    if known.status != "suspended":
        await sessions.end_sessions(tx, user_id=user_id, reason="suspended", now=now)
        await outbox.send(tx, UserSuspended(user_id))
    return await suspension_of(tx, user_id=user_id)


async def reinstate(tx: Tx, *, user_id: UserId, reason: str, via: audit.Via | None = None) -> Suspension:
    """Let a suspended account in again at once. Audited.

    Refuses with NoSuchUser, OwnAccount, NotSuspendable, and with approvals.ReasonMissing.
    """
    why = approvals.checked_reason(reason)
    known = await _lock(tx, user_id)
    rules.suspensions.require_suspended(known, by=tx.actor.user_id)
    await sql.suspensions.update_reinstated(tx, user_id)
    await _record(tx, "user.reinstate", known, "active", None, why, via)
    sessions.forget_after_commit(tx, user_id)
    await outbox.send(tx, UserReinstated(user_id))
    return await suspension_of(tx, user_id=user_id)


async def lift_due(tx: Tx, *, now: datetime) -> int:
    """Let in again, at most 500 at once, whoever was suspended until now; answers how many. Each is audited."""
    lifted = await sql.suspensions.update_lifted(tx, now=now, limit=LIFTED_AT_ONCE_MAX)
    async with tx.pipeline():  # one trip for all the rows
        for user_id in lifted:
            await audit.record(
                tx,
                actor=tx.actor,
                action="user.reinstate",
                entity_type="user",
                entity_id=str(user_id),
                changes={"status": ("suspended", "active")},
                reason="the time of the suspension is over",
                subject=user_id,
            )
    if lifted:
        sessions.forget_after_commit(tx, *lifted)
        await outbox.send(tx, *map(UserReinstated, lifted))
    return len(lifted)


async def _lock(tx: Tx, user_id: UserId) -> Suspension:
    known = await sql.suspensions.lock(tx, user_id)
    if known is None:
        raise NoSuchUser(user=str(user_id))
    return known


async def _record(
    tx: Tx,
    action: str,
    known: Suspension,
    status: str,
    until: datetime | None,
    reason: str,
    via: audit.Via | None,
) -> None:
    await audit.record(
        tx,
        actor=tx.actor,
        action=action,
        entity_type="user",
        entity_id=str(known.user_id),
        changes={"status": (known.status, status), "suspended_until": (known.until, until)},
        reason=reason,
        subject=known.user_id,
        via=via,
    )
