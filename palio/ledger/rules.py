"""What the ledger decides: is a post well formed, and does it go through, seeing everything before it in the batch."""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar
from uuid import UUID

from palio.kernel.errors import Refusal
from palio.kernel.ids import UserId
from palio.ledger import errors
from palio.ledger.types import (
    AMOUNT_UNITS_MAX,
    DESCRIPTION_CHARS_MAX,
    LEGS_OF_AN_ITEM_MAX,
    LEGS_OF_AN_ITEM_MIN,
    METADATA_BYTES_MAX,
    AccountId,
    Cursor,
    Leg,
    Line,
    Outcome,
    Payment,
    Place,
    Post,
    Posted,
    Refused,
    Statement,
    Status,
    TransferId,
)

KEY = re.compile(r"[A-Za-z0-9:._-]{1,200}")
ADDRESS = re.compile(r"[a-z0-9._-]{1,64}(:[a-z0-9._-]{1,64}){1,3}")
ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # jsonb cannot hold it
FAMILIES = frozenset(
    {
        *("user", "pool", "treasury", "house", "fees", "suspense", "issuance", "external", "clearing"),
        *("breakage", "writeoff", "commission"),
    }
)
PURPOSES_OF_A_PLAYER = frozenset({"main", "debt"})


# --- is it well formed? ---


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What posts may name: kinds, assets by code, and the places whose accounts are known."""

    kinds: Collection[str]
    assets: Collection[str]
    places: Collection[Place]


@dataclass(slots=True)
class Claim:
    """What stands behind a key: the field that is wrong, or else what is claimed and stored for it."""

    key: str
    id: UUID
    fault: str | None = None
    hash: bytes = b""
    metadata: str | None = None  # as JSON


@dataclass(slots=True, kw_only=True)
class Request(Claim):
    """A post judged by itself."""

    post: Post


@dataclass(slots=True, kw_only=True)
class Bill(Claim):
    """A payment of a fan-out judged by itself."""

    payment: Payment


AnyClaim = TypeVar("AnyClaim", bound=Claim)


def prepare(posts: Iterable[Post], ids: Iterable[UUID], known: Vocabulary) -> list[Request]:
    """Judge each post by itself; `ids` are for the transfers they may become."""
    return [_request(post, transfer_id, known) for post, transfer_id in zip(posts, ids, strict=True)]


def _request(post: Post, transfer_id: UUID, known: Vocabulary) -> Request:
    request = Request(post.key, transfer_id, post=post)
    request.fault = fault_of(post, known) or _keep_metadata(request, post.metadata)
    if request.fault is None:
        request.hash = request_hash(post.kind, post.legs)
    return request


def prepare_payments(
    payments: Iterable[Payment], ids: Iterable[UUID], *, source: str, asset: str, kind: str
) -> list[Bill]:
    """Judge each payment by itself. Its hash is that of the post which would do the same."""
    return [_bill(payment, bill_id, source, asset, kind) for payment, bill_id in zip(payments, ids, strict=True)]


def _bill(payment: Payment, bill_id: UUID, source: str, asset: str, kind: str) -> Bill:
    bill = Bill(payment.key, bill_id, payment=payment)
    bill.fault = _fault_of_payment(payment) or _keep_metadata(bill, payment.metadata)
    if bill.fault is None:
        legs = (source, asset, -payment.amount), (wallet_of(payment.owner), asset, payment.amount)
        bill.hash = request_hash(kind, legs)
    return bill


def fault_of_fan_out(source: str, asset: str, kind: str, assets: Collection[str], kinds: Collection[str]) -> str | None:
    """What is wrong with everything that the payments share, or None."""
    if kind not in kinds:
        return "kind"
    if asset not in assets:
        return "asset"
    return None if is_address(source) and not is_guarded(source) else "source"


def _fault_of_payment(payment: Payment) -> str | None:
    if not KEY.fullmatch(payment.key):
        return "key"
    return None if is_amount(payment.amount) and payment.amount > 0 else "amount"


def _keep_metadata(claim: Claim, metadata: Mapping[str, object]) -> str | None:
    """Encode it; the name of the fault if that cannot be done."""
    if not metadata:
        return None
    claim.metadata = metadata_text(metadata)
    return "metadata" if claim.metadata is None else None


def wallet_of(owner: UserId) -> str:
    """The address of an owner's wallet."""
    return f"user:{owner}:main"


def fault_of(post: Post, known: Vocabulary) -> str | None:
    """The name of the first field that is wrong, or None; metadata is judged where it is encoded."""
    if not KEY.fullmatch(post.key):
        return "key"
    if post.kind not in known.kinds:
        return "kind"
    if post.description and not is_description(post.description):
        return "description"
    return _fault_of_legs(post.legs, known)


