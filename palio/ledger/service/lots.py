"""Use cases about what expires."""

from datetime import datetime

from palio.infra.db import Tx
from palio.ledger.service.posting import post_many
from palio.ledger.sql import lots as sql
from palio.ledger.types import Expire, Posted

LOTS_OF_A_TURN_MAX = 1_000


async def expire(tx: Tx, *, now: datetime) -> bool:
    """Move what has expired out of wallets, of a thousand lots at once; whether there may be more.

    What is under a hold stays until the hold ends. The key of the rest of such a lot names what was moved before, so
    that whoever comes twice moves nothing.
    """
    due = await sql.list_due_lots(tx, now, LOTS_OF_A_TURN_MAX)
    items = [
        Expire(f"lot:{lot.id}:expire" + (f":{lot.expired}" if lot.expired else ""), lot.id, lot.address, lot.asset)
        for lot in due
    ]
    outcomes = await post_many(tx, items, now=now)
    return len(due) == LOTS_OF_A_TURN_MAX and any(isinstance(outcome, Posted) for outcome in outcomes)
