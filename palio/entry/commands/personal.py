"""`palio identity export` and `erase`: what an operator does for somebody who cannot come in."""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import AsJson, DryRun, Reason
from palio.entry.printing import record, tell

if TYPE_CHECKING:
    from palio.entry.terminal import Place
    from palio.identity.types import PrivacyRequest
    from palio.infra.db import Tx

NameOrId = Annotated[str, typer.Argument(metavar="USER", help="A user name, upper and lower case alike, or an id.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where the file is written; nobody else may read it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to those of identity."""
    app.command()(export)
    app.command()(erase)


def export(user: NameOrId, *, output: Output, reason: Reason, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Write a copy of everything that is known of somebody into a file. Exit status 1: no such user."""
    from palio import identity
    from palio.entry import operators, terminal
    from palio.entry.options import Misuse
    from palio.identity import doors, jobs
    from palio.identity.messages import RunPrivacy
    from palio.infra import private
    from palio.kernel import clock

    if not output.parent.is_dir():
        raise Misuse("usage", f"There is no folder {output.parent}")

    async def order(tx: "Tx") -> "PrivacyRequest":
        found = await identity.get(tx, name_or_id=user)
        asked = await identity.ask_for_export(tx, user_id=found.id, is_ordered=True, now=clock.now())
        await _note(tx, asked, "privacy_request.fetch", reason)
        return asked

    async def rehearse(tx: "Tx") -> dict[str, int]:
        asked = await order(tx)
        return await identity.count_export(tx, user_id=asked.user_id)

    async def work(place: "Place") -> tuple[str, int]:
        async with operators.acting(place.database) as tx:
            asked = await order(tx)
        steps = len(place.database.equipment.personal) + 1
        for _ in range(steps):
            await jobs.run_privacy(place.database, RunPrivacy(asked.id))
        content = await doors.fetch_export(
            identity.House(place.database), user_id=asked.user_id, request_id=asked.id, now=clock.now()
        )
        private.write_bytes(output, content)
        return str(asked.id), len(content)

    if dry_run:
        rows = operators.act(rehearse, dry_run=True, as_json=as_json)
        told = f"Would write {sum(rows.values()):,} lines into {output}; nothing was changed."
        tell({"rows": rows, "file": str(output)}, as_json=as_json, lines=[told, *record(rows)])
        return
    request_id, size = terminal.run(work, json=as_json)
    told = f"{size:,} bytes in {output}"
    tell({"request": request_id, "bytes": size, "file": str(output)}, as_json=as_json, lines=[told])


def erase(
    user: Annotated[str | None, typer.Argument(metavar="USER", help="A user name or an id.")] = None,
    *,
    replay: Annotated[
        bool, typer.Option("--replay", help="Instead: everybody who was erased before a restore, at once.")
    ] = False,
    reason: Reason,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Have somebody erased after the days in which he can change his mind; he need not confirm it by mail.

    Exit status 1: no such user, or something of his is open.
    """
    from palio import identity
    from palio.entry import operators, terminal
    from palio.entry.options import Misuse
    from palio.kernel import clock
    from palio.kernel.ids import UserId

    if (user is None) == (not replay):
        raise Misuse("usage", "Name one user, or say --replay")

    async def work(place: "Place") -> "PrivacyRequest | int":
        anchors = place.database.equipment.anchors
        async with operators.acting(place.database, dry_run=dry_run) as tx:
            if user is None:
                ids = anchors.shredded() if anchors else []
                return sum([await identity.erase_again(tx, user_id=UserId(one), now=clock.now()) for one in ids])
            found = await identity.get(tx, name_or_id=user)
            asked = await identity.ask_for_erasure(tx, user_id=found.id, is_ordered=True, now=clock.now())
            await _note(tx, asked, "privacy_request.order", reason)
            return asked

    done = terminal.run(work, json=as_json)
    head = ["This was a dry run; nothing was changed."] if dry_run else []
    if isinstance(done, int):
        tell({"begun": done}, as_json=as_json, lines=[*head, f"{done} are erased again by the jobs"])
        return
    facts = {"request": str(done.id), "state": done.state, "begins": done.due_at}
    tell(facts, as_json=as_json, lines=[*head, *record(facts)])


async def _note(tx: "Tx", asked: "PrivacyRequest", action: str, why: str) -> None:
    """Write into the audit log what an operator had done for somebody."""
    from palio.entry import operators
    from palio.infra import audit

    await audit.record(
        tx,
        actor=tx.actor,
        action=action,
        entity_type="privacy_request",
        entity_id=str(asked.id),
        changes={},
        reason=operators.reason(why),
        subject=asked.user_id,
        via="cli",
    )
