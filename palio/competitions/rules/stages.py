"""The way from the last score to the last prize, as staff see it: what is done, what is on, and what comes."""

from typing import Final

from palio.competitions.types import Competition, Stage, StageName, StageState

ORDER: Final[tuple[StageName, ...]] = ("evidence", "standings", "allocation", "approved", "paid")


def stages(competition: Competition) -> tuple[Stage, ...]:
    """Its stages in their order; before the end none is on."""
    done = _done(competition)
    is_on = competition.status == "settling"
    return tuple(Stage(name, _state(number, done, is_on=is_on)) for number, name in enumerate(ORDER))


def _done(competition: Competition) -> int:
    """How many of them lie behind."""
    if competition.status in ("completed", "archived"):
        return len(ORDER)
    return {"collecting": 0, "review": 3, "paying": 4}.get(competition.phase or "", 0)


def _state(number: int, done: int, *, is_on: bool) -> StageState:
    if number < done:
        return "done"
    return "on" if is_on and number == done else "ahead"
