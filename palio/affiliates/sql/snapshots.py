"""Payloads, and the snapshots that were read from them."""

import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from palio.affiliates.errors import NoSuchSnapshot
from palio.affiliates.types import FeedId, Payload, ProgrammeId, Snapshot, SnapshotId, SnapshotView, StoredPayload
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import new_id

SNAPSHOT = """
    select s.id, s.programme_id, s.feed_id, s.mapping_version, s.seq, s.fetched_at, s.upstream_at, s.as_of, s.status,
      s.reason, s.shape, s.complete, s.rows_total, s.accepted, s.quarantined, s.new_players, s.changed,
      s.all_time_changed, s.vanished, s.corrections, s.sum_today_micro, s.sum_week_micro, s.sum_month_micro,
      s.sum_all_time_micro, s.delta_micro, s.total_users, s.anomaly_counts, p.sha256
    from affiliates.snapshots s join affiliates.payloads p on p.id = s.payload_id"""
VIEW = """
    select s.id, s.programme_id, s.seq, s.fetched_at, s.as_of, s.complete, p.sha256
    from affiliates.snapshots s join affiliates.payloads p on p.id = s.payload_id"""


async def upsert_payload(tx: Tx, feed_id: FeedId, payload: Payload) -> UUID:
    """The row of these bytes, made when the feed has sent them for the first time."""
    statement = """
        with made as (
          insert into affiliates.payloads (id, feed_id, sha256, bytes, content_type, storage_key, received_at)
          values (%s, %s, %s, %s, %s, %s, %s) on conflict (feed_id, sha256) do nothing returning id)
        select id from made union all select id from affiliates.payloads where feed_id = %s and sha256 = %s limit 1"""
    new = (new_id(), feed_id, payload.sha256, payload.size, payload.content_type, payload.storage_key)
    found: UUID = await db.value(tx, statement, *new, payload.received_at, feed_id, payload.sha256)
    return found


async def get_stored(tx: Tx, payload_id: UUID) -> StoredPayload:
    """Where the bytes of a payload lie that has a row. Raises LookupError for one that has none."""
    found = await db.find(
        tx,
        StoredPayload,
        """
        select id, feed_id, sha256, bytes as size, content_type, storage_key
        from affiliates.payloads where id = %s""",
        payload_id,
    )
    if found is None:
        raise LookupError(f"payload {payload_id} has no row")
    return found


async def get_payload(tx: Tx, snapshot_id: SnapshotId) -> StoredPayload:
    """Where the bytes of a snapshot lie. Refuses with NoSuchSnapshot."""
    found = await db.find(
        tx,
        StoredPayload,
        """
        select p.id, p.feed_id, p.sha256, p.bytes as size, p.content_type, p.storage_key
        from affiliates.snapshots s join affiliates.payloads p on p.id = s.payload_id where s.id = %s""",
        snapshot_id,
    )
    if found is None:
        raise NoSuchSnapshot(snapshot_id=snapshot_id)
    return found


async def insert_snapshot(tx: Tx, snapshot: Snapshot, payload_id: UUID, cycle_id: UUID | None) -> None:
    """The row of a snapshot, applied or not."""
    await db.run(
        tx,
        """
        insert into affiliates.snapshots (id, programme_id, feed_id, payload_id, mapping_version, seq, fetched_at,
          upstream_at, as_of, status, reason, shape, complete, rows_total, accepted, quarantined, new_players, changed,
          all_time_changed, vanished, corrections, sum_today_micro, sum_week_micro, sum_month_micro, sum_all_time_micro,
          delta_micro, total_users, anomaly_counts, cycle_id)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
          %s, %s::jsonb, %s)""",
        *(snapshot.id, snapshot.programme_id, snapshot.feed_id, payload_id),
        *_judged(snapshot),
        cycle_id,
    )


def _judged(snapshot: Snapshot) -> Sequence[object]:
    return (
        *(snapshot.mapping_version, snapshot.seq, snapshot.fetched_at, snapshot.upstream_at, snapshot.as_of),
        *(snapshot.status, snapshot.reason, snapshot.shape, snapshot.complete, snapshot.rows_total, snapshot.accepted),
        *(snapshot.quarantined, snapshot.new_players, snapshot.changed, snapshot.all_time_changed, snapshot.vanished),
        *(snapshot.corrections, snapshot.sum_today_micro, snapshot.sum_week_micro, snapshot.sum_month_micro),
        *(snapshot.sum_all_time_micro, snapshot.delta_micro, snapshot.total_users, json.dumps(snapshot.anomaly_counts)),
    )


