"""The short way in for the few hot routes: in front of the framework, for requests that are just what they should be.

There are acts of programs, and reads of what everybody may see. A path may have names in it, as the call declares them.

A hot route is a call like any other, declared with `Routes`; it stands in the description of the API and in the matrix
of who may what. Here it has a second, quicker way to the same answer. Whatever is not plain (no token of a program, a
header that wants something, a body that is not exactly what the call takes) goes the ordinary way, which alone knows
how to refuse it. So a request is counted once, refused in one place, and answered alike on both ways.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palio.infra.ratelimit import Left, Limiter
from palio.kernel import clock
from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor, RequestId, new_id_text
from palio.ui import access, limits, problems
from palio.ui.actor import Asking
from palio.ui.edge import BODY_SECONDS_MAX, HEADER_BYTES_MAX, RATE_HEADERS, REQUEST_ID, Served
from palio.ui.headers import of_every_answer, unwrapped
from palio.ui.refusals import InternalError
from palio.ui.routes import Call

Work = TypeVar("Work")
Headers: TypeAlias = Mapping[bytes, bytes]
Recognise: TypeAlias = Callable[[bytes, str | None, str], Awaitable[Asking | None]]
Straight: TypeAlias = Callable[[Send, bytes, bytes], bool]

BEARER = b"Bearer "
JSON = frozenset({b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"})
ANYTHING = frozenset(
    {None, b"*/*", b"application/json", b"application/json, */*", b"application/json, text/plain, */*"}
)
LENGTH_DIGITS_MAX = 9
OUT_OF_THE_WAY = frozenset({b"transfer-encoding", b"x-api-token", b"prefer"})
OF_EVERY_ANSWER = (
    (b"content-type", b"application/json"),
    (b"vary", b"Authorization, Cookie"),
    (b"cache-control", b"no-store"),
)
OF_EVERY_READ = (
    (b"content-type", b"application/json"),
    (b"vary", b"Authorization, Cookie"),
    (b"cache-control", b"public, max-age=5"),
)
OF_SOMEBODY = frozenset(
    {b"authorization", b"cookie", b"x-api-token", b"if-none-match", b"range", b"transfer-encoding", b"prefer"}
)
NAME = "[A-Za-z0-9_.:-]+"  # in an address: whatever needs more characters goes the ordinary way
STRAIGHT = "palio.straight"  # how the server writes an answer in one piece, if it can: what `Straight` is, in the scope
REPLAYED = (b"idempotency-replayed", b"true")
NOBODY = Asking(Actor("none", None, RequestId(UUID(int=0))), clock.now())  # whose calls are counted by his address


@dataclass(frozen=True, slots=True)
class Plain:
    """A request as it should be: the key it carries, if any, and its body, of which nothing was judged yet."""

    key: str | None
    body: bytes
    names: tuple[str, ...] = ()  # what stands in the address where the call has names


class Answer(NamedTuple):
    """A success, or what is told like one; the body is JSON."""

    status: int
    body: bytes
    is_replay: bool = False


@dataclass(frozen=True, slots=True)
class HotRoute(Generic[Work]):
    """The second way to the answer of a call.

    `read` makes out of a request what is to be done, or None: then the ordinary call answers. `answer` does it, for
    somebody who may; it may refuse as the ordinary call does.
    """

    method: str
    path: str
    read: Callable[[Plain], Awaitable[Work | None]]
    answer: Callable[[Asking, Work], Awaitable[Answer]]


class Told(NamedTuple):
    """What everybody is told who asks for the same; the body is JSON, the tag says which state of it this is."""

    body: bytes
    tag: str = ""


@dataclass(frozen=True, slots=True)
class HotRead(Generic[Work]):
    """The second way to the answer of a call that reads what everybody may see, for whoever does not say who he is.

    `read` makes out of the names in the address and the query what is to be read, or None: then the ordinary call
    answers. `answer` reads it; it may refuse as the ordinary call does.
    """

    path: str
    read: Callable[[tuple[str, ...], str], Work | None]
    answer: Callable[[Work], Awaitable[Told]]
    method: str = "GET"


@dataclass(frozen=True, slots=True)
class _Laid:
    """A hot route and the ordinary call it is the short way to; `form` are addresses with names in them."""

    hot: HotRoute[Any] | HotRead[Any]
    call: Call
    form: re.Pattern[str]


class HotRoutes:
    """Stands in front of the edge. `recognise` says whose a token is, None where that is for the ordinary way to say;
    `is_open` is whether anybody may come in at all.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Sequence[HotRoute[Any] | HotRead[Any]],
        calls: Sequence[Call],
        *,
        recognise: Recognise,
        limiter: Limiter | None,
        served: Callable[[Served], None],
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        ordinary = {(method, call.path): call for call in calls for method in call.methods or ()}
        laid = [_Laid(hot, ordinary[hot.method, hot.path], _form_of(hot.path)) for hot in routes]
        self._table = {(each.hot.method, each.hot.path): each for each in laid if not each.form.groups}
        self._named = [each for each in laid if each.form.groups]
        self._app, self._recognise, self._limiter = app, recognise, limiter
        self._served, self._is_open = served, is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        laid, names = self._laid(scope) if scope["type"] == "http" else (None, ())
        if laid is None or not self._is_open():
            await self._app(scope, receive, send)
        elif isinstance(laid.hot, HotRead):
            await self._read(scope, receive, send, laid.hot, laid.call, names)
        else:
            await self._act(scope, receive, send, laid.hot, laid.call, names)

    def _laid(self, scope: Scope) -> tuple[_Laid | None, tuple[str, ...]]:
        """The hot route of an address, and the names in it."""
        method, path = scope["method"], scope["path"]
        if laid := self._table.get((method, path)):
            return laid, ()
        for each in self._named:
            if each.hot.method == method and (found := each.form.fullmatch(path)):
                return each, found.groups()
        return None, ()

    async def _act(
        self, scope: Scope, receive: Receive, send: Send, hot: HotRoute[Any], call: Call, names: tuple[str, ...]
    ) -> None:
        """Carry out what a program asks for, if it is plain."""
        headers = _plain_headers(scope, call.rules.body_bytes_max)
        if headers is None:
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        first, body = await _whole(receive)
        request_id = None if first else _request_id(headers)
        work = ask = None
        if request_id is not None:
            key = headers.get(b"idempotency-key")
            work = await hot.read(Plain(key.decode("latin-1") if key is not None else None, body, names))
            ask = await self._known(scope, hot, call, headers, request_id) if work is not None else None
        if request_id is None or ask is None:  # nothing has happened yet
            await self._app(scope, _again(first or {"type": "http.request", "body": body}, receive), send)
            return
        found = ask

        async def answered(told: str) -> int:
            answer = await hot.answer(found, work)
            await _send(scope, send, answer, told, request_id)
            return answer.status

        await self._answer(scope, send, hot, call, ask, request_id, began, answered)

    async def _read(
        self, scope: Scope, receive: Receive, send: Send, hot: HotRead[Any], call: Call, names: tuple[str, ...]
    ) -> None:
        """Tell somebody what everybody may know, if he asks plainly."""
        headers = _headers_of_nobody(scope)
        request_id = _request_id(headers) if headers is not None else None
        work = hot.read(names, scope["query_string"].decode("latin-1")) if request_id is not None else None
        if request_id is None or work is None:
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def answered(told: str) -> int:
            await _tell(scope, send, await hot.answer(work), told, request_id)
            return HTTPStatus.OK

        await self._answer(scope, send, hot, call, NOBODY, request_id, began, answered)

    async def _answer(
        self,
        scope: Scope,
        send: Send,
        hot: HotRoute[Any] | HotRead[Any],
        call: Call,
        ask: Asking,
        request_id: str,
        began: float,
        answered: Callable[[str], Awaitable[int]],
    ) -> None:
        """Count a request and answer it, or say why not; then tell of it."""
        status, code, defect = 500, None, None
        left: Sequence[Left] = ()
        try:
            left = await self._counted(scope, hot, call, ask)
            if refusal := limits.refusal_of(left):
                raise refusal  # noqa: TRY301 - told as every other one
            status = await answered(limits.lines(left))
        except Refusal as refusal:
            code = refusal.code
            status = await _refuse(scope, send, refusal, left, request_id)
        except Exception as error:  # noqa: BLE001 - a bug of ours: the caller is told that, and the log what it was
            defect = error
            status = await _refuse(scope, send, InternalError(), left, request_id)
        finally:
            seconds = time.perf_counter() - began
            self._served(Served(request_id, hot.method, call.path, status, seconds, code, defect))

    async def _known(
        self, scope: Scope, hot: HotRoute[Any], call: Call, headers: Headers, request_id: str
    ) -> Asking | None:
        """Who asks, if it is somebody who may; the ordinary way refuses everybody else."""
        client = scope.get("client")
        try:
            ask = await self._recognise(headers[b"authorization"], client[0] if client else None, request_id)
            if ask is not None:
                access.require(call.rules.terms, ask, hot.method)
        except Refusal:
            return None
        return ask

    async def _counted(
        self, scope: Scope, hot: HotRoute[Any] | HotRead[Any], call: Call, ask: Asking
    ) -> Sequence[Left]:
        """Count the request; what is left to the caller. Refuses with Unavailable."""
        if self._limiter is None:
            return ()
        client, rules = scope.get("client"), call.rules
        address = limits.subject_of(client[0] if client else "")
        is_strict = rules.idempotency == "required"
        return await self._limiter.take(limits.wanted(ask, hot.method, rules.limits, address, is_strict=is_strict))


