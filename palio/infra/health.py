"""Can this instance answer? What `/readyz` asks."""

import psycopg
from psycopg_pool import PoolTimeout

from palio.infra import db
from palio.infra.db import Database
from palio.kernel.errors import Unavailable
from palio.kernel.ids import Actor, RequestId, new_id


class Health:
    """The state of one instance; `is_draining` is set as soon as it is told to stop."""

    def __init__(self, database: Database, *, schema_min: int) -> None:
        self._database, self._schema_min = database, schema_min
        self.is_draining = False

    async def failing(self) -> list[str]:
        """Names of what is not ready, best empty: `database`, `schema`, `draining`."""
        return [*(await self._failing_database()), *(["draining"] if self.is_draining else [])]

    async def _failing_database(self) -> list[str]:
        try:
            async with self._database.begin(Actor("none", None, RequestId(new_id()))) as tx:
                number = await db.value(tx, "select max(number) from infra.migrations where phase = 'pre'")
        except (Unavailable, psycopg.Error, PoolTimeout):
            return ["database"]
        return [] if number is not None and number >= self._schema_min else ["schema"]
