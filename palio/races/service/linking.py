"""Who is behind a player of races."""

from datetime import datetime

from palio import affiliates, competitions
from palio.affiliates.types import PlayerId
from palio.competitions.types import Claim
from palio.infra.db import Tx
from palio.kernel.ids import UserId


async def link(tx: Tx, *, player_id: PlayerId, user_id: UserId | None, now: datetime) -> int:
    """Set the user behind a player in running races and pay what waits for him; None clears it. A repeat is 0.

    The links of the programme decide, not the order in which messages arrive: what is no longer so, or not yet, is
    left alone. Answers how many prizes were paid.
    """
    active = {found.user_id for found in await affiliates.links_many(tx, player_ids=[player_id])}
    if active != ({user_id} if user_id else set()):
        return 0
    paid = await competitions.claim_many(tx, [Claim("player", str(player_id), user_id)], now=now)
    return sum(found.transfer_id is not None for found in paid)
