"""What everybody may see of competitions, with the names that people chose to show."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from palio import identity, ledger
from palio.competitions import sql
from palio.competitions.errors import NoSuchCompetition, ResultsHidden, Warming
from palio.competitions.rules import lifecycle, prizes
from palio.competitions.service import pools, reads
from palio.competitions.types import (
    Board,
    Competition,
    CompetitionId,
    Entrant,
    EntrantId,
    Line,
    Shown,
    Some,
    Standing,
    Wanted,
)
from palio.infra.db import Tx
from palio.kernel.parts import Cut, Part
from palio.kernel.providers import After

PARTICIPANTS_MAX = 10  # of each competition in the archive; its standings have everybody
STRANGER = "Player"


async def listed(tx: Tx, *, wanted: Wanted, part: Part[UUID]) -> Cut[Line]:
    """A part of the competitions that are wanted, newest first; drafts are only for staff."""
    found, has_newer, has_older = part.cut(await sql.list_newest(tx, wanted, part.and_one))
    return Cut(await lines_many(tx, found), has_newer, has_older)


async def lines_many(tx: Tx, found: Sequence[Competition]) -> tuple[Line, ...]:
    """These competitions, at most 1,000, as a list shows them."""
    ids = [competition.id for competition in found]
    scales = {asset.code: asset.scale for asset in await ledger.assets(tx)}
    counts = await reads.counts_many(tx, ids)
    sums = await pools.pool_sums(tx, competition_ids=ids)
    archived = {each.competition_id: each for each in await sql.list_archived(tx, ids, PARTICIPANTS_MAX)}
    people = {EntrantId(int(str(row["entrant"]))) for each in archived.values() for row in each.participants}
    names = await names_of(tx, people=await reads.entrants_many(tx, list(people))) if people else {}
    return tuple(
        Line(
            *(each, scales[each.prize_asset], counts.get(each.id, 0), archived.get(each.id), names),
            pool=lifecycle.pool_of(each, sums[each.id].pool),
        )
        for each in found
    )


async def shown(
    tx: Tx,
    *,
    competition_id: CompetitionId,
    now: datetime,
    limit: int = 0,
    after: After = 0,
    is_staff: bool = False,
) -> Shown:
    """A competition with a part of the rows of its board. Staff also see drafts, hidden boards and results.

    Refuses with NoSuchCompetition.
    """
    competition = await reads.get(tx, competition_id=competition_id)
    if competition.status == "draft" and not is_staff:
        raise NoSuchCompetition(competition_id=str(competition_id))
    return await part_of(tx, competition=competition, now=now, limit=limit, after=after, is_staff=is_staff)


async def part_of(
    tx: Tx, *, competition: Competition, now: datetime, limit: int, after: After = 0, is_staff: bool = False
) -> Shown:
    """The same for whoever has read the header, and may see it. Refuses whoever goes on from a row with Warming while
    the ranking is loaded.
    """
    limit = limit if is_staff or not lifecycle.is_dark(competition, now) else 0
    try:
        board = await reads.board_of(tx, competition=competition, limit=limit, after=after, now=now)
    except Warming:
        if after:  # where a row stands by now that one would go on from is not known
            raise
        board = await reads.remembered(tx, competition=competition, limit=limit)
    return await with_board(tx, competition=competition, board=board, now=now, is_staff=is_staff)


async def outlined(tx: Tx, *, competition: Competition, now: datetime) -> Shown:
    """The same without its board, for as long as nobody's rank is known."""
    board = Board((), 0, 0, 0, is_provisional=True, is_warming=True)
    return await with_board(tx, competition=competition, board=board, now=now)


async def shown_of(tx: Tx, *, competition: Competition, some: Some, now: datetime, limit: int, after: After) -> Shown:
    """The same with the rows of some entrants only, by their place."""
    limit = 0 if lifecycle.is_dark(competition, now) else limit
    board = await reads.rows_of(tx, competition=competition, some=some, limit=limit, after=after)
    return await with_board(tx, competition=competition, board=board, now=now)


async def with_board(tx: Tx, *, competition: Competition, board: Board, now: datetime, is_staff: bool = False) -> Shown:
    """The same with rows that have been read."""
    sums = board.sums or (await pools.pool_sums(tx, competition_ids=[competition.id]))[competition.id]
    pool, rule = lifecycle.pool_of(competition, sums.pool), prizes.read(competition.prize_rule)
    return Shown(
        competition=competition,
        asset_scale=next(asset.scale for asset in await ledger.assets(tx) if asset.code == competition.prize_asset),
        board=_veiled(board) if lifecycle.is_hidden(competition) and not is_staff else board,
        names=await names_of(tx, people={row.standing.entrant_id: row.standing for row in board.rows}),
        prizes=prizes.announced(rule, pool=pool, empty_rule=competition.empty_rule),
        as_of=board.as_of or competition.frozen_at or now,
        pool=pool,
        sums=sums,
        rule=rule,
        is_dark=lifecycle.is_dark(competition, now) and not is_staff,
    )


def _veiled(board: Board) -> Board:
    """The same rows; what is worked out for them stays with the house."""
    if board.is_provisional:
        return board
    return replace(
        board, rows=tuple(replace(row, prize=0, reward_status=None, items=()) for row in board.rows), undistributed=0
    )


async def results(tx: Tx, *, competition_id: CompetitionId, now: datetime, limit: int, after: After = 0) -> Shown:
    """The same for whoever asks what was won. Refuses with NoSuchCompetition, ResultsHidden."""
    found = await shown(tx, competition_id=competition_id, now=now, limit=limit, after=after)
    if lifecycle.is_hidden(found.competition) or found.is_dark:
        raise ResultsHidden(status=found.competition.status)
    return found


async def names_of(tx: Tx, *, people: dict[EntrantId, Standing] | dict[EntrantId, Entrant]) -> dict[EntrantId, str]:
    """Users by the name they chose to show, the others by the spelling that their product gave."""
    somebody: Collection[Standing | Entrant] = list(people.values())
    users = [each.user_id for each in somebody if each.user_id]
    names = await identity.names(tx, ids=users) if users else {}
    return {
        each.entrant_id: (names.get(each.user_id) if each.user_id else None) or each.label or STRANGER
        for each in somebody
    }
