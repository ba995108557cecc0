"""Public calls of every board, whoever orders it."""

from collections.abc import Iterator
from typing import Annotated, TypeAlias

from fastapi import Path, Query, Request

from palio.competitions.errors import NoSuchBoard, NotOnBoard
from palio.competitions.schemas.boards import (
    AROUND_EXAMPLE,
    BOARD_EXAMPLE,
    BOARDS_EXAMPLE,
    BoardAnswer,
    BoardsAnswer,
)
from palio.infra.db import Tx
from palio.kernel.providers import BoardAsk, BoardSource
from palio.ui.actor import Ask, InTx
from palio.ui.paging import Paged
from palio.ui.routes import Routes
from palio.ui.values import Whole

RADIUS_MAX = 25
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


@routes.get("/boards/{code}/{period}", access="public", example=BOARD_EXAMPLE, refuses=[NoSuchBoard])
async def get_board(request: Request, code: Code, period: PeriodName, ask: Ask, tx: InTx, page: Paged) -> BoardAnswer:
    """Read the lines of a board by place."""
    after, limit = page.span()
    for source in _sources_of(request, code):
        if view := await source.top(tx, BoardAsk(code, period, ask.now), after, limit):
            return BoardAnswer.of_view(view, *page.around(after + 1, after + len(view.lines), of=view.of))
    raise NoSuchBoard(code=code, period=period)


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


def _sources(request: Request) -> Sources:
    sources: Sources = request.app.state.boards
    return sources


def _sources_of(request: Request, code: str) -> Iterator[BoardSource[Tx]]:
    return (source for source in _sources(request) if code.startswith(source.prefix))
