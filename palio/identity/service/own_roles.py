"""Roles that a house makes for itself: they hold what whoever makes or changes them holds himself."""

from collections.abc import Collection
from datetime import datetime

from palio.identity import rules, sql
from palio.identity.errors import NoSuchRole, RoleExists, RoleInUse
from palio.identity.service import roles, sessions
from palio.identity.types import Role
from palio.infra import approvals, audit
from palio.infra.db import Tx
from palio.kernel.errors import Stale


async def make_role(tx: Tx, *, role: Role, reason: str, held: Collection[str], now: datetime) -> Role:
    """Make a role. Audited. Refuses with RoleNameInvalid, PermissionUnknown, Forbidden, RoleExists, and with
    approvals.ReasonMissing.
    """
    why = approvals.checked_reason(reason)
    rules.roles.require_name(role.name)
    await _require_holdable(tx, role.permissions, held)
    if not await sql.own_roles.insert(tx, role, now=now):
        raise RoleExists(role=role.name)
    made = await roles.named(tx, name=role.name)
    await _record(tx, "role.make", None, made, why)
    return made


async def change_role(tx: Tx, *, role: Role, version: int, reason: str, held: Collection[str]) -> Role:
    """Say anew what a role lets its bearers do, as whoever has seen `version` and holds all of it, before and after.

    It acts on the next request of each bearer. The same again changes nothing. Audited. Refuses with NoSuchRole,
    RoleBuiltIn, Stale, PermissionUnknown, Forbidden, and with approvals.ReasonMissing.
    """
    why, known = approvals.checked_reason(reason), await _lock(tx, role.name, version)
    await _require_holdable(tx, [*role.permissions, *known.permissions], held)
    if (role.title, role.permissions, role.mfa_required) == (known.title, known.permissions, known.mfa_required):
        return known
    await sql.own_roles.update(tx, role)
    changed = await roles.named(tx, name=role.name)
    await _record(tx, "role.change", known, changed, why)
    sessions.forget_after_commit(tx)
    return changed


async def remove_role(tx: Tx, *, name: str, version: int, reason: str, held: Collection[str]) -> None:
    """Remove a role that nobody has or had. Audited.

    Refuses with NoSuchRole, RoleBuiltIn, Stale, Forbidden, RoleInUse, and with approvals.ReasonMissing.
    """
    why, known = approvals.checked_reason(reason), await _lock(tx, name, version)
    await _require_holdable(tx, known.permissions, held)
    if await sql.own_roles.has_grants(tx, name):
        raise RoleInUse(role=name)
    await sql.own_roles.delete(tx, name)
    await _record(tx, "role.remove", known, None, why)


async def permissions(tx: Tx) -> list[str]:
    """Every permission there is: those of owners."""
    return (await roles.named(tx, name=rules.roles.OWNER)).permissions


async def _require_holdable(tx: Tx, wanted: Collection[str], held: Collection[str]) -> None:
    rules.roles.require_holdable(wanted, known=await permissions(tx), held=held)


async def _lock(tx: Tx, name: str, version: int) -> Role:
    known = await sql.own_roles.lock(tx, name)
    if known is None:
        raise NoSuchRole(role=name)
    rules.roles.require_own(known)
    if known.version != version:
        raise Stale(version=known.version)
    return known


async def _record(tx: Tx, action: str, before: Role | None, after: Role | None, reason: str) -> None:
    role = after or before
    if role is None:
        return
    changes: dict[str, tuple[object, object]] = {
        field: (getattr(before, field, None), getattr(after, field, None))
        for field in ("title", "permissions", "mfa_required")
        if getattr(before, field, None) != getattr(after, field, None)
    }
    await audit.record(
        tx,
        actor=tx.actor,
        action=action,
        entity_type="role",
        entity_id=role.name,
        changes=changes,
        reason=reason,
    )
