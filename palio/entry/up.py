"""`palio up`, `web` and `worker`: database, migrations, then the asked parts in one process, until told to stop."""

import asyncio
import gc
import logging as levels
import os
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field, replace

import typer
import uvloop
from starlette.types import ASGIApp

import palio
from palio.entry import feeds, first_start, moving, server, terminal, web, wiring, worker
from palio.entry.stopping import SIGNALS, Stop
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.entry.wiring import Lanes, Wiring
from palio.infra import clock as virtual
from palio.infra import jobs, marks, relay, settings
from palio.infra.settings import Environment

NEW_OBJECTS_PER_COLLECTION = 50_000  # a batch of rows makes thousands, hardly ever in cycles
CANCELLED_AGAIN_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Parts:
    """What runs in this process; the last two are the product, unless something else is put in its place.

    `demo` is whether a demo is asked for (None: where a first start fills one), `speed` how fast its clock runs.
    """

    role: str
    serves: bool
    works: bool
    port: int | None = None
    lanes: Lanes | None = None
    demo: bool | None = None
    speed: int | None = None
    make_app: Callable[[Wiring], ASGIApp] = web.make
    routes: jobs.Routes = field(default_factory=lambda: SUBSCRIPTIONS)


def run(parts: Parts) -> None:
    """Run until told to stop; the database is there before the first part and goes after the last."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the parts run, either signal just ends us
    try:
        with terminal.refusing():
            is_failure = _run(terminal.read_environment(level=levels.INFO), parts)
    except KeyboardInterrupt:
        is_failure = False
    typer.echo("Stopped.")
    raise SystemExit(os.EX_SOFTWARE if is_failure else os.EX_OK)


def _run(environment: Environment, parts: Parts) -> bool:
    listener = server.listen(environment.bind, parts.port) if parts.serves else None
    if environment.is_embedded:
        typer.echo(f"Starting PostgreSQL in {environment.data} …")
    with wiring.reached(environment) as found, asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        wiring.bring_up_to_date(found, typer.echo)
        opened = wiring.opened(
            environment,
            found,
            role=parts.role,
            routes=parts.routes,
            lanes=parts.lanes or jobs.LANES,
        )
        settle_memory()
        is_failure = loop.run(_work(opened, parts, listener))
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # the database stops undisturbed
        return is_failure


def settle_memory() -> None:
    """Keep the garbage collector from what a start leaves, which stays for ever, and let it look rarely at the rest."""
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS_PER_COLLECTION, 20, 20)


async def _work(opened: AbstractAsyncContextManager[Wiring], parts: Parts, listener: socket.socket | None) -> bool:
    """Run the parts until the end. Returns whether one of them failed."""
    stop = Stop()
    async with AsyncExitStack() as running:
        running.push_async_callback(end_what_is_left)
        wired = await running.enter_async_context(opened)
        if listener:
            site = _address(wired.environment, listener)
            wired.database.equipment = replace(wired.database.equipment, site=site)  # what letters link to
            wired.instance.site = site
        if parts.role == "up":
            await first_start.begin_demo(wired, asked=parts.demo)
        if parts.speed:
            await moving.run_at(wired, parts.speed)
        for name, work in (
            ("instance", wired.instance.run()),
            ("hub", wired.hub.run()),
            ("relay", relay.run(wired.database, wired.hub)),
            ("settings", settings.snapshot.run(wired.database)),
            *([("clock", virtual.virtual.run(wired.database))] if wired.is_simulated else []),
            *([("demo", first_start.watch(wired))] if marks.demo() and listener else []),
            *([("jobs", _work_on(wired, plays=parts.role == "up"))] if parts.works else []),
        ):
            await running.enter_async_context(worker.beside(stop, name, work))
        draining = asyncio.create_task(_drain(wired, stop))
        if listener:
            app = parts.make_app(wired)
            await server.serve(app, listener, stop, ready=lambda: _tell(wired.environment, listener))
        else:
            typer.echo("Palio works. Ctrl-C stops it.")
        await draining
    return stop.is_failure


async def end_what_is_left() -> None:
    """Cancel every other task of this loop until it has ended: a library may lose a cancellation while it connects."""
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=CANCELLED_AGAIN_SECONDS)


async def _work_on(wired: Wiring, *, plays: bool) -> None:
    """Do the jobs, in a demo once nothing of it is missing; `plays` says that its outside is played in this process."""
    if plays and marks.demo():
        from palio.entry import demo  # noqa: PLC0415 - only a demo needs the simulators

        await demo.play_on(wired, say=typer.echo)
    await first_start.demo_is_whole(wired)
    await feeds.connect(wired)
    await wired.queue.work()


async def _drain(wired: Wiring, stop: Stop) -> None:
    """As soon as we are asked to stop, say that nobody should come any more, and end the live streams."""
    await stop.asked.wait()
    typer.echo("Stopping …")
    wired.instance.is_draining = True
    wired.hub.close()


def _tell(environment: Environment, listener: socket.socket) -> None:
    typer.echo(f"Palio {palio.__version__} is at {_address(environment, listener)}/")
    typer.echo(f"  data in {environment.data}. Ctrl-C stops it.")


def _address(environment: Environment, listener: socket.socket) -> str:
    """How players reach us."""
    host, port = listener.getsockname()[:2]
    return environment.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"
