"""How much people send, in files of every kind."""

from datetime import UTC, datetime, time, timedelta

from palio.identity import sql
from palio.infra.db import Tx
from palio.infra.files import DAY_BYTES_MAX, SentEnough
from palio.kernel.ids import UserId


async def take(tx: Tx, *, user_id: UserId, sent: int, now: datetime) -> None:
    """Count a file of so many bytes before it is looked at, also one that is then refused; a day is one of UTC.

    For the system, in a transaction of its own. Refuses with files.SentEnough.
    """
    today = now.astimezone(UTC).date()
    if sent and not await sql.uploads.upsert_day(tx, user_id, today, sent=sent, bytes_max=DAY_BYTES_MAX):
        midnight = datetime.combine(today + timedelta(days=1), time(), UTC)
        raise SentEnough(bytes_max=DAY_BYTES_MAX, retry_after_s=int((midnight - now).total_seconds()) + 1)
