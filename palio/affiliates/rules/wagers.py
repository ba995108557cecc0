"""What everybody has wagered in the periods that are on: the counters now, and those when each period began."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from palio.affiliates.rules.changes import Change
from palio.affiliates.rules.periods import period_at
from palio.affiliates.types import UNKNOWN, Period, PeriodKind, Snapshot, SnapshotId, Source

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
DATED: Final[tuple[PeriodKind, ...]] = ("D", "W", "M")


class Moves(NamedTuple):
    """Whose numbers one snapshot changed, as columns; what it did not say is UNKNOWN."""

    numbers: Sequence[int]
    today: Sequence[int]
    week: Sequence[int]
    month: Sequence[int]
    all_time: Sequence[int]
    deltas: Sequence[int]

    @classmethod
    def of(cls, changes: Sequence[Change]) -> "Moves":
        """The same as the tables hold it."""
        rows = [
            (change.no, *(UNKNOWN if value is None else value for value in change.reading[2:6]), change.delta)
            for change in changes
            if change.kind
        ]
        return cls(*map(list, zip(*rows, strict=True))) if rows else NO_MOVES


NO_MOVES: Final = Moves((), (), (), (), (), ())


class Step(NamedTuple):
    """One applied snapshot after another."""

    seq: int
    snapshot_id: SnapshotId
    fetched_at: datetime
    as_of: datetime
    moves: Moves


def step_of(snapshot: Snapshot, changes: Sequence[Change]) -> Step:
    """What a snapshot that is applied right now changes."""
    return Step(snapshot.seq or 0, snapshot.id, snapshot.fetched_at, snapshot.as_of, Moves.of(changes))


@dataclass(frozen=True, slots=True)
class Wagers:
    """The numbers of a programme as of one snapshot, by player number. `value_at` is when one of them last changed.

    An opening is the last counter before a period began; of whom it is not known, the first one that was, less what
    had been counted of it. So a total is the difference of two counters, and equals the sum of the changes.
    """

    seq: int
    snapshot_id: SnapshotId
    fetched_at: datetime
    as_of: datetime
    began_at: datetime  # when the programme was read for the first time
    today: "array[int]"
    week: "array[int]"
    month: "array[int]"
    all_time: "array[int]"
    value_at: "array[int]"  # microseconds since 1970
    openings: Mapping[PeriodKind, "array[int]"]

    def __len__(self) -> int:
        return len(self.all_time)

    @property
    def periods(self) -> dict[PeriodKind, Period]:
        """The day, week and month of the snapshot."""
        return {kind: period_at(kind, self.fetched_at) for kind in (*DATED, "ALL")}

    def column(self, kind: PeriodKind) -> "array[int]":
        """What the provider says of a kind of period."""
        return {"D": self.today, "W": self.week, "M": self.month, "ALL": self.all_time}[kind]

    def scores(self, kind: PeriodKind, source: Source) -> list[int]:
        """Everybody's total by number; what is not known is nothing."""
        if source == "reported" or kind == "ALL":
            return [0 if value == UNKNOWN else value for value in self.column(kind)]
        return [now - then for now, then in zip(self.all_time, self.openings[kind], strict=True)]

    def scores_of(self, numbers: Sequence[int], kind: PeriodKind, source: Source) -> list[int]:
        """The totals of some players."""
        column = self.column(kind)
        if source == "reported" or kind == "ALL":
            return [0 if column[no] == UNKNOWN else column[no] for no in numbers]
        all_time, opening = self.all_time, self.openings[kind]
        return [all_time[no] - opening[no] for no in numbers]

    def total(self, kind: PeriodKind, source: Source) -> int:
        """What all totals add up to."""
        if source == "reported" or kind == "ALL":
            column = self.column(kind)
            return sum(column) - UNKNOWN * column.count(UNKNOWN)
        return sum(self.all_time) - sum(self.openings[kind])


def advanced(wagers: Wagers, step: Step) -> Wagers:
    """The numbers as the next snapshot leaves them. A period that has begun meanwhile opens with what was known."""
    players = max((no + 1 for no in step.moves.numbers), default=0)
    periods, following = wagers.periods, {kind: period_at(kind, step.fetched_at) for kind in DATED}
    openings = {
        kind: grown(wagers.openings[kind] if periods[kind] == following[kind] else wagers.all_time, players)
        for kind in DATED
    }
    today, week, month = (grown(column, players) for column in (wagers.today, wagers.week, wagers.month))
    all_time, value_at = grown(wagers.all_time, players), grown(wagers.value_at, players)
    columns, at = (today, week, month, all_time), microseconds(step.fetched_at)
    for no, *values, delta in zip(*step.moves, strict=True):
        value_at[no] = at
        for column, value in zip(columns, values, strict=True):
            if value != UNKNOWN:
                column[no] = value
        if values[-1] != UNKNOWN:
            for opening in openings.values():
                if opening[no] == UNKNOWN:
                    opening[no] = all_time[no] - delta
    return Wagers(
        seq=step.seq,
        snapshot_id=step.snapshot_id,
        fetched_at=step.fetched_at,
        as_of=step.as_of,
        began_at=wagers.began_at,
        today=today,
        week=week,
        month=month,
        all_time=all_time,
        value_at=value_at,
        openings=openings,
    )


def grown(column: "array[int]", players: int) -> "array[int]":
    """A copy with room for so many; of whom nothing is known yet."""
    copy = column[:]
    copy.extend([UNKNOWN] * (players - len(copy)))
    return copy


def opened(wagers: Wagers, openings: Mapping[PeriodKind, "array[int]"]) -> Wagers:
    """With what the counters said when the periods began."""
    return replace(wagers, openings=openings)


def microseconds(at: datetime) -> int:
    """An instant as a number that can stand in a column: microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND
