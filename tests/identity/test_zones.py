"""Time zones: dates that come once each, changes a week apart, many asked for at once."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio import identity
from palio.identity import doors, errors
from palio.identity.rules import zones
from palio.identity.types import LocalDay, ZoneChange
from palio.kernel.ids import UserId
from tests.factories.identity import World, later

ZONES = ["Asia/Tokyo", "America/Los_Angeles", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "UTC"]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = timedelta(hours=1)


def days(changes: list[ZoneChange], since: datetime, count: int) -> list[date]:
    """The dates that come in so many hours, each where it begins."""
    told = [zones.local_date(changes, "UTC", since + number * HOURS / 2) for number in range(count * 2)]
    return [day for number, day in enumerate(told) if number == 0 or day != told[number - 1]]


@pytest.mark.parametrize(("old", "new"), [("Asia/Tokyo", "America/Los_Angeles"), ("America/Los_Angeles", "Asia/Tokyo")])
def test_every_date_comes_once_across_the_date_line(old: str, new: str, noon: datetime) -> None:
    changes = [ZoneChange(BEGAN, old), ZoneChange(zones.valid_from(noon, old, new), new)]
    told = days(changes, noon - timedelta(days=3), 24 * 8)
    assert told == [told[0] + timedelta(days=number) for number in range(len(told))]


@given(
    st.lists(st.sampled_from(ZONES), min_size=2, max_size=5),
    st.integers(0, 364),
    st.integers(0, 23),
)
def test_no_date_runs_backwards_however_often_somebody_moves(names: list[str], day: int, hour: int) -> None:
    now = BEGAN + timedelta(days=day, hours=hour)
    changes = [ZoneChange(BEGAN, names[0])]
    for name in names[1:]:
        changes.append(ZoneChange(zones.valid_from(now, changes[-1].zone, name), name))
        now += zones.CHANGE_EVERY
    told = [zones.local_date(changes, "UTC", changes[1].valid_from + number * HOURS) for number in range(-48, 24 * 40)]
    assert told == sorted(told)
    steps = {after - before for before, after in pairwise(told)}
    assert steps <= {timedelta(0), timedelta(days=1)}


async def test_a_zone_changes_once_a_week_from_a_midnight_on(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    change = await doors.change_zone(world.house, user_id=alice.id, zone="Asia/Tokyo", now=noon)
    assert change.valid_from == datetime(2026, 3, 21, tzinfo=UTC)  # in Tokyo it is nine hours later
    assert await doors.change_zone(world.house, user_id=alice.id, zone="Asia/Tokyo", now=noon) == change
    with pytest.raises(errors.TimeZoneChangeTooSoon):
        await doors.change_zone(
            world.house, user_id=alice.id, zone="Europe/Berlin", now=noon + timedelta(days=6, hours=23)
        )
    with pytest.raises(identity.TimeZoneInvalid):
        await doors.change_zone(world.house, user_id=alice.id, zone="Middle/Earth", now=later(noon, days=8))
    asked = [(alice.id, noon), (alice.id, later(noon, days=1)), (UserId(UUID(int=1)), noon)]
    async with world.database.begin_system("a test") as tx:
        assert await identity.zones_many(tx, asked) == [
            LocalDay("UTC", date(2026, 3, 20)),
            LocalDay("Asia/Tokyo", date(2026, 3, 21)),
            None,
        ]
    await doors.change_zone(world.house, user_id=alice.id, zone="Europe/Berlin", now=later(noon, days=7))
