"""Ranks over time: the first hundred of each live list by the hour, and news for players whose rank has changed."""

from datetime import datetime, timedelta

from palio.competitions import sql
from palio.competitions.messages import RankChanged
from palio.competitions.rules import lifecycle, prizes, trends
from palio.competitions.service import rankings
from palio.competitions.types import RANK_MOVE_PLACES, RANK_NOTICE_H, Competition, EntrantId, RankTerms
from palio.infra import outbox, settings
from palio.infra.db import Tx

LISTS_MAX = 1_000
MARKS_MAX = 100_000
WATCHED_MAX = 10_000  # ranks of a list that are looked at, however many of them are paid
KEPT = timedelta(days=35)


async def take_snapshots(tx: Tx, *, now: datetime) -> int:
    """Keep the first hundred of each live list, and forget what nobody compares with any more; answers how many."""
    tops = {}
    for terms in [each.terms for each in await sql.list_live(tx, LISTS_MAX)] + await _open_lists(tx, now):
        ranking = (await rankings.live(tx, terms=terms)).ranking
        tops[terms.list_id] = [
            {"entrant": place.entrant, "rank": place.rank, "score": place.score}
            for place in ranking.page(0, min(trends.FIRST, ranking.qualified))
        ]
    if tops:
        await sql.insert_snapshots(tx, tops, now)
    await sql.delete_snapshots(tx, now - KEPT)
    await sql.delete_marks(tx)
    return len(tops)


async def _open_lists(tx: Tx, now: datetime) -> list[RankTerms]:
    """The lists of boards of everybody that still change."""
    boards = {board.id: board for board in await sql.list_boards(tx, LISTS_MAX)}
    return [boards[each.board_id].terms(each.id) for each in await sql.list_open(tx, now, LISTS_MAX)]


async def watch(tx: Tx, *, now: datetime) -> int:
    """Tell of ranks that have changed enough to be news, in every live competition that does so; answers how many.

    While a board is hidden its ranks are told nobody.
    """
    live = await sql.list_live(tx, LISTS_MAX, with_rank_events=True)
    return sum([await _watch(tx, each, now) for each in live if not lifecycle.is_dark(each, now)])


async def _watch(tx: Tx, competition: Competition, now: datetime) -> int:
    marks = await sql.list_marks(tx, competition.list_id, MARKS_MAX)
    paid = prizes.places_of(prizes.read(competition.prize_rule))
    ranking = (await rankings.live(tx, terms=competition.terms)).ranking
    depth = min(max(trends.RANK_MAX, paid or ranking.qualified), WATCHED_MAX, ranking.qualified)
    ranks: dict[EntrantId, int | None] = {mark.entrant_id: None for mark in marks}
    known = ranking.places_many(list(ranks)).values()
    for place in (*ranking.page(0, depth), *known):
        ranks[EntrantId(place.entrant)] = place.rank if place.place <= ranking.qualified else None
    people = {each.entrant_id: each for each in await sql.list_entrants(tx, list(ranks)) if each.user_id}
    limits = trends.Limits(paid, settings.value(RANK_MOVE_PLACES), timedelta(hours=settings.value(RANK_NOTICE_H)))
    moves, after = trends.news({entrant: ranks[entrant] for entrant in people}, marks, limits, now)
    if after:
        await sql.upsert_marks(tx, competition.list_id, after, now)
    await outbox.send(
        tx,
        *(
            RankChanged(
                competition=competition.id,
                product=competition.product,
                subject_ref=competition.subject_ref,
                entrant=move.entrant_id,
                user=user_id,
                before=move.before,
                after=move.after,
            )
            for move in moves
            if (user_id := people[move.entrant_id].user_id)
        ),
    )
    return len(moves)
