"""External players, and what each snapshot changed about them: columns in, one statement for any number of rows."""

from collections.abc import Iterable, Mapping, Sequence

from palio.affiliates.rules import Change, Columns, Roster, name_key
from palio.affiliates.types import (
    UNKNOWN,
    Mark,
    Player,
    PlayerId,
    ProgrammeId,
    Snapshot,
    SnapshotId,
    StatsKind,
    WagerChange,
)
from palio.infra import db
from palio.infra.arrays import Int8s, Texts
from palio.infra.db import Tx
from palio.kernel.ids import new_id


async def insert_players(tx: Tx, snapshot: Snapshot, changes: Sequence[Change]) -> None:
    """Players seen for the first time."""
    await db.run(
        tx,
        """
        insert into affiliates.players (id, programme_id, no, uid, name, name_key, today_micro, week_micro, month_micro,
          all_time_micro, value_at, value_snapshot_id, all_time_at, first_seen_at, first_snapshot_id, flags)
        select u.id::uuid, %s, u.no, u.uid, nullif(u.name, ''), nullif(u.name_key, ''),
          nullif(u.today, n.unknown), nullif(u.week, n.unknown), nullif(u.month, n.unknown),
          nullif(u.all_time, n.unknown), n.at, n.snapshot_id, case when u.all_time <> n.unknown then n.at end, n.at,
          n.snapshot_id, u.flags
        from (select %s::bigint as unknown, %s::timestamptz as at, %s::uuid as snapshot_id) n,
          unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bigint[],
            %s::bigint[], %s::bigint[], %s::bigint[])
              u(id, no, uid, name, name_key, today, week, month, all_time, flags)
        """,
        *(snapshot.programme_id, UNKNOWN, snapshot.fetched_at, snapshot.id),
        *(Texts.of([new_id().hex for _ in changes]), _numbers_of_players(changes)),
        *(Texts.of([change.reading.uid for change in changes]), *_names(changes)),
        *(*_columns(changes), Int8s.of([change.flags for change in changes])),
    )


async def update_players(tx: Tx, snapshot: Snapshot, changes: Sequence[Change]) -> None:
    """Players of whom something is different, and the readings that are, in one statement.

    An unknown number leaves the last known one of the player; the reading says that it is unknown.
    """
    await db.run(
        tx,
        """
        with moved as (
          update affiliates.players p set
            today_micro = coalesce(nullif(u.today, n.unknown), p.today_micro),
            week_micro = coalesce(nullif(u.week, n.unknown), p.week_micro),
            month_micro = coalesce(nullif(u.month, n.unknown), p.month_micro),
            all_time_micro = coalesce(nullif(u.all_time, n.unknown), p.all_time_micro),
            value_at = case when u.kind > 0 then n.at else p.value_at end,
            value_snapshot_id = case when u.kind > 0 then n.snapshot_id else p.value_snapshot_id end,
            all_time_at = case when u.kind > 1 then n.at else p.all_time_at end, flags = u.flags
          from (select %s::bigint as unknown, %s::timestamptz as at, %s::uuid as snapshot_id) n,
            unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
              %s::bigint[]) u(no, today, week, month, all_time, flags, kind, delta)
          where p.programme_id = %s and p.no = u.no
          returning p.id, n.at, n.snapshot_id, n.unknown, u.kind, u.today, u.week, u.month, u.all_time, u.delta)
        insert into affiliates.stats (player_id, at, snapshot_id, kind, today_micro, week_micro, month_micro,
          all_time_micro, delta_micro)
        select id, at, snapshot_id, (array['columns_only', 'first', 'change', 'correction'])[kind],
          nullif(today, unknown), nullif(week, unknown), nullif(month, unknown), nullif(all_time, unknown), delta
        from moved where kind > 0""",
        *(UNKNOWN, snapshot.fetched_at, snapshot.id),
        *(_numbers_of_players(changes), *_columns(changes), Int8s.of([change.flags for change in changes])),
        *(Int8s.of([KINDS[change.kind] for change in changes]), Int8s.of([change.delta for change in changes])),
        snapshot.programme_id,
    )


