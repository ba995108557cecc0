"""Rankings, live and frozen."""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString

from palio.competitions.types import (
    EPOCH,
    MICROSECOND,
    CompetitionId,
    Counts,
    EntrantId,
    ListId,
    RankTerms,
    Standing,
    Ties,
    Winners,
)
from palio.infra import arrays, db
from palio.infra.db import Tx
from palio.kernel.providers import Spot


async def find_leader(tx: Tx, competition_id: CompetitionId) -> EntrantId | None:
    """Who stands first in the live ranking, if anybody qualifies."""
    found: EntrantId | None = await db.value(
        tx,
        """
        select s.entrant_id
        from competitions.competitions c
        join competitions.lists l on l.id = c.list_id
        join competitions.boards b on b.id = l.board_id
        join competitions.scores s on s.list_id = c.list_id and s.state = 'ranked'
        where c.id = %s and s.score >= c.min_score and (s.score > 0 or c.allow_nonpositive)
        order by case b.direction when 'asc' then s.score else -s.score end, s.subscore, s.reached_at, s.entrant_id
        limit 1""",
        competition_id,
    )
    return found


async def find_place(tx: Tx, list_id: ListId, entrant_id: EntrantId) -> int | None:
    """Where an entrant stands in the frozen ranking; None for who was not ranked."""
    found: int | None = await db.value(
        tx,
        "select place from competitions.standings where list_id = %s and entrant_id = %s",
        *(list_id, entrant_id),
    )
    return found


async def count_passed(tx: Tx, terms: RankTerms, spot: Spot) -> int:
    """How many places of a frozen ranking are on the near side of a spot.

    Its row is looked up; only where it has changed since it was read they are counted.
    """
    score, subscore, reached_at_us, entrant = spot.key
    reached_at = EPOCH + reached_at_us * MICROSECOND
    sign = 1 if terms.direction == "asc" else -1
    found: int = await db.value(
        tx,
        """
        select coalesce(
          (select s.place - case when %s then 1 else 0 end from competitions.standings s
            where s.list_id = %s and s.entrant_id = %s and s.score = %s and s.subscore = %s and s.reached_at = %s),
          (select count(*)::int from competitions.standings s
            where s.list_id = %s and (not s.qualified, s.score * %s::int, s.subscore, s.reached_at, s.entrant_id)
              < (%s, %s::bigint, %s::bigint, %s::timestamptz, %s::bigint)))""",
        *(spot.is_back, terms.list_id, entrant, score, subscore, reached_at),
        *(terms.list_id, sign, score < terms.least_score, score * sign, subscore, reached_at, entrant),
    )
    return found


async def count_standings(tx: Tx, list_id: ListId) -> Counts:
    """How many stand in the frozen ranking, how many of them qualify, and the sum of their scores."""
    found = await db.find(
        tx,
        Counts,
        """
        select count(*)::int as entrants, count(rank)::int as qualified, coalesce(sum(score), 0)::bigint as total_score
        from competitions.standings where list_id = %s""",
        list_id,
    )
    return found or Counts(0, 0, 0)


async def sort_in_memory(tx: Tx) -> None:
    """Let what this transaction sorts stay in memory: a hundred thousand places take some 10 MB at a time."""
    await db.run(tx, "set local work_mem = '64MB'")


WRITTEN = """
    with s as (
      insert into competitions.standings (list_id, place, rank, entrant_id, score, subscore, reached_at, qualified)
      select list_id, place, rank, entrant_id, score, subscore, reached_at, qualified
      from competitions.ranked(%s) order by place returning *) """
DIGESTED = """
    select sha256(convert_to(coalesce(string_agg(
      s.place || '|' || coalesce(s.rank::text, '') || '|' || e.kind || ':' || e.ref || '|' || s.score || '|'
      || s.subscore || '|' || (extract(epoch from s.reached_at) * 1000000)::bigint || '|' || s.qualified,
      E'\\n' order by s.place), ''), 'UTF8')) as digest, count(*)::int as entrants """


