"""Races as everybody sees them: when a snapshot has come a thousand readers ask at once, and one look serves them."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from palio.infra.db import Database
from palio.kernel import clock
from palio.kernel.batches import Sharer
from palio.kernel.ids import Actor, RequestId, new_id
from palio.races import service
from palio.races.types import RaceView


@dataclass(frozen=True, slots=True)
class Wish:
    """A race, and the part of its board behind a place; with `begun` it is refused before the start."""

    number: int
    rows_max: int
    after: int = 0
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
