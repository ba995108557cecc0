"""The wallet over HTTP, for its owner. What belongs to somebody else is not there."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from starlette.responses import StreamingResponse

from palio.infra import settings
from palio.infra.db import Database
from palio.ledger.errors import Archived, NoSuchEntry, StatementTooLong, UnknownAsset
from palio.ledger.rules import months
from palio.ledger.schemas.filters import From, Narrowed, To
from palio.ledger.schemas.months import (
    BALANCE_EXAMPLE,
    HOLDS_EXAMPLE,
    MONTH_EXAMPLE,
    At,
    BalanceAnswer,
    Format,
    HoldAnswer,
    MonthAnswer,
    MonthText,
    holds_answer,
    month_of,
    table_of,
)
from palio.ledger.schemas.wallet import (
    LINES_EXAMPLE,
    RECEIPT_EXAMPLE,
    WALLETS_EXAMPLE,
    AssetCode,
    LineAnswer,
    ReceiptAnswer,
    TransferNumber,
    WalletsAnswer,
    cursors_of,
    owner_of,
    shown_of,
)
from palio.ledger.service import hiding, reading
from palio.ledger.types import STATEMENT_ROWS_MAX, HoldId, MonthStatement, TransferId
from palio.ui import limits, tables
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.limits import HOUR_S, MINUTE_S, Limit
from palio.ui.paging import Listed, PagedById, Paging, sorted_by
from palio.ui.ranges import Span, of_times
from palio.ui.routes import Routes
from palio.ui.values import Asset, Money

READS = Limit("wallet", 120, MINUTE_S)
FILES = Limit("wallet-files", 6, HOUR_S)
LINES_OF_A_PART = 1_000
routes = Routes("ledger")


@routes.get("/wallet", access="owner", example=WALLETS_EXAMPLE, rate=[READS])
async def list_wallets(ask: Ask, tx: InTx) -> WalletsAnswer:
    """List what you have of every asset."""
    return WalletsAnswer.of(await reading.wallets(tx, owner_id=owner_of(ask.actor.user_id)))


@routes.get("/wallet/{asset}/transactions", access="owner", example=LINES_EXAMPLE, refuses=[UnknownAsset], rate=[READS])
async def list_transactions(
    request: Request,
    asset: AssetCode,
    ask: Ask,
    tx: InTx,
    page: Annotated[Paging, Depends(sorted_by("-created_at", end=(0, 0)))],
    narrowed: Annotated[Narrowed, Depends()],
    created: Annotated[Span, Depends(of_times("created_at"))],
    since: From = None,
    until: To = None,
) -> Listed[LineAnswer]:
    """List what moved in a wallet, the newest first, each with the balance it left.

    As a table it holds what is hidden as well, so that its amounts add up.
    """
    kinds = {kind.code for kind in await reading.kinds(tx)}
    span = created.within(since, until)
    wanted = narrowed.filter(since=span.since, until=span.until, kinds=kinds, with_hidden=tables.is_wanted(request))
    after, before = cursors_of(page)
    known = await reading.asset_of(tx, code=asset)
    owner_id = owner_of(ask.actor.user_id)
    found = await reading.statement(
        tx, owner_id=owner_id, asset=asset, wanted=wanted, after=after, before=before, limit=page.limit
    )
    money = Asset(known.code, known.scale)
    return shown_of(found, page).told(lambda line: LineAnswer.of(line, money))


@routes.get(
    "/wallet/{asset}/balance",
    access="owner",
    example=BALANCE_EXAMPLE,
    refuses=[UnknownAsset, Archived],
    rate=[READS],
    tier="expected",
)
async def get_balance(asset: AssetCode, ask: Ask, tx: InTx, at: At = None) -> BalanceAnswer:
    """Read what is in a wallet, now or after everything that had been posted until an instant."""
    known = await reading.asset_of(tx, code=asset)
    address = f"user:{owner_of(ask.actor.user_id)}:main"
    found = await reading.balance(tx, address=address, asset=asset, at=at)
    return BalanceAnswer(known.code, known.scale, at or ask.now, Money.of(found, Asset(known.code, known.scale)))


@routes.get(
    "/wallet/{asset}/statement",
    access="owner",
    example=MONTH_EXAMPLE,
    refuses=[UnknownAsset, Archived, StatementTooLong],
    rate=[READS],
    tier="expected",
    file=tables.MEDIA_TYPE,
)
async def get_statement(
    request: Request,
    asset: AssetCode,
    ask: Ask,
    tx: InTx,
    month: MonthText,
    format: Format = "json",  # noqa: A002 - the name of the parameter
) -> MonthAnswer:
    """Read a month of a wallet: what it began with, what came and went by category, what it ended with.

    As `csv` it is a file of its movements, hidden ones too, so that opening and amounts add up to closing.
    """
    owner_id = owner_of(ask.actor.user_id)
    known = await reading.asset_of(tx, code=asset)
    found = await reading.month_statement(tx, owner_id=owner_id, asset=asset, month=month_of(month))
    told = Asset(known.code, known.scale)
    if format == "json":
        return MonthAnswer.of(found, told)
    await limits.take_besides(request, ask, FILES)
    months.require_room(found, settings.value(STATEMENT_ROWS_MAX))
    return _file(request, ask, found, told)  # type: ignore[return-value]  # a file, not an object


def _file(request: Request, ask: Asking, found: MonthStatement, asset: Asset) -> StreamingResponse:
    """A month as a file, read and sent part by part: no transaction stays open while a slow reader takes his time."""
    database: Database = request.app.state.database
    owner_id = owner_of(ask.actor.user_id)

    async def parts() -> AsyncIterator[str]:
        yield table_of([], asset, has_head=True)
        after, last = 0, found.first_seq + found.lines - 1
        while after < last:
            async with database.begin(ask.actor) as tx:
                lines = await reading.lines_of_month(
                    tx, owner_id=owner_id, asset=asset.code, statement=found, after=after, limit=LINES_OF_A_PART
                )
            if not lines:
                return
            yield table_of(lines, asset, has_head=False)
            after = lines[-1].seq

    name = f"wallet-{asset.code}-{found.month:%Y-%m}{tables.ENDING}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(parts(), media_type=f"{tables.MEDIA_TYPE}; charset=utf-8; header=present", headers=headers)


@routes.get("/wallet/holds", access="owner", example=HOLDS_EXAMPLE, rate=[READS])
async def list_holds(ask: Ask, tx: InTx, page: PagedById) -> Listed[HoldAnswer]:
    """List what is set aside of your wallets, for what and until when, the newest first."""
    after, before = (HoldId(UUID(str(side[0]))) if side else None for side in page.sides)
    found = await reading.holds(
        tx, owner_id=owner_of(ask.actor.user_id), after=after, before=before, limit=page.limit + 1
    )
    return holds_answer(found, page)


@routes.get(
    "/wallet/transactions/{transfer_id:uuid}",
    access="owner",
    example=RECEIPT_EXAMPLE,
    refuses=[NoSuchEntry],
    rate=[READS],
)
async def get_transaction(transfer_id: TransferNumber, ask: Ask, tx: InTx) -> ReceiptAnswer:
    """Read the receipt of a movement of yours."""
    owner_id = owner_of(ask.actor.user_id)
    return ReceiptAnswer.of(await reading.receipts_of(tx, owner_id=owner_id, transfer_id=TransferId(transfer_id)))


@routes.post(
    "/wallet/transactions/{transfer_id:uuid}/hide",
    access="owner",
    example=None,
    refuses=[NoSuchEntry],
    status=204,
    rate=[READS],
)
async def hide_transaction(transfer_id: TransferNumber, ask: Ask, tx: InTx) -> None:
    """Leave a movement of yours out of the list. No balance and no sum changes; a repeat changes nothing."""
    owner_id = owner_of(ask.actor.user_id)
    await hiding.hide_transfer(tx, owner_id=owner_id, transfer_id=TransferId(transfer_id), now=ask.now)


@routes.post(
    "/wallet/transactions/{transfer_id:uuid}/unhide",
    access="owner",
    example=None,
    refuses=[NoSuchEntry],
    status=204,
    rate=[READS],
)
async def unhide_transaction(transfer_id: TransferNumber, ask: Ask, tx: InTx) -> None:
    """Put a movement of yours into the list again."""
    owner_id = owner_of(ask.actor.user_id)
    await hiding.unhide_transfer(tx, owner_id=owner_id, transfer_id=TransferId(transfer_id))
