"""The clock: what is due in competitions whose product does not steer them itself."""

from datetime import datetime, timedelta

from palio.competitions import sql
from palio.competitions.messages import CompetitionEndingSoon
from palio.competitions.rules import lifecycle
from palio.competitions.service import telling
from palio.competitions.service.lifecycle import lock, start
from palio.competitions.service.settlement import settle
from palio.competitions.types import ARCHIVE_AFTER_DAYS, Competition, CompetitionId
from palio.infra import outbox, settings
from palio.infra.db import Tx

DUE_MAX, OVERDUE_MAX = 1_000, 200
STEPS_MAX = 25  # of one call


async def due(tx: Tx, *, now: datetime) -> list[CompetitionId]:
    """Competitions in which a step is due, at most 1,000."""
    return await sql.list_due(tx, now, DUE_MAX, steered=lifecycle.STEERED, frozen_by_clock=lifecycle.FROZEN_BY_CLOCK)


async def advance(tx: Tx, *, competition_id: CompetitionId, now: datetime) -> int:
    """Do the due steps of one competition in their order, and answer how many; the next call does what is left.

    Of a product that steers its own, nothing is done. Refuses with NoSuchCompetition.
    """
    steps = 0
    while steps < STEPS_MAX and await _step(tx, competition_id, now):
        steps += 1
    return steps


async def _step(tx: Tx, competition_id: CompetitionId, now: datetime) -> bool:
    competition = await lock(tx, competition_id=competition_id)
    if competition.product in lifecycle.STEERED:
        return False
    if competition.status == "upcoming" and now >= competition.starts_at:
        await start(tx, competition_id=competition_id, now=now)
        return True
    return await settle(tx, competition_id=competition_id, now=now)


async def tell_ending(tx: Tx, *, now: datetime) -> int:
    """Say of everything that runs, whatever its product, that it ends within a day or an hour; answers of how many.

    Each is said once, also when nobody looked at its time; of an end that was moved, anew.
    """
    ending = await sql.update_ending_told(tx, lifecycle.ENDING_SOON_H, now, DUE_MAX)
    await outbox.send(
        tx,
        *(CompetitionEndingSoon(one.id, one.product, one.subject_ref, one.period_key, one.hours) for one in ending),
    )
    return len(ending)


async def archive(tx: Tx, *, now: datetime) -> int:
    """Let what was completed long ago stand in the archive alone, at most 1,000 a call; answers how many."""
    before = now - timedelta(days=settings.value(ARCHIVE_AFTER_DAYS))
    archived = await sql.update_archived(tx, before, now, DUE_MAX)
    for competition in await sql.list_competitions(tx, archived):
        telling.moved(tx, competition=competition)
    return len(archived)


async def overdue(tx: Tx, *, now: datetime) -> list[Competition]:
    """Competitions whose product should have brought its last scores long ago."""
    waiting = await sql.list_collecting(tx, OVERDUE_MAX)
    return [competition for competition in waiting if now >= lifecycle.overdue_at(competition)]
