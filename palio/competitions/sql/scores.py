"""Receipts and the scores they add up to."""

import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from palio.competitions.sql.columns import uuids
from palio.competitions.types import (
    Changed,
    CompetitionId,
    Counts,
    Entered,
    EntrantId,
    Entrants,
    ListId,
    Score,
    Scored,
    StateChange,
    Submission,
)
from palio.infra import arrays, db
from palio.infra.arrays import Int8s, Jsons, Moments, Texts
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def insert_receipts(
    tx: Tx, items: Sequence[tuple[ListId, UUID | None, Submission]], now: datetime
) -> list[Scored]:
    """Count each submission once: receipts first, then the scores they add up to, in one statement.

    Answers the submissions that were new, each with the score of its entrant after the whole batch. The time at which
    a score was reached is that of its last positive change, whatever the order in which changes arrive.
    """
    return await db.rows(
        tx,
        Scored,
        """
        with fresh as (
          insert into competitions.receipts
            (list_id, entrant_id, key, happened_at, kind, delta, facts, owner_id, created_at)
          select u.list_id, u.entrant_id, u.key, u.happened_at, u.kind, u.delta, u.facts, u.owner_id, %s
          from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::text[], %s::bigint[],
            %s::jsonb[], %s::uuid[]) u(list_id, entrant_id, key, happened_at, kind, delta, facts, owner_id)
          order by u.list_id, u.entrant_id, u.key on conflict do nothing
          returning list_id, entrant_id, key, happened_at, delta),
        counted as (
          insert into competitions.scores as s
            (list_id, entrant_id, score, reached_at, submissions, version, updated_at)
          select list_id, entrant_id, sum(delta)::bigint,
            coalesce(max(happened_at) filter (where delta > 0), 'epoch'), count(*), 1, %s
          from fresh group by list_id, entrant_id order by list_id, entrant_id
          on conflict (list_id, entrant_id) do update set score = s.score + excluded.score,
            reached_at = greatest(s.reached_at, excluded.reached_at), version = s.version + 1,
            submissions = s.submissions + excluded.submissions, updated_at = excluded.updated_at
          returning list_id, entrant_id, score)
        select f.list_id, f.entrant_id, f.key, f.happened_at, f.delta, c.score
        from fresh f join counted c on c.list_id = f.list_id and c.entrant_id = f.entrant_id""",
        *(now, Int8s.of([list_id for list_id, _, _ in items]), Int8s.of([item.entrant_id for _, _, item in items])),
        *(Texts.of([item.key for _, _, item in items]), Moments.of([item.happened_at for _, _, item in items])),
        *(Texts.of([item.kind for _, _, item in items]), Int8s.of([item.delta for _, _, item in items])),
        Jsons.of([None if item.facts is None else json.dumps(item.facts) for _, _, item in items]),
        *(uuids([owner_id for _, owner_id, _ in items]), now),
    )


async def list_receipts(tx: Tx, items: Sequence[tuple[ListId, Submission]]) -> list[Scored]:
    """The stored receipts of these submissions, each with the present score of its entrant."""
    return await db.rows(
        tx,
        Scored,
        """
        select r.list_id, r.entrant_id, r.key, r.happened_at, r.delta, s.score
        from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[]) u(list_id, entrant_id, key, happened_at)
        join competitions.receipts r on r.list_id = u.list_id and r.entrant_id = u.entrant_id and r.key = u.key
          and r.happened_at = u.happened_at
        join competitions.scores s on s.list_id = r.list_id and s.entrant_id = r.entrant_id""",
        *([list_id for list_id, _ in items], [item.entrant_id for _, item in items]),
        *([item.key for _, item in items], [item.happened_at for _, item in items]),
    )


