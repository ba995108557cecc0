"""What a player sees of himself at the programmes."""

from dataclasses import replace
from datetime import datetime

from palio.affiliates import sql
from palio.affiliates.service import boards
from palio.affiliates.types import PERIOD_KINDS, BoardRow, MyProgramme, PeriodKind, Player, ProgrammeStatus, Wanted
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def my_programmes(tx: Tx, *, user_id: UserId, now: datetime) -> list[MyProgramme]:
    """Every programme with what a user is there: his link or open request, his numbers, and where he stands."""
    return [await _mine(tx, status, user_id, now) for status in await boards.programmes(tx)]


async def _mine(tx: Tx, status: ProgrammeStatus, user_id: UserId, now: datetime) -> MyProgramme:
    link = await sql.find_link_of(tx, status.id, user_id)
    if link is None:
        return MyProgramme(status, None, await sql.find_open_request(tx, status.id, user_id), None)
    (player,) = await sql.list_players(tx, [link.player_id])
    return await _standing(tx, MyProgramme(status, link, None, player), player, now)


async def _standing(tx: Tx, mine: MyProgramme, player: Player, now: datetime) -> MyProgramme:
    ranks = list[tuple[PeriodKind, BoardRow]]()
    for kind in PERIOD_KINDS:
        wanted = Wanted(mine.status.code, kind)
        board = await boards.standings_of(tx, wanted=wanted, player_ids=[player.id], now=now)
        ranks += [(kind, row) for row in board.rows]
        if kind == "M" and board.as_of and not board.is_warming:
            mine = replace(
                mine, month_source=board.source, month_micro=board.rows[0].wagered_micro if board.rows else 0
            )
    return replace(mine, ranks=tuple(ranks))
