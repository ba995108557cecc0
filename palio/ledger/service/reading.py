"""Use cases that look: balances, wallets, statements. What the caller's context may not see does not exist."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.ids import UserId
from palio.ledger import errors
from palio.ledger.rules import courses, months, pages, receipts
from palio.ledger.sql import lists, lots
from palio.ledger.sql import reading as sql
from palio.ledger.sql import wallets as whole
from palio.ledger.sql.reconciling import find_archive_end
from palio.ledger.types import (
    DEBT_LINES_MAX,
    ENDS_OF_A_CARD_MAX,
    HOLDS_OF_A_CARD_MAX,
    STATEMENT_LINES_DEFAULT,
    STATEMENT_LINES_MAX,
    Asset,
    Course,
    Cursor,
    Debt,
    Filter,
    HoldId,
    Kind,
    Lapsing,
    Line,
    LineOf,
    MonthStatement,
    OpenHold,
    Receipt,
    Statement,
    TransferId,
    Wallet,
)

EVERYTHING = Filter()


async def balance(tx: Tx, *, address: str, asset: str, at: datetime | None = None) -> int:
    """The posted balance in units of the asset, now or after everything posted until `at`.

    Exact, also of an open account that thousands post to: it is what this statement sees. An account nobody used has
    0; so has one that the actor may not see, such as a pool for a player. Refuses with Archived an instant before the
    end of the archive.
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


async def kinds(tx: Tx) -> list[Kind]:
    """Every kind of movement, with the words for it."""
    return await lists.list_kinds(tx)


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
        lines = await sql.list_lines_before(tx, owner_id, asset, wanted, before, size + 1)
        found = pages.page_before(lines, size)
    else:
        lines = await sql.list_lines(tx, owner_id, asset, wanted, after, size + 1)
        found = pages.page(lines, size, is_first=after is None)
    return replace(found, lines=await _with_taken_back(tx, owner_id, asset, found.lines))


async def _with_taken_back(tx: Tx, owner_id: UserId, asset: str, lines: Sequence[Line]) -> Sequence[Line]:
    """The same lines, each with how much of it was taken back."""
    if not lines:
        return lines
    # an owner's own accounts know their times in order; where only his debt was touched, clocks may differ a little
    since = min(line.posted_at for line in lines) - timedelta(days=1)
    ids = [line.transfer_id for line in lines]
    back = {row.transfer_id: row.amount for row in await lists.list_taken_back(tx, owner_id, asset, ids, since)}
    return [replace(line, reversed=back[line.transfer_id]) if line.transfer_id in back else line for line in lines]


async def latest(tx: Tx, *, owner_id: UserId, limit: int) -> list[LineOf]:
    """The newest movements of all main wallets of an owner together, the newest first."""
    return await sql.list_latest(tx, owner_id, limit)


async def course(
    tx: Tx, *, owner_id: UserId, wallet: Wallet, now: datetime, since: date | None = None, until: date | None = None
) -> Course:
    """How the balance of a wallet went between two days (UTC), else in the last thirty; and in this month.

    Days that lie in the archive are left out.
    """
    today = now.astimezone(UTC).date()
    archived_until = await find_archive_end(tx)
    span = courses.span_of(since, until, today, here_since=archived_until.date() if archived_until else None)
    begins, ends = months.midnight(span[0]), months.midnight(span[1]) + timedelta(days=1)
    moved = await sql.list_days_moved(tx, owner_id, wallet.asset, begins, ends)
    _, began_with = await _in_front(tx, owner_id, wallet.asset, begins, ends)
    month = await month_statement(tx, owner_id=owner_id, asset=wallet.asset, month=today)
    return courses.course(moved, began_with=began_with, span=span, month=month)


async def _in_front(tx: Tx, owner_id: UserId, asset: str, since: datetime, until: datetime) -> tuple[int, int]:
    """The number and the balance of the last line before a span of time that is here: 0 and 0 if there never was one.

    Where something moved in the span, its months alone are read.
    """
    edge = await whole.find_start(tx, owner_id, asset, since, until)
    edge = edge or await whole.find_edge(tx, owner_id, asset, since)
    edge = edge or await whole.find_rest(tx, owner_id, asset, until)
    return (edge.seq, edge.balance) if edge else (0, 0)


