"""Decisions about feeds: what a payload says, what it changes, and whether it is believed."""

from palio.affiliates.rules.changes import Change, Difference, Limits, compare, roster_after
from palio.affiliates.rules.cycles import (
    CYCLE_SECONDS_MAX,
    Due,
    admitted,
    answered,
    breaker_after,
    credentials,
    due,
    failed,
    hint,
    judged,
    next_due,
    postponed_until,
    rest_before_next,
    without,
)
from palio.affiliates.rules.judgement import (
    Oddity,
    anomaly_counts,
    is_incomplete,
    player_oddities,
    snapshot_anomalies,
    suspicion,
    upstream_at,
)
from palio.affiliates.rules.mapping import CANONICAL, FeedMapping, mapping_of
from palio.affiliates.rules.names import label
from palio.affiliates.rules.numbers import name_key
from palio.affiliates.rules.parse import parse
from palio.affiliates.rules.payload import Known, Parsed
from palio.affiliates.rules.roster import PLAYER_BYTES, Columns, Roster
from palio.affiliates.rules.rows import read_row, written
from palio.affiliates.rules.snapshots import (
    applied,
    is_repetition,
    just_after,
    released,
    repeated,
    suspicious,
    unreadable,
)

__all__ = [
    "CANONICAL",
    "CYCLE_SECONDS_MAX",
    "PLAYER_BYTES",
    "Change",
    "Columns",
    "Difference",
    "Due",
    "FeedMapping",
    "Known",
    "Limits",
    "Oddity",
    "Parsed",
    "Roster",
    "admitted",
    "anomaly_counts",
    "answered",
    "applied",
    "breaker_after",
    "compare",
    "credentials",
    "due",
    "failed",
    "hint",
    "is_incomplete",
    "is_repetition",
    "judged",
    "just_after",
    "label",
    "mapping_of",
    "name_key",
    "next_due",
    "parse",
    "player_oddities",
    "postponed_until",
    "read_row",
    "released",
    "repeated",
    "rest_before_next",
    "roster_after",
    "snapshot_anomalies",
    "suspicion",
    "suspicious",
    "unreadable",
    "upstream_at",
    "without",
    "written",
]
