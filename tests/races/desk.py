"""Races of today as staff meet them over HTTP: the console of races alone, with callers that are believed."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx2
from starlette.types import ASGIApp

from palio import races
from palio.infra import partitions
from palio.infra.db import Database, Tx
from palio.kernel.ids import new_id
from palio.races import console
from palio.ui.languages import Languages
from palio.ui.pages import Pages
from palio.ui.paging import Cursors
from palio.ui.routes import Routes
from palio.ui.site import assemble
from tests.factories.races import SYSTEM, Feed, feed, race, run
from tests.ui import people
from tests.ui.conftest import talk_to
from tests.ui.people import NOW, OURS, STELLA, caller
from tests.ui.repeats import sent

ALL = "races.race.read races.race.edit races.race.money races.race.backdate"
HOUR = timedelta(hours=1)
WHY = {"reason": "ticket 4711 of the provider", "public_note": "booked twice by the provider"}


def staff(permissions: str = ALL) -> dict[str, str]:
    """Headers of Stella with these permissions, on a page of ours."""
    return {**caller("staff", STELLA, permissions=permissions), **OURS}


def app(database: Database, modules: Sequence[Routes]) -> ASGIApp:
    """Some modules behind the edge, with callers that are believed."""
    state = {"database": database, "pages": Pages(Languages()), "cursors": Cursors(bytes(32))}
    return assemble(modules, state=state, served=lambda served: None, identify=people.identify, key=bytes(32))


@dataclass
class Desk:
    """Staff before the calls of races."""

    client: httpx2.AsyncClient

    async def get(self, path: str, permissions: str = ALL) -> httpx2.Response:
        return await self.client.get(f"/api/v1/console/races{path}", headers=staff(permissions))

    async def post(
        self, path: str, body: object, *, seen: int | None = None, permissions: str = ALL, key: str | None = None
    ) -> httpx2.Response:
        """Ask for an act: under a new key, and with the version that was seen if the act wants one."""
        headers = staff(permissions) | {"idempotency-key": key or str(new_id())}
        headers |= {"if-match": f'"{seen}"'} if seen is not None else {}
        return await sent(self.client, "POST", f"/api/v1/console/races{path}", json=body, headers=headers)


@asynccontextmanager
async def desk(database: Database) -> AsyncIterator[Desk]:
    """The calls of races over HTTP."""
    async with talk_to(app(database, [console.routes])) as client:
        yield Desk(client)


async def prepared(database: Database, now: datetime = NOW) -> Feed:
    """A programme of its own with three players at 08:25 of the day."""
    async with database.begin(SYSTEM) as tx:
        await partitions.ensure(tx, "affiliates.stats", now)
        await partitions.ensure(tx, "competitions.receipts", now)
        source = await feed(tx)
        await source.show(tx, now - 3.6 * HOUR, {"ann": "100", "bob": "100", "cid": "100"})
    return source


async def live(database: Database, source: Feed, now: datetime = NOW, **changes: object) -> int:
    """The number of a race from 08:30 to 20:00, in which ann has wagered 30, bob 20 and cid 10."""
    async with database.begin(SYSTEM) as tx:
        made = await _race(tx, source, now, ends_at=now + 8 * HOUR, **changes)
        await source.show(tx, now - 2 * HOUR, {"ann": "130", "bob": "120", "cid": "110"})
        await run(tx, now - 2 * HOUR)
    return made


async def under_review(database: Database, source: Feed, now: datetime = NOW, **changes: object) -> int:
    """The number of the same race when it has ended at 10:00 and is frozen, and is to be looked at for a day."""
    async with database.begin(SYSTEM) as tx:
        made = await _race(tx, source, now, ends_at=now - 2 * HOUR, review_h=24, **changes)
        await source.show(tx, now - 3 * HOUR, {"ann": "130", "bob": "120", "cid": "110"})
        await run(tx, now - 3 * HOUR)
        await source.show(tx, now - 1.5 * HOUR, {"ann": "130", "bob": "120", "cid": "110"})
        await run(tx, now - 1.5 * HOUR)
    return made


async def _race(tx: Tx, source: Feed, now: datetime, *, ends_at: datetime, **changes: object) -> int:
    announced = now - 3.55 * HOUR
    given = {"starts_at": now - 3.5 * HOUR, "ends_at": ends_at, "prize_rule": races.by_place((5000, 3000, 2000))}
    made = await race(tx, source, announced, **{**given, **changes})
    await run(tx, now - 3.5 * HOUR)
    return made.number
