"""How totals are shown: nobody looks level with whom he is not."""

from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio.races.rules import showing


@pytest.mark.parametrize(
    ("totals", "decimals"),
    [
        ([], []),
        ([155_530_000], [2]),
        ([155_530_000, 155_530_000], [2, 2]),
        ([155_534_000, 155_534_000, 155_533_000], [3, 3, 3]),
        ([155_530_001, 155_530_000, 155_520_000], [6, 6, 2]),
        ([155_536_000, 155_534_000], [2, 2]),  # .54 and .53
        ([4_000, 0], [3, 3]),
    ],
)
def test_as_many_decimals_are_shown_as_tell_a_total_from_its_neighbours(totals: list[int], decimals: list[int]) -> None:
    assert showing.decimals_of(totals) == decimals


@given(st.lists(st.integers(0, 300_000), max_size=12))
def test_other_totals_never_look_alike(totals: list[int]) -> None:
    ranked = sorted(totals, reverse=True)
    shown = [
        (Decimal(total) / 10**6).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
        for total, decimals in zip(ranked, showing.decimals_of(ranked), strict=True)
    ]
    for (above, one), (below, other) in pairwise(zip(ranked, shown, strict=True)):
        assert (above == below) == (one == other)
