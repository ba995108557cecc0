"""What one process is made of: made here once and handed to the edges, so that nothing hangs on module globals."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import palio
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.infra import embedded, external, jobs, migrate, roles
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
    addresses: Addresses
    database: Database
    queue: jobs.Queue
    storage: Storage
    health: Health


@contextmanager
def reached(environment: Environment) -> Iterator[Addresses]:
    """A database that is reachable for the length of the block: the operator's, or a server of our own.

    Raises CannotStartError and UnfitServerError.
    """
    if environment.database_url:
        found = external.addresses(
            environment.database_url, environment.database_direct_url, environment.data / "secrets/pg.json"
        )
        yield external.require_fit(found)
        return
    with embedded.running(
        environment.data, port=environment.pg_port, user=environment.pg_user, prepare=_make_roles
    ) as cluster:
        yield Addresses(
            app=cluster.dsn("palio_app", roles.DATABASE),
            direct=cluster.dsn("palio_app", roles.DATABASE),
            migrate=cluster.dsn("palio_migrate", roles.DATABASE),
        )


def _make_roles(cluster: embedded.Cluster) -> None:
    roles.make(cluster.dsn(), cluster.passwords)


def bring_up_to_date(found: Addresses, say: Say) -> None:
    """Apply the migrations that are due. Raises MigrationError and its kinds."""
    done = migrate.migrate(found.migrate, MIGRATIONS, tell=lambda migration: say(f"  migration {migration.file_name}"))
    if done.waiting:
        say(f"  {len(done.waiting)} migrations wait for older instances: palio migrate --post when they are gone")


@asynccontextmanager
async def opened(environment: Environment, found: Addresses) -> AsyncIterator[Wiring]:
    """The parts, with the pool open."""
    database = Database(found.app, connections_max=environment.pool)
    await database.pool.open(wait=True)
    try:
        yield Wiring(
            environment=environment,
            addresses=found,
            database=database,
            queue=jobs.Queue(found.direct, database, SUBSCRIPTIONS),
            storage=Storage(environment.data / "files"),
            health=Health(database, schema_min=schema_version()),
        )
    finally:
        await database.pool.close()


def schema_version() -> int:
    """The schema this program is written for."""
    return migrate.newest(migrate.read_files(MIGRATIONS))
