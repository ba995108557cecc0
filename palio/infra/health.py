"""Can this instance answer? What `/readyz` asks."""

import psycopg

from palio.infra import db
from palio.infra.db import Database
from palio.infra.instances import Instance
from palio.kernel.errors import Unavailable
from palio.kernel.ids import Actor, RequestId, new_id


class Health:
    """What keeps an instance from being used."""

    def __init__(self, database: Database, instance: Instance, *, schema_min: int) -> None:
        self._database, self._instance, self._schema_min = database, instance, schema_min

    async def failing(self) -> list[str]:
        """Names of what is not ready, best empty: `database`, `schema`, `draining`."""
        return [*(await self._failing_database()), *(["draining"] if self._instance.is_draining else [])]

    async def _failing_database(self) -> list[str]:
        try:
            async with self._database.begin(Actor("none", None, RequestId(new_id()))) as tx:
                number = await db.value(tx, "select max(number) from infra.migrations where phase = 'pre'")
        except (Unavailable, psycopg.Error):
            return ["database"]
        return [] if number is not None and number >= self._schema_min else ["schema"]
