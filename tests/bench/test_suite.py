"""Choosing benches, and the exit status of a run."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bench import suite
from bench.figures import Figure, Goal
from bench.report import Findings
from bench.rounds import Plan, Series

SECONDS = Goal("P10", "s CPU", target=0.2, floor=0.5, less_is_better=True)


def findings(value: float, *, correct: bool = True) -> Findings:
    return Findings("P10", "Snapshot", [], [Figure(SECONDS, (value,), correct=correct)])


def test_the_exit_status_is_one_below_a_floor_and_for_a_wrong_result() -> None:
    assert suite.exit_status([findings(0.5)]) == 0
    assert suite.exit_status([findings(0.5), findings(0.51)]) == 1
    assert suite.exit_status([findings(0.1, correct=False)]) == 1


def test_a_wrong_yard_stick_fails_the_run_although_it_has_no_goal() -> None:
    assert suite.exit_status([Findings("LOAD", "", [Series("LOAD", "rows", [], ["a row was lost"])])]) == 1


def test_a_recorded_run_is_appended_to_the_page(tmp_path: Path) -> None:
    page = tmp_path / "RESULTS.md"
    page.write_text("# Results\n")

    suite.record([findings(0.4)], suite.circumstances(), page=page)
    suite.record([findings(0.3)], suite.circumstances(), page=page)

    lines = page.read_text().splitlines()
    assert lines[:2] == ["# Results", ""]
    assert [line for line in lines if line.startswith("| P10")] == [
        "| P10 s CPU | **0.4** | 0.4-0.4 in 1 | 0.2 | 0.5 | floor reached |",
        "| P10 s CPU | **0.3** | 0.3-0.3 in 1 | 0.2 | 0.5 | floor reached |",
    ]
    assert sum("load before" in line for line in lines) == 2


def test_names_choose_benches_in_any_case_and_none_means_every_goal() -> None:
    assert [*suite.chosen(["load", "Tpcb"])] == ["LOAD", "TPCB"]
    assert {*suite.chosen([]).values()} == {*suite.GOALS.values()}
    assert [*suite.chosen(["ledger"])] == ["P1"]
    assert [*suite.chosen(["p3", "P2"])] == ["P3"], "goals that are measured together are measured once"
    with pytest.raises(suite.NoSuchBenchError, match="no bench is called P99; there are "):
        suite.chosen(["P99"])


async def test_what_was_measured_is_kept_when_a_later_bench_fails() -> None:
    @asynccontextmanager
    async def nowhere() -> AsyncIterator[Any]:
        yield None

    async def measure(ground: object, plan: Plan, tell: suite.Tell) -> Findings:
        del ground, plan, tell
        return findings(0.4)

    async def fail(ground: object, plan: Plan, tell: suite.Tell) -> Findings:
        raise TimeoutError

    kept: list[Findings] = []

    with pytest.raises(TimeoutError):
        await suite.run({"P10": measure, "P14": fail}, Plan(), print, kept.append, stand=nowhere)

    assert [one.figures[0].value for one in kept] == [0.4]
