"""What staff look at and change: programmes, feeds, cycles, snapshots and mappings with everything about them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from palio.affiliates.errors import NoSuchFeed, NoSuchProgramme, NoSuchSnapshot
from palio.affiliates.types import (
    CycleMark,
    CycleRow,
    FeedCard,
    FeedId,
    MappingRow,
    PlayerId,
    ProgrammeCard,
    ProgrammeId,
    SnapshotId,
    SnapshotRow,
    SnapshotStatus,
    UsersPoint,
)
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.parts import IDS, Part

PROGRAMME = """
    select id, code, name, currency, status, link_url, site_hosts, is_default, seq, last_as_of as as_of, version
    from affiliates.programmes """
FEED = """
    select f.id, p.code as programme, f.name, f.kind, substring(f.url from '//([^/?#]*)') as host, f.auth_kind,
      f.secret_hint, f.coverage, f.interval_s, f.timeout_s, f.max_attempts, f.max_bytes, f.mapping_version, f.enabled,
      f.breaker, f.failed_cycles, f.opened_at, f.probe_at, f.next_due, p.last_as_of as as_of, f.version
    from affiliates.feeds f join affiliates.programmes p on p.id = f.programme_id """
SNAPSHOT_ROW = """
    select s.id, p.code as programme, f.name as feed, s.seq, s.fetched_at, s.as_of, s.status, s.reason, s.complete,
      s.rows_total, s.accepted, s.quarantined, s.new_players, s.changed, s.vanished, s.corrections, s.delta_micro,
      s.sum_all_time_micro, s.total_users, s.anomaly_counts, y.sha256, y.bytes as size, y.content_type, s.decided_by,
      s.decided_at
    from affiliates.snapshots s join affiliates.programmes p on p.id = s.programme_id
      join affiliates.feeds f on f.id = s.feed_id join affiliates.payloads y on y.id = s.payload_id """


async def find_uid(tx: Tx, programme_id: ProgrammeId, uid: str) -> PlayerId | None:
    """The player of a programme with this uid."""
    statement = "select id from affiliates.players where programme_id = %s and uid = %s"
    found: PlayerId | None = await db.value(tx, statement, programme_id, uid)
    return found


async def list_programme_cards(tx: Tx) -> list[ProgrammeCard]:
    """Every programme, the default one first."""
    return await db.rows(tx, ProgrammeCard, PROGRAMME + "order by is_default desc, code limit 1000")


async def lock_programme_card(tx: Tx, code: str) -> ProgrammeCard:
    """The programme of a code, ours until the transaction ends. Refuses with NoSuchProgramme."""
    found = await db.find(tx, ProgrammeCard, PROGRAMME + "where code = %s for update", code)
    if found is None:
        raise NoSuchProgramme(programme=code)
    return found


async def update_programme_card(tx: Tx, card: ProgrammeCard) -> None:
    """What staff say of a programme, one version later."""
    await db.run(
        tx,
        """
        update affiliates.programmes set name = %s, currency = %s, status = %s, link_url = %s, site_hosts = %s,
          version = version + 1 where id = %s""",
        *(card.name, card.currency, card.status, card.link_url, list(card.site_hosts), card.id),
    )


async def get_feed_card(tx: Tx, feed_id: FeedId) -> FeedCard:
    """The feed. Refuses with NoSuchFeed."""
    found = await db.find(tx, FeedCard, FEED + "where f.id = %s", feed_id)
    if found is None:
        raise NoSuchFeed(feed_id=feed_id)
    return found


async def list_feed_cards(tx: Tx, feed_ids: Sequence[FeedId]) -> list[FeedCard]:
    """These feeds, in no order."""
    return await db.rows(tx, FeedCard, FEED + "where f.id = any(%s::uuid[]) limit %s", list(feed_ids), len(feed_ids))


async def lock_feed_card(tx: Tx, feed_id: FeedId) -> FeedCard:
    """The feed, ours until the transaction ends. Refuses with NoSuchFeed."""
    found = await db.find(tx, FeedCard, FEED + "where f.id = %s for update of f", feed_id)
    if found is None:
        raise NoSuchFeed(feed_id=feed_id)
    return found


async def update_feed_card(tx: Tx, card: FeedCard, url: str | None) -> None:
    """What staff say of a feed, one version later; without an address the old one stays."""
    await db.run(
        tx,
        """
        update affiliates.feeds set url = coalesce(%s, url), auth_kind = %s, coverage = %s, interval_s = %s,
          timeout_s = %s, max_attempts = %s, max_bytes = %s, enabled = %s, name = %s, version = version + 1
        where id = %s""",
        *(url, card.auth_kind, card.coverage, card.interval_s, card.timeout_s, card.max_attempts, card.max_bytes),
        *(card.enabled, card.name, card.id),
    )


async def find_url(tx: Tx, feed_id: FeedId) -> str | None:
    """Where a feed is read, in full."""
    found: str | None = await db.value(tx, "select url from affiliates.feeds where id = %s", feed_id)
    return found


async def list_cycles(tx: Tx, feed_id: FeedId, limit: int) -> list[CycleRow]:
    """The newest cycles of a feed with their last exchange, newest first."""
    return await db.rows(
        tx,
        CycleRow,
        """
        select c.id, c.due_at, c.trigger, c.state, c.attempts, c.error_code, c.snapshot_id, c.started_at, c.ended_at,
          a.http_status, a.detail, coalesce(a.bytes, 0) as size, coalesce(t.took_ms, 0)::int as took_ms
        from affiliates.cycles c
          left join affiliates.attempts a on a.cycle_id = c.id and a.n = c.attempts
          left join lateral (select sum(duration_ms + waited_ms) as took_ms from affiliates.attempts
            where cycle_id = c.id) t on true
        where c.feed_id = %s order by c.due_at desc, c.id desc limit %s""",
        *(feed_id, limit),
    )


async def list_cycle_marks(tx: Tx, feed_ids: Sequence[FeedId], limit: int) -> list[CycleMark]:
    """How the newest cycles of each of these feeds ended, oldest first."""
    return await db.rows(
        tx,
        CycleMark,
        """
        select c.feed_id, c.due_at, c.state, c.error_code
        from unnest(%s::uuid[]) f (id) cross join lateral (
          select id, feed_id, due_at, state, error_code from affiliates.cycles
          where feed_id = f.id order by due_at desc, id desc limit %s) c
        order by c.feed_id, c.due_at, c.id""",
        *(list(feed_ids), limit),
    )


async def list_mappings(tx: Tx, feed_id: FeedId) -> list[MappingRow]:
    """Every version of how a feed is read, newest first; at most 200."""
    return await db.rows(
        tx,
        MappingRow,
        """
        select version, mapping as document, sha256, created_by, note from affiliates.feed_mappings
        where feed_id = %s order by version desc limit 200""",
        feed_id,
    )


OF_PROGRAMME = """
    where s.programme_id = coalesce(%s::uuid, s.programme_id)
      and s.status = any(coalesce(%s::text[], array[s.status])) and s.id > %s and s.id < %s"""


async def list_snapshot_rows(
    tx: Tx, programme_id: ProgrammeId | None, statuses: Sequence[SnapshotStatus], part: Part[UUID]
) -> list[SnapshotRow]:
    """A part of the snapshots, newest first, of one programme or all, whatever became of them or these only."""
    values = (programme_id, list(statuses) or None, *part.between(*IDS), part.limit)
    if part.is_back:
        return (await db.rows(tx, SnapshotRow, SNAPSHOT_ROW + OF_PROGRAMME + " order by s.id limit %s", *values))[::-1]
    return await db.rows(tx, SnapshotRow, SNAPSHOT_ROW + OF_PROGRAMME + " order by s.id desc limit %s", *values)


async def get_snapshot_row(tx: Tx, snapshot_id: SnapshotId) -> SnapshotRow:
    """The snapshot. Refuses with NoSuchSnapshot."""
    found = await db.find(tx, SnapshotRow, SNAPSHOT_ROW + "where s.id = %s", snapshot_id)
    if found is None:
        raise NoSuchSnapshot(snapshot_id=snapshot_id)
    return found


async def count_suspicious(tx: Tx, most: int) -> tuple[int, datetime | None]:
    """How many snapshots wait for a decision, counted up to so many, and when the oldest was fetched."""
    cursor = await tx.execute(
        """
        select (select count(*) from (
            select from affiliates.snapshots where status = 'suspicious' limit %s) s)::int,
          (select fetched_at from affiliates.snapshots where status = 'suspicious' order by id limit 1)""",
        (most,),
    )
    (found,) = await cursor.fetchall()
    return found[0], found[1]


async def list_users(tx: Tx, programme_id: ProgrammeId, since: datetime, limit: int) -> list[UsersPoint]:
    """How many players the snapshots of a programme counted, the newest of each hour, newest first."""
    return await db.rows(
        tx,
        UsersPoint,
        """
        select distinct on (date_trunc('hour', fetched_at, 'UTC')) fetched_at as at,
          coalesce(total_users, rows_total) as users
        from affiliates.snapshots where programme_id = %s and status = 'applied' and fetched_at >= %s
        order by date_trunc('hour', fetched_at, 'UTC') desc, fetched_at desc limit %s""",
        *(programme_id, since, limit),
    )
