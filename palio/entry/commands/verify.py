"""`palio verify …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from palio.entry.options import AsJson, instant
from palio.entry.printing import tell

if TYPE_CHECKING:
    from palio.entry.terminal import Place
    from palio.infra.db import Tx
    from palio.infra.seals import Anchored, Checked, Flaw

app = typer.Typer(no_args_is_help=True, help="Prove that what is stored adds up, and is what was sealed.")

STATEMENT_SECONDS_MAX = 3_600
COMPETITIONS_AT_A_TIME = 100
ROWS_BETWEEN_WORDS = 100_000

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


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check found: its exit status, the lines that say it (the last is the verdict), and the same as JSON."""

    status: int
    lines: list[str]
    answer: dict[str, object]


@app.command()
def ledger(*, since: From = None, until: To = None, acknowledge: Acknowledge = None, as_json: AsJson = False) -> None:
    """Compare every sealed transfer with its seal and the anchors, then every row of the ledger with every other.

    --from and --to narrow the seals, by when they were made. Exit status 0: sound; 1: broken, and the first lines name
    what broke first; 2: the anchors know seals that the database does not have.
    """

    async def work(place: "Place") -> Verified:
        await _acknowledge(place, acknowledge)
        return await _ledger(place, since, until)

    _end(work, as_json=as_json)


@app.command()
def audit(*, since: From = None, until: To = None, acknowledge: Acknowledge = None, as_json: AsJson = False) -> None:
    """Compare every sealed audit row with its seal and the anchors. Exit status as `palio verify ledger`."""

    async def work(place: "Place") -> Verified:
        await _acknowledge(place, acknowledge)
        return await _audit(place, since, until)

    _end(work, as_json=as_json)


@app.command()
def anchors(*, acknowledge: Acknowledge = None, as_json: AsJson = False) -> None:
    """Compare the anchors of this machine with the seals they are of. Exit status as `palio verify ledger`."""

    async def work(place: "Place") -> Verified:
        await _acknowledge(place, acknowledge)
        return await _anchors(place)

    _end(work, as_json=as_json)


@app.command()
def boards(*, as_json: AsJson = False) -> None:
    """Work out scores, standings and prizes of every published competition once more from receipts, the newest first.

    Exit status 0: all are as their receipts say; 1: something differs, and each line names the competition, the entrant
    and both figures.
    """
    _end(_boards, as_json=as_json)


@app.command("all")
def everything(*, since: From = None, until: To = None, as_json: AsJson = False) -> None:
    """Do all of it: ledger, audit log, anchors, boards. One after the other, whatever the one before has found.

    --from and --to narrow the seals, by when they were made. Exit status 0: everything is sound; 1: something is
    broken; 2: nothing is, but the anchors know seals that the database does not have. The lines of a check begin with
    its name.
    """

    async def work(place: "Place") -> Verified:
        found = {
            "ledger": await _ledger(place, since, until),
            "audit": await _audit(place, since, until),
            "anchors": await _anchors(place),
            "boards": await _boards(place),
        }
        status = _worst([one.status for one in found.values()])
        lines = [f"{name}: {line}" for name, one in found.items() for line in one.lines]
        told = {name: {"status": one.status, **one.answer} for name, one in found.items()}
        return Verified(status, [*lines, f"{WORDS[status]}."], {"sound": status == 0, **told})

    _end(work, as_json=as_json)


def _end(work: "Callable[[Place], Awaitable[Verified]]", *, as_json: bool) -> NoReturn:
    """Do a check, tell what it found, and end with its status."""
    from palio.entry import terminal

    found = terminal.run(work, json=as_json)
    tell(found.answer, as_json=as_json, lines=found.lines)
    raise typer.Exit(found.status)


async def _ledger(place: "Place", since: datetime | None, until: datetime | None) -> Verified:
    from palio import ledger as books
    from palio.entry import operators, terminal

    tell_so = terminal.Progress("transfers compared", ROWS_BETWEEN_WORDS)
    async with operators.acting(place.database, seconds_max=STATEMENT_SECONDS_MAX) as tx:
        found = await books.check_seals(tx, since=since, until=until, tell=tell_so)
        report = await books.verify(tx)
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
    verdict = f"{WORDS[status]}: {sizes}; {_sizes(found)}."
    return Verified(status, [*_flaws(found.flaws, "transfer"), *broken, *_ahead(found), verdict], answer)


