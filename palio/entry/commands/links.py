"""`palio affiliates link`, `unlink`, `requests` and `links …`."""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import AsJson, DryRun, Limit, Misuse, Reason, content
from palio.entry.printing import columns, moment, record, tell

if TYPE_CHECKING:
    from palio.affiliates.types import Imported, LinkRow, QueuedRequest
    from palio.entry.terminal import Place

app = typer.Typer(no_args_is_help=True, help="Whose players the external players are.")

DEFAULT = "default"
Code = Annotated[str, typer.Option("--programme", metavar="CODE", help="The code of the programme.")]
Uid = Annotated[str, typer.Argument(metavar="UID", help="The player's uid at the programme; case matters.")]


def link(
    uid: Uid,
    *,
    user: Annotated[str, typer.Option(metavar="NAME", help="Whose player it is: a user name or an id.")],
    reason: Reason,
    programme: Code = DEFAULT,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Say that a player belongs to a user. Exit status 1: no such player or user, or one of them is linked."""
    from palio import affiliates, identity
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: "Place") -> "LinkRow":
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            owner = await identity.get(tx, name_or_id=user)
            found = await affiliates.programme(tx, code=programme)
            return await affiliates.link(
                tx,
                programme_id=found.id,
                uid=uid,
                user_id=owner.id,
                reason=operators.reason(reason),
                now=clock.now(),
            )

    made = terminal.run(work, json=as_json)
    tell(made, as_json=as_json, lines=_told(made, dry_run=dry_run))


def unlink(
    uid: Uid, *, reason: Reason, programme: Code = DEFAULT, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """End the link of a player now; what was won stays. Exit status 1: no such player, or linked to nobody."""
    from palio import affiliates
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: "Place") -> "LinkRow":
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            found = await affiliates.programme(tx, code=programme)
            return await affiliates.unlink(
                tx, programme_id=found.id, uid=uid, reason=operators.reason(reason), now=clock.now()
            )

    ended = terminal.run(work, json=as_json)
    tell(ended, as_json=as_json, lines=_told(ended, dry_run=dry_run))


def _told(one: "LinkRow", *, dry_run: bool) -> list[str]:
    head = ["This was a dry run; nothing was changed."] if dry_run else []
    facts = {"link": str(one.id), "player": str(one.player_id), "user": str(one.user_id), "state": one.state}
    return [*head, *record({**facts, "since": moment(one.linked_at)})]


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
            help="CSV with the columns uid and user; user is a user name or an id.",
        ),
    ],
    *,
    reason: Reason,
    programme: Code = DEFAULT,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make a list of links, all of them or none. Exit status 1: a line is in the way, and nothing was written."""
    from palio import affiliates
    from palio.entry import operators, terminal
    from palio.kernel import clock

    try:
        text = content(file).decode()
    except UnicodeDecodeError:
        raise Misuse("bad_encoding", f"{file} is not UTF-8") from None

    async def work(place: "Place") -> "Imported":
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            found = await affiliates.programme(tx, code=programme)
            return await affiliates.import_links(
                tx,
                programme_id=found.id,
                text=text,
                reason=operators.reason(reason),
                now=clock.now(),
                dry_run=dry_run,
                via="cli",
            )

    done = terminal.run(work, json=as_json)
    in_the_way = [one for one in done.lines if one.verdict not in {"linked", "present"}]
    rows = [(one.line, one.uid, one.user, one.verdict, one.detail) for one in done.lines]
    lines = columns(["line", "uid", "user", "verdict", "why"], rows, to_right=(0,)) if rows else []
    if dry_run:
        lines.append("This was a dry run; nothing was changed.")
    elif in_the_way:
        lines.append(f"{len(in_the_way)} lines are in the way; nothing was changed.")
    else:
        lines.append(f"{len(done.lines)} links stand.")
    tell(done, as_json=as_json, lines=lines)
    raise typer.Exit(1 if in_the_way else 0)


def requests(*, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List the open requests to link, oldest first."""
    from palio import affiliates
    from palio.entry import operators, terminal

    async def work(place: "Place") -> "list[QueuedRequest]":
        async with operators.acting(place.database) as tx:
            return await affiliates.queue(tx, limit=limit)

    found = terminal.run(work, json=as_json)
    rows = [_row(one) for one in found]
    head = ["ref", "programme", "user", "uid", "name", "proof", "state", "others", "code seen", "since"]
    tell(found, as_json=as_json, lines=columns(head, rows) if rows else ["Nobody asks."])


def _row(one: "QueuedRequest") -> "tuple[str | datetime | None, ...]":
    request = one.request
    return (
        request.ref,
        one.programme,
        one.username,
        request.uid,
        one.player_name,
        request.proof,
        request.state,
        "contested" if one.is_contested else None,
        request.code_seen_at,
        request.created_at,
    )


def register(affiliates: typer.Typer) -> None:
    """Put these commands under `palio affiliates`."""
    affiliates.add_typer(app, name="links")
    for command in (link, unlink, requests):
        affiliates.command()(command)
