"""Deployments as an operator has them: real processes in a place of their own."""

from collections.abc import Iterator

import pytest

from tests.operations.processes import OURSELVES, Deployment, Person, deployed, ordinary


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    """An empty place, ours."""
    with deployed(OURSELVES) as place:
        yield place


@pytest.fixture(scope="session")
def ordinary_user() -> Person | None:
    """Somebody who is not root, if there is an interpreter that he may run."""
    return ordinary()
