"""`palio up`, `web`, `worker`: what runs until it is told to stop."""

from typing import Annotated

import typer

Port = Annotated[int | None, typer.Option(help="Port of the web server instead of the one in PALIO_BIND.")]


def up(*, port: Port = None) -> None:
    """Start everything in this process and print where it is."""
    _run("up", port=port, serves=True, works=True)


def web(*, port: Port = None) -> None:
    """Answer requests only; jobs are left to `palio worker`."""
    _run("web", port=port, serves=True, works=False)


def worker() -> None:
    """Carry out jobs and schedules only."""
    _run("worker", port=None, serves=False, works=True)


def _run(role: str, *, port: int | None, serves: bool, works: bool) -> None:
    from palio.entry import up as process  # noqa: PLC0415 - heavy
    from palio.infra.settings import Environment  # noqa: PLC0415 - heavy

    environment = Environment()
    if port is not None:
        host = environment.bind.rpartition(":")[0]
        environment = environment.model_copy(update={"bind": f"{host}:{port}"})
    process.run(environment, process.Parts(role, serves=serves, works=works))


def register(app: typer.Typer) -> None:
    """Put these commands at the top of the command line."""
    for command in (up, web, worker):
        app.command()(command)
