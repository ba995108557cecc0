"""Rehearsals: a file of timed control calls, and what a person should see of the product meanwhile."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from palio.sim.refusals import SimRefusal
from palio.sim.shaping import shaped

FOLDER = Path(__file__).parent / "data/scenarios"
Call = Callable[[str, str, Mapping[str, object]], None]


@dataclass(frozen=True, slots=True)
class Step:
    """A control call so many seconds after the beginning; `method` and `path` are those of the control API."""

    after_s: int
    says: str
    path: str
    method: str = "POST"
    members: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a person should see so many seconds after the beginning."""

    after_s: int
    says: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """A rehearsal as its file has it."""

    name: str
    title: str
    steps: tuple[Step, ...]
    shows: tuple[Sight, ...]

    @property
    def lasts(self) -> timedelta:
        """How long it takes until the last of it is to be seen."""
        return timedelta(seconds=max([one.after_s for one in self.steps] + [one.after_s for one in self.shows]))


def names() -> list[str]:
    """All there are."""
    return sorted(file.stem for file in FOLDER.glob("*.json"))


def scenario(name: str) -> Scenario:
    """The rehearsal of this name. Refuses one that does not exist."""
    if name not in names():
        raise SimRefusal(f"there is no scenario {name}: {', '.join(names())}")
    return shaped(Scenario, json.loads((FOLDER / f"{name}.json").read_bytes()))


@dataclass(slots=True)
class Rehearsal:
    """A scenario that is on: `catch_up` does what has come due, whether an hour passed by itself or in one leap."""

    scenario: Scenario
    began_at: datetime
    done: int = 0

    def catch_up(self, now: datetime, call: Call) -> None:
        """Do what is due and was not done."""
        while self.done < len(self.scenario.steps) and self._at(self.scenario.steps[self.done]) <= now:
            step = self.scenario.steps[self.done]
            self.done += 1
            call(step.method, step.path, step.members)

    def said(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, Step | Sight]]:
        """What happens and what is to be seen after one instant and not after another, in order of time."""
        lines: list[Step | Sight] = [*self.scenario.steps, *self.scenario.shows]
        lines.sort(key=self._at)
        return ((self._at(line), line) for line in lines if since < self._at(line) <= until)

    def _at(self, line: Step | Sight) -> datetime:
        return self.began_at + timedelta(seconds=line.after_s)

    def kept(self) -> dict[str, object]:
        """What is written down of it."""
        return {"name": self.scenario.name, "began_at": self.began_at.isoformat(), "done": self.done}


def resumed(kept: Mapping[str, object]) -> Rehearsal:
    """A rehearsal that a killed world had begun."""
    return Rehearsal(
        scenario(str(kept["name"])), datetime.fromisoformat(str(kept["began_at"])), json.loads(str(kept["done"]))
    )
