"""Pages of boards of everybody: by period, with oneself in sight, whom one looks for, and how one's rank went."""

from dataclasses import asdict, dataclass, replace
from typing import Annotated, TypeAlias
from urllib.parse import urlencode

from fastapi import Depends, Path, Query, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from palio import identity
from palio.competitions.rules import periods
from palio.competitions.schemas.boards import beside, percentile
from palio.competitions.schemas.own import chart_of
from palio.competitions.service.boards import EVERYBODY, history, list_of, of_country, of_friends
from palio.competitions.service.known import boards_many
from palio.competitions.types import DEFAULT_BOARD, ListPeriod, PeriodKind
from palio.competitions.web.own import user_of
from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.errors import NotFound
from palio.kernel.providers import After, BoardAsk, BoardLine, BoardView
from palio.ui import pages
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged, Paging
from palio.ui.routes import Routes
from palio.ui.values import Blank

ROWS_MAX = 100
PODIUM_PLACES = 3
LINES_ABOVE = 3  # of whoever was found
BESIDE = 1  # of oneself
WAGERS = "wager:"  # boards with a page of their own
POINTS_MAX = 168  # a week by the hour
NAME_MAX = 64
OF_PLAYERS = ("player", "viewer")
routes = Routes("competitions")

Code = Annotated[str, Path(min_length=1, max_length=100)]
PeriodName = Annotated[str, Query(max_length=20)]
Entrant = Annotated[str, Query(min_length=1, max_length=18)]
Name: TypeAlias = Annotated[str | None, Query(max_length=NAME_MAX), Blank]
Only: TypeAlias = Annotated[str | None, Query(pattern=r"^friends$"), Blank]
Country: TypeAlias = Annotated[str | None, Query(pattern=r"^[A-Za-z]{2}$"), Blank]


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody asks of a board: whom he looks for, and whom he wants to see of it."""

    name: str | None
    only: str | None
    country: str | None


async def seen(name: Name = None, only: Only = None, country: Country = None) -> Seen:
    """What the address says."""
    return Seen(name, only, country.upper() if country else None)


Wanted = Annotated[Seen, Depends(seen)]


@routes.page("/boards", access="public")
async def boards_page(
    request: Request, ask: Ask, tx: InTx, page: Paged, wanted: Wanted, period: PeriodName = "week"
) -> Response:
    """The board that the house opens with, else the first of everybody."""
    opening = settings.value(DEFAULT_BOARD)
    if opening.startswith(WAGERS):
        programme = urlencode({"programme": opening.removeprefix(WAGERS)})
        return RedirectResponse(f"/leaderboard?{programme}", status_code=303)
    codes = [head.code for head in await EVERYBODY.heads(tx)]
    first = codes[0] if codes else ""
    return await _show(request, ask, tx, page, opening if opening in codes else first, period, wanted)


@routes.page("/boards/{code}", access="public")
async def board_page(
    request: Request, code: Code, ask: Ask, tx: InTx, page: Paged, wanted: Wanted, period: PeriodName = "week"
) -> HTMLResponse:
    """Who is first in a period."""
    return await _show(request, ask, tx, page, code, period, wanted)


@routes.page("/boards/{code}/chart", access="public")
async def board_chart(code: Code, ask: Ask, tx: InTx, entrant: Entrant, period: PeriodName = "week") -> JSONResponse:
    """The figures of the chart of somebody's rank."""
    points = await history(tx, ask=BoardAsk(code, period, ask.now), entrant=entrant, limit=POINTS_MAX)
    return JSONResponse(asdict(chart_of(points)))


async def _show(
    request: Request, ask: Asking, tx: Tx, page: Paging, code: str, period: str, wanted: Seen
) -> HTMLResponse:
    asked = BoardAsk(code, period, ask.now)
    given = {"country": wanted.country, "only": wanted.only, "period": period}
    query = urlencode({name: value for name, value in given.items() if value})
    page = replace(page, limit=ROWS_MAX, listing=replace(page.listing, filters=query))
    after, limit = page.cut(), page.limit
    heads = await EVERYBODY.heads(tx)
    view = await EVERYBODY.top(tx, asked, after, limit)
    if view is None and heads:
        raise NotFound(code=code, period=period)
    if view and not view.is_warming:
        view = await _narrowed(tx, ask, asked, wanted, after, limit) or view
    own, found = await _known(tx, ask, asked, wanted, view)
    following, preceding = beside(view, page) if view else (None, None)
    passed = view.after if view else 0
    is_whole = not passed and not wanted.only and not wanted.country
    has_podium = view is not None and is_whole and len(view.lines) >= PODIUM_PLACES and not view.is_warming
    first = PODIUM_PLACES if has_podium else 0
    values = {
        "heads": heads,
        "code": code,
        "view": view,
        "podium_lines": view.lines[:first] if view else (),
        "lines": view.lines[first:] if view else (),
        "period": period,
        "query": query,
        "kept": {"period": period},
        "after": passed,
        "below": following,
        "above": preceding,
        "own": own,
        "only": wanted.only or "",
        "country": wanted.country or "",
        "is_player": _is_player(ask),
        "name": wanted.name or "",
        "found": found,
        "found_cursor": await _lead(tx, asked, found, _plain(page, period)) if found else None,
        **(await _beside(tx, asked, view, own) if view else {}),
    }
    return pages.render(request, "competitions/board.html", values, block="board")


