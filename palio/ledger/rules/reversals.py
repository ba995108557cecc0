"""A transfer that is taken back, whole or in parts, and never more of it than there was."""

from palio.ledger import errors
from palio.ledger.rules import lots
from palio.ledger.rules.ground import Debt, Decision, Ground, Original, refuse
from palio.ledger.rules.items import ReverseRequest
from palio.ledger.rules.moves import move, owed, refusal_of, spilled
from palio.ledger.types import Outcome, Refused

KIND = "ledger.reversal"
LEGS_OF_A_PARTIAL = 2  # of more legs a part could be taken in many ways


def reverse(request: ReverseRequest, ground: Ground, decision: Decision) -> Outcome:
    """Post the opposite of what is left of a transfer, or of a part of it. A hold it captured stays closed.

    A debt it made and that was paid since is not owed any more: that part comes back to the wallet. What it spent of
    lots returns to these, with the ends they had.
    """
    item = request.reverse
    original = ground.originals.get(item.original_id)
    if original is None:
        return refuse(errors.NoSuchTransfer, transfer=str(item.original_id))
    if original.kind in ground.final:
        return refuse(errors.TransferFinal)
    parts = _parts(original, item.amount)
    if isinstance(parts, Refused):
        return parts
    legs = [leg.opposite(part) for leg, part in zip(original.legs, parts, strict=True)]
    legs, touched = spilled(legs, [ground.purses[leg.account] for leg in original.legs], ground)
    debts: list[Debt] = []
    if item.to_debt:
        legs, touched, debts = owed(legs, touched, ground)
    if refusal := refusal_of(legs, touched):
        return refusal
    original.take_back(parts)
    decision.originals[original.id] = original
    decision.debts += debts
    posted = move(request, KIND, legs, touched, decision, item.actor, item.reason, reverses=original.id.bytes)
    lots.take_back(ground, legs, touched, transfer=request.id, original=original.id)
    return posted


def _parts(original: Original, amount: int | None) -> list[int] | Refused:
    """How much of each leg is taken back."""
    if original.is_reversal:
        return refuse(errors.ReversalOfReversal)
    left = [leg.left for leg in original.legs]
    if not any(left):
        return refuse(errors.AlreadyReversed)
    if amount is None:
        return left
    if len(left) != LEGS_OF_A_PARTIAL:
        return refuse(errors.InvalidPost, field="amount")
    return [amount] * len(left) if amount <= left[0] else refuse(errors.ReversalExceeds, left=left[0])
