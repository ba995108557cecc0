"""Who stands where among very many: an order of entrants in memory that answers in logarithmic time.

A sorted base of aligned arrays, 32 bytes an entrant (40 with a subscore), and beside it a small delta: places of the
base that no longer count, and entrants who count instead. A reader takes one reference to both and never waits; a
change makes a new delta and, when that has grown, a new base.

Of some of them only (`Members`, as those of a country) there are the positions in the base, 8 bytes each, kept as long
as the base is: a part of their order costs what one of the whole costs, however many they are.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from palio.competitions.types import Direction, TieRule
from palio.kernel.providers import After, RowKey

Whole: TypeAlias = npt.NDArray[np.int64]
Numbers: TypeAlias = Sequence[int] | Whole
DELTA_MIN = 10_000
DELTA_PART = 100  # or this part of the base, where that is more
FEW = 64  # keys that are looked for one by one where many are tied
MANY = 20_000  # members whose positions are looked for apart: some milliseconds
MOVES_MAX = 10_000  # members of whom is remembered that they came or left
NOTHING = np.empty(0, np.int64)
PLAIN, WITH_SUBSCORE = ("score", "reached", "entrant"), ("score", "subscore", "reached", "entrant")  # what orders them


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


class Among(NamedTuple):
    """Where one of some stands among all, and his rank among these some."""

    place: Place
    among: int


Stamp: TypeAlias = tuple[int, int]  # of which members, and of which of their changes
_stamps = count()


class Members:
    """Some entrants by number, as of an instant, and who has come and left lately.

    `now` has another stamp after each change. One thread at a time changes them; any number of threads read meanwhile.
    """

    def __init__(self, numbers: Numbers) -> None:
        self._first = self._since = next(_stamps)
        self._now = np.unique(np.asarray(numbers, np.int64)), (self._first, self._first)
        self._moves: deque[tuple[int, Whole]] = deque()

    def __len__(self) -> int:
        return len(self._now[0])

    @property
    def now(self) -> tuple[Whole, Stamp]:
        """Their numbers in order, and the stamp of that, which no others have."""
        return self._now

    def apply(self, entrants: Numbers, present: Numbers) -> None:
        """Have these, each named once, among them or not; whoever is as he was is passed over."""
        moved, is_here = np.asarray(entrants, np.int64), np.asarray(present, np.bool_)
        numbers, _ = self._now
        moved = moved[_holds(numbers, moved) != is_here]
        if not len(moved):
            return
        came = moved[~_holds(numbers, moved)]
        stamp = next(_stamps)
        self._now = _with(_without(numbers, moved), came), (self._first, stamp)
        self._moves.append((stamp, moved))
        while sum(len(each) for _, each in self._moves) > MOVES_MAX:
            self._since, _ = self._moves.popleft()

    def moved(self, stamp: Stamp) -> Whole | None:
        """Who has come or left since then; None where that is not known any more, and for a stamp of others."""
        whose, since = stamp
        if whose != self._first or since < self._since:
            return None
        return np.unique(np.concatenate([NOTHING, *(moved for at, moved in self._moves if at > since)]))


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
        if len(low) <= FEW:
            for number in np.flatnonzero(low < high).tolist():
                low[number] = self._before_among(low[number], high[number], wanted, number, or_equal=or_equal)
            return low
        while (is_open := low < high).any():
            middle = (low + high) // 2
            comes_before = self._comes_before(np.minimum(middle, len(self) - 1), wanted, or_equal=or_equal)
            low = np.where(is_open & comes_before, middle + 1, low)
            high = np.where(is_open & ~comes_before, middle, high)
        return low

    def without(self, is_gone: npt.NDArray[np.bool_]) -> "_Keys":
        """The others. Nothing is sorted anew, neither places nor numbers."""
        is_kept = ~is_gone
        kept = self.by_entrant[is_kept[self.by_entrant]]
        before = np.cumsum(is_kept) - 1  # how many of those who stay come before each of them
        return _Keys(tuple([column[is_kept] for column in self.columns]), before[kept])

    def joined(self, at: Whole, others: "_Keys") -> "_Keys":
        """These with others, of whom each comes before the position `at`. Nothing is sorted anew."""
        columns = _woven(at, self.columns, others.columns)
        shifts = np.cumsum(np.bincount(at, minlength=len(self) + 1))  # by how many others each of ours moves on
        numbers = others.columns[-1][others.by_entrant]
        among = self.columns[-1].searchsorted(numbers, sorter=self.by_entrant)
        ours, theirs = self.by_entrant + shifts[self.by_entrant], (at + np.arange(len(at)))[others.by_entrant]
        return _Keys(tuple(columns), _woven(among, [ours], [theirs])[0])

    def _before_among(self, low: int, high: int, wanted: Sequence[Whole], number: int, *, or_equal: bool) -> int:
        """The same for one of the wanted, among those that equal it in the first column."""
        for column, values in zip(self.columns[1 : len(wanted)], wanted[1:], strict=True):
            here, value = column[low:high], values[number]
            low, high = low + int(here.searchsorted(value, "left")), low + int(here.searchsorted(value, "right"))
            if low == high:
                return low
        return high if or_equal else low

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


@dataclass(frozen=True, slots=True)
class _Picked:
    """Those of some keys who stand at these positions, which are in order."""

    keys: _Keys
    positions: Whole

    def __len__(self) -> int:
        return len(self.positions)

    def taken(self, positions: Whole) -> list[Whole]:
        """The columns of these positions."""
        return self.keys.taken(self.positions[positions])

    def before(self, wanted: Sequence[Whole], *, or_equal: bool = False) -> Whole:
        """How many come before each wanted key, or come not after it."""
        return self.positions.searchsorted(self.keys.before(wanted, or_equal=or_equal))


Base = TypeVar("Base", _Keys, _Picked)


class _Instant(Generic[Base]):
    """One instant of an order. Never changed: a reader that holds it sees one truth."""

    __slots__ = ("_added_places", "added", "added_at", "base", "removed", "removed_kept", "size")

    def __init__(self, base: Base, removed: Whole, added: _Keys, added_at: Whole) -> None:
        self.base: Base = base
        self.removed = removed  # positions of the base that do not count, in order
        self.added = added
        self.removed_kept = removed - np.arange(len(removed))  # how many of the base count before each of them
        self.added_at = added_at  # the position of the base that each comes before
        self._added_places: Whole | None = None
        self.size = len(base) - len(removed) + len(added)

    @property
    def added_places(self) -> Whole:
        """The place of each of those who are added; worked out when somebody wants to see places."""
        if self._added_places is None:
            self._added_places = self.kept_before(self.added_at) + np.arange(len(self.added))
        return self._added_places

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
        columns = [np.empty(len(places), np.int64) for _ in self.added.columns]
        of_base, of_added = self.base.taken(positions[~is_added]), self.added.taken(added_before[is_added])
        for column, theirs, ours in zip(columns, of_base, of_added, strict=True):
            column[~is_added], column[is_added] = theirs, ours
        return columns

    def before(self, wanted: Sequence[Whole], *, or_equal: bool) -> Whole:
        """How many come before each of these keys, or come not after it."""
        in_base = self.base.before(wanted, or_equal=or_equal)
        if not self.delta:
            return in_base
        return self.kept_before(in_base) + self.added.before(wanted, or_equal=or_equal)

    @property
    def delta(self) -> int:
        """How much is to be read beside the base."""
        return len(self.removed) + len(self.added)


class _State(_Instant[_Keys]):
    """One instant of everybody."""

    __slots__ = ()

    def picked(self, positions: Whole, numbers: Whole) -> _Instant[_Picked]:
        """The same instant of some only: those at these positions of the base, and who is added of these numbers."""
        is_one = _holds(numbers, self.added.columns[-1])
        added = _Keys.of([column[is_one] for column in self.added.columns])
        gone = positions.searchsorted(self.removed[_holds(positions, self.removed)])
        return _Instant(_Picked(self.base, positions), gone, added, positions.searchsorted(self.added_at[is_one]))

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
        removed = _with(_without(self.removed, position[is_same]), position[is_known & ~is_same])
        index, is_added = self.added.where(entrants)
        is_gone = np.zeros(len(self.added), np.bool_)
        is_gone[index[is_added]] = True
        rest = self.added.without(is_gone)
        fresh = _Keys.of(_in_order([column[present & ~is_same] for column in columns]))
        at = rest.before(fresh.columns)
        [added_at] = _woven(at, [self.added_at[~is_gone]], [self.base.before(fresh.columns)])
        return _State(self.base, removed, rest.joined(at, fresh), added_at)

    def keys_of(self, entrants: Whole) -> list[Whole]:
        """The columns of those of these who are here."""
        position, is_known = self.base.where(entrants)
        index, is_added = self.added.where(entrants)
        is_kept = is_known & ~_holds(self.removed, position)
        columns = []
        for of_base, of_added in zip(self.base.columns, self.added.columns, strict=True):
            column = of_base[position] if len(of_base) else np.zeros(len(entrants), np.int64)
            column[is_added] = of_added[index[is_added]]
            columns.append(column[is_added | is_kept])
        return columns

    def merged(self) -> "_State":
        """The same order without a delta."""
        is_gone = np.zeros(len(self.base), np.bool_)
        is_gone[self.removed] = True
        at = self.kept_before(self.added_at)
        return _settled(self.base.without(is_gone).joined(at, self.added))


def _woven(at: Whole, columns: Sequence[Whole], others: Sequence[Whole]) -> list[Whole]:
    """Columns with what is inserted, each before its position."""
    places = at + np.arange(len(at))
    is_ours = np.ones(len(columns[0]) + len(at), np.bool_)
    is_ours[places] = False
    found = []
    for column, other in zip(columns, others, strict=True):
        woven = np.empty(len(is_ours), np.int64)
        woven[places], woven[is_ours] = other, column
        found.append(woven)
    return found


def _holds(ordered: Whole, values: Whole) -> npt.NDArray[np.bool_]:
    """Which of these values stand in a column that is in order."""
    if not len(ordered):
        return np.zeros(len(values), np.bool_)
    found: npt.NDArray[np.bool_] = ordered[np.minimum(ordered.searchsorted(values), len(ordered) - 1)] == values
    return found


def _positions(base: _Keys, numbers: Whole) -> Whole:
    """Where those of these stand who are in a base, in order."""
    positions, is_here = base.where(numbers)
    return np.sort(positions[is_here])


def _without(ordered: Whole, values: Whole) -> Whole:
    return np.delete(ordered, ordered.searchsorted(values[_holds(ordered, values)]))


def _with(ordered: Whole, values: Whole) -> Whole:
    new = np.sort(values[~_holds(ordered, values)])
    return _woven(ordered.searchsorted(new), [ordered], [new])[0]


def _settled(base: _Keys) -> _State:
    """An order without a delta."""
    nobody = _Keys((NOTHING,) * len(base.columns), NOTHING)
    return _State(base, NOTHING, nobody, NOTHING)


class IndexPart(NamedTuple):
    """Some of an order at one instant, and everybody then."""

    state: _State
    order: _Instant[_Picked]


class _Known(NamedTuple):
    """The positions in a base of those who were members then."""

    base: _Keys
    stamp: Stamp
    positions: Whole


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
        self._known: dict[str, _Known] = {}  # whoever is a member under one name is none under another
        self._state = _settled(_Keys((NOTHING,) * len(WITH_SUBSCORE if has_subscore else PLAIN), NOTHING))

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
        index._state = _settled(_Keys.of(_in_order(index._columns(entrants, scores, reached_at_us, subscores))))
        return index

    @classmethod
    def resting_on(cls, base: Sequence[Whole], *, direction: Direction, ties: TieRule) -> "RankIndex":
        """The order whose `base` these columns were; they are read where they lie, and never written to."""
        *columns, by_entrant = base
        index = cls(direction=direction, ties=ties, has_subscore=len(columns) == len(WITH_SUBSCORE))
        index._state = _settled(_Keys(tuple(columns), by_entrant))
        return index

    @property
    def base(self) -> tuple[Whole, ...]:
        """The columns in their order and the positions by number: all there is, right after a merge."""
        base = self._state.base
        return *base.columns, base.by_entrant

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
        if self._state.delta:
            self._state = self._state.merged()

    def count(self, key: RowKey, *, or_equal: bool) -> int:
        """How many come before this key, or come not after it, whether somebody has it or not."""
        return int(self._state.before(self._wanted(key), or_equal=or_equal)[0])

    def span(self, after: After, limit: int) -> tuple[int, int]:
        """Behind which place a part lies now, and how many places it has at most."""
        if isinstance(after, int):
            return after, limit
        return after.span(self.count(after.key, or_equal=not after.is_back), limit)

    def page(self, after: int, limit: int) -> list[Place]:
        """At most `limit` places from `after + 1` on."""
        state = self._state
        return self._read(state, np.arange(after, max(after, min(after + limit, state.size)), dtype=np.int64))

    def knows(self, members: Members, name: str) -> bool:
        """Whether it takes no long search to say who of the members of this name stands where."""
        known = self._known.get(name)
        return known is not None and known.base is self._state.base and members.moved(known.stamp) is not None

    def learn(self, members: Members, name: str) -> None:
        """Search for the members of this name, and keep their positions until another base.

        Nobody is a member under two names, so what is kept is never more than 8 bytes an entrant.
        """
        base, (numbers, stamp) = self._state.base, members.now
        self._known[name] = _Known(base, stamp, _positions(base, numbers))

    def part(self, members: Members, name: str | None = None) -> IndexPart:
        """The order of the members who are here, as of now; what is known of their name is used and kept."""
        state, (numbers, stamp) = self._state, members.now
        known = self._known.get(name) if name is not None and self.knows(members, name) else None
        if known is None:
            positions = _positions(state.base, numbers)
        else:
            moved, positions = members.moved(known.stamp), known.positions
            if moved is not None and len(moved):
                is_here = _holds(numbers, moved)
                left, came = _positions(state.base, moved[~is_here]), _positions(state.base, moved[is_here])
                positions = _with(_without(positions, left), came)
        if name is not None:
            self._known[name] = _Known(state.base, stamp, positions)
        return IndexPart(state, state.picked(positions, numbers))

    def page_of(self, part: IndexPart, after: int, limit: int) -> list[Among]:
        """At most `limit` of a part, from its place `after + 1` on."""
        order = part.order
        places = np.arange(after, max(after, min(after + limit, order.size)), dtype=np.int64)
        columns = order.at(places)
        among = order.before(columns[:-2], or_equal=False) if self._has_shared_ranks else places
        found = self._told(part.state, columns, part.state.before(columns, or_equal=False))
        return list(map(Among, found, (among + 1).tolist()))

    def count_of(self, part: IndexPart, key: RowKey, *, or_equal: bool) -> int:
        """How many of a part come before this key, or come not after it."""
        return int(part.order.before(self._wanted(key), or_equal=or_equal)[0])

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

    def ranks_of(self, entrants: Numbers) -> dict[int, int]:
        """The rank of each of these; those who are not here are missing. Cheaper than where they stand."""
        state = self._state
        columns = state.keys_of(np.asarray(entrants, np.int64))
        better = state.before(columns[:-2] if self._has_shared_ranks else columns, or_equal=False)
        return dict(zip(columns[-1].tolist(), (better + 1).tolist(), strict=True))

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

    def _wanted(self, key: RowKey) -> list[Whole]:
        score, subscore, reached_at_us, entrant = key
        return self._columns([entrant], [score], [reached_at_us], [subscore] if self._has_subscore else None)

    def _read(self, state: _State, places: Whole) -> list[Place]:
        return self._told(state, state.at(places), places)

    def _told(self, state: _State, columns: Sequence[Whole], places: Whole) -> list[Place]:
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


class Part:
    """Some of a ranking in their order, as of one instant; places go through, as in the ranking."""

    def __init__(self, orders: tuple[RankIndex, RankIndex], parts: tuple[IndexPart, IndexPart], least: int) -> None:
        self._above, self._below = zip(orders, parts, strict=True)
        self._least = least

    def __len__(self) -> int:
        return self.qualified + self._below[1].order.size

    @property
    def qualified(self) -> int:
        """How many of them stand above the line."""
        return self._above[1].order.size

    def span(self, after: After, limit: int) -> tuple[int, int]:
        """Behind how many of them a part lies now, and how many of them it has at most."""
        if isinstance(after, int):
            return after, limit
        return after.span(self.count(after.key, or_equal=not after.is_back), limit)

    def count(self, key: RowKey, *, or_equal: bool) -> int:
        """How many of them come before this key, or come not after it."""
        if key[0] >= self._least:
            order, part = self._above
            return order.count_of(part, key, or_equal=or_equal)
        order, part = self._below
        return self.qualified + order.count_of(part, key, or_equal=or_equal)

    def page(self, after: int, limit: int) -> list[Among]:
        """At most `limit` of them behind the first `after`."""
        order, part = self._above
        above = order.page_of(part, after, limit)
        everybody = part.state.size
        order, part = self._below
        below = order.page_of(part, max(0, after - self.qualified), limit - len(above))
        return above + [Among(_lowered(place, everybody), among + self.qualified) for place, among in below]


def _lowered(place: Place, above: int) -> Place:
    """A place of those below the line, below so many."""
    return place._replace(place=place.place + above, rank=place.rank + above)


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

    @classmethod
    def resting_on(
        cls, bases: Sequence[Whole], *, least: int, direction: Direction = "desc", ties: TieRule = "share"
    ) -> "Ranking":
        """The order whose `bases` these columns were; they are read where they lie, and never written to."""
        above, below = bases[: len(bases) // 2], bases[len(bases) // 2 :]
        return cls(
            RankIndex.resting_on(above, direction=direction, ties=ties),
            RankIndex.resting_on(below, direction=direction, ties="earliest"),
            least,
        )

    @property
    def bases(self) -> tuple[Whole, ...]:
        """The columns of both orders: all there is, right after a merge."""
        return *self._above.base, *self._below.base

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

    def ranks_of(self, entrants: Numbers) -> dict[int, int]:
        """The rank of each of these who has one."""
        return self._above.ranks_of(entrants)

    def knows(self, members: Members, name: str) -> bool:
        """Whether it takes no long search to say who of the members of this name stands where."""
        return len(members) <= MANY or (self._above.knows(members, name) and self._below.knows(members, name))

    def learn(self, members: Members, name: str) -> None:
        """Search for the members of this name in both orders, in any thread."""
        self._above.learn(members, name)
        self._below.learn(members, name)

    def part(self, members: Members, name: str | None = None) -> Part:
        """The order of the members who are here, as of now. Nobody is a member under two names."""
        parts = self._above.part(members, name), self._below.part(members, name)
        return Part((self._above, self._below), parts, self._least)

    def place_of(self, entrant: int) -> Place | None:
        """Where somebody stands; None for who is not here."""
        return self.places_many([entrant]).get(entrant)

    def places_many(self, entrants: Numbers) -> dict[int, Place]:
        """Where each of these stands; those who are not here are missing."""
        below = self._lower(list(self._below.places_many(entrants).values()))
        return self._above.places_many(entrants) | {place.entrant: place for place in below}

    def _lower(self, places: list[Place]) -> list[Place]:
        return [_lowered(place, self.qualified) for place in places]
