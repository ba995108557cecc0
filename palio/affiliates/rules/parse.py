"""Reading a payload: pure, exact, and only of rows whose bytes are new."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import compress
from operator import ne
from typing import Final

from palio.affiliates.errors import BadContentType, BadEncoding, UpstreamRefused
from palio.affiliates.rules.cut import Opened, may_be_deep, require_shallow
from palio.affiliates.rules.mapping import CANONICAL, FeedMapping
from palio.affiliates.rules.pages import (
    BYTE_ORDER_MARK,
    cut_pages,
    head_of,
    is_skewed,
    member_of,
    opened_pages,
    pages_missing,
)
from palio.affiliates.rules.payload import FORGOTTEN, Known, Parsed, Sums
from palio.affiliates.rules.rows import COLUMNS, read_row
from palio.affiliates.types import AnomalyCode, Flag, HeldRow, Micro, Reading

JSON_TYPE: Final = re.compile(r"(?:application|text)/json|application/[\w.-]+\+json", re.ASCII)
SUCCESSES: Final = frozenset({"success", "ok"})
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
NOTHING: Final = Known()


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the rows of a body say: one reading for each uid, what is held, and what the next body need not parse."""

    readings: dict[str, Reading]
    held: list[HeldRow]
    sums: Sums
    fresh: set[str]
    known: Known


def parse(body: bytes, content_type: str, mapping: FeedMapping = CANONICAL, known: Known = NOTHING) -> Parsed:
    """What the payload says; the same bytes always give the same answer, whatever rows are known.

    Refuses with BadContentType, BadEncoding, BadJson, ShapeUnknown, UpstreamRefused.
    """
    if not JSON_TYPE.fullmatch(content_type.partition(";")[0].strip().lower()):
        raise BadContentType(content_type=content_type)
    _require_utf8(body)
    pages = opened_pages(body.removeprefix(BYTE_ORDER_MARK), mapping)
    for page in pages:
        _require_success(page, mapping)
    whole, pieces = pages[0], cut_pages(pages, mapping.paths.get("rows", ()))
    rows = _read_rows(pieces.rows, known, mapping, pieces.above)
    readings, flags, totals = rows.readings.values(), rows.sums.flags, rows.sums.totals
    anomalies: dict[AnomalyCode, int] = {code: _counted(flags, flag) for flag, code in FLAG_ANOMALIES.items()}
    is_mismatch = _differs(head_of(whole, mapping, "root_today"), totals.today, len(readings))
    is_mismatch |= _differs(head_of(whole, mapping, "root_week"), totals.week, len(readings))
    anomalies["totals_mismatch"] = int(is_mismatch)
    anomalies["page_skew"] = int(len(pages) > 1 and is_skewed(pages, mapping))
    return Parsed(
        shape=pieces.shape,
        readings=rows.readings,
        held=tuple(rows.held),
        totals=totals,
        upstream_at=_instant(head_of(whole, mapping, "upstream_at")),
        total_users=_count(head_of(whole, mapping, "total_users")),
        total_pages=_count(pages_missing(pages, mapping)),
        anomalies={code: players for code, players in anomalies.items() if players},
        missing_columns=_missing_columns(readings),
        strange_keys=_strange_keys(readings, flags),
        known=rows.known,
        fresh=tuple(sorted(rows.fresh)),
    )


def _require_utf8(body: bytes) -> None:
    if body.isascii():  # the usual case, for a third of the price
        return
    try:
        body.decode()
    except UnicodeDecodeError as problem:
        raise BadEncoding(position=problem.start) from None


def _require_success(whole: Opened, mapping: FeedMapping) -> None:
    if "success" in mapping.paths:
        said = head_of(whole, mapping, "success")
        if not any(said == good and type(said) is type(good) for good in mapping.success_is):
            raise UpstreamRefused(said=said)
        return
    for name in ("success", "status"):
        said = member_of(whole, name)
        if name in whole.members and not (said is True or (name == "status" and _is_fine(said))):
            message = member_of(whole, "message")
            raise UpstreamRefused(said=message if isinstance(message, str) else f"{name}: {said}")


def _is_fine(status: object) -> bool:
    return not isinstance(status, str) or status in SUCCESSES


