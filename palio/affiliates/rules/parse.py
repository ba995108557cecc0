"""Reading a payload: pure, exact, and only of rows whose bytes are new."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Final, TypeAlias

from palio.affiliates.errors import BadContentType, BadEncoding, UpstreamRefused
from palio.affiliates.rules.cut import Opened, cut, may_be_deep, opened, require_shallow, value_of
from palio.affiliates.rules.mapping import CANONICAL, FeedMapping, Field, Path, values_at
from palio.affiliates.rules.numbers import NotBelievedError
from palio.affiliates.rules.rows import COLUMNS, read_row
from palio.affiliates.types import AnomalyCode, Flag, HeldRow, Micro, Parsed, Reading, Totals

JSON_TYPE: Final = re.compile(r"(?:application|text)/json|application/[\w.-]+\+json", re.ASCII)
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
SUCCESSES: Final = frozenset({"success", "ok"})
HEAD: Final[Mapping[Field, Path]] = {
    "upstream_at": ("metadata", "lastUpdated"),
    "total_users": ("metadata", "totalUsers"),
    "total_pages": ("metadata", "totalPages"),
    "root_today": ("today",),
    "root_week": ("this_week",),
}
COUNT_MAX: Final = 2**31 - 1
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECONDS_FROM: Final = 10**11  # a number of seconds up to the year 5138
SPREAD_MIN_MICRO: Final = 10_000  # root totals may differ by a hundredth, or one micro-unit a row
FLAG_ANOMALIES: Final[Mapping[Flag, AnomalyCode]] = {
    Flag.COLUMN_LAG: "column_lag",
    Flag.ALL_TIME_MISSING: "all_time_missing",
    Flag.NAME_CLEANED: "name_cleaned",
    Flag.DUP_CONFLICT: "dup_conflict",
}
_flags = attrgetter("flags")

Known: TypeAlias = Mapping[bytes, Reading]


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the rows of a body say: one reading for each uid, what is held, and what the next body need not parse."""

    readings: dict[str, Reading]
    held: list[HeldRow]
    remembered: dict[bytes, Reading]
    fresh: set[str]


def parse(body: bytes, content_type: str, mapping: FeedMapping = CANONICAL, known: Known | None = None) -> Parsed:
    """What the payload says; the same bytes always give the same answer, whatever rows are known.

    Refuses with BadContentType, BadEncoding, BadJson, ShapeUnknown, UpstreamRefused.
    """
    if not JSON_TYPE.fullmatch(content_type.partition(";")[0].strip().lower()):
        raise BadContentType(content_type=content_type)
    _require_utf8(body)
    whole = opened(body.removeprefix(BYTE_ORDER_MARK))
    _require_success(whole, mapping)
    pieces = cut(whole, mapping.paths.get("rows", ()))
    rows = _read_rows(pieces.rows, known or {}, mapping, pieces.above)
    readings = rows.readings.values()
    flags, totals = Counter(map(_flags, readings)), _totals(readings)
    anomalies: dict[AnomalyCode, int] = {code: _counted(flags, flag) for flag, code in FLAG_ANOMALIES.items()}
    is_mismatch = _differs(_head(whole, mapping, "root_today"), totals.today, len(readings))
    is_mismatch |= _differs(_head(whole, mapping, "root_week"), totals.week, len(readings))
    anomalies["totals_mismatch"] = int(is_mismatch)
    return Parsed(
        shape=pieces.shape,
        readings=rows.readings,
        held=tuple(rows.held),
        totals=totals,
        upstream_at=_instant(_head(whole, mapping, "upstream_at")),
        total_users=_count(_head(whole, mapping, "total_users")),
        total_pages=_count(_head(whole, mapping, "total_pages")),
        anomalies={code: players for code, players in anomalies.items() if players},
        missing_columns=_missing_columns(readings),
        strange_keys=_strange_keys(readings, flags),
        rows=rows.remembered,
        fresh=tuple(sorted(rows.fresh)),
    )


def _require_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError as problem:
        raise BadEncoding(position=problem.start) from None


def _require_success(whole: Opened, mapping: FeedMapping) -> None:
    if "success" in mapping.paths:
        said = _head(whole, mapping, "success")
        if not any(said == good and type(said) is type(good) for good in mapping.success_is):
            raise UpstreamRefused(said=said)
        return
    for name in ("success", "status"):
        said = _member(whole, name)
        if name in whole.members and not (said is True or (name == "status" and _is_fine(said))):
            message = _member(whole, "message")
            raise UpstreamRefused(said=message if isinstance(message, str) else f"{name}: {said}")


