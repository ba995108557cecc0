"""What boards are made of: everybody's numbers at once, what snapshots changed of them, and who stands in a row."""

from array import array
from collections.abc import Sequence
from datetime import datetime

from palio.affiliates.rules import Moves, Step, Wagers
from palio.affiliates.types import UNKNOWN, BoardPlayer, ProgrammeHead, ProgrammeId, Totals
from palio.infra import arrays, db
from palio.infra.arrays import Int8s
from palio.infra.db import Tx


async def list_heads(tx: Tx, limit: int) -> list[ProgrammeHead]:
    """Every programme, the default one first."""
    return await db.rows(
        tx,
        ProgrammeHead,
        """
        select id, code, name, currency, status, is_default from affiliates.programmes
        order by is_default desc, code limit %s""",
        limit,
    )


async def find_began(tx: Tx, programme_id: ProgrammeId) -> datetime | None:
    """When the programme was read for the first time."""
    found: datetime | None = await db.value(
        tx, "select fetched_at from affiliates.snapshots where programme_id = %s and seq = 1", programme_id
    )
    return found


async def find_wagers(tx: Tx, programme_id: ProgrammeId) -> Wagers | None:
    """Everybody's numbers as of the last snapshot, without openings; a hundred thousand in a third of a second."""
    rows = await arrays.columns(
        tx,
        """
        select n.seq, n.id, n.fetched_at, n.as_of, f.fetched_at, m.*
        from affiliates.programmes r join affiliates.snapshots n on n.id = r.last_snapshot_id
          join affiliates.snapshots f on f.programme_id = r.id and f.seq = 1
          cross join lateral (
            select coalesce(array_agg(coalesce(p.today_micro, %s::bigint) order by p.no), '{}'),
              coalesce(array_agg(coalesce(p.week_micro, %s::bigint) order by p.no), '{}'),
              coalesce(array_agg(coalesce(p.month_micro, %s::bigint) order by p.no), '{}'),
              coalesce(array_agg(coalesce(p.all_time_micro, %s::bigint) order by p.no), '{}'),
              coalesce(array_agg((extract(epoch from p.value_at) * 1000000)::bigint order by p.no), '{}')
            from affiliates.players p where p.programme_id = r.id) m
        where r.id = %s""",
        *(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, programme_id),
    )
    for seq, snapshot_id, fetched_at, as_of, began_at, *columns in rows:
        today, week, month, all_time, value_at = (array("q", column) for column in columns)
        return Wagers(
            seq=seq,
            snapshot_id=snapshot_id,
            fetched_at=fetched_at,
            as_of=as_of,
            began_at=began_at,
            today=today,
            week=week,
            month=month,
            all_time=all_time,
            value_at=value_at,
            openings={},
        )
    return None


async def count_changes(tx: Tx, programme_id: ProgrammeId, seq: int) -> int:
    """How many rows of players the snapshots after this one changed."""
    found: int = await db.value(
        tx,
        """
        select coalesce(sum(new_players + changed), 0)::bigint from affiliates.snapshots
        where programme_id = %s and seq > %s""",
        *(programme_id, seq),
    )
    return found


async def list_steps(tx: Tx, programme_id: ProgrammeId, seq: int, limit: int) -> list[Step]:
    """What each snapshot after this one changed, in order."""
    rows = await arrays.columns(
        tx,
        """
        select n.seq, n.id, n.fetched_at, n.as_of, m.*
        from affiliates.snapshots n cross join lateral (
          select coalesce(array_agg(p.no::bigint), '{}'),
            coalesce(array_agg(coalesce(s.today_micro, %s::bigint)), '{}'),
            coalesce(array_agg(coalesce(s.week_micro, %s::bigint)), '{}'),
            coalesce(array_agg(coalesce(s.month_micro, %s::bigint)), '{}'),
            coalesce(array_agg(coalesce(s.all_time_micro, %s::bigint)), '{}'), coalesce(array_agg(s.delta_micro), '{}')
          from affiliates.stats s join affiliates.players p on p.id = s.player_id
          where s.snapshot_id = n.id and s.at = n.fetched_at) m
        where n.programme_id = %s and n.seq > %s order by n.seq limit %s""",
        *(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, programme_id, seq, limit),
    )
    return [Step(row[0], row[1], row[2], row[3], Moves(*row[4:])) for row in rows]


async def list_board_players(tx: Tx, programme_id: ProgrammeId, numbers: Sequence[int], key: str) -> list[BoardPlayer]:
    """Who has these numbers, and what a closed period says of him."""
    return await db.rows(
        tx,
        BoardPlayer,
        """
        select p.id, p.no, p.uid, p.name, p.name_hidden, c.growth_bps, c.share_bps
        from affiliates.players p left join affiliates.periods c on c.player_id = p.id and c.period_key = %s and c.final
        where p.programme_id = %s and p.no = any (%s::bigint[])""",
        *(key, programme_id, Int8s.of(numbers)),
    )


async def list_named(tx: Tx, programme_id: ProgrammeId, begin: str, end: str, limit: int) -> list[BoardPlayer]:
    """Players whose name's key lies in `[begin, end]`, in its order."""
    return await db.rows(
        tx,
        BoardPlayer,
        """
        select id, no, uid, name, name_hidden, null::int as growth_bps, null::int as share_bps
        from affiliates.players where programme_id = %s and name_key >= %s and name_key <= %s
        order by name_key, no limit %s""",
        *(programme_id, begin, end, limit),
    )


async def find_last_sums(tx: Tx, programme_id: ProgrammeId) -> tuple[int, int | None, Totals] | None:
    """How many players there are, how many the provider says, and the sums over the rows of the last snapshot."""
    cursor = await tx.execute(
        """
        select (select coalesce(max(no) + 1, 0) from affiliates.players where programme_id = r.id), n.total_users,
          n.sum_today_micro, n.sum_week_micro, n.sum_month_micro, n.sum_all_time_micro
        from affiliates.programmes r join affiliates.snapshots n on n.id = r.last_snapshot_id where r.id = %s""",
        (programme_id,),
    )
    row = await cursor.fetchone()
    return (row[0], row[1], Totals(*row[2:])) if row else None
