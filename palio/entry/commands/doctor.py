"""`palio doctor`"""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

from typing import TYPE_CHECKING, Annotated

import typer

from palio.entry.options import AsJson
from palio.entry.printing import tell

if TYPE_CHECKING:
    from palio.infra.doctor import Finding


def doctor(
    *,
    fix_safe: Annotated[
        bool, typer.Option("--fix-safe", help="Repair what cannot do harm: file modes, rows of dead instances.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look for what is wrong with this deployment, say why it matters and what to do.

    Exit status 0: healthy (notes at most); 1: warnings; 2: errors.
    """
    from palio.entry import operators, terminal, vouching
    from palio.entry.wiring import CHAINS, MIGRATIONS
    from palio.identity.types import METHODS
    from palio.infra import doctor as examination
    from palio.infra import migrate, settings
    from palio.kernel import clock

    async def work(place: terminal.Place) -> "list[Finding]":
        async with operators.acting(place.database) as tx:
            known = examination.Known(
                now=clock.now(),
                is_bundled=place.environment.is_embedded,
                migrations=migrate.read_files(MIGRATIONS),
                settings=place.settings,
                chains=CHAINS,
            )
            found = examination.examine_host(place.environment) + await examination.examine_database(tx, known)
            methods: tuple[str, ...] = settings.value(METHODS)
            found += vouching.examine(place.environment, methods)
            for finding in found if fix_safe else ():
                if finding.fix:
                    await finding.fix(tx)
            return sorted(found, key=lambda finding: examination.SEVERITIES.index(finding.severity))

    found = terminal.run(work, json=as_json)
    answer = [_answer(finding, is_fixed=fix_safe and finding.fix is not None) for finding in found]
    tell(answer, as_json=as_json, lines=[line for row in answer for line in _lines(row)] or ["Nothing is wrong."])
    raise typer.Exit(examination.exit_status([finding for finding in found if not (fix_safe and finding.fix)]))


def _answer(finding: "Finding", *, is_fixed: bool) -> dict[str, str | bool]:
    return {
        "id": finding.id,
        "severity": finding.severity,
        "what": finding.what,
        "why": finding.why,
        "remedy": finding.remedy,
        "fixed": is_fixed,
    }


def _lines(row: dict[str, str | bool]) -> list[str]:
    state = "fixed" if row["fixed"] else row["severity"]
    return [f"{state}: {row['what']} [{row['id']}]", f"  {row['why']}", f"  {row['remedy']}"]


def register(app: typer.Typer) -> None:
    """Put this command at the top of the command line."""
    app.command()(doctor)
