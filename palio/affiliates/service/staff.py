"""What staff decide: whether a doubted snapshot or row is believed. Every decision is audited with its reason."""

from dataclasses import replace
from datetime import datetime

from palio.affiliates import rules, sql
from palio.affiliates.errors import AlreadyDecided, NotReleasable, OutOfOrder
from palio.affiliates.rules import CANONICAL, Parsed
from palio.affiliates.service.apply import Judged, applied, judge, limits, save
from palio.affiliates.service.ingest import read
from palio.affiliates.service.rosters import current_roster
from palio.affiliates.types import (
    Arrival,
    Feed,
    HeldRow,
    HeldRowId,
    HeldState,
    QuarantinedRow,
    Snapshot,
    SnapshotId,
)
from palio.infra import audit
from palio.infra.db import Tx
from palio.kernel.ids import Actor, new_id


async def apply_anyway(
    tx: Tx, *, actor: Actor, snapshot_id: SnapshotId, body: bytes, reason: str, now: datetime
) -> Snapshot:
    """Apply a suspicious snapshot as it is; `body` are its bytes, restored from the archive.

    Refuses with NoSuchSnapshot, AlreadyDecided, OutOfOrder when a newer one is applied, and as `rules.parse` does.
    """
    doubted, feed = await _lock_suspicious(tx, snapshot_id)
    judged = await judge_doubted(tx, doubted=doubted, feed=feed, body=body)
    snapshot, oddities = await applied(tx, judged=judged)
    snapshot = replace(snapshot, reason=doubted.reason)
    await sql.update_snapshot(tx, snapshot, actor.user_id, now)
    await save(tx, judged=judged, snapshot=snapshot, oddities=oddities)
    await _audit_snapshot(tx, actor, "snapshot.apply", doubted, snapshot, reason)
    return snapshot


async def judge_doubted(tx: Tx, *, doubted: Snapshot, feed: Feed, body: bytes) -> Judged:
    """A suspicious snapshot compared with what is known now; nothing is written.

    Refuses with OutOfOrder when a newer one is applied, and as `rules.parse` does.
    """
    last = await sql.find_last(tx, doubted.programme_id)
    if last and doubted.fetched_at <= last.fetched_at:
        raise OutOfOrder(fetched_at=doubted.fetched_at, last=last.fetched_at)
    stored = await sql.get_payload(tx, doubted.id)
    roster = await current_roster(tx, last=last)
    parsed = await read(tx, feed=feed, content_type=stored.content_type, body=body, roster=roster)
    arrival = Arrival(doubted.id, feed, stored.sha256, doubted.fetched_at)
    jumps = await sql.list_open_jumps(tx, doubted.programme_id)
    return await judge(tx, arrival=arrival, parsed=parsed, roster=roster, last=last, jumps=jumps)


async def discard(tx: Tx, *, actor: Actor, snapshot_id: SnapshotId, reason: str, now: datetime) -> Snapshot:
    """Put a suspicious snapshot aside for good. Refuses with NoSuchSnapshot, AlreadyDecided."""
    doubted, _ = await _lock_suspicious(tx, snapshot_id)
    snapshot = replace(doubted, status="discarded")
    await sql.update_snapshot(tx, snapshot, actor.user_id, now)
    await _audit_snapshot(tx, actor, "snapshot.discard", doubted, snapshot, reason)
    return snapshot


async def _lock_suspicious(tx: Tx, snapshot_id: SnapshotId) -> tuple[Snapshot, Feed]:
    found = await sql.get_snapshot(tx, snapshot_id)
    await sql.lock_applying(tx, found.programme_id)
    found = await sql.get_snapshot(tx, snapshot_id)  # somebody may have decided while we waited
    if found.status != "suspicious":
        raise AlreadyDecided(state=found.status)
    return found, await sql.get_feed(tx, found.feed_id)


