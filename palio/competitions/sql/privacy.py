"""Statements of what competitions know of somebody. Standings and prizes stay, under his id."""

from collections.abc import AsyncIterator
from datetime import datetime

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.providers import PersonalRow


def stream_known(tx: Tx, user_id: UserId) -> AsyncIterator[PersonalRow]:
    """Where somebody took part, his scores there, what he won and paid in, and his appeals."""
    return db.stream(
        tx,
        PersonalRow,
        """
        with mine as materialized (select id, label, country from competitions.entrants where user_id = %s)
        select 'entrant' as kind, jsonb_build_object('label', label, 'country', country) as facts from mine
        union all
        select 'entry', jsonb_build_object('competition', c.id, 'title', c.title, 'joined_at', p.joined_at,
            'via', p.via, 'state', p.state)
        from mine m cross join competitions.competitions c
          join competitions.participants p on (p.competition_id, p.entrant_id) = (c.id, m.id)
        union all
        select 'score', jsonb_build_object('list', s.list_id, 'score', s.score, 'subscore', s.subscore,
            'reached_at', s.reached_at, 'submissions', s.submissions)
        from mine m cross join competitions.lists l
          join competitions.scores s on (s.list_id, s.entrant_id) = (l.id, m.id)
        union all
        select 'prize', jsonb_build_object('competition', r.competition_id, 'rank', r.rank, 'asset', r.asset,
            'amount', r.amount, 'status', r.status, 'paid_at', r.paid_at)
        from mine m cross join competitions.competitions c
          join competitions.rewards r on (r.competition_id, r.entrant_id) = (c.id, m.id)
        union all
        select 'contribution', jsonb_build_object('competition', competition_id, 'source', source, 'asset', asset,
            'amount', amount, 'taken_back', taken_back, 'at', at)
        from competitions.contributions where payer_id = %s
        union all
        select 'appeal', jsonb_build_object('competition', competition_id, 'text', text, 'state', state,
            'answer', answer, 'created_at', created_at)
        from competitions.appeals where user_id = %s""",
        *(user_id, user_id, user_id),
    )


async def count_unsettled(tx: Tx, user_id: UserId, since: datetime) -> int:
    """In how many competitions somebody stands with a stake, or a prize that waits, since an instant."""
    count: int = await db.value(
        tx,
        """
        select count(*) from (
          select p.competition_id from competitions.entrants e
            join competitions.participants p on p.entrant_id = e.id and p.state = 'active'
              and p.fee_transfer_id is not null and p.joined_at >= %s
            join competitions.competitions c on c.id = p.competition_id
              and c.status in ('upcoming', 'live', 'settling')
          where e.user_id = %s
          union
          select r.competition_id from competitions.entrants e
            join competitions.rewards r on r.entrant_id = e.id and r.status in ('pending', 'approved')
            join competitions.competitions c on c.id = r.competition_id and c.ends_at >= %s
          where e.user_id = %s) open""",
        *(since, user_id, since, user_id),
    )
    return count


async def update_forgotten(tx: Tx, user_id: UserId) -> None:
    """Leave of somebody his id; what he wrote in appeals goes, that they were there stays."""
    await db.run(tx, "update competitions.entrants set label = null, country = null where user_id = %s", user_id)
    await db.run(
        tx,
        "update competitions.appeals set text = 'Removed with the account.', answer = null where user_id = %s",
        user_id,
    )
