"""Rounds: the arms of a comparison take turns, so that a slow minute of the machine is everybody's."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.meters import Cost, Meter

ROUNDS_MIN = 5  # fewer give no range worth printing; a trial may ask for less


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure and at what size. A size below the stated one makes a trial: yard-sticks shrink with it."""

    seconds: float = 5.0
    rounds: int = ROUNDS_MIN
    size: int | None = None

    def size_of(self, stated: int) -> int:
        return self.size or stated

    def share_of(self, stated: int) -> float:
        """What a yard-stick takes of its own stated size."""
        return min(1.0, self.size_of(stated) / stated)


@dataclass(frozen=True, slots=True)
class Work:
    """What was done in a turn, and what the arm knows better than the frame.

    `seconds` comes from load programs that keep their own time, `used` from arms that start processes of their own.
    """

    amount: float
    seconds: float | None = None
    used: Cost | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    amount: float
    cost: Cost

    @property
    def rate(self) -> float:
        return self.amount / self.cost.wall


class Arm(ABC):
    """One side of a comparison. Only `act` is measured."""

    name: str
    unit: str  # what `act` counts, in the plural

    async def prepare(self) -> None:  # noqa: B027 - most arms need nothing
        """Bring about what the turn begins with."""

    @abstractmethod
    async def act(self) -> Work:
        """Do the work of one turn."""

    async def check(self) -> list[str]:
        """Say what is wrong after the turn: sums, counts, order. Nothing is the answer of a correct one."""
        return []


@dataclass(slots=True)
class Series:
    """Every turn of one arm."""

    name: str
    unit: str
    turns: list[Turn] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        return [turn.rate for turn in self.turns]

    @property
    def rates_of_core(self) -> list[float]:
        """What a second of processor time does: on a busy machine it still tells one arm from another."""
        return [turn.amount / turn.cost.cpu for turn in self.turns]

    @property
    def cpu_seconds(self) -> list[float]:
        return [turn.cost.cpu for turn in self.turns]

    @property
    def cores(self) -> tuple[float, float]:
        """How many cores the servers and the database kept busy, in the median turn."""
        return (
            median(turn.cost.server / turn.cost.wall for turn in self.turns),
            median(turn.cost.database / turn.cost.wall for turn in self.turns),
        )


async def interleave(
    arms: Sequence[Arm], *, rounds: int, meter: Meter, tell: Callable[[str], None]
) -> dict[str, Series]:
    """Let the arms take turns, `rounds` times; the answer has a series for each name."""
    found = {arm.name: Series(arm.name, arm.unit) for arm in arms}
    for number in range(1, rounds + 1):
        for arm in arms:
            tell(f"round {number} of {rounds}: {arm.name}")
            await arm.prepare()
            found[arm.name].turns.append(await _turn(arm, meter))
            found[arm.name].faults += await arm.check()
    return found


async def _turn(arm: Arm, meter: Meter) -> Turn:
    before = meter.read()
    work = await arm.act()
    seen = meter.read() - before
    used = work.used or seen
    wall = seen.wall if work.seconds is None else work.seconds
    return Turn(work.amount, Cost(wall, used.server, used.database))