def _plain_headers(scope: Scope, bytes_max: int) -> Headers | None:
    """The headers of a request of which nothing is unusual, else None."""
    listed: list[tuple[bytes, bytes]] = scope["headers"]
    headers = dict(listed)
    if len(headers) < len(listed) or scope["query_string"] or not OUT_OF_THE_WAY.isdisjoint(headers):
        return None
    if not headers.get(b"authorization", b"").startswith(BEARER) or headers.get(b"content-type") not in JSON:
        return None
    length = headers.get(b"content-length", b"")
    if headers.get(b"accept") not in ANYTHING or not length.isdigit() or len(length) > LENGTH_DIGITS_MAX:
        return None
    if int(length) > bytes_max:
        return None
    if sum(map(len, headers)) + sum(map(len, headers.values())) > HEADER_BYTES_MAX:
        return None
    return headers


def _headers_of_nobody(scope: Scope) -> Headers | None:
    """The headers of a request in which nobody says who he is, and nothing is unusual, else None."""
    listed: list[tuple[bytes, bytes]] = scope["headers"]
    headers = dict(listed)
    if len(headers) < len(listed) or not OF_SOMEBODY.isdisjoint(headers) or headers.get(b"accept") not in ANYTHING:
        return None
    if headers.get(b"content-length", b"0") != b"0":
        return None
    if sum(map(len, headers)) + sum(map(len, headers.values())) > HEADER_BYTES_MAX:
        return None
    return headers


