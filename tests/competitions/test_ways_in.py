"""What a page offers somebody: to join, to leave, to doubt the result, or why not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from palio.competitions.rules.appeals import may_open
from palio.competitions.rules.entering import may_leave, way_in
from palio.competitions.schemas.cards import mine_of
from palio.competitions.schemas.competitions import COMPETITION
from palio.competitions.schemas.entering import ANSWERED, APPEAL
from palio.competitions.types import Competition, EntrantId, Participation

BEGIN = datetime(2026, 3, 16, tzinfo=UTC)
BEFORE, DURING, AFTER = BEGIN - timedelta(hours=1), BEGIN + timedelta(hours=1), BEGIN + timedelta(days=8)
COMING = replace(COMPETITION, status="upcoming", join_mode="open", max_participants=2)
LIVE = replace(COMING, status="live")
IN = Participation(COMPETITION.id, EntrantId(1), "active", BEFORE, "join", None, None)
LEFT, OUT = replace(IN, state="left"), replace(IN, state="disqualified", reason="two accounts")


@pytest.mark.parametrize(
    ("competition", "known", "now", "active", "expected"),
    [
        (COMING, None, BEFORE, 0, "open"),
        (COMING, LEFT, BEFORE, 1, "open"),
        (COMING, None, BEFORE, 2, "full"),
        (COMING, IN, BEFORE, 2, "in"),
        (COMING, OUT, BEFORE, 0, "out"),
        (replace(COMING, max_participants=None), None, BEFORE, 10**6, "open"),
        (replace(COMING, join_mode="auto"), None, BEFORE, 0, "automatic"),
        (replace(COMING, join_mode="invite"), None, BEFORE, 0, "uninvited"),
        (replace(COMING, join_mode="invite"), LEFT, BEFORE, 0, "invited"),
        (LIVE, None, DURING, 0, "open"),
        (LIVE, None, AFTER, 0, "closed"),
        (replace(LIVE, paused_at=DURING), None, DURING, 0, "closed"),
        (replace(COMING, status="settling"), None, AFTER, 0, "closed"),
    ],
)
def test_a_page_offers_what_joining_would_accept(
    competition: Competition, known: Participation | None, now: datetime, active: int, expected: str
) -> None:
    assert way_in(competition, known, now, active) == expected


@pytest.mark.parametrize(
    ("competition", "known", "now", "expected"),
    [
        (COMING, IN, BEFORE, True),
        (COMING, IN, BEGIN, False),
        (LIVE, IN, DURING, False),
        (COMING, LEFT, BEFORE, False),
        (COMING, None, BEFORE, False),
    ],
)
def test_whoever_takes_part_may_go_before_the_start(
    competition: Competition, known: Participation | None, now: datetime, expected: bool
) -> None:
    assert may_leave(competition, known, now) is expected


def test_a_result_is_doubted_one_doubt_at_a_time_and_three_in_all() -> None:
    reviewed = replace(COMPETITION, status="settling", phase="review")
    assert may_open(reviewed, []) and may_open(reviewed, [ANSWERED, ANSWERED])
    assert not may_open(reviewed, [APPEAL]) and not may_open(reviewed, [ANSWERED] * 3)
    assert not may_open(replace(reviewed, phase="paying"), [])


@pytest.mark.parametrize(
    ("competition", "known", "expected"),
    [
        (COMING, None, ""),
        (COMING, IN, "in"),
        (COMING, OUT, ""),
        (COMING, LEFT, ""),
        (replace(COMING, join_mode="invite"), LEFT, "invited"),
        (replace(COMING, join_mode="invite", status="completed"), LEFT, ""),
    ],
)
def test_a_card_says_what_one_has_to_do_with_it(
    competition: Competition, known: Participation | None, expected: str
) -> None:
    assert mine_of(competition, known) == expected
