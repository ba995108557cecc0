"""`palio up`, `web` and `worker`: database, migrations, then the asked parts in one process, until told to stop."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import typer
import uvicorn

from palio.entry import web, wiring
from palio.entry.wiring import Wiring
from palio.infra.addresses import Addresses
from palio.infra.settings import Environment

REQUEST_SECONDS_MAX = 30  # how long a running request may take when we are told to stop


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs in this process."""

    role: str
    serves: bool
    works: bool


def run(environment: Environment, parts: Parts) -> None:
    """Run until told to stop; the database is there before the first part and goes after the last."""
    listener = _listen(environment.bind) if parts.serves else None
    with wiring.addresses(environment, typer.echo) as found:
        asyncio.run(_run(environment, found, parts, listener))
    typer.echo("Stopped.")


def _listen(bind: str) -> socket.socket:
    host, _, port = bind.rpartition(":")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host.strip("[]"), int(port)))
    return listener


async def _run(environment: Environment, found: Addresses, parts: Parts, listener: socket.socket | None) -> None:
    stop = Stop()
    async with wiring.opened(environment, found) as wired:
        worker = asyncio.create_task(wired.queue.work()) if parts.works else None
        if listener:
            await _serve(wired, listener, stop)
        else:
            typer.echo("Working.")
            await stop.asked.wait()
        if worker:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)


async def _serve(wired: Wiring, listener: socket.socket, stop: "Stop") -> None:
    config = uvicorn.Config(
        web.make(wired), log_config=None, lifespan="off", timeout_graceful_shutdown=REQUEST_SECONDS_MAX
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve([listener]))
    host, port = listener.getsockname()[:2]
    typer.echo(f"Palio is at http://{host}:{port}/")
    await stop.asked.wait()
    wired.health.draining = True
    server.should_exit = True
    hurry = asyncio.create_task(stop.hurried.wait())
    await asyncio.wait((serving, hurry), return_when=asyncio.FIRST_COMPLETED)
    server.force_exit = hurry.done()
    hurry.cancel()
    await serving


class Stop:
    """What signals ask of us: the first to stop in order, the second to wait for nobody any more."""

    def __init__(self) -> None:
        self.asked, self.hurried = asyncio.Event(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._ask)

    def _ask(self) -> None:
        if self.asked.is_set():
            self.hurried.set()
        self.asked.set()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: they would end us before the worker and the database have stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
