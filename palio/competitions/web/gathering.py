"""The scorer: what programs submit at the same moment is carried out in one transaction, and ranked after it."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal, NamedTuple

from palio.competitions.service import programs
from palio.competitions.types import ListId, Outcome, ProgramScore, Refused
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.batches import Gatherer

ITEMS_AT_ONCE_MAX = 10_000
UNIT_ITEMS_MAX = 50  # longer lists would keep single scores waiting

Unit = Sequence[ProgramScore | Refused]
Mode = Literal["each", "all"]


class Told(NamedTuple):
    """What became of a submission, and the ranks it has led to by list, as far as they are known."""

    outcome: Outcome
    ranks: "dict[ListId, int]"


class ScoresRefusedError(Exception):
    """Ends a transaction that happens whole or not at all; carries what would have become of its items."""

    def __init__(self, told: list[Told]) -> None:
        super().__init__(len(told))
        self.told = told


class Scorer:
    """One per process. Whoever asks has been judged by an edge."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._gatherer: Gatherer[Unit, list[Told]] = Gatherer(self._flush)

    async def submit(self, unit: Unit, *, mode: Mode = "each") -> list[Told]:
        """Carry out submissions, each by itself or all of them or none, and answer in their order.

        Others in the way are waited for, and tried again at most five times. Refuses with Busy, Unavailable, TooLarge.
        Raises ScoresRefusedError in mode `all` if one was refused.
        """
        if mode == "each" and len(unit) <= UNIT_ITEMS_MAX:
            return await self._gatherer.submit(unit)
        return await self._carry_out(unit, mode)

    async def _flush(self, units: Sequence[Unit]) -> list[list[Told]]:
        told: list[list[Told]] = []
        for part in _parts(units):
            done = iter(await self._carry_out([item for unit in part for item in unit], "each"))
            told += [[next(done) for _ in unit] for unit in part]
        return told

    async def _carry_out(self, unit: Unit, mode: Mode) -> list[Told]:
        async def work(tx: Tx) -> list[Outcome]:
            outcomes = await programs.submit_many(tx, unit, now=clock.now())
            if mode == "all" and any(isinstance(outcome, Refused) for outcome in outcomes):
                raise ScoresRefusedError([Told(outcome, {}) for outcome in outcomes])
            return outcomes

        outcomes = await db.retrying(
            partial(self._database.begin_system, "scores of programs", generic_plans=True), work
        )
        async with self._database.begin_system("ranks of scores", generic_plans=True) as tx:
            ranks = await programs.ranks_many(tx, list(zip(unit, outcomes, strict=True)), now=clock.now())
        return [Told(outcome, dict(known)) for outcome, known in zip(outcomes, ranks, strict=True)]


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
