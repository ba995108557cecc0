"""Reading one row: who it is about, and the four numbers."""

import json
from collections.abc import Mapping
from typing import Final

from palio.affiliates.rules.cut import UIDS, usual_row, value_of
from palio.affiliates.rules.mapping import CANONICAL, FeedMapping, Field, values_at
from palio.affiliates.rules.numbers import NotBelievedError, first_of, micro_of, name_of, plain_micro, uid_of
from palio.affiliates.types import MICRO_PER_UNIT, Flag, HeldRow, Micro, Reading

NAMES: Final = ("name", "username", "display_name")
COLUMNS: Final[Mapping[Field, tuple[str, ...]]] = {
    "today": ("today", "daily", "daily_wagered"),
    "week": ("this_week", "weekly", "weekly_wagered"),
    "month": ("this_month", "monthly", "monthly_wagered"),
    "all_time": ("all_time", "total", "total_wagered"),
}
COLUMN_KEYS: Final = frozenset(alias for aliases in COLUMNS.values() for alias in aliases)
ROW_KEYS: Final = COLUMN_KEYS | {*UIDS, *NAMES, "wagered"}
ROW_BYTES_MAX: Final = 4_096
COLUMN_LAG, ALL_TIME_MISSING = int(Flag.COLUMN_LAG), int(Flag.ALL_TIME_MISSING)  # bits of plain integers are fast
NAME_CLEANED, STRANGE_KEYS = int(Flag.NAME_CLEANED), int(Flag.STRANGE_KEYS)


def read_row(number: int, text: bytes, mapping: FeedMapping) -> Reading | HeldRow:
    """The reading in a row, or the row as it is held."""
    if mapping is CANONICAL and (reading := _usual_reading(text)):
        return reading
    uid = None
    try:
        row = _object_of(text)
        uid = uid_of(_found(row, mapping, "uid", UIDS))
        return _reading(uid, row, mapping)
    except NotBelievedError as problem:
        return HeldRow(number, uid, problem.reason, text[:ROW_BYTES_MAX].decode(errors="ignore"))


def _usual_reading(text: bytes) -> Reading | None:
    """The reading of a row in the normal form in which nothing is odd; None leaves it to those who look closer."""
    row = usual_row(text)
    if row is None:
        return None
    wagered = row.wagered
    today, week = plain_micro(bytes(wagered.today)), plain_micro(bytes(wagered.this_week))
    month, all_time = plain_micro(bytes(wagered.this_month)), plain_micro(bytes(wagered.all_time))
    if today is None or week is None or month is None or all_time is None:
        return None
    try:
        uid, (name, was_cleaned) = uid_of(row.uid), name_of(row.name)
    except NotBelievedError:
        return None
    flags = COLUMN_LAG if today > week or week > month or month > all_time else 0
    return Reading(uid, name, today, week, month, all_time, flags | NAME_CLEANED if was_cleaned else flags)


def _object_of(text: bytes) -> Mapping[str, object]:
    row = value_of(text)
    if not isinstance(row, dict):
        raise NotBelievedError("not_object")
    return row


def _found(row: Mapping[str, object], mapping: FeedMapping, field: Field, aliases: tuple[str, ...]) -> object:
    path = mapping.paths.get(field)
    return next(values_at(row, path), None) if path else first_of(row, aliases)


def _reading(uid: str, row: Mapping[str, object], mapping: FeedMapping) -> Reading:
    name, was_cleaned = name_of(_found(row, mapping, "name", NAMES))
    today, week, month, all_time = _numbers(row, mapping)
    if today is week is month is all_time is None:
        raise NotBelievedError("no_values")
    flags, strange = 0, _strange_keys(row, mapping)
    if _is_above(today, week) or _is_above(week, month) or _is_above(month, all_time):
        flags |= COLUMN_LAG
    if all_time is None:
        flags |= ALL_TIME_MISSING
    if was_cleaned:
        flags |= NAME_CLEANED
    if strange:
        flags |= STRANGE_KEYS
    return Reading(uid, name, today, week, month, all_time, flags, strange)


def _numbers(row: Mapping[str, object], mapping: FeedMapping) -> list[Micro | None]:
    if mapping.paths:
        return [micro_of(_column(row, mapping, field), mapping.units) for field in COLUMNS]
    wagered = _wagered(row)
    return [micro_of(first_of(wagered, aliases), mapping.units) for aliases in COLUMNS.values()]


def _column(row: Mapping[str, object], mapping: FeedMapping, field: Field) -> object:
    path = mapping.paths.get(field)
    return next(values_at(row, path), None) if path else first_of(_wagered(row), COLUMNS[field])


def _wagered(row: Mapping[str, object]) -> Mapping[str, object]:
    wagered = row.get("wagered", row)
    if not isinstance(wagered, dict):
        raise NotBelievedError("missing_wagered")
    return wagered


def _is_above(narrow: Micro | None, wide: Micro | None) -> bool:
    return narrow is not None and wide is not None and narrow > wide


def _strange_keys(row: Mapping[str, object], mapping: FeedMapping) -> tuple[str, ...]:
    """Keys that nobody reads, those inside `wagered` with that word in front."""
    wagered = row.get("wagered")
    inner = wagered.keys() if isinstance(wagered, dict) else frozenset()
    if row.keys() <= ROW_KEYS and inner <= COLUMN_KEYS:
        return ()
    mapped = {".".join(path[:2]) for path in mapping.paths.values()} | {path[0] for path in mapping.paths.values()}
    found = {*(row.keys() - ROW_KEYS), *(f"wagered.{key}" for key in inner - COLUMN_KEYS)}
    return tuple(sorted(found - mapped))


def written(reading: Reading) -> str:
    """A reading as a row of the normal form, which reads back to the same."""
    columns = zip(("today", "this_week", "this_month", "all_time"), reading[2:6], strict=True)
    numbers = ", ".join(f'"{name}": {_unit_text(micro)}' for name, micro in columns if micro is not None)
    name = "" if reading.name is None else f'"name": {json.dumps(reading.name)}, '
    return f'{{"uid": {json.dumps(reading.uid)}, {name}"wagered": {{{numbers}}}}}'


def _unit_text(micro: int) -> str:
    units, rest = divmod(micro, MICRO_PER_UNIT)
    return f"{units}.{rest:06}"
