"""Everybody of a programme as of one snapshot: columns of plain integers, in which a player's place is his number."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from palio.affiliates.rules.payload import Known
from palio.affiliates.types import UNKNOWN, FeedId, Mark, Micro, SnapshotId

NUMBER_BYTES: Final = 8
NUMBER_COLUMNS: Final = 4
PLAYER_BYTES: Final = NUMBER_COLUMNS * NUMBER_BYTES + 1


def _numbers() -> "array[int]":
    return array("q")


@dataclass(frozen=True, slots=True)
class Columns:
    """The four numbers of every player, and whether the snapshot showed him. This is what a picture keeps."""

    all_time: "array[int]" = field(default_factory=_numbers)
    today: "array[int]" = field(default_factory=_numbers)
    week: "array[int]" = field(default_factory=_numbers)
    month: "array[int]" = field(default_factory=_numbers)
    marks: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self.marks)

    def copy(self) -> "Columns":
        """The same numbers, to be changed."""
        return Columns(self.all_time[:], self.today[:], self.week[:], self.month[:], self.marks[:])

    def grow(self, players: int) -> None:
        """Make room for players of whom nothing is known yet."""
        more = players - len(self)
        for column in (self.all_time, self.today, self.week, self.month):
            column.extend([UNKNOWN] * more)
        self.marks.extend(bytes(more))

    def put(self, no: int, values: Iterable[int | None]) -> None:
        """Set today, week, month and all time where they are known; what is not keeps its last known value."""
        for column, value in zip((self.today, self.week, self.month, self.all_time), values, strict=True):
            if value is not None:
                column[no] = value

    def all_time_of(self, no: int) -> Micro | None:
        """A player's last known total."""
        return None if self.all_time[no] == UNKNOWN else self.all_time[no]

    def knows(self, name: str) -> bool:
        """Is anything known in this column?"""
        columns = {"all_time": self.all_time, "today": self.today, "week": self.week, "month": self.month}
        return columns[name].count(UNKNOWN) < len(self)

    def to_bytes(self) -> bytes:
        """all_time, today, week, month as int64, little end first, then the marks, a byte each."""
        columns = (self.all_time, self.today, self.week, self.month)
        return b"".join([*(column.tobytes() for column in columns), self.marks])

    @classmethod
    def from_bytes(cls, data: bytes) -> "Columns":
        """The columns of a picture."""
        size = len(data) // PLAYER_BYTES * NUMBER_BYTES
        all_time, today, week, month = (
            array("q", data[place * size : (place + 1) * size]) for place in range(NUMBER_COLUMNS)
        )
        return cls(all_time, today, week, month, bytearray(data[NUMBER_COLUMNS * size :]))


@dataclass(frozen=True, slots=True)
class Roster:
    """What is known of a programme's players as of one applied snapshot.

    `known` are the rows that this snapshot settled, as the mapping of `source` read them: a row that comes again says
    nothing new. It is empty after a restart, which costs time and changes no result.
    """

    snapshot_id: SnapshotId | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)
    names: Sequence[str | None] = ()
    flags: Sequence[int] = ()
    columns: Columns = field(default_factory=Columns)
    unlisted: AbstractSet[str] = frozenset()  # whoever is marked stale or quarantined
    source: tuple[FeedId, int] | None = None
    known: Known = field(default_factory=Known, repr=False)

    @property
    def players(self) -> int:
        return len(self.columns)

    @property
    def not_stale(self) -> int:
        return self.players - self.columns.marks.count(Mark.STALE)

    @property
    def with_wagers(self) -> int:
        """How many have an all-time total that is known and not 0."""
        return self.players - self.columns.all_time.count(0) - self.columns.all_time.count(UNKNOWN)
