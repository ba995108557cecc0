"""What races tell, and what they ask of themselves."""

from dataclasses import dataclass
from uuid import UUID

from palio.kernel.messages import Event, Job


@dataclass(frozen=True, slots=True)
class RaceStartPictureChosen(Event):
    race: UUID
    seq: int


@dataclass(frozen=True, slots=True)
class RaceStandingsChanged(Event):
    race: UUID
    seq: int


@dataclass(frozen=True, slots=True)
class RaceLeaderChanged(Event):
    race: UUID
    entrant: int


@dataclass(frozen=True, slots=True)
class RaceCompleted(Event):
    race: UUID
    period_key: str | None


@dataclass(frozen=True, slots=True)
class RaceHeld(Event):
    race: UUID
    player: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class OnSnapshot(Job):
    """Bring the open races of a programme up to its newest snapshot."""

    programme: UUID


@dataclass(frozen=True, slots=True)
class TickRaces(Job):
    """Find the races in which something is due."""


@dataclass(frozen=True, slots=True)
class SettleRace(Job):
    """Do the due steps of one race."""

    number: int