def _fault_of_legs(legs: Sequence[Leg], known: Vocabulary) -> str | None:
    if not LEGS_OF_AN_ITEM_MIN <= len(legs) <= LEGS_OF_AN_ITEM_MAX:
        return "legs"
    sums: dict[str, int] = {}
    places = set()
    for address, asset, amount in legs:
        if not is_amount(amount):
            return "amount"
        place = address, asset
        if place not in known.places:
            if asset not in known.assets:
                return "asset"
            if not is_address(address):
                return "address"
        places.add(place)
        sums[asset] = sums.get(asset, 0) + amount
    return "legs" if any(sums.values()) or len(places) < len(legs) else None


def is_amount(amount: object) -> bool:
    """Is it an integer that moves something and that every reader of JSON keeps exact? True and 1.0 are not."""
    return type(amount) is int and amount != 0 and -AMOUNT_UNITS_MAX <= amount <= AMOUNT_UNITS_MAX


def is_address(address: str) -> bool:
    """Is it the address of a known family? A player's accounts carry his id in its usual spelling."""
    family, _, rest = address.partition(":")
    if family not in FAMILIES or not ADDRESS.fullmatch(address):
        return False
    if family != "user":
        return True
    owner, _, purpose = rest.partition(":")
    return purpose in PURPOSES_OF_A_PLAYER and is_id(owner)


def is_guarded(address: str) -> bool:
    """Does it have a balance row with a floor? Players' accounts have."""
    return address.startswith("user:")


