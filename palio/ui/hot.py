"""The short way in for the few hot routes: in front of the framework, for requests that are just what they should be.

A hot route is a call like any other, declared with `Routes`; it stands in the description of the API and in the matrix
of who may what. Here it has a second, quicker way to the same answer. Whatever is not plain (no token of a program, a
header that wants something, a body that is not exactly what the call takes) goes the ordinary way, which alone knows
how to refuse it. So a request is counted once, refused in one place, and answered alike on both ways.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palio.infra.ratelimit import Limiter
from palio.kernel.errors import Refusal
from palio.kernel.ids import RequestId, new_id
from palio.ui import access, limits, problems
from palio.ui.actor import Asking
from palio.ui.edge import BODY_SECONDS_MAX, HEADER_BYTES_MAX, RATE_HEADERS, REQUEST_ID, Served
from palio.ui.refusals import InternalError
from palio.ui.routes import Call

Work = TypeVar("Work")
Headers: TypeAlias = Mapping[bytes, bytes]
Recognise: TypeAlias = Callable[[str, str | None, RequestId], Awaitable[Asking | None]]

BEARER = b"Bearer "
JSON = frozenset({b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"})
ANYTHING = frozenset(
    {None, b"*/*", b"application/json", b"application/json, */*", b"application/json, text/plain, */*"}
)
OUT_OF_THE_WAY = frozenset({b"transfer-encoding", b"x-api-token"})
OF_EVERY_ANSWER = [(b"vary", b"Authorization, Cookie"), (b"cache-control", b"no-store")]
JSON_TYPE = (b"content-type", b"application/json")
REPLAYED = (b"idempotency-replayed", b"true")


@dataclass(frozen=True, slots=True)
class Plain:
    """A request as it should be: the key it carries, if any, and its body, of which nothing was judged yet."""

    key: str | None
    body: bytes


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


@dataclass(frozen=True, slots=True)
class _Laid:
    """A hot route and the ordinary call it is the short way to."""

    hot: HotRoute[Any]
    call: Call


class HotRoutes:
    """Stands in front of the edge. `recognise` says whose a token is, None where that is for the ordinary way to say;
    `is_open` is whether anybody may come in at all.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Sequence[HotRoute[Any]],
        calls: Sequence[Call],
        *,
        recognise: Recognise,
        limiter: Limiter | None,
        served: Callable[[Served], None],
        is_open: Callable[[], bool] = lambda: True,
    ) -> None:
        ordinary = {(method, call.path): call for call in calls for method in call.methods or ()}
        self._table = {(hot.method, hot.path): _Laid(hot, ordinary[hot.method, hot.path]) for hot in routes}
        self._app, self._recognise, self._limiter = app, recognise, limiter
        self._served, self._is_open = served, is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        laid = self._table.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        headers = _plain_headers(scope, laid.call.rules.body_bytes_max) if laid else None
        if laid is None or headers is None or not self._is_open():
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        message, body = await _whole(receive)
        if message is None and await self._answered(scope, send, laid, headers, body, began):
            return
        await self._app(scope, _again(message or {"type": "http.request", "body": body}, receive), send)

    async def _answered(
        self, scope: Scope, send: Send, laid: _Laid, headers: Headers, body: bytes, began: float
    ) -> bool:
        """Answer, unless that is for the ordinary way: then nothing has happened yet."""
        request_id = _request_id(headers)
        key = headers.get(b"idempotency-key")
        if request_id is None:
            return False
        work = await laid.hot.read(Plain(key.decode("latin-1") if key is not None else None, body))
        if work is None:
            return False
        ask = await self._known(scope, laid, headers, request_id)
        if ask is None:
            return False
        scope[REQUEST_ID] = request_id
        status, code, defect = 500, None, None
        try:
            told = await self._counted(scope, laid.call, ask)
            answer = await laid.hot.answer(ask, work)
        except Refusal as refusal:
            code = refusal.code
            status = await _refuse(scope, send, refusal, request_id)
        except Exception as error:  # noqa: BLE001 - a bug of ours: the caller is told that, and the log what it was
            defect = error
            status = await _refuse(scope, send, InternalError(), request_id)
        else:
            status = answer.status
            await _send(send, answer, told, request_id)
        finally:
            seconds = time.perf_counter() - began
            self._served(Served(request_id, laid.hot.method, laid.hot.path, status, seconds, code, defect))
        return True

    async def _known(self, scope: Scope, laid: _Laid, headers: Headers, request_id: RequestId) -> Asking | None:
        """Who asks, if it is somebody who may; the ordinary way refuses everybody else."""
        client = scope.get("client")
        token = headers[b"authorization"][len(BEARER) :].decode("latin-1")
        try:
            ask = await self._recognise(token, client[0] if client else None, request_id)
            if ask is not None:
                access.require(laid.call.rules.terms, ask, laid.hot.method)
        except Refusal:
            return None
        return ask

    async def _counted(self, scope: Scope, call: Call, ask: Asking) -> Sequence[tuple[bytes, bytes]]:
        """Count the request; what its answer says of limits. Refuses with TooMany, Unavailable."""
        if self._limiter is None:
            return ()
        client, rules = scope.get("client"), call.rules
        address = limits.subject_of(client[0] if client else "")
        wanted = limits.wanted(ask, scope["method"], rules.limits, address, is_strict=rules.idempotency == "required")
        left = await self._limiter.take(wanted)
        told = scope[RATE_HEADERS] = limits.told(left)
        if refusal := limits.refusal_of(left):
            raise refusal
        return [(name.lower().encode(), value.encode()) for name, value in told.items()]


