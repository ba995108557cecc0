"""The edge of the web application: what happens to every request before and after the routes, in pure ASGI."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from uuid import UUID

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from palio.kernel.errors import Malformed, Refusal
from palio.kernel.ids import RequestId, new_id
from palio.ui.refusals import BodyTooLarge, CsrfRejected, TokenInUrl

BODY_BYTES_MAX = 1 << 20
BODY_SECONDS_MAX = 30
ADDRESS_BYTES_MAX = 8 << 10
HEADER_BYTES_MAX = 16 << 10
BOUND_OTHERWISE = ("/api/", "/u/", "/n/", "/hooks/", "/mcp")  # programs, signed links and signed messages
BACK_FROM_PROVIDER = re.compile(r"/api/v1/auth/[a-z0-9:-]{1,40}/callback")  # posted by its page; a cookie binds the two
TOKEN_IN_QUERY = re.compile(rb"(?:^|&)(?:access|api|refresh)_token=", re.IGNORECASE)
SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
STREAMS = ("/api/v1/stream", "/api/v1/console/stream")
OPENINGS = {"http", "websocket"}
ANSWERS = {"http.response.start", "websocket.http.response.start", "websocket.accept"}
SWITCHED = 101  # the status of a socket that was opened
REQUEST_ID, CODE = "palio.request_id", "palio.code"  # what a request says of itself in its scope
RATE_HEADERS = "palio.rate_headers"  # and what its answer will say about limits


class Served(NamedTuple):
    """One answered request, for logs and metrics: `route` is the template, never the address; `code` the refusal."""

    request_id: str
    method: str
    route: str
    status: int
    seconds: float
    code: str | None
    defect: BaseException | None


def request_id_of(scope: Scope) -> RequestId:
    """The id of this request: the caller's own where it was a UUID."""
    found: RequestId = scope[REQUEST_ID]
    return found


class Edge:
    """Gives each request its id, refuses what no route should see, and tells `served` how it ended."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        served: Callable[[Served], None],
        refuse: Callable[[Request, Refusal], Response],
        bytes_max: Callable[[Scope], int],
        origin: str | None = None,
    ) -> None:
        """`bytes_max` is how long the body of a request may be."""
        self._app, self._bytes_max = app, bytes_max
        self._served = served
        self._refuse = refuse
        self._origin = origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in OPENINGS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        method = scope.get("method", "GET")  # a socket is opened by one
        request_id = _taken(headers.get("x-request-id")) or RequestId(new_id())
        scope = {**scope, REQUEST_ID: request_id, "method": _answered(method, scope["path"])}
        began, status, defect = time.perf_counter(), 500, None
        told_id = str(request_id)
        identity = (b"x-request-id", told_id.encode())

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in ANSWERS:
                status = message.get("status", SWITCHED)
                message["headers"] = [*message.get("headers", ()), identity]
            await send(message)

        try:
            if answer := self._answer(scope, headers):
                await answer(scope, receive, send_with_id)
            else:
                is_request = scope["type"] == "http"
                body = _Body(receive, self._bytes_max(scope)) if is_request else receive
                await self._app(scope, body, send_with_id)
        except ClientDisconnect:
            status = 499
        except Exception as error:  # noqa: BLE001 - the caller has had his answer: what remains is to tell of it, once
            defect = error
        finally:
            route = getattr(scope.get("route"), "path_format", "")
            seconds, code = time.perf_counter() - began, scope.get(CODE)
            self._served(Served(told_id, method, route, status, seconds, code, defect))

    def _answer(self, scope: Scope, headers: Headers) -> Response | None:
        """What is answered before any route: another address, or a refusal."""
        refusal = _refusal(scope, headers, self._origin, self._bytes_max(scope))
        if refusal:
            request = Request({**scope, "type": "http"})
            answer = self._refuse(request, refusal)
            scope[CODE] = request.scope.get(CODE)
            return answer
        path: str = scope["path"]
        if path.endswith("/") and path != "/":
            return Response(status_code=308, headers={"Location": _without_slash(path, scope["query_string"])})
        return None


def _taken(text: str | None) -> RequestId | None:
    try:
        return RequestId(UUID(text)) if text else None
    except ValueError:
        return None


def _without_slash(path: str, query: bytes) -> str:
    """One slash at the start and none at the end; quoted, so that no part of it can name another host."""
    address = "/" + quote(path.strip("/"), safe="/:@!$&'()*+,;=~")
    return f"{address}?{query.decode('ascii', 'replace')}" if query else address


def _refusal(scope: Scope, headers: Headers, origin: str | None, bytes_max: int) -> Refusal | None:
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > ADDRESS_BYTES_MAX:
        return Malformed(limit_bytes=ADDRESS_BYTES_MAX, what="address")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES_MAX:
        return Malformed(limit_bytes=HEADER_BYTES_MAX, what="headers")
    if b"%00" in scope["query_string"] or "\0" in scope["path"]:  # no database holds it, and no text needs it
        return Malformed(what="address")
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > bytes_max:
        return BodyTooLarge(limit_bytes=bytes_max)
    if _is_from_a_browser(scope, headers) and not _is_ours(headers, origin):
        return CsrfRejected()
    if scope["path"].startswith("/api/") and TOKEN_IN_QUERY.search(scope["query_string"]):
        return TokenInUrl()
    return None


def _is_from_a_browser(scope: Scope, headers: Headers) -> bool:
    """Does this change something for whoever sits at a browser? Outside the API also before he has signed in."""
    if scope["method"] in SAFE_METHODS or "authorization" in headers or BACK_FROM_PROVIDER.fullmatch(scope["path"]):
        return False
    return "cookie" in headers or not scope["path"].startswith(BOUND_OTHERWISE)


def _is_ours(headers: Headers, origin: str | None) -> bool:
    """Did our own page send this? Browsers say so themselves; older ones name the origin."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    claimed = headers.get("origin")
    if claimed is None:
        return False
    return claimed == origin if origin else urlsplit(claimed).netloc == headers.get("host")


def _answered(method: str, path: str) -> str:
    """HEAD is GET without the body, which the server leaves out; a stream has nothing to show without one."""
    return "GET" if method == "HEAD" and path not in STREAMS else method


class _Body:
    """The body of a request as it arrives: not longer, and not slower, than one call may be."""

    def __init__(self, receive: Receive, bytes_max: int) -> None:
        self._receive, self._bytes_max = receive, bytes_max
        self._until = asyncio.get_running_loop().time() + BODY_SECONDS_MAX
        self._bytes = 0
        self._is_whole = False

    async def __call__(self) -> Message:
        if self._is_whole:
            return await self._receive()  # from here on it only says that the caller has gone
        async with asyncio.timeout_at(self._until):
            message = await self._receive()
        self._bytes += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._bytes > self._bytes_max:
            raise BodyTooLarge(limit_bytes=self._bytes_max)
        return message
