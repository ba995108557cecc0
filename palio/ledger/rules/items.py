"""Is it well formed? Every kind of item judged by itself, and what a batch of them needs to be decided."""

from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeAlias
from uuid import UUID

from palio.ledger.rules import requests
from palio.ledger.rules.requests import Claim, Request, Vocabulary
from palio.ledger.types import Handle, Hold, HoldId, Item, Place, Post, Reverse, TransferId, Void


@dataclass(slots=True, kw_only=True)
class HoldRequest(Claim):
    """A hold judged by itself, and the wallet it is of."""

    op: ClassVar[str] = "hold"
    hold: Hold
    account: Handle


@dataclass(slots=True, kw_only=True)
class VoidRequest(Claim):
    """A release judged by itself."""

    op: ClassVar[str] = "void"
    void: Void


@dataclass(slots=True, kw_only=True)
class ReverseRequest(Claim):
    """A reversal judged by itself."""

    reverse: Reverse


AnyRequest: TypeAlias = Request | HoldRequest | VoidRequest | ReverseRequest


def judge(items: Iterable[Item], ids: Iterable[UUID], known: Vocabulary) -> list[AnyRequest]:
    """Judge each item by itself; `ids` are for the transfers and holds they may become."""
    return [
        requests.prepare(item, ref, known) if isinstance(item, Post) else _other(item, ref, known)
        for item, ref in zip(items, ids, strict=True)
    ]


def _other(item: Hold | Void | Reverse, ref: UUID, known: Vocabulary) -> AnyRequest:
    if isinstance(item, Hold):
        return _hold(item, ref, known)
    return _void(item, ref) if isinstance(item, Void) else _reverse(item, ref)


def _hold(hold: Hold, hold_id: UUID, known: Vocabulary) -> HoldRequest:
    place = hold.address, hold.asset
    request = HoldRequest(hold.key, hold_id, hold=hold, account=known.places.get(place, place))
    request.fault = _fault_of_hold(hold, place, known)
    if request.fault is None:
        request.hash = requests.hash_of(op="hold", kind=hold.kind, legs=[[*place, hold.amount]])
    return request


def _fault_of_hold(hold: Hold, place: Place, known: Vocabulary) -> str | None:
    """The name of the first field that is wrong, or None. How long it may last is judged when it is placed."""
    sound = {
        "key": requests.KEY.fullmatch(hold.key),
        "kind": hold.kind in known.kinds,
        "subject": hold.subject and requests.is_description(hold.subject),
        "amount": requests.is_amount(hold.amount) and hold.amount > 0,
        "expires_at": hold.expires_at is None or _is_instant(hold.expires_at),
    }
    fault = next((field for field, is_sound in sound.items() if not is_sound), None)
    fault = fault or requests.fault_of_place(place, known)
    return fault or (None if requests.is_wallet(hold.address) else "address")


def _void(void: Void, ref: UUID) -> VoidRequest:
    request = VoidRequest(void.key, ref, void=void)
    if not requests.KEY.fullmatch(void.key):
        request.fault = "key"
    elif not requests.is_reference(void.hold_id):
        request.fault = "hold_id"
    else:
        request.hash = requests.hash_of(op="void", hold=str(void.hold_id), expired=void.expired)
    return request


def _reverse(reverse: Reverse, ref: UUID) -> ReverseRequest:
    request = ReverseRequest(reverse.key, ref, reverse=reverse)
    request.fault = _fault_of_reversal(reverse)
    if request.fault is None:
        request.hash = requests.hash_of(op="reverse", original=str(reverse.original_id), amount=reverse.amount)
    return request


def _fault_of_reversal(reverse: Reverse) -> str | None:
    amount = reverse.amount
    sound = {
        "key": requests.KEY.fullmatch(reverse.key),
        "original_id": requests.is_reference(reverse.original_id),
        "amount": amount is None or (requests.is_amount(amount) and amount > 0),
        "reason": reverse.reason and requests.is_description(reverse.reason),
    }
    return next((field for field, is_sound in sound.items() if not is_sound), None)


def _is_instant(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


@dataclass(frozen=True, slots=True)
class Needs:
    """What has to be locked and read before a batch can be decided."""

    accounts: AbstractSet[Handle]
    holds: Collection[HoldId] = ()
    originals: Collection[TransferId] = ()
    debtors: Collection[TransferId] = ()  # those of the originals whose owners may owe what is taken back
    are_posts: bool = True  # all of them


def needs_of(claims: Collection[AnyRequest]) -> Needs:
    """The accounts, holds and transfers that are touched."""
    posts = [claim for claim in claims if isinstance(claim, Request)]
    accounts = {account for request in posts for account in request.accounts}
    special = [request.post for request in posts if request.post.capture or request.post.to_debt]
    if not special and len(posts) == len(claims):
        return Needs(accounts)
    holds = {post.capture[0] for post in special if post.capture}
    holds |= {claim.void.hold_id for claim in claims if isinstance(claim, VoidRequest)}
    accounts |= {claim.account for claim in claims if isinstance(claim, HoldRequest)}
    accounts |= {place for post in special if post.to_debt for place in requests.debts_of(post.legs)}
    reversals = [claim.reverse for claim in claims if isinstance(claim, ReverseRequest)]
    originals = {reverse.original_id for reverse in reversals}
    debtors = {reverse.original_id for reverse in reversals if reverse.to_debt}
    return Needs(accounts, sorted(holds), sorted(originals), sorted(debtors), are_posts=len(posts) == len(claims))
