"""Use cases about what accounts and assets may be used for."""

from dataclasses import fields
from datetime import datetime

from palio.infra import audit, db
from palio.infra.db import Tx
from palio.ledger import errors
from palio.ledger.rules import statuses
from palio.ledger.rules.requests import is_description
from palio.ledger.service.memory import Book, read_again
from palio.ledger.sql import accounts as sql
from palio.ledger.types import ASSET_NAME_CHARS_MAX, Account, AccountId, AssetTerms, Status


async def set_status(tx: Tx, *, account_id: AccountId, status: Status, reason: str) -> Account:
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


async def asset_terms(tx: Tx, *, asset: str) -> AssetTerms:
    """What may be done with an asset. Refuses with UnknownAsset."""
    found = await sql.find_asset(tx, asset)
    if found is None:
        raise errors.UnknownAsset(asset=asset)
    return AssetTerms(**{one.name: getattr(found, one.name) for one in fields(AssetTerms)})


async def locked_terms(tx: Tx, *, asset: str) -> AssetTerms:
    """The same, and nobody else changes them before the end of the transaction. Refuses with UnknownAsset."""
    await sql.lock_asset(tx, asset)
    return await asset_terms(tx, asset=asset)


async def change_asset(tx: Tx, *, asset: str, terms: AssetTerms, reason: str, now: datetime) -> None:
    """Change what an asset is called and what may be done with it, with a reason; for staff with `ledger.asset.edit`.

    Where it begins to have lots, each wallet gets one of all that is in it, without an end; where it ceases to, nothing
    of it expires any more, also not what has expired and was not moved yet. Wallets of it stand still meanwhile.
    Every process obeys from its next batch on: the rows it locks tell it. The audit row says what changed.
    Refuses with UnknownAsset, InvalidPost.
    """
    if not reason.strip() or not is_description(reason):
        raise errors.InvalidPost(field="reason")
    if not terms.name.strip() or len(terms.name) > ASSET_NAME_CHARS_MAX or not is_description(terms.name):
        raise errors.InvalidPost(field="name")
    await sql.lock_asset(tx, asset)
    found = await sql.find_asset(tx, asset)
    if found is None:
        raise errors.UnknownAsset(asset=asset)
    pairs = {one.name: (getattr(found, one.name), getattr(terms, one.name)) for one in fields(AssetTerms)}
    changes = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    if not changes:
        return
    await sql.update_asset(tx, found.id, terms, now)
    await read_again(tx, book=db.memory(tx, Book))
    await audit.record(
        tx,
        actor=tx.actor,
        action="asset.change",
        entity_type="ledger.asset",
        entity_id=asset,
        changes=changes,
        reason=reason,
    )
