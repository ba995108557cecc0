"""Rankings of a process that answers people are loaded, and looked after, apart from the requests that need them."""

import asyncio
import secrets
from collections.abc import Sequence

import structlog

from palio.competitions.service import rankings
from palio.competitions.service.rankings import Rankings
from palio.competitions.types import RankTerms
from palio.infra.db import Database
from palio.kernel.batches import Gatherer

LOAD_SECONDS_MAX = 120
LOADS_AT_ONCE_MAX = 2
ANOTHERS_SECONDS_MAX = 60  # that another process of this host may take to load the same one

log = structlog.get_logger()


class Warmer:
    """One per process: whoever misses a ranking has it loaded here, once for all who ask."""

    def __init__(self, database: Database) -> None:
        self._database = database
        loading: Gatherer[RankTerms, None] = Gatherer(self._load, flights_max=LOADS_AT_ONCE_MAX)
        checking: Gatherer[RankTerms, None] = Gatherer(self._check)
        remembered = database.remembered(Rankings)
        self._loading, self._checking = loading, checking
        remembered.apart, remembered.look_after = self._begin, self._look_after

    def _begin(self, terms: RankTerms) -> "asyncio.Future[None]":
        loading = self._loading.submit(terms)
        loading.add_done_callback(_noted)
        return loading

    def _look_after(self, terms: RankTerms) -> None:
        self._checking.submit(terms).add_done_callback(_noted)

    async def _load(self, wanted: Sequence[RankTerms]) -> list[None]:
        for terms in dict.fromkeys(wanted):
            async with self._database.begin_system("a ranking is loaded", seconds_max=LOAD_SECONDS_MAX) as tx:
                await rankings.load(tx, terms=terms, patience_s=ANOTHERS_SECONDS_MAX)
        return [None] * len(wanted)

    async def _check(self, wanted: Sequence[RankTerms]) -> list[None]:
        for terms in dict.fromkeys(wanted):
            async with self._database.begin_system("a ranking is checked", seconds_max=LOAD_SECONDS_MAX) as tx:
                await rankings.check(tx, terms=terms, chance=secrets.randbelow)
        return [None] * len(wanted)


def _noted(work: "asyncio.Future[None]") -> None:
    """Write down what went wrong where nobody may be waiting any more."""
    if not work.cancelled() and (failure := work.exception()):
        log.warning("a ranking could not be read apart", failure=type(failure).__name__)
