"""Series of races: chained where their windows touch, each with the race that its competition needs."""

from datetime import UTC, datetime, timedelta

import pytest

from palio import competitions, races
from palio.competitions.types import Waits
from palio.infra.db import Tx
from palio.kernel.ids import new_id
from palio.races import service
from palio.races.types import Race
from tests.factories.races import SYSTEM, feed, run

SPEC = {"cadence": "weekly", "title": "Weekly race", "pool": "500.00"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def read(body: dict[str, object], now: datetime) -> races.NewRaceSeries:
    plain = {"code": f"s-{new_id().hex[-12:]}", **SPEC}
    return races.read_series({**plain, **body}, read_rule=competitions.read_prize_rule, waits=Waits(900, 24), now=now)


async def made(tx: Tx, code: str) -> list[Race]:
    (line,) = [line for line in await races.list_series(tx) if line.code == code]
    return [(await service.running.find(tx, number=number))[0] for number in line.races]


async def test_weeks_are_chained_and_the_next_waits_for_the_end_of_the_one_before(tx: Tx) -> None:
    """W12 is on; a day before its end W13 exists, chained; what W13 counts begins where W12 ended."""
    source = await feed(tx)
    await source.show(tx, at("2026-03-15T23:45"), {"ann": "100"})
    new = read({"programme": source.code, "review_h": 0}, at("2026-03-15T23:50"))
    await races.create_series(tx, new=new, actor=SYSTEM, now=at("2026-03-16T00:00"))
    (first,) = await made(tx, new.code)
    await run(tx, at("2026-03-16T00:01"))
    await source.show(tx, at("2026-03-20T10:00"), {"ann": "130"})
    await competitions.ensure_series(tx, now=at("2026-03-22T00:00"))
    assert len(await races.repair(tx, now=at("2026-03-22T00:00"))) == 1
    assert await races.repair(tx, now=at("2026-03-22T00:00")) == []
    first, second = await made(tx, new.code)
    assert (second.previous_id, first.previous_id) == (first.competition_id, None)

    await run(tx, at("2026-03-23T00:01"))
    await source.show(tx, at("2026-03-23T00:20"), {"ann": "140"})
    await run(tx, at("2026-03-23T00:21"))
    await source.show(tx, at("2026-03-24T00:00"), {"ann": "147"})
    await run(tx, at("2026-03-24T00:00"))
    totals = [(await races.lines(tx, number=race.number))[0].total_micro // 10**6 for race in (first, second)]
    assert totals == [40, 7]
    done = await competitions.get(tx, competition_id=first.competition_id)
    assert (done.status, done.period_key, done.title) == ("completed", "W:2026-W12", "Weekly race 2026-W12")


@pytest.mark.parametrize(
    ("cadence", "zone", "noon", "key", "window", "next_key"),
    [
        (
            *("weekly", "UTC", "2026-03-22T00:00", "W:2026-W12"),
            *(("2026-03-16T00:00", "2026-03-23T00:00", 168), "W:2026-W13"),
        ),
        (
            *("weekly", "Europe/Berlin", "2026-03-28T22:00", "W:2026-W13"),
            *(("2026-03-22T23:00", "2026-03-29T22:00", 167), "W:2026-W14"),
        ),
        (
            *("weekend", "UTC", "2026-03-21T12:00", "WE:2026-W12"),
            *(("2026-03-21T00:00", "2026-03-23T00:00", 48), None),
        ),
    ],
)
async def test_a_day_before_the_end_the_next_one_exists_once(
    tx: Tx, cadence: str, zone: str, noon: str, key: str, window: tuple[str, str, int], next_key: str | None
) -> None:
    source = await feed(tx)
    now = at(noon)
    new = read({"programme": source.code, "cadence": cadence, "zone": zone}, now)
    early = now - timedelta(microseconds=1) if next_key else now
    await races.create_series(tx, new=new, actor=SYSTEM, now=early)
    (first,) = await made(tx, new.code)
    for _ in range(20):
        await competitions.ensure_series(tx, now=now)
        await races.repair(tx, now=now)
    found = await made(tx, new.code)
    headers = [await competitions.get(tx, competition_id=race.competition_id) for race in found]
    assert [header.period_key for header in headers] == [key, *([next_key] if next_key else [])]
    assert (headers[0].starts_at, headers[0].ends_at) == (at(window[0]), at(window[1]))
    assert headers[0].ends_at - headers[0].starts_at == timedelta(hours=window[2])
    if next_key:
        assert (headers[1].status, headers[1].starts_at) == ("upcoming", headers[0].ends_at)
        assert found[1].previous_id == first.competition_id


async def test_weekends_do_not_touch_and_are_not_chained(tx: Tx) -> None:
    source = await feed(tx)
    new = read({"programme": source.code, "cadence": "weekend"}, at("2026-03-20T00:00"))
    await races.create_series(tx, new=new, actor=SYSTEM, now=at("2026-03-20T00:00"))
    await competitions.ensure_series(tx, now=at("2026-03-27T12:00"))
    await races.repair(tx, now=at("2026-03-27T12:00"))
    assert [race.previous_id for race in await made(tx, new.code)] == [None, None]


async def test_an_unchained_series_takes_pictures_of_its_own(tx: Tx) -> None:
    source = await feed(tx)
    new = read({"programme": source.code, "chained": False, "linked_only": True}, at("2026-03-16T00:00"))
    await races.create_series(tx, new=new, actor=SYSTEM, now=at("2026-03-22T12:00"))
    assert [(race.previous_id, race.linked_only) for race in await made(tx, new.code)] == [(None, True)] * 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"cadence": "special"}, "cadence"),
        ({"code": "Größe"}, "code"),
        ({"chained": 1}, "chained"),
        ({"starts_at": "2026-03-16T00:00:00Z"}, "starts_at"),
        ({"title": "x" * 181}, "title"),
        ({"zone": ""}, "zone"),
    ],
)
def test_a_series_that_cannot_be_is_refused_by_field(body: dict[str, object], field: str) -> None:
    with pytest.raises(races.SpecInvalid) as refusal:
        read(body, at("2026-03-16T00:00"))
    assert refusal.value.facts["field"] == field


async def test_a_series_of_an_asset_that_is_none_is_refused(tx: Tx) -> None:
    source = await feed(tx)
    new = read({"programme": source.code, "pool": {"asset": "ZZZ", "amount": 5}}, at("2026-03-16T00:00"))
    with pytest.raises(races.SpecInvalid):
        await races.create_series(tx, new=new, actor=SYSTEM, now=at("2026-03-16T00:00"))
