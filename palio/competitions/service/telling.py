"""What the topic of a competition says: that it has moved on, or that its board is to be read again."""

from collections import Counter
from collections.abc import Iterable, Mapping

from palio.competitions.messages import (
    COMPETITION_COMPLETED,
    COMPETITION_STATUS_CHANGED,
    COMPETITION_UPDATED,
    LEADERBOARD_UPDATED,
)
from palio.competitions.types import Competition, CompetitionId, ListId
from palio.infra import realtime
from palio.infra.db import Tx


def moved(tx: Tx, *, competition: Competition) -> None:
    """It has another status, phase or end."""
    kind = COMPETITION_COMPLETED if competition.status == "completed" else COMPETITION_STATUS_CHANGED
    facts = {"status": competition.status, "phase": competition.phase, "version": competition.version}
    realtime.publish(tx, _topic(competition.id), kind, facts)


def changed(tx: Tx, *, competition_ids: Iterable[CompetitionId]) -> None:
    """Scores have changed, each as often as it is named: one notice per competition and batch."""
    for competition_id, times in Counter(competition_ids).items():
        realtime.publish(tx, _topic(competition_id), COMPETITION_UPDATED, {"changed": times})


def listed(tx: Tx, *, changes: Mapping[ListId, int]) -> None:
    """Scores of lists have changed, of a competition or a board of everybody: one notice for each and batch."""
    for list_id, times in changes.items():
        realtime.publish(tx, f"list:{list_id}", LEADERBOARD_UPDATED, {"changed": times})


def ranked(tx: Tx, *, changes: Mapping[tuple[str, str], int]) -> None:
    """Scores on boards of everybody have changed, by board and kind of period: one notice for each and batch."""
    for (code, kind), times in changes.items():
        realtime.publish(tx, f"board:{code}:{kind}", LEADERBOARD_UPDATED, {"changed": times})


def _topic(competition_id: CompetitionId) -> str:
    return f"competition:{competition_id}"
