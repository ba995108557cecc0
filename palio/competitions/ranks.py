"""Who stands where among very many: an order of entrants in memory that answers in logarithmic time.

A sorted base of aligned arrays, 32 bytes an entrant (40 with a subscore), and beside it a small delta: places of the
base that no longer count, and entrants who count instead. A reader takes one reference to both and never waits; a
change makes a new delta and, when that has grown, a new base.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from palio.competitions.types import Direction, TieRule
from palio.kernel.providers import After, RowKey

Whole: TypeAlias = npt.NDArray[np.int64]
Numbers: TypeAlias = Sequence[int] | Whole
DELTA_MIN = 10_000
DELTA_PART = 100  # or this part of the base, where that is more
NOTHING = np.empty(0, np.int64)


class Place(NamedTuple):
    """Where an entrant stands: strict place from 1, shown rank, score as submitted, how many share the rank."""

    place: int
    rank: int
    entrant: int
    score: int
    ties: int
    subscore: int = 0
    reached_at_us: int = 0

    @property
    def key(self) -> RowKey:
        """What orders it."""
        return self.score, self.subscore, self.reached_at_us, self.entrant


_as_place = partial(tuple.__new__, Place)  # of a whole row, which is half the price of naming its parts


@dataclass(frozen=True, slots=True)
class _Keys:
    """Entrants in ranking order: score with its sign, subscore where there is one, time reached, number."""

    columns: tuple[Whole, ...]
    by_entrant: Whole  # the positions in order of the entrants' numbers

    @classmethod
    def of(cls, columns: Sequence[Whole]) -> "_Keys":
        """Keys that are in order already."""
        return cls(tuple(columns), np.argsort(columns[-1]))

    def __len__(self) -> int:
        return len(self.columns[0])

    def taken(self, positions: Whole) -> list[Whole]:
        """The columns of these positions."""
        return [column[positions] for column in self.columns]

    def where(self, entrants: Whole) -> tuple[Whole, npt.NDArray[np.bool_]]:
        """The position of each of these entrants, and whether he is here at all."""
        numbers = self.columns[-1]
        if not len(numbers):
            return np.zeros(len(entrants), np.int64), np.zeros(len(entrants), np.bool_)
        found = numbers.searchsorted(entrants, sorter=self.by_entrant)
        positions = self.by_entrant[np.minimum(found, len(numbers) - 1)]
        return positions, numbers[positions] == entrants

    def before(self, wanted: Sequence[Whole], *, or_equal: bool = False) -> Whole:
        """How many keys come before each wanted one, or come not after it; fewer columns than ours are a prefix."""
        if len(wanted) == 1:
            return self.columns[0].searchsorted(wanted[0], "right" if or_equal else "left")
        low = self.columns[0].searchsorted(wanted[0], "left")
        high = self.columns[0].searchsorted(wanted[0], "right")
        while (is_open := low < high).any():
            middle = (low + high) // 2
            comes_before = self._comes_before(np.minimum(middle, len(self) - 1), wanted, or_equal=or_equal)
            low = np.where(is_open & comes_before, middle + 1, low)
            high = np.where(is_open & ~comes_before, middle, high)
        return low

    def _comes_before(self, positions: Whole, wanted: Sequence[Whole], *, or_equal: bool) -> npt.NDArray[np.bool_]:
        found = np.full(len(positions), or_equal)
        for column, value in zip(reversed(self.columns[: len(wanted)]), reversed(wanted), strict=True):
            here = column[positions]
            found = np.where(here == value, found, here < value)
        return found


def _in_order(columns: Sequence[Whole]) -> list[Whole]:
    """The columns sorted; only what is tied by score needs more than one look."""
    order = np.argsort(columns[0])
    sorted_scores = columns[0][order]
    same = sorted_scores[1:] == sorted_scores[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    if len(tied):
        among = order[tied]
        order[tied] = among[np.lexsort([column[among] for column in reversed(columns)])]
    return [column[order] for column in columns]


class _State:
    """One instant of the order. Never changed: a reader that holds it sees one truth."""

    __slots__ = ("added", "added_at", "added_places", "base", "removed", "removed_kept", "size")

    def __init__(self, base: _Keys, removed: Whole, added: _Keys) -> None:
        self.base = base
        self.removed = removed  # positions of the base that do not count, in order
        self.added = added
        self.removed_kept = removed - np.arange(len(removed))  # how many of the base count before each of them
        self.added_at = base.before(added.columns)  # the position of the base that each comes before
        self.added_places = self.kept_before(self.added_at) + np.arange(len(added))
        self.size = len(base) - len(removed) + len(added)

    def kept_before(self, positions: Whole) -> Whole:
        """How many of the base before these positions count."""
        return positions - self.removed.searchsorted(positions) if len(self.removed) else positions

    def at(self, places: Whole) -> list[Whole]:
        """The columns of these places, counted from 0."""
        if not self.delta:
            return self.base.taken(places)
        added_before = self.added_places.searchsorted(places)
        is_added = self.added_places.searchsorted(places, "right") > added_before
        kept = places - added_before
        positions = kept + self.removed_kept.searchsorted(kept, "right")
        columns = [np.empty(len(places), np.int64) for _ in self.base.columns]
        for column, of_base, of_added in zip(columns, self.base.columns, self.added.columns, strict=True):
            column[is_added] = of_added[added_before[is_added]]
            column[~is_added] = of_base[positions[~is_added]]
        return columns

    def places_of(self, entrants: Whole) -> tuple[Whole, npt.NDArray[np.bool_]]:
        """The place of each of these entrants, counted from 0, and whether he has one."""
        position, is_known = self.base.where(entrants)
        if not self.delta:
            return position, is_known
        gone = self.removed.searchsorted(position, "right") > self.removed.searchsorted(position)
        places = self.kept_before(position) + self.added_at.searchsorted(position, "right")
        index, is_added = self.added.where(entrants)
        places[is_added] = self.added_places[index[is_added]]
        return places, is_added | (is_known & ~gone)

    def before(self, wanted: Sequence[Whole], *, or_equal: bool) -> Whole:
        """How many come before each of these keys, or come not after it."""
        in_base = self.base.before(wanted, or_equal=or_equal)
        if not self.delta:
            return in_base
        return self.kept_before(in_base) + self.added.before(wanted, or_equal=or_equal)

    def changed(self, entrants: Whole, columns: Sequence[Whole], present: npt.NDArray[np.bool_]) -> "_State":
        """The order in which these entrants, each named once, have these keys or are not there."""
        position, is_known = self.base.where(entrants)
        is_same = present & is_known
        is_same[is_known] &= np.logical_and.reduce(
            [
                ours[position[is_known]] == theirs[is_known]
                for ours, theirs in zip(self.base.columns, columns, strict=True)
            ]
        )
        back = position[is_same]  # they stand where the base has them
        removed = np.setdiff1d(np.union1d(self.removed, position[is_known]), back, assume_unique=True)
        index, is_added = self.added.where(entrants)
        rest = [np.delete(column, index[is_added]) for column in self.added.columns]
        fresh = _in_order([column[present & ~is_same] for column in columns])
        return _State(self.base, removed, _Keys.of(_merged(rest, fresh)))

    def merged(self) -> "_State":
        """The same order without a delta. Nothing is sorted anew, neither places nor numbers."""
        base, added = self.base, self.added
        is_kept = np.ones(len(base), np.bool_)
        is_kept[self.removed] = False
        at = self.kept_before(self.added_at)
        columns = [
            np.insert(of_base[is_kept], at, of_added)
            for of_base, of_added in zip(base.columns, added.columns, strict=True)
        ]
        kept = base.by_entrant[is_kept[base.by_entrant]]
        before = np.cumsum(is_kept) - 1  # how many of the base count before each of them
        before += np.cumsum(np.bincount(at, minlength=len(base) + 1))[before]  # and of those who are added
        others = added.by_entrant
        where = base.columns[-1][kept].searchsorted(added.columns[-1][others])
        by_entrant = np.insert(before[kept], where, (at + np.arange(len(added)))[others])
        nobody = _Keys((NOTHING,) * len(columns), NOTHING)
        return _State(_Keys(tuple(columns), by_entrant), NOTHING, nobody)

    @property
    def delta(self) -> int:
        """How much is to be read beside the base."""
        return len(self.removed) + len(self.added)


def _merged(columns: Sequence[Whole], others: Sequence[Whole]) -> list[Whole]:
    at = _Keys(tuple(columns), NOTHING).before(others)
    return [np.insert(column, at, other) for column, other in zip(columns, others, strict=True)]


def _settled(columns: Sequence[Whole]) -> _State:
    """An order without a delta, of columns that are in order."""
    nobody = _Keys((NOTHING,) * len(columns), NOTHING)
    return _State(_Keys.of(columns), NOTHING, nobody)


class RankIndex:
    """An order of entrants by score, subscore (less is better), time reached (earlier is better) and number.

    `ties` says whether entrants of equal score and subscore share a rank (1, 2, 2, 4) or stand by the time. Numbers and
    scores are whole, at most 9 * 10**15 either way; times are microseconds since 1970. One thread at a time changes it;
    any number of threads read it meanwhile. A delta larger than `delta_min` and than a hundredth of the base is merged
    into it by the change that makes it so.
    """

    def __init__(
        self,
        *,
        direction: Direction = "desc",
        ties: TieRule = "share",
        has_subscore: bool = False,
        delta_min: int = DELTA_MIN,
    ) -> None:
        self._sign = -1 if direction == "desc" else 1
        self._has_shared_ranks = ties == "share"
        self._has_subscore = has_subscore
        self._delta_min = delta_min
        self._state = _settled((NOTHING,) * (4 if has_subscore else 3))

    @classmethod
    def load(
        cls,
        entrants: Numbers,
        scores: Numbers,
        reached_at_us: Numbers,
        subscores: Numbers | None = None,
        *,
        direction: Direction = "desc",
        ties: TieRule = "share",
        delta_min: int = DELTA_MIN,
    ) -> "RankIndex":
        """The order of these entrants, each named once."""
        index = cls(direction=direction, ties=ties, has_subscore=subscores is not None, delta_min=delta_min)
        index._state = _settled(_in_order(index._columns(entrants, scores, reached_at_us, subscores)))
        return index

    def __len__(self) -> int:
        return self._state.size

    def apply(
        self,
        entrants: Numbers,
        scores: Numbers,
        reached_at_us: Numbers,
        present: Sequence[bool] | npt.NDArray[np.bool_],
        subscores: Numbers | None = None,
        *,
        merges: bool = True,
    ) -> None:
        """Set what these entrants have now, or take those out who are not `present`.

        Of somebody named twice the last counts. To set what is set already changes nothing. Without `merges` the delta
        is left to grow, until somebody has the time for `merge`.
        """
        columns = self._columns(entrants, scores, reached_at_us, subscores)
        numbers, last = np.unique(columns[-1][::-1], return_index=True)
        last = len(columns[-1]) - 1 - last
        is_present = np.asarray(present, np.bool_)[last]
        self._state = self._state.changed(numbers, [column[last] for column in columns], is_present)
        if merges and self.is_due:
            self.merge()

    @property
    def is_due(self) -> bool:
        """Has the delta grown so much that it should be merged?"""
        return self._state.delta > max(self._delta_min, len(self._state.base) // DELTA_PART)

    def merge(self) -> None:
        """Take the delta into the base; nobody may change the order meanwhile, but everybody can read it."""
        self._state = self._state.merged()

    def count(self, key: RowKey, *, or_equal: bool) -> int:
        """How many come before this key, or come not after it, whether somebody has it or not."""
        score, subscore, reached_at_us, entrant = key
        wanted = self._columns([entrant], [score], [reached_at_us], [subscore] if self._has_subscore else None)
        return int(self._state.before(wanted, or_equal=or_equal)[0])

    def span(self, after: After, limit: int) -> tuple[int, int]:
        """Behind which place a part lies now, and how many places it has at most."""
        if isinstance(after, int):
            return after, limit
        return after.span(self.count(after.key, or_equal=not after.is_back), limit)

    def page(self, after: int, limit: int) -> list[Place]:
        """At most `limit` places from `after + 1` on."""
        state = self._state
        return self._read(state, np.arange(after, max(after, min(after + limit, state.size)), dtype=np.int64))

    def rank_of(self, entrant: int) -> Place | None:
        """Where somebody stands; None for who is not here."""
        return self.places_many([entrant]).get(entrant)

    def around(self, entrant: int, radius: int) -> list[Place]:
        """Somebody and at most `radius` on either side of him, by place; nobody for who is not here."""
        return self.around_many([entrant], radius)[0]

    def around_many(self, entrants: Numbers, radius: int) -> list[list[Place]]:
        """The same for each of these, in their order and at one instant: many cost little more than one."""
        state = self._state
        places, is_here = state.places_of(np.asarray(entrants, np.int64))
        first = np.maximum(places - radius, 0)
        counts = np.where(is_here, np.minimum(places + radius + 1, state.size) - first, 0)
        ends = counts.cumsum()
        begins = ends - counts
        found = self._read(state, np.arange(counts.sum()) + np.repeat(first - begins, counts))
        return [found[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]

    def places_many(self, entrants: Numbers) -> dict[int, Place]:
        """Where each of these stands; those who are not here are missing."""
        state = self._state
        places, is_here = state.places_of(np.asarray(entrants, np.int64))
        return {place.entrant: place for place in self._read(state, places[is_here])}

    def _columns(
        self, entrants: Numbers, scores: Numbers, reached_at_us: Numbers, subscores: Numbers | None
    ) -> list[Whole]:
        if (subscores is not None) != self._has_subscore:
            raise ValueError("an order has subscores for everybody or for nobody")
        columns = (
            [scores, reached_at_us, entrants] if subscores is None else [scores, subscores, reached_at_us, entrants]
        )
        signed, *others = (np.ascontiguousarray(column, np.int64) for column in columns)
        return [signed * self._sign, *others]

    def _read(self, state: _State, places: Whole) -> list[Place]:
        columns = state.at(places)
        scores, entrants = columns[0] * self._sign, columns[-1]
        ranks, ties = places + 1, np.ones_like(places)
        if self._has_shared_ranks:
            better = state.before(columns[:-2], or_equal=False)
            ranks, ties = better + 1, state.before(columns[:-2], or_equal=True) - better
        subscores = columns[1] if self._has_subscore else np.zeros_like(places)
        found = (places + 1, ranks, entrants, scores, ties, subscores, columns[-2])
        return list(map(_as_place, zip(*(column.tolist() for column in found), strict=True)))


def among(order: "RankIndex | Ranking", places: Sequence[Place], after: After, limit: int) -> tuple[int, int]:
    """Behind how many of some places in their order a part of these lies, and how many of them it has at most."""
    if isinstance(after, int):
        return after, limit
    passed = order.count(after.key, or_equal=not after.is_back)
    return after.span(bisect_right(places, passed, key=lambda place: place.place), limit)


class Ranking:
    """Two orders, one below the other: who has at least the score that counts, and everybody else, who has no rank.

    Places go through; a place is above the line when it is at most `qualified`.
    """

    def __init__(self, above: RankIndex, below: RankIndex, least: int) -> None:
        self._above, self._below, self._least = above, below, least

    @classmethod
    def load(
        cls,
        entrants: Numbers,
        scores: Numbers,
        reached_at_us: Numbers,
        subscores: Numbers | None,
        *,
        least: int,
        direction: Direction = "desc",
        ties: TieRule = "share",
    ) -> "Ranking":
        """The order of these entrants, each named once; `least` is the lowest score that counts."""
        given = (entrants, scores, reached_at_us, *(() if subscores is None else (subscores,)))
        columns = [np.asarray(column, np.int64) for column in given]
        counts = columns[1] >= least
        if counts.all():  # as on every list without a line: nothing is copied
            nobody = RankIndex(direction=direction, ties="earliest", has_subscore=subscores is not None)
            return cls(RankIndex.load(*columns, direction=direction, ties=ties), nobody, least)
        above = RankIndex.load(*(column[counts] for column in columns), direction=direction, ties=ties)
        below = RankIndex.load(*(column[~counts] for column in columns), direction=direction, ties="earliest")
        return cls(above, below, least)

    def __len__(self) -> int:
        return len(self._above) + len(self._below)

    @property
    def qualified(self) -> int:
        """How many stand above the line."""
        return len(self._above)

    def apply(
        self,
        entrants: Numbers,
        scores: Numbers,
        reached_at_us: Numbers,
        subscores: Numbers | None,
        present: Numbers,
    ) -> None:
        """Set what these entrants have now, or take those out whose `present` is 0; each of them is named once."""
        is_present, counts = np.asarray(present, np.bool_), np.asarray(scores, np.int64) >= self._least
        if not len(self._below) and counts.all():  # as on every list without a line
            self._above.apply(entrants, scores, reached_at_us, is_present, subscores, merges=False)
            return
        self._above.apply(entrants, scores, reached_at_us, is_present & counts, subscores, merges=False)
        self._below.apply(entrants, scores, reached_at_us, is_present & ~counts, subscores, merges=False)

    @property
    def is_due(self) -> bool:
        """Have changes grown so many that they should be merged?"""
        return self._above.is_due or self._below.is_due

    def merge(self) -> None:
        """Take what has changed into both orders; nobody may change them meanwhile, but everybody can read them."""
        self._above.merge()
        self._below.merge()

    def span(self, after: After, limit: int) -> tuple[int, int]:
        """Behind which place a part lies now, and how many places it has at most."""
        if isinstance(after, int):
            return after, limit
        return after.span(self.count(after.key, or_equal=not after.is_back), limit)

    def count(self, key: RowKey, *, or_equal: bool) -> int:
        """How many come before this key, or come not after it, whether somebody has it or not."""
        if key[0] >= self._least:
            return self._above.count(key, or_equal=or_equal)
        return self.qualified + self._below.count(key, or_equal=or_equal)

    def page(self, after: int, limit: int) -> list[Place]:
        """At most `limit` places from `after + 1` on."""
        above = self._above.page(after, limit)
        return above + self._lower(self._below.page(max(0, after - self.qualified), limit - len(above)))

    def around_many(self, entrants: Numbers, radius: int) -> list[list[Place]]:
        """Each of these and at most `radius` on either side of him, by place; nobody for who is not here."""
        if not len(self._below):  # as on every list without a line
            return self._above.around_many(entrants, radius)
        found = self.places_many(entrants)
        return [
            self.page(max(0, found[entrant].place - 1 - radius), min(radius, found[entrant].place - 1) + 1 + radius)
            if entrant in found
            else []
            for entrant in np.asarray(entrants, np.int64).tolist()
        ]

    def place_of(self, entrant: int) -> Place | None:
        """Where somebody stands; None for who is not here."""
        return self.places_many([entrant]).get(entrant)

    def places_many(self, entrants: Numbers) -> dict[int, Place]:
        """Where each of these stands; those who are not here are missing."""
        below = self._lower(list(self._below.places_many(entrants).values()))
        return self._above.places_many(entrants) | {place.entrant: place for place in below}

    def _lower(self, places: list[Place]) -> list[Place]:
        above = self.qualified
        return [place._replace(place=place.place + above, rank=place.rank + above) for place in places]
