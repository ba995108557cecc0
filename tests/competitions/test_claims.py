"""Prizes that wait for their winner: claimed once, or expired once, whoever comes first."""

import asyncio
from datetime import datetime, timedelta

from palio import competitions, ledger
from palio.competitions import jobs
from palio.competitions.messages import ExpireRewards
from palio.competitions.types import Claim, CompetitionId, RewardStatus
from palio.infra import db
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.competitions import HOUR, enter, live, score

SYSTEM = Actor("system", None, RequestId(new_id()))
STAFF = Actor("staff", UserId(new_id()), RequestId(new_id()))
WINDOW = timedelta(days=30)


async def won(tx: Tx, noon: datetime) -> tuple[CompetitionId, str]:
    """An unlinked entrant won 50.00 at six o'clock; answers his ref too."""
    competition_id = await live(tx, noon)
    (entrant,) = await enter(tx, competition_id, 1, noon, linked=False)
    await score(tx, competition_id, [entrant], [9], noon)
    for _ in range(2):
        await competitions.settle(tx, competition_id=competition_id, now=noon + 6 * HOUR)
    (standing,) = await competitions.standings(tx, competition_id=competition_id, limit=5)
    return competition_id, standing.ref


async def claim(tx: Tx, ref: str, user_id: UserId | None, now: datetime) -> int:
    return len(await competitions.claim_many(tx, [Claim("player", ref, user_id)], now=now))


async def state(tx: Tx, competition_id: CompetitionId, user_id: UserId) -> tuple[RewardStatus, int, int]:
    """The prize, the wallet and the pool."""
    (reward,) = await competitions.rewards(tx, competition_id=competition_id)
    wallet = await ledger.balance(tx, address=f"user:{user_id}:main", asset="USD")
    return reward.status, wallet, await ledger.balance(tx, address=f"pool:{competition_id}", asset="USD")


async def test_a_claim_pays_once_and_an_unlinked_account_keeps_it(tx: Tx, noon: datetime) -> None:
    competition_id, ref = await won(tx, noon)
    user_id = UserId(new_id())
    assert await claim(tx, ref, user_id, noon + 7 * HOUR) == 1
    assert await state(tx, competition_id, user_id) == ("paid", 5000, 0)
    [line] = (await ledger.statement(tx, owner_id=user_id, asset="USD")).lines
    assert line.metadata == {"competition": str(competition_id), "rank": 1, "title": "Spring"}
    assert await claim(tx, ref, user_id, noon + 8 * HOUR) == 0
    assert await claim(tx, ref, None, noon + 9 * HOUR) == 0
    assert await claim(tx, ref, UserId(new_id()), noon + 9 * HOUR) == 0
    assert await state(tx, competition_id, user_id) == ("paid", 5000, 0)
    assert await claim(tx, "nobody has met him", user_id, noon) == 0


async def test_a_prize_expires_to_the_house_and_then_pays_nobody(tx: Tx, noon: datetime) -> None:
    competition_id, ref = await won(tx, noon)
    user_id, due = UserId(new_id()), noon + 6 * HOUR + WINDOW
    await competitions.expire(tx, now=due - timedelta(microseconds=1))
    assert await state(tx, competition_id, user_id) == ("unclaimed", 0, 5000)
    before = await ledger.balance(tx, address="house:prizes", asset="USD")
    expired = await competitions.expire(tx, now=due)
    assert await competitions.expire(tx, now=due) == 0
    assert await claim(tx, ref, user_id, due + HOUR) == 0
    assert await state(tx, competition_id, user_id) == ("expired", 0, 0)
    assert await ledger.balance(tx, address="house:prizes", asset="USD") - before == 5000 * expired


async def test_of_two_strangers_one_is_linked_in_time_and_the_prize_of_the_other_goes_back(
    tx: Tx, noon: datetime
) -> None:
    """The first is paid once, the second thirty days later nobody; then the pool is empty."""
    competition_id = await live(tx, noon)
    people = await enter(tx, competition_id, 2, noon, linked=False)
    await score(tx, competition_id, people, [9, 7], noon)
    for _ in range(2):
        await competitions.settle(tx, competition_id=competition_id, now=noon + 6 * HOUR)
    first, second = await competitions.standings(tx, competition_id=competition_id, limit=5)
    user_id, due = UserId(new_id()), noon + 6 * HOUR + WINDOW
    before = await ledger.balance(tx, address="house:prizes", asset="USD")

    assert [await claim(tx, first.ref, user_id, noon + hours * HOUR) for hours in (7, 8)] == [1, 0]
    assert await competitions.expire(tx, now=due) >= 1
    assert await claim(tx, second.ref, UserId(new_id()), due + HOUR) == 0

    rewards = await competitions.rewards(tx, competition_id=competition_id)
    assert [(reward.status, reward.amount) for reward in rewards] == [("paid", 5_000), ("expired", 3_000)]
    assert await ledger.balance(tx, address=f"user:{user_id}:main", asset="USD") == 5_000
    assert await ledger.balance(tx, address=f"pool:{competition_id}", asset="USD") == 0
    assert await ledger.balance(tx, address="house:prizes", asset="USD") - before >= 3_000


