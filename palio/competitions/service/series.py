"""Series: the next competition exists before the current one ends."""

from collections.abc import Sequence
from datetime import datetime

from palio.competitions import sql
from palio.competitions.errors import NoSuchSeries, SeriesExists
from palio.competitions.rules import series as periods
from palio.competitions.service import steering
from palio.competitions.service.lifecycle import create, publish
from palio.competitions.types import CompetitionId, NewSeries, Period, Series, SeriesId
from palio.infra import audit
from palio.infra.db import Tx
from palio.kernel.errors import Stale
from palio.kernel.ids import Actor, new_id

SERIES_MAX = 1_000
LATE = "its series had not been able to make it in time"  # why a competition of a series begins in the past


async def create_series(tx: Tx, *, new: NewSeries, actor: Actor, now: datetime) -> SeriesId:
    """Make a series; its competitions come with `ensure_series`.

    Refuses with SeriesExists, ZoneUnknown, ledger.UnknownAsset, RecurrenceInvalid, EligibilityInvalid, PrizeShape,
    PrizeSum, PrizeIncreasing.
    """
    periods.check(new)
    await steering.require_asset(tx, code=new.prize_asset)
    series_id = SeriesId(new_id())
    if not await sql.insert_series(tx, series_id, new, periods.template(new), now):
        raise SeriesExists(code=new.code)
    await audit.record(
        tx,
        actor=actor,
        action="series.create",
        entity_type="series",
        entity_id=str(series_id),
        changes={name: (None, value) for name, value in periods.written(new).items()},
    )
    return series_id


async def change_series(
    tx: Tx, *, series_id: SeriesId, new: NewSeries, is_active: bool, version: int, actor: Actor
) -> None:
    """Change what the competitions of a series will be that are not made yet, or whether any are.

    `new` has its code, product, cadence and zone, `version` is the one that was seen. Refuses with NoSuchSeries, Stale,
    ledger.UnknownAsset, RecurrenceInvalid, EligibilityInvalid, PrizeShape, PrizeSum, PrizeIncreasing.
    """
    before = await sql.lock_series(tx, series_id)
    if before is None:
        raise NoSuchSeries
    if before.version != version:
        raise Stale(version=before.version)
    periods.check(new)
    await steering.require_asset(tx, code=new.prize_asset)
    await sql.update_series(tx, series_id, new, periods.template(new), is_active=is_active)
    await audit.record(
        tx,
        actor=actor,
        action="series.change",
        entity_type="series",
        entity_id=str(series_id),
        changes={"active": (before.active, is_active)} | periods.differences(before, new),
    )


async def get_series(tx: Tx, *, series_id: SeriesId) -> Series:
    """One series. Refuses with NoSuchSeries."""
    found = await sql.list_series(tx, [series_id])
    if not found:
        raise NoSuchSeries
    return found[0]


async def all_series(tx: Tx) -> list[Series]:
    """Every series by code, those that rest too, at most 1,000."""
    return await sql.list_all_series(tx, SERIES_MAX)


async def ensure_series(tx: Tx, *, now: datetime) -> list[CompetitionId]:
    """Make and publish what the active series lack: the period that is on and, within their lead, the next.

    Periods that passed while nobody looked are not made up. Answers what was made; a repeat makes nothing.
    """
    return [
        await _make(tx, series, period, now)
        for series in await sql.lock_active_series(tx)
        for period in periods.due(series, now)
        if not await sql.has_instance(tx, series.id, period.key)
    ]


async def series_of(tx: Tx, *, series_ids: Sequence[SeriesId]) -> list[Series]:
    """These series, by code."""
    return await sql.list_series(tx, series_ids)


async def instances_of(tx: Tx, *, series_ids: Sequence[SeriesId]) -> list[CompetitionId]:
    """The competitions of series that are not over, oldest first."""
    return await sql.list_instances(tx, series_ids)


async def neighbour(tx: Tx, *, series_id: SeriesId, ends_at: datetime) -> CompetitionId | None:
    """The competition of a series that ends at an instant, unless it was cancelled."""
    return await sql.find_ending(tx, series_id, ends_at)


async def _make(tx: Tx, series: Series, period: Period, now: datetime) -> CompetitionId:
    competition_id = await create(tx, new=periods.instance(series, period), created_by=None, now=now)
    late = LATE if period.starts_at <= now else None
    await publish(tx, competition_id=competition_id, now=now, backdated_reason=late)
    return competition_id
