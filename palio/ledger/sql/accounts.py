"""Statements about accounts themselves: what they may be used for."""

from dataclasses import dataclass
from datetime import datetime

from palio.infra import db
from palio.infra.db import Tx
from palio.ledger.errors import NoSuchAccount
from palio.ledger.types import Account, AccountId, AssetTerms, Status


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


@dataclass(frozen=True, slots=True)
class LockedAsset(AssetTerms):
    """With the number of the asset."""

    id: int


async def lock_asset(tx: Tx, code: str) -> None:
    """Let nobody else change what is set about an asset before the end of the transaction."""
    await db.value(tx, "select pg_advisory_xact_lock(hashtextextended(%s, 0))", f"ledger.asset|{code}")


async def find_asset(tx: Tx, code: str) -> LockedAsset | None:
    """What may be done with an asset now."""
    return await db.find(
        tx,
        LockedAsset,
        "select id, name, giftable, withdrawable, lots, active from ledger.assets where code = %s",
        code,
    )


async def update_asset(tx: Tx, asset_id: int, terms: AssetTerms, now: datetime) -> None:
    """Let these be its terms; where it begins or ceases to have lots, with those of all its wallets."""
    await db.run(
        tx,
        """select ledger.change_asset(%s::smallint, %s::text, %s::bool, %s::bool, %s::bool, %s::bool, %s)""",
        *(asset_id, terms.name, terms.giftable, terms.withdrawable, terms.lots, terms.active, now),
    )


async def update_status(tx: Tx, account_id: AccountId, status: Status) -> None:
    """Let it be used so from now on."""
    await db.run(tx, "select ledger.set_status(%s::bigint, %s::text)", account_id, status)
