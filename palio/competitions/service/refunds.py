"""Giving back everything that was put into a pool: to each source exactly what it gave."""

from datetime import datetime
from typing import NamedTuple

from palio import ledger
from palio.competitions import sql
from palio.competitions.messages import CompetitionCancelled, ReturnContributions
from palio.competitions.rules import lifecycle
from palio.competitions.rules import pools as rules
from palio.competitions.service import pools
from palio.competitions.types import REFUND_TO, Competition, CompetitionId
from palio.infra import outbox, settings
from palio.infra.db import Tx

REFUNDS_MAX = 10_000  # of one step
OWING_MAX = 1_000


class Returned(NamedTuple):
    """How many contributions went back in a step, how many a wallet refused, and whether there may be more."""

    done: int
    refused: int
    has_more: bool


async def return_next(tx: Tx, *, competition_id: CompetitionId, now: datetime, limit: int = REFUNDS_MAX) -> Returned:
    """Give back the next contributions whole; the header is locked by the caller.

    What a wallet does not take (it is frozen or closed) stays where it is and is tried again later.
    """
    left = await sql.lock_left(tx, competition_id, limit)
    posts = [rules.refund_post(kept, settings.value(REFUND_TO)) for kept in left]
    outcomes = await ledger.post_many(tx, posts, now=now) if left else []
    done = [
        (kept.id, kept.left) for kept, outcome in zip(left, outcomes, strict=True) if isinstance(outcome, ledger.Posted)
    ]
    if done:
        await sql.update_taken_back(tx, done)
    return Returned(len(done), len(left) - len(done), len(left) == limit)


async def give_back(tx: Tx, *, competition: Competition, now: datetime, limit: int = REFUNDS_MAX) -> Returned:
    """The next step of a cancellation; a job does what is left.

    Raises RuntimeError when the pool does not hold exactly what has not gone back yet.
    """
    returned = await return_next(tx, competition_id=competition.id, now=now, limit=limit)
    held = await ledger.balance(tx, address=competition.pool_address, asset=competition.prize_asset)
    owed = (await pools.pool_sums(tx, competition_ids=[competition.id]))[competition.id].pool
    if held != owed:
        raise RuntimeError(f"the pool of {competition.id} holds {held}, and {owed} has not gone back")
    if returned.has_more and returned.done:
        await outbox.send(tx, ReturnContributions(competition.id), key=str(competition.id))
    return returned


async def call_off(tx: Tx, *, competition: Competition, reason: str, now: datetime) -> None:
    """Cancel what is locked: everything goes back, and prizes that were worked out are void."""
    await give_back(tx, competition=competition, now=now)
    await sql.update_cancelled(tx, competition.id, reason, now)
    await outbox.send(tx, CompetitionCancelled(*lifecycle.told(competition)))


async def owing(tx: Tx) -> list[CompetitionId]:
    """Cancelled competitions, at most 1,000, whose pools still hold what a wallet did not take."""
    return await sql.list_owing(tx, OWING_MAX)
