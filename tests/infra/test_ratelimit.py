"""Limits that several processes share: exact where it says so, asked seldom where it says so, never fully open."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest

from palio.infra import embedded
from palio.infra.db import Database
from palio.infra.ratelimit import Left, Limiter, Policy
from palio.kernel.errors import Unavailable
from palio.kernel.ids import new_id

KEY = bytes(32)
PLAY = Policy("play", 20, 5)
READS = Policy("reads", 100, 60, lot=5)


class Hands:
    """A clock that is moved by hand, for the process and for the database."""

    def __init__(self, at: datetime) -> None:
        self.at = self.began = at

    def now(self) -> datetime:
        return self.at

    def elapsed(self) -> float:
        return (self.at - self.began).total_seconds()

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Counted(Database):
    """A database that knows how often it was begun."""

    begun = 0

    def begin_system(self, reason: str, **more):
        self.begun += 1
        return super().begin_system(reason, **more)


@pytest.fixture
async def house(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Counted]:
    database = Counted(cluster.dsn("palio_app", database_name))
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()


@pytest.fixture
def hands(noon: datetime) -> Hands:
    return Hands(noon)


def limiter(database: Database, hands: Hands) -> Limiter:
    return Limiter(database, KEY, elapsed=hands.elapsed, now=hands.now)


async def take(limits: Limiter, policy: Policy, subject: str, times: int = 1) -> list[Left]:
    return [(await limits.take([(policy, subject)]))[0] for _ in range(times)]


async def test_the_twenty_first_of_twenty_is_refused_wherever_it_comes(house: Counted, hands: Hands) -> None:
    """Two processes count together, down to nothing; somebody else is not concerned; a token comes back in time."""
    one, two, subject = limiter(house, hands), limiter(house, hands), str(new_id())
    told = []
    for number in range(20):
        told += await take((one, two)[number % 2], PLAY, subject)
    refused = await take(one, PLAY, subject) + await take(two, PLAY, subject)
    other = await take(one, PLAY, str(new_id()))
    hands.move(0.25)
    again = await take(two, PLAY, subject, 2)

    assert [(left.remaining, left.is_refused) for left in told] == [(left, False) for left in range(19, -1, -1)]
    assert [(left.is_refused, left.retry_after_s, left.reset_s) for left in refused] == [(True, 1, 5)] * 2
    assert (other[0].remaining, other[0].reset_s) == (19, 1)
    assert [left.is_refused for left in again] == [False, True]


async def test_thirty_at_once_get_what_is_there(house: Counted, hands: Hands) -> None:
    """They are asked for in few statements, and the first ones get it."""
    limits, subject = limiter(house, hands), str(new_id())
    told = await asyncio.gather(*(limits.take([(PLAY, subject)]) for _ in range(30)))

    assert [left.is_refused for (left,) in told] == [False] * 20 + [True] * 10
    assert house.begun <= 2


async def test_reads_ask_once_in_a_lot(house: Counted, hands: Hands) -> None:
    """A hundred go through, and the hundred and first does not: twenty questions in all."""
    limits, subject = limiter(house, hands), str(new_id())
    told = await take(limits, READS, subject, 100)

    assert [left.remaining for left in told] == list(range(99, -1, -1))
    assert house.begun == 20
    assert (await take(limits, READS, subject))[0].is_refused
    assert house.begun == 21


async def test_whoever_was_refused_is_refused_without_asking(house: Counted, hands: Hands) -> None:
    """Until there is a token again."""
    limits, subject = limiter(house, hands), str(new_id())
    await take(limits, PLAY, subject, 21)
    begun = house.begun
    for _ in range(50):
        assert (await take(limits, PLAY, subject))[0].is_refused
    assert house.begun == begun
    hands.move(0.251)
    assert not (await take(limits, PLAY, subject))[0].is_refused


async def test_a_lot_is_not_kept_for_later(house: Counted, hands: Hands) -> None:
    """What lay unused while the bucket filled up is lost."""
    limits, subject = limiter(house, hands), str(new_id())
    await take(limits, READS, subject)
    hands.move(60)
    assert len([left for left in await take(limits, READS, subject, 103) if not left.is_refused]) == 100


async def test_a_bucket_that_is_asked_too_often_fills_all_the_same(house: Counted, hands: Hands) -> None:
    """Steps so short that nothing has come back in one of them add up."""
    slow, subject = Policy("slow", 10, 3_600), str(new_id())
    limits = limiter(house, hands)
    await take(limits, slow, subject, 10)
    for _ in range(400):
        hands.move(1)
        limits = limiter(house, hands)  # one that does not remember the refusal
        left = (await take(limits, slow, subject))[0]
        if not left.is_refused:
            break
    assert (hands.elapsed(), left.is_refused) == (pytest.approx(360, abs=2), False)


async def test_every_policy_counts_and_one_refusal_is_enough(house: Counted, hands: Hands) -> None:
    limits, subject = limiter(house, hands), str(new_id())
    both = [(Policy("narrow", 1, 60), subject), (PLAY, subject)]
    first, second = await limits.take(both), await limits.take(both)

    assert [left.is_refused for left in (*first, *second)] == [False, False, True, False]
    assert second[1].remaining == 18


async def test_without_the_database_reads_are_counted_here_and_money_is_refused(house: Counted, hands: Hands) -> None:
    """The process keeps the same policy by itself: it never stands open."""
    await house.pool.close()
    limits, subject = limiter(house, hands), str(new_id())
    told = await asyncio.gather(*(limits.take([(PLAY, subject)]) for _ in range(25)))
    with pytest.raises(Unavailable):
        await limits.take([(Policy("money", 20, 5, is_strict=True), subject)])

    assert [left.is_refused for (left,) in told].count(False) == 20


async def test_nobody_can_be_read_from_a_bucket(house: Counted, hands: Hands, tx) -> None:
    await take(limiter(house, hands), PLAY, "address:203.0.113.9")
    found = await (await tx.execute("select max(length(key)) from infra.rate_buckets")).fetchone()
    assert found == (16,)