def is_id(text: str) -> bool:
    """Is it a UUID in its usual spelling?"""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def is_description(text: str) -> bool:
    """Is it short, and text that the database can hold?"""
    return len(text) <= DESCRIPTION_CHARS_MAX and "\0" not in text and _is_unicode(text)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def metadata_text(metadata: Mapping[str, object]) -> str | None:
    """The facts as JSON; None when they are no JSON object that the database can hold, or above 4 KiB."""
    try:
        text = json.dumps(metadata, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        is_small = len(text.encode()) <= METADATA_BYTES_MAX
    except (TypeError, ValueError, RecursionError):
        return None
    return text if is_small and text.startswith("{") and not ESCAPED_NUL.search(text) else None


def request_hash(kind: str, legs: Sequence[Leg]) -> bytes:
    """SHA-256 over what makes a request this request; texts, actor and time may differ in a retry.

    Canonical JSON (RFC 8785) of {amount, final, hold, kind, legs sorted, op, original, v}. Nothing in it needs
    escaping, because kinds, addresses and codes were judged before.
    """
    listed = ",".join([f'["{address}","{asset}",{amount}]' for address, asset, amount in sorted(legs)])
    text = (
        f'{{"amount":null,"final":null,"hold":null,"kind":"{kind}","legs":[{listed}],'
        '"op":"transfer","original":null,"v":1}'
    )
    return hashlib.sha256(text.encode()).digest()


def first_claims(claims: Iterable[AnyClaim]) -> dict[str, AnyClaim]:
    """The sound item that claims each key: the first that has it."""
    first: dict[str, AnyClaim] = {}
    for claim in claims:
        if claim.fault is None:
            first.setdefault(claim.key, claim)
    return first


def places_of(requests: Iterable[Request]) -> set[Place]:
    """Every account that is touched."""
    return {(leg[0], leg[1]) for request in requests for leg in request.post.legs}


# --- does it go through? ---


@dataclass(slots=True)
class Purse:
    """An account while the batch is decided. An open one has neither balance nor number of entries."""

    number: AccountId
    posted_at: datetime  # nothing may be posted before
    balance: int = 0
    seq: int = 0
    status: Status = "active"
    held: int = 0
    floor: int = 0
    ceiling: int = AMOUNT_UNITS_MAX
    is_guarded: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """What a key that was taken before stands for."""

    hash: bytes
    op: str
    ref: UUID
    balances: Mapping[str, tuple[int, int]]


@dataclass(slots=True)
class Transfer:
    """A request that goes through, and when."""

    request: Request
    posted_at: datetime


class Entry(NamedTuple):
    """One leg to be written; `seq` 0 stands for none."""

    account: AccountId
    transfer: int  # place in the list of transfers
    leg: int
    amount: int
    seq: int
    balance: int


@dataclass(frozen=True, slots=True)
class Paid:
    """What became of one payment of a fan-out: the balance and seq it left, or why it was refused."""

    balance: int
    seq: int
    refusal: Refused | None


@dataclass(slots=True)
class Decision:
    """The outcomes in the order of the items, and what is to be written for them."""

    outcomes: list[Outcome] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    refused_keys: list[str] = field(default_factory=list)


def decide(requests: Iterable[Request], purses: Mapping[Place, Purse], stored: Mapping[str, Stored]) -> Decision:
    """Decide every request, each seeing the effect of the accepted ones before it."""
    decision = Decision()

    def outcome_of(request: Request) -> Outcome:
        if request.key in stored:
            return _replay(request, stored[request.key])
        return _carry_out(request, purses, decision)

    decision.outcomes = answer(requests, outcome_of)
    return decision


def answer(claims: Iterable[AnyClaim], outcome_of: Callable[[AnyClaim], Outcome]) -> list[Outcome]:
    """The outcome of each item, asking `outcome_of` once per key: one key, one decision, also for what was refused."""
    outcomes: list[Outcome] = []
    decided: dict[str, tuple[bytes, Outcome]] = {}
    for claim in claims:
        if claim.fault is not None:
            outcome: Outcome = refuse(errors.InvalidPost, field=claim.fault)
        elif claim.key in decided:
            outcome = _again(claim, *decided[claim.key])
        else:
            outcome = outcome_of(claim)
            decided[claim.key] = claim.hash, outcome
        outcomes.append(outcome)
    return outcomes


def refuse(refusal: type[Refusal], **facts: object) -> Refused:
    """A refusal as an outcome."""
    return Refused(refusal.code, facts)


def _again(claim: Claim, first: bytes, outcome: Outcome) -> Outcome:
    if claim.hash != first:
        return refuse(errors.KeyMismatch)
    if isinstance(outcome, Posted):
        return Posted(outcome.transfer_id, outcome.balances, replayed=True)
    return outcome


def _replay(claim: Claim, stored: Stored) -> Outcome:
    """The answer to a key that was taken before: the first result, if it is the same request."""
    if stored.op != "transfer" or stored.hash != claim.hash:
        return refuse(errors.KeyMismatch)
    return Posted(TransferId(stored.ref), stored.balances, replayed=True)


def _carry_out(request: Request, purses: Mapping[Place, Purse], decision: Decision) -> Outcome:
    legs = request.post.legs
    touched = [purses[leg[0], leg[1]] for leg in legs]
    for leg, purse in zip(legs, touched, strict=True):
        if refusal := _refusal(leg, purse):
            decision.refused_keys.append(request.key)
            return refusal
    return _move(request, touched, decision)


def _refusal(leg: Leg, purse: Purse) -> Refused | None:
    address, _, amount = leg
    if purse.status != "active" and (refusal := _refusal_by_status(address, amount, purse.status)):
        return refusal
    if not purse.is_guarded:
        return None
    after = purse.balance + amount
    if amount < 0 and after - purse.held < purse.floor:
        return refuse(errors.InsufficientFunds, available=purse.balance - purse.held, needed=-amount)
    if after > purse.ceiling or after < -AMOUNT_UNITS_MAX:
        return refuse(errors.BalanceLimit, account=address)
    return None


def _refusal_by_status(address: str, amount: int, status: Status) -> Refused | None:
    if status == "closed":
        return refuse(errors.AccountClosed, account=address)
    if status == "frozen" or amount < 0:
        return refuse(errors.AccountFrozen, account=address)
    return None


def _move(request: Request, touched: Sequence[Purse], decision: Decision) -> Posted:
    posted_at = max([purse.posted_at for purse in touched])
    transfer = len(decision.transfers)
    decision.transfers.append(Transfer(request, posted_at))
    balances = {}
    for leg, ((address, _, amount), purse) in enumerate(zip(request.post.legs, touched, strict=True)):
        if purse.is_guarded:
            purse.balance += amount
            purse.seq += 1
            purse.posted_at = posted_at
            balances[address] = purse.balance, purse.seq
        decision.entries.append(Entry(purse.number, transfer, leg, amount, purse.seq, purse.balance))
    return Posted(TransferId(request.id), balances)


def aborted(outcomes: Iterable[Outcome]) -> list[Refused] | None:
    """The outcomes of an all-or-nothing batch if one was refused, else None."""
    answers = [outcome if isinstance(outcome, Refused) else refuse(errors.BatchAborted) for outcome in outcomes]
    return answers if any(answer.code != errors.BatchAborted.code for answer in answers) else None


def decide_payments(bills: Iterable[Bill], paid: Mapping[str, Paid], stored: Mapping[str, Stored]) -> list[Outcome]:
    """The outcomes of payments in their order, from what the database did with each key."""

    def outcome_of(bill: Bill) -> Outcome:
        if bill.key in stored:
            return _replay(bill, stored[bill.key])
        done = paid[bill.key]
        return done.refusal or Posted(TransferId(bill.id), {wallet_of(bill.payment.owner): (done.balance, done.seq)})

    return answer(bills, outcome_of)


def month_of(instant: datetime) -> tuple[datetime, datetime]:
    """Beginning and end of its calendar month in UTC."""
    since = instant.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return since, (since + timedelta(days=31)).replace(day=1)


def page(lines: Sequence[Line], size: int) -> Statement:
    """The first `size` of these lines, and where to go on if there are more."""
    if len(lines) <= size:
        return Statement(lines, None)
    last = lines[size - 1]
    return Statement(lines[:size], Cursor(last.posted_at, last.seq))
