"""What races tell, and what they ask of themselves."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.kernel.messages import Event, Job
from palio.kernel.topics import LiveType, Topic


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


@dataclass(frozen=True, slots=True)
class RaceFigures:
    """As of which snapshot a race was counted, how many scores changed, and which entrant leads."""

    seq: int
    as_of: datetime
    changed: int
    leader: int | None


@dataclass(frozen=True, slots=True)
class RaceStage:
    """Where a race stands: its competition, its number, and the status and phase it is in."""

    race: UUID
    number: int
    status: str
    phase: str | None = None


_RACE = "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44"
RACE_UPDATED = LiveType(
    "race.updated",
    "The totals of a race were counted again.",
    RaceFigures,
    {"seq": 412, "as_of": "2026-03-18T14:05:09.123456Z", "changed": 3, "leader": 17},
)
RACE_STATUS_CHANGED = LiveType(
    "race.status_changed",
    "A race was published, began, ended or waits for something else than before.",
    RaceStage,
    {"race": _RACE, "number": 12, "status": "live", "phase": None},
)
RACE_COMPLETED = LiveType(
    "race.completed",
    "A race is over and its prizes are paid.",
    RaceStage,
    {"race": _RACE, "number": 12, "status": "completed"},
)
TOPICS = (
    Topic("races", "Races come up, begin and end.", (RACE_STATUS_CHANGED, RACE_COMPLETED)),
    Topic("race:{id}", "One race, by its competition.", (RACE_UPDATED, RACE_STATUS_CHANGED, RACE_COMPLETED)),
)
