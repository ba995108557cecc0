"""Statements by which modules above ask of many people at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from palio.identity.types import ConsentSource, Signal
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.providers import Activity

ContactKind: TypeAlias = Literal["email", "phone", "telegram"]


@dataclass(frozen=True, slots=True)
class SealedContact:
    """A way to write to somebody: an address or a number, sealed, or his account at Telegram."""

    user_id: UserId
    kind: ContactKind
    row_id: UUID
    sealed: bytes | None
    telegram_id: int | None


@dataclass(frozen=True, slots=True)
class GivenConsent:
    """That somebody accepts a version of a document now."""

    user_id: UserId
    document_key: str
    version: int
    given_at: datetime
    source: ConsentSource


@dataclass(frozen=True, slots=True)
class Profile:
    """What stands of somebody in clear, and when he was born, sealed."""

    user_id: UserId
    country: str | None
    locale: str
    time_zone: str
    registered_at: datetime
    last_active_at: datetime | None
    birth_date: bytes | None


async def list_contacts(tx: Tx, user_ids: Sequence[UserId]) -> list[SealedContact]:
    """The proven contacts of users that take what is sent to them; of addresses the primary one first."""
    return await db.rows(
        tx,
        SealedContact,
        """select user_id, kind, row_id, sealed, telegram_id from (
          select user_id, 'email' as kind, id as row_id, address as sealed, null::bigint as telegram_id, is_primary,
            created_at
          from identity.emails where user_id = any (%s::uuid[]) and verified_at is not null and bounced_at is null
          union all
          select user_id, 'phone', id, number, null, true, created_at
          from identity.phones where user_id = any (%s::uuid[]) and verified_at is not null
          union all
          select user_id, 'telegram', id, null, telegram_id, true, created_at
          from identity.telegram_accounts
          where user_id = any (%s::uuid[]) and verified_at is not null and bot_blocked_at is null) as c
        order by user_id, kind, is_primary desc, created_at, row_id""",
        *(list(user_ids), list(user_ids), list(user_ids)),
    )


async def update_bounced(tx: Tx, index: bytes, *, now: datetime) -> int:
    """Note that nothing arrives at a proven address; answers how many rows that were not noted before."""
    return await db.run(
        tx,
        """update identity.emails set bounced_at = %s
        where (bidx = %s or bidx_next = %s) and verified_at is not null and bounced_at is null""",
        *(now, index, index),
    )


async def list_consents(tx: Tx, user_ids: Sequence[UserId], keys: Sequence[str]) -> list[GivenConsent]:
    """The newest version of each of these documents that each of these users accepts now."""
    return await db.rows(
        tx,
        GivenConsent,
        """select distinct on (user_id, document_key) user_id, document_key, version, given_at, source
        from identity.consents
        where user_id = any (%s::uuid[]) and document_key = any (%s::text[]) and withdrawn_at is null
        order by user_id, document_key, version desc""",
        *(list(user_ids), list(keys)),
    )


async def list_ids(tx: Tx, after: UserId | None, limit: int) -> list[UserId]:
    """Users behind one of them, by id, but for pending and erased ones."""
    return await db.column(
        tx,
        """select id from identity.users
        where id > coalesce(%s::uuid, '00000000-0000-0000-0000-000000000000')
          and status not in ('pending', 'erased') order by id limit %s""",
        *(after, limit),
    )


async def list_profiles(tx: Tx, user_ids: Sequence[UserId]) -> list[Profile]:
    """What stands of users."""
    return await db.rows(
        tx,
        Profile,
        """select u.id as user_id, u.country, u.locale, u.time_zone, u.created_at as registered_at, a.last_active_at,
          p.birth_date
        from identity.users u left join identity.user_activity a on a.user_id = u.id
          left join identity.user_pii p on p.user_id = u.id
        where u.id = any (%s::uuid[])""",
        list(user_ids),
    )


async def list_log_ins(
    tx: Tx, act: str, *, since: datetime, until: datetime, after: UserId | None, limit: int
) -> list[Activity]:
    """How often users behind one of them came in within `[since, until)`, by user."""
    return await db.rows(
        tx,
        Activity,
        """select user_id, %s::text as act, count(*) as count from identity.login_events
        where at >= %s and at < %s and outcome = 'success'
          and user_id > coalesce(%s::uuid, '00000000-0000-0000-0000-000000000000')
        group by user_id order by user_id limit %s""",
        *(act, since, until, after, limit),
    )


async def list_signals(tx: Tx, user_ids: Sequence[UserId]) -> list[Signal]:
    """From which networks and on which devices users came, and the mailboxes they have proven."""
    return await db.rows(
        tx,
        Signal,
        """select user_id, 'ip_net' as kind, net_bidx as value, min(first_seen_at) as first_at,
          max(last_seen_at) as last_at
        from identity.ip_addresses where user_id = any (%s::uuid[]) group by user_id, net_bidx
        union all
        select user_id, 'device', key_hash, first_seen_at, last_seen_at
        from identity.devices where user_id = any (%s::uuid[])
        union all
        select user_id, 'email_normal', normal_bidx, min(created_at), max(verified_at)
        from identity.emails where user_id = any (%s::uuid[]) and verified_at is not null group by user_id, normal_bidx
        order by user_id, kind, value""",
        *(list(user_ids), list(user_ids), list(user_ids)),
    )


async def find_legacy(tx: Tx, source: str, legacy_id: str) -> UserId | None:
    """Whom a system that was there before called so."""
    found: UserId | None = await db.value(
        tx, "select user_id from identity.legacy_ids where source = %s and legacy_id = %s", source, legacy_id
    )
    return found


async def insert_legacy(tx: Tx, source: str, ids: Sequence[tuple[str, UserId]], *, now: datetime) -> int:
    """Note what a system that was there before called users; what is noted already stays. Answers how many are new."""
    return await db.run(
        tx,
        """insert into identity.legacy_ids (source, created_at, legacy_id, user_id)
        select %s, %s, x.legacy_id, x.user_id from unnest(%s::text[], %s::uuid[]) as x (legacy_id, user_id)
        on conflict (source, legacy_id) do nothing""",
        *(source, now, [legacy_id for legacy_id, _ in ids], [user_id for _, user_id in ids]),
    )
