"""Roles that staff give each other: at once, or, where they would give everything away, by a second person."""

from datetime import datetime
from uuid import UUID

from palio.identity import rules, sql
from palio.identity.errors import AlreadyGranted
from palio.identity.service import accounts, roles
from palio.identity.types import Grant
from palio.infra import approvals
from palio.infra.approvals import Approval, Approved, Payload, Proposal
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.ids import UserId
from palio.kernel.permissions import Object
from palio.kernel.providers import Change

ROLE_GRANT = "identity.role_grant"


async def grant_or_propose(
    tx: Tx,
    *,
    user_id: UserId,
    role: str,
    reason: str,
    now: datetime,
    held: frozenset[str],
    expires_at: datetime | None = None,
    of: Object | None = None,
) -> Grant | Approval:
    """Give a role as the actor, or, for owner and finance, propose it: nothing is given before a second person agrees.

    Refuses with NoSuchUser, NoSuchRole, SelfGrant, Forbidden, ReasonTooShort, GrantExpired, RoleIndivisible,
    AlreadyGranted, and with approvals.ReasonMissing.
    """
    if role not in rules.roles.WEIGHTY:
        return await roles.grant_role(
            tx, user_id=user_id, role=role, reason=reason, now=now, held=held, expires_at=expires_at, of=of
        )
    user, found = await accounts.get(tx, name_or_id=user_id), await roles.named(tx, name=role)
    rules.roles.require_grant(found, user_id=user.id, granter=tx.actor.user_id, held=held, reason=reason)
    rules.roles.require_later(expires_at, now)
    rules.roles.require_divisible(found, of)
    if any(one.role == role for one in await sql.roles.list_grants(tx, user.id, now=now)):
        raise AlreadyGranted(role=role)
    payload = {"user_id": str(user.id), "role": role, "expires_at": clock.text(expires_at) if expires_at else None}
    summary = f"Make {user.username} {role}"
    proposal = Proposal(ROLE_GRANT, payload, summary, "user", str(user.id), reason, subject=user.id)
    return await approvals.open_proposal(tx, actor=tx.actor, proposal=proposal, now=now)


async def carry_out_role_grant(tx: Tx, *, approved: Approved) -> Payload:
    """The role that two people want given; the maker must still hold all that it holds. Refuses as `grant_role`."""
    payload, maker = approved.payload, approved.maker
    grant = await roles.grant_role(
        tx,
        user_id=UserId(UUID(payload["user_id"])),
        role=payload["role"],
        reason=approved.reason,
        now=approved.now,
        held=await _permissions(tx, maker.user_id, approved.now) if maker.user_id else (),
        expires_at=datetime.fromisoformat(payload["expires_at"]) if payload["expires_at"] else None,
        actor=maker,
    )
    return {"grant_id": str(grant.id)}


async def preview_role_grant(tx: Tx, *, approved: Approved) -> list[Change]:
    """What the user could do afterwards. Refuses as `grant_role` does."""
    user = await accounts.get(tx, name_or_id=UUID(approved.payload["user_id"]))
    roles_before, held = await _roles(tx, user.id, approved.now)
    await carry_out_role_grant(tx, approved=approved)
    roles_after, holds = await _roles(tx, user.id, approved.now)
    return [
        Change(user.username, "roles", roles_before or None, roles_after),
        Change(user.username, "permissions", held, holds),
    ]


async def _roles(tx: Tx, user_id: UserId, now: datetime) -> tuple[str, int]:
    """The names of somebody's roles, and how many permissions they hold."""
    grants = [one for one in await sql.roles.list_grants(tx, user_id, now=now) if one.of is None]
    return ", ".join(grant.role for grant in grants), len(await _permissions(tx, user_id, now))


async def _permissions(tx: Tx, user_id: UserId, now: datetime) -> frozenset[str]:
    """What somebody may do everywhere by all his roles."""
    grants = [one for one in await sql.roles.list_grants(tx, user_id, now=now) if one.of is None]
    held = set[str]()
    for grant in grants:
        held |= {*(await roles.named(tx, name=grant.role)).permissions}
    return frozenset(held)
