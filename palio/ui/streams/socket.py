"""The socket: a stream over which a client also says what it wants to hear, and shows its ticket."""

import asyncio
import json
from collections import deque
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from fastapi import Request, WebSocket, WebSocketDisconnect
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from starlette.types import Message

from palio.infra.realtime import INNER, RESYNC, TOPIC_BYTES_MAX, TOPICS_OF_STREAM_MAX, Frame, Listener, TooManyStreams
from palio.infra.relay import Resumed
from palio.infra.tickets import TICKET_CHARACTERS_MAX
from palio.kernel.errors import Malformed, Refusal, TooMany, Unauthenticated, Unavailable
from palio.kernel.ids import new_id
from palio.ui import limits, problems, strict
from palio.ui.actor import nobody
from palio.ui.bodies import Body
from palio.ui.limits import network_of
from palio.ui.streams import hearing, tickets
from palio.ui.streams.hearing import SIGNED_OUT, STREAMS_OF_ADDRESS_MAX, OriginRejected, Visitor
from palio.ui.streams.offers import routes
from palio.ui.streams.polling import POSITION_CHARACTERS_MAX

PATH = "/stream/ws"
FRAME_BYTES_MAX = 8 << 10
FRAMES_MAX, FRAMES_SECONDS = 20, 10
HELLO_SECONDS_MAX = 5
PING_SECONDS, SILENCE_SECONDS_MAX = 25, 60
BAD_FRAME, ENDED, ELSEWHERE, IDLE, TOO_MUCH, RESTART = 4400, 4401, 4403, 4408, 4429, 1012
CLOSES = {
    BAD_FRAME: "bad frame",
    ENDED: "ticket or session ended",
    ELSEWHERE: "another page",
    IDLE: "idle",
    TOO_MUCH: "too much",
    RESTART: "restart",
}


class BadFrame(Malformed):
    """That is no frame of ours: JSON of at most 8 KiB, with the members that its `op` takes."""

    code: ClassVar[str] = "stream.bad_frame"


class _Said(Body):
    model_config = ConfigDict(strict=True)


Topics = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=TOPIC_BYTES_MAX)]], Field(max_length=TOPICS_OF_STREAM_MAX)
]


class Hello(_Said):
    """The first frame: who it is, and behind which number it goes on. Topics may come with it or follow."""

    op: Literal["hello"]
    ticket: str | None = Field(None, max_length=TICKET_CHARACTERS_MAX, repr=False)
    resume: str | None = Field(None, max_length=POSITION_CHARACTERS_MAX)
    topics: Topics = Field(default_factory=list)


class Subscribe(_Said):
    """Hear these topics too; the first ones begin behind `resume`, later ones with what comes next."""

    op: Literal["subscribe"]
    topics: Topics = Field(min_length=1)


class Unsubscribe(_Said):
    """Hear these topics no more."""

    op: Literal["unsubscribe"]
    topics: Topics = Field(min_length=1)


class Pong(_Said):
    """The answer to `ping`."""

    op: Literal["pong"]


Said: TypeAlias = Hello | Subscribe | Unsubscribe | Pong
SAID: TypeAdapter[Said] = TypeAdapter(Annotated[Said, Field(discriminator="op")])


class _ClosedError(Exception):
    """The socket is to be closed, for this reason."""

    def __init__(self, code: int, refusal: Refusal | None = None) -> None:
        super().__init__(code)
        self.code, self.refusal = code, refusal


class _GoneError(Exception):
    """Nobody is at the other end any more."""


@routes.socket(PATH)
async def open_socket(socket: WebSocket) -> None:
    """Hear topics, those of one's own with a ticket. Frames and closes are described at `/api/v1/asyncapi.json`."""
    request = Request({**socket.scope, "type": "http"})  # what opens a socket is a request like any other
    streams = hearing.of(request)
    waiting = f"waiting:{network_of(request)}"
    try:
        hearing.require_own_page(request)
        hearing.require_place(streams, waiting, STREAMS_OF_ADDRESS_MAX)
        await limits.take(request, await nobody(request), ())
    except Refusal as refusal:
        await socket.send_denial_response(problems.respond(request, problems.describe(request, refusal)))
        return
    await socket.accept()
    talk = _Talk(socket, request)
    try:
        with hearing.counted(streams.open, waiting):
            hello = await talk.first_frame()
        await talk.run(hello)
    except _ClosedError as closed:
        await talk.close(closed.code, closed.refusal)
    except Unavailable as refusal:
        await talk.close(RESTART, refusal)
    except _GoneError:
        return


