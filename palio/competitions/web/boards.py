"""Public calls of every board, whoever orders it."""

from collections.abc import Iterator
from typing import Annotated, TypeAlias

from fastapi import Path, Query, Request, Response

from palio.competitions.errors import NoSuchBoard, NotNarrowed, NotOnBoard, Warming
from palio.competitions.schemas.boards import (
    AROUND_EXAMPLE,
    BOARD_EXAMPLE,
    BOARDS_EXAMPLE,
    HISTORY_EXAMPLE,
    MY_LINE_EXAMPLE,
    BoardAnswer,
    BoardsAnswer,
    HistoryAnswer,
    MyLineAnswer,
    beside,
    write_lines,
)
from palio.competitions.service.boards import history, of_country, of_friends
from palio.competitions.web.competitions import FRIENDS, OF_COUNTRY, Narrow
from palio.competitions.web.looking import tag_of
from palio.competitions.web.own import user_of
from palio.infra.db import Tx
from palio.kernel.errors import Unauthenticated
from palio.kernel.providers import BoardAsk, BoardSource, BoardView
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Paged, Paging
from palio.ui.routes import Routes
from palio.ui.values import Whole

RADIUS_MAX = 25
POINTS_MAX = 200
routes = Routes("competitions")

Sources: TypeAlias = tuple[BoardSource[Tx], ...]
Code = Annotated[str, Path(min_length=1, max_length=100, examples=["wager:default"])]
PeriodName = Annotated[
    str,
    Path(
        min_length=1,
        max_length=20,
        description="`today`, `week`, `weekend`, `month`, `all`, or a key like `D:2026-03-18`",
        examples=["week"],
    ),
]
Entrant = Annotated[str, Query(min_length=1, max_length=100, description="`entrant` of a line")]
Radius = Annotated[Whole, Query(ge=0, le=RADIUS_MAX, description="How many lines on either side")]


@routes.get("/boards", access="public", example=BOARDS_EXAMPLE)
async def list_boards(request: Request, tx: InTx) -> BoardsAnswer:
    """List the boards and the periods each of them has."""
    return BoardsAnswer.of([head for source in _sources(request) for head in await source.heads(tx)])


@routes.get(
    "/boards/{code}/{period}",
    access="public",
    example=BOARD_EXAMPLE,
    refuses=[NoSuchBoard, NotNarrowed, Unauthenticated, Warming],
)
async def get_board(
    request: Request,
    response: Response,
    code: Code,
    period: PeriodName,
    ask: Ask,
    tx: InTx,
    page: Paged,
    narrow: Narrow = None,
) -> BoardAnswer:
    """Read the lines of a board by place, or only some of them with their ranks `among` each other as well."""
    asked = BoardAsk(code, period, ask.now)
    for source in _sources_of(request, code):
        if view := await _read(tx, source, ask, asked, page, narrow):
            answer = BoardAnswer.of_view(view, *beside(view, page))
            if tag := tag_of(view, write_lines(answer.items)):
                response.headers["ETag"] = tag
            return answer
    raise NoSuchBoard(code=code, period=period)


async def _read(
    tx: Tx, source: BoardSource[Tx], ask: Asking, asked: BoardAsk, page: Paging, narrow: str | None
) -> BoardView | None:
    after, limit = page.cut(), page.limit
    if narrow is None:
        return await source.top(tx, asked, after, limit)
    if narrow == FRIENDS:
        return await of_friends(tx, source=source, ask=asked, user_id=user_of(ask), after=after, limit=limit)
    country = narrow.removeprefix(OF_COUNTRY)
    return await of_country(tx, source=source, ask=asked, country=country, after=after, limit=limit)


@routes.get(
    "/boards/{code}/{period}/around", access="public", example=AROUND_EXAMPLE, refuses=[NoSuchBoard, NotOnBoard]
)
async def get_board_around(
    request: Request, code: Code, period: PeriodName, entrant: Entrant, ask: Ask, tx: InTx, radius: Radius = 5
) -> BoardAnswer:
    """Read the lines around somebody."""
    asked = BoardAsk(code, period, ask.now)
    for source in _sources_of(request, code):
        if view := await source.around(tx, asked, entrant, radius):
            return BoardAnswer.of_view(view, None, None)
        if await source.top(tx, asked, 0, 1):
            raise NotOnBoard(code=code, entrant=entrant)
    raise NoSuchBoard(code=code, period=period)


@routes.get(
    "/boards/{code}/{period}/me",
    access="player",
    example=MY_LINE_EXAMPLE,
    refuses=[NoSuchBoard, NotOnBoard],
)
async def get_my_rank(request: Request, code: Code, period: PeriodName, ask: Ask, tx: InTx) -> MyLineAnswer:
    """Read where you stand, and what you lack to the next rank."""
    asked, user_id = BoardAsk(code, period, ask.now), ask.actor.user_id
    for source in _sources_of(request, code):
        view = await source.top(tx, asked, 0, 1)
        if view is None:
            continue
        if view.is_warming:
            return MyLineAnswer.of_warming(view.period.key)
        line = await source.my_rank(tx, asked, user_id) if user_id else None
        if line is None:
            raise NotOnBoard(code=code, entrant="me")
        above = await source.top(tx, asked, line.rank - 2, 1) if line.rank > 1 else None
        return MyLineAnswer.of_line(line, view, above.lines[0] if above and above.lines else None)
    raise NoSuchBoard(code=code, period=period)


@routes.get("/boards/{code}/{period}/history", access="public", example=HISTORY_EXAMPLE, refuses=[NoSuchBoard])
async def list_rank_history(
    request: Request, code: Code, period: PeriodName, entrant: Entrant, ask: Ask, tx: InTx
) -> HistoryAnswer:
    """List where somebody stood by the hour; of boards that a module orders itself nothing is known."""
    asked = BoardAsk(code, period, ask.now)
    for source in _sources_of(request, code):
        if view := await source.top(tx, asked, 0, 1):
            points = await history(tx, ask=asked, entrant=entrant, limit=POINTS_MAX) if not source.prefix else []
            return HistoryAnswer.of(points, view.head.scale)
    raise NoSuchBoard(code=code, period=period)


def _sources(request: Request) -> Sources:
    sources: Sources = request.app.state.boards
    return sources


def _sources_of(request: Request, code: str) -> Iterator[BoardSource[Tx]]:
    return (source for source in _sources(request) if code.startswith(source.prefix))
