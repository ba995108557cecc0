"""Players who may not compete any more: their places become free until the end, and not afterwards."""

from datetime import datetime

from palio import identity
from palio.competitions import sql
from palio.competitions.rules import lifecycle
from palio.competitions.service import entering, scores
from palio.competitions.types import StateChange
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
    found = await sql.list_entered_running(tx, user_id, lifecycle.STEERED)
    await sql.lock_gates(tx, found)
    headers = await sql.list_competitions(tx, found)
    ahead = [each for each in headers if each.status == "upcoming"]  # it cannot begin while we hold it
    left = await entering.leave_many(tx, ahead, user_id=user_id, now=now)
    running = {each.id: each for each in headers if each not in ahead}
    entries = await sql.list_entries_in(tx, list(running), user_id)
    decided = [lifecycle.decided_at(running[entry.competition_id], now) for entry in entries]
    changes = [
        StateChange(*entry, "out", f"barred:{new_id()}", at, WHY) for entry, at in zip(entries, decided, strict=True)
    ]
    await scores.set_state_many(tx, changes, now=now)
    return left + len({change.competition_id for change in changes})
