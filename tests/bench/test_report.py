"""How a run is told."""

import json
from datetime import UTC, datetime

import pytest

from bench.figures import Figure, Goal, growth
from bench.meters import Cost
from bench.report import Circumstances, Findings, Ratio, as_json, as_page, as_text, growth_line, number
from bench.rounds import Series, Turn

SECONDS = Goal("P10", "s CPU", target=0.2, floor=0.5, less_is_better=True)
MILLISECONDS = Goal("P10", "ms CPU, body unchanged", target=20, floor=50, less_is_better=True)


def findings(*, correct: bool = True, faults: list[str] | None = None) -> Findings:
    turns = [
        Turn(5_000, Cost(wall=0.5, server=0.1, database=0.2)),
        Turn(5_000, Cost(wall=0.25, server=0.1, database=0.1)),
    ]
    return Findings(
        "P10",
        "Snapshot of 100,000 players",
        [Series("changed", "rows", turns, faults or [])],
        [Figure(SECONDS, (0.3, 0.2), correct=correct), Figure(MILLISECONDS, (12.0, 14.0), correct=correct)],
        [Ratio("rows ÷ LOAD", (0.02, 0.04))],
        ["a note"],
    )


def test_json_has_one_object_a_line_for_each_figure() -> None:
    objects = [json.loads(line) for line in as_json([findings(), findings()])]

    assert [(entry["goal"], entry["unit"], entry["value"]) for entry in objects] == [
        ("P10", "s CPU", 0.25),
        ("P10", "ms CPU, body unchanged", 13.0),
    ] * 2


def test_the_text_puts_ratios_first_and_goal_and_floor_side_by_side() -> None:
    assert as_text([findings(faults=["a row was lost"], correct=False)]).splitlines() == [
        "P10  Snapshot of 100,000 players",
        "  rows ÷ LOAD: 0.03  (0.02-0.04 in 2)",
        "  P10 0.25 s CPU  (0.2-0.3 in 2)  goal ≤ 0.2, floor ≤ 0.5: WRONG RESULT: does not count",
        "  P10 13 ms CPU, body unchanged  (12-14 in 2)  goal ≤ 20, floor ≤ 50: WRONG RESULT: does not count",
        "  arm      a second     range               wall s  server CPU  database CPU  server cores  database cores",
        "  changed  15,000 rows  10,000-20,000 in 2  0.375   0.1         0.15          0.30          0.40",
        "  a note",
        "  WRONG: a row was lost",
    ]


def test_a_page_of_the_record_names_date_commit_and_machine() -> None:
    where = Circumstances(datetime(2026, 3, 20, 12, tzinfo=UTC), "abc1234", "2 cores, 23 GB, ext4, Python 3.11.7")

    page = as_page([findings()], where).splitlines()

    assert page[0] == "## 2026-03-20 12:00 UTC · abc1234 · 2 cores, 23 GB, ext4, Python 3.11.7"
    assert page[4:6] == [
        "| P10 rows ÷ LOAD | **0.03** | 0.02-0.04 in 2 | | | |",
        "| P10 s CPU | **0.25** | 0.2-0.3 in 2 | 0.2 | 0.5 | floor reached |",
    ]


def test_growth_names_each_step_and_the_verdict() -> None:
    assert growth_line(growth([(1_000, [1.0]), (10_000, [10.0]), (100_000, [1_000.0])])) == (
        "growth of cost: 1,000 → 10,000: 10 times (^1.00), 10,000 → 100,000: 100 times (^2.00): WORSE THAN LINEAR"
    )


@pytest.mark.parametrize(
    ("value", "text"), [(0.2123, "0.212"), (14.26, "14.3"), (612_345, "612,000"), (5, "5"), (0, "0")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text
