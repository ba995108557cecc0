"""`palio up`, `web`, `worker`: what runs until it is told to stop."""

from typing import Annotated

import typer

from palio.entry.options import Misuse

Port = Annotated[int | None, typer.Option(min=0, max=65_535, help="Port instead of the one in PALIO_BIND; 0: any.")]
Workers = Annotated[int | None, typer.Option(min=1, max=100, help="Jobs at once, beside those of queue critical.")]
Queues = Annotated[str, typer.Option(metavar="LIST", help="Only jobs of these queues: critical,default,outgoing,bulk.")]


Demo = Annotated[
    bool | None,
    typer.Option(
        "--demo/--no-demo",
        help="Fill an empty database with a demo, or leave it out. Default: the first start on this machine fills one.",
        show_default=False,
    ),
]
Speed = Annotated[int | None, typer.Option(min=1, max=3_600, help="How many times as fast the clock of a demo runs.")]


def up(
    *, port: Port = None, workers: Workers = None, queues: Queues = "", demo: Demo = None, speed: Speed = None
) -> None:
    """Start everything in this process and print where it is.

    Exit status 78: there can be no demo here, or none without one.
    """
    _run("up", serves=True, works=True, port=port, workers=workers, queues=queues, demo=demo, speed=speed)


def web(*, port: Port = None) -> None:
    """Answer requests only; jobs are left to `palio worker`."""
    _run("web", serves=True, works=False, port=port)


def worker(*, workers: Workers = None, queues: Queues = "") -> None:
    """Carry out jobs and schedules only."""
    _run("worker", serves=False, works=True, workers=workers, queues=queues)


def _run(
    role: str,
    *,
    serves: bool,
    works: bool,
    port: int | None = None,
    workers: int | None = None,
    queues: str = "",
    demo: bool | None = None,
    speed: int | None = None,
) -> None:
    from palio.entry import up as process  # noqa: PLC0415 - heavy
    from palio.entry import worker as working  # noqa: PLC0415 - heavy

    try:
        lanes = working.lanes([queue.strip() for queue in queues.split(",") if queue.strip()], workers)
    except ValueError as failure:
        raise Misuse("unknown_queue", str(failure)) from None
    parts = process.Parts(role, serves=serves, works=works, port=port, lanes=lanes, demo=demo, speed=speed)
    process.run(parts)


def register(app: typer.Typer) -> None:
    """Put these commands at the top of the command line."""
    for command in (up, web, worker):
        app.command()(command)
