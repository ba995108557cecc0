"""What the description of live topics lists can be joined, by whoever it says, and nothing else can."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from palio.affiliates import FeedRecovered, FeedStale
from palio.affiliates.types import ProgrammeId
from palio.entry import notices
from palio.entry.topics import TOPICS
from palio.infra import embedded
from palio.infra.db import Database
from palio.kernel.ids import new_id
from palio.kernel.topics import OWNER, PUBLIC
from palio.ui import asyncapi
from tests.conftest import PATIENCE_S
from tests.ui.house import SYSTEM, House, Stream, housed
from tests.ui.people import ALICE, STELLA, caller
from tests.ui.product import product

EVERY = {topic.access for topic in TOPICS} - {PUBLIC, OWNER}
GUEST, PLAYER = {}, caller("player", ALICE)
STAFF = caller("staff", STELLA, permissions=" ".join(sorted(EVERY)))
NAMES = {"id": str(new_id()), "number": "7", "code": "daily", "period": "D"}


@pytest.fixture
async def house(cluster: embedded.Cluster, database_name: str, database: Database) -> AsyncIterator[House]:
    async with housed(cluster.dsn("palio_app", database_name), lambda hub: product(database, hub)) as house:
        yield house


async def refused(house: House, topics: Sequence[str], headers: dict[str, str], *, place: str = "") -> set[str]:
    """Which of these cannot be heard: what comes before the first comment says so."""
    path = f"/api/v1{place}/stream?topics={','.join(topics)}"
    async with (
        httpx2.AsyncClient(base_url=house.base, timeout=PATIENCE_S) as client,
        client.stream("GET", path, headers=headers) as answer,
    ):
        stream, found = Stream(answer), set[str]()
        async with asyncio.timeout(PATIENCE_S):
            while "comment" not in (frame := await stream.frame()):
                if frame["event"] == "problem":
                    found.add(json.loads(frame["data"])["facts"]["topic"])
    return found


async def test_every_described_topic_can_be_joined_by_whom_it_is_for(house: House) -> None:
    described = json.loads(asyncapi.describe(TOPICS))["channels"].values()
    channels = {
        re.sub(r"\{(\w+)\}", lambda name: NAMES[name[1]], one["address"]): one["x-access"]
        for one in described
        if "x-access" in one
    }
    also_staff = {one.address for one in TOPICS if one.for_staff}
    own = {topic for topic, access in channels.items() if access == OWNER}
    of_staff = {topic for topic, access in channels.items() if access in EVERY}

    assert len(channels) == len(TOPICS)
    assert await refused(house, [*channels], GUEST) == own | of_staff
    assert await refused(house, [*channels], PLAYER) == of_staff
    assert await refused(house, [*channels], STAFF, place="/console") == own - also_staff


async def test_what_is_not_described_cannot_be_joined(house: House) -> None:
    odd = ["system:1", "races:all", "market:7", "me:secrets", "console:everything"]

    assert await refused(house, odd, PLAYER) == {*odd}
    assert await refused(house, odd, STAFF, place="/console") == {*odd}


async def test_the_house_tells_how_it_is_when_that_changes(house: House) -> None:
    """Numbers that go stale and come back are told on `system`, also to whoever comes later."""
    now = datetime.now(UTC)
    async with house.listen(notices.SYSTEM) as stream:
        await stream.frame()
        for event in (
            FeedStale(ProgrammeId(new_id()), now - timedelta(hours=1)),
            FeedRecovered(ProgrammeId(new_id()), now),
        ):
            async with house.database.begin(SYSTEM) as tx:
                tell = notices.tell_of_stale if isinstance(event, FeedStale) else notices.tell_of_recovered
                await tell(tx, event)  # type: ignore[arg-type]  # each its own
            async with asyncio.timeout(PATIENCE_S):
                while (frame := await stream.frame()).get("event") != "changed":
                    pass
            told = json.loads(frame["data"])
            assert (told["topic"], told["type"], told["data"]["status"]) == ("system", "system.notice", "ok")
