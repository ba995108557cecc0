"""Live streams for browsers (server-sent events): an event names a topic, and the page fetches that part again."""

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from palio.infra import realtime, relay
from palio.infra.db import Database
from palio.infra.realtime import RESYNC, Frame, Hub, Listener, TooManyStreams
from palio.kernel.errors import Forbidden, NotFound, TooLarge, TooMany, Unauthenticated
from palio.kernel.ids import new_id
from palio.ui import problems
from palio.ui.actor import Ask, Asking, Identify
from palio.ui.headers import unwrapped
from palio.ui.limits import network_of
from palio.ui.routes import Routes

TOPICS_MAX = 50
STREAMS_OF_ADDRESS_MAX, STREAMS_OF_USER_MAX = 20, 5
COMMENT_SECONDS = 15  # so often something is sent, or proxies take the line for dead
RETRY_MS = 3_000
COMMENT = b":\n\n"
SIGNED_OUT = Frame("bye", '{"reason": "signed_out", "retry_ms": 3000}')
POSITION = re.compile(r"[0-9]{1,18}")
UUID_FORM = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
OWN_TOPICS = re.compile(r"me(?::[a-z]{2,40})?")
PUBLIC_TOPICS = re.compile(
    rf"races|feed|(?:race|competition):{UUID_FORM}|list:[0-9]{{1,18}}|board:(?:wager:)?[a-z0-9_.-]{{2,60}}:(?:D|W|WE|M|ALL)"
)

routes = Routes("stream")


class OriginRejected(Forbidden):
    """A stream is opened from our own pages, and `origin` is none of them."""

    code = "origin_rejected"


@dataclass(frozen=True, slots=True)
class Streams:
    """What this process streams from, and how many streams each address has open."""

    hub: Hub
    origin: str | None
    comment_seconds: float = COMMENT_SECONDS
    of_user_max: int = STREAMS_OF_USER_MAX
    open: Counter[str] = field(default_factory=Counter)


class EventStream(Response):
    """An answer that goes on until the caller or the server leaves: never cached, never held back.

    What has come by then is one write, however many frames; a comment is one when nothing happens for a while. Frames
    are told by a task of their own, straight to the server: whatever stands around a route would be passed twice by
    each of them, when the task wakes up and when it writes, though it only looks at how an answer begins. What changes
    while the task waits is told without waking it, unless the client is slow.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        streams: Streams,
        address: str,
        listener: Listener,
        begun: bytes,
        *,
        is_still_there: Callable[[], Awaitable[bool]],
        status_code: int = 200,
    ) -> None:
        """`is_still_there` is asked before anything private is told, and every now and then."""
        super().__init__(status_code=status_code, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams, self._address, self._listener, self._begun = streams, address, listener, begun
        self._is_still_there = is_still_there

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell the listener's frames until the end."""
        streams = self._streams
        with streams.hub.serving(self._listener, _until_gone(receive)), _counted(streams.open, self._address):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self._begun, "more_body": True})
            await realtime.run_apart(self._tell(unwrapped(scope, send)))

    async def _tell(self, send: Send) -> None:
        listener, is_open = self._listener, True
        listener.tell_at_once = partial(_is_sent_at_once, send)
        while is_open:
            frames = await listener.take(self._streams.comment_seconds)
            is_open = all(frame.event != "bye" for frame in frames)
            if listener.owner and (not frames or any(frame.seq for frame in frames)):
                frames = frames if await self._is_still_there() else [SIGNED_OUT]
                is_open = is_open and frames != [SIGNED_OUT]
            lines = [_resync(sorted(listener.topics)) if frame is RESYNC else frame.sse for frame in frames]
            body = b"".join(lines) or COMMENT
            await send({"type": "http.response.body", "body": body, "more_body": is_open})


