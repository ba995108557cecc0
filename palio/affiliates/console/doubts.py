"""Pages of staff over what is odd: anomalies, and rows that were not believed until somebody decides."""

from typing import Annotated, get_args
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Form, Query, Request, Response
from starlette.responses import HTMLResponse, RedirectResponse

from palio.affiliates import service
from palio.affiliates.console.calls import READ, SNAPSHOTS, held_part, odd_part
from palio.affiliates.console.forms import HeldForm
from palio.affiliates.console.schemas import AnomalyKind, HeldAs, HeldFor
from palio.affiliates.types import AnomalyCode, HeldReason, HeldRowId
from palio.infra.db import Tx
from palio.ui import console
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged
from palio.ui.routes import Filled, Routes
from palio.ui.values import Blank

ANOMALIES, HELD = "/console/affiliates/anomalies", "/console/affiliates/quarantine"
routes = Routes("affiliates")
Programme = Annotated[str | None, Query(max_length=64), Blank]


@routes.page(ANOMALIES, access=READ)
async def anomalies_page(
    request: Request, ask: Ask, tx: InTx, page: Paged, programme: Programme = None, code: AnomalyKind = None
) -> HTMLResponse:
    """What was believed but is odd."""
    shown = await odd_part(tx, page, programme, code)
    values = {
        "anomalies": shown.rows,
        "programmes": {card.code: card for card in await service.programme_cards(tx)},
        "programme": programme,
        "code": code,
        "kinds": get_args(AnomalyCode),
        "query": _query(programme=programme, code=code),
        "older": shown.next,
        "newer": shown.prev,
        "is_later": page.position is not None,
    }
    return await console.render(request, ask, tx, "affiliates/console/anomalies.html", values, present=ANOMALIES)


def _query(**narrowed: str | None) -> str:
    """What the list is narrowed to, for links."""
    return urlencode({name: value for name, value in narrowed.items() if value is not None})


@routes.page(HELD, access=READ)
async def held_rows_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Paged,
    programme: Programme = None,
    problem: HeldFor = None,
    state: HeldAs = "held",
) -> HTMLResponse:
    """Rows that were not believed, those that wait for a decision unless others are asked for."""
    shown = await held_part(tx, page, programme, problem, state)
    values = {
        "rows": shown.rows,
        "programmes": {card.code: card for card in await service.programme_cards(tx)},
        "programme": programme,
        "kind": problem,
        "kinds": get_args(HeldReason),
        "state": state or "",
        "query": _query(programme=programme, problem=problem, state=state or ""),
        "older": shown.next,
        "newer": shown.prev,
        "is_later": page.position is not None,
    }
    return await console.render(request, ask, tx, "affiliates/console/held_rows.html", values, present=HELD)


@routes.page(f"{HELD}/{{row_id:uuid}}", access=READ)
async def held_row_page(request: Request, row_id: UUID, ask: Ask, tx: InTx) -> HTMLResponse:
    """A row that was not believed, as it came, and the decision."""
    return await _held(request, ask, tx, row_id)


async def _held(request: Request, ask: Asking, tx: Tx, row_id: UUID, filled: Filled | None = None) -> HTMLResponse:
    problem = filled.problem if filled else None
    values = {
        "card": await service.held_card(tx, row_id=HeldRowId(row_id)),
        "may_decide": SNAPSHOTS in ask.permissions,
        "typed": filled.values if filled else {},
    }
    return await console.render(
        request, ask, tx, "affiliates/console/held_row.html", values, present=HELD, problem=problem
    )


async def _held_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The row with what was typed, and why nothing was decided."""
    return await _held(request, ask, tx, request.path_params["row_id"], filled)


@routes.form(f"{HELD}/{{row_id:uuid}}", access=SNAPSHOTS, again=_held_again)
async def decide_held_by_form(row_id: UUID, ask: Ask, tx: InTx, form: Annotated[HeldForm, Form()]) -> RedirectResponse:
    """Believe the row after all, or note that it is not to be believed."""
    decide = service.release_row if form.decision == "release" else service.dismiss_row
    await decide(tx, actor=ask.actor, row_id=HeldRowId(row_id), reason=form.reason, now=ask.now)
    return RedirectResponse(HELD, 303)
