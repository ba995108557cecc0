"""What staff look at before they decide: the rows of a snapshot, two of them side by side, what applying would do."""

import asyncio
from dataclasses import replace

from palio.affiliates import rules, sql
from palio.affiliates.errors import AlreadyDecided
from palio.affiliates.rules import Parsed
from palio.affiliates.service.apply import applied
from palio.affiliates.service.staff import judge_doubted
from palio.affiliates.types import Contrast, Foreseen, SnapshotId
from palio.infra.db import Tx

ROWS_SHOWN = 200


async def parsed_snapshot(tx: Tx, *, snapshot_id: SnapshotId, body: bytes) -> Parsed:
    """What a snapshot lists, read once more as it was read when it came; `body` are its bytes from the archive.

    Refuses with NoSuchSnapshot, and as `rules.parse` does for what was never a list.
    """
    snapshot, stored = await sql.get_snapshot(tx, snapshot_id), await sql.get_payload(tx, snapshot_id)
    mapping = rules.CANONICAL
    if snapshot.mapping_version:
        written = await sql.get_mapping(tx, snapshot.feed_id, snapshot.mapping_version)
        mapping = rules.mapping_of(written, version=snapshot.mapping_version)
    return await asyncio.to_thread(rules.parse, body, stored.content_type, mapping)


async def compare_snapshots(
    tx: Tx, *, before_id: SnapshotId, before: bytes, after_id: SnapshotId, after: bytes
) -> Contrast:
    """How the lists of two snapshots differ, row by row; nothing is written. Refuses as `parsed_snapshot` does."""
    old = await parsed_snapshot(tx, snapshot_id=before_id, body=before)
    new = await parsed_snapshot(tx, snapshot_id=after_id, body=after)
    return rules.contrast(old.readings, new.readings, most=ROWS_SHOWN)


async def foresee_apply(tx: Tx, *, snapshot_id: SnapshotId, body: bytes) -> Foreseen:
    """What `apply_anyway` would do now; nothing is written.

    Refuses with NoSuchSnapshot, AlreadyDecided, OutOfOrder when a newer one is applied, and as `rules.parse` does.
    """
    doubted = await sql.get_snapshot(tx, snapshot_id)
    if doubted.status != "suspicious":
        raise AlreadyDecided(state=doubted.status)
    feed = await sql.get_feed(tx, doubted.feed_id)
    judged = await judge_doubted(tx, doubted=doubted, feed=feed, body=body)
    snapshot, _ = await applied(tx, judged=judged)
    snapshot = replace(snapshot, reason=doubted.reason)
    return rules.foreseen(snapshot, judged.difference, judged.roster, most=ROWS_SHOWN)
