"""Pages of staff over accounts: looked for, listed, one with its chain, its lots and its status."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

from fastapi import Form, Request, Response
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse

from palio.infra.db import Tx
from palio.ledger.console.calls.accounts import accounts_part, entries_beside, lots_part, place_of
from palio.ledger.console.calls.rights import ADJUST as MAY_ADJUST
from palio.ledger.console.calls.rights import FREEZE, READ
from palio.ledger.console.calls.search import looked_for
from palio.ledger.console.forms import StatusForm
from palio.ledger.console.pages.places import ACCOUNTS, HERE
from palio.ledger.console.pages.showing import chart_of, name_of, query_of
from palio.ledger.console.people import names_of
from palio.ledger.console.schemas.accounts import AccountNumber, Beginning, OfStatus
from palio.ledger.console.schemas.asked import OfAsset, OfOwner
from palio.ledger.console.schemas.search import Looked
from palio.ledger.rules import desk as rules
from palio.ledger.service import desk, reading
from palio.ledger.sql.desk import EntryRow
from palio.ledger.types import AccountId
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset

STATUSES = ("active", "no_debit", "frozen", "closed")
FAMILIES = ("user", "pool", "treasury", "house", "fees", "suspense", "issuance", "external", "clearing", "breakage")
routes = Routes("ledger")


@routes.page(HERE, access=READ)
async def accounts_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Paged,
    q: Looked = "",
    address: Beginning = "",
    asset: OfAsset = None,
    status: OfStatus = None,
    owner: OfOwner = None,
) -> HTMLResponse:
    """Whatever has this id, key, address or name; and every account."""
    part = await accounts_part(tx, page, address or (q if ":" in q else ""), asset, status, owner)
    narrowed = query_of(address=address, asset=asset, status=status, owner=owner)
    values = {
        "q": q,
        "hits": await looked_for(request, tx, q),
        "accounts": part.rows,
        "names": await names_of(request, tx, [row.owner_id for row in part.rows] + [owner]),
        "name_of": name_of,
        "asset_of": Asset,
        "chosen": {"address": address, "asset": asset, "status": status, "owner": owner},
        "assets": [each.code for each in await reading.assets(tx)],
        "statuses": STATUSES,
        "families": FAMILIES,
        "query": narrowed,
        "part": part,
        "is_later": page.position is not None,
        "may_adjust": MAY_ADJUST in ask.permissions,
    }
    return await console.render(request, ask, tx, "ledger/console/accounts.html", values, present=HERE)


@routes.page(ACCOUNTS + "/{number:int}", access=READ)
async def account_page(request: Request, number: AccountNumber, ask: Ask, tx: InTx, page: Paged) -> HTMLResponse:
    """An account with the chain of its entries. Refuses with NoSuchAccount."""
    account = await desk.get_account(tx, account_id=AccountId(number))
    found = await entries_beside(tx, page, account)
    part = page.part(found, place_of)
    course = await desk.course_of(tx, account=account, now=ask.now) if page.position is None and found else []
    values = {
        "account": account,
        "asset": Asset(account.asset, account.scale),
        "owner_name": (await names_of(request, tx, [account.owner_id])).get(account.owner_id)
        if account.owner_id
        else "",
        "available": await desk.available_in(tx, account=account, now=ask.now),
        "entries": part.rows,
        "broken": rules.breaks([_link(entry) for entry in found]) if account.is_guarded else set(),
        "part": part,
        "has_lots": bool(await desk.list_lots(tx, account_id=account.id, limit=1)),
        "is_later": page.position is not None,
        "course": course[::-1],
        "may_freeze": FREEZE in ask.permissions,
        "may_adjust": MAY_ADJUST in ask.permissions and account.owner_id is not None,
    }
    return await console.render(request, ask, tx, "ledger/console/account.html", values, present=HERE)


@routes.page(ACCOUNTS + "/{number:int}/lots", access=READ)
async def lots_page(request: Request, number: AccountNumber, ask: Ask, tx: InTx, page: Paged) -> HTMLResponse:
    """What is left of each credit of a wallet, and when it ends. Refuses with NoSuchAccount."""
    account = await desk.get_account(tx, account_id=AccountId(number))
    part = await lots_part(tx, page, account)
    values = {
        "account": account,
        "asset": Asset(account.asset, account.scale),
        "name": name_of(account.address, await names_of(request, tx, [account.owner_id])),
        "lots": part.rows,
        "part": part,
        "is_later": page.position is not None,
        "now": ask.now,
    }
    return await console.render(request, ask, tx, "ledger/console/lots.html", values, present=HERE)


def _link(entry: EntryRow) -> tuple[int, int, int]:
    return entry.seq or 0, entry.amount, entry.balance_after or 0


@routes.page(ACCOUNTS + "/{number:int}/chart", access=READ)
async def account_chart(request: Request, number: AccountNumber, ask: Ask, tx: InTx) -> JSONResponse:
    """The figures of the chart of an account. Refuses with NoSuchAccount."""
    account = await desk.get_account(tx, account_id=AccountId(number))
    course = await desk.course_of(tx, account=account, now=ask.now)
    return JSONResponse(asdict(chart_of(request, [("", course)], account.scale)))


@routes.page(ACCOUNTS + "/{number:int}/status", access=FREEZE)
async def status_page(request: Request, number: AccountNumber, ask: Ask, tx: InTx) -> HTMLResponse:
    """What an account may be used for. Refuses with NoSuchAccount."""
    return await _status(request, ask, tx, number, {})


async def _status(
    request: Request, ask: Asking, tx: Tx, number: int, typed: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    account = await desk.get_account(tx, account_id=AccountId(number))
    names = await names_of(request, tx, [account.owner_id])
    values = {
        "account": account,
        "asset": Asset(account.asset, account.scale),
        "name": name_of(account.address, names),
        "statuses": STATUSES,
        "typed": typed,
    }
    return await console.render(request, ask, tx, "ledger/console/status.html", values, present=HERE, problem=problem)


async def _status_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, and why it was not done."""
    return await _status(request, ask, tx, request.path_params["number"], filled.values, filled.problem)


@routes.form(ACCOUNTS + "/{number:int}/status", access=FREEZE, step_up=True, asks_code=True, again=_status_again)
async def set_status_by_form(
    number: AccountNumber, ask: Ask, tx: InTx, form: Annotated[StatusForm, Form()]
) -> RedirectResponse:
    """Freeze an account, close it for good, or let it be used again."""
    await desk.set_status_by_staff(
        tx,
        account_id=AccountId(number),
        status=form.status,
        reason=form.reason,
        actor_id=ask.actor.user_id,
    )
    return RedirectResponse(f"{ACCOUNTS}/{number}", 303)
