"""The batch that most batches are: transfers with keys of their own, each wallet touched once. It is decided where it
is written, in one statement; everything else is decided by `decisions`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import TypeAlias

from palio.ledger.rules.items import AnyRequest
from palio.ledger.rules.requests import Request, is_guarded
from palio.ledger.types import AccountId, Outcome, Place, Posted, TransferId

Side: TypeAlias = tuple[bytes, int, int, int]  # id of the transfer, number of the leg, account, amount


@dataclass(slots=True)
class Plain:
    """Legs of guarded accounts in the order of these, and those of open ones; -n is the n-th unknown place."""

    requests: Sequence[Request]
    guarded: list[Side] = field(default_factory=list)
    open: list[Side] = field(default_factory=list)
    unknown: dict[Place, int] = field(default_factory=dict)


def read(claims: Sequence[AnyRequest], *, counting: Collection[str], lotted: Collection[str]) -> Plain | None:
    """The batch as it can be written at once; None where an item wants more, or has to see another one before it.

    `counting` are the kinds that count for limits, `lotted` the assets of which wallets keep lots.
    """
    keys: set[str] = set()
    for claim in claims:
        if claim.fault or not isinstance(claim, Request):
            return None
        post = claim.post
        if post.capture or post.to_debt or post.kind in counting:
            return None
        keys.add(claim.key)
    plain = Plain([claim for claim in claims if isinstance(claim, Request)])
    if len(keys) < len(plain.requests) or not _spread(plain, lotted):
        return None
    plain.guarded.sort(key=_account)
    return plain


def _spread(plain: Plain, lotted: Collection[str]) -> bool:
    """Sort the legs by what they touch; False where a wallet is touched twice, or keeps lots."""
    wallets: set[int] = set()
    guarded, numbers = plain.guarded, count(1)
    for request in plain.requests:
        transfer, sides = request.id.bytes, zip(request.accounts, request.post.legs, strict=True)
        for leg, (account, (address, asset, amount)) in enumerate(sides):
            if isinstance(account, tuple):
                number = -(plain.unknown.get(account) or plain.unknown.setdefault(account, next(numbers)))
                is_wallet = is_guarded(address)
            else:
                number, is_wallet = account, account & 1 == 1
            if not is_wallet:
                plain.open.append((transfer, leg, number, amount))
                continue
            if asset in lotted:
                return False
            guarded.append((transfer, leg, number, amount))
            wallets.add(number)
    return len(wallets) == len(guarded)


def _account(side: Side) -> int:
    return side[2]


def outcomes(
    plain: Plain, found: Mapping[int, tuple[int, int]], numbers: Mapping[Place, AccountId], *, posted_at: datetime
) -> list[Outcome]:
    """What each transfer is answered: `found` are balance and seq of every wallet as its entry stores them."""
    answers: list[Outcome] = []
    for request in plain.requests:
        balances = {}
        for account, (address, _, _) in zip(request.accounts, request.post.legs, strict=True):
            number = numbers[account] if isinstance(account, tuple) else account
            if number & 1:
                balances[address] = found[number]
        answers.append(Posted(TransferId(request.id), balances, posted_at))
    return answers
