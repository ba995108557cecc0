"""`palio verify …`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from typing import TYPE_CHECKING

import typer

from palio.entry.options import AsJson
from palio.entry.printing import tell

if TYPE_CHECKING:
    from palio.ledger import Report

app = typer.Typer(no_args_is_help=True, help="Prove that what is stored adds up; these commands change nothing.")


@app.callback()
def root() -> None:
    """Prove that what is stored adds up; these commands change nothing."""


@app.command()
def ledger(*, as_json: AsJson = False) -> None:
    """Check every transfer, wallet and key of the ledger against every other.

    Exit status 0: all adds up; 1: it does not, and the first lines name what broke first.
    """
    from palio import ledger as books
    from palio.entry import operators, terminal

    async def work(place: terminal.Place) -> "Report":
        async with operators.acting(place.database) as tx:
            return await books.verify(tx)

    report = terminal.run(work, json=as_json)
    sizes = f"transfers {report.transfers}, entries {report.entries}, accounts {report.accounts}"
    broken = [
        f"{finding.check}  {finding.subject}: expected {finding.expected}, found {finding.actual}"
        for finding in report.findings
    ]
    answer = {
        "sound": report.is_sound,
        "accounts": report.accounts,
        "transfers": report.transfers,
        "entries": report.entries,
        "findings": report.findings,
    }
    tell(answer, as_json=as_json, lines=[*broken, f"{'Sound' if report.is_sound else 'Broken'}: {sizes}."])
    raise typer.Exit(0 if report.is_sound else 1)
