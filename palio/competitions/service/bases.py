"""Long rankings rest on files that the processes of a host share: one of them lays a base, the others map it.

What lies there is the ranking as of a moment, with the horizon from which on changes must be read, exactly as a process
remembers its own: whoever takes it over reads what has changed since, and has the ranking of the database.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from palio.competitions import sql
from palio.competitions.ranks import Ranking
from palio.competitions.types import ListId, RankTerms
from palio.infra.db import Tx
from palio.infra.shelves import Book, Place

FORMAT = 1  # raised with every change of what a base holds
SHARED_MIN = 10_000  # shorter lists are loaded by each: a third of a megabyte

log = structlog.get_logger()


class SharedBase:
    """The base of one list, ranked in one way, among the processes of this host."""

    def __init__(self, place: Place, terms: RankTerms) -> None:
        self._place, self._terms = place, terms

    @property
    def generation(self) -> int:
        """That of the newest base, by its name; 0 if there is none."""
        return self._place.generation

    @asynccontextmanager
    async def turn(self, *, seconds_max: float = 0) -> AsyncIterator[bool]:
        """Whether it is ours to lay the next one, until the end of the block; waits so long for another process."""
        async with AsyncExitStack() as stack:
            try:
                is_ours = await stack.enter_async_context(self._place.turn(seconds_max=seconds_max))
            except OSError as failure:
                log.warning("a ranking is not shared", failure=str(failure))
                is_ours = False
            yield is_ours

    async def newest(self, *, above: int) -> tuple[Book, Ranking] | None:
        """The newest one, if its generation is above this, and the ranking that rests on it."""
        book = await asyncio.to_thread(self._place.newest, above=above)
        return (book, self._resting_on(book)) if book else None

    async def lay(self, ranking: Ranking, *, generation: int, facts: Mapping[str, int]) -> Ranking | None:
        """Take what has changed into a ranking, and lay that as the next one; answers what rests on it.

        None where nothing can be written. Nobody may change the ranking meanwhile, but everybody can read it.
        """

        def work() -> Book:
            ranking.merge()
            return self._place.put(generation, facts, ranking.bases)

        try:
            return self._resting_on(await asyncio.to_thread(work))
        except OSError as failure:
            log.warning("a ranking is not shared", failure=str(failure))
            return None

    def _resting_on(self, book: Book) -> Ranking:
        terms = self._terms
        return Ranking.resting_on(book.columns, least=terms.least_score, direction=terms.direction, ties=terms.tie_rule)


async def find(tx: Tx, *, terms: RankTerms) -> SharedBase | None:
    """Where the base of a list lies, or is to lie.

    None for a short list, for a process without a shelf, and for whoever has written: others may wait for him, so he
    waits for nobody.
    """
    shelf = tx.equipment.shelf
    run = await sql.find_run(tx, terms.list_id, SHARED_MIN) if shelf else None
    if not shelf or not run:
        return None
    kind = f"{FORMAT}-{terms.direction}-{terms.tie_rule}-{terms.has_subscore:d}-{terms.least_score}"
    try:
        return SharedBase(shelf.place(run, str(terms.list_id), kind), terms)
    except OSError as failure:
        log.warning("rankings are not shared", failure=str(failure))
        return None


def drop(tx: Tx, *, list_id: ListId) -> None:
    """Remove the bases of a list; whoever needs them after all lays them anew."""
    if tx.equipment.shelf:
        tx.equipment.shelf.drop(str(list_id))
