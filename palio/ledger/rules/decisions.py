"""Does it go through? Every item sees the effect of the accepted ones before it; one key is one decision."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor
from palio.ledger import errors
from palio.ledger.rules.requests import AnyClaim, Claim, Request
from palio.ledger.types import (
    AMOUNT_UNITS_MAX,
    AccountId,
    Handle,
    Leg,
    Outcome,
    Posted,
    Refused,
    Status,
    TransferId,
)


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

    def takes(self, amount: int) -> bool:
        """Whether it may be posted; a credit of a guarded account never fails for funds."""
        if self.status != "active" and (self.status != "no_debit" or amount < 0):
            return False
        if not self.is_guarded:
            return True
        after = self.balance + amount
        if amount < 0:
            return after - self.held >= self.floor and after >= -AMOUNT_UNITS_MAX
        return after <= self.ceiling


@dataclass(frozen=True, slots=True)
class Stored:
    """What a key that was taken before stands for."""

    hash: bytes
    op: str
    ref: UUID
    balances: Mapping[str, tuple[int, int]]


# Rows to be written, in the order of their columns; seq 0 stands for none.
TransferRow: TypeAlias = tuple[bytes, datetime, str, str, Actor | None, str, str | None]
EntryRow: TypeAlias = tuple[AccountId, bytes, int, datetime, int, int, int]


@dataclass(slots=True)
class Decision:
    """The outcomes in the order of the items, and what is to be written for them."""

    outcomes: list[Outcome] = field(default_factory=list)
    transfers: list[TransferRow] = field(default_factory=list)
    entries: list[EntryRow] = field(default_factory=list)
    refused_keys: list[str] = field(default_factory=list)


def decide(requests: Iterable[Request], purses: Mapping[Handle, Purse], stored: Mapping[str, Stored]) -> Decision:
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


def _carry_out(request: Request, purses: Mapping[Handle, Purse], decision: Decision) -> Outcome:
    legs = request.post.legs
    touched = [purses[account] for account in request.accounts]
    for leg, purse in zip(legs, touched, strict=True):
        if not purse.takes(leg[2]):
            decision.refused_keys.append(request.key)
            return _refusal(leg, purse)
    return _move(request, touched, decision)


def _refusal(leg: Leg, purse: Purse) -> Refused:
    address, _, amount = leg
    if purse.status == "closed":
        return refuse(errors.AccountClosed, account=address)
    if purse.status == "frozen" or (purse.status == "no_debit" and amount < 0):
        return refuse(errors.AccountFrozen, account=address)
    if amount < 0 and purse.balance + amount - purse.held < purse.floor:
        return refuse(errors.InsufficientFunds, available=purse.balance - purse.held, needed=-amount)
    return refuse(errors.BalanceLimit, account=address)


def _move(request: Request, touched: Sequence[Purse], decision: Decision) -> Posted:
    post, number = request.post, request.id.bytes
    posted_at = max([purse.posted_at for purse in touched])
    decision.transfers.append((number, posted_at, post.key, post.kind, post.actor, post.description, request.metadata))
    balances = {}
    for leg, ((address, _, amount), purse) in enumerate(zip(post.legs, touched, strict=True)):
        if purse.is_guarded:
            purse.balance += amount
            purse.seq += 1
            purse.posted_at = posted_at
            balances[address] = purse.balance, purse.seq
        decision.entries.append((purse.number, number, leg, posted_at, amount, purse.seq, purse.balance))
    return Posted(TransferId(request.id), balances)


def aborted(outcomes: Iterable[Outcome]) -> list[Refused] | None:
    """The outcomes of an all-or-nothing batch if one was refused, else None."""
    answers = [outcome if isinstance(outcome, Refused) else refuse(errors.BatchAborted) for outcome in outcomes]
    return answers if any(answer.code != errors.BatchAborted.code for answer in answers) else None