async def _audit(place: "Place", since: datetime | None, until: datetime | None) -> Verified:
    from palio.entry import operators
    from palio.infra import seals

    async with operators.acting(place.database, seconds_max=STATEMENT_SECONDS_MAX) as tx:
        found = await seals.check(tx, chain=seals.AUDIT, since=since, until=until)
    lines = [*_flaws(found.flaws, "audit row"), *_ahead(found), f"{WORDS[found.status]}: {_sizes(found)}."]
    return Verified(found.status, lines, {"sound": found.status == 0, "seals": _told(found)})


async def _anchors(place: "Place") -> Verified:
    from palio.entry import operators
    from palio.entry.wiring import CHAINS
    from palio.infra import seals

    async with operators.acting(place.database) as tx:
        found = {chain.name: await seals.check_anchors(tx, chain=chain) for chain in CHAINS}
    status = _worst([1 if one.flaws else 2 if one.ahead else 0 for one in found.values()])
    lines = [line for one in found.values() for line in (*_flaws(one.flaws, "seal"), *_ahead(one))]
    reached = ", ".join(f"{name} up to seal {one.anchored}" for name, one in found.items())
    return Verified(status, [*lines, f"{WORDS[status]}: {reached}."], {"sound": status == 0, "chains": found})


async def _boards(place: "Place") -> Verified:
    """Each competition in a transaction of its own: it is one moment of it, and others need not wait for all."""
    from palio import competitions
    from palio.competitions.types import Wanted
    from palio.entry import operators
    from palio.kernel.parts import Part

    count, last = 0, None
    broken: list[dict[str, object]] = []
    while True:
        async with operators.acting(place.database) as tx:
            listed = await competitions.listed(tx, wanted=Wanted(), part=Part(COMPETITIONS_AT_A_TIME, older_than=last))
        for line in listed.rows:
            last = line.competition.id
            async with operators.acting(place.database, seconds_max=STATEMENT_SECONDS_MAX) as tx:
                proof = await competitions.verify(tx, competition_id=last)
            count += 1
            broken += [
                {
                    "competition": last,
                    "check": one.check,
                    "entrant": one.entrant_id,
                    "expected": one.expected,
                    "found": one.actual,
                }
                for one in proof.differences
            ]
        if not listed.has_older:
            break
    lines = [
        f"{one['check']}  {one['competition']}  entrant {one['entrant'] or 'of all'}:"
        f" expected {one['expected']}, found {one['found']}"
        for one in broken
    ]
    status = 1 if broken else 0
    answer = {"sound": not broken, "competitions": count, "differences": broken}
    return Verified(status, [*lines, f"{WORDS[status]}: competitions {count}."], answer)


def _worst(statuses: Collection[int]) -> int:
    """What is broken is worse than what is behind its anchors."""
    return 1 if 1 in statuses else max(statuses)


WORDS = {0: "Sound", 1: "Broken", 2: "Behind its anchors"}


async def _acknowledge(place: "Place", why: str | None) -> None:
    """Void the anchors that are ahead, and write down who said so."""
    if why is None:
        return
    from palio.entry import operators

    async with operators.acting(place.database) as tx:
        await _void(tx, why)


async def _void(tx: "Tx", why: str) -> None:
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
    return [f"{flaw.what}  {_where(flaw, what)}: {flaw.detail}" for flaw in flaws]


def _where(flaw: "Flaw", what: str) -> str:
    if flaw.row is None:
        return f"seal {flaw.seal}"
    place = f"{what} {flaw.row} of seal {flaw.seal}"
    return f"{place} in {flaw.partition}" if flaw.partition else place


def _ahead(found: "Checked | Anchored") -> list[str]:
    if not found.lost:
        return []
    first, head = found.lost
    return [
        f"The anchors know seal {found.ahead}, and the database does not have it: it was restored, or cut off.",
        f"The first that it lacks is seal {first}, of the head {head}.",
        "If you restored it, say so with --acknowledge REASON; until then nothing is sealed.",
    ]


def _sizes(found: "Checked") -> str:
    return (
        f"seals {found.seals} over {found.rows} rows, {found.unsealed} not sealed yet, anchored up to {found.anchored}"
    )
