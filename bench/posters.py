"""The load program of transfers: `python -m bench.posters`, an order on stdin, one line of JSON on stdout.

Every request has a key of its own, so none can be sent twice; all are written down before the clock starts. One loop
over bare sockets costs a few microseconds a request, so that the machine is left to those who are measured.
"""

import json
import resource
import select
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from time import monotonic
from uuid import UUID

HOST = "127.0.0.1"
RECEIVE_BYTES = 1 << 20
PATIENCE_SECONDS = 30  # after the end, for answers that are still open
WALLETS_FROM = 0x0198_0000_0000_7000_8000 << 48
DONE = (b"HTTP/1.1 201", b"HTTP/1.1 200")
LENGTH = b"content-length: "
FLOOD_MAX = 10_000  # transfers a second and connection for which requests are prepared


@dataclass(frozen=True, slots=True)
class Order:
    """What to send: transfers between `wallets` players and `counterparts` houses, `items` in one request."""

    port: int
    seconds: float
    tokens: list[str]
    connections: int
    wallets: int
    counterparts: int
    items: int
    name: str  # keys of this turn begin so
    requests_max: int
    rate: float | None = None  # requests a second; without it each connection asks as soon as it is answered


@dataclass(slots=True)
class Talk:
    """One connection: when its request was sent, or was due, and what it has received of the answer."""

    socket: socket.socket
    token: str
    asked_at: float = 0.0
    received: bytes = b""


@dataclass(slots=True)
class Tally:
    """What came back."""

    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    said: str = ""

    def quantile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else 0.0


def wallet(number: int) -> str:
    """The address of a player's wallet; players are numbered through."""
    return f"user:{UUID(int=WALLETS_FROM + number)}:main"


def house(number: int) -> str:
    """The address of an open account."""
    return f"house:bench-{number}"


def transfer(chance: Random, order: Order) -> str:
    """A coin for somebody, as a member of an object that is still open."""
    into, out = wallet(chance.randrange(order.wallets)), house(chance.randrange(order.counterparts))
    return (
        f'"kind":"ledger.transfer","legs":[{{"account":"{into}","asset":"COIN","amount":1}},'
        f'{{"account":"{out}","asset":"COIN","amount":-1}}]}}'
    )


def bodies(order: Order) -> Iterator[tuple[str, bytes]]:
    """Keys and bodies, without end."""
    chance, number = Random(order.name), 0  # noqa: S311 - the same load each time
    while True:
        number += 1
        if order.items == 1:
            yield f"{order.name}-{number}", f"{{{transfer(chance, order)}".encode()
        else:
            items = [f'{{"key":"{order.name}-{number}-{n}",{transfer(chance, order)}' for n in range(order.items)]
            yield "", f'{{"items":[{",".join(items)}]}}'.encode()


def requests(order: Order, token: str, source: Iterator[tuple[str, bytes]], count: int) -> list[bytes]:
    """So many requests of one program."""
    path = "/api/v1/ledger/transfers" + ("" if order.items == 1 else "/batch")
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    )
    found = []
    for _ in range(count):
        key, body = next(source)
        own = f"Idempotency-Key: {key}\r\n" if key else ""
        found.append(f"{head}{own}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return found


def load(order: Order) -> dict[str, object]:
    """Load the server and say what came back."""
    source = bodies(order)
    each = order.requests_max // len(order.tokens) + 1
    waiting = {token: iter(requests(order, token, source, each)) for token in order.tokens}
    talks = {}
    poll = select.epoll()
    for number in range(order.connections):
        talk = Talk(socket.create_connection((HOST, order.port)), order.tokens[number % len(order.tokens)])
        talk.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        talks[talk.socket.fileno()] = talk
        poll.register(talk.socket, select.EPOLLIN)
    tally, used = Tally(), _cpu_seconds()
    began = monotonic()
    end = began + order.seconds
    pause = order.connections / order.rate if order.rate else 0.0
    resting = [(began + n * pause / order.connections, descriptor) for n, descriptor in enumerate(talks)]
    open_ones = 0
    while (open_ones or resting) and monotonic() < end + PATIENCE_SECONDS:
        while resting and resting[0][0] <= monotonic():
            due, descriptor = heappop(resting)
            open_ones += _ask(talks[descriptor], waiting, due)
        for descriptor, _ in poll.poll(max(0.0, resting[0][0] - monotonic()) if resting else 1):
            talk = talks[descriptor]
            if not _take(talk, tally):
                continue
            open_ones -= 1
            due = talk.asked_at + pause if pause else monotonic()
            if due < end:
                heappush(resting, (due, descriptor))
    return {
        "answers": len(tally.latencies),
        "failed": tally.failed + open_ones,
        "said": tally.said,
        "seconds": monotonic() - began,
        "p50_ms": tally.quantile_ms(0.5),
        "p95_ms": tally.quantile_ms(0.95),
        "cpu_seconds": _cpu_seconds() - used,
    }


def _ask(talk: Talk, waiting: dict[str, Iterator[bytes]], now: float) -> int:
    """Send the next request of the program on this connection. Returns 1, or 0 when it has none left.

    Its time counts from when it was due: a slow server does not spare itself requests.
    """
    request = next(waiting[talk.token], None)
    if request is None:
        return 0
    talk.asked_at = now
    talk.socket.sendall(request)
    return 1


def _take(talk: Talk, tally: Tally) -> bool:
    """Take what has come. Returns whether the answer is whole."""
    data = talk.socket.recv(RECEIVE_BYTES)
    received = talk.received = talk.received + data if talk.received else data
    begin = received.find(b"\r\n\r\n")
    if not data:
        tally.failed += 1
        return True
    if begin < 0:
        return False
    at = received.find(LENGTH)
    length = int(received[at + len(LENGTH) : received.find(b"\r\n", at)])
    if len(received) < begin + 4 + length:
        return False
    tally.latencies.append(monotonic() - talk.asked_at)
    if not received.startswith(DONE):
        tally.failed += 1
        tally.said = tally.said or received[begin + 4 :][:300].decode(errors="replace")
    talk.received = b""
    return True


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Read the order, load, print."""
    sys.stdout.write(json.dumps(load(Order(**json.load(sys.stdin)))) + "\n")


if __name__ == "__main__":
    main()
