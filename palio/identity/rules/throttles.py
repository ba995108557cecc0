"""How long somebody waits after failures. Waiting grows and ends: nobody is locked out for good."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from palio.identity.types import Failures

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=15)
DOUBLINGS_MAX = 10
WHOLE_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Limit:
    """So many failures within the window are free; where it `doubles`, each further one makes the wait longer."""

    free: int
    window: timedelta
    doubles: bool = True


STRANGER = Limit(5, timedelta(minutes=30))  # of one account, from devices that it has not signed in on
KNOWN_DEVICE = Limit(10, timedelta(minutes=30))  # of one account, from one of its own: strangers cannot shut it out
NETWORK = Limit(10, timedelta(minutes=5))
HOUSE = Limit(1_000, timedelta(minutes=5), doubles=False)  # a crowd of strangers must not shut the house for long
FACTOR = (Limit(5, timedelta(minutes=5)), Limit(20, timedelta(hours=1)), Limit(50, timedelta(days=1)))


def free_of(limit: Limit, percent: int) -> int:
    """How many failures are free; at least one."""
    return max(limit.free * percent // WHOLE_PERCENT, 1)


def wait_after(failures: Failures, limit: Limit, now: datetime, *, percent: int = WHOLE_PERCENT) -> timedelta | None:
    """How long still to wait: 30 s after the last free failure, where it doubles up to 15 minutes by further ones.

    `percent` raises or lowers what is free. None: he may try.
    """
    free = free_of(limit, percent)
    if failures.count < free or failures.newest_at is None:
        return None
    doublings = min(failures.count - free, DOUBLINGS_MAX) if limit.doubles else 0
    waits = min(FIRST_WAIT * 2**doublings, LONGEST_WAIT)
    left = failures.newest_at + waits - now
    return left if left > timedelta(0) else None


def longest(waits: Sequence[timedelta | None]) -> timedelta | None:
    """The longest of several waits, if there is one."""
    return max((wait for wait in waits if wait), default=None)
