"""Comparing a snapshot with what was known: what it changes about whom, and what is not believed yet."""

from collections.abc import Iterator, Mapping, Sequence, Sized
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from palio.affiliates.rules.payload import Known, Parsed
from palio.affiliates.rules.roster import Roster
from palio.affiliates.types import UNKNOWN, FeedId, Flag, Mark, Reading, SnapshotId, StatsKind

COMING_AND_GOING: Final = int(Flag.COLUMN_LAG | Flag.ALL_TIME_MISSING | Flag.NAME_CLEANED | Flag.DUP_CONFLICT)
FIRST_SEEN_JUMP: Final = int(Flag.FIRST_SEEN_JUMP)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is believed at once, in micro-units; a jump limit of 0 believes everything."""

    jump: int
    first_seen: int


class Change(NamedTuple):
    """What a snapshot changed about one player. `kind` is None when his four numbers stay; `name` is a new one."""

    no: int
    reading: Reading
    kind: StatsKind | None
    before: int
    delta: int
    name: str | None
    flags: int
    flags_before: int

    @property
    def appeared(self) -> int:
        """The flags that he did not have before."""
        return self.flags & ~self.flags_before


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that one snapshot changes. New players have the next numbers, in the order of their uids."""

    new: Sequence[Change] = ()
    changed: Sequence[Change] = ()
    jumps: Sequence[Reading] = ()
    confirmed: Sequence[Change] = ()
    marks: Mapping[int, Mark] = field(default_factory=dict)

    @property
    def corrections(self) -> list[Change]:
        return [change for change in self.changed if change.kind == "correction"]

    @property
    def vanished(self) -> int:
        return sum(mark == Mark.STALE for mark in self.marks.values())

    @property
    def delta(self) -> int:
        return sum(change.delta for change in self.new) + sum(change.delta for change in self.changed)

    def all(self) -> Iterator[Change]:
        """Every change, those of new players first."""
        yield from self.new
        yield from self.changed


def compare(
    parsed: Parsed,
    roster: Roster,
    limits: Limits,
    *,
    is_complete: bool,
    follows_complete: bool,
    reported: Mapping[str, int],
    released: AbstractSet[str] = frozenset(),
) -> Difference:
    """What a payload changes about the players of a programme.

    `is_complete` says that it lists everybody, `follows_complete` that the snapshot before did, so that who is new has
    joined since. `reported` holds, by uid, the values that were too much to be believed at once and are open;
    `released` is whose staff believe.
    """
    newcomers, changed, jumps, confirmed = list[Reading](), list[Change](), list[Reading](), list[Change]()
    for uid in parsed.fresh:
        reading = parsed.readings[uid]
        no = roster.numbers.get(uid)
        if no is None:
            newcomers.append(reading)
            continue
        is_jump = _is_jump(reading, roster.columns.all_time[no], limits)
        if is_jump and uid not in released and not _repeats(reading, reported):
            jumps.append(reading)
            continue
        if change := _change(reading, no, roster):
            changed.append(change)
            confirmed += [change] if is_jump else []
    numbered = enumerate(newcomers, start=roster.players)
    is_beginning = roster.snapshot_id is None
    new = [
        _first_reading(reading, no, limits, joined=follows_complete, is_beginning=is_beginning)
        for no, reading in numbered
    ]
    doubted = {row.uid for row in parsed.held if row.uid is not None} - parsed.readings.keys()
    doubted |= {reading.uid for reading in jumps}
    marks = _marks(parsed, roster, doubted, new=len(new), is_complete=is_complete)
    return Difference(new, changed, jumps, confirmed, marks)


def _is_jump(reading: Reading, before: int, limits: Limits) -> bool:
    is_comparable = limits.jump > 0 and reading.all_time is not None and before != UNKNOWN
    return is_comparable and (reading.all_time or 0) - before > limits.jump


def _repeats(reading: Reading, reported: Mapping[str, int]) -> bool:
    return reading.uid in reported and (reading.all_time or 0) >= reported[reading.uid]


