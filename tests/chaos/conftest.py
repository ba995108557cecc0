"""A house for each file of chaos."""

from collections.abc import Iterator
from random import Random

import pytest

from tests.chaos.house import House, built


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with built() as house:
        yield house


@pytest.fixture(scope="module")
def chance(request: pytest.FixtureRequest) -> Random:
    """Random moments; the seed is printed at the end of every run."""
    return Random(int(request.config.getoption("hypothesis_seed")))  # noqa: S311 - moments, no secrets
