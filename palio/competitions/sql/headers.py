"""Headers of competitions, and the lists that belong to them."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from palio.competitions.types import (
    Archived,
    Competition,
    CompetitionId,
    Ending,
    Gate,
    ListId,
    NewCompetition,
    Product,
    Wanted,
)
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.parts import EVER, IDS, Part

HEADER = """
    select c.id, c.series_id, c.product, c.subject_ref, c.period_key, c.cadence, c.title, c.description, c.rules_text,
      c.status, c.phase, c.list_id, c.starts_at, c.ends_at, c.tz, b.score_scale, b.op, b.direction, b.has_subscore,
      c.min_score, c.allow_nonpositive, c.prize_asset, c.guaranteed_pool, c.treasury_bps, c.prize_rule, c.tie_rule,
      c.empty_rule, c.leftover_to, c.no_winner, c.results_visible, c.grace_s, c.review_h, c.terms_hash, c.pool_final,
      c.standings_hash, c.paused_at, l.final_at as frozen_at,
      array(select jsonb_array_elements_text(coalesce(c.evidence -> 'review_reasons', '[]'))) as review_reasons,
      c.backdated_reason, c.evidence, c.cancel_reason, c.created_at, c.updated_at, c.version, c.join_mode, c.entry_fee,
      c.min_participants, c.max_participants, c.eligibility, c.collect_s, c.blackout_s
    from competitions.competitions c
    join competitions.lists l on l.id = c.list_id
    join competitions.boards b on b.id = l.board_id """


WANTED = (
    HEADER
    + """left join competitions.archives a on a.competition_id = c.id
    cross join (select %s::text[] as statuses, %s::text[] as products, %s::int as year, %s::int as month,
      %s::bool as is_archived, %s::bool as has_drafts, coalesce(%s::timestamptz, '-infinity') as begins_since,
      coalesce(%s::timestamptz, 'infinity') as begins_until) w
    where (c.status <> 'draft' or w.has_drafts) and (w.statuses = '{}' or c.status = any(w.statuses))
      and (w.products = '{}' or c.product = any(w.products)) and (w.year is null or a.year = w.year)
      and (w.month is null or a.month = w.month) and (a.competition_id is not null or not w.is_archived)
      and c.starts_at >= w.begins_since and c.starts_at < w.begins_until and c.id > %s and c.id < %s """
)


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
          insert into competitions.boards (code, metric, score_scale, op, direction, has_subscore, tie_rule,
            competition_id)
          values (%s, %s, %s, %s, %s, %s, %s, %s) returning id),
        list as (
          insert into competitions.lists (board_id, period_key, starts_at, ends_at)
          select id, 'ALL', %s, %s from board returning id)
        insert into competitions.competitions (id, series_id, period_key, product, subject_ref, cadence, title,
          description, rules_text,
          status, list_id, starts_at, ends_at, tz, min_score, allow_nonpositive, prize_asset, guaranteed_pool,
          treasury_bps, prize_rule, tie_rule, empty_rule, leftover_to, no_winner, grace_s, collect_s, review_h,
          rank_events, results_visible, join_mode, entry_fee, min_participants, max_participants, eligibility,
          blackout_s, created_by, created_at, updated_at)
        select %s, %s, %s, %s, %s, %s, %s, %s, %s, 'draft', list.id,
          %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s,
          %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s
        from list""",
        *(f"{new.product}:{competition_id}", new.product, new.score_scale, new.op, new.direction, new.has_subscore),
        *(new.tie_rule, competition_id),
        *(new.starts_at, new.ends_at),
        *(competition_id, new.series_id, new.period_key),
        *(new.product, new.subject_ref, new.cadence, new.title, new.description, new.rules_text),
        *(new.starts_at, new.ends_at, new.tz, new.min_score, new.allow_nonpositive, new.prize_asset),
        *(new.guaranteed_pool, new.treasury_bps, json.dumps(prize_rule), new.tie_rule, new.empty_rule),
        *(new.leftover_to, new.no_winner, new.grace_s),
        *(new.grace_s if new.collect_s is None else new.collect_s, new.review_h),
        *(new.rank_events, new.results_visible, new.join_mode, new.entry_fee, new.min_participants),
        *(new.max_participants, json.dumps(dict(new.eligibility)), new.blackout_s, created_by, now, now),
    )


