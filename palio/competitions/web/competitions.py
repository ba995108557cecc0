"""Public calls of competitions: lists, terms, standings, prizes, and the archive."""

from typing import Annotated, Literal, TypeAlias, get_args
from uuid import UUID

from fastapi import Depends, Path, Query

from palio.competitions.errors import NoSuchCompetition, ResultsHidden, Warming
from palio.competitions.schemas.competitions import (
    COMPETITION_ARCHIVE_EXAMPLE,
    COMPETITION_EXAMPLE,
    COMPETITIONS_EXAMPLE,
    REWARDS_EXAMPLE,
    STANDINGS_EXAMPLE,
    CompetitionAnswer,
    EndedListAnswer,
    ListedAnswer,
    RankingAnswer,
    RewardsAnswer,
    part_of,
    shown_of,
)
from palio.competitions.service import entering, mine, reads, showing
from palio.competitions.types import CompetitionId, Product, Status, Wanted
from palio.competitions.web.own import user_of
from palio.kernel.errors import Unauthenticated
from palio.ui.actor import Ask, InTx
from palio.ui.paging import Listed, Paged, PagedById
from palio.ui.ranges import Span, of_times, of_words
from palio.ui.routes import Routes
from palio.ui.values import Whole

FRIENDS, OF_COUNTRY = "friends", "country:"
routes = Routes("competitions")

Narrow = Annotated[
    str | None,
    Query(
        alias="filter",
        pattern=r"^(friends|country:[A-Z]{2})$",
        description="`friends`: only you and your friends; `country:NP`: only those of a country",
        examples=["country:NP"],
    ),
]
State: TypeAlias = Literal["upcoming", "live", "settling", "completed", "archived", "cancelled"]
Statuses: TypeAlias = Annotated[list[Status], Depends(of_words("status", get_args(State)))]
Products: TypeAlias = Annotated[list[Product], Depends(of_words("product", get_args(Product)))]
Id = Annotated[UUID, Path(examples=["019cffd0-4c00-7000-8000-0000000000c1"])]
Begins: TypeAlias = Annotated[Span, Depends(of_times("starts_at"))]
Year = Annotated[Whole | None, Query(ge=2000, le=2100)]
Month = Annotated[Whole | None, Query(ge=1, le=12)]


@routes.get("/competitions", access="public", example=COMPETITIONS_EXAMPLE)
async def list_competitions(
    tx: InTx, page: PagedById, begins: Begins, statuses: Statuses, products: Products
) -> Listed[ListedAnswer]:
    """List competitions, the newest first."""
    wanted = Wanted(statuses, products, begins_since=begins.since, begins_until=begins.until)
    found = await showing.listed(tx, wanted=wanted, part=part_of(page))
    return shown_of(found, page).told(ListedAnswer.of)


@routes.get("/competitions/archive", access="public", example=COMPETITION_ARCHIVE_EXAMPLE)
async def list_archive(
    tx: InTx, page: PagedById, products: Products, year: Year = None, month: Month = None
) -> EndedListAnswer:
    """List the competitions that are over, the newest first, with those who were first."""
    wanted = Wanted(products=products, year=year, month=month, is_archived=True)
    return EndedListAnswer.of(await showing.listed(tx, wanted=wanted, part=part_of(page)), page)


@routes.get(
    "/competitions/{competition_id:uuid}", access="public", example=COMPETITION_EXAMPLE, refuses=[NoSuchCompetition]
)
async def get_competition(competition_id: Id, ask: Ask, tx: InTx) -> CompetitionAnswer:
    """Read the terms, the pool and the prizes of a competition, and where the player stands who asks."""
    ours = CompetitionId(competition_id)
    shown = await showing.shown(tx, competition_id=ours, now=ask.now)
    player = ask.actor.user_id if ask.actor.kind in ("player", "viewer") else None
    own = await entering.participation(tx, competition_id=ours, user_id=player) if player else None
    return CompetitionAnswer.of(shown, own)


@routes.get(
    "/competitions/{competition_id:uuid}/standings",
    access="public",
    example=STANDINGS_EXAMPLE,
    refuses=[NoSuchCompetition, Unauthenticated, Warming],
)
async def list_standings(competition_id: Id, ask: Ask, tx: InTx, page: Paged, narrow: Narrow = None) -> RankingAnswer:
    """List the board by place: who stands where, and what the place pays now; or only some of it."""
    after, limit = page.cut(), page.limit
    ours = await reads.public(tx, competition_id=CompetitionId(competition_id))
    if narrow is None:
        shown = await showing.part_of(tx, competition=ours, now=ask.now, limit=limit, after=after)
    elif narrow == FRIENDS:
        shown = await mine.of_friends(tx, competition=ours, user_id=user_of(ask), now=ask.now, limit=limit, after=after)
    else:
        country = narrow.removeprefix(OF_COUNTRY)
        shown = await mine.of_country(tx, competition=ours, country=country, now=ask.now, limit=limit, after=after)
    return RankingAnswer.of_shown(shown, page)


@routes.get(
    "/competitions/{competition_id:uuid}/rewards",
    access="public",
    example=REWARDS_EXAMPLE,
    refuses=[NoSuchCompetition, ResultsHidden],
)
async def list_rewards(competition_id: Id, ask: Ask, tx: InTx, page: Paged) -> RewardsAnswer:
    """List who won what, and whether it is paid."""
    shown = await showing.results(
        tx, competition_id=CompetitionId(competition_id), now=ask.now, limit=page.limit, after=page.cut()
    )
    return RewardsAnswer.of(shown, page)
