"""`palio identity token …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from palio.entry.options import AsJson, DryRun, Misuse
from palio.entry.printing import Cell, columns, record, tell

if TYPE_CHECKING:
    from palio.entry.terminal import Place
    from palio.identity import ApiToken

app = typer.Typer(no_args_is_help=True, help="API tokens of people and services.")

NameOrId = Annotated[str, typer.Argument(metavar="USER", help="A user name, upper and lower case alike, or an id.")]


@dataclass(frozen=True, slots=True)
class Made:
    """A new token; `secret` is shown this once."""

    token: "ApiToken"
    secret: str = field(repr=False)


@app.command()
def create(
    user: NameOrId,
    *,
    scopes: Annotated[str, typer.Option(metavar="LIST", help="What it is good for: games:read,games:write.")],
    name: Annotated[str, typer.Option(help="What it is known by.")] = "command line",
    days: Annotated[int, typer.Option(min=1, max=365, help="How long it lives.")] = 90,
    network: Annotated[list[str] | None, typer.Option(help="Good from this network only; may be repeated.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it; it cannot be shown again. Exit status 1: no such user or scope."""
    from palio import identity
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: "Place") -> Made:
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            owner = await identity.get(tx, name_or_id=user)
            made = await identity.create_token(
                tx,
                user_id=owner.id,
                name=name,
                scopes=[scope.strip() for scope in scopes.split(",") if scope.strip()],
                days=days,
                ip_allow=network or [],
                now=clock.now(),
                reason=operators.reason(),
                via="cli",
            )
            return Made(made.token, "" if dry_run else made.secret)

    made = terminal.run(work, json=as_json)
    head = ["This was a dry run; nothing was changed."] if dry_run else [made.secret]
    facts: dict[str, Cell] = {"id": str(made.token.id), "until": made.token.expires_at}
    facts["scopes"] = ", ".join(made.token.scopes)
    tell(made, as_json=as_json, lines=[*head, *record(facts)])


@app.command("list")
def show_all(user: NameOrId, *, as_json: AsJson = False) -> None:
    """List the live tokens of somebody; never their secrets. Exit status 1: no such user."""
    from palio import identity
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: "Place") -> "list[ApiToken]":
        async with operators.acting(place.database) as tx:
            owner = await identity.get(tx, name_or_id=user)
            return await identity.tokens_of(tx, user_id=owner.id, now=clock.now())

    found = terminal.run(work, json=as_json)
    head = ["id", "name", "begins", "ends", "scopes", "last used", "until"]
    rows = [
        [str(one.id), one.name, one.prefix, one.last4, ", ".join(one.scopes), one.last_used_at, one.expires_at]
        for one in found
    ]
    tell(found, as_json=as_json, lines=columns(head, rows) if rows else ["There is no token."])


@app.command()
def revoke(
    user: NameOrId,
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="The id of the token: palio identity token list.")],
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """End a token. Exit status 1: no such user or token."""
    from palio import identity
    from palio.entry import operators, terminal
    from palio.identity.types import TokenId
    from palio.kernel import clock

    try:
        token_id = TokenId(UUID(token))
    except ValueError:
        raise Misuse("id_invalid", f"{token!r} is no id") from None

    async def work(place: "Place") -> str:
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            owner = await identity.get(tx, name_or_id=user)
            await identity.revoke_token(
                tx, user_id=owner.id, token_id=token_id, now=clock.now(), reason=operators.reason(), via="cli"
            )
            return str(token_id)

    ended = terminal.run(work, json=as_json)
    head = ["This was a dry run; nothing was changed."] if dry_run else []
    tell({"revoked": ended}, as_json=as_json, lines=[*head, *record({"revoked": ended})])
