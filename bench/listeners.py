"""Browsers that only listen: `python -m bench.listeners`, an order on a line of stdin, one line of JSON on stdout.

Each opens one stream, as a page does. The answer comes when all have seen the last state of each of their topics, or
when patience ends; they stay until stdin is closed, because going costs the server more than the messages did.
"""

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import dataclass, field

import uvloop

HOST, HEARD = "127.0.0.1", b"event: changed\n"
STREAMS_OF_ADDRESS = 20  # as many as one address may have open
PATIENCE_SECONDS = 60


@dataclass(slots=True)
class Tally:
    """How many messages came, and how many listeners are still to see the end of everything."""

    missing: int
    messages: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def finish(self) -> None:
        """One more has seen it all."""
        self.missing -= 1
        if not self.missing:
            self.done.set()


class Listener(asyncio.Protocol):
    """One stream: counts messages, and how many topics have told their last state."""

    def __init__(self, request: bytes, last: bytes, topics: int, tally: Tally) -> None:
        self._request, self._last, self._missing, self._tally = request, last, topics, tally
        self._rest, self._is_done = b"", False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's always is
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        whole, cut, self._rest = (self._rest + data).rpartition(b"\n\n")  # a frame may come in two pieces
        self._tally.messages += (whole + cut).count(HEARD)
        self._missing -= whole.count(self._last)
        if not self._missing and not self._is_done:
            self._is_done = True
            self._tally.finish()


async def listen(*, port: int, listeners: int, topics: list[str], last: str) -> None:
    """Open all streams, hear them to the end, print how much came, and stay; who did not hear it all is missing."""
    tally, loop = Tally(listeners), asyncio.get_running_loop()
    path = f"/api/v1/stream?topics={','.join(topics)}"
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode()
    for number in range(listeners):
        address = f"127.0.1.{1 + number // STREAMS_OF_ADDRESS}"
        await loop.create_connection(
            lambda: Listener(request, last.encode(), len(topics), tally), HOST, port, local_addr=(address, 0)
        )
    with suppress(TimeoutError):
        await asyncio.wait_for(tally.done.wait(), PATIENCE_SECONDS)
    sys.stdout.write(json.dumps({"messages": tally.messages, "finished": listeners - tally.missing}) + "\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Read the order and follow it."""
    uvloop.run(listen(**json.loads(sys.stdin.readline())))


if __name__ == "__main__":
    main()
