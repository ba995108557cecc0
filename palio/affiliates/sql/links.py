"""Who is behind an external player."""

from collections.abc import Sequence
from datetime import datetime

from palio.affiliates.types import Link, PlayerId, ProgrammeId
from palio.infra import db
from palio.infra.arrays import Int8s
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def list_links(tx: Tx, player_ids: Sequence[PlayerId], user_ids: Sequence[UserId]) -> list[Link]:
    """The active links of these players and of these users, whoever asks."""
    statement = "select player_id, user_id from affiliates.active_links(%s::uuid[], %s::uuid[])"
    return await db.rows(tx, Link, statement, list(player_ids), list(user_ids))


async def list_linked_totals(
    tx: Tx, programme_id: ProgrammeId, numbers: Sequence[int], month: datetime
) -> list[tuple[UserId, int | None, int]]:
    """Of the linked players among these: the user, the all-time total, and what of it came since the month began."""
    cursor = await tx.execute(
        """
        select l.user_id, p.all_time_micro, coalesce((select sum(s.delta_micro) from affiliates.stats s
          where s.player_id = p.id and s.at >= %s), 0)::bigint
        from affiliates.players p join affiliates.links l on l.player_id = p.id and l.state = 'active'
        where p.programme_id = %s and p.no = any (%s::bigint[]) order by p.no""",
        (month, programme_id, Int8s.of(list(numbers))),
    )
    return await cursor.fetchall()