def _is_fine(status: object) -> bool:
    return not isinstance(status, str) or status in SUCCESSES


def _member(whole: Opened, name: str) -> object:
    try:
        return value_of(whole.members[name]) if name in whole.members else None
    except NotBelievedError:
        return None


def _head(whole: Opened, mapping: FeedMapping, field: Field) -> object:
    first, *rest = mapping.paths.get(field) or HEAD[field]
    return next(values_at(_member(whole, first), tuple(rest)), None)


def _read_rows(texts: Sequence[bytes], known: Known, mapping: FeedMapping, above: int) -> _Rows:
    """Read the rows that are not known, and settle on one reading for each uid."""
    found = list(map(known.get, texts))
    held: list[HeldRow] = []
    fresh, not_remembered = set[str](), set[bytes]()
    for number, reading in enumerate(found):
        if reading is not None:
            continue
        text = texts[number]
        if may_be_deep(text):  # judged each time: how deep is too deep depends on the shape of the body
            require_shallow(text, above)
            not_remembered.add(text)
        row = read_row(number + 1, text, mapping)
        if isinstance(row, HeldRow):
            held.append(row)
        else:
            found[number] = row
            fresh.add(row.uid)
    accepted = list(filter(None, found))
    readings = {reading.uid: reading for reading in accepted}
    remembered = {text: reading for text, reading in zip(texts, found, strict=True) if reading is not None}
    if len(readings) < len(accepted):
        readings, doubled = _one_of_each(accepted)
        fresh |= doubled
        not_remembered |= {text for text, reading in remembered.items() if reading.uid in doubled}
    for text in not_remembered:
        remembered.pop(text, None)
    return _Rows(readings, held, remembered, fresh)


def _one_of_each(accepted: Sequence[Reading]) -> tuple[dict[str, Reading], set[str]]:
    """Of several rows with one uid that of the larger `all_time`; and who has several."""
    readings, doubled = dict[str, Reading](), set[str]()
    for reading in accepted:
        other = readings.setdefault(reading.uid, reading)
        if other is reading:
            continue
        doubled.add(reading.uid)
        if _numbers(other) != _numbers(reading):
            larger = max(other, reading, key=_known_all_time)
            readings[reading.uid] = larger._replace(flags=larger.flags | Flag.DUP_CONFLICT)
    return readings, doubled


def _numbers(reading: Reading) -> tuple[Micro | None, ...]:
    return (reading.today, reading.week, reading.month, reading.all_time)


def _known_all_time(reading: Reading) -> int:
    return -1 if reading.all_time is None else reading.all_time


def _totals(readings: Iterable[Reading]) -> Totals:
    return Totals(*(sum(filter(None, map(attrgetter(column), readings))) for column in COLUMNS))


def _missing_columns(readings: Collection[Reading]) -> tuple[str, ...]:
    if not readings:
        return ()
    return tuple(name for name in COLUMNS if all(getattr(reading, name) is None for reading in readings))


def _strange_keys(readings: Collection[Reading], flags: Counter[int]) -> tuple[str, ...]:
    """Keys that nobody reads and that stand in more than half of the rows."""
    if _counted(flags, Flag.STRANGE_KEYS) * 2 <= len(readings):
        return ()
    found = Counter(key for reading in readings for key in reading.strange_keys)
    return tuple(sorted(key for key, rows in found.items() if rows * 2 > len(readings)))


def _counted(flags: Counter[int], flag: Flag) -> int:
    return sum(players for bits, players in flags.items() if bits & flag)


def _differs(said: object, total: int, rows: int) -> bool:
    """Does a total of the provider differ by more than a hundredth of a unit, and by more than a micro-unit a row?"""
    if type(said) is int:
        said = Decimal(said)
    if not isinstance(said, Decimal):
        return False
    return abs(said - Decimal(total).scaleb(-6)) > Decimal(max(SPREAD_MIN_MICRO, rows)).scaleb(-6)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= COUNT_MAX else None


def _instant(value: object) -> datetime | None:
    """A time in UTC, from ISO 8601 or a number of seconds or milliseconds; anything else is not known."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            unit = timedelta(milliseconds=1) if value >= MILLISECONDS_FROM else timedelta(seconds=1)
            return EPOCH + int(value) * unit
    except (ValueError, OverflowError):
        return None
    return None
