"""Days, ISO weeks and months in UTC: what a key means, in which period an instant lies, and how periods compare."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from palio.affiliates.errors import BadPeriodKey
from palio.affiliates.types import Period, PeriodKind, Source

WHOLE_BPS: Final = 10_000
GROWTH_BPS_MAX: Final = 2**31 - 1
ALL: Final = Period("ALL", "ALL")
DAY: Final = re.compile(r"D:(\d{4}-\d\d-\d\d)", re.ASCII)
WEEK: Final = re.compile(r"W:(\d{4})-W(\d\d)", re.ASCII)
MONTH: Final = re.compile(r"M:(\d{4}-\d\d)", re.ASCII)
YEAR_FIRST, YEAR_LAST = 2000, 9_000  # both have neighbours on every side


def period_of(key: str) -> Period:
    """The period of a key. Refuses with BadPeriodKey."""
    try:
        found = ALL if key == ALL.key else _dated(key)
    except ValueError:
        found = None
    if found is None or (found.starts_at and not YEAR_FIRST <= found.starts_at.year <= YEAR_LAST):
        raise BadPeriodKey(key=key)
    return found


def _dated(key: str) -> Period | None:
    if named := DAY.fullmatch(key):
        return _day(date.fromisoformat(named[1]))
    if named := WEEK.fullmatch(key):
        return _week(date.fromisocalendar(int(named[1]), int(named[2]), 1))
    if named := MONTH.fullmatch(key):
        return _month(date.fromisoformat(f"{named[1]}-01"))
    return None


def period_at(kind: PeriodKind, at: datetime) -> Period:
    """The period of a kind in which an instant lies."""
    day = at.astimezone(UTC).date()
    if kind == "ALL":
        return ALL
    return {"D": _day, "W": _week, "M": _month}[kind](day)


def after(period: Period) -> Period:
    """The period that follows; after ALL comes nothing else."""
    return period_at(period.kind, period.ends_at) if period.ends_at else period


def before(period: Period) -> Period:
    """The period that precedes; before ALL comes nothing else."""
    return period_at(period.kind, period.starts_at - timedelta(microseconds=1)) if period.starts_at else period


def _day(day: date) -> Period:
    return Period(f"D:{day.isoformat()}", "D", _midnight(day), _midnight(day + timedelta(days=1)))


def _week(day: date) -> Period:
    year, week, weekday = day.isocalendar()
    monday = day - timedelta(days=weekday - 1)
    return Period(f"W:{year:04}-W{week:02}", "W", _midnight(monday), _midnight(monday + timedelta(days=7)))


def _month(day: date) -> Period:
    first = day.replace(day=1)
    return Period(f"M:{first:%Y-%m}", "M", _midnight(first), _midnight((first + timedelta(days=32)).replace(day=1)))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def is_whole(period: Period, began_at: datetime) -> bool:
    """Was the programme read before the period began, so that we have seen the whole of it?"""
    return period.starts_at is not None and period.starts_at >= began_at


def source_of(period: Period, began_at: datetime, setting: str) -> Source:
    """What a board shows: what we counted if we have seen the whole period, unless the setting says which."""
    if period.kind == "ALL":
        return "reported"  # the provider's own counter
    if setting in {"reported", "computed"}:
        return "reported" if setting == "reported" else "computed"
    return "computed" if is_whole(period, began_at) else "reported"


def growth_bps(now: int, before: int | None) -> int | None:
    """By how much a total is larger than the one before, half to even; None where that says nothing."""
    if before is None or before <= 0:
        return None
    found = _half_even((now - before) * WHOLE_BPS, before)
    return found if abs(found) <= GROWTH_BPS_MAX else None


def share_bps(part: int, whole: int) -> int:
    """Which part of the whole it is, half to even; nothing of nothing."""
    return _half_even(part * WHOLE_BPS, whole) if whole > 0 else 0


def _half_even(numerator: int, denominator: int) -> int:
    """The nearest integer to a quotient of which the denominator is positive."""
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1))
