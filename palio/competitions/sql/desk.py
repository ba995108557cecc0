"""What staff look at: calendars, lists of money, and sums."""

from collections.abc import Sequence
from uuid import UUID

from palio.competitions.types import (
    Arrival,
    CompetitionId,
    EntrantId,
    Gone,
    Joined,
    ListId,
    Made,
    Owed,
    Put,
    RewardSum,
    SeriesId,
    WantedJoined,
)
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.parts import IDS, Part

PUT = """
    select id, source, amount, to_pool, to_treasury, taken_back, payer_id, from_address, ref, transfer_id, at
    from competitions.contributions where competition_id = %s and id > %s and id < %s """
GONE = """
    select c.id as contribution_id, c.source, c.taken_back as amount,
      c.taken_back - div(c.taken_back::numeric * c.treasury_bps, 10000)::bigint as from_pool,
      div(c.taken_back::numeric * c.treasury_bps, 10000)::bigint as from_treasury,
      coalesce(t.to_address, 'user:' || c.payer_id || ':main', c.from_address) as to_address, c.payer_id,
      c.taken_back = c.amount as is_whole, t.transfer_id, t.at
    from competitions.contributions c
    left join lateral (
      select b.to_address, b.transfer_id, b.at from competitions.take_backs b
      where b.contribution_id = c.id order by b.at desc limit 1) t on true
    where c.competition_id = %s and c.taken_back > 0 and c.id > %s and c.id < %s """

ENTRANTS = EntrantId(0), EntrantId(2**63 - 1)  # below and above all of them
JOINED = """
    select j.entrant_id, e.kind, e.ref, e.user_id, j.state, j.joined_at, j.via, j.reason, j.decided_by, s.score,
      j.fee_transfer_id is not null as has_paid, coalesce(s.state = 'out', false) as is_out
    from (
      select p.entrant_id, p.joined_at, p.via, p.fee_transfer_id, p.reason, p.decided_by, c.list_id,
        case when p.state = 'left' and c.join_mode = 'invite' then 'invited' else p.state end as state
      from competitions.participants p join competitions.competitions c on c.id = p.competition_id
      where p.competition_id = %s and p.entrant_id > %s and p.entrant_id < %s) j
    join competitions.entrants e on e.id = j.entrant_id
    left join competitions.scores s on s.list_id = j.list_id and s.entrant_id = j.entrant_id
    where (%s::text[] = '{}' or j.state = any(%s)) and (%s::boolean is null or (s.score is not null) = %s) """


async def list_put(tx: Tx, competition_id: CompetitionId, part: Part[UUID]) -> list[Put]:
    """A part of the contributions, the newest first."""
    values = (competition_id, *part.between(*IDS), part.limit)
    if part.is_back:
        return (await db.rows(tx, Put, PUT + "order by id limit %s", *values))[::-1]
    return await db.rows(tx, Put, PUT + "order by id desc limit %s", *values)


async def list_gone(tx: Tx, competition_id: CompetitionId, part: Part[UUID]) -> list[Gone]:
    """A part of the contributions of which something has left again, the newest first.

    What a cancellation gave back has no row of its own: its transfer is named by its key.
    """
    values = (competition_id, *part.between(*IDS), part.limit)
    if part.is_back:
        return (await db.rows(tx, Gone, GONE + "order by c.id limit %s", *values))[::-1]
    return await db.rows(tx, Gone, GONE + "order by c.id desc limit %s", *values)


async def list_joined(
    tx: Tx, competition_id: CompetitionId, wanted: WantedJoined, part: Part[EntrantId]
) -> list[Joined]:
    """A part of those who joined, the last who was met here first. Whoever may join still, or again, is invited."""
    values = (
        *(competition_id, *part.between(*ENTRANTS), list(wanted.states), list(wanted.states)),
        *(wanted.has_score, wanted.has_score, part.limit),
    )
    if part.is_back:
        return (await db.rows(tx, Joined, JOINED + "order by j.entrant_id limit %s", *values))[::-1]
    return await db.rows(tx, Joined, JOINED + "order by j.entrant_id desc limit %s", *values)


async def list_arrivals(tx: Tx, list_id: ListId, limit: int) -> list[Arrival]:
    """The changes of scores that came in last, the newest first."""
    return await db.rows(
        tx,
        Arrival,
        """
        select entrant_id, kind, delta, happened_at, created_at from competitions.receipts
        where list_id = %s and kind in ('score', 'correction', 'adjust') order by tx_id desc limit %s""",
        *(list_id, limit),
    )


async def sum_rewards(tx: Tx, competition_id: CompetitionId) -> list[RewardSum]:
    """How many prizes are in which state."""
    return await db.rows(
        tx,
        RewardSum,
        """
        select status, count(*)::int as prizes, sum(amount)::bigint as amount
        from competitions.rewards where competition_id = %s group by status order by status""",
        competition_id,
    )


async def sum_owed(tx: Tx) -> list[Owed]:
    """What is promised by competitions that are not over, and what waits for winners or staff, by asset and state."""
    return await db.rows(
        tx,
        Owed,
        """
        select c.prize_asset as asset, c.status, count(*)::int as competitions,
          coalesce(sum(case when c.status = 'draft' then c.guaranteed_pool else p.to_pool end), 0)::bigint as amount
        from competitions.competitions c
        left join lateral (
          select sum(s.to_pool) as to_pool from competitions.pool_sums(array[c.id]) s) p on c.status <> 'draft'
        where c.status in ('draft', 'upcoming', 'live', 'settling') group by c.prize_asset, c.status
        union all
        select r.asset, 'unclaimed', count(distinct r.competition_id)::int, sum(r.amount)::bigint
        from competitions.rewards r
        join competitions.competitions c on c.id = r.competition_id and c.status in ('completed', 'archived')
        where r.status in ('unclaimed', 'withheld') group by r.asset""",
    )


async def list_made(tx: Tx, series_id: SeriesId, keys: Sequence[str]) -> list[Made]:
    """Which of the periods of a series have their competition."""
    return await db.rows(
        tx,
        Made,
        """
        select period_key, id as competition_id from competitions.competitions
        where series_id = %s and period_key = any(%s)""",
        *(series_id, list(keys)),
    )
