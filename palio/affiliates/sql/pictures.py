"""Pictures: every player's numbers as of one snapshot, in one row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from palio.affiliates.types import PlayerId, ProgrammeId, SnapshotId, SnapshotView
from palio.infra import db
from palio.infra.db import Tx


@dataclass(frozen=True, slots=True)
class PictureRow:
    """A stored picture; `data` is packed."""

    snapshot_id: SnapshotId
    fetched_at: datetime
    players: int
    data: bytes


async def find_picture(tx: Tx, programme_id: ProgrammeId, at: datetime) -> PictureRow | None:
    """The newest picture of a snapshot fetched at or before an instant."""
    return await db.find(
        tx,
        PictureRow,
        """
        select c.snapshot_id, s.fetched_at, c.players, c.data
        from affiliates.pictures c join affiliates.snapshots s on s.id = c.snapshot_id
        where c.programme_id = %s and s.fetched_at <= %s order by s.fetched_at desc limit 1""",
        *(programme_id, at),
    )


async def update_reason(tx: Tx, snapshot_id: SnapshotId, reason: str, keep_until: datetime | None) -> bool:
    """Keep a picture also for this reason, and at least this long (None is for ever). False if it is not there."""
    touched = await db.run(
        tx,
        """
        update affiliates.pictures set
          reasons = case when %s::text = any (reasons) then reasons else reasons || %s::text end,
          keep_until = case when %s::timestamptz is null then null else greatest(keep_until, %s::timestamptz) end
        where snapshot_id = %s""",
        *(reason, reason, keep_until, keep_until, snapshot_id),
    )
    return touched > 0


async def insert_picture(
    tx: Tx,
    snapshot: SnapshotView,
    reason: str,
    keep_until: datetime | None,
    *,
    players: int,
    data: bytes,
    sha256: bytes,
) -> None:
    """A new picture; of two made at once one is kept."""
    await db.run(
        tx,
        """
        insert into affiliates.pictures (snapshot_id, programme_id, reasons, players, data, sha256, keep_until)
        values (%s, %s, array[%s::text], %s, %s, %s, %s) on conflict (snapshot_id) do nothing""",
        *(snapshot.id, snapshot.programme_id, reason, players, data, sha256, keep_until),
    )


async def count_players_at(tx: Tx, programme_id: ProgrammeId, at: datetime) -> int:
    """How many players were known at an instant."""
    statement = "select count(*) from affiliates.players where programme_id = %s and first_seen_at <= %s"
    found: int = await db.value(tx, statement, programme_id, at)
    return found


async def list_values_between(
    tx: Tx, programme_id: ProgrammeId, after: datetime | None, through: datetime
) -> list[tuple[int, int | None, int | None, int | None, int | None]]:
    """Who changed after one instant and up to another: number, and the last known today, week, month, all time."""
    cursor = await tx.execute(
        """
        select p.no,
          (array_agg(s.today_micro order by s.at desc) filter (where s.today_micro is not null))[1],
          (array_agg(s.week_micro order by s.at desc) filter (where s.week_micro is not null))[1],
          (array_agg(s.month_micro order by s.at desc) filter (where s.month_micro is not null))[1],
          (array_agg(s.all_time_micro order by s.at desc) filter (where s.all_time_micro is not null))[1]
        from affiliates.snapshots n join affiliates.stats s on s.snapshot_id = n.id
          join affiliates.players p on p.id = s.player_id
        where n.programme_id = %s and n.status = 'applied' and n.fetched_at <= %s and s.at <= %s
          and (%s::timestamptz is null or (n.fetched_at > %s::timestamptz and s.at > %s::timestamptz))
        group by p.no""",
        (programme_id, through, through, after, after, after),
    )
    return await cursor.fetchall()


async def list_absent_at(tx: Tx, programme_id: ProgrammeId, at: datetime) -> list[tuple[int, int]]:
    """Whom the snapshot of an instant did not show, and why: number, mark."""
    cursor = await tx.execute(
        """
        select p.no, a.mark from affiliates.players p join affiliates.absences a on a.player_id = p.id
        where p.programme_id = %s and a.since <= %s and (a.until is null or a.until > %s)""",
        (programme_id, at, at),
    )
    return await cursor.fetchall()


async def list_players_at(
    tx: Tx, programme_id: ProgrammeId, players: int, player_ids: Sequence[PlayerId] | None
) -> list[tuple[PlayerId, int, str]]:
    """The first players of a programme, or those of the given ids among them: id, number, uid, by number."""
    cursor = await tx.execute(
        """
        select id, no, uid from affiliates.players
        where programme_id = %s and no < %s and (%s::uuid[] is null or id = any (%s::uuid[])) order by no""",
        (programme_id, players, player_ids, player_ids),
    )
    return await cursor.fetchall()
