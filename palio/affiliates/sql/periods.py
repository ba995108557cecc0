"""Closed periods: what they say of everybody, written once."""

from collections.abc import Sequence
from datetime import datetime

from palio.affiliates.types import UNKNOWN, PeriodTotal, ProgrammeId
from palio.infra import arrays, db
from palio.infra.arrays import Int8s
from palio.infra.db import Tx

PROGRAMME = -1  # the number that stands for the programme itself in columns of players


async def lock_closing(tx: Tx, programme_id: ProgrammeId) -> None:
    """Let nobody else close a period of the programme until the transaction ends."""
    await db.run(
        tx, "select pg_advisory_xact_lock(hashtextextended('affiliates.close:' || %s::text, 0))", programme_id.hex
    )


async def find_last_closed(tx: Tx, programme_id: ProgrammeId, kind: str) -> str | None:
    """The key of the newest closed period of a kind."""
    found: str | None = await db.value(
        tx,
        """
        select period_key from affiliates.periods
        where player_id = %s and period_key like %s and final order by period_key desc limit 1""",
        *(programme_id, f"{kind}:%"),
    )
    return found


async def list_first_readings(
    tx: Tx, programme_id: ProgrammeId, numbers: Sequence[int]
) -> tuple[Sequence[int], Sequence[int]]:
    """Of these players, by number: the first counter that is known, less what was counted of it."""
    ((found, values),) = await arrays.columns(
        tx,
        """
        select coalesce(array_agg(p.no::bigint), '{}'), coalesce(array_agg(s.all_time_micro - s.delta_micro), '{}')
        from unnest(%s::bigint[]) u(no) join affiliates.players p on p.programme_id = %s and p.no = u.no
          join affiliates.stats s on s.player_id = p.id and s.at >= p.first_seen_at
        where s.kind = 'first' and s.all_time_micro is not null""",
        *(Int8s.of(numbers), programme_id),
    )
    return found, values


async def list_corrections(tx: Tx, programme_id: ProgrammeId, begin: datetime, end: datetime) -> list[tuple[int, int]]:
    """Who was corrected in a span, by number, and by how much in all."""
    cursor = await tx.execute(
        """
        select p.no, -sum(s.delta_micro)::bigint
        from affiliates.snapshots n join affiliates.stats s on s.snapshot_id = n.id and s.at = n.fetched_at
          join affiliates.players p on p.id = s.player_id
        where n.programme_id = %s and n.status = 'applied' and n.fetched_at >= %s and n.fetched_at < %s
          and n.corrections > 0 and s.kind = 'correction' and s.at >= %s and s.at < %s
        group by p.no""",
        (programme_id, begin, end, begin, end),
    )
    return await cursor.fetchall()


async def list_period(
    tx: Tx, programme_id: ProgrammeId, key: str
) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """A closed period as columns: numbers (-1 is the programme), totals, and what was reported."""
    ((numbers, wagered, reported),) = await arrays.columns(
        tx,
        """
        select coalesce(array_agg(coalesce(p.no, -1)::bigint), '{}'), coalesce(array_agg(c.wagered_micro), '{}'),
          coalesce(array_agg(coalesce(c.reported_micro, %s::bigint)), '{}')
        from affiliates.periods c left join affiliates.players p on p.id = c.player_id
        where c.programme_id = %s and c.period_key = %s""",
        *(UNKNOWN, programme_id, key),
    )
    return numbers, wagered, reported


INSERT = """
    insert into affiliates.periods as c (programme_id, player_id, period_key, wagered_micro, corrected_micro,
      reported_micro, growth_bps, share_bps, is_total, final, updated_at)
    select k.programme_id, coalesce(p.id, k.programme_id), k.period_key, u.wagered, u.corrected,
      nullif(u.reported, k.unknown), nullif(u.growth, k.unknown), u.share, p.id is null, k.period_key <> 'ALL', k.at
    from (select %s::uuid as programme_id, %s::text as period_key, %s::bigint as unknown, %s::timestamptz as at) k
      cross join unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
        u(no, wagered, corrected, reported, growth, share)
      left join affiliates.players p on p.programme_id = k.programme_id and p.no = u.no """


async def insert_period(
    tx: Tx, programme_id: ProgrammeId, key: str, totals: Sequence[PeriodTotal], now: datetime
) -> None:
    """The rows of a period that is closed; the programme's own is among them."""
    await db.run(tx, INSERT, *_values(programme_id, key, totals, now))


async def upsert_all_time(tx: Tx, programme_id: ProgrammeId, totals: Sequence[PeriodTotal], now: datetime) -> None:
    """What ALL says of these players after another day; corrections of the day are added."""
    await db.run(
        tx,
        INSERT
        + """
        on conflict (player_id, period_key) do update set wagered_micro = excluded.wagered_micro,
          corrected_micro = c.corrected_micro + excluded.corrected_micro, reported_micro = excluded.reported_micro,
          share_bps = excluded.share_bps, updated_at = excluded.updated_at""",
        *_values(programme_id, "ALL", totals, now),
    )


def _values(programme_id: ProgrammeId, key: str, totals: Sequence[PeriodTotal], now: datetime) -> Sequence[object]:
    columns = zip(
        *(
            (
                total.no,
                total.wagered,
                total.corrected,
                UNKNOWN if total.reported is None else total.reported,
                UNKNOWN if total.growth_bps is None else total.growth_bps,
                total.share_bps,
            )
            for total in totals
        ),
        strict=True,
    )
    return (programme_id, key, UNKNOWN, now, *map(Int8s.of, columns))
