"""The competitions that a series makes of the periods of a calendar, or of a rule of its own."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from palio.competitions.errors import RecurrenceInvalid, ZoneUnknown
from palio.competitions.rules import entering, periods, prizes, recurrence
from palio.competitions.types import NewCompetition, NewSeries, Period, Series

AHEAD = 2  # the period that is on or comes next, and the one after it
SHARED = (
    *("description", "rules_text", "prize_asset", "guaranteed_pool", "score_scale", "op", "direction", "has_subscore"),
    *("min_score", "allow_nonpositive", "treasury_bps", "tie_rule", "empty_rule", "leftover_to", "no_winner"),
    *("results_visible", "grace_s", "collect_s", "review_h", "blackout_s", "rank_events", "join_mode", "entry_fee"),
    *("min_participants", "max_participants"),
)


def check(new: NewSeries) -> None:
    """Accept a series whose prizes add up, whose zone exists, and which comes by the calendar or by a sound rule.

    Refuses with ZoneUnknown, RecurrenceInvalid, EligibilityInvalid, PrizeShape, PrizeSum, PrizeIncreasing.
    """
    require_zone(new.tz)
    if (new.rrule is None) == (new.cadence == "custom"):
        raise RecurrenceInvalid(where="rrule", expected="a rule for the cadence custom, and for no other")
    if new.rrule is not None:
        recurrence.read(new.rrule)
    entering.check_terms(new)
    prizes.check(new.prize_rule, new.guaranteed_pool)
    prizes.check_scores(new.prize_rule, direction=new.direction, allow_nonpositive=new.allow_nonpositive)


def require_zone(tz: str) -> None:
    """Accept a time zone that exists. Refuses with ZoneUnknown."""
    try:
        ZoneInfo(tz)
    except (KeyError, ValueError, OSError):
        raise ZoneUnknown(tz=tz) from None


def template(new: NewSeries) -> dict[str, object]:
    """What the competitions of a series have in common, as JSON."""
    of_its_own = {
        "title": new.title,
        "prize_rule": prizes.written(new.prize_rule),
        "eligibility": dict(new.eligibility),
    }
    return {name: getattr(new, name) for name in SHARED} | of_its_own


def written(new: NewSeries) -> dict[str, object]:
    """All that a series is, as it is written down of an act."""
    own = {name: getattr(new, name) for name in ("code", "product", "cadence", "rrule", "tz", "create_lead_h")}
    return own | template(new)


def differences(before: Series, after: NewSeries) -> dict[str, tuple[object, object]]:
    """What of a series is otherwise afterwards, with both values."""
    return {
        name: (getattr(before, name), value) for name, value in written(after).items() if getattr(before, name) != value
    }


def due(series: Series, now: datetime) -> list[Period]:
    """The periods whose competition must exist: what is on, and what begins within the lead of the series."""
    latest = now + timedelta(hours=series.create_lead_h)
    ahead = islice(periods_of(series, now), AHEAD)
    return [period for period in ahead if period.starts_at <= latest]


def periods_of(series: Series, now: datetime) -> Iterator[Period]:
    """The period of a series that is on, or comes next, and those that follow it."""
    if series.cadence == "custom":
        return recurrence.periods(series.rrule or "", series.tz, now)
    return periods.periods(series.cadence, series.tz, now)


def instance(series: Series, period: Period) -> NewCompetition:
    """The competition of one period; its title names the period."""
    shared: dict[str, Any] = {name: getattr(series, name) for name in SHARED}
    return NewCompetition(
        product=series.product,
        title=f"{series.title} {period.key.partition(':')[2]}",
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        prize_rule=prizes.read(series.prize_rule),
        cadence="special" if series.cadence == "custom" else series.cadence,
        tz=series.tz,
        eligibility=series.eligibility,
        series_id=series.id,
        period_key=period.key,
        **shared,
    )