async def _lead(tx: Tx, asked: BoardAsk, found: BoardLine, page: Paging) -> str | None:
    """Where the board goes on a few lines above somebody; None where it begins there."""
    near = await EVERYBODY.around(tx, asked, found.entrant, LINES_ABOVE + 1)
    lines = near.lines if near else ()
    place = next((line.place for line in lines if line.entrant == found.entrant), 0)
    return page.behind(*lines[0].key) if place - LINES_ABOVE > 1 else None


def _plain(page: Paging, period: str) -> Paging:
    """The whole board, on which somebody who was looked for stands."""
    return replace(page, listing=replace(page.listing, filters=urlencode({"period": period})))


async def _narrowed(tx: Tx, ask: Asking, asked: BoardAsk, wanted: Seen, after: After, limit: int) -> BoardView | None:
    """Friends or those of a country, if that is asked. Refuses with Unauthenticated, Warming."""
    if wanted.only:
        return await of_friends(tx, source=EVERYBODY, ask=asked, user_id=user_of(ask), after=after, limit=limit)
    if wanted.country:
        return await of_country(tx, source=EVERYBODY, ask=asked, country=wanted.country, after=after, limit=limit)
    return None


async def _known(
    tx: Tx, ask: Asking, asked: BoardAsk, wanted: Seen, view: BoardView | None
) -> tuple[BoardLine | None, BoardLine | None]:
    """Oneself, and whom one looks for; nobody's rank is known while the order is loaded."""
    if view is None or view.is_warming:
        return None, None
    own = await EVERYBODY.my_rank(tx, asked, ask.actor.user_id) if _is_player(ask) and ask.actor.user_id else None
    return own, await _find(tx, asked, wanted.name) if wanted.name else None


async def _beside(tx: Tx, asked: BoardAsk, view: BoardView, own: BoardLine | None) -> dict[str, object]:
    """What a board says beside its lines: tabs, where one stands among one's neighbours, and how one's rank went."""
    kind = periods.kind_of(view.period.key)
    near = await EVERYBODY.around(tx, asked, own.entrant, BESIDE) if own else None
    above = await EVERYBODY.top(tx, asked, own.rank - 2, 1) if own and own.rank > 1 else None
    return {
        "kind": kind,
        "word_of": periods.WORD_OF[kind],
        "has_trends": any(line.trend is not None for line in view.lines),
        "near": near.lines if near else (),
        "of": near.of if near else 0,
        "percentile": percentile(own.rank, near.of) if own and near else None,
        "gap": abs(above.lines[0].score - own.score) if above and above.lines and own else 0,
        "points": await history(tx, ask=asked, entrant=own.entrant, limit=POINTS_MAX) if own else [],
        "list_id": await list_of(tx, ask=asked),
        **await _neighbours(tx, asked, view, kind),
    }


async def _neighbours(tx: Tx, asked: BoardAsk, view: BoardView, kind: PeriodKind) -> dict[str, ListPeriod | None]:
    """The periods before and after, where there are any that have begun."""
    board = (await boards_many(tx, [asked.code]))[asked.code]
    period = ListPeriod(view.period.key, view.period.starts_at, view.period.ends_at)
    before = periods.neighbour(period, kind, board.tz, step=-1)
    after = periods.neighbour(period, kind, board.tz, step=1)
    has_begun = after is not None and after.starts_at is not None and after.starts_at <= asked.now
    return {"earlier": before, "later": after if has_begun else None}


async def _find(tx: Tx, asked: BoardAsk, name: str) -> BoardLine | None:
    """Whoever stands there under exactly this name: a masked one is found by what is shown of it only."""
    card = await identity.card_named(tx, name=name.strip())
    found = await EVERYBODY.my_rank(tx, asked, card.id) if card else None
    return found if found and found.name.casefold() == name.strip().casefold() else None


def _is_player(ask: Ask) -> bool:
    return ask.actor.kind in OF_PLAYERS
