"""Periods of a calendar in a time zone: days, ISO weeks, weekends and months, their keys, and all time."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from palio.competitions.types import Cadence, ListPeriod, Period, PeriodKind

DAY, WEEK = timedelta(days=1), timedelta(days=7)
WEEKEND_BEGINS = timedelta(days=5)  # after Monday
SATURDAY: Final = 6
ALL: Final = ListPeriod("ALL", None, None)
YEAR_FIRST, YEAR_LAST = 2000, 9_000  # both have neighbours on every side
PERIODS_KEPT_MAX = 1_000
KIND_OF: Final[dict[Cadence, PeriodKind]] = {"daily": "D", "weekly": "W", "weekend": "WE", "monthly": "M"}
WORDS: Final[dict[str, PeriodKind]] = {"today": "D", "week": "W", "weekend": "WE", "month": "M", "all": "ALL"}
WORD_OF: Final[dict[PeriodKind, str]] = {kind: word for word, kind in WORDS.items()}
DAY_KEY: Final = re.compile(r"D:(\d{4}-\d\d-\d\d)", re.ASCII)
WEEK_KEY: Final = re.compile(r"(WE?):(\d{4})-W(\d\d)", re.ASCII)
MONTH_KEY: Final = re.compile(r"M:(\d{4}-\d\d)", re.ASCII)


def periods(cadence: Cadence, tz: str, at: datetime) -> Iterator[Period]:
    """The periods that are not over at an instant, in order, without end."""
    day = day_of(at, tz)
    while True:
        key, first, after = _span(KIND_OF.get(cadence, "M"), day)
        period = Period(key, midnight(first, tz), midnight(after, tz))
        if period.ends_at > at:
            yield period
        day = after


def day_of(at: datetime, tz: str) -> date:
    """The day on which an instant lies in a time zone."""
    return at.astimezone(_zone(tz)).date()


def midnight(day: date, tz: str) -> datetime:
    """The instant at which a day begins in a time zone."""
    return datetime.combine(day, time(), _zone(tz)).astimezone(UTC)


@lru_cache(maxsize=PERIODS_KEPT_MAX)
def on(kinds: tuple[PeriodKind, ...], day: date, tz: str) -> tuple[ListPeriod, ...]:
    """The periods of these kinds in which a day lies; a weekend is only there on its two days."""
    return tuple(period_at(kind, day, tz) for kind in kinds if kind != "WE" or day.isoweekday() >= SATURDAY)


def period_at(kind: PeriodKind, day: date, tz: str) -> ListPeriod:
    """The period of a kind in which a day lies; of a weekend, that of its week."""
    if kind == "ALL":
        return ALL
    key, first, after = _span(kind, day)
    return ListPeriod(key, midnight(first, tz), midnight(after, tz))


def period_of(key: str, kinds: Sequence[PeriodKind], tz: str) -> ListPeriod | None:
    """The period of a key, if it is one of these kinds; None for what is no key."""
    try:
        found = _read(key)
    except ValueError:
        return None
    if found is None or found[0] not in kinds:
        return None
    kind, day = found
    return period_at(kind, day, tz) if kind == "ALL" or YEAR_FIRST <= day.year <= YEAR_LAST else None


def named(word: str, kinds: Sequence[PeriodKind], tz: str, now: datetime) -> ListPeriod | None:
    """The period that is meant by a word at an instant, or by a key; between two weekends, the one that is over."""
    kind = WORDS.get(word)
    if kind is None:
        return period_of(word, kinds, tz)
    if kind not in kinds:
        return None
    found = period_at(kind, day_of(now, tz), tz)
    if found.starts_at and found.starts_at > now:
        return period_at(kind, day_of(now, tz) - WEEK, tz)
    return found


def neighbour(period: ListPeriod, kind: PeriodKind, tz: str, *, step: int) -> ListPeriod | None:
    """The period after (1) or before (-1); beside all time there is nothing."""
    if period.starts_at is None or period.ends_at is None:
        return None
    if step > 0:
        return period_at(kind, day_of(period.ends_at, tz), tz)
    return period_at(kind, day_of(period.starts_at, tz) - (WEEK if kind == "WE" else DAY), tz)


def kind_of(key: str) -> PeriodKind:
    """The kind of a period by its key."""
    kind: PeriodKind = key.partition(":")[0]  # type: ignore[assignment]  # a key begins with its kind
    return kind


def _read(key: str) -> tuple[PeriodKind, date] | None:
    """The kind of a key and a day of its period. Raises ValueError for days that do not exist."""
    if key == ALL.key:
        return "ALL", date.min
    if found := DAY_KEY.fullmatch(key):
        return "D", date.fromisoformat(found[1])
    if found := WEEK_KEY.fullmatch(key):
        kind: PeriodKind = "WE" if found[1] == "WE" else "W"
        return kind, date.fromisocalendar(int(found[2]), int(found[3]), 1)
    if found := MONTH_KEY.fullmatch(key):
        return "M", date.fromisoformat(f"{found[1]}-01")
    return None


def _span(kind: PeriodKind, day: date) -> tuple[str, date, date]:
    """Key, first day and the day after the last of the period in which a day lies; of a weekend, that of its week."""
    year, week, weekday = day.isocalendar()
    monday = day - timedelta(days=weekday - 1)
    if kind == "D":
        return f"D:{day.isoformat()}", day, day + DAY
    if kind == "W":
        return f"W:{year}-W{week:02}", monday, monday + WEEK
    if kind == "WE":
        return f"WE:{year}-W{week:02}", monday + WEEKEND_BEGINS, monday + WEEK
    first = day.replace(day=1)
    return f"M:{first:%Y-%m}", first, (first + timedelta(days=32)).replace(day=1)


@lru_cache(maxsize=PERIODS_KEPT_MAX)
def _zone(tz: str) -> ZoneInfo:
    return ZoneInfo(tz)
