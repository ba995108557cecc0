"""Statements of sessions, the devices they began on, and the tokens of apps."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.identity.types import AuthMethod, DeviceId, Found, RefreshRow, SessionEnd, SessionId, SessionKind, SessionRow
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId

PERMISSIONS = """
coalesce((select array_agg(distinct p.name) from identity.role_grants g join identity.roles r on r.name = g.role
    cross join unnest(r.permissions) as p (name)
    where g.user_id = s.user_id and g.object_id is null and g.revoked_at is null
      and (g.expires_at is null or g.expires_at > %s) and (s.mfa_at is not null or not r.mfa_required)), '{}')
  as permissions,
coalesce((select array_agg(distinct g.object_kind || ':' || g.object_id || ' ' || p.name)
    from identity.role_grants g join identity.roles r on r.name = g.role
    cross join unnest(r.permissions) as p (name)
    where g.user_id = s.user_id and g.object_id is not null and g.revoked_at is null
      and (g.expires_at is null or g.expires_at > %s) and (s.mfa_at is not null or not r.mfa_required)), '{}') as lent
"""
MUST_CHANGE = """exists (select from identity.passwords w where w.user_id = s.user_id and w.must_change) as must_change,
"""
SESSION = (
    "select s.id as session_id, null::uuid as token_id, s.user_id, s.kind::text, u.status::text,"
    + PERMISSIONS
    + """, null::text[] as scopes, '{}'::text[] as ip_allow, s.mfa_at, greatest(s.mfa_at, s.step_up_at) as proved_at,
  s.last_seen_at, s.idle_expires_at, s.absolute_expires_at, s.ended_at, s.impersonator_id, s.impersonation_reason,
  """
    + MUST_CHANGE
    + " u.display_name,"
)
# Staff look as a player only as long as they are signed in to the console, and still may.
LOOKING = """ and (s.impersonator_id is null or (
    exists (select from identity.sessions c where c.user_id = s.impersonator_id and c.kind = 'console'
      and c.ended_at is null)
    and exists (select from identity.role_grants g join identity.roles r on r.name = g.role
      join identity.users i on i.id = g.user_id and i.status = 'active'
      where g.user_id = s.impersonator_id and g.object_id is null and g.revoked_at is null
        and (g.expires_at is null or g.expires_at > %s) and 'identity.user.impersonate' = any (r.permissions))))
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """An open session as it is listed, its address sealed."""

    id: SessionId
    kind: SessionKind
    label: str
    method: AuthMethod
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ip: bytes | None
    country: str | None
    city: str | None


@dataclass(frozen=True, slots=True)
class Open:
    """Where a look at all open sessions has come to."""

    user_id: UserId
    id: SessionId


FIRST = Open(UserId(UUID(int=0)), SessionId(UUID(int=0)))


async def insert_session(tx: Tx, row: SessionRow) -> None:
    """Store a session that begins."""
    await db.run(
        tx,
        """insert into identity.sessions (id, user_id, kind, token_hash, device_id, method, created_at, last_seen_at,
          idle_expires_at, absolute_expires_at, step_up_at, mfa_at, ip, ip_bidx, country, city, user_agent)
        values (%s, %s, %s::identity.session_kind, %s, %s, %s::identity.auth_method, %s, %s, %s, %s, %s, %s, %s, %s,
          %s, %s, %s)""",
        *(row.id, row.user_id, row.kind, row.token_hash, row.device_id, row.method, row.created_at, row.created_at),
        *(row.lives.idle_at, row.lives.absolute_at, row.step_up_at, row.mfa_at, row.ip, row.network.ip),
        *(row.network.country, row.network.city, row.user_agent),
    )


async def find_by_cookie(tx: Tx, token_hash: bytes, *, now: datetime) -> Found | None:
    """What is known of the session of a cookie."""
    return await db.find(
        tx,
        Found,
        SESSION
        + """ s.absolute_expires_at as token_expires_at
        from identity.sessions s join identity.users u on u.id = s.user_id where s.token_hash = %s"""
        + LOOKING,
        *(now, now, token_hash, now),
    )