KINDS: Mapping[StatsKind | None, int] = {None: 0, "columns_only": 1, "first": 2, "change": 3, "correction": 4}


async def update_names(tx: Tx, snapshot: Snapshot, changes: Sequence[Change]) -> None:
    """Players whose name is another one."""
    await db.run(
        tx,
        """
        update affiliates.players p set name = u.name, name_key = u.name_key
        from unnest(%s::bigint[], %s::text[], %s::text[]) u(no, name, name_key)
        where p.programme_id = %s and p.no = u.no""",
        *(_numbers_of_players(changes), *_names(changes), snapshot.programme_id),
    )


async def insert_first_stats(tx: Tx, snapshot: Snapshot, changes: Sequence[Change]) -> None:
    """The readings of players seen for the first time, whose rows hold them."""
    await db.run(
        tx,
        """
        insert into affiliates.stats (player_id, at, snapshot_id, kind, today_micro, week_micro, month_micro,
          all_time_micro, delta_micro)
        select p.id, %s, %s, 'first', p.today_micro, p.week_micro, p.month_micro, p.all_time_micro, u.delta
        from unnest(%s::bigint[], %s::bigint[]) u(no, delta)
          join affiliates.players p on p.programme_id = %s and p.no = u.no""",
        *(snapshot.fetched_at, snapshot.id, _numbers_of_players(changes)),
        *(Int8s.of([change.delta for change in changes]), snapshot.programme_id),
    )


async def insert_names(tx: Tx, snapshot: Snapshot, changes: Sequence[Change]) -> None:
    """Names that were not a player's last one."""
    await db.run(
        tx,
        """
        insert into affiliates.player_names (player_id, seen_at, name, name_key, snapshot_id)
        select p.id, %s, u.name, u.name_key, %s
        from unnest(%s::bigint[], %s::text[], %s::text[]) u(no, name, name_key)
          join affiliates.players p on p.programme_id = %s and p.no = u.no""",
        *(snapshot.fetched_at, snapshot.id),
        *(_numbers_of_players(changes), *_names(changes), snapshot.programme_id),
    )


def _numbers_of_players(changes: Sequence[Change]) -> Int8s:
    return Int8s.of([change.no for change in changes])


def _names(changes: Sequence[Change]) -> tuple[Texts, Texts]:
    names = [change.name for change in changes]
    return Texts.of([name or "" for name in names]), Texts.of([name_key(name) or "" for name in names])


def _columns(changes: Sequence[Change]) -> list[Int8s]:
    columns = zip(*(change.reading[2:6] for change in changes), strict=True)
    return [Int8s.of([UNKNOWN if value is None else value for value in column]) for column in columns]


async def update_marks(tx: Tx, snapshot: Snapshot, marks: Mapping[int, Mark]) -> None:
    """End the absences of these players and begin those that follow, at the instant of the snapshot."""
    numbers, kinds = Int8s.of(list(marks)), Int8s.of([int(mark) for mark in marks.values()])
    await db.run(
        tx,
        """
        update affiliates.absences a set until = %s from affiliates.players p
        where p.programme_id = %s and p.no = any (%s::bigint[]) and a.player_id = p.id and a.until is null""",
        *(snapshot.fetched_at, snapshot.programme_id, numbers),
    )
    await db.run(
        tx,
        """
        insert into affiliates.absences (player_id, since, mark)
        select p.id, %s, u.mark from unnest(%s::bigint[], %s::bigint[]) u(no, mark)
          join affiliates.players p on p.programme_id = %s and p.no = u.no where u.mark > 0""",
        *(snapshot.fetched_at, numbers, kinds, snapshot.programme_id),
    )
    await db.run(
        tx,
        """
        update affiliates.players p set stale_since = case when u.mark = 1 then %s::timestamptz end
        from unnest(%s::bigint[], %s::bigint[]) u(no, mark) where p.programme_id = %s and p.no = u.no""",
        *(snapshot.fetched_at, numbers, kinds, snapshot.programme_id),
    )


