"""The teller: what programs ask for at the same moment is carried out in one transaction."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

from palio.infra import db, settings
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.batches import Gatherer
from palio.kernel.errors import Unavailable
from palio.ledger import errors
from palio.ledger.service import programs
from palio.ledger.types import (
    BATCH_ITEMS_MAX,
    LEGS_MAX,
    LEGS_OF_AN_ITEM_MAX,
    AnyOutcome,
    Item,
    Mode,
    Post,
    Refused,
)
from palio.ui.types import BULK_MAX

FLIGHTS_MAX = 2  # one is made while another is in the database; more would be shorter, and cost as much each
UNIT_ITEMS_MAX = 50  # longer lists would keep single transfers waiting

Unit = Sequence[Item | Refused]  # what stays together, in its order


class Teller:
    """One per process. Whoever asks has been judged by an edge, which names him in `Post.actor`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gatherer: Gatherer[Unit, list[AnyOutcome]] = Gatherer(self._flush, flights_max=FLIGHTS_MAX, fills=True)

    def post(self, unit: Unit) -> "asyncio.Future[list[AnyOutcome]]":
        """Carry out a few items, each by itself, with whatever others ask for meanwhile; the outcomes in their order.

        Others in the way are waited for, and tried again at most five times. Refuses with Busy and Unavailable.
        """
        return self._gatherer.submit(unit)

    async def post_apart(self, unit: Unit, *, mode: Mode = "each", dry_run: bool = False) -> list[AnyOutcome]:
        """The same in a transaction of its own. Refuses with BatchTooLarge too, and in mode `all` with BatchRefused."""
        if len(unit) > (items_max := min(settings.value(BATCH_ITEMS_MAX), settings.value(BULK_MAX))):
            raise errors.BatchTooLarge(items=len(unit), limit=items_max)
        if mode == "each" and not dry_run and len(unit) <= UNIT_ITEMS_MAX:
            return await self.post(unit)
        return await self._carry_out(unit, mode, dry_run=dry_run)

    async def _flush(self, units: Sequence[Unit]) -> list[list[AnyOutcome]]:
        outcomes: list[list[AnyOutcome]] = []
        for part in _parts(units):
            done = iter(await self._carry_out_soon([item for unit in part for item in unit]))
            outcomes += [[next(done) for _ in unit] for unit in part]
        return outcomes

    async def _carry_out_soon(self, unit: Unit) -> Sequence[AnyOutcome]:
        """Each by itself: in one statement where all are plain and nothing is in their way, else the ordinary way.

        That one is also taken when nobody knows what became of the statement: a key that was used answers as it did.
        """
        with suppress(Unavailable):
            async with self._database.alone("plain transfers of programs") as tx:
                done = await programs.post_alone_many(tx, unit, now=clock.now())
            if done is not None:
                return done
        return await self._carry_out(unit, "each", dry_run=False)

    async def _carry_out(self, unit: Unit, mode: Mode, *, dry_run: bool) -> list[AnyOutcome]:
        async def work(tx: Tx) -> list[AnyOutcome]:
            return await programs.post_many(tx, unit, now=clock.now(), mode=mode, dry_run=dry_run)

        return await db.retrying(
            partial(self._database.begin_system, "transfers of programs", generic_plans=True), work
        )


def _parts(units: Sequence[Unit]) -> Iterator[Sequence[Unit]]:
    """The units in their order, as many together as one batch of the ledger takes."""
    items_max = settings.value(BATCH_ITEMS_MAX)
    if sum(map(len, units)) <= min(items_max, LEGS_MAX // LEGS_OF_AN_ITEM_MAX):
        yield units
        return
    part: list[Unit] = []
    items = legs = 0
    for unit in units:
        legs_of_unit = sum([len(item.legs) for item in unit if isinstance(item, Post)])
        if part and (items + len(unit) > items_max or legs + legs_of_unit > LEGS_MAX):
            yield part
            part, items, legs = [], 0, 0
        part.append(unit)
        items, legs = items + len(unit), legs + legs_of_unit
    yield part
