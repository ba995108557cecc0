"""The ground of a run: a database server of its own, always configured alike, that loses nothing it acknowledged."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from bench.meters import CannotMeasureError, Meter, postmaster_of
from palio.entry import up, wiring
from palio.entry.wiring import Wiring
from palio.infra import embedded, roles
from palio.infra.db import Database
from palio.infra.settings import Environment
from palio.kernel.ids import Actor, RequestId, new_id

SHARED_BUFFERS = "1GB"  # the one setting of our server that would follow the machine's memory
SYSTEM = Actor("system", None, RequestId(new_id()))
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
SUMMARIZED = """
do $$ begin
  while (select s.summarized_lsn < c.redo_lsn from pg_get_wal_summarizer_state() s, pg_control_checkpoint() c) loop
    perform pg_sleep(0.05);
  end loop;
end $$
"""
REST_PATIENCE = "-c statement_timeout=60s"
IN_MEMORY = {"tmpfs", "ramfs"}


@dataclass(frozen=True, slots=True)
class Ground:
    """What a bench stands on: the server, and the parts of a product's process, wired as they always are."""

    cluster: embedded.Cluster
    wiring: Wiring

    @property
    def database(self) -> Database:
        return self.wiring.database

    @property
    def home(self) -> Path:
        return self.cluster.home

    def meter(self, *servers: int) -> Meter:
        """Measures the database and these processes; without any, this process."""
        return Meter(postmaster_of(self.cluster.data), servers)

    async def rest(self) -> None:
        """Do what the server's own maintenance would soon do, with a checkpoint, and wait for summaries up to that.

        What vacuum costs belongs to no turn, nor what it costs to summarize the log of what came before: left to
        themselves they begin when they like. The full page images that follow a checkpoint do: most writes of a day
        are the first to their page after one.
        """
        product = self.cluster.dsn(database=roles.DATABASE)
        async with await psycopg.AsyncConnection.connect(product, autocommit=True, options=REST_PATIENCE) as conn:
            await conn.execute("vacuum (analyze)")
            await conn.execute("checkpoint")
            await conn.execute(SUMMARIZED)


@asynccontextmanager
async def standing() -> AsyncIterator[Ground]:
    """A migrated database on a fresh server, gone afterwards. Refuses with CannotMeasureError if it is not durable."""
    with scratch_folder() as home:
        _configure(home)
        environment = Environment.model_construct(data=home)  # nothing of the operator's own settings
        with wiring.reached(environment) as addresses:
            await asyncio.to_thread(wiring.bring_up_to_date, addresses, _nobody_hears)
            require_durable(addresses.app)
            async with wiring.opened(environment, addresses) as wired:
                up.settle_memory()
                yield Ground(embedded.at(home), wired)


def _nobody_hears(_: str) -> None:
    """Migrations are not what is measured."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder on a disk, which the database's account can pass through."""
    home = Path(tempfile.mkdtemp(prefix="palio-bench-"))
    try:
        home.chmod(0o711)
        require_disk(home)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _configure(home: Path) -> None:
    with embedded.running(home) as cluster, psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(sql.SQL("alter system set shared_buffers = {}").format(sql.Literal(SHARED_BUFFERS)))


def require_durable(dsn: str) -> None:
    """Refuse with CannotMeasureError unless a commit of this role survives a power cut."""
    with psycopg.connect(dsn) as conn:
        found = conn.execute("select name, setting from pg_settings where name = any(%s)", [list(DURABLE)])
        off = [f"{name} = {setting}" for name, setting in found if setting != "on"]
    if off:
        raise CannotMeasureError(f"figures without durability do not count: {', '.join(off)}")


def require_disk(folder: Path) -> None:
    """Refuse with CannotMeasureError when the folder lies in memory, where a flush costs nothing."""
    kind = file_system(folder)
    if kind in IN_MEMORY:
        raise CannotMeasureError(f"{folder} lies in memory ({kind}): set TMPDIR to a folder on a disk")


def file_system(folder: Path) -> str:
    """The kind of file system a folder lies on, by the longest mount point above it."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(len(point), kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(above)[1]
