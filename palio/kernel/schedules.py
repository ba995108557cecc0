"""When things are due by the clock: cron expressions in a time zone, and plain intervals."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from palio.kernel.messages import Job

DAYS_SEARCHED_MAX = 8 * 366  # the longest wait of all: for a 29 February
INTERVAL_SECONDS_MAX = 86_400
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
UNITS = {"s": 1, "m": 60, "h": 3_600}


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job that is due by the clock. `when` is five cron fields in `zone`, or `every 30s`.

    Missed instants are made up by one run that stands for the newest of them, unless that is older than `max_lag_s`. A
    `singleton` is not queued again while a run of it waits or works. `at_start` is due at every start of a worker too.
    """

    name: str
    when: str
    job: Job
    zone: str = "UTC"
    max_lag_s: int | None = None
    singleton: bool = True
    at_start: bool = False


def next_after(when: str, zone: str, after: datetime) -> datetime:
    """The first instant later than `after`, in UTC. Raises ValueError if `when` cannot be read or never comes."""
    if interval := interval_of(when):
        seconds = int(after.timestamp() // interval.total_seconds() + 1) * int(interval.total_seconds())
        return datetime.fromtimestamp(seconds, UTC)
    cron, first = parse(when), _local_day(after, zone) - DAY
    for number in range(DAYS_SEARCHED_MAX):
        later = (instant for instant in cron.instants(first + number * DAY, zone) if instant > after)
        if found := next(later, None):
            return found
    raise ValueError(f"{when!r} never comes")


def newest_until(when: str, zone: str, until: datetime, *, first: datetime) -> datetime:
    """The newest instant not later than `until`; `first`, if there is none between the two."""
    if interval := interval_of(when):
        seconds = int(until.timestamp() // interval.total_seconds()) * int(interval.total_seconds())
        return max(first, datetime.fromtimestamp(seconds, UTC))
    cron, last = parse(when), _local_day(until, zone) + DAY
    for number in range((last - _local_day(first, zone)).days + 2):
        reached = [instant for instant in cron.instants(last - number * DAY, zone) if instant <= until]
        if reached:
            return max(first, reached[-1])
    return first


def interval_of(when: str) -> timedelta | None:
    """The interval of `every 30s`; None for a cron expression. Raises ValueError for an interval over a day."""
    if not when.startswith("every "):
        return None
    number, unit = when[6:-1], UNITS.get(when[-1:])
    seconds = int(number) * unit if number.isdecimal() and unit else 0
    if not 0 < seconds <= INTERVAL_SECONDS_MAX:
        raise ValueError(f"{when!r}: expected for example 'every 30s', 'every 5m', at most a day")
    return timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Cron:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_hourly: bool  # the hour is a star
    is_either: bool  # both kinds of day are narrowed, so that either will do

    def instants(self, day: date, zone: str) -> list[datetime]:
        """The instants of one local day, in order.

        A local time that does not exist is due as if the clock had not been moved, one that comes twice only at its
        first coming; an expression for every hour follows real time through both.
        """
        if not self._falls_on(day):
            return []
        if self.is_hourly:
            return [
                instant
                for instant in _minutes_of(day, zone)
                if instant.astimezone(ZoneInfo(zone)).minute in self.minutes
            ]
        times = (time(hour, minute) for hour in self.hours for minute in self.minutes)
        return sorted({datetime.combine(day, at, ZoneInfo(zone)).astimezone(UTC) for at in times})

    def _falls_on(self, day: date) -> bool:
        is_day, is_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (is_day or is_weekday if self.is_either else is_day and is_weekday)


@cache
def parse(when: str) -> Cron:
    """A cron expression of five fields: stars, numbers, ranges, steps, lists. Raises ValueError naming a bad one."""
    words = when.split()
    if len(words) != len(FIELDS):
        raise ValueError(f"{when!r}: expected five fields: minute hour day month weekday")
    minutes, hours, days, months, weekdays = (
        frozenset(_numbers(word, *field)) for word, field in zip(words, FIELDS, strict=True)
    )
    return Cron(
        minutes,
        hours,
        days,
        months,
        weekdays=frozenset(number % 7 for number in weekdays),
        is_hourly=words[1] == "*",
        is_either=not (words[2].startswith("*") or words[4].startswith("*")),
    )


def _numbers(word: str, name: str, low: int, high: int) -> Iterator[int]:
    for part in word.split(","):
        span, _, step = part.partition("/")
        first, dash, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        if not dash:
            last = str(high) if step else first
        numbers = [int(text) if text.isascii() and text.isdecimal() else -1 for text in (first, last, step or "1")]
        if not low <= numbers[0] <= numbers[1] <= high or numbers[2] < 1:
            raise ValueError(f"{word!r}: a {name} is {low}-{high}")
        yield from range(numbers[0], numbers[1] + 1, numbers[2])


def _local_day(instant: datetime, zone: str) -> date:
    return instant.astimezone(ZoneInfo(zone)).date()


def _minutes_of(day: date, zone: str) -> Iterator[datetime]:
    instant, end = (datetime.combine(at, time(), ZoneInfo(zone)).astimezone(UTC) for at in (day, day + DAY))
    while instant < end:
        yield instant
        instant += MINUTE
