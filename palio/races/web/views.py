"""Races as everybody sees them: when a snapshot has come a thousand readers ask at once, and one look serves them."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from palio.infra.db import Database
from palio.kernel import clock
from palio.kernel.batches import Sharer
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.providers import After
from palio.races import service
from palio.races.schemas import Number
from palio.races.types import Mine, RaceView
from palio.ui.actor import Ask

PLAYERS = ("player", "viewer")


@dataclass(frozen=True, slots=True)
class Wish:
    """A race, and a part of its board; with `begun` it is refused before the start."""

    number: int
    rows_max: int
    after: After = 0
    begun: bool = False


class Views:
    """The looks of one process; they see what nobody in particular sees."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sharer = Sharer(self._look)

    async def see(self, wish: Wish) -> RaceView:
        """The race as it is now. Refuses with NoSuchRace, NotStarted."""
        return await self._sharer.ask(wish)

    async def _look(self, wish: Wish) -> RaceView:
        look = service.standings if wish.begun else service.view
        async with self._database.begin(Actor("none", None, RequestId(new_id()))) as tx:
            return await look(tx, number=wish.number, now=clock.now(), rows_max=wish.rows_max, after=wish.after)


async def views_of(request: Request) -> Views:
    """Those of this application."""
    views: Views = request.app.state.race_views
    return views


Seen = Annotated[Views, Depends(views_of)]


async def own_place(request: Request, ask: Ask, number: Number) -> Mine | None:
    """Where whoever asks stands in the race that is asked for; None for guests, who cost no look of their own."""
    if ask.actor.kind not in PLAYERS:
        return None
    database: Database = request.app.state.database
    async with database.begin(ask.actor) as tx:
        return await service.find_mine(tx, number=number, actor=ask.actor, now=ask.now)


Own = Annotated[Mine | None, Depends(own_place)]
