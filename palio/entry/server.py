"""The half of a process that answers requests."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from palio.entry.stopping import Stop
from palio.infra.settings.environment import WrongSettingError
from palio.ui.headers import HEADERS, PAGES
from palio.ui.hot import STRAIGHT
from palio.ui.streams import socket as stream_socket

SOCKETS = {f"/api/v1{stream_socket.PATH}"}
SOCKET_BYTES_MAX = 64 << 10  # of one message; the stream itself takes less, and says so
REQUEST_SECONDS_MAX = 30  # how long a running request may take when we are told to stop


def listen(bind: str, port: int | None) -> socket.socket:
    """Take the address before the database starts, so that a taken one is refused at once. Raises WrongSettingError."""
    host, _, usual = bind.rpartition(":")
    number = int(usual) if port is None else port
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), number))
    except OSError as failure:
        listener.close()
        reason = f"nothing can listen at {host}:{number}: {failure.strerror}; choose another --port or PALIO_BIND"
        raise WrongSettingError([reason]) from None
    return listener


async def serve(app: ASGIApp, listener: socket.socket, stop: Stop, *, ready: Callable[[], None]) -> None:
    """Answer until asked to stop, then take no more and let running requests end."""
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="off",
        **PROTOCOLS,
        server_header=False,
        proxy_headers=False,  # the application knows which proxies it trusts
        timeout_graceful_shutdown=REQUEST_SECONDS_MAX,
    )
    server = _Server(config, ready)
    serving = asyncio.create_task(server.serve([listener]), name="web")
    serving.add_done_callback(stop.part_ended)
    await stop.asked.wait()
    server.should_exit = True
    if not await stop.first_of(serving):
        server.force_exit = True
    await serving


def answer_straight(send: Send, head: bytes, body: bytes) -> bool:
    """Write a whole answer at once, as the server would have written it in two, header by header. Its head lacks only
    the date and the empty line. Returns False where that cannot be: then the answer is to be sent as usual.
    """
    cycle = getattr(send, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle) or not cycle.keep_alive or cycle.disconnected:
        return False
    if cycle.response_started or cycle.flow.write_paused or cycle.waiting_for_100_continue:
        return False
    cycle.response_started = cycle.response_complete = True
    lines = [b"%b: %b\r\n" % pair for pair in cycle.default_headers]
    cycle.transport.write(b"".join([head, *lines, b"\r\n", body]))
    cycle.message_event.set()
    cycle.on_response()
    return True


class Protocol(HttpToolsProtocol):
    """What cannot be read as HTTP reaches no application: it is answered here, with the headers of every answer.

    Only where sockets are is an upgrade one; elsewhere it is a request like any other, which the edge answers.
    """

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[STRAIGHT] = answer_straight  # type: ignore[literal-required]  # ours, beside what ASGI names

    def _should_upgrade(self) -> bool:
        path = self.url.partition(b"?")[0].decode("latin-1")
        return bool(path in SOCKETS and self.scope["method"] == "GET" and super()._should_upgrade())

    def send_400_response(self, msg: str) -> None:
        body = msg.encode()
        about = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        lines = [b"%s: %s\r\n" % pair for pair in (*about, (b"connection", b"close"), PAGES, *HEADERS)]
        self.transport.write(b"".join((b"HTTP/1.1 400 Bad Request\r\n", *lines, b"\r\n", body)))
        self.transport.close()


PROTOCOLS: dict[str, Any] = {
    "http": Protocol,
    "ws": "websockets-sansio",
    "ws_max_size": SOCKET_BYTES_MAX,
    "ws_ping_interval": None,  # the stream has pings of its own, which scripts in browsers can answer
    "ws_per_message_deflate": False,  # a small frame could become a large one, and each socket would cost a window
}


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which would end us before the worker and the database have stopped."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()
