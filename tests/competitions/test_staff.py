"""What staff may do: add to scores, take somebody out, move an end, call it off. Nothing that was paid is touched."""

import asyncio
from datetime import datetime
from uuid import UUID

import pytest

from palio import competitions, ledger
from palio.competitions.types import CompetitionId, EntrantId
from palio.infra import approvals, db
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import HOUR, enter, live, new, score

STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))
SECOND = UserId(new_id())
WHY = "the provider booked it twice"


async def adjust(tx: Tx, competition_id: CompetitionId, entrant: EntrantId, delta: int, now: datetime) -> UUID:
    adjustment_id = new_id()
    assert await competitions.adjust_score(
        tx,
        adjustment_id=adjustment_id,
        competition_id=competition_id,
        entrant_id=entrant,
        delta=delta,
        actor=STAFF,
        reason=WHY,
        now=now,
    )
    return adjustment_id


async def ranking(tx: Tx, competition_id: CompetitionId) -> list[tuple[int, int, int]]:
    """Entrant, score and prize in ranking order."""
    board = await competitions.top(tx, competition_id=competition_id, limit=10)
    return [(row.standing.entrant_id, row.standing.score, row.prize) for row in board.rows]


async def in_review(tx: Tx, noon: datetime, *, linked: bool = True) -> tuple[CompetitionId, list[EntrantId]]:
    """Three entrants with 30, 20 and 10, frozen at five o'clock."""
    competition_id = await live(tx, noon, review_h=24)
    entrants = await enter(tx, competition_id, 3, noon, linked=linked)
    await score(tx, competition_id, entrants, [30, 20, 10], noon)
    for _ in range(2):
        await competitions.settle(tx, competition_id=competition_id, now=noon + 5 * HOUR)
    return competition_id, entrants


