"""Value that is set aside: placed, captured in parts, given back."""

from collections.abc import Sequence

from palio.ledger import errors
from palio.ledger.rules.ground import Decision, Ground, Purse, Reserve, refuse
from palio.ledger.rules.items import HoldRequest, VoidRequest
from palio.ledger.rules.requests import Request
from palio.ledger.types import Held, HoldId, Refused, Voided


def place(request: HoldRequest, ground: Ground, decision: Decision) -> Held | Refused:
    """Set units aside; judged like a debit, though nothing moves."""
    hold, purse = request.hold, ground.purses[request.account]
    expires_at = hold.expires_at or ground.now + min(ground.hold_usual, ground.hold_longest)
    if not ground.now < expires_at <= ground.now + ground.hold_longest:
        return refuse(errors.InvalidPost, field="expires_at")
    if not purse.takes(-hold.amount):
        return purse.refusal((hold.address, hold.asset, -hold.amount))
    purse.held += hold.amount
    decision.holds.append((request.id.bytes, hold.key, purse.number, hold.amount, hold.subject, hold.kind, expires_at))
    return Held(HoldId(request.id), hold.amount, expires_at)


def release(request: VoidRequest, ground: Ground, decision: Decision) -> Voided | Refused:
    """Give back what remains of a hold, whatever the status of its account: void it, or let it expire."""
    void = request.void
    reserve = ground.reserves.get(void.hold_id)
    if reserve is None:
        return refuse(errors.NoSuchHold, hold=str(void.hold_id))
    if reserve.state != "open":
        return refuse(errors.HoldNotOpen, state=reserve.state)
    if void.expired and ground.now < reserve.expires_at:
        return refuse(errors.HoldNotDue, expires_at=reserve.expires_at)
    freed = reserve.release("expired" if void.expired else "voided")
    ground.purses[reserve.account].held -= freed
    decision.reserves[reserve.id] = reserve
    return Voided(reserve.id, freed)


def taken(request: Request, touched: Sequence[Purse], ground: Ground) -> tuple[Reserve, int] | Refused:
    """The hold that a transfer captures, and how much of it."""
    capture = request.post.capture
    reserve = ground.reserves.get(capture[0]) if capture else None
    if reserve is None:
        return refuse(errors.NoSuchHold, hold=str(capture and capture[0]))
    if reserve.state != "open":
        return refuse(errors.HoldNotOpen, state=reserve.state)
    if ground.now >= reserve.expires_at:
        return refuse(errors.HoldLapsed, expires_at=reserve.expires_at)
    legs = zip(request.post.legs, touched, strict=True)
    needed = sum([-leg[2] for leg, purse in legs if purse.number == reserve.account])
    if needed <= 0:
        return refuse(errors.HoldMismatch)
    if needed > reserve.remaining:
        return refuse(errors.HoldExceeded, remaining=reserve.remaining, needed=needed)
    return reserve, needed
