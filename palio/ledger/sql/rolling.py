"""Statements that keep the sums of open accounts up to date."""

from dataclasses import dataclass
from datetime import datetime

from palio.infra import db
from palio.infra.db import Tx


@dataclass(frozen=True, slots=True)
class RolledUp:
    """How many entries were added to the sums, and whether more are due."""

    added: int
    more: bool


async def roll_up(tx: Tx, entries_max: int, now: datetime) -> RolledUp:
    """Add what is committed below the horizon, about so many entries at most."""
    done = await db.find(tx, RolledUp, "select added, more from ledger.roll_up(%s, %s)", entries_max, now)
    return done or RolledUp(0, more=False)
