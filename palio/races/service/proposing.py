"""Acts of staff that wait for a second person above their limit: done at once, or proposed, and then done once."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from palio import affiliates, competitions, ledger
from palio.affiliates.types import PlayerId, SnapshotId
from palio.competitions.types import PAY_APPROVAL_ABOVE
from palio.infra import approvals, db, settings
from palio.infra.approvals import Approval, Approved, Payload, Proposal
from palio.infra.db import Tx
from palio.kernel.ids import Actor, UserId
from palio.races.service import deciding, steering
from palio.races.service.running import find
from palio.races.types import MICRO_PER_UNIT, HoldDecision, Move

ADJUST, REBASE, FORCE_SETTLE, RELEASE = "races.adjust", "races.rebase", "races.force_settle", "races.release"
CANCEL, EXCLUDE = "races.cancel", "races.exclude"


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


async def release_or_propose(tx: Tx, *, number: int, actor: Actor, reason: str, now: datetime) -> Approval | None:
    """Release a race to be paid. A pool above its limit waits: answers the proposal.

    From ten times the limit on it takes two others. Refuses as `release` does, except with competitions.ApprovalDue.
    """
    try:
        async with db.attempt(tx):
            await steering.release(tx, number=number, actor=actor, reason=reason, now=now)
    except competitions.ApprovalDue:
        _, competition = await find(tx, number=number)
        pool, asset = competition.pool_final or 0, competition.prize_asset
        limit = await settings.exact(tx, PAY_APPROVAL_ABOVE)
        summary = f"Pay race {number} from a pool of {await _amount(tx, pool, asset)}"
        needed = 2 if pool > approvals.TWO_CHECKERS_FROM * limit else 1
        return await _propose(
            tx, RELEASE, number, {}, summary, actor, reason, now, amount=pool, asset=asset, needed=needed
        )
    return None


async def cancel_or_propose(tx: Tx, *, number: int, actor: Actor, reason: str, now: datetime) -> Approval | None:
    """Call a race off. One that has begun and has a pool waits: answers the proposal.

    Refuses as `cancel` does, except with competitions.ApprovalDue.
    """
    try:
        async with db.attempt(tx):
            await steering.cancel(tx, number=number, actor=actor, reason=reason, now=now)
    except competitions.ApprovalDue:
        _, competition = await find(tx, number=number)
        pool, asset = competition.guaranteed_pool, competition.prize_asset
        summary = f"Cancel race {number} and take back its pool of {await _amount(tx, pool, asset)}"
        return await _propose(tx, CANCEL, number, {}, summary, actor, reason, now, amount=pool, asset=asset)
    return None


async def exclude_or_propose(
    tx: Tx, *, number: int, player_id: PlayerId, actor: Actor, reason: str, public_note: str, now: datetime
) -> Approval | None:
    """Take a player out. Whoever holds a prize after the end waits: answers the proposal.

    Refuses as `exclude` does, except with competitions.ApprovalDue.
    """
    try:
        async with db.attempt(tx):
            await deciding.exclude(
                tx,
                number=number,
                player_id=player_id,
                actor=actor,
                reason=reason,
                public_note=public_note,
                now=now,
            )
    except competitions.ApprovalDue:
        payload = {"player_id": str(player_id), "public_note": public_note}
        summary = f"Take a prize-winner out of race {number}: {public_note}"
        subject = await _user_of(tx, player_id)
        return await _propose(tx, EXCLUDE, number, payload, summary, actor, reason, now, subject)
    return None


async def decide_hold_or_propose(
    tx: Tx,
    *,
    number: int,
    player_id: PlayerId,
    decision: HoldDecision,
    actor: Actor,
    reason: str,
    public_note: str,
    now: datetime,
    value_micro: int | None = None,
) -> Approval | None:
    """Decide about a held player; an exclusion from a prize waits as `exclude_or_propose` says. Refuses alike."""
    if decision == "excluded":
        await deciding.require_held(tx, number=number, player_id=player_id)
        return await exclude_or_propose(
            tx, number=number, player_id=player_id, actor=actor, reason=reason, public_note=public_note, now=now
        )
    await deciding.decide_hold(
        tx,
        number=number,
        player_id=player_id,
        decision=decision,
        actor=actor,
        reason=reason,
        public_note=public_note,
        now=now,
        value_micro=value_micro,
    )
    return None


async def carry_out_release(tx: Tx, *, approved: Approved) -> Payload:
    """The payment that two people want. Refuses as `release` does."""
    await steering.release(
        tx,
        number=approved.payload["number"],
        actor=approved.maker,
        reason=approved.reason,
        now=approved.now,
        approved_by=approved.approved_by,
    )
    return {}


async def carry_out_cancel(tx: Tx, *, approved: Approved) -> Payload:
    """The cancellation that two people want. Refuses as `cancel` does."""
    await steering.cancel(
        tx,
        number=approved.payload["number"],
        actor=approved.maker,
        reason=approved.reason,
        now=approved.now,
        approved_by=approved.approved_by,
    )
    return {}


async def carry_out_exclude(tx: Tx, *, approved: Approved) -> Payload:
    """The exclusion that two people want. Refuses as `exclude` does."""
    await deciding.exclude(
        tx,
        number=approved.payload["number"],
        player_id=PlayerId(UUID(approved.payload["player_id"])),
        actor=approved.maker,
        reason=approved.reason,
        public_note=approved.payload["public_note"],
        now=approved.now,
        approved_by=approved.approved_by,
    )
    return {}


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
    asset: str | None = None,
    needed: int = 1,
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
        asset=asset,
        subject=subject,
        needed=needed,
    )
    return await approvals.open_proposal(tx, actor=actor, proposal=proposal, now=now)


async def _user_of(tx: Tx, player_id: PlayerId) -> UserId | None:
    links = await affiliates.links_many(tx, player_ids=[player_id])
    return links[0].user_id if links else None


async def _amount(tx: Tx, amount: int, asset: str) -> str:
    """An amount as people read it."""
    scale = next((one.scale for one in await ledger.assets(tx) if one.code == asset), 0)
    return f"{Decimal(amount).scaleb(-scale):f} {asset}"


def _units(amount_micro: int) -> str:
    whole, rest = divmod(abs(amount_micro), MICRO_PER_UNIT)
    return f"{'-' if amount_micro < 0 else '+'}{whole}.{rest:06d}"
