"""Use cases about what is set aside and nobody came for."""

from datetime import datetime

from palio.infra import outbox
from palio.infra.db import Tx
from palio.ledger.messages import HoldExpired
from palio.ledger.service.posting import void_many
from palio.ledger.sql import reading as sql
from palio.ledger.types import Void, Voided

HOLDS_OF_A_TURN_MAX = 1_000


async def expire(tx: Tx, *, now: datetime) -> bool:
    """Release holds whose time is over, the oldest thousand; whether there may be more. HoldExpired for each.

    Whoever captures or voids one meanwhile was first: it is passed over.
    """
    due = await sql.list_due_holds(tx, now, HOLDS_OF_A_TURN_MAX)
    outcomes = await void_many(tx, [Void(f"hold:{hold.id}:expire", hold.id, expired=True) for hold in due], now=now)
    expired = [
        HoldExpired(hold.id, hold.owner_id, hold.subject)
        for hold, outcome in zip(due, outcomes, strict=True)
        if isinstance(outcome, Voided) and not outcome.replayed
    ]
    await outbox.send(tx, *expired)
    return len(due) == HOLDS_OF_A_TURN_MAX and bool(expired)
