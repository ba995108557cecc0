"""A database of identity's own: what lets people in really commits."""

from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from palio.infra import embedded
from tests.competitions.conftest import statements
from tests.factories.identity import World

__all__ = ["committed", "statements", "world"]


@pytest.fixture(scope="session")
async def committed(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[World]:
    world = World(cluster, f"palio_identity_{worker_id}")
    await world.open()
    yield world
    await world.close()


@pytest.fixture
async def world(committed: World, noon: datetime) -> World:
    await committed.empty(noon)
    return committed
