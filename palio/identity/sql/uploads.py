"""Statements of how much people send."""

from datetime import date

from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def upsert_day(tx: Tx, user_id: UserId, day: date, *, sent: int, bytes_max: int) -> bool:
    """Count bytes on a day of somebody; False where that would be more than he may send. Several at once queue up."""
    return bool(
        await db.run(
            tx,
            """insert into identity.upload_days as d (user_id, day, bytes) select %s, %s, %s where %s <= %s
            on conflict (user_id, day) do update set bytes = d.bytes + excluded.bytes
            where d.bytes + excluded.bytes <= %s""",
            *(user_id, day, sent, sent, bytes_max, bytes_max),
        )
    )


async def delete_days(tx: Tx, *, before: date) -> int:
    """Forget what was sent on days before one."""
    return await db.run(tx, "delete from identity.upload_days where day < %s", before)
