"""`palio migrate` and `palio db`: the schema, and who may use it."""

import json
import sys
import time
from typing import Annotated

import typer

from palio.entry.options import AsJson
from palio.entry.printing import tell

app = typer.Typer(no_args_is_help=True, help="The database: who may use it.")

WAIT_SECONDS_MAX, PAUSE_SECONDS = 3_600, 5


@app.command("roles")
def roles(
    *,
    url: Annotated[str | None, typer.Option(help="An administrator's address of the server; - reads it.")] = None,
    print_only: Annotated[bool, typer.Option("--print", help="Print the statements instead of running them.")] = False,
) -> None:
    """Make the database palio and its roles, once and after an upgrade; passwords are kept in secrets/pg.json."""
    from palio.entry import terminal  # noqa: PLC0415 - heavy
    from palio.infra import embedded, keyring  # noqa: PLC0415 - heavy
    from palio.infra import roles as door  # noqa: PLC0415 - heavy

    with terminal.refusing():
        environment = terminal.read_environment()
        secrets_file = environment.data / "secrets/pg.json"
        if print_only:
            typer.echo("\n".join(door.script(door.ensure_passwords(secrets_file))))
            typer.echo(f"The passwords are in {secrets_file}.", err=True)
            return
        if url is None and not environment.is_embedded:
            raise typer.BadParameter("name the server by an administrator's address: --url postgresql://…")
        if url is not None:
            refused = door.make(sys.stdin.readline().strip() if url == "-" else url, secrets_file)
            if environment.keyring_file and not environment.keyring_file.exists():
                keyring.load_or_make(environment.keyring_file)
                typer.echo(f"A keyring was made at {environment.keyring_file}: every machine needs this file.")
        else:
            with embedded.running(environment.data) as cluster:
                refused = door.make(cluster.dsn(), cluster.passwords)
    for reason in refused:
        typer.echo(f"left out: {reason}", err=True)
    typer.echo(f"The roles are there; their passwords are in {secrets_file}.")


@app.command("adopt")
def adopt(
    *, reason: Annotated[str, typer.Option(help="Why it moved, for the audit log.")], as_json: AsJson = False
) -> None:
    """Accept a database that was loaded into another server, so that transaction numbers and seals go on.

    Nobody else may work in it meanwhile. Where it is at home already, nothing is changed.
    """
    from palio.entry import operators, terminal, wiring  # noqa: PLC0415 - heavy
    from palio.infra import clusters  # noqa: PLC0415 - heavy

    with terminal.refusing(json=as_json), wiring.reached(terminal.read_environment()) as found:
        wiring.bring_up_to_date(found, terminal.say)
        offset = clusters.adopt(found.migrate, why=operators.reason(reason))
    told = (
        "The database is at home on this server: nothing was changed."
        if offset is None
        else f"The database is at home here now; its transaction numbers go on above {offset}."
    )
    tell({"adopted": offset is not None, "above": offset}, as_json=as_json, lines=[told])


def migrate(
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Only list what would be applied.")] = False,
    to: Annotated[int | None, typer.Option(min=1, help="Stop after this number.")] = None,
    post: Annotated[bool, typer.Option("--post", help="Fail if post files must wait for older instances.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait up to an hour for whatever stands in the way.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the schema up to this program: pre files at once, post files once every live instance knows them."""
    from palio.entry import terminal, wiring  # noqa: PLC0415 - heavy
    from palio.infra import migrate as door  # noqa: PLC0415 - heavy

    def attempt(dsn: str) -> door.Plan:
        if plan:
            return door.planned(dsn, wiring.MIGRATIONS, to=to)
        done = door.migrate(dsn, wiring.MIGRATIONS, to=to, tell=lambda file: terminal.say(f"  {file.file_name}"))
        if post and done.waiting:
            raise door.BusyError(f"{done.waiting[0].file_name} waits until every instance runs this release")
        return done

    def attempt_patiently(dsn: str) -> door.Plan:
        deadline = time.monotonic() + (WAIT_SECONDS_MAX if wait else 0)
        while True:
            try:
                return attempt(dsn)
            except door.BusyError as busy:
                if time.monotonic() > deadline:
                    raise
                terminal.say(f"  {busy}")
                time.sleep(PAUSE_SECONDS)

    with terminal.refusing(json=as_json), wiring.reached(terminal.read_environment()) as found:
        answer = attempt_patiently(found.migrate)
    names = {
        "pending" if plan else "applied": [file.file_name for file in answer.pending],
        "waiting": [file.file_name for file in answer.waiting],
    }
    if as_json:
        typer.echo(json.dumps(names))
        return
    for state, files in names.items():
        typer.echo(f"{state}: {', '.join(files) or 'nothing'}")
