"""Use cases about what accounts and assets may be used for."""

from datetime import datetime

from palio.infra import audit
from palio.infra.db import Tx
from palio.ledger import errors
from palio.ledger.rules import statuses
from palio.ledger.rules.requests import is_description
from palio.ledger.sql import accounts as sql
from palio.ledger.types import Account, AccountId, Status


async def set_status(tx: Tx, *, account_id: AccountId, status: Status, reason: str, now: datetime) -> Account:
    """Freeze an account, close it or let it be used again, with a reason; answers it as it was before.

    Whoever posts to a guarded account meanwhile comes before or after it. Holds are voided and expire in every status.
    The audit row says who did it. For staff with `ledger.account.freeze`.
    Refuses with NoSuchAccount, AccountClosed (that is final), NotEmpty, and InvalidPost without a reason.
    """
    if not reason.strip() or not is_description(reason):
        raise errors.InvalidPost(field="reason")
    account = await sql.lock_account(tx, account_id)
    if refusal := statuses.obstacle(account, status):
        raise refusal
    if account.status != status:
        await sql.update_status(tx, account_id, status)
        await audit.record(
            tx,
            actor=tx.actor,
            action="account.freeze" if status == "frozen" else "account.status",
            entity_type="ledger.account",
            entity_id=str(account_id),
            changes={"status": (account.status, status)},
            reason=reason,
            subject=account.owner_id,
        )
    return account
