"""P14: what changed, told to everybody who looks: streams of a web process of its own, one of them for each browser."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

from bench import children, traffic
from bench.figures import Figure, Goal
from bench.ground import SYSTEM, Ground
from bench.report import Findings
from bench.rounds import Arm, Plan, Turn, Work, interleave
from bench.serving import serving
from palio import races
from palio.infra import realtime

GOAL = Goal("P14", "messages/s of one core", target=100_000, floor=40_000)
LISTENERS = 1_000
STATES = 16  # of each topic, one after the other
PAUSE_SECONDS = 0.3  # a topic is passed on at most every 0.25 s
OPEN_SECONDS_MAX = 60
OPEN = re.compile(rb"^palio_streams_open (\d+)", re.MULTILINE)


class FanOut(Arm):
    """Every listener hears the same topics, as the visitors of one page do."""

    unit = "messages"

    def __init__(self, ground: Ground, port: int, listeners: int, topics: int) -> None:
        self.name = f"{listeners:,} streams, {topics} topics each" if topics > 1 else f"{listeners:,} streams, 1 topic"
        self._ground, self._port, self._listeners = ground, port, listeners
        self._topics = [f"race:{uuid4()}" for _ in range(topics)]
        self._states = 0
        self._audience: children.Assistant
        self._heard = {"messages": 0, "finished": 0}

    async def prepare(self) -> None:
        """Open the streams; the next states have numbers that were not told before."""
        self._states += STATES
        order = {
            "port": self._port,
            "listeners": self._listeners,
            "topics": self._topics,
            "last": f'"seq": {self._states}}}',
        }
        words = (sys.executable, "-m", "bench.listeners")
        self._audience = await children.Assistant.told(*words, order=json.dumps(order).encode())
        async with asyncio.timeout(OPEN_SECONDS_MAX):
            while await self._streams_open() < self._listeners:  # noqa: ASYNC110 - another process, which is asked
                await asyncio.sleep(0.05)

    async def act(self) -> Work:
        for number in range(self._states - STATES + 1, self._states + 1):
            async with self._ground.database.begin(SYSTEM) as tx:
                for topic in self._topics:
                    realtime.publish(tx, topic, races.RACE_UPDATED, {"seq": number})
            await asyncio.sleep(PAUSE_SECONDS)
        self._heard = json.loads(await self._audience.answer())
        return Work(self._heard["messages"])

    async def check(self) -> list[str]:
        """Everybody has seen the last state of everything, and only now they go."""
        await self._audience.dismiss()
        finished = self._heard["finished"]
        return [] if finished == self._listeners else [f"{self.name}: {finished} saw every last state"]

    async def _streams_open(self) -> int:
        _, text = await traffic.get(self._port, "/metrics")
        found = OPEN.search(text.replace(b".0\n", b"\n"))
        return int(found[1]) if found else 0


@asynccontextmanager
async def speaking(ground: Ground) -> AsyncIterator[None]:
    """This process passes on what it commits."""
    task = asyncio.create_task(ground.wiring.hub.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def measure(ground: Ground, plan: Plan, tell: Callable[[str], None]) -> Findings:
    """One topic each is the page of a race; with ten the same wake-up carries more."""
    listeners = min(LISTENERS, plan.size_of(LISTENERS))  # a size counts players: more of them make nobody listen more
    async with serving(ground) as (port, pid), speaking(ground):
        arms = [FanOut(ground, port, listeners, topics) for topics in (1, 10)]
        found = await interleave(arms, rounds=plan.rounds, meter=ground.meter(pid), tell=tell)
    series = [found[arm.name] for arm in arms]
    figures = [Figure(GOAL, _per_core(one.turns), correct=not one.faults) for one in series]
    return Findings("P14", f"state topics to {listeners:,} live streams over HTTP", series, figures)


def _per_core(turns: Sequence[Turn]) -> tuple[float, ...]:
    return tuple(turn.amount / turn.cost.server for turn in turns)
