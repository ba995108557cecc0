"""The picture that closes a race, the totals anew, and the freeze with its evidence."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from palio import affiliates, competitions
from palio.affiliates.types import PlayerId, SnapshotView
from palio.competitions.types import BoardRow, Competition, EntrantId
from palio.infra import outbox, settings
from palio.infra.db import Tx
from palio.races import sql
from palio.races.messages import RaceHeld
from palio.races.rules import pictures, totals
from palio.races.service import books
from palio.races.service.books import Book
from palio.races.types import BIG_CORRECTION_BPS, FINAL_ALARM_H, FINAL_LATE_S, Hold, Race

ROWS_MAX = 1_000  # more than places and their ties

log = structlog.get_logger()


async def choose(tx: Tx, *, race: Race, competition: Competition, now: datetime) -> bool:
    """Choose the picture that closes a race, if it has been fetched: never is a race settled on missing data."""
    due_at = pictures.final_due_at(competition.ends_at, competition.grace_s)
    snapshot = await affiliates.snapshot_from(tx, programme_id=race.programme_id, at=due_at)
    if snapshot is None or race.start_snapshot_id is None:
        await _wait(tx, race, competition, now)
        return False
    state = pictures.final_state(snapshot.fetched_at, due_at=due_at, late_s=settings.value(FINAL_LATE_S))
    await sql.update_final(tx, race.competition_id, state, snapshot.id)
    event = "late" if state == "late" else "chosen"
    await sql.insert_picture_event(tx, race.competition_id, event, snapshot, "final", now)
    keep_until = now + timedelta(hours=competition.review_h) + pictures.KEPT
    await affiliates.keep_pictures_many(
        tx, [(snapshot_id, "race", keep_until) for snapshot_id in (race.start_snapshot_id, snapshot.id)]
    )
    return True


async def _wait(tx: Tx, race: Race, competition: Competition, now: datetime) -> None:
    """Write down that the final picture is waited for, and once that it is overdue: then staff may force the end."""
    await sql.insert_waiting(tx, race.competition_id, {"picture": "final"}, now)
    overdue_at = competition.ends_at + timedelta(hours=settings.value(FINAL_ALARM_H))
    if now >= overdue_at and await sql.insert_waiting(
        tx, race.competition_id, {"picture": "final", "alarm": "overdue.settlement"}, now
    ):
        log.error("overdue.settlement", race=race.number, ends_at=competition.ends_at.isoformat())


async def freeze(tx: Tx, *, race: Race, competition: Competition, now: datetime) -> bool:
    """Compute all totals anew and freeze them if they are what was submitted; otherwise nothing is frozen."""
    assert race.start_snapshot_id and race.final_snapshot_id  # noqa: S101, PT018 - both are chosen by now
    book = await books.read(tx, race=race, start_id=race.start_snapshot_id, final_id=race.final_snapshot_id)
    if wrong := await books.differences(tx, race=race, book=book):
        if "recompute_mismatch" not in race.review_reasons:
            log.error("recomputed totals differ", race=race.number, players=len(wrong), first=str(min(wrong)))
            reasons = [*race.review_reasons, "recompute_mismatch"]
            await sql.update_stage(tx, race.competition_id, race.stage, reasons)
        return False
    reasons, evidence = await _judge(tx, race, competition, book)
    await sql.update_stage(tx, race.competition_id, "frozen", reasons)
    await competitions.freeze(tx, competition_id=competition.id, evidence=evidence, now=now)
    return True


async def _judge(tx: Tx, race: Race, competition: Competition, book: Book) -> tuple[list[str], dict[str, object]]:
    """What a person must look at before the payment, and the evidence of the freeze."""
    board = await competitions.top(tx, competition_id=race.competition_id, limit=ROWS_MAX)
    paid = {PlayerId(UUID(row.standing.ref)): row for row in board.rows if row.prize}
    lowered = await _lowered(tx, race, list(paid.values()))
    stale = [player_id for player_id in paid if player_id in book.after and book.after[player_id].kind == "stale"]
    held = await _hold_stale(tx, race, stale)
    reasons = {
        "late_start": race.start_state == "late",
        "late_final": race.final_state in ("late", "forced"),
        "staff_start": race.start_state == "staff",
        "open_hold": any(hold.player_id in paid and hold.reason != "stale" for hold in held),
        "stale_in_paid_place": bool(stale),
        "big_correction": any(_is_big(row, lowered) for row in paid.values()),
    }
    due = [reason for reason, applies in reasons.items() if applies]
    return due, {
        "start": _evidence(book.start, race.start_state),
        "final": _evidence(book.final, race.final_state),
        "baselines": totals.baselines_digest(book.before.values(), book.exceptions),
        "corrections": {str(entrant_id): micro for entrant_id, micro in lowered.items()},
        "adjustments": {
            str(entrant_id): micro
            for entrant_id, micro in (await competitions.adjustments(tx, competition_id=race.competition_id)).items()
        },
        "holds": [{"player": str(hold.player_id), "reason": hold.reason} for hold in held],
        "decisions": await sql.list_decisions(tx, race.competition_id),
        "terms_hash": (competition.terms_hash or b"").hex(),
        "review_reasons": due,
    }


async def _lowered(tx: Tx, race: Race, paid: Sequence[BoardRow]) -> Mapping[EntrantId, int]:
    entrant_ids = [row.standing.entrant_id for row in paid]
    return await competitions.corrections(tx, competition_id=race.competition_id, entrant_ids=entrant_ids)


def _is_big(row: BoardRow, lowered: Mapping[EntrantId, int]) -> bool:
    limit_bps = settings.value(BIG_CORRECTION_BPS)
    return totals.is_big(lowered.get(row.standing.entrant_id, 0), row.standing.score, limit_bps)


async def _hold_stale(tx: Tx, race: Race, player_ids: Sequence[PlayerId]) -> list[Hold]:
    """Hold those who vanished from the feed and would be paid; answers everybody who is held."""
    if player_ids:
        new = await sql.insert_holds(tx, race.competition_id, [Hold(found, "stale", {}) for found in player_ids])
        await outbox.send(tx, *(RaceHeld(race.competition_id, hold.player_id, hold.reason) for hold in new))
    return await sql.list_open_holds(tx, race.competition_id)


def _evidence(snapshot: SnapshotView, state: str) -> dict[str, object]:
    return {
        "state": state,
        "snapshot": str(snapshot.id),
        "seq": snapshot.seq,
        "fetched_at": snapshot.fetched_at.isoformat(),
        "as_of": snapshot.as_of.isoformat(),
        "sha256": snapshot.sha256.hex(),
    }
