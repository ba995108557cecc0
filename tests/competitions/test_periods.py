"""Keys of periods: ISO weeks, weekends and months in the time zone of a board, and what is no key."""

from datetime import UTC, date, datetime

import pytest

from palio.competitions.rules import periods

KINDS = ("D", "W", "WE", "M", "ALL")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("instant", "keys"),
    [
        ("2026-03-21T00:00:00+00:00", ["D:2026-03-21", "W:2026-W12", "WE:2026-W12", "M:2026-03", "ALL"]),
        ("2026-03-23T00:00:00+00:00", ["D:2026-03-23", "W:2026-W13", "M:2026-03", "ALL"]),
        ("2026-01-01T12:00:00+00:00", ["D:2026-01-01", "W:2026-W01", "M:2026-01", "ALL"]),
        ("2027-01-01T12:00:00+00:00", ["D:2027-01-01", "W:2026-W53", "M:2027-01", "ALL"]),
        ("2027-02-28T23:59:59+00:00", ["D:2027-02-28", "W:2027-W08", "WE:2027-W08", "M:2027-02", "ALL"]),
        ("2027-03-01T00:00:00+00:00", ["D:2027-03-01", "W:2027-W09", "M:2027-03", "ALL"]),
    ],
)
def test_the_lists_of_an_instant(instant: str, keys: list[str]) -> None:
    day = periods.day_of(at(instant), "UTC")

    assert [period.key for period in periods.on(KINDS, day, "UTC")] == keys


def test_a_day_is_one_of_the_time_zone_of_the_board() -> None:
    """At 16:30 in UTC it is tomorrow in Kathmandu's neighbour Tokyo; the day there begins at 15:00."""
    instant = at("2026-03-18T16:30:00+00:00")
    found = periods.period_at("D", periods.day_of(instant, "Asia/Tokyo"), "Asia/Tokyo")

    assert found.key == "D:2026-03-19"
    assert found.starts_at == at("2026-03-18T15:00:00+00:00")
    assert found.ends_at == at("2026-03-19T15:00:00+00:00")


@pytest.mark.parametrize(
    ("key", "first", "end"),
    [
        ("D:2026-03-18", "2026-03-18", "2026-03-19"),
        ("W:2026-W12", "2026-03-16", "2026-03-23"),
        ("WE:2026-W12", "2026-03-21", "2026-03-23"),
        ("M:2026-02", "2026-02-01", "2026-03-01"),
        ("W:2026-W53", "2026-12-28", "2027-01-04"),
    ],
)
def test_a_key_names_its_span(key: str, first: str, end: str) -> None:
    found = periods.period_of(key, KINDS, "UTC")

    assert found is not None
    assert found.key == key
    assert (found.starts_at, found.ends_at) == (at(f"{first}T00:00:00+00:00"), at(f"{end}T00:00:00+00:00"))


@pytest.mark.parametrize(
    "key", ["", "D:2026-02-30", "W:2025-W53", "W:2026-W00", "M:2026-13", "D:1999-01-01", "X:1", "all", "D:٢٠٢٦-03-18"]
)
def test_what_is_no_key_names_nothing(key: str) -> None:
    assert periods.period_of(key, KINDS, "UTC") is None


def test_a_board_has_only_its_own_periods() -> None:
    assert periods.period_of("D:2026-03-18", ("W", "ALL"), "UTC") is None
    assert periods.named("today", ("W", "ALL"), "UTC", at("2026-03-18T12:00:00+00:00")) is None


@pytest.mark.parametrize(
    ("word", "instant", "key"),
    [
        ("today", "2026-03-18T12:00:00+00:00", "D:2026-03-18"),
        ("week", "2026-03-18T12:00:00+00:00", "W:2026-W12"),
        ("weekend", "2026-03-22T12:00:00+00:00", "WE:2026-W12"),
        ("weekend", "2026-03-25T12:00:00+00:00", "WE:2026-W12"),
        ("month", "2026-03-18T12:00:00+00:00", "M:2026-03"),
        ("all", "2026-03-18T12:00:00+00:00", "ALL"),
        ("M:2026-02", "2026-03-18T12:00:00+00:00", "M:2026-02"),
    ],
)
def test_words_mean_the_period_that_is_on_and_a_weekend_the_last_one(word: str, instant: str, key: str) -> None:
    found = periods.named(word, KINDS, "UTC", at(instant))

    assert found is not None
    assert found.key == key


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [
        ("D:2026-03-01", "D:2026-02-28", "D:2026-03-02"),
        ("W:2026-W01", "W:2025-W52", "W:2026-W02"),
        ("WE:2026-W12", "WE:2026-W11", "WE:2026-W13"),
        ("M:2026-01", "M:2025-12", "M:2026-02"),
    ],
)
def test_periods_have_neighbours(key: str, before: str, after: str) -> None:
    found = periods.period_of(key, KINDS, "UTC")
    kind = periods.kind_of(key)

    assert found is not None
    sides = [periods.neighbour(found, kind, "UTC", step=step) for step in (-1, 1)]  # type: ignore[arg-type]  # of KINDS
    assert [side.key if side else None for side in sides] == [before, after]
    assert periods.neighbour(periods.ALL, "ALL", "UTC", step=1) is None


def test_at_any_instant_one_period_of_a_kind_is_open() -> None:
    """Day by day over a change of the clock: each begins where the one before ends."""
    zone = "Europe/Berlin"
    days = [periods.period_at("D", date(2026, 3, day), zone) for day in range(27, 32)]

    assert [one.ends_at for one in days[:-1]] == [one.starts_at for one in days[1:]]
    lengths = [one.ends_at - one.starts_at for one in days if one.starts_at and one.ends_at]
    assert [length.total_seconds() / 3600 for length in lengths] == [24, 24, 23, 24, 24]
    assert days[0].starts_at == datetime(2026, 3, 26, 23, tzinfo=UTC)
