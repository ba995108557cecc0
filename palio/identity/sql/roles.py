"""Statements of roles and of the rules for e-mail addresses."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from palio.identity.types import EmailRule, Grant, Owner, Role
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.permissions import Object

ROLE = "select name, title, permissions, mfa_required, builtin, version from identity.roles"
GRANT = """select id, user_id, role, granted_by, reason, granted_at, expires_at, object_kind, object_id
  from identity.role_grants"""
RULE = "select id, position, action, kind, pattern, note, enabled, version from identity.email_rules"


async def upsert_builtin(tx: Tx, role: Role, *, now: datetime) -> None:
    """Bring a built-in role to what the program says of it."""
    await db.run(
        tx,
        """insert into identity.roles as r (name, title, builtin, permissions, mfa_required, created_at)
        values (%s, %s, true, %s, %s, %s)
        on conflict (name) do update set title = excluded.title, permissions = excluded.permissions,
          mfa_required = excluded.mfa_required, builtin = true, version = r.version + 1
        where (r.title, r.permissions, r.mfa_required, r.builtin)
          is distinct from (excluded.title, excluded.permissions, excluded.mfa_required, true)""",
        *(role.name, role.title, role.permissions, role.mfa_required, now),
    )


async def find_role(tx: Tx, name: str) -> Role | None:
    """The role of this name, or None."""
    return await db.find(tx, Role, ROLE + " where name = %s", name)


async def list_roles(tx: Tx) -> list[Role]:
    """Every role, by name; at most 1,000."""
    return await db.rows(tx, Role, ROLE + " order by name limit 1000")


async def list_grants(tx: Tx, user_id: UserId, *, now: datetime) -> list[Grant]:
    """The roles a user holds now."""
    return await db.rows(
        tx,
        Grant,
        GRANT + " where user_id = %s and revoked_at is null and (expires_at is null or expires_at > %s)"
        " order by role, object_kind nulls first, object_id",
        *(user_id, now),
    )


async def lock_owners(tx: Tx, *, now: datetime) -> list[Owner]:
    """Whose is the house: active owners, whose grants wait for us."""
    await db.run(tx, "select pg_advisory_xact_lock(hashtextextended('identity.owners', 0))")
    return await db.rows(
        tx,
        Owner,
        """select g.user_id, g.expires_at is null as is_lasting
        from identity.role_grants g join identity.users u on u.id = g.user_id
        where g.role = 'owner' and g.revoked_at is null and (g.expires_at is null or g.expires_at > %s)
          and u.status = 'active' order by g.user_id""",
        now,
    )


async def insert_grant(tx: Tx, grant: Grant) -> bool:
    """Store a grant; False if the user holds the role. One that has run out makes room."""
    await db.run(
        tx,
        """update identity.role_grants set revoked_at = expires_at
        where user_id = %s and role = %s and revoked_at is null and expires_at <= %s
          and object_id is not distinct from %s::uuid""",
        *(grant.user_id, grant.role, grant.granted_at, grant.object_id),
    )
    return bool(
        await db.run(
            tx,
            """insert into identity.role_grants (id, user_id, role, granted_by, reason, granted_at, expires_at,
              object_kind, object_id)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (user_id, role, object_kind, object_id) where revoked_at is null do nothing""",
            *(grant.id, grant.user_id, grant.role, grant.granted_by, grant.reason, grant.granted_at, grant.expires_at),
            *(grant.object_kind, grant.object_id),
        )
    )


async def update_revoked(
    tx: Tx, user_id: UserId, role: str, *, of: Object | None, by: UUID | None, now: datetime
) -> bool:
    """Take a role, everywhere or of one thing; False if the user does not hold it so."""
    return bool(
        await db.run(
            tx,
            """update identity.role_grants set revoked_at = %s, revoked_by = %s
            where user_id = %s and role = %s and revoked_at is null
              and object_kind is not distinct from %s and object_id is not distinct from %s::uuid""",
            *(now, by, user_id, role, of.kind if of else None, of.id if of else None),
        )
    )


async def list_holders(tx: Tx, permission: str, *, now: datetime) -> list[UserId]:
    """Who may do this everywhere by one of his roles, whether or not he is signed in; at most 1,000."""
    return await db.column(
        tx,
        """select distinct g.user_id from identity.role_grants g join identity.roles r on r.name = g.role
          join identity.users u on u.id = g.user_id and u.status = 'active'
        where g.revoked_at is null and g.object_id is null and (g.expires_at is null or g.expires_at > %s)
          and %s = any (r.permissions)
        order by g.user_id limit 1000""",
        *(now, permission),
    )


async def list_rules(tx: Tx) -> list[EmailRule]:
    """The e-mail policy in the order in which it is read; at most 1,000 rules."""
    return await db.rows(tx, EmailRule, RULE + " order by position limit 1000")


async def insert_rules(tx: Tx, rules: Sequence[EmailRule], *, now: datetime) -> None:
    """Store rules."""
    await db.run(
        tx,
        """insert into identity.email_rules (id, position, action, kind, pattern, note, created_at)
        select r.*, %s from unnest(%s::uuid[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[]) as r""",
        now,
        *(list(column) for column in _columns(rules)),
    )


async def update_rule(tx: Tx, rule: EmailRule) -> None:
    """Say anew what a rule does; its place stays."""
    await db.run(
        tx,
        """update identity.email_rules set action = %s, kind = %s, pattern = %s, note = %s, enabled = %s,
          version = version + 1 where id = %s""",
        *(rule.action, rule.kind, rule.pattern, rule.note, rule.enabled, rule.id),
    )


async def update_moved(tx: Tx, position: int) -> None:
    """Make room for a rule at a position."""
    await db.run(tx, "update identity.email_rules set position = position + 1 where position >= %s", position)


async def delete_rule(tx: Tx, position: int) -> bool:
    """Remove the rule at a position and close the gap; False if there is none."""
    if not await db.run(tx, "delete from identity.email_rules where position = %s", position):
        return False
    await db.run(tx, "update identity.email_rules set position = position - 1 where position > %s", position)
    return True


async def delete_rules(tx: Tx) -> int:
    """Remove every rule."""
    return await db.run(tx, "delete from identity.email_rules")


async def lock_rules(tx: Tx) -> None:
    """Let one change of the policy wait for the other."""
    await db.run(tx, "select pg_advisory_xact_lock(hashtextextended('identity.email_rules', 0))")


def _columns(rules: Sequence[EmailRule]) -> list[list[object]]:
    return [
        [rule.id for rule in rules],
        [rule.position for rule in rules],
        [rule.action for rule in rules],
        [rule.kind for rule in rules],
        [rule.pattern for rule in rules],
        [rule.note for rule in rules],
    ]
