"""Series of races: each takes over where the one before ended, so that nothing counts twice."""

from datetime import datetime

from palio import affiliates, competitions, ledger
from palio.competitions.types import CompetitionId, NewSeries, SeriesId
from palio.infra import settings
from palio.infra.db import Tx
from palio.kernel.ids import Actor
from palio.races import sql
from palio.races.errors import ProgrammeClosed, SpecInvalid
from palio.races.rules import terms
from palio.races.service.making import SCORE_SCALE
from palio.races.types import DEFAULT_MIN_WAGER, NewRaceSeries, RaceSeries, SeriesLine


async def create_series(tx: Tx, *, new: NewRaceSeries, actor: Actor, now: datetime) -> SeriesId:
    """Make a series of races, and its race that is on and the next one, as far as they are due.

    Refuses with SpecInvalid, ProgrammeClosed, affiliates.NoSuchProgramme, competitions.SeriesExists,
    competitions.ZoneUnknown, competitions.PrizeSum, competitions.PrizeIncreasing.
    """
    race = new.race
    if race.pool_asset not in {asset.code for asset in await ledger.assets(tx)}:
        raise SpecInvalid(field="pool", expected=f"of an asset that exists, not {race.pool_asset}")
    programme = await affiliates.programme(tx, code=race.programme)
    if programme.status != "active":
        raise ProgrammeClosed(programme=programme.code, status=programme.status)
    series_id = await competitions.create_series(tx, new=_series(new), actor=actor, now=now)
    await sql.insert_series(tx, series_id, programme.id, is_chained=new.chained, linked_only=race.linked_only, now=now)
    await competitions.ensure_series(tx, now=now)
    await repair(tx, now=now)
    return series_id


async def repair(tx: Tx, *, now: datetime) -> list[CompetitionId]:
    """Give each competition of a series of races its race, where that is missing; answers those that got one."""
    kept = {found.series_id: found for found in await sql.list_series(tx)}
    ids = await competitions.instances_of(tx, series_ids=list(kept))
    present = {race.competition_id for race in await sql.list_races(tx, ids)}
    missing = [competition_id for competition_id in ids if competition_id not in present]
    return [found for found in missing if await attach(tx, competition_id=found, now=now)]


async def attach(tx: Tx, *, competition_id: CompetitionId, now: datetime) -> bool:
    """Put the race beside a competition of a series, chained to its neighbour where they touch.

    False when it is there already, or is none of ours. Refuses with competitions.NoSuchCompetition.
    """
    competition = await competitions.lock(tx, competition_id=competition_id)
    kept = {found.series_id: found for found in await sql.list_series(tx)}
    series = kept.get(competition.series_id) if competition.series_id else None
    if series is None or await sql.list_races(tx, [competition_id]):
        return False
    return await sql.insert_race(
        tx,
        competition_id,
        series.programme_id,
        previous_id=await _previous(tx, series, competition.starts_at),
        backdated_reason=competition.backdated_reason,
        now=now,
        series_id=series.series_id,
        linked_only=series.linked_only,
    )


async def list_series(tx: Tx) -> list[SeriesLine]:
    """Every series of races, by code."""
    kept = {found.series_id: found for found in await sql.list_series(tx)}
    scales = {asset.code: asset.scale for asset in await ledger.assets(tx)}
    lines = []
    for series in await competitions.series_of(tx, series_ids=list(kept)):
        programme = await affiliates.programme_status(tx, programme_id=kept[series.id].programme_id)
        ids = await competitions.instances_of(tx, series_ids=[series.id])
        numbers = sorted(race.number for race in await sql.list_races(tx, ids))
        lines.append(
            SeriesLine(
                code=series.code,
                cadence=series.cadence,
                tz=series.tz,
                title=series.title,
                asset=series.prize_asset,
                asset_scale=scales[series.prize_asset],
                pool=series.guaranteed_pool,
                programme=programme.name,
                chained=kept[series.id].chained,
                races=tuple(numbers),
            )
        )
    return lines


async def _previous(tx: Tx, series: RaceSeries, starts_at: datetime) -> CompetitionId | None:
    """The race whose end is this start; weekends never touch, so each of them takes a picture of its own."""
    if not series.chained:
        return None
    return await competitions.neighbour(tx, series_id=series.series_id, ends_at=starts_at)


def _series(new: NewRaceSeries) -> NewSeries:
    race = new.race
    return NewSeries(
        code=new.code,
        product="race",
        cadence=new.cadence,
        tz=new.tz,
        title=race.title,
        prize_asset=race.pool_asset,
        guaranteed_pool=race.pool,
        prize_rule=race.prize_rule,
        description=race.description,
        rules_text=race.rules_text,
        score_scale=SCORE_SCALE,
        min_score=terms.minimum(race, settings.value(DEFAULT_MIN_WAGER)),
        tie_rule="share",
        empty_rule="keep",
        leftover_to="house",
        no_winner="refund",
        grace_s=race.grace_s,
        review_h=race.review_h,
        create_lead_h=new.create_lead_h,
    )
