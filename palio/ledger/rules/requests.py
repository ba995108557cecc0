"""Is it well formed? Posts and payments judged by themselves, and what is claimed for them."""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeVar, get_args
from uuid import UUID

import msgspec

from palio.ledger.types import (
    AMOUNT_UNITS_MAX,
    DESCRIPTION_CHARS_MAX,
    FAMILIES,
    LEGS_OF_AN_ITEM_MAX,
    LEGS_OF_AN_ITEM_MIN,
    METADATA_BYTES_MAX,
    AccountId,
    Capture,
    Handle,
    Leg,
    Lot,
    Origin,
    Place,
    Post,
)

KEY = re.compile(r"[A-Za-z0-9:._-]{1,200}")
ADDRESS = re.compile(r"[a-z0-9._-]{1,64}(:[a-z0-9._-]{1,64}){1,3}")
AS_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))  # json.dumps makes one per call
NUL = r"\u0000"
ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # jsonb cannot hold it
TEXT, PLAIN = frozenset({str}), frozenset({str, int, bool, type(None)})
WORDS = frozenset({"kind", "asset"})
ORIGINS = frozenset(get_args(Origin))
OF_A_PLAYER = re.compile(r"user:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:(main|debt)")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What posts may name: kinds, assets by code, and the numbers of places that are known."""

    kinds: Collection[str]
    assets: Collection[str]
    places: Mapping[Place, AccountId]


@dataclass(slots=True)
class Claim:
    """What stands behind a key: the field that is wrong, or else what is claimed and stored for it."""

    op: ClassVar[str] = "transfer"
    key: str
    id: UUID
    fault: str | None = None
    hash: bytes = b""
    metadata: str | None = None  # as JSON


@dataclass(slots=True, kw_only=True)
class Request(Claim):
    """A post judged by itself, and the accounts of its legs in their order."""

    post: Post
    accounts: Sequence[Handle]


AnyClaim = TypeVar("AnyClaim", bound=Claim)


def prepare(post: Post, transfer_id: UUID, known: Vocabulary) -> Request:
    """Judge a post by itself; the id is for the transfer it may become."""
    find = known.places.get
    accounts: list[Handle] = [find(place := (address, asset), place) for address, asset, _ in post.legs]
    request = Request(post.key, transfer_id, post=post, accounts=accounts)
    request.fault = _fault_of(request, known)
    if request.fault is None:
        request.metadata, request.fault = _encoded(post.metadata)
    if request.fault is None:
        request.hash = request_hash(post.kind, post.legs, post.capture)
    return request


def fault_of_fan_out(source: str, asset: str, kind: str, assets: Collection[str], kinds: Collection[str]) -> str | None:
    """What is wrong with everything that the payments share, or None."""
    if kind not in kinds:
        return "kind"
    if asset not in assets:
        return "asset"
    return None if is_address(source) and not is_guarded(source) else "source"


def _encoded(metadata: Mapping[str, object]) -> tuple[str | None, str | None]:
    """It as JSON, and the name of the fault if that cannot be done."""
    if not metadata:
        return None, None
    text = metadata_text(metadata)
    return text, "metadata" if text is None else None


def _fault_of(request: Request, known: Vocabulary) -> str | None:
    """The name of the first field that is wrong, or None; metadata is judged where it is encoded."""
    post = request.post
    if not KEY.fullmatch(post.key):
        return "key"
    if post.kind not in known.kinds:
        return "kind"
    if post.description and not is_description(post.description):
        return "description"
    if not LEGS_OF_AN_ITEM_MIN <= len(post.legs) <= LEGS_OF_AN_ITEM_MAX:
        return "legs"
    if post.capture and not is_reference(post.capture[0]):
        return "capture"
    if post.lot and not is_lot(post.lot):
        return "lot"
    if post.to_debt and (post.capture or any(leg[:2] in debts_of(post.legs) for leg in post.legs)):
        return "to_debt"
    for account in request.accounts:
        if isinstance(account, tuple) and (fault := fault_of_place(account, known)):
            return fault
    return _fault_of_amounts(request)


def fault_of_place(place: Place, known: Vocabulary) -> str | None:
    """What is wrong with a place that is not known yet, or None."""
    address, asset = place
    if asset not in known.assets:
        return "asset"
    return None if is_address(address) else "address"


def _fault_of_amounts(request: Request) -> str | None:
    sums: dict[str, int] = {}
    for _, asset, amount in request.post.legs:
        if not is_amount(amount):
            return "amount"
        sums[asset] = sums.get(asset, 0) + amount
    return "legs" if any(sums.values()) or len(set(request.accounts)) < len(request.accounts) else None


def is_amount(amount: object) -> bool:
    """Is it an integer that moves something and that every reader of JSON keeps exact? True and 1.0 are not."""
    return type(amount) is int and amount != 0 and -AMOUNT_UNITS_MAX <= amount <= AMOUNT_UNITS_MAX


def is_address(address: str) -> bool:
    """Is it the address of a known family? A player's accounts carry his id in its usual spelling."""
    if is_guarded(address):
        return OF_A_PLAYER.fullmatch(address) is not None
    return address.partition(":")[0] in FAMILIES and ADDRESS.fullmatch(address) is not None