def _form_of(path: str) -> re.Pattern[str]:
    """Addresses of a path: a name is one part of it, of plain characters."""
    return re.compile(re.sub(r"\\\{\w+\\\}", f"({NAME})", re.escape(path)))


def _request_id(headers: Headers) -> str | None:
    """The caller's own id, or a new one; None where his is not as we write it."""
    own = headers.get(b"x-request-id")
    if own is None:
        return new_id_text()
    try:
        return str(UUID(own.decode("latin-1")))
    except ValueError:
        return None


async def _whole(receive: Receive) -> tuple[Message | None, bytes]:
    """The body, if it comes in time, else the message with which it ended; the server holds it to its length.

    Most bodies are here before anybody asks for them, and no clock is set for those. Whoever sends a head and then
    nothing has an idle connection, as he would without.
    """
    message = await receive()
    if message["type"] != "http.request":
        return message, b""
    if not message.get("more_body", False):
        return None, message.get("body", b"")
    parts = [message.get("body", b"")]
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            while message.get("more_body", False):
                message = await receive()
                if message["type"] != "http.request":
                    return message, b""
                parts.append(message.get("body", b""))
    except TimeoutError:
        return {"type": "http.disconnect"}, b""  # nobody waits for somebody who does not go on
    return None, b"".join(parts)


