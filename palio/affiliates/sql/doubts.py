"""What is not believed, and what is believed but odd."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from palio.affiliates.errors import NoSuchRow
from palio.affiliates.rules import Oddity
from palio.affiliates.types import (
    UNKNOWN,
    Anomaly,
    AnomalyCard,
    AnomalyCode,
    FeedId,
    HeldCard,
    HeldReason,
    HeldRow,
    HeldRowId,
    HeldState,
    ProgrammeId,
    QuarantinedRow,
    Snapshot,
    SnapshotId,
)
from palio.infra import db
from palio.infra.arrays import Int8s, Texts
from palio.infra.db import Tx
from palio.kernel.ids import new_id
from palio.kernel.parts import EVER, IDS, Dated, Part

ANOMALY_CARD = """
    select a.id, r.code as programme, a.snapshot_id, a.at, a.player_id, p.uid, p.name, a.code, a.facts
    from affiliates.anomalies a join affiliates.snapshots s on s.id = a.snapshot_id
      join affiliates.programmes r on r.id = s.programme_id left join affiliates.players p on p.id = a.player_id """
HELD_CARD = """
    select q.id, r.code as programme, r.currency, f.name as feed, q.snapshot_id, s.fetched_at as at, q.row_no, q.uid,
      q.reason, q.row #>> '{}' as row, q.held_all_time_micro, q.state, q.decided_by, q.decided_at, q.note, p.name,
      p.all_time_micro as known_micro
    from affiliates.quarantine q join affiliates.snapshots s on s.id = q.snapshot_id
      join affiliates.programmes r on r.id = s.programme_id join affiliates.feeds f on f.id = q.feed_id
      left join affiliates.players p on p.programme_id = s.programme_id and p.uid = q.uid """


class OpenJump(NamedTuple):
    """A value that was too much to be believed at once, and that nobody has confirmed yet."""

    id: HeldRowId
    uid: str
    all_time: int


async def insert_held(tx: Tx, snapshot: Snapshot, rows: Sequence[HeldRow]) -> None:
    """Rows that are not believed, for staff to look at."""
    await db.run(
        tx,
        """
        insert into affiliates.quarantine (id, snapshot_id, feed_id, row_no, uid, reason, row, held_all_time_micro)
        select u.id::uuid, %s, %s, u.no, nullif(u.uid, ''), u.reason, to_jsonb(u.row), nullif(u.all_time, %s::bigint)
        from unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[])
          u(id, no, uid, reason, row, all_time)""",
        *(snapshot.id, snapshot.feed_id, UNKNOWN),
        *(Texts.of([new_id().hex for _ in rows]), Int8s.of([row.row_no for row in rows])),
        *(Texts.of([row.uid or "" for row in rows]), Texts.of([row.reason for row in rows])),
        *(
            Texts.of([row.row for row in rows]),
            Int8s.of([UNKNOWN if row.all_time is None else row.all_time for row in rows]),
        ),
    )


async def list_doubted(tx: Tx, snapshot_id: SnapshotId, uids: Sequence[str]) -> list[str]:
    """Which of these uids stand in a held row of the snapshot. Equal bytes hold the same rows, stored once."""
    return await db.column(
        tx,
        """
        select distinct q.uid
        from affiliates.snapshots s join affiliates.snapshots same on same.payload_id = s.payload_id
            and same.mapping_version = s.mapping_version
          join affiliates.quarantine q on q.snapshot_id = same.id
        where s.id = %s and q.uid = any (%s::text[]) and (q.reason <> 'jump' or q.snapshot_id = s.id)""",
        *(snapshot_id, Texts.of(list(uids))),
    )


async def list_open_jumps(tx: Tx, programme_id: ProgrammeId) -> list[OpenJump]:
    """The jumps of a programme that wait for a second snapshot or for staff."""
    cursor = await tx.execute(
        """
        select q.id, q.uid, q.held_all_time_micro
        from affiliates.feeds f join affiliates.quarantine q on q.feed_id = f.id
        where f.programme_id = %s and q.state = 'held' and q.reason = 'jump'""",
        (programme_id,),
    )
    return [OpenJump(*row) for row in await cursor.fetchall()]


async def update_held(
    tx: Tx,
    decided: Mapping[HeldRowId, HeldState],
    at: datetime,
    *,
    by: UUID | None,
    note: str,
) -> None:
    """What became of rows that were held."""
    await db.run(
        tx,
        """
        update affiliates.quarantine q set state = u.state, decided_by = %s, decided_at = %s, note = %s
        from unnest(%s::uuid[], %s::text[]) u(id, state) where q.id = u.id""",
        *(by, at, note, list(decided), Texts.of(list(decided.values()))),
    )


async def get_feed_of_row(tx: Tx, row_id: HeldRowId) -> FeedId:
    """The feed that a held row came from. Refuses with NoSuchRow."""
    found: FeedId | None = await db.value(tx, "select feed_id from affiliates.quarantine where id = %s", row_id)
    if found is None:
        raise NoSuchRow(row_id=row_id)
    return found


async def lock_held(tx: Tx, row_id: HeldRowId) -> QuarantinedRow:
    """The row, ours until the transaction ends. Refuses with NoSuchRow."""
    found = await db.find(
        tx,
        QuarantinedRow,
        """
        select id, snapshot_id, feed_id, row_no, uid, reason, row #>> '{}' as row, held_all_time_micro, state
        from affiliates.quarantine where id = %s for update""",
        row_id,
    )
    if found is None:
        raise NoSuchRow(row_id=row_id)
    return found


async def list_held(tx: Tx, programme_id: ProgrammeId, limit: int) -> list[QuarantinedRow]:
    """The newest rows of a programme that are still held."""
    return await db.rows(
        tx,
        QuarantinedRow,
        """
        select q.id, q.snapshot_id, q.feed_id, q.row_no, q.uid, q.reason, q.row #>> '{}' as row, q.held_all_time_micro,
          q.state
        from affiliates.feeds f join affiliates.quarantine q on q.feed_id = f.id
        where f.programme_id = %s and q.state = 'held' order by q.id desc limit %s""",
        *(programme_id, limit),
    )


async def insert_anomalies(tx: Tx, snapshot: Snapshot, oddities: Sequence[Oddity]) -> None:
    """What became odd with this snapshot."""
    await db.run(
        tx,
        """
        insert into affiliates.anomalies (id, snapshot_id, player_id, code, facts, at)
        select u.id::uuid, %s, p.id, u.code, u.facts::jsonb, %s
        from unnest(%s::text[], %s::bigint[], %s::text[], %s::text[]) u(id, no, code, facts)
          left join affiliates.players p on p.programme_id = %s and p.no = u.no""",
        *(snapshot.id, snapshot.fetched_at),
        *(Texts.of([new_id().hex for _ in oddities]), Int8s.of([-1 if o.no is None else o.no for o in oddities])),
        *(Texts.of([o.code for o in oddities]), Texts.of([json.dumps(o.facts) for o in oddities])),
        snapshot.programme_id,
    )


async def list_anomalies(tx: Tx, programme_id: ProgrammeId, since: datetime | None, limit: int) -> list[Anomaly]:
    """The newest anomalies of a programme, newest first."""
    return await db.rows(
        tx,
        Anomaly,
        """
        select a.snapshot_id, a.at, p.uid, a.code, a.facts
        from affiliates.anomalies a join affiliates.snapshots s on s.id = a.snapshot_id
          left join affiliates.players p on p.id = a.player_id
        where s.programme_id = %s and (%s::timestamptz is null or a.at >= %s::timestamptz)
        order by a.at desc, a.id desc limit %s""",
        *(programme_id, since, since, limit),
    )


ODD = """
    where (%s::uuid is null or s.programme_id = %s::uuid) and (%s::text is null or a.code = %s::text)
      and a.at >= coalesce(%s::timestamptz, '-infinity') and a.at < coalesce(%s::timestamptz, 'infinity')
      and (a.at, a.id) > (%s, %s) and (a.at, a.id) < (%s, %s)"""


async def list_anomaly_cards(
    tx: Tx,
    programme_id: ProgrammeId | None,
    code: AnomalyCode | None,
    since: datetime | None,
    until: datetime | None,
    part: Part[Dated],
) -> list[AnomalyCard]:
    """A part of the anomalies, newest first: of one programme or all, of one kind or all."""
    low, high = part.between(*EVER)
    values = (programme_id, programme_id, code, code, since, until, *low, *high, part.limit)
    if part.is_back:
        return (await db.rows(tx, AnomalyCard, ANOMALY_CARD + ODD + " order by a.at, a.id limit %s", *values))[::-1]
    return await db.rows(tx, AnomalyCard, ANOMALY_CARD + ODD + " order by a.at desc, a.id desc limit %s", *values)


async def list_anomalies_of(tx: Tx, snapshot_id: SnapshotId, at: datetime, limit: int) -> list[AnomalyCard]:
    """What became odd with a snapshot that was fetched at an instant."""
    return await db.rows(
        tx,
        AnomalyCard,
        ANOMALY_CARD + "where a.at = %s and a.snapshot_id = %s order by a.id limit %s",
        *(at, snapshot_id, limit),
    )


NOT_BELIEVED = """
    where (%s::uuid is null or s.programme_id = %s::uuid) and (%s::text is null or q.reason = %s::text)
      and (%s::text is null or q.state = %s::text) and q.id > %s and q.id < %s"""


async def list_held_cards(
    tx: Tx, programme_id: ProgrammeId | None, reason: HeldReason | None, state: HeldState | None, part: Part[UUID]
) -> list[HeldCard]:
    """A part of the rows that were not believed, newest first: of one programme or all, narrowed or not."""
    values = (programme_id, programme_id, reason, reason, state, state, *part.between(*IDS), part.limit)
    if part.is_back:
        return (await db.rows(tx, HeldCard, HELD_CARD + NOT_BELIEVED + " order by q.id limit %s", *values))[::-1]
    return await db.rows(tx, HeldCard, HELD_CARD + NOT_BELIEVED + " order by q.id desc limit %s", *values)


async def list_held_of(tx: Tx, snapshot_id: SnapshotId, limit: int) -> list[HeldCard]:
    """The rows of a snapshot that were not believed."""
    return await db.rows(
        tx, HeldCard, HELD_CARD + "where q.snapshot_id = %s order by q.row_no, q.id limit %s", snapshot_id, limit
    )


async def get_held_card(tx: Tx, row_id: HeldRowId) -> HeldCard:
    """The row. Refuses with NoSuchRow."""
    found = await db.find(tx, HeldCard, HELD_CARD + "where q.id = %s", row_id)
    if found is None:
        raise NoSuchRow(row_id=row_id)
    return found


async def count_held(tx: Tx, most: int) -> tuple[int, datetime | None]:
    """How many rows wait for a decision, counted up to so many, and when the oldest came."""
    cursor = await tx.execute(
        """
        select (select count(*) from (select from affiliates.quarantine where state = 'held' limit %s) q)::int,
          (select s.fetched_at from affiliates.quarantine q join affiliates.snapshots s on s.id = q.snapshot_id
            where q.state = 'held' order by q.id limit 1)""",
        (most,),
    )
    (found,) = await cursor.fetchall()
    return found[0], found[1]