def is_guarded(address: str) -> bool:
    """Does it have a balance row with a floor? Players' accounts have."""
    return address.startswith("user:")


def is_wallet(address: str) -> bool:
    """Is it what a player spends from?"""
    return address.startswith("user:") and address.endswith(":main")


def debt_of(address: str) -> str:
    """Where the owner of a wallet owes what it does not have."""
    return f"{address.removesuffix(':main')}:debt"


def is_debt(address: str) -> bool:
    """Is it where an owner owes something?"""
    return address.startswith("user:") and address.endswith(":debt")


def wallet_of(address: str) -> str:
    """What the owner of a debt account spends from."""
    return f"{address.removesuffix(':debt')}:main"


def debts_of(legs: Iterable[Leg]) -> set[Place]:
    """The debt accounts of the wallets that are debited."""
    return {(debt_of(address), asset) for address, asset, amount in legs if is_wallet(address) and amount < 0}


def is_reference(value: object) -> bool:
    """Is it an id, not a text of one?"""
    return isinstance(value, UUID)


def is_lot(lot: Lot) -> bool:
    """Is it from a known origin, without an end or until an instant?"""
    origin, expires_at = lot
    return origin in ORIGINS and (expires_at is None or is_instant(expires_at))


def is_instant(value: object) -> bool:
    """Is it a moment, wherever one is?"""
    return isinstance(value, datetime) and value.tzinfo is not None


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
        text = _json(metadata)
        is_small = len(text.encode()) <= METADATA_BYTES_MAX
    except (TypeError, ValueError, RecursionError):
        return None
    is_object = text.startswith("{")
    return text if is_small and is_object and not (NUL in text and ESCAPED_NUL.search(text)) else None


def _json(metadata: Mapping[str, object]) -> str:
    """As JSON; both encoders write flat facts alike, and the quick one would take too much of others."""
    if (
        type(metadata) is dict
        and TEXT.issuperset(map(type, metadata))
        and PLAIN.issuperset(map(type, metadata.values()))
    ):
        return msgspec.json.encode(metadata).decode()
    return AS_JSON.encode(metadata)


def request_hash(kind: str, legs: Sequence[Leg], capture: Capture | None = None) -> bytes:
    """SHA-256 over what makes a request this request; texts, actor and time may differ in a retry.

    Canonical JSON (RFC 8785) of {amount, final, hold, kind, legs sorted, op, original, v}. Nothing in it needs
    escaping, because kinds, addresses and codes were judged before.
    """
    if capture:
        hold_id, is_final = capture
        return hash_of(op="transfer", kind=kind, legs=sorted(legs), hold=str(hold_id), final=is_final)
    return hash_of_legs(
        kind, ",".join([f'["{address}","{asset}",{amount}]' for address, asset, amount in sorted(legs)])
    )


def hash_of(**parts: object) -> bytes:
    """The same hash of a request that is not a plain transfer; what is not given is null."""
    whole = {"v": 1, **dict.fromkeys(("amount", "final", "hold", "kind", "legs", "original")), **parts}
    return hashlib.sha256(AS_JSON.encode(dict(sorted(whole.items()))).encode()).digest()


def hash_of_legs(kind: str, listed: str) -> bytes:
    """The same of legs that are sorted and written already."""
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


def lack_words(claims: Iterable[Claim]) -> bool:
    """Whether one names a kind or an asset that this process does not know, perhaps not yet."""
    return any(claim.fault in WORDS for claim in claims)
