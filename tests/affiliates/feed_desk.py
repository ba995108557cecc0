"""The console before feeds in every state: one that is read, one that is left alone, and lists that are doubted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from palio import affiliates
from palio.affiliates.types import NewFeed, Programme, Snapshot
from palio.infra import db, embedded, partitions
from palio.kernel import clock
from palio.kernel.ids import new_id
from palio.sim import World
from tests.admin.house import Console, manned
from tests.factories.affiliates import Row, body, ingest, row
from tests.ui.house import SYSTEM

ALL = "affiliates.read affiliates.feeds.edit affiliates.snapshots.decide"
SECRET = "s3cr3t-XYZ"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NAMES = ("Amber", "Basalt", "Cobalt", "Dahlia", "Ember", "Fennel", "Garnet", "Hazel", "Indigo", "Juniper")
STATES = ("applied", "unchanged", "applied", "failed", "missed", "suspicious", "invalid", "skipped_open")


@dataclass
class Stage:
    """Northwind is read, and has a doubted list, a jump and an unreadable row; the feed of Harbour is left alone."""

    console: Console
    northwind: Programme
    harbour: Programme
    feed: UUID
    failing: UUID
    first: Snapshot
    second: Snapshot
    doubted: Snapshot
    now: datetime

    async def held(self, reason: str) -> UUID:
        """The newest row that waits for a decision for this reason."""
        async with self.console.begin() as tx:
            rows = await affiliates.held_rows(tx, programme_id=self.northwind.id)
        return next(one.id for one in rows if one.reason == reason)

    async def send(self, programme: Programme, at: datetime, *rows: Row) -> Snapshot:
        """Hand in a list."""
        async with self.console.begin() as tx:
            return await ingest(tx, programme, body(*rows), at, self.console.wiring.storage)


def players(*, lower: int = 0, jump: int = 0) -> list[Row]:
    """Ten players; the first of them lower, the second far higher where it is asked."""
    found = [row(f"u{n}", 1_000 + 100 * n, name=name, today=5, week=20, month=60) for n, name in enumerate(NAMES)]
    found[0] = row("u0", 1_000 - lower, name=NAMES[0], today=5, week=20, month=60)
    found[1] = row("u1", 1_100 + jump, name=NAMES[1], today=5, week=20, month=60)
    return found


async def _programme(console: Console, code: str, name: str) -> Programme:
    async with console.begin() as tx:
        await partitions.ensure(tx, "affiliates.stats", clock.now() - 4 * HOUR)
        await partitions.ensure(tx, "affiliates.stats", clock.now())
        made = await affiliates.ensure_programme(tx, code=code)
        await db.run(tx, "update affiliates.programmes set name = %s where id = %s", name, made.id)
    return replace(made, name=name)


async def _feed(console: Console, code: str, url: str, now: datetime) -> UUID:
    async with console.begin() as tx:
        new = NewFeed(url, "bearer", SECRET)
        return await affiliates.add_feed(tx, code=code, new=new, now=now, reason="a stage")


async def _cycles(console: Console, feed: UUID, now: datetime) -> None:
    """Forty cycles, a quarter of an hour apart, in every state that a cycle ends in."""
    async with console.begin() as tx:
        for n in range(40):
            due, state = now - (n + 1) * 15 * MINUTE, STATES[n % len(STATES)]
            statement = """
                insert into affiliates.cycles (id, feed_id, due_at, trigger, state, attempts, error_code, started_at,
                  ended_at)
                values (%s, %s, %s, 'schedule', %s, 1, %s, %s, %s)"""
            await db.run(tx, statement, new_id(), feed, due, state, "http_5xx" if state == "failed" else None, due, due)


@asynccontextmanager
async def stocked(cluster: embedded.Cluster, name: str, data: Path) -> AsyncIterator[Stage]:
    """The stage over a database of its own, beside a provider who answers."""
    async with manned(cluster, name, data) as console, World(token=SECRET).serving() as world:
        database = console.wiring.database
        database.equipment = replace(database.equipment, is_simulated=True)
        now = clock.now()
        northwind = await _programme(console, "northwind", "Northwind")
        harbour = await _programme(console, "harbour", "Harbour")
        feed = await _feed(console, "northwind", world.feed_url, now)
        failing = await _feed(console, "harbour", "http://127.0.0.1:9/players?key=k3y-of-address", now)
        await _cycles(console, feed, now)
        async with database.begin(SYSTEM) as tx:
            statement = """
                update affiliates.feeds set breaker = 'open', failed_cycles = 5, opened_at = %s, probe_at = %s
                where id = %s"""
            await db.run(tx, statement, now, now + 30 * MINUTE, failing)
        made = Stage(console, northwind, harbour, feed, failing, *[None] * 3, now)  # type: ignore[arg-type]  # set below
        made.first = await made.send(northwind, now - 3 * HOUR, *players())
        late = [*players(lower=50, jump=900_000), row("u9x", "many", name="Kelp")]
        late[9] = row("u9", 1_900, name="Jasper", today=5, week=20, month=60)
        made.second = await made.send(northwind, now - 2 * HOUR, *late)
        made.doubted = await made.send(northwind, now - HOUR, *players()[:3], row("u77", 40, name="Lilac"))
        yield made
