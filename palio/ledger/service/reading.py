"""Use cases that look: balances, wallets, statements. What the caller's context may not see does not exist."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.ids import UserId
from palio.ledger import errors
from palio.ledger.rules import courses, pages, receipts
from palio.ledger.sql import reading as sql
from palio.ledger.types import (
    COURSE_DAYS,
    STATEMENT_LINES_DEFAULT,
    STATEMENT_LINES_MAX,
    Asset,
    Course,
    Cursor,
    Filter,
    LineOf,
    Receipt,
    Statement,
    TransferId,
    Wallet,
)

EVERYTHING = Filter()


async def balance(tx: Tx, *, address: str, asset: str, at: datetime | None = None) -> int:
    """The posted balance in units of the asset, now or after everything posted until `at`.

    Exact, also of an open account that thousands post to: it is what this statement sees. An account nobody used has
    0; so has one that the actor may not see, such as a pool for a player. Refuses with Archived an instant whose
    entries the archive has taken.
    """
    if at is None:
        return await sql.find_balance(tx, address, asset)
    then = await sql.find_balance_at(tx, address, asset, at)
    if then is None:
        return 0
    if then.archived_until and at < then.archived_until:
        raise errors.Archived(before=then.archived_until)
    return int(then.balance)


async def assets(tx: Tx) -> list[Asset]:
    """Every asset, with the decimal places in which its units are shown."""
    return await sql.list_assets(tx)


async def balances_many(tx: Tx, *, owner_ids: Sequence[UserId], asset: str) -> dict[UserId, int]:
    """The posted balance of the main wallet of each owner; 0 for one who never had anything."""
    found = {row.owner_id: row.balance for row in await sql.list_balances(tx, owner_ids, asset)}
    return {owner: found.get(owner, 0) for owner in owner_ids}


async def wallets(tx: Tx, *, owner_id: UserId, now: datetime | None = None) -> list[Wallet]:
    """What an owner has of every active asset, zeros included; what has expired by now is not available."""
    return await sql.list_wallets(tx, owner_id, now or clock.now())


async def statement(
    tx: Tx,
    *,
    owner_id: UserId,
    asset: str,
    wanted: Filter = EVERYTHING,
    after: Cursor | None = None,
    before: Cursor | None = None,
    limit: int = STATEMENT_LINES_DEFAULT,
) -> Statement:
    """A page of the movements of a main wallet, newest first.

    `next` of one page is `after` of the next, its `prev` is `before` of the one in front of it.
    At most 10,000 lines. Refuses with UnknownAsset.
    """
    await asset_of(tx, code=asset)
    size = min(max(limit, 1), STATEMENT_LINES_MAX)
    if before:
        return pages.page_before(await sql.list_lines_before(tx, owner_id, asset, wanted, before, size + 1), size)
    lines = await sql.list_lines(tx, owner_id, asset, wanted, after, size + 1)
    return pages.page(lines, size, is_first=after is None)


async def latest(tx: Tx, *, owner_id: UserId, limit: int) -> list[LineOf]:
    """The newest movements of all main wallets of an owner together, the newest first."""
    return await sql.list_latest(tx, owner_id, limit)


async def course(tx: Tx, *, owner_id: UserId, wallet: Wallet, now: datetime) -> Course:
    """How the balance of a wallet went in the last thirty days, and in this month."""
    today = now.astimezone(UTC).date()
    since = datetime.combine(today - timedelta(days=COURSE_DAYS), time(), UTC)
    moved = await sql.list_days_moved(tx, owner_id, wallet.asset, since)
    return courses.course(moved, balance=wallet.balance, today=today)


async def asset_of(tx: Tx, *, code: str) -> Asset:
    """The asset of a code. Refuses with UnknownAsset."""
    for known in await sql.list_assets(tx):
        if known.code == code:
            return known
    raise errors.UnknownAsset(asset=code)


async def receipt(tx: Tx, *, owner_id: UserId, asset: str, seq: int) -> Receipt:
    """All that is kept of one movement of a main wallet. Refuses with UnknownAsset, NoSuchEntry."""
    known = await asset_of(tx, code=asset)
    line = await sql.find_line(tx, owner_id, asset, seq)
    origin = await sql.find_origin(tx, line.transfer_id, line.posted_at) if line else None
    if line is None or origin is None:
        raise errors.NoSuchEntry(asset=asset, seq=seq)
    return Receipt(
        asset=known,
        line=line,
        key=origin.key,
        done_by=receipts.done_by(origin.actor, owner_id),
        sides=tuple(await sql.list_sides(tx, owner_id, asset, line.transfer_id, line.posted_at)),
        reversed_by=tuple(await sql.list_reversals(tx, line.transfer_id)),
    )


async def receipts_of(tx: Tx, *, owner_id: UserId, transfer_id: TransferId) -> list[Receipt]:
    """What one transfer moved in the main wallets of an owner, at least one. Refuses with NoSuchEntry."""
    lines = await sql.list_seqs(tx, owner_id, transfer_id)
    if not lines:
        raise errors.NoSuchEntry(transfer_id=str(transfer_id))
    return [await receipt(tx, owner_id=owner_id, asset=line.asset, seq=line.seq) for line in lines]
