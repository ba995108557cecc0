"""What the feeds tell and are told to do: ids, sequence numbers and public figures."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from palio.affiliates.types import (
    PERMISSION_READ,
    FeedId,
    LinkRequestId,
    Micro,
    PlayerId,
    ProgrammeId,
    RequestState,
    SnapshotId,
    Trigger,
)
from palio.kernel.ids import UserId
from palio.kernel.messages import Event, Job
from palio.kernel.topics import LiveType, Topic


@dataclass(frozen=True, slots=True)
class SnapshotApplied(Event):
    """A programme's numbers are as of this snapshot now."""

    programme_id: ProgrammeId
    snapshot_id: SnapshotId
    seq: int


@dataclass(frozen=True, slots=True)
class WagerCorrected(Event):
    """The `all_time` of these players went down; at most 1,000 in one message."""

    programme_id: ProgrammeId
    snapshot_id: SnapshotId
    seq: int
    player_ids: tuple[PlayerId, ...]


@dataclass(frozen=True, slots=True)
class WagerTotal:
    """What a linked user has wagered in a span: `ALL`, or a month like `M:2025-03`."""

    user_id: UserId
    span: str
    micros: Micro
    as_of: datetime


@dataclass(frozen=True, slots=True)
class WagersAdvanced(Event):
    """Totals of linked users that moved; at most 1,000 in one message."""

    programme_id: ProgrammeId
    totals: tuple[WagerTotal, ...]


@dataclass(frozen=True, slots=True)
class FeedStale(Event):
    """The numbers of a programme are too old to be shown without a warning; told once."""

    programme_id: ProgrammeId
    as_of: datetime


@dataclass(frozen=True, slots=True)
class FeedRecovered(Event):
    """The numbers of a programme are fresh again."""

    programme_id: ProgrammeId
    as_of: datetime


@dataclass(frozen=True, slots=True)
class FeedAuthFailed(Event):
    """A feed does not take our key (401 or 403)."""

    programme_id: ProgrammeId
    feed_id: FeedId
    http_status: int


@dataclass(frozen=True, slots=True)
class LinkRequested(Event):
    """A user says that an external player is his own, and staff have to look."""

    request_id: LinkRequestId
    user_id: UserId
    player_id: PlayerId
    state: RequestState = "pending"


@dataclass(frozen=True, slots=True)
class LinkDecided(Event):
    """A request has got an answer that its user did not give himself; `pending`: he is asked for more."""

    request_id: LinkRequestId
    user_id: UserId
    player_id: PlayerId
    state: RequestState


@dataclass(frozen=True, slots=True)
class AccountLinked(Event):
    """An external player belongs to a user from now on."""

    user_id: UserId
    player_id: PlayerId
    programme_id: ProgrammeId


@dataclass(frozen=True, slots=True)
class AccountUnlinked(Event):
    """An external player belongs to a user no longer."""

    user_id: UserId
    player_id: PlayerId
    programme_id: ProgrammeId


@dataclass(frozen=True, slots=True)
class TickFeeds(Job):
    """See which feeds are due."""


@dataclass(frozen=True, slots=True)
class WatchStaleness(Job):
    """See whose numbers have become too old, or are fresh again."""


@dataclass(frozen=True, slots=True)
class ClosePeriods(Job):
    """See which days, weeks and months are over."""


@dataclass(frozen=True, slots=True)
class ExpireRequests(Job):
    """End requests that have waited too long, and give back those that somebody took and left."""


@dataclass(frozen=True, slots=True)
class ApproveByCode(Job):
    """Approve a request whose player has shown its code."""

    request_id: LinkRequestId


@dataclass(frozen=True, slots=True)
class TakePushed(Job):
    """Judge and apply a list that a provider has sent by itself; it is as of when it came."""

    feed_id: FeedId
    payload_id: UUID
    received_at: datetime


@dataclass(frozen=True, slots=True)
class FetchFeed(Job):
    """Read a feed for one instant it was due at."""

    feed_id: FeedId
    due_at: datetime
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class FeedFigures:
    """Of which programme, the newest snapshot that counts and as of when; `changed` players have other numbers."""

    programme: UUID
    seq: int
    as_of: datetime
    changed: int | None = None


@dataclass(frozen=True, slots=True)
class FeedStep:
    """How far a reading of a feed is: `began`, `asked`, or the state in which it ended."""

    feed: UUID
    cycle: UUID
    due_at: datetime
    step: str


_FIGURES = {"seq": 412, "as_of": "2026-03-18T14:05:09.123456Z"}
_PROGRAMME = {"programme": "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e44"}
FEED_UPDATED = LiveType(
    "feed.updated",
    "A programme has new numbers, or they are fresh again.",
    FeedFigures,
    _PROGRAMME | _FIGURES | {"changed": 3},
)
FEED_STALE = LiveType("feed.stale", "The numbers of a programme are too old.", FeedFigures, _PROGRAMME | _FIGURES)
FEED_STEP = LiveType(
    "feed.step",
    "A reading of a feed began, an exchange with its provider is over, or the reading ended as its step says.",
    FeedStep,
    {
        "feed": "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e45",
        "cycle": "0198a4f2-6a3c-7b1e-9c52-6f0a3b1d8e46",
        "due_at": "2026-03-18T14:05:00.000000Z",
        "step": "asked",
    },
)
TOPICS = (
    Topic("feed", "The feeds of all programmes.", (FEED_UPDATED, FEED_STALE)),
    Topic("console:feeds", "How readings of feeds go.", (FEED_STEP,), is_log=True, access=PERMISSION_READ.name),
)
