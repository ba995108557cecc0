"""`palio verify …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import AsJson, instant
from palio.entry.printing import tell

if TYPE_CHECKING:
    from palio.entry.terminal import Place
    from palio.infra.db import Tx
    from palio.infra.seals import Anchored, Checked, Flaw
    from palio.ledger import Report

app = typer.Typer(no_args_is_help=True, help="Prove that what is stored adds up, and is what was sealed.")

From = Annotated[
    datetime | None,
    typer.Option("--from", parser=instant, metavar="TIME", help="Only what was sealed from this instant on."),
]
To = Annotated[
    datetime | None, typer.Option("--to", parser=instant, metavar="TIME", help="Only what was sealed before.")
]
Acknowledge = Annotated[
    str | None,
    typer.Option(metavar="REASON", help="The database was restored: seals that only the anchors know are void."),
]


@app.callback()
def root() -> None:
    """Prove that what is stored adds up, and is what was sealed. Only an acknowledged restore is written down."""


@app.command()
def ledger(*, since: From = None, until: To = None, acknowledge: Acknowledge = None, as_json: AsJson = False) -> None:
    """Compare every sealed transfer with its seal and the anchors, then every row of the ledger with every other.

    --from and --to narrow the seals, by when they were made. Exit status 0: sound; 1: broken, and the first lines name
    what broke first; 2: the anchors know seals that the database does not have.
    """
    from palio import ledger as books
    from palio.entry import operators, terminal

    async def work(place: "Place") -> "tuple[Checked, Report]":
        async with operators.acting(place.database) as tx:
            await _acknowledge(tx, acknowledge)
            return await books.check_seals(tx, since=since, until=until), await books.verify(tx)

    found, report = terminal.run(work, json=as_json)
    status = 1 if not report.is_sound else found.status
    answer = {
        "sound": status == 0,
        "accounts": report.accounts,
        "transfers": report.transfers,
        "entries": report.entries,
        "findings": report.findings,
        "seals": _told(found),
    }
    broken = [
        f"{finding.check}  {finding.subject}: expected {finding.expected}, found {finding.actual}"
        for finding in report.findings
    ]
    sizes = f"transfers {report.transfers}, entries {report.entries}, accounts {report.accounts}"
    lines = [*_flaws(found.flaws, "transfer"), *broken, *_ahead(found), f"{WORDS[status]}: {sizes}; {_sizes(found)}."]
    tell(answer, as_json=as_json, lines=lines)
    raise typer.Exit(status)


@app.command()
def audit(*, since: From = None, until: To = None, acknowledge: Acknowledge = None, as_json: AsJson = False) -> None:
    """Compare every sealed audit row with its seal and the anchors. Exit status as `palio verify ledger`."""
    from palio.entry import operators, terminal
    from palio.infra import seals

    async def work(place: "Place") -> "Checked":
        async with operators.acting(place.database) as tx:
            await _acknowledge(tx, acknowledge)
            return await seals.check(tx, chain=seals.AUDIT, since=since, until=until)

    found = terminal.run(work, json=as_json)
    lines = [*_flaws(found.flaws, "audit row"), *_ahead(found), f"{WORDS[found.status]}: {_sizes(found)}."]
    tell({"sound": found.status == 0, "seals": _told(found)}, as_json=as_json, lines=lines)
    raise typer.Exit(found.status)


@app.command()
def anchors(*, acknowledge: Acknowledge = None, as_json: AsJson = False) -> None:
    """Compare the anchors of this machine with the seals they are of. Exit status as `palio verify ledger`."""
    from palio.entry import operators, terminal
    from palio.entry.wiring import CHAINS
    from palio.infra import seals

    async def work(place: "Place") -> "dict[str, Anchored]":
        async with operators.acting(place.database) as tx:
            await _acknowledge(tx, acknowledge)
            return {chain.name: await seals.check_anchors(tx, chain=chain) for chain in CHAINS}

    found = terminal.run(work, json=as_json)
    status = max((1 if one.flaws else 2 if one.ahead else 0) for one in found.values())
    if any(one.flaws for one in found.values()):
        status = 1
    lines = [line for one in found.values() for line in (*_flaws(one.flaws, "seal"), *_ahead(one))]
    reached = ", ".join(f"{name} up to seal {one.anchored}" for name, one in found.items())
    tell({"sound": status == 0, "chains": found}, as_json=as_json, lines=[*lines, f"{WORDS[status]}: {reached}."])
    raise typer.Exit(status)


WORDS = {0: "Sound", 1: "Broken", 2: "Behind its anchors"}


async def _acknowledge(tx: "Tx", why: str | None) -> None:
    """Void the anchors that are ahead, and write down who said so."""
    if why is None:
        return
    from palio.entry import operators
    from palio.entry.wiring import CHAINS
    from palio.infra import audit as log
    from palio.infra import clusters, seals
    from palio.kernel import clock

    for chain in CHAINS:
        if ahead := (await seals.check_anchors(tx, chain=chain)).ahead:
            last = await seals.acknowledge(tx, chain=chain, why=operators.reason(why), now=clock.now())
            await clusters.note(tx, why=operators.reason(why), now=clock.now())
            await log.record(
                tx,
                actor=tx.actor,
                action="database.acknowledge",
                entity_type="infra.seals",
                entity_id=chain.name,
                changes={"last_seal": (ahead, last)},
                reason=operators.reason(why),
                via="cli",
            )


def _told(found: "Checked") -> dict[str, object]:
    return {name: getattr(found, name) for name in found.__slots__} | {"status": found.status}


def _flaws(flaws: "Sequence[Flaw]", what: str) -> list[str]:
    return [
        f"{flaw.what}  {what} {flaw.row} of seal {flaw.seal}: {flaw.detail}"
        if flaw.row
        else f"{flaw.what}  seal {flaw.seal}: {flaw.detail}"
        for flaw in flaws
    ]


def _ahead(found: "Checked | Anchored") -> list[str]:
    if not found.ahead:
        return []
    return [
        f"The anchors know seal {found.ahead}, and the database does not have it: it was restored, or cut off.",
        "If you restored it, say so with --acknowledge REASON; until then nothing is sealed.",
    ]


def _sizes(found: "Checked") -> str:
    return (
        f"seals {found.seals} over {found.rows} rows, {found.unsealed} not sealed yet, anchored up to {found.anchored}"
    )
