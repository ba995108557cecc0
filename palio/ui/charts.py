"""What the chart element draws; the same figures stand beside it as a table."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: `step` stays until the next value, `rank` too, and its best is on top."""

    name: str
    kind: Literal["bar", "line", "step", "rank"]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Values over named places, at most five series."""

    categories: tuple[str, ...]
    series: tuple[Series, ...]
