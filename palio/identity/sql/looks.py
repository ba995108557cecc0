"""Statements of what staff look at: sessions as a player, sealed values that were read, and notes."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.identity.types import Lives, Note, Outcome, Sealed, SealedField, SessionId
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def insert_impersonation(
    tx: Tx,
    session_id: SessionId,
    user_id: UserId,
    *,
    by: UserId,
    reason: str,
    token_hash: bytes,
    lives: Lives,
    now: datetime,
) -> None:
    """Store the session in which somebody of the staff looks as a player."""
    await db.run(
        tx,
        """insert into identity.sessions (id, user_id, kind, token_hash, created_at, last_seen_at, idle_expires_at,
          absolute_expires_at, user_agent, impersonator_id, impersonation_reason)
        values (%s, %s, 'impersonation', %s, %s, %s, %s, %s, '', %s, %s)""",
        *(session_id, user_id, token_hash, now, now, lives.idle_at, lives.absolute_at, by, reason),
    )


async def update_impersonations_ended(tx: Tx, by: UserId, *, now: datetime) -> int:
    """End the sessions in which somebody of the staff looks as a player."""
    return await db.run(
        tx,
        """update identity.sessions set ended_at = %s, end_reason = 'logout'
        where impersonator_id = %s and ended_at is null""",
        *(now, by),
    )


async def insert_look(
    tx: Tx, event_id: UUID, user_id: UserId, *, outcome: Outcome, nobody: bytes, now: datetime
) -> None:
    """Write into the log-in history of somebody that staff looked; `nobody` stands for where they came from."""
    await db.run(
        tx,
        """insert into identity.login_events (at, id, user_id, account_bidx, outcome, ip_bidx, net_bidx, user_agent)
        values (%s, %s, %s, %s, %s::identity.login_outcome, %s, %s, 'Staff of this house')""",
        *(now, event_id, user_id, nobody, outcome, nobody, nobody),
    )


async def lock_reader(tx: Tx, by: UserId) -> None:
    """Let one look of somebody of the staff wait for the other."""
    await db.run(tx, "select pg_advisory_xact_lock(hashtextextended(%s, 0))", f"identity.looks|{by}")


async def count_reveals(tx: Tx, by: UserId, *, since: datetime) -> int:
    """How many sealed values somebody of the staff has read since then without a second person."""
    count: int = await db.value(
        tx,
        "select count(*) from identity.reveals where by_id = %s and at > %s and approval_id is null",
        *(by, since),
    )
    return count


@dataclass(frozen=True, slots=True)
class Open:
    """A sealed value that was read, and when last."""

    name: SealedField
    row_id: UUID | None
    at: datetime
    value: bytes


async def list_open(tx: Tx, user_id: UserId, by: UserId, *, since: datetime) -> list[Open]:
    """What of somebody one of the staff has read since then, and is still kept; at most 100."""
    return await db.rows(
        tx,
        Open,
        """select f.name, f.row_id, f.at, f.value from (
          select r.name, r.row_id, max(r.at) as at, case r.name
            when 'email' then (select e.address from identity.emails e where e.id = r.row_id and e.user_id = %s)
            when 'phone' then (select p.number from identity.phones p where p.id = r.row_id and p.user_id = %s)
            when 'ip' then (select a.ip from identity.ip_addresses a where a.id = r.row_id and a.user_id = %s)
            when 'full_name' then (select p.full_name from identity.user_pii p where p.user_id = %s)
            when 'birth_date' then (select p.birth_date from identity.user_pii p where p.user_id = %s)
          end as value
          from identity.reveals r where r.user_id = %s and r.by_id = %s and r.at > %s group by r.name, r.row_id) as f
        where f.value is not null order by f.at limit 100""",
        *(user_id, user_id, user_id, user_id, user_id, user_id, by, since),
    )


async def insert_reveal(
    tx: Tx, reveal_id: UUID, sealed: Sealed, *, by: UserId, approval_id: UUID | None, now: datetime
) -> None:
    """Note that somebody of the staff has read a sealed value."""
    await db.run(
        tx,
        """insert into identity.reveals (id, user_id, name, row_id, by_id, at, approval_id)
        values (%s, %s, %s, %s, %s, %s, %s)""",
        *(reveal_id, sealed.user_id, sealed.name, sealed.row_id, by, now, approval_id),
    )


async def insert_permit(
    tx: Tx, approval_id: UUID, sealed: Sealed, *, by: UserId, now: datetime, until: datetime
) -> None:
    """Note that two people agreed that one of them reads a sealed value."""
    await db.run(
        tx,
        """insert into identity.reveal_permits (id, user_id, name, row_id, by_id, created_at, expires_at)
        values (%s, %s, %s, %s, %s, %s, %s) on conflict (id) do nothing""",
        *(approval_id, sealed.user_id, sealed.name, sealed.row_id, by, now, until),
    )


async def delete_permit(tx: Tx, sealed: Sealed, *, by: UserId, now: datetime) -> UUID | None:
    """Use up a permit to read this value, and answer the approval it came from; None if there is none."""
    found: UUID | None = await db.value(
        tx,
        """delete from identity.reveal_permits where id = (select id from identity.reveal_permits
          where user_id = %s and name = %s and row_id is not distinct from %s::uuid and by_id = %s and expires_at > %s
          order by created_at limit 1) returning id""",
        *(sealed.user_id, sealed.name, sealed.row_id, by, now),
    )
    return found


async def find_sealed(tx: Tx, sealed: Sealed) -> bytes | None:
    """The sealed bytes of a value; None if there is none, or it is no longer kept."""
    found: bytes | None = await db.value(
        tx,
        """select case %s
          when 'email' then (select address from identity.emails where user_id = %s and id = %s::uuid)
          when 'phone' then (select number from identity.phones where user_id = %s and id = %s::uuid)
          when 'ip' then (select ip from identity.ip_addresses where user_id = %s and id = %s::uuid)
          when 'full_name' then (select full_name from identity.user_pii where user_id = %s)
          when 'birth_date' then (select birth_date from identity.user_pii where user_id = %s)
        end""",
        sealed.name,
        *(sealed.user_id, sealed.row_id, sealed.user_id, sealed.row_id, sealed.user_id, sealed.row_id),
        *(sealed.user_id, sealed.user_id),
    )
    return found


async def insert_note(tx: Tx, note: Note) -> None:
    """Store a note of the staff."""
    await db.run(
        tx,
        "insert into identity.staff_notes (id, user_id, author_id, body, created_at) values (%s, %s, %s, %s, %s)",
        *(note.id, note.user_id, note.author_id, note.body, note.created_at),
    )


async def list_notes(tx: Tx, user_id: UserId) -> list[Note]:
    """The notes of the staff about somebody, the newest first; at most 100."""
    return await db.rows(
        tx,
        Note,
        """select id, user_id, author_id, body, created_at from identity.staff_notes
        where user_id = %s order by created_at desc, id desc limit 100""",
        user_id,
    )


async def delete_old(tx: Tx, *, reveals_before: datetime, now: datetime) -> None:
    """Forget reveals that count no longer, and permits that were not used."""
    await db.run(tx, "delete from identity.reveals where at < %s", reveals_before)
    await db.run(tx, "delete from identity.reveal_permits where expires_at < %s", now)
