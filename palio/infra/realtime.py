"""Live notices of state topics: the newest value wins. Told after the commit, heard by the hub of every process.
What is told to people one by one is in `relay`; it comes through the same streams.

A NOTIFY carries the news of many topics; a hub passes a topic on at most once in 250 ms and encodes it once, whatever
the number of open streams. A stream holds the newest value of each of its topics and nothing else: a slow client costs
a bounded amount of memory and skips what was overtaken.
"""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal
from uuid import UUID

import psycopg
import structlog
from psycopg import sql

from palio.infra import db, tasks
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.errors import TooMany
from palio.kernel.topics import LiveType

log = structlog.get_logger()

TOPICS_CHANNEL = "palio_topics"
QUEUE_CHANNELS = tuple(f"procrastinate_queue_v1#{queue}" for queue in ("critical", "default", "outgoing", "bulk"))
WAKE_UP = json.dumps({"type": "job_inserted", "job_id": 0})  # what the workers of the queue's library expect
NOTIFIES_PER_SECOND_MAX = 20
NOTIFY_BYTES_MAX = 7_900  # PostgreSQL refuses 8,000
FACTS_BYTES_MAX = 4_096
TOPIC_BYTES_MAX = 200
INNER = ":"  # topics that begin so are between processes: passed on at once, never to clients
FRAMES_WAITING_MAX = 256  # of log topics in one stream
TOPICS_UNSENT_MAX = 10_000
TOPICS_OF_STREAM_MAX = 50  # of at most 4.5 KiB each: far below the 1 MiB that a client may cost
STREAMS_MAX = 10_000
REST_SECONDS = 0.25
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.1, 5.0
PATIENCE: dict[str, Any] = {"connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}


def publish(tx: Tx, topic: str, kind: LiveType, facts: Mapping[str, object]) -> None:
    """Say what changed about a state topic, once this transaction is committed: `race:<id>`, race.updated, {seq}.

    Facts are ids and public figures, at most 4 KiB as JSON. Of several values of a topic only the newest arrives.
    """
    data = json.dumps(facts, allow_nan=False)
    if len(data) > FACTS_BYTES_MAX or len(topic) > TOPIC_BYTES_MAX:
        raise ValueError(f"{topic}: {len(data)} bytes of facts, at most {FACTS_BYTES_MAX}")
    at = clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
    event = f'{{"topic": {json.dumps(topic)}, "type": {json.dumps(kind.name)}, "at": "{at}", "data": {data}}}'
    db.after_commit(tx, partial(tx.equipment.tell, topic, event))


class TooManyStreams(TooMany):
    """This process serves as many live streams as it may."""

    code: ClassVar[str] = "stream.too_many"


@dataclass(frozen=True, slots=True)
class Frame:
    """One message to a client. `sse` is its text on an event stream; only a log topic has a position to resume from."""

    event: Literal["changed", "resync", "bye"]
    data: str
    topic: str = ""
    seq: int | None = None
    sse: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Encode it once, whoever hears it."""
        position = "" if self.seq is None else f"id: {self.seq}\n"
        object.__setattr__(self, "sse", f"{position}event: {self.event}\ndata: {self.data}\n\n".encode())


RESYNC = Frame("resync", "{}")
BYE = Frame("bye", '{"reason": "restart", "retry_ms": 3000}')


class Listener:
    """What one stream has still to be given: the newest frame of each topic, in the order in which they came up, and
    every frame of the log topics of its owner.

    Who takes so slowly that too many wait is told to read his own things again, and goes on from there.
    `tell_at_once` is offered what changed while the stream waits for it; it answers whether it could tell.
    """

    __slots__ = (
        *("_alarm", "_log", "_patience", "_seq", "_until", "_waiter", "_waiting"),
        *("own_topics", "owner", "tell_at_once", "topics"),
    )

    def __init__(
        self, topics: frozenset[str], own_topics: frozenset[str] = frozenset(), owner: UUID | None = None
    ) -> None:
        self.topics, self.own_topics, self.owner = topics, own_topics, owner
        self._waiter: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._until = self._patience = math.inf
        self.tell_at_once: Callable[[Collection[Frame]], bool] | None = None
        self._waiting: dict[str, Frame] = {}
        self._log: list[Frame] = []
        self._seq = 0

    def hears(self, topic: str) -> bool:
        """Is this one of the owner's topics that are heard here? `me` is all of them."""
        return topic in self.own_topics or "me" in self.own_topics

    def begin(self, seq: int) -> None:
        """The owner has been told everything up to a number."""
        self._seq = max(self._seq, seq)
        self._log = [frame for frame in self._log if frame.seq is not None and frame.seq > seq]

    def put_next(self, frame: Frame) -> None:
        """Have an event of the owner taken soon, behind those before it; one that he was told already is left out."""
        if frame.seq is None or frame.seq <= self._seq or not self.hears(frame.topic):
            return
        self._seq = frame.seq
        self._log.append(frame)
        if len(self._log) > FRAMES_WAITING_MAX:
            lost = {"topics": sorted(self.own_topics), "from": str(frame.seq)}
            self._log = [Frame("resync", json.dumps(lost), frame.topic, seq=frame.seq)]
        self._wake()

    def put(self, frame: Frame) -> None:
        """Have it taken soon, instead of an older one of its topic."""
        self._waiting[frame.topic or frame.event] = frame
        self._wake()

    def offer(self, frame: Frame) -> None:
        """As `put`, but nobody is woken: `settle` follows soon."""
        self._waiting[frame.topic] = frame

    def settle(self) -> None:
        """Have what was offered told at once, or else taken soon."""
        if self._waiter is None or self._waiter.done():
            return  # it is on its way to take everything
        if self.tell_at_once and self.tell_at_once(self._waiting.values()):
            self._waiting.clear()
            self._until = asyncio.get_running_loop().time() + self._patience
        else:
            self._wake()

    async def take(self, seconds_max: float | None) -> list[Frame]:
        """What has come, as soon as something has; nothing after so many seconds, if there is a limit."""
        if not self._log and not self._waiting:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            self._patience = math.inf if seconds_max is None else seconds_max
            self._until = loop.time() + self._patience
            if self._until < (self._alarm.when() if self._alarm else math.inf):
                self._set_alarm(loop)
            try:
                await self._waiter
            finally:
                self._waiter = None
        frames = [*self._log, *self._waiting.values()]
        self._log = []
        self._waiting.clear()
        return frames

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _set_alarm(self, loop: asyncio.AbstractEventLoop) -> None:
        self.forget_alarm()
        self._alarm = loop.call_at(self._until, self._ring)

    def _ring(self) -> None:
        """Time is up, or put off by what came meanwhile: a timer for each message would cost as much as sending it."""
        self._alarm, loop = None, asyncio.get_running_loop()
        if self._waiter is None or self._until == math.inf:
            return
        if loop.time() < self._until:
            self._set_alarm(loop)
        else:
            self._wake()

    def forget_alarm(self) -> None:
        """Nobody will take any more."""
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None


class Hub:
    """One per process: speaks for its commits, listens to everybody's, and feeds the streams that are open here."""

    def __init__(self, dsn: str) -> None:
        """`dsn` leads to the server itself: a pooler loses who listens."""
        self._dsn = dsn
        self._unsent: dict[str, str] = {}
        self._must_wake = False
        self._something, self._nothing = asyncio.Event(), asyncio.Event()
        self._nothing.set()
        self._callbacks: dict[str, Callable[[], None]] = {}
        self._heeded: dict[str, Callable[[], None]] = {}  # by inner topic
        self._listeners: set[Listener] = set()
        self._ears: set[Listener] = set()  # of this process itself
        self._audience: dict[str, set[Listener]] = {}
        self._owners: dict[UUID, set[Listener]] = {}
        self._resting: dict[str, Frame | None] = {}  # topics passed on a moment ago, with what came since
        self._offered: set[Listener] = set()  # who is to be told what came in this turn
        self._is_closed = False
        self.is_listening = False

    @property
    def streams_open(self) -> int:
        return len(self._listeners)

    # speaking

    def tell(self, topic: str, event: str) -> None:
        """Remember the newest event of a topic; it is sent within 50 ms."""
        if topic in self._unsent or len(self._unsent) < TOPICS_UNSENT_MAX:
            self._unsent[topic] = event
            self._speak_soon()

    def wake(self) -> None:
        """Remember that there is something in the queue; the workers hear of it within 50 ms."""
        self._must_wake = True
        self._speak_soon()

    def _speak_soon(self) -> None:
        self._something.set()
        self._nothing.clear()

    @property
    def is_silent(self) -> bool:
        """Is everything passed on that was told?"""
        return self._nothing.is_set()

    async def silence(self) -> None:
        """Wait until everything is passed on: for a process that ends soon, while `run` runs."""
        await self._nothing.wait()

    async def _speak(self, connection: psycopg.AsyncConnection) -> None:
        while True:
            await self._something.wait()
            unsent, must_wake = dict(self._unsent), self._must_wake
            lines = [(TOPICS_CHANNEL, text) for text in _packed(unsent.values())]
            if must_wake:
                lines += [(channel, WAKE_UP) for channel in QUEUE_CHANNELS]
            await connection.execute(
                "select pg_notify(channel, payload) from unnest(%s::text[], %s::text[]) as line (channel, payload)",
                list(map(list, zip(*lines, strict=True))),
            )
            self._forget(unsent, must_wake=must_wake)
            await asyncio.sleep(1 / NOTIFIES_PER_SECOND_MAX)

    def _forget(self, sent: Mapping[str, str], *, must_wake: bool) -> None:
        """Drop what is sent; what came up meanwhile stays."""
        self._unsent = {topic: event for topic, event in self._unsent.items() if sent.get(topic) is not event}
        self._must_wake = False if must_wake else self._must_wake
        if not self._unsent and not self._must_wake:
            self._something.clear()
            self._nothing.set()

    # listening

    def on(self, channel: str, call: Callable[[], None]) -> None:
        """Have something done at each NOTIFY of a channel, and after each gap in listening. To be said before `run`."""
        self._callbacks[channel] = call

    def heed(self, topic: str, call: Callable[[], None]) -> None:
        """The same for an inner topic, which is told after the commit and needs no NOTIFY of its own."""
        self._heeded[topic] = call

    async def _listen(self, connection: psycopg.AsyncConnection) -> None:
        for channel in (TOPICS_CHANNEL, *self._callbacks):
            await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
        self._resume()
        try:
            async for notice in connection.notifies():
                if call := self._callbacks.get(notice.channel):
                    call()
                else:
                    self._hear(notice.payload)
        finally:
            self.is_listening = False

    def _resume(self) -> None:
        """Nobody knows what was missed: every client loads its state again, everything cached is read again."""
        self.is_listening = True
        for call in (*self._callbacks.values(), *self._heeded.values()):
            call()
        for listener in self._listeners | self._ears:
            listener.put(RESYNC)

    def _hear(self, payload: str) -> None:
        for event in payload.splitlines():
            topic = json.loads(event)["topic"]
            if call := self._heeded.get(topic):
                call()
            elif topic.startswith(INNER):
                for listener in self._audience.get(topic, ()):
                    listener.put(Frame("changed", event, topic))
            elif topic in self._audience:
                self._pass_on(topic, Frame("changed", event, topic))

    def _pass_on(self, topic: str, frame: Frame) -> None:
        if topic in self._resting:
            self._resting[topic] = frame
            return
        loop = asyncio.get_running_loop()
        audience = self._audience.get(topic, ())
        for listener in audience:
            listener.offer(frame)
        if not self._offered:  # so that all news of this turn are one write
            loop.call_soon(self._settle)
        self._offered.update(audience)
        self._resting[topic] = None
        loop.call_later(REST_SECONDS, self._rested, topic)

    def _settle(self) -> None:
        offered, self._offered = self._offered, set()
        for listener in offered:
            listener.settle()

    def _rested(self, topic: str) -> None:
        if newest := self._resting.pop(topic):
            self._pass_on(topic, newest)

    # streams

    def join(self, topics: Collection[str], *, own_topics: Collection[str] = (), owner: UUID | None = None) -> Listener:
        """Hear what changes about public topics, and what is told to an owner: `changed`, `resync`, at last `bye`.

        The edge has judged the topics: at most 50. Whoever joins has to `leave`; `serving` sees to it.
        Refuses with TooManyStreams.
        """
        if len(self._listeners) >= STREAMS_MAX:
            raise TooManyStreams(limit=STREAMS_MAX)
        if len(topics) + len(own_topics) > TOPICS_OF_STREAM_MAX:
            raise ValueError(f"{len(topics) + len(own_topics)} topics, at most {TOPICS_OF_STREAM_MAX}")
        listener = Listener(frozenset(topics), frozenset(own_topics), owner if own_topics else None)
        self._listeners.add(listener)
        for topic in listener.topics:
            self._audience.setdefault(topic, set()).add(listener)
        if listener.owner:
            self._owners.setdefault(listener.owner, set()).add(listener)
        if self._is_closed:
            listener.put(BYE)
        return listener

    @property
    def has_owners(self) -> bool:
        """Does anybody hear topics of his own here?"""
        return bool(self._owners)

    def has_ears_for(self, user_id: UUID | None) -> bool:
        """Does that user have a stream here, or anybody, where an event is for all?"""
        return user_id in self._owners if user_id else bool(self._owners)

    def pass_to(self, user_id: UUID | None, frame: Frame) -> None:
        """Give an event of a log topic to the streams of its user, or of all who hear such a topic."""
        heard = self._owners.get(user_id, ()) if user_id else [each for one in self._owners.values() for each in one]
        for listener in heard:
            listener.put_next(frame)

    @contextmanager
    def hearing(self, topics: Collection[str]) -> Iterator[Listener]:
        """Hear inner topics, of one process to another, for the length of the block; it begins with news."""
        listener = Listener(frozenset(topics))
        self._ears.add(listener)
        for topic in topics:
            self._audience.setdefault(topic, set()).add(listener)
        listener.put(RESYNC)
        try:
            yield listener
        finally:
            self._ears.discard(listener)
            self._forget_listener(listener)
            listener.forget_alarm()

    @contextmanager
    def serving(self, listener: Listener, gone: Coroutine[Any, Any, None]) -> Iterator[None]:
        """Let it hear for the length of the block. When `gone` returns, nobody is there to read: it is told `bye`."""

        async def watch() -> None:
            await gone
            listener.put(BYE)

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()
            self.leave(listener)

    def leave(self, listener: Listener) -> None:
        """Hear nothing any more."""
        self._listeners.discard(listener)
        self._forget_listener(listener)
        listener.forget_alarm()
        if listener.owner:
            self._owners[listener.owner].discard(listener)
            if not self._owners[listener.owner]:
                del self._owners[listener.owner]

    def _forget_listener(self, listener: Listener) -> None:
        for topic in listener.topics:
            self._audience[topic].discard(listener)
            if not self._audience[topic]:
                del self._audience[topic]

    def close(self) -> None:
        """End every stream with `bye`, also those still to come, so that the web server can stop."""
        self._is_closed = True
        for listener in self._listeners:
            listener.put(BYE)

    # both

    async def run(self) -> None:
        """Speak and listen until cancelled, again and again after a lost connection."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_up(self._speak))
            group.create_task(self._keep_up(self._listen))

    async def _keep_up(self, talk: Callable[[psycopg.AsyncConnection], Awaitable[None]]) -> None:
        loop, pause = asyncio.get_running_loop(), PAUSE_SECONDS_MIN
        while True:
            started = loop.time()
            try:
                async with await psycopg.AsyncConnection.connect(self._dsn, autocommit=True, **PATIENCE) as connection:
                    await talk(connection)
            except psycopg.Error as failure:
                log.warning("live notices are interrupted", failure=type(failure).__name__)
            tasks.heed_cancellation()
            pause = (
                PAUSE_SECONDS_MIN if loop.time() - started > PAUSE_SECONDS_MAX else min(2 * pause, PAUSE_SECONDS_MAX)
            )
            await asyncio.sleep(pause)


async def run_apart(telling: Coroutine[Any, Any, None]) -> None:
    """Run it as a task of its own, to its end or to ours: when it wakes up, nothing that called us is resumed."""
    await asyncio.create_task(telling)


def _packed(events: Iterable[str]) -> Iterator[str]:
    """Events as lines of as few payloads as they fit in."""
    lines: list[str] = []
    size = 0
    for event in events:
        if lines and size + len(event) >= NOTIFY_BYTES_MAX:
            yield "\n".join(lines)
            lines, size = [], 0
        lines.append(event)
        size += len(event) + 1
    if lines:
        yield "\n".join(lines)
