"""A world of simulators under one port: its clock, what goes wrong in it, and what was said."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from palio.sim.clock import Clock
from palio.sim.faults import Faults, fault_of, spoiled
from palio.sim.feed import PATH, Feed
from palio.sim.refusals import SimRefusal
from palio.sim.wire import Delivery, Reply, Request, as_json, serving

HOST = "127.0.0.1"
CONTROL = "/__sim__/"
EXCHANGES_MAX = 100_000
JOURNAL_BYTES_MAX = 2_000  # of a body
MASKED = ("authorization", "cookie")


@dataclass(frozen=True, slots=True)
class Exchange:
    """What somebody asked of a simulator and heard; credentials are masked, `is_known` says whether they were right."""

    number: int
    at: datetime
    sim: str
    method: str
    path: str
    headers: dict[str, str]
    is_known: bool
    status: int
    body: str
    fault: str | None


class World:
    """The outside on one machine; the same seed, start and orders give the same bytes."""

    def __init__(
        self,
        seed: int = 1,
        *,
        start: datetime | None = None,
        token: str | None = None,
        clock: Clock | None = None,
        pace: float = 1,
    ) -> None:
        """`start` is when the feed begins with its first capture; the clock may be ahead of it."""
        self.clock = clock or Clock(start)
        self._start, self.token, self._pace = start or self.clock.now(), token, pace
        self.port = 0
        self.reset(seed)

    def reset(self, seed: int = 1) -> None:
        """Everything as at the start, but the clock."""
        self.faults = Faults(seed)
        self.feed = Feed(seed=seed, start=self._start, now=self.clock.now, token=self.token, pace=self._pace)
        self.journal: deque[Exchange] = deque(maxlen=EXCHANGES_MAX)
        self._exchanges = 0

    @property
    def feed_url(self) -> str:
        """Where the feed is, once the world is served."""
        return f"http://{HOST}:{self.port}{PATH}DEMO"

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator["World"]:
        """Listen on loopback for the length of the block; 0 is any free port. Raises OSError for one that is taken."""
        server = await asyncio.start_server(serving(self.answer), HOST, port)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    def answer(self, request: Request) -> Delivery:
        """What a request is answered, and how it arrives."""
        if request.path.startswith(CONTROL):
            return Delivery(self._controlled(request))
        if not request.path.startswith("/feed/"):
            return Delivery(as_json({"message": "no simulator lives here: feed"}, 404))
        effect = self.faults.meet("feed", request)
        takes_gzip = "gzip" in request.headers.get("accept-encoding", "")
        delivery = spoiled(self.feed.answer(request), effect, takes_gzip=takes_gzip)
        self._note(request, delivery, effect.name if effect else None)
        return delivery

    def _note(self, request: Request, delivery: Delivery, fault: str | None) -> None:
        self._exchanges += 1
        headers = {name: "•" if name in MASKED else value for name, value in request.headers.items()}
        self.journal.append(
            Exchange(
                *(self._exchanges, self.clock.now(), "feed", request.method, request.path, headers),
                *(self.feed.is_known(request), delivery.reply.status),
                *(request.body[:JOURNAL_BYTES_MAX].decode(errors="replace"), fault),
            )
        )

    # the control calls

    def _controlled(self, request: Request) -> Reply:
        try:
            return self._control(request.method, request.path.removeprefix(CONTROL), request)
        except SimRefusal as refusal:
            return as_json({"message": str(refusal)}, 422)

    def _control(self, method: str, path: str, request: Request) -> Reply:
        match method, path.split("/"):
            case "POST", ["reset"]:
                self.reset(_whole(request.members(), "seed", 1))
            case "GET", ["journal"]:
                return as_json([asdict(one) for one in self._said(request.query)])
            case "POST", ["clock"]:
                self._turn(request.members())
            case "POST", ["faults"]:
                self.faults.add(fault_of(request.members()))
            case "DELETE", ["faults"]:
                self.faults.clear()
            case "GET", ["faults"]:
                return as_json([asdict(rule) for rule in self.faults.rules()])
            case "GET", ["state", "feed"]:
                return as_json(self.feed.state())
            case "POST", ["feed", act]:
                self.feed.control(act, request.members())
            case _:
                raise SimRefusal("known: reset, journal, clock, faults, state/feed, feed/<act>")
        return as_json({"now": self.clock.now()})

    def _said(self, asked: Mapping[str, str]) -> list[Exchange]:
        since = asked.get("since", "0")
        if not (since.isascii() and since.isdecimal()):
            raise SimRefusal("since is the number of an exchange")
        return [one for one in self.journal if one.number > int(since) and asked.get("sim", one.sim) == one.sim]

    def _turn(self, members: dict[str, object]) -> None:
        """`set` an instant, `advance` seconds, `speed` times, or `freeze`."""
        match members:
            case {"set": str(written)}:
                try:
                    self.clock.set(datetime.fromisoformat(written))
                except (ValueError, TypeError):
                    raise SimRefusal("`set` takes an instant like 2026-03-20T12:00:00Z") from None
            case {"advance": int() | float() as seconds}:
                self.clock.advance(timedelta(seconds=seconds))
            case {"speed": int() | float() as times}:
                self.clock.speed(times)
            case {"freeze": True}:
                self.clock.speed(0)
            case _:
                raise SimRefusal("the clock takes one of set, advance, speed, freeze")


def _whole(members: dict[str, object], name: str, otherwise: int) -> int:
    value = members.get(name, otherwise)
    if not isinstance(value, int) or set(members) - {name}:
        raise SimRefusal(f"known: {name}, a whole number")
    return value
