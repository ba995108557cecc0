"""What staff see of a board while it moves: how fast scores come in, how late they are, and what is odd about them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median

from palio.competitions.types import Arrival, Minute, Oddity, Watched

MINUTES = 60
MINUTE = timedelta(minutes=1)
LATE_AFTER = timedelta(minutes=5)
OUTSIZED_TIMES = 20  # the usual change
USUAL_MIN = 20  # changes that say what is usual
BURST_A_MINUTE = 60
ODD_MAX = 20


def watch(arrivals: Sequence[Arrival], now: datetime, *, is_whole: bool) -> Watched:
    """What the newest scores say, the newest first; `is_whole` if there are no older ones within the hour."""
    hour = [each for each in arrivals if now - each.created_at < MINUTES * MINUTE]
    lags = sorted(max(0.0, (each.created_at - each.happened_at).total_seconds()) for each in arrivals)
    return Watched(
        per_minute=_per_minute(hour, now),
        in_hour=len(hour),
        is_whole=is_whole or len(hour) < len(arrivals),
        newest_at=arrivals[0].created_at if arrivals else None,
        lag_median_s=int(median(lags)) if lags else None,
        lag_high_s=int(lags[len(lags) * 95 // 100]) if lags else None,
        odd=tuple(_odd(hour))[:ODD_MAX],
    )


def _per_minute(hour: Sequence[Arrival], now: datetime) -> tuple[Minute, ...]:
    """The whole minutes of the last hour, the oldest first, those with nothing too."""
    last = now.replace(second=0, microsecond=0)
    counts = Counter(each.created_at.replace(second=0, microsecond=0) for each in hour)
    return tuple(Minute(at, counts[at]) for at in (last - number * MINUTE for number in range(MINUTES - 1, -1, -1)))


def _odd(hour: Sequence[Arrival]) -> Iterator[Oddity]:
    """What a person should look at, the newest of each kind first."""
    scored = [each for each in hour if each.kind == "score"]
    changes = sorted(abs(each.delta) for each in scored if each.delta)
    usual = median(changes) if len(changes) >= USUAL_MIN else None
    for each in scored:
        if usual and abs(each.delta) >= OUTSIZED_TIMES * usual:
            yield Oddity("outsized", each.entrant_id, each.created_at, each.delta)
    bursts = Counter((each.entrant_id, each.created_at.replace(second=0, microsecond=0)) for each in scored)
    for (entrant_id, at), times in bursts.items():
        if times >= BURST_A_MINUTE:
            yield Oddity("burst", entrant_id, at, times)
    for each in hour:
        if each.kind != "score":
            yield Oddity(each.kind, each.entrant_id, each.created_at, each.delta)
        elif each.created_at - each.happened_at > LATE_AFTER:
            lag = int((each.created_at - each.happened_at).total_seconds())
            yield Oddity("late", each.entrant_id, each.created_at, lag)
