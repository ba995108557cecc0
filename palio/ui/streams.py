"""Live streams for browsers (server-sent events): an event names a topic, and the page fetches that part again."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from palio.infra.realtime import BYE, RESYNC, Hub, Listener, TooManyStreams
from palio.kernel.errors import Forbidden, NotFound, TooLarge, TooMany
from palio.kernel.ids import new_id
from palio.ui import problems
from palio.ui.limits import network_of
from palio.ui.routes import Routes

TOPICS_MAX = 50
STREAMS_OF_ADDRESS_MAX = 20
COMMENT_SECONDS = 15  # so often something is sent, or proxies take the line for dead
RETRY_MS = 3_000
COMMENT = b":\n\n"
UUID_FORM = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PUBLIC_TOPICS = re.compile(rf"races|feed|(?:race|competition):{UUID_FORM}|board:wager:[a-z0-9-]{{2,40}}:(?:D|W|M|ALL)")

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
    open: Counter[str] = field(default_factory=Counter)


class EventStream(Response):
    """An answer that goes on until the caller or the server leaves: never cached, never held back.

    What has come by then is one write, however many frames; a comment is one when nothing happens for a while.
    """

    media_type = "text/event-stream"

    def __init__(
        self, streams: Streams, address: str, listener: Listener, begun: bytes, status_code: int = 200
    ) -> None:
        super().__init__(status_code=status_code, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams, self._address, self._listener, self._begun = streams, address, listener, begun

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the protocol's
        """Tell the listener's frames until the end."""
        streams = self._streams
        with streams.hub.serving(self._listener, _until_gone(receive)), _counted(streams.open, self._address):
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self._begun, "more_body": True})
            await self._tell(send)

    async def _tell(self, send: Send) -> None:
        listener, is_open = self._listener, True
        while is_open:
            frames = await listener.take(self._streams.comment_seconds)
            is_open = BYE not in frames
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
    topics: Annotated[str, Query(min_length=1, max_length=4_096, examples=["races"])],
) -> EventStream:
    """Hear what changes about public topics.

    Frames: `ready`, `changed` (the event), `problem` (a topic that cannot be heard, the others stay), `resync` (read
    everything again) and `bye` (the server ends; come back after `retry_ms`). A state topic tells its newest value.
    """
    streams: Streams = request.app.state.streams
    _require_own_page(request, streams.origin)
    address = network_of(request)
    if streams.open[address] >= STREAMS_OF_ADDRESS_MAX:
        raise TooMany(policy="streams", limit=STREAMS_OF_ADDRESS_MAX)
    asked = list(dict.fromkeys(topics.split(",")))
    if len(asked) > TOPICS_MAX:
        raise TooLarge(limit=TOPICS_MAX)
    heard = [topic for topic in asked if PUBLIC_TOPICS.fullmatch(topic)]
    listener = streams.hub.join(heard)  # or it refuses, before the answer has begun
    begun = [_ready(), *(_unheard(request, topic) for topic in asked if topic not in heard)]
    if "last-event-id" in request.headers:  # what was missed is not kept: the newest value is read again
        begun.append(_resync(heard))
    return EventStream(streams, address, listener, b"".join(begun))


def _require_own_page(request: Request, ours: str | None) -> None:
    origin = request.headers.get("origin")
    if origin is None or origin == ours:
        return
    if ours or urlsplit(origin).netloc != request.headers.get("host"):
        raise OriginRejected(origin=origin)


def _frame(event: str, data: object, more: str = "") -> bytes:
    return f"event: {event}\ndata: {json.dumps(data)}\n{more}\n".encode()


def _ready() -> bytes:
    return _frame("ready", {"connection_id": str(new_id())}, f"retry: {RETRY_MS}\n")


def _resync(topics: Sequence[str]) -> bytes:
    return _frame("resync", {"topics": list(topics)})


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
