"""Acts of staff that wait for a second person above their limit: done at once, or proposed, and then done once."""

from datetime import datetime
from uuid import UUID

from palio import affiliates, competitions
from palio.affiliates.types import PlayerId, SnapshotId
from palio.infra import approvals, db
from palio.infra.approvals import Approval, Approved, Payload, Proposal
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId
from palio.races.service import deciding, steering
from palio.races.service.running import find
from palio.races.types import MICRO_PER_UNIT, Move

ADJUST, REBASE, FORCE_SETTLE = "races.adjust", "races.rebase", "races.force_settle"


async def adjust_or_propose(
    tx: Tx,
    *,
    adjustment_id: UUID,
    number: int,
    player_id: PlayerId,
    amount_micro: int,
    actor: Actor,
    reason: str,
    public_note: str,
    now: datetime,
    undoes: UUID | None = None,
) -> Approval | None:
    """Adjust a total, in micro-units. Above the limit nothing moves yet: answers the proposal that waits.

    Refuses as `adjust` does, except with competitions.ApprovalDue.
    """
    try:
        async with db.attempt(tx):
            await deciding.adjust(
                tx,
                adjustment_id=adjustment_id,
                number=number,
                player_id=player_id,
                amount_micro=amount_micro,
                actor=actor,
                reason=reason,
                public_note=public_note,
                now=now,
                undoes=undoes,
            )
    except competitions.ApprovalDue:
        payload = {
            "adjustment_id": str(adjustment_id),
            "player_id": str(player_id),
            "amount_micro": amount_micro,
            "public_note": public_note,
            "undoes": str(undoes) if undoes else None,
        }
        summary = f"Adjust a total of race {number} by {_units(amount_micro)}: {public_note}"
        subject = await _user_of(tx, player_id)
        return await _propose(tx, ADJUST, number, payload, summary, actor, reason, now, subject, abs(amount_micro))
    return None


async def replace_start_or_propose(
    tx: Tx, *, number: int, snapshot_id: SnapshotId, actor: Actor, reason: str, now: datetime
) -> Approval:
    """Propose to open a race by another stored snapshot, after seeing that it could be done; the summary says how far.

    Refuses as `replace_start` does, except with competitions.ApprovalDue.
    """
    try:
        async with db.attempt(tx):
            await steering.replace_start(
                tx, number=number, snapshot_id=snapshot_id, actor=actor, reason=reason, now=now
            )
    except competitions.ApprovalDue as due:
        moves = due.facts["moves"]
        ranks = len(moves) if isinstance(moves, list) else 0
        summary = f"Open race {number} by another snapshot: {ranks} ranks move"
        return await _propose(tx, REBASE, number, {"snapshot_id": str(snapshot_id)}, summary, actor, reason, now)
    raise AssertionError  # pragma: no cover - it always takes two people


async def force_final_or_propose(
    tx: Tx, *, number: int, snapshot_id: SnapshotId, actor: Actor, reason: str, now: datetime
) -> Approval:
    """Propose to close an overdue race by a stored snapshot, after seeing that it could be done.

    Refuses as `force_final` does, except with competitions.ApprovalDue.
    """
    try:
        async with db.attempt(tx):
            await steering.force_final(tx, number=number, snapshot_id=snapshot_id, actor=actor, reason=reason, now=now)
    except competitions.ApprovalDue:
        summary = f"Close race {number} by a stored snapshot"
        return await _propose(tx, FORCE_SETTLE, number, {"snapshot_id": str(snapshot_id)}, summary, actor, reason, now)
    raise AssertionError  # pragma: no cover - it always takes two people


async def carry_out_adjust(tx: Tx, *, approved: Approved) -> Payload:
    """The adjustment that two people want. Refuses as `adjust` does."""
    payload = approved.payload
    is_new = await deciding.adjust(
        tx,
        adjustment_id=UUID(payload["adjustment_id"]),
        number=payload["number"],
        player_id=PlayerId(UUID(payload["player_id"])),
        amount_micro=payload["amount_micro"],
        actor=approved.maker,
        reason=approved.reason,
        public_note=payload["public_note"],
        now=approved.now,
        undoes=UUID(payload["undoes"]) if payload["undoes"] else None,
        approved_by=approved.approved_by,
    )
    return {"is_new": is_new}


async def carry_out_replace_start(tx: Tx, *, approved: Approved) -> Payload:
    """The other start picture that two people want; the result says which ranks moved. Refuses as `replace_start`."""
    moves: list[Move] = await steering.replace_start(
        tx,
        number=approved.payload["number"],
        snapshot_id=SnapshotId(UUID(approved.payload["snapshot_id"])),
        actor=approved.maker,
        reason=approved.reason,
        now=approved.now,
        approved_by=approved.approved_by,
    )
    return {"moves": len(moves)}


async def carry_out_force_final(tx: Tx, *, approved: Approved) -> Payload:
    """The forced end that two people want. Refuses as `force_final` does: a snapshot may have closed the race since."""
    await steering.force_final(
        tx,
        number=approved.payload["number"],
        snapshot_id=SnapshotId(UUID(approved.payload["snapshot_id"])),
        actor=approved.maker,
        reason=approved.reason,
        now=approved.now,
        approved_by=approved.approved_by,
    )
    return {}


async def _propose(
    tx: Tx,
    command: str,
    number: int,
    payload: Payload,
    summary: str,
    actor: Actor,
    reason: str,
    now: datetime,
    subject: UserId | None = None,
    amount: int | None = None,
) -> Approval:
    race, _ = await find(tx, number=number)
    proposal = Proposal(
        command,
        {"number": number, **payload},
        summary,
        "race",
        str(race.competition_id),
        reason,
        amount=amount,
        subject=subject,
    )
    return await approvals.open_proposal(tx, actor=actor, proposal=proposal, now=now)


async def _user_of(tx: Tx, player_id: PlayerId) -> UserId | None:
    links = await affiliates.links_many(tx, player_ids=[player_id])
    return links[0].user_id if links else None


def _units(amount_micro: int) -> str:
    whole, rest = divmod(abs(amount_micro), MICRO_PER_UNIT)
    return f"{'-' if amount_micro < 0 else '+'}{whole}.{rest:06d}"