async def test_an_adjustment_counts_once_and_its_opposite_undoes_it(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    first, second = await enter(tx, competition_id, 2, noon)
    await score(tx, competition_id, [first, second], [30, 20], noon)
    given = await adjust(tx, competition_id, second, 15, noon + HOUR)
    again = await competitions.adjust_score(
        tx,
        adjustment_id=given,
        competition_id=competition_id,
        entrant_id=second,
        delta=15,
        actor=STAFF,
        reason=WHY,
        now=noon + 2 * HOUR,
    )
    assert not again
    assert await ranking(tx, competition_id) == [(second, 35, 5000), (first, 30, 3000)]
    assert await competitions.adjustments(tx, competition_id=competition_id) == {second: 15}

    await adjust(tx, competition_id, second, -15, noon + HOUR)
    assert await ranking(tx, competition_id) == [(first, 30, 5000), (second, 20, 3000)]
    counted = await competitions.adjusted_by(tx, competition_id=competition_id, user_id=STAFF.user_id, since=noon)
    assert counted == 30


async def undo(
    tx: Tx, competition_id: CompetitionId, entrant: EntrantId, undoes: UUID, delta: int, now: datetime
) -> None:
    await competitions.adjust_score(
        tx,
        adjustment_id=new_id(),
        competition_id=competition_id,
        entrant_id=entrant,
        delta=delta,
        actor=STAFF,
        reason=WHY,
        now=now,
        undoes=undoes,
    )


async def test_only_an_adjustment_is_taken_back_by_its_opposite_and_once(tx: Tx, noon: datetime) -> None:
    """Not by another amount, not of somebody else, not a second time; what took it back can be taken back itself."""
    competition_id = await live(tx, noon)
    first, second = await enter(tx, competition_id, 2, noon)
    await score(tx, competition_id, [first, second], [30, 20], noon)
    given = await adjust(tx, competition_id, second, 15, noon + HOUR)
    for entrant, undoes, delta in (
        (second, given, -14),
        (second, given, 15),
        (first, given, -15),
        (second, new_id(), -15),
    ):
        with pytest.raises(competitions.NoSuchAdjustment):
            await undo(tx, competition_id, entrant, undoes, delta, noon + HOUR)
    await undo(tx, competition_id, second, given, -15, noon + HOUR)
    with pytest.raises(competitions.AdjustmentUndone):
        await undo(tx, competition_id, second, given, -15, noon + HOUR)
    assert await competitions.adjustments(tx, competition_id=competition_id) == {second: 0}


async def test_of_two_who_take_an_adjustment_back_at_once_one_does(database: Database, noon: datetime) -> None:
    async with database.begin(STAFF) as tx:
        competition_id = await live(tx, noon)
        (entrant,) = await enter(tx, competition_id, 1, noon)
        await score(tx, competition_id, [entrant], [30], noon)
        given = await adjust(tx, competition_id, entrant, 15, noon + HOUR)

    async def take_back() -> bool:
        try:
            async with database.begin(STAFF) as tx:
                await undo(tx, competition_id, entrant, given, -15, noon + HOUR)
        except competitions.AdjustmentUndone:
            return False
        return True

    assert sorted(await asyncio.gather(*(take_back() for _ in range(4)))) == [False, False, False, True]
    async with database.begin(STAFF) as tx:
        assert await competitions.adjustments(tx, competition_id=competition_id) == {entrant: 0}


async def test_without_the_lock_it_is_taken_back_twice(database: Database, noon: datetime) -> None:
    """The control: both have seen that it stands, and take 15 each."""
    async with database.begin(STAFF) as tx:
        competition_id = await live(tx, noon)
        (entrant,) = await enter(tx, competition_id, 1, noon)
        await score(tx, competition_id, [entrant], [30], noon)
        await adjust(tx, competition_id, entrant, 15, noon + HOUR)
    both_have_looked = asyncio.Barrier(2)

    async def naive() -> None:
        async with database.begin(STAFF) as tx:
            found = await competitions.adjustments(tx, competition_id=competition_id)
            await both_have_looked.wait()
            if found == {entrant: 15}:
                await adjust(tx, competition_id, entrant, -15, noon + HOUR)

    await asyncio.gather(naive(), naive())
    async with database.begin(STAFF) as tx:
        assert await competitions.adjustments(tx, competition_id=competition_id) == {entrant: -15}


@pytest.mark.parametrize(
    ("delta", "reason", "refusal"),
    [
        (0, WHY, competitions.AdjustmentInvalid),
        (10**16, WHY, competitions.AdjustmentInvalid),
        (5, "  no ", competitions.ReasonMissing),
    ],
)
async def test_an_adjustment_of_nothing_or_without_a_reason_is_refused(
    tx: Tx, noon: datetime, delta: int, reason: str, refusal: type[Exception]
) -> None:
    competition_id = await live(tx, noon)
    (entrant,) = await enter(tx, competition_id, 1, noon)
    with pytest.raises(refusal):
        await competitions.adjust_score(
            tx,
            adjustment_id=new_id(),
            competition_id=competition_id,
            entrant_id=entrant,
            delta=delta,
            actor=STAFF,
            reason=reason,
            now=noon,
        )
    assert await competitions.adjustments(tx, competition_id=competition_id) == {}


async def test_during_the_review_standings_and_prizes_are_written_anew(tx: Tx, noon: datetime) -> None:
    competition_id, (first, second, third) = await in_review(tx, noon)
    before = (await competitions.get(tx, competition_id=competition_id)).standings_hash or b""
    await adjust(tx, competition_id, third, 25, noon + 6 * HOUR)
    assert await ranking(tx, competition_id) == [(third, 35, 5000), (first, 30, 3000), (second, 20, 2000)]
    after = (await competitions.get(tx, competition_id=competition_id)).standings_hash or b""
    statement = "select changes -> 'standings' from infra.audit_rows where entity_id = %s and action = %s"
    told = await db.value(tx, statement, str(competition_id), "competition.adjust")
    assert told == [before.hex(), after.hex()]
    for _ in range(3):
        await competitions.settle(tx, competition_id=competition_id, now=noon + 29 * HOUR)
    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [(reward.entrant_id, reward.amount, reward.status) for reward in rewards] == [
        (third, 5000, "paid"),
        (first, 3000, "paid"),
        (second, 2000, "paid"),
    ]


async def test_who_is_taken_out_in_the_review_needs_two_people_and_everybody_moves_up(tx: Tx, noon: datetime) -> None:
    competition_id, (first, second, third) = await in_review(tx, noon)
    act = {"competition_id": competition_id, "entrant_id": first, "actor": STAFF, "reason": WHY}
    for nobody in (None, STAFF.user_id):
        with pytest.raises(competitions.ApprovalDue):
            await competitions.disqualify(tx, **act, now=noon + 6 * HOUR, approved_by=nobody)
    assert len(await ranking(tx, competition_id)) == 3

    await competitions.disqualify(tx, **act, now=noon + 6 * HOUR, approved_by=SECOND)
    assert await ranking(tx, competition_id) == [(second, 20, 5000), (third, 10, 3000)]
    assert await competitions.disqualified(tx, competition_id=competition_id) == {first}
    await competitions.reinstate(tx, **act, now=noon + 7 * HOUR)
    assert await ranking(tx, competition_id) == [(first, 30, 5000), (second, 20, 3000), (third, 10, 2000)]
    assert await ledger.balance(tx, address=f"pool:{competition_id}", asset="USD") == 10_000


async def test_while_it_runs_one_person_takes_somebody_out_and_lets_him_in_again(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    first, second = await enter(tx, competition_id, 2, noon)
    await score(tx, competition_id, [first, second], [30, 20], noon)
    act = {"competition_id": competition_id, "entrant_id": first, "actor": STAFF, "reason": WHY, "now": noon + HOUR}
    for _ in range(2):
        await competitions.disqualify(tx, **act)
    assert await ranking(tx, competition_id) == [(second, 20, 5000)]
    for _ in range(2):
        await competitions.reinstate(tx, **act)
    assert await ranking(tx, competition_id) == [(first, 30, 5000), (second, 20, 3000)]
    with pytest.raises(competitions.NoSuchEntrant):
        await competitions.disqualify(tx, **{**act, "entrant_id": EntrantId(2**40)})


async def test_nothing_is_changed_once_it_is_paid(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    (entrant,) = await enter(tx, competition_id, 1, noon)
    await score(tx, competition_id, [entrant], [5], noon)
    for _ in range(2):
        await competitions.settle(tx, competition_id=competition_id, now=noon + 6 * HOUR)
    now = noon + 7 * HOUR
    with pytest.raises(competitions.Paying):
        await adjust(tx, competition_id, entrant, 5, now)
    with pytest.raises(competitions.Paying):
        await competitions.disqualify(
            tx, competition_id=competition_id, entrant_id=entrant, actor=STAFF, reason=WHY, now=now
        )
    with pytest.raises(competitions.Paying):
        await competitions.cancel(tx, competition_id=competition_id, actor=STAFF, reason=WHY, now=now)


async def test_nothing_is_adjusted_before_it_begins(tx: Tx, noon: datetime) -> None:
    competition_id = await competitions.create(tx, new=new(noon + HOUR), created_by=None, now=noon)
    (entrant,) = await enter(tx, competition_id, 1, noon)
    with pytest.raises(competitions.NotRunning):
        await adjust(tx, competition_id, entrant, 5, noon)


async def test_an_end_moves_only_to_later_and_only_until_it_comes(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon)
    act = {"competition_id": competition_id, "actor": STAFF, "reason": WHY}
    with pytest.raises(competitions.EndsEarlier):
        await competitions.extend(tx, **act, ends_at=noon + 4 * HOUR, now=noon + HOUR)
    moved = await competitions.extend(tx, **act, ends_at=noon + 8 * HOUR, now=noon + HOUR)
    assert (moved.ends_at, moved.terms_hash) == (noon + 8 * HOUR, moved.terms_hash)
    assert not await competitions.settle(tx, competition_id=competition_id, now=noon + 6 * HOUR)
    with pytest.raises(competitions.NotExtendable):
        await competitions.extend(tx, **act, ends_at=noon + 9 * HOUR, now=noon + 8 * HOUR)


async def test_a_cancellation_in_the_review_voids_the_prizes(tx: Tx, noon: datetime) -> None:
    competition_id, _ = await in_review(tx, noon)
    await competitions.cancel(
        tx, competition_id=competition_id, actor=STAFF, reason=WHY, now=noon + 6 * HOUR, approved_by=SECOND
    )
    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [reward.status for reward in rewards] == ["void"] * 3
    assert not await competitions.settle(tx, competition_id=competition_id, now=noon + 99 * HOUR)


async def test_a_large_pool_is_released_by_two_people(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, guaranteed_pool=100_001)
    entrants = await enter(tx, competition_id, 3, noon)
    await score(tx, competition_id, entrants, [3, 2, 1], noon)
    for _ in range(2):
        await competitions.settle(tx, competition_id=competition_id, now=noon + 6 * HOUR)
    act = {"competition_id": competition_id, "actor": STAFF, "reason": WHY, "now": noon + 6 * HOUR}
    with pytest.raises(competitions.ApprovalDue):
        await competitions.release(tx, **act, approved_by=STAFF.user_id)
    await competitions.release(tx, **act, approved_by=SECOND)
    assert (await competitions.get(tx, competition_id=competition_id)).phase == "paying"


async def test_nobody_decides_about_his_own_score_or_prize(tx: Tx, noon: datetime) -> None:
    """Neither as the one who does it, nor as the second who agrees."""
    competition_id, (first, _, third) = await in_review(tx, noon)
    known = await competitions.entrants_many(tx, [first, third])
    winner, loser = (Actor("staff", known[who].user_id, RequestId(new_id())) for who in (first, third))
    now = noon + 6 * HOUR
    for who in (winner, loser):  # all three places pay
        with pytest.raises(approvals.OwnBenefit):
            await competitions.release(tx, competition_id=competition_id, actor=who, reason="checked twice", now=now)
    with pytest.raises(approvals.OwnBenefit):
        await competitions.release(
            tx,
            competition_id=competition_id,
            actor=STAFF,
            reason="checked twice",
            now=now,
            approved_by=winner.user_id,
        )
    with pytest.raises(approvals.OwnBenefit):
        await competitions.adjust_score(
            tx,
            adjustment_id=new_id(),
            competition_id=competition_id,
            entrant_id=third,
            delta=100,
            actor=loser,
            reason=WHY,
            now=now,
        )
    assert [score for _, score, _ in await ranking(tx, competition_id)] == [30, 20, 10]
    await competitions.release(tx, competition_id=competition_id, actor=STAFF, reason="checked twice", now=now)
