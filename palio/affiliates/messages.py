"""What the feeds tell: ids, sequence numbers and public figures."""

from dataclasses import dataclass
from datetime import datetime

from palio.affiliates.types import Micro, PlayerId, ProgrammeId, SnapshotId
from palio.kernel.ids import UserId
from palio.kernel.messages import Event


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
