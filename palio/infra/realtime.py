"""Live notices of state topics: the newest value wins. Told after the commit, heard by the hub of every process.
What is told to people one by one is in `relay`; it comes through the same streams.

All events have numbers from one sequence, which are given under one lock: whoever sees a number can have all below it.
State topics get theirs from the hub that speaks; the newest of each is kept for those who come later.
A NOTIFY carries the news of many topics; a hub passes a topic on at most once in `api.state_interval_ms` and encodes it
once, whatever the number of open streams. A stream holds the newest value of each of its topics and nothing else: a
slow client costs a bounded amount of memory and skips what was overtaken.
"""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal
from uuid import UUID

import psycopg
import structlog
from psycopg import sql

from palio.infra import db, settings, tasks
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.errors import TooMany
from palio.kernel.settings import Setting
from palio.kernel.topics import ALL_OF_MINE, LiveType

log = structlog.get_logger()

TOPICS_CHANNEL = "palio_topics"
QUEUE_CHANNELS = tuple(f"procrastinate_queue_v1#{queue}" for queue in ("critical", "default", "outgoing", "bulk"))
WAKE_UP = json.dumps({"type": "job_inserted", "job_id": 0})  # what the workers of the queue's library expect
NOTIFIES_PER_SECOND_MAX = 20
NOTIFY_BYTES_MAX = 7_900  # PostgreSQL refuses 8,000
FACTS_BYTES_MAX = 4_096
TOPIC_BYTES_MAX = 200
LOCK = 0x5EA1  # of whoever gives numbers, until he commits
WRITTEN, NUMBERED = ":written", ":numbered"  # between processes: there is something to number, or to pass on
INNER = ":"  # topics that begin so are between processes: passed on at once, never to clients
FRAMES_WAITING_MAX = 256  # in one stream
BYTES_WAITING_MAX = 1 << 20
TOPICS_UNSENT_MAX = 10_000
TOPICS_OF_STREAM_MAX = 50
STREAMS_MAX = 10_000
STATE_INTERVAL_MS = Setting(
    "api.state_interval_ms",
    "int",
    250,
    "How often a stream hears of a topic's newest state.",
    "milliseconds",
    50,
    5_000,
)
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.1, 5.0
PATIENCE: dict[str, Any] = {"connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}


def endings_of(user_id: UUID) -> str:
    """The inner topic on which the streams of a user hear that he is to be judged anew."""
    return f"{INNER}endings:{user_id}"


def judge_anew(tx: Tx, *, user_id: UUID) -> None:
    """Have everything that a user listens to ask again who he is, once this transaction is committed."""
    topic = endings_of(user_id)
    db.after_commit(tx, partial(tx.equipment.tell, topic, json.dumps({"topic": topic})))


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
    """One message to a client; `sse` is its text on an event stream. Behind its number somebody can go on."""

    event: Literal["changed", "resync", "bye"]
    data: str
    topic: str = ""
    seq: int | None = None
    is_log: bool = False
    sse: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Encode it once, whoever hears it."""
        position = "" if self.seq is None else f"id: {self.seq}\n"
        object.__setattr__(self, "sse", position.encode() + self.sse_without_position)

    @property
    def sse_without_position(self) -> bytes:
        """The same, for somebody who was told something newer already."""
        return f"event: {self.event}\ndata: {self.data}\n\n".encode()


RESYNC = Frame("resync", "{}")
BYE = Frame("bye", '{"reason": "restart", "retry_ms": 3000}')


class Listener:
    """What one stream has still to be given: the newest frame of each topic, in the order in which they came up, and
    every frame of the log topics of its owner.

    Of who takes so slowly that too much waits, states are forgotten first, then what his log topics told: he is told to
    read those topics again, and goes on from there.
    `tell_at_once` is offered what changed while the stream waits for it; it answers whether it could tell.
    """

    __slots__ = (
        *("_alarm", "_bytes", "_log", "_lost", "_patience", "_seq", "_until", "_waiter", "_waiting"),
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
        self._bytes = 0  # of what waits in the log
        self._lost: set[str] = set()  # states that were forgotten
        self._seq = 0

    def hears(self, topic: str) -> bool:
        """Is this one of the log topics that are heard here? `me` is all of the owner's."""
        return topic in self.own_topics or (ALL_OF_MINE in self.own_topics and topic.startswith(f"{ALL_OF_MINE}:"))

    def begin(self, seq: int) -> None:
        """The owner has been told everything up to a number."""
        self._seq = max(self._seq, seq)
        self._keep([frame for frame in self._log if frame.seq is not None and frame.seq > seq])

    def put_next(self, frame: Frame) -> None:
        """Have an event of the owner taken soon, behind those before it; one that he was told already is left out."""
        if frame.seq is None or frame.seq <= self._seq or not self.hears(frame.topic):
            return
        self._seq = frame.seq
        self._log.append(frame)
        self._bytes += len(frame.data)
        if self._is_too_much():
            self._lost |= self._waiting.keys() & self.topics
            self._waiting = {name: each for name, each in self._waiting.items() if name not in self.topics}
        if self._is_too_much():
            self._lose(frame.topic, frame.seq)
        self._wake()

    def pass_over(self, seq: int) -> None:
        """Have the owner read his topics again, unless he was told everything up to a number."""
        if self.own_topics and seq > self._seq:
            self._seq = seq
            self._lose(min(self.own_topics), seq)
            self._wake()

    def _lose(self, topic: str, seq: int) -> None:
        """Say, instead of what waits in the log, that it is to be read again and goes on behind a number."""
        lost = {"topics": sorted(self.own_topics), "from": str(seq)}
        self._keep([Frame("resync", json.dumps(lost), topic, seq=seq, is_log=True)])

    def _is_too_much(self) -> bool:
        size = self._bytes + sum(len(frame.data) for frame in self._waiting.values())
        return len(self._log) + len(self._waiting) > FRAMES_WAITING_MAX or size > BYTES_WAITING_MAX

    def _keep(self, frames: list[Frame]) -> None:
        self._log, self._bytes = frames, sum(len(frame.data) for frame in frames)

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
        lost = [Frame("resync", json.dumps({"topics": sorted(self._lost)}))] if self._lost else []
        frames = [*lost, *self._log, *self._waiting.values()]
        self._keep([])
        self._lost.clear()
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
        self._careful: dict[str, set[Listener]] = {}  # listeners of a topic who also hear log topics
        self._behind: dict[str, Frame] = {}  # states for them, which wait until all that has a lower number is told
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
            states = {topic: event for topic, event in unsent.items() if not topic.startswith(INNER)}
            inner = [event for topic, event in unsent.items() if topic not in states]
            if states:
                async with connection.transaction():
                    await _notify(connection, [*inner, *await _numbered(connection, states)], must_wake=must_wake)
            else:
                await _notify(connection, inner, must_wake=must_wake)
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
            told = json.loads(event)
            topic = told["topic"]
            if call := self._heeded.get(topic):
                call()
            elif topic.startswith(INNER):
                for listener in self._audience.get(topic, ()):
                    listener.put(Frame("changed", event, topic))
            elif topic in self._audience or topic in self._careful:
                self._pass_on(topic, Frame("changed", event, topic, seq=int(told["id"])))

    def _pass_on(self, topic: str, frame: Frame) -> None:
        if topic in self._resting:
            self._resting[topic] = frame
            return
        loop = asyncio.get_running_loop()
        audience = self._audience.get(topic, ())
        for listener in audience:
            listener.offer(frame)
        if audience and not self._offered:  # so that all news of this turn are one write
            loop.call_soon(self._settle)
        self._offered.update(audience)
        if topic in self._careful:
            self._behind[topic] = frame
            for ear in self._audience.get(NUMBERED, ()):
                ear.put(Frame("changed", "{}", NUMBERED))
        self._resting[topic] = None
        loop.call_later(settings.value(STATE_INTERVAL_MS) / 1_000, self._rested, topic)

    def _settle(self) -> None:
        offered, self._offered = self._offered, set()
        for listener in offered:
            listener.settle()

    def _rested(self, topic: str) -> None:
        if newest := self._resting.pop(topic):
            self._pass_on(topic, newest)

    # streams

    def join(self, topics: Collection[str], *, own_topics: Collection[str] = (), owner: UUID | None = None) -> Listener:
        """Hear what changes about state topics, and what log topics tell an owner: `changed`, `resync`, at last `bye`.

        The edge has judged the topics: at most 50, and some inner ones. Whoever joins has to `leave`; `serving` sees to
        it. Refuses with TooManyStreams.
        """
        if len(self._listeners) >= STREAMS_MAX:
            raise TooManyStreams(limit=STREAMS_MAX)
        listener = Listener(frozenset(), frozenset(), owner)
        self._listeners.add(listener)
        if listener.owner:
            self._owners.setdefault(listener.owner, set()).add(listener)
        self.choose(listener, topics, own_topics)
        if self._is_closed:
            listener.put(BYE)
        return listener

    def choose(self, listener: Listener, topics: Collection[str], own_topics: Collection[str] = ()) -> None:
        """Hear these topics from now on, and no others. Log topics are for listeners who have an owner."""
        count = sum(not topic.startswith(INNER) for topic in (*topics, *own_topics))
        if count > TOPICS_OF_STREAM_MAX:
            raise ValueError(f"{count} topics, at most {TOPICS_OF_STREAM_MAX}")
        self._forget_listener(listener)
        listener.topics, listener.own_topics = frozenset(topics), frozenset(own_topics)
        for topic in listener.topics:
            self._audience_of(topic, listener).setdefault(topic, set()).add(listener)

    def _audience_of(self, topic: str, listener: Listener) -> dict[str, set[Listener]]:
        return self._careful if listener.owner and not topic.startswith(INNER) else self._audience

    @property
    def has_owners(self) -> bool:
        """Does anybody hear topics of his own here?"""
        return bool(self._owners)

    @property
    def owners(self) -> Collection[UUID]:
        """Whose streams are open here."""
        return self._owners.keys()

    def has_ears_for(self, user_id: UUID | None) -> bool:
        """Does that user have a stream here, or anybody, where an event is for all?"""
        return user_id in self._owners if user_id else bool(self._owners)

    def pass_to(self, user_id: UUID | None, frame: Frame) -> None:
        """Give an event of a log topic to the streams of its user, or of all who hear such a topic."""
        heard = self._owners.get(user_id, ()) if user_id else [each for one in self._owners.values() for each in one]
        for listener in heard:
            listener.put_next(frame)

    def pass_over(self, seq: int) -> None:
        """Nothing up to this number was passed on here: whoever was not told of it otherwise reads his topics again."""
        for listeners in self._owners.values():
            for listener in listeners:
                listener.pass_over(seq)

    @property
    def states_behind(self) -> dict[str, Frame]:
        """States that wait until what has lower numbers is passed to those who hear log topics too."""
        return dict(self._behind)

    def pass_states(self, states: Mapping[str, Frame]) -> None:
        """Give them what waited, now that everything before it was passed."""
        for topic, frame in states.items():
            for listener in self._careful.get(topic, ()):
                listener.put(frame)
        self._behind = {topic: frame for topic, frame in self._behind.items() if states.get(topic) is not frame}

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
            audience = self._audience_of(topic, listener)
            audience[topic].discard(listener)
            if not audience[topic]:
                del audience[topic]

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


async def _numbered(connection: psycopg.AsyncConnection, states: Mapping[str, str]) -> list[str]:
    """Number the newest events of state topics, in the order given, and keep them; what they are with their numbers."""
    await connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
    found = await connection.execute(
        """
        with told as (
          insert into infra.stream_states (topic, seq, event, at)
          select topic, nextval('infra.stream_seq'), event, %s from unnest(%s::text[], %s::text[]) as u (topic, event)
          on conflict (topic) do update set seq = excluded.seq, event = excluded.event, at = excluded.at
          returning topic, seq),
        marked as (
          insert into infra.stream_marks (floor, head) select min(seq) - 1, max(seq) from told
          on conflict (is_only) do update set head = excluded.head)
        select topic, seq from told order by seq""",
        [clock.now(), list(states), list(states.values())],
    )
    return [with_number(states[topic], seq) for topic, seq in await found.fetchall()]


def with_number(event: str, seq: int) -> str:
    """An event as it goes to clients."""
    return f'{{"id": "{seq}", {event[1:]}'


async def _notify(connection: psycopg.AsyncConnection, events: Sequence[str], *, must_wake: bool) -> None:
    lines = [(TOPICS_CHANNEL, text) for text in _packed(events)]
    if must_wake:
        lines += [(channel, WAKE_UP) for channel in QUEUE_CHANNELS]
    await connection.execute(
        "select pg_notify(channel, payload) from unnest(%s::text[], %s::text[]) as line (channel, payload)",
        list(map(list, zip(*lines, strict=True))),
    )


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
