"""The rows of running processes: written at the start, seen every ten seconds, gone at the end."""

import asyncio
import os
import socket
from uuid import UUID

from palio.infra import db, logging, tasks
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.errors import Unavailable
from palio.kernel.ids import new_id

SEEN_SECONDS = 10
FORGOTTEN_SECONDS = 86_400  # the row of a process that was killed, which could not take it away

log = logging.get("infra.instances")


async def find_site(tx: Tx) -> str | None:
    """Where people reach the newest process that serves them; None: none was seen of late."""
    found: list[str] = await db.column(
        tx,
        "select site from infra.instances where site is not null and not draining"
        " and seen_at > now() - make_interval(secs => %s) order by started_at desc limit 1",
        3 * SEEN_SECONDS,
    )
    return found[0] if found else None


class Instance:
    """This process among the others of its database."""

    def __init__(self, database: Database, *, role: str, version: str, schema_version: int) -> None:
        self._database = database
        self._row = (role, socket.gethostname(), os.getpid(), version, schema_version)
        self.id: UUID = new_id()
        self.is_draining = False
        self.site: str | None = None  # where people reach it, once it listens

    async def run(self) -> None:
        """Be seen until cancelled, also again after the database was away."""
        started_at = clock.now()
        try:
            while True:
                try:
                    async with self._database.begin_system("instances") as tx:
                        await db.run(
                            tx,
                            "insert into infra.instances (id, role, host, pid, version, schema_version, started_at,"
                            " seen_at, draining, site) values (%s, %s, %s, %s, %s, %s, %s, now(), %s, %s)"
                            " on conflict (id) do update set seen_at = now(), draining = excluded.draining",
                            self.id,
                            *self._row,
                            started_at,
                            self.is_draining,
                            self.site,
                        )
                except Unavailable as away:
                    log.warning("instance not seen", code=away.code)
                tasks.heed_cancellation()
                await asyncio.sleep(SEEN_SECONDS)
        finally:
            await self._leave()

    async def _leave(self) -> None:
        try:
            async with self._database.begin_system("instances") as tx:
                await db.run(
                    tx,
                    "delete from infra.instances where id = %s or seen_at < now() - make_interval(secs => %s)",
                    self.id,
                    FORGOTTEN_SECONDS,
                )
        except Unavailable as away:
            log.warning("instance row left behind", code=away.code)