async def lock_competition(tx: Tx, competition_id: CompetitionId) -> Competition | None:
    """The header, ours until the transaction ends: waits for submissions that are under way, and no longer.

    A row that many share is never free while new ones come; the turn is: whoever comes later waits behind us.
    """
    await db.run(
        tx, "select pg_advisory_xact_lock(hashtextextended('competitions.turn|' || %s, 0))", str(competition_id)
    )
    return await db.find(tx, Competition, HEADER + "where c.id = %s for update of c", competition_id)


async def find_competition(tx: Tx, competition_id: CompetitionId) -> Competition | None:
    """The header as it is."""
    return await db.find(tx, Competition, HEADER + "where c.id = %s", competition_id)


async def lock_places(tx: Tx, competition_id: CompetitionId) -> Competition | None:
    """The header, for whoever counts who takes part: one at a time, while scores go on."""
    return await db.find(tx, Competition, HEADER + "where c.id = %s for no key update of c", competition_id)


async def find_next_bound(tx: Tx, after: datetime) -> datetime | None:
    """The first start or end after an instant, of those that are to come or live."""
    found: datetime | None = await db.value(
        tx,
        """
        select min(b.at)
        from competitions.competitions c cross join lateral (values (c.starts_at), (c.ends_at)) as b (at)
        where c.status in ('upcoming', 'live') and b.at > %s""",
        after,
    )
    return found


async def list_competitions(tx: Tx, competition_ids: Sequence[CompetitionId]) -> list[Competition]:
    """The headers of at most 1,000 competitions."""
    return await db.rows(tx, Competition, HEADER + "where c.id = any(%s)", list(competition_ids))


async def list_newest(tx: Tx, wanted: Wanted, part: Part[UUID]) -> list[Competition]:
    """A part of what everybody may see of the competitions that are wanted, newest first: in the archive by their end,
    elsewhere as they were made.
    """
    narrowed = (
        *(
            list(wanted.statuses),
            list(wanted.products),
            wanted.year,
            wanted.month,
            wanted.is_archived,
            wanted.has_drafts,
        ),
        *(wanted.begins_since, wanted.begins_until),
    )
    if wanted.is_archived:
        return await _list_ended(tx, narrowed, part)
    values = (*narrowed, *part.between(*IDS), part.limit)
    if part.is_back:
        return (await db.rows(tx, Competition, WANTED + "order by c.id limit %s", *values))[::-1]
    return await db.rows(tx, Competition, WANTED + "order by c.id desc limit %s", *values)


async def _list_ended(tx: Tx, narrowed: Sequence[object], part: Part[UUID]) -> list[Competition]:
    edge = part.older_than or part.newer_than
    end = await db.value(tx, "select ends_at from competitions.competitions where id = %s", edge) if edge else None
    last_end, last_id = EVER[1]
    values = (*narrowed, *IDS, end or last_end, edge or last_id, part.limit)
    if part.is_back:
        newer = WANTED + "and (c.ends_at, c.id) > (%s, %s) order by c.ends_at, c.id limit %s"
        return (await db.rows(tx, Competition, newer, *values))[::-1]
    older = WANTED + "and (c.ends_at, c.id) < (%s, %s) order by c.ends_at desc, c.id desc limit %s"
    return await db.rows(tx, Competition, older, *values)


async def list_running(
    tx: Tx, since: datetime, until: datetime, product: Product | None, limit: int
) -> list[Competition]:
    """Competitions that run within a span, drafts too, without those that were cancelled; the first to begin first."""
    return await db.rows(
        tx,
        Competition,
        HEADER
        + """where c.starts_at < %s and c.ends_at > %s and c.status <> 'cancelled'
          and (%s::text is null or c.product = %s) order by c.starts_at, c.id limit %s""",
        *(until, since, product, product, limit),
    )


