"""The console for tests of its calls."""

from collections.abc import AsyncIterator

import pytest

from palio.infra import embedded
from tests.admin.house import Console, manned


@pytest.fixture(scope="module")
async def console(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    async with manned(cluster, f"palio_console_{worker_id}", tmp_path_factory.mktemp("data")) as console:
        yield console
