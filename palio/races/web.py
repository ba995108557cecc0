"""Pages and public calls of races."""

from dataclasses import asdict, replace
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlencode

from fastapi import Path, Query, Request
from starlette.responses import HTMLResponse, JSONResponse

from palio.affiliates import NoSuchProgramme
from palio.infra.db import Tx
from palio.races import service
from palio.races.errors import NoneNow, NoSuchEntrant, NoSuchRace, NotStarted
from palio.races.schemas import (
    ARCHIVE_EXAMPLE,
    CHANGES_EXAMPLE,
    PRIZES_EXAMPLE,
    RACE_EXAMPLE,
    RACES_EXAMPLE,
    STANDINGS_EXAMPLE,
    ArchiveAnswer,
    Board,
    ChangesAnswer,
    PrizesAnswer,
    RaceAnswer,
    RacesAnswer,
    StandingsAnswer,
    asset_of,
    beside,
    chart_of,
    ends,
    lines_with_assets,
    part_of,
)
from palio.races.types import Part, Wanted
from palio.ui import pages
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged
from palio.ui.routes import Routes
from palio.ui.values import Blank, Whole

ROWS_MAX = 100
LINES_MAX = 24
POINTS_MAX = 3_000  # a month of a change every quarter of an hour
OVER = ("completed", "archived")
routes = Routes("races")

State: TypeAlias = Literal["upcoming", "live", "settling", "completed", "archived", "cancelled"]
Number = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[38])]
EntrantNumber = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[112])]
Programme = Annotated[str | None, Query(max_length=64, description="Code of a programme")]
Year = Annotated[Whole | None, Query(ge=2000, le=2100)]
Month = Annotated[Whole | None, Query(ge=1, le=12)]


@routes.page("/races/{number:int}", access="public")
async def race_page(request: Request, number: Number, ask: Ask, tx: InTx, page: Paged) -> HTMLResponse:
    """The race: how it stands, what it pays, what it is counted from."""
    page = replace(page, limit=ROWS_MAX)
    after, limit = page.span()
    race = await service.view(tx, number=number, now=ask.now, rows_max=limit, after=after)
    older, newer = beside(race, page)
    values = {"race": race, "board": Board.of(race), "asset": asset_of(race), "now": ask.now}
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
    older, newer = ends(found, page)
    query = urlencode({name: value for name, value in (("year", year), ("month", month)) if value})
    values = {"races": lines_with_assets(found.lines), "year": year, "month": month, "query": query}
    return pages.render(request, "races/history.html", {**values, "newer": newer, "older": older}, block="archive")


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


@routes.get("/races", access="public", example=RACES_EXAMPLE, refuses=[NoSuchProgramme])
async def list_races(tx: InTx, page: Paged, state: State | None = None, programme: Programme = None) -> RacesAnswer:
    """List races, the newest first."""
    wanted = Wanted(states=(state,) if state else (), programme=programme)
    return RacesAnswer.of(await service.listed(tx, wanted=wanted, part=part_of(page)), page)


@routes.get("/races/current", access="public", example=RACE_EXAMPLE, refuses=[NoSuchProgramme, NoneNow])
async def get_current(ask: Ask, tx: InTx, programme: Programme = None) -> RaceAnswer:
    """Read the race that is on: the newest one."""
    return await _newest(tx, ask, Wanted(states=("live",), programme=programme))


@routes.get("/races/previous", access="public", example=RACE_EXAMPLE, refuses=[NoSuchProgramme, NoneNow])
async def get_previous(ask: Ask, tx: InTx, programme: Programme = None) -> RaceAnswer:
    """Read the race that was completed last: the newest one."""
    return await _newest(tx, ask, Wanted(states=OVER, programme=programme))


async def _newest(tx: Tx, ask: Asking, wanted: Wanted) -> RaceAnswer:
    found = await service.listed(tx, wanted=wanted, part=Part(1))
    if not found.lines:
        raise NoneNow(state=wanted.states[0])
    return RaceAnswer.of(await service.view(tx, number=found.lines[0].number, now=ask.now, rows_max=1))


@routes.get("/races/history", access="public", example=ARCHIVE_EXAMPLE)
async def list_history(tx: InTx, page: Paged, month: Month = None, year: Year = None) -> ArchiveAnswer:
    """List the races that are over, the newest first, with their winners."""
    wanted = Wanted(year=year, month=month, is_over=True)
    return ArchiveAnswer.of(await service.listed(tx, wanted=wanted, part=part_of(page)), page)


@routes.get("/races/{number:int}", access="public", example=RACE_EXAMPLE, refuses=[NoSuchRace])
async def get_race(number: Number, ask: Ask, tx: InTx) -> RaceAnswer:
    """Read the terms, the prizes and the pictures of a race."""
    return RaceAnswer.of(await service.view(tx, number=number, now=ask.now, rows_max=1))


@routes.get(
    "/races/{number:int}/standings", access="public", example=STANDINGS_EXAMPLE, refuses=[NoSuchRace, NotStarted]
)
async def list_standings(number: Number, ask: Ask, tx: InTx, page: Paged) -> StandingsAnswer:
    """List the board by place: who stands where, and what the place pays now."""
    after, limit = page.span()
    race = await service.standings(tx, number=number, now=ask.now, rows_max=limit, after=after)
    return StandingsAnswer.of(race, page)


@routes.get("/races/{number:int}/prizes", access="public", example=PRIZES_EXAMPLE, refuses=[NoSuchRace, NotStarted])
async def list_prizes(number: Number, ask: Ask, tx: InTx, page: Paged) -> PrizesAnswer:
    """List who won what, and whether it is paid."""
    after, limit = page.span()
    race = await service.standings(tx, number=number, now=ask.now, rows_max=limit, after=after)
    return PrizesAnswer.of(race, page)


@routes.get(
    "/races/{number:int}/entrants/{entrant_id:int}/history",
    access="public",
    example=CHANGES_EXAMPLE,
    refuses=[NoSuchRace, NotStarted, NoSuchEntrant],
)
async def list_changes(number: Number, entrant_id: EntrantNumber, tx: InTx, page: Paged) -> ChangesAnswer:
    """List how the total of an entrant came about, change by change."""
    after, limit = page.span()
    found, of = await service.changes(tx, number=number, entrant_id=entrant_id, after=after, limit=limit)
    return ChangesAnswer.of(found, of, page)