async def find_by_id(tx: Tx, session_id: SessionId, *, now: datetime) -> Found | None:
    """What is known of a session."""
    return await db.find(
        tx,
        Found,
        SESSION
        + """ s.absolute_expires_at as token_expires_at
        from identity.sessions s join identity.users u on u.id = s.user_id where s.id = %s"""
        + LOOKING,
        *(now, now, session_id, now),
    )


async def find_by_access_token(tx: Tx, token_hash: bytes, *, now: datetime) -> Found | None:
    """What is known of the session of an access token."""
    return await db.find(
        tx,
        Found,
        SESSION
        + """ t.access_expires_at as token_expires_at
        from identity.refresh_tokens t join identity.sessions s on s.id = t.session_id
          join identity.users u on u.id = s.user_id where t.access_hash = %s""",
        *(now, now, token_hash),
    )


async def update_seen(tx: Tx, session_id: SessionId, *, now: datetime, idle_at: datetime) -> None:
    """Note that a session is in use; whoever is about to note it too leaves it to us."""
    await db.run(
        tx,
        """update identity.sessions s set last_seen_at = %s, idle_expires_at = greatest(s.idle_expires_at, %s)
        from (select id from identity.sessions where id = %s and ended_at is null for update skip locked) as mine
        where s.id = mine.id""",
        *(now, idle_at, session_id),
    )


async def update_proven(
    tx: Tx, session_id: SessionId, *, now: datetime, with_factor: bool, token_hash: bytes | None
) -> bool:
    """Note a fresh proof, with a new cookie where there is one; False if the session has ended."""
    return bool(
        await db.run(
            tx,
            """update identity.sessions set step_up_at = %s, mfa_at = case when %s then %s else mfa_at end,
              token_hash = %s where id = %s and ended_at is null""",
            *(now, with_factor, now, token_hash, session_id),
        )
    )


async def list_open(tx: Tx, user_id: UserId, *, now: datetime) -> list[Listed]:
    """The open sessions of a user, the last used first; at most 200."""
    return await db.rows(
        tx,
        Listed,
        """select s.id, s.kind::text, d.label, s.method::text, s.created_at, s.last_seen_at,
          least(s.idle_expires_at, s.absolute_expires_at) as expires_at, s.ip, s.country, s.city
        from identity.sessions s join identity.devices d on d.id = s.device_id
        where s.user_id = %s and s.ended_at is null and s.idle_expires_at > %s and s.absolute_expires_at > %s
        order by s.last_seen_at desc, s.id limit 200""",
        *(user_id, now, now),
    )


async def update_ended(
    tx: Tx,
    user_id: UserId,
    *,
    session_id: SessionId | None,
    device_id: DeviceId | None,
    but: SessionId | None,
    reason: SessionEnd,
    now: datetime,
) -> list[SessionId]:
    """End one session of a user, those on a device, or all but one, and return which were open."""
    return await db.column(
        tx,
        """update identity.sessions set ended_at = %s, end_reason = %s::identity.session_end
        where user_id = %s and ended_at is null and (%s::uuid is null or id = %s)
          and (%s::uuid is null or device_id = %s) and id is distinct from %s::uuid
        returning id""",
        *(now, reason, user_id, session_id, session_id, device_id, device_id, but),
    )


