"""A module that changes things: a till that counts sales in a table, so that effects can be counted."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StrictInt
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.types import ASGIApp

from palio.infra import audit, db
from palio.infra.db import Database, Tx
from palio.infra.ratelimit import Limiter
from palio.kernel.errors import Conflict, Stale
from palio.kernel.ids import new_id
from palio.ui import versions
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.guard import Guard
from palio.ui.languages import Languages
from palio.ui.limits import Limit
from palio.ui.pages import Pages
from palio.ui.routes import Filled, Routes
from palio.ui.site import assemble
from palio.ui.versions import Seen
from tests.ui import people

GUARD_KEY = bytes(32)


class Closed(Conflict):
    """The till is closed."""

    code = "ui.till_closed"


class Sale(BaseModel):
    """One sale."""

    model_config = ConfigDict(extra="forbid")
    amount: StrictInt
    note: str = ""


class SaleForm(BaseModel):
    """The same, from a form."""

    model_config = ConfigDict(extra="forbid")
    amount: Annotated[int, Field(ge=1)]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was sold."""

    id: str
    amount: int
    secret: str | None = None


RECEIPT = Receipt("0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44", 5)
till = Routes("till")


async def sell(tx: Tx, ask: Asking, amount: int) -> Receipt:
    if await db.value(tx, "select count(*) from public.closed"):
        raise Closed
    receipt = Receipt(str(new_id()), amount, "only now")
    await db.run(tx, "insert into public.sales (amount, buyer) values (%s, %s)", amount, ask.actor.user_id)
    return receipt


@till.post(
    "/sales",
    access="player",
    example=RECEIPT,
    refuses=[Closed],
    secrets=["secret"],
    status=201,
    also={202: RECEIPT, 303: None},
)
async def make_sale(sale: Sale, ask: Ask, tx: InTx, response: Response) -> Receipt:
    """Sell something; the note tells how it is answered."""
    receipt = await sell(tx, ask, sale.amount)
    response.status_code = {"order it": 202, "as nobody knows": 203}.get(sale.note, 201)
    response.headers["Location"] = f"/api/v1/sales/{receipt.id}"
    if sale.note == "remember it":
        response.set_cookie("last_sale", receipt.id)
    return receipt


@till.post("/money", access="player", example=RECEIPT, idempotency="required")
async def move_money(sale: Sale, ask: Ask, tx: InTx) -> Receipt:
    """Move money."""
    return await sell(tx, ask, sale.amount)


@till.put("/console/till/price", access="till.price.set", example={}, refuses=[Stale])
async def set_price(sale: Sale, seen: Seen, ask: Ask, tx: InTx, response: Response) -> dict[str, int]:
    """Set the price; it is at version 3. A note is needed, or nobody writes it down."""
    if seen != 3:
        raise Stale(version=3)
    await sell(tx, ask, sale.amount)
    if sale.note:
        changes = {"price": (3, sale.amount)}
        await audit.record(tx, actor=ask.actor, action="till.price", entity_type="till", entity_id="1", changes=changes)
    versions.tell(response, seen + 1)
    return {"version": seen + 1}


@till.get("/prices", access="public", example={}, rate=[Limit("looks", 3, 60, by="address")])
async def list_prices() -> dict[str, int]:
    """List prices."""
    return {"bread": 5}


@till.get("/me/sales", access="owner", example={})
async def list_sales() -> dict[str, int]:
    """List the caller's sales."""
    return {"sales": 0}


@till.post(
    "/console/till/close",
    access="till.till.close",
    example={},
    step_up=True,
    scope="session",
    unaudited="it changes nothing",
)
async def close_till() -> dict[str, int]:
    """Close the till."""
    return {}


@till.page("/till", access="player")
async def till_page(request: Request, ask: Ask) -> HTMLResponse:
    """The form as it is drawn: its hidden fields."""
    guard: Guard = request.app.state.guard
    return HTMLResponse("\n".join(f"{name}={value}" for name, value in guard.hidden(request).items()))


@till.post("/pictures", access="public", example={}, body_bytes_max=2 << 20)
async def send_picture(sale: Sale) -> dict[str, int]:
    """Send something longer."""
    return {"length": len(sale.note)}


async def show_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, and what is wrong."""
    wrong = ", ".join(f"{place.pointer} {place.code}" for place in filled.problem.errors) or filled.problem.code
    return HTMLResponse(f"{filled.values}: {wrong}")


@till.form("/till", access="player", again=show_again)
async def sell_by_form(form: Annotated[SaleForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Sell something from a page."""
    receipt = await sell(tx, ask, form.amount)
    return RedirectResponse(f"/till/{receipt.id}", 303)


def app(database: Database, *, limiter: Limiter | None = None) -> ASGIApp:
    """The till behind the edge, with callers that are believed."""
    return assemble(
        [till],
        state={"database": database, "pages": Pages(Languages())},
        served=lambda served: None,
        identify=people.identify,
        limiter=limiter,
        key=GUARD_KEY,
    )