@routes.get(
    "/stream",
    access="public",
    example='event: ready\ndata: {"connection_id": "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44"}\nretry: 3000\n\n',
    refuses=[OriginRejected, TooLarge, TooMany, TooManyStreams],
    response_class=EventStream,
)
async def open_topics(
    request: Request,
    ask: Ask,
    topics: Annotated[str, Query(min_length=1, max_length=4_096, examples=["races"])],
) -> EventStream:
    """Hear what changes about public topics, and what you are told yourself (`me`, or one of `me:wallet`).

    Frames: `ready`, `changed` (the event), `problem` (a topic that cannot be heard, the others stay), `resync` (read
    everything again) and `bye` (the server ends; come back after `retry_ms`). A state topic tells its newest value. Of
    your own topics every event comes, in order; each has an id, and with it as `Last-Event-ID` you miss nothing.
    """
    streams: Streams = request.app.state.streams
    _require_own_page(request, streams.origin)
    user_id = ask.actor.user_id if ask.actor.kind in {"player", "viewer"} else None
    caller, streams_max = (
        (f"user:{user_id}", streams.of_user_max) if user_id else (network_of(request), STREAMS_OF_ADDRESS_MAX)
    )
    if streams.open[caller] >= streams_max:
        raise TooMany(policy="streams", limit=streams_max)
    asked = list(dict.fromkeys(topics.split(",")))
    if len(asked) > TOPICS_MAX:
        raise TooLarge(limit=TOPICS_MAX)
    heard = [topic for topic in asked if PUBLIC_TOPICS.fullmatch(topic)]
    own = [topic for topic in asked if user_id and OWN_TOPICS.fullmatch(topic)]
    listener = streams.hub.join(heard, own_topics=own, owner=user_id)  # or it refuses, before the answer has begun
    try:
        resumed = await _resume(request, ask, listener) if user_id and own else None
    except BaseException:
        streams.hub.leave(listener)
        raise
    is_behind = resumed is not None and (resumed.is_lost or bool(resumed.frames))
    begun = [_ready(resumed.seq if resumed and not is_behind else None)]  # cut off here, he still comes back for them
    begun += [_unheard(request, topic) for topic in asked if topic not in {*heard, *own}]
    if "last-event-id" in request.headers and heard:  # what was missed is not kept: the newest value is read again
        begun.append(_resync(heard))
    if resumed:
        begun += [_resync(own, resumed.seq)] if resumed.is_lost else [frame.sse for frame in resumed.frames]

    async def is_still_there() -> bool:
        identify: Identify = request.app.state.identify
        try:
            return (await identify(request)).actor.user_id == user_id
        except Unauthenticated:
            return False

    return EventStream(streams, caller, listener, b"".join(begun), is_still_there=is_still_there)


async def _resume(request: Request, ask: Asking, listener: Listener) -> relay.Resumed:
    """Where the own topics of a stream go on. What comes meanwhile waits in the listener."""
    said = request.headers.get("last-event-id", "")
    after = int(said) if POSITION.fullmatch(said) else None if not said else -1  # -1 was never given
    database: Database = request.app.state.database
    async with database.begin(ask.actor) as tx:
        resumed = await relay.resume(tx, listener=listener, after=after)
    listener.begin(resumed.seq)
    return resumed


def _require_own_page(request: Request, ours: str | None) -> None:
    origin = request.headers.get("origin")
    if origin is None or origin == ours:
        return
    if ours or urlsplit(origin).netloc != request.headers.get("host"):
        raise OriginRejected(origin=origin)


def _is_sent_at_once(send: Send, frames: Collection[Frame]) -> bool:
    """Write them without a task. A client who is too slow for that makes the server wait before it writes: then nothing
    is written, and the task of the stream waits instead.
    """
    body = b"".join([frame.sse for frame in frames])
    writing = send({"type": "http.response.body", "body": body, "more_body": True}).__await__()
    try:
        next(writing)
    except StopIteration:
        return True
    writing.close()
    return False


def _frame(event: str, data: object, more: str = "") -> bytes:
    return f"event: {event}\ndata: {json.dumps(data)}\n{more}\n".encode()


def _ready(seq: int | None) -> bytes:
    position = "" if seq is None else f"id: {seq}\n"
    return _frame("ready", {"connection_id": str(new_id())}, f"{position}retry: {RETRY_MS}\n")


def _resync(topics: Sequence[str], seq: int | None = None) -> bytes:
    if seq is None:
        return _frame("resync", {"topics": list(topics)})
    return _frame("resync", {"topics": list(topics), "from": str(seq)}, f"id: {seq}\n")


def _unheard(request: Request, topic: str) -> bytes:
    problem = problems.describe(request, NotFound(topic=topic[:200]))
    return _frame("problem", problems.DOCUMENT.dump_python(problem, mode="json"))


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@contextmanager
def _counted(open_streams: Counter[str], address: str) -> Iterator[None]:
    open_streams[address] += 1
    try:
        yield
    finally:
        open_streams[address] -= 1
        if not open_streams[address]:
            del open_streams[address]
