"""The scorer: what programs submit at the same moment is carried out in one transaction, and ranked after it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Literal, NamedTuple

from palio.competitions.service import programs
from palio.competitions.service.rankings import Rankings
from palio.competitions.types import ListId, Outcome, ProgramScore, Refused
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.batches import Gatherer
from palio.kernel.errors import Unavailable

ITEMS_AT_ONCE_MAX = 10_000
FLIGHTS_MAX = 2  # one is made while another is in the database
UNIT_ITEMS_MAX = 50  # longer lists would keep single scores waiting

Unit = Sequence[ProgramScore | Refused]
Mode = Literal["each", "all"]


_Done = Sequence[tuple[ProgramScore | Refused, Outcome]]


class Told(NamedTuple):
    """What became of a submission, and the ranks it has led to by list, as far as they are known."""

    outcome: Outcome
    ranks: Mapping[ListId, int]


class ScoresRefusedError(Exception):
    """Ends a transaction that happens whole or not at all; carries what would have become of its items."""

    def __init__(self, told: list[Told]) -> None:
        super().__init__(len(told))
        self.told = told


class Scorer:
    """One per process. Whoever asks has been judged by an edge."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gatherer: Gatherer[Unit, list[Told]] = Gatherer(self._flush, flights_max=FLIGHTS_MAX, fills=True)
        self._ranking: Gatherer[_Done, list[Mapping[ListId, int]]] = Gatherer(self._rank)

    async def submit(self, unit: Unit, *, mode: Mode = "each") -> list[Told]:
        """Carry out submissions, each by itself or all of them or none, and answer in their order.

        Others in the way are waited for, and tried again at most five times. Refuses with Busy, Unavailable, TooLarge.
        Raises ScoresRefusedError in mode `all` if one was refused.
        """
        if mode == "each" and len(unit) <= UNIT_ITEMS_MAX:
            return await self._gatherer.submit(unit)
        return await self._ranked(unit, await self._carry_out(unit, mode))

    async def _flush(self, units: Sequence[Unit]) -> list[list[Told]]:
        told: list[list[Told]] = []
        for part in _parts(units):
            done = iter(await self._carry_out_soon([item for unit in part for item in unit]))
            told += [[next(done) for _ in unit] for unit in part]
        return told

    async def _carry_out_soon(self, unit: Unit) -> list[Told]:
        """Each by itself: in one statement those that are plain, if nothing is in their way, the others as always.

        So are all when nobody knows what became of the statement: a key that was used answers as it did.
        """
        outcomes: list[Outcome | None] = [None] * len(unit)
        ranks: list[Mapping[ListId, int] | None] = [None] * len(unit)
        with suppress(Unavailable):
            async with self._database.alone("plain scores of programs") as tx:
                flown = await programs.submit_alone_many(tx, unit, now=clock.now())
            outcomes, ranks = flown.outcomes, await flown.ranks(self._database.remembered(Rankings))
        if left := [place for place, outcome in enumerate(outcomes) if outcome is None]:
            others = await self._carry_out([unit[place] for place in left], "each")
            for place, outcome in zip(left, others, strict=True):
                outcomes[place] = outcome
        done = [outcome for outcome in outcomes if outcome is not None]
        if unranked := [place for place, known in enumerate(ranks) if known is None]:
            late = await self._ranked([unit[place] for place in unranked], [done[place] for place in unranked])
            for place, told in zip(unranked, late, strict=True):
                ranks[place] = told.ranks
        return [Told(outcome, known or {}) for outcome, known in zip(done, ranks, strict=True)]

    async def _carry_out(self, unit: Unit, mode: Mode) -> Sequence[Outcome]:
        async def work(tx: Tx) -> list[Outcome]:
            outcomes = await programs.submit_many(tx, unit, now=clock.now())
            if mode == "all" and any(isinstance(outcome, Refused) for outcome in outcomes):
                raise ScoresRefusedError([Told(outcome, {}) for outcome in outcomes])
            return outcomes

        return await db.retrying(partial(self._database.begin_system, "scores of programs", generic_plans=True), work)

    async def _ranked(self, unit: Unit, outcomes: Sequence[Outcome]) -> list[Told]:
        ranks = await self._ranking.submit(list(zip(unit, outcomes, strict=True)))
        return [Told(outcome, known) for outcome, known in zip(outcomes, ranks, strict=True)]

    async def _rank(self, flights: Sequence[_Done]) -> list[list[Mapping[ListId, int]]]:
        """The ranks after flights that have landed meanwhile, by one look for all of them."""
        done = [one for flight in flights for one in flight]
        ranks = None
        with suppress(Unavailable):
            async with self._database.alone("ranks of scores") as tx:
                ranks = await programs.ranks_alone_many(tx, done)
        if ranks is None:
            async with self._database.begin_system("ranks of scores", generic_plans=True) as tx:
                ranks = await programs.ranks_many(tx, done, now=clock.now())
        found = iter(ranks)
        return [[next(found) for _ in flight] for flight in flights]


def _parts(units: Sequence[Unit]) -> Iterator[Sequence[Unit]]:
    """The units in their order, as many together as one batch takes."""
    part: list[Unit] = []
    items = 0
    for unit in units:
        if part and items + len(unit) > ITEMS_AT_ONCE_MAX:
            yield part
            part, items = [], 0
        part.append(unit)
        items += len(unit)
    yield part
