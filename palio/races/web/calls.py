"""Public calls of races."""

from typing import Annotated, Literal, TypeAlias, get_args

from fastapi import Depends, Query

from palio.affiliates import NoSuchProgramme
from palio.infra.db import Tx
from palio.kernel.errors import Unauthenticated
from palio.races import service
from palio.races.errors import NoneNow, NoSuchEntrant, NoSuchRace, NotEntered, NotStarted
from palio.races.schemas import (
    ARCHIVE_EXAMPLE,
    CHANGES_EXAMPLE,
    PRIZES_EXAMPLE,
    RACE_EXAMPLE,
    RACES_EXAMPLE,
    STANDINGS_EXAMPLE,
    ArchiveAnswer,
    ByEnd,
    ChangesAnswer,
    EntrantNumber,
    LineAnswer,
    Month,
    Number,
    PrizesAnswer,
    RaceAnswer,
    StandingsAnswer,
    Year,
    part_of,
    shown_of,
)
from palio.races.types import Part, Wanted
from palio.races.web.views import PLAYERS, Own, Seen, Wish
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.paging import Listed, Paged
from palio.ui.ranges import of_words
from palio.ui.routes import Routes

OVER = ("completed", "archived")
routes = Routes("races")

State: TypeAlias = Literal["upcoming", "live", "settling", "completed", "archived", "cancelled"]
States: TypeAlias = Annotated[list[State], Depends(of_words("state", get_args(State)))]
Around = Annotated[Literal["me"] | None, Query(description="Begin so that your own line is in the middle")]
Programme = Annotated[str | None, Query(max_length=64, description="Code of a programme")]


@routes.get("/races", access="public", example=RACES_EXAMPLE, refuses=[NoSuchProgramme])
async def list_races(tx: InTx, page: ByEnd, states: States, programme: Programme = None) -> Listed[LineAnswer]:
    """List races, the newest first."""
    wanted = Wanted(states=states, programme=programme)
    return shown_of(await service.listed(tx, wanted=wanted, part=part_of(page)), page).told(LineAnswer.of)


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
    if not found.rows:
        raise NoneNow(state=wanted.states[0])
    return RaceAnswer.of(await service.view(tx, number=found.rows[0].number, now=ask.now, rows_max=1))


@routes.get("/races/history", access="public", example=ARCHIVE_EXAMPLE)
async def list_history(tx: InTx, page: ByEnd, month: Month = None, year: Year = None) -> ArchiveAnswer:
    """List the races that are over, the newest first, with their winners."""
    wanted = Wanted(year=year, month=month, is_over=True)
    return ArchiveAnswer.of(await service.listed(tx, wanted=wanted, part=part_of(page)), page)


@routes.get("/races/{number:int}", access="public", example=RACE_EXAMPLE, refuses=[NoSuchRace])
async def get_race(number: Number, views: Seen) -> RaceAnswer:
    """Read the terms, the prizes and the pictures of a race."""
    return RaceAnswer.of(await views.see(Wish(number, 1)))


@routes.get(
    "/races/{number:int}/standings",
    access="public",
    example=STANDINGS_EXAMPLE,
    refuses=[NoSuchRace, NotStarted, NotEntered, Unauthenticated],
)
async def list_standings(
    number: Number, ask: Ask, views: Seen, own: Own, page: Paged, around: Around = None
) -> StandingsAnswer:
    """List the board by place: who stands where, and what the place pays now.

    With `around=me` the part in whose middle the line of whoever asks stands.
    """
    after = page.cut()
    if around and ask.actor.kind not in PLAYERS:
        raise Unauthenticated
    if around and own is None:
        raise NotEntered(number=number)
    if around and own and page.position is None:
        after = max(0, own.row.place - 1 - page.limit // 2)
    race = await views.see(Wish(number, page.limit, after, begun=True))
    return StandingsAnswer.of(race, page, own)


@routes.get("/races/{number:int}/prizes", access="public", example=PRIZES_EXAMPLE, refuses=[NoSuchRace, NotStarted])
async def list_prizes(number: Number, views: Seen, page: Paged) -> PrizesAnswer:
    """List who won what, and whether it is paid."""
    race = await views.see(Wish(number, page.limit, page.cut(), begun=True))
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
