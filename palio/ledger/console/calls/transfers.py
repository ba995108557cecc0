"""Calls of staff over transfers: looked at, taken back, left out of a player's list."""

from uuid import UUID

from palio.ledger.console.calls.rights import HIDE, OF_ACTS, OF_POSTS, READ, REVERSE
from palio.ledger.console.schemas.asked import ReasonBody
from palio.ledger.console.schemas.transfers import (
    LEG_EXAMPLE,
    REVERSED_EXAMPLE,
    TRANSFER_EXAMPLE,
    LegAnswer,
    LegNumber,
    ReverseBody,
    ReversedAnswer,
    TransferAnswer,
)
from palio.ledger.errors import (
    AlreadyReversed,
    Archived,
    NoSuchEntry,
    NoSuchTransfer,
    ReversalExceeds,
    ReversalOfReversal,
    TransferFinal,
)
from palio.ledger.service import desk, sealing
from palio.ledger.types import TransferId
from palio.ui.actor import Ask, InTx
from palio.ui.routes import Routes

OF_HIDING = (NoSuchTransfer, NoSuchEntry, *OF_ACTS)
OF_REVERSING = (
    *(NoSuchTransfer, AlreadyReversed, ReversalExceeds, ReversalOfReversal, TransferFinal, Archived),
    *(*OF_ACTS, *OF_POSTS),
)
routes = Routes("ledger")


@routes.get(
    "/console/ledger/transfers/{transfer_id:uuid}", access=READ, example=TRANSFER_EXAMPLE, refuses=[NoSuchTransfer]
)
async def get_transfer(transfer_id: UUID, tx: InTx) -> TransferAnswer:
    """Read a transfer with its legs, its cause, its hold, and what took it back."""
    found = await desk.sheet(tx, transfer_id=transfer_id)
    return TransferAnswer.of(found, seal=await sealing.seal_of(tx, transfer_id=TransferId(transfer_id)))


@routes.post(
    "/console/ledger/transfers/{transfer_id:uuid}/reverse",
    access=REVERSE,
    example=REVERSED_EXAMPLE,
    refuses=OF_REVERSING,
    step_up=True,
    status=201,
)
async def reverse_transfer(transfer_id: UUID, body: ReverseBody, ask: Ask, tx: InTx) -> ReversedAnswer:
    """Take a transfer back: all that is left of it, or so much of its two legs."""
    posted = await desk.reverse_by_staff(
        tx,
        transfer_id=transfer_id,
        amount=body.amount,
        reason=body.reason,
        to_debt=body.to_debt,
        actor_id=ask.actor.user_id,
        now=ask.now,
    )
    return ReversedAnswer(posted.transfer_id, transfer_id)


@routes.post(
    "/console/ledger/transfers/{transfer_id:uuid}/legs/{leg:int}/hide",
    access=HIDE,
    example=LEG_EXAMPLE,
    refuses=OF_HIDING,
)
async def hide_line_of_player(transfer_id: UUID, leg: LegNumber, body: ReasonBody, ask: Ask, tx: InTx) -> LegAnswer:
    """Leave a leg out of the list that its player has of his wallet; no balance and no sum knows of it."""
    return LegAnswer.of(
        await desk.hide_by_staff(
            tx, transfer_id=transfer_id, leg=leg, reason=body.reason, actor_id=ask.actor.user_id, now=ask.now
        )
    )


@routes.post(
    "/console/ledger/transfers/{transfer_id:uuid}/legs/{leg:int}/unhide",
    access=HIDE,
    example=LEG_EXAMPLE,
    refuses=OF_HIDING,
)
async def unhide_line_of_player(transfer_id: UUID, leg: LegNumber, body: ReasonBody, ask: Ask, tx: InTx) -> LegAnswer:
    """Put a leg into the list of its player again, whoever has hidden it."""
    return LegAnswer.of(
        await desk.unhide_by_staff(tx, transfer_id=transfer_id, leg=leg, reason=body.reason, actor_id=ask.actor.user_id)
    )
