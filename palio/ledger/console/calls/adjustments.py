"""Calls of staff that correct wallets. One above its limit answers 202 and waits for somebody else."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias, get_args
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from palio.infra.approvals import Closed, Decision, Expired, OwnBenefit, OwnProposal, ReasonMissing
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger.console.calls.lists import id_of, ids_beside, note_export
from palio.ledger.console.calls.rights import ADJUST, DECIDE, OF_ACTS, OF_POSTS, READ, maker_of
from palio.ledger.console.people import named_in, names_of
from palio.ledger.console.schemas.adjustments import (
    ADJUSTMENT_EXAMPLE,
    ADJUSTMENTS_EXAMPLE,
    FORESEEN_EXAMPLE,
    AdjustBody,
    AdjustmentAnswer,
    AdjustmentRowAnswer,
    ForeseenAnswer,
    LinesBody,
)
from palio.ledger.console.schemas.asked import MaybeReasonBody, OfOwner, ReasonBody
from palio.ledger.errors import InvalidPost, MakerLimit, NoSuchAdjustment, NoSuchPlayer, SelfAdjustment
from palio.ledger.service import adjusting
from palio.ledger.types import Adjustment, AdjustmentId, AdjustmentStatus
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Listed, PagedById, Paging, Part
from palio.ui.ranges import of_words
from palio.ui.routes import Routes

OF_ADJUSTING = (*OF_POSTS, *OF_ACTS, MakerLimit, NoSuchPlayer)
OF_DECIDING = (NoSuchAdjustment, OwnProposal, OwnBenefit, Closed, Expired, ReasonMissing, MakerLimit)
routes = Routes("ledger")


Statuses: TypeAlias = Annotated[list[AdjustmentStatus], Depends(of_words("status", get_args(AdjustmentStatus)))]


async def adjustments_part(
    tx: Tx, page: Paging, statuses: Sequence[AdjustmentStatus], maker: UUID | None, owner: UUID | None
) -> Part[Adjustment]:
    """A page of corrections."""
    older_than, newer_than = ids_beside(page)
    found = await adjusting.list_adjustments(
        tx,
        limit=page.limit + 1,
        statuses=statuses or adjusting.STATUSES,
        maker=UserId(maker) if maker else None,
        owner=UserId(owner) if owner else None,
        older_than=older_than,
        newer_than=newer_than,
    )
    return page.part(found, id_of)


@routes.get("/console/ledger/adjustments", access=READ, example=ADJUSTMENTS_EXAMPLE)
async def list_adjustments(
    ask: Ask,
    tx: InTx,
    page: PagedById,
    statuses: Statuses,
    maker: Annotated[UUID | None, Query(description="Made by one person")] = None,
    owner: OfOwner = None,
) -> Listed[AdjustmentRowAnswer]:
    """List corrections, the newest first."""
    part = await adjustments_part(tx, page, statuses, maker, owner)
    await note_export(tx, ask, page, "adjustments", len(part.rows))
    return Listed(tuple(map(AdjustmentRowAnswer.of, part.rows)), part.next, part.prev)


@routes.post(
    "/console/ledger/adjustments",
    access=ADJUST,
    example=ADJUSTMENT_EXAMPLE,
    refuses=OF_ADJUSTING,
    step_up=True,
    also={202: ADJUSTMENT_EXAMPLE},
)
async def adjust_wallets(
    request: Request, body: AdjustBody, ask: Ask, tx: InTx, response: Response
) -> AdjustmentAnswer:
    """Correct wallets: at once within your limit (200), else it waits for somebody else (202)."""
    await named_in(request, tx, [str(line.owner) for line in body.lines])
    made = await adjusting.adjust(
        tx,
        lines=body.asked(),
        reason=body.reason,
        ticket=body.ticket,
        to_debt=body.to_debt,
        maker=maker_of(ask),
        now=ask.now,
    )
    response.status_code = 202 if made.status == "pending" else 200
    response.headers["Location"] = f"/api/v1/console/ledger/adjustments/{made.id}"
    return AdjustmentAnswer.of(made)


@routes.post(
    "/console/ledger/adjustments/foresee",
    access=ADJUST,
    example=FORESEEN_EXAMPLE,
    refuses=[InvalidPost, SelfAdjustment, NoSuchPlayer],
    idempotency="none",
    unaudited="it changes nothing",
)
async def foresee_adjustment(request: Request, body: LinesBody, ask: Ask, tx: InTx) -> ForeseenAnswer:
    """Work out what corrections would do now: every balance before and after; nothing is written."""
    await named_in(request, tx, [str(line.owner) for line in body.lines])
    found = await adjusting.foresee_adjustment(
        tx, lines=body.asked(), to_debt=body.to_debt, maker=maker_of(ask), now=ask.now
    )
    return ForeseenAnswer.of(found)


@routes.get(
    "/console/ledger/adjustments/{adjustment_id:uuid}",
    access=READ,
    example=ADJUSTMENT_EXAMPLE,
    refuses=[NoSuchAdjustment],
)
async def get_adjustment(adjustment_id: UUID, tx: InTx) -> AdjustmentAnswer:
    """Read a correction with what became of its lines."""
    return AdjustmentAnswer.of(await adjusting.get_adjustment(tx, adjustment_id=AdjustmentId(adjustment_id)))


@routes.post(
    "/console/ledger/adjustments/{adjustment_id:uuid}/approve",
    access=DECIDE,
    example=ADJUSTMENT_EXAMPLE,
    refuses=OF_DECIDING,
    step_up=True,
)
async def approve_adjustment(
    request: Request, adjustment_id: UUID, body: MaybeReasonBody, ask: Ask, tx: InTx
) -> AdjustmentAnswer:
    """Approve what somebody else wants to correct; it is posted at once."""
    return AdjustmentAnswer.of(await decide(request, ask, tx, adjustment_id, "approve", body.reason))


@routes.post(
    "/console/ledger/adjustments/{adjustment_id:uuid}/reject",
    access=DECIDE,
    example=ADJUSTMENT_EXAMPLE,
    refuses=OF_DECIDING,
    step_up=True,
)
async def reject_adjustment(
    request: Request, adjustment_id: UUID, body: ReasonBody, ask: Ask, tx: InTx
) -> AdjustmentAnswer:
    """Reject what somebody else wants to correct, with a reason."""
    return AdjustmentAnswer.of(await decide(request, ask, tx, adjustment_id, "reject", body.reason))


async def decide(
    request: Request, ask: Asking, tx: Tx, adjustment_id: UUID, decision: Decision, reason: str
) -> Adjustment:
    """Approve or reject. Refuses as `decide_adjustment` does, and names who was first."""
    number = AdjustmentId(adjustment_id)
    try:
        return await adjusting.decide_adjustment(
            tx, adjustment_id=number, decision=decision, checker=maker_of(ask), reason=reason, now=ask.now
        )
    except Closed as closed:
        found = await adjusting.get_adjustment(tx, adjustment_id=number)
        by = found.checker or found.maker
        name = (await names_of(request, tx, [by])).get(by, "")
        raise Closed(**closed.facts, name=name) from None


@routes.post(
    "/console/ledger/adjustments/{adjustment_id:uuid}/cancel",
    access=ADJUST,
    example=ADJUSTMENT_EXAMPLE,
    refuses=[NoSuchAdjustment, Closed, Expired],
)
async def cancel_adjustment(adjustment_id: UUID, ask: Ask, tx: InTx) -> AdjustmentAnswer:
    """Take back your own correction that waits."""
    number = AdjustmentId(adjustment_id)
    return AdjustmentAnswer.of(
        await adjusting.cancel_adjustment(tx, adjustment_id=number, maker=maker_of(ask), now=ask.now)
    )
