"""Applying a payload that was read: compare, judge, save, tell."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from palio import competitions
from palio.affiliates import rules, sql
from palio.affiliates.messages import FEED_UPDATED, SnapshotApplied, WagerCorrected, WagersAdvanced, WagerTotal
from palio.affiliates.rules import Difference, Limits, Oddity, Parsed, Roster
from palio.affiliates.service.codes import note_codes
from palio.affiliates.service.orders import follow_after_commit
from palio.affiliates.service.pictures import keep_daily
from palio.affiliates.service.rosters import remember_after_commit
from palio.affiliates.types import (
    FIRST_SEEN_LIMIT,
    JUMP_LIMIT,
    MICRO_PER_UNIT,
    PERIOD_KINDS,
    AnomalyCode,
    Arrival,
    HeldRow,
    HeldRowId,
    HeldState,
    ProgrammeId,
    Reading,
    Snapshot,
    Suspicion,
)
from palio.infra import outbox, realtime, settings
from palio.infra.db import Tx
from palio.kernel import clock

ITEMS_OF_MESSAGE_MAX = 1_000
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Judged:
    """A payload, compared with what was known."""

    arrival: Arrival
    parsed: Parsed
    roster: Roster
    last: Snapshot | None
    difference: Difference
    jumps: Sequence[sql.OpenJump]
    suspicion: Suspicion | None
    is_complete: bool


async def judge(
    tx: Tx, *, arrival: Arrival, parsed: Parsed, roster: Roster, last: Snapshot | None, jumps: Sequence[sql.OpenJump]
) -> Judged:
    """Compare a payload with the players of its programme; nothing is written."""
    coverage = arrival.feed.coverage
    is_complete = coverage == "full" and not rules.is_incomplete(parsed)
    difference = rules.compare(
        parsed,
        roster,
        await limits(tx),
        is_complete=is_complete,
        follows_complete=last is not None and last.complete,
        reported={jump.uid: jump.all_time for jump in jumps},
    )
    reason = rules.suspicion(
        parsed,
        difference,
        roster,
        coverage=coverage,
        upstream=rules.upstream_at(parsed, arrival.fetched_at),
        upstream_before=last.upstream_at if last else None,
    )
    return Judged(arrival, parsed, roster, last, difference, jumps, reason, is_complete)


async def limits(tx: Tx) -> Limits:
    """How much is believed at once, as this transaction sees it."""
    jump, first_seen = await settings.exact(tx, JUMP_LIMIT), await settings.exact(tx, FIRST_SEEN_LIMIT)
    return Limits(jump * MICRO_PER_UNIT, first_seen * MICRO_PER_UNIT)


async def applied(tx: Tx, *, judged: Judged) -> tuple[Snapshot, list[Oddity]]:
    """The snapshot that a believed payload becomes, and what became odd with it; nothing is written."""
    difference, roster, last = judged.difference, judged.roster, judged.last
    oddities = rules.player_oddities(difference, roster, await _known_names(tx, judged))
    of_snapshot = rules.snapshot_anomalies(
        judged.parsed,
        difference,
        roster,
        coverage=judged.arrival.feed.coverage,
        fetched_at=judged.arrival.fetched_at,
        total_users_before=last.total_users if last else None,
    )
    counts = rules.anomaly_counts(judged.parsed, difference, oddities, of_snapshot.keys())
    before: Mapping[AnomalyCode, int] = last.anomaly_counts if last else {}
    oddities += [Oddity(code, None, facts) for code, facts in of_snapshot.items() if code not in before]
    seq = (last.seq or 0) + 1 if last else 1
    snapshot = rules.applied(judged.arrival, judged.parsed, difference, counts, seq=seq, is_complete=judged.is_complete)
    return snapshot, oddities


async def _known_names(tx: Tx, judged: Judged) -> AbstractSet[str]:
    keys = {key for change in judged.difference.new if (key := rules.name_key(change.name))}
    if not keys or not judged.roster.players:
        return frozenset()
    return await sql.list_known_names(tx, judged.arrival.feed.programme_id, keys)


async def save(tx: Tx, *, judged: Judged, snapshot: Snapshot, oddities: Sequence[Oddity]) -> None:
    """Write what an applied snapshot changes, and tell it. Its own row is there already."""
    difference = judged.difference
    await keep_daily(tx, last=judged.last, fetched_at=snapshot.fetched_at)
    code = await sql.update_programme(tx, snapshot)
    if difference.new:
        await sql.insert_players(tx, snapshot, difference.new)
        await sql.insert_first_stats(tx, snapshot, difference.new)
    if difference.changed:
        await sql.update_players(tx, snapshot, difference.changed)
    if renamed := [change for change in difference.changed if change.name]:
        await sql.update_names(tx, snapshot, renamed)
    if named := [change for change in difference.all() if change.name]:
        await sql.insert_names(tx, snapshot, named)
    if difference.marks:
        await sql.update_marks(tx, snapshot, difference.marks)
    await note_codes(tx, snapshot=snapshot)
    if difference.jumps:
        await sql.insert_held(tx, snapshot, [_held_jump(reading) for reading in difference.jumps])
    if decided := _decided_jumps(judged):
        note = f"decided by the snapshot of {snapshot.fetched_at.isoformat()}"
        await sql.update_held(tx, decided, snapshot.fetched_at, by=None, note=note)
    if oddities:
        await sql.insert_anomalies(tx, snapshot, oddities)
    await tell(tx, code=code, snapshot=snapshot, difference=difference)
    source = (judged.arrival.feed.id, judged.arrival.feed.mapping_version)
    remember_after_commit(
        tx,
        programme_id=snapshot.programme_id,
        next_roster=lambda: rules.roster_after(judged.roster, snapshot.id, source, judged.parsed, difference),
    )
    follow_after_commit(tx, snapshot=snapshot, changes=[*difference.all()])


def _held_jump(reading: Reading) -> HeldRow:
    return HeldRow(0, reading.uid, "jump", rules.written(reading), reading.all_time)


def _decided_jumps(judged: Judged) -> dict[HeldRowId, HeldState]:
    """A second snapshot decides: it confirms the value, or it says another one."""
    confirmed = {change.reading.uid for change in judged.difference.confirmed}
    return {
        jump.id: "accepted" if jump.uid in confirmed else "dismissed"
        for jump in judged.jumps
        if jump.uid in judged.parsed.readings
    }


async def tell(tx: Tx, *, code: str, snapshot: Snapshot, difference: Difference) -> None:
    """Let others hear of an applied snapshot: once as a whole, and of those whom it concerns."""
    seq = snapshot.seq or 0
    await outbox.send(tx, SnapshotApplied(snapshot.programme_id, snapshot.id, seq))
    corrected = await sql.list_player_ids(tx, snapshot.programme_id, [change.no for change in difference.corrections])
    for some in _in_batches(corrected):
        await outbox.send(tx, WagerCorrected(snapshot.programme_id, snapshot.id, seq, tuple(some)))
    for totals in _in_batches(await _advanced_totals(tx, snapshot, difference)):
        await outbox.send(tx, WagersAdvanced(snapshot.programme_id, tuple(totals)))
    changed = snapshot.changed + snapshot.new_players
    tell_boards(tx, code=code, seq=seq, as_of=snapshot.as_of, changed=changed)
    facts = {"programme": str(snapshot.programme_id), "seq": seq, "as_of": clock.text(snapshot.as_of)}
    realtime.publish(tx, "feed", FEED_UPDATED, {**facts, "changed": changed})


def tell_boards(tx: Tx, *, code: str, seq: int, as_of: datetime, changed: int) -> None:
    """Let pages read the boards of a programme again: `changed` players have other numbers, as of `as_of`."""
    facts = {"seq": seq, "as_of": clock.text(as_of), "changed": changed}
    for kind in PERIOD_KINDS:
        realtime.publish(tx, f"board:wager:{code}:{kind}", competitions.LEADERBOARD_UPDATED, facts)


async def _advanced_totals(tx: Tx, snapshot: Snapshot, difference: Difference) -> list[WagerTotal]:
    """The totals of linked players that moved: of all time, and of the month of the snapshot in UTC."""
    moved = [change.no for change in difference.all() if change.kind != "columns_only" and change.kind]
    if not moved:
        return []
    return await linked_totals(
        tx, programme_id=snapshot.programme_id, numbers=moved, at=snapshot.fetched_at, as_of=snapshot.as_of
    )


async def linked_totals(
    tx: Tx, *, programme_id: ProgrammeId, numbers: Sequence[int], at: datetime, as_of: datetime
) -> list[WagerTotal]:
    """The totals of the linked ones among these players: of all time, and of the month of `at` in UTC."""
    month = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    totals = list[WagerTotal]()
    for user_id, all_time, of_month in await sql.list_linked_totals(tx, programme_id, numbers, month):
        totals.append(WagerTotal(user_id, "ALL", all_time or 0, as_of))
        totals.append(WagerTotal(user_id, f"M:{month:%Y-%m}", of_month, as_of))
    return totals


def _in_batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), ITEMS_OF_MESSAGE_MAX):
        yield items[start : start + ITEMS_OF_MESSAGE_MAX]
