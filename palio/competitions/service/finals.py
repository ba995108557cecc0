"""The end of lists of boards of everybody: their standings are written down, and no score changes them any more."""

from datetime import datetime

import structlog

from palio.competitions import sql
from palio.competitions.service import rankings
from palio.infra.db import Tx

log = structlog.get_logger()


async def close_next(tx: Tx, *, now: datetime) -> bool:
    """Make the earliest list final whose time for late scores is over; False when there is none.

    Waits for submissions under way; whoever comes later waits for us, and is refused `list_final`.
    """
    ended_id = await sql.find_ended_list(tx, now)
    if ended_id is None:
        return False
    ended = await sql.lock_live_list(tx, ended_id)
    if ended is None:
        return True  # somebody else has just made it final; there may be another one
    await sql.sort_in_memory(tx)
    entrants = await sql.insert_list_standings(tx, ended.id)
    await sql.insert_final_snapshot(tx, ended.id, await sql.hash_standings(tx, ended.id), now)
    await sql.update_list_final(tx, ended.id, entrants, now)
    rankings.forget(tx, list_id=ended.id)
    log.info("a list is final", list=ended.id, period=ended.period_key, entrants=entrants)
    return True
