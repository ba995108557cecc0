"""Pages of boards of everybody: by period, with oneself in sight, whom one looks for, and how one's rank went."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated

from fastapi import Path, Query, Request
from starlette.responses import HTMLResponse, JSONResponse

from palio import identity
from palio.competitions.rules import periods
from palio.competitions.service.boards import EVERYBODY, history
from palio.competitions.service.known import boards_many
from palio.competitions.types import ListPeriod, PeriodKind, RankPoint
from palio.infra.db import Tx
from palio.kernel.errors import NotFound
from palio.kernel.providers import BoardAsk, BoardLine, BoardView
from palio.ui import pages
from palio.ui.actor import Ask, InTx
from palio.ui.charts import Chart, Series
from palio.ui.paging import Paged
from palio.ui.routes import Routes
from palio.ui.values import Blank, decimal

ROWS_MAX = 100
LINES_ABOVE = 3  # of whoever was found
POINTS_MAX = 168  # a week by the hour
NAME_MAX = 64
OF_PLAYERS = ("player", "viewer")
routes = Routes("competitions")

Code = Annotated[str, Path(min_length=1, max_length=100)]
PeriodName = Annotated[str, Query(max_length=20)]
Name = Annotated[str | None, Query(max_length=NAME_MAX), Blank]
Entrant = Annotated[str, Query(min_length=1, max_length=18)]


@routes.page("/boards", access="public")
async def boards_page(
    request: Request, ask: Ask, tx: InTx, page: Paged, period: PeriodName = "week", name: Name = None
) -> HTMLResponse:
    """The first board of everybody."""
    heads = await EVERYBODY.heads(tx)
    return await _show(request, ask, tx, page, heads[0].code if heads else "", period, name)


@routes.page("/boards/{code}", access="public")
async def board_page(
    request: Request, code: Code, ask: Ask, tx: InTx, page: Paged, period: PeriodName = "week", name: Name = None
) -> HTMLResponse:
    """Who is first in a period."""
    return await _show(request, ask, tx, page, code, period, name)


@routes.page("/boards/{code}/chart", access="public")
async def board_chart(code: Code, ask: Ask, tx: InTx, entrant: Entrant, period: PeriodName = "week") -> JSONResponse:
    """The figures of the chart of somebody's rank."""
    points = await history(tx, ask=BoardAsk(code, period, ask.now), entrant=entrant, limit=POINTS_MAX)
    return JSONResponse(asdict(chart_of(points)))


async def _show(
    request: Request, ask: Ask, tx: InTx, page: Paged, code: str, period: str, name: str | None
) -> HTMLResponse:
    asked = BoardAsk(code, period, ask.now)
    query = f"period={period}"
    page = replace(page, limit=ROWS_MAX, listing=replace(page.listing, filters=query))
    after, limit = page.span()
    heads = await EVERYBODY.heads(tx)
    view = await EVERYBODY.top(tx, asked, after, limit)
    if view is None and heads:
        raise NotFound(code=code, period=period)
    own = await EVERYBODY.my_rank(tx, asked, ask.actor.user_id) if _is_player(ask) and ask.actor.user_id else None
    found = await _find(tx, asked, name) if name else None
    following, preceding = page.around(after + 1, after + len(view.lines), of=view.of) if view else (None, None)
    values = {
        "heads": heads,
        "code": code,
        "view": view,
        "period": period,
        "query": query,
        "after": after,
        "below": following,
        "above": preceding,
        "own": own,
        "name": name or "",
        "found": found,
        "found_cursor": page.behind(max(0, found.place - 1 - LINES_ABOVE)) if found else None,
        **(await _beside(tx, asked, view, own, found) if view else {}),
    }
    return pages.render(request, "competitions/board.html", values, block="board")


async def _beside(
    tx: Tx, asked: BoardAsk, view: BoardView, own: BoardLine | None, found: BoardLine | None
) -> dict[str, object]:
    """What a board says beside its lines: scores as text, tabs, what one lacks, and how one's rank went."""
    scale, kind = view.head.scale, periods.kind_of(view.period.key)
    above = await EVERYBODY.top(tx, asked, own.rank - 2, 1) if own and own.rank > 1 else None
    past = await history(tx, ask=asked, entrant=own.entrant, limit=POINTS_MAX) if own else []
    gap = above.lines[0].score - own.score if above and above.lines and own else 0
    return {
        "kind": kind,
        "word_of": periods.WORD_OF[kind],
        "scores": {line.entrant: shown(line.score, scale) for line in view.lines},
        "has_trends": any(line.trend is not None for line in view.lines),
        "own_score": shown(own.score, scale) if own else "",
        "own_history": past,
        "gap": shown(abs(gap), scale) if gap else "",
        "found_score": shown(found.score, scale) if found else "",
        **await _neighbours(tx, asked, view, kind),
    }


async def _neighbours(tx: Tx, asked: BoardAsk, view: BoardView, kind: PeriodKind) -> dict[str, str | None]:
    """The keys of the periods before and after, where there are any that have begun."""
    board = (await boards_many(tx, [asked.code]))[asked.code]
    period = ListPeriod(view.period.key, view.period.starts_at, view.period.ends_at)
    before = periods.neighbour(period, kind, board.tz, step=-1)
    after = periods.neighbour(period, kind, board.tz, step=1)
    has_begun = after is not None and after.starts_at is not None and after.starts_at <= asked.now
    return {"earlier": before.key if before else None, "later": after.key if after and has_begun else None}


async def _find(tx: Tx, asked: BoardAsk, name: str) -> BoardLine | None:
    """Whoever stands there under exactly this name: a masked one is found by what is shown of it only."""
    card = await identity.card_named(tx, name=name.strip())
    found = await EVERYBODY.my_rank(tx, asked, card.id) if card else None
    return found if found and found.name.casefold() == name.strip().casefold() else None


def chart_of(points: Sequence[RankPoint]) -> Chart:
    """Ranks over time, from left to right."""
    told = list(reversed(points))
    values = tuple(float(point.rank) for point in told)
    return Chart(tuple(f"{point.at:%d.%m. %H:%M}" for point in told), (Series("", "step", values),))


def shown(score: int, scale: int) -> str:
    """A score as text, thousands apart."""
    return format(decimal(score, scale), ",f")


def _is_player(ask: Ask) -> bool:
    return ask.actor.kind in OF_PLAYERS
