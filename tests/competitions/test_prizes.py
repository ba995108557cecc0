"""Allocation to the unit: the worked examples, the refusals, and a second plain implementation beside the first."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palio.competitions import errors
from palio.competitions.rules import prizes
from palio.competitions.types import Band, EmptyRule, PrizeRule, Split


def rule(split: Split, *bands: tuple[int, int | None, int], kind: str = "bps") -> PrizeRule:
    return PrizeRule(prizes.KINDS[kind], split, tuple(Band(*band) for band in bands))


def places(*values: int, kind: str = "bps") -> PrizeRule:
    return rule("places", *((place, place, value) for place, value in enumerate(values, 1)), kind=kind)


R10 = places(5000, 1500, 1000, 500, 500, 375, 375, 250, 250, 250)
QUEST = rule("occupants", (1, 1, 5000), (2, 13, 4000), (14, 50, 1000))
THREE = places(5000, 3000, 2000)
FIXED = places(500000, 250000, 100000, 50000, 35000, 25000, 15000, 12500, 7500, 5000, kind="fixed")
OPEN = rule("occupants", (1, 1, 4000), (2, 2, 2000), (3, 3, 1500), (4, 10, 1500), (11, None, 1000))


def paid(of: PrizeRule, pool: int, groups: Sequence[int], empty: EmptyRule) -> list[int]:
    return [share.amount for share in prizes.allocate(of, pool=pool, groups=groups, empty_rule=empty)]


@pytest.mark.parametrize(
    ("of", "pool", "groups", "empty", "amounts"),
    [
        pytest.param(
            R10,
            50000,
            [1, 3, *[1] * 7],
            "keep",
            [25000, 5000, 5000, 5000, 2500, 1875, 1875, 1250, 1250, 1250],
            id="W1 three tied on rank 2",
        ),
        pytest.param(QUEST, 131500, [1] * 6, "redistribute", [73056, *[11689] * 4, 11688], id="W2 six of fifty"),
        pytest.param(QUEST, 131500, [1] * 6, "keep", [65750, *[10520] * 5], id="W3 the rest is kept"),
        pytest.param(
            R10,
            50000,
            [*[1] * 9, 4],
            "keep",
            [25000, 7500, 5000, 2500, 2500, 1875, 1875, 1250, 1250, 313, 313, 312, 312],
            id="W4 four tied on the last place",
        ),
        pytest.param(R10, 50000, [1] * 4, "keep", [25000, 7500, 5000, 2500], id="W5 four, keep"),
        pytest.param(R10, 50000, [1] * 4, "redistribute", [31250, 9375, 6250, 3125], id="W5 four, redistribute"),
        pytest.param(THREE, 1003, [2, 1], "keep", [402, 401, 200], id="W6 two tied on rank 1"),
        pytest.param(THREE, 100, [3], "keep", [34, 33, 33], id="W7 all tied"),
        pytest.param(THREE, 7, [1] * 3, "keep", [4, 2, 1], id="W7 seven units"),
        pytest.param(R10, 1, [1] * 4, "redistribute", [1], id="W7 one unit, no rows for nothing"),
        pytest.param(QUEST, 25001, [1] * 15, "redistribute", [12501, *[893] * 12, 892, 892], id="W8 levelled"),
        pytest.param(
            FIXED,
            1000000,
            [*[1] * 8, 3],
            "keep",
            [500000, 250000, 100000, 50000, 35000, 25000, 15000, 12500, 4167, 4167, 4166],
            id="W9 fixed, three tied on rank 9",
        ),
        pytest.param(
            FIXED, 1000000, [1] * 6, "keep", [500000, 250000, 100000, 50000, 35000, 25000], id="W10 fixed, six"
        ),
        pytest.param(
            OPEN,
            99999,
            [1] * 14,
            "redistribute",
            [40000, 20000, 15000, *[2273] * 7, *[2272] * 4],
            id="W11 open band, levelled",
        ),
        pytest.param(places(8000, 2000), 10000, [1, 2], "keep", [8000, 1000, 1000], id="80/20, the second place tied"),
        pytest.param(THREE, 10000, [1, 3], "keep", [5000, 1667, 1667, 1666], id="50/30/20, three tied on rank 2"),
        pytest.param(
            R10,
            50000,
            [1] * 4 + [2] + [1] * 7,
            "keep",
            [25000, 7500, 5000, 2500, 2188, 2187, 1875, 1250, 1250, 1250],
            id="two tied on rank 5",
        ),
        pytest.param(
            R10,
            50000,
            [1] * 9 + [3],
            "keep",
            [25000, 7500, 5000, 2500, 2500, 1875, 1875, 1250, 1250, 417, 417, 416],
            id="three tied on rank 10",
        ),
    ],
)
def test_worked_examples(of: PrizeRule, pool: int, groups: list[int], empty: EmptyRule, amounts: list[int]) -> None:
    prizes.check(of, pool)
    assert paid(of, pool, groups, empty) == amounts


@pytest.mark.parametrize(
    ("of", "pool", "groups", "empty", "undistributed"),
    [
        (R10, 50000, {2: 3}, "keep", 0),
        (QUEST, 131500, {}, "keep", 13150),
        (R10, 50000, {}, "keep", 10000),
        (FIXED, 1000000, {}, "keep", 40000),
    ],
)
def test_a_preview_names_what_nobody_would_win(
    of: PrizeRule, pool: int, groups: dict[int, int], empty: EmptyRule, undistributed: int
) -> None:
    entrants = {0: 11, 13150: 6, 10000: 4, 40000: 6}[undistributed]
    seen = prizes.preview_prizes(of, pool=pool, entrants=entrants, ties=groups, empty_rule=empty)
    assert seen.undistributed == undistributed
    assert sum(share.amount for share in seen.shares) == pool - undistributed


def test_tied_entrants_share_the_rank_of_the_first_of_them() -> None:
    shares = prizes.allocate(R10, pool=50000, groups=[1, 3, 1], empty_rule="keep")
    assert [(share.place, share.rank) for share in shares] == [(1, 1), (2, 2), (3, 2), (4, 2), (5, 5)]
    assert shares[1].why == (2, 2, "1500", "7500", 0, 3, 15000)


@pytest.mark.parametrize(
    ("values", "error", "facts"),
    [
        ([4250, 2000, 1500, 750, 600, 400, 275, 225, 175, 175], errors.PrizeSum, {"sum": 10350}),
        (
            [4250, 2000, 1250, 750, 500, 350, 250, 200, 200, 225],
            errors.PrizeSum,
            {"sum": 9975, "increasing": [10]},
        ),
        ([4000, 3000, 3000, 0], errors.PrizeShape, {}),
        ([3000, 4000, 3000], errors.PrizeIncreasing, {"place": 2}),
    ],
)
def test_rules_that_cannot_be_published(values: list[int], error: type[errors.PrizeSum], facts: object) -> None:
    raw = prizes.written(places(*values))
    with pytest.raises(error) as refused:
        prizes.check(prizes.read(raw), 50000)
    assert refused.value.facts.items() >= facts.items()


def test_fixed_prizes_must_add_up_to_the_pool() -> None:
    with pytest.raises(errors.PrizeSum) as refused:
        prizes.check(places(10000, 8000, 6000, 5000, 4000, 3000, 2000, kind="fixed"), 40000)
    assert refused.value.facts == {
        "sum": 38000,
        "expected": 40000,
        "bands": [10000, 8000, 6000, 5000, 4000, 3000, 2000],
    }


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {"kind": "proportional", "split": "places", "bands": []},
        {"kind": "bps", "split": "places", "bands": []},
        {"kind": "bps", "split": "places", "bands": [{"from": 1, "to": 1}]},
        {"kind": "bps", "split": "places", "bands": [{"from": 1, "to": 1, "value": 10000.0}]},
        {"kind": "bps", "split": "places", "bands": [{"from": 1, "to": 1, "value": True}]},
        {"kind": "bps", "split": "places", "bands": [{"from": 2, "to": 2, "value": 10000}]},
        {
            "kind": "bps",
            "split": "places",
            "bands": [{"from": 1, "to": 1, "value": 5000}, {"from": 3, "to": 3, "value": 5000}],
        },
        {
            "kind": "bps",
            "split": "places",
            "bands": [{"from": 1, "to": 2, "value": 5000}, {"from": 2, "to": 3, "value": 5000}],
        },
        {"kind": "bps", "split": "places", "bands": [{"from": 1, "to": 0, "value": 10000}]},
        {
            "kind": "bps",
            "split": "places",
            "bands": [{"from": 1, "to": None, "value": 1}, {"from": 2, "to": 2, "value": 9}],
        },
        {"kind": "bps", "split": "places", "bands": [{"from": 1, "to": 1, "value": 1}] * 201},
    ],
)
def test_what_cannot_be_read_as_bands_is_refused(raw: object) -> None:
    with pytest.raises(errors.PrizeShape):
        prizes.read(raw)


def test_an_open_band_needs_occupants_who_share_it() -> None:
    with pytest.raises(errors.PrizeShape):
        prizes.check(rule("places", (1, 1, 5000), (2, None, 5000)), 100)


def test_fixed_prizes_are_never_paid_from_a_smaller_pool() -> None:
    with pytest.raises(errors.PoolShort):
        prizes.allocate(FIXED, pool=999_999, groups=[1] * 10, empty_rule="keep")


def test_what_is_written_reads_the_same() -> None:
    assert prizes.read(prizes.written(OPEN)) == OPEN


@st.composite
def bps_rules(draw: st.DrawFn) -> PrizeRule:
    """Any publishable rule: cuts of 10,000 sorted so that the share per head falls."""
    sizes = draw(st.lists(st.integers(1, 8), min_size=1, max_size=8))
    heads = sorted(draw(st.lists(st.integers(1, 60), min_size=len(sizes), max_size=len(sizes))), reverse=True)
    values = [head * size for head, size in zip(heads, sizes, strict=True)]
    values[0] += 10_000 - sum(values)
    split: Split = draw(st.sampled_from(["occupants", "places"]))
    bands, first = [], 1
    for value, size in zip(values, sizes, strict=True):
        bands.append((first, first + size - 1, value))
        first += size
    if split == "occupants" and draw(st.booleans()):
        bands[-1] = (bands[-1][0], None, bands[-1][2])
    return rule(split, *bands)


def plain(of: PrizeRule, pool: int, groups: Sequence[int], empty: EmptyRule) -> list[int]:
    """The same by the letter: one fraction per place, levelled until nothing rises."""
    entrants = sum(groups)
    bands = [range(band.first, min(band.last or entrants, entrants) + 1) for band in of.bands]
    levels = [[[*taken], Fraction(0)] for taken in bands if taken]
    for level, band in zip(levels, of.bands, strict=False):
        size = len(level[0]) if of.split == "occupants" or band.last is None else band.last - band.first + 1
        level[1] = Fraction(band.value * len(level[0]), size)
    rising = True
    while of.split == "occupants" and rising:
        rising = False
        for upper, lower in pairwise(levels):
            if lower[1] / len(lower[0]) > upper[1] / len(upper[0]):
                upper[0] += lower[0]
                upper[1] += lower[1]
                levels.remove(lower)
                rising = True
                break
    whole = sum(weight for _, weight in levels) if empty == "redistribute" else Fraction(10_000)
    exact = [pool * weight / len(taken) / whole for taken, weight in levels for _ in taken]
    amounts = [int(share) for share in exact]
    for place in range(int(sum(exact)) - sum(amounts)):
        amounts[place] += 1
    amounts += [0] * (entrants - len(amounts))
    out = []
    for size in groups:
        mine, amounts = amounts[:size], amounts[size:]
        out += [sum(mine) // size + (number < sum(mine) % size) for number in range(size)]
    return out


@settings(deadline=None)  # the machine may be busy with other workers
@given(bps_rules(), st.integers(1, 10**9), st.lists(st.integers(1, 9), max_size=30), st.booleans())
def test_the_allocation_is_exact(of: PrizeRule, pool: int, groups: list[int], redistribute: bool) -> None:
    empty: EmptyRule = "redistribute" if redistribute else "keep"
    prizes.check(of, pool)
    shares = prizes.allocate(of, pool=pool, groups=groups, empty_rule=empty)
    amounts = [share.amount for share in shares]

    assert amounts == [amount for amount in plain(of, pool, groups, empty) if amount]
    assert sum(amounts) <= pool
    assert not redistribute or not groups or sum(amounts) == pool
    assert amounts == sorted(amounts, reverse=True)
    for rank in {share.rank for share in shares}:
        tied = [share.amount for share in shares if share.rank == rank]
        assert max(tied) - min(tied) <= 1


ANNOUNCED_R10 = [(1, 1, 25_000), (2, 2, 7_500), (3, 3, 5_000), (4, 5, 2_500), (6, 7, 1_875), (8, 10, 1_250)]
ANNOUNCED_OPEN = [(1, 1, 40_000), (2, 2, 20_000), (3, 3, 15_000), (4, 10, 2_142), (11, 11, 10_000, True)]


@pytest.mark.parametrize(
    ("of", "pool", "told"),
    [
        pytest.param(R10, 50_000, ANNOUNCED_R10, id="R10"),
        pytest.param(*(QUEST, 131_500, [(1, 1, 65_751), (2, 13, 4_384), (14, 19, 356), (20, 50, 355)]), id="occupants"),
        pytest.param(OPEN, 100_000, ANNOUNCED_OPEN, id="open"),
        pytest.param(places(60, 40, kind="fixed"), 50, [(1, 1, 60), (2, 2, 40)], id="fixed, the pool still short"),
        pytest.param(THREE, 0, [], id="nothing"),
    ],
)
def test_what_places_pay_is_announced(of: PrizeRule, pool: int, told: list[tuple[int, ...]]) -> None:
    found = prizes.announced(of, pool=pool, empty_rule="redistribute")
    assert [each if each.is_open else each[:3] for each in found] == told


BADGE = {"from": 1, "to": 3, "kind": "badge", "ref": "champion", "title": "Champion"}
SHARED: dict[str, object] = {
    "kind": "proportional",
    "split": "occupants",
    "bands": [{"from": 1, "to": None, "value": 10_000}],
}


def by_score(last: int | None) -> PrizeRule:
    return prizes.read(SHARED | {"bands": [{"from": 1, "to": last, "value": 10_000}]})


@pytest.mark.parametrize(
    ("last", "pool", "scores", "groups", "amounts"),
    [
        pytest.param(None, 100, [50, 30, 20], [1, 1, 1], [50, 30, 20], id="to the unit"),
        pytest.param(None, 100, [1, 1, 1], [1, 1, 1], [34, 33, 33], id="a unit left goes to the first"),
        pytest.param(None, 100, [1, 1, 1], [3], [34, 33, 33], id="all tied"),
        pytest.param(2, 100, [50, 30, 20], [1, 1, 1], [63, 37], id="two of three, 62.5 and 37.5"),
        pytest.param(2, 100, [60, 20, 20], [1, 2], [75, 13, 12], id="tied across the last place"),
        pytest.param(None, 2, [9, 1, 1], [1, 1, 1], [2], id="too little for everybody"),
        pytest.param(5, 7, [3], [1], [7], id="alone"),
        pytest.param(5, 7, [], [], [], id="nobody"),
    ],
)
def test_a_pool_is_shared_by_scores(
    last: int | None, pool: int, scores: list[int], groups: list[int], amounts: list[int]
) -> None:
    of = by_score(last)
    prizes.check(of, pool)
    shares = prizes.allocate(of, pool=pool, groups=groups, empty_rule="keep", scores=scores)
    assert [share.amount for share in shares] == amounts
    assert sum(amounts) == (pool if scores else 0)


@settings(deadline=None)
@given(
    st.integers(1, 10**9),
    st.lists(st.integers(1, 10**12), min_size=1, max_size=40),
    st.one_of(st.none(), st.integers(1, 45)),
    st.booleans(),
)
def test_shares_of_scores_are_exact(pool: int, points: list[int], last: int | None, shared: bool) -> None:
    """All of it is given away, nothing rises, and members of a tie differ by at most one unit."""
    scores = sorted([*points, *points[:3]], reverse=True)
    groups = [len(list(tied)) for _, tied in groupby(scores)] if shared else [1] * len(scores)
    shares = prizes.allocate(by_score(last), pool=pool, groups=groups, empty_rule="keep", scores=scores)
    amounts = [share.amount for share in shares]

    assert sum(amounts) == pool
    assert amounts == sorted(amounts, reverse=True)
    if not shared:
        exact = [Fraction(pool * score, sum(scores[:last])) for score in scores[:last]]
        everybody = amounts + [0] * (len(exact) - len(amounts))
        assert all(int(part) <= amount <= int(part) + 1 for part, amount in zip(exact, everybody, strict=True))
    for rank in {share.rank for share in shares}:
        tied = [share.amount for share in shares if share.rank == rank]
        assert max(tied) - min(tied) <= 1


@pytest.mark.parametrize(
    "raw",
    [
        SHARED | {"bands": [{"from": 1, "to": 1, "value": 5000}, {"from": 2, "to": 9, "value": 5000}]},
        SHARED | {"split": "places"},
        SHARED | {"split": "places", "bands": [{"from": 1, "to": 5, "value": 10_000}]},
    ],
)
def test_a_rule_of_shares_has_one_band_of_occupants(raw: object) -> None:
    with pytest.raises(errors.PrizeShape):
        prizes.check(prizes.read(raw), 100)


def test_shares_want_all_of_the_pool_and_scores_above_zero() -> None:
    with pytest.raises(errors.PrizeSum):
        prizes.check(prizes.read(SHARED | {"bands": [{"from": 1, "to": None, "value": 9_999}]}), 100)
    for scores in ([], [5], [5, 0], [5, -1]):
        with pytest.raises(errors.PrizeShape):
            prizes.allocate(by_score(None), pool=100, groups=[1, 1], empty_rule="keep", scores=scores)
    with pytest.raises(errors.PrizeShape):
        prizes.check_scores(by_score(None), direction="asc", allow_nonpositive=False)
    with pytest.raises(errors.PrizeShape):
        prizes.check_scores(by_score(None), direction="desc", allow_nonpositive=True)
    prizes.check_scores(by_score(None), direction="desc", allow_nonpositive=False)
    prizes.check_scores(THREE, direction="asc", allow_nonpositive=True)
    preview = prizes.preview_prizes(by_score(None), pool=10, entrants=2, scores=[3, 1])
    assert ([share.amount for share in preview.shares], preview.undistributed) == ([8, 2], 0)


def test_items_come_on_top_by_strict_place_and_may_reach_further_than_money() -> None:
    """Two are tied on the last place that has one: the first of them gets it, so that there are three and not four."""
    raw = prizes.written(THREE) | {"items": [BADGE, {**BADGE, "from": 5, "to": 6, "kind": "code", "ref": "ten"}]}
    of = prizes.read(raw)
    prizes.check(of, 100)
    assert prizes.written(of) == raw
    assert prizes.places_of(of) == 6

    shares = prizes.allocate(of, pool=100, groups=[1, 1, 2, 1, 1, 1], empty_rule="keep")
    items = {share.place: [item["ref"] for item in prizes.items_at(of, share.place)] for share in shares}
    assert [(share.place, share.rank, share.amount, items[share.place]) for share in shares] == [
        (1, 1, 50, ["champion"]),
        (2, 2, 30, ["champion"]),
        (3, 3, 10, ["champion"]),
        (4, 3, 10, []),
        (5, 5, 0, ["ten"]),
        (6, 6, 0, ["ten"]),
    ]
    few = prizes.allocate(of, pool=1, groups=[1, 1], empty_rule="redistribute")
    assert [(share.place, share.amount) for share in few] == [(1, 1), (2, 0)]


@pytest.mark.parametrize(
    "changes",
    [
        {"from": 0},
        {"from": 4},
        {"to": 1_001},
        {"to": None},
        {"from": True},
        {"kind": "car"},
        {"ref": ""},
        {"title": "x" * 101},
        {"ref": 7},
        {"more": 1},
    ],
)
def test_an_item_that_cannot_be_read_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(errors.PrizeShape):
        prizes.read(prizes.written(THREE) | {"items": [BADGE | changes]})
    with pytest.raises(errors.PrizeShape):
        prizes.read(prizes.written(THREE) | {"items": [BADGE] * 51})


@st.composite
def fixed_rules(draw: st.DrawFn) -> tuple[PrizeRule, int]:
    """Any publishable list of fixed prizes, with a pool that was added to."""
    values = sorted(draw(st.lists(st.integers(1, 10**6), min_size=1, max_size=8)), reverse=True)
    sizes = draw(st.lists(st.integers(1, 4), min_size=len(values), max_size=len(values)))
    bands, first = [], 1
    for value, size in zip(values, sizes, strict=True):
        bands.append((first, first + size - 1, value))
        first += size
    promised = sum(value * size for value, size in zip(values, sizes, strict=True))
    return rule("places", *bands, kind="fixed"), promised + draw(st.integers(0, 10**6))


@settings(deadline=None, max_examples=200)
@given(
    st.one_of(fixed_rules(), st.tuples(bps_rules(), st.integers(1, 10**9))),
    st.lists(st.integers(1, 9), max_size=30),
    st.sampled_from(["keep", "redistribute"]),
)
def test_prizes_and_what_nobody_wins_are_the_pool(
    terms: tuple[PrizeRule, int], groups: list[int], empty: EmptyRule
) -> None:
    """Of every kind of rule: exactly, never rising, and people of one rank at most a unit apart."""
    of, pool = terms
    ties = {sum(groups[:n]) + 1: size for n, size in enumerate(groups)}
    shares = prizes.allocate(of, pool=pool, groups=groups, empty_rule=empty)
    amounts = [share.amount for share in shares]
    left = pool - sum(amounts)

    assert left >= 0
    if of.kind != "fixed" or pool == sum(band.value * (band.last - band.first + 1) for band in of.bands if band.last):
        told = prizes.preview_prizes(of, pool=pool, entrants=sum(groups), ties=ties, empty_rule=empty)
        assert ([share.amount for share in told.shares], told.undistributed) == (amounts, left)
    assert amounts == sorted(amounts, reverse=True)
    for rank in {share.rank for share in shares}:
        tied = [share.amount for share in shares if share.rank == rank]
        assert max(tied) - min(tied) <= 1
