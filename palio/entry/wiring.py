"""What one process is made of: made here once and handed to the edges, so that nothing hangs on module globals."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import palio
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.infra import embedded, jobs, migrate, roles
from palio.infra.addresses import Addresses
from palio.infra.db import Database
from palio.infra.health import Health
from palio.infra.settings import Environment
from palio.infra.storage import Storage

MIGRATIONS = Path(palio.__file__).parent / "migrations"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything a process works with."""

    environment: Environment
    database: Database
    queue: jobs.Queue
    storage: Storage
    health: Health


@contextmanager
def addresses(environment: Environment, say: Say) -> Iterator[Addresses]:
    """A database that is reachable and migrated for the length of the block: the operator's, or our own server."""
    if environment.database_url:
        yield Addresses(environment.database_url, environment.database_url, environment.database_url)
        return
    say(f"Starting PostgreSQL in {environment.data} …")
    with embedded.running(environment.data, prepare=_make_roles) as cluster:
        found = Addresses(
            app=cluster.dsn("palio_app", roles.DATABASE),
            direct=cluster.dsn("palio_app", roles.DATABASE),
            migrate=cluster.dsn("palio_migrate", roles.DATABASE),
        )
        for done in migrate.migrate(found.migrate, MIGRATIONS):
            say(f"  migration {done.number:04} {done.name}")
        yield found


def _make_roles(cluster: embedded.Cluster) -> None:
    roles.make(cluster.dsn(), cluster.passwords)


@asynccontextmanager
async def opened(environment: Environment, found: Addresses) -> AsyncIterator[Wiring]:
    """The parts, with the pool open."""
    database = Database(found.app)
    await database.pool.open(wait=True)
    try:
        yield Wiring(
            environment=environment,
            database=database,
            queue=jobs.Queue(found.direct, database, SUBSCRIPTIONS),
            storage=Storage(environment.data / "files"),
            health=Health(database, schema_min=len(list(MIGRATIONS.glob("????_*.sql")))),
        )
    finally:
        await database.pool.close()
