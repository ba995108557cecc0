"""When something is due: cron in a time zone, through the days on which clocks are moved, and plain intervals."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palio.kernel.schedules import newest_until, next_after, parse

NEW_YORK, SANTIAGO = "America/New_York", "America/Santiago"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def walk(when: str, zone: str, start: str, end: str) -> list[str]:
    """Every due instant of a span, as local times."""
    found, at = [], utc(start)
    while (at := next_after(when, zone, at)) < utc(end):
        found.append(at.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes"))
    return found


@pytest.mark.parametrize(
    ("when", "after", "expected"),
    [
        ("10 0 * * *", "2026-03-20 00:10", "2026-03-21 00:10"),
        ("10 0 * * *", "2026-03-20 00:09:59", "2026-03-20 00:10"),
        ("*/15 * * * *", "2026-03-20 00:10", "2026-03-20 00:15"),
        ("0 4 2 * *", "2026-03-20 00:10", "2026-04-02 04:00"),
        ("30 3 * * 0", "2026-03-20 00:10", "2026-03-22 03:30"),
        ("30 3 * * 7", "2026-03-20 00:10", "2026-03-22 03:30"),
        ("0 12 13 * 5", "2026-03-20 12:00", "2026-03-27 12:00"),
        ("0 0 29 2 *", "2096-03-01", "2104-02-29"),
        ("5,35 8-10/2 * 1-3 1-5", "2026-03-20 08:35", "2026-03-20 10:05"),
        ("every 30s", "2026-03-20 00:10:29.5", "2026-03-20 00:10:30"),
        ("every 30s", "2026-03-20 00:10:30", "2026-03-20 00:11:00"),
        ("every 2h", "2026-03-20 00:10:30", "2026-03-20 02:00"),
    ],
)
def test_the_next_instant_is_the_first_one_later(when, after, expected):
    assert next_after(when, "UTC", utc(after)) == utc(expected)


def test_a_local_time_that_comes_twice_is_due_once():
    assert walk("30 1 * * *", NEW_YORK, "2026-10-31", "2026-11-03") == [
        "2026-10-31T01:30-04:00",
        "2026-11-01T01:30-04:00",
        "2026-11-02T01:30-05:00",
    ]


def test_a_local_time_that_does_not_exist_is_due_all_the_same():
    assert walk("30 2 * * *", NEW_YORK, "2027-03-13", "2027-03-16") == [
        "2027-03-13T02:30-05:00",
        "2027-03-14T03:30-04:00",
        "2027-03-15T02:30-04:00",
    ]


def test_a_midnight_that_does_not_exist_is_due_when_the_day_begins():
    assert walk("0 0 * * *", SANTIAGO, "2026-09-05 12:00", "2026-09-08") == [
        "2026-09-06T01:00-03:00",
        "2026-09-07T00:00-03:00",
    ]


def test_an_expression_for_every_hour_follows_real_time_through_both_changes():
    assert len(walk("0 * * * *", NEW_YORK, "2026-11-01 03:59:59", "2026-11-02 05:00")) == 25
    assert len(walk("0 * * * *", NEW_YORK, "2027-03-14 04:59:59", "2027-03-15 04:00")) == 23


@pytest.mark.parametrize(
    "when",
    [
        *(
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "1- * * * *",
        ),
        *("*/0 * * * *", "a * * * *", "\u0661 * * * *", "0 0 31 2 *"),
        *("every 0s", "every 25h", "every s", "every 5d", "every -5s"),
    ],
)
def test_what_cannot_be_read_or_never_comes_is_refused(when):
    with pytest.raises(ValueError, match=r"."):
        next_after(when, "UTC", utc("2026-03-20"))


def test_of_several_missed_instants_the_newest_counts():
    missed = utc("2026-03-17 00:10")
    assert newest_until("10 0 * * *", "UTC", utc("2026-03-20 09:00"), first=missed) == utc("2026-03-20 00:10")
    assert newest_until("10 0 * * *", "UTC", utc("2026-03-20 00:09"), first=missed) == utc("2026-03-19 00:10")
    assert newest_until("10 0 1 * *", "UTC", utc("2026-03-20"), first=missed) == missed
    assert newest_until("every 5s", "UTC", utc("2026-03-20 09:00:04"), first=missed) == utc("2026-03-20 09:00")


MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - the strategy adds the zone
CRONS = st.sampled_from(["30 1 * * *", "*/20 * * * *", "0 0 1 * *", "15 2 * * 0", "0,30 0-3 * * *", "every 90s"])
ZONES = st.sampled_from(["UTC", NEW_YORK, SANTIAGO, "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"])


@settings(deadline=None)  # reading the rules of a zone takes its time, once
@given(MOMENTS, CRONS, ZONES)
def test_next_and_newest_agree_with_each_other(moment, when, zone):
    """The instant after a moment is later than it; just before that instant the newest is not later than the moment."""
    following = next_after(when, zone, moment)
    assert following > moment
    assert newest_until(when, zone, following, first=moment) == following
    assert newest_until(when, zone, following - timedelta(microseconds=1), first=moment) <= moment


@settings(deadline=None)
@given(MOMENTS, ZONES)
def test_each_due_instant_of_every_hour_shows_the_minute_that_was_asked_for(moment, zone):
    due = next_after("20 * * * *", zone, moment)
    assert due.astimezone(ZoneInfo(zone)).minute == 20
    assert due - moment <= timedelta(hours=1, minutes=30)


def test_both_kinds_of_day_narrowed_means_either():
    cron = parse("0 12 13 * 5")
    assert cron.is_either
    assert not parse("0 12 13 * *").is_either
