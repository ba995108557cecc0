"""Many who listen: `python -m tests.ui.crowd PORT COUNT TOPIC ROUNDS` opens streams, hears, and tells how it went.

Each address has twenty streams, as one that nobody knows may have. They come in four parts, and it writes a line when
all of a part have begun, and one of JSON at the end: how many heard everything, and after how many milliseconds.
"""

import asyncio
import json
import sys
import time
from datetime import datetime
from typing import TypeAlias

OF_AN_ADDRESS = 20
PARTS = 4
AT_ONCE = 25
TRIES_MAX = 30
BUSY = b"503 Service Unavailable"


Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]  # who lets go of the second closes it


async def listen(number: int, port: int, topic: str, begun: asyncio.Semaphore) -> Stream:
    """Open a stream from an address of its own kind, and hear it begin; who is told to come back does."""
    host, rest = divmod(number // OF_AN_ADDRESS, 250)
    asked = f"GET /api/v1/stream?topics={topic} HTTP/1.1\r\nHost: palio.test\r\nAccept: text/event-stream\r\n\r\n"
    async with begun:
        for _ in range(TRIES_MAX):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=(f"127.1.{host}.{rest + 1}", 0), limit=1 << 14
            )
            writer.write(asked.encode())
            told = b""
            while not (said := await reader.readline()).startswith(b"event: ready"):
                told += said
                if not said or (said == b"\r\n" and BUSY in told):
                    break
            else:
                return reader, writer
            writer.close()
            if BUSY not in told:
                break
            await asyncio.sleep(1)
    raise ConnectionError(f"stream {number} did not begin: {told.decode()}")


async def hear(reader: asyncio.StreamReader, rounds: int, waits_ms: list[float]) -> bool:
    """Hear until the last round; how long each took to come is noted."""
    while said := await reader.readline():
        if said.startswith(b"data: ") and b'"seq"' in said:
            event = json.loads(said.removeprefix(b"data: "))
            waits_ms.append((time.time() - datetime.fromisoformat(event["at"]).timestamp()) * 1_000)
            if event["data"]["seq"] == rounds:
                return True
    return False


async def run(port: int, count: int, topic: str, rounds: int) -> None:
    begun = asyncio.Semaphore(AT_ONCE)
    streams: list[Stream] = []
    for part in range(PARTS):
        numbers = range(part * count // PARTS, (part + 1) * count // PARTS)
        streams += await asyncio.gather(*(listen(number, port, topic, begun) for number in numbers))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
    waits_ms: list[float] = []
    heard = await asyncio.gather(*(hear(reader, rounds, waits_ms) for reader, _ in streams))
    waits_ms.sort()
    p95 = waits_ms[len(waits_ms) * 95 // 100]
    sys.stdout.write(json.dumps({"heard": sum(heard), "events": len(waits_ms), "p95_ms": round(p95)}) + "\n")


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