async def load_roster(tx: Tx, programme_id: ProgrammeId, snapshot_id: SnapshotId) -> Roster:
    """Everybody of a programme as of its last snapshot; a hundred thousand in less than a second."""
    cursor = await tx.execute(
        """
        select p.uid, p.name, p.flags, p.today_micro, p.week_micro, p.month_micro, p.all_time_micro,
          coalesce(a.mark, 0)
        from affiliates.players p left join affiliates.absences a on a.player_id = p.id and a.until is null
        where p.programme_id = %s order by p.no""",
        (programme_id,),
    )
    rows = await cursor.fetchall()
    columns = Columns()
    columns.grow(len(rows))
    for no, row in enumerate(rows):
        columns.put(no, row[3:7])
        columns.marks[no] = row[7]
    return Roster(
        snapshot_id=snapshot_id,
        numbers={row[0]: no for no, row in enumerate(rows)},
        names=[row[1] for row in rows],
        flags=[row[2] for row in rows],
        columns=columns,
        unlisted=frozenset(row[0] for row in rows if row[7]),
    )


async def list_known_names(tx: Tx, programme_id: ProgrammeId, keys: Iterable[str]) -> set[str]:
    """Which of these names, by their keys, somebody of the programme has or had."""
    return set(
        await db.column(
            tx,
            """
            select distinct n.name_key from affiliates.player_names n join affiliates.players p on p.id = n.player_id
            where n.name_key = any (%s::text[]) and p.programme_id = %s""",
            *(Texts.of(list(keys)), programme_id),
        )
    )


async def list_players(tx: Tx, player_ids: Sequence[PlayerId]) -> list[Player]:
    """The players of those ids."""
    return await db.rows(
        tx,
        Player,
        """
        select id, programme_id, no, uid, name, today_micro, week_micro, month_micro, all_time_micro, value_at,
          first_seen_at, stale_since, flags, name_hidden
        from affiliates.players where id = any (%s::uuid[])""",
        list(player_ids),
    )


async def list_player_ids(tx: Tx, programme_id: ProgrammeId, numbers: Sequence[int]) -> list[PlayerId]:
    """The ids of players by their numbers, in the order of these."""
    return await db.column(
        tx,
        "select id from affiliates.players where programme_id = %s and no = any (%s::bigint[]) order by no",
        *(programme_id, Int8s.of(list(numbers))),
    )


async def list_changes(tx: Tx, programme_id: ProgrammeId, seq: int, through_seq: int, limit: int) -> list[WagerChange]:
    """Changes of all-time totals after `seq`, in (seq, uid) order, of whole snapshots: within `limit`, or of one."""
    return await db.rows(
        tx,
        WagerChange,
        """
        with told as (
          select id, seq, fetched_at, sum(new_players + changed) over (order by seq) as changes,
            row_number() over (order by (new_players + changed = 0), seq) as place
          from affiliates.snapshots where programme_id = %s and seq > %s and seq <= %s and status = 'applied')
        select t.seq, s.snapshot_id, s.player_id, p.no, p.uid, s.at,
          case when s.kind <> 'first' then s.all_time_micro - s.delta_micro end as before_micro,
          s.all_time_micro as after_micro, s.kind
        from told t join affiliates.stats s on s.snapshot_id = t.id and s.at = t.fetched_at
          join affiliates.players p on p.id = s.player_id
        where (t.changes <= %s or t.place = 1) and s.kind <> 'columns_only' and s.all_time_micro is not null
        order by t.seq, p.uid""",
        *(programme_id, seq, through_seq, limit),
    )


async def list_listed(tx: Tx, snapshot_id: SnapshotId, uids: Sequence[str]) -> list[str]:
    """Which of these uids the snapshot shows."""
    return await db.column(
        tx,
        """
        select p.uid from affiliates.snapshots s join affiliates.players p on p.programme_id = s.programme_id
        where s.id = %s and p.uid = any (%s::text[]) and p.first_seen_at <= s.fetched_at and not exists (
          select from affiliates.absences a where a.player_id = p.id and a.since <= s.fetched_at
            and (a.until is null or a.until > s.fetched_at))""",
        *(snapshot_id, Texts.of(list(uids))),
    )
