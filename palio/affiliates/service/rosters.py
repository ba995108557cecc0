"""The players of programmes as this process last saw them: they follow commits, so a snapshot costs what it changes."""

from collections import OrderedDict
from collections.abc import Callable

from palio.affiliates import sql
from palio.affiliates.rules import Roster
from palio.affiliates.types import ProgrammeId, Snapshot, SnapshotId
from palio.infra import db
from palio.infra.db import Tx

PLAYERS_MAX = 500_000  # of all programmes together, at some 600 bytes each


class Rosters:
    """The rosters of the programmes that were read last; one object per process and database."""

    def __init__(self) -> None:
        self._of_programme: OrderedDict[ProgrammeId, Roster] = OrderedDict()

    def find(self, programme_id: ProgrammeId, snapshot_id: SnapshotId) -> Roster | None:
        """The roster as of exactly this snapshot, if it is here: another process may have applied one since."""
        found = self._of_programme.get(programme_id)
        return found if found and found.snapshot_id == snapshot_id else None

    def keep(self, programme_id: ProgrammeId, roster: Roster) -> None:
        """Remember the newest roster of a programme, and forget those that were not needed for the longest time."""
        self._of_programme[programme_id] = roster
        self._of_programme.move_to_end(programme_id)
        while len(self._of_programme) > 1 and sum(kept.players for kept in self._of_programme.values()) > PLAYERS_MAX:
            self._of_programme.popitem(last=False)


async def current_roster(tx: Tx, *, last: Snapshot | None) -> Roster:
    """Everybody as of the last applied snapshot, from memory or from the rows of players."""
    if last is None:
        return Roster()
    return remembered_roster(tx, programme_id=last.programme_id, snapshot_id=last.id) or await sql.load_roster(
        tx, last.programme_id, last.id
    )


def remembered_roster(tx: Tx, *, programme_id: ProgrammeId, snapshot_id: SnapshotId) -> Roster | None:
    """The roster as of a snapshot, if this process has it."""
    return db.memory(tx, Rosters).find(programme_id, snapshot_id)


def remember_after_commit(tx: Tx, *, programme_id: ProgrammeId, next_roster: Callable[[], Roster]) -> None:
    """Once the transaction is committed, work out the roster that it leaves, and keep it. A rollback leaves the old."""
    rosters = db.memory(tx, Rosters)
    db.after_commit(tx, lambda: rosters.keep(programme_id, next_roster()))
