"""Boards of everybody and their lists, one for each period."""

from collections.abc import Sequence
from datetime import datetime

from palio.competitions.types import (
    BoardId,
    EntrantId,
    ListId,
    Moved,
    NewBoard,
    NewEntrant,
    NewList,
    PlaceOfList,
    ScoreBoard,
    ScoreList,
)
from palio.infra import arrays, db
from palio.infra.arrays import Int8s
from palio.infra.db import Tx
from palio.kernel.ids import UserId

BOARD = """
    select b.id, b.code, b.title, b.metric, b.unit, b.score_scale, b.op, b.direction, b.has_subscore, b.periods, b.tz,
      b.final_after_h, b.tie_rule from competitions.boards b where b.competition_id is null """
LIST = """
    select l.id, l.board_id, l.period_key, l.starts_at, l.ends_at, l.state, l.final_at, l.entrants
    from competitions.lists l """


async def upsert_board(tx: Tx, new: NewBoard) -> None:
    """A board of everybody; of one that exists only what may change."""
    await db.run(
        tx,
        """
        insert into competitions.boards as b (code, title, metric, unit, score_scale, op, direction, has_subscore,
          periods, tz, final_after_h, tie_rule)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s::text[], %s, %s, %s)
        on conflict (code) do update set title = excluded.title, metric = excluded.metric, unit = excluded.unit,
          final_after_h = excluded.final_after_h
        where (b.title, b.metric, b.unit, b.final_after_h)
          is distinct from (excluded.title, excluded.metric, excluded.unit, excluded.final_after_h)""",
        *(new.code, new.title, new.metric, new.unit, new.score_scale, new.op, new.direction, new.has_subscore),
        *(list(new.periods), new.tz, new.final_after_h, new.tie_rule),
    )


async def list_boards(tx: Tx, limit: int) -> list[ScoreBoard]:
    """Every board of everybody, in the order in which they were declared."""
    return await db.rows(tx, ScoreBoard, BOARD + "order by b.id limit %s", limit)


async def list_boards_of(tx: Tx, codes: Sequence[str]) -> list[ScoreBoard]:
    """The boards of these codes that exist."""
    return await db.rows(tx, ScoreBoard, BOARD + "and b.code = any(%s)", list(codes))


async def find_list(tx: Tx, board_id: BoardId, period_key: str) -> ScoreList | None:
    """The list of a period, if anybody has a score in it."""
    return await db.find(tx, ScoreList, LIST + "where l.board_id = %s and l.period_key = %s", board_id, period_key)


async def find_place_of_list(tx: Tx, list_id: ListId) -> PlaceOfList | None:
    """What a list is one of."""
    return await db.find(
        tx,
        PlaceOfList,
        """
        select b.code, l.period_key, b.competition_id
        from competitions.lists l join competitions.boards b on b.id = l.board_id where l.id = %s""",
        list_id,
    )


async def lock_lists(tx: Tx, wanted: Sequence[tuple[BoardId, str]]) -> list[ScoreList]:
    """The lists of these periods that exist, held in key order so that whoever makes them final waits for us."""
    return await db.rows(
        tx,
        ScoreList,
        """
        select l.id, l.board_id, l.period_key, l.starts_at, l.ends_at, l.state, l.final_at, l.entrants
        from competitions.lists l
        join (
          with wanted as materialized (
            select l.id from competitions.lists l
            join unnest(%s::bigint[], %s::text[]) u(board_id, period_key)
              on u.board_id = l.board_id and u.period_key = l.period_key)
          select w.id, pg_advisory_xact_lock_shared(hashtextextended('competitions.list|' || w.id, 0))
          from (select id from wanted order by id) w) t on t.id = l.id
        order by l.id for key share of l""",
        *([board_id for board_id, _ in wanted], [period_key for _, period_key in wanted]),
    )


async def insert_lists(tx: Tx, lists: Sequence[NewList]) -> None:
    """Lists of periods that have begun, where they are missing."""
    await db.run(
        tx,
        """
        insert into competitions.lists (board_id, period_key, starts_at, ends_at)
        select * from unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[])
          u(board_id, period_key, starts_at, ends_at)
        order by board_id, period_key on conflict (board_id, period_key) do nothing""",
        *([new.board_id for new in lists], [new.period.key for new in lists]),
        *([new.period.starts_at for new in lists], [new.period.ends_at for new in lists]),
    )


async def find_ended_list(tx: Tx, now: datetime) -> ListId | None:
    """A list of everybody that takes no scores any more and is not final, the earliest first."""
    found: ListId | None = await db.value(
        tx,
        """
        select l.id from competitions.lists l
        join competitions.boards b on b.id = l.board_id and b.competition_id is null
        where l.state = 'live' and l.ends_at + make_interval(hours => b.final_after_h) <= %s
        order by l.ends_at, l.id limit 1""",
        now,
    )
    return found