def _plain_headers(scope: Scope, bytes_max: int) -> Headers | None:
    """The headers of a request of which nothing is unusual, else None."""
    listed: list[tuple[bytes, bytes]] = scope["headers"]
    headers = dict(listed)
    if len(headers) < len(listed) or scope["query_string"] or not OUT_OF_THE_WAY.isdisjoint(headers):
        return None
    if not headers.get(b"authorization", b"").startswith(BEARER) or headers.get(b"content-type") not in JSON:
        return None
    length = headers.get(b"content-length", b"")
    if headers.get(b"accept") not in ANYTHING or not length.isdigit() or int(length) > bytes_max:
        return None
    if sum([len(name) + len(value) for name, value in listed]) > HEADER_BYTES_MAX:
        return None
    return headers


def _request_id(headers: Headers) -> RequestId | None:
    """The caller's own id, or a new one; None where his is not as we write it."""
    own = headers.get(b"x-request-id")
    if own is None:
        return RequestId(new_id())
    try:
        return RequestId(UUID(own.decode("latin-1")))
    except ValueError:
        return None


async def _whole(receive: Receive) -> tuple[Message | None, bytes]:
    """The body, if it comes in time, else the message with which it ended; the server holds it to its length."""
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return message, b""
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    return None, b"".join(parts)
    except TimeoutError:
        return {"type": "http.disconnect"}, b""  # nobody waits for somebody who does not go on


def _again(first: Message, receive: Receive) -> Receive:
    """The same request from its beginning."""
    waiting = [first]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again


async def _send(send: Send, answer: Answer, told: Sequence[tuple[bytes, bytes]], request_id: RequestId) -> None:
    length = b"%d" % len(answer.body)
    headers = [JSON_TYPE, (b"content-length", length), *told, *OF_EVERY_ANSWER]
    if answer.is_replay:
        headers.append(REPLAYED)
    headers.append((b"x-request-id", str(request_id).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _refuse(scope: Scope, send: Send, refusal: Refusal, request_id: RequestId) -> int:
    """The problem document of the ordinary way."""
    request = Request(scope)
    response = problems.respond(request, problems.describe(request, refusal))
    response.headers["x-request-id"] = str(request_id)
    await response(scope, _nothing, send)
    return response.status_code


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
