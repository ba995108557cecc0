"""Shapes that modules offer upward; `entry/wiring.py` holds the literal tuples of who offers what."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

Tx = TypeVar("Tx")

PERIOD_WORDS = ("today", "week", "weekend", "month", "all")  # beside the keys: D:2026-03-18, W:2026-W12, …


@dataclass(frozen=True, slots=True)
class BoardHead:
    """A board as a list of boards names it. Scores are integers, `scale` of their digits are decimals of `unit`."""

    code: str
    title: str
    metric: str
    scale: int
    unit: str | None
    periods: tuple[str, ...]  # of PERIOD_WORDS


@dataclass(frozen=True, slots=True)
class BoardPeriod:
    """A period of a board, `[starts_at, ends_at)`; ALL has neither. What is final does not change any more."""

    key: str
    starts_at: datetime | None
    ends_at: datetime | None
    is_final: bool


@dataclass(frozen=True, slots=True)
class BoardLine:
    """One line: strict place, shown rank, how many share it; `trend` is by how many ranks it rose within the hour.

    `entrant` names who stands there, for `around` and `ranks_many`; `name` is what everybody may read.
    """

    place: int
    rank: int
    entrant: str
    name: str
    score: int
    ties: int = 1
    trend: int | None = None


@dataclass(frozen=True, slots=True)
class BoardView:
    """Lines of a board as of an instant; `of` is how many stand on it, `version` changes with every change of a line.

    While the order is not known (`is_warming`) there are no lines, rather than wrong ones.
    """

    head: BoardHead
    period: BoardPeriod
    lines: tuple[BoardLine, ...]
    of: int
    version: int
    as_of: datetime | None
    is_stale: bool
    is_warming: bool = False


@dataclass(frozen=True, slots=True)
class BoardAsk:
    """Which board is asked for: its code, and a period by its key or as one of PERIOD_WORDS as of `now`."""

    code: str
    period: str
    now: datetime


@dataclass(frozen=True, slots=True)
class BoardSource(Generic[Tx]):
    """Boards that a module orders itself: all whose code begins with `prefix`, served like those of `competitions`.

    Every read but `heads` answers None for a board or a period that does not exist, `around` and `my_rank` also for
    somebody who does not stand there; `ranks_many` leaves them out.
    """

    prefix: str
    heads: Callable[[Tx], Awaitable[Sequence[BoardHead]]]
    top: Callable[[Tx, BoardAsk, int, int], Awaitable[BoardView | None]]  # behind which place, how many lines
    around: Callable[[Tx, BoardAsk, str, int], Awaitable[BoardView | None]]  # an entrant, lines on either side of him
    my_rank: Callable[[Tx, BoardAsk, UUID], Awaitable[BoardLine | None]]  # of a user
    ranks_many: Callable[[Tx, BoardAsk, Sequence[str]], Awaitable[Mapping[str, BoardLine] | None]]
