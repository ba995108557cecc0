"""The suite's own load program: `python -m bench.generator`, an order on stdin, one line of JSON on stdout."""

import asyncio
import base64
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from time import monotonic

import uvloop

HOST = "127.0.0.1"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
FIRST_FAILED_STATUS = 400
PATIENCE_SECONDS = 10  # after the end, for answers that are still open


@dataclass(slots=True)
class Tally:
    """What came back, and how long each answer took, in seconds."""

    latencies: list[float] = field(default_factory=list)
    failed: int = 0

    def quantile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


@dataclass(frozen=True, slots=True)
class Pace:
    """When to ask: at once (interval 0), or every so many seconds on each connection. Times are of `monotonic`."""

    end: float
    interval: float

    def next_due(self, due: float, now: float) -> float:
        return due + self.interval if self.interval else now


class Connection(asyncio.Protocol):
    """Asks, waits for the whole answer, asks again when it is due; closes itself at the end.

    An answer's time counts from when its request was due if the answer before it came late: a slow server does not
    spare itself requests. It counts from the sending if only our own timer (1 ms) was late.
    """

    def __init__(self, requests: Iterator[bytes], tally: Tally, pace: Pace, first_due: float) -> None:
        self._requests = requests
        self._tally, self._pace = tally, pace
        self._due = self._asked_at = first_due
        self._received = b""
        self._is_waiting = False
        self._transport: asyncio.Transport
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a stream's always is
        self._transport = transport
        self._ask_when_due(monotonic())

    def _ask_when_due(self, now: float) -> None:
        if self._due <= now:
            self._ask(self._due)
        else:
            asyncio.get_running_loop().call_later(self._due - now, lambda: self._ask(monotonic()))

    def _ask(self, asked_at: float) -> None:
        if asked_at >= self._pace.end:
            self._transport.close()
            return
        self._asked_at, self._is_waiting = asked_at, True
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if separator and length is None:
            self._transport.close()  # an answer of unknown length counts as a failure
        elif separator and length and len(body) >= int(length[1]):
            self._finish(int(head.split(b" ", 2)[1]))

    def _finish(self, status: int) -> None:
        now = monotonic()
        self._tally.latencies.append(now - self._asked_at)
        self._tally.failed += status >= FIRST_FAILED_STATUS
        self._received, self._is_waiting = b"", False
        self._due = self._pace.next_due(self._due, now)
        self._ask_when_due(now)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._tally.failed += self._is_waiting
        self.closed.set()


async def generate(
    *, port: int, connections: int, seconds: float, rate: float | None, requests: Sequence[bytes]
) -> dict[str, float]:
    """Load the server and say what came back."""
    begin = monotonic()
    pace = Pace(begin + seconds, connections / rate if rate else 0.0)
    tally = Tally()
    closed, turn = [], cycle(requests)
    for number in range(connections):  # at a fixed rate they do not ask all at once
        first_due = begin + number * pace.interval / connections
        connection = Connection(turn, tally, pace, first_due)
        await _open(connection, port)
        closed.append(connection.closed.wait())
    await asyncio.wait_for(asyncio.gather(*closed), seconds + PATIENCE_SECONDS)
    return {
        "answers": len(tally.latencies),
        "failed": tally.failed,
        "seconds": monotonic() - begin,
        "p50_ms": tally.quantile_ms(0.5),
        "p95_ms": tally.quantile_ms(0.95),
    }


async def _open(connection: Connection, port: int) -> None:
    await asyncio.get_running_loop().create_connection(lambda: connection, HOST, port)


def main() -> None:
    """Read the order, load, print."""
    order = json.load(sys.stdin)
    order["requests"] = [base64.b64decode(text) for text in order["requests"]]
    sys.stdout.write(json.dumps(uvloop.run(generate(**order))) + "\n")


if __name__ == "__main__":
    main()