async def lock_live_list(tx: Tx, list_id: ListId) -> ScoreList | None:
    """A list that is not final, ours once submissions under way are in, and no later; None if somebody was faster.

    A row that many share is never free while new ones come; the turn is: whoever comes later waits behind us.
    """
    await db.run(tx, "select pg_advisory_xact_lock(hashtextextended('competitions.list|' || %s, 0))", list_id)
    return await db.find(tx, ScoreList, LIST + "where l.id = %s and l.state = 'live' for update of l", list_id)


async def list_open(tx: Tx, now: datetime, limit: int) -> list[ScoreList]:
    """The lists of everybody that have begun and still change."""
    return await db.rows(
        tx,
        ScoreList,
        LIST
        + """join competitions.boards b on b.id = l.board_id and b.competition_id is null
        where l.state = 'live' and coalesce(l.starts_at <= %s, true) order by l.id limit %s""",
        *(now, limit),
    )


async def insert_list_standings(tx: Tx, list_id: ListId) -> int:
    """Freeze the ranking of a list of everybody; answers how many stand in it."""
    return await db.run(
        tx,
        """
        insert into competitions.standings (list_id, place, rank, entrant_id, score, subscore, reached_at, qualified)
        select list_id, place, rank, entrant_id, score, subscore, reached_at, true
        from competitions.ranked_on(%s) order by place""",
        list_id,
    )


async def insert_board_entrants(tx: Tx, items: Sequence[NewEntrant]) -> None:
    """Those whom no list has met before, numbered in the order given."""
    await db.run(
        tx,
        """
        insert into competitions.entrants (kind, ref, user_id, label, country)
        select u.kind, u.ref, u.user_id, u.label, u.country
        from unnest(%s::text[], %s::text[], %s::uuid[], %s::text[], %s::text[]) with ordinality
          u(kind, ref, user_id, label, country, n)
        order by u.n on conflict (kind, ref) do nothing""",
        *([item.kind for item in items], [item.ref for item in items]),
        *([item.user_id for item in items], [item.label for item in items], [item.country for item in items]),
    )


async def list_of_users(tx: Tx, list_id: ListId, user_ids: Sequence[UserId]) -> list[EntrantId]:
    """As whom these users are ranked on a list."""
    found: list[EntrantId] = await db.column(
        tx,
        """
        select s.entrant_id from competitions.entrants e
        join competitions.scores s on s.list_id = %s and s.entrant_id = e.id and s.state = 'ranked'
        where e.user_id = any(%s) order by s.entrant_id""",
        *(list_id, list(user_ids)),
    )
    return found


async def get_scores_of(
    tx: Tx, list_id: ListId, entrant_ids: Sequence[EntrantId]
) -> tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int]]:
    """Those of some entrants who are ranked on a list, as columns: who, score, when it was reached, subscore."""
    [found] = await arrays.wholes(
        tx,
        """
        select coalesce(array_agg(entrant_id), '{}'), coalesce(array_agg(score), '{}'),
          coalesce(array_agg(reached_at), '{}'), coalesce(array_agg(subscore), '{}')
        from competitions.scores where list_id = %s and entrant_id = any(%s) and state = 'ranked'""",
        *(list_id, Int8s.of(entrant_ids)),
    )
    entrants, scores, reached, subscores = found
    return entrants, scores, reached, subscores


async def get_members(tx: Tx, country: str) -> Moved:
    """Everybody of a country, on whatever list."""
    [(horizon, moment, is_private, entrants)] = await arrays.wholes(
        tx,
        """
        select infra.tx_horizon(), infra.tx_moment(), exists (select from competitions.entrants
            where moved_tx = pg_current_xact_id_if_assigned()::text::bigint + infra.tx_offset()),
          coalesce(array_agg(id), '{}')
        from competitions.entrants where country = %s""",
        country,
    )
    return Moved(horizon, moment, is_private, entrants, ())


async def get_moved(tx: Tx, country: str, since: int, limit: int) -> Moved:
    """Who has come to a country or left it since a horizon; of more than `limit` only so many."""
    [found] = await arrays.wholes(tx, "select * from competitions.moved(%s, %s, %s)", country, since, limit)
    return Moved(*found)


async def list_of_country(tx: Tx, list_id: ListId, country: str, limit: int) -> list[EntrantId]:
    """Those of a country who are ranked on a list, the lowest numbers first."""
    found: list[EntrantId] = await db.column(
        tx,
        """
        select s.entrant_id from competitions.scores s
        join competitions.entrants e on e.id = s.entrant_id
        where s.list_id = %s and s.state = 'ranked' and e.country = %s order by s.entrant_id limit %s""",
        *(list_id, country, limit),
    )
    return found
