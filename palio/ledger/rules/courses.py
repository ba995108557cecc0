"""How a balance went, out of the days on which something moved."""

from collections.abc import Sequence
from datetime import date, timedelta

from palio.ledger.types import COURSE_DAYS, SPAN_DAYS_MAX, Course, DayMoved, MonthStatement

DAY = timedelta(days=1)


def course(moved: Sequence[DayMoved], *, began_with: int, span: tuple[date, date], month: MonthStatement) -> Course:
    """The balance at the end of each day of a span, and what a month has done.

    `moved` are the days of the span with a movement, `began_with` is the balance in front of them.
    """
    ends = {each.day: each.balance for each in moved}
    first, last = span
    days, at_end = list[tuple[date, int]](), began_with
    for n in range((last - first).days + 1):
        at_end = ends.get(first + n * DAY, at_end)
        days.append((first + n * DAY, at_end))
    return Course(days, month.opening, month.came, month.went)


def span_of(
    since: date | None, until: date | None, today: date, *, here_since: date | None = None
) -> tuple[date, date]:
    """The first and the last day to draw: those that were chosen, no later than today and at most a year of them.

    Before `here_since` nothing can be drawn; who chose only such days gets that one.
    """
    last = max(min(until or today, today), here_since or date.min)
    first = max(min(since or _back(last, COURSE_DAYS), last), here_since or date.min)
    return max(first, _back(last, SPAN_DAYS_MAX)), last


def _back(day: date, days: int) -> date:
    """So many days before, as far as the calendar goes."""
    return date.fromordinal(max(day.toordinal() - days, 1))