async def insert_state_receipts(tx: Tx, items: Sequence[tuple[ListId, UUID | None, StateChange]], now: datetime) -> int:
    """Take entrants out of the ranking or let them back in; a repeat changes nothing. Answers how many were new."""
    return await db.run(
        tx,
        """
        with fresh as (
          insert into competitions.receipts (list_id, entrant_id, key, happened_at, kind, facts, owner_id, created_at)
          select u.list_id, u.entrant_id, u.key, u.happened_at, u.kind, jsonb_build_object('reason', u.reason),
            u.owner_id, %s
          from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::uuid[])
            u(list_id, entrant_id, key, happened_at, kind, reason, owner_id)
          order by u.list_id, u.entrant_id, u.key on conflict do nothing
          returning list_id, entrant_id, kind, happened_at),
        newest as (
          select distinct on (list_id, entrant_id) list_id, entrant_id,
            case kind when 'out' then 'out' else 'ranked' end as state
          from fresh order by list_id, entrant_id, happened_at desc)
        insert into competitions.scores as s (list_id, entrant_id, state, version, updated_at)
        select list_id, entrant_id, state, 1, %s from newest
        on conflict (list_id, entrant_id) do update set state = excluded.state, version = s.version + 1,
          updated_at = excluded.updated_at""",
        *(now, [list_id for list_id, _, _ in items], [item.entrant_id for _, _, item in items]),
        *([item.key for _, _, item in items], [item.happened_at for _, _, item in items]),
        *([item.state for _, _, item in items], [item.reason for _, _, item in items]),
        *([owner_id for _, owner_id, _ in items], now),
    )


async def get_ranked(tx: Tx, list_id: ListId) -> Changed:
    """Everybody who is ranked on a list."""
    [found] = await arrays.columns(
        tx,
        """
        select infra.tx_horizon(), n.tx_id, n.is_mine, s.* from competitions.newest_change(%s) n, (
          select coalesce(array_agg(entrant_id), '{}'), coalesce(array_agg(score), '{}'),
            coalesce(array_agg((extract(epoch from reached_at) * 1000000)::bigint), '{}'),
            coalesce(array_agg(subscore), '{}'), coalesce(array_agg(1::bigint), '{}')
          from competitions.scores where list_id = %s and state = 'ranked') s""",
        *(list_id, list_id),
    )
    return Changed(*found)


async def get_changed(tx: Tx, list_id: ListId, since: int, limit: int) -> Changed:
    """The present scores of those that changed since a horizon; of more than `limit` changes only so many."""
    [found] = await arrays.columns(
        tx,
        """
        select infra.tx_horizon(), n.tx_id, n.is_mine, s.* from competitions.newest_change(%s) n, (
          select coalesce(array_agg(s.entrant_id), '{}'), coalesce(array_agg(s.score), '{}'),
            coalesce(array_agg((extract(epoch from s.reached_at) * 1000000)::bigint), '{}'),
            coalesce(array_agg(s.subscore), '{}'), coalesce(array_agg((s.state = 'ranked')::int::bigint), '{}')
          from (select entrant_id from competitions.changed_since(%s, %s) limit %s) c
          join competitions.scores s on s.list_id = %s and s.entrant_id = c.entrant_id) s""",
        *(list_id, list_id, since, limit, list_id),
    )
    return Changed(*found)


async def count_scores(tx: Tx, competition_id: CompetitionId) -> Counts:
    """How many are on the list, how many of them qualify, and the sum of their scores."""
    found = await db.find(
        tx,
        Counts,
        """
        select count(s.entrant_id)::int as entrants,
          count(*) filter (where s.score >= c.min_score and (s.score > 0 or c.allow_nonpositive))::int as qualified,
          coalesce(sum(s.score), 0)::bigint as total_score
        from competitions.competitions c
        left join competitions.scores s on s.list_id = c.list_id and s.state = 'ranked' where c.id = %s""",
        competition_id,
    )
    return found or Counts(0, 0, 0)


