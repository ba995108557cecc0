"""Pages of races."""

from dataclasses import asdict, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import HTMLResponse, JSONResponse

from palio.races import service
from palio.races.schemas import (
    Board,
    EntrantNumber,
    Month,
    Number,
    Year,
    asset_of,
    beside,
    chart_of,
    lines_with_assets,
    part_of,
    shown_of,
)
from palio.races.types import Wanted
from palio.races.web.views import Own, Seen, Wish
from palio.ui import pages
from palio.ui.actor import Ask, InTx
from palio.ui.paging import Paged
from palio.ui.routes import Routes
from palio.ui.values import Blank

ROWS_MAX = 100
LINES_MAX = 24
POINTS_MAX = 3_000  # a month of a change every quarter of an hour
routes = Routes("races")


@routes.page("/races/{number:int}", access="public")
async def race_page(request: Request, number: Number, ask: Ask, views: Seen, own: Own, page: Paged) -> HTMLResponse:
    """The race: how it stands, what it pays, what it is counted from."""
    page = replace(page, limit=ROWS_MAX)
    race = await views.see(Wish(number, page.limit, page.cut()))
    older, newer = beside(race, page)
    values = {"race": race, "board": Board.of(race), "asset": asset_of(race), "now": ask.now, "mine": own}
    return pages.render(request, "races/race.html", {**values, "newer": newer, "older": older}, block="race")


@routes.page("/races", access="public")
async def races_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """What is on, what comes and what was."""
    lines = await service.recent(tx, limit=LINES_MAX)
    values = {"races": lines_with_assets(lines), "now": ask.now}
    return pages.render(request, "races/races.html", values, block="races")


@routes.page("/races/history", access="public")
async def history_page(
    request: Request,
    tx: InTx,
    page: Paged,
    month: Annotated[Month, Blank] = None,
    year: Annotated[Year, Blank] = None,
) -> HTMLResponse:
    """The races that are over, by month and year."""
    found = await service.listed(tx, wanted=Wanted(year=year, month=month, is_over=True), part=part_of(page))
    shown = shown_of(found, page)
    query = urlencode({name: value for name, value in (("year", year), ("month", month)) if value})
    values = {
        "races": lines_with_assets(shown.rows),
        "year": year,
        "month": month,
        "query": query,
        "older": shown.next,
        "newer": shown.prev,
    }
    return pages.render(request, "races/history.html", values, block="archive")


@routes.page("/races/{number:int}/entrants/{entrant_id:int}", access="public")
async def entrant_page(
    request: Request, number: Number, entrant_id: EntrantNumber, ask: Ask, tx: InTx, page: Paged
) -> HTMLResponse:
    """Where somebody stands, and how his total came about."""
    after, limit = page.span()
    race = await service.entrant(tx, number=number, entrant_id=entrant_id, now=ask.now)
    changes, of = await service.changes(tx, number=number, entrant_id=entrant_id, after=after, limit=limit)
    later, earlier = page.around(after + 1, after + len(changes), of=of)
    values = {"race": race, "row": race.rows[0], "asset": asset_of(race), "changes": changes, "of": of}
    return pages.render(request, "races/entrant.html", {**values, "later": later, "earlier": earlier}, block="entrant")


@routes.page("/races/{number:int}/entrants/{entrant_id:int}/chart", access="public")
async def entrant_chart(number: Number, entrant_id: EntrantNumber, tx: InTx) -> JSONResponse:
    """The figures of the chart on that page."""
    changes, _ = await service.changes(tx, number=number, entrant_id=entrant_id, limit=POINTS_MAX)
    return JSONResponse(asdict(chart_of(changes, "")))
