"""Event streams (server-sent events): an event names a topic, and a page fetches that part again."""

import json
from collections.abc import Collection, Sequence
from functools import partial
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from palio.infra import realtime
from palio.infra.realtime import INNER, RESYNC, Frame, Listener, TooManyStreams
from palio.infra.relay import Resumed
from palio.infra.tickets import TICKET_CHARACTERS_MAX, TicketInvalid
from palio.kernel.errors import Refusal, TooLarge, TooMany
from palio.kernel.ids import new_id
from palio.ui import problems
from palio.ui.actor import Ask, Asking
from palio.ui.headers import unwrapped
from palio.ui.streams import hearing, tickets
from palio.ui.streams.hearing import RETRY_MS, SIGNED_OUT, TOPICS_TEXT_MAX, Chosen, OriginRejected, Streams, Visitor
from palio.ui.streams.offers import STAFF, routes

COMMENT = b":\n\n"
EXAMPLE = 'event: ready\ndata: {"connection_id": "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44"}\nretry: 3000\n\n'
REFUSES = (OriginRejected, TicketInvalid, TooLarge, TooMany, TooManyStreams)

Topics = Annotated[str, Query(min_length=1, max_length=TOPICS_TEXT_MAX, examples=["races"])]
Ticket = Annotated[str | None, Query(max_length=TICKET_CHARACTERS_MAX)]


class EventStream(Response):
    """An answer that goes on until the caller or the server leaves: never cached, never held back.

    What has come by then is one write, however many frames; a comment is one when nothing happens for a while. Frames
    are told by a task of their own, straight to the server: whatever stands around a route would be passed twice by
    each of them, when the task wakes up and when it writes, though it only looks at how an answer begins. What changes
    while the task waits is told without waking it, unless the client is slow, or hears log topics: those go in order.
    """

    media_type = "text/event-stream"

    def __init__(
        self, streams: Streams, visitor: Visitor, listener: Listener, begun: bytes, *, status_code: int = 200
    ) -> None:
        super().__init__(status_code=status_code, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams, self._visitor, self._listener, self._begun = streams, visitor, listener, begun
        self._seq = 0  # the highest that was told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell the listener's frames until the end."""
        streams = self._streams
        with (
            streams.hub.serving(self._listener, until_gone(receive)),
            hearing.counted(streams.open, self._visitor.caller),
        ):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self._begun, "more_body": True})
            await realtime.run_apart(self._tell(unwrapped(scope, send)))

    async def _tell(self, send: Send) -> None:
        listener, is_open = self._listener, True
        if not listener.owner:
            listener.tell_at_once = partial(_is_sent_at_once, send)
        while is_open:
            frames = await listener.take(self._streams.comment_seconds)
            if await self._visitor.must_go(frames):
                frames = [SIGNED_OUT]
            is_open = all(frame.event != "bye" for frame in frames)
            body = b"".join(map(self._text, frames)) or COMMENT
            await send({"type": "http.response.body", "body": body, "more_body": is_open})

    def _text(self, frame: Frame) -> bytes:
        """A frame as it is told here; its number is left out where it would lead back."""
        if frame.topic.startswith(INNER):
            return b""
        if frame is RESYNC:
            return _resync(sorted(topic for topic in self._listener.topics if not topic.startswith(INNER)))
        if frame.seq is None:
            return frame.sse
        is_next, self._seq = frame.seq > self._seq, max(frame.seq, self._seq)
        return frame.sse if is_next else frame.sse_without_position


@routes.get("/stream", access="public", example=EXAMPLE, refuses=REFUSES, response_class=EventStream)
async def open_topics(request: Request, ask: Ask, topics: Topics, ticket: Ticket = None) -> EventStream:
    """Hear what changes about public topics, and what you are told yourself (`me`, or one of `me:wallet`).

    Frames: `ready`, `changed` (the event), `problem` (a topic that cannot be heard, the others stay), `resync` (read
    everything again) and `bye` (the server ends; come back after `retry_ms`). A state topic tells its newest value. Of
    your own topics every event comes, in order. Each has an id, and with it as `Last-Event-ID` you miss nothing.
    """
    return await _open(request, ask, topics, ticket)


@routes.get("/console/stream", access=STAFF, example=EXAMPLE, refuses=REFUSES, response_class=EventStream)
async def open_console_topics(request: Request, ask: Ask, topics: Topics, ticket: Ticket = None) -> EventStream:
    """Hear what changes, as staff do: also what is not public yet, and the topics of the console you may hear."""
    return await _open(request, ask, topics, ticket)


async def _open(request: Request, ask: Asking, topics: str, ticket: str | None) -> EventStream:
    streams = hearing.of(request)
    hearing.require_own_page(request)
    asked = hearing.listed(topics)
    visitor = await tickets.visitor_of(request, ask, ticket)
    hearing.require_place(streams, visitor.caller, visitor.streams_max)
    chosen = await hearing.choose(request, visitor.ask, asked)
    listener = streams.hub.join(
        [*chosen.states, *visitor.inner_topics],
        own_topics=chosen.logs,
        owner=visitor.user_id if chosen.logs else None,
    )  # or it refuses, before the answer has begun
    try:
        begun = await _begin(request, visitor.ask, listener, chosen)
    except BaseException:
        streams.hub.leave(listener)
        raise
    return EventStream(streams, visitor, listener, begun)


async def _begin(request: Request, ask: Asking, listener: Listener, chosen: Chosen) -> bytes:
    """What is told first: that it begins, what cannot be heard, and what was missed."""
    after = hearing.position_of(request.headers.get("last-event-id"))
    is_moved = after is not None or bool(chosen.logs)
    resumed = await hearing.resume(request, ask, listener, after) if is_moved else Resumed(0, ())
    is_behind = resumed.is_lost or bool(resumed.frames)  # cut off here, he still comes back for them
    begun = [_ready(resumed.seq if chosen.logs and not is_behind else None)]
    begun += [_unheard(request, refusal) for refusal in chosen.refused]
    if resumed.is_lost and chosen.heard:
        return b"".join([*begun, _resync(chosen.heard, resumed.seq)])
    return b"".join([*begun, *(frame.sse for frame in resumed.frames)])


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


def _unheard(request: Request, refusal: Refusal) -> bytes:
    problem = problems.describe(request, refusal)
    return _frame("problem", problems.DOCUMENT.dump_python(problem, mode="json"))


async def until_gone(receive: Receive) -> None:
    """Wait until the caller is no longer there."""
    while (await receive())["type"] != "http.disconnect":
        pass
