"""Statements by which one key of blind indexes takes the place of another, some rows at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId

Part: TypeAlias = Literal["emails", "phones", "external_identities"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a table is with the key `version`, which follows another one."""

    version: int
    part: Part
    begun_at: datetime
    filled_to: UUID | None
    filled_at: datetime | None
    moved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lacking:
    """A row that has no index by the key that follows, and its sealed value; `provider` is of accounts elsewhere."""

    id: UUID
    user_id: UserId
    sealed: bytes
    provider: str


@dataclass(frozen=True, slots=True)
class Held:
    """How many rows an index key holds; a mark is of a break, also of somebody who is gone."""

    version: int
    part: str
    rows: int


async def begin(tx: Tx, version: int, parts: Sequence[Part], *, now: datetime) -> list[Progress]:
    """How far each table is, ours until the transaction ends; begun where it was not."""
    await db.run(
        tx,
        """insert into identity.index_rotations (version, part, begun_at)
        select %s, part, %s from unnest(%s::text[]) as x (part) on conflict do nothing""",
        *(version, now, list(parts)),
    )
    return await db.rows(
        tx,
        Progress,
        """select version, part, begun_at, filled_to, filled_at, moved_at from identity.index_rotations
        where version = %s order by part for update""",
        version,
    )


async def update_filled_to(tx: Tx, version: int, part: Part, filled_to: UUID) -> None:
    """Note the last row that was looked at."""
    await db.run(
        tx,
        "update identity.index_rotations set filled_to = %s where version = %s and part = %s",
        *(filled_to, version, part),
    )


async def update_begun_anew(tx: Tx, version: int, part: Part) -> None:
    """Have all rows of a table be looked at once more: some were held by others."""
    await db.run(
        tx,
        """update identity.index_rotations set filled_to = null, filled_at = null, moved_at = null
        where version = %s and part = %s""",
        *(version, part),
    )


async def update_filled(tx: Tx, version: int, part: Part, *, now: datetime) -> None:
    """Note that no row lacks its next index."""
    await db.run(
        tx,
        "update identity.index_rotations set filled_at = %s where version = %s and part = %s and filled_at is null",
        *(now, version, part),
    )


async def update_moved(tx: Tx, version: int, part: Part, *, now: datetime) -> None:
    """Note that every row has the later index alone."""
    await db.run(
        tx,
        "update identity.index_rotations set moved_at = %s where version = %s and part = %s and moved_at is null",
        *(now, version, part),
    )


# every row gets both


async def lock_emails_lacking(tx: Tx, version: int, after: UUID | None, limit: int) -> list[Lacking]:
    """Addresses behind a row that have only the index of this key, ours; those that others hold are passed over."""
    return await db.rows(
        tx,
        Lacking,
        """select id, user_id, address as sealed, '' as provider from identity.emails
        where bidx_version = %s and bidx_next is null and (%s::uuid is null or id > %s::uuid)
        order by id limit %s for update skip locked""",
        *(version, after, after, limit),
    )


async def lock_phones_lacking(tx: Tx, version: int, after: UUID | None, limit: int) -> list[Lacking]:
    """The same of telephone numbers."""
    return await db.rows(
        tx,
        Lacking,
        """select id, user_id, number as sealed, '' as provider from identity.phones
        where bidx_version = %s and bidx_next is null and (%s::uuid is null or id > %s::uuid)
        order by id limit %s for update skip locked""",
        *(version, after, after, limit),
    )


async def lock_externals_lacking(tx: Tx, version: int, after: UUID | None, limit: int) -> list[Lacking]:
    """The same of accounts at providers."""
    return await db.rows(
        tx,
        Lacking,
        """select id, user_id, subject as sealed, provider from identity.external_identities
        where bidx_version = %s and bidx_next is null and (%s::uuid is null or id > %s::uuid)
        order by id limit %s for update skip locked""",
        *(version, after, after, limit),
    )


async def update_emails_next(tx: Tx, ids: Sequence[UUID], nexts: Sequence[bytes], normals: Sequence[bytes]) -> None:
    """Give locked addresses their next indexes."""
    await db.run(
        tx,
        """update identity.emails e set bidx_next = x.next, normal_next = x.normal
        from unnest(%s::uuid[], %s::bytea[], %s::bytea[]) as x (id, next, normal) where e.id = x.id""",
        *(list(ids), list(nexts), list(normals)),
    )


async def update_phones_next(tx: Tx, ids: Sequence[UUID], nexts: Sequence[bytes]) -> None:
    """Give locked numbers their next index."""
    await db.run(
        tx,
        """update identity.phones p set bidx_next = x.next
        from unnest(%s::uuid[], %s::bytea[]) as x (id, next) where p.id = x.id""",
        *(list(ids), list(nexts)),
    )


async def update_externals_next(tx: Tx, ids: Sequence[UUID], nexts: Sequence[bytes]) -> None:
    """Give locked accounts at providers their next index."""
    await db.run(
        tx,
        """update identity.external_identities e set bidx_next = x.next
        from unnest(%s::uuid[], %s::bytea[]) as x (id, next) where e.id = x.id""",
        *(list(ids), list(nexts)),
    )