def _again(first: Message, receive: Receive) -> Receive:
    """The same request from its beginning."""
    waiting = [first]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


async def _send(scope: Scope, send: Send, answer: Answer, told: str, request_id: str) -> None:
    """Answer: in one piece where the server can, else as everybody does."""
    body = answer.body
    own = f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\n{told}".encode()
    if answer.is_replay:
        own += b"%b: %b\r\n" % REPLAYED
    straight: Straight | None = scope.get(STRAIGHT)
    head = _HEADS[answer.status, scope["scheme"] == "https"] if straight else b""
    if straight and straight(unwrapped(scope, send), head + own, body):
        return
    lines = [line.split(b": ", 1) for line in own.split(b"\r\n")[:-1]]
    listed = [*OF_EVERY_ANSWER, *[(name, value) for name, value in lines]]
    await send({"type": "http.response.start", "status": answer.status, "headers": listed})
    await send({"type": "http.response.body", "body": body})


async def _tell(scope: Scope, send: Send, told: Told, limits_told: str, request_id: str) -> None:
    """Answer what everybody may know, and for how long it may be kept."""
    tag = f"etag: {told.tag}\r\n" if told.tag else ""
    own = f"content-length: {len(told.body)}\r\nx-request-id: {request_id}\r\n{tag}{limits_told}".encode()
    straight: Straight | None = scope.get(STRAIGHT)
    if straight and straight(unwrapped(scope, send), _TOLD_HEADS[scope["scheme"] == "https"] + own, told.body):
        return
    lines = [line.split(b": ", 1) for line in own.split(b"\r\n")[:-1]]
    listed = [*OF_EVERY_READ, *[(name, value) for name, value in lines]]
    await send({"type": "http.response.start", "status": HTTPStatus.OK, "headers": listed})
    await send({"type": "http.response.body", "body": told.body})


def _head(status: HTTPStatus, fixed: Sequence[tuple[bytes, bytes]], *, is_over_tls: bool) -> bytes:
    """The beginning of an answer, which is always the same."""
    lines = [b"HTTP/1.1 %d %b" % (status, status.phrase.encode())]
    lines += [b": ".join(pair) for pair in (*fixed, *of_every_answer(is_over_tls=is_over_tls))]
    return b"".join([line + b"\r\n" for line in lines])


_HEADS: dict[tuple[int, bool], bytes] = {
    (status, is_over_tls): _head(status, OF_EVERY_ANSWER, is_over_tls=is_over_tls)
    for status in (HTTPStatus.OK, HTTPStatus.CREATED)
    for is_over_tls in (False, True)
}
_TOLD_HEADS: dict[bool, bytes] = {
    is_over_tls: _head(HTTPStatus.OK, OF_EVERY_READ, is_over_tls=is_over_tls) for is_over_tls in (False, True)
}


async def _refuse(scope: Scope, send: Send, refusal: Refusal, left: Sequence[Left], request_id: str) -> int:
    """The problem document of the ordinary way."""
    scope[REQUEST_ID], scope[RATE_HEADERS] = RequestId(UUID(request_id)), limits.told(left) if left else {}
    request = Request(scope)
    response = problems.respond(request, problems.describe(request, refusal))
    response.headers["x-request-id"] = request_id
    await response(scope, _nothing, send)
    return response.status_code


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
