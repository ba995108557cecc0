"""Taking a payload in: the one entry, whatever door it came through."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from palio.affiliates import rules, sql
from palio.affiliates.errors import BadJson, BodyTooLarge, OutOfOrder, ShapeUnknown
from palio.affiliates.rules import Difference, FeedMapping, Known, Parsed, Roster
from palio.affiliates.service.apply import applied, judge, save, tell
from palio.affiliates.service.orders import follow_after_commit
from palio.affiliates.service.pictures import keep_daily
from palio.affiliates.service.rosters import current_roster, remember_after_commit, remembered_roster
from palio.affiliates.types import (
    MAX_BYTES,
    Arrival,
    Coverage,
    CycleState,
    Feed,
    FeedId,
    Payload,
    Programme,
    ProgrammeId,
    Snapshot,
    SnapshotId,
    SnapshotStatus,
    Trigger,
)
from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.kernel.ids import new_id

STATES: Final[Mapping[SnapshotStatus, CycleState]] = {
    "applied": "applied",
    "suspicious": "suspicious",
    "invalid": "invalid",
    "discarded": "suspicious",
}
NO_DIFFERENCE: Final = Difference()
IDLE_SECONDS_MAX: Final = 3  # the server ends a transaction in which nothing was said for ten


async def ensure_programme(tx: Tx, *, code: str, coverage: Coverage = "full") -> Programme:
    """The programme of that code with its upload feed, both made if they are not there; the first is the default."""
    if found := await sql.find_programme(tx, code):
        return found
    await sql.lock_codes(tx)
    if await sql.find_programme(tx, code) is None:
        programme_id = ProgrammeId(new_id())
        await sql.insert_programme(tx, programme_id, code)
        await sql.insert_upload_feed(tx, FeedId(new_id()), programme_id, coverage, settings.value(MAX_BYTES))
    return await sql.get_programme(tx, code)


async def ingest(
    tx: Tx,
    *,
    feed_id: FeedId,
    payload: Payload,
    fetched_at: datetime,
    trigger: Trigger = "upload",
    due_at: datetime | None = None,
    snapshot_id: SnapshotId | None = None,
) -> Snapshot:
    """Read, judge and apply one payload; one at a time for each programme.

    The answer says what became of it: `applied`, or `suspicious` for staff to decide. It ends the cycle of `due_at` (of
    `fetched_at` if not given). Whoever chooses `snapshot_id` may repeat the call, which then returns the first
    snapshot. Refuses with NoSuchFeed, BodyTooLarge, OutOfOrder, BadContentType, BadEncoding, BadJson, ShapeUnknown,
    UpstreamRefused; what then remains is for `note_refusal`.
    """
    feed = await sql.get_feed(tx, feed_id)
    if payload.size > feed.max_bytes:
        raise BodyTooLarge(size=payload.size, size_max=feed.max_bytes)
    await sql.lock_applying(tx, feed.programme_id)
    if snapshot_id and (found := await sql.find_snapshot(tx, snapshot_id)):
        return found
    last = await sql.find_last(tx, feed.programme_id)
    if last and fetched_at <= last.fetched_at:
        raise OutOfOrder(fetched_at=fetched_at, last=last.fetched_at)
    payload_id = await sql.upsert_payload(tx, feed_id, payload)
    arrival = Arrival(snapshot_id or SnapshotId(new_id()), feed, payload.sha256, fetched_at)
    jumps = await sql.list_open_jumps(tx, feed.programme_id)
    snapshot: Snapshot
    if last and not jumps and rules.is_repetition(arrival, last):
        snapshot = rules.repeated(arrival, last)
        await _store(tx, snapshot, payload, payload_id, trigger, due_at)
        await _repeat(tx, snapshot, last)
        return snapshot
    roster = await current_roster(tx, last=last)
    parsed = await read(tx, feed=feed, content_type=payload.content_type, body=payload.body, roster=roster)
    judged = await judge(tx, arrival=arrival, parsed=parsed, roster=roster, last=last, jumps=jumps)
    if judged.suspicion:
        snapshot = rules.suspicious(arrival, parsed, judged.difference, judged.suspicion)
        await _store(tx, snapshot, payload, payload_id, trigger, due_at)
    else:
        snapshot, oddities = await applied(tx, judged=judged)
        await _store(tx, snapshot, payload, payload_id, trigger, due_at)
        await save(tx, judged=judged, snapshot=snapshot, oddities=oddities)
    if parsed.held:
        await sql.insert_held(tx, snapshot, parsed.held)
    return snapshot


async def note_refusal(
    tx: Tx,
    *,
    feed_id: FeedId,
    payload: Payload,
    fetched_at: datetime,
    trigger: Trigger,
    refusal: Refusal,
    due_at: datetime | None = None,
) -> None:
    """Write down what a payload leaves that `ingest` refused, in a transaction of its own: its bytes, and the cycle.

    What is no JSON or no list of players becomes a snapshot too, an invalid one. Refuses with NoSuchFeed.
    """
    feed = await sql.get_feed(tx, feed_id)
    payload_id = await sql.upsert_payload(tx, feed_id, payload)
    if isinstance(refusal, OutOfOrder):
        return
    reason = refusal.code.removeprefix("affiliates.")
    if isinstance(refusal, BadJson | ShapeUnknown):
        arrival = Arrival(SnapshotId(new_id()), feed, payload.sha256, fetched_at)
        await _store(tx, rules.unreadable(arrival, reason), payload, payload_id, trigger, due_at)
        return
    at = payload.received_at
    await sql.upsert_cycle(tx, feed_id, due_at or fetched_at, trigger, at, state="failed", error_code=reason)


async def read(tx: Tx, *, feed: Feed, content_type: str, body: bytes, roster: Roster) -> Parsed:
    """Parse a body by the feed's mapping, beside the event loop: a first one of a hundred thousand rows takes seconds.

    Refuses as `rules.parse` does.
    """
    mapping = await mapping_of(tx, feed=feed)
    known = roster.known if roster.source == (feed.id, feed.mapping_version) else Known()
    parsing = asyncio.get_running_loop().run_in_executor(None, rules.parse, body, content_type, mapping, known)
    while not (await asyncio.wait([parsing], timeout=IDLE_SECONDS_MAX))[0]:
        await sql.stay(tx)
    return parsing.result()


async def mapping_of(tx: Tx, *, feed: Feed) -> FeedMapping:
    """How a feed is read. Refuses with NoSuchMapping, BadMapping."""
    if not feed.mapping_version:
        return rules.CANONICAL
    written = await sql.get_mapping(tx, feed.id, feed.mapping_version)
    return rules.mapping_of(written, version=feed.mapping_version)


async def _store(
    tx: Tx, snapshot: Snapshot, payload: Payload, payload_id: UUID, trigger: Trigger, due_at: datetime | None
) -> None:
    """The rows of a snapshot and of the cycle that brought it."""
    is_unchanged = snapshot.status == "applied" and not snapshot.changed and not snapshot.new_players
    state: CycleState = "unchanged" if is_unchanged else STATES[snapshot.status]
    cycle_id = await sql.upsert_cycle(
        *(tx, snapshot.feed_id, due_at or snapshot.fetched_at, trigger, payload.received_at),
        state=state,
        error_code=snapshot.reason,
        snapshot_id=snapshot.id,
    )
    await sql.insert_snapshot(tx, snapshot, payload_id, cycle_id)


async def _repeat(tx: Tx, snapshot: Snapshot, last: Snapshot) -> None:
    """The bytes of the last snapshot again: the programme is as of later, and nothing else changes."""
    await keep_daily(tx, last=last, fetched_at=snapshot.fetched_at)
    code = await sql.update_programme(tx, snapshot)
    await tell(tx, code=code, snapshot=snapshot, difference=NO_DIFFERENCE)
    follow_after_commit(tx, snapshot=snapshot)
    if roster := remembered_roster(tx, programme_id=snapshot.programme_id, snapshot_id=last.id):
        remember_after_commit(
            tx, programme_id=snapshot.programme_id, next_roster=lambda: replace(roster, snapshot_id=snapshot.id)
        )
