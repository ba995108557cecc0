"""What lies between two pictures: a total is a difference of two `all_time` readings, never a sum of columns."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from palio.affiliates.types import PlayerId, ReadingAt, SnapshotId, WagerChange
from palio.races.types import Baseline, BaselineKind, Pair, Plan, Wager


def exceptions_of(start: Iterable[ReadingAt], snapshot_id: SnapshotId) -> Iterator[Baseline]:
    """The players of a start picture whose baseline is not simply their value in it."""
    for reading in start:
        if reading.all_time_micro is None or reading.kind in ("quarantined", "unknown"):
            yield Baseline(reading.player_id, None, "unknown", snapshot_id)
        elif reading.kind == "stale":
            yield Baseline(reading.player_id, reading.all_time_micro, "last_known", snapshot_id)


def plan(
    changes: Sequence[WagerChange],
    *,
    scored: Collection[PlayerId],
    start: Mapping[PlayerId, ReadingAt],
    exceptions: Mapping[PlayerId, Baseline],
    joined: Collection[PlayerId],
) -> Plan:
    """What changes, in order of their snapshots, mean for one race.

    `scored` are the players who have a score already: for them a change counts as it is. The others enter when they
    are first above their baseline, with everything since it; `start` and `exceptions` hold their baselines as far as
    there are any. All counts of those who `joined` during the race; whoever else is without a baseline begins at his
    first reading.
    """
    wagers: list[Wager] = []
    entering: dict[PlayerId, None] = {}
    found: dict[PlayerId, Baseline] = {}
    for change in changes:
        player_id = change.player_id
        if player_id in scored or player_id in entering:
            before: int = change.after_micro if change.before_micro is None else change.before_micro
        else:
            baseline = found.get(player_id) or _baseline(change, start, exceptions, joined)
            if baseline.kind in ("zero", "first_seen") and exceptions.get(player_id) != baseline:
                found[player_id] = baseline
            before = baseline.value_micro or 0
            if change.after_micro <= before:
                continue
            entering[player_id] = None
        if change.after_micro != before:
            wagers.append(Wager(player_id, change.seq, change.snapshot_id, change.at, before, change.after_micro))
    return Plan(tuple(wagers), tuple(entering), tuple(found.values()))


def _baseline(
    change: WagerChange,
    start: Mapping[PlayerId, ReadingAt],
    exceptions: Mapping[PlayerId, Baseline],
    joined: Collection[PlayerId],
) -> Baseline:
    stored, reading = exceptions.get(change.player_id), start.get(change.player_id)
    if stored and stored.value_micro is not None:
        return stored
    if stored is None and change.player_id in joined:
        return Baseline(change.player_id, 0, "zero", change.snapshot_id)
    if stored is None and reading and reading.all_time_micro is not None:
        return Baseline(change.player_id, reading.all_time_micro, "picture", change.snapshot_id)
    return Baseline(change.player_id, change.after_micro, "first_seen", change.snapshot_id)


def recompute(
    start: Mapping[PlayerId, ReadingAt],
    final: Mapping[PlayerId, ReadingAt],
    exceptions: Mapping[PlayerId, Baseline],
) -> dict[PlayerId, int]:
    """Every total anew from the two pictures, in micro-units, without looking at what was submitted."""
    totals = {}
    for player_id, reading in final.items():
        before = _value_at_start(player_id, start, exceptions)
        if before is not None and reading.all_time_micro is not None:
            totals[player_id] = reading.all_time_micro - before
    return totals


def baseline_of(
    player_id: PlayerId, start: Mapping[PlayerId, ReadingAt], exceptions: Mapping[PlayerId, Baseline]
) -> tuple[BaselineKind, int | None]:
    """Where a total begins, and why there; unknown for whom neither picture nor exception names."""
    if exception := exceptions.get(player_id):
        return exception.kind, exception.value_micro
    reading = start.get(player_id)
    return ("picture", reading.all_time_micro) if reading else ("unknown", None)


def _value_at_start(
    player_id: PlayerId, start: Mapping[PlayerId, ReadingAt], exceptions: Mapping[PlayerId, Baseline]
) -> int | None:
    if exception := exceptions.get(player_id):
        return exception.value_micro
    reading = start.get(player_id)
    return reading.all_time_micro if reading else None


def differences(recomputed: Mapping[PlayerId, int], submitted: Mapping[PlayerId, int]) -> dict[PlayerId, Pair]:
    """Where scores differ from the recomputed totals; whoever never was above his baseline has no score."""
    expected = {player_id: total for player_id, total in recomputed.items() if total > 0 or player_id in submitted}
    players = expected.keys() | submitted.keys()
    found = {player_id: Pair(submitted.get(player_id, 0), expected.get(player_id, 0)) for player_id in players}
    return {player_id: pair for player_id, pair in found.items() if pair.submitted != pair.recomputed}


def ranks_of(totals: Sequence[int], min_wager_micro: int) -> list[int | None]:
    """The shown rank of each total, in ranking order: equal totals share one, below the line there is none."""
    ranks: list[int | None] = []
    for place, total in enumerate(totals, 1):
        if total <= 0 or total < min_wager_micro:
            ranks.append(None)
        else:
            ranks.append(ranks[-1] if place > 1 and total == totals[place - 2] else place)
    return ranks


def baselines_digest(start: Iterable[ReadingAt], exceptions: Mapping[PlayerId, Baseline]) -> str:
    """SHA-256 in hex over the lines `uid|kind|value` of the start picture, by uid, then of those who came later."""
    lines = [f"{reading.uid}|{reading.kind}|{reading.all_time_micro}" for reading in start]
    later = [f"{player_id}|{found.kind}|{found.value_micro}" for player_id, found in exceptions.items()]
    return hashlib.sha256("\n".join([*sorted(lines), *sorted(later)]).encode()).hexdigest()


def is_big(lowered: int, total: int, limit_bps: int) -> bool:
    """Whether corrections took away more than that part of a total."""
    return lowered * 10_000 > total * limit_bps