async def update_snapshot(tx: Tx, snapshot: Snapshot, decided_by: UUID | None, decided_at: datetime) -> None:
    """A suspicious snapshot is applied or discarded; the table takes no other change."""
    await db.run(
        tx,
        """
        update affiliates.snapshots set mapping_version = %s, seq = %s, fetched_at = %s, upstream_at = %s, as_of = %s,
          status = %s, reason = %s, shape = %s, complete = %s, rows_total = %s, accepted = %s, quarantined = %s,
          new_players = %s, changed = %s, all_time_changed = %s, vanished = %s, corrections = %s, sum_today_micro = %s,
          sum_week_micro = %s, sum_month_micro = %s, sum_all_time_micro = %s, delta_micro = %s, total_users = %s,
          anomaly_counts = %s::jsonb, decided_by = %s, decided_at = %s where id = %s""",
        *_judged(snapshot),
        *(decided_by, decided_at, snapshot.id),
    )


async def find_last(tx: Tx, programme_id: ProgrammeId) -> Snapshot | None:
    """The snapshot that the programme is as of."""
    return await db.find(
        tx,
        Snapshot,
        SNAPSHOT + " join affiliates.programmes r on r.last_snapshot_id = s.id where r.id = %s",
        programme_id,
    )


async def get_snapshot(tx: Tx, snapshot_id: SnapshotId) -> Snapshot:
    """The snapshot of that id, whatever became of it. Refuses with NoSuchSnapshot."""
    found = await find_snapshot(tx, snapshot_id)
    if found is None:
        raise NoSuchSnapshot(snapshot_id=snapshot_id)
    return found


async def find_snapshot(tx: Tx, snapshot_id: SnapshotId) -> Snapshot | None:
    """The snapshot of that id, whatever became of it."""
    return await db.find(tx, Snapshot, SNAPSHOT + " where s.id = %s", snapshot_id)


async def list_snapshots(tx: Tx, programme_id: ProgrammeId, limit: int) -> list[Snapshot]:
    """The newest snapshots of a programme, newest first, whatever became of them."""
    return await db.rows(
        tx, Snapshot, SNAPSHOT + " where s.programme_id = %s order by s.id desc limit %s", programme_id, limit
    )


async def get_applied(tx: Tx, snapshot_id: SnapshotId) -> SnapshotView:
    """The applied snapshot of that id. Refuses with NoSuchSnapshot."""
    found = await db.find(tx, SnapshotView, VIEW + " where s.id = %s and s.status = 'applied'", snapshot_id)
    if found is None:
        raise NoSuchSnapshot(snapshot_id=snapshot_id)
    return found


async def list_applied_ids(
    tx: Tx, feed_id: FeedId, begin: datetime | None, end: datetime | None, limit: int
) -> list[SnapshotId]:
    """The applied snapshots of a feed in a span, in order."""
    return await db.column(
        tx,
        """
        select s.id from affiliates.feeds f join affiliates.snapshots s on s.programme_id = f.programme_id
        where f.id = %s and s.feed_id = f.id and s.status = 'applied'
          and (%s::timestamptz is null or s.fetched_at >= %s::timestamptz)
          and (%s::timestamptz is null or s.fetched_at < %s::timestamptz)
        order by s.fetched_at limit %s""",
        *(feed_id, begin, begin, end, end, limit),
    )


async def find_before(tx: Tx, programme_id: ProgrammeId, at: datetime) -> SnapshotView | None:
    """The newest applied snapshot fetched at or before an instant."""
    return await db.find(
        tx,
        SnapshotView,
        VIEW
        + """ where s.programme_id = %s and s.status = 'applied' and s.fetched_at <= %s
        order by s.fetched_at desc limit 1""",
        *(programme_id, at),
    )


async def find_from(tx: Tx, programme_id: ProgrammeId, at: datetime) -> SnapshotView | None:
    """The first applied snapshot fetched at or after an instant."""
    return await db.find(
        tx,
        SnapshotView,
        VIEW
        + """ where s.programme_id = %s and s.status = 'applied' and s.fetched_at >= %s
        order by s.fetched_at limit 1""",
        *(programme_id, at),
    )
