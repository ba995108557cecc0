"""Who reads slowly, on a real socket with full buffers: he skips what was overtaken, stays, and ends at the newest."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect

from palio import races
from palio.infra import embedded, realtime
from palio.infra.db import Database
from palio.infra.realtime import STATE_INTERVAL_MS
from palio.kernel.ids import new_id
from tests.ui.house import SYSTEM, House, housed
from tests.ui.product import product

ROUNDS, TOPICS = 12, [f"race:{new_id()}" for _ in range(10)]
LONG = "x" * 3_800
BUFFER_BYTES = 4_096
PATIENCE_SECONDS = 30


@pytest.fixture
async def house(cluster: embedded.Cluster, database_name: str, database: Database) -> AsyncIterator[House]:
    dsn = cluster.dsn("palio_app", database_name)
    async with housed(dsn, lambda hub: product(database, hub), sends_ahead_bytes=BUFFER_BYTES) as house:
        yield house


def narrow_line(base: str) -> socket.socket:
    """A connection that takes little before it is read."""
    address = urlsplit(base)
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    line.connect((address.hostname, address.port))
    line.setblocking(False)
    return line


async def tell(house: House) -> None:
    """So much that no buffer holds it: each topic changes again as soon as it may be told again."""
    for seq in range(1, ROUNDS + 1):
        async with house.database.begin(SYSTEM) as tx:
            for topic in TOPICS:
                realtime.publish(tx, topic, races.RACE_UPDATED, {"seq": seq, "long": LONG})
        await house.settled()
        await asyncio.sleep(STATE_INTERVAL_MS.default / 1_000 * 1.1)


def seen_by(events: list[dict[str, object]]) -> dict[str, list[int]]:
    """What was told of each topic, in order."""
    seen: dict[str, list[int]] = {}
    for event in events:
        seen.setdefault(str(event["topic"]), []).append(event["data"]["seq"])  # type: ignore[index]  # facts
    return seen


def require_skipped(seen: dict[str, list[int]]) -> None:
    assert seen.keys() == set(TOPICS)
    assert {numbers[-1] for numbers in seen.values()} == {ROUNDS}, "everybody ends at the newest"
    assert all(numbers == sorted(set(numbers)) for numbers in seen.values()), "nothing comes twice, or back"
    assert sum(map(len, seen.values())) < ROUNDS * len(TOPICS) / 2, "what was overtaken is skipped"


async def test_a_slow_reader_of_a_stream_of_events(house: House) -> None:
    line = narrow_line(house.base)
    reader, writer = await asyncio.open_connection(sock=line, limit=BUFFER_BYTES * 4)
    asked = f"/api/v1/stream?topics={','.join(TOPICS)}"
    writer.write(f"GET {asked} HTTP/1.1\r\nHost: palio.test\r\nAccept: text/event-stream\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (await reader.readline()).startswith(b"event: ready"):
            pass
    await tell(house)

    assert house.hub.streams_open == 1, "he is still there"
    events: list[dict[str, object]] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while [numbers[-1] for numbers in seen_by(events).values()] != [ROUNDS] * len(TOPICS):
            said = await reader.readline()
            if said.startswith(b"data: ") and b'"seq"' in said:
                events.append(json.loads(said.removeprefix(b"data: ")))
    require_skipped(seen_by(events))
    writer.close()


async def test_a_slow_reader_of_a_socket(house: House) -> None:
    address = house.base.replace("http", "ws") + "/api/v1/stream/ws"
    async with connect(address, sock=narrow_line(house.base), max_queue=1) as line:
        await line.send(json.dumps({"op": "hello", "topics": TOPICS}))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while json.loads(await line.recv())["op"] != "ready":
                pass
        await tell(house)

        assert house.hub.streams_open == 1, "he is still there"
        events: list[dict[str, object]] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while [numbers[-1] for numbers in seen_by(events).values()] != [ROUNDS] * len(TOPICS):
                frame = json.loads(await line.recv())
                if frame["op"] == "event":
                    events.append(frame["event"])
        require_skipped(seen_by(events))
