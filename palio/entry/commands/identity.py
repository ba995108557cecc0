"""`palio identity …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import AsJson, DryRun
from palio.entry.printing import Cell, record, tell

if TYPE_CHECKING:
    from palio.identity import User

app = typer.Typer(no_args_is_help=True, help="Accounts of people and services.")

NameOrId = Annotated[str, typer.Argument(metavar="USER", help="A user name, upper and lower case alike, or an id.")]


@app.command()
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Letters, digits, _ . - of ASCII, at least three, unlike any other.")
    ],
    *,
    display_name: Annotated[str | None, typer.Option(help="How the account is shown. Default: NAME.")] = None,
    service: Annotated[bool, typer.Option("--service", help="For a program instead of a person.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make an account that is active at once and cannot sign in yet. Exit status 1: the name is taken or unfit."""
    from palio import identity
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: terminal.Place) -> identity.User:
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            return await identity.create(
                tx,
                username=name,
                display_name=display_name,
                kind="service" if service else "person",
                now=clock.now(),
                reason=operators.reason(),
                via="cli",
            )

    user = terminal.run(work, json=as_json)
    head = [f"Would make the account {user.username}; nothing was changed."] if dry_run else []
    tell(user, as_json=as_json, lines=[*head, *record(_lines(user))])


@app.command()
def show(user: NameOrId, *, as_json: AsJson = False) -> None:
    """Print one account. Exit status 1: there is none of this name or id."""
    from palio import identity
    from palio.entry import operators, terminal

    async def work(place: terminal.Place) -> identity.User:
        async with operators.acting(place.database) as tx:
            return await identity.get(tx, name_or_id=user)

    found = terminal.run(work, json=as_json)
    tell(found, as_json=as_json, lines=record(_lines(found)))


def _lines(user: "User") -> dict[str, Cell]:
    return {
        "id": str(user.id),
        "user name": user.username,
        "shown as": user.display_name,
        "kind": user.kind,
        "status": user.status,
        "since": user.created_at,
    }
