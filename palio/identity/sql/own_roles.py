"""Statements of roles that a house makes for itself."""

from datetime import datetime

from palio.identity.types import Role
from palio.infra import db
from palio.infra.db import Tx

ROLE = "select name, title, permissions, mfa_required, builtin, version from identity.roles"


async def lock(tx: Tx, name: str) -> Role | None:
    """The role of this name, which waits for us; None if there is none."""
    return await db.find(tx, Role, ROLE + " where name = %s for update", name)


async def hold(tx: Tx, name: str) -> bool:
    """Keep a role from being removed until the transaction ends; False if it is gone."""
    return bool(await db.run(tx, "select from identity.roles where name = %s for key share", name))


async def insert(tx: Tx, role: Role, *, now: datetime) -> bool:
    """Store a role; False if there is one of this name."""
    return bool(
        await db.run(
            tx,
            """insert into identity.roles (name, title, builtin, permissions, mfa_required, created_at)
            values (%s, %s, false, %s, %s, %s) on conflict (name) do nothing""",
            *(role.name, role.title, role.permissions, role.mfa_required, now),
        )
    )


async def update(tx: Tx, role: Role) -> None:
    """Say anew what a role lets its bearers do."""
    await db.run(
        tx,
        """update identity.roles set title = %s, permissions = %s, mfa_required = %s, version = version + 1
        where name = %s""",
        *(role.title, role.permissions, role.mfa_required, role.name),
    )


async def has_grants(tx: Tx, name: str) -> bool:
    """Is the role, or was it, given to anybody?"""
    return bool(await db.value(tx, "select exists (select from identity.role_grants where role = %s)", name))


async def delete(tx: Tx, name: str) -> None:
    """Remove a role."""
    await db.run(tx, "delete from identity.roles where name = %s and not builtin", name)
