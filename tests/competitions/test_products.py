"""One engine for every product: a quest, a game, a league of steps and a plain one, from first score to prize."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from palio import competitions
from palio.competitions.service import mine
from palio.competitions.types import Admission, CompetitionId, Counted, EntrantId, Outcome, Refused, Submission
from palio.infra import db
from palio.infra.db import Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import HOUR, balances, live, paid_in, players

SYSTEM = Actor("system", None, RequestId(new_id()))
STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
BY_CLOCK = ("game", "custom")  # the others are frozen by whoever brings their last score


async def entered(tx: Tx, competition_id: CompetitionId, users: list[UserId], now: datetime) -> list[EntrantId]:
    items = [Admission(competition_id, "user", str(user), user) for user in users]
    return await competitions.admit_many(tx, items, now=now)


async def submit(
    tx: Tx, now: datetime, competition_id: CompetitionId, entrant: EntrantId, key: str, **more: Any
) -> Outcome:
    item = Submission(competition_id, entrant, more.pop("delta", None), key, more.pop("at", now), **more)
    return (await competitions.submit_many(tx, [item], now=now))[0]


async def ended(tx: Tx, competition_id: CompetitionId, product: str, end: datetime) -> None:
    """By the clock, and by the product where it knows itself when all scores are in."""
    await competitions.advance(tx, competition_id=competition_id, now=end)
    if product not in BY_CLOCK:
        found = await competitions.get(tx, competition_id=competition_id)
        assert (found.status, found.phase) == ("settling", "collecting")
        await competitions.freeze(tx, competition_id=competition_id, evidence={"scores": 3}, now=end)


@pytest.mark.parametrize(
    ("product", "terms", "scores"),
    [
        ("quest", {"tie_rule": "earliest"}, [{"delta": 30}, {"delta": 20}, {"delta": 10}]),
        (
            "game",
            {"op": "best", "direction": "asc", "has_subscore": True},
            [{"value": 5}, {"value": 9}, {"value": 9, "sub": 1}],
        ),
        ("steps", {"op": "set"}, [{"value": 9, "version": 2}, {"value": 8, "version": 1}, {"value": 7, "version": 1}]),
        ("custom", {"op": "last"}, [{"value": 3}, {"value": 2}, {"value": 1}]),
    ],
)
async def test_whatever_a_score_means_it_is_ranked_frozen_paid_and_proven(
    tx: Tx, noon: datetime, product: str, terms: dict[str, Any], scores: list[dict[str, Any]]
) -> None:
    """With payments of players in the pool, of which the treasury has its tenth."""
    users = await players(tx, 3, noon, each=99)
    treasury = (await balances(tx, "treasury:main"))[0]
    competition_id = await live(tx, noon, product=product, **terms)
    people = await entered(tx, competition_id, users, noon)
    await competitions.contribute_many(tx, [paid_in(competition_id, user, 99) for user in users], now=noon)
    for entrant, sent in zip(people, scores, strict=True):
        for replayed in (False, True):
            outcome = await submit(tx, noon + HOUR, competition_id, entrant, "one", **sent)
            assert isinstance(outcome, Counted) and outcome.replayed is replayed
    early = await submit(tx, noon, competition_id, people[0], "early", at=noon - MINUTE, **scores[0])
    assert isinstance(early, Refused) and early.code == "competitions.outside_window"

    end = noon + 5 * HOUR
    await ended(tx, competition_id, product, end)
    assert await competitions.advance(tx, competition_id=competition_id, now=end) == 0
    late = await submit(tx, end, competition_id, people[0], "late", at=end - MINUTE, **scores[0])
    assert isinstance(late, Refused) and late.code == "competitions.not_live"

    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [(reward.entrant_id, reward.amount) for reward in rewards] == list(
        zip(people, (5_135, 3_081, 2_054), strict=True)
    )
    assert await balances(tx, *(f"user:{user}:main" for user in users)) == [5_135, 3_081, 2_054]
    assert await balances(tx, f"pool:{competition_id}", "treasury:main") == [0, treasury + 27]
    assert not (await competitions.verify(tx, competition_id=competition_id)).differences


async def test_a_product_that_keeps_silent_is_late_and_nothing_is_paid(tx: Tx, noon: datetime) -> None:
    """The alarm comes six hours after what the product may take, and ends with the freeze."""
    competition_id = await live(tx, noon, product="quest", collect_s=3_600)
    await entered(tx, competition_id, await players(tx, 1, noon), noon)
    end = noon + 5 * HOUR
    await competitions.advance(tx, competition_id=competition_id, now=end)
    for now, is_late in ((end + 7 * HOUR - MINUTE, False), (end + 7 * HOUR, True), (end + 900 * HOUR, True)):
        late = [found.id for found in await competitions.overdue(tx, now=now)]
        assert (competition_id in late) is is_late
        assert await competitions.advance(tx, competition_id=competition_id, now=now) == 0
    assert await balances(tx, f"pool:{competition_id}") == [10_000]
    await competitions.freeze(tx, competition_id=competition_id, evidence={}, now=end + 900 * HOUR)
    assert competition_id not in [found.id for found in await competitions.overdue(tx, now=end + 900 * HOUR)]


@pytest.mark.parametrize(
    ("least", "score", "gap", "is_paid"),
    [(5_000, 4_999, 1, False), (5_000, 5_000, 0, True), (0, 0, 1, False), (0, 1, 0, True)],
)
async def test_the_line_is_shown_to_the_unit_and_decides_the_prize(
    tx: Tx, noon: datetime, least: int, score: int, gap: int, is_paid: bool
) -> None:
    (user,) = await players(tx, 1, noon)
    competition_id = await live(tx, noon, product="game", min_score=least)
    (entrant,) = await entered(tx, competition_id, [user], noon)
    await submit(tx, noon, competition_id, entrant, "one", delta=score)
    seen = await mine.my_rank(tx, competition_id=competition_id, user_id=user, now=noon)
    assert (seen.row.standing.rank, seen.gap_to_qualify, seen.row.prize) == (
        (1, 0, 5_000) if is_paid else (None, gap, 0)
    )
    await competitions.advance(tx, competition_id=competition_id, now=noon + 5 * HOUR)
    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [reward.amount for reward in rewards] == ([5_000] if is_paid else [])


async def test_nobody_leaves_what_is_settled_or_comes_in(tx: Tx, noon: datetime) -> None:
    *users, stranger = await players(tx, 3, noon, each=100)
    competition_id = await live(tx, noon, product="quest", join_mode="open", entry_fee=100)
    for user in users:
        await competitions.join(tx, competition_id=competition_id, user_id=user, now=noon)
    await competitions.advance(tx, competition_id=competition_id, now=noon + 5 * HOUR)
    with pytest.raises(competitions.NotOpen):
        await competitions.leave(tx, competition_id=competition_id, user_id=users[0], now=noon + 5 * HOUR)
    with pytest.raises(competitions.NotOpen):
        await competitions.join(tx, competition_id=competition_id, user_id=stranger, now=noon + 5 * HOUR)
    assert await balances(tx, f"pool:{competition_id}", *(f"user:{user}:main" for user in users)) == [10_180, 0, 0]


async def test_a_game_is_disqualified_in_its_review_and_audited_with_both_digests(tx: Tx, noon: datetime) -> None:
    """Everybody moves up by one prize; once it is paid, nothing moves any more."""
    users = await players(tx, 4, noon)
    competition_id = await live(tx, noon, product="game", review_h=24)
    people = await entered(tx, competition_id, users, noon)
    for number, entrant in enumerate(people):
        await submit(tx, noon, competition_id, entrant, "one", delta=10 - number)
    frozen_at = noon + 5 * HOUR
    await competitions.advance(tx, competition_id=competition_id, now=frozen_at)
    before = (await competitions.get(tx, competition_id=competition_id)).standings_hash or b""
    act = {"competition_id": competition_id, "actor": STAFF, "reason": "he played twice"}
    await competitions.disqualify(tx, entrant_id=people[0], now=frozen_at + HOUR, approved_by=UserId(new_id()), **act)
    after = (await competitions.get(tx, competition_id=competition_id)).standings_hash or b""
    changes = await db.value(
        tx,
        "select changes from infra.audit_rows where action = 'competition.disqualify' and entity_id = %s",
        str(competition_id),
    )
    assert changes["standings"] == [before.hex(), after.hex()]
    await competitions.advance(tx, competition_id=competition_id, now=frozen_at + DAY)
    assert await balances(tx, *(f"user:{user}:main" for user in users)) == [0, 5_000, 3_000, 2_000]
    with pytest.raises(competitions.Paying):
        await competitions.disqualify(tx, entrant_id=people[1], now=frozen_at + DAY, **act)