async def list_lacking(tx: Tx, version: int) -> list[Part]:
    """The tables in which some row has only the index of this key."""
    return await db.column(
        tx,
        """select 'emails' where exists (select from identity.emails where bidx_version = %s and bidx_next is null)
        union all select 'phones' where exists (
          select from identity.phones where bidx_version = %s and bidx_next is null)
        union all select 'external_identities' where exists (
          select from identity.external_identities where bidx_version = %s and bidx_next is null)""",
        *(version, version, version),
    )


# the later takes the place of the earlier: with a row go the links mailed to it, and what is remembered of breaks


async def move_emails(tx: Tx, version: int, limit: int) -> int:
    """Have addresses of this key known by the next one alone; answers how many were moved.

    Their people are locked too, so that no break is remembered by the earlier index meanwhile.
    """
    moved: int = await db.value(
        tx,
        """with moving as (
          select e.id, e.user_id, e.bidx as old, e.bidx_next as new, e.normal_bidx as old_normal,
            e.normal_next as new_normal
          from identity.emails e join identity.users u on u.id = e.user_id
          where e.bidx_next is not null and e.bidx_version = %s limit %s for update of u, e skip locked),
        moved as (
          update identity.emails e set bidx = m.new, bidx_next = null, normal_bidx = m.new_normal, normal_next = null,
            bidx_version = e.bidx_version + 1
          from moving m where e.id = m.id returning e.id),
        links as (
          update identity.verification_tokens t set target_bidx = m.new from moving m
          where t.user_id = m.user_id and t.target_bidx = m.old returning t.id),
        kept as (
          insert into identity.exclusion_marks as k (mark_bidx, bidx_version, kind, ends_at, created_by, created_at)
          select distinct on (m.new_normal, x.kind) m.new_normal, x.bidx_version + 1, x.kind, x.ends_at, x.created_by,
            x.created_at
          from moving m join identity.exclusion_marks x on x.mark_bidx = m.old_normal
          on conflict (mark_bidx, kind) do update
            set ends_at = nullif(greatest(coalesce(k.ends_at, 'infinity'), coalesce(excluded.ends_at, 'infinity')),
              'infinity')
          returning 1),
        gone as (
          delete from identity.exclusion_marks where mark_bidx in (select old_normal from moving) returning 1)
        select count(*) from moved""",
        *(version, limit),
    )
    return moved


async def move_phones(tx: Tx, version: int, limit: int) -> int:
    """The same of telephone numbers."""
    moved: int = await db.value(
        tx,
        """with moving as (
          select p.id, p.bidx as old, p.bidx_next as new
          from identity.phones p join identity.users u on u.id = p.user_id
          where p.bidx_next is not null and p.bidx_version = %s limit %s for update of u, p skip locked),
        moved as (
          update identity.phones p set bidx = m.new, bidx_next = null, bidx_version = p.bidx_version + 1
          from moving m where p.id = m.id returning p.id),
        kept as (
          insert into identity.exclusion_marks as k (mark_bidx, bidx_version, kind, ends_at, created_by, created_at)
          select distinct on (m.new, x.kind) m.new, x.bidx_version + 1, x.kind, x.ends_at, x.created_by, x.created_at
          from moving m join identity.exclusion_marks x on x.mark_bidx = m.old
          on conflict (mark_bidx, kind) do update
            set ends_at = nullif(greatest(coalesce(k.ends_at, 'infinity'), coalesce(excluded.ends_at, 'infinity')),
              'infinity')
          returning 1),
        gone as (delete from identity.exclusion_marks where mark_bidx in (select old from moving) returning 1)
        select count(*) from moved""",
        *(version, limit),
    )
    return moved


async def move_externals(tx: Tx, version: int, limit: int) -> int:
    """The same of accounts at providers."""
    moved: int = await db.value(
        tx,
        """with moving as (
          select e.id, e.subject_bidx as old, e.bidx_next as new
          from identity.external_identities e join identity.users u on u.id = e.user_id
          where e.bidx_next is not null and e.bidx_version = %s limit %s for update of u, e skip locked),
        moved as (
          update identity.external_identities e set subject_bidx = m.new, bidx_next = null,
            bidx_version = e.bidx_version + 1
          from moving m where e.id = m.id returning e.id),
        kept as (
          insert into identity.exclusion_marks as k (mark_bidx, bidx_version, kind, ends_at, created_by, created_at)
          select distinct on (m.new, x.kind) m.new, x.bidx_version + 1, x.kind, x.ends_at, x.created_by, x.created_at
          from moving m join identity.exclusion_marks x on x.mark_bidx = m.old
          on conflict (mark_bidx, kind) do update
            set ends_at = nullif(greatest(coalesce(k.ends_at, 'infinity'), coalesce(excluded.ends_at, 'infinity')),
              'infinity')
          returning 1),
        gone as (delete from identity.exclusion_marks where mark_bidx in (select old from moving) returning 1)
        select count(*) from moved""",
        *(version, limit),
    )
    return moved


async def list_held(tx: Tx) -> list[Held]:
    """How many rows each index key holds in each table, and how many marks of breaks."""
    return await db.rows(
        tx,
        Held,
        """select bidx_version::int as version, part, count(*) as rows from (
          select bidx_version, 'emails' as part from identity.emails
          union all select bidx_version, 'phones' from identity.phones
          union all select bidx_version, 'external_identities' from identity.external_identities
          union all select bidx_version, 'marks' from identity.exclusion_marks) as held
        group by bidx_version, part order by bidx_version, part""",
    )
