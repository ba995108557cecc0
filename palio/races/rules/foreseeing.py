"""What an act of staff would move on a board, before anybody does it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from palio.affiliates.types import PlayerId
from palio.competitions.types import BoardRow
from palio.races.rules import totals


class Standing(NamedTuple):
    """One player on a board: total in micro-units, rank (None below the line) and prize."""

    player_id: PlayerId
    total_micro: int
    rank: int | None
    prize: int


class Seat(NamedTuple):
    """Where a player would stand."""

    player_id: PlayerId
    total_micro: int
    rank: int | None


class Moved(NamedTuple):
    """A player before and after."""

    player_id: PlayerId
    before: Standing
    after: Standing


def standing_of(row: BoardRow) -> Standing:
    """A line of a board, to be compared with what becomes of it."""
    return Standing(PlayerId(UUID(row.standing.ref)), row.standing.score, row.standing.rank, row.prize)


def changed(board: Sequence[Standing], player_id: PlayerId, amount_micro: int | None, *, least: int) -> list[Seat]:
    """The board in its new order, if so much were added to a player's total, or, with None, if he were taken out.

    Of equal totals his comes last, since he reaches it now. Whoever was on no board begins with nothing.
    """
    order = [(found.player_id, found.total_micro) for found in board if found.player_id != player_id]
    if amount_micro is not None:
        held = next((found.total_micro for found in board if found.player_id == player_id), 0)
        order.append((player_id, held + amount_micro))
    order.sort(key=lambda seat: (not 0 < seat[1] >= least, -seat[1]))  # stable: who reached it first stays in front
    ranks = totals.ranks_of([total for _, total in order], least)
    return [Seat(found, total, rank) for (found, total), rank in zip(order, ranks, strict=True)]


def moves(before: Sequence[Standing], after: Sequence[Seat], prizes: Mapping[int, int]) -> list[Moved]:
    """Everybody whose total, rank or prize changes, in the new order; `prizes` are those of the new places."""
    return between(
        before,
        [
            Standing(seat.player_id, seat.total_micro, seat.rank, prizes.get(place, 0) if seat.rank else 0)
            for place, seat in enumerate(after, 1)
        ],
    )


def between(before: Sequence[Standing], after: Sequence[Standing]) -> list[Moved]:
    """Everybody who stands differently on two boards, in the order of the later one; at its end who left it."""
    was, now = ({found.player_id: found for found in board} for board in (before, after))
    both = [*now, *(found for found in was if found not in now)]
    pairs = [Moved(found, _of(was, found), _of(now, found)) for found in both]
    return [pair for pair in pairs if pair.before != pair.after]


def _of(board: Mapping[PlayerId, Standing], player_id: PlayerId) -> Standing:
    return board.get(player_id) or Standing(player_id, 0, None, 0)