def _change(reading: Reading, no: int, roster: Roster) -> Change | None:
    """What is different about a known player; an unknown column says nothing."""
    columns, all_time = roster.columns, reading.all_time
    before, delta = columns.all_time[no], 0
    kind: StatsKind | None = None
    if all_time is not None and all_time != before:
        delta = all_time - before if before != UNKNOWN else 0
        kind = "first" if before == UNKNOWN else "correction" if delta < 0 else "change"
    elif (
        (reading.today is not None and reading.today != columns.today[no])
        or (reading.week is not None and reading.week != columns.week[no])
        or (reading.month is not None and reading.month != columns.month[no])
    ):
        kind = "columns_only"
    name = reading.name if reading.name != roster.names[no] else None
    flags_before = roster.flags[no]
    flags = reading.flags & COMING_AND_GOING | flags_before & FIRST_SEEN_JUMP
    if kind is None and name is None and flags == flags_before:
        return None
    return Change(no, reading, kind, before, delta, name, flags, flags_before)


def _first_reading(reading: Reading, no: int, limits: Limits, *, joined: bool, is_beginning: bool) -> Change:
    """A new player's wager counts from his first reading, or from 0 when he cannot have been there before.

    Much of it is odd, unless this is the first that is heard of the programme.
    """
    all_time = reading.all_time or 0
    flags = reading.flags & COMING_AND_GOING
    if all_time > limits.first_seen and not is_beginning:
        flags |= FIRST_SEEN_JUMP
    delta = all_time if joined and all_time <= limits.first_seen else 0
    return Change(no, reading, "first", UNKNOWN, delta, reading.name, flags, 0)


def _marks(
    parsed: Parsed, roster: Roster, doubted: AbstractSet[str], *, new: int, is_complete: bool
) -> dict[int, Mark]:
    """Whose mark changes: who came back, whose row is not believed, and who is missing in a complete list."""
    marks = {roster.numbers[uid]: Mark.LISTED for uid in roster.unlisted if uid in parsed.readings}
    if is_complete:
        marks |= {roster.numbers[uid]: Mark.STALE for uid in _missing(parsed, roster, marks, new) - doubted}
    marks |= {roster.numbers[uid]: Mark.QUARANTINED for uid in doubted if uid in roster.numbers}
    return {no: mark for no, mark in marks.items() if mark != roster.columns.marks[no]}


def _missing(parsed: Parsed, roster: Roster, back: Sized, new: int) -> AbstractSet[str]:
    """Who is not in the list. Mostly it is enough to count: whoever was there still is."""
    if len(parsed.readings) - new - len(back) == roster.players - len(roster.unlisted):
        return roster.unlisted - parsed.readings.keys()
    return roster.numbers.keys() - parsed.readings.keys()


def roster_after(
    roster: Roster, snapshot_id: SnapshotId, source: tuple[FeedId, int], parsed: Parsed, difference: Difference
) -> Roster:
    """The players as a snapshot leaves them."""
    players = roster.players + len(difference.new)
    columns = roster.columns.copy()
    columns.grow(players)
    names = [*roster.names, *(change.name for change in difference.new)]
    flags = [*roster.flags, *(change.flags for change in difference.new)]
    for change in difference.all():
        columns.put(change.no, change.reading[2:6])
        names[change.no] = change.name or names[change.no]
        flags[change.no] = change.flags
    for no, mark in difference.marks.items():
        columns.marks[no] = mark
    numbers = roster.numbers
    if difference.new:
        numbers = {**numbers, **{change.reading.uid: change.no for change in difference.new}}
    return replace(
        roster,
        snapshot_id=snapshot_id,
        numbers=numbers,
        names=names,
        flags=flags,
        columns=columns,
        unlisted=_unlisted_after(roster, difference, numbers),
        source=source,
        known=_settled(parsed, difference),
    )


def _unlisted_after(roster: Roster, difference: Difference, numbers: Mapping[str, int]) -> AbstractSet[str]:
    if not difference.marks:
        return roster.unlisted
    moved = {uid: difference.marks[no] for uid, no in numbers.items() if no in difference.marks}
    back = {uid for uid, mark in moved.items() if mark == Mark.LISTED}
    return (roster.unlisted | moved.keys()) - back


def _settled(parsed: Parsed, difference: Difference) -> Known:
    """The rows that need not be looked at again; a row that is not believed yet is looked at each time."""
    if not difference.jumps:
        return parsed.known
    return parsed.known.forgetting({reading.uid for reading in difference.jumps})
