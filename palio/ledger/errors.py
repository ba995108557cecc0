"""Refusals of the ledger.

Conflict  InsufficientFunds, AccountFrozen, AccountClosed, BalanceLimit, BatchAborted, BatchRefused,
          HoldNotOpen, HoldLapsed, HoldExceeded, HoldNotDue, AlreadyReversed, ReversalExceeds, ReversalOfReversal,
          TransferFinal, NotEmpty, MakerLimit, EffectUnseen, FindingResolved, WalletInDebt, GiftLimit, LotNotDue,
          LimitReached, NotSealed, SealBroken
Invalid   InvalidPost, KeyMismatch, HoldMismatch, AdjustmentReasonMissing, NoSuchPlayer, ResolutionInvalid,
          PeriodInvalid, HidingReasonMissing, NotGiftable, GiftToSelf
NotFound  UnknownAsset, NoSuchEntry, NoSuchHold, NoSuchTransfer, NoSuchAccount, NoSuchAdjustment, NoSuchFinding,
          NoSuchRecipient
Forbidden SelfAdjustment, ForeignFamily, GiftsOff
Gone      Archived
TooLarge  BatchTooLarge, StatementTooLong
"""

from palio.kernel.errors import Conflict, Forbidden, Gone, Invalid, NotFound, Refusal, TooLarge
from palio.ledger.types import Refused


class InvalidPost(Invalid):
    """The item breaks a rule, first of all in `field`."""

    code = "ledger.invalid"


class KeyMismatch(Invalid):
    """The key was used before, for another request."""

    code = "ledger.key_mismatch"


class NoSuchEntry(NotFound):
    """There is no such movement in the wallet."""

    code = "ledger.no_such_entry"


class HidingReasonMissing(Invalid):
    """Whoever hides a line of somebody else says why, in at least `chars_min` characters."""

    code = "ledger.hiding_reason_missing"


class NoSuchHold(NotFound):
    """There is no such hold."""

    code = "ledger.no_such_hold"


class HoldNotOpen(Conflict):
    """The hold was captured, voided or has expired: its `state` is final."""

    code = "ledger.hold_not_open"


class HoldLapsed(Conflict):
    """The hold could be captured until `expires_at`."""

    code = "ledger.hold_expired"


class HoldMismatch(Invalid):
    """The transfer takes nothing from the account of the hold it captures."""

    code = "ledger.hold_mismatch"


class HoldExceeded(Conflict):
    """`remaining` units are held, `needed` were to be captured."""

    code = "ledger.hold_exceeded"


class HoldNotDue(Conflict):
    """The hold has not expired yet: it can be captured until `expires_at`."""

    code = "ledger.hold_not_due"


class PeriodInvalid(Invalid):
    """A period is a month like `M:2026-03`."""

    code = "ledger.period_invalid"


class NoSuchFinding(NotFound):
    """No reconciliation has found this."""

    code = "ledger.no_such_finding"


class FindingResolved(Conflict):
    """Somebody has resolved this finding already, at `resolved_at`."""

    code = "ledger.finding_resolved"


class ResolutionInvalid(Invalid):
    """Say in `low` to `high` characters what was found out, and what was done about it."""

    code = "ledger.resolution_invalid"
    blames = "resolution"


class NoSuchTransfer(NotFound):
    """There is no such transfer."""

    code = "ledger.no_such_transfer"


class AlreadyReversed(Conflict):
    """Nothing is left of the transfer: all of it was taken back before."""

    code = "ledger.already_reversed"


class ReversalExceeds(Conflict):
    """Only `left` units of the transfer can still be taken back."""

    code = "ledger.reversal_exceeds"


class ReversalOfReversal(Conflict):
    """A transfer that takes another one back is not taken back itself: post what should be."""

    code = "ledger.reversal_of_reversal"


class TransferFinal(Conflict):
    """This gave back what somebody had paid in, and what it was paid for counts it as returned: it stays so."""

    code = "ledger.transfer_final"


class Archived(Gone):
    """What was posted before `before` lies in the archive: it still counts, and can no longer be taken back or read."""

    code = "ledger.archived"


