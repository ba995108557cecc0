"""Players who may not compete any more: their places become free until the end, and not afterwards."""

from datetime import datetime

from palio import identity
from palio.competitions import sql
from palio.competitions.rules import lifecycle
from palio.competitions.service import entering, scores
from palio.competitions.service.lifecycle import lock
from palio.competitions.types import CompetitionId, StateChange
from palio.infra.db import Tx
from palio.kernel.errors import Forbidden
from palio.kernel.ids import UserId, new_id

WHY = "may not compete"


async def leave_out(tx: Tx, *, user_id: UserId, now: datetime) -> int:
    """Take somebody who may not compete (a break, a suspended account) out of what has not ended; answers of how many.

    Before the start he leaves, if he has joined, and has his fee back. While it runs, and until its last scores are in,
    he is out of the ranking, his score and his fee stay where they are, and everybody behind him moves up. What is
    frozen was won before, and is paid. Nobody comes back by himself; staff may reinstate him. Nothing happens if he may
    compete, nor in what its product steers by itself. A repeat is 0.
    """
    [verdict] = await identity.require_play_many(tx, [(user_id, "compete")], now=now)
    if not isinstance(verdict, Forbidden):
        return 0
    left = 0
    for competition_id in await sql.list_entered_running(tx, user_id, lifecycle.STEERED):
        competition = await lock(tx, competition_id=competition_id)
        if competition.status == "upcoming" and now < competition.starts_at:
            left += await _leave(tx, competition_id, user_id, now)
            continue
        at = lifecycle.decided_at(competition, now)
        found = await sql.list_entries_in(tx, competition_id, user_id)
        changes = [StateChange(competition_id, each, "out", f"barred:{new_id()}", at, WHY) for each in found]
        left += bool(await scores.set_state_many(tx, changes, now=now)) if changes else 0
    return left


async def _leave(tx: Tx, competition_id: CompetitionId, user_id: UserId, now: datetime) -> bool:
    known = await entering.participation(tx, competition_id=competition_id, user_id=user_id)
    if known is None or known.state != "active":
        return False
    await entering.leave(tx, competition_id=competition_id, user_id=user_id, now=now)
    return True
