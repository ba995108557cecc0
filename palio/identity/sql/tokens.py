"""Statements of API tokens."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from palio.identity.types import ApiToken, Found, ScopeUse, TokenId, TokenOwner, TokenUse
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId

ROW = (
    "select id, user_id, name, prefix, last4, scopes, ip_allow::text[], created_at, expires_at, last_used_at,"
    " revoked_at from identity.api_tokens"
)
FOUND = """
select null::uuid as session_id, t.id as token_id, t.user_id, 'app' as kind, u.status::text,
  u.kind = 'service' as is_service, coalesce((select array_agg(distinct p.name)
    from identity.role_grants g join identity.roles r on r.name = g.role cross join unnest(r.permissions) as p (name)
    where u.kind = 'service' and g.user_id = t.user_id and g.revoked_at is null and g.object_id is null
      and (g.expires_at is null or g.expires_at > %s)), '{}') as permissions,
  t.scopes, t.ip_allow::text[], null::timestamptz as mfa_at,
  null::timestamptz as proved_at, coalesce(t.last_used_at, t.created_at) as last_seen_at,
  t.expires_at as idle_expires_at, t.expires_at as absolute_expires_at, t.expires_at as token_expires_at,
  t.revoked_at as ended_at
from identity.api_tokens t join identity.users u on u.id = t.user_id
"""


async def find_by_secret(tx: Tx, token_hash: bytes, *, now: datetime) -> Found | None:
    """What is known of an API token, whatever became of it; that of a service has the rights of its roles.

    A service has no second factor to show: its token is made by whoever may give its roles, and scopes narrow it.
    """
    return await db.find(tx, Found, FOUND + " where t.token_hash = %s", *(now, token_hash))


async def find_by_id(tx: Tx, token_id: TokenId, *, now: datetime) -> Found | None:
    """The same of a token that was recognised before."""
    return await db.find(tx, Found, FOUND + " where t.id = %s", *(now, token_id))


async def insert_token(tx: Tx, token: ApiToken, token_hash: bytes) -> None:
    """Store a new token."""
    await db.run(
        tx,
        """insert into identity.api_tokens (id, user_id, name, prefix, last4, token_hash, scopes, ip_allow, created_at,
          expires_at) values (%s, %s, %s, %s, %s, %s, %s, %s::cidr[], %s, %s)""",
        *(token.id, token.user_id, token.name, token.prefix, token.last4, token_hash, token.scopes, token.ip_allow),
        *(token.created_at, token.expires_at),
    )


async def list_tokens(tx: Tx, user_id: UserId, *, now: datetime) -> list[ApiToken]:
    """The live tokens of a user, the newest first; at most 200."""
    return await db.rows(
        tx,
        ApiToken,
        ROW + " where user_id = %s and revoked_at is null and expires_at > %s order by created_at desc, id limit 200",
        *(user_id, now),
    )


async def list_live(tx: Tx, *, limit: int, now: datetime) -> list[TokenUse]:
    """Live tokens of everybody, those used last first."""
    return await db.rows(
        tx,
        TokenUse,
        """select t.id, t.user_id, u.kind = 'service' as is_service, t.name, t.prefix, t.last4, t.scopes, t.expires_at,
          t.last_used_at
        from identity.api_tokens t join identity.users u on u.id = t.user_id
        where t.revoked_at is null and t.expires_at > %s order by t.last_used_at desc nulls last, t.id limit %s""",
        *(now, limit),
    )


async def list_scopes(tx: Tx, *, now: datetime) -> list[ScopeUse]:
    """How many live tokens have each scope, and when one of them was last used, by scope."""
    return await db.rows(
        tx,
        ScopeUse,
        """select s.scope, count(*) as tokens, max(t.last_used_at) as last_used_at
        from identity.api_tokens t cross join unnest(t.scopes) as s (scope)
        where t.revoked_at is null and t.expires_at > %s group by s.scope order by s.scope limit 200""",
        now,
    )


async def find_owners(tx: Tx, ids: Collection[UUID]) -> list[TokenOwner]:
    """Whose these tokens are, also those that ended; unknown ones are absent."""
    return await db.rows(
        tx,
        TokenOwner,
        "select id, user_id from identity.api_tokens where id = any (%s::uuid[]) limit %s",
        list(ids),
        len(ids),
    )


async def update_used(tx: Tx, token_id: TokenId, *, now: datetime, ip_bidx: bytes | None) -> bool:
    """Note that a token is in use, and from where; whoever is about to note it too leaves it to us (False)."""
    return bool(
        await db.run(
            tx,
            """update identity.api_tokens t set last_used_at = %s, last_used_ip_bidx = coalesce(%s, last_used_ip_bidx)
            from (select id from identity.api_tokens where id = %s for update skip locked) as mine
            where t.id = mine.id""",
            *(now, ip_bidx, token_id),
        )
    )


async def update_revoked(
    tx: Tx, *, user_id: UserId | None, token_id: TokenId | None, token_hash: bytes | None, reason: str, now: datetime
) -> Sequence[ApiToken]:
    """Revoke the live tokens of a user, of an id, or of a hash, whichever are given, and return them."""
    return await db.rows(
        tx,
        ApiToken,
        """update identity.api_tokens set revoked_at = %s, revoke_reason = %s
        where revoked_at is null and (%s::uuid is null or user_id = %s) and (%s::uuid is null or id = %s)
          and (%s::bytea is null or token_hash = %s)
        returning id, user_id, name, prefix, last4, scopes, ip_allow::text[], created_at, expires_at, last_used_at,
          revoked_at""",
        *(now, reason, user_id, user_id, token_id, token_id, token_hash, token_hash),
    )
