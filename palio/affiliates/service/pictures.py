"""Pictures of a programme as of one snapshot, and the readings in them."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from palio.affiliates import rules, sql
from palio.affiliates.errors import NoSuchSnapshot
from palio.affiliates.rules import Columns
from palio.affiliates.service.rosters import remembered_roster
from palio.affiliates.types import (
    Mark,
    PlayerId,
    ProgrammeId,
    ReadingAt,
    ReadingKind,
    Snapshot,
    SnapshotId,
    SnapshotView,
)
from palio.infra import packing
from palio.infra.db import Tx

DAILY_KEPT: Final = timedelta(days=400)  # thirteen months


async def keep_pictures_many(tx: Tx, items: Sequence[tuple[SnapshotId, str, datetime | None]]) -> None:
    """Keep the picture of applied snapshots for a reason and until an instant, None for ever.

    A repeat adds its reason and can only lengthen the time. Refuses with NoSuchSnapshot.
    """
    for snapshot_id, reason, keep_until in items:
        await _keep(tx, await sql.get_applied(tx, snapshot_id), reason, keep_until)


async def keep_daily(tx: Tx, *, last: Snapshot | None, fetched_at: datetime) -> None:
    """Keep the last picture of a day (UTC) when the first snapshot of a later one comes; that of a month for ever."""
    if last is None:
        return
    before, after = last.fetched_at.astimezone(UTC), fetched_at.astimezone(UTC)
    if before.date() == after.date():
        return
    opens_month = (before.year, before.month) != (after.year, after.month)
    keep_until = None if opens_month else last.fetched_at + DAILY_KEPT
    await keep_pictures_many(tx, [(last.id, "daily", keep_until)])


async def readings_at(
    tx: Tx, *, programme_id: ProgrammeId, snapshot_id: SnapshotId, player_ids: Sequence[PlayerId] | None = None
) -> Mapping[PlayerId, ReadingAt]:
    """What was known of each player, or of the given ones, as of an applied snapshot, in the order of their numbers.

    Who was first seen later is left out. Refuses with NoSuchSnapshot.
    """
    snapshot = await sql.get_applied(tx, snapshot_id)
    if snapshot.programme_id != programme_id:
        raise NoSuchSnapshot(snapshot_id=snapshot_id)
    columns = await columns_at(tx, snapshot=snapshot)
    players = await sql.list_players_at(tx, programme_id, len(columns), player_ids)
    return {
        player_id: ReadingAt(player_id, no, uid, columns.all_time_of(no), _kind(columns, no))
        for player_id, no, uid in players
    }


def _kind(columns: Columns, no: int) -> ReadingKind:
    if columns.all_time_of(no) is None:
        return "unknown"
    kinds: dict[int, ReadingKind] = {Mark.LISTED: "listed", Mark.STALE: "stale", Mark.QUARANTINED: "quarantined"}
    return kinds[columns.marks[no]]


async def _keep(tx: Tx, snapshot: SnapshotView, reason: str, keep_until: datetime | None) -> None:
    if await sql.update_reason(tx, snapshot.id, reason, keep_until):
        return
    columns = await columns_at(tx, snapshot=snapshot)
    data = columns.to_bytes()
    await sql.insert_picture(
        tx,
        snapshot,
        reason,
        keep_until,
        players=len(columns),
        data=packing.pack(data),
        sha256=hashlib.sha256(data).digest(),
    )


async def columns_at(tx: Tx, *, snapshot: SnapshotView) -> Columns:
    """From memory, from its picture, or from the next older picture and what changed since."""
    if roster := remembered_roster(tx, programme_id=snapshot.programme_id, snapshot_id=snapshot.id):
        return roster.columns
    picture = await sql.find_picture(tx, snapshot.programme_id, snapshot.fetched_at)
    columns = Columns()
    if picture:
        size = picture.players * rules.PLAYER_BYTES
        columns = Columns.from_bytes(packing.unpack(picture.data, size_max=size))
        if picture.snapshot_id == snapshot.id:
            return columns
    columns.grow(await sql.count_players_at(tx, snapshot.programme_id, snapshot.fetched_at))
    after = picture.fetched_at if picture else None
    for no, *values in await sql.list_values_between(tx, snapshot.programme_id, after, snapshot.fetched_at):
        columns.put(no, values)
    columns.marks[:] = bytes(len(columns))
    for no, mark in await sql.list_absent_at(tx, snapshot.programme_id, snapshot.fetched_at):
        columns.marks[no] = mark
    return columns
