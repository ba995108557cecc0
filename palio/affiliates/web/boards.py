"""Pages and public calls of programmes: their boards by day, week, month and of all time."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, TypeAlias
from urllib.parse import urlencode

from fastapi import Query, Request
from starlette.responses import HTMLResponse

from palio.affiliates import rules, service
from palio.affiliates.errors import BadPeriodKey, NoSuchPeriod, NoSuchProgramme
from palio.affiliates.schemas.boards import (
    BOARD_EXAMPLE,
    PROGRAMMES_EXAMPLE,
    TOTALS_EXAMPLE,
    BoardAnswer,
    ProgrammeAnswer,
    TotalsAnswer,
    beside,
)
from palio.affiliates.types import Period, PeriodKind, Wanted
from palio.ui import pages
from palio.ui.actor import Ask, InTx
from palio.ui.paging import Listed, Paged
from palio.ui.routes import Routes
from palio.ui.values import Blank

ROWS_MAX = 100
routes = Routes("affiliates")

Code = Annotated[str | None, Query(max_length=64, description="Code of a programme; the default one without it")]
Kind = Annotated[PeriodKind, Query(description="The day, week or month (UTC) that is on, or all time")]
Key = Annotated[str | None, Query(max_length=20, description="Any period, as D:2026-03-18, W:2026-W12 or M:2026-03")]
NAME_MIN, NAME_MAX = 3, 64
Name: TypeAlias = Annotated[str, Query(min_length=NAME_MIN, max_length=NAME_MAX, description="Or its beginning")]


@routes.get("/affiliates/programmes", access="public", example=PROGRAMMES_EXAMPLE)
async def list_programmes(ask: Ask, tx: InTx) -> Listed[ProgrammeAnswer]:
    """List the programmes, and how far each has been read."""
    return Listed(tuple(ProgrammeAnswer.of(one, ask.now) for one in await service.programmes(tx)), None, None)


@routes.get(
    "/affiliates/leaderboard",
    access="public",
    example=BOARD_EXAMPLE,
    refuses=[NoSuchProgramme, BadPeriodKey, NoSuchPeriod],
)
async def list_leaderboard(
    ask: Ask, tx: InTx, page: Paged, programme: Code = None, period: Kind = "ALL", key: Key = None
) -> BoardAnswer:
    """List who wagered how much in a period, by place."""
    wanted = Wanted(programme, period, key)
    board = await service.leaderboard(tx, wanted=wanted, now=ask.now, after=page.cut(), limit=page.limit)
    return BoardAnswer.of_view(board, page)


@routes.get("/affiliates/totals", access="public", example=TOTALS_EXAMPLE, refuses=[NoSuchProgramme])
async def get_totals(ask: Ask, tx: InTx, programme: Code = None) -> TotalsAnswer:
    """Read what a programme adds up to."""
    return TotalsAnswer.of(await service.totals(tx, programme=programme, now=ask.now), ask.now)


@routes.get(
    "/affiliates/players",
    access="public",
    example=replace(BOARD_EXAMPLE, next=None),
    refuses=[NoSuchProgramme, BadPeriodKey, NoSuchPeriod],
)
async def find_players(
    ask: Ask, tx: InTx, name: Name, programme: Code = None, period: Kind = "ALL", key: Key = None
) -> BoardAnswer:
    """Find players by name, and where they stand.

    A masked name is found by the whole of it only. Who has wagered nothing in the period has no place.
    """
    wanted = Wanted(programme, period, key)
    return BoardAnswer.of_view(await service.find_players(tx, wanted=wanted, text=name, now=ask.now), None)


@routes.page("/leaderboard", access="public")
async def leaderboard_page(
    request: Request,
    ask: Ask,
    tx: InTx,
    page: Paged,
    programme: Annotated[Code, Blank] = None,
    period: Kind = "W",
    key: Annotated[Key, Blank] = None,
    name: Annotated[str | None, Query(max_length=NAME_MAX), Blank] = None,
) -> HTMLResponse:
    """Who wagered most: by day, week, month, and ever."""
    query = _query(programme, period, key)
    page = replace(page, limit=ROWS_MAX, listing=replace(page.listing, filters=query))
    wanted = Wanted(programme, period, key)
    board = await service.leaderboard(tx, wanted=wanted, now=ask.now, after=page.cut(), limit=page.limit)
    below, above = beside(board, page)
    found = None
    if name and len(name.strip()) >= NAME_MIN:
        found = await service.find_players(tx, wanted=wanted, text=name, now=ask.now)
    values = {
        "board": board,
        "now": ask.now,
        "above": above,
        "below": below,
        "name": name or "",
        "found": [(row, page.behind(*row.lead) if row.lead else None) for row in found.rows] if found else None,
        "programmes": await service.programmes(tx),
        "query": query,
        "keyed": key is not None,
        "earlier": rules.before(board.period) if board.has_earlier else None,
        "later": _later(board.period, ask.now),
        "elsewhere": urlencode({"programme": programme}) + "&" if programme else "",
    }
    return pages.render(request, "affiliates/leaderboard.html", values, block="board")


def _query(programme: str | None, period: PeriodKind, key: str | None) -> str:
    """What narrows the list, as it stands in the address of each part of it: whom one looks for does not."""
    named = {"key": key, "period": None if key else period, "programme": programme}
    return urlencode({name: value for name, value in named.items() if value})


def _later(period: Period, now: datetime) -> Period | None:
    """The period after, if it has begun."""
    following = rules.after(period)
    return following if following.starts_at and following.starts_at <= now else None