class _Talk:
    """One socket from its first frame to its end."""

    def __init__(self, socket: WebSocket, request: Request) -> None:
        self._socket, self._request, self._streams = socket, request, hearing.of(request)
        self._times: deque[float] = deque(maxlen=FRAMES_MAX + 1)
        self._loop = asyncio.get_running_loop()
        self._answered_at = self._loop.time()
        self._sending = asyncio.Lock()
        self._connection_id = str(new_id())
        self._has_begun = asyncio.Event()
        self._early: list[Frame] = []
        self._visitor: Visitor
        self._listener: Listener
        self._after: int | None = None

    async def first_frame(self) -> Hello:
        """The greeting. Anything else closes the socket, and nothing does too."""
        try:
            async with asyncio.timeout(HELLO_SECONDS_MAX):
                said = await self._frame()
        except TimeoutError:
            raise _ClosedError(IDLE) from None
        if not isinstance(said, Hello):
            raise _ClosedError(BAD_FRAME, BadFrame(reason="the first frame is `hello`"))
        return said

    async def run(self, hello: Hello) -> None:
        """Listen and tell until the end, which is raised."""
        visitor = self._visitor = await self._greeted(hello)
        streams, self._after = self._streams, hearing.position_of(hello.resume)
        try:
            hearing.require_place(streams, visitor.caller, visitor.streams_max)
            self._listener = streams.hub.join(visitor.inner_topics, owner=visitor.user_id)
        except (TooMany, TooManyStreams) as refusal:
            raise _ClosedError(TOO_MUCH, refusal) from None
        with hearing.counted(streams.open, visitor.caller):
            try:
                await self._hear(hello.topics)
                await _first_end(self._read(), self._tell(), self._ping())
            finally:
                streams.hub.leave(self._listener)

    async def _greeted(self, hello: Hello) -> Visitor:
        ticket = hello.ticket or self._request.query_params.get("ticket")
        try:
            return await tickets.visitor_of(self._request, await nobody(self._request), ticket)
        except Unauthenticated as refusal:
            raise _ClosedError(ENDED, refusal) from None
        except OriginRejected as refusal:
            raise _ClosedError(ELSEWHERE, refusal) from None

    # hearing

    async def _frame(self) -> Said:
        """The next frame. What is none of ours, or too much, closes the socket."""
        message: Message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise _GoneError
        now = self._loop.time()
        self._times.append(now)
        if len(self._times) > FRAMES_MAX and now - self._times[0] < FRAMES_SECONDS:
            raise _ClosedError(TOO_MUCH, TooMany(policy="frames", limit=FRAMES_MAX, window_s=FRAMES_SECONDS))
        text: str | None = message.get("text")
        if text is None or len(encoded := text.encode(errors="surrogatepass")) > FRAME_BYTES_MAX:
            raise _ClosedError(BAD_FRAME, BadFrame())
        try:
            said = SAID.validate_python(strict.parse(encoded))
        except (Malformed, ValidationError):
            raise _ClosedError(BAD_FRAME, BadFrame()) from None
        self._answered_at = now
        return said

    async def _read(self) -> None:
        while True:
            said = await self._frame()
            if isinstance(said, Hello):
                raise _ClosedError(BAD_FRAME, BadFrame(reason="it has said `hello` before"))
            if isinstance(said, Subscribe):
                await self._hear(said.topics)
            elif isinstance(said, Unsubscribe):
                await self._let_go(said.topics)

    async def _hear(self, asked: Sequence[str]) -> None:
        """Hear more topics. The first of them go on from where somebody left off; then telling begins."""
        listener, heard = self._listener, self._heard()
        new = [topic for topic in dict.fromkeys(asked) if topic not in heard]
        try:
            hearing.require_few([*heard, *new])
            chosen = await hearing.choose(self._request, self._visitor.ask, new)
            states = {*listener.topics, *chosen.states}
            self._streams.hub.choose(listener, states, {*listener.own_topics, *chosen.logs})
            is_first = bool(chosen.heard) and not self._has_begun.is_set()
            resumed = await self._resumed() if is_first else None
        except Refusal as refusal:
            await self._send(self._error(refusal))
            return
        behind = self._after if resumed and self._after is not None and not resumed.is_lost else None
        told = [self._ready(behind if behind is not None or resumed is None else resumed.seq)]
        told += map(self._error, chosen.refused)
        if resumed and resumed.is_lost:
            lost = {"op": "resync", "topics": self._heard(), "from": str(resumed.seq)}
            told.append(json.dumps(lost))
        if resumed:
            early = [frame for frame in self._early if not frame.is_log or (frame.seq or 0) > resumed.seq]
            told += [self._text(frame) for frame in (*resumed.frames, *early)]
            self._has_begun.set()
        await self._send(*told)

    async def _resumed(self) -> Resumed:
        return await hearing.resume(self._request, self._visitor.ask, self._listener, self._after)

    async def _let_go(self, topics: Sequence[str]) -> None:
        listener, gone = self._listener, frozenset(topics)
        self._streams.hub.choose(listener, listener.topics - gone, listener.own_topics - gone)
        await self._send(self._ready(None))

    def _heard(self) -> list[str]:
        topics = (topic for topic in self._listener.topics if not topic.startswith(INNER))
        return sorted([*topics, *self._listener.own_topics])

    # telling

    async def _tell(self) -> None:
        """Tell what comes; what comes while the beginning is looked up is told behind it."""
        listener = self._listener
        while True:
            frames = await listener.take(hearing.JUDGED_SECONDS_MAX)
            if await self._visitor.must_go(frames):
                await self._send(_bye(SIGNED_OUT))
                raise _ClosedError(ENDED)
            if end := next((frame for frame in frames if frame.event == "bye"), None):
                await self._send(_bye(end))
                raise _ClosedError(RESTART)
            news = [frame for frame in frames if not frame.topic.startswith(INNER)]
            if self._has_begun.is_set():
                await self._send(*map(self._text, news))
            else:
                self._early += news

    def _text(self, frame: Frame) -> str:
        if frame is RESYNC:
            return json.dumps({"op": "resync", "topics": self._heard()})
        return f'{{"op": "resync", {frame.data[1:]}' if frame.event == "resync" else _event(frame)

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            if self._loop.time() - self._answered_at > SILENCE_SECONDS_MAX:
                raise _ClosedError(IDLE)
            await self._send('{"op": "ping"}')

    async def _send(self, *frames: str) -> None:
        async with self._sending:  # so that nothing comes between what belongs together
            try:
                for frame in frames:
                    await self._socket.send_text(frame)
            except WebSocketDisconnect:
                raise _GoneError from None

    def _ready(self, seq: int | None) -> str:
        position = {} if seq is None else {"from": str(seq)}
        return json.dumps({"op": "ready", "connection_id": self._connection_id, "topics": self._heard(), **position})

    def _error(self, refusal: Refusal) -> str:
        problem = problems.DOCUMENT.dump_python(problems.describe(self._request, refusal), mode="json")
        return json.dumps({"op": "error", "problem": problem})

    async def close(self, code: int, refusal: Refusal | None = None) -> None:
        """Say why, and close."""
        with suppress(_GoneError, WebSocketDisconnect):
            if refusal:
                await self._send(self._error(refusal))
            await self._socket.close(code, CLOSES[code])


def _event(frame: Frame) -> str:
    return f'{{"op": "event", "event": {frame.data}}}'


def _bye(frame: Frame) -> str:
    return f'{{"op": "bye", {frame.data[1:]}'


async def _first_end(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all until one of them ends, which each does by raising why, and raise that."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
    except ExceptionGroup as ends:
        raise ends.exceptions[0] from None
