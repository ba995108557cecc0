"""The boards of everybody that this process has met; what makes them up does not change while it runs."""

from collections.abc import Collection, Mapping
from functools import partial

from palio.competitions import sql
from palio.competitions.types import ScoreBoard
from palio.infra import db
from palio.infra.db import Tx


class KnownBoards:
    """Boards by code, of committed rows only."""

    def __init__(self) -> None:
        self.by_code: dict[str, ScoreBoard] = {}


async def boards_many(tx: Tx, codes: Collection[str]) -> Mapping[str, ScoreBoard]:
    """The boards of these codes; those that do not exist are missing."""
    known = db.memory(tx, KnownBoards).by_code
    if all(code in known for code in codes):
        return known
    found = {board.code: board for board in await sql.list_boards_of(tx, list(codes))}
    db.after_commit(tx, partial(known.update, found))
    return {**known, **found}
