"""The rows of a fan-out, judged and answered as columns: a hundred thousand payments are one thing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import msgspec

from palio.ledger import errors
from palio.ledger.rules.ground import Stored, refuse
from palio.ledger.rules.requests import KEY, NUL, PLAIN, TEXT, hash_of_legs, is_amount, metadata_text
from palio.ledger.types import AMOUNT_UNITS_MAX, METADATA_BYTES_MAX, Facts, Paid, Payments, Refused

MAPPING, INTEGER = frozenset({dict}), frozenset({int})
ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Bills:
    """Payments that are sound and the first of their key, with the places where they stood.

    `metadata` is theirs as JSON, or nothing where none has any; `faults` names the wrong field of others by place.
    """

    places: Sequence[int]
    payments: Payments
    metadata: Sequence[str | None] = ()
    faults: Mapping[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Carried:
    """What the database made of bills: the ids of transfers, refusals by number, and what keys stood for before."""

    transfer_ids: list[bytes | None]
    refused: dict[int, Refused] = field(default_factory=dict)
    stored: Mapping[str, Stored] = field(default_factory=dict)


def judge(payments: Payments) -> Bills:
    """Judge each payment by itself, and let the first sound one of a key claim it."""
    metadata: Sequence[str | None] | None = _quickly_encoded(payments.metadata)
    faults: Mapping[int, str] = {}
    if metadata is None or not _are_sound(payments):
        metadata = [metadata_text(facts) if facts else None for facts in payments.metadata]
        faults = dict(_faults_of(payments, metadata))
    claims: dict[str, int] = {}
    for place, key in enumerate(payments.keys):
        if place not in faults:
            claims.setdefault(key, place)
    if len(claims) == len(payments.keys):
        return Bills(range(len(claims)), payments, metadata)
    places = list(claims.values())
    chosen = Payments(
        list(claims), [payments.owners[place] for place in places], [payments.amounts[place] for place in places]
    )
    return Bills(places, chosen, [metadata[place] for place in places] if metadata else (), faults)


def _quickly_encoded(metadata: Sequence[Facts]) -> list[str] | None:
    """Flat facts of everybody as JSON in one go; None where each has to be looked at."""
    if not MAPPING.issuperset(map(type, metadata)) or not all(metadata):
        return None
    names, values = chain.from_iterable(metadata), chain.from_iterable([facts.values() for facts in metadata])
    if not TEXT.issuperset(map(type, names)) or not PLAIN.issuperset(map(type, values)):
        return None
    try:
        encoded = list(map(ENCODER.encode, metadata))
    except (TypeError, ValueError):
        return None
    is_fit = max(map(len, encoded), default=0) <= METADATA_BYTES_MAX and NUL.encode() not in b"".join(encoded)
    return list(map(bytes.decode, encoded)) if is_fit else None


def _are_sound(payments: Payments) -> bool:
    amounts = payments.amounts
    return (
        all(map(KEY.fullmatch, payments.keys))
        and INTEGER.issuperset(map(type, amounts))
        and min(amounts, default=1) > 0
        and max(amounts, default=1) <= AMOUNT_UNITS_MAX
    )


def _faults_of(payments: Payments, metadata: Sequence[str | None]) -> Iterator[tuple[int, str]]:
    """Places with the name of the first field that is wrong."""
    facts: Sequence[Facts] = payments.metadata
    for place, (key, amount) in enumerate(zip(payments.keys, payments.amounts, strict=True)):
        if not KEY.fullmatch(key):
            yield place, "key"
        elif not is_amount(amount) or amount < 0:
            yield place, "amount"
        elif facts and facts[place] and metadata[place] is None:
            yield place, "metadata"


def hashes(payments: Payments, part: slice, *, source: str, asset: str, kind: str) -> list[bytes]:
    """For a part of the payments the hash of the post which would do the same."""
    owners, amounts = payments.owners[part], payments.amounts[part]
    if source < "user:":
        return [
            hash_of_legs(kind, f'["{source}","{asset}",{-amount}],["user:{owner}:main","{asset}",{amount}]')
            for owner, amount in zip(owners, amounts, strict=True)
        ]
    return [
        hash_of_legs(kind, f'["user:{owner}:main","{asset}",{amount}],["{source}","{asset}",{-amount}]')
        for owner, amount in zip(owners, amounts, strict=True)
    ]


def answer(payments: Payments, bills: Bills, hashed: Sequence[bytes], carried: Carried) -> Paid:
    """What became of payments, in their order: one key is one decision."""
    transfer_ids, refused, replayed = carried.transfer_ids, carried.refused, set()
    if carried.stored:
        for number, key in enumerate(bills.payments.keys):
            before = carried.stored.get(key)
            if before is None:
                continue
            if before.op == "transfer" and before.hash == hashed[number]:
                transfer_ids[number] = before.ref.bytes
                replayed.add(number)
            else:
                transfer_ids[number], refused[number] = None, refuse(errors.KeyMismatch)
    paid = Paid(transfer_ids, replayed, refused)
    return paid if len(transfer_ids) == len(payments.keys) else _spread(payments, bills, paid)


def _spread(payments: Payments, bills: Bills, paid: Paid) -> Paid:
    """The answers of bills for the payments they were chosen from: whoever comes again hears the same."""
    numbers = dict(zip(bills.payments.keys, range(len(bills.places)), strict=True))
    transfer_ids: list[bytes | None] = [None] * len(payments.keys)
    replayed, refused = set(), {}
    for place, (key, owner, amount) in enumerate(zip(payments.keys, payments.owners, payments.amounts, strict=True)):
        if place in bills.faults:
            refused[place] = refuse(errors.InvalidPost, field=bills.faults[place])
            continue
        number = numbers[key]
        if (owner, amount) != (bills.payments.owners[number], bills.payments.amounts[number]):
            refused[place] = refuse(errors.KeyMismatch)
        elif number in paid.refused:
            refused[place] = paid.refused[number]
        else:
            transfer_ids[place] = paid.transfer_ids[number]
            if number in paid.replayed or place != bills.places[number]:
                replayed.add(place)
    return Paid(transfer_ids, replayed, refused)
