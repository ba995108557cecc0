"""Statements of who may play: accounts with what stands in their way, documents and consents, breaks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from palio.identity.types import (
    Asked,
    Consent,
    ConsentSource,
    Document,
    Exclusion,
    ExclusionKind,
    Needed,
    PlayActivity,
    UserStatus,
    Version,
)
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import EVER, Dated, Part

EXCLUSION = (
    "select id, user_id, kind::text, activities::text[], starts_at, ends_at, created_by, return_requested_at,"
    " lifted_at, ended_at from identity.play_exclusions"
)


# What somebody is known by when he comes anew. A Telegram account has no keyed index in its row: it is handed in.
# While one index key takes the place of another, each is known by both; the later one has the next number.
MARKS = """with marks as (
  select user_id, normal_bidx as mark, bidx_version as version from identity.emails where verified_at is not null
  union all select user_id, normal_next, bidx_version + 1 from identity.emails
    where verified_at is not null and normal_next is not null
  union all select user_id, bidx, bidx_version from identity.phones where verified_at is not null
  union all select user_id, bidx_next, bidx_version + 1 from identity.phones
    where verified_at is not null and bidx_next is not null
  union all select user_id, subject_bidx, bidx_version from identity.external_identities
  union all select user_id, bidx_next, bidx_version + 1 from identity.external_identities where bidx_next is not null
  union all select * from unnest(%s::uuid[], %s::bytea[], %s::int[]))
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a Telegram account is known by, and whose it is."""

    user_id: UserId
    mark: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Owned:
    """A Telegram account, and whose it is."""

    user_id: UserId
    telegram_id: int


@dataclass(frozen=True, slots=True)
class Marked:
    """A break that is remembered of whoever had something before. `created_by` None: he took it himself."""

    kind: ExclusionKind
    starts_at: datetime
    ends_at: datetime | None
    created_by: UserId | None


@dataclass(frozen=True, slots=True)
class PlayerRow:
    """An account with one of its breaks, or with none: a row for each break. The day of birth is sealed."""

    user_id: UserId
    status: UserStatus
    suspended_until: datetime | None
    country: str | None
    has_contact: bool
    missing: list[str]
    birth_date: bytes | None
    exclusion_id: UUID | None
    kind: ExclusionKind | None
    activities: list[PlayActivity] | None
    starts_at: datetime | None
    ends_at: datetime | None
    created_by: UserId | None
    return_requested_at: datetime | None


async def lock_payers(tx: Tx, user_ids: Sequence[UserId]) -> None:
    """Let a break that is being set be seen, and one that comes wait until whoever pays now is done."""
    await db.run(tx, "select from identity.users where id = any (%s::uuid[]) order by id for key share", list(user_ids))


async def list_players(tx: Tx, user_ids: Sequence[UserId], *, with_birth_dates: bool, now: datetime) -> list[PlayerRow]:
    """What decides whether these people may play, whatever their number; breaks that are over for good are left out.

    Days of birth are looked up only where they are wanted.
    """
    return await db.rows(
        tx,
        PlayerRow,
        """
        with required as materialized (
          select key, max(version) as version from identity.documents
          where acceptance_required and published_at <= %s group by key)
        select u.id as user_id, u.status::text, u.suspended_until, u.country,
          exists (select from identity.emails e where e.user_id = u.id and e.verified_at is not null)
            or exists (select from identity.phones n where n.user_id = u.id and n.verified_at is not null)
            or exists (select from identity.telegram_accounts t where t.user_id = u.id) as has_contact,
          array(
            select d.key from required d
            where not exists (select from identity.consents c where c.user_id = u.id and c.document_key = d.key
              and c.version >= d.version and c.withdrawn_at is null)
            order by d.key) as missing,
          case when %s then (select p.birth_date from identity.user_pii p where p.user_id = u.id) end as birth_date,
          x.id as exclusion_id, x.kind::text, x.activities::text[], x.starts_at, x.ends_at,
          x.created_by, x.return_requested_at
        from identity.users u
          left join identity.play_exclusions x on x.user_id = u.id and x.lifted_at is null and x.starts_at <= %s
            and (x.ends_at is null or x.ends_at > %s or x.kind = 'self_exclusion')
        where u.id = any (%s::uuid[])""",
        *(now, with_birth_dates, now, now, list(user_ids)),
    )


# times in which somebody does not play


async def lock_accounts_of(tx: Tx, user_id: UserId) -> list[UserId]:
    """The accounts of one person (with a proven address in the same mailbox), his own among them, ours from now on.

    Whatever else is proven belongs to one account at a time; whoever had it before is remembered by marks.
    """
    found: list[UserId] = await db.column(
        tx,
        """
        select u.id from identity.users u
        where u.id = %s or u.id in (
          select other.user_id from identity.emails mine
            join identity.emails other on other.normal_bidx = any (array[mine.normal_bidx, mine.normal_next])
              and other.verified_at is not null
          where mine.user_id = %s and mine.verified_at is not null
          union all
          select other.user_id from identity.emails mine
            join identity.emails other on other.normal_next = any (array[mine.normal_bidx, mine.normal_next])
              and other.verified_at is not null
          where mine.user_id = %s and mine.verified_at is not null)
        order by u.id for update""",
        *(user_id, user_id, user_id),
    )
    return found


async def list_exclusions(tx: Tx, user_ids: Sequence[UserId]) -> list[Exclusion]:
    """The breaks of these accounts that nobody has lifted, over or not, the newest first; at most 1,000."""
    found = await db.rows(
        tx,
        Exclusion,
        EXCLUSION + " where user_id = any (%s::uuid[]) and lifted_at is null order by starts_at desc, id limit 1000",
        list(user_ids),
    )
    return [replace(one, activities=tuple(one.activities)) for one in found]


async def upsert_exclusions(tx: Tx, exclusions: Sequence[Exclusion], reasons: Sequence[bytes | None]) -> None:
    """Store breaks with their sealed reasons; of those that are known, the end and what they are from."""
    columns = [
        (one.id, one.user_id, one.kind, f"{{{','.join(one.activities)}}}", one.starts_at, one.ends_at, one.created_by)
        for one in exclusions
    ]
    await db.run(
        tx,
        """
        insert into identity.play_exclusions (id, user_id, kind, activities, starts_at, ends_at, created_by, reason)
        select id, user_id, kind::identity.exclusion_kind, activities::identity.play_activity[], starts_at, ends_at,
          created_by, reason
        from unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::uuid[],
          %s::bytea[]) as x (id, user_id, kind, activities, starts_at, ends_at, created_by, reason)
        on conflict (id) do update set activities = excluded.activities, ends_at = excluded.ends_at,
          return_requested_at = null""",
        *map(list, zip(*columns, strict=True)),
        list(reasons),
    )


async def update_return_requested(tx: Tx, exclusion_id: UUID, *, now: datetime) -> bool:
    """Note that somebody asks for the way back; False if he has."""
    return bool(
        await db.run(
            tx,
            """update identity.play_exclusions set return_requested_at = %s
            where id = %s and return_requested_at is null""",
            *(now, exclusion_id),
        )
    )


async def update_ended(tx: Tx, *, now: datetime, asked_before: datetime, limit: int) -> int:
    """Note which breaks are over by now, the longest over first; long ones once he asked before an instant."""
    return await db.run(
        tx,
        """
        update identity.play_exclusions set ended_at = %s where id in (
          select id from identity.play_exclusions
          where lifted_at is null and ended_at is null and ends_at <= %s
            and (kind <> 'self_exclusion' or return_requested_at <= %s)
          order by ends_at limit %s for update skip locked)""",
        *(now, now, asked_before, limit),
    )


async def update_lifted(tx: Tx, ids: Sequence[UUID], *, now: datetime) -> int:
    """Undo breaks; answers how many were not undone yet."""
    return await db.run(
        tx,
        "update identity.play_exclusions set lifted_at = %s where id = any (%s::uuid[]) and lifted_at is null",
        *(now, list(ids)),
    )


async def find_exclusion(tx: Tx, exclusion_id: UUID) -> Exclusion | None:
    """The break of this id, or None."""
    found = await db.find(tx, Exclusion, EXCLUSION + " where id = %s", exclusion_id)
    return replace(found, activities=tuple(found.activities)) if found else None


BEGUN = """
    where (%s::uuid is null or user_id = %s) and (starts_at, id) > (%s, %s) and (starts_at, id) < (%s, %s)"""


async def list_all_exclusions(tx: Tx, user_id: UserId | None, part: Part[Dated]) -> list[Exclusion]:
    """A part of the breaks of everybody or of one player, the newest first."""
    low, high = part.between(*EVER)
    values = user_id, user_id, *low, *high, part.limit
    if part.is_back:
        found = await db.rows(tx, Exclusion, EXCLUSION + BEGUN + " order by starts_at, id limit %s", *values)
        found.reverse()
    else:
        found = await db.rows(tx, Exclusion, EXCLUSION + BEGUN + " order by starts_at desc, id desc limit %s", *values)
    return [replace(one, activities=tuple(one.activities)) for one in found]


# what somebody who is not to play is known by when he comes anew


async def list_telegram(tx: Tx, user_ids: Sequence[UserId]) -> list[Owned]:
    """The Telegram accounts of these accounts."""
    return await db.rows(
        tx,
        Owned,
        "select user_id, telegram_id from identity.telegram_accounts where user_id = any (%s::uuid[])",
        list(user_ids),
    )


async def upsert_marks(
    tx: Tx, user_ids: Sequence[UserId], telegram: Sequence[Mark], kinds: Sequence[ExclusionKind], *, now: datetime
) -> None:
    """Remember what is proven of these accounts for as long as their breaks of these kinds last."""
    await db.run(
        tx,
        MARKS  # noqa: S608 - of constants
        + """
        insert into identity.exclusion_marks as m (mark_bidx, bidx_version, kind, ends_at, created_by, created_at)
        select e.mark, min(e.version), x.kind, nullif(max(coalesce(x.ends_at, 'infinity')), 'infinity'),
          (array_agg(x.created_by order by x.starts_at))[1], min(x.starts_at)
        from identity.play_exclusions x join marks e on e.user_id = x.user_id
        where x.user_id = any (%s::uuid[]) and x.kind = any (%s::text[]::identity.exclusion_kind[])
          and x.lifted_at is null and coalesce(x.ends_at, 'infinity') > %s
        group by e.mark, x.kind
        on conflict (mark_bidx, kind) do update
          set ends_at = nullif(greatest(coalesce(m.ends_at, 'infinity'), coalesce(excluded.ends_at, 'infinity')),
            'infinity')""",
        *_columns(telegram),
        *(list(user_ids), list(kinds), now),
    )


async def list_marked(tx: Tx, user_id: UserId, telegram: Sequence[Mark], *, now: datetime) -> list[Marked]:
    """The breaks that are remembered by anything that is proven of an account, the longest of each kind."""
    return await db.rows(
        tx,
        Marked,
        MARKS  # noqa: S608 - of constants
        + """
        select distinct on (m.kind) m.kind::text, m.created_at as starts_at, m.ends_at, m.created_by
        from marks e join identity.exclusion_marks m on m.mark_bidx = e.mark
        where e.user_id = %s and (m.ends_at is null or m.ends_at > %s)
        order by m.kind, coalesce(m.ends_at, 'infinity') desc""",
        *_columns(telegram),
        *(user_id, now),
    )


async def is_marked(tx: Tx, marks: Sequence[bytes], *, now: datetime) -> bool:
    """Is whoever is known by one of these not to play at an instant?"""
    return bool(
        await db.value(
            tx,
            """select exists (select from identity.exclusion_marks
              where mark_bidx = any (%s::bytea[]) and (ends_at is null or ends_at > %s))""",
            *(list(marks), now),
        )
    )


async def delete_marks(tx: Tx, *, now: datetime) -> None:
    """Forget marks that have ended."""
    await db.run(tx, "delete from identity.exclusion_marks where ends_at <= %s", now)


async def delete_marks_of(tx: Tx, user_ids: Sequence[UserId], telegram: Sequence[Mark], kind: ExclusionKind) -> None:
    """Forget what these accounts are known by for breaks of a kind."""
    await db.run(
        tx,
        MARKS  # noqa: S608 - of constants
        + """delete from identity.exclusion_marks where kind = %s::identity.exclusion_kind
          and mark_bidx in (select mark from marks where user_id = any (%s::uuid[]))""",
        *_columns(telegram),
        *(kind, list(user_ids)),
    )


def _columns(telegram: Sequence[Mark]) -> tuple[list[UserId], list[bytes], list[int]]:
    return [one.user_id for one in telegram], [one.mark for one in telegram], [one.version for one in telegram]


# documents


async def lock_document(tx: Tx, key: str) -> None:
    """Let one publication of a document wait for the other."""
    await db.run(tx, "select pg_advisory_xact_lock(hashtextextended('identity.documents ' || %s, 0))", key)


async def find_newest_version(tx: Tx, key: str) -> int:
    """The newest version of a document; 0 without one."""
    return int(await db.value(tx, "select coalesce(max(version), 0) from identity.documents where key = %s", key))


async def insert_document(
    tx: Tx, *, key: str, version: int, texts: Mapping[str, str], acceptance_required: bool, now: datetime
) -> None:
    """Store a version of a document, a text for each language."""
    await db.run(
        tx,
        """
        insert into identity.documents (key, version, locale, body_md, sha256, acceptance_required, published_at)
        select %s, %s, locale, body, sha256(convert_to(body, 'UTF8')), %s, %s
        from unnest(%s::text[], %s::text[]) as x (locale, body)""",
        *(key, version, acceptance_required, now, list(texts), list(texts.values())),
    )


async def list_texts(tx: Tx, key: str, version: int) -> list[Document]:
    """A version of a document in every language, by language; at most 100."""
    return await db.rows(
        tx,
        Document,
        """select key, version, locale, body_md as body, sha256, acceptance_required, published_at
        from identity.documents where key = %s and version = %s order by locale limit 100""",
        *(key, version),
    )


async def list_versions(tx: Tx, limit: int) -> list[Version]:
    """The versions of all documents, by name, the newest first."""
    return await db.rows(
        tx,
        Version,
        """select key, version, array_agg(locale order by locale) as locales, acceptance_required, published_at
        from identity.documents group by key, version, acceptance_required, published_at
        order by key, version desc limit %s""",
        limit,
    )


async def list_needed(tx: Tx, locale: str, *, now: datetime) -> list[Needed]:
    """What whoever registers must accept, by name, each with its first heading in a language or one there is."""
    return await db.rows(
        tx,
        Needed,
        """
        select a.key, a.version, a.needed, coalesce(t.title, a.key) as title
        from (
          select key, max(version) as version, max(version) filter (where acceptance_required) as needed
          from identity.documents where published_at <= %s
          group by key having bool_or(acceptance_required) order by key limit 100) a
        join lateral (
          select substring(d.body_md from '^#[ ]+([^\n]{1,100})') as title from identity.documents d
          where d.key = a.key and d.version = a.version
          order by (d.locale = %s) desc, (d.locale = split_part(%s, '-', 1)) desc, (d.locale = 'en') desc, d.locale
          limit 1) t on true
        order by a.key""",
        *(now, locale, locale),
    )


async def find_document(tx: Tx, key: str, version: int | None, locale: str, *, now: datetime) -> Document | None:
    """A version of a document (None: the newest that is out), in a language or in the first there is."""
    return await db.find(
        tx,
        Document,
        """
        select key, version, locale, body_md as body, sha256, acceptance_required, published_at
        from identity.documents
        where key = %s and published_at <= %s and version = coalesce(%s, (
          select max(version) from identity.documents where key = %s and published_at <= %s))
        order by (locale = %s) desc, (locale = split_part(%s, '-', 1)) desc, (locale = 'en') desc, locale limit 1""",
        *(key, now, version, key, now, locale, locale),
    )


async def list_asked(tx: Tx, user_id: UserId, *, now: datetime) -> list[Asked]:
    """What players are asked to accept, and what of it this one has; of at most 100 documents."""
    return await db.rows(
        tx,
        Asked,
        """
        select d.key, max(d.version) as version, max(d.version) filter (where d.acceptance_required) as needed,
          (select max(c.version) from identity.consents c
            where c.user_id = %s and c.document_key = d.key and c.withdrawn_at is null) as accepted
        from identity.documents d where d.published_at <= %s
        group by d.key having bool_or(d.acceptance_required) order by d.key limit 100""",
        *(user_id, now),
    )


async def list_consents(tx: Tx, user_id: UserId, limit: int) -> list[Consent]:
    """What somebody accepted and took back, the newest first."""
    return await db.rows(
        tx,
        Consent,
        """select document_key, version, given_at, withdrawn_at, source from identity.consents
        where user_id = %s order by given_at desc, id desc limit %s""",
        *(user_id, limit),
    )


async def has_document(tx: Tx, key: str, version: int) -> bool:
    """Is there this version?"""
    return bool(
        await db.value(
            tx, "select exists (select from identity.documents where key = %s and version = %s)", *(key, version)
        )
    )


async def insert_consents(
    tx: Tx,
    row_ids: Sequence[UUID],
    user_id: UserId,
    given: Mapping[str, int],
    *,
    source: ConsentSource,
    ip_bidx: bytes | None,
    now: datetime,
) -> int:
    """Note that somebody accepts these versions, and from where; a row id for each. Answers how many are new."""
    return await db.run(
        tx,
        """insert into identity.consents (id, user_id, document_key, version, given_at, source, ip_bidx)
        select x.id, %s, x.key, x.version, %s, %s, %s
        from unnest(%s::uuid[], %s::text[], %s::int[]) as x (id, key, version)
        on conflict (user_id, document_key, version) where withdrawn_at is null do nothing""",
        *(user_id, now, source, ip_bidx, list(row_ids), list(given), list(given.values())),
    )


async def update_consents_withdrawn(tx: Tx, user_id: UserId, key: str, *, now: datetime) -> int:
    """Note that somebody takes back what he accepted of a document; answers how many versions it was."""
    return await db.run(
        tx,
        """update identity.consents set withdrawn_at = %s
        where user_id = %s and document_key = %s and withdrawn_at is null""",
        *(now, user_id, key),
    )