async def list_archived(tx: Tx, competition_ids: Sequence[CompetitionId], participants_max: int) -> list[Archived]:
    """How these competitions ended, as far as they have, with their first participants."""
    return await db.rows(
        tx,
        Archived,
        """
        select competition_id, month, year, total_score::bigint, participant_count,
          jsonb_path_query_array(participants, '$[0 to $last]', jsonb_build_object('last', %s::int - 1)) as participants
        from competitions.archives where competition_id = any(%s)""",
        *(participants_max, list(competition_ids)),
    )


async def list_live(tx: Tx, limit: int, *, with_rank_events: bool = False) -> list[Competition]:
    """The competitions that run, those that began first first; or only those that tell players of their ranks."""
    return await db.rows(
        tx,
        Competition,
        HEADER
        + """where c.status = 'live' and c.paused_at is null and (c.rank_events or not %s)
        order by c.starts_at, c.id limit %s""",
        *(with_rank_events, limit),
    )


async def lock_gates(tx: Tx, competition_ids: Sequence[CompetitionId]) -> list[Gate]:
    """What submissions must know, held in key order so that the move to settling waits for this transaction."""
    return await db.rows(
        tx,
        Gate,
        """
        with turns as materialized (
          select u.id, pg_advisory_xact_lock_shared(hashtextextended('competitions.turn|' || u.id, 0))
          from (select unnest(%s::uuid[]) as id order by 1) u)
        select c.id, c.status, c.phase, c.paused_at, c.starts_at, c.ends_at, c.treasury_bps, c.list_id, b.op,
          b.direction, b.has_subscore, c.prize_asset
        from turns t join competitions.competitions c on c.id = t.id
        join competitions.lists l on l.id = c.list_id
        join competitions.boards b on b.id = l.board_id
        order by c.id for key share of c""",
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


async def update_paused(
    tx: Tx, competition: Competition, paused_at: datetime | None, ends_at: datetime, now: datetime
) -> None:
    """It rests from an instant on, or goes on with a later end, of itself and of its list."""
    await db.run(
        tx,
        """
        update competitions.competitions set paused_at = %s, ends_at = %s, updated_at = %s, version = version + 1
        where id = %s""",
        *(paused_at, ends_at, now, competition.id),
    )
    await db.run(tx, "update competitions.lists set ends_at = %s where id = %s", ends_at, competition.list_id)


async def update_terms(tx: Tx, competition: Competition, terms_hash: bytes | None, now: datetime) -> None:
    """Everything that staff may write about a competition, of itself, its list and its board."""
    await db.run(
        tx,
        """
        update competitions.competitions set title = %s, description = %s, rules_text = %s, starts_at = %s,
          ends_at = %s, tz = %s, join_mode = %s, entry_fee = %s, min_score = %s, allow_nonpositive = %s,
          min_participants = %s, max_participants = %s, eligibility = %s::jsonb, prize_asset = %s,
          guaranteed_pool = %s, treasury_bps = %s, prize_rule = %s::jsonb, tie_rule = %s, empty_rule = %s,
          leftover_to = %s, no_winner = %s, results_visible = %s, grace_s = %s, collect_s = %s, review_h = %s,
          blackout_s = %s, terms_hash = %s, updated_at = %s, version = version + 1
        where id = %s""",
        *(competition.title, competition.description, competition.rules_text, competition.starts_at),
        *(competition.ends_at, competition.tz, competition.join_mode, competition.entry_fee, competition.min_score),
        *(competition.allow_nonpositive, competition.min_participants, competition.max_participants),
        *(json.dumps(dict(competition.eligibility)), competition.prize_asset, competition.guaranteed_pool),
        *(competition.treasury_bps, json.dumps(dict(competition.prize_rule)), competition.tie_rule),
        *(competition.empty_rule, competition.leftover_to, competition.no_winner, competition.results_visible),
        *(competition.grace_s, competition.collect_s, competition.review_h, competition.blackout_s),
        *(terms_hash, now, competition.id),
    )
    await db.run(
        tx,
        """
        with list as (
          update competitions.lists set starts_at = %s, ends_at = %s where id = %s returning board_id)
        update competitions.boards set tie_rule = %s from list where id = list.board_id""",
        *(competition.starts_at, competition.ends_at, competition.list_id, competition.tie_rule),
    )


async def find_successor(tx: Tx, competition: Competition) -> CompetitionId | None:
    """The next competition of the same series with the same asset that can still take something."""
    found: CompetitionId | None = await db.value(
        tx,
        """
        select id from competitions.competitions
        where series_id = %s and starts_at > %s and prize_asset = %s and status in ('upcoming', 'live')
        order by starts_at limit 1""",
        *(competition.series_id, competition.starts_at, competition.prize_asset),
    )
    return found


async def list_due(
    tx: Tx, now: datetime, limit: int, *, steered: Sequence[str], frozen_by_clock: Sequence[str]
) -> list[CompetitionId]:
    """Competitions in which the clock has something to do; products that steer their own are left out."""
    found: list[CompetitionId] = await db.column(
        tx,
        """
        select c.id from competitions.competitions c join competitions.lists l on l.id = c.list_id
        where c.product <> all(%s::text[]) and (c.status = 'upcoming' and c.starts_at <= %s
          or c.status = 'live' and c.paused_at is null and c.ends_at <= %s
          or c.phase = 'collecting' and c.product = any(%s::text[])
            and c.ends_at + make_interval(secs => c.grace_s) <= %s
          or c.phase = 'review' and l.final_at + make_interval(hours => c.review_h) <= %s or c.phase = 'paying')
        order by c.id limit %s""",
        *(list(steered), now, now, list(frozen_by_clock), now, now, limit),
    )
    return found


async def update_ending_told(tx: Tx, hours: Sequence[int], now: datetime, limit: int) -> list[Ending]:
    """What runs and ends within one of these times, of which nothing has been said since that began; now it is said.

    Of several times the shortest counts, and none that is as long as all of it. What somebody holds is left for later.
    """
    return await db.rows(
        tx,
        Ending,
        """
        update competitions.competitions c set ending_told_at = %s
        from (
          select c.id, n.hours from competitions.competitions c cross join lateral (
            select min(u.hours) as hours from unnest(%s::int[]) u(hours)
            where c.ends_at - make_interval(hours => u.hours) <= %s
              and c.ends_at - make_interval(hours => u.hours) > c.starts_at) n
          where c.status = 'live' and c.paused_at is null and c.ends_at > %s
            and coalesce(c.ending_told_at, c.starts_at) < c.ends_at - make_interval(hours => n.hours)
          order by c.id limit %s for no key update of c skip locked) d
        where c.id = d.id returning c.id, c.product, c.subject_ref, c.period_key, d.hours""",
        *(now, list(hours), now, now, limit),
    )


async def update_archived(tx: Tx, completed_before: datetime, now: datetime, limit: int) -> list[CompetitionId]:
    """What was completed before an instant is archived; answers which, those that have waited longest first."""
    found: list[CompetitionId] = await db.column(
        tx,
        """
        update competitions.competitions c set status = 'archived', updated_at = %s, version = c.version + 1
        from (
          select c.id from competitions.competitions c join competitions.archives a on a.competition_id = c.id
          where c.status = 'completed' and a.created_at <= %s
          order by a.created_at, c.id limit %s for no key update of c skip locked) d
        where c.id = d.id returning c.id""",
        *(now, completed_before, limit),
    )
    return found


async def list_collecting(tx: Tx, limit: int) -> list[Competition]:
    """Competitions whose last scores are awaited, those that ended first first."""
    return await db.rows(
        tx, Competition, HEADER + "where c.phase = 'collecting' order by c.ends_at, c.id limit %s", limit
    )
