"""The product as it is started, over a database of its own: everything but the worker, on a socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from palio.entry import web, wiring
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.entry.wiring import Wiring
from palio.infra import embedded, jobs
from palio.infra.addresses import Addresses
from palio.infra.settings import Environment
from tests.journeys.browser.conftest import serve


@dataclass
class Product:
    """What is running, and where it answers."""

    wiring: Wiring
    base: str


@asynccontextmanager
async def opened(
    cluster: embedded.Cluster, name: str, data: Path, *, routes: jobs.Routes = SUBSCRIPTIONS, **environment: object
) -> AsyncIterator[Wiring]:
    """The parts of a process over a new database, for the length of the block; it is gone afterwards."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template palio").format(sql.Identifier(name)))
    dsn = cluster.dsn("palio_app", name)
    async with wiring.opened(
        Environment(data=data, **environment), Addresses(app=dsn, direct=dsn, migrate=dsn), routes=routes
    ) as wired:
        yield wired
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@asynccontextmanager
async def running(
    cluster: embedded.Cluster, name: str, data: Path, *, routes: jobs.Routes = SUBSCRIPTIONS, **environment: object
) -> AsyncIterator[Product]:
    """A process for the length of the block; its database is gone afterwards."""
    async with opened(cluster, name, data, routes=routes, **environment) as wired:
        hub = asyncio.create_task(wired.hub.run())
        async with serve(web.make(wired)) as base:
            yield Product(wired, base)
        hub.cancel()
        await asyncio.gather(hub, return_exceptions=True)
