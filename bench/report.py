"""How a run is told: a table for readers, one JSON object per goal for programs, a page for the record."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from bench.figures import Figure, Growth, Verdict
from bench.rounds import Series

VERDICTS: dict[Verdict, str] = {
    "goal": "goal reached",
    "floor": "floor reached",
    "missed": "BELOW THE FLOOR",
    "wrong": "WRONG RESULT: does not count",
}


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure without a promise that travels between machines better than seconds do."""

    title: str
    rounds: tuple[float, ...]


@dataclass(slots=True)
class Findings:
    """Everything one bench has to say."""

    name: str
    title: str
    series: Sequence[Series]
    figures: Sequence[Figure] = ()
    ratios: Sequence[Ratio] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        return [fault for series in self.series for fault in series.faults]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When and where a run took place: figures mean nothing without."""

    at: datetime
    commit: str
    machine: str

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} UTC · {self.commit} · {self.machine}"


def as_json(found: Iterable[Findings]) -> list[str]:
    """A line for each figure of a goal, and on it one object; yard-sticks alone have none."""
    return [json.dumps(figure.as_json()) for findings in found for figure in findings.figures]


def as_text(found: Iterable[Findings]) -> str:
    """For each bench ratios and figures first, then what the arms did, then notes and faults."""
    return "\n\n".join(map(_section, found))


def _section(findings: Findings) -> str:
    lines = [f"{findings.name}  {findings.title}"]
    lines += [f"  {ratio.title}: {number(median(ratio.rounds))}  ({span(ratio.rounds)})" for ratio in findings.ratios]
    lines += [f"  {figure_line(figure)}" for figure in findings.figures]
    lines += [f"  {line}" for line in arms_table(findings.series)]
    lines += [f"  {note}" for note in findings.notes]
    lines += [f"  WRONG: {fault}" for fault in findings.faults]
    return "\n".join(lines)


def figure_line(figure: Figure) -> str:
    """Value, range, goal and floor side by side."""
    goal, sign = figure.goal, "≤" if figure.goal.less_is_better else "≥"
    promise = f"goal {sign} {number(goal.target)}, floor {sign} {number(goal.floor)}"
    value = f"{goal.name} {number(figure.value)} {goal.unit}  ({span(figure.rounds)})"
    return f"{value}  {promise}: {VERDICTS[figure.verdict]}"


def arms_table(series: Sequence[Series]) -> list[str]:
    """Median and range of the rate, and what a turn cost: seconds, and how many cores that kept busy."""
    rows = [["arm", "a second", "range", "wall s", "server CPU", "database CPU", "server cores", "database cores"]]
    rows += [_arm_row(one) for one in series if one.turns]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _arm_row(series: Series) -> list[str]:
    costs = [turn.cost for turn in series.turns]
    return [
        series.name,
        f"{number(median(series.rates))} {series.unit}",
        span(series.rates),
        number(median(cost.wall for cost in costs)),
        number(median(cost.server for cost in costs)),
        number(median(cost.database for cost in costs)),
        *(f"{cores:.2f}" for cores in series.cores),
    ]


def growth_line(steps: Sequence[Growth]) -> str:
    """How cost followed size."""
    told = [f"{step.size:,} → {step.next_size:,}: {number(step.factor)} times (^{step.exponent:.2f})" for step in steps]
    worst = "linear or better" if all(step.is_linear for step in steps) else "WORSE THAN LINEAR"
    return f"growth of cost: {', '.join(told)}: {worst}"


def as_page(found: Sequence[Findings], circumstances: Circumstances) -> str:
    """A section for RESULTS.md."""
    lines = [f"## {circumstances}", "", "| | value | range | goal | floor | |", "|---|---|---|---|---|---|"]
    for findings in found:
        lines += [
            f"| {findings.name} {ratio.title} | **{number(median(ratio.rounds))}** | {span(ratio.rounds)} | | | |"
            for ratio in findings.ratios
        ]
        lines += [_page_row(figure) for figure in findings.figures]
    return "\n".join([*lines, "", "```text", as_text(found), "```", ""])


def _page_row(figure: Figure) -> str:
    goal = figure.goal
    cells = [f"{goal.name} {goal.unit}", f"**{number(figure.value)}**", span(figure.rounds)]
    cells += [number(goal.target), number(goal.floor), VERDICTS[figure.verdict]]
    return f"| {' | '.join(cells)} |"


def span(values: Sequence[float]) -> str:
    """From the least to the greatest."""
    return f"{number(min(values))}-{number(max(values))} in {len(values)}"


def number(value: float) -> str:
    """Three significant digits, thousands apart: 0.212, 14.3, 612,000."""
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= 100:  # noqa: PLR2004 - from here on three digits hold no fraction
        return f"{rounded:,.0f}"
    return f"{rounded:g}"
