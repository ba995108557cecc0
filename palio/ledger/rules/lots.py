"""Value that expires: which lots are spent, set aside and given back. The earliest end goes first, none at all last.

What has expired is spent by nobody, whether or not the job has come for it; what a hold set aside before is protected
until the hold ends, and expires then. What is taken back returns to the lots it was spent from, with the ends they had.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain, takewhile
from uuid import UUID

from palio.ledger import errors
from palio.ledger.rules.ground import Decision, Ground, LottedPurse, Lotting, NewLot, OpenLot, Purse, Reserve, refuse
from palio.ledger.rules.items import ExpireRequest
from palio.ledger.rules.moves import move
from palio.ledger.types import AccountId, HoldId, Leg, Lot, Outcome

KIND = "ledger.expiry"
EARNED = Lot()
NEVER = datetime.max.replace(tzinfo=UTC)


def order(lot: OpenLot) -> tuple[datetime, UUID]:
    """The earliest end first; of those with one end the oldest."""
    return lot.expires_at or NEVER, lot.id


def follow(
    ground: Ground, legs: Sequence[Leg], touched: Sequence[Purse], *, transfer: UUID, lot: Lot | None = None
) -> None:
    """Open a lot for what a wallet got, and spend those of one that gave, after the legs were posted."""
    if lots := ground.lots:
        for (_, _, amount), purse in zip(legs, touched, strict=True):
            if isinstance(purse, LottedPurse):
                if amount > 0:
                    _open(lots, purse, amount, transfer=transfer, lot=lot or EARNED, now=ground.now)
                else:
                    _spend(lots, purse.lots, -amount, transfer=transfer)


def capture(
    ground: Ground,
    legs: Sequence[Leg],
    touched: Sequence[Purse],
    reserve: Reserve,
    *,
    transfer: UUID,
    freed: int,
    lot: Lot | None,
) -> None:
    """The same, where the account of a hold gives what was set aside for it; `freed` may be more: that is let go."""
    if lots := ground.lots:
        others = [(leg, purse) for leg, purse in zip(legs, touched, strict=True) if purse.number != reserve.account]
        follow(ground, [leg for leg, _ in others], [purse for _, purse in others], transfer=transfer, lot=lot)
        needed = sum([-leg[2] for leg, purse in zip(legs, touched, strict=True) if purse.number == reserve.account])
        taken = _free(lots, reserve.id, needed)
        for one, part in taken:
            one.change(remaining=-part)
            lots.spent.append((transfer, one.id, part))
        _free(lots, reserve.id, freed - needed)


def take_back(ground: Ground, legs: Sequence[Leg], touched: Sequence[Purse], *, transfer: UUID, original: UUID) -> None:
    """The same for a reversal: its debits spend what the original brought, its credits give back what that spent."""
    if lots := ground.lots:
        for (_, _, amount), purse in zip(legs, touched, strict=True):
            if isinstance(purse, LottedPurse) and amount < 0:
                own = [lot for lot in purse.lots if lot.transfer == original]
                _spend(lots, chain(own, purse.lots), -amount, transfer=transfer)
            elif isinstance(purse, LottedPurse):
                rest = _give_back(lots, purse.number, amount, original=original)
                if rest:
                    _open(lots, purse, rest, transfer=transfer, lot=EARNED, now=ground.now)


def set_aside(ground: Ground, purse: Purse, amount: int, *, hold: UUID) -> None:
    """Let a hold protect what would be spent first."""
    if ground.lots and isinstance(purse, LottedPurse):
        for lot, part in _parts([lot for lot in purse.lots if not lot.is_over], amount):
            lot.change(held=part)
            ground.lots.changed[lot.id] = lot
            ground.lots.set_aside.append((hold, lot.id, part))


def release(ground: Ground, hold: HoldId) -> None:
    """Let what is left of a hold protect nothing any more."""
    if ground.lots:
        _free(ground.lots, hold, sum([part for _, part in ground.lots.of_holds.get(hold, ())]))


def expire(request: ExpireRequest, ground: Ground, decision: Decision) -> Outcome:
    """Move what of a lot has expired to where expired points go, as far as it is under no hold."""
    wallet, breakage = purses = [ground.purses[account] for account in request.accounts]
    lots = wallet.lots if isinstance(wallet, LottedPurse) else []
    lot = next((lot for lot in lots if lot.id == request.expire.lot_id), None)
    if ground.lots is None or lot is None or not lot.is_over or not lot.free:
        return refuse(errors.LotNotDue)
    legs = request.legs(lot.free)
    for leg, purse in zip(legs, purses, strict=True):
        if purse.status != "active":
            return purse.refusal(leg)
    posted = move(request, KIND, legs, [wallet, breakage], decision, None, "")
    lot.change(remaining=-lot.free, expired=lot.free)
    ground.lots.changed[lot.id] = lot
    return posted


def _open(lots: Lotting, purse: LottedPurse, amount: int, *, transfer: UUID, lot: Lot, now: datetime) -> None:
    # the first lot of a transfer has its number, as in a fan-out, and those of its other wallets the next ones
    others = sum([1 for _ in takewhile(lambda other: other.lot.transfer == transfer, reversed(lots.opened))])
    number = UUID(int=transfer.int + others)
    is_over = lot.expires_at is not None and lot.expires_at <= now
    fresh = OpenLot(number, amount, 0, 0, lot.expires_at, is_over, transfer)
    purse.lots.append(fresh)
    purse.lots.sort(key=order)
    lots.opened.append(NewLot(fresh, purse.number, lot.origin, amount))


def _spend(lots: Lotting, among: Iterable[OpenLot], amount: int, *, transfer: UUID) -> None:
    for lot, part in _parts([lot for lot in among if not lot.is_over], amount):
        lot.change(remaining=-part)
        lots.changed[lot.id] = lot
        lots.spent.append((transfer, lot.id, part))


def _parts(among: Iterable[OpenLot], amount: int) -> Iterable[tuple[OpenLot, int]]:
    """So much of what is free, in this order; each is asked when those before it were changed."""
    for lot in among:
        part = min(lot.free, amount)
        if part:
            amount -= part
            yield lot, part


def _free(lots: Lotting, hold: HoldId, amount: int) -> list[tuple[OpenLot, int]]:
    """So much of what a hold protects is held no more, the earliest end first."""
    freed, kept = [], []
    for lot, protected in lots.of_holds.get(hold, ()):
        part = min(protected, amount)
        amount -= part
        if part:
            lot.change(held=-part)
            lots.changed[lot.id] = lot
            lots.freed[hold, lot.id] += part
            freed.append((lot, part))
        if protected > part:
            kept.append((lot, protected - part))
    lots.of_holds[hold] = kept
    return freed


def _give_back(lots: Lotting, account: AccountId, amount: int, *, original: UUID) -> int:
    """Return so much to the lots it was spent from, the latest end first; answers what was spent from none."""
    for use in lots.uses.get(original, ()):
        part = min(use.left, amount) if use.account == account else 0
        if part:
            amount -= part
            use.left -= part
            use.lot.change(remaining=part)
            lots.changed[use.lot.id] = use.lot
            lots.returned[original, use.lot.id] += part
    return amount
