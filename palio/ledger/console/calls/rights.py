"""What staff need a right for in the ledger, and what every act of theirs may be refused with."""

from palio.kernel.errors import Forbidden
from palio.kernel.ids import UserId
from palio.ledger.errors import (
    AccountClosed,
    AccountFrozen,
    AdjustmentReasonMissing,
    BalanceLimit,
    InsufficientFunds,
    InvalidPost,
    SelfAdjustment,
)
from palio.ui.actor import Asking

READ, ADJUST, DECIDE = "ledger.wallet.read", "ledger.wallet.adjust", "ledger.adjust.decide"
REVERSE, FREEZE, EDIT = "ledger.transfer.reverse", "ledger.account.freeze", "ledger.asset.edit"
HIDE = "ledger.line.hide"
OF_POSTS = (InvalidPost, InsufficientFunds, AccountFrozen, AccountClosed, BalanceLimit)
OF_ACTS = (SelfAdjustment, AdjustmentReasonMissing)


def maker_of(ask: Asking) -> UserId:
    """Who acts. Refuses with Forbidden whoever is nobody."""
    if ask.actor.user_id is None:
        raise Forbidden
    return ask.actor.user_id
