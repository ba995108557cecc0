"""Series: periods of a calendar in a zone, and one competition for each of them, however often it is asked for."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import psycopg
import pytest

from palio import competitions
from palio.competitions import jobs
from palio.competitions.messages import EnsureSeries
from palio.competitions.rules import recurrence
from palio.competitions.rules.periods import periods
from palio.competitions.types import Cadence, NewSeries, SeriesId
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, new_id
from tests.factories.competitions import THREE
from tests.factories.competitions import new as competition

SYSTEM = Actor("system", None, RequestId(new_id()))
WEEK = timedelta(days=7)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def new(**changes: object) -> NewSeries:
    plain: dict[str, object] = {
        "code": f"s-{new_id().hex[-12:]}",
        "product": "custom",
        "cadence": "weekly",
        "tz": "UTC",
        "title": "Spring",
        "prize_asset": "USD",
        "guaranteed_pool": 10_000,
        "prize_rule": competitions.read_prize_rule(THREE),
    }
    return NewSeries(**{**plain, **changes})  # type: ignore[arg-type]  # the caller names fields


async def made(tx: Tx, series_id: SeriesId) -> list[tuple[str, str]]:
    cursor = await tx.execute(
        "select period_key, status from competitions.competitions where series_id = %s order by starts_at", [series_id]
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


@pytest.mark.parametrize(
    ("cadence", "day", "expected"),
    [
        ("daily", "2026-03-18T12:00", ("D:2026-03-18", "2026-03-18", "2026-03-19")),
        ("weekly", "2026-03-18T12:00", ("W:2026-W12", "2026-03-16", "2026-03-23")),
        ("weekly", "2026-01-01T00:00", ("W:2026-W01", "2025-12-29", "2026-01-05")),
        ("weekly", "2027-01-01T00:00", ("W:2026-W53", "2026-12-28", "2027-01-04")),
        ("weekend", "2026-03-18T12:00", ("WE:2026-W12", "2026-03-21", "2026-03-23")),
        ("weekend", "2026-03-21T00:00", ("WE:2026-W12", "2026-03-21", "2026-03-23")),
        ("weekend", "2026-03-23T00:00", ("WE:2026-W13", "2026-03-28", "2026-03-30")),
        ("monthly", "2026-12-31T23:59", ("M:2026-12", "2026-12-01", "2027-01-01")),
    ],
)
def test_a_period_has_a_key_and_a_half_open_window(cadence: Cadence, day: str, expected: tuple[str, str, str]) -> None:
    key, first, after = expected
    assert next(periods(cadence, "UTC", at(day))) == (key, at(first), at(after))


def test_periods_follow_each_other_without_a_gap_and_the_clock_change_shortens_one() -> None:
    """The week of 2026-03-23 in Berlin has 167 hours; a year of days is whole."""
    (week,) = islice(periods("weekly", "Europe/Berlin", at("2026-03-24T00:00")), 1)
    assert (week.key, week.ends_at - week.starts_at) == ("W:2026-W13", timedelta(hours=167))
    days = list(islice(periods("daily", "Europe/Berlin", at("2026-01-01T12:00")), 365))
    assert all(before.ends_at == after.starts_at for before, after in pairwise(days))
    assert days[-1].key == "D:2026-12-31"


async def test_the_next_one_exists_a_day_ahead_and_only_once(tx: Tx) -> None:
    series_id = await competitions.create_series(tx, new=new(), actor=SYSTEM, now=at("2026-03-15T12:00"))
    for _ in range(20):
        await competitions.ensure_series(tx, now=at("2026-03-15T12:00"))
    assert await made(tx, series_id) == [("W:2026-W11", "upcoming"), ("W:2026-W12", "upcoming")]
    await competitions.ensure_series(tx, now=at("2026-03-21T23:59"))
    assert len(await made(tx, series_id)) == 2
    await competitions.ensure_series(tx, now=at("2026-03-22T00:00"))
    assert await made(tx, series_id) == [(f"W:2026-W{week}", "upcoming") for week in (11, 12, 13)]
    (first, *_) = await competitions.instances_of(tx, series_ids=[series_id])
    header = await competitions.get(tx, competition_id=first)
    assert (header.title, header.guaranteed_pool, bool(header.backdated_reason)) == ("Spring 2026-W11", 10_000, True)


async def test_missed_periods_are_not_made_up(tx: Tx) -> None:
    series_id = await competitions.create_series(tx, new=new(), actor=SYSTEM, now=at("2026-03-01T00:00"))
    await competitions.ensure_series(tx, now=at("2026-03-03T00:00"))
    await competitions.ensure_series(tx, now=at("2026-03-29T12:00"))
    assert [key for key, _ in await made(tx, series_id)] == ["W:2026-W10", "W:2026-W13", "W:2026-W14"]


async def test_four_processes_make_one(database: Database) -> None:
    async with database.begin(SYSTEM) as tx:
        series_id = await competitions.create_series(tx, new=new(), actor=SYSTEM, now=at("2026-03-17T00:00"))

    async def ensure() -> None:
        async with database.begin(SYSTEM) as tx:
            await competitions.ensure_series(tx, now=at("2026-03-17T00:00"))

    await asyncio.gather(*(ensure() for _ in range(4)))
    async with database.begin(SYSTEM) as tx:
        assert await made(tx, series_id) == [("W:2026-W12", "upcoming")]
        await db.run(tx, "update competitions.series set active = false where id = %s", series_id)


async def test_over_the_end_of_a_week_four_clocks_make_one_of_each_week(database: Database) -> None:
    """Each moves what is due and makes what is missing, all at once, before the end and after it."""
    async with database.begin(SYSTEM) as tx:
        series_id = await competitions.create_series(tx, new=new(), actor=SYSTEM, now=at("2026-03-10T00:00"))
        await competitions.ensure_series(tx, now=at("2026-03-10T00:00"))

    async def tick(now: datetime) -> None:
        async with database.begin(SYSTEM) as tx:
            mine = await competitions.instances_of(tx, series_ids=[series_id])
        for competition_id in mine:
            async with database.begin(SYSTEM) as tx:
                await competitions.advance(tx, competition_id=competition_id, now=now)
        async with database.begin(SYSTEM) as tx:
            await competitions.ensure_series(tx, now=now)

    for instant in ("2026-03-15T23:59", "2026-03-16T00:00", "2026-03-16T00:01", "2026-03-22T23:59"):
        await asyncio.gather(*(tick(at(instant)) for _ in range(4)))
    async with database.begin(SYSTEM) as tx:
        await db.run(tx, "update competitions.series set active = false where id = %s", series_id)
        assert await made(tx, series_id) == [
            *(("W:2026-W11", "completed"), ("W:2026-W12", "live"), ("W:2026-W13", "upcoming")),
        ]


async def test_without_the_turn_of_the_series_two_make_the_same_week(database: Database) -> None:
    """The control: both look, both find nothing, both make it; only the key of the table keeps one of them from it."""
    async with database.begin(SYSTEM) as tx:
        series_id = await competitions.create_series(tx, new=new(), actor=SYSTEM, now=at("2026-03-10T00:00"))
        await db.run(tx, "update competitions.series set active = false where id = %s", series_id)
    both_have_looked = asyncio.Barrier(2)

    async def naive() -> str:
        async with database.begin(SYSTEM) as tx:
            assert await made(tx, series_id) == []
            await both_have_looked.wait()
            week = competition(at("2026-03-16T00:00"), series_id=series_id, period_key="W:2026-W12")
            await competitions.create(tx, new=week, created_by=None, now=at("2026-03-10T00:00"))
        return "made"

    outcomes = await asyncio.gather(naive(), naive(), return_exceptions=True)
    assert [outcome for outcome in outcomes if outcome == "made"] == ["made"]
    assert [type(outcome) for outcome in outcomes if outcome != "made"] == [psycopg.errors.UniqueViolation]


async def test_a_close_asks_for_the_next_one(tx: Tx) -> None:
    series_id = await competitions.create_series(tx, new=new(), actor=SYSTEM, now=at("2026-03-15T12:00"))
    await competitions.ensure_series(tx, now=at("2026-03-15T12:00"))
    (first, _) = await competitions.instances_of(tx, series_ids=[series_id])
    await competitions.start(tx, competition_id=first, now=at("2026-03-15T12:00"))
    await competitions.close(tx, competition_id=first, now=at("2026-03-16T00:00"))
    clock.use(lambda: at("2026-03-22T12:00"))
    try:
        await jobs.ensure_series(tx, EnsureSeries())
    finally:
        clock.use(clock.real)
    assert [key for key, _ in await made(tx, series_id)] == ["W:2026-W11", "W:2026-W12", "W:2026-W13"]


async def test_a_taken_code_an_unknown_zone_and_prizes_that_do_not_add_up_are_refused(tx: Tx) -> None:
    first, now = new(), at("2026-03-15T12:00")
    await competitions.create_series(tx, new=first, actor=SYSTEM, now=now)
    with pytest.raises(competitions.SeriesExists):
        await competitions.create_series(tx, new=first, actor=SYSTEM, now=now)
    with pytest.raises(competitions.ZoneUnknown):
        await competitions.create_series(tx, new=new(tz="Europe/Nowhere"), actor=SYSTEM, now=now)
    short = competitions.read_prize_rule({**THREE, "bands": [{"from": 1, "to": 1, "value": 9_999}]})
    with pytest.raises(competitions.PrizeSum):
        await competitions.create_series(tx, new=new(prize_rule=short), actor=SYSTEM, now=now)


RULE = "DTSTART:20260318T180000\nDURATION:PT3H\nRRULE:"


def spans(rule: str, instant: str, tz: str = "UTC", most: int = 4) -> list[tuple[str, str, str]]:
    """Keys, first and last instants of what a rule makes, from an instant on."""
    found = islice(recurrence.periods(rule, tz, at(instant)), most)
    return [(each.key, f"{each.starts_at:%m-%dT%H:%M}", f"{each.ends_at:%m-%dT%H:%M}") for each in found]


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=DAILY;INTERVAL=3", ["03-18", "03-21", "03-24", "03-27"]),
        ("FREQ=WEEKLY;BYDAY=WE,FR", ["03-18", "03-20", "03-25", "03-27"]),
        ("FREQ=WEEKLY;INTERVAL=2", ["03-18", "04-01", "04-15", "04-29"]),
        ("FREQ=MONTHLY;BYDAY=-1SU", ["03-29", "04-26", "05-31", "06-28"]),
        ("FREQ=MONTHLY;BYDAY=1MO,3MO", ["04-06", "04-20", "05-04", "05-18"]),
        ("FREQ=MONTHLY;BYMONTHDAY=31", ["03-31", "05-31", "07-31", "08-31"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1;BYMONTH=2,4", ["04-30", "02-28", "04-30", "02-29"]),
        ("FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR", ["11-13", "08-13", "10-13", "04-13"]),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=25", ["12-25", "12-25", "12-25", "12-25"]),
        ("FREQ=YEARLY", ["03-18", "03-18", "03-18", "03-18"]),
        ("FREQ=DAILY;COUNT=2", ["03-18", "03-19"]),
        ("FREQ=DAILY;UNTIL=20260320", ["03-18", "03-19", "03-20"]),
        ("FREQ=DAILY;UNTIL=20260320T175959", ["03-18", "03-19"]),
        ("FREQ=DAILY;BYMONTH=4;BYDAY=MO,TU", ["04-06", "04-07", "04-13", "04-14"]),
    ],
)
def test_a_rule_names_days(rule: str, days: list[str]) -> None:
    assert [first.partition("T")[0] for _, first, _ in spans(RULE + rule, "2026-03-01T00:00")] == days


def test_what_a_rule_makes_is_half_open_and_ends_when_the_next_begins() -> None:
    """In the zone of the series, over the night in which the clock is moved; looked at from any instant."""
    nights = "DTSTART:20260328T200000\nDURATION:P2D\nRRULE:FREQ=DAILY;COUNT=3"
    first, second, last = (
        ("S:2026-03-28", "03-28T19:00", "03-29T18:00"),
        ("S:2026-03-29", "03-29T18:00", "03-30T18:00"),
        ("S:2026-03-30", "03-30T18:00", "04-01T18:00"),
    )
    for instant, expected in (
        ("2026-03-01T00:00", [first, second, last]),
        ("2026-03-29T17:59", [first, second, last]),
        ("2026-03-29T18:00", [second, last]),
        ("2026-04-01T17:59", [last]),
        ("2026-04-01T18:00", []),
    ):
        assert spans(nights, instant, "Europe/Berlin") == expected


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        ("FREQ=HOURLY", "FREQ"),
        ("FREQ=DAILY;BYHOUR=3", "part BYHOUR=3"),
        ("FREQ=DAILY;FREQ=WEEKLY", "part FREQ=WEEKLY"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20260401", "COUNT"),
        ("FREQ=DAILY;UNTIL=20261301", "UNTIL"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY"),
        ("FREQ=WEEKLY;BYDAY=1MO", "BYDAY"),
        ("FREQ=MONTHLY;BYDAY=XX", "BYDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY"),
        ("FREQ=YEARLY;BYMONTHDAY=1", "BYMONTH"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "RRULE"),
        ("FREQ=DAILY;UNTIL=20260101", "RRULE"),
        ("", "part "),
    ],
)
def test_a_rule_that_cannot_be_read_or_never_comes_is_refused(rule: str, where: str) -> None:
    with pytest.raises(competitions.RecurrenceInvalid) as refused:
        recurrence.read(RULE + rule)
    assert refused.value.facts["where"] == where


@pytest.mark.parametrize(
    "text",
    [
        "RRULE:FREQ=DAILY",
        "DTSTART:20260318T180000Z\nDURATION:PT3H\nRRULE:FREQ=DAILY",
        "DTSTART:20260318\nDURATION:PT3H\nRRULE:FREQ=DAILY",
        "DTSTART:19690318T180000\nDURATION:PT3H\nRRULE:FREQ=DAILY",
        "DTSTART:20260318T180000\nDURATION:P\nRRULE:FREQ=DAILY",
        "DTSTART:20260318T180000\nDURATION:PT0H\nRRULE:FREQ=DAILY",
        "DTSTART:20260318T180000\nDURATION:P900D\nRRULE:FREQ=DAILY",
        "DTSTART:20260318T180000\nDURATION:PT3H\nRRULE:FREQ=DAILY\nEXDATE:20260319T180000",
        "x" * 501,
    ],
)
def test_a_rule_says_when_how_long_and_how_often_and_nothing_else(text: str) -> None:
    with pytest.raises(competitions.RecurrenceInvalid):
        recurrence.read(text)


async def test_a_series_by_a_rule_makes_special_competitions_with_all_its_terms(tx: Tx) -> None:
    """Each once; when the rule is over, nothing more."""
    terms = {
        "join_mode": "open",
        "entry_fee": 5,
        "max_participants": 9,
        "eligibility": {"countries": {"deny": ["US"]}},
        "op": "best",
        "direction": "asc",
        "has_subscore": True,
        "allow_nonpositive": True,
        "results_visible": "after_end",
        "blackout_s": 600,
        "treasury_bps": 250,
        "collect_s": 60,
        "rank_events": False,
    }
    rule = "DTSTART:20260318T180000\nDURATION:PT3H\nRRULE:FREQ=WEEKLY;BYDAY=WE,FR;COUNT=3"
    series = new(cadence="custom", rrule=rule, tz="Asia/Kathmandu", create_lead_h=240, **terms)
    series_id = await competitions.create_series(tx, new=series, actor=SYSTEM, now=at("2026-03-15T00:00"))
    for instant in ("2026-03-15T00:00", "2026-03-15T00:00", "2026-03-18T16:00", "2026-03-20T20:00", "2026-04-20T20:00"):
        await competitions.ensure_series(tx, now=at(instant))

    assert [key for key, _ in await made(tx, series_id)] == ["S:2026-03-18", "S:2026-03-20", "S:2026-03-25"]
    first = await competitions.get(tx, competition_id=(await competitions.instances_of(tx, series_ids=[series_id]))[0])
    assert (first.title, first.cadence) == ("Spring 2026-03-18", "special")
    assert (first.starts_at, first.ends_at) == (at("2026-03-18T12:15"), at("2026-03-18T15:15"))
    cursor = await tx.execute("select rank_events from competitions.competitions where id = %s", [first.id])
    kept = {name: getattr(first, name) for name in terms if name != "rank_events"}
    assert kept | {"rank_events": (await cursor.fetchone())[0]} == terms  # type: ignore[index]  # there is one


async def test_a_rule_belongs_to_a_custom_series_and_to_no_other(tx: Tx) -> None:
    for changes in ({"cadence": "custom"}, {"rrule": RULE + "FREQ=DAILY"}):
        with pytest.raises(competitions.RecurrenceInvalid):
            await competitions.create_series(tx, new=new(**changes), actor=SYSTEM, now=at("2026-03-15T00:00"))
    with pytest.raises(competitions.EligibilityInvalid):
        await competitions.create_series(tx, new=new(entry_fee=5), actor=SYSTEM, now=at("2026-03-15T00:00"))


async def test_three_weeks_of_standstill_make_the_current_and_the_next_of_a_rule(tx: Tx) -> None:
    series = new(cadence="custom", rrule=RULE + "FREQ=WEEKLY", create_lead_h=200)
    series_id = await competitions.create_series(tx, new=series, actor=SYSTEM, now=at("2026-03-15T00:00"))
    await competitions.ensure_series(tx, now=at("2026-03-18T19:00"))
    await competitions.ensure_series(tx, now=at("2026-04-15T19:00"))
    keys = [key for key, _ in await made(tx, series_id)]
    assert keys == ["S:2026-03-18", "S:2026-03-25", "S:2026-04-15", "S:2026-04-22"]
