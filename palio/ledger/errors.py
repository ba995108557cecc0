"""Refusals of the ledger.

Conflict  InsufficientFunds, AccountFrozen, AccountClosed, BalanceLimit, BatchAborted, BatchRefused
Invalid   InvalidPost, KeyMismatch
NotFound  UnknownAsset, NoSuchEntry
TooLarge  BatchTooLarge
"""

from palio.kernel.errors import Conflict, Invalid, NotFound, Refusal, TooLarge
from palio.ledger.types import Refused


class InvalidPost(Invalid):
    """`field` names the first part of the item that breaks a rule."""

    code = "ledger.invalid"


class KeyMismatch(Invalid):
    """The key was used before, for another request."""

    code = "ledger.key_mismatch"


class NoSuchEntry(NotFound):
    """There is no such movement in your wallet."""

    code = "ledger.no_such_entry"


class UnknownAsset(NotFound):
    """No asset has this code."""

    code = "ledger.unknown_asset"


class InsufficientFunds(Conflict):
    """`available` and `needed` in units of the asset."""

    code = "ledger.insufficient_funds"


class AccountFrozen(Conflict):
    """The account may not be debited, or not be touched at all, until staff release it."""

    code = "ledger.account_frozen"


class AccountClosed(Conflict):
    """The account is closed for good."""

    code = "ledger.account_closed"


class BalanceLimit(Conflict):
    """The balance would leave the range in which amounts are exact, or rise above the ceiling of the account."""

    code = "ledger.balance_limit"


class BatchAborted(Conflict):
    """Nothing was wrong with this item; another of an all-or-nothing batch was refused."""

    code = "ledger.batch_aborted"


class BatchRefused(Conflict):
    """An all-or-nothing batch was refused; `outcomes` says what was wrong with each."""

    code = "ledger.batch_refused"


class BatchTooLarge(TooLarge):
    """More items or legs than one call takes; `limit` says how many."""

    code = "ledger.batch_too_large"


_OF_AN_ITEM: dict[str, type[Refusal]] = {
    refusal.code: refusal
    for refusal in (InvalidPost, KeyMismatch, InsufficientFunds, AccountFrozen, AccountClosed, BalanceLimit)
}


def as_refusal(outcome: Refused) -> Refusal:
    """The refusal of a single item, to be raised."""
    return _OF_AN_ITEM[outcome.code](**outcome.facts)
