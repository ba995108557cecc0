"""Roles: what they let staff do, who holds one, and the first owner."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime

from palio.identity import personal, rules, sql
from palio.identity.errors import (
    AlreadyGranted,
    NoSuchRole,
    NotGranted,
    OwnerExists,
    TokenInvalid,
)
from palio.identity.messages import RoleGranted, RoleRevoked
from palio.identity.service import accounts, credentials, registration, sessions
from palio.identity.types import Grant, PasswordHash, Role, TokenRow
from palio.infra import audit, outbox
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId, new_id
from palio.kernel.permissions import Object, Permission


async def declare_roles(tx: Tx, *, permissions: Sequence[Permission], now: datetime) -> None:
    """Bring the built-in roles to what the modules of this program let them do."""
    for role in rules.roles.builtin_roles(permissions):
        await sql.roles.upsert_builtin(tx, role, now=now)


async def list_roles(tx: Tx) -> list[Role]:
    """Every role, by name."""
    return await sql.roles.list_roles(tx)


async def grants_of(tx: Tx, *, user_id: UserId, now: datetime) -> list[Grant]:
    """The roles a user holds now."""
    return await sql.roles.list_grants(tx, user_id, now=now)


async def staff_with(tx: Tx, *, permission: str, now: datetime) -> list[UserId]:
    """Who may do this by one of his roles, whether or not he is signed in."""
    return await sql.roles.list_holders(tx, permission, now=now)


async def grant_role(
    tx: Tx,
    *,
    user_id: UserId,
    role: str,
    reason: str,
    now: datetime,
    held: Collection[str] = (),
    expires_at: datetime | None = None,
    of: Object | None = None,
    via: audit.Via | None = None,
    actor: Actor | None = None,
) -> Grant:
    """Give a user a role, which he uses from his next sign-in on. Audited. `held` is what the granter may do himself.

    The granter is `actor`, or whose transaction it is. With `of` the role counts for that thing alone, which may yet
    have to be made.

    Refuses with NoSuchUser, NoSuchRole, SelfGrant, Forbidden, ReasonTooShort, GrantExpired, RoleIndivisible,
    AlreadyGranted.
    """
    granter = actor or tx.actor
    user, found = await accounts.get(tx, name_or_id=user_id), await named(tx, name=role)
    rules.roles.require_grant(found, user_id=user.id, granter=granter.user_id, held=held, reason=reason)
    rules.roles.require_later(expires_at, now)
    rules.roles.require_divisible(found, of)
    await sql.credentials.lock_user(tx, user.id)  # nobody begins to look as him meanwhile
    if not await sql.own_roles.hold(tx, found.name):
        raise NoSuchRole(role=role)
    kind, object_id = (of.kind, of.id) if of else (None, None)
    grant = Grant(new_id(), user.id, found.name, granter.user_id, reason, now, expires_at, kind, object_id)
    if not await sql.roles.insert_grant(tx, grant):
        raise AlreadyGranted(role=role)
    await _told(tx, "role.grant", grant.user_id, (None, _shown(role, of)), reason, via, now, granter)
    await outbox.send(tx, RoleGranted(user.id, role))
    return grant


async def revoke_role(
    tx: Tx,
    *,
    user_id: UserId,
    role: str,
    reason: str,
    now: datetime,
    held: Collection[str] = (),
    of: Object | None = None,
    via: audit.Via | None = None,
) -> None:
    """Take a role from a user now, everywhere or, with `of`, of one thing. Audited.

    Somebody always owns the house, also when two go at once.

    Refuses with NoSuchUser, NoSuchRole, SelfGrant, Forbidden, ReasonTooShort, LastOwner, NotGranted.
    """
    user, found = await accounts.get(tx, name_or_id=user_id), await named(tx, name=role)
    rules.roles.require_grant(found, user_id=user.id, granter=tx.actor.user_id, held=held, reason=reason)
    if role == rules.roles.OWNER:
        rules.roles.require_owner_left(await sql.roles.lock_owners(tx, now=now), user.id)
    if not await sql.roles.update_revoked(tx, user.id, role, of=of, by=tx.actor.user_id, now=now):
        raise NotGranted(role=role)
    await _told(tx, "role.revoke", user.id, (_shown(role, of), None), reason, via, now)
    await outbox.send(tx, RoleRevoked(user.id, role))


async def invite_first_owner(tx: Tx, *, email: str, now: datetime, reason: str, via: audit.Via | None = None) -> str:
    """The secret of the link by which somebody becomes the first owner within an hour. Audited.

    Who has no account gets one that waits for him. Refuses with OwnerExists, EmailInvalid.
    """
    if await sql.roles.lock_owners(tx, now=now):
        raise OwnerExists
    address = personal.canonical_email(email)
    contact = await sql.contacts.find_owner_of(tx, personal.email_index(tx, address))
    if contact is None:
        stem = re.sub(r"[^A-Za-z0-9_.-]", "", address.partition("@")[0]).strip("_.-")[:20]
        stem = stem if len(stem) >= rules.names.USERNAME_CHARACTERS_MIN else rules.roles.OWNER
        contact = await registration.open_account(tx, address=address, stem=stem, now=now)
    secret = await credentials.make_link(tx, token_id=new_id(), purpose="first_owner", to=contact, now=now)
    await audit.record(
        tx,
        actor=tx.actor,
        action="owner.invite",
        entity_type="user",
        entity_id=str(contact.user_id),
        changes={"email": (None, audit.SEALED)},
        reason=reason,
        subject=contact.user_id,
        via=via,
    )
    return secret


async def become_first_owner(tx: Tx, *, token: TokenRow, password: PasswordHash, now: datetime) -> UserId:
    """Use the printed link up: the account is active, its password set, and it owns the house. Audited.

    Refuses with TokenInvalid, OwnerExists.
    """
    if await sql.roles.lock_owners(tx, now=now):
        raise OwnerExists
    await registration.lock_link(tx, token=token)
    if not await sql.credentials.update_used(tx, token.id, now=now):
        raise TokenInvalid
    contact = await sql.contacts.find_by_index(tx, token.user_id, token.target_bidx)
    if contact is None:
        raise TokenInvalid
    if contact.verified_at is None:
        await registration.take_address(tx, user_id=token.user_id, bidx=token.target_bidx, now=now)
    await sql.credentials.upsert_password(tx, token.user_id, password, now=now)
    reason = "became the first owner by the printed link"
    await grant_role(tx, user_id=token.user_id, role=rules.roles.OWNER, reason=reason, now=now)
    return token.user_id


def _shown(role: str, of: Object | None) -> str:
    return f"{role} of {of}" if of else role


async def named(tx: Tx, *, name: str) -> Role:
    """The role of a name. Refuses with NoSuchRole."""
    found = await sql.roles.find_role(tx, name)
    if found is None:
        raise NoSuchRole(role=name)
    return found


async def _told(
    tx: Tx,
    action: str,
    user_id: UserId,
    roles: tuple[str | None, str | None],
    reason: str,
    via: audit.Via | None,
    now: datetime,
    actor: Actor | None = None,
) -> None:
    """Write down who changed whose role, and end his sessions: the next one has the new rights."""
    await audit.record(
        tx,
        actor=actor or tx.actor,
        action=action,
        entity_type="user",
        entity_id=str(user_id),
        changes={"role": roles},
        reason=reason,
        subject=user_id,
        via=via,
    )
    await sessions.end_sessions(tx, user_id=user_id, reason="role_changed", now=now)
