"""Corrections that wait for a second person, as the one inbox of all proposals shows them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import get_args
from uuid import UUID

from palio.infra.approvals import Approval, Decided, Decision, Kept, PendingApprovals, State
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import Part
from palio.kernel.providers import Change
from palio.ledger import errors
from palio.ledger.rules import adjusting as rules
from palio.ledger.service import adjusting
from palio.ledger.sql import adjusting as sql
from palio.ledger.types import Adjustment, AdjustmentId, AdjustmentStatus, Refused

COMMAND, ENTITY = "ledger.adjustment", "ledger.adjustment"
HERE = "/console/ledger/adjustments"
STATES: Mapping[AdjustmentStatus, State] = {
    "pending": "open",
    "posted": "executed",
    "rejected": "rejected",
    "cancelled": "withdrawn",
    "expired": "expired",
    "failed": "failed",
}
LINES_TOLD_MAX = 20


async def _listed(tx: Tx, states: Collection[State], part: Part[UUID], made_by: UserId | None) -> list[Kept]:
    """Those that waited: what was posted at once was never a proposal."""
    wanted = [status for status in get_args(AdjustmentStatus) if STATES[status] in states]
    found = await sql.list_proposed(tx, wanted, maker=made_by, part=part)
    return [_kept(one) for one in await sql.with_lines(tx, found)]


async def _find(tx: Tx, approval_id: UUID) -> Kept | None:
    found = await sql.find_adjustment(tx, AdjustmentId(approval_id))
    return _kept(found) if found and found.expires_at else None


async def _preview(tx: Tx, approval_id: UUID, now: datetime) -> Sequence[Change]:
    """Every balance that it touches, then the lines that would be refused. Refuses as its approval would."""
    foreseen = await adjusting.foresee_decision(tx, adjustment_id=AdjustmentId(approval_id), now=now)
    if foreseen.obstacle:
        raise errors.MakerLimit
    if len(foreseen.refusals) == foreseen.lines:
        refusal = errors.as_refusal(Refused(foreseen.refusals[1]))
        raise refusal
    balances = [
        Change(one.address, "balance", one.before, one.after, (one.asset, one.scale)) for one in foreseen.changes
    ]
    return [*balances, *(Change(f"line {n}", "refused", None, code) for n, code in foreseen.refusals.items())]


async def _decide(tx: Tx, approval_id: UUID, decision: Decision, checker: UserId, reason: str, now: datetime) -> None:
    await adjusting.decide_adjustment(
        tx, adjustment_id=AdjustmentId(approval_id), decision=decision, checker=checker, reason=reason, now=now
    )


async def _withdraw(tx: Tx, approval_id: UUID, maker: UserId, now: datetime) -> None:
    await adjusting.cancel_adjustment(tx, adjustment_id=AdjustmentId(approval_id), maker=maker, now=now)


def _kept(found: Adjustment) -> Kept:
    owners = {line.owner_id for line in found.lines}
    asked = [f"{line.owner_id} {rules.amount_text(line.amount, line.scale)} {line.asset}" for line in found.lines]
    told = [
        *asked[:LINES_TOLD_MAX],
        *([f"and {len(asked) - LINES_TOLD_MAX} more"] if len(asked) > LINES_TOLD_MAX else []),
    ]
    decided_at, refused = found.decided_at, [line.refusal for line in found.lines if line.refusal]
    approval = Approval(
        id=found.id,
        command=COMMAND,
        payload={"lines": told, "ticket": found.ticket, "to debt": found.to_debt or None},
        payload_hash=b"",
        summary=rules.summary_of(found),
        entity_type=ENTITY,
        entity_id=str(found.id),
        subject_user_id=next(iter(owners)) if len(owners) == 1 else None,
        amount=found.total_abs,
        asset=found.asset,
        made_by=found.maker,
        made_at=found.created_at,
        reason=found.reason,
        needed=1,
        state=STATES[found.status],
        expires_at=found.expires_at or found.created_at,
        executed_at=decided_at if found.status == "posted" else None,
        result=None,
        error_code=refused[0] if found.status == "failed" and refused else None,
    )
    return Kept(approval, _decided(found), owners, f"{HERE}/{found.id}")


def _decided(found: Adjustment) -> list[Decided]:
    if found.checker is None or found.decided_at is None:
        return []
    decision: Decision = "reject" if found.status == "rejected" else "approve"
    return [Decided(found.checker, decision, found.note, found.decided_at)]


ADJUSTMENTS = PendingApprovals(
    "ledger", "ledger.adjust.decide", _listed, _find, sql.find_waiting, _preview, _decide, _withdraw
)
