"""Use cases of the feeds: take a payload in, judge it, and tell what is known of whom."""

from palio.affiliates.service.archive import archive, restore, stored_payload
from palio.affiliates.service.ingest import ensure_programme, ingest, note_refusal
from palio.affiliates.service.pictures import keep_pictures_many, readings_at
from palio.affiliates.service.reads import (
    anomalies,
    applied_snapshot,
    changes_since,
    doubted_in,
    held_rows,
    links_many,
    listed_in,
    players_many,
    programme,
    programme_status,
    public_labels,
    snapshot_before,
    snapshot_from,
    snapshots,
)
from palio.affiliates.service.staff import apply_anyway, discard, dismiss_row, release_row

__all__ = [
    "anomalies",
    "applied_snapshot",
    "apply_anyway",
    "archive",
    "changes_since",
    "discard",
    "dismiss_row",
    "doubted_in",
    "ensure_programme",
    "held_rows",
    "ingest",
    "keep_pictures_many",
    "links_many",
    "listed_in",
    "note_refusal",
    "players_many",
    "programme",
    "programme_status",
    "public_labels",
    "readings_at",
    "release_row",
    "restore",
    "snapshot_before",
    "snapshot_from",
    "snapshots",
    "stored_payload",
]
