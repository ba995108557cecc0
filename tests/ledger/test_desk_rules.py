"""What staff type and see: amounts, pasted lines, chains, courses."""

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio.ledger.errors import InvalidPost
from palio.ledger.rules import desk as rules
from palio.ledger.types import Asset

USD, COIN = Asset(1, "USD", "US dollar", 2, lots=False), Asset(3, "COIN", "Coins", 0, lots=False)


@pytest.mark.parametrize(
    ("text", "asset", "units"),
    [
        ("12.50", USD, 1_250),
        (" -0.01 ", USD, -1),
        ("+7", COIN, 7),
        ("\N{MINUS SIGN}3", COIN, -3),
        ("90071992547409.91", USD, 2**53 - 1),
        ("1.00", COIN, 1),
    ],
)
def test_an_amount_is_read_as_people_write_it(text: str, asset: Asset, units: int) -> None:
    assert rules.read_amount(text, asset) == units


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "0",
        "0.00",
        "1.234",
        "14.28444999",
        "1e3",
        "NaN",
        "Infinity",
        "1_000",
        "1,5",
        "--1",
        "\uff15",
        "90071992547409.92",
    ],
)
def test_what_is_no_amount_is_not_rounded_into_one(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        rules.read_amount(text, USD)


@given(st.integers(-(2**53 - 1), 2**53 - 1).filter(bool), st.sampled_from([USD, COIN]))
def test_every_amount_survives_being_written(units: int, asset: Asset) -> None:
    assert rules.read_amount(format(Decimal(units).scaleb(-asset.scale), "f"), asset) == units


def test_lines_are_read_with_commas_semicolons_and_tabs() -> None:
    pasted = 'alice, usd, 5\n\nbob;COIN;-1\ncarol\tQC\t2.50\r\n"dave", USD, "7"'
    assert rules.read_lines(pasted) == [
        ("alice", "USD", "5"),
        ("bob", "COIN", "-1"),
        ("carol", "QC", "2.50"),
        ("dave", "USD", "7"),
    ]


@pytest.mark.parametrize("pasted", ["alice", "alice, USD", "alice, USD, 5, 6", "alice, , 5", "a, USD, 5\nb"])
def test_a_line_that_is_none_is_named(pasted: str) -> None:
    with pytest.raises(InvalidPost) as refused:
        rules.read_lines(pasted)
    assert refused.value.facts["field"] == f"line {len(pasted.splitlines())}"


def test_a_chain_that_does_not_continue_is_seen() -> None:
    assert rules.breaks([(3, 5, 16), (2, 1, 11), (1, 10, 10)]) == set()
    assert rules.breaks([(3, 5, 17), (2, 1, 11), (1, 10, 10)]) == {3}
    assert rules.breaks([(4, 5, 16), (2, 1, 11), (1, 10, 11)]) == {4, 2}
    assert rules.breaks([]) == set()


@given(st.dictionaries(st.integers(0, 30), st.integers(-100, 100), max_size=10), st.integers(-50, 50))
def test_a_course_is_the_running_sum(moved: dict[int, int], before: int) -> None:
    since = date(2026, 3, 1)
    days: dict[date | None, Decimal] = {since + timedelta(days=n): Decimal(by) for n, by in moved.items()}
    course = rules.course_of(days | {None: Decimal(before)}, since=since, until=since + timedelta(days=30))
    assert [held for _, held in course] == [
        before + sum(by for n, by in moved.items() if n <= day) for day in range(31)
    ]
