"""The row of a snapshot: what came, what became of it, and the sums over what was accepted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from palio.affiliates.rules.changes import Difference
from palio.affiliates.rules.judgement import rows_listed, upstream_at
from palio.affiliates.rules.payload import Parsed
from palio.affiliates.types import AnomalyCode, Arrival, Reading, Snapshot, Suspicion, Totals

ONE_INSTANT: Final = timedelta(microseconds=1)
STANDING: Final[frozenset[AnomalyCode]] = frozenset(
    {
        "column_lag",
        "all_time_missing",
        "name_cleaned",
        "dup_conflict",
        "totals_mismatch",
        "total_users_mismatch",
        "schema_drift",
    }
)


def unreadable(arrival: Arrival, reason: str) -> Snapshot:
    """A payload in which no list of players was found; `reason` is `bad_json` or `shape_unknown`."""
    return replace(_row(arrival, None), status="invalid", reason=reason, shape=None)


def suspicious(arrival: Arrival, parsed: Parsed, difference: Difference, reason: Suspicion) -> Snapshot:
    """A payload that is kept and changes nothing until staff decide. Its sums are those that it claims."""
    return replace(_row(arrival, parsed, difference), status="suspicious", reason=reason)


def applied(
    arrival: Arrival,
    parsed: Parsed,
    difference: Difference,
    counts: Mapping[AnomalyCode, int],
    *,
    seq: int,
    is_complete: bool,
) -> Snapshot:
    """A payload that is believed, with what it changed."""
    return replace(
        _row(arrival, parsed, difference),
        seq=seq,
        status="applied",
        complete=is_complete,
        new_players=len(difference.new),
        changed=len(difference.changed),
        all_time_changed=sum(change.kind in {"change", "correction"} for change in difference.changed),
        vanished=difference.vanished,
        corrections=len(difference.corrections),
        delta_micro=difference.delta,
        anomaly_counts=dict(counts),
    )


def is_repetition(arrival: Arrival, last: Snapshot) -> bool:
    """Are these the bytes of the last applied snapshot, read in the same way?"""
    is_same = arrival.sha256 == last.sha256 and arrival.feed.id == last.feed_id
    is_read_alike = arrival.feed.mapping_version == last.mapping_version
    return is_same and is_read_alike and "upstream_future" not in last.anomaly_counts


def repeated(arrival: Arrival, last: Snapshot) -> Snapshot:
    """The same bytes again: nothing changes but the time. What was odd still is; what happened then is not repeated."""
    return replace(
        _unchanged(arrival, last),
        as_of=last.upstream_at or arrival.fetched_at,
        anomaly_counts={code: count for code, count in last.anomaly_counts.items() if code in STANDING},
    )


def released(arrival: Arrival, last: Snapshot, difference: Difference, counts: Mapping[AnomalyCode, int]) -> Snapshot:
    """The last snapshot once more, with one row believed that was held; it describes the same instant."""
    (change,) = difference.changed
    standing = {code: count for code, count in last.anomaly_counts.items() if code in STANDING}
    reading = change.reading
    return replace(
        _unchanged(arrival, last),
        reason="released",
        accepted=last.accepted + 1,
        quarantined=last.quarantined - 1,
        changed=1,
        all_time_changed=1,
        delta_micro=change.delta,
        anomaly_counts={**standing, **counts},
        sum_today_micro=last.sum_today_micro + (reading.today or 0),
        sum_week_micro=last.sum_week_micro + (reading.week or 0),
        sum_month_micro=last.sum_month_micro + (reading.month or 0),
        sum_all_time_micro=last.sum_all_time_micro + (reading.all_time or 0),
    )


def just_after(last: Snapshot) -> datetime:
    """The first instant at which another snapshot can follow."""
    return last.fetched_at + ONE_INSTANT


def _unchanged(arrival: Arrival, last: Snapshot) -> Snapshot:
    return replace(
        last,
        id=arrival.snapshot_id,
        seq=(last.seq or 0) + 1,
        fetched_at=arrival.fetched_at,
        reason=None,
        new_players=0,
        changed=0,
        all_time_changed=0,
        vanished=0,
        corrections=0,
        delta_micro=0,
    )


def _row(arrival: Arrival, parsed: Parsed | None, difference: Difference | None = None) -> Snapshot:
    parsed = parsed or Parsed("flat", {})
    jumps = difference.jumps if difference else ()
    totals = _without(parsed.totals, jumps)
    upstream = upstream_at(parsed, arrival.fetched_at)
    return Snapshot(
        id=arrival.snapshot_id,
        programme_id=arrival.feed.programme_id,
        feed_id=arrival.feed.id,
        mapping_version=arrival.feed.mapping_version,
        seq=None,
        fetched_at=arrival.fetched_at,
        upstream_at=upstream,
        as_of=upstream or arrival.fetched_at,
        status="invalid",
        reason=None,
        shape=parsed.shape,
        complete=False,
        rows_total=rows_listed(parsed),
        accepted=len(parsed.readings) - len(jumps),
        quarantined=len(parsed.held) + len(jumps),
        new_players=0,
        changed=0,
        all_time_changed=0,
        vanished=0,
        corrections=0,
        delta_micro=0,
        total_users=parsed.total_users,
        anomaly_counts=dict(parsed.anomalies),
        sha256=arrival.sha256,
        sum_today_micro=totals.today,
        sum_week_micro=totals.week,
        sum_month_micro=totals.month,
        sum_all_time_micro=totals.all_time,
    )


def _without(totals: Totals, jumps: Sequence[Reading]) -> Totals:
    """The sums without rows that are not believed yet."""
    return Totals(
        today=totals.today - sum(jump.today or 0 for jump in jumps),
        week=totals.week - sum(jump.week or 0 for jump in jumps),
        month=totals.month - sum(jump.month or 0 for jump in jumps),
        all_time=totals.all_time - sum(jump.all_time or 0 for jump in jumps),
    )
