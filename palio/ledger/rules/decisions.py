"""Does it go through? Every item sees the effect of the accepted ones before it; one key is one decision."""

from collections.abc import Iterable, Sequence

from palio.ledger import errors
from palio.ledger.rules import holds, limits, lots, reversals
from palio.ledger.rules.ground import Decision, Ground, Purse, Stored, refuse
from palio.ledger.rules.items import AnyRequest, ExpireRequest, HoldRequest, VoidRequest
from palio.ledger.rules.moves import move, owed, refusal_of
from palio.ledger.rules.requests import Claim, Request
from palio.ledger.types import AnyOutcome, Held, HoldId, Outcome, Posted, Refused, TransferId, Voided


def decide(requests: Iterable[AnyRequest], ground: Ground) -> Decision:
    """Decide every request, each seeing the effect of the accepted ones before it: one key, one decision."""
    decision = Decision(lots=ground.lots)
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
    outcome = _counted(request, ground, decision) if ground.groups else _carry_out(request, ground, decision)
    if isinstance(outcome, Refused):
        decision.refused_keys.append(request.key)
    return outcome


def _counted(request: AnyRequest, ground: Ground, decision: Decision) -> AnyOutcome:
    """What becomes of an item of which something may count for the limits of people."""
    counts = limits.counts_of(request, ground)
    if refusal := limits.refusal_of(counts, ground):
        return refusal
    outcome = _carry_out(request, ground, decision)
    if not isinstance(outcome, Refused):
        limits.count(counts, ground, decision)
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
    return Posted(TransferId(stored.ref), stored.balances, stored.posted_at, replayed=True)


def _carry_out(request: AnyRequest, ground: Ground, decision: Decision) -> AnyOutcome:
    if isinstance(request, Request):
        post = request.post
        touched = [ground.purses[account] for account in request.accounts]
        if post.capture:
            return _capture(request, touched, ground, decision)
        if post.to_debt:
            return _post_to_debt(request, touched, ground, decision)
        if refusal := refusal_of(post.legs, touched):
            return refusal
        posted = move(request, post.kind, post.legs, touched, decision, post.actor, post.description)
        if ground.lots:
            lots.follow(ground, post.legs, touched, transfer=request.id, lot=post.lot)
        return posted
    if isinstance(request, HoldRequest):
        return holds.place(request, ground, decision)
    if isinstance(request, ExpireRequest):
        return lots.expire(request, ground, decision)
    if isinstance(request, VoidRequest):
        return holds.release(request, ground, decision)
    return reversals.reverse(request, ground, decision)


def _post_to_debt(request: Request, touched: Sequence[Purse], ground: Ground, decision: Decision) -> Outcome:
    """As any transfer, except that nobody's wallet lacks anything: what it does not have is owed."""
    post = request.post
    legs, touched, debts = owed(post.legs, touched, ground)
    if refusal := refusal_of(legs, touched):
        return refusal
    decision.debts += debts
    posted = move(request, post.kind, legs, touched, decision, post.actor, post.description)
    lots.follow(ground, legs, touched, transfer=request.id, lot=post.lot)
    return posted


def _capture(request: Request, touched: Sequence[Purse], ground: Ground, decision: Decision) -> Outcome:
    """As any transfer, except that what is held for it may be spent."""
    post, found = request.post, holds.taken(request, touched, ground)
    if isinstance(found, Refused):
        return found
    reserve, needed = found
    purse = ground.purses[reserve.account]
    freed = reserve.remaining if post.capture and post.capture[1] else needed
    purse.held -= freed
    if refusal := refusal_of(post.legs, touched):
        purse.held += freed
        return refusal
    reserve.capture(needed)
    if freed > needed:
        reserve.release("captured")
    decision.reserves[reserve.id] = reserve
    number, terms = reserve.id.bytes, post.lot
    posted = move(request, post.kind, post.legs, touched, decision, post.actor, post.description, hold=number)
    lots.capture(ground, post.legs, touched, reserve, transfer=request.id, freed=freed, lot=terms)
    return posted


def aborted(outcomes: Iterable[AnyOutcome]) -> list[Refused] | None:
    """The outcomes of an all-or-nothing batch if one was refused, else None."""
    answers = [outcome if isinstance(outcome, Refused) else refuse(errors.BatchAborted) for outcome in outcomes]
    return answers if any(answer.code != errors.BatchAborted.code for answer in answers) else None
