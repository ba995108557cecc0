"""Is a snapshot believed as a whole, and what is odd about it?"""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from palio.affiliates.rules.changes import Change, Difference
from palio.affiliates.rules.numbers import name_key
from palio.affiliates.rules.payload import Parsed
from palio.affiliates.rules.roster import Roster
from palio.affiliates.types import AnomalyCode, Coverage, Flag, Suspicion

CORRECTIONS_MASS_MIN: Final = 20
ROWS_JUDGED_MIN: Final = 10
UPSTREAM_AHEAD_MAX: Final = timedelta(minutes=5)
FLAG_CODES: Final[Mapping[Flag, AnomalyCode]] = {
    Flag.COLUMN_LAG: "column_lag",
    Flag.ALL_TIME_MISSING: "all_time_missing",
    Flag.NAME_CLEANED: "name_cleaned",
    Flag.DUP_CONFLICT: "dup_conflict",
    Flag.FIRST_SEEN_JUMP: "first_seen_jump",
}


STANDING_CODES: Final = frozenset(FLAG_CODES.values()) - {"first_seen_jump"}  # counted in each snapshot anew


class Oddity(NamedTuple):
    """An anomaly that was not there before, of one player or (`no` is None) of the snapshot."""

    code: AnomalyCode
    no: int | None
    facts: Mapping[str, object]


def upstream_at(parsed: Parsed, fetched_at: datetime) -> datetime | None:
    """The provider's own time, unless it lies in the future."""
    return None if is_upstream_ahead(parsed, fetched_at) else parsed.upstream_at


def is_upstream_ahead(parsed: Parsed, fetched_at: datetime) -> bool:
    """Is the provider's clock more than five minutes ahead of ours?"""
    return parsed.upstream_at is not None and parsed.upstream_at > fetched_at + UPSTREAM_AHEAD_MAX


def rows_listed(parsed: Parsed) -> int:
    """How many players the payload lists, believed or not."""
    return len(parsed.readings) + len(parsed.held)


def is_incomplete(parsed: Parsed) -> bool:
    """Does the provider itself say that there are more players, on other pages or by a tenth?"""
    return (parsed.total_pages or 0) > 1 or (parsed.total_users or 0) * 10 > rows_listed(parsed) * 11


def suspicion(
    parsed: Parsed,
    difference: Difference,
    roster: Roster,
    *,
    coverage: Coverage,
    upstream: datetime | None,
    upstream_before: datetime | None,
) -> Suspicion | None:
    """Why the snapshot is kept but not applied, or None. The figures are those of the specification, 4.4."""
    listed, is_full = rows_listed(parsed), coverage == "full"
    if roster.players and not listed:
        return "empty"
    if is_full and listed * 2 < roster.not_stale:
        return "shrink"
    if is_full and is_incomplete(parsed):
        return "incomplete"
    if upstream and upstream_before and upstream < upstream_before:
        return "upstream_regress"
    fell = len(difference.corrections)
    if fell >= CORRECTIONS_MASS_MIN and fell * 20 > roster.with_wagers:
        return "mass_correction"
    if listed >= ROWS_JUDGED_MIN and (len(parsed.held) + len(difference.jumps)) * 5 > listed:
        return "mostly_quarantined"
    return None


def snapshot_anomalies(
    parsed: Parsed,
    difference: Difference,
    roster: Roster,
    *,
    coverage: Coverage,
    fetched_at: datetime,
    total_users_before: int | None,
) -> dict[AnomalyCode, Mapping[str, object]]:
    """What is odd about the snapshot as a whole, with the facts."""
    found: dict[AnomalyCode, Mapping[str, object]] = {}
    users, listed = parsed.total_users, rows_listed(parsed)
    if "totals_mismatch" in parsed.anomalies:
        found["totals_mismatch"] = {"sum_today_micro": parsed.totals.today, "sum_week_micro": parsed.totals.week}
    if "page_skew" in parsed.anomalies:
        found["page_skew"] = {"rows": listed, "total_users": users}
    if difference.vanished * 10 > roster.not_stale:
        found["mass_vanish"] = {"vanished": difference.vanished, "of": roster.not_stale}
    if coverage == "full" and users is not None and users != listed:
        found["total_users_mismatch"] = {"total_users": users, "rows": listed}
    if users is not None and _is_far(users, total_users_before):
        found["total_users_jump"] = {"before": total_users_before, "after": users}
    if is_upstream_ahead(parsed, fetched_at):
        found["upstream_future"] = {"upstream_at": str(parsed.upstream_at)}
    gone = [name for name in parsed.missing_columns if roster.columns.knows(name)]
    if gone or parsed.strange_keys:
        found["schema_drift"] = {"gone": gone, "new": list(parsed.strange_keys)}
    return found


def _is_far(users: int, before: int | None) -> bool:
    return before is not None and abs(users - before) * 10 > before


def player_oddities(difference: Difference, roster: Roster, known_names: AbstractSet[str]) -> list[Oddity]:
    """What became odd about players. `known_names` are the keys of names that somebody has or had before."""
    found = [
        Oddity(code, change.no, _numbers(change))
        for change in difference.all()
        if change.appeared
        for flag, code in FLAG_CODES.items()
        if change.appeared & flag
    ]
    found += [Oddity("correction", change.no, _before_and_after(change)) for change in difference.corrections]
    found += [Oddity("jump_confirmed", change.no, _before_and_after(change)) for change in difference.confirmed]
    found += [
        Oddity("renamed", change.no, {"before": name, "after": change.name})
        for change in difference.changed
        if change.name and (name := roster.names[change.no])
    ]
    found += [
        Oddity("name_reused", change.no, {"name": change.name})
        for change in difference.new
        if name_key(change.name) in known_names
    ]
    return found


def _numbers(change: Change) -> dict[str, object]:
    reading = change.reading
    return {"today": reading.today, "week": reading.week, "month": reading.month, "all_time": reading.all_time}


def _before_and_after(change: Change) -> dict[str, object]:
    return {"before": change.before, "after": change.reading.all_time}


def anomaly_counts(
    parsed: Parsed, difference: Difference, oddities: list[Oddity], of_snapshot: AbstractSet[AnomalyCode]
) -> dict[AnomalyCode, int]:
    """How often each anomaly occurs in the snapshot: players for those of players, 1 for those of the whole."""
    standing = Counter({code: parsed.anomalies.get(code, 0) for code in FLAG_CODES.values()})
    for reading in difference.jumps:  # a row that is not believed is not counted
        standing.subtract(code for flag, code in FLAG_CODES.items() if reading.flags & flag)
    news = Counter(
        oddity.code for oddity in oddities if oddity.code not in {*FLAG_CODES.values()} - {"first_seen_jump"}
    )
    counts = standing + news + Counter(dict.fromkeys(of_snapshot, 1))
    return {code: players for code, players in sorted(counts.items()) if players > 0}
