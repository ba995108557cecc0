"""P16: from nothing running to the first page, `palio up` over a database that exists."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter

from bench import children, traffic
from bench.figures import Figure, Goal
from bench.ground import Ground
from bench.meters import Cost, Meter, postmaster_of
from bench.report import Findings, number
from bench.rounds import Arm, Plan, Work, interleave

GOAL = Goal("P16", "s to the first page", target=3, floor=6, less_is_better=True)
START_SECONDS_MAX = 60
POLL_SECONDS = 0.01
FOUND = 200


class ColdStart(Arm):
    """One start as whole processes: interpreter, database server, migrations looked at, web server, page."""

    name, unit = "palio up", "starts"

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port = traffic.free_port()
        self._running = AsyncExitStack()
        self._child: asyncio.subprocess.Process | None = None
        self.stop_seconds: list[float] = []

    async def act(self) -> Work:
        begin = perf_counter()
        up = children.running("palio", "up", "--no-demo", log=self._home / "up.log", environment=self._environment())
        self._child = child = await self._running.enter_async_context(up)
        await self._first_page(child)
        seconds = perf_counter() - begin
        return Work(1, seconds, self._used(child.pid))

    async def check(self) -> list[str]:
        """The page is Palio's, the probe agrees that all is ready, and a stop in order follows."""
        status, page = await traffic.get(self._port, "/")
        ready, _ = await traffic.get(self._port, "/readyz")
        faults = [] if status == FOUND and b"Palio" in page else [f"P16: / answered {status}: {page[:80]!r}"]
        faults += [] if ready == FOUND else [f"P16: /readyz answered {ready}"]
        begin = perf_counter()
        await self.stop()
        self.stop_seconds.append(perf_counter() - begin)
        ended = self._child.returncode if self._child else None
        return faults if ended == 0 else [*faults, f"P16: palio up ended with {ended}"]

    async def stop(self) -> None:
        """End what runs, in order. Raises ChildError with what it said if it ended badly."""
        await self._running.aclose()

    async def _first_page(self, child: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(START_SECONDS_MAX):
            while child.returncode is None:
                try:
                    status, _ = await traffic.get(self._port, "/")
                except OSError:
                    status = 0
                if status == FOUND:
                    return
                await asyncio.sleep(POLL_SECONDS)
        await self.stop()  # raises what the program said
        raise children.ChildError("palio up ended by itself")

    def _used(self, pid: int) -> Cost:
        """Since their birth: all the processor time it took to get here."""
        return Meter(postmaster_of(self._home / "data/pg"), [pid]).read()

    def _environment(self) -> dict[str, str]:
        return {"PALIO_DATA": str(self._home / "data"), "PALIO_BIND": f"{traffic.HOST}:{self._port}"}


async def measure(ground: Ground, plan: Plan, tell: Callable[[str], None]) -> Findings:
    """Start once to make the database, then start it over and over."""
    home = ground.home / "cold-start"
    home.mkdir(mode=0o711)
    arm = ColdStart(home)
    try:
        tell("P16: making the database that later starts find")
        first = await arm.act()
        faults = await arm.check()
        found = await interleave([arm], rounds=plan.rounds, meter=ground.meter(), tell=tell)
    finally:
        await arm.stop()
    series = found[arm.name]
    series.faults += faults
    figure = Figure(GOAL, tuple(turn.cost.wall for turn in series.turns), correct=not series.faults)
    notes = [
        f"the very first start, on an empty directory: {number(first.seconds or 0)} s",
        f"slowest stop after SIGTERM: {number(max(arm.stop_seconds))} s",
    ]
    return Findings("P16", "palio up with an existing database, to the first page", [series], [figure], notes=notes)
