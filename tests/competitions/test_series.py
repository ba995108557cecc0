"""Series: periods of a calendar in a zone, and one competition for each of them, however often it is asked for."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest

from palio import competitions
from palio.competitions import jobs
from palio.competitions.messages import EnsureSeries
from palio.competitions.rules.periods import periods
from palio.competitions.types import Cadence, NewSeries, SeriesId
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, new_id
from tests.factories.competitions import THREE

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
