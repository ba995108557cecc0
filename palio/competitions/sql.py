"""Every statement of competitions."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from palio.competitions.types import (
    Admission,
    Claim,
    Claimed,
    Competition,
    CompetitionId,
    Contribution,
    Counts,
    Entrant,
    EntrantId,
    Entrants,
    Gate,
    Leftover,
    Linked,
    ListId,
    NewCompetition,
    NewSeries,
    Participant,
    Prize,
    Reward,
    Score,
    Scored,
    Series,
    SeriesId,
    Settled,
    Standing,
    StateChange,
    Submission,
    Waiting,
    Winner,
)
from palio.infra import db
from palio.infra.arrays import Int8s, Jsons, Moments, Texts
from palio.infra.db import Tx

HEADER = """
    select c.id, c.series_id, c.product, c.subject_ref, c.period_key, c.cadence, c.title, c.description, c.rules_text,
      c.status, c.phase, c.list_id, c.starts_at, c.ends_at, c.tz, b.score_scale, c.min_score, c.allow_nonpositive,
      c.prize_asset, c.guaranteed_pool, c.treasury_bps, c.prize_rule, c.tie_rule, c.empty_rule, c.leftover_to,
      c.no_winner, c.grace_s, c.review_h, c.terms_hash, c.pool_final, c.standings_hash, c.paused_at,
      l.final_at as frozen_at,
      array(select jsonb_array_elements_text(coalesce(c.evidence -> 'review_reasons', '[]'))) as review_reasons,
      c.backdated_reason, c.evidence, c.cancel_reason, c.created_at, c.updated_at, c.version
    from competitions.competitions c
    join competitions.lists l on l.id = c.list_id
    join competitions.boards b on b.id = l.board_id """


SERIES = """
    select s.id, s.code, s.product, s.cadence, s.tz, s.create_lead_h, t.*
    from competitions.series s cross join jsonb_to_record(s.template) as t(
      title text, description text, rules_text text, prize_asset text, guaranteed_pool bigint, prize_rule jsonb,
      score_scale int, min_score bigint, tie_rule text, empty_rule text, leftover_to text, no_winner text, grace_s int,
      review_h int) """

WAITING = """
    select r.competition_id, r.entrant_id, r.rank, r.asset, r.amount, c.leftover_to
    from competitions.rewards r join competitions.competitions c on c.id = r.competition_id """


async def insert_competition(
    tx: Tx,
    competition_id: CompetitionId,
    new: NewCompetition,
    prize_rule: Mapping[str, object],
    created_by: UUID | None,
    now: datetime,
) -> None:
    """A draft with a board of its own that has one list."""
    await db.run(
        tx,
        """
        with board as (
          insert into competitions.boards (code, metric, score_scale, direction, tie_rule, competition_id)
          values (%s, %s, %s, %s, %s, %s) returning id),
        list as (
          insert into competitions.lists (board_id, period_key, starts_at, ends_at)
          select id, 'ALL', %s, %s from board returning id)
        insert into competitions.competitions (id, series_id, period_key, product, subject_ref, cadence, title,
          description, rules_text,
          status, list_id, starts_at, ends_at, tz, min_score, allow_nonpositive, prize_asset, guaranteed_pool,
          treasury_bps, prize_rule, tie_rule, empty_rule, leftover_to, no_winner, grace_s, collect_s, review_h,
          created_by, created_at, updated_at)
        select %s, %s, %s, %s, %s, %s, %s, %s, %s, 'draft', list.id,
          %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s,
          %s, %s, %s, %s, %s, %s
        from list""",
        *(f"{new.product}:{competition_id}", new.product, new.score_scale, new.direction, new.tie_rule, competition_id),
        *(new.starts_at, new.ends_at),
        *(competition_id, new.series_id, new.period_key),
        *(new.product, new.subject_ref, new.cadence, new.title, new.description, new.rules_text),
        *(new.starts_at, new.ends_at, new.tz, new.min_score, new.allow_nonpositive, new.prize_asset),
        *(new.guaranteed_pool, new.treasury_bps, json.dumps(prize_rule), new.tie_rule, new.empty_rule),
        *(new.leftover_to, new.no_winner, new.grace_s, new.grace_s, new.review_h, created_by, now, now),
    )


async def lock_competition(tx: Tx, competition_id: CompetitionId) -> Competition | None:
    """The header, ours until the transaction ends: waits for submissions that are under way."""
    return await db.find(tx, Competition, HEADER + "where c.id = %s for update of c", competition_id)


async def list_competitions(tx: Tx, competition_ids: Sequence[CompetitionId]) -> list[Competition]:
    """The headers of at most 1,000 competitions."""
    return await db.rows(tx, Competition, HEADER + "where c.id = any(%s)", list(competition_ids))


async def lock_gates(tx: Tx, competition_ids: Sequence[CompetitionId]) -> list[Gate]:
    """What submissions must know, held in key order so that the move to settling waits for this transaction."""
    return await db.rows(
        tx,
        Gate,
        """
        select id, status, phase, paused_at, starts_at, ends_at, treasury_bps, list_id
        from competitions.competitions where id = any(%s) order by id for key share""",
        list(competition_ids),
    )


async def update_published(
    tx: Tx, competition_id: CompetitionId, terms_hash: bytes, backdated_reason: str | None, now: datetime
) -> None:
    """A draft becomes upcoming with its terms hashed."""
    await db.run(
        tx,
        """
        update competitions.competitions set status = 'upcoming', terms_hash = %s, backdated_reason = %s,
          updated_at = %s, version = version + 1 where id = %s""",
        *(terms_hash, backdated_reason, now, competition_id),
    )


async def update_status(tx: Tx, competition_id: CompetitionId, status: str, phase: str | None, now: datetime) -> None:
    """Move along the life cycle."""
    await db.run(
        tx,
        """
        update competitions.competitions set status = %s, phase = %s, updated_at = %s, version = version + 1
        where id = %s""",
        *(status, phase, now, competition_id),
    )


async def update_frozen(
    tx: Tx,
    competition_id: CompetitionId,
    *,
    pool_final: int,
    standings_hash: bytes,
    evidence: Mapping[str, object],
    now: datetime,
) -> None:
    """What the freeze found; the competition is now in review."""
    await db.run(
        tx,
        """
        update competitions.competitions set phase = 'review', pool_final = %s, standings_hash = %s,
          evidence = %s::jsonb, updated_at = %s, version = version + 1 where id = %s""",
        *(pool_final, standings_hash, json.dumps(evidence), now, competition_id),
    )


async def update_list_final(tx: Tx, list_id: ListId, entrants: int, now: datetime) -> None:
    """No score changes any more."""
    await db.run(
        tx,
        "update competitions.lists set state = 'final', entrants = %s, final_at = %s where id = %s",
        *(entrants, now, list_id),
    )


async def insert_contribution(
    tx: Tx, contribution_id: UUID, competition: Competition, key: str, transfer_id: UUID, now: datetime
) -> None:
    """The pool that the house promised."""
    await db.run(
        tx,
        """
        insert into competitions.contributions (id, competition_id, source, asset, amount, to_pool, to_treasury,
          from_address, key, transfer_id, at)
        values (%s, %s, 'admin_fund', %s, %s, %s, 0, 'house:prizes', %s, %s, %s)""",
        *(contribution_id, competition.id, competition.prize_asset),
        *(competition.guaranteed_pool, competition.guaranteed_pool, key, transfer_id, now),
    )


async def insert_entrants(tx: Tx, items: Sequence[Admission]) -> None:
    """Entrants nobody has met before, numbered in the order given."""
    await db.run(
        tx,
        """
        insert into competitions.entrants (kind, ref, user_id, label)
        select u.kind, u.ref, u.user_id, u.label
        from unnest(%s::text[], %s::text[], %s::uuid[], %s::text[]) with ordinality u(kind, ref, user_id, label, n)
        where not exists (select from competitions.entrants e where e.kind = u.kind and e.ref = u.ref)
        order by u.n on conflict (kind, ref) do nothing""",
        *([item.kind for item in items], [item.ref for item in items]),
        *([item.user_id for item in items], [item.label for item in items]),
    )


async def insert_participants(tx: Tx, items: Sequence[Admission], now: datetime) -> list[Participant]:
    """Enter them where they are not yet; answers every one of them in the order given."""
    await db.run(
        tx,
        """
        insert into competitions.participants (competition_id, entrant_id, joined_at, via)
        select u.competition_id, e.id, %s, u.via
        from unnest(%s::uuid[], %s::text[], %s::text[], %s::text[]) u(competition_id, kind, ref, via)
        join competitions.entrants e on e.kind = u.kind and e.ref = u.ref
        order by u.competition_id, e.id on conflict do nothing""",
        *(now, [item.competition_id for item in items], [item.kind for item in items]),
        *([item.ref for item in items], [item.via for item in items]),
    )
    return await db.rows(
        tx,
        Participant,
        """
        select p.competition_id, p.entrant_id, p.state, e.kind, e.user_id, e.label
        from unnest(%s::uuid[], %s::text[], %s::text[]) with ordinality u(competition_id, kind, ref, n)
        join competitions.entrants e on e.kind = u.kind and e.ref = u.ref
        join competitions.participants p on p.competition_id = u.competition_id and p.entrant_id = e.id
        order by u.n""",
        *([item.competition_id for item in items], [item.kind for item in items], [item.ref for item in items]),
    )


async def update_entrants(tx: Tx, entrants: Sequence[tuple[EntrantId, UUID | None, str | None]]) -> None:
    """Their user and public spelling, where these have changed."""
    ids, users, labels = zip(*entrants, strict=True)
    await db.run(
        tx,
        """
        update competitions.entrants e set user_id = u.user_id, label = u.label
        from unnest(%s::bigint[], %s::uuid[], %s::text[]) u(id, user_id, label) where e.id = u.id""",
        *(list(ids), list(users), list(labels)),
    )


async def list_participants(tx: Tx, pairs: Sequence[tuple[CompetitionId, EntrantId]]) -> list[Participant]:
    """The participations of at most 10,000 pairs that exist."""
    return await db.rows(
        tx,
        Participant,
        """
        select p.competition_id, p.entrant_id, p.state, e.kind, e.user_id, e.label
        from unnest(%s::uuid[], %s::bigint[]) u(competition_id, entrant_id)
        join competitions.participants p on p.competition_id = u.competition_id and p.entrant_id = u.entrant_id
        join competitions.entrants e on e.id = p.entrant_id""",
        *([competition_id for competition_id, _ in pairs], [entrant_id for _, entrant_id in pairs]),
    )


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
          select u.list_id, u.entrant_id, u.key, u.happened_at, u.kind, u.delta, u.facts, u.owner_id::uuid, %s
          from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::text[], %s::bigint[],
            %s::jsonb[], %s::text[]) u(list_id, entrant_id, key, happened_at, kind, delta, facts, owner_id)
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
        *(_uuids([owner_id for _, owner_id, _ in items]), now),
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


async def count_entrants(tx: Tx, competition_ids: Sequence[CompetitionId]) -> dict[CompetitionId, int]:
    """How many are on the lists of at most 1,000 competitions."""
    found = await db.rows(
        tx,
        Entrants,
        """
        select c.id, coalesce(l.entrants, (select count(*) from competitions.scores s
          where s.list_id = c.list_id and s.state = 'ranked'))::int as entrants
        from competitions.competitions c join competitions.lists l on l.id = c.list_id where c.id = any(%s)""",
        list(competition_ids),
    )
    return {row.id: row.entrants for row in found}


async def find_leader(tx: Tx, competition_id: CompetitionId) -> EntrantId | None:
    """Who stands first in the live ranking, if anybody qualifies."""
    found: EntrantId | None = await db.value(
        tx, "select entrant_id from competitions.ranked(%s) where place = 1 and qualified", competition_id
    )
    return found


async def list_ranked(tx: Tx, competition_id: CompetitionId, limit: int, *, after: int = 0) -> list[Standing]:
    """The places of the live ranking behind a place."""
    return await db.rows(
        tx,
        Standing,
        """
        select s.place, s.rank, s.entrant_id, e.kind, e.ref, e.label, e.user_id, s.score, s.subscore, s.reached_at
        from competitions.ranked(%s) s join competitions.entrants e on e.id = s.entrant_id
        where s.place > %s and s.place <= %s order by s.place""",
        *(competition_id, after, after + limit),
    )


async def find_place(tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId) -> int | None:
    """Where an entrant stands: frozen, once there are standings, else live; None for who is not ranked."""
    found: int | None = await db.value(
        tx,
        """
        select coalesce(
          (select s.place from competitions.standings s join competitions.competitions c on c.list_id = s.list_id
            where c.id = %s and s.entrant_id = %s),
          (select place from competitions.ranked(%s) where entrant_id = %s))""",
        *(competition_id, entrant_id, competition_id, entrant_id),
    )
    return found


async def list_entrants(tx: Tx, entrant_ids: Sequence[EntrantId]) -> list[Entrant]:
    """Who these are, without order."""
    return await db.rows(
        tx,
        Entrant,
        "select id as entrant_id, kind, ref, label, user_id from competitions.entrants where id = any(%s)",
        list(entrant_ids),
    )


async def insert_standings(tx: Tx, competition_id: CompetitionId) -> int:
    """Freeze the ranking; answers how many stand in it."""
    return await db.run(
        tx,
        """
        insert into competitions.standings (list_id, place, rank, entrant_id, score, subscore, reached_at, qualified)
        select list_id, place, rank, entrant_id, score, subscore, reached_at, qualified
        from competitions.ranked(%s) order by place""",
        competition_id,
    )


async def hash_standings(tx: Tx, list_id: ListId) -> bytes:
    """SHA-256 over the lines `place|rank|kind:ref|score|subscore|reached_at in µs|qualified`, joined by line feeds."""
    return bytes(
        await db.value(
            tx,
            """
            select sha256(convert_to(coalesce(string_agg(
              s.place || '|' || coalesce(s.rank::text, '') || '|' || e.kind || ':' || e.ref || '|' || s.score || '|'
              || s.subscore || '|' || (extract(epoch from s.reached_at) * 1000000)::bigint || '|' || s.qualified,
              E'\\n' order by s.place), ''), 'UTF8'))
            from competitions.standings s join competitions.entrants e on e.id = s.entrant_id where s.list_id = %s""",
            list_id,
        )
    )


async def list_standings(tx: Tx, list_id: ListId, limit: int, *, after: int = 0) -> list[Standing]:
    """The places of the frozen ranking behind a place."""
    return await db.rows(
        tx,
        Standing,
        """
        select s.place, s.rank, s.entrant_id, e.kind, e.ref, e.label, e.user_id, s.score, s.subscore, s.reached_at
        from competitions.standings s join competitions.entrants e on e.id = s.entrant_id
        where s.list_id = %s and s.place > %s and s.place <= %s order by s.place""",
        *(list_id, after, after + limit),
    )


async def list_winners(tx: Tx, list_id: ListId, last_place: int | None) -> list[Winner]:
    """Everybody frozen whose rank can win something, in place order: ties across the last paid place are whole."""
    return await db.rows(
        tx,
        Winner,
        """
        select s.rank, s.entrant_id, e.user_id
        from competitions.standings s join competitions.entrants e on e.id = s.entrant_id
        where s.list_id = %s and s.rank <= coalesce(%s::int, s.rank) order by s.place""",
        *(list_id, last_place),
    )


def _uuids(values: Sequence[UUID | None]) -> Texts:
    return Texts.of([None if value is None else value.hex for value in values])


async def insert_rewards(
    tx: Tx, competition: Competition, rewards: Sequence[Settled], *, claim_by: datetime, now: datetime
) -> None:
    """The prizes of a frozen competition, each in the status it has by now; unclaimed ones wait until `claim_by`."""
    await db.run(
        tx,
        """
        insert into competitions.rewards (competition_id, entrant_id, place, rank, asset, amount, status, user_id,
          transfer_id, claim_by, why, paid_at)
        select %s, u.entrant_id, u.place, u.rank, %s, u.amount, u.status, u.user_id::uuid, u.transfer_id::uuid,
          case when u.status = 'unclaimed' then %s::timestamptz end,
          case when u.refusal is null then u.why else u.why || jsonb_build_object('refused', u.refusal) end,
          case when u.status = 'paid' then %s::timestamptz end
        from unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[],
          %s::jsonb[], %s::text[]) u(entrant_id, place, rank, amount, status, user_id, transfer_id, why, refusal)""",
        *(competition.id, competition.prize_asset, claim_by, now),
        *(Int8s.of([reward.prize.entrant_id for reward in rewards]), Int8s.of([r.prize.place for r in rewards])),
        *(Int8s.of([reward.prize.rank for reward in rewards]), Int8s.of([r.prize.amount for r in rewards])),
        Texts.of([reward.status for reward in rewards]),
        *(_uuids([reward.prize.user_id for reward in rewards]), _uuids([reward.transfer_id for reward in rewards])),
        *(Jsons.of([reward.prize.why for reward in rewards]), Texts.of([reward.refusal for reward in rewards])),
    )


async def update_approved(tx: Tx, competition_id: CompetitionId) -> int:
    """Release what waited for the review."""
    return await db.run(
        tx,
        "update competitions.rewards set status = 'approved' where competition_id = %s and status = 'pending'",
        competition_id,
    )


async def lock_approved(tx: Tx, competition_id: CompetitionId, limit: int) -> list[Prize]:
    """The next prizes to pay, in place order."""
    return await db.rows(
        tx,
        Prize,
        """
        select entrant_id, user_id, place, rank, amount, why::text
        from competitions.rewards where competition_id = %s and status = 'approved'
        order by place limit %s for update skip locked""",
        *(competition_id, limit),
    )


async def update_rewards(
    tx: Tx, competition_id: CompetitionId, rewards: Sequence[Settled], *, claim_by: datetime, now: datetime
) -> None:
    """What became of prizes that were approved; unclaimed ones wait until `claim_by`."""
    await db.run(
        tx,
        """
        update competitions.rewards r set status = u.status, transfer_id = u.transfer_id::uuid,
          claim_by = case when u.status = 'unclaimed' then %s::timestamptz end,
          why = case when u.refusal is null then r.why else r.why || jsonb_build_object('refused', u.refusal) end,
          paid_at = case when u.status = 'paid' then %s::timestamptz end
        from unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) u(entrant_id, status, transfer_id, refusal)
        where r.competition_id = %s and r.entrant_id = u.entrant_id""",
        *(claim_by, now, Int8s.of([reward.prize.entrant_id for reward in rewards])),
        *(Texts.of([reward.status for reward in rewards]), _uuids([reward.transfer_id for reward in rewards])),
        *(Texts.of([reward.refusal for reward in rewards]), competition_id),
    )


async def list_rewards(tx: Tx, competition_id: CompetitionId, limit: int, *, after: int = 0) -> list[Reward]:
    """The prizes of the places behind a place, in their order."""
    return await db.rows(
        tx,
        Reward,
        """
        select entrant_id, place, rank, asset, amount, status, user_id, transfer_id, claim_by, why, paid_at
        from competitions.rewards where competition_id = %s and place > %s order by place limit %s""",
        *(competition_id, after, limit),
    )


async def sum_kept(tx: Tx, competition_id: CompetitionId) -> int:
    """What the pool still owes: prizes that wait for their winner or were refused by his wallet."""
    return int(
        await db.value(
            tx,
            """
            select coalesce(sum(amount), 0)::bigint from competitions.rewards
            where competition_id = %s and status in ('unclaimed', 'withheld')""",
            competition_id,
        )
    )


async def insert_undistributed(tx: Tx, competition_id: CompetitionId, left: Leftover) -> None:
    """What nobody won, and where it will go."""
    await db.run(
        tx,
        """
        insert into competitions.undistributed (competition_id, amount, to_address, reason)
        values (%s, %s, %s, %s)""",
        *(competition_id, left.amount, left.to_address, left.reason),
    )


async def find_undistributed(tx: Tx, competition_id: CompetitionId) -> Leftover | None:
    """What nobody won; None when everything was won."""
    return await db.find(
        tx,
        Leftover,
        "select amount, to_address, reason from competitions.undistributed where competition_id = %s",
        competition_id,
    )


async def update_undistributed(tx: Tx, competition_id: CompetitionId, transfer_id: UUID) -> None:
    """The transfer by which it went."""
    await db.run(
        tx,
        "update competitions.undistributed set transfer_id = %s where competition_id = %s",
        *(transfer_id, competition_id),
    )


async def insert_archive(tx: Tx, competition_id: CompetitionId, year: int, month: int, now: datetime) -> None:
    """The row that history shows, with its first hundred."""
    await db.run(
        tx,
        """
        insert into competitions.archives (competition_id, period_key, month, year, prize_pool, starts_at, ends_at,
          participant_count, total_score, participants, metadata, created_at)
        select c.id, c.period_key, %s, %s, c.pool_final, c.starts_at, c.ends_at,
          (select count(*) from competitions.standings s where s.list_id = c.list_id),
          (select coalesce(sum(s.score), 0) from competitions.standings s where s.list_id = c.list_id),
          (select coalesce(jsonb_agg(jsonb_build_object('place', s.place, 'rank', s.rank, 'entrant', s.entrant_id,
              'label', e.label, 'score', s.score, 'prize', coalesce(r.amount, 0)) order by s.place), '[]')
            from competitions.standings s join competitions.entrants e on e.id = s.entrant_id
            left join competitions.rewards r on r.competition_id = c.id and r.entrant_id = s.entrant_id
            where s.list_id = c.list_id and s.place <= 100),
          c.evidence || jsonb_build_object('standings_hash', encode(c.standings_hash, 'hex'),
            'terms_hash', encode(c.terms_hash, 'hex')),
          %s
        from competitions.competitions c where c.id = %s""",
        *(month, year, now, competition_id),
    )


async def count_tied(tx: Tx, list_id: ListId, standing: Standing) -> int:
    """How many share the score of this one."""
    return int(
        await db.value(
            tx,
            """
            select count(*) from competitions.scores
            where list_id = %s and state = 'ranked' and score = %s and subscore = %s""",
            *(list_id, standing.score, standing.subscore),
        )
    )


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


async def update_participant(
    tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId, *, state: str, reason: str, by: UUID | None
) -> None:
    """Whether an entrant takes part, and who decided so."""
    await db.run(
        tx,
        """
        update competitions.participants set state = %s, reason = %s, decided_by = %s
        where competition_id = %s and entrant_id = %s""",
        *(state, reason, by, competition_id, entrant_id),
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


async def has_reward(tx: Tx, competition_id: CompetitionId, entrant_id: EntrantId) -> bool:
    """Whether an entrant holds a prize."""
    return bool(
        await db.value(
            tx,
            "select exists (select from competitions.rewards where competition_id = %s and entrant_id = %s)",
            *(competition_id, entrant_id),
        )
    )


async def list_disqualified(tx: Tx, competition_id: CompetitionId) -> list[EntrantId]:
    """Those who were taken out by staff."""
    found: list[EntrantId] = await db.column(
        tx,
        "select entrant_id from competitions.participants where competition_id = %s and state = 'disqualified'",
        competition_id,
    )
    return found


async def delete_allocation(tx: Tx, competition: Competition) -> None:
    """Take back standings and prizes of which nothing has been paid, so that they can be written anew."""
    await db.run(tx, "delete from competitions.rewards where competition_id = %s", competition.id)
    await db.run(tx, "delete from competitions.undistributed where competition_id = %s", competition.id)
    await db.run(tx, "delete from competitions.standings where list_id = %s", competition.list_id)


async def update_standings_hash(tx: Tx, competition_id: CompetitionId, digest: bytes, now: datetime) -> None:
    """The digest of standings that were written anew."""
    await db.run(
        tx,
        """
        update competitions.competitions set standings_hash = %s, updated_at = %s, version = version + 1
        where id = %s""",
        *(digest, now, competition_id),
    )


async def update_ends_at(tx: Tx, competition: Competition, ends_at: datetime, now: datetime) -> None:
    """A later end, of the competition and of its list."""
    await db.run(
        tx,
        "update competitions.competitions set ends_at = %s, updated_at = %s, version = version + 1 where id = %s",
        *(ends_at, now, competition.id),
    )
    await db.run(tx, "update competitions.lists set ends_at = %s where id = %s", ends_at, competition.list_id)


async def lock_contributions(tx: Tx, competition_id: CompetitionId, limit: int) -> list[Contribution]:
    """What is still in the pool of somebody, in the order of their ids."""
    return await db.rows(
        tx,
        Contribution,
        """
        select id, source, asset, to_pool, to_treasury, payer_id, from_address from competitions.contributions
        where competition_id = %s and taken_back = 0 order by id limit %s for update""",
        *(competition_id, limit),
    )


async def update_taken_back(tx: Tx, contribution_ids: Sequence[UUID]) -> None:
    """The whole of these contributions went back."""
    await db.run(
        tx,
        "update competitions.contributions set taken_back = amount where id = any(%s)",
        list(contribution_ids),
    )


async def update_cancelled(tx: Tx, competition_id: CompetitionId, reason: str, now: datetime) -> None:
    """It is off, and so are the prizes that were worked out."""
    await db.run(
        tx,
        """
        update competitions.competitions set status = 'cancelled', phase = null, cancel_reason = %s, updated_at = %s,
          version = version + 1 where id = %s""",
        *(reason, now, competition_id),
    )
    await db.run(tx, "update competitions.rewards set status = 'void' where competition_id = %s", competition_id)


async def list_linked(tx: Tx, claims: Sequence[Claim]) -> list[Linked]:
    """The entrants that claims are about, in the order of their ids; whom nobody has met is left out."""
    return await db.rows(
        tx,
        Linked,
        """
        select e.id as entrant_id, u.user_id
        from unnest(%s::text[], %s::text[], %s::uuid[]) u(kind, ref, user_id)
        join competitions.entrants e on e.kind = u.kind and e.ref = u.ref order by e.id""",
        *([claim.kind for claim in claims], [claim.ref for claim in claims], [claim.user_id for claim in claims]),
    )


async def lock_running_of(tx: Tx, entrant_ids: Sequence[EntrantId]) -> list[CompetitionId]:
    """The competitions of these entrants that are not over, held against their settlement, in key order."""
    found: list[CompetitionId] = await db.column(
        tx,
        """
        select c.id from competitions.competitions c
        where c.status in ('upcoming', 'live', 'settling') and exists (
          select from competitions.participants p where p.competition_id = c.id and p.entrant_id = any(%s))
        order by c.id for key share of c""",
        list(entrant_ids),
    )
    return found


async def update_users(tx: Tx, linked: Sequence[Linked], competition_ids: Sequence[CompetitionId]) -> None:
    """The users behind entrants, also on prizes of these competitions that are not paid yet."""
    entrants, users = [link.entrant_id for link in linked], [link.user_id for link in linked]
    await db.run(
        tx,
        """
        update competitions.entrants e set user_id = u.user_id
        from unnest(%s::bigint[], %s::uuid[]) u(id, user_id) where e.id = u.id""",
        *(entrants, users),
    )
    await db.run(
        tx,
        """
        update competitions.rewards r set user_id = u.user_id
        from unnest(%s::bigint[], %s::uuid[]) u(id, user_id)
        where r.competition_id = any(%s) and r.entrant_id = u.id and r.status in ('pending', 'approved')""",
        *(entrants, users, list(competition_ids)),
    )


async def lock_claimable(tx: Tx, entrant_ids: Sequence[EntrantId], now: datetime) -> list[Waiting]:
    """Prizes that wait for these entrants and can still be claimed, ours until the transaction ends."""
    return await db.rows(
        tx,
        Waiting,
        WAITING
        + """where r.entrant_id = any(%s) and r.status = 'unclaimed' and r.claim_by > %s
        order by r.competition_id, r.entrant_id for update of r""",
        *(list(entrant_ids), now),
    )


async def lock_unclaimed(tx: Tx, now: datetime, limit: int) -> list[Waiting]:
    """Prizes that nobody claimed in time, ours until the transaction ends."""
    return await db.rows(
        tx,
        Waiting,
        WAITING
        + """where r.status = 'unclaimed' and r.claim_by <= %s
        order by r.competition_id, r.entrant_id limit %s for update of r""",
        *(now, limit),
    )


async def update_claimed(tx: Tx, claimed: Sequence[Claimed], now: datetime) -> None:
    """Prizes that found their winner: paid, or withheld where his wallet refused."""
    await db.run(
        tx,
        """
        update competitions.rewards r set user_id = u.user_id, transfer_id = u.transfer_id,
          status = case when u.transfer_id is null then 'withheld' else 'paid' end,
          paid_at = case when u.transfer_id is not null then %s::timestamptz end, claim_by = null,
          why = case when u.refusal is null then r.why else r.why || jsonb_build_object('refused', u.refusal) end
        from unnest(%s::uuid[], %s::bigint[], %s::uuid[], %s::uuid[], %s::text[])
          u(competition_id, entrant_id, user_id, transfer_id, refusal)
        where r.competition_id = u.competition_id and r.entrant_id = u.entrant_id""",
        *(now, [found.waiting.competition_id for found in claimed], [found.waiting.entrant_id for found in claimed]),
        *([found.user_id for found in claimed], [found.transfer_id for found in claimed]),
        [found.refusal for found in claimed],
    )


async def update_expired(tx: Tx, expired: Sequence[Waiting]) -> None:
    """Prizes that went back."""
    await db.run(
        tx,
        """
        update competitions.rewards r set status = 'expired'
        from unnest(%s::uuid[], %s::bigint[]) u(competition_id, entrant_id)
        where r.competition_id = u.competition_id and r.entrant_id = u.entrant_id""",
        *([found.competition_id for found in expired], [found.entrant_id for found in expired]),
    )


async def insert_series(
    tx: Tx, series_id: SeriesId, new: NewSeries, template: Mapping[str, object], now: datetime
) -> bool:
    """A series; False when its code is taken."""
    return bool(
        await db.run(
            tx,
            """
            insert into competitions.series (id, code, product, cadence, tz, template, create_lead_h, created_at)
            values (%s, %s, %s, %s, %s, %s::jsonb, %s, %s) on conflict (code) do nothing""",
            *(series_id, new.code, new.product, new.cadence, new.tz, json.dumps(template), new.create_lead_h, now),
        )
    )


async def lock_active_series(tx: Tx) -> list[Series]:
    """Series that make competitions, in key order, ours until the transaction ends; at most 1,000."""
    return await db.rows(tx, Series, SERIES + "where s.active order by s.id limit 1000 for update of s")


async def list_series(tx: Tx, series_ids: Sequence[SeriesId]) -> list[Series]:
    """These series by code."""
    return await db.rows(tx, Series, SERIES + "where s.id = any(%s) order by s.code", list(series_ids))


async def has_instance(tx: Tx, series_id: SeriesId, period_key: str) -> bool:
    """Whether the competition of a period has been made, whatever became of it."""
    return bool(
        await db.value(
            tx,
            "select exists (select from competitions.competitions where series_id = %s and period_key = %s)",
            *(series_id, period_key),
        )
    )


async def list_instances(tx: Tx, series_ids: Sequence[SeriesId]) -> list[CompetitionId]:
    """The competitions of series that are not over, oldest first."""
    found: list[CompetitionId] = await db.column(
        tx,
        """
        select id from competitions.competitions
        where series_id = any(%s) and status in ('upcoming', 'live', 'settling') order by starts_at limit 10000""",
        list(series_ids),
    )
    return found


async def find_ending(tx: Tx, series_id: SeriesId, ends_at: datetime) -> CompetitionId | None:
    """The competition of a series that ends at an instant and was not cancelled."""
    found: CompetitionId | None = await db.value(
        tx,
        """
        select id from competitions.competitions
        where series_id = %s and ends_at = %s and status <> 'cancelled' limit 1""",
        *(series_id, ends_at),
    )
    return found
