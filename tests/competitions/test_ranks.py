"""The order in memory, beside a plain sorted list, and what it costs by counting instead of timing."""

import time
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palio.competitions import Place, RankIndex
from palio.competitions.ranks import MOVES_MAX, Members, Ranking, Whole
from palio.competitions.types import Direction, TieRule
from palio.kernel.providers import After, Spot


@dataclass(frozen=True)
class Change:
    entrant: int
    score: int
    reached_at: int
    subscore: int
    is_present: bool


@dataclass
class Plain:
    """The same order by sorting everybody each time."""

    direction: Direction
    ties: TieRule
    entrants: dict[int, Change] = field(default_factory=dict)

    def apply(self, changes: Iterable[Change]) -> None:
        for change in changes:
            self.entrants.pop(change.entrant, None)
            if change.is_present:
                self.entrants[change.entrant] = change

    def places(self) -> list[Place]:
        sign = -1 if self.direction == "desc" else 1
        found: list[Place] = []
        ordered = sorted(
            self.entrants.values(), key=lambda one: (sign * one.score, one.subscore, one.reached_at, one.entrant)
        )
        for _, group in groupby(ordered, key=lambda one: (one.score, one.subscore)):
            tied = list(group)
            first = len(found) + 1
            for place, one in enumerate(tied, first):
                rank, ties = (first, len(tied)) if self.ties == "share" else (place, 1)
                found.append(Place(place, rank, one.entrant, one.score, ties, one.subscore, one.reached_at))
        return found


def columns(changes: Sequence[Change]) -> tuple[list[int], list[int], list[int]]:
    return [one.entrant for one in changes], [one.score for one in changes], [one.reached_at for one in changes]


def changed(index: RankIndex, changes: Sequence[Change], *, has_subscore: bool) -> None:
    subscores = [one.subscore for one in changes] if has_subscore else None
    index.apply(*columns(changes), [one.is_present for one in changes], subscores)


def locked(base: Sequence[Whole]) -> list[Whole]:
    """As columns of a mapped file are: to write to them is an error."""
    found = [column.copy() for column in base]
    for column in found:
        column.flags.writeable = False
    return found


# few values of each, so that ties, returns and repetitions are the rule
few = st.builds(Change, *[st.integers(1, 12), st.integers(-3, 3), st.integers(0, 2), st.integers(0, 1), st.booleans()])


