"""Who listens, and to what: topics are judged when somebody asks for them, people also while they listen."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Request

from palio.infra import realtime, relay, settings
from palio.infra.db import Database, Tx
from palio.infra.realtime import INNER, RESYNC, Frame, Hub, Listener
from palio.infra.relay import Resumed
from palio.infra.tickets import Holder
from palio.kernel.errors import Forbidden, NotFound, Refusal, TooLarge, TooMany, Unauthenticated, Unavailable
from palio.kernel.topics import ALL_OF_MINE, OWNER, PUBLIC, Topic
from palio.ui import access
from palio.ui.access import Terms
from palio.ui.actor import Asking, Identify
from palio.ui.limits import network_of
from palio.ui.refusals import ScopeMissing
from palio.ui.types import STREAM_TOPICS_MAX

STREAMS_OF_ADDRESS_MAX, STREAMS_OF_USER_MAX = 20, 5
COMMENT_SECONDS = 15  # so often something is sent, or proxies take the line for dead
JUDGED_SECONDS_MAX = 600  # so long nobody is asked again who he is, unless something of his has ended
RETRY_MS = 3_000
TOPICS_TEXT_MAX = 4_096
POSITION = re.compile(r"[0-9]{1,18}")
UNKNOWN = -1  # a position that was never given
SIGNED_OUT = Frame("bye", f'{{"reason": "signed_out", "retry_ms": {RETRY_MS}}}')

Hidden: TypeAlias = Callable[[Tx, Collection[UUID]], Awaitable[Collection[UUID]]]
Recall: TypeAlias = Callable[[Request, Holder], Awaitable[Asking]]


class Read(Protocol):
    """A way to read what is kept for a listener: `relay.resume` or `relay.page`."""

    async def __call__(self, tx: Tx, *, listener: Listener, after: int | None, is_new: bool = ...) -> Resumed: ...


class OriginRejected(Forbidden):
    """A stream is opened from our own pages, and `origin` is none of them."""

    code = "origin_rejected"


async def _nobody_is_recalled(request: Request, holder: Holder) -> Asking:
    raise Unauthenticated


@dataclass(frozen=True, slots=True)
class Streams:
    """What this process streams from, what can be heard, and how many streams each caller has open.

    `hidden` says by the address of a topic which things with an id the public may not hear of yet; `recall` says who is
    behind a ticket.
    """

    hub: Hub
    origin: str | None
    topics: Sequence[Topic] = ()
    hidden: Mapping[str, Hidden] = field(default_factory=dict)
    recall: Recall = _nobody_is_recalled
    comment_seconds: float = COMMENT_SECONDS
    of_user_max: int = STREAMS_OF_USER_MAX
    open: Counter[str] = field(default_factory=Counter)


def of(request: Request) -> Streams:
    """What the process of this request streams from."""
    found: Streams = request.app.state.streams
    return found


def require_own_page(request: Request) -> None:
    """Accept programs, and pages of ours. Refuses with OriginRejected."""
    origin, ours = request.headers.get("origin"), of(request).origin
    if origin is None or origin == ours:
        return
    if ours or urlsplit(origin).netloc != request.headers.get("host"):
        raise OriginRejected(origin=origin)


def listed(topics: str) -> list[str]:
    """The topics of a query, each once. Refuses with TooLarge."""
    asked = list(dict.fromkeys(topics.split(",")))
    require_few(asked)
    return asked


def require_few(topics: Collection[str]) -> None:
    """Accept what one stream may hear. Refuses with TooLarge."""
    if len(topics) > (most := settings.value(STREAM_TOPICS_MAX)):
        raise TooLarge(limit=most)


def position_of(said: str | None) -> int | None:
    """Behind which number somebody goes on; None: he begins now. What is no number was never given."""
    if not said:
        return None
    return int(said) if POSITION.fullmatch(said) else UNKNOWN


# who


@dataclass(slots=True)
class Visitor:
    """Who listens. `again` finds out anew who he is, by what he showed when he came."""

    ask: Asking
    caller: str
    streams_max: int
    again: Callable[[], Awaitable[Asking]]
    judged_at: float = field(default_factory=lambda: asyncio.get_running_loop().time())

    @property
    def user_id(self) -> UUID | None:
        return self.ask.actor.user_id

    @property
    def inner_topics(self) -> list[str]:
        """On which his streams hear that something of his has ended."""
        return [realtime.endings_of(self.user_id)] if self.user_id else []

    async def must_go(self, frames: Sequence[Frame]) -> bool:
        """May he not be told these any more? He is judged anew before anything private, and every now and then."""
        now = asyncio.get_running_loop().time()
        is_due = now - self.judged_at >= JUDGED_SECONDS_MAX
        if self.user_id is None or not (is_due or any(_asks_who_he_is(frame) for frame in frames)):
            return False
        try:
            found = await self.again()
        except Unauthenticated:
            return True
        except Unavailable:
            return False  # whoever was let in stays while nobody can say; he is judged at the next frame
        self.judged_at = now
        return (found.actor.user_id, found.actor.kind, found.permissions, found.scopes) != (
            *(self.user_id, self.ask.actor.kind),
            *(self.ask.permissions, self.ask.scopes),
        )


def _asks_who_he_is(frame: Frame) -> bool:
    return frame.is_log or frame is RESYNC or frame.topic.startswith(INNER)


def visitor(request: Request, ask: Asking, again: Callable[[], Awaitable[Asking]] | None = None) -> Visitor:
    """Whoever asks, by the session or token of the request; or `again` knows him otherwise."""
    identify: Identify = request.app.state.identify
    streams = of(request)
    known = f"user:{ask.actor.user_id}", streams.of_user_max
    caller, streams_max = known if ask.actor.user_id else (network_of(request), STREAMS_OF_ADDRESS_MAX)
    return Visitor(ask, caller, streams_max, again or partial(identify, request))


def require_place(streams: Streams, caller: str, streams_max: int) -> None:
    """Accept one more stream of a caller. Refuses with TooMany."""
    if streams.open[caller] >= streams_max:
        raise TooMany(policy="streams", limit=streams_max)


@contextmanager
def counted(open_streams: Counter[str], caller: str) -> Iterator[None]:
    """Count a stream of a caller for the length of the block."""
    open_streams[caller] += 1
    try:
        yield
    finally:
        open_streams[caller] -= 1
        if not open_streams[caller]:
            del open_streams[caller]


# what


class Chosen(NamedTuple):
    """Which topics somebody hears, and why not the others."""

    states: list[str]
    logs: list[str]
    refused: list[Refusal]

    @property
    def heard(self) -> list[str]:
        return [*self.states, *self.logs]


async def choose(request: Request, ask: Asking, asked: Sequence[str]) -> Chosen:
    """Judge topics, in the order in which they are asked for."""
    streams = of(request)
    judged = [(address, _topic_of(streams.topics, address)) for address in asked]
    hidden = await _hidden(request, ask, [(address, topic) for address, topic in judged if topic])
    chosen = Chosen([], [], [])
    for address, topic in judged:
        if address == ALL_OF_MINE and ask.actor.user_id:
            chosen.logs.extend(_mine(streams.topics, ask))
        elif refusal := _refusal(ask, address, topic, hidden):
            chosen.refused.append(refusal)
        else:
            (chosen.logs if topic and topic.is_log else chosen.states).append(address)
    return chosen


def _topic_of(topics: Sequence[Topic], address: str) -> Topic | None:
    return next((topic for topic in topics if topic.is_called(address)), None)


def _refusal(ask: Asking, address: str, topic: Topic | None, hidden: Collection[str]) -> Refusal | None:
    if topic is None or address in hidden or (topic.access == OWNER and not _has_own(ask, topic)):
        return NotFound(topic=address[: realtime.TOPIC_BYTES_MAX])
    if ask.scopes is not None and topic.scope and topic.scope not in ask.scopes:
        return ScopeMissing(scope=topic.scope, topic=address)
    if topic.access in {PUBLIC, OWNER}:
        return None
    try:
        access.require(Terms(topic.access), ask, "GET")
    except Refusal as refusal:
        refusal.facts["topic"] = address
        return refusal
    return None


def _has_own(ask: Asking, topic: Topic | None = None) -> bool:
    return ask.actor.kind in {"player", "viewer"} or (ask.actor.kind == "staff" and bool(topic and topic.for_staff))


def _mine(topics: Sequence[Topic], ask: Asking) -> list[str]:
    """All that is told to somebody alone; by a token only what its scopes name."""
    if not _has_own(ask):
        return []
    if ask.scopes is None:
        return [ALL_OF_MINE]
    return [topic.address for topic in topics if topic.access == OWNER and topic.scope in ask.scopes]


async def _hidden(request: Request, ask: Asking, judged: Sequence[tuple[str, Topic]]) -> set[str]:
    """Those of which nobody but staff may hear yet."""
    streams = of(request)
    asked: dict[str, dict[UUID, str]] = {}
    for address, topic in judged:
        if topic.address in streams.hidden:
            asked.setdefault(topic.address, {})[UUID(address.partition(":")[2])] = address
    if not asked or ask.actor.kind == "staff":
        return set()
    found: set[str] = set()
    database: Database = request.app.state.database
    async with database.begin(ask.actor) as tx:
        for address, by_id in asked.items():  # a handful of kinds of topics
            found |= {by_id[one] for one in await streams.hidden[address](tx, list(by_id))}
    return found


async def resume(request: Request, ask: Asking, listener: Listener, after: int | None) -> Resumed:
    """Where the topics of a stream go on. What comes meanwhile waits in the listener."""
    resumed = await read(request, ask, listener, after, relay.resume)
    listener.begin(resumed.seq)
    return resumed


async def read(request: Request, ask: Asking, listener: Listener, after: int | None, way: Read) -> Resumed:
    """What is kept for a listener, who from now on is one if he was none."""
    database: Database = request.app.state.database
    async with database.begin(ask.actor) as tx:
        if await relay.is_listener(tx, listener):
            return await way(tx, listener=listener, after=after)
    async with database.begin_system("a listener of live events") as tx:
        is_new = bool(listener.owner and await relay.listen(tx, [listener.owner]))
    async with database.begin(ask.actor) as tx:  # he is one before we look where he begins
        return await way(tx, listener=listener, after=after, is_new=is_new)
