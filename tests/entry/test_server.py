"""The server under the application: what never reaches a route is answered like everything else."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import PlainTextResponse

from palio.entry import server
from palio.entry.stopping import SIGNALS, Stop
from palio.ui.headers import HEADERS, PAGES
from tests.conftest import PATIENCE_S


@pytest.fixture
async def address() -> AsyncIterator[tuple[str, int]]:
    listener, stop, ready = server.listen("127.0.0.1:0", None), Stop(), asyncio.Event()
    serving = asyncio.create_task(server.serve(PlainTextResponse("well"), listener, stop, ready=ready.set))
    async with asyncio.timeout(PATIENCE_S):
        await ready.wait()
        yield listener.getsockname()
        stop.asked.set()
        await serving
    for number in SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(number)


async def said(address: tuple[str, int], request: bytes) -> tuple[bytes, list[bytes]]:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(request)
    head, _, _ = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    status, *headers = head.split(b"\r\n")
    return status, headers


async def test_what_is_no_http_is_refused_with_the_headers_of_every_answer(address: tuple[str, int]) -> None:
    for odd in (b"this is no HTTP\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\nno header\r\n\r\n"):
        status, headers = await said(address, odd)
        assert status == b"HTTP/1.1 400 Bad Request"
        assert {b"%s: %s" % pair for pair in (PAGES, *HEADERS)} <= {*headers}
    status, _ = await said(address, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert status == b"HTTP/1.1 200 OK"
