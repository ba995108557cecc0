"""The pages of the wallet, and what their forms do."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, timedelta
from string import Template
from typing import Annotated

from fastapi import Depends, Form, Query, Request
from pydantic import Field
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from palio.infra.db import Tx
from palio.ledger.errors import UnknownAsset
from palio.ledger.rules import months
from palio.ledger.schemas.filters import CATEGORIES, EVERYTHING, Choice, Day
from palio.ledger.schemas.forms import HideForm
from palio.ledger.schemas.months import month_of
from palio.ledger.schemas.wallet import AssetCode, Seq, chart_of, cursors_of, owner_of, shown_of
from palio.ledger.service import gifts, hiding, reading, sealing
from palio.ledger.types import HOLDS_OF_A_CARD_MAX, Course, Debt, LineOf, OpenHold, Receipt, Wallet
from palio.ui import pages
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged
from palio.ui.routes import Routes
from palio.ui.values import Asset, Blank

DAY = timedelta(days=1)
LATEST = 8  # movements on the first page of the wallet
SEE_OTHER = 303
routes = Routes("ledger")


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
        "span": None,
        "holds": await reading.holds(tx, owner_id=owner_id, limit=HOLDS_OF_A_CARD_MAX),
        "debts": await _debts(tx, ask, wallets),
    }
    return pages.render(request, "ledger/wallet.html", values, block="wallet")


@routes.page("/wallet/{asset}/chart", access="owner")
async def balance_chart(
    request: Request,
    asset: AssetCode,
    ask: Ask,
    tx: InTx,
    since: Annotated[Day, Query(alias="from")] = None,
    until: Annotated[Day, Query(alias="to")] = None,
) -> JSONResponse:
    """The figures of the chart of a balance, of thirty days or of those that are named. Refuses with UnknownAsset."""
    owner_id = owner_of(ask.actor.user_id)
    wallet = _wallet_in(await reading.wallets(tx, owner_id=owner_id), asset)
    if wallet is None:
        raise UnknownAsset(asset=asset)
    course = await reading.course(tx, owner_id=owner_id, wallet=wallet, now=ask.now, since=since, until=until)
    return JSONResponse(asdict(chart_of(course, wallet.scale, pages.formats_of(request))))


@routes.page("/wallet/{asset}/statement", access="owner")
async def month_page(
    request: Request,
    asset: AssetCode,
    ask: Ask,
    tx: InTx,
    month: Annotated[Annotated[str, Field(max_length=7)] | None, Blank] = None,
) -> HTMLResponse:
    """What a month did to a wallet; this one unless another is named."""
    owner_id = owner_of(ask.actor.user_id)
    known = await reading.asset_of(tx, code=asset)
    today = ask.now.astimezone(UTC).date()
    chosen = month_of(month) if month else today.replace(day=1)
    begins, ends = months.edges(chosen)
    found = await reading.months_of(tx, owner_id=owner_id, asset=asset, now=ask.now)
    values = {
        "asset": Asset(known.code, known.scale),
        "statement": await reading.month_statement(tx, owner_id=owner_id, asset=asset, month=chosen),
        "first": begins.date(),
        "last": (ends - DAY).date(),
        "is_open": begins <= ask.now < ends,
        "months": found if chosen in found else [chosen, *found],
    }
    return pages.render(request, "ledger/month.html", values)


@routes.page("/wallet/{asset}", access="owner")
async def statement_page(
    request: Request,
    asset: AssetCode,
    ask: Ask,
    tx: InTx,
    page: Paged,
    choice: Annotated[Choice, Depends()],
    hid: Annotated[Annotated[int, Field(ge=1, le=2**63 - 1)] | None, Blank] = None,
    on: Day = None,
) -> HTMLResponse:
    """What moved in one wallet; the days named are both in it.

    `hid` is a line that was hidden just now, `on` a day at whose end the balance is asked for.
    """
    owner_id = owner_of(ask.actor.user_id)
    known = await reading.asset_of(tx, code=asset)
    kinds = {kind.code: kind.label for kind in await reading.kinds(tx)}
    wanted = choice.filter(known, kinds)
    after, before = cursors_of(page)
    found = await reading.statement(
        tx, owner_id=owner_id, asset=asset, wanted=wanted, after=after, before=before, limit=page.limit
    )
    shown = shown_of(found, page)
    wallets = await reading.wallets(tx, owner_id=owner_id)
    wallet = _wallet_in(wallets, asset)
    course = await _course(tx, ask, wallet, choice)
    values = {
        "wallets": wallets,
        "wallet": wallet,
        "course": course,
        "span": (course.days[0][0], course.days[-1][0]) if course and (choice.since or choice.until) else None,
        "present": known,
        "asset_of": _asset_of,
        "asset": Asset(known.code, known.scale),
        "lines": shown.rows,
        "categories": CATEGORIES,
        "kinds": [kinds[code] for code in wanted.kinds],
        "choice": choice,
        "query": choice.query(),
        "table_query": choice.query_of_table(wanted),
        "hid": hid if hid and await reading.is_hidden(tx, owner_id=owner_id, asset=asset, seq=hid) else None,
        "on": on,
        "balance_on": await _balance_on(tx, ask, asset, on) if on else None,
        "today": ask.now.astimezone(UTC).date(),
        "holds": await reading.holds_of(tx, owner_id=owner_id, asset=asset),
        "lapsing": await reading.lapsing(tx, owner_id=owner_id, asset=asset, now=ask.now),
        "debts": await _debts(tx, ask, [wallet] if wallet else []),
        "may_give": asset in await gifts.giftable(tx),
        "older": shown.next,
        "newer": shown.prev,
    }
    return pages.render(request, "ledger/statement.html", values, block="wallet")


@routes.form("/wallet/{asset}/entries/{seq:int}/hide", access="owner", idempotency="none")
async def hide_line(asset: AssetCode, seq: Seq, form: Annotated[HideForm, Form()], ask: Ask, tx: InTx) -> Response:
    """Leave a line out of the list, and go back there."""
    await hiding.hide(tx, owner_id=owner_of(ask.actor.user_id), asset=asset, seq=seq, now=ask.now)
    return RedirectResponse(form.address(asset, hid=seq), SEE_OTHER)


@routes.form("/wallet/{asset}/entries/{seq:int}/unhide", access="owner", idempotency="none")
async def unhide_line(asset: AssetCode, seq: Seq, form: Annotated[HideForm, Form()], ask: Ask, tx: InTx) -> Response:
    """Put a line into the list again, and go back there."""
    await hiding.unhide(tx, owner_id=owner_of(ask.actor.user_id), asset=asset, seq=seq)
    return RedirectResponse(form.address(asset), SEE_OTHER)


@routes.page("/wallet/{asset}/entries/{seq:int}", access="owner")
async def receipt_page(request: Request, asset: AssetCode, seq: Seq, ask: Ask, tx: InTx) -> HTMLResponse:
    """Why something moved."""
    found = await reading.receipt(tx, owner_id=owner_of(ask.actor.user_id), asset=asset, seq=seq)
    values = {
        "receipt": found,
        "line": found.line,
        "asset": Asset(found.asset.code, found.asset.scale),
        "cause": _cause(request, found),
        "seal": await sealing.seal_of(tx, transfer_id=found.line.transfer_id),
    }
    return pages.render(request, "ledger/receipt.html", values)


def _cause(request: Request, receipt: Receipt) -> str | None:
    """Where the cause of a movement is explained, for kinds whose module shows it."""
    causes: Mapping[str, Template] = request.app.state.causes
    facts = {name: value for name, value in receipt.line.metadata.items() if isinstance(value, (str, int))}
    if receipt.hold and ":" in receipt.hold.subject:
        name, _, fact = receipt.hold.subject.partition(":")
        facts.setdefault(name, fact)
    try:
        return causes[receipt.line.kind].substitute(facts)
    except KeyError:  # of another kind, or from before its module noted down what it is about
        return None


async def _course(tx: Tx, ask: Asking, wallet: Wallet | None, choice: Choice = EVERYTHING) -> Course | None:
    """How a balance went; nothing where nothing ever moved."""
    if wallet is None or wallet.last_posted_at is None:
        return None
    return await reading.course(
        tx,
        owner_id=owner_of(ask.actor.user_id),
        wallet=wallet,
        now=ask.now,
        since=choice.since,
        until=choice.until,
    )


async def _balance_on(tx: Tx, ask: Asking, asset: str, day: date) -> int:
    """What was in a wallet when a day (UTC) had ended, or is now if it has not."""
    behind = months.midnight(day + DAY) - timedelta(microseconds=1) if day < date.max else None
    return await reading.balance(tx, address=f"user:{owner_of(ask.actor.user_id)}:main", asset=asset, at=behind)


async def _debts(tx: Tx, ask: Asking, wallets: Sequence[Wallet]) -> list[Debt]:
    owner_id = owner_of(ask.actor.user_id)
    found = [await reading.debt_of(tx, owner_id=owner_id, wallet=wallet) for wallet in wallets]
    return [debt for debt in found if debt]


def _wallet_in(wallets: Sequence[Wallet], asset: str) -> Wallet | None:
    return next((wallet for wallet in wallets if wallet.asset == asset), None)


def _asset_of(one: Wallet | OpenHold | Debt | LineOf) -> Asset:
    return Asset(one.asset, one.scale)
