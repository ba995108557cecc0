"""What competitions tell: ids, codes and public figures."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.kernel.messages import Event, Job
from palio.kernel.topics import LiveType, Topic


@dataclass(frozen=True, slots=True)
class CompetitionPublished(Event):
    competition: UUID
    product: str
    subject_ref: str | None
    period_key: str | None


@dataclass(frozen=True, slots=True)
class CompetitionWentLive(Event):
    competition: UUID
    product: str
    subject_ref: str | None
    period_key: str | None


@dataclass(frozen=True, slots=True)
class CompetitionEndingSoon(Event):
    """It ends within `hours`: told a day and an hour before each end, once each; the hour alone if both have passed."""

    competition: UUID
    product: str
    subject_ref: str | None
    period_key: str | None
    hours: int


@dataclass(frozen=True, slots=True)
class CompetitionFrozen(Event):
    competition: UUID
    product: str
    subject_ref: str | None
    period_key: str | None


@dataclass(frozen=True, slots=True)
class CompetitionCompleted(Event):
    competition: UUID
    product: str
    subject_ref: str | None
    period_key: str | None


@dataclass(frozen=True, slots=True)
class CompetitionCancelled(Event):
    competition: UUID
    product: str
    subject_ref: str | None
    period_key: str | None


@dataclass(frozen=True, slots=True)
class RewardPaid(Event):
    competition: UUID
    entrant: int
    user: UUID
    rank: int
    asset: str
    amount: int


@dataclass(frozen=True, slots=True)
class RewardUnclaimed(Event):
    competition: UUID
    entrant: int
    user: None
    rank: int
    asset: str
    amount: int


@dataclass(frozen=True, slots=True)
class RankChanged(Event):
    """A player's rank is news to him; None is below the line, or out of the ranking."""

    competition: UUID
    product: str
    subject_ref: str | None
    entrant: int
    user: UUID
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class PoolChanged(Event):
    """A pool has become larger or smaller."""

    competition: UUID


@dataclass(frozen=True, slots=True)
class AppealDecided(Event):
    appeal: UUID
    user: UUID
    state: str


@dataclass(frozen=True, slots=True)
class TellPool(Job):
    """Tell others that a pool has changed; what changes it meanwhile is told with it."""

    competition: UUID


@dataclass(frozen=True, slots=True)
class TakeSnapshots(Job):
    """Keep the first of each live list, to compare with."""


@dataclass(frozen=True, slots=True)
class WatchRanks(Job):
    """Tell players whose rank has changed."""


@dataclass(frozen=True, slots=True)
class ExpireRewards(Job):
    """Send prizes back that nobody claimed in time."""


@dataclass(frozen=True, slots=True)
class EnsureSeries(Job):
    """Make what the series lack."""


@dataclass(frozen=True, slots=True)
class TickCompetitions(Job):
    """See which competitions have a step to do."""


@dataclass(frozen=True, slots=True)
class AdvanceCompetition(Job):
    """Do the due steps of one competition."""

    competition: UUID


@dataclass(frozen=True, slots=True)
class ReturnContributions(Job):
    """Give back what is left in the pool of a cancelled competition."""

    competition: UUID


@dataclass(frozen=True, slots=True)
class ArchiveCompetitions(Job):
    """Let what has been over for long stand in the archive alone."""


@dataclass(frozen=True, slots=True)
class CloseLists(Job):
    """Make lists final whose time for late scores is over."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How many scores have changed since the last event."""

    changed: int


@dataclass(frozen=True, slots=True)
class BoardFigures(Changes):
    """Boards of wagers also say which snapshot they show, and as of when."""

    seq: int | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a competition stands; `version` rises with every change of it."""

    status: str
    phase: str | None
    version: int


COMPETITION_UPDATED = LiveType("competition.updated", "Scores of a competition have changed.", Changes, {"changed": 3})
COMPETITION_STATUS_CHANGED = LiveType(
    "competition.status_changed",
    "A competition has another status, phase or end.",
    Stage,
    {"status": "live", "phase": None, "version": 4},
)
COMPETITION_COMPLETED = LiveType(
    "competition.completed",
    "A competition is over and its prizes are paid.",
    Stage,
    {"status": "completed", "phase": None, "version": 9},
)
LEADERBOARD_UPDATED = LiveType(
    "leaderboard.updated", "Scores on a board of everybody have changed.", BoardFigures, {"changed": 3}
)
TOPICS = (
    Topic(
        "competition:{id}",
        "One competition.",
        (COMPETITION_UPDATED, COMPETITION_STATUS_CHANGED, COMPETITION_COMPLETED),
    ),
    Topic("board:{code}:{period}", "A board of everybody, by its code and kind of period.", (LEADERBOARD_UPDATED,)),
    Topic("list:{number}", "One list: a competition's own, or one period of a board.", (LEADERBOARD_UPDATED,)),
    Topic("board:wager:{code}:{period}", "The wagers of a programme, by its code.", (LEADERBOARD_UPDATED,)),
)
