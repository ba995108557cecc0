"""What was put into pools."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from palio.competitions.types import (
    Competition,
    CompetitionId,
    Contribution,
)
from palio.infra import db
from palio.infra.db import Tx


async def insert_contribution(
    tx: Tx, contribution_id: UUID, competition: Competition, key: str, transfer_id: UUID, now: datetime
) -> None:
    """The pool that the house promised."""
    await db.run(
        tx,
        """
        insert into competitions.contributions (id, competition_id, source, asset, amount, to_pool, to_treasury,
          from_address, key, transfer_id, at)
        values (%s, %s, 'admin_fund', %s, %s, %s, 0, 'house:prizes', %s, %s, %s)""",
        *(contribution_id, competition.id, competition.prize_asset),
        *(competition.guaranteed_pool, competition.guaranteed_pool, key, transfer_id, now),
    )


async def lock_contributions(tx: Tx, competition_id: CompetitionId, limit: int) -> list[Contribution]:
    """What is still in the pool of somebody, in the order of their ids."""
    return await db.rows(
        tx,
        Contribution,
        """
        select id, source, asset, to_pool, to_treasury, payer_id, from_address from competitions.contributions
        where competition_id = %s and taken_back = 0 order by id limit %s for update""",
        *(competition_id, limit),
    )


async def update_taken_back(tx: Tx, contribution_ids: Sequence[UUID]) -> None:
    """The whole of these contributions went back."""
    await db.run(
        tx,
        "update competitions.contributions set taken_back = amount where id = any(%s)",
        list(contribution_ids),
    )
