"""The competitions that a series makes of the periods of a calendar."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from palio.competitions.errors import ZoneUnknown
from palio.competitions.rules import prizes
from palio.competitions.rules.periods import periods
from palio.competitions.types import NewCompetition, NewSeries, Period, Series

AHEAD = 2  # the period that is on or comes next, and the one after it


def check(new: NewSeries) -> None:
    """Accept a series whose prizes add up and whose zone exists.

    Refuses with ZoneUnknown, PrizeShape, PrizeSum, PrizeIncreasing.
    """
    require_zone(new.tz)
    prizes.check(new.prize_rule, new.guaranteed_pool)


def require_zone(tz: str) -> None:
    """Accept a time zone that exists. Refuses with ZoneUnknown."""
    try:
        ZoneInfo(tz)
    except (KeyError, ValueError, OSError):
        raise ZoneUnknown(tz=tz) from None


def template(new: NewSeries) -> dict[str, object]:
    """What the competitions of a series have in common, as JSON."""
    return {
        "title": new.title,
        "description": new.description,
        "rules_text": new.rules_text,
        "prize_asset": new.prize_asset,
        "guaranteed_pool": new.guaranteed_pool,
        "prize_rule": prizes.written(new.prize_rule),
        "score_scale": new.score_scale,
        "min_score": new.min_score,
        "tie_rule": new.tie_rule,
        "empty_rule": new.empty_rule,
        "leftover_to": new.leftover_to,
        "no_winner": new.no_winner,
        "grace_s": new.grace_s,
        "review_h": new.review_h,
    }


def due(series: Series, now: datetime) -> list[Period]:
    """The periods whose competition must exist: what is on, and what begins within the lead of the series."""
    latest = now + timedelta(hours=series.create_lead_h)
    upcoming = periods(series.cadence, series.tz, now)
    return [period for period, _ in zip(upcoming, range(AHEAD), strict=False) if period.starts_at <= latest]


def instance(series: Series, period: Period) -> NewCompetition:
    """The competition of one period; its title names the period."""
    return NewCompetition(
        product=series.product,
        title=f"{series.title} {period.key.partition(':')[2]}",
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        prize_asset=series.prize_asset,
        guaranteed_pool=series.guaranteed_pool,
        prize_rule=prizes.read(series.prize_rule),
        cadence=series.cadence,
        description=series.description,
        rules_text=series.rules_text,
        tz=series.tz,
        score_scale=series.score_scale,
        min_score=series.min_score,
        tie_rule=series.tie_rule,
        empty_rule=series.empty_rule,
        leftover_to=series.leftover_to,
        no_winner=series.no_winner,
        grace_s=series.grace_s,
        review_h=series.review_h,
        series_id=series.id,
        period_key=period.key,
    )
