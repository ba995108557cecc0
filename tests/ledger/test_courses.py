"""How a balance went: a point for every day, whatever days have a movement, and sums of the month that add up."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from palio.ledger.rules.courses import course
from palio.ledger.types import COURSE_DAYS, DayMoved

TODAY = date(2026, 3, 20)


def days_ago(n: int) -> date:
    return TODAY - timedelta(days=n)


def test_a_balance_stays_until_the_next_movement() -> None:
    moved = [DayMoved(days_ago(21), 50, 20, 130), DayMoved(days_ago(2), 0, 30, 100), DayMoved(TODAY, 7, 0, 107)]
    found = course(moved, balance=107, today=TODAY)
    assert (found.days[0], found.days[-1], len(found.days)) == ((days_ago(30), 100), (TODAY, 107), 31)
    assert found.turns == [(days_ago(30), 100), (days_ago(21), 130), (days_ago(2), 100), (TODAY, 107)]
    assert (found.month_began_with, found.month_came, found.month_went, found.balance) == (130, 7, 30, 107)


def test_where_nothing_moved_it_is_what_it_is_now() -> None:
    found = course([], balance=250, today=TODAY)
    assert found.turns == [(days_ago(30), 250)]
    assert (found.month_began_with, found.month_came, found.month_went) == (250, 0, 0)


def test_the_first_of_a_long_month_is_among_the_days() -> None:
    found = course([DayMoved(date(2026, 3, 1), 5, 0, 15)], balance=15, today=date(2026, 3, 31))
    assert (found.days[0], found.month_began_with, found.month_came) == ((date(2026, 3, 1), 15), 10, 5)


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
    found = course(moved, balance=balance, today=TODAY)
    for day, at_end in found.days:
        assert at_end == began_with + sum(each.came - each.went for each in moved if each.day <= day)
    assert found.month_began_with + found.month_came - found.month_went == balance == found.balance