def _read_rows(texts: list[bytes], before: Known, mapping: FeedMapping, above: int) -> _Rows:
    """Read the rows that are not known, and settle on one reading for each uid."""
    found, unread, gone = _match(texts, before)
    came, held, forgotten = list[Reading](), list[HeldRow](), set[int]()
    for place in unread:
        text = bytes(texts[place])
        if may_be_deep(text):  # judged each time: how deep is too deep depends on the shape of the body
            require_shallow(text, above)
            forgotten.add(place)
        row = read_row(place + 1, text, mapping)
        if isinstance(row, HeldRow):
            held.append(row)
            forgotten.add(place)
        else:
            found[place] = row
            came.append(row)
    readings, sums = _added_up(before, gone, came, found)
    fresh, settled = {reading.uid for reading in came}, sums
    if len(readings) < sums.rows:
        readings, doubled = _one_of_each(reading for reading in found if reading)
        fresh |= doubled
        forgotten |= {place for place, reading in enumerate(found) if reading and reading.uid in doubled}
        settled = Sums().plus(readings.values())
    for place in forgotten:
        texts[place] = FORGOTTEN
    return _Rows(readings, held, settled, fresh, Known(texts, found, readings, sums))


def _match(texts: Sequence[bytes], before: Known) -> tuple[list[Reading | None], list[int], list[Reading]]:
    """What is known of each row, the places of rows that have to be read, and what rows said that are no more there.

    Most rows stand where they stood, and are compared there; only the others are looked up.
    """
    size, size_before = len(texts), len(before.texts)
    moved = [*compress(range(size), map(ne, texts, before.texts)), *range(size_before, size)]
    left = [*moved[: bisect_left(moved, size_before)], *range(size, size_before)]
    elsewhere = {bytes(before.texts[place]): before.found[place] for place in left}
    elsewhere.pop(FORGOTTEN, None)
    found = [*before.found[:size], *[None] * (size - size_before)]
    for place in moved:
        found[place] = elsewhere.pop(bytes(texts[place]), None)
    gone = [*elsewhere.values(), *(before.found[place] for place in left if before.texts[place] == FORGOTTEN)]
    return found, [place for place in moved if not found[place]], [reading for reading in gone if reading]


def _added_up(
    before: Known, gone: Sequence[Reading], came: Sequence[Reading], found: Iterable[Reading | None]
) -> tuple[dict[str, Reading], Sums]:
    """The readings by uid, fewer than the rows when somebody stands in several, and what all rows add up to.

    Only what is different is counted, unless somebody stood in several rows before.
    """
    if len(before.readings) < before.sums.rows:
        accepted = [reading for reading in found if reading]
        return {reading.uid: reading for reading in accepted}, Sums().plus(accepted)
    readings = dict(before.readings)
    for reading in gone:
        del readings[reading.uid]
    readings.update((reading.uid, reading) for reading in came)
    return readings, before.sums.plus(gone, sign=-1).plus(came)


def _one_of_each(accepted: Iterable[Reading]) -> tuple[dict[str, Reading], set[str]]:
    """Of several rows with one uid that of the larger `all_time`; and who has several."""
    readings, doubled = dict[str, Reading](), set[str]()
    for reading in accepted:
        other = readings.setdefault(reading.uid, reading)
        if other is reading:
            continue
        doubled.add(reading.uid)
        if _numbers(other) != _numbers(reading):
            larger = max(other, reading, key=_known_all_time)
            readings[reading.uid] = larger._replace(flags=larger.flags | int(Flag.DUP_CONFLICT))
    return readings, doubled


def _numbers(reading: Reading) -> tuple[Micro | None, ...]:
    return (reading.today, reading.week, reading.month, reading.all_time)


def _known_all_time(reading: Reading) -> int:
    return -1 if reading.all_time is None else reading.all_time


def _missing_columns(readings: Collection[Reading]) -> tuple[str, ...]:
    if not readings:
        return ()
    return tuple(name for name in COLUMNS if all(getattr(reading, name) is None for reading in readings))


def _strange_keys(readings: Collection[Reading], flags: Mapping[int, int]) -> tuple[str, ...]:
    """Keys that nobody reads and that stand in more than half of the rows."""
    if _counted(flags, Flag.STRANGE_KEYS) * 2 <= len(readings):
        return ()
    found = Counter(key for reading in readings for key in reading.strange_keys)
    return tuple(sorted(key for key, rows in found.items() if rows * 2 > len(readings)))


def _counted(flags: Mapping[int, int], flag: Flag) -> int:
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