async def insert_standings(tx: Tx, competition_id: CompetitionId) -> tuple[bytes, int]:
    """Freeze the ranking; answers its digest, as `hash_standings` gives it, and how many stand in it."""
    [(digest, entrants)] = await arrays.columns(
        tx,
        WRITTEN + DIGESTED + "from s join competitions.entrants e on e.id = s.entrant_id",
        competition_id,
    )
    return bytes(digest), entrants


async def hash_standings(tx: Tx, list_id: ListId) -> bytes:
    """SHA-256 over the lines `place|rank|kind:ref|score|subscore|reached_at in µs|qualified`, joined by line feeds."""
    return bytes(
        await db.value(
            tx,
            DIGESTED
            + """
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


async def list_standings_around(tx: Tx, list_id: ListId, entrant_id: EntrantId, radius: int) -> list[Standing]:
    """The place of an entrant in the frozen ranking and those beside it; none for who does not stand there."""
    return await db.rows(
        tx,
        Standing,
        """
        select s.place, s.rank, s.entrant_id, e.kind, e.ref, e.label, e.user_id, s.score, s.subscore, s.reached_at
        from competitions.standings own
        join competitions.standings s on s.list_id = own.list_id
          and s.place between own.place - %s and own.place + %s
        join competitions.entrants e on e.id = s.entrant_id
        where own.list_id = %s and own.entrant_id = %s order by s.place""",
        *(radius, radius, list_id, entrant_id),
    )


async def list_standings_of(tx: Tx, list_id: ListId, entrant_ids: Sequence[EntrantId]) -> list[Standing]:
    """The places of these entrants in the frozen ranking; those who do not stand there are left out."""
    return await db.rows(
        tx,
        Standing,
        """
        select s.place, s.rank, s.entrant_id, e.kind, e.ref, e.label, e.user_id, s.score, s.subscore, s.reached_at
        from competitions.standings s join competitions.entrants e on e.id = s.entrant_id
        where s.list_id = %s and s.entrant_id = any(%s) order by s.place""",
        *(list_id, list(entrant_ids)),
    )


async def count_ties(tx: Tx, list_id: ListId, ranks: Sequence[int]) -> dict[int, int]:
    """How many share each of these ranks of the frozen ranking; of more than 1,000, so many."""
    found = await db.rows(
        tx,
        Ties,
        """
        select u.rank, t.ties from unnest(%s::int[]) u(rank)
        cross join lateral (
          select count(*)::int as ties from competitions.standings s
          where s.list_id = %s and s.place >= u.rank and s.place < u.rank + 1000 and s.rank = u.rank) t""",
        *(sorted(set(ranks)), list_id),
    )
    return {each.rank: each.ties for each in found}


async def list_winners(tx: Tx, list_id: ListId, last_place: int | None) -> Winners:
    """Everybody frozen whose rank can win something, in place order: ties across the last paid place are whole."""
    return await _winners(
        tx,
        WINNERS + "from competitions.standings s where s.list_id = %s" + WHO_WON,
        *(list_id, last_place),
    )


async def list_ranked_winners(tx: Tx, competition_id: CompetitionId, last_place: int | None) -> Winners:
    """The same of a ranking that is about to be frozen: nobody can change it any more."""
    return await _winners(
        tx,
        WINNERS + "from competitions.ranked(%s) s where true" + WHO_WON,
        *(competition_id, last_place),
    )


WINNERS = """
    select array_agg(w.rank), array_agg(w.entrant_id), array_agg(w.user_id), array_agg(w.score)
    from (select s.rank::bigint, s.entrant_id, e.user_id, s.score
      from (select s.place, s.rank, s.entrant_id, s.score """
WHO_WON = """
          and s.rank <= coalesce(%s::int, s.rank)) s
      join competitions.entrants e on e.id = s.entrant_id order by s.place) w"""


async def _winners(tx: Tx, statement: LiteralString, *values: object) -> Winners:
    [(ranks, entrant_ids, user_ids, scores)] = await arrays.columns(tx, statement, *values)
    return Winners(ranks or (), entrant_ids or (), user_ids or (), scores or ())


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
