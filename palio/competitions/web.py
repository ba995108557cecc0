"""Public calls of competitions and of every board, whoever orders it."""

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from fastapi import Path, Query, Request

from palio.competitions.errors import NoSuchBoard, NoSuchCompetition, NotOnBoard, ResultsHidden
from palio.competitions.schemas import (
    AROUND_EXAMPLE,
    BOARD_EXAMPLE,
    BOARDS_EXAMPLE,
    COMPETITION_ARCHIVE_EXAMPLE,
    COMPETITION_EXAMPLE,
    COMPETITIONS_EXAMPLE,
    REWARDS_EXAMPLE,
    STANDINGS_EXAMPLE,
    BoardAnswer,
    BoardsAnswer,
    CompetitionAnswer,
    CompetitionsAnswer,
    EndedListAnswer,
    RankingAnswer,
    RewardsAnswer,
    part_of,
)
from palio.competitions.service import showing
from palio.competitions.types import CompetitionId, Product, Wanted
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
State: TypeAlias = Literal["upcoming", "live", "settling", "completed", "archived", "cancelled"]
Id = Annotated[UUID, Path(examples=["019cffd0-4c00-7000-8000-0000000000c1"])]
Year = Annotated[Whole | None, Query(ge=2000, le=2100)]
Month = Annotated[Whole | None, Query(ge=1, le=12)]
Entrant = Annotated[str, Query(min_length=1, max_length=100, description="`entrant` of a line")]
Radius = Annotated[Whole, Query(ge=0, le=RADIUS_MAX, description="How many lines on either side")]


@routes.get("/competitions", access="public", example=COMPETITIONS_EXAMPLE)
async def list_competitions(
    tx: InTx, page: Paged, status: State | None = None, product: Product | None = None
) -> CompetitionsAnswer:
    """List competitions, the newest first."""
    found = await showing.listed(tx, wanted=Wanted(status, product), part=part_of(page))
    return CompetitionsAnswer.of(found, page)


@routes.get("/competitions/archive", access="public", example=COMPETITION_ARCHIVE_EXAMPLE)
async def list_archive(
    tx: InTx, page: Paged, year: Year = None, month: Month = None, product: Product | None = None
) -> EndedListAnswer:
    """List the competitions that are over, the newest first, with those who were first."""
    wanted = Wanted(product=product, year=year, month=month, is_archived=True)
    return EndedListAnswer.of(await showing.listed(tx, wanted=wanted, part=part_of(page)), page)


@routes.get(
    "/competitions/{competition_id:uuid}", access="public", example=COMPETITION_EXAMPLE, refuses=[NoSuchCompetition]
)
async def get_competition(competition_id: Id, ask: Ask, tx: InTx) -> CompetitionAnswer:
    """Read the terms and the prizes of a competition."""
    return CompetitionAnswer.of(await showing.shown(tx, competition_id=CompetitionId(competition_id), now=ask.now))


@routes.get(
    "/competitions/{competition_id:uuid}/standings",
    access="public",
    example=STANDINGS_EXAMPLE,
    refuses=[NoSuchCompetition],
)
async def list_standings(competition_id: Id, ask: Ask, tx: InTx, page: Paged) -> RankingAnswer:
    """List the board by place: who stands where, and what the place pays now."""
    after, limit = page.span()
    shown = await showing.shown(tx, competition_id=CompetitionId(competition_id), now=ask.now, limit=limit, after=after)
    return RankingAnswer.of_shown(shown, after, page)


@routes.get(
    "/competitions/{competition_id:uuid}/rewards",
    access="public",
    example=REWARDS_EXAMPLE,
    refuses=[NoSuchCompetition, ResultsHidden],
)
async def list_rewards(competition_id: Id, ask: Ask, tx: InTx, page: Paged) -> RewardsAnswer:
    """List who won what, and whether it is paid."""
    after, limit = page.span()
    shown = await showing.results(
        tx, competition_id=CompetitionId(competition_id), now=ask.now, limit=limit, after=after
    )
    return RewardsAnswer.of(shown, after, page)


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
