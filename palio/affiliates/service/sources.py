"""The boards of programmes in the form in which boards of all modules are served: `wager:<programme>`."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from palio.affiliates import sql
from palio.affiliates.errors import BadPeriodKey, NoSuchPeriod, NoSuchProgramme
from palio.affiliates.service import boards
from palio.affiliates.types import BoardRow, PeriodKind, PlayerId, ProgrammeStatus, Wanted
from palio.affiliates.types import BoardView as Board
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.providers import After, BoardAsk, BoardHead, BoardLine, BoardPeriod, BoardSource, BoardView

PREFIX = "wager:"
SCALE = 6
WORDS: Mapping[str, PeriodKind] = {"today": "D", "week": "W", "month": "M", "all": "ALL"}


async def heads(tx: Tx) -> Sequence[BoardHead]:
    """A board for each programme."""
    return [_head(programme) for programme in await boards.programmes(tx)]


def _head(programme: ProgrammeStatus) -> BoardHead:
    return BoardHead(PREFIX + programme.code, programme.name, "wagered", SCALE, programme.currency, tuple(WORDS))


async def _read(tx: Tx, ask: BoardAsk, after: After, limit: int) -> Board | None:
    """The board that is asked for, or None if there is none of that code or period."""
    wanted = _wanted(ask)
    if wanted is None:
        return None
    try:
        return await boards.leaderboard(tx, wanted=wanted, now=ask.now, after=after, limit=limit)
    except (NoSuchProgramme, NoSuchPeriod, BadPeriodKey):
        return None


def _wanted(ask: BoardAsk) -> Wanted | None:
    """What the code and the period mean here; of no word for a period that these boards do not have."""
    code = ask.code.removeprefix(PREFIX)
    kind = WORDS.get(ask.period)
    if kind:
        return Wanted(code, kind)
    return Wanted(code, key=ask.period) if ":" in ask.period or ask.period == "ALL" else None


def _view(board: Board) -> BoardView | None:
    if board.programme is None:
        return None
    period = board.period
    return BoardView(
        head=_head(board.programme),
        period=BoardPeriod(period.key, period.starts_at, period.ends_at, board.is_final),
        lines=tuple(map(_line, board.rows)),
        of=board.of,
        version=board.programme.seq,
        as_of=board.as_of,
        is_stale=board.is_stale,
        is_warming=board.is_warming,
        after=board.after,
    )


def _line(row: BoardRow) -> BoardLine:
    return BoardLine(
        *(row.place or 0, row.rank or 0, str(row.player_id), row.name, row.wagered_micro, row.ties),
        key=row.key,
        among=row.among,
    )


async def _top(tx: Tx, ask: BoardAsk, after: After, limit: int) -> BoardView | None:
    board = await _read(tx, ask, after, limit)
    return _view(board) if board else None


async def _around(tx: Tx, ask: BoardAsk, entrant: str, radius: int) -> BoardView | None:
    wanted, player_id = _wanted(ask), _player_of(entrant)
    if wanted is None or player_id is None:
        return None
    try:
        board = await boards.around(tx, wanted=wanted, player_id=player_id, radius=radius, now=ask.now)
    except (NoSuchProgramme, NoSuchPeriod, BadPeriodKey):
        return None
    return _view(board) if board and board.rows else None


async def _my_rank(tx: Tx, ask: BoardAsk, user_id: UUID) -> BoardLine | None:
    links = await sql.list_links(tx, [], [UserId(user_id)])
    found = await _ranks(tx, ask, [link.player_id for link in links])
    return next(iter(found.values()), None) if found else None


async def _ranks_many(tx: Tx, ask: BoardAsk, entrants: Sequence[str]) -> Mapping[str, BoardLine] | None:
    return await _ranks(tx, ask, [player_id for entrant in entrants if (player_id := _player_of(entrant))])


async def _ranks(tx: Tx, ask: BoardAsk, player_ids: Sequence[PlayerId]) -> Mapping[str, BoardLine] | None:
    wanted = _wanted(ask)
    if wanted is None:
        return None
    try:
        board = await boards.standings_of(tx, wanted=wanted, player_ids=player_ids, now=ask.now)
    except (NoSuchProgramme, NoSuchPeriod, BadPeriodKey):
        return None
    return {str(row.player_id): _line(row) for row in board.rows}


async def _of_users(tx: Tx, ask: BoardAsk, user_ids: Sequence[UserId], after: After, limit: int) -> BoardView | None:
    wanted, links = _wanted(ask), await sql.list_links(tx, [], user_ids)
    if wanted is None:
        return None
    players = [link.player_id for link in links]
    try:
        board = await boards.of_players(tx, wanted=wanted, player_ids=players, now=ask.now, after=after, limit=limit)
    except (NoSuchProgramme, NoSuchPeriod, BadPeriodKey):
        return None
    return _view(board)


def _player_of(entrant: str) -> PlayerId | None:
    try:
        return PlayerId(UUID(entrant))
    except ValueError:
        return None


WAGER_BOARDS: BoardSource[Tx] = BoardSource(PREFIX, heads, _top, _around, _my_rank, _ranks_many, _of_users)
