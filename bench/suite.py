"""Which benches there are, how they are run, and what a run leaves behind."""

import os
import platform
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias

from bench import (
    echo,
    figures,
    load,
    p01_transfers,
    p04_boards,
    p10_snapshot,
    p11_settle,
    p14_fan_out,
    p15_pages,
    p15_play,
    p16_cold_start,
    report,
    tpcb,
)
from bench.ground import Ground, file_system, standing
from bench.meters import require_proc
from bench.report import Circumstances, Findings
from bench.rounds import Plan, interleave
from palio.kernel import clock

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench/RESULTS.md"
Tell: TypeAlias = Callable[[str], None]
Measure: TypeAlias = Callable[[Ground, Plan, Tell], Awaitable[Findings]]


async def measure_tpcb(ground: Ground, plan: Plan, tell: Tell) -> Findings:
    """The yard-stick alone."""
    tell("TPCB: filling and ageing the tables")
    share = plan.share_of(tpcb.ACCOUNTS)
    async with tpcb.ready(ground, seconds=plan.seconds, share=share) as arm:
        series = await interleave([arm], rounds=plan.rounds, meter=ground.meter(), tell=tell)
    return Findings("TPCB", f"pgbench, scale {tpcb.scale_of(share)}, 8 clients, prepared", [*series.values()])


async def measure_load(ground: Ground, plan: Plan, tell: Tell) -> Findings:
    """The yard-stick alone."""
    share = plan.share_of(load.ROWS)
    async with load.ready(ground, share=share) as arm:
        series = await interleave([arm], rounds=plan.rounds, meter=ground.meter(), tell=tell)
    return Findings("LOAD", f"INSERT … SELECT of {load.rows_of(share):,} rows", [*series.values()])


async def measure_echo(ground: Ground, plan: Plan, tell: Tell) -> Findings:
    """The yard-stick alone, with an answer of 50 rows."""
    rows = b",".join(b'{"rank":%d,"name":"player%04d","score":%d}' % (rank, rank, 9000 - rank) for rank in range(50))
    async with echo.ready(ground.home, b"[" + rows + b"]", seconds=plan.seconds) as arm:
        series = await interleave([arm], rounds=plan.rounds, meter=ground.meter(arm.pid), tell=tell)
    return Findings("ECHO", "bare ASGI application, 32 connections, 50 rows of JSON", [*series.values()])


GOALS: Mapping[str, Measure] = {
    "P1": p01_transfers.measure,
    "P2": p01_transfers.measure,
    "P3": p01_transfers.measure,
    "P4": p04_boards.measure,
    "P5": p04_boards.measure,
    "P6": p04_boards.measure,
    "P7": p04_boards.measure,
    "P8": p04_boards.measure,
    "P10": p10_snapshot.measure,
    "P11": p11_settle.measure,
    "P14": p14_fan_out.measure,
    "P15": p15_pages.measure,
    "PLAY": p15_play.measure,
    "P16": p16_cold_start.measure,
    "R5": p01_transfers.measure,
}
ALIASES: Mapping[str, Sequence[str]] = {
    "LEDGER": ("P1", "P2", "P3", "R5"),
    "BOARDS": ("P4", "P5", "P6", "P7", "P8", "P14"),
}
YARDSTICKS: Mapping[str, Measure] = {"TPCB": measure_tpcb, "LOAD": measure_load, "ECHO": measure_echo}


class NoSuchBenchError(LookupError):
    """A name is not in the suite; the message lists those that are."""


def chosen(names: Sequence[str]) -> dict[str, Measure]:
    """The benches of these names, without any every goal. Raises NoSuchBenchError."""
    known = {**GOALS, **YARDSTICKS}
    wanted = [name for asked in names for name in ALIASES.get(asked.upper(), (asked.upper(),))]
    if unknown := [name for name in wanted if name not in known]:
        raise NoSuchBenchError(f"no bench is called {', '.join(unknown)}; there are {', '.join(known)}")
    once = {known[name]: name for name in reversed(wanted or [*GOALS])}  # goals that are measured together
    return {name: known[name] for name in wanted or GOALS if once[known[name]] == name}


async def run(
    benches: Mapping[str, Measure],
    plan: Plan,
    tell: Tell,
    keep: Callable[[Findings], None],
    *,
    stand: Callable[[], AbstractAsyncContextManager[Ground]] = standing,
) -> None:
    """Run the benches one after another on one server; each is kept as it ends, so that a later failure loses nothing.

    Raises CannotMeasureError where figures would not count.
    """
    require_proc()
    async with stand() as ground:
        for name, measure in benches.items():
            tell(f"{name} begins")
            keep(await measure(ground, plan, tell))


def exit_status(found: Sequence[Findings]) -> int:
    """0 when every value reaches its floor and nothing, yard-sticks included, was wrong; else 1."""
    has_faults = any(findings.faults for findings in found)
    return 1 if has_faults else figures.exit_status(figure for findings in found for figure in findings.figures)


def circumstances() -> Circumstances:
    """Date, commit, the size of this machine, and how busy others keep it: ask before a run."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    disk = file_system(Path(tempfile.gettempdir()))
    python, (load_average, *_) = platform.python_version(), os.getloadavg()
    machine = f"{os.cpu_count()} cores, {memory:.0f} GB, {disk}, Python {python}, load before {load_average:.1f}"
    return Circumstances(clock.now(), _commit(), machine)


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
    return done.stdout.strip()


def record(found: Sequence[Findings], where: Circumstances, *, page: Path = RESULTS) -> None:
    """Append the run to the page of results."""
    with page.open("a") as file:
        file.write("\n" + report.as_page(found, where))