class NotSealed(Conflict):
    """The transfer is too young to be proved: it gets its seal within a minute."""

    code = "ledger.not_sealed"


class SealBroken(Conflict):
    """The transfer is not what was sealed: it was altered since, or its seal was. Please tell us."""

    code = "ledger.seal_broken"


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


class LotNotDue(Conflict):
    """Nothing of the lot has expired that is not held."""

    code = "ledger.lot_not_due"


class LimitReached(Conflict):
    """The player's own limit: `used` of `limit` units of the `group` in this `period`, which ends at `resets_at`."""

    code = "ledger.limit_reached"


class NoSuchAccount(NotFound):
    """There is no such account."""

    code = "ledger.no_such_account"


class NotEmpty(Conflict):
    """Only an account in which nothing is (`balance`), is held (`held`) or is owed (`debt`) can be closed."""

    code = "ledger.not_empty"


class BatchAborted(Conflict):
    """Nothing was wrong with this item; another of an all-or-nothing batch was refused."""

    code = "ledger.batch_aborted"


class BatchRefused(Conflict):
    """An all-or-nothing batch was refused; `outcomes` says what was wrong with each."""

    code = "ledger.batch_refused"


class ForeignFamily(Forbidden):
    """Programs may not post to accounts of the family `family`; an operator names those in `ledger.api_families`."""

    code = "ledger.family"


class BatchTooLarge(TooLarge):
    """More items or legs than one call takes; `limit` says how many."""

    code = "ledger.batch_too_large"


class NoSuchAdjustment(NotFound):
    """There is no correction of this id."""

    code = "ledger.no_such_adjustment"


class AdjustmentReasonMissing(Invalid):
    """Say why, in 10 to 500 characters: whose wallet it is reads it."""

    code = "ledger.reason_missing"


class SelfAdjustment(Forbidden):
    """One of the wallets is your own: somebody else corrects it."""

    code = "ledger.self_adjustment"


class MakerLimit(Conflict):
    """One person adjusts at most `limit` units of `asset` on a day (UTC), approved or not; `used` are already."""

    code = "ledger.maker_limit"


class EffectUnseen(Conflict):
    """What is sent is not what had its effect shown: look at it, then send it again."""

    code = "ledger.effect_unseen"


class NoSuchPlayer(Invalid):
    """Nobody has this user name or id: `player`."""

    code = "ledger.no_such_player"


class GiftsOff(Forbidden):
    """This house lets nobody give anything away."""

    code = "ledger.gifts_off"


class NotGiftable(Invalid):
    """`asset` cannot be given away."""

    code = "ledger.not_giftable"
    blames = "asset"


class GiftToSelf(Invalid):
    """A gift goes to somebody else."""

    code = "ledger.gift_to_self"
    blames = "to"


class NoSuchRecipient(NotFound):
    """Nobody here is called so: write the user name exactly."""

    code = "ledger.no_such_recipient"
    blames = "to"


class WalletInDebt(Conflict):
    """You owe `owed` units of `asset`: nothing can be given away until that is paid."""

    code = "ledger.wallet_in_debt"


class GiftLimit(Conflict):
    """Today you have made `gifts` gifts of `gifts_max`, and given `given` units of `given_max`: try again tomorrow."""

    code = "ledger.gift_limit"


class StatementTooLong(TooLarge):
    """The month has `lines` movements, a file holds `limit` of them: take them page by page as a list."""

    code = "ledger.statement_too_long"


_OF_AN_ITEM: dict[str, type[Refusal]] = {
    refusal.code: refusal
    for refusal in (
        *(InvalidPost, KeyMismatch, InsufficientFunds, AccountFrozen, AccountClosed, BalanceLimit),
        *(NoSuchHold, HoldNotOpen, HoldLapsed, HoldMismatch, HoldExceeded, HoldNotDue),
        *(NoSuchTransfer, Archived, AlreadyReversed, ReversalExceeds, ReversalOfReversal, TransferFinal),
        *(LotNotDue, LimitReached, ForeignFamily, BatchAborted),
    )
}


def as_refusal(outcome: Refused) -> Refusal:
    """The refusal of a single item, to be raised."""
    return _OF_AN_ITEM[outcome.code](**outcome.facts)
