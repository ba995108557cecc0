"""Where somebody stands in a competition: his own rank, who is around him, his friends, his receipts."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from palio import identity, ledger
from palio.competitions import sql
from palio.competitions.errors import BoardHidden, NotTakingPart, Warming
from palio.competitions.rules import lifecycle, prizes
from palio.competitions.service import reads, showing
from palio.competitions.types import (
    Board,
    Competition,
    CompetitionId,
    Country,
    EntrantId,
    MyRank,
    Nearby,
    Own,
    PrizeReceipt,
    RankPoint,
    Receipt,
    Reward,
    Shown,
)
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import Part
from palio.kernel.providers import After
from palio.ledger.types import TransferId

BESIDE = 1  # how many stand on either side of somebody who looks for himself
POINTS_MAX = 1_000


async def my_rank(tx: Tx, *, competition_id: CompetitionId, user_id: UserId, now: datetime) -> MyRank:
    """Where a user stands in the ranking, and what he lacks to the next rank and to the line.

    Refuses with NoSuchCompetition, BoardHidden, NotTakingPart, Warming.
    """
    competition = await _lit(tx, competition_id, now)
    return _rank(competition, await _nearby(tx, competition, user_id, 0, now), now)


def _rank(competition: Competition, found: Nearby, now: datetime) -> MyRank:
    board, row, ahead = found
    return MyRank(
        row=row,
        of=board.entrants,
        qualified=board.qualified,
        next_rank=ahead.rank if ahead else None,
        gap=abs(ahead.score - row.standing.score) if ahead else None,
        gap_to_qualify=max(0, competition.least_score - row.standing.score),
        as_of=competition.frozen_at or now,
        version=board.version or competition.version,
    )


async def around(tx: Tx, *, competition_id: CompetitionId, user_id: UserId, radius: int, now: datetime) -> Shown:
    """The rows around a user; while the ranking is loaded his own, without a rank.

    Refuses with NoSuchCompetition, BoardHidden, NotTakingPart.
    """
    competition = await _lit(tx, competition_id, now)
    try:
        board = (await _nearby(tx, competition, user_id, radius, now)).board
    except Warming:
        board = await _alone(tx, competition, user_id)
    return await showing.with_board(tx, competition=competition, board=board, now=now)


async def _alone(tx: Tx, competition: Competition, user_id: UserId) -> Board:
    entrant_id = await _entrant_of(tx, competition, user_id)
    board = await reads.rows_of(tx, competition=competition, some=[entrant_id], limit=1)
    if not board.rows:
        raise NotTakingPart(competition_id=str(competition.id))
    return replace(board, rows=(replace(board.rows[0], among=None),))


async def of_country(
    tx: Tx, *, competition: Competition, country: str, now: datetime, limit: int, after: After
) -> Shown:
    """The rows of those of a country by place; once the ranking is frozen, of at most 100,000."""
    some = Country(country)
    return await showing.shown_of(tx, competition=competition, some=some, now=now, limit=limit, after=after)


async def of_friends(
    tx: Tx, *, competition: Competition, user_id: UserId, now: datetime, limit: int, after: After
) -> Shown:
    """The rows of a user and his friends, by place."""
    users = [user_id, *await identity.friends(tx, user_id=user_id)]
    entrants = await sql.list_of_users(tx, competition.list_id, users)
    return await showing.shown_of(tx, competition=competition, some=entrants, now=now, limit=limit, after=after)


async def receipts(
    tx: Tx, *, competition_id: CompetitionId, user_id: UserId, part: Part[int]
) -> tuple[Competition, list[Receipt]]:
    """A part of the changes of a user's score, the newest first; they are numbered from the oldest on.

    Refuses with NoSuchCompetition, NotTakingPart.
    """
    competition = await reads.public(tx, competition_id=competition_id)
    entrant_id = await _entrant_of(tx, competition, user_id)
    return competition, await sql.list_own_receipts(tx, competition.list_id, entrant_id, part)


async def find_own(tx: Tx, *, competition: Competition, user_id: UserId, now: datetime) -> Own | None:
    """Where a user stands, and who is just above and below him; None for whoever has no score there, and in the dark.

    Refuses with Warming.
    """
    if lifecycle.is_dark(competition, now):
        return None
    try:
        found = await _nearby(tx, competition, user_id, BESIDE, now)
    except NotTakingPart:
        return None
    near = await showing.with_board(tx, competition=competition, board=found.board, now=now)
    return Own(_rank(competition, found, now), near)


async def rank_history(tx: Tx, *, competition_id: CompetitionId, user_id: UserId, limit: int) -> list[RankPoint]:
    """Where a user stood by the hour, the newest first, at most 1,000, as far as he was among the first hundred.

    Refuses with NoSuchCompetition, NotTakingPart.
    """
    competition = await reads.public(tx, competition_id=competition_id)
    entrant_id = await _entrant_of(tx, competition, user_id)
    return await sql.list_history(tx, competition.list_id, entrant_id, min(limit, POINTS_MAX))


async def won(tx: Tx, *, competition_id: CompetitionId, user_id: UserId) -> PrizeReceipt | None:
    """The prize of a user, as `won_by`, once everybody may know it. Refuses with NoSuchCompetition, NotTakingPart."""
    competition = await reads.public(tx, competition_id=competition_id)
    entrant_id = await _entrant_of(tx, competition, user_id)
    if lifecycle.is_hidden(competition):
        return None
    return await won_by(tx, competition_id=competition_id, entrant_id=entrant_id, user_id=user_id)


async def won_by(
    tx: Tx, *, competition_id: CompetitionId, entrant_id: EntrantId, user_id: UserId
) -> PrizeReceipt | None:
    """The prize of an entrant with its arithmetic, and the line that it made in the wallet of this user.

    None before the freeze, and for whoever won nothing.
    """
    reward = await sql.find_reward(tx, competition_id, entrant_id)
    if reward is None:
        return None
    is_mine = reward.transfer_id is not None and reward.user_id == user_id
    return prizes.won(reward, wallet_seq=await _line_of(tx, user_id, reward) if is_mine else None)


async def _line_of(tx: Tx, user_id: UserId, reward: Reward) -> int | None:
    """The line of his wallet that the prize made; None if another wallet has it."""
    try:
        receipts = await ledger.receipts_of(tx, owner_id=user_id, transfer_id=TransferId(UUID(str(reward.transfer_id))))
    except ledger.NoSuchEntry:
        return None
    return receipts[0].line.seq


async def _lit(tx: Tx, competition_id: CompetitionId, now: datetime) -> Competition:
    competition = await reads.public(tx, competition_id=competition_id)
    if lifecycle.is_dark(competition, now):
        raise BoardHidden(blackout_s=competition.blackout_s)
    return competition


async def _nearby(tx: Tx, competition: Competition, user_id: UserId, radius: int, now: datetime) -> Nearby:
    entrant_id = await _entrant_of(tx, competition, user_id)
    found = await reads.nearby(tx, competition=competition, entrant_id=entrant_id, radius=radius, now=now)
    if found is None:
        raise NotTakingPart(competition_id=str(competition.id))
    return found


async def _entrant_of(tx: Tx, competition: Competition, user_id: UserId) -> EntrantId:
    entered = await reads.entered_by(tx, user_id=user_id, competition_ids=[competition.id])
    if competition.id not in entered:
        raise NotTakingPart(competition_id=str(competition.id))
    return entered[competition.id]
