"""Which stored snapshots open and close a race, and when something is due."""

from datetime import datetime, timedelta

from palio.affiliates.types import SnapshotView
from palio.competitions.types import Competition
from palio.races.types import FinalState, Race, Start, Waiting

INSTANT = timedelta(microseconds=1)
KEPT = timedelta(days=90)  # how long after a race its pictures can be asked for


def choose_start(
    starts_at: datetime, *, before: SnapshotView | None, after: SnapshotView | None, tolerance_s: int
) -> Start | None:
    """The snapshot that opens an unchained race; None while there is none.

    `before` is the newest one fetched until the start, `after` the first one fetched since. Near enough before the
    start is exact; otherwise the first one after it, late, and what was played in the gap is not known to anybody.
    """
    if before and before.fetched_at >= starts_at - timedelta(seconds=tolerance_s):
        return Start("exact", before)
    if after is None:
        return None
    return Start("late", after, before.fetched_at if before else starts_at, after.fetched_at)


def final_due_at(ends_at: datetime, grace_s: int) -> datetime:
    """From when on a snapshot closes the race: the provider has had time to book late play."""
    return ends_at + timedelta(seconds=grace_s)


def final_state(fetched_at: datetime, *, due_at: datetime, late_s: int) -> FinalState:
    """Whether the closing snapshot came in time."""
    return "late" if fetched_at > due_at + timedelta(seconds=late_s) else "exact"


def counted_at(fetched_at: datetime, starts_at: datetime, ends_at: datetime) -> datetime:
    """When wagers of a snapshot count as made: inside the window, whatever the clock of the feed said."""
    return min(max(fetched_at, starts_at), ends_at - INSTANT)


def is_due(race: Race, competition: Competition, *, seq: int, now: datetime) -> bool:
    """Whether a step of this race may be due; `seq` is the newest snapshot of its programme."""
    if competition.status == "draft":
        return False
    if competition.status == "upcoming":
        return now >= competition.starts_at
    if competition.status == "live":
        return race.start_state == "waiting" or seq > race.last_seq or now >= competition.ends_at
    return race.stage != "done"


def is_running(competition: Competition) -> bool:
    """Whether wagers can still change its scores."""
    return competition.status == "live" or competition.phase == "collecting"


def waits_for(race: Race, competition: Competition) -> Waiting | None:
    """What a race lacks for its next step; None when it only needs time or is over."""
    if is_running(competition) and race.start_state == "waiting":
        return "start_picture"
    if competition.phase == "collecting":
        return "final_picture" if race.final_state == "waiting" else "recompute"
    if competition.phase == "review":
        return "release" if competition.review_reasons else "review"
    return None
