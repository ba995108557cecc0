"""The boards of everybody that this process has met, and their lists; what makes them up does not change while it runs.

Whether a list has become final meanwhile is not remembered.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import partial

from palio.competitions import sql
from palio.competitions.types import BoardId, ListId, ScoreBoard, ScoreList
from palio.infra import db
from palio.infra.db import Tx

LISTS_MAX = 20_000


class KnownBoards:
    """Boards by code, of committed rows only."""

    def __init__(self) -> None:
        self.by_code: dict[str, ScoreBoard] = {}


class KnownLists:
    """The numbers of lists by board and period, of committed rows only."""

    def __init__(self) -> None:
        self.by_key: dict[tuple[BoardId, str], ListId] = {}

    def learn(self, lists: Iterable[ScoreList]) -> None:
        """Remember lists; when there are too many, only these."""
        if len(self.by_key) > LISTS_MAX:
            self.by_key.clear()
        self.by_key.update({(each.board_id, each.period_key): each.id for each in lists})


async def boards_many(tx: Tx, codes: Collection[str]) -> Mapping[str, ScoreBoard]:
    """The boards of these codes; those that do not exist are missing."""
    known = db.memory(tx, KnownBoards).by_code
    if all(code in known for code in codes):
        return known
    found = {board.code: board for board in await sql.list_boards_of(tx, list(codes))}
    db.after_commit(tx, partial(known.update, found))
    return {**known, **found}
