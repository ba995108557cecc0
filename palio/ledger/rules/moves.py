"""Legs that are posted, or not: the same for transfers, captures and reversals."""

from collections.abc import Sequence

from palio.kernel.ids import Actor
from palio.ledger.rules.ground import Debt, Decision, Ground, Purse
from palio.ledger.rules.requests import Claim, debt_of, is_debt, wallet_of
from palio.ledger.types import Leg, Place, Posted, Refused, TransferId


def refusal_of(legs: Sequence[Leg], touched: Sequence[Purse]) -> Refused | None:
    """Why one of the accounts does not take its leg."""
    for leg, purse in zip(legs, touched, strict=True):
        if not purse.takes(leg[2]):
            return purse.refusal(leg)
    return None


def owed(legs: Sequence[Leg], touched: Sequence[Purse], ground: Ground) -> tuple[list[Leg], list[Purse], list[Debt]]:
    """The same legs where a wallet gives what it has, and the rest is debited to the debt account of its owner."""
    kept: list[tuple[Leg, Purse]] = []
    debts: list[Debt] = []
    for (address, asset, amount), purse in zip(legs, touched, strict=True):
        place = debt_of(address), asset
        short = -amount - purse.available if amount < 0 and place in ground.purses else 0
        if short <= 0:
            kept.append(((address, asset, amount), purse))
            continue
        if amount + short:
            kept.append(((address, asset, amount + short), purse))
        kept.append(((*place, -short), ground.purses[place]))
        debts.append(Debt(*place, short))
    return [leg for leg, _ in kept], [purse for _, purse in kept], debts


def spilled(legs: Sequence[Leg], touched: Sequence[Purse], ground: Ground) -> tuple[list[Leg], list[Purse]]:
    """The same legs where a debt account gets what is still owed; what was paid of it meanwhile goes to the wallet."""
    kept: dict[Place, tuple[int, Purse]] = {}
    for (address, asset, amount), purse in zip(legs, touched, strict=True):
        excess = max(0, purse.balance + amount - purse.ceiling) if amount > 0 and is_debt(address) else 0
        _add(kept, (address, asset), amount - excess, purse)
        if excess:
            wallet = wallet_of(address), asset
            _add(kept, wallet, excess, ground.purses[wallet])
    moving = [(place, amount, purse) for place, (amount, purse) in kept.items() if amount]
    return [(*place, amount) for place, amount, _ in moving], [purse for _, _, purse in moving]


def _add(kept: dict[Place, tuple[int, Purse]], place: Place, amount: int, purse: Purse) -> None:
    before, _ = kept.get(place, (0, purse))
    kept[place] = before + amount, purse


def move(
    claim: Claim,
    kind: str,
    legs: Sequence[Leg],
    touched: Sequence[Purse],
    decision: Decision,
    actor: Actor | None,
    description: str,
    *,
    hold: bytes | None = None,
    reverses: bytes | None = None,
) -> Posted:
    """Post legs that were found good: what is to be written, and the purses as they are then."""
    number = claim.id.bytes
    posted_at = max([purse.posted_at for purse in touched])
    decision.transfers.append((number, posted_at, claim.key, kind, actor, description, claim.metadata, hold, reverses))
    balances = {}
    for leg, ((address, _, amount), purse) in enumerate(zip(legs, touched, strict=True)):
        if purse.is_guarded:
            purse.balance += amount
            purse.seq += 1
            purse.posted_at = posted_at
            balances[address] = purse.balance, purse.seq
        decision.entries.append((purse.number, number, leg, posted_at, amount, purse.seq, purse.balance))
    return Posted(TransferId(claim.id), balances, posted_at)
