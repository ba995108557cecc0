"""`palio affiliates feed …` and `feeds`."""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

import dataclasses
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import AsJson, DryRun, Misuse, Reason, content
from palio.entry.printing import columns, decimal, tell

if TYPE_CHECKING:
    from palio.affiliates.types import AuthKind, Coverage, Cycle, FeedId, FeedState, Trial, Trigger
    from palio.entry.terminal import Place

app = typer.Typer(no_args_is_help=True, help="The feed that a programme is read from.")

MICRO_PLACES = 6
DEFAULT = "default"

Code = Annotated[str, typer.Option("--programme", metavar="CODE", help="The code of the programme.")]
Uid = Annotated[str, typer.Argument(metavar="UID", help="The player's uid at the programme; case matters.")]
SecretFile = Annotated[
    str | None, typer.Option(metavar="FILE", help="Where the key is written, on one line; -: standard input.")
]


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="https:// and a host of the public internet.")],
    *,
    programme: Code = DEFAULT,
    auth: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="How the key travels: none, bearer, header (Name: value), basic (user:password), query (name=value).",
        ),
    ] = None,
    secret_file: SecretFile = None,
    interval: Annotated[
        int | None,
        typer.Option(min=10, max=86_400, help="Seconds between two readings. Default: affiliates.interval_s."),
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="It lists only some of the players.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="In place of the feed that is there.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Have a programme, made when missing, read from an address from now on. The key is stored sealed.

    Exit status 1: the address cannot be called, or the programme has a feed.
    """
    from palio import affiliates
    from palio.entry import operators, terminal
    from palio.infra.http import UNTRUSTED
    from palio.kernel import clock

    secret = _secret(secret_file)
    kind = _auth_kind(auth or ("bearer" if secret else "none"))
    coverage: Coverage = "partial" if partial else "full"
    new = affiliates.NewFeed(url, kind, secret, interval, coverage)

    async def work(place: "Place") -> "FeedId":
        equipment = place.database.equipment
        profile = dataclasses.replace(UNTRUSTED, may_be_inside=equipment.is_simulated)
        await equipment.http.require(url, profile=profile)
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            return await affiliates.add_feed(
                tx, code=programme, new=new, now=clock.now(), reason=operators.reason(), may_replace=replace
            )

    feed_id = terminal.run(work, json=as_json)
    said = "Would read" if dry_run else "Reads"
    tell({"id": feed_id}, as_json=as_json, lines=[f"{said} programme {programme} from there; feed {feed_id}."])


def _secret(file: str | None) -> str | None:
    if file is None:
        return None
    try:
        written = sys.stdin.readline() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError):
        raise Misuse("file_unreadable", f"{file} cannot be read") from None
    return written.strip()


def _auth_kind(text: str) -> "AuthKind":
    match text:
        case "none" | "bearer" | "header" | "basic" | "query":
            return text
        case _:
            raise Misuse("unknown_auth", f"{text!r}: choose from none, bearer, header, basic, query")


@app.command()
def push(*, programme: Code = DEFAULT, reason: Reason, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Let a provider send the lists of a programme by himself, and print the secret once.

    Done again, it makes another secret; the one before stays live until then. He signs as Standard Webhooks say.
    """
    from palio import affiliates
    from palio.entry import operators, terminal

    secret = affiliates.new_push_secret()

    async def work(place: "Place") -> "FeedId":
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            return await affiliates.let_push(tx, code=programme, secret=secret, reason=operators.reason(reason))

    feed_id = terminal.run(work, json=as_json)
    path = f"/hooks/feeds/{feed_id}"
    if dry_run:
        tell({"path": path}, as_json=as_json, lines=[f"Would take lists of programme {programme}."])
        return
    lines = [f"Takes lists of programme {programme} at {path} (POST).", f"Secret, shown once: {secret}"]
    tell({"path": path, "secret": secret}, as_json=as_json, lines=lines)


@app.command()
def mapping(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON: dotted paths by field, units, success_is, page.")],
    *,
    programme: Code = DEFAULT,
    reason: Reason,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Have the feed of a programme read by another mapping; {} is the built-in one. Older versions are kept.

    Fields: rows, uid, name, today, week, month, all_time, upstream_at, total_users, total_pages, root_today, root_week,
    success. `page` names the parameter by which a list of several pages is asked for them.
    """
    from palio import affiliates
    from palio.entry import operators, terminal

    try:
        document = json.loads(content(file))
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Misuse("file_invalid", f"{file} holds no JSON object")

    async def work(place: "Place") -> int:
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            return await affiliates.set_mapping(tx, code=programme, document=document, reason=operators.reason(reason))

    version = terminal.run(work, json=as_json)
    said = "Would read" if dry_run else "Reads"
    tell({"version": version}, as_json=as_json, lines=[f"{said} programme {programme} by version {version}."])


@app.command("test")
def try_out(*, programme: Code = DEFAULT, as_json: AsJson = False) -> None:
    """Ask the feed once and show what would come of it; nothing is written. Exit status 1: nothing usable came."""
    from palio import affiliates
    from palio.entry import terminal

    async def work(place: "Place") -> "Trial":
        return await affiliates.try_feed(place.database, code=programme)

    trial = terminal.run(work, json=as_json)
    tell(trial, as_json=as_json, lines=_findings(trial))
    raise typer.Exit(0 if trial.outcome == "ok" else 1)


def _findings(trial: "Trial") -> list[str]:
    if trial.outcome != "ok":
        return [f"Nothing usable came: {trial.error_code or trial.outcome} ({trial.detail})."]
    rows = [[one.uid, one.name, *(decimal(micro, MICRO_PLACES) for micro in one[2:6])] for one in trial.rows]
    held = [[one.row_no, one.uid, one.reason, one.row] for one in trial.held]
    return [
        f"{trial.size} bytes of shape {trial.shape}: {trial.accepted} players, {len(held)} rows held back.",
        *columns(["uid", "name", "today", "this week", "this month", "all time"], rows, to_right=(2, 3, 4, 5)),
        *(columns(["row", "uid", "why", "as it came"], held, to_right=(0,)) if held else []),
    ]


@app.command()
def fetch(*, programme: Code = DEFAULT, as_json: AsJson = False) -> None:
    """Read the feed now, also one that is left alone; success takes it up again.

    Exit status 0: applied, or nothing new; 1: it failed, or staff must decide.
    """
    from palio import affiliates
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: "Place") -> "Cycle | None":
        async with operators.acting(place.database) as tx:
            feed = await affiliates.pull_feed(tx, code=programme)
        trigger: Trigger = "manual" if feed.breaker == "closed" else "probe"
        return await affiliates.fetch(place.database, feed_id=feed.id, due_at=clock.now(), trigger=trigger)

    cycle = terminal.run(work, json=as_json)
    if cycle is None:
        tell(None, as_json=as_json, lines=["It is being read by a worker just now."])
        raise typer.Exit(1)
    why = f" ({cycle.error_code})" if cycle.error_code else ""
    tell(cycle, as_json=as_json, lines=[f"{cycle.state}{why} after {cycle.attempts} attempts."])
    raise typer.Exit(0 if cycle.state in {"applied", "unchanged"} else 1)


def feeds(*, as_json: AsJson = False) -> None:
    """List the feeds: how fresh their numbers are, how the last reading ended, when the next one is due."""
    from palio import affiliates
    from palio.entry import operators, terminal
    from palio.kernel import clock

    async def work(place: "Place") -> "tuple[list[FeedState], datetime]":
        async with operators.acting(place.database) as tx:
            return await affiliates.feeds(tx), clock.now()

    found, now = terminal.run(work, json=as_json)
    head = ["programme", "feed", "host", "key", "breaker", "lag", "last", "next due"]
    rows = [
        [
            *(one.programme, one.name, one.host, one.secret_hint and f"…{one.secret_hint}"),
            one.breaker if one.kind == "pull" else None,
            None if one.as_of is None else f"{(now - one.as_of).total_seconds():.0f} s",
            one.last_error or one.last_state,
            one.next_due,
        ]
        for one in found
    ]
    tell(found, as_json=as_json, lines=columns(head, rows, to_right=(5,)) if rows else ["There is no feed."])


def register(affiliates: typer.Typer) -> None:
    """Put these commands under `palio affiliates`."""
    affiliates.add_typer(app, name="feed")
    affiliates.command()(feeds)
