"""`palio identity …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.commands import api_tokens, email_rules, personal
from palio.entry.options import AsJson, DryRun, Reason
from palio.entry.printing import Cell, columns, record, tell

if TYPE_CHECKING:
    from palio.identity import Grant, Role, Session, Suspension, User
    from palio.infra.db import Tx
    from palio.kernel.permissions import Object

app = typer.Typer(no_args_is_help=True, help="Accounts of people and services, their roles, sessions and tokens.")
app.add_typer(api_tokens.app, name="token")
app.add_typer(email_rules.app, name="email-rule")
personal.register(app)

OWNER_PATH = "/first-owner/"
OWNER_LINK_HOURS = 1

NameOrId = Annotated[str, typer.Argument(metavar="USER", help="A user name, upper and lower case alike, or an id.")]

Of = Annotated[
    str | None, typer.Option("--of", metavar="OBJECT", help="Of one thing alone: competition:ID. Default: everywhere.")
]

RoleName = Annotated[str, typer.Argument(metavar="ROLE", help="A role, like support: palio identity roles.")]


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
    from palio.entry import operators
    from palio.kernel import clock

    async def work(tx: "Tx") -> "User":
        return await identity.create(
            tx,
            username=name,
            display_name=display_name,
            kind="service" if service else "person",
            now=clock.now(),
            reason=operators.reason(),
            via="cli",
        )

    user = operators.act(work, dry_run=dry_run, as_json=as_json)
    head = [f"Would make the account {user.username}; nothing was changed."] if dry_run else []
    tell(user, as_json=as_json, lines=[*head, *record(_lines(user))])


@app.command()
def show(user: NameOrId, *, as_json: AsJson = False) -> None:
    """Print one account. Exit status 1: there is none of this name or id."""
    from palio import identity
    from palio.entry import operators

    async def work(tx: "Tx") -> "User":
        return await identity.get(tx, name_or_id=user)

    found = operators.act(work, as_json=as_json)
    tell(found, as_json=as_json, lines=record(_lines(found)))


@dataclass(frozen=True, slots=True)
class Invitation:
    """The link that makes the first owner, shown this once."""

    link: str
    expires_at: datetime


@app.command("first-owner")
def first_owner(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="Whose the house will be.")],
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Print a link by which somebody becomes the first owner within an hour. Exit status 1: there is an owner."""
    from palio import identity
    from palio.entry import operators
    from palio.infra import instances
    from palio.kernel import clock

    async def work(tx: "Tx") -> Invitation:
        now = clock.now()
        secret = await identity.invite_first_owner(
            tx, email=email, now=now, reason=operators.reason("the first owner"), via="cli"
        )
        shown = "…" if dry_run else secret
        site = await instances.find_site(tx) or tx.equipment.site
        return Invitation(site + OWNER_PATH + shown, now + timedelta(hours=OWNER_LINK_HOURS))

    made = operators.act(work, dry_run=dry_run, as_json=as_json)
    head = ["This was a dry run; nothing was changed."] if dry_run else ["Good once, for whoever opens it first:"]
    tell(made, as_json=as_json, lines=[*head, made.link, *record({"until": made.expires_at})])


@app.command()
def roles(*, as_json: AsJson = False) -> None:
    """List the roles and what each may do."""
    from palio import identity
    from palio.entry import operators

    async def work(tx: "Tx") -> "list[Role]":
        return await identity.list_roles(tx)

    found = operators.act(work, as_json=as_json)
    rows = [[each.name, each.title, ", ".join(each.permissions)] for each in found]
    tell(found, as_json=as_json, lines=columns(["role", "title", "permissions"], rows))


