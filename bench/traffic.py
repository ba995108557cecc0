"""Load over HTTP, from a separate process: `wrk` where it is installed, else the suite's own generator."""

import asyncio
import base64
import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import children

HOST = "127.0.0.1"
CONNECTIONS = 32
WRK_SCRIPT = """
local requests, last = {%s}, 0
request = function() last = last %% #requests + 1; return requests[last] end
done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('{"answers": %%d, "failed": %%d, "seconds": %%f, "p50_ms": %%f, "p95_ms": %%f}\\n',
    summary.requests, failed, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(95) / 1e3))
end
"""


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back. `failed` counts errors of the connection and every status from 400 on."""

    answers: int
    failed: int
    seconds: float
    p50_ms: float
    p95_ms: float


def request(method: str, path: str, *, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """The bytes of one request on a connection that stays open."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def drive(
    port: int,
    requests: Sequence[bytes],
    *,
    seconds: float,
    connections: int = CONNECTIONS,
    rate: float | None = None,
) -> Answers:
    """Send the requests in turn, round and round: as fast as they are answered, or at a fixed rate to see latency.

    Whichever connection is free sends the next one, and has one open at a time.
    """
    if rate is None and (wrk := shutil.which("wrk")):
        return await _by_wrk(wrk, port, requests, seconds=seconds, connections=connections)
    order = {"port": port, "connections": connections, "seconds": seconds, "rate": rate}
    texts = [base64.b64encode(text).decode() for text in requests]
    words = (sys.executable, "-m", "bench.generator")
    printed = await children.answer(*words, stdin=json.dumps({**order, "requests": texts}).encode())
    return Answers(**json.loads(printed))


async def _by_wrk(wrk: str, port: int, requests: Sequence[bytes], *, seconds: float, connections: int) -> Answers:
    with tempfile.TemporaryDirectory(prefix="palio-wrk-") as folder:
        script = Path(folder) / "requests.lua"
        script.write_text(WRK_SCRIPT % ",".join(map(_lua_text, requests)))
        shape = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
        printed = await children.answer(wrk, *shape, f"http://{HOST}:{port}")
    return Answers(**json.loads(printed.splitlines()[-1]))


def _lua_text(text: bytes) -> str:
    return '"' + "".join(f"\\{byte:03}" for byte in text) + '"'


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def get(port: int, path: str, *, headers: Sequence[tuple[str, str]] = ()) -> tuple[int, bytes]:
    """Status and body of one GET on a connection of its own. Raises OSError while nobody listens."""
    return await ask(port, request("GET", path, headers=[("Connection", "close"), *headers]))


async def ask(port: int, text: bytes) -> tuple[int, bytes]:
    """Status and body of one request that says `Connection: close`. Raises OSError while nobody listens."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(text)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if not head:
        raise ConnectionResetError("closed without an answer")
    return int(head.split(b" ", 2)[1]), body