async def list_frozen_counts(tx: Tx, competition_ids: Sequence[CompetitionId]) -> dict[CompetitionId, int]:
    """How many are on the final lists of at most 1,000 competitions; those that can still change are left out."""
    found = await db.rows(
        tx,
        Entrants,
        """
        select c.id, l.entrants from competitions.competitions c join competitions.lists l on l.id = c.list_id
        where c.id = any(%s) and l.entrants is not null""",
        list(competition_ids),
    )
    return {row.id: row.entrants for row in found}


async def list_scores(tx: Tx, list_id: ListId) -> list[Score]:
    """Every score of a list, also of those who are out."""
    return await db.rows(
        tx,
        Score,
        """
        select s.entrant_id, e.ref, s.score
        from competitions.scores s join competitions.entrants e on e.id = s.entrant_id where s.list_id = %s""",
        list_id,
    )


async def list_entered(tx: Tx, competition_id: CompetitionId, kind: str, refs: Sequence[str]) -> list[Score]:
    """Those of the refs that have a score in the competition."""
    return await db.rows(
        tx,
        Score,
        """
        select s.entrant_id, e.ref, s.score
        from competitions.competitions c
        join unnest(%s::text[]) u(ref) on true
        join competitions.entrants e on e.kind = %s and e.ref = u.ref
        join competitions.scores s on s.list_id = c.list_id and s.entrant_id = e.id where c.id = %s""",
        *(list(refs), kind, competition_id),
    )


async def list_entered_by(tx: Tx, user_id: UserId, competition_ids: Sequence[CompetitionId]) -> list[Entered]:
    """In which of these a user has a score; by the entrant of the lowest number where he has several."""
    return await db.rows(
        tx,
        Entered,
        """
        select distinct on (c.id) c.id as competition_id, s.entrant_id
        from competitions.entrants e
        join competitions.competitions c on c.id = any(%s)
        join competitions.scores s on s.list_id = c.list_id and s.entrant_id = e.id
        where e.user_id = %s order by c.id, s.entrant_id""",
        *(list(competition_ids), user_id),
    )


async def sum_corrections(tx: Tx, list_id: ListId, entrant_ids: Sequence[EntrantId]) -> list[Score]:
    """How much the scores of at most 1,000 entrants were lowered afterwards; those without are left out.

    A correction that follows from a decision names its `cause`, and has been looked at.
    """
    return await db.rows(
        tx,
        Score,
        """
        select r.entrant_id, e.ref, sum(-r.delta)::bigint as score
        from competitions.receipts r join competitions.entrants e on e.id = r.entrant_id
        where r.list_id = %s and r.entrant_id = any(%s) and r.kind = 'correction'
          and not coalesce(r.facts ? 'cause', false) group by r.entrant_id, e.ref""",
        *(list_id, list(entrant_ids)),
    )


async def has_receipt(tx: Tx, list_id: ListId, entrant_id: EntrantId, key: str) -> bool:
    """Whether a change of that key counts already, whenever it happened."""
    return bool(
        await db.value(
            tx,
            "select exists (select from competitions.receipts where list_id = %s and entrant_id = %s and key = %s)",
            *(list_id, entrant_id, key),
        )
    )


async def sum_adjustments(tx: Tx, list_id: ListId) -> list[Score]:
    """By how much staff changed scores, for every entrant of a list whom they touched."""
    return await db.rows(
        tx,
        Score,
        """
        select r.entrant_id, e.ref, sum(r.delta)::bigint as score
        from competitions.receipts r join competitions.entrants e on e.id = r.entrant_id
        where r.list_id = %s and r.kind = 'adjust' group by r.entrant_id, e.ref""",
        list_id,
    )


async def sum_adjusted_by(tx: Tx, list_id: ListId, by: UUID | None, since: datetime) -> int:
    """How much one person adjusted since an instant, upwards and downwards together."""
    return int(
        await db.value(
            tx,
            """
            select coalesce(sum(abs(delta)), 0)::bigint from competitions.receipts
            where list_id = %s and kind = 'adjust' and created_at > %s
              and (facts ->> 'by') is not distinct from %s::text""",
            *(list_id, since, None if by is None else str(by)),
        )
    )
