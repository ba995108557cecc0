"""P11: a competition that is over, settled in one transaction: standings, allocation, and a prize into every wallet."""

import gc
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from bench import load
from bench.figures import Figure, Goal, growth, ratios
from bench.ground import SYSTEM, Ground
from bench.report import Findings, Ratio, growth_line
from bench.rounds import Arm, Plan, Work, interleave
from palio import competitions
from palio.competitions.types import Admission, CompetitionId, EntrantId, NewCompetition, Submission
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id

GOAL = Goal("P11", "s", target=2, floor=5, less_is_better=True)
ENTRANTS, ENTRANTS_MIN = 100_000, 20
ITEMS_PER_CALL = 10_000
CENTS_PER_HEAD = 1  # so the largest pool is still paid without a second person
SECONDS_MAX = 60  # a floor that is missed shall still be printed
ROWS_PER_HEAD = 6  # a standing, a reward, a transfer, its key and its two entries
KNUTH = 2_654_435_761
WINDOW = timedelta(hours=5)
EVERYBODY = {"kind": "bps", "split": "occupants", "bands": [{"from": 1, "to": None, "value": 10_000}]}
PAID = """
select (select count(*) from competitions.standings s join competitions.competitions c using (list_id)
        where c.id = %s) as standings,
       (select count(*) from competitions.rewards where competition_id = %s and status = 'paid') as paid,
       (select coalesce(sum(amount), 0) from competitions.rewards where competition_id = %s) as won,
       (select coalesce(sum(amount), 0) from ledger.entries) as total
"""


class Paid(NamedTuple):
    """What the tables say of one competition, and the sum of every entry of the ledger."""

    standings: int
    paid: int
    won: int
    total: int


class Settle(Arm):
    """The end of a competition in which everybody is paid; each turn has one of its own, with the same people."""

    unit = "rows written"

    def __init__(self, ground: Ground, entrants: int) -> None:
        self.entrants = entrants
        self.name = f"{entrants:,} participants"
        self._ground = ground
        self._users = [UserId(new_id()) for _ in range(entrants)]
        self._ends_at = clock.now()  # this month has its partitions
        self._competition_id: CompetitionId | None = None
        self._is_completed = False

    async def prepare(self) -> None:
        """A competition that has just been closed, with a score for everybody."""
        starts_at, self._ends_at = self._ends_at, self._ends_at + WINDOW
        async with self._ground.database.begin(SYSTEM) as tx:
            competition_id = await competitions.create(
                tx, new=_terms(starts_at, self.entrants), created_by=None, now=starts_at - WINDOW
            )
            await competitions.publish(tx, competition_id=competition_id, now=starts_at - WINDOW)
            await competitions.start(tx, competition_id=competition_id, now=starts_at)
        for first in range(0, self.entrants, ITEMS_PER_CALL):
            await self._enter(competition_id, self._users[first : first + ITEMS_PER_CALL], starts_at)
        async with self._ground.database.begin(SYSTEM) as tx:
            await competitions.close(tx, competition_id=competition_id, now=self._ends_at)
        self._competition_id = competition_id
        await self._ground.rest()
        gc.collect()

    async def _enter(self, competition_id: CompetitionId, users: Sequence[UserId], starts_at: datetime) -> None:
        admissions = [Admission(competition_id, "user", str(user), user) for user in users]
        async with self._ground.database.begin(SYSTEM) as tx:
            entrants = await competitions.admit_many(tx, admissions, now=starts_at)
            scores = [_score(competition_id, entrant, starts_at) for entrant in entrants]
            await competitions.submit_many(tx, scores, now=starts_at + WINDOW / 2)

    async def act(self) -> Work:
        async with self._ground.database.begin(SYSTEM, seconds_max=SECONDS_MAX) as tx:
            settled = await competitions.freeze(tx, competition_id=self._known(), evidence={}, now=self._ends_at)
        self._is_completed = settled.status == "completed"
        return Work(ROWS_PER_HEAD * self.entrants)

    async def check(self) -> list[str]:
        """Everybody stands somewhere and is paid once; prizes are the pool, and the ledger sums to nothing."""
        competition_id = self._known()
        async with self._ground.database.begin(SYSTEM) as tx:
            row = await (await tx.execute(PAID, 3 * [competition_id])).fetchone()
        found = Paid(*map(int, row or (0, 0, 0, 0)))
        right = Paid(self.entrants, self.entrants, self.entrants * CENTS_PER_HEAD, 0)
        faults = [] if self._is_completed else [f"{self.name}: not completed"]
        return faults if found == right else [*faults, f"{self.name}: {found}, not {right}"]

    def _known(self) -> CompetitionId:
        if self._competition_id is None:
            raise RuntimeError("a turn begins with prepare")
        return self._competition_id


def _terms(starts_at: datetime, entrants: int) -> NewCompetition:
    return NewCompetition(
        product="custom",
        title="Everybody wins",
        starts_at=starts_at,
        ends_at=starts_at + WINDOW,
        prize_asset="USD",
        guaranteed_pool=entrants * CENTS_PER_HEAD,
        prize_rule=competitions.read_prize_rule(EVERYBODY),
        review_h=0,
        empty_rule="keep",
        leftover_to="house",
    )


def _score(competition_id: CompetitionId, entrant: EntrantId, starts_at: datetime) -> Submission:
    return Submission(competition_id, entrant, 1 + entrant * KNUTH % 2**32, "first", starts_at + timedelta(hours=1))


async def measure(ground: Ground, plan: Plan, tell: Callable[[str], None]) -> Findings:
    """The stated size, and two smaller ones to see how the cost grows."""
    entrants = plan.size_of(ENTRANTS)
    arms = [Settle(ground, size) for size in sorted({max(ENTRANTS_MIN, entrants // part) for part in (100, 10, 1)})]
    async with load.ready(ground, share=plan.share_of(ENTRANTS)) as yardstick:
        found = await interleave([yardstick, *arms], rounds=plan.rounds, meter=ground.meter(), tell=tell)
    largest = found[arms[-1].name]
    costs = [(arm.entrants, found[arm.name].cpu_seconds) for arm in arms]
    return Findings(
        "P11",
        f"a competition of {entrants:,} participants settled in one transaction, everybody paid",
        list(found.values()),
        [Figure(GOAL, tuple(turn.cost.wall for turn in largest.turns), correct=not largest.faults)],
        [
            Ratio("rows written ÷ LOAD", ratios(largest.rates, found[yardstick.name].rates)),
            Ratio("the same by processor time", ratios(largest.rates_of_core, found[yardstick.name].rates_of_core)),
        ],
        [growth_line(growth(costs))],
    )
