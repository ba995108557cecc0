"""When the races of a demo begin and end, and at which instants its past is lived through.

All of it follows from the mark of the demo, so that a fill that was killed finds the same calendar.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from palio import races
from palio.affiliates.types import DEFAULT_PROGRAMME
from palio.competitions.types import Cadence
from palio.entry import contests, purses, story
from palio.infra import marks
from palio.races.types import MICRO_PER_UNIT, NewRace, NewRaceSeries
from palio.sim import Plant, plants

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
QUARTER = HOUR / 4  # how often real feeds are read
SPARE_DAYS = 8  # of a history: the week that is on, and a day before the first race
WEEKENDS = 2
GRACE_S, REVIEW_H, LEAD_H = 900, 1, 168  # prizes come while people look on; the next race is always there
SETTLED_AFTER = timedelta(seconds=GRACE_S, hours=REVIEW_H)
TIED = 2  # the weekly race in which two players share a place
NEW_YORK = "America/New_York"
TURN = 12 * HOUR  # between two instants of an ordinary day at which jobs are done and somebody looks


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Races that come again and again. The first starts when its series is made."""

    cadence: Cadence
    tz: str
    title: str
    description: str
    pool: int
    shares_bps: tuple[int, ...]
    min_wager_micro: int = 0

    def series(self, starts_at: datetime, ends_at: datetime) -> NewRaceSeries:
        """The series, by the name of its cadence."""
        race = NewRace(
            title=self.title,
            programme=DEFAULT_PROGRAMME,
            starts_at=starts_at,
            ends_at=ends_at,
            pool_asset="USD",
            pool=self.pool,
            prize_rule=races.by_place(self.shares_bps),
            cadence=self.cadence,
            description=f"{self.description} Players and figures of this demo are invented.",
            min_wager_micro=self.min_wager_micro,
            grace_s=GRACE_S,
            review_h=REVIEW_H,
        )
        return NewRaceSeries(code=self.cadence, cadence=self.cadence, tz=self.tz, race=race, create_lead_h=LEAD_H)


WEEKLY = Rhythm(
    "weekly",
    "UTC",
    story.WEEKLY,
    "Who wagers most from Monday to Monday.",
    50_000,
    (5000, 1500, 1000, 500, 500, 375, 375, 250, 250, 250),
)
WEEKEND = Rhythm(
    "weekend",
    NEW_YORK,  # so that the week of the feed, which is one of UTC, begins anew before the race is over
    "Weekend race",
    "Who wagers most from Saturday to Monday, by the clocks of New York.",
    20_000,
    (5000, 3000, 2000),
)
MONTHLY = Rhythm(
    "monthly",
    "UTC",
    "Monthly race",
    "Who wagers most in a month. Whoever wagered less than $100 wins nothing.",
    100_000,
    (3000, 2000, 1500, 1000, 750, 500, 500, 250, 250, 250),
    100 * MICRO_PER_UNIT,
)


@dataclass(frozen=True, slots=True)
class Span:
    """One race of a rhythm."""

    rhythm: Rhythm
    starts_at: datetime
    ends_at: datetime

    def instants(self) -> tuple[datetime, ...]:
        """Its bounds, its final picture, and the end of its review."""
        return self.starts_at, self.ends_at, self.ends_at + timedelta(seconds=GRACE_S), self.ends_at + SETTLED_AFTER


def began(demo: marks.Demo) -> datetime:
    """The first instant of a demo's history."""
    return (demo.created_at - timedelta(days=demo.days)).replace(minute=0, second=0)


def weeks_over(demo: marks.Demo) -> int:
    """How many weekly races are over: three in thirty days."""
    return (demo.days - SPARE_DAYS) // 7


def first_race(demo: marks.Demo) -> datetime:
    """When the first weekly race starts: whole weeks, which are settled, before the one that is on."""
    return _monday(demo.created_at - SETTLED_AFTER) - weeks_over(demo) * WEEK


