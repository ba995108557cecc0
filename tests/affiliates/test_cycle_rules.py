"""When a feed is read, asked again and left alone: decided without a clock of its own."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palio.affiliates import rules
from palio.affiliates.errors import SecretInvalid
from palio.affiliates.rules import cycles
from palio.affiliates.types import AuthKind, Breaker
from palio.kernel.ids import new_id

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
MINUTE, PAUSE = timedelta(minutes=1), timedelta(minutes=30)
FEED = UUID(int=21 * 10**9 + 7)  # an offset of 7 s


def test_instants_are_quarters_of_the_hour_plus_the_offset_of_the_feed() -> None:
    assert rules.next_due(FEED, 900, NOON) == NOON + timedelta(seconds=7)
    assert rules.next_due(FEED, 900, NOON + timedelta(seconds=7)) == NOON + timedelta(minutes=15, seconds=7)


@given(st.integers(10, 86_400), st.timedeltas(timedelta(), timedelta(days=2_000)))
def test_the_next_instant_is_later_by_at_most_one_interval(interval_s: int, later: timedelta) -> None:
    feed_id, after = new_id(), NOON + later
    following = rules.next_due(feed_id, interval_s, after)
    assert timedelta() < following - after <= timedelta(seconds=interval_s)
    assert 0 <= int(following.timestamp()) % interval_s <= 20
    assert rules.next_due(feed_id, interval_s, following) == following + timedelta(seconds=interval_s)


def test_after_an_outage_the_newest_instant_is_read_and_the_others_were_missed() -> None:
    planned = NOON + timedelta(seconds=7)
    due = rules.due(FEED, 900, planned, NOON + timedelta(hours=1, minutes=5))
    assert due.at == planned + timedelta(hours=1)
    assert due.missed == tuple(planned + timedelta(minutes=15 * n) for n in range(4))
    assert due.following == planned + timedelta(minutes=75)


def test_an_instant_that_has_just_come_missed_nothing() -> None:
    due = rules.due(FEED, 900, NOON + timedelta(seconds=7), NOON + timedelta(seconds=9))
    assert (due.at, due.missed) == (NOON + timedelta(seconds=7), ())


def test_an_instant_that_the_feed_asked_for_is_read_though_it_is_none_of_the_plan() -> None:
    asked_for = NOON + timedelta(minutes=6)
    due = rules.due(FEED, 900, asked_for, NOON + timedelta(minutes=6, seconds=5))
    assert (due.at, due.missed, due.following) == (asked_for, (), NOON + timedelta(minutes=15, seconds=7))


def test_of_a_feed_that_is_read_every_few_seconds_each_missed_instant_is_told_unless_they_shall_lie_apart() -> None:
    planned = NOON + timedelta(seconds=7)
    due = rules.due(FEED, 20, planned, NOON + timedelta(hours=1))
    assert due.at == NOON + timedelta(minutes=59, seconds=47)
    assert due.missed == tuple(planned + timedelta(seconds=20 * n) for n in range(179))
    thinned = rules.due(FEED, 20, planned, NOON + timedelta(hours=1), missed_apart=timedelta(minutes=15))
    assert (thinned.at, thinned.following) == (due.at, due.following)
    assert thinned.missed == tuple(planned + timedelta(minutes=15 * n) for n in range(4))


def test_a_very_long_outage_is_not_written_down_without_end() -> None:
    due = rules.due(FEED, 900, NOON, NOON + timedelta(days=200))
    assert len(due.missed) == 1 + cycles.MISSED_MAX
    assert all(later > earlier for earlier, later in pairwise(due.missed))


def test_rests_grow_by_chance_up_to_a_minute_and_are_never_shorter_than_asked_for() -> None:
    """2, 4, 8 … 60 s at most."""
    assert [cycles.rest_s(attempts, None, 0.999999) for attempts in (1, 2, 3, 4, 5, 6, 9)] == pytest.approx(
        [2, 4, 8, 16, 32, 60, 60], rel=1e-3
    )
    assert cycles.rest_s(3, None, 0) == 0
    assert cycles.rest_s(1, 3, 0.5) == 3
    assert cycles.rest_s(4, 3, 0.5) == 8


REPEATED = [408, 425, 429, 500, 502, 503, 504]
FINAL = [301, 302, 307, 400, 401, 403, 404, 410]


def rest(attempt: object, **changes: float) -> float | None:
    facts = {"attempts": 1, "attempts_max": 4, "elapsed_s": 0, "timeout_s": 20, "fraction": 0.5}
    return rules.rest_before_next(attempt, **{**facts, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("status", REPEATED)
def test_what_may_pass_is_asked_again(status: int) -> None:
    assert rest(rules.answered(status, None, 0)) == 1


@pytest.mark.parametrize("status", FINAL)
def test_what_will_not_pass_is_not(status: int) -> None:
    assert rest(rules.answered(status, None, 0)) is None


@pytest.mark.parametrize(
    ("kind", "is_repeated"),
    [
        *(("network", True), ("timeout", True), ("cut_short", True), ("encoding", True)),
        *(("too_large", False), ("address", False)),
    ],
)
def test_failures_of_the_way_are_asked_again_but_for_those_that_stay(kind: str, is_repeated: bool) -> None:
    assert (rest(rules.failed(kind, 200, "")) is not None) == is_repeated


@pytest.mark.parametrize(
    ("code", "is_repeated", "outcome"),
    [
        *(("bad_json", True, "ok"), ("bad_content_type", True, "bad_content_type")),
        *(("bad_encoding", True, "bad_encoding"), ("upstream_refused", False, "upstream_refused")),
        *(("shape_unknown", False, "ok"), ("out_of_order", False, "ok")),
    ],
)
def test_a_body_that_came_broken_is_asked_for_again(code: str, is_repeated: bool, outcome: str) -> None:
    judged = rules.judged(rules.answered(200, None, 10), code)
    assert ((rest(judged) is not None), judged.outcome, judged.error_code) == (is_repeated, outcome, code)


def test_a_cycle_ends_after_its_attempts_its_time_or_when_the_feed_wants_a_long_rest() -> None:
    busy = rules.answered(503, None, 0)
    assert rest(busy, attempts=4) is None
    assert rest(busy, elapsed_s=579) == 1
    assert rest(busy, elapsed_s=580) is None
    assert rest(rules.answered(429, 300, 0)) == 300
    assert rest(rules.answered(429, 301, 0)) is None
    assert rules.postponed_until(rules.answered(429, 300, 0)) is None
    assert rules.postponed_until(rules.answered(429, 301, 0)) == cycles.NEVER + timedelta(seconds=301)


def test_a_body_at_fault_says_less_than_a_bad_status() -> None:
    assert rules.failed("too_large", 500, "").error_code == "http_5xx"
    assert rules.failed("too_large", 200, "").error_code == "too_large"


def after(breaker: Breaker, state: str, now: datetime = NOON) -> Breaker:
    return rules.breaker_after(breaker, state, now=now, cycles_max=5, pause=PAUSE)  # type: ignore[arg-type]


def test_five_failures_in_a_row_open_the_breaker_and_a_success_between_begins_anew() -> None:
    breaker = Breaker()
    for count in range(1, 5):
        breaker = after(breaker, "failed")
        assert (breaker.state, breaker.failed_cycles) == ("closed", count)
    assert after(breaker, "unchanged") == Breaker()
    assert after(breaker, "suspicious") == Breaker()
    opened = after(breaker, "invalid")
    assert (opened.state, opened.opened_at, opened.probe_at) == ("open", NOON, NOON + PAUSE)
    assert rules.admitted(opened, NOON + PAUSE - MINUTE) is None
    assert rules.admitted(opened, NOON + PAUSE) == "probe"
    assert rules.admitted(Breaker(), NOON) == "schedule"


def test_each_probe_that_fails_doubles_the_pause_up_to_four_hours() -> None:
    breaker, pauses = Breaker("open", 5, NOON, NOON + PAUSE), []
    for _ in range(5):
        breaker = after(Breaker("half_open", 5, breaker.opened_at, breaker.probe_at), "failed", breaker.probe_at)
        assert breaker.probe_at is not None
        assert breaker.opened_at is not None
        pauses.append((breaker.probe_at - breaker.opened_at) / MINUTE)
    assert pauses == [60, 120, 240, 240, 240]
    assert after(breaker, "applied") == Breaker()


@pytest.mark.parametrize(
    ("kind", "secret", "expected"),
    [
        ("none", None, ("https://a.example.com/x?y=1", {})),
        ("bearer", "key", ("https://a.example.com/x?y=1", {"Authorization": "Bearer key"})),
        ("header", "X-Key: the key", ("https://a.example.com/x?y=1", {"X-Key": "the key"})),
        ("basic", "me:key", ("https://a.example.com/x?y=1", {"Authorization": "Basic bWU6a2V5"})),
        ("query", "key=a%20b", ("https://a.example.com/x?y=1&key=a%20b", {})),
    ],
)
def test_the_key_travels_as_the_feed_wants_it(
    kind: AuthKind, secret: str | None, expected: tuple[str, dict[str, str]]
) -> None:
    assert rules.credentials(kind, secret, "https://a.example.com/x?y=1") == expected


@pytest.mark.parametrize(
    ("kind", "secret"),
    [
        *(("bearer", None), ("bearer", ""), ("bearer", "a\r\nHost: x"), ("bearer", "schlüssel")),
        *(("header", "no colon"), ("header", "Bad Name: x"), ("basic", "no colon"), ("query", "no equals")),
        ("query", "a=b&c=d"),
    ],
)
def test_a_key_that_cannot_travel_is_refused(kind: AuthKind, secret: str | None) -> None:
    with pytest.raises(SecretInvalid):
        rules.credentials(kind, secret, "https://a.example.com/")


def test_of_a_key_people_see_its_end_at_most() -> None:
    assert [rules.hint(secret) for secret in (None, "short", "s3cr3t-XYZ")] == [None, None, "-XYZ"]
    assert rules.without("s3cr3t-XYZ", "said s3cr3t-XYZ twice s3cr3t-XYZ") == "said *** twice ***"
    assert rules.without("me:key", "key of me:key") == "*** of ***"
    assert len(rules.without(None, "x" * 600)) == 500
