"""Use cases that keep sums: what open accounts hold, so that a balance costs the same however many entries it has."""

from datetime import datetime

from palio.infra.db import Tx
from palio.ledger.sql import rolling as sql

ENTRIES_AT_ONCE = 500_000


async def roll_up(tx: Tx, *, now: datetime) -> bool:
    """Add the entries of open accounts that are committed to their sums, in all and by the day (UTC).

    What an open transaction has posted, or will, is left for later, whatever its instant: balances count it by itself.
    Twice is once. True: more is due than one transaction takes.
    """
    return (await sql.roll_up(tx, ENTRIES_AT_ONCE, now)).more
