"""A month as a calendar shows it: whole weeks from Monday, in UTC, and what runs in each of them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from palio.competitions.types import Bar, Competition, Week

DAY = timedelta(days=1)
WEEK_DAYS = 7
INSTANT = timedelta(microseconds=1)


def first_of(month: str | None, now: datetime) -> date:
    """The first day of a month like `2026-03`, or of the present one."""
    return date.fromisoformat(f"{month}-01") if month else now.astimezone(UTC).date().replace(day=1)


def neighbour(first: date, *, step: int) -> date:
    """The first day of the month after (1) or before (-1)."""
    return (first + timedelta(days=32 if step > 0 else -1)).replace(day=1)


def bounds(first: date) -> tuple[datetime, datetime]:
    """The first instant of the first week of a month, and the one behind its last."""
    weeks = list(_weeks(first))
    return _midnight(weeks[0]), _midnight(weeks[-1] + WEEK_DAYS * DAY)


def weeks_of(first: date, running: Sequence[Competition]) -> list[Week]:
    """The weeks of a month with the competitions that run in them, those that began first above."""
    return [
        Week(
            tuple(monday + number * DAY for number in range(WEEK_DAYS)),
            tuple(bar for each in running if (bar := _bar(each, monday))),
        )
        for monday in _weeks(first)
    ]


def _weeks(first: date) -> Iterator[date]:
    monday = first - timedelta(days=first.weekday())
    after = neighbour(first, step=1)
    while monday < after:
        yield monday
        monday += WEEK_DAYS * DAY


def _bar(competition: Competition, monday: date) -> Bar | None:
    """Which days of a week it runs on; None if on none."""
    begins = competition.starts_at.astimezone(UTC).date()
    ends = (competition.ends_at - INSTANT).astimezone(UTC).date()
    sunday = monday + (WEEK_DAYS - 1) * DAY
    if begins > sunday or ends < monday:
        return None
    first, last = max(begins, monday), min(ends, sunday)
    return Bar(
        competition=competition,
        column=(first - monday).days + 1,
        days=(last - first).days + 1,
        begins=begins >= monday,
        ends=ends <= sunday,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)
