"""A database of identity's own: what lets people in really commits."""

import secrets
from collections.abc import AsyncIterator
from datetime import datetime

import pytest

from palio.infra import embedded
from palio.infra.geo import Geo
from tests.competitions.conftest import statements
from tests.factories.geo import write_geo
from tests.factories.identity import World

__all__ = ["committed", "statements", "world"]


@pytest.fixture(scope="session")
async def committed(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    places = {"198.51.100.0/24": ("DE", "Berlin"), "203.0.113.0/24": ("JP", "Osaka")}
    geo = Geo(write_geo(tmp_path_factory.mktemp("geo") / "places.mmdb", places))
    world = World(cluster, f"palio_identity_{worker_id}_{secrets.token_hex(3)}", geo=geo)
    await world.open()
    yield world
    await world.close()


@pytest.fixture
async def world(committed: World, noon: datetime) -> World:
    await committed.empty(noon)
    return committed
