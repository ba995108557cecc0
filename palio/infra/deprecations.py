"""Who still uses calls that are going away: counted by day, call and API token, for many requests at once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

import psycopg
import structlog

from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.batches import Gatherer
from palio.kernel.errors import Refusal

log = structlog.get_logger()

NO_TOKEN = UUID(int=0)
KEPT = timedelta(days=400)
LISTED_MAX = 200

Use: TypeAlias = tuple[str, UUID]


@dataclass(frozen=True, slots=True)
class Used:
    """How often a call was used with a token (`NO_TOKEN`: without one) since a day, and when last."""

    call: str
    token_id: UUID
    count: int
    last_at: datetime


class Deprecations:
    """One per process: counts uses, together where many come at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counting: Gatherer[Use, None] = Gatherer(self._flush)

    async def note(self, call: str, token_id: UUID | None) -> None:
        """Count a use; where that is not possible the call is answered all the same."""
        try:
            await self._counting.submit((call, token_id or NO_TOKEN))
        except (Refusal, psycopg.Error) as failure:
            log.warning("a use of a deprecated call was not counted", call=call, failure=type(failure).__name__)

    async def _flush(self, batch: Sequence[Use]) -> list[None]:
        counts, now = sorted(Counter(batch).items()), clock.now()
        async with self._database.begin_system("uses of deprecated calls") as tx:
            await db.run(
                tx,
                """insert into infra.api_calls_deprecated as d (day, call, token_id, count, last_at)
                select %s, u.call, u.token_id, u.count, %s from unnest(%s::text[], %s::uuid[], %s::bigint[])
                  as u (call, token_id, count)
                on conflict (day, call, token_id) do update set count = d.count + excluded.count,
                  last_at = excluded.last_at""",
                *(now.date(), now),
                [call for (call, _), _ in counts],
                [token_id for (_, token_id), _ in counts],
                [count for _, count in counts],
            )
        return [None] * len(batch)


async def list_used(tx: Tx, *, since: date) -> list[Used]:
    """Who used what since a day, the most often used first."""
    return await db.rows(
        tx,
        Used,
        """select call, token_id, sum(count)::bigint as count, max(last_at) as last_at
        from infra.api_calls_deprecated where day >= %s group by call, token_id order by count desc, call limit %s""",
        *(since, LISTED_MAX),
    )


async def prune(tx: Tx, *, now: datetime, rows_max: int) -> int:
    """Forget uses of more than 400 days ago; answers how many rows."""
    return await db.run(
        tx,
        """delete from infra.api_calls_deprecated where (day, call, token_id) in (
          select day, call, token_id from infra.api_calls_deprecated where day < %s limit %s)""",
        *((now - KEPT).date(), rows_max),
    )
