"""What of a board is worth telling, beside the board itself."""

from datetime import datetime, timedelta
from typing import NamedTuple

from palio.competitions.types import Competition, EntrantId
from palio.races.types import Race


class Leading(NamedTuple):
    """Whom everybody knows to lead, when a leader was told last, and whether that is to be told now."""

    entrant_id: EntrantId | None
    told_at: datetime | None
    is_news: bool


def leading(
    race: Race,
    competition: Competition,
    leader: EntrantId | None,
    *,
    fetched_at: datetime,
    gap_min: int,
    now: datetime,
) -> Leading:
    """What a snapshot fetched then, after which this entrant leads, says of the lead.

    A change of the lead that comes too soon after the last one is told later, if it lasts. What a race that was
    announced after its start makes up for, and what comes after the end, is no news: it is only known.
    """
    if leader == race.leader_entrant:
        return Leading(leader, race.leader_told_at, is_news=False)
    is_old = fetched_at <= race.created_at
    is_over = max(fetched_at, now) >= competition.ends_at
    if leader is None or is_old or is_over:
        return Leading(leader, race.leader_told_at, is_news=False)
    if race.leader_told_at and now < race.leader_told_at + timedelta(minutes=gap_min):
        return Leading(race.leader_entrant, race.leader_told_at, is_news=False)
    return Leading(leader, now, is_news=True)
