"""What staff ask of the feeds and their snapshots beside what everybody may see."""

from uuid import UUID

from palio.affiliates import sql
from palio.affiliates.types import PlayerId, ProgrammeId
from palio.infra.db import Tx


async def player_named(tx: Tx, *, programme_id: ProgrammeId, text: str) -> PlayerId | None:
    """The player of a programme whom staff name by his uid or by his id."""
    if found := await sql.find_uid(tx, programme_id, text):
        return found
    try:
        player_id = PlayerId(UUID(text))
    except ValueError:
        return None
    known = await sql.list_players(tx, [player_id])
    return player_id if known and known[0].programme_id == programme_id else None
