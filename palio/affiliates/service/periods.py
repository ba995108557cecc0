"""Closing days, weeks and months: what everybody wagered in them, worked out once and never again."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from palio.affiliates import rules, sql
from palio.affiliates.rules import MICROSECOND, Columns
from palio.affiliates.service.pictures import columns_at
from palio.affiliates.types import UNKNOWN, Mark, Micro, Period, PeriodTotal, ProgrammeId, SnapshotView
from palio.infra.db import Tx

PROGRAMMES_MAX = 1_000


async def programme_ids(tx: Tx) -> list[ProgrammeId]:
    """Every programme."""
    return [head.id for head in await sql.list_heads(tx, PROGRAMMES_MAX)]


async def close_next(tx: Tx, *, programme_id: ProgrammeId, now: datetime) -> Period | None:
    """Close the next day, week or month of a programme that is over, and answer it; None if there is none.

    It is over with the first snapshot at or after its end. Refuses with NoSuchProgramme.
    """
    await sql.lock_closing(tx, programme_id)
    status = await sql.get_status(tx, programme_id, 0)
    began_at = await sql.find_began(tx, programme_id)
    if began_at is None or status.last_fetched_at is None:
        return None
    for kind in rules.DATED:
        last = await sql.find_last_closed(tx, programme_id, kind)
        period = rules.after(rules.period_of(last)) if last else rules.period_at(kind, began_at)
        if period.ends_at and period.ends_at <= status.last_fetched_at:
            await _close(tx, programme_id, period, began_at, now)
            return period
    return None


@dataclass(frozen=True, slots=True)
class _Span:
    """The counters at both ends of a period, and what was corrected in it."""

    period: Period
    opening: "array[int]"
    closing: Columns
    corrected: Mapping[int, Micro]
    absent: frozenset[int]  # who was not listed when it began

    def wagered(self, no: int) -> Micro:
        return self.closing.all_time[no] - self.opening[no]

    def reported(self, no: int) -> Micro | None:
        """What the provider's column said last; nothing of somebody who never was in the list."""
        columns = {"D": self.closing.today, "W": self.closing.week, "M": self.closing.month}
        value = columns[self.period.kind][no]
        was_away = no in self.absent and self.closing.marks[no] == Mark.STALE
        return None if value == UNKNOWN or was_away else value


async def _close(tx: Tx, programme_id: ProgrammeId, period: Period, began_at: datetime, now: datetime) -> None:
    span = await _span(tx, programme_id, period)
    before = await _totals_before(tx, programme_id, period, began_at)
    is_whole = rules.is_whole(period, began_at)
    totals = _totals(span, before, is_whole=is_whole) if span else []
    sum_of = PeriodTotal(
        sql.PROGRAMME,
        wagered := sum(total.wagered for total in totals),
        sum(total.corrected for total in totals),
        _sum_reported(totals),
        rules.growth_bps(wagered, before.get(sql.PROGRAMME)),
        rules.share_bps(wagered, wagered),
    )
    await sql.insert_period(tx, programme_id, period.key, [*totals, sum_of], now)
    if span and period.kind == "D":
        await sql.upsert_all_time(tx, programme_id, _all_time(span, [*totals, sum_of]), now)


async def _span(tx: Tx, programme_id: ProgrammeId, period: Period) -> _Span | None:
    """The counters at both ends; None when nothing was heard in between."""
    assert period.starts_at and period.ends_at  # noqa: S101, PT018 - ALL is never closed
    closing = await sql.find_before(tx, programme_id, period.ends_at - MICROSECOND)
    opening = await sql.find_before(tx, programme_id, period.starts_at - MICROSECOND)
    if closing is None or (opening and opening.id == closing.id):
        return None
    columns = await columns_at(tx, snapshot=closing)
    return _Span(
        period,
        await opening_of(tx, programme_id=programme_id, snapshot=opening, all_time=columns.all_time),
        columns,
        dict(await sql.list_corrections(tx, programme_id, period.starts_at, period.ends_at)),
        frozenset(
            no for no, mark in await sql.list_absent_at(tx, programme_id, period.starts_at) if mark == Mark.STALE
        ),
    )


async def opening_of(
    tx: Tx, *, programme_id: ProgrammeId, snapshot: SnapshotView | None, all_time: "array[int]"
) -> "array[int]":
    """What counters said as of a snapshot; of whom it knows none, the first one less what was counted of it."""
    opening = (await columns_at(tx, snapshot=snapshot)).all_time[:] if snapshot else array("q")
    opening.extend([UNKNOWN] * (len(all_time) - len(opening)))
    new = [no for no, value in enumerate(opening) if value == UNKNOWN and all_time[no] != UNKNOWN]
    if new:
        for no, value in zip(*await sql.list_first_readings(tx, programme_id, new), strict=True):
            opening[no] = value
    return opening


async def _totals_before(tx: Tx, programme_id: ProgrammeId, period: Period, began_at: datetime) -> Mapping[int, Micro]:
    """The totals of the period before, if it was seen whole."""
    before = rules.before(period)
    if not rules.is_whole(before, began_at):
        return {}
    numbers, wagered, _ = await sql.list_period(tx, programme_id, before.key)
    return dict(zip(numbers, wagered, strict=True))


def _totals(span: _Span, before: Mapping[int, Micro], *, is_whole: bool) -> list[PeriodTotal]:
    """Whoever has a total or a correction; where the beginning was not seen, also whom the provider gives one."""
    whole = sum(span.closing.all_time) - sum(span.opening)
    found = list[PeriodTotal]()
    for no, (now, then) in enumerate(zip(span.closing.all_time, span.opening, strict=True)):
        wagered, corrected = now - then, span.corrected.get(no, 0)
        reported = span.reported(no)
        if wagered or corrected or (reported and not is_whole):
            growth, share = rules.growth_bps(wagered, before.get(no)), rules.share_bps(wagered, whole)
            found.append(PeriodTotal(no, wagered, corrected, reported, growth, share))
    return found


def _sum_reported(totals: Sequence[PeriodTotal]) -> Micro | None:
    known = [total.reported for total in totals if total.reported is not None]
    return sum(known) if known else None


def _all_time(span: _Span, totals: Sequence[PeriodTotal]) -> list[PeriodTotal]:
    """The counters of whoever moved, as of the end of the day."""
    counters = span.closing.all_time
    whole = sum(counters) - UNKNOWN * counters.count(UNKNOWN)
    found = list[PeriodTotal]()
    for total in totals:
        counter = whole if total.no == sql.PROGRAMME else counters[total.no]
        if counter != UNKNOWN:
            share = rules.share_bps(counter, whole)
            found.append(PeriodTotal(total.no, counter, total.corrected, counter, None, share))
    return found
