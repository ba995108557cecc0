"""What scores and standings must be, worked out from receipts alone."""

from palio.competitions.types import Difference, ListId
from palio.infra import db
from palio.infra.db import Tx


async def list_wrong_scores(tx: Tx, list_id: ListId, limit: int) -> list[Difference]:
    """Entrants whose score is not the sum of their receipts or, where these add up, was not reached when they say."""
    return await db.rows(
        tx,
        Difference,
        """
        select 'score' as check, entrant_id,
          coalesce(r.score, 0) || ' at ' || coalesce(r.reached_at, 'epoch') as expected,
          coalesce(s.score, 0) || ' at ' || coalesce(s.reached_at, 'epoch') as actual
        from (select entrant_id, sum(delta)::bigint as score,
            coalesce(max(happened_at) filter (where delta > 0), 'epoch') as reached_at
          from competitions.receipts where list_id = %s group by entrant_id) r
        full join (select entrant_id, score, reached_at from competitions.scores where list_id = %s) s
          using (entrant_id)
        cross join (select b.op from competitions.lists l join competitions.boards b on b.id = l.board_id
          where l.id = %s) o
        where r.score is distinct from s.score or (o.op = 'add' and r.reached_at is distinct from s.reached_at)
        order by entrant_id limit %s""",
        *(list_id, list_id, list_id, limit),
    )


async def list_wrong_standings(tx: Tx, list_id: ListId, limit: int) -> list[Difference]:
    """Entrants who do not stand where their receipts put them; who is out stands nowhere."""
    return await db.rows(
        tx,
        Difference,
        """
        select 'standing' as check, entrant_id,
          coalesce('place ' || r.place || ', rank ' || coalesce(r.rank::text, '-') || ', score ' || r.score, 'nowhere')
            as expected,
          coalesce('place ' || s.place || ', rank ' || coalesce(s.rank::text, '-') || ', score ' || s.score, 'nowhere')
            as actual
        from (select entrant_id, score, (row_number() over strict_order)::int as place,
            (case when qualified and tie_rule = 'share' then rank() over shown_order
              when qualified then row_number() over strict_order end)::int as rank
          from (select t.entrant_id, t.score, t.subscore,
              case b.op when 'add' then t.reached_at else o.reached_at end as reached_at, c.tie_rule,
              t.score >= c.min_score and (t.score > 0 or c.allow_nonpositive) as qualified,
              case b.direction when 'asc' then t.score else -t.score end as worth
            from competitions.lists l
            join competitions.boards b on b.id = l.board_id
            join competitions.competitions c on c.list_id = l.id
            cross join (select entrant_id, sum(delta)::bigint as score, sum(sub_delta)::bigint as subscore,
                coalesce(max(happened_at) filter (where delta > 0), 'epoch') as reached_at
              from competitions.receipts where list_id = %s group by entrant_id) t
            join competitions.scores o on o.list_id = l.id and o.entrant_id = t.entrant_id and o.state = 'ranked'
            where l.id = %s) scored
          window strict_order as (order by not qualified, worth, subscore, reached_at, entrant_id),
            shown_order as (order by not qualified, worth, subscore)) r
        full join (select entrant_id, score, place, rank from competitions.standings where list_id = %s) s
          using (entrant_id)
        where (r.place, r.rank, r.score) is distinct from (s.place, s.rank, s.score)
        order by coalesce(s.place, r.place) limit %s""",
        *(list_id, list_id, list_id, limit),
    )
