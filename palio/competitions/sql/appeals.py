"""Doubts about frozen rankings, and their answers."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from palio.competitions.types import Appeal, AppealState, CompetitionId
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import UserId

APPEAL = """
    select id, competition_id, entrant_id, user_id, text, state, answer, decided_by, created_at, decided_at
    from competitions.appeals """


async def insert_appeal(tx: Tx, appeal: Appeal) -> None:
    """A doubt that waits for an answer."""
    await db.run(
        tx,
        """
        insert into competitions.appeals (id, competition_id, entrant_id, user_id, text, state, created_at)
        values (%s, %s, %s, %s, %s, 'open', %s)""",
        *(appeal.id, appeal.competition_id, appeal.entrant_id, appeal.user_id, appeal.text, appeal.created_at),
    )


async def list_appeals_of(tx: Tx, competition_id: CompetitionId, user_id: UserId, limit: int) -> list[Appeal]:
    """What a user doubted, the newest first."""
    return await db.rows(
        tx,
        Appeal,
        APPEAL + "where competition_id = %s and user_id = %s order by id desc limit %s",
        *(competition_id, user_id, limit),
    )


async def list_appeals(
    tx: Tx, states: Collection[AppealState], limit: int, *, competition_id: CompetitionId | None = None
) -> list[Appeal]:
    """What was doubted, of one competition or of all, the oldest first."""
    return await db.rows(
        tx,
        Appeal,
        APPEAL + "where state = any(%s) and (%s::uuid is null or competition_id = %s) order by id limit %s",
        *(list(states), competition_id, competition_id, limit),
    )


async def count_open_appeals(tx: Tx, competition_id: CompetitionId) -> int:
    """How many wait for an answer."""
    return int(
        await db.value(
            tx,
            "select count(*) from competitions.appeals where competition_id = %s and state = 'open'",
            competition_id,
        )
    )


async def count_waiting_appeals(tx: Tx) -> tuple[int, datetime | None]:
    """How many wait for an answer in all competitions, and since when the oldest does."""
    cursor = await tx.execute("select count(*), min(created_at) from competitions.appeals where state = 'open'")
    (found,) = await cursor.fetchall()
    return found


async def find_appeal(tx: Tx, appeal_id: UUID) -> Appeal | None:
    """The appeal of an id."""
    return await db.find(tx, Appeal, APPEAL + "where id = %s", appeal_id)


async def update_appeal(
    tx: Tx, appeal_id: UUID, state: AppealState, answer: str, decided_by: UserId | None, now: datetime
) -> None:
    """What was answered, and by whom."""
    await db.run(
        tx,
        """
        update competitions.appeals set state = %s, answer = %s, decided_by = %s, decided_at = %s where id = %s""",
        *(state, answer, decided_by, now, appeal_id),
    )
