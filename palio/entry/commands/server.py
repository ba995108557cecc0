"""`palio up`, `web`, `worker`: what runs until it is told to stop."""

from typing import Annotated

import typer

Port = Annotated[int | None, typer.Option(min=0, max=65_535, help="Port instead of the one in PALIO_BIND; 0: any.")]


def up(*, port: Port = None) -> None:
    """Start everything in this process and print where it is."""
    _run("up", serves=True, works=True, port=port)


def web(*, port: Port = None) -> None:
    """Answer requests only; jobs are left to `palio worker`."""
    _run("web", serves=True, works=False, port=port)


def worker() -> None:
    """Carry out jobs and schedules only."""
    _run("worker", serves=False, works=True)


def _run(role: str, *, serves: bool, works: bool, port: int | None = None) -> None:
    from palio.entry import up as process  # noqa: PLC0415 - heavy

    process.run(process.Parts(role, serves=serves, works=works, port=port))


def register(app: typer.Typer) -> None:
    """Put these commands at the top of the command line."""
    for command in (up, web, worker):
        app.command()(command)
