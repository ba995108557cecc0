"""The wallet: pages and calls of its owner. What belongs to somebody else is not there."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from string import Template
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Request
from starlette.responses import HTMLResponse, JSONResponse

from palio.infra.db import Tx
from palio.ledger.errors import NoSuchEntry, UnknownAsset
from palio.ledger.schemas.wallet import (
    CATEGORIES,
    LINES_EXAMPLE,
    RECEIPT_EXAMPLE,
    WALLETS_EXAMPLE,
    AssetCode,
    Category,
    Direction,
    From,
    LinesAnswer,
    ReceiptAnswer,
    Seq,
    To,
    TransferNumber,
    WalletsAnswer,
    beside,
    chart_of,
    cursors_of,
    owner_of,
)
from palio.ledger.service import reading
from palio.ledger.types import Course, Filter, Receipt, TransferId, Wallet
from palio.ui import pages
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.limits import MINUTE_S, Limit
from palio.ui.paging import Paged
from palio.ui.routes import Routes
from palio.ui.values import Asset, Blank

DAY = timedelta(days=1)
LATEST = 8  # movements on the first page of the wallet
READS = Limit("wallet", 120, MINUTE_S)
routes = Routes("ledger")

Day = Annotated[date | None, Blank]


@routes.get("/wallet", access="owner", example=WALLETS_EXAMPLE, rate=[READS])
async def list_wallets(ask: Ask, tx: InTx) -> WalletsAnswer:
    """List what you have of every asset."""
    return WalletsAnswer.of(await reading.wallets(tx, owner_id=owner_of(ask.actor.user_id)))


@routes.get("/wallet/{asset}/transactions", access="owner", example=LINES_EXAMPLE, refuses=[UnknownAsset], rate=[READS])
async def list_transactions(
    asset: AssetCode,
    ask: Ask,
    tx: InTx,
    page: Paged,
    type: Direction | None = None,  # noqa: A002 - the name of the parameter
    category: Category | None = None,
    since: From = None,
    until: To = None,
) -> LinesAnswer:
    """List what moved in a wallet, the newest first, each with the balance it left."""
    wanted = Filter(direction=type, categories=(category,) if category else (), since=since, until=until)
    after, before = cursors_of(page)
    known = await reading.asset_of(tx, code=asset)
    owner_id = owner_of(ask.actor.user_id)
    found = await reading.statement(
        tx, owner_id=owner_id, asset=asset, wanted=wanted, after=after, before=before, limit=page.limit
    )
    return LinesAnswer.of(found, Asset(known.code, known.scale), page)


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


@routes.page("/wallet", access="owner")
async def wallet_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """What you have, asset by asset."""
    owner_id = owner_of(ask.actor.user_id)
    wallets = await reading.wallets(tx, owner_id=owner_id)
    lines = await reading.latest(tx, owner_id=owner_id, limit=LATEST)
    newest = _wallet_in(wallets, lines[0].asset) if lines else None
    values = {
        "wallets": wallets,
        "present": None,
        "asset_of": _asset_of,
        "lines": lines,
        "wallet": newest,
        "course": await _course(tx, ask, newest),
    }
    return pages.render(request, "ledger/wallet.html", values, block="wallet")


@routes.page("/wallet/{asset}/chart", access="owner")
async def balance_chart(asset: AssetCode, ask: Ask, tx: InTx) -> JSONResponse:
    """The figures of the chart of a balance. Refuses with UnknownAsset."""
    owner_id = owner_of(ask.actor.user_id)
    wallet = _wallet_in(await reading.wallets(tx, owner_id=owner_id), asset)
    if wallet is None:
        raise UnknownAsset(asset=asset)
    course = await reading.course(tx, owner_id=owner_id, wallet=wallet, now=ask.now)
    return JSONResponse(asdict(chart_of(course, wallet.scale)))


@routes.page("/wallet/{asset}", access="owner")
async def statement_page(
    request: Request,
    asset: AssetCode,
    ask: Ask,
    tx: InTx,
    page: Paged,
    category: Annotated[Category | None, Blank] = None,
    since: Annotated[Day, Query(alias="from")] = None,
    until: Annotated[Day, Query(alias="to")] = None,
) -> HTMLResponse:
    """What moved in one wallet; the days named are both in it."""
    owner_id = owner_of(ask.actor.user_id)
    known = await reading.asset_of(tx, code=asset)
    wanted = Filter(
        categories=(category,) if category else (),
        since=_midnight(since) if since else None,
        until=_midnight(until + DAY) if until and until < date.max else None,
    )
    after, before = cursors_of(page)
    found = await reading.statement(
        tx, owner_id=owner_id, asset=asset, wanted=wanted, after=after, before=before, limit=page.limit
    )
    older, newer = beside(found, page)
    table = {"category": category, "from": since, "to": until + DAY if until and until < date.max else None}
    wallets = await reading.wallets(tx, owner_id=owner_id)
    wallet = _wallet_in(wallets, asset)
    values = {
        "wallets": wallets,
        "wallet": wallet,
        "course": await _course(tx, ask, wallet),
        "present": known,
        "asset_of": _asset_of,
        "asset": Asset(known.code, known.scale),
        "lines": found.lines,
        "categories": CATEGORIES,
        "chosen": {"category": category, "since": since, "until": until},
        "query": _query({"category": category, "from": since, "to": until}),
        "table_query": _query(table),
        "older": older,
        "newer": newer,
    }
    return pages.render(request, "ledger/statement.html", values, block="wallet")


@routes.page("/wallet/{asset}/entries/{seq:int}", access="owner")
async def receipt_page(request: Request, asset: AssetCode, seq: Seq, ask: Ask, tx: InTx) -> HTMLResponse:
    """Why something moved."""
    found = await reading.receipt(tx, owner_id=owner_of(ask.actor.user_id), asset=asset, seq=seq)
    values = {
        "receipt": found,
        "line": found.line,
        "asset": Asset(found.asset.code, found.asset.scale),
        "cause": _cause(request, found),
    }
    return pages.render(request, "ledger/receipt.html", values)


def _cause(request: Request, receipt: Receipt) -> str | None:
    """Where the cause of a movement is explained, for kinds whose module shows it."""
    causes: Mapping[str, Template] = request.app.state.causes
    facts = {name: value for name, value in receipt.line.metadata.items() if isinstance(value, (str, int))}
    try:
        return causes[receipt.line.kind].substitute(facts)
    except KeyError:  # of another kind, or from before its module noted down what it is about
        return None


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _query(chosen: Mapping[str, object]) -> str:
    return urlencode({name: str(value) for name, value in chosen.items() if value})


async def _course(tx: Tx, ask: Asking, wallet: Wallet | None) -> Course | None:
    """How a balance went; nothing where nothing ever moved."""
    if wallet is None or wallet.last_posted_at is None:
        return None
    return await reading.course(tx, owner_id=owner_of(ask.actor.user_id), wallet=wallet, now=ask.now)


def _wallet_in(wallets: Sequence[Wallet], asset: str) -> Wallet | None:
    return next((wallet for wallet in wallets if wallet.asset == asset), None)


def _asset_of(wallet: Wallet) -> Asset:
    return Asset(wallet.asset, wallet.scale)
