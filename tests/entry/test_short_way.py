"""The short way in, on a socket: written in one piece, and told of like everything else."""

import asyncio
import json
import logging as levels
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from palio.entry import server, web
from palio.entry.stopping import SIGNALS, Stop
from palio.infra import logging
from palio.infra.db import Database
from palio.infra.metrics import Metrics
from palio.infra.realtime import Hub
from palio.kernel.ids import UserId, new_id
from palio.ui.edge import Served
from palio.ui.hot import STRAIGHT
from tests.conftest import PATIENCE_S
from tests.factories.ledger import new_wallet
from tests.factories.programs import TRANSFERS, Bank, furnish, program


@pytest.fixture(scope="module")
async def service(database: Database) -> tuple[UserId, str]:
    await furnish(database)
    return await program(database)


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[tuple[str, int]]:
    listener, stop, ready = server.listen("127.0.0.1:0", None), Stop(), asyncio.Event()
    task = asyncio.create_task(server.serve(app, listener, stop, ready=ready.set))
    async with asyncio.timeout(PATIENCE_S):
        await ready.wait()
        yield listener.getsockname()
        stop.asked.set()
        await task
    for number in SIGNALS:
        asyncio.get_running_loop().remove_signal_handler(number)


def in_two_pieces(app: ASGIApp) -> ASGIApp:
    """The same application on a server that knows no short cut."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        await app({name: value for name, value in scope.items() if name != STRAIGHT}, receive, send)

    return called


def posting(token: str, key: str, wallet: str, *, last: bool = False) -> bytes:
    legs = [{"account": wallet, "asset": "COIN", "amount": 5}, {"account": "house:x", "asset": "COIN", "amount": -5}]
    body = json.dumps({"kind": "ledger.transfer", "legs": legs}).encode()
    lines = [f"POST {TRANSFERS} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", f"Idempotency-Key: {key}"]
    lines += [
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(["Connection: close"] if last else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def conversation(address: tuple[str, int], requests: bytes) -> list[tuple[bytes, dict[bytes, bytes], bytes]]:
    """Everything that is answered on one connection: status line, headers, body."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(requests)
    answers = []
    while line := await reader.readline():
        headers = {}
        while (pair := await reader.readline()) != b"\r\n":
            name, _, value = pair.rstrip(b"\r\n").partition(b": ")
            headers[name] = value
        answers.append((line, headers, await reader.readexactly(int(headers[b"content-length"]))))
    writer.close()
    return answers


async def test_both_ways_of_writing_are_the_same_answer(database: Database, service: tuple[UserId, str]) -> None:
    """Also of requests that come before the answer to the last, and of the last on a connection."""
    told = []
    for wrapped in (lambda app: app, in_two_pieces):
        wallet, key = new_wallet(), str(new_id())
        requests = b"".join(posting(service[1], key, wallet, last=number == 2) for number in range(3))
        async with serving(wrapped(Bank(database, key=new_id().bytes * 2).app)) as address:
            answers = await conversation(address, requests)
        assert [line for line, _, _ in answers] == 3 * [b"HTTP/1.1 201 Created\r\n"]
        assert len({body for _, _, body in answers}) == 1
        assert [headers.get(b"idempotency-replayed") for _, headers, _ in answers] == [None, b"true", b"true"]
        varying = {b"x-request-id", b"ratelimit", b"date"}
        assert all(varying <= headers.keys() for _, headers, _ in answers)
        told.append([{n: v for n, v in headers.items() if n not in varying} for _, headers, _ in answers])
    assert told[0] == told[1]


async def test_requests_are_written_down_and_counted_together(
    database: Database, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In lines that look like any other's."""
    metrics = Metrics(database, Hub(""), data=tmp_path, version="1")
    root = levels.getLogger()
    before = list(root.handlers), root.level
    logging.configure("json")
    try:
        web.log.info("request", request_id="x")
        telling, answered = web.Telling(metrics), [new_id() for _ in range(3)]
        for number in answered:
            telling.hear(Served(str(number), "POST", TRANSFERS, 201, 0.0123, None, None))
        telling.hear(Served(str(new_id()), "POST", TRANSFERS, 409, 0.001, "ledger.insufficient_funds", None))
        telling.tell()
    finally:
        root.handlers[:], root.level = before
    slow, *lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["request_id"] for line in lines[:3]] == [str(number) for number in answered]
    assert lines[3]["status"] == 409
    assert [*lines[0]] == [*[*slow][:4], "request_id", "method", "route", "status", "ms"]
    assert {name: lines[0][name] for name in ("level", "event", "module", "route", "ms")} == {
        "level": "info",
        "event": "request",
        "module": "web",
        "route": TRANSFERS,
        "ms": 12.3,
    }
    text = (await metrics.text()).decode()
    assert f'palio_requests_seconds_count{{route="{TRANSFERS}",status="201"}} 3.0' in text
    assert 'palio_refusals_total{code="ledger.insufficient_funds"} 1.0' in text