async def update_run_out(tx: Tx, after: Open, *, now: datetime, limit: int) -> Open | None:
    """End those of the next open sessions that have run out, at the instant when they did.

    Returns the last one that was looked at; None: there are no more. Those that somebody is about to use or end are
    left to him.
    """
    return await db.find(
        tx,
        Open,
        """with looked as materialized (
          select user_id, id from identity.sessions where ended_at is null and (user_id, id) > (%s, %s)
          order by user_id, id limit %s),
        due as (
          select s.id from looked l join identity.sessions s on s.id = l.id
          where s.ended_at is null and least(s.idle_expires_at, s.absolute_expires_at) <= %s
          for update of s skip locked),
        ended as (
          update identity.sessions s set ended_at = least(s.idle_expires_at, s.absolute_expires_at),
            end_reason = case when s.idle_expires_at < s.absolute_expires_at then 'idle' else 'absolute' end
              ::identity.session_end
          from due where s.id = due.id)
        select user_id, id from looked order by user_id desc, id desc limit 1""",
        *(after.user_id, after.id, limit, now),
    )


async def has_cookie(tx: Tx, session_id: SessionId) -> bool:
    """Is the session held by a cookie, and not by tokens?"""
    return bool(await db.value(tx, "select token_hash is not null from identity.sessions where id = %s", session_id))


async def lock_refresh(tx: Tx, token_hash: bytes) -> RefreshRow | None:
    """The refresh token of this hash with its session, which waits for us; None if there is none."""
    session_id = await db.value(
        tx,
        """select s.id from identity.sessions s join identity.refresh_tokens t on t.session_id = s.id
        where t.token_hash = %s for update of s""",
        token_hash,
    )
    if session_id is None:
        return None
    return await db.find(
        tx,
        RefreshRow,
        """select t.id, t.session_id, t.user_id, t.generation, t.expires_at, t.used_at, s.ended_at,
          s.absolute_expires_at, d.key_hash as device_hash, u.status::text,
          exists (select from identity.role_grants g where g.user_id = u.id and g.revoked_at is null) as is_staff,
          n.used_at is not null as is_successor_used, n.access_expires_at as successor_access_expires_at
        from identity.refresh_tokens t join identity.sessions s on s.id = t.session_id
          join identity.users u on u.id = t.user_id left join identity.devices d on d.id = s.device_id
          left join identity.refresh_tokens n on n.session_id = t.session_id and n.generation = t.generation + 1
        where t.token_hash = %s""",
        token_hash,
    )


async def update_refresh_used(tx: Tx, token_id: UUID, *, now: datetime) -> None:
    """Note that a refresh token has bought its successor."""
    await db.run(tx, "update identity.refresh_tokens set used_at = %s where id = %s", now, token_id)


async def insert_refresh(
    tx: Tx,
    token_id: UUID,
    *,
    session_id: SessionId,
    user_id: UserId,
    generation: int,
    token_hash: bytes,
    access_hash: bytes,
    access_expires_at: datetime,
    expires_at: datetime,
    now: datetime,
) -> None:
    """Store a pair of tokens of an app."""
    await db.run(
        tx,
        """insert into identity.refresh_tokens (id, session_id, user_id, generation, token_hash, access_hash,
          access_expires_at, issued_at, expires_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        *(token_id, session_id, user_id, generation, token_hash, access_hash, access_expires_at, now, expires_at),
    )


async def update_forgotten(tx: Tx, *, before: datetime) -> int:
    """Forget from where and by which program sessions began before an instant."""
    return await db.run(
        tx,
        """update identity.sessions set ip = null, user_agent = ''
        where created_at < %s and (ip is not null or user_agent <> '')""",
        before,
    )


async def upsert_active(tx: Tx, user_id: UserId, *, now: datetime, since: datetime) -> None:
    """Note that a user does something, unless that was noted since then."""
    await db.run(
        tx,
        """insert into identity.user_activity as a (user_id, last_active_at) values (%s, %s)
        on conflict (user_id) do update set last_active_at = excluded.last_active_at where a.last_active_at <= %s""",
        *(user_id, now, since),
    )


async def delete_old(tx: Tx, *, before: datetime) -> int:
    """Remove sessions that ended, or could not be used any more, before an instant."""
    return await db.run(
        tx,
        "delete from identity.sessions where coalesce(ended_at, least(idle_expires_at, absolute_expires_at)) < %s",
        before,
    )
