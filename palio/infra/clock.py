"""Virtual time: one row that every process reads, from which the clock of a simulated deployment is reckoned.

The row is there only where the outside is played on this machine. Each process keeps what it says, hears of a change by
a notice and looks once a second in case it heard none; a job looks before it begins, so that it never works in a time
that is over. While somebody moves the clock on step by step, it stands at each step.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import psycopg
import structlog

from palio.infra import db, tasks
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.errors import Conflict, Invalid, Refusal

log = structlog.get_logger()

CHANNEL = "palio_clock"
LOOK_SECONDS = 1.0
SPEED_MIN, SPEED_MAX = 1, 3_600
LOCK = 4_711_001  # of whoever moves the clock on


class Backwards(Conflict):
    """The clock goes forward only: it is `now`, and `asked` is earlier."""

    code: ClassVar[str] = "infra.clock_backwards"


class NoClock(Conflict):
    """This deployment lives in real time: its clock is nobody's to move."""

    code: ClassVar[str] = "infra.clock_real"


class OnTheMove(Conflict):
    """Somebody moves the clock on just now; wait until he is there."""

    code: ClassVar[str] = "infra.clock_moving"


class SpeedInvalid(Invalid):
    """A speed is a whole number in `low`-`high`."""

    code: ClassVar[str] = "infra.clock_speed"


@dataclass(frozen=True, slots=True)
class Face:
    """What the row says: at `base_real` it was `base_virtual`, and goes on `speed` times as fast unless it stands."""

    base_real: datetime
    base_virtual: datetime
    speed: int = 1
    frozen: bool = False
    heading_to: datetime | None = None

    @property
    def stands(self) -> bool:
        """Does no time pass?"""
        return self.frozen or self.heading_to is not None

    def at(self, real: datetime) -> datetime:
        """What the clock shows at a real instant."""
        if self.stands:
            return self.base_virtual
        return self.base_virtual + max(timedelta(), real - self.base_real) * self.speed


class Virtual:
    """What this process knows of the row; real time until it has seen one."""

    def __init__(self) -> None:
        self.face: Face | None = None
        self._changed = asyncio.Event()

    def now(self) -> datetime:
        """This instant: what is installed as the clock of the process."""
        real = clock.real()
        return self.face.at(real) if self.face else real

    def look_soon(self) -> None:
        """Say that the row was changed: the hub does at each NOTIFY of `CHANNEL`."""
        self._changed.set()

    async def look(self, tx: Tx) -> None:
        """Take over what the row says now."""
        self.face = await find(tx)

    async def run(self, database: Database) -> None:
        """Look after each change, and every second in case nobody told us, until cancelled."""
        while True:
            self._changed.clear()
            try:
                async with database.begin_system("the clock") as tx:
                    await self.look(tx)
                    if self.face and self.face.heading_to:
                        await _let_go(tx)
            except (psycopg.Error, Refusal) as failure:
                log.warning("the clock could not be read", failure=type(failure).__name__)
            tasks.heed_cancellation()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._changed.wait()


virtual = Virtual()  # the one of this process, which has one time


async def keep_up(tx: Tx) -> None:
    """Know the time that is committed, for whoever must not work in one that is over; real time needs no look."""
    if tx.equipment.is_simulated:
        await virtual.look(tx)


async def find(tx: Tx) -> Face | None:
    """What the row says; None while there is none."""
    return await db.find(tx, Face, "select base_real, base_virtual, speed, frozen, heading_to from infra.clock")


async def ensure(tx: Tx) -> None:
    """Let there be a clock; a new one shows real time."""
    await db.run(
        tx,
        "insert into infra.clock (base_real, base_virtual) values (%s, %s) on conflict do nothing",
        *(clock.real(), clock.real()),
    )


async def reset(tx: Tx, *, at: datetime) -> None:
    """Let it be a certain instant, an earlier one too: for whoever begins anew. Refuses with NoClock."""
    face = await _lock(tx)
    await _write(tx, Face(clock.real(), at, face.speed, face.frozen, face.heading_to))


async def set_to(tx: Tx, *, at: datetime) -> None:
    """Let it be a later instant. Refuses with NoClock, OnTheMove, Backwards."""
    face, real = await _held(tx), clock.real()
    if at < face.at(real):
        raise Backwards(now=face.at(real), asked=at)
    await _write(tx, Face(real, at, face.speed, face.frozen))


async def advance(tx: Tx, *, by: timedelta) -> None:
    """Let it be so much later at once; what was due meanwhile is made up for, not lived through.

    Refuses with NoClock, OnTheMove, Backwards.
    """
    face = await _held(tx)
    await set_to(tx, at=face.at(clock.real()) + by)


async def set_speed(tx: Tx, *, speed: int) -> None:
    """Run so many times as fast as real time from now on; one that stood goes on.

    Refuses with NoClock, OnTheMove, SpeedInvalid.
    """
    if not SPEED_MIN <= speed <= SPEED_MAX:
        raise SpeedInvalid(low=SPEED_MIN, high=SPEED_MAX, speed=speed)
    face, real = await _held(tx), clock.real()
    await _write(tx, Face(real, face.at(real), speed))


async def freeze(tx: Tx) -> None:
    """Let it stand. Refuses with NoClock, OnTheMove."""
    face, real = await _held(tx), clock.real()
    await _write(tx, Face(real, face.at(real), face.speed, frozen=True))


@asynccontextmanager
async def moving(direct: str) -> AsyncIterator[None]:
    """Be the one who moves the clock on, for the length of the block. `direct` leads to the server itself.

    Whoever dies at it leaves no lock behind, and the next look of any process lets the clock go on. Refuses with
    OnTheMove.
    """
    async with await psycopg.AsyncConnection.connect(direct, autocommit=True) as connection:
        row = await (await connection.execute("select pg_try_advisory_lock(%s)", (LOCK,))).fetchone()
        if not row or not row[0]:
            raise OnTheMove
        yield


async def step(tx: Tx, *, at: datetime, heading_to: datetime) -> None:
    """Stand at an instant on the way to a later one; whoever is `moving` calls it. Refuses with NoClock."""
    face = await _lock(tx)
    await _write(tx, Face(clock.real(), at, face.speed, face.frozen, heading_to))


async def arrive(tx: Tx) -> None:
    """Go on from where the steps have led, as fast as before. Refuses with NoClock."""
    face = await _lock(tx)
    await _write(tx, Face(clock.real(), face.base_virtual, face.speed, face.frozen))


async def _let_go(tx: Tx) -> None:
    """Go on where somebody who was moving the clock has died."""
    if await db.value(tx, "select pg_try_advisory_xact_lock(%s)", LOCK):
        log.warning("whoever moved the clock on is gone; it goes on by itself")
        await arrive(tx)
        await virtual.look(tx)


async def _held(tx: Tx) -> Face:
    face = await _lock(tx)
    if face.heading_to:
        raise OnTheMove
    return face


async def _lock(tx: Tx) -> Face:
    face = await db.find(
        tx, Face, "select base_real, base_virtual, speed, frozen, heading_to from infra.clock for update"
    )
    if face is None:
        raise NoClock
    return face


async def _write(tx: Tx, face: Face) -> None:
    await db.run(
        tx,
        "update infra.clock set base_real = %s, base_virtual = %s, speed = %s, frozen = %s, heading_to = %s",
        *(face.base_real, face.base_virtual, face.speed, face.frozen, face.heading_to),
    )
    await db.run(tx, "select pg_notify(%s, '')", CHANNEL)  # rare, so it may ride with the transaction
    db.after_commit(tx, virtual.look_soon)
