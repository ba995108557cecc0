"""Pages and public calls of races."""

from typing import Annotated

from fastapi import Path, Query, Request
from starlette.responses import HTMLResponse

from palio.races import service
from palio.races.errors import NoSuchRace, NotStarted
from palio.races.schemas import (
    RACE_EXAMPLE,
    STANDINGS_EXAMPLE,
    Board,
    RaceAnswer,
    StandingsAnswer,
    asset_of,
)
from palio.ui import pages
from palio.ui.actor import Ask, InTx
from palio.ui.routes import Routes
from palio.ui.values import Whole

ROWS_MAX = 200
routes = Routes("races")

Number = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[38])]
Limit = Annotated[Whole, Query(ge=1, le=ROWS_MAX, description="How many lines at most")]


@routes.page("/races/{number:int}", access="public")
async def race_page(request: Request, number: Number, ask: Ask, tx: InTx) -> HTMLResponse:
    """The race: how it stands, what it pays, what it is counted from."""
    race = await service.view(tx, number=number, now=ask.now, rows_max=ROWS_MAX)
    values = {"race": race, "board": Board.of(race), "asset": asset_of(race), "now": ask.now}
    return pages.render(request, "races/race.html", values, block="race")


@routes.get("/races/{number:int}", access="public", example=RACE_EXAMPLE, refuses=[NoSuchRace])
async def get_race(number: Number, ask: Ask, tx: InTx) -> RaceAnswer:
    """Read the terms, the prizes and the pictures of a race."""
    return RaceAnswer.of(await service.view(tx, number=number, now=ask.now, rows_max=1))


@routes.get(
    "/races/{number:int}/standings", access="public", example=STANDINGS_EXAMPLE, refuses=[NoSuchRace, NotStarted]
)
async def list_standings(number: Number, ask: Ask, tx: InTx, limit: Limit = 50) -> StandingsAnswer:
    """List the first lines of the board: who stands where, and what the place pays now."""
    return StandingsAnswer.of(await service.standings(tx, number=number, now=ask.now, rows_max=limit), limit)
