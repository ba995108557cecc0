"""Reading archived payloads once more: does what is stored still follow from them? Nothing is written."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime

from palio.affiliates import rules, sql
from palio.affiliates.errors import NoSuchFeed
from palio.affiliates.rules import Columns, FeedMapping, Parsed
from palio.affiliates.service.pictures import columns_at
from palio.affiliates.types import UNKNOWN, Discrepancy, FeedId, Mark, SnapshotId
from palio.infra.db import Tx

SNAPSHOTS_MAX = 10_000


async def replayable(tx: Tx, *, feed_id: FeedId, begin: datetime | None, end: datetime | None) -> list[SnapshotId]:
    """The applied snapshots of a feed in a span, in order; at most 10,000. Refuses with NoSuchFeed."""
    await sql.get_feed(tx, feed_id)
    return await sql.list_applied_ids(tx, feed_id, begin, end, SNAPSHOTS_MAX)


async def feed_named(tx: Tx, *, text: str) -> FeedId:
    """The feed of an id, or of a programme's code: the one that is read by itself, else that of uploads.

    Refuses with NoSuchFeed.
    """
    states = await sql.list_feeds(tx, SNAPSHOTS_MAX)
    by_id = [state.id for state in states if str(state.id) == text]
    by_code = sorted((state for state in states if state.programme == text), key=lambda state: state.kind)
    if not by_id and not by_code:
        raise NoSuchFeed(feed_id=text)
    return by_id[0] if by_id else by_code[0].id


async def replay(
    tx: Tx, *, snapshot_id: SnapshotId, body: bytes, mapping: Mapping[str, object] | None = None
) -> list[Discrepancy]:
    """How an archived body, read anew, differs from what is stored as of its snapshot.

    `mapping` takes the place of the one that it was read with. Refuses with NoSuchSnapshot, BadMapping, and as
    `rules.parse` does.
    """
    snapshot = await sql.get_snapshot(tx, snapshot_id)
    stored, view = await sql.get_payload(tx, snapshot_id), await sql.get_applied(tx, snapshot_id)
    reading = await _mapping(tx, snapshot.feed_id, snapshot.mapping_version, mapping)
    parsed = await asyncio.to_thread(rules.parse, body, stored.content_type, reading)
    columns = await columns_at(tx, snapshot=view)
    players = await sql.list_players_at(tx, snapshot.programme_id, len(columns), None)
    numbers = {uid: no for _, no, uid in players}
    found = list(_differences(view.seq, parsed, columns, numbers))
    if parsed.shape != snapshot.shape:
        found.insert(0, Discrepancy(view.seq, None, "shape", snapshot.shape, parsed.shape))
    return found


async def _mapping(tx: Tx, feed_id: FeedId, version: int, given: Mapping[str, object] | None) -> FeedMapping:
    if given is not None:
        return rules.mapping_of(given, version=version)
    return (
        rules.mapping_of(await sql.get_mapping(tx, feed_id, version), version=version) if version else rules.CANONICAL
    )


def _differences(seq: int, parsed: Parsed, columns: Columns, numbers: Mapping[str, int]) -> Iterator[Discrepancy]:
    """Numbers of the body that are not those that are stored; a row that was not believed then says nothing."""
    stored = {"today": columns.today, "week": columns.week, "month": columns.month, "all_time": columns.all_time}
    for uid in sorted(parsed.readings):
        no = numbers.get(uid)
        if no is None:
            yield Discrepancy(seq, uid, "player", None, "listed")
        elif columns.marks[no] == Mark.LISTED:
            for name, column in stored.items():
                now = getattr(parsed.readings[uid], name)
                if now is not None and now != column[no]:
                    yield Discrepancy(seq, uid, name, None if column[no] == UNKNOWN else column[no], now)
    for uid in sorted(numbers.keys() - parsed.readings.keys()):
        if columns.marks[numbers[uid]] == Mark.LISTED and not _is_held(parsed, uid):
            yield Discrepancy(seq, uid, "player", "listed", None)


def _is_held(parsed: Parsed, uid: str) -> bool:
    return any(row.uid == uid for row in parsed.held)
