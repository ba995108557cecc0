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
    await _rank(tx, player_id, user_id, now)
    return sum(found.transfer_id is not None for found in paid)


async def leave_out(tx: Tx, *, user_id: UserId, now: datetime) -> None:
    """Take the players of somebody who may not compete out of every race that runs; scores and what was won stay.

    Nothing happens if he may: then it was about something else. He is not let back in when his break ends: only races
    in which he first wagers after it count him.
    """
    if await counting.barred(tx, user_ids=[user_id], now=now):
        for found in await affiliates.links_many(tx, user_ids=[user_id]):
            await _rank(tx, found.player_id, user_id, now)


async def _rank(tx: Tx, player_id: PlayerId, user_id: UserId | None, now: datetime) -> None:
    """Let a player rank in the races that run, with all that he has wagered in them, or no longer.

    In those of linked players he does as long as somebody is behind him; in none while that one may not compete.
    """
    player = (await affiliates.players_many(tx, [player_id])).get(player_id)
    is_barred = bool(user_id and await counting.barred(tx, user_ids=[user_id], now=now))
    running = await sql.list_open(tx, player.programme_id) if player else []
    found = running if is_barred else [race for race in running if race.linked_only]
    for race in sorted(found, key=lambda race: race.competition_id):
        competition = await competitions.lock(tx, competition_id=race.competition_id)
        entered = await competitions.entered(
            tx, competition_id=race.competition_id, kind="player", refs=[str(player_id)]
        )
        out = await competitions.disqualified(tx, competition_id=race.competition_id)
        entrant_ids = [entrant_id for entrant_id in entered.values() if entrant_id not in out]
        if entrant_ids and pictures.is_running(competition):
            why = counting.BARRED if is_barred else counting.LINKED if user_id else counting.UNLINKED
            await counting.set_ranked(tx, race=race, entrant_ids=entrant_ids, why=why, now=now)
            await counting.tell_decided(tx, race=race, competition=competition, now=now)