@app.command()
def grant(
    user: NameOrId,
    role: RoleName,
    *,
    reason: Reason,
    days: Annotated[int | None, typer.Option(min=1, max=3_650, help="It ends by itself after so many days.")] = None,
    of: Of = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Give somebody a role; his sessions end. Exit status 1: no such user or role, or he has it."""
    from palio import identity
    from palio.entry import operators
    from palio.kernel import clock

    thing = _object(of)

    async def work(tx: "Tx") -> "Grant":
        now = clock.now()
        found = await identity.get(tx, name_or_id=user)
        return await identity.grant_role(
            tx,
            user_id=found.id,
            role=role,
            reason=operators.reason(reason),
            now=now,
            expires_at=now + timedelta(days=days) if days else None,
            of=thing,
            via="cli",
        )

    made = operators.act(work, dry_run=dry_run, as_json=as_json)
    facts: dict[str, Cell] = {"user": str(made.user_id), "role": made.role, "of": of, "until": made.expires_at}
    _tell(made, facts, dry_run=dry_run, as_json=as_json)


@app.command()
def revoke(
    user: NameOrId,
    role: RoleName,
    *,
    reason: Reason,
    of: Of = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take a role from somebody; his sessions end. Exit status 1: he does not have it, or he is the last owner."""
    from palio import identity
    from palio.entry import operators
    from palio.kernel import clock

    thing = _object(of)

    async def work(tx: "Tx") -> "list[Grant]":
        now = clock.now()
        found = await identity.get(tx, name_or_id=user)
        why = operators.reason(reason)
        await identity.revoke_role(tx, user_id=found.id, role=role, reason=why, now=now, of=thing, via="cli")
        return await identity.grants_of(tx, user_id=found.id, now=now)

    left = operators.act(work, dry_run=dry_run, as_json=as_json)
    names = ", ".join(f"{each.role} of {each.of}" if each.of else each.role for each in left) or "none"
    _tell(left, {"roles left": names}, dry_run=dry_run, as_json=as_json)


@app.command()
def sessions(
    user: NameOrId,
    *,
    end: Annotated[bool, typer.Option("--end", help="End all of them.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """List the open sessions of somebody, or end them all. Exit status 1: no such user."""
    from palio import identity
    from palio.entry import operators
    from palio.kernel import clock

    async def work(tx: "Tx") -> "list[Session]":
        now = clock.now()
        found = await identity.get(tx, name_or_id=user)
        listed = await identity.sessions_of(tx, user_id=found.id, current=None, now=now)
        if end:
            await identity.end_sessions(tx, user_id=found.id, reason="revoked_by_staff", now=now)
        return listed

    found = operators.act(work, dry_run=dry_run, as_json=as_json)
    head = [*_head(dry_run=dry_run), f"{len(found)} {'ended' if end else 'open'}"]
    rows = [[str(each.id), each.kind, each.device, each.ip, each.last_seen_at] for each in found]
    table = columns(["session", "kind", "device", "address", "last seen"], rows) if rows else []
    tell(found, as_json=as_json, lines=[*head, *table])


@app.command("end-sessions")
def end_sessions(user: NameOrId, *, reason: Reason, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Sign somebody out everywhere. Exit status 1: no such user, or he is signed in nowhere."""
    from palio import identity
    from palio.entry import operators
    from palio.kernel import clock

    async def work(tx: "Tx") -> int:
        found = await identity.get(tx, name_or_id=user)
        return await identity.end_for_staff(tx, user_id=found.id, why=operators.reason(reason), now=clock.now())

    ended = operators.act(work, dry_run=dry_run, as_json=as_json)
    tell({"ended": ended}, as_json=as_json, lines=[*_head(dry_run=dry_run), f"{ended} ended"])


@app.command()
def suspend(
    user: NameOrId,
    *,
    reason: Reason,
    days: Annotated[int | None, typer.Option(min=1, max=3_650, help="It is lifted after so many days.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Suspend an account, or say anew why and for how long. Exit status 1: no such user, or the last owner."""
    from palio import identity
    from palio.entry import operators
    from palio.kernel import clock

    async def work(tx: "Tx") -> "Suspension":
        now = clock.now()
        found = await identity.get(tx, name_or_id=user)
        return await identity.suspend(
            tx,
            user_id=found.id,
            reason=reason,
            until=now + timedelta(days=days) if days else None,
            now=now,
            remark=f"({operators.by()})",
            via="cli",
        )

    made = operators.act(work, dry_run=dry_run, as_json=as_json)
    _tell(made, _standing(made), dry_run=dry_run, as_json=as_json)


@app.command()
def reinstate(user: NameOrId, *, reason: Reason, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Let a suspended account in again. Exit status 1: no such user, or it is not suspended."""
    from palio import identity
    from palio.entry import operators

    async def work(tx: "Tx") -> "Suspension":
        found = await identity.get(tx, name_or_id=user)
        return await identity.reinstate(tx, user_id=found.id, reason=operators.reason(reason), via="cli")

    made = operators.act(work, dry_run=dry_run, as_json=as_json)
    _tell(made, _standing(made), dry_run=dry_run, as_json=as_json)


@dataclass(frozen=True, slots=True)
class Planned:
    """When somebody's second factors are removed."""

    user_id: str
    due_at: datetime


@app.command("reset-mfa")
def reset_mfa(user: NameOrId, *, reason: Reason, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Remove the second factors of somebody a day from now, unless he objects. Exit status 1: he has none.

    Whoever has this machine stands for the two people that the console asks for.
    """
    from palio import identity
    from palio.entry import operators
    from palio.kernel import clock

    async def work(tx: "Tx") -> Planned:
        found = await identity.get(tx, name_or_id=user)
        planned = await identity.plan_reset(
            tx, user_id=found.id, reason=operators.reason(reason), now=clock.now(), via="cli"
        )
        return Planned(str(found.id), planned.due_at)

    made = operators.act(work, dry_run=dry_run, as_json=as_json)
    _tell(made, {"user": made.user_id, "at": made.due_at}, dry_run=dry_run, as_json=as_json)


def _object(text: str | None) -> "Object | None":
    from palio.entry.options import Misuse
    from palio.kernel.permissions import object_named

    if text is not None and (found := object_named(text)) is None:
        raise Misuse("object_unknown", f"{text!r} names nothing that a role is held of: competition:ID")
    return found if text is not None else None


def _standing(found: "Suspension") -> dict[str, Cell]:
    return {"user": found.username, "status": found.status, "why": found.reason, "until": found.until}


def _tell(found: object, facts: Mapping[str, Cell], *, dry_run: bool, as_json: bool) -> None:
    tell(found, as_json=as_json, lines=[*_head(dry_run=dry_run), *record(facts)])


def _head(*, dry_run: bool) -> list[str]:
    return ["This was a dry run; nothing was changed."] if dry_run else []


def _lines(user: "User") -> dict[str, Cell]:
    return {
        "id": str(user.id),
        "user name": user.username,
        "shown as": user.display_name,
        "kind": user.kind,
        "status": user.status,
        "since": user.created_at,
    }
