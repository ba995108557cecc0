"""What staff look at: feeds, cycles, snapshots and mappings with everything about them."""

from palio.affiliates.types import PlayerId, ProgrammeId
from palio.infra import db
from palio.infra.db import Tx


async def find_uid(tx: Tx, programme_id: ProgrammeId, uid: str) -> PlayerId | None:
    """The player of a programme with this uid."""
    statement = "select id from affiliates.players where programme_id = %s and uid = %s"
    found: PlayerId | None = await db.value(tx, statement, programme_id, uid)
    return found
