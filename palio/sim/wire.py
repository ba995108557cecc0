"""HTTP as simulators speak it: one exchange a connection, so that an answer can also be broken in every way."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from palio.sim.refusals import SimRefusal

HEAD_BYTES_MAX = 65_536
BODY_BYTES_MAX = 1_048_576
READ_SECONDS_MAX = 10
SLICES_PER_SECOND = 20  # of an answer that comes slowly


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked; header names are in small letters."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    def members(self) -> dict[str, object]:
        """The body as a JSON object, an empty one if there is none. Refuses anything else."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise SimRefusal("the body is no JSON object")
        return found


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass(frozen=True, slots=True)
class Delivery:
    """An answer and how it arrives: late, slowly, cut off after so many bytes of the body, or not at all.

    `instead` are bytes that come in its place, whatever they are.
    """

    reply: Reply
    delay_s: float = 0
    bytes_per_s: float | None = None
    cut_at: int | None = None
    is_lost: bool = False
    instead: bytes = b""


Answering: TypeAlias = Callable[[Request], Delivery]


def as_json(value: object, status: int = 200) -> Reply:
    """A reply that says this."""
    return Reply(status, json.dumps(value, default=str).encode())


def serving(answering: Answering) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """What `asyncio.start_server` calls for each connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS_MAX):
                request = await _read(reader)
            await _deliver(writer, answering(request))
        except (ConnectionError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            writer.transport.abort()  # whoever speaks like that hears nothing
        finally:
            writer.close()

    return serve


async def _read(reader: asyncio.StreamReader) -> Request:
    head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, address, _version = head.split(" ")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    size = int(headers.get("content-length", "0"))
    if not 0 <= size <= BODY_BYTES_MAX:
        raise ValueError("the body is too large")
    parts = urlsplit(address)
    return Request(method, unquote(parts.path), dict(parse_qsl(parts.query)), headers, await reader.readexactly(size))


async def _deliver(writer: asyncio.StreamWriter, delivery: Delivery) -> None:
    await asyncio.sleep(delivery.delay_s)
    if delivery.is_lost:
        writer.transport.abort()
        return
    if delivery.instead:
        writer.write(delivery.instead)
        await writer.drain()
        return
    reply = delivery.reply
    headers = {**reply.headers, "Content-Length": str(len(reply.body)), "Connection": "close"}
    head = f"HTTP/1.1 {reply.status} {_phrase(reply.status)}\r\n"
    writer.write((head + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode())
    body = reply.body[: delivery.cut_at]
    step = max(1, round(delivery.bytes_per_s / SLICES_PER_SECOND)) if delivery.bytes_per_s else max(1, len(body))
    for start in range(0, len(body), step):
        writer.write(body[start : start + step])
        await writer.drain()
        if delivery.bytes_per_s:
            await asyncio.sleep(step / delivery.bytes_per_s)


def _phrase(status: int) -> str:
    return next((known.phrase for known in HTTPStatus if known == status), "Whatever")
