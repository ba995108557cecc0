"""What somebody sees of himself in a race: his place, how his total came about, and his prize."""

from dataclasses import asdict

from fastapi import Request
from starlette.responses import HTMLResponse, JSONResponse

from palio.kernel.errors import Unauthenticated
from palio.kernel.ids import UserId
from palio.races import service
from palio.races.errors import NoSuchRace, NotEntered, NotStarted
from palio.races.schemas import (
    CHANGES_EXAMPLE,
    MY_PLACE_EXAMPLE,
    MY_RECEIPT_EXAMPLE,
    ChangesAnswer,
    MyPlaceAnswer,
    MyReceiptAnswer,
    Number,
    asset_of,
    chart_of,
)
from palio.ui import pages
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged
from palio.ui.routes import Routes

POINTS_MAX = 3_000
REFUSES = (NoSuchRace, NotStarted, NotEntered)
routes = Routes("races")


@routes.get("/races/{number:int}/me", access="owner", example=MY_PLACE_EXAMPLE, refuses=REFUSES)
async def get_my_place(number: Number, ask: Ask, tx: InTx) -> MyPlaceAnswer:
    """Read where you stand, and what it takes to be paid."""
    own = await service.mine(tx, number=number, user_id=_user(ask), now=ask.now)
    return MyPlaceAnswer.of(own, await service.view(tx, number=number, now=ask.now, rows_max=1))


@routes.get("/races/{number:int}/me/history", access="owner", example=CHANGES_EXAMPLE, refuses=REFUSES)
async def list_my_changes(number: Number, ask: Ask, tx: InTx, page: Paged) -> ChangesAnswer:
    """List how your total came about, change by change."""
    after, limit = page.span()
    entrant_id = await service.own_entrant(tx, number=number, user_id=_user(ask))
    found, of = await service.changes(tx, number=number, entrant_id=entrant_id, after=after, limit=limit)
    return ChangesAnswer.of(found, of, page)


@routes.get("/races/{number:int}/me/receipt", access="owner", example=MY_RECEIPT_EXAMPLE, refuses=REFUSES)
async def get_my_receipt(number: Number, ask: Ask, tx: InTx) -> MyReceiptAnswer:
    """Read how your total, your place and your prize came about."""
    receipt = await service.own_receipt(tx, number=number, user_id=_user(ask), now=ask.now)
    return MyReceiptAnswer.of(receipt, await service.view(tx, number=number, now=ask.now, rows_max=1))


@routes.page("/races/{number:int}/me/receipt", access="owner")
async def receipt_page(request: Request, number: Number, ask: Ask, tx: InTx) -> HTMLResponse:
    """The same to read and to print."""
    receipt = await service.own_receipt(tx, number=number, user_id=_user(ask), now=ask.now)
    race = await service.view(tx, number=number, now=ask.now, rows_max=1)
    values = {"race": race, "receipt": receipt, "mine": receipt.mine, "asset": asset_of(race)}
    return pages.render(request, "races/receipt.html", values, block="receipt")


@routes.page("/races/{number:int}/me/chart", access="owner")
async def own_chart(number: Number, ask: Ask, tx: InTx) -> JSONResponse:
    """The figures of the chart of one's own total."""
    entrant_id = await service.own_entrant(tx, number=number, user_id=_user(ask))
    changes, _ = await service.changes(tx, number=number, entrant_id=entrant_id, limit=POINTS_MAX)
    return JSONResponse(asdict(chart_of(changes, "")))


def _user(ask: Asking) -> UserId:
    if ask.actor.user_id is None:
        raise Unauthenticated
    return ask.actor.user_id
