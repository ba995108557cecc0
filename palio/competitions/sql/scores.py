"""Receipts and the scores they add up to."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from palio.competitions.types import (
    Adjustment,
    Changed,
    CompetitionId,
    Counts,
    Entered,
    EntrantId,
    Entrants,
    ListId,
    RankTerms,
    Receipt,
    Score,
    Scored,
    Sent,
    StateChange,
)
from palio.infra import arrays, db
from palio.infra.arrays import Int8s, Jsons, Moments, Texts, Wholes
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import Part

NUMBERS = (0, 2**31 - 1)  # below and above all receipts of an entrant


async def insert_changes(tx: Tx, items: Sequence[Sent], now: datetime, *, moves_time: bool = True) -> list[Scored]:
    """Add each change once: receipts first, then the scores they add up to, in one statement.

    A receipt of a user is his, those of players and teams repeat public boards. Answers the changes that were new, each
    with the score of its entrant after the whole batch. The time at which a score was reached is that of its last
    positive change, whatever the order in which changes arrive.
    """
    return await db.rows(
        tx,
        Scored,
        """
        with fresh as (
          insert into competitions.receipts
            (list_id, entrant_id, key, happened_at, kind, delta, sub_delta, facts, owner_id, created_at)
          select u.list_id, u.entrant_id, u.key, u.happened_at, u.kind, u.amount, u.sub, u.facts,
            case e.kind when 'user' then e.user_id end, %s
          from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::text[], %s::bigint[],
            %s::bigint[], %s::jsonb[]) u(list_id, entrant_id, key, happened_at, kind, amount, sub, facts)
          join competitions.entrants e on e.id = u.entrant_id
          order by u.list_id, u.entrant_id, u.key on conflict do nothing
          returning list_id, entrant_id, key, happened_at, delta, sub_delta),
        counted as (
          insert into competitions.scores as s
            (list_id, entrant_id, score, subscore, reached_at, submissions, version, updated_at)
          select list_id, entrant_id, sum(delta)::bigint, sum(sub_delta)::bigint,
            coalesce(max(happened_at) filter (where delta > 0 and %s), 'epoch'), count(*), 1, %s
          from fresh group by list_id, entrant_id order by list_id, entrant_id
          on conflict (list_id, entrant_id) do update set score = s.score + excluded.score,
            subscore = s.subscore + excluded.subscore, reached_at = greatest(s.reached_at, excluded.reached_at),
            version = s.version + 1, submissions = s.submissions + excluded.submissions,
            updated_at = excluded.updated_at
          returning list_id, entrant_id, score)
        select f.list_id, f.entrant_id, f.key, f.happened_at, f.delta as amount, c.score
        from fresh f join counted c on c.list_id = f.list_id and c.entrant_id = f.entrant_id""",
        *(now, Int8s.of([item.list_id for item in items]), Int8s.of([item.entrant_id for item in items])),
        *(Texts.of([item.key for item in items]), Moments.of([item.happened_at for item in items])),
        *(Texts.of([item.kind for item in items]), Int8s.of([item.amount for item in items])),
        *(Int8s.of([item.sub for item in items]), Jsons.of([item.facts for item in items])),
        *(moves_time, now),
    )


async def lock_scores(tx: Tx, pairs: Sequence[tuple[ListId, EntrantId]]) -> None:
    """The scores of these entrants, made empty where they are missing, ours until the transaction ends."""
    lists, entrants = Int8s.of([list_id for list_id, _ in pairs]), Int8s.of([entrant_id for _, entrant_id in pairs])
    await db.run(
        tx,
        """
        insert into competitions.scores (list_id, entrant_id, updated_at)
        select u.list_id, u.entrant_id, 'epoch' from unnest(%s::bigint[], %s::bigint[]) u(list_id, entrant_id)
        join competitions.entrants e on e.id = u.entrant_id
        order by u.list_id, u.entrant_id on conflict (list_id, entrant_id) do nothing""",
        *(lists, entrants),
    )
    await db.run(
        tx,
        """
        select from competitions.scores s
        join unnest(%s::bigint[], %s::bigint[]) u(list_id, entrant_id)
          on s.list_id = u.list_id and s.entrant_id = u.entrant_id
        order by s.list_id, s.entrant_id for no key update of s""",
        *(lists, entrants),
    )


async def insert_values(tx: Tx, items: Sequence[Sent], now: datetime) -> list[Scored]:
    """Count values of which one at a time is the score: the best, the last, or that of the highest version.

    The scores are locked. Of equal values the one with the lower subscore wins, then the earlier one; of two at one
    instant, on a list that takes the last, the greater key. A receipt keeps the value and the change that it made, so
    that the changes of a list add up to the score; what staff added to it stays on top. Answers the values that were
    new, each with the score of its entrant after the whole batch.
    """
    return await db.rows(
        tx,
        Scored,
        """
        with sent as (
          select u.*, case e.kind when 'user' then e.user_id end as owner_id, b.op,
            case b.direction when 'asc' then 1 else -1 end as sign
          from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::text[], %s::bigint[],
            %s::bigint[], %s::bigint[], %s::jsonb[])
            u(list_id, entrant_id, key, happened_at, kind, value, sub, version, facts)
          join competitions.entrants e on e.id = u.entrant_id
          join competitions.lists l on l.id = u.list_id
          join competitions.boards b on b.id = l.board_id),
        fresh as (
          select s.* from sent s
          where not exists (select from competitions.receipts r where r.list_id = s.list_id
            and r.entrant_id = s.entrant_id and r.key = s.key and r.happened_at = s.happened_at)),
        foremost as (
          select distinct on (list_id, entrant_id) *, count(*) over (partition by list_id, entrant_id) as received
          from fresh
          order by list_id, entrant_id, case op when 'set' then version end desc,
            case op when 'last' then happened_at end desc, case op when 'last' then key collate "C" end desc,
            sign * value, sub, happened_at, key collate "C"),
        decided as materialized (
          select f.*, s.score - a.added as before, s.subscore as sub_before,
            s.reached_at = 'epoch' or case f.op
              when 'set' then (-f.version, f.sign * f.value, f.sub, f.happened_at)
                < (-s.set_version, f.sign * (s.score - a.added), s.subscore, s.reached_at)
              when 'last' then f.happened_at > s.reached_at or (f.happened_at = s.reached_at and f.key collate "C" > (
                select max(r.key collate "C") from competitions.receipts r where r.list_id = f.list_id
                  and r.entrant_id = f.entrant_id and r.happened_at = f.happened_at and r.value is not null))
              else (f.sign * f.value, f.sub, f.happened_at)
                < (f.sign * (s.score - a.added), s.subscore, s.reached_at) end as wins
          from foremost f
          join competitions.scores s on s.list_id = f.list_id and s.entrant_id = f.entrant_id
          cross join lateral (
            select coalesce(sum(r.delta), 0)::bigint as added from competitions.receipts r
            where r.list_id = f.list_id and r.entrant_id = f.entrant_id and r.kind = 'adjust') a),
        written as (
          insert into competitions.receipts
            (list_id, entrant_id, key, happened_at, kind, delta, sub_delta, value, facts, owner_id, created_at)
          select f.list_id, f.entrant_id, f.key, f.happened_at, f.kind,
            case when d.wins and d.key = f.key and d.happened_at = f.happened_at then d.value - d.before else 0 end,
            case when d.wins and d.key = f.key and d.happened_at = f.happened_at then d.sub - d.sub_before else 0 end,
            f.value, f.facts, f.owner_id, %s
          from fresh f join decided d on d.list_id = f.list_id and d.entrant_id = f.entrant_id
          order by f.list_id, f.entrant_id, f.key
          returning list_id, entrant_id, key, happened_at, value),
        changed as (
          update competitions.scores s
          set score = case when d.wins then s.score - d.before + d.value else s.score end,
            subscore = case when d.wins then d.sub else s.subscore end,
            reached_at = case when d.wins then d.happened_at else s.reached_at end,
            set_version = case when d.wins then d.version else s.set_version end,
            submissions = s.submissions + d.received, version = s.version + 1, updated_at = %s
          from decided d where s.list_id = d.list_id and s.entrant_id = d.entrant_id
          returning s.list_id, s.entrant_id, s.score)
        select w.list_id, w.entrant_id, w.key, w.happened_at, w.value as amount, c.score
        from written w join changed c on c.list_id = w.list_id and c.entrant_id = w.entrant_id""",
        *(Int8s.of([item.list_id for item in items]), Int8s.of([item.entrant_id for item in items])),
        *(Texts.of([item.key for item in items]), Moments.of([item.happened_at for item in items])),
        *(Texts.of([item.kind for item in items]), Int8s.of([item.amount for item in items])),
        *(Int8s.of([item.sub for item in items]), Int8s.of([item.version or 0 for item in items])),
        *(Jsons.of([item.facts for item in items]), now, now),
    )


async def list_receipts(tx: Tx, items: Sequence[Sent]) -> list[Scored]:
    """The stored receipts of these, each with the present score of its entrant."""
    return await db.rows(
        tx,
        Scored,
        """
        select r.list_id, r.entrant_id, r.key, r.happened_at, coalesce(r.value, r.delta) as amount, s.score
        from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[]) u(list_id, entrant_id, key, happened_at)
        join competitions.receipts r on r.list_id = u.list_id and r.entrant_id = u.entrant_id and r.key = u.key
          and r.happened_at = u.happened_at
        join competitions.scores s on s.list_id = r.list_id and s.entrant_id = r.entrant_id""",
        *([item.list_id for item in items], [item.entrant_id for item in items]),
        *([item.key for item in items], [item.happened_at for item in items]),
    )


OWN_RECEIPTS = """
    select n.* from (
      select (row_number() over so_far)::int as number, r.entrant_id, r.key, r.happened_at, r.kind, r.delta,
        r.sub_delta, r.value, r.facts, (sum(r.delta) over so_far)::bigint as total
      from competitions.receipts r where r.list_id = %s and r.entrant_id = %s
      window so_far as (order by r.created_at, r.happened_at, r.key rows unbounded preceding)) n
    where n.number > %s and n.number < %s"""


async def list_own_receipts(tx: Tx, list_id: ListId, entrant_id: EntrantId, part: Part[int]) -> list[Receipt]:
    """A part of the changes of an entrant on a list, the newest first, each with what they had added up to by then.

    They are numbered from the oldest, 1.
    """
    values = list_id, entrant_id, *part.between(*NUMBERS), part.limit
    if part.is_back:
        return (await db.rows(tx, Receipt, OWN_RECEIPTS + " order by n.number limit %s", *values))[::-1]
    return await db.rows(tx, Receipt, OWN_RECEIPTS + " order by n.number desc limit %s", *values)


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


async def has_written(tx: Tx) -> bool:
    """Has this transaction changed or locked anything?"""
    return bool(await db.value(tx, "select pg_current_xact_id_if_assigned() is not null"))


async def find_run(tx: Tx, list_id: ListId, entrants_min: int) -> str | None:
    """What tells this run of the server, its database and tables from all others.

    None where the list is shorter, or this transaction has written something.
    """
    found: str | None = await db.value(
        tx,
        """
        select concat_ws('-', s.system_identifier, d.oid, 'competitions.scores'::regclass::oid,
          (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint)
        from pg_control_system() s, pg_database d
        where d.datname = current_database() and pg_current_xact_id_if_assigned() is null and exists (
          select from competitions.scores where list_id = %s and state = 'ranked' offset %s)""",
        *(list_id, entrants_min - 1),
    )
    return found


async def get_ranked(tx: Tx, list_id: ListId) -> Changed:
    """Everybody who is ranked on a list; the columns come in parts, because there may be millions."""
    heads, parts = [], []
    async for *head, entrants, scores, reached, subscores in arrays.stream_wholes(
        tx,
        """
        select infra.tx_horizon(), infra.tx_moment(), n.tx_id, n.is_mine, s.entrants, s.scores, s.reached, s.subscores
        from competitions.newest_change(%s) n left join lateral (
          select array_agg(entrant_id) as entrants, array_agg(score) as scores, array_agg(reached_at) as reached,
            array_agg(subscore) as subscores
          from competitions.scores where list_id = %s and state = 'ranked' group by tableoid) s on true""",
        *(list_id, list_id),
    ):
        heads.append(head)
        parts.append((entrants, scores, reached, subscores))
    columns = [list(column) for column in zip(*parts, strict=True)]
    parts.clear()
    horizon, moment, version, is_private = heads[0]
    # one column after another, so that no two of everybody are here for long
    entrants, scores, reached, subscores = (arrays.joined(columns.pop(0)) for _ in range(len(columns)))
    return Changed(horizon, moment, version, is_private, entrants, scores, reached, subscores, ())


async def get_changed(tx: Tx, list_id: ListId, since: int, limit: int) -> Changed:
    """The present scores of those that changed since a horizon; of more than `limit` changes only so many."""
    return (await get_changed_many(tx, {list_id: since}, limit))[list_id]


async def get_changed_many(tx: Tx, since: Mapping[ListId, int], limit: int) -> dict[ListId, Changed]:
    """The same of many lists, each since a horizon of its own, all of one moment."""
    [found] = await arrays.wholes(
        tx,
        """
        select horizon, moment, private, lists, versions, entrants, scores, reached, subscores, ranked
        from competitions.changes(%s, %s, %s)""",
        *(Int8s.of(list(since)), Int8s.of(list(since.values())), limit),
    )
    return changed_of(since, *found)


def changed_of(
    asked: Iterable[ListId], horizon: int, moment: int, private: Wholes, lists: Wholes, *rows: Wholes
) -> dict[ListId, Changed]:
    """What a look at lists has found, by list; the first column of the rows are their versions."""
    found = {}
    for list_id in asked:
        is_here = lists == list_id
        versions, *columns = rows if is_here.all() else [column[is_here] for column in rows]
        version = int(versions.max()) if len(versions) else 0
        found[list_id] = Changed(horizon, moment, version, list_id in private, *columns)
    return found


async def get_sampled(
    tx: Tx, terms: RankTerms, since: int, limit: int, entrant_ids: Sequence[EntrantId]
) -> tuple[Changed, dict[int, int]]:
    """As `get_changed`, and of the same moment the ranks of some, each counted among all who are above the line."""
    sign, is_strict = -1 if terms.direction == "desc" else 1, terms.tie_rule == "earliest"
    [(*found, sampled, ranks)] = await arrays.wholes(
        tx,
        """
        select infra.tx_horizon(), infra.tx_moment(), n.tx_id, n.is_mine, s.*, r.*
        from competitions.newest_change(%s) n, (
          select coalesce(array_agg(s.entrant_id), '{}'), coalesce(array_agg(s.score), '{}'),
            coalesce(array_agg(s.reached_at), '{}'),
            coalesce(array_agg(s.subscore), '{}'), coalesce(array_agg((s.state = 'ranked')::int::bigint), '{}')
          from (select entrant_id from competitions.changed_since(%s, %s) limit %s) c
          join competitions.scores s on s.list_id = %s and s.entrant_id = c.entrant_id) s, (
          select coalesce(array_agg(u.entrant_id), '{}'), coalesce(array_agg(1 + (
            select count(*) from competitions.scores s
            where s.list_id = %s and s.state = 'ranked' and s.score >= %s
              and ((%s * s.score, s.subscore) < (%s * u.score, u.subscore)
                or (%s and (s.score, s.subscore) = (u.score, u.subscore)
                  and (s.reached_at, s.entrant_id) < (u.reached_at, u.entrant_id))))), '{}')
          from competitions.scores u
          where u.list_id = %s and u.entrant_id = any(%s) and u.state = 'ranked' and u.score >= %s) r""",
        *(terms.list_id, terms.list_id, since, limit, terms.list_id),
        *(terms.list_id, terms.least_score, sign, sign, is_strict),
        *(terms.list_id, list(entrant_ids), terms.least_score),
    )
    return Changed(*found), dict(zip(sampled.tolist(), ranks.tolist(), strict=True))


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


async def find_adjustment(tx: Tx, list_id: ListId, entrant_id: EntrantId, adjustment_id: UUID) -> Adjustment | None:
    """What staff changed once under this id."""
    return await db.find(
        tx,
        Adjustment,
        """
        select r.entrant_id, r.delta, r.created_at as at, (r.facts ->> 'by')::uuid as by,
          coalesce(r.facts ->> 'reason', '') as reason, exists (
            select from competitions.receipts u where u.list_id = r.list_id and u.entrant_id = r.entrant_id
              and u.kind = 'adjust' and u.facts ->> 'undoes' = %s::text) as is_undone
        from competitions.receipts r
        where r.list_id = %s and r.entrant_id = %s and r.key = 'adjust:' || %s::text and r.kind = 'adjust'""",
        *(str(adjustment_id), list_id, entrant_id, str(adjustment_id)),
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
