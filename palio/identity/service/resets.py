"""Second factors of somebody who has lost them: two people agree, he is told, and a day later they are removed.

Whoever proves himself by a factor meanwhile has not lost it: then nothing is removed.
"""

from datetime import datetime, timedelta
from uuid import UUID

from palio.identity import sql
from palio.identity.errors import FactorMissing, NoReset, OwnAccount
from palio.identity.messages import SecurityChanged, SendLetter
from palio.identity.service import accounts, factors, sessions
from palio.identity.types import FactorReset
from palio.infra import approvals, audit, outbox
from palio.infra.approvals import Approval, Approved, Payload, Proposal
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id
from palio.kernel.providers import Change

MFA_RESET = "identity.mfa_reset"
DELAY = timedelta(hours=24)
AT_ONCE_MAX = 500


async def propose_reset(tx: Tx, *, user_id: UserId, reason: str, now: datetime) -> Approval:
    """Propose that the second factors of somebody are removed. The same twice is the first proposal.

    Refuses with NoSuchUser, OwnAccount, FactorMissing, and with approvals.ReasonMissing.
    """
    user = await accounts.get(tx, name_or_id=user_id)
    if user.id == tx.actor.user_id:
        raise OwnAccount
    if not await factors.factors_of(tx, user_id=user.id):
        raise FactorMissing
    summary = f"Remove the second factors of {user.username}, a day after it is agreed"
    proposal = Proposal(MFA_RESET, {"user_id": str(user.id)}, summary, "user", str(user.id), reason, subject=user.id)
    return await approvals.open_proposal(tx, actor=tx.actor, proposal=proposal, now=now)


async def carry_out_reset(tx: Tx, *, approved: Approved) -> Payload:
    """Plan what two people agreed on for a day later, and tell him. Refuses with NoSuchUser, FactorMissing."""
    user_id, reset_id = UserId(UUID(approved.payload["user_id"])), UUID(approved.key.partition(":")[2])
    planned = await plan_reset(tx, user_id=user_id, reason=approved.reason, now=approved.now, reset_id=reset_id)
    return {"due_at": planned.due_at.isoformat()}


async def plan_reset(
    tx: Tx,
    *,
    user_id: UserId,
    reason: str,
    now: datetime,
    reset_id: UUID | None = None,
    via: audit.Via | None = None,
) -> FactorReset:
    """Plan for a day later that somebody's second factors go, and write so to each address he has proven.

    What is planned already stays. Audited.

    For two people, or the house. Refuses with NoSuchUser, FactorMissing.
    """
    user = await accounts.get(tx, name_or_id=user_id)
    if not await factors.factors_of(tx, user_id=user.id):
        raise FactorMissing
    wish = FactorReset(reset_id or new_id(), user.id, now, now + DELAY)
    if not await sql.resets.insert(tx, wish):
        return await sql.resets.find(tx, user.id) or wish
    await _record(tx, "mfa_reset.plan", user.id, reason, via)
    proven = [one.id for one in await sql.contacts.list_emails(tx, user.id) if one.verified_at]
    letters = [SendLetter("factors_reset", email_id) for email_id in proven]
    await outbox.send(tx, SecurityChanged(user.id, "factors_reset_planned"), *letters)
    return wish


async def preview_reset(tx: Tx, *, approved: Approved) -> list[Change]:
    """When the factors would be gone. Refuses with NoSuchUser, FactorMissing."""
    user = await accounts.get(tx, name_or_id=UUID(approved.payload["user_id"]))
    await carry_out_reset(tx, approved=approved)
    return [Change(user.username, "second factors", "in use", "removed a day after it is agreed")]


async def reset_of(tx: Tx, *, user_id: UserId) -> FactorReset | None:
    """The removal that is planned for somebody, or None."""
    return await sql.resets.find(tx, user_id)


async def cancel_reset(tx: Tx, *, user_id: UserId, now: datetime) -> None:
    """Take back what is planned for somebody, as himself. Audited. For the system. Refuses with NoReset."""
    if not await stop(tx, user_id=user_id, now=now):
        raise NoReset


async def stop(tx: Tx, *, user_id: UserId, now: datetime) -> bool:
    """Take back what is planned for somebody who has just proven himself by a factor; False if nothing is. Audited."""
    if await sql.resets.update_cancelled(tx, user_id, now=now) is None:
        return False
    await _record(tx, "mfa_reset.cancel", user_id, "")
    await outbox.send(tx, SecurityChanged(user_id, "factors_reset_cancelled"))
    return True


async def carry_out_due(tx: Tx, *, now: datetime) -> int:
    """Remove the factors whose day has passed, at most 500 people's at once; their sessions end. Answers how many."""
    user_ids = await sql.resets.update_done(tx, now=now, limit=AT_ONCE_MAX)
    if not user_ids:
        return 0
    await sql.resets.delete_factors(tx, user_ids)
    await sql.resets.update_sessions_ended(tx, user_ids, now=now)
    sessions.forget_after_commit(tx, *user_ids)
    async with tx.pipeline():  # one trip for all the rows
        for user_id in user_ids:
            await _record(tx, "mfa_reset.done", user_id, "agreed by two people a day ago")
    await outbox.send(tx, *(SecurityChanged(user_id, "factors_reset") for user_id in user_ids))
    return len(user_ids)


async def _record(tx: Tx, action: str, user_id: UserId, reason: str, via: audit.Via | None = None) -> None:
    await audit.record(
        tx,
        actor=tx.actor,
        action=action,
        entity_type="user",
        entity_id=str(user_id),
        changes={},
        reason=reason,
        subject=user_id,
        via=via,
    )
