"""Pages of staff over holds."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import Form, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio.infra.db import Tx
from palio.ledger.console.calls.holds import holds_part
from palio.ledger.console.calls.rights import FREEZE, READ
from palio.ledger.console.forms import ReasonForm
from palio.ledger.console.pages.places import HOLDS
from palio.ledger.console.pages.showing import name_of, query_of
from palio.ledger.console.people import names_of
from palio.ledger.console.schemas.asked import OfOwner
from palio.ledger.console.schemas.holds import OfState
from palio.ledger.service import desk
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.values import Asset

HOLD_STATES = ("open", "captured", "voided", "expired")
routes = Routes("ledger")


@routes.page(HOLDS, access=READ)
async def holds_page(
    request: Request, ask: Ask, tx: InTx, page: Paged, state: OfState = None, owner: OfOwner = None
) -> HTMLResponse:
    """What is set aside, and what became of it."""
    part = await holds_part(tx, page, [state] if state else [], owner)
    values = {
        "holds": part.rows,
        "names": await names_of(request, tx, [hold.owner_id for hold in part.rows]),
        "asset_of": Asset,
        "state": state,
        "states": HOLD_STATES,
        "query": query_of(state=state, owner=owner),
        "owner": owner,
        "part": part,
        "is_later": page.position is not None,
    }
    return await console.render(request, ask, tx, "ledger/console/holds.html", values, present=HOLDS)


@routes.page(HOLDS + "/{hold_id:uuid}", access=READ)
async def hold_page(request: Request, hold_id: UUID, ask: Ask, tx: InTx) -> HTMLResponse:
    """A hold, and letting it go. Refuses with NoSuchHold."""
    return await _hold(request, ask, tx, hold_id, {})


async def _hold(
    request: Request, ask: Asking, tx: Tx, hold_id: UUID, typed: Mapping[str, str], problem: Problem | None = None
) -> HTMLResponse:
    hold = await desk.get_hold(tx, hold_id=hold_id)
    account = await desk.get_account(tx, account_id=hold.account_id)
    values = {
        "hold": hold,
        "asset": Asset(hold.asset, hold.scale),
        "name": name_of(hold.address, await names_of(request, tx, [hold.owner_id])),
        "available": await desk.available_in(tx, account=account, now=ask.now),
        "may_void": FREEZE in ask.permissions and hold.state == "open" and hold.owner_id != ask.actor.user_id,
        "typed": typed,
    }
    return await console.render(request, ask, tx, "ledger/console/hold.html", values, present=HOLDS, problem=problem)


async def _hold_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The hold with what was typed, and why it was not let go."""
    return await _hold(request, ask, tx, request.path_params["hold_id"], filled.values, filled.problem)


@routes.form(HOLDS + "/{hold_id:uuid}/void", access=FREEZE, step_up=True, asks_code=True, again=_hold_again)
async def void_by_form(hold_id: UUID, ask: Ask, tx: InTx, form: Annotated[ReasonForm, Form()]) -> RedirectResponse:
    """Let a hold go."""
    await desk.void_by_staff(tx, hold_id=hold_id, reason=form.reason, actor_id=ask.actor.user_id, now=ask.now)
    return RedirectResponse(f"{HOLDS}/{hold_id}", 303)
