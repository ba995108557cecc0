"""How a balance went, out of the days on which something moved."""

from collections.abc import Sequence
from datetime import date, timedelta

from palio.ledger.types import COURSE_DAYS, Course, DayMoved


def course(moved: Sequence[DayMoved], *, balance: int, today: date) -> Course:
    """The balance at the end of each of the last days; `moved` are those with a movement, in order."""
    began_with = moved[0].balance - moved[0].came + moved[0].went if moved else balance
    ends = {each.day: each.balance for each in moved}
    days, at_end = list[tuple[date, int]](), began_with
    for back in range(COURSE_DAYS, -1, -1):
        day = today - timedelta(days=back)
        at_end = ends.get(day, at_end)
        days.append((day, at_end))
    of_month = [each for each in moved if each.day >= today.replace(day=1)]
    came, went = sum(each.came for each in of_month), sum(each.went for each in of_month)
    return Course(days, balance - came + went, came, went)
