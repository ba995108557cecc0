"""What staff decide about a race as a whole: its pictures, its end, its release, its cancellation."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from palio import affiliates, competitions
from palio.affiliates.types import PlayerId, SnapshotId, SnapshotView
from palio.competitions.types import Competition
from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.errors import Stale
from palio.kernel.ids import Actor, UserId, new_id
from palio.races import sql
from palio.races.errors import ChainGap, Frozen, NotOverdue, PictureUnfit, StartReplaced
from palio.races.rules import pictures, totals
from palio.races.service import books, counting
from palio.races.service.deciding import lock, record, require_stranger
from palio.races.service.running import find, told
from palio.races.types import FINAL_ALARM_H, Move, Race

ROWS_MAX = 100_000


async def require_seen(tx: Tx, *, number: int, version: int) -> None:
    """Accept staff who saw the race as it is; ours until the transaction ends. Refuses with NoSuchRace, Stale."""
    race, _ = await find(tx, number=number)
    competition = await competitions.lock(tx, competition_id=race.competition_id)
    if competition.version != version:
        raise Stale(version=competition.version)


async def release(
    tx: Tx, *, number: int, actor: Actor, reason: str, now: datetime, approved_by: UserId | None = None
) -> None:
    """End the review of a race, whatever was odd; it is paid at the next tick.

    Refuses with NoSuchRace, OwnAccount, competitions.NotInReview, competitions.ReasonMissing,
    competitions.ApprovalDue.
    """
    race, competition = await lock(tx, number=number, now=now)
    await require_stranger(tx, race=race, actor=actor)
    await competitions.release(
        tx, competition_id=competition.id, actor=actor, reason=reason, now=now, approved_by=approved_by
    )
    await _decide(tx, race, "release", {"review_reasons": list(race.review_reasons)}, actor, reason, now)


async def cancel(
    tx: Tx, *, number: int, actor: Actor, reason: str, now: datetime, approved_by: UserId | None = None
) -> Competition:
    """Call a race off; `reason` is public, and the pool goes back. A race chained to it takes a picture of its own.

    Refuses with NoSuchRace and as competitions.cancel does.
    """
    race, competition = await lock(tx, number=number, now=now)
    cancelled = await competitions.cancel(
        tx, competition_id=competition.id, actor=actor, reason=reason, now=now, approved_by=approved_by
    )
    await sql.update_stage(tx, race.competition_id, "done", race.review_reasons)
    await told(tx, race=race, competition=cancelled, step="cancelled")
    return cancelled


async def extend(tx: Tx, *, number: int, ends_at: datetime, actor: Actor, reason: str, now: datetime) -> Competition:
    """Move the end of a race to a later time, as long as no other race is chained to it.

    Refuses with NoSuchRace, ChainGap and as competitions.extend does.
    """
    race, competition = await lock(tx, number=number, now=now)
    if await sql.has_successor(tx, race.competition_id):
        raise ChainGap(previous=number, ends_at=competition.ends_at.isoformat())
    return await competitions.extend(
        tx, competition_id=competition.id, ends_at=ends_at, actor=actor, reason=reason, now=now
    )


async def force_final(
    tx: Tx,
    *,
    number: int,
    snapshot_id: SnapshotId,
    actor: Actor,
    reason: str,
    now: datetime,
    approved_by: UserId | None = None,
) -> None:
    """Close a race that no snapshot has closed for `races.final_alarm_h` by a stored one; two people do this.

    Refuses with NoSuchRace, OwnAccount, NotOverdue, PictureUnfit, affiliates.NoSuchSnapshot, competitions.ApprovalDue.
    """
    race, competition = await lock(tx, number=number, now=now)
    await require_stranger(tx, race=race, actor=actor)
    due_at = competition.ends_at + timedelta(hours=settings.value(FINAL_ALARM_H))
    if competition.phase != "collecting" or race.final_state != "waiting" or now < due_at:
        raise NotOverdue(number=number, due_at=due_at.isoformat())
    snapshot = await _fitting(tx, race, snapshot_id, "one since the start picture")
    if race.start_snapshot_id is None or snapshot.seq < (race.start_seq or 0):
        raise PictureUnfit(snapshot=str(snapshot_id), number=number, expected="one since the start picture")
    _require_second(actor, approved_by, "the forced end", {})
    book = await books.read(tx, race=race, start_id=race.start_snapshot_id, final_id=snapshot.id)
    decision_id = await _decide(tx, race, "final_picture", {"snapshot": str(snapshot.id)}, actor, reason, now)
    await books.level(tx, race=race, competition=competition, book=book, cause=f"forced:{decision_id}", now=now)
    await sql.update_final(tx, race.competition_id, "forced", snapshot.id)
    await sql.insert_picture_event(tx, race.competition_id, "chosen", snapshot, "final", now)
    await _keep(tx, race, competition, snapshot, now)


async def replace_start(
    tx: Tx,
    *,
    number: int,
    snapshot_id: SnapshotId,
    actor: Actor,
    reason: str,
    now: datetime,
    approved_by: UserId | None = None,
) -> list[Move]:
    """Open a race by another stored snapshot, once and before the freeze; answers every rank that moved.

    The differences are receipts of kind `correction`. It takes two people: the refusal without the second names the
    ranks that would move. Refuses with NoSuchRace, OwnAccount, Frozen, StartReplaced, PictureUnfit,
    affiliates.NoSuchSnapshot, competitions.ApprovalDue.
    """
    race, competition = await lock(tx, number=number, now=now)
    await require_stranger(tx, race=race, actor=actor)
    if not pictures.is_running(competition) or race.start_snapshot_id is None:
        raise Frozen(number=number, status=competition.phase or competition.status)
    if race.start_state == "staff":
        raise StartReplaced(number=number)
    snapshot = await _fitting(tx, race, snapshot_id, "one fetched before the end")
    if snapshot.fetched_at >= competition.ends_at or snapshot.seq > race.last_seq:
        raise PictureUnfit(snapshot=str(snapshot_id), number=number, expected="one fetched before the end")
    before = await _ranks(tx, race)
    decision_id = await _decide(tx, race, "start_picture", {"snapshot": str(snapshot.id)}, actor, reason, now)
    await _rebase(tx, race, competition, snapshot, f"rebase:{decision_id}", now)
    after = await _ranks(tx, race)
    moves = [
        Move(player_id, before.get(player_id), after.get(player_id))
        for player_id in sorted(before.keys() | after.keys())
        if before.get(player_id) != after.get(player_id)
    ]
    _require_second(actor, approved_by, "another start picture", {"moves": moves})
    return moves


async def _rebase(
    tx: Tx, race: Race, competition: Competition, snapshot: SnapshotView, cause: str, now: datetime
) -> None:
    await sql.delete_baselines(tx, race.competition_id)
    await sql.update_rebased(tx, race.competition_id, snapshot)
    await sql.insert_picture_event(tx, race.competition_id, "replaced", snapshot, "start", now)
    await _keep(tx, race, competition, snapshot, now)
    readings = await affiliates.readings_at(tx, programme_id=race.programme_id, snapshot_id=snapshot.id)
    decided = await sql.list_baselines(tx, race.competition_id, None)
    exceptions = [
        found for found in totals.exceptions_of(readings.values(), snapshot.id) if found.player_id not in decided
    ]
    if exceptions:
        await sql.upsert_baselines(tx, race.competition_id, exceptions)
    if later := await counting.baselines_since(tx, race=race, start=snapshot, through_seq=race.last_seq):
        await sql.upsert_baselines(tx, race.competition_id, later)
    newest = await counting.newest_of(tx, race=race, competition=competition) or snapshot
    book = await books.read(tx, race=race, start_id=snapshot.id, final_id=newest.id)
    await books.level(tx, race=race, competition=competition, book=book, cause=cause, now=now)


async def _ranks(tx: Tx, race: Race) -> dict[PlayerId, int]:
    board = await competitions.top(tx, competition_id=race.competition_id, limit=ROWS_MAX)
    return {PlayerId(UUID(row.standing.ref)): row.standing.rank for row in board.rows if row.standing.rank}


async def _fitting(tx: Tx, race: Race, snapshot_id: SnapshotId, expected: str) -> SnapshotView:
    snapshot = await affiliates.applied_snapshot(tx, snapshot_id=snapshot_id)
    if snapshot.programme_id != race.programme_id:
        raise PictureUnfit(snapshot=str(snapshot_id), number=race.number, expected=expected)
    return snapshot


async def _keep(tx: Tx, race: Race, competition: Competition, snapshot: SnapshotView, now: datetime) -> None:
    keep_until = max(now, competition.ends_at) + timedelta(hours=competition.review_h) + pictures.KEPT
    ids = [found for found in (race.start_snapshot_id, snapshot.id) if found]
    await affiliates.keep_pictures_many(tx, [(found, "race", keep_until) for found in ids])


def _require_second(actor: Actor, approved_by: UserId | None, act: str, facts: Mapping[str, object]) -> None:
    if approved_by is None or approved_by == actor.user_id:
        raise competitions.ApprovalDue(act=act, because="it can move every rank", **facts)


async def _decide(
    tx: Tx, race: Race, what: str, after: Mapping[str, object], actor: Actor, reason: str, now: datetime
) -> object:
    decision_id, reason = new_id(), competitions.checked_reason(reason)
    await sql.insert_decision(
        tx, decision_id, race.competition_id, what=what, after=after, reason=reason, by=actor.user_id, now=now
    )
    changes = {what: (None, after)}
    await record(tx, race=race, actor=actor, action=f"race.{what}", changes=changes, reason=reason)
    return decision_id
