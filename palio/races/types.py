"""Words of races: totals are integer micro-units, prizes are units of the prize asset."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

StartState: TypeAlias = Literal["waiting", "exact", "late", "chained", "staff"]
FinalState: TypeAlias = Literal["waiting", "exact", "late", "forced"]
Flag: TypeAlias = Literal["stale", "corrected", "held", "adjusted"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored snapshot that opens or closes a race, as everybody sees it; `sha256` is its payload's, in hex."""

    snapshot_id: UUID
    seq: int
    fetched_at: datetime
    as_of: datetime
    sha256: str


@dataclass(frozen=True, slots=True)
class PrizePlaces:
    """What each of the places `first` to `last` pays if everything is occupied, in units of the asset."""

    first: int
    last: int
    amount: int


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One line of the standings as everybody sees it; `prize` is what it would pay now, or pays when frozen."""

    place: int
    rank: int
    entrant_id: int
    name: str
    total_micro: int
    prize: int
    is_qualified: bool
    flags: tuple[Flag, ...] = ()
    reward_status: str | None = None


@dataclass(frozen=True, slots=True)
class RaceView:
    """What the race page shows. `rows` are the first of the board, the qualified ones before the others."""

    competition_id: UUID
    number: int
    title: str
    description: str
    rules_text: str
    programme: str
    status: str
    phase: str | None
    starts_at: datetime
    ends_at: datetime
    asset: str
    pool: int
    min_wager_micro: int
    currency: str
    as_of: datetime | None
    is_stale: bool
    is_provisional: bool
    rows: tuple[BoardRow, ...]
    entrants: int
    qualified: int
    prizes: tuple[PrizePlaces, ...]
    start_state: StartState
    start: Picture | None
    final_state: FinalState
    final: Picture | None
    gap_from: datetime | None
    gap_to: datetime | None
    backdated_reason: str | None
    terms_sha256: str
    standings_sha256: str | None
    undistributed: int
    seq: int