async def test_a_claim_comes_too_late_at_the_instant_of_the_expiry(tx: Tx, noon: datetime) -> None:
    competition_id, ref = await won(tx, noon)
    user_id = UserId(new_id())
    assert await claim(tx, ref, user_id, noon + 6 * HOUR + WINDOW) == 0
    assert await state(tx, competition_id, user_id) == ("unclaimed", 0, 5000)


async def test_who_is_linked_during_the_review_is_paid_with_the_others(tx: Tx, noon: datetime) -> None:
    competition_id = await live(tx, noon, review_h=24)
    (entrant,) = await enter(tx, competition_id, 1, noon, linked=False)
    await score(tx, competition_id, [entrant], [9], noon)
    for _ in range(2):
        await competitions.settle(tx, competition_id=competition_id, now=noon + 6 * HOUR)
    (standing,) = await competitions.standings(tx, competition_id=competition_id, limit=5)
    user_id = UserId(new_id())
    assert await claim(tx, standing.ref, user_id, noon + 7 * HOUR) == 0
    for _ in range(3):
        await competitions.settle(tx, competition_id=competition_id, now=noon + 31 * HOUR)
    assert await state(tx, competition_id, user_id) == ("paid", 5000, 0)


async def test_the_hourly_job_expires_what_is_due(tx: Tx, noon: datetime) -> None:
    competition_id, _ = await won(tx, noon)
    clock.use(lambda: noon + 6 * HOUR + WINDOW)
    try:
        await jobs.expire(tx, ExpireRewards())
    finally:
        clock.use(clock.real)
    assert (await state(tx, competition_id, UserId(new_id())))[0] == "expired"


async def test_of_claim_and_expiry_at_the_same_instant_one_wins(database: Database, noon: datetime) -> None:
    """The pool ends empty, and the 50.00 are in the wallet or with the house, never in both."""
    due = noon + 6 * HOUR + WINDOW

    async def claim_it(ref: str, user_id: UserId) -> int:
        async with database.begin(SYSTEM) as tx:
            return await claim(tx, ref, user_id, due - timedelta(microseconds=1))

    async def expire_it() -> int:
        async with database.begin(SYSTEM) as tx:
            return await competitions.expire(tx, now=due)

    for _ in range(5):
        async with database.begin(SYSTEM) as tx:
            competition_id, ref = await won(tx, noon)
        user_id = UserId(new_id())
        claimed, _ = await asyncio.gather(claim_it(ref, user_id), expire_it())
        async with database.begin(SYSTEM) as tx:
            paid = ("paid", 5000, 0) if claimed else ("expired", 0, 0)
            assert await state(tx, competition_id, user_id) == paid


async def test_without_the_lock_on_the_prize_both_win(database: Database, noon: datetime) -> None:
    """The control: who looks first and moves the money then pays 50.00 twice out of a pool of 50.00."""
    async with database.begin(SYSTEM) as tx:
        competition_id, _ = await won(tx, noon)
    both_have_looked = asyncio.Barrier(2)

    async def naive(address: str) -> None:
        async with database.begin(SYSTEM) as tx:
            (reward,) = await competitions.rewards(tx, competition_id=competition_id)
            await both_have_looked.wait()
            if reward.status == "unclaimed":
                legs = ((f"pool:{competition_id}", "USD", -reward.amount), (address, "USD", reward.amount))
                post = ledger.Post(f"naive:{address}:{competition_id}", "competitions.prize", legs)
                await ledger.post(tx, post, now=noon)

    await asyncio.gather(naive(f"user:{new_id()}:main"), naive("house:prizes"))
    async with database.begin(SYSTEM) as tx:
        assert await ledger.balance(tx, address=f"pool:{competition_id}", asset="USD") == -5000


async def test_of_two_releases_at_once_one_counts(database: Database, noon: datetime) -> None:
    async with database.begin(SYSTEM) as tx:
        competition_id = await live(tx, noon, review_h=24)
        entrants = await enter(tx, competition_id, 3, noon)
        await score(tx, competition_id, entrants, [3, 2, 1], noon)
        for _ in range(2):
            await competitions.settle(tx, competition_id=competition_id, now=noon + 6 * HOUR)

    async def release() -> bool:
        try:
            async with database.begin(STAFF) as tx:
                await competitions.release(
                    tx, competition_id=competition_id, actor=STAFF, reason="numbers checked", now=noon + 7 * HOUR
                )
        except competitions.NotInReview:
            return False
        return True

    assert sorted(await asyncio.gather(*(release() for _ in range(4)))) == [False, False, False, True]
    async with database.begin(SYSTEM) as tx:
        audited = "select count(*) from infra.audit_rows where entity_id = %s and action = 'competition.release'"
        assert await db.value(tx, audited, str(competition_id)) == 1
