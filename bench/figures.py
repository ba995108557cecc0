"""What a run says: a value and its rounds, the goal and the floor it is held against, and how cost grows with size."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["goal", "floor", "missed", "wrong"]
LINEAR_EXPONENT_MAX = 1.15  # ten times the rows may cost 14 times as much: caches end somewhere


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the table of promises: what we aim at, and what we must not fall behind."""

    name: str
    unit: str
    target: float
    floor: float
    less_is_better: bool = False

    def allows(self, value: float, limit: float) -> bool:
        """Is the value on the good side of the limit, or on it?"""
        return value <= limit if self.less_is_better else value >= limit


@dataclass(frozen=True, slots=True)
class Figure:
    """A goal, measured: one value per round, of which the median counts."""

    goal: Goal
    rounds: tuple[float, ...]
    correct: bool

    @property
    def value(self) -> float:
        return median(self.rounds)

    @property
    def verdict(self) -> Verdict:
        """Whether it counts and how far it got; a fast wrong run is a failed run."""
        if not self.correct:
            return "wrong"
        if self.goal.allows(self.value, self.goal.target):
            return "goal"
        return "floor" if self.goal.allows(self.value, self.goal.floor) else "missed"

    @property
    def passed(self) -> bool:
        return self.verdict in {"goal", "floor"}

    def as_json(self) -> dict[str, object]:
        return {
            "goal": self.goal.name,
            "value": rounded(self.value),
            "unit": self.goal.unit,
            "floor": self.goal.floor,
            "target": self.goal.target,
            "less_is_better": self.goal.less_is_better,
            "rounds": [rounded(value) for value in self.rounds],
            "correct": self.correct,
        }


@dataclass(frozen=True, slots=True)
class Growth:
    """How cost grew from one size to the next: exponent 0 is flat, 1 is linear, 2 is quadratic."""

    size: int
    next_size: int
    factor: float

    @property
    def exponent(self) -> float:
        return math.log(self.factor) / math.log(self.next_size / self.size)

    @property
    def is_linear(self) -> bool:
        """No worse than linear: a fixed cost that smaller sizes carry too makes it look better, never worse."""
        return self.exponent <= LINEAR_EXPONENT_MAX


def growth(costs: Sequence[tuple[int, Sequence[float]]]) -> list[Growth]:
    """The steps between neighbouring sizes; `costs` are (size, its cost in each round) above zero, sizes rising."""
    return [
        Growth(size, bigger, median(ratios(costs_of_more, costs_of_less)))
        for (size, costs_of_less), (bigger, costs_of_more) in pairwise(costs)
    ]


def ratios(ours: Sequence[float], yardstick: Sequence[float]) -> tuple[float, ...]:
    """Round by round, so that what slowed the machine down for a while slowed both sides."""
    return tuple(our / their for our, their in zip(ours, yardstick, strict=True))


def exit_status(figures: Iterable[Figure]) -> int:
    """0 when every value counts and reaches its floor, else 1."""
    return 0 if all(figure.passed for figure in figures) else 1


def rounded(value: float) -> float:
    """Four significant digits: more would be noise."""
    return float(f"{value:.4g}")
