"""Use cases of the feeds: take a payload in, judge it, and tell what is known of whom."""

from palio.affiliates.service.archive import archive, restore, stored_payload
from palio.affiliates.service.boards import find_players, leaderboard, programmes, totals
from palio.affiliates.service.cycles import (
    close_cycle,
    fail_cycle,
    note_attempt,
    note_verdict,
    open_cycle,
    try_out,
)
from palio.affiliates.service.feeds import (
    add_feed,
    asking,
    ensure_feed,
    feeds,
    health,
    pull_feed,
    queue_due,
    set_mapping,
    watch_staleness,
)
from palio.affiliates.service.ingest import ensure_programme, ingest, note_refusal
from palio.affiliates.service.links import link, unlink
from palio.affiliates.service.periods import close_next, programme_ids
from palio.affiliates.service.pictures import keep_pictures_many, readings_at
from palio.affiliates.service.pushes import accept, let_push, pushed, require_genuine
from palio.affiliates.service.reads import (
    anomalies,
    applied_snapshot,
    changes_since,
    doubted_in,
    fetched_at,
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
from palio.affiliates.service.replay import feed_named, replay, replayable
from palio.affiliates.service.sources import WAGER_BOARDS
from palio.affiliates.service.staff import apply_anyway, discard, dismiss_row, release_row

__all__ = [
    "WAGER_BOARDS",
    "accept",
    "add_feed",
    "anomalies",
    "applied_snapshot",
    "apply_anyway",
    "archive",
    "asking",
    "changes_since",
    "close_cycle",
    "close_next",
    "discard",
    "dismiss_row",
    "doubted_in",
    "ensure_feed",
    "ensure_programme",
    "fail_cycle",
    "feed_named",
    "feeds",
    "fetched_at",
    "find_players",
    "health",
    "held_rows",
    "ingest",
    "keep_pictures_many",
    "leaderboard",
    "let_push",
    "link",
    "links_many",
    "listed_in",
    "note_attempt",
    "note_refusal",
    "note_verdict",
    "open_cycle",
    "players_many",
    "programme",
    "programme_ids",
    "programme_status",
    "programmes",
    "public_labels",
    "pull_feed",
    "pushed",
    "queue_due",
    "readings_at",
    "release_row",
    "replay",
    "replayable",
    "require_genuine",
    "restore",
    "set_mapping",
    "snapshot_before",
    "snapshot_from",
    "snapshots",
    "stored_payload",
    "totals",
    "try_out",
    "unlink",
    "watch_staleness",
]
