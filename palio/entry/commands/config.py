"""`palio config`: what this program was told before it asks the database."""

import json
from dataclasses import asdict

import typer

from palio.entry.options import AsJson

app = typer.Typer(no_args_is_help=True, help="Settings of the environment: PALIO_* and palio.toml.")


@app.command("show")
def show(*, as_json: AsJson = False) -> None:
    """Print each setting with its value and where it comes from; secrets are hidden."""
    from palio.entry import terminal  # noqa: PLC0415 - heavy
    from palio.infra.settings import environment  # noqa: PLC0415 - heavy

    with terminal.refusing(json=as_json):
        shown = environment.show(terminal.read_environment())
    if as_json:
        typer.echo(json.dumps([asdict(setting) for setting in shown]))
        return
    width = max(len(setting.name) for setting in shown)
    for setting in shown:
        typer.echo(f"{setting.name:{width}}  {setting.value or '-'}  ({setting.source}; {setting.description})")


@app.command("check")
def check(*, as_json: AsJson = False) -> None:
    """See that every value can be used, and name variables that are unknown. Ends with 78 or 1 if not."""
    from palio.entry import terminal  # noqa: PLC0415 - heavy
    from palio.infra.settings import environment  # noqa: PLC0415 - heavy

    with terminal.refusing(json=as_json):
        terminal.read_environment()
    unknown = dict(environment.unknown())
    if as_json:
        typer.echo(json.dumps({"unknown": unknown}))
    else:
        typer.echo(f"{len(unknown)} unknown settings." if unknown else "Every setting can be used.")
    raise SystemExit(1 if unknown else 0)
