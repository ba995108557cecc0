"""Moving the clock of a simulated deployment on: instant by instant, each of them lived through before the next."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from palio import competitions
from palio.entry.wiring import Wiring
from palio.infra import clock as virtual
from palio.kernel import clock

TICK = timedelta(minutes=15)
TICK_MIN, TICK_MAX = timedelta(seconds=1), timedelta(hours=1)
BY_MAX = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Moved:
    """From where to where the clock went, and at how many instants it stood on the way."""

    since: datetime
    until: datetime
    instants: int


class Mover:
    """Whoever moves the clock on; there is one at a time."""

    def __init__(self, wiring: Wiring, work_off: Callable[[], Awaitable[None]]) -> None:
        self._wiring, self.work_off = wiring, work_off

    async def stand_at(self, at: datetime, *, heading_to: datetime) -> None:
        """Let it be that instant, in this process at once."""
        async with self._wiring.database.begin_system("the clock is moved") as tx:
            await virtual.step(tx, at=at, heading_to=heading_to)
            await virtual.virtual.look(tx)

    async def live(self) -> None:
        """Do what is due at this instant and what comes of it, until the queues are empty; retries keep real time."""
        await self._wiring.queue.queue_due()
        await self.work_off()


@asynccontextmanager
async def moving(wiring: Wiring) -> AsyncIterator[Mover]:
    """Move the clock on; after the block it goes on from where it stands.

    Refuses with clock.OnTheMove, clock.NoClock; raises TimeoutError when the queue never empties.
    """
    async with virtual.moving(wiring.addresses.direct), wiring.queue.working_off() as work_off:
        try:
            yield Mover(wiring, work_off)
        finally:
            async with wiring.database.begin_system("the clock goes on") as tx:
                await virtual.arrive(tx)
                await virtual.virtual.look(tx)


async def advance(wiring: Wiring, *, by: timedelta, tick: timedelta = TICK) -> Moved:
    """Live through a span of time in ticks: at each instant what is due is done, in order, before the next one comes.

    Ticks are whole ones of the clock face; starts and ends of competitions come in between, exactly. A schedule that is
    shorter than a tick runs once in each. Refuses as `moving`; raises ValueError for a span or a tick out of range.
    """
    if not (timedelta() < by <= BY_MAX and TICK_MIN <= tick <= TICK_MAX):
        raise ValueError(f"forward by at most {BY_MAX.days} days, in ticks of {TICK_MIN} to {TICK_MAX}")
    if not wiring.is_simulated:
        raise virtual.NoClock
    async with moving(wiring) as mover:
        at = since = clock.now()
        until, instants = since + by, 0
        await mover.stand_at(at, heading_to=until)
        await mover.live()  # what is due already, and schedules that nobody has declared yet
        while at < until:
            at, instants = await _next(wiring, at, tick, until), instants + 1
            await mover.stand_at(at, heading_to=until)
            await mover.live()
    return Moved(since, until, instants)


async def run_at(wiring: Wiring, speed: int) -> None:
    """Let the clock run so many times as fast as real time; a demo's feed is then read no more often than it was.

    Refuses with clock.NoClock, clock.OnTheMove, clock.SpeedInvalid.
    """
    if not wiring.is_simulated:
        raise virtual.NoClock
    async with wiring.database.begin_system("the clock is sped up") as tx:
        await virtual.set_speed(tx, speed=speed)
        await virtual.virtual.look(tx)


async def _next(wiring: Wiring, at: datetime, tick: timedelta, until: datetime) -> datetime:
    async with wiring.database.begin_system("what comes next") as tx:
        bound = await competitions.next_bound(tx, after=at)
    seconds = int(tick.total_seconds())
    whole = datetime.fromtimestamp((int(at.timestamp()) // seconds + 1) * seconds, UTC)
    return min(whole, until, bound or until)
