"""How ranks move: arrows on a board, and what is worth telling a player."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from palio.competitions.types import EntrantId, Mark

FIRST = 100  # of a list are kept by the hour
TOP = 3
RANK_MAX = 1_000  # below it, to have moved is no news


@dataclass(frozen=True, slots=True)
class Move:
    """A rank that somebody is to be told; None is below the line, or out."""

    entrant_id: EntrantId
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as news: the last rank that is paid (None: everybody above the line), how far, how often."""

    paid: int | None
    places: int
    rest: timedelta


def rose_by(now: int | None, earlier: int | None) -> int | None:
    """By how many ranks somebody rose; None where one of them is not known."""
    return None if now is None or earlier is None else earlier - now


def news(
    ranks: Mapping[EntrantId, int | None], marks: Iterable[Mark], limits: Limits, now: datetime
) -> tuple[list[Move], list[Mark]]:
    """What these entrants are to be told, and what they know of afterwards as far as that changes.

    Who is seen for the first time is told nothing. To reach or lose a prize is always told; to enter or leave the first
    three, or to have moved far since the last telling, only after a rest.
    """
    known = {mark.entrant_id: mark for mark in marks}
    moves: list[Move] = []
    after: list[Mark] = []
    for entrant_id, rank in ranks.items():
        mark = known.get(entrant_id)
        if mark is None:
            after.append(Mark(entrant_id, rank, None))
        elif _is_news(mark, rank, limits, now):
            moves.append(Move(entrant_id, mark.rank, rank))
            after.append(Mark(entrant_id, rank, now))
    return moves, after


def _is_news(mark: Mark, rank: int | None, limits: Limits, now: datetime) -> bool:
    if _is_within(mark.rank, limits.paid) != _is_within(rank, limits.paid):
        return True
    if mark.told_at and now - mark.told_at < limits.rest:
        return False
    has_moved = mark.rank is not None and rank is not None and abs(mark.rank - rank) >= limits.places
    return _is_within(mark.rank, TOP) != _is_within(rank, TOP) or (has_moved and rank is not None and rank <= RANK_MAX)


def _is_within(rank: int | None, last: int | None) -> bool:
    return rank is not None and (last is None or rank <= last)
