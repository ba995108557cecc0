"""ECHO: what the HTTP server alone can do, a bare application that decodes and encodes the JSON it is sent.

`python -m bench.echo PORT` is that server.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import uvloop

from bench import children, traffic
from bench.rounds import Arm, Work
from palio.entry import server
from palio.entry.stopping import Stop

START_SECONDS_MAX = 60  # on a machine that is busy with other things
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class Echo(Arm):
    """Posts the same bytes over and over; the server decodes them, encodes the value and sends it back."""

    name, unit = "ECHO", "requests"

    def __init__(self, port: int, pid: int, body: bytes, seconds: float) -> None:
        self.pid = pid
        self._port = port
        self._body = body
        self._seconds = seconds
        self._failed = 0

    async def act(self) -> Work:
        requests = [traffic.request("POST", "/", body=self._body)]
        answers = await traffic.drive(self._port, requests, seconds=self._seconds)
        self._failed = answers.failed
        return Work(answers.answers, answers.seconds)

    async def check(self) -> list[str]:
        post = traffic.request("POST", "/", body=self._body, headers=[("Connection", "close")])
        answer = await traffic.ask(self._port, post)
        faults = [f"ECHO: {self._failed} requests failed"] if self._failed else []
        return faults if answer == (200, self._body) else [*faults, f"ECHO: answered {answer}"]


@asynccontextmanager
async def ready(folder: Path, body: bytes, *, seconds: float) -> AsyncIterator[Echo]:
    """The yard-stick with its server running. `body` is compact JSON: encoded again it is the same bytes."""
    port = traffic.free_port()
    async with children.running("bench.echo", str(port), log=folder / "echo.log") as child:
        await until_answering(port)
        yield Echo(port, child.pid, body, seconds)


async def until_answering(port: int) -> None:
    """Wait for the first answer of a server that is starting. Raises TimeoutError."""
    async with asyncio.timeout(START_SECONDS_MAX):
        while True:
            try:
                await traffic.get(port, "/")
            except OSError:
                await asyncio.sleep(0.02)
            else:
                return


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """The bare ASGI application."""
    body, is_more = b"", True
    while is_more:
        message = await receive()
        body += message.get("body", b"")
        is_more = message.get("more_body", False)
    answer = msgspec.json.encode(msgspec.json.decode(body or b"null"))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


async def serve(port: int) -> None:
    """Serve exactly as the product's own web server does, until told to stop."""
    listener = server.listen(f"{traffic.HOST}:{port}", None)
    await server.serve(application, listener, Stop(), ready=lambda: None)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(serve(int(sys.argv[1])))