def spans(demo: marks.Demo, until: datetime) -> list[Span]:
    """Every race that has started by then, in the order of their starts."""
    return sorted(
        (span for span in (*_weeks(demo, until), *_weekends(demo, until), *_months(demo)) if span.starts_at <= until),
        key=lambda span: (span.starts_at, span.rhythm.cadence),
    )


def first_starts(demo: marks.Demo, until: datetime) -> list[Span]:
    """The first race of each rhythm, if it has started by then."""
    return list({span.rhythm.cadence: span for span in reversed(spans(demo, until))}.values())[::-1]


def _weeks(demo: marks.Demo, until: datetime) -> Iterator[Span]:
    at = first_race(demo)
    while at <= until:
        yield Span(WEEKLY, at, at + WEEK)
        at += WEEK


def _weekends(demo: marks.Demo, until: datetime) -> Iterator[Span]:
    """Two that are settled, then those that follow."""
    ended = _monday(demo.created_at - SETTLED_AFTER - 5 * HOUR)  # later there than in UTC by so much at most
    monday = ended.date() - (WEEKENDS - 1) * WEEK
    while (starts_at := _midnight(monday - 2 * DAY)) <= until:
        yield Span(WEEKEND, starts_at, _midnight(monday))
        monday += WEEK


def _months(demo: marks.Demo) -> Iterator[Span]:
    """The one that is on, unless it began before the history did; then the next."""
    first = demo.created_at.replace(day=1, hour=0, minute=0, second=0)
    following = (first + 32 * DAY).replace(day=1)
    starts_at = first if first >= began(demo) else following
    yield Span(MONTHLY, starts_at, (starts_at + 32 * DAY).replace(day=1))


def _monday(at: datetime) -> datetime:
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return day - timedelta(days=day.weekday())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(NEW_YORK)).astimezone(UTC)


def planted(demo: marks.Demo) -> list[Plant]:
    """The oddities of its feed."""
    final = first_race(demo) + timedelta(seconds=GRACE_S)
    weekend = next(_weekends(demo, demo.created_at))
    return plants(
        began(demo),
        tie=(final + (TIED - 1) * WEEK, final + TIED * WEEK),
        reset=_monday(weekend.ends_at),
    )


def readings(demo: marks.Demo, until: datetime) -> list[datetime]:
    """The instants at which the feed of the past is read: as often as the mark says, its last day as a real one.

    So is a feed that is away. Turns are among them.
    """
    start = began(demo)
    away = [(plant.at, plant.at + plant.lasts) for plant in planted(demo) if plant.lasts]
    stretches = [(start, until, demo.every), (until - DAY, until, QUARTER), *((*span, QUARTER) for span in away)]
    instants = {at for since, end, every in stretches for at in _ticks(since, end, every)}
    return sorted({*turns(demo, until), *(at for at in instants if start <= at <= until)})


def turns(demo: marks.Demo, until: datetime) -> set[datetime]:
    """The instants at which jobs are done and people act, beside the reading of the feed.

    Starts and ends of races are hit exactly, and so are their final pictures, the ends of their reviews, what people do
    and what is odd.
    """
    start = began(demo)
    instants = {start, until, *_ticks(start, until, TURN)}
    instants |= {*story.script(first_race(demo), demo.created_at), *purses.script(start, demo.created_at)}
    instants |= set(contests.script(demo.created_at))
    instants |= {at for span in spans(demo, until) for at in span.instants()}
    instants |= {plant.at + plant.lasts * half / 2 for plant in planted(demo) for half in range(3)}
    instants |= {*_ticks(until - DAY, until, HOUR), *_ticks(until - HOUR, until, QUARTER)}
    return {at for at in instants if start <= at <= until}


def _ticks(since: datetime, until: datetime, every: timedelta) -> Iterator[datetime]:
    """Whole ones of the clock face."""
    midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range((until - midnight) // every + 1):
        if (at := midnight + number * every) >= since:
            yield at
