"""The batch that most batches are: transfers with keys of their own. It is decided where it is written, in one
statement; everything else is decided by `decisions`.
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
Step: TypeAlias = tuple[int, int, int, int]  # number of the leg in its wallet, sum so far, the lowest, the highest

FAR = 1 << 62  # beyond what any account holds, and small enough to be added to it: no bound
UP, DOWN = FAR, -FAR  # the lowest sum where nothing is taken, the highest where nothing is given


@dataclass(slots=True)
class Plain:
    """Legs of guarded accounts in the order of these, and those of open ones; -n is the n-th unknown place.

    Where a wallet is touched more than once, `steps` says of each guarded leg how far its wallet has moved with it.
    """

    requests: Sequence[Request]
    guarded: list[Side] = field(default_factory=list)
    open: list[Side] = field(default_factory=list)
    unknown: dict[Place, int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)


def read(claims: Sequence[AnyRequest], *, counting: Collection[str], lotted: Collection[str]) -> Plain | None:
    """The batch as it can be written at once; None where an item wants more.

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
    return plain if len(keys) == len(plain.requests) and _spread(plain, lotted) else None


def _spread(plain: Plain, lotted: Collection[str]) -> bool:
    """Sort the legs by what they touch; False where a wallet keeps lots, or moves too far to be written at once."""
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
    guarded.sort(key=_account)  # which leaves the legs of one wallet in the order of their transfers
    if len(wallets) < len(guarded):
        plain.steps = _steps(guarded)
    return all(-FAR < after < FAR for _, after, _, _ in plain.steps)


def _account(side: Side) -> int:
    return side[2]


def _steps(guarded: Sequence[Side]) -> list[Step]:
    """How each wallet moves, leg by leg: a debit may not take it below its floor, nor a credit above its ceiling."""
    steps: list[Step] = []
    wallet, nth, after, lowest, highest = 0, 0, 0, UP, DOWN
    for _, _, account, amount in guarded:
        if account != wallet:
            wallet, nth, after, lowest, highest = account, 0, 0, UP, DOWN
        nth, after = nth + 1, after + amount
        if amount < 0:
            lowest = min(lowest, after)
        else:
            highest = max(highest, after)
        steps.append((nth, after, lowest, highest))
    return steps


def outcomes(
    plain: Plain, before: Mapping[int, tuple[int, int]], numbers: Mapping[Place, AccountId], *, posted_at: datetime
) -> list[Outcome]:
    """What each transfer is answered: `before` are balance and seq of every wallet as the batch found them."""
    answers: list[Outcome] = []
    states = dict(before)
    for request in plain.requests:
        balances = {}
        for account, (address, _, amount) in zip(request.accounts, request.post.legs, strict=True):
            number = numbers[account] if isinstance(account, tuple) else account
            if number & 1:
                balance, seq = states[number]
                states[number] = balances[address] = (balance + amount, seq + 1)
        answers.append(Posted(TransferId(request.id), balances, posted_at))
    return answers