async def _audit_snapshot(tx: Tx, actor: Actor, action: str, before: Snapshot, after: Snapshot, reason: str) -> None:
    await audit.record(
        tx,
        actor=actor,
        action=action,
        entity_type="affiliates.snapshot",
        entity_id=str(after.id),
        changes={"status": (before.status, after.status), "seq": (before.seq, after.seq)},
        reason=reason,
    )


async def release_row(tx: Tx, *, actor: Actor, row_id: HeldRowId, reason: str, now: datetime) -> Snapshot:
    """Believe a row that was held as a jump: the last snapshot is applied once more with it, an instant later.

    Refuses with NoSuchRow, AlreadyDecided, NotReleasable for a row that cannot be read, and OutOfOrder when a snapshot
    of other bytes was applied since.
    """
    row, feed = await _lock_row(tx, row_id)
    if row.reason != "jump":
        raise NotReleasable(reason=row.reason)
    last = await sql.find_last(tx, feed.programme_id)
    held_in = await sql.get_snapshot(tx, row.snapshot_id)
    if last is None or last.sha256 != held_in.sha256:
        raise OutOfOrder(fetched_at=held_in.fetched_at, last=last.fetched_at if last else None)
    judged = await _judge_released(tx, row, feed, last)
    (change,) = judged.difference.changed
    oddities = [rules.Oddity("jump_confirmed", change.no, {"before": change.before, "after": change.reading.all_time})]
    snapshot = rules.released(judged.arrival, last, judged.difference, {"jump_confirmed": 1})
    stored = await sql.get_payload(tx, last.id)
    await sql.insert_snapshot(tx, snapshot, stored.id, None)
    await save(tx, judged=judged, snapshot=snapshot, oddities=oddities)
    await _decide_row(tx, actor, row, "accepted", reason, now)
    return snapshot


async def _judge_released(tx: Tx, row: QuarantinedRow, feed: Feed, last: Snapshot) -> Judged:
    """The held row alone, compared with what is known; it is believed whatever it says."""
    reading = rules.read_row(row.row_no, row.row.encode(), CANONICAL)
    if isinstance(reading, HeldRow):
        raise NotReleasable(reason=reading.reason)
    roster = await current_roster(tx, last=last)
    parsed = Parsed("flat", {reading.uid: reading}, known=roster.known, fresh=(reading.uid,))
    difference = rules.compare(
        parsed,
        roster,
        await limits(tx),
        is_complete=False,
        follows_complete=False,
        reported={},
        released={reading.uid},
    )
    arrival = Arrival(SnapshotId(new_id()), feed, last.sha256, rules.just_after(last))
    return Judged(arrival, parsed, roster, last, difference, jumps=(), suspicion=None, is_complete=last.complete)


async def dismiss_row(tx: Tx, *, actor: Actor, row_id: HeldRowId, reason: str, now: datetime) -> QuarantinedRow:
    """Note that a held row is not to be believed. Refuses with NoSuchRow, AlreadyDecided."""
    row, _ = await _lock_row(tx, row_id)
    return await _decide_row(tx, actor, row, "dismissed", reason, now)


async def _lock_row(tx: Tx, row_id: HeldRowId) -> tuple[QuarantinedRow, Feed]:
    """The row while no snapshot is being applied to its programme."""
    feed = await sql.get_feed(tx, await sql.get_feed_of_row(tx, row_id))
    await sql.lock_applying(tx, feed.programme_id)
    row = await sql.lock_held(tx, row_id)
    if row.state != "held":
        raise AlreadyDecided(state=row.state)
    return row, feed


async def _decide_row(
    tx: Tx, actor: Actor, row: QuarantinedRow, state: HeldState, reason: str, now: datetime
) -> QuarantinedRow:
    await sql.update_held(tx, {row.id: state}, now, by=actor.user_id, note=reason)
    await audit.record(
        tx,
        actor=actor,
        action="held_row.release" if state == "accepted" else "held_row.dismiss",
        entity_type="affiliates.quarantine",
        entity_id=str(row.id),
        changes={"state": (row.state, state)},
        reason=reason,
    )
    return replace(row, state=state)
