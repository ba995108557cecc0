"""What an account may be used for, and who may not say so any more."""

from palio.kernel.errors import Refusal
from palio.ledger import errors
from palio.ledger.types import Account, Status


def obstacle(account: Account, status: Status) -> Refusal | None:
    """Why an account cannot get that status: what is closed stays closed, and only what is empty is closed."""
    if account.status == "closed" and status != "closed":
        return errors.AccountClosed(account=account.address)
    if status == "closed" and not account.is_empty:
        return errors.NotEmpty(balance=account.balance, held=account.held, debt=account.debt)
    return None
