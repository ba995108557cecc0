"""What differs: between two lists of players, and between what is known and what a doubted list would make of it."""

from collections.abc import Mapping

from palio.affiliates.rules.changes import Difference
from palio.affiliates.rules.roster import Roster
from palio.affiliates.types import (
    UNKNOWN,
    Contrast,
    Foreseen,
    ForeseenKind,
    ForeseenRow,
    Mark,
    Micro,
    Reading,
    ReadingChange,
    Snapshot,
)


def contrast(before: Mapping[str, Reading], after: Mapping[str, Reading], *, most: int) -> Contrast:
    """How two lists differ, with at most so many rows: the largest difference of the all-time wager first."""
    rows = list[ReadingChange]()
    for uid in {**before, **after}:
        old, new = before.get(uid), after.get(uid)
        if old is None or new is None or old[1:6] != new[1:6]:
            rows.append(ReadingChange(uid, _name(new) or _name(old), old, new))
    rows.sort(key=lambda row: (-abs(row.delta), row.uid))
    appeared, gone = len(after.keys() - before.keys()), len(before.keys() - after.keys())
    changed = len(rows) - appeared - gone
    return Contrast(
        tuple(rows[:most]),
        appeared=appeared,
        gone=gone,
        changed=changed,
        same=len(before) - gone - changed,
        delta=sum(row.delta for row in rows),
    )


def _name(reading: Reading | None) -> str | None:
    return reading.name if reading else None


def foreseen(snapshot: Snapshot, difference: Difference, roster: Roster, *, most: int) -> Foreseen:
    """What applying a snapshot does, with at most so many rows: the largest change first."""
    rows = [
        ForeseenRow(
            change.reading.uid,
            change.reading.name,
            change.kind or "described",
            _known(change.before),
            _known(change.before) if change.reading.all_time is None else change.reading.all_time,
            change.delta,
        )
        for change in difference.all()
    ]
    held = {reading.uid: reading for reading in difference.jumps}
    uids = {no: uid for uid, no in roster.numbers.items() if no in difference.marks or uid in held}
    numbers = {uid: no for no, uid in uids.items()}
    rows += [_row(roster, numbers[uid], uid, "held", reading.all_time) for uid, reading in held.items()]
    kinds: dict[Mark, ForeseenKind] = {Mark.STALE: "vanished", Mark.LISTED: "returned"}
    for no, mark in difference.marks.items():
        if mark in kinds:
            rows.append(_row(roster, no, uids[no], kinds[mark], roster.columns.all_time_of(no)))
    rows.sort(key=lambda row: (-abs(row.delta), row.kind, row.uid))
    return Foreseen(snapshot, tuple(rows[:most]), len(rows))


def _row(roster: Roster, no: int, uid: str, kind: ForeseenKind, after: Micro | None) -> ForeseenRow:
    return ForeseenRow(uid, roster.names[no], kind, roster.columns.all_time_of(no), after, 0)


def _known(micro: int) -> Micro | None:
    return None if micro == UNKNOWN else micro
