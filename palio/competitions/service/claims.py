"""Prizes that wait for their winner: claimed when somebody turns out to be behind an entrant, or expired."""

from collections.abc import Sequence
from datetime import datetime

from palio import ledger
from palio.competitions import sql
from palio.competitions.rules import waiting
from palio.competitions.service import countries
from palio.competitions.types import Claim, Claimed, Linked
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
    posts = [waiting.return_post(found, "expire") for found in expired if found.amount]
    await ledger.post_many(tx, posts, now=now, mode="all")
    await sql.update_expired(tx, expired)
    return len(expired)


async def _pay(tx: Tx, linked: Sequence[Linked], now: datetime) -> list[Claimed]:
    users: dict[int, UserId] = {link.entrant_id: link.user_id for link in linked if link.user_id}
    found = await sql.lock_claimable(tx, [link.entrant_id for link in linked if link.user_id], now)
    if not found:
        return []
    worth = [each for each in found if each.amount]
    posts = [waiting.prize_post(each, users[each.entrant_id]) for each in worth]
    outcomes = await ledger.post_many(tx, posts, now=now)
    claimed = [
        Claimed(each, users[each.entrant_id], outcome.transfer_id, None)
        if isinstance(outcome, ledger.Posted)
        else Claimed(each, users[each.entrant_id], None, outcome.code)
        for each, outcome in zip(worth, outcomes, strict=True)
    ]
    claimed += [Claimed(each, users[each.entrant_id], None, None) for each in found if not each.amount]
    await sql.update_claimed(tx, claimed, now)
    await outbox.send(tx, *(waiting.told(each.waiting, each.user_id) for each in claimed if each.refusal is None))
    return claimed
