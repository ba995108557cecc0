"""Does it go through? Every item sees the effect of the accepted ones before it; one key is one decision."""

from collections.abc import Iterable, Sequence

from palio.ledger import errors
from palio.ledger.rules import holds
from palio.ledger.rules.ground import Decision, Ground, Purse, Stored, refuse
from palio.ledger.rules.items import AnyRequest, HoldRequest, VoidRequest
from palio.ledger.rules.requests import Claim, Request
from palio.ledger.types import AnyOutcome, Held, HoldId, Posted, Refused, TransferId, Voided


def decide(requests: Iterable[AnyRequest], ground: Ground) -> Decision:
    """Decide every request, each seeing the effect of the accepted ones before it: one key, one decision."""
    decision = Decision()
    decided: dict[str, tuple[bytes, AnyOutcome]] = {}
    for request in requests:
        if request.fault is not None:
            outcome: AnyOutcome = refuse(errors.InvalidPost, field=request.fault)
        elif request.key in decided:
            outcome = _again(request, *decided[request.key])
        else:
            outcome = _first(request, ground, decision)
            decided[request.key] = request.hash, outcome
        decision.outcomes.append(outcome)
    return decision


def _first(request: AnyRequest, ground: Ground, decision: Decision) -> AnyOutcome:
    """What becomes of the first item of its key; one that is refused keeps its key free."""
    if request.key in ground.stored:
        return _replay(request, ground.stored[request.key], ground)
    outcome = _carry_out(request, ground, decision)
    if isinstance(outcome, Refused):
        decision.refused_keys.append(request.key)
    return outcome


def _again(claim: Claim, first: bytes, outcome: AnyOutcome) -> AnyOutcome:
    if claim.hash != first:
        return refuse(errors.KeyMismatch)
    return outcome if isinstance(outcome, Refused) else outcome._replace(replayed=True)


def _replay(request: AnyRequest, stored: Stored, ground: Ground) -> AnyOutcome:
    """The answer to a key that was taken before: the first result, if it is the same request."""
    if not stored.is_for(request):
        return refuse(errors.KeyMismatch)
    if isinstance(request, HoldRequest):
        return Held(HoldId(stored.ref), *stored.hold, replayed=True)
    if isinstance(request, VoidRequest):
        return Voided(request.void.hold_id, ground.reserves[request.void.hold_id].released, replayed=True)
    return Posted(TransferId(stored.ref), stored.balances, replayed=True)


def _carry_out(request: AnyRequest, ground: Ground, decision: Decision) -> AnyOutcome:
    if isinstance(request, Request):
        touched = [ground.purses[account] for account in request.accounts]
        if request.post.capture is None:
            return _refusal_of(request, touched) or _move(request, touched, decision)
        return _capture(request, touched, ground, decision)
    if isinstance(request, HoldRequest):
        return holds.place(request, ground, decision)
    return holds.release(request, ground, decision)


def _capture(request: Request, touched: Sequence[Purse], ground: Ground, decision: Decision) -> AnyOutcome:
    """As any transfer, except that what is held for it may be spent."""
    found = holds.taken(request, touched, ground)
    if isinstance(found, Refused):
        return found
    reserve, needed = found
    purse = ground.purses[reserve.account]
    freed = reserve.remaining if request.post.capture and request.post.capture.is_final else needed
    purse.held -= freed
    if refusal := _refusal_of(request, touched):
        purse.held += freed
        return refusal
    reserve.capture(needed)
    if freed > needed:
        reserve.release("captured")
    decision.reserves[reserve.id] = reserve
    return _move(request, touched, decision, hold=reserve.id.bytes)


def _refusal_of(request: Request, touched: Sequence[Purse]) -> Refused | None:
    for leg, purse in zip(request.post.legs, touched, strict=True):
        if not purse.takes(leg[2]):
            return purse.refusal(leg)
    return None


def _move(request: Request, touched: Sequence[Purse], decision: Decision, hold: bytes | None = None) -> Posted:
    post, number = request.post, request.id.bytes
    posted_at = max([purse.posted_at for purse in touched])
    texts = post.actor, post.description, request.metadata
    decision.transfers.append((number, posted_at, post.key, post.kind, *texts, hold))
    balances = {}
    for leg, ((address, _, amount), purse) in enumerate(zip(post.legs, touched, strict=True)):
        if purse.is_guarded:
            purse.balance += amount
            purse.seq += 1
            purse.posted_at = posted_at
            balances[address] = purse.balance, purse.seq
        decision.entries.append((purse.number, number, leg, posted_at, amount, purse.seq, purse.balance))
    return Posted(TransferId(request.id), balances)


def aborted(outcomes: Iterable[AnyOutcome]) -> list[Refused] | None:
    """The outcomes of an all-or-nothing batch if one was refused, else None."""
    answers = [outcome if isinstance(outcome, Refused) else refuse(errors.BatchAborted) for outcome in outcomes]
    return answers if any(answer.code != errors.BatchAborted.code for answer in answers) else None
