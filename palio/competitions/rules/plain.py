"""Which submissions are so plain that one statement counts them: changes on open lists that this process has met."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from palio.competitions.rules import submitting
from palio.competitions.rules.submitting import Aim
from palio.competitions.types import BoardId, Counted, EntrantId, ListId, ListScore, ProgramScore, Refused, ScoreBoard


@dataclass(slots=True)
class Plain:
    """Some of many submissions, by their places among them, each with its aim and the lists that it counts on."""

    places: list[int] = field(default_factory=list)
    scores: list[ProgramScore] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    lists: list[list[ListId]] = field(default_factory=list)

    def counted(self, entrants: Sequence[EntrantId], scores: Mapping[tuple[int, int], int]) -> dict[int, Counted]:
        """What became of each, by its place: `entrants` in the order of submissions, `scores` by list and entrant."""
        found = {}
        for place, aim, lists, entrant in zip(self.places, self.aims, self.lists, entrants, strict=True):
            told = tuple(
                [
                    ListScore(list_id, entrant, span.key, scores[list_id, entrant])
                    for list_id, span in zip(lists, aim.open, strict=True)
                ]
            )
            found[place] = Counted(told[-1].score, False, told, aim.closed)
        return found


def read(
    items: Sequence[ProgramScore | Refused],
    boards: Mapping[str, ScoreBoard],
    lists: Mapping[tuple[BoardId, str], ListId],
    now: datetime,
) -> Plain:
    """The plain ones of these submissions. What is refused, or told by another operator than a sum, is not plain."""
    found = Plain()
    for place, item in enumerate(items):
        if isinstance(item, Refused) or item.score.competition_id:
            continue
        board = boards.get(item.score.board or "")
        if board is None or board.op != "add":
            continue
        aim = submitting.aim(item.score, board, now)
        if isinstance(aim, Refused):
            continue
        known = [lists.get((board.id, span.key)) for span in aim.open]
        if None not in known:
            found.places.append(place)
            found.scores.append(item)
            found.aims.append(aim)
            found.lists.append(known)  # type: ignore[arg-type]  # none of them is None
    return found
