"""Arms take turns; what is measured is the act alone."""

import os

from bench.meters import Cost, Meter
from bench.rounds import Arm, Plan, Series, Turn, Work, interleave


class Recorded(Arm):
    unit = "steps"

    def __init__(self, name: str, diary: list[str], work: Work) -> None:
        self.name = name
        self._diary, self._work = diary, work

    async def prepare(self) -> None:
        self._diary.append(f"{self.name} prepares")

    async def act(self) -> Work:
        self._diary.append(f"{self.name} acts")
        return self._work

    async def check(self) -> list[str]:
        self._diary.append(f"{self.name} checks")
        return [f"{self.name} lost a row"] if self.name == "ours" else []


def quiet(line: str) -> None:
    """Nobody listens."""


async def test_arms_are_interleaved_round_by_round() -> None:
    diary: list[str] = []
    arms = [Recorded("yard-stick", diary, Work(10)), Recorded("ours", diary, Work(20))]

    found = await interleave(arms, rounds=2, meter=Meter(os.getpid()), tell=quiet)

    turn = [f"{name} {step}" for name in ("yard-stick", "ours") for step in ("prepares", "acts", "checks")]
    assert diary == turn * 2
    assert [len(series.turns) for series in found.values()] == [2, 2]
    assert found["yard-stick"].faults == []
    assert found["ours"].faults == ["ours lost a row"] * 2


async def test_a_load_program_keeps_its_own_time() -> None:
    arm = Recorded("pgbench", [], Work(100, seconds=4))

    found = await interleave([arm], rounds=1, meter=Meter(os.getpid()), tell=quiet)

    assert found["pgbench"].rates == [25]


async def test_an_arm_may_know_what_its_processes_used() -> None:
    arm = Recorded("start", [], Work(1, seconds=2, used=Cost(wall=0, server=1.5, database=0.5)))

    found = await interleave([arm], rounds=1, meter=Meter(os.getpid()), tell=quiet)

    assert found["start"].cpu_seconds == [2.0]
    assert found["start"].cores == (0.75, 0.25)


async def test_processor_time_is_read_from_the_processes() -> None:
    meter = Meter(os.getpid())
    before = meter.read()
    sum(range(3_000_000))

    cost = meter.read() - before

    assert 0 < cost.server < 2 * cost.wall
    assert cost.cpu == cost.server + cost.database


def test_cores_are_those_of_the_median_turn() -> None:
    turns = [Turn(1, Cost(wall=1, server=share, database=0)) for share in (0.1, 0.2, 0.9)]

    assert Series("ours", "steps", turns).cores == (0.2, 0)


def test_what_a_core_does_is_told_apart_from_waiting() -> None:
    """The same work waited for ten times as long while others had the machine."""
    turns = [Turn(100, Cost(wall=wall, server=0.5, database=1.5)) for wall in (2, 20)]

    assert Series("ours", "rows", turns).rates == [50, 5]
    assert Series("ours", "rows", turns).rates_of_core == [50, 50]


def test_yard_sticks_shrink_with_a_trial_but_never_grow() -> None:
    assert Plan().share_of(100_000) == 1
    assert Plan(size=1_000).share_of(100_000) == 0.01
    assert Plan(size=1_000_000).share_of(100_000) == 1
    assert Plan(size=1_000_000).size_of(100_000) == 1_000_000