async def require_here(tx: Tx, *, begins: datetime) -> None:
    """Let a span be read that begins at an instant. Refuses with Archived what reaches into the archive."""
    until = await find_archive_end(tx)
    if until is not None and begins < until:
        raise errors.Archived(before=until)


async def month_statement(tx: Tx, *, owner_id: UserId, asset: str, month: date) -> MonthStatement:
    """What a month (UTC) did to a main wallet, whatever of it is hidden: opening + flows = closing.

    `month` is any day of it. Refuses with UnknownAsset, Archived.
    """
    await asset_of(tx, code=asset)
    since, until = months.edges(month)
    await require_here(tx, begins=since)
    seq, opening = await _in_front(tx, owner_id, asset, since, until)
    flows = await whole.list_flows(tx, owner_id, asset, since, until)
    return months.statement(month, opening=opening, flows=flows, first_seq=seq + 1)


async def lines_of_month(
    tx: Tx, *, owner_id: UserId, asset: str, statement: MonthStatement, after: int, limit: int
) -> list[Line]:
    """The lines of a month statement behind the one numbered `after` (0: from the first), in their order."""
    first, last = max(statement.first_seq, after + 1), statement.first_seq + statement.lines - 1
    return await sql.list_lines_between(tx, owner_id, asset, (first, last), months.edges(statement.month), limit)


async def months_of(tx: Tx, *, owner_id: UserId, asset: str, now: datetime) -> list[date]:
    """The months (UTC) of a main wallet since its first movement that is here, this one first; at most ten years."""
    first = await whole.find_first_posted(tx, owner_id, asset)
    return months.down_to((first or now).astimezone(UTC).date(), now.astimezone(UTC).date())


async def holds(
    tx: Tx, *, owner_id: UserId, after: HoldId | None = None, before: HoldId | None = None, limit: int
) -> list[OpenHold]:
    """What is set aside of an owner's wallets, the newest first, behind one hold or in front of one."""
    if before:
        return await whole.list_holds_before(tx, owner_id, before, limit)
    return await whole.list_holds(tx, owner_id, after, limit)


async def holds_of(tx: Tx, *, owner_id: UserId, asset: str) -> list[OpenHold]:
    """The largest things set aside of one main wallet."""
    return await whole.list_holds_of(tx, owner_id, asset, HOLDS_OF_A_CARD_MAX)


async def lapsing(tx: Tx, *, owner_id: UserId, asset: str, now: datetime) -> list[Lapsing]:
    """What of a main wallet expires next, the earliest end first; what is held is left out until its hold ends."""
    return await lots.list_lapsing(tx, owner_id, asset, now, ENDS_OF_A_CARD_MAX)


async def debt_of(tx: Tx, *, owner_id: UserId, wallet: Wallet) -> Debt | None:
    """What an owner owes of an asset, and what came of it last; None who owes nothing."""
    if not wallet.debt:
        return None
    lines = await whole.list_debt_lines(tx, owner_id, wallet.asset, DEBT_LINES_MAX)
    return Debt(wallet.asset, wallet.scale, -wallet.debt, lines)


async def asset_of(tx: Tx, *, code: str) -> Asset:
    """The asset of a code. Refuses with UnknownAsset."""
    for known in await sql.list_assets(tx):
        if known.code == code:
            return known
    raise errors.UnknownAsset(asset=code)


async def is_hidden(tx: Tx, *, owner_id: UserId, asset: str, seq: int) -> bool:
    """Has a line of a main wallet been left out of its list?"""
    line = await sql.find_line(tx, owner_id, asset, seq)
    return line is not None and line.hidden_at is not None


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
        why=receipts.why(line.metadata),
        hold=await lists.find_capture(tx, origin.hold_id, seq) if origin.hold_id else None,
        reverses=await lists.find_counterpart(tx, owner_id, asset, line.reverses_id) if line.reverses_id else None,
        reversed_by=await lists.list_reversals(tx, owner_id, asset, line.transfer_id),
    )


async def receipts_of(tx: Tx, *, owner_id: UserId, transfer_id: TransferId) -> list[Receipt]:
    """What one transfer moved in the main wallets of an owner, at least one. Refuses with NoSuchEntry."""
    lines = await sql.list_seqs(tx, owner_id, transfer_id)
    if not lines:
        raise errors.NoSuchEntry(transfer_id=str(transfer_id))
    return [await receipt(tx, owner_id=owner_id, asset=line.asset, seq=line.seq) for line in lines]
