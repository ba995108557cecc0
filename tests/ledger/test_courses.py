"""How a balance went: a point for every day, whatever days have a movement."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio.ledger.rules.courses import course, span_of
from palio.ledger.types import COURSE_DAYS, DayMoved, Flow, MonthStatement

TODAY = date(2026, 3, 20)
MONTH = MonthStatement(date(2026, 3, 1), 130, 107, [Flow("prize", 7, 0, 1), Flow("bet", 0, 30, 2)], 4)


def days_ago(n: int) -> date:
    return TODAY - timedelta(days=n)


SPAN = days_ago(30), TODAY


def test_a_balance_stays_until_the_next_movement() -> None:
    moved = [DayMoved(days_ago(21), 50, 20, 130), DayMoved(days_ago(2), 0, 30, 100), DayMoved(TODAY, 7, 0, 107)]
    found = course(moved, began_with=100, span=SPAN, month=MONTH)
    assert (found.days[0], found.days[-1], len(found.days)) == ((days_ago(30), 100), (TODAY, 107), 31)
    assert found.turns == [(days_ago(30), 100), (days_ago(21), 130), (days_ago(2), 100), (TODAY, 107)]
    assert (found.month_began_with, found.month_came, found.month_went) == (130, 7, 30)


def test_where_nothing_moved_it_is_what_it_was() -> None:
    assert course([], began_with=250, span=SPAN, month=MONTH).turns == [(days_ago(30), 250)]


@pytest.mark.parametrize(
    ("since", "until", "span"),
    [
        (None, None, (date(2026, 2, 18), TODAY)),
        (date(2026, 1, 5), None, (date(2026, 1, 5), TODAY)),
        (date(2026, 1, 5), date(2026, 2, 1), (date(2026, 1, 5), date(2026, 2, 1))),
        (None, date(2026, 2, 1), (date(2026, 1, 2), date(2026, 2, 1))),
        (None, date(2026, 5, 1), (date(2026, 2, 18), TODAY)),
        (date(2026, 5, 1), None, (TODAY, TODAY)),
        (date(2026, 3, 9), date(2026, 3, 2), (date(2026, 3, 2), date(2026, 3, 2))),
        (date(1, 1, 1), date(2026, 3, 2), (date(2025, 3, 1), date(2026, 3, 2))),
        (None, date(1, 1, 2), (date(1, 1, 1), date(1, 1, 2))),
    ],
)
def test_the_days_that_are_drawn(since: date | None, until: date | None, span: tuple[date, date]) -> None:
    """Never one that is to come, never more than a year, always one."""
    assert span_of(since, until, TODAY) == span


@given(
    st.integers(0, 10_000),
    st.dictionaries(st.integers(0, COURSE_DAYS), st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=31),
)
def test_every_day_is_the_sum_of_what_moved_until_then(began_with: int, sums: dict[int, tuple[int, int]]) -> None:
    moved, balance = [], began_with
    for back in sorted(sums, reverse=True):
        came, went = sums[back]
        balance += came - went
        moved.append(DayMoved(days_ago(back), came, went, balance))
    found = course(moved, began_with=began_with, span=SPAN, month=MONTH)
    for day, at_end in found.days:
        assert at_end == began_with + sum(each.came - each.went for each in moved if each.day <= day)


@pytest.mark.parametrize(
    ("since", "until", "span"),
    [
        (None, None, (date(2026, 3, 1), TODAY)),
        (date(2026, 3, 5), None, (date(2026, 3, 5), TODAY)),
        (date(2025, 1, 1), date(2026, 3, 2), (date(2026, 3, 1), date(2026, 3, 2))),
        (date(2025, 1, 1), date(2025, 3, 2), (date(2026, 3, 1), date(2026, 3, 1))),
    ],
)
def test_no_day_of_the_archive_is_drawn(since: date | None, until: date | None, span: tuple[date, date]) -> None:
    assert span_of(since, until, TODAY, here_since=date(2026, 3, 1)) == span
