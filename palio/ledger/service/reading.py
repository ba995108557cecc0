"""Use cases that look: balances, wallets, statements. What the caller's context may not see does not exist."""

from collections.abc import Sequence
from datetime import datetime

from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.ledger import errors
from palio.ledger.rules import pages
from palio.ledger.sql import reading as sql
from palio.ledger.types import (
    STATEMENT_LINES_DEFAULT,
    STATEMENT_LINES_MAX,
    Asset,
    Cursor,
    Filter,
    Statement,
    Wallet,
)

EVERYTHING = Filter()


async def balance(tx: Tx, *, address: str, asset: str, at: datetime | None = None) -> int:
    """The posted balance in units of the asset, now or after everything posted until `at`.

    An account nobody used has 0; so has one that the actor may not see, such as a pool for a player.
    """
    if at is not None:
        return await sql.find_balance_at(tx, address, asset, at)
    return await sql.find_balance(tx, address, asset)


async def assets(tx: Tx) -> list[Asset]:
    """Every asset, with the decimal places in which its units are shown."""
    return await sql.list_assets(tx)


async def balances_many(tx: Tx, *, owner_ids: Sequence[UserId], asset: str) -> dict[UserId, int]:
    """The posted balance of the main wallet of each owner; 0 for one who never had anything."""
    found = {row.owner_id: row.balance for row in await sql.list_balances(tx, owner_ids, asset)}
    return {owner: found.get(owner, 0) for owner in owner_ids}


async def wallets(tx: Tx, *, owner_id: UserId) -> list[Wallet]:
    """What an owner has of every active asset, zeros included."""
    return await sql.list_wallets(tx, owner_id)


async def statement(
    tx: Tx,
    *,
    owner_id: UserId,
    asset: str,
    wanted: Filter = EVERYTHING,
    after: Cursor | None = None,
    limit: int = STATEMENT_LINES_DEFAULT,
) -> Statement:
    """A page of the movements of a main wallet, newest first; `next` of one page is `after` of the next.

    At most 200 lines. Refuses with UnknownAsset.
    """
    if asset not in {known.code for known in await sql.list_assets(tx)}:
        raise errors.UnknownAsset(asset=asset)
    size = min(max(limit, 1), STATEMENT_LINES_MAX)
    lines = await sql.list_lines(tx, owner_id, asset, wanted, after, size + 1)
    return pages.page(lines, size)
