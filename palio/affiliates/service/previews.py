"""What staff look at before they decide: the rows of a snapshot, two of them side by side, what applying would do."""

import asyncio
from collections import OrderedDict
from dataclasses import replace

from palio.affiliates import rules, sql
from palio.affiliates.errors import AlreadyDecided
from palio.affiliates.rules import Parsed
from palio.affiliates.service.apply import applied
from palio.affiliates.service.staff import judge_doubted
from palio.affiliates.types import Contrast, Foreseen, SnapshotId
from palio.infra import db
from palio.infra.db import Tx

ROWS_SHOWN = 200
ROWS_REMEMBERED_MAX = 200_000  # some 400 bytes each


class Looked:
    """Lists that staff look at page by page, each read once: a snapshot never changes. Those looked at last stay."""

    def __init__(self) -> None:
        self._parsed: OrderedDict[SnapshotId, Parsed] = OrderedDict()

    def find(self, snapshot_id: SnapshotId) -> Parsed | None:
        """What is remembered of a snapshot, which counts as looked at now."""
        if snapshot_id in self._parsed:
            self._parsed.move_to_end(snapshot_id)
        return self._parsed.get(snapshot_id)

    def keep(self, snapshot_id: SnapshotId, parsed: Parsed) -> None:
        """Remember a list, and forget the oldest until the rest is small enough; this one stays."""
        self._parsed[snapshot_id] = parsed
        self._parsed.move_to_end(snapshot_id)
        while len(self._parsed) > 1 and sum(len(one.readings) for one in self._parsed.values()) > ROWS_REMEMBERED_MAX:
            self._parsed.popitem(last=False)


async def parsed_snapshot(tx: Tx, *, snapshot_id: SnapshotId, body: bytes) -> Parsed:
    """What a snapshot lists, read once more as it was read when it came; `body` are its bytes from the archive.

    This process remembers what was looked at last. Refuses with NoSuchSnapshot, and as `rules.parse` does for what was
    never a list.
    """
    snapshot, stored = await sql.get_snapshot(tx, snapshot_id), await sql.get_payload(tx, snapshot_id)
    mapping = rules.CANONICAL
    if snapshot.mapping_version:
        written = await sql.get_mapping(tx, snapshot.feed_id, snapshot.mapping_version)
        mapping = rules.mapping_of(written, version=snapshot.mapping_version)
    looked = db.memory(tx, Looked)
    if found := looked.find(snapshot_id):
        return found
    parsed = await asyncio.to_thread(rules.parse, body, stored.content_type, mapping)
    looked.keep(snapshot_id, parsed)
    return parsed


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
