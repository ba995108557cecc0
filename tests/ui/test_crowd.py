"""Ten thousand who listen at one process: all of them hear, and what each costs is bounded, however many there are."""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.types import ASGIApp

from palio.infra import embedded
from palio.infra.db import Database
from palio.infra.realtime import Hub
from palio.kernel.ids import new_id
from palio.ui.streams.hearing import COMMENT_SECONDS
from tests.ui.crowd import PARTS
from tests.ui.house import House, housed
from tests.ui.product import product

ROOT = Path(__file__).parents[2]
CROWD, ROUNDS = 10_000, 5
BYTES_OF_A_STREAM_MAX = 64 << 10
GROWTH_MAX = 1.5  # of what opening a quarter costs, from the first to the last
PATIENCE_SECONDS = 300
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
async def house(cluster: embedded.Cluster, database_name: str, database: Database) -> AsyncIterator[House]:
    """A process that sends a comment to those who hear nothing as rarely as the product does."""

    def make(hub: Hub) -> ASGIApp:
        return product(database, hub, comment_seconds=COMMENT_SECONDS)

    async with housed(cluster.dsn("palio_app", database_name), make) as house:
        yield house


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


@pytest.mark.nightly
@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[1] < CROWD + 1_000, reason="this machine opens fewer files at once"
)
async def test_ten_thousand_hear_what_changes(house: House) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    topic, port = f"race:{new_id()}", urlsplit(house.base).port
    before = resident_bytes()
    crowd = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.ui.crowd", str(port), str(CROWD), topic, str(ROUNDS)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert crowd.stdout
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            costs_s = []
            for _ in range(PARTS):
                began = time.process_time()
                assert await crowd.stdout.readline() == b"ready\n"
                costs_s.append(time.process_time() - began)
            assert house.hub.streams_open == CROWD
            of_each = (resident_bytes() - before) // CROWD
            for seq in range(1, ROUNDS + 1):
                await house.tell(topic, seq=seq)
                await asyncio.sleep(2)
            told = json.loads(await crowd.stdout.readline())
    finally:
        if crowd.returncode is None:
            crowd.kill()
        await crowd.wait()

    costs = ", ".join(f"{cost:.1f}" for cost in costs_s)
    sys.stdout.write(f"{CROWD} streams, {of_each} bytes each, opened in {costs} s of processor a quarter: {told}\n")
    assert told["heard"] == CROWD
    assert of_each <= BYTES_OF_A_STREAM_MAX
    assert costs_s[-1] <= GROWTH_MAX * costs_s[0]