@pytest.mark.parametrize("delta_min", [0, 3, 10_000])
@pytest.mark.parametrize("ties", ["share", "earliest"])
@given(data=st.data(), direction=st.sampled_from(["desc", "asc"]), has_subscore=st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_answer_equals_that_of_a_sorted_list(
    data: st.DataObject, direction: Direction, has_subscore: bool, ties: TieRule, delta_min: int
) -> None:
    one = few if has_subscore else few.map(lambda change: replace(change, subscore=0))
    first = data.draw(st.lists(one, max_size=30, unique_by=lambda change: change.entrant))
    plain = Plain(direction, ties)
    plain.apply(replace(change, is_present=True) for change in first)
    subscores = [change.subscore for change in first] if has_subscore else None
    index = RankIndex.load(*columns(first), subscores, direction=direction, ties=ties, delta_min=delta_min)
    for changes in data.draw(st.lists(st.lists(one, max_size=8), max_size=6)):
        plain.apply(changes)
        if data.draw(st.booleans()):
            index.merge()
            index = RankIndex.resting_on(locked(index.base), direction=direction, ties=ties)
        changed(index, changes, has_subscore=has_subscore)
        expected = plain.places()
        assert index.page(0, 100) == expected
        assert len(index) == len(expected)
        after, limit = data.draw(st.integers(0, 14)), data.draw(st.integers(0, 14))
        assert index.page(after, limit) == expected[after : after + limit]
        assert index.places_many(range(14)) == {place.entrant: place for place in expected}
        assert index.ranks_of(range(14)) == {place.entrant: place.rank for place in expected}
        for place in expected:
            assert index.rank_of(place.entrant) == place
            assert index.around(place.entrant, 2) == expected[max(0, place.place - 3) : place.place + 2]
        assert index.rank_of(99) is None
        assert index.around(99, 2) == []


@pytest.mark.parametrize("is_back", [False, True])
@given(
    data=st.data(),
    direction=st.sampled_from(["desc", "asc"]),
    has_subscore=st.booleans(),
    least=st.sampled_from([-9, 0, 2]),
)
@settings(max_examples=80, deadline=None)
def test_who_stays_is_met_once_by_a_reader_whom_others_pass(
    data: st.DataObject, direction: Direction, has_subscore: bool, least: int, is_back: bool
) -> None:
    """Movers change, leave and come between any two pages, whichever way one reads; half of all stay as they are."""
    one = few if has_subscore else few.map(lambda change: replace(change, subscore=0))
    first = data.draw(st.lists(one, min_size=1, max_size=12, unique_by=lambda change: change.entrant))
    subscores = [change.subscore for change in first] if has_subscore else None
    ranking = Ranking.load(*columns(first), subscores, least=least, direction=direction)
    after: After = Spot(ranking.page(len(ranking) - 1, 1)[0].key, is_back=True) if is_back else 0
    met: list[int] = [ranking.page(len(ranking) - 1, 1)[0].entrant] if is_back else []
    for _ in range(200):
        passed, limit = ranking.span(after, data.draw(st.integers(1, 4)))
        page = ranking.page(passed, limit)
        met += [place.entrant for place in (reversed(page) if is_back else page)]
        if not page or (passed == 0 if is_back else passed + len(page) >= len(ranking)):
            break
        after = Spot(page[0].key, is_back=True) if is_back else Spot(page[-1].key)
        movers = data.draw(st.lists(one.filter(lambda change: change.entrant % 2), max_size=4))
        moved = list({change.entrant: change for change in movers}.values())
        present = [int(change.is_present) for change in moved]
        ranking.apply(*columns(moved), [change.subscore for change in moved] if has_subscore else None, present)
        if data.draw(st.booleans()):
            ranking.merge()

    stayed = [place.entrant for place in ranking.page(0, 100) if place.entrant % 2 == 0]
    assert [entrant for entrant in met if entrant % 2 == 0] == (stayed[::-1] if is_back else stayed)


def test_who_counts_places_meets_somebody_twice_or_never() -> None:
    """What a place means changes with every move in front of it; a row stays what it is."""
    ranking = Ranking.load([1, 2, 3, 4], [40, 30, 20, 10], [0] * 4, None, least=1)
    last = ranking.page(0, 2)[-1]
    ranking.apply([4], [50], [1], None, [1])

    assert [place.entrant for place in ranking.page(2, 2)] == [2, 3]  # 2 was on the first page
    assert [place.entrant for place in ranking.page(*ranking.span(Spot(last.key), 2))] == [3]

    ranking.apply([4, 1], [50, 0], [1, 0], None, [1, 0])

    assert [place.entrant for place in ranking.page(2, 2)] == [3]
    assert ranking.span(Spot(last.key, is_back=True), 1) == (0, 1)


@pytest.mark.parametrize("ties", ["share", "earliest"])
def test_large_changes_are_ordered_as_small_ones(ties: TieRule) -> None:
    """Hundreds of four hundred change at once, most of them tied, beside changes of a few, with a delta that grows."""
    chance, plain, index = Random(4), Plain("desc", ties), RankIndex(ties=ties, has_subscore=True)  # noqa: S311 - scores
    for size in (300, 5, 150, 70, 1, 250, 20) * 2:
        changes = [
            Change(who, chance.randrange(6), chance.randrange(3), chance.randrange(2), chance.random() < 0.8)
            for who in chance.sample(range(400), size)
        ]
        plain.apply(changes)
        changed(index, changes, has_subscore=True)
        expected = plain.places()
        assert index.page(0, 500) == expected
        assert index.ranks_of(range(400)) == {place.entrant: place.rank for place in expected}
    index.merge()
    assert index.page(0, 500) == plain.places()


def test_ties_share_a_rank_or_stand_by_the_time() -> None:
    people = ([1, 2, 3, 4], [30, 20, 20, 10], [5, 9, 8, 1])
    assert [(p.entrant, p.rank, p.ties) for p in RankIndex.load(*people).page(0, 9)] == [
        *((1, 1, 1), (3, 2, 2), (2, 2, 2), (4, 4, 1)),
    ]
    assert [(p.entrant, p.rank, p.ties) for p in RankIndex.load(*people, ties="earliest").page(0, 9)] == [
        *((1, 1, 1), (3, 2, 1), (2, 3, 1), (4, 4, 1)),
    ]


def test_where_less_is_better_the_smallest_is_first() -> None:
    scores = [15, 11, 10, 10, 10, 9, 7, 5]
    index = RankIndex.load(range(8), scores, [0] * 8, direction="asc")
    assert [(place.score, place.rank) for place in index.page(0, 8)] == [
        *((5, 1), (7, 2), (9, 3), (10, 4), (10, 4), (10, 4), (11, 7), (15, 8)),
    ]


def test_an_order_begins_empty_and_is_filled_by_changes() -> None:
    index = RankIndex()
    assert (len(index), index.page(0, 10), index.rank_of(1), index.around(1, 3)) == (0, [], None, [])
    index.apply([7, 8], [1, 2], [0, 0], [True, True])
    assert [place.entrant for place in index.page(0, 10)] == [8, 7]
    index.apply([8], [0], [0], [False])
    assert index.page(0, 10) == [Place(1, 1, 7, 1, 1)]


def test_subscores_are_for_everybody_or_for_nobody() -> None:
    with pytest.raises(ValueError, match="for everybody or for nobody"):
        RankIndex().apply([1], [1], [1], [True], [1])
    with pytest.raises(ValueError, match="for everybody or for nobody"):
        RankIndex(has_subscore=True).apply([1], [1], [1], [True])


def test_a_page_read_while_the_order_changes_shows_one_instant() -> None:
    index, generations, people = RankIndex.load(range(50), range(50), [0] * 50, delta_min=0), 200, range(50)
    seen = {0}

    def read() -> None:
        while max(seen) < generations:
            shown = {place.score // 100 for place in index.page(0, 50)}
            assert len(shown) == 1
            seen.update(shown)

    with ThreadPoolExecutor(1) as readers:
        reader = readers.submit(read)
        for generation in range(1, generations + 1):
            index.apply(people, [generation * 100 + (n * generation) % 50 for n in people], [0] * 50, [True] * 50)
        reader.result(timeout=20)


def many(size: int) -> RankIndex:
    chance = Random(size)  # noqa: S311 - scores, no secrets
    scores = [chance.randrange(10**9) for _ in range(size)]
    index = RankIndex.load(range(size), scores, [0] * size)
    for entrant in range(0, size, max(1, size // 50)):
        index.apply([entrant], [chance.randrange(10**9)], [1], [True])
    return index


def seconds(act: Callable[[RankIndex], object], index: RankIndex) -> float:
    """The least of several runs: what the machine does besides cannot make it smaller."""
    found = []
    for _ in range(7):
        begun = time.perf_counter()
        for _ in range(40):
            act(index)
        found.append(time.perf_counter() - begun)
    return min(found)


def test_answers_from_a_board_200_times_as_large_take_about_as_long() -> None:
    small, large = many(1_000), many(200_000)
    acts: list[Callable[[RankIndex], object]] = [
        lambda index: index.page(500, 100),
        lambda index: index.rank_of(500),
        lambda index: index.around(500, 25),
        lambda index: index.apply([500], [index.page(500, 1)[0].score + 1], [1], [True]),
    ]
    for act in acts:
        assert seconds(act, large) < 20 * seconds(act, small)


@pytest.mark.parametrize(("subscores", "bytes_max"), [(False, 33), (True, 41)])
def test_an_entrant_takes_a_key_and_one_number(subscores: bool, bytes_max: int) -> None:
    size = 100_000
    numbers, scores = np.arange(size), np.arange(size)[::-1].copy()
    tracemalloc.start()
    index = RankIndex.load(numbers, scores, numbers, numbers if subscores else None)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert index.page(0, 1) == [Place(1, 1, 0, size - 1, 1)]
    assert held / size <= bytes_max


@given(
    st.lists(st.tuples(st.lists(few, max_size=8), st.lists(st.tuples(st.integers(1, 12), st.booleans()), max_size=4))),
    st.sampled_from(["desc", "asc"]),
    st.sampled_from(["share", "earliest"]),
    st.booleans(),
    st.integers(-2, 2),
    st.data(),
)
def test_some_stand_as_they_do_among_all_and_among_themselves(
    steps: list[tuple[list[Change], list[tuple[int, bool]]]],
    direction: Direction,
    ties: TieRule,
    has_subscore: bool,
    least: int,
    data: st.DataObject,
) -> None:
    """Scores change, members come and leave, bases are merged; what is kept of a name is what a new search finds."""
    above, below = Plain(direction, ties), Plain(direction, "earliest")
    ranking = Ranking.load([], [], [], [] if has_subscore else None, least=least, direction=direction, ties=ties)
    members, here = Members([]), set[int]()
    for written, moves in steps:
        changes = list({change.entrant: change for change in written}.values())
        if not has_subscore:
            changes = [replace(change, subscore=0) for change in changes]
        above.apply(replace(one, is_present=one.is_present and one.score >= least) for one in changes)
        below.apply(replace(one, is_present=one.is_present and one.score < least) for one in changes)
        subscores = [one.subscore for one in changes] if has_subscore else None
        ranking.apply(*columns(changes), subscores, [one.is_present for one in changes])
        moved = dict(moves)
        here = (here | {one for one, is_here in moved.items() if is_here}) - {
            one for one, is_here in moved.items() if not is_here
        }
        members.apply(list(moved), list(moved.values()))
        if data.draw(st.booleans()):
            ranking.merge()
        if data.draw(st.booleans()):
            ranking.learn(members, "NP")

        first, lower = above.places(), below.places()
        lower = [each._replace(place=each.place + len(first), rank=each.rank + len(first)) for each in lower]
        some = [each for each in first + lower if each.entrant in here]
        among = [1 + sum(other.place < each.rank for other in some) for each in some]
        limit, after = data.draw(st.integers(1, 6)), data.draw(st.integers(0, 6))
        for part in (ranking.part(members, "NP"), ranking.part(members)):
            assert part.page(0, 20) == list(zip(some, among, strict=True))
            assert [each.place for each in part.page(after, limit)] == some[after : after + limit]
            assert (len(part), part.qualified) == (len(some), sum(each.entrant in here for each in first))
            for each in first + lower:
                passed = sum(other.place <= each.place for other in some)
                assert part.count(each.key, or_equal=True) == passed
                assert part.count(each.key, or_equal=False) == passed - (each.entrant in here)


def test_of_too_many_who_moved_everybody_is_looked_for_again() -> None:
    """And those who were members of the same name before are not taken for those who are."""
    entrants = list(range(30_000))
    ranking = Ranking.load(entrants, entrants, entrants, None, least=0)
    members = Members([1, 2])
    assert not ranking.knows(Members(entrants), "NP")
    ranking.learn(Members(entrants), "NP")
    assert len(ranking.part(members, "NP")) == 2
    _, stamp = members.now
    members.apply([3], [True])
    assert (members.moved(stamp) == [3]).all()

    members.apply(entrants[10 : 10 + MOVES_MAX], [True] * MOVES_MAX)

    assert members.moved(stamp) is None
    assert len(ranking.part(members, "NP")) == 3 + MOVES_MAX
    assert len(ranking.part(Members([7]), "NP")) == 1
