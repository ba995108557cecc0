"""Who is behind a player of races."""

from datetime import datetime

from palio import affiliates, competitions
from palio.affiliates.types import PlayerId
from palio.competitions.types import Claim
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.races import sql
from palio.races.rules import pictures
from palio.races.service import counting


async def link(tx: Tx, *, player_id: PlayerId, user_id: UserId | None, now: datetime) -> int:
    """Set the user behind a player in running races and pay what waits for him; None clears it. A repeat is 0.

    The links of the programme decide, not the order in which messages arrive: what is no longer so, or not yet, is
    left alone. Answers how many prizes were paid.
    """
    active = {found.user_id for found in await affiliates.links_many(tx, player_ids=[player_id])}
    if active != ({user_id} if user_id else set()):
        return 0
    paid = await competitions.claim_many(tx, [Claim("player", str(player_id), user_id)], now=now)
    await _rank(tx, player_id, now, is_ranked=user_id is not None)
    return sum(found.transfer_id is not None for found in paid)


async def _rank(tx: Tx, player_id: PlayerId, now: datetime, *, is_ranked: bool) -> None:
    """Let him rank in the races of linked players that run, with all that he has wagered in them, or no longer."""
    player = (await affiliates.players_many(tx, [player_id])).get(player_id)
    found = [race for race in await sql.list_open(tx, player.programme_id) if race.linked_only] if player else []
    for race in sorted(found, key=lambda race: race.competition_id):
        competition = await competitions.lock(tx, competition_id=race.competition_id)
        entered = await competitions.entered(
            tx, competition_id=race.competition_id, kind="player", refs=[str(player_id)]
        )
        out = await competitions.disqualified(tx, competition_id=race.competition_id)
        entrant_ids = [entrant_id for entrant_id in entered.values() if entrant_id not in out]
        if entrant_ids and pictures.is_running(competition):
            await counting.set_ranked(tx, race=race, entrant_ids=entrant_ids, is_ranked=is_ranked, now=now)
            await counting.tell_decided(tx, race=race, competition=competition, now=now)
