"""Value that expires: which lots are spent, set aside and given back. The earliest end goes first, none at all last.

What has expired is spent by nobody, whether or not the job has come for it; what a hold set aside before is protected
until the hold ends, and expires then. What is taken back returns to the lots it was spent from, with the ends they had.
"""

from bisect import insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, takewhile
from uuid import UUID

from palio.ledger import errors
from palio.ledger.rules.ground import Decision, Ground, LottedPurse, Lotting, NewLot, OpenLot, Purse, Reserve, refuse
from palio.ledger.rules.items import AnyRequest, ExpireRequest, HoldRequest, ReverseRequest
from palio.ledger.rules.moves import move
from palio.ledger.rules.requests import Request, is_debt, wallet_of
from palio.ledger.types import AccountId, Handle, HoldId, Leg, Lot, Outcome

KIND = "ledger.expiry"
EARNED = Lot()
NEVER = datetime.max.replace(tzinfo=UTC)


def order(lot: OpenLot) -> tuple[datetime, UUID]:
    """The earliest end first; of those with one end the oldest."""
    return lot.expires_at or NEVER, lot.id


@dataclass(slots=True)
class Unread:
    """What a batch may need of lots that were not read: so much of each wallet, and lots by number."""

    needs: dict[AccountId, int] = field(default_factory=dict)
    lots: set[UUID] = field(default_factory=set)


def unread(requests: Iterable[AnyRequest], ground: Ground) -> Unread | None:
    """What has to be read besides the first lots of each wallet before the batch can be decided; None in most cases.

    Of a wallet never more than the batch can spend of it, whatever it asks for.
    """
    cut = {purse.number: purse for purse in ground.purses.values() if isinstance(purse, LottedPurse) and purse.read_to}
    if not cut:
        return None
    found = Unread()
    flows: dict[AccountId, list[tuple[int, bool]]] = {number: [] for number in cut}
    for request in requests:
        for account, amount, is_elastic in _flows(request, ground):
            purse = ground.purses.get(account)
            if purse and purse.number in cut:
                flows[purse.number].append((amount, is_elastic))
                found.lots |= _named(request, ground)
    for number, purse in cut.items():
        need = _spendable(purse.balance, flows[number])
        if purse.read_to and (purse.read_to.is_over or need > _read(purse, purse.read_to)):
            found.needs[number] = need
    found.lots -= {lot.id for purse in cut.values() for lot in purse.lots}
    return found if found.needs or found.lots else None


def _flows(request: AnyRequest, ground: Ground) -> Iterator[tuple[Handle, int, bool]]:
    """What a request moves or sets aside: the account, by how much, and whether it takes less where there is less."""
    if isinstance(request, Request):
        for account, (_, _, amount) in zip(request.accounts, request.post.legs, strict=True):
            yield account, amount, request.post.to_debt
    elif isinstance(request, HoldRequest):
        yield request.account, -request.hold.amount, False
    elif isinstance(request, ExpireRequest):
        yield request.accounts[0], 0, False
    elif isinstance(request, ReverseRequest) and (original := ground.originals.get(request.reverse.original_id)):
        for leg in original.legs:
            yield leg.account, -leg.left if leg.amount > 0 else leg.left, request.reverse.to_debt
            if is_debt(leg.address) and leg.amount < 0:  # what of it was paid since comes back to the wallet
                yield (wallet_of(leg.address), leg.asset), leg.left, False


def _named(request: AnyRequest, ground: Ground) -> set[UUID]:
    """The lots that a request names: the one that ends, or those that a transfer opened which is taken back."""
    if isinstance(request, ExpireRequest):
        return {request.expire.lot_id}
    if isinstance(request, ReverseRequest) and (original := ground.originals.get(request.reverse.original_id)):
        return {UUID(int=original.id.int + place) for place in range(len(original.legs))}
    return set()


def _spendable(balance: int, flows: Sequence[tuple[int, bool]]) -> int:
    """The most that can be spent of what is there now: what asks for more than there can ever be is refused."""
    most = balance + sum([amount for amount, _ in flows if amount > 0])
    debits = [min(-amount, most) for amount, is_elastic in flows if amount < 0 and (is_elastic or -amount <= most)]
    return min(sum(debits), balance)


def _read(purse: LottedPurse, last: OpenLot) -> int:
    """What can be spent of the lots that were read in their order."""
    return sum([lot.free for lot in purse.lots if order(lot) <= order(last) and not lot.is_over])


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
    insort(purse.lots, fresh, key=order)
    lots.opened.append(NewLot(fresh, purse.number, lot.origin, amount))


def _spend(lots: Lotting, among: Iterable[OpenLot], amount: int, *, transfer: UUID) -> None:
    for lot, part in _parts((lot for lot in among if not lot.is_over), amount):
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
        if not amount:
            return


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
