"""The one list of what can be listened to: what every module declares, and what of it the public may not hear yet."""

from collections.abc import Collection
from uuid import UUID

from palio import affiliates, competitions, ledger, races
from palio.competitions.types import CompetitionId
from palio.entry import notices
from palio.infra import approvals, operations
from palio.infra.db import Tx
from palio.kernel.topics import Topic
from palio.ui.streams.hearing import Hidden

TOPICS: tuple[Topic, ...] = (
    *races.TOPICS,
    *competitions.TOPICS,
    *affiliates.TOPICS,
    *ledger.TOPICS,
    *approvals.TOPICS,
    *operations.TOPICS,
    *notices.TOPICS,
)


async def _drafts_of(tx: Tx, ids: Collection[UUID]) -> set[UUID]:
    """Those competitions that are not published yet."""
    found = await competitions.get_many(tx, [CompetitionId(one) for one in ids])
    return {one.id for one in found.values() if one.status == "draft"}


HIDDEN: dict[str, Hidden] = {"race:{id}": _drafts_of, "competition:{id}": _drafts_of}
