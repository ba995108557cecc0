"""Verdicts, medians, ratios and growth: the arithmetic that a promise is held against."""

import pytest

from bench.figures import Figure, Goal, exit_status, growth, ratios, rounded

FASTER = Goal("P1", "x TPCB", target=2.4, floor=1.4)
CHEAPER = Goal("P10", "s CPU", target=0.2, floor=0.5, less_is_better=True)


def test_the_median_of_the_rounds_is_the_value() -> None:
    assert Figure(FASTER, (9.0, 1.9, 2.0, 1.8, 0.1), correct=True).value == 1.9


@pytest.mark.parametrize(
    ("goal", "value", "verdict"),
    [
        (FASTER, 2.5, "goal"),
        (FASTER, 2.4, "goal"),
        (FASTER, 2.39, "floor"),
        (FASTER, 1.4, "floor"),
        (FASTER, 1.39, "missed"),
        (CHEAPER, 0.2, "goal"),
        (CHEAPER, 0.21, "floor"),
        (CHEAPER, 0.5, "floor"),
        (CHEAPER, 0.51, "missed"),
    ],
)
def test_a_limit_itself_is_reached(goal: Goal, value: float, verdict: str) -> None:
    assert Figure(goal, (value,), correct=True).verdict == verdict


def test_a_fast_wrong_run_is_a_failed_run() -> None:
    figure = Figure(FASTER, (99.0,), correct=False)

    assert figure.verdict == "wrong"
    assert exit_status([figure]) == 1


def test_the_exit_status_is_one_when_any_value_misses_its_floor() -> None:
    good, bad = Figure(FASTER, (1.4,), correct=True), Figure(CHEAPER, (0.6,), correct=True)

    assert exit_status([good]) == 0
    assert exit_status([good, bad]) == 1
    assert exit_status([]) == 0


def test_the_object_of_a_goal_has_the_documented_shape() -> None:
    assert Figure(FASTER, (1.9, 1.93456, 2.0), correct=True).as_json() == {
        "goal": "P1",
        "value": 1.935,
        "unit": "x TPCB",
        "floor": 1.4,
        "target": 2.4,
        "less_is_better": False,
        "rounds": [1.9, 1.935, 2.0],
        "correct": True,
    }


def test_ratios_pair_the_rounds() -> None:
    """Both arms were slow in the second round: the ratio does not see it."""
    assert ratios([200, 100], [100, 50]) == (2.0, 2.0)


@pytest.mark.parametrize(
    ("costs", "exponent", "is_linear"),
    [((1.0, 10.0), 1.0, True), ((1.0, 1.0), 0.0, True), ((1.0, 100.0), 2.0, False), ((1.0, 14.0), 1.146128, True)],
)
def test_growth_is_told_as_an_exponent(costs: tuple[float, float], exponent: float, is_linear: bool) -> None:
    [step] = growth([(1_000, [costs[0]]), (10_000, [costs[1]])])

    assert step.factor == costs[1] / costs[0]
    assert step.exponent == pytest.approx(exponent)
    assert step.is_linear is is_linear


def test_growth_has_a_step_between_neighbours() -> None:
    steps = growth([(10, [1.0]), (100, [10.0]), (1_000, [1_000.0])])

    assert [(step.size, step.next_size, step.is_linear) for step in steps] == [(10, 100, True), (100, 1_000, False)]


def test_a_slow_minute_is_no_growth() -> None:
    """Both sizes cost double in two of three rounds; medians apart would compare a slow round with a quick one."""
    [step] = growth([(10, [1.0, 2.0, 1.0]), (100, [10.0, 20.0, 20.0])])

    assert step.factor == 10


def test_four_digits_are_kept() -> None:
    assert [rounded(value) for value in (612_345.6, 0.0123456, 2.0)] == [612_300.0, 0.01235, 2.0]
