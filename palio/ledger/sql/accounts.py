"""Statements about accounts themselves: what they may be used for."""

from palio.infra import db
from palio.infra.db import Tx
from palio.ledger.errors import NoSuchAccount
from palio.ledger.types import Account, AccountId, Status


async def lock_account(tx: Tx, account_id: AccountId) -> Account:
    """An account, with what its owner has and owes of its asset locked. Refuses with NoSuchAccount."""
    found = await db.find(
        tx,
        Account,
        "select address, asset, owner_id, status, balance, held, debt from ledger.lock_account(%s::bigint)",
        account_id,
    )
    if found is None:
        raise NoSuchAccount(account=account_id)
    return found


async def update_status(tx: Tx, account_id: AccountId, status: Status) -> None:
    """Let it be used so from now on."""
    await db.run(tx, "select ledger.set_status(%s::bigint, %s::text)", account_id, status)
