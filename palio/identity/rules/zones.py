"""The days of somebody who changes his time zone: each date comes once, none twice, and none runs backwards."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from palio.identity.errors import TimeZoneChangeTooSoon
from palio.identity.types import ZoneChange

CHANGE_EVERY = timedelta(days=7)
INSTANT = timedelta(microseconds=1)


def valid_from(now: datetime, old: str, new: str) -> datetime:
    """From when on a zone counts that is chosen now: the later of the next two midnights, there and here."""
    return max(_next_midnight(now, old), _next_midnight(now, new))


def require_change(asked_at: datetime | None, now: datetime) -> None:
    """Let a user take another zone, a week after the last. Refuses with TimeZoneChangeTooSoon."""
    if asked_at and now < asked_at + CHANGE_EVERY:
        raise TimeZoneChangeTooSoon(free_at=(asked_at + CHANGE_EVERY).isoformat())


def zone_at(changes: Sequence[ZoneChange], usual: str, at: datetime) -> str:
    """The zone in force at an instant, of changes in their order; without any the usual one."""
    past = [change.zone for change in changes if change.valid_from <= at]
    return past[-1] if past else changes[0].zone if changes else usual


def local_date(changes: Sequence[ZoneChange], usual: str, at: datetime) -> date:
    """The date in the zone in force, but never one before the last of an earlier zone."""
    dates = [_date_in(zone_at(changes, usual, at), at)]
    for before, after in pairwise(changes):
        if after.valid_from <= at:
            dates.append(_date_in(before.zone, after.valid_from - INSTANT))
    return max(dates)


def _date_in(zone: str, at: datetime) -> date:
    return at.astimezone(ZoneInfo(zone)).date()


def _next_midnight(now: datetime, zone: str) -> datetime:
    tomorrow = _date_in(zone, now) + timedelta(days=1)
    return datetime.combine(tomorrow, time(), ZoneInfo(zone)).astimezone(UTC)
