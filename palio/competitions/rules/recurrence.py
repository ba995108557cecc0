"""Series by a rule of their own, as calendars write it: a part of RFC 5545, in the zone of the series.

Three lines say when the first one begins, how long each lasts, and how they repeat. A rule names days, and all begin at
the same time of day. It may say FREQ (DAILY, WEEKLY, MONTHLY, YEARLY), INTERVAL, COUNT, UNTIL, BYMONTH, BYMONTHDAY and
BYDAY; whatever else it says is refused rather than left out.
"""

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import count, pairwise
from typing import Final, NoReturn
from zoneinfo import ZoneInfo

from palio.competitions.errors import RecurrenceInvalid
from palio.competitions.types import Period

EXAMPLE: Final = "DTSTART:20260318T180000\nDURATION:PT3H\nRRULE:FREQ=WEEKLY;BYDAY=WE,FR"
RULES_KEPT_MAX = 1_000
TEXT_CHARS_MAX = 500
INTERVAL_MAX, COUNT_MAX = 366, 10_000
YEARS = range(2000, 2101)
DAYS_SEARCHED_MAX = 40 * 366  # what comes less often does not come
DAY = timedelta(days=1)
LASTS_MIN, LASTS_MAX = timedelta(minutes=1), timedelta(days=366)
MONTHS_OF_YEAR = 12
WEEKDAYS: Final[Mapping[str, int]] = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}
FREQUENCIES: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
PARTS: Final = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYMONTH", "BYMONTHDAY", "BYDAY")
LINES: Final = ("DTSTART", "DURATION", "RRULE")
LENGTH: Final = re.compile(r"P(?:(\d{1,2})W|(?:(\d{1,3})D)?(?:T(?=\d)(?:(\d{1,4})H)?(?:(\d{1,5})M)?)?)", re.ASCII)
NTH_DAY: Final = re.compile(r"(-?[1-5])?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
NUMBER: Final = re.compile(r"-?\d{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rule:
    """When competitions begin, as local days and a time of day, and how long they last."""

    first: datetime
    lasts: timedelta
    frequency: str
    interval: int
    count: int | None
    until: datetime | None
    months: frozenset[int]
    days: frozenset[int]
    weekdays: frozenset[tuple[int | None, int]]  # which of its kind in a month (None: each), and the weekday

    def starts(self, since: date) -> Iterator[datetime]:
        """The local times at which one begins from a day on, in order, without end unless the rule has one."""
        begin = self.first.date() if self.count else max(self.first.date(), since)
        found, silent = 0, 0
        for number in count():
            day = begin + number * DAY
            at = datetime.combine(day, self.first.time())
            if silent >= DAYS_SEARCHED_MAX or (self.until and at > self.until):
                return
            if not self._falls_on(day):
                silent += 1
                continue
            found, silent = found + 1, 0
            if day >= since:
                yield at
            if found == self.count:
                return

    def _falls_on(self, day: date) -> bool:
        if self.months and day.month not in self.months:
            return False
        if self._distance(day) % self.interval:
            return False
        is_day = day.day in self.days or day.day - 1 - monthrange(day.year, day.month)[1] in self.days
        is_weekday = any(weekday == day.weekday() and _is_nth(day, nth) for nth, weekday in self.weekdays)
        if self.days or self.weekdays:
            return (is_day or not self.days) and (is_weekday or not self.weekdays)
        return self._is_like_first(day)

    def _distance(self, day: date) -> int:
        """How many days, weeks, months or years lie between the first and this day."""
        first = self.first.date()
        if self.frequency == "DAILY":
            return (day - first).days
        if self.frequency == "WEEKLY":
            return (day - first + timedelta(days=first.weekday())).days // 7
        months = (day.year - first.year) * MONTHS_OF_YEAR + day.month - first.month
        return months if self.frequency == "MONTHLY" else day.year - first.year

    def _is_like_first(self, day: date) -> bool:
        first = self.first.date()
        if self.frequency == "DAILY":
            return True
        if self.frequency == "WEEKLY":
            return day.weekday() == first.weekday()
        return day.day == first.day and (self.frequency == "MONTHLY" or bool(self.months) or day.month == first.month)


def _is_nth(day: date, nth: int | None) -> bool:
    if nth is None:
        return True
    if nth > 0:
        return (day.day - 1) // 7 == nth - 1
    return (monthrange(day.year, day.month)[1] - day.day) // 7 == -nth - 1


def periods(text: str, tz: str, at: datetime) -> Iterator[Period]:
    """The competitions of a rule that are not over at an instant, in order; one ends when the next one begins.

    A time that the clock leaves out is taken as if it had not been moved. Refuses with RecurrenceInvalid.
    """
    rule, zone = read(text), ZoneInfo(tz)
    local = at.astimezone(zone).date()
    found = (start.replace(tzinfo=zone).astimezone(UTC) for start in rule.starts(local - rule.lasts - DAY))
    for start, following in pairwise(_ended(found)):
        assert start is not None  # noqa: S101 - only the last one is nobody
        end = start + rule.lasts if following is None else min(start + rule.lasts, following)
        if end > at:
            yield Period(f"S:{start.astimezone(zone).date()}", start, end)


def _ended(starts: Iterator[datetime]) -> Iterator[datetime | None]:
    yield from starts
    yield None


@lru_cache(maxsize=RULES_KEPT_MAX)
def read(text: str) -> Rule:
    """The rule in three lines, as in EXAMPLE. Refuses with RecurrenceInvalid what cannot be read or never comes."""
    if len(text) > TEXT_CHARS_MAX:
        _refuse("rule", f"at most {TEXT_CHARS_MAX} characters")
    lines = _pairs(text.split(), ":", LINES, "line")
    if lines.keys() != set(LINES):
        _refuse("rule", EXAMPLE)
    parts = _pairs(lines["RRULE"].split(";"), "=", PARTS, "part")
    rule = Rule(
        first=_local("DTSTART", lines["DTSTART"]),
        lasts=_length(lines["DURATION"]),
        frequency=parts.get("FREQ", ""),
        interval=_number("INTERVAL", parts.get("INTERVAL", "1"), 1, INTERVAL_MAX),
        count=_number("COUNT", parts["COUNT"], 1, COUNT_MAX) if "COUNT" in parts else None,
        until=_local("UNTIL", parts["UNTIL"]) if "UNTIL" in parts else None,
        months=_numbers(parts, "BYMONTH", 1, MONTHS_OF_YEAR),
        days=_numbers(parts, "BYMONTHDAY", -31, 31),
        weekdays=frozenset(map(_weekday, parts["BYDAY"].split(","))) if "BYDAY" in parts else frozenset(),
    )
    _check(rule)
    return rule


def _check(rule: Rule) -> None:
    if rule.frequency not in FREQUENCIES:
        _refuse("FREQ", " or ".join(FREQUENCIES))
    if rule.count and rule.until:
        _refuse("COUNT", "COUNT or UNTIL, not both")
    if rule.frequency == "WEEKLY" and rule.days:
        _refuse("BYMONTHDAY", "a frequency other than WEEKLY")
    if rule.frequency in ("DAILY", "WEEKLY") and any(nth for nth, _ in rule.weekdays):
        _refuse("BYDAY", "plain days, like WE,FR")
    if rule.frequency == "YEARLY" and (rule.days or rule.weekdays) and not rule.months:
        _refuse("BYMONTH", "the months of a yearly rule")
    if next(rule.starts(rule.first.date()), None) is None:
        _refuse("RRULE", "a rule of which something comes")


def _pairs(words: list[str], sign: str, known: tuple[str, ...], kind: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        name, between, value = word.upper().partition(sign)
        if name not in known or not between or name in found:
            _refuse(f"{kind} {word}", f"each once: {', '.join(known)}")
        found[name] = value
    return found


def _local(name: str, text: str) -> datetime:
    """A local time, or the last moment of a local day."""
    try:
        found = datetime.strptime(text, "%Y%m%dT%H%M%S")  # noqa: DTZ007 - of the zone of the series
    except ValueError:
        found = _last_of_day(name, text)
    if found.year not in YEARS:
        _refuse(name, f"a year from {YEARS[0]} to {YEARS[-1]}")
    return found


def _last_of_day(name: str, text: str) -> datetime:
    try:
        day = datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - of the zone of the series
    except ValueError:
        day = None
    if day is None or name == "DTSTART":
        _refuse(name, "a local time like 20260318T180000")
    return datetime.combine(day, time.max)


def _length(text: str) -> timedelta:
    found = LENGTH.fullmatch(text)
    weeks, days, hours, minutes = (int(part or 0) for part in found.groups()) if found else (0, 0, 0, 0)
    length = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)
    if not LASTS_MIN <= length <= LASTS_MAX:
        _refuse("DURATION", "a minute to 366 days, like PT3H, P1DT12H or P1W")
    return length


def _numbers(parts: Mapping[str, str], name: str, low: int, high: int) -> frozenset[int]:
    if name not in parts:
        return frozenset()
    return frozenset(_number(name, word, low, high) for word in parts[name].split(","))


def _number(name: str, text: str, low: int, high: int) -> int:
    number = int(text) if NUMBER.fullmatch(text) else 0
    if not low <= number <= high or number == 0:
        _refuse(name, f"a number from {low} to {high}, not 0")
    return number


def _weekday(word: str) -> tuple[int | None, int]:
    found = NTH_DAY.fullmatch(word)
    if found is None:
        _refuse("BYDAY", "days like WE,FR, or in a month 1MO or -1SU")
    return int(found[1]) if found[1] else None, WEEKDAYS[found[2]]


def _refuse(where: str, expected: str) -> NoReturn:
    raise RecurrenceInvalid(where=where, expected=expected)
