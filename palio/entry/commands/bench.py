"""`palio bench`: how fast Palio is on this machine, held against what is promised."""

# ruff: noqa: PLC0415 - heavy imports stand inside the commands, so that `palio --help` is quick

import asyncio
import logging as levels
import os
from pathlib import Path
from typing import Annotated

import typer

from palio.entry.options import AsJson, Misuse

CHECKOUT = Path(__file__).resolve().parents[3]
ELSEWHERE = "The benches lie in a checkout, not in an installed Palio: run `python3 run.py bench` there."

Names = Annotated[
    list[str] | None, typer.Argument(help="P10, P16, LOAD, TPCB, ECHO; ledger: P1 to P3. None: every goal.")
]
Seconds = Annotated[float, typer.Option(min=0.1, max=600, help="Length of a turn under load.")]
Rounds = Annotated[int, typer.Option(min=1, max=100, help="Turns of each arm.")]
Size = Annotated[int | None, typer.Option(min=1, help="Another size than the stated one: a trial.")]
Record = Annotated[bool, typer.Option("--record", help="Append the run to bench/RESULTS.md.")]


def bench(
    names: Names = None,
    *,
    seconds: Seconds = 5.0,
    rounds: Rounds = 5,
    size: Size = None,
    as_json: AsJson = False,
    record: Record = False,
) -> None:
    """Measure hot paths beside yard-sticks, on a server of their own.

    With --json one object per goal. Exit status 1: a value is below its floor, or a result was wrong.
    """
    if not (CHECKOUT / "bench/suite.py").exists():
        typer.echo(ELSEWHERE, err=True)
        raise typer.Exit(os.EX_UNAVAILABLE)
    import uvloop

    from bench import report, suite
    from bench.meters import CannotMeasureError
    from bench.rounds import Plan
    from palio.entry import terminal, up
    from palio.infra import logging

    logging.configure(level=levels.WARNING)
    up.settle_memory()
    plan, before = Plan(seconds, rounds, size), suite.circumstances()
    found: list[report.Findings] = []

    def keep(findings: report.Findings) -> None:
        found.append(findings)
        for line in report.as_json([findings]) if as_json else [report.as_text([findings]), ""]:
            typer.echo(line)

    try:
        benches = suite.chosen(names or [])
        with terminal.refusing(json=as_json), asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            loop.run(suite.run(benches, plan, terminal.say, keep))
    except suite.NoSuchBenchError as unknown:
        raise Misuse("bench_unknown", str(unknown)) from None
    except CannotMeasureError as reason:
        terminal.say(str(reason))
        raise typer.Exit(os.EX_UNAVAILABLE) from None
    finally:
        if record and found:
            suite.record(found, before)
    raise typer.Exit(suite.exit_status(found))
