"""Prizes that wait for their winner: claimed when somebody turns out to be behind an entrant, or expired."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from palio import ledger
from palio.competitions import sql
from palio.competitions.messages import RewardPaid
from palio.competitions.rules import lifecycle
from palio.competitions.service import countries
from palio.competitions.types import Claim, Claimed, Linked, Waiting
from palio.infra import outbox
from palio.infra.db import Tx
from palio.kernel.errors import TooLarge
from palio.kernel.ids import UserId

CLAIMS_MAX = 1_000
EXPIRED_PER_STEP_MAX = 1_000


async def claim_many(tx: Tx, items: Sequence[Claim], *, now: datetime) -> list[Claimed]:
    """Set the users behind entrants, at most 1,000, and pay what waits for them; answers the prizes that were paid.

    On competitions that are not over the user is set, or cleared with None; what has been paid stays paid. A repeat
    changes nothing. Refuses with TooLarge.
    """
    if len(items) > CLAIMS_MAX:
        raise TooLarge(items=len(items), limit=CLAIMS_MAX)
    linked = await sql.list_linked(tx, items)
    if not linked:
        return []
    running = await sql.lock_running_of(tx, [link.entrant_id for link in linked])
    await sql.update_users(tx, linked, running)
    await countries.renew(tx, user_ids=[link.user_id for link in linked if link.user_id])
    return await _pay(tx, linked, now)


async def expire(tx: Tx, *, now: datetime) -> int:
    """Send prizes that nobody claimed in time where left-overs go, at most 1,000 a call; answers how many."""
    expired = await sql.lock_unclaimed(tx, now, EXPIRED_PER_STEP_MAX)
    if not expired:
        return 0
    posts = [
        _moved(found, f"expire:{found.entrant_id}", "competitions.leftover", lifecycle.house_of(found.leftover_to))
        for found in expired
        if found.amount
    ]
    await ledger.post_many(tx, posts, now=now, mode="all")
    await sql.update_expired(tx, expired)
    return len(expired)


async def _pay(tx: Tx, linked: Sequence[Linked], now: datetime) -> list[Claimed]:
    users: dict[int, UserId] = {link.entrant_id: link.user_id for link in linked if link.user_id}
    waiting = await sql.lock_claimable(tx, [link.entrant_id for link in linked if link.user_id], now)
    if not waiting:
        return []
    worth = [found for found in waiting if found.amount]
    posts = [
        replace(
            _moved(found, f"reward:{found.entrant_id}", "competitions.prize", f"user:{users[found.entrant_id]}:main"),
            metadata={"competition": str(found.competition_id), "rank": found.rank, "title": found.title},
        )
        for found in worth
    ]
    outcomes = await ledger.post_many(tx, posts, now=now)
    claimed = [
        Claimed(found, users[found.entrant_id], outcome.transfer_id, None)
        if isinstance(outcome, ledger.Posted)
        else Claimed(found, users[found.entrant_id], None, outcome.code)
        for found, outcome in zip(worth, outcomes, strict=True)
    ]
    claimed += [Claimed(found, users[found.entrant_id], None, None) for found in waiting if not found.amount]
    await sql.update_claimed(tx, claimed, now)
    await outbox.send(tx, *(_told(found) for found in claimed if found.refusal is None))
    return claimed


def _moved(found: Waiting, key: str, kind: str, address: str) -> ledger.Post:
    legs = ((found.pool_address, found.asset, -found.amount), (address, found.asset, found.amount))
    return ledger.Post(f"comp:{found.competition_id}:{key}", kind, legs)


def _told(claimed: Claimed) -> RewardPaid:
    found = claimed.waiting
    return RewardPaid(found.competition_id, found.entrant_id, claimed.user_id, found.rank, found.asset, found.amount)
