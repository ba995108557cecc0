"""A plain batch is written in one statement, and nobody can tell by what comes of it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest

from palio import ledger
from palio.infra.db import Database
from palio.kernel.ids import Actor, RequestId, new_id
from palio.ledger import Hold, Post, Posted, Reverse, Void
from palio.ledger.rules import plain, requests
from palio.ledger.rules.items import judge
from palio.ledger.service import posting
from palio.ledger.service.memory import Book
from palio.ledger.types import AMOUNT_UNITS_MAX, AccountId, HoldId, Item, Place, TransferId
from palio.ledger.web.gathering import Teller
from tests.factories.ledger import HOUSE, Superuser, codes, fund, new_wallet, owner_of, pay

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
KINDS, ASSETS = {"ledger.transfer", "games.stake"}, {"COIN", "POINT"}
ODIN, FREY = (f"user:{UUID(int=n)}:main" for n in (1, 2))


def read(items: Sequence[Item], places: Mapping[Place, AccountId] | None = None) -> plain.Plain | None:
    known = requests.Vocabulary(KINDS, ASSETS, places or {})
    ids = [UUID(int=n) for n in range(1, len(items) + 1)]
    return plain.read(judge(items, ids, known), counting={"games.stake"}, lotted={"POINT"})


def test_legs_are_sorted_by_what_they_touch() -> None:
    """A wallet has an odd number; a place nobody knows yet stands by its own."""
    batch = read(
        [pay("a", ODIN, 5), pay("b", FREY, -2)], {(ODIN, "COIN"): AccountId(65539), (HOUSE, "COIN"): AccountId(65538)}
    )
    assert batch
    assert batch.guarded == [(UUID(int=2).bytes, 0, -1, -2), (UUID(int=1).bytes, 0, 65539, 5)]
    assert batch.open == [(UUID(int=1).bytes, 1, 65538, -5), (UUID(int=2).bytes, 1, 65538, 2)]
    assert batch.unknown == {(FREY, "COIN"): 1}


@pytest.mark.parametrize(
    "items",
    [
        [pay("a", ODIN, 5), pay("a", FREY, 5)],
        [pay("a", ODIN, 0)],
        [pay("a", ODIN, 5, asset="POINT")],
        [Post("a", "games.stake", ((ODIN, "COIN", -5), (HOUSE, "COIN", 5)))],
        [pay("a", ODIN, -5, to_debt=True)],
        [pay("a", ODIN, -5, capture=(HoldId(UUID(int=9)), True))],
        [Hold("a", ODIN, "COIN", 5, "a bet", "games.stake")],
        [Void("a", HoldId(UUID(int=9)))],
        [Reverse("a", TransferId(UUID(int=9)), "why")],
    ],
    ids=[
        "a key twice",
        "a fault",
        "lots",
        "limits",
        "debt",
        "a capture",
        "a hold",
        "a release",
        "a reversal",
    ],
)
def test_whatever_wants_more_is_not_plain(items: Sequence[Item]) -> None:
    assert read(items) is None


def test_open_accounts_may_be_touched_as_often_as_one_likes() -> None:
    batch = read([pay("a", ODIN, 5), pay("b", FREY, 5)])
    assert batch and not batch.steps


def test_a_wallet_that_is_touched_more_than_once_moves_in_steps() -> None:
    """Its legs stand together, in the order of their transfers, and each knows how low and how high it went by then."""
    batch = read([pay("a", ODIN, 5), pay("b", FREY, 7), pay("c", ODIN, -8), pay("d", ODIN, 1)])
    assert batch
    assert [(number, amount) for _, _, number, amount in batch.guarded] == [(-3, 7), (-1, 5), (-1, -8), (-1, 1)]
    assert batch.steps == [
        (1, 7, plain.UP, 7),
        (1, 5, plain.UP, 5),
        (2, -3, -3, 5),
        (3, -2, -3, 5),
    ]


def test_a_wallet_that_moves_beyond_every_bound_is_not_plain() -> None:
    assert read([pay(f"{n}", ODIN, AMOUNT_UNITS_MAX) for n in range(512)])
    assert read([pay(f"{n}", ODIN, AMOUNT_UNITS_MAX) for n in range(513)]) is None


@pytest.fixture
async def plain_wallet(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A wallet of 100 that this process knows; what is plain may not be decided in the ordinary way."""
    wallet = new_wallet()
    async with database.begin(SYSTEM) as tx:
        await fund(tx, wallet, 100, now=NOON)

    async def nothing_else(*_: object, **__: object) -> None:
        raise AssertionError("not plain")

    with monkeypatch.context() as patched:
        patched.setattr(posting, "_decide", nothing_else)
        yield wallet


async def alone(database: Database, posts: Sequence[Post], now: datetime = NOON) -> Sequence[object] | None:
    async with database.alone("a test") as tx:
        return await posting.post_alone_many(tx, posts, now=now)


async def test_one_statement_posts_and_answers(database: Database, plain_wallet: str) -> None:
    actor = Actor("staff", None, RequestId(new_id()))
    item = pay(f"{plain_wallet}1", plain_wallet, -30, actor=actor, description="a stake", metadata={"n": 1})
    [posted] = await alone(database, [item]) or [None]
    assert isinstance(posted, Posted)
    assert posted == Posted(posted.transfer_id, {plain_wallet: (70, 2)}, NOON)
    async with database.begin(SYSTEM) as tx:
        found = await tx.execute(
            "select actor, description, metadata, kind, posted_at from ledger.transfers where id = %s",
            [posted.transfer_id],
        )
        assert await found.fetchone() == ("staff", "a stake", {"n": 1}, "ledger.transfer", NOON)
        assert await ledger.balance(tx, address=plain_wallet, asset="COIN") == 70
        assert await ledger.total(tx) == 0


async def test_a_wallet_that_is_touched_more_than_once_is_written_at_once_too(
    database: Database, plain_wallet: str
) -> None:
    """It has what it gives because of what it gets before."""
    other = new_wallet()
    async with database.begin(SYSTEM) as tx:
        await ledger.lock_many(tx, [(other, "COIN")], now=NOON)
    moves = [(plain_wallet, 20), (other, 5), (plain_wallet, -110), (other, -5), (plain_wallet, 1)]
    posts = [pay(f"{plain_wallet}{n}", wallet, amount) for n, (wallet, amount) in enumerate(moves)]
    told = [posted.balances for posted in await alone(database, posts) or () if isinstance(posted, Posted)]
    assert told == [
        {plain_wallet: (120, 2)},
        {other: (5, 1)},
        {plain_wallet: (10, 3)},
        {other: (0, 2)},
        {plain_wallet: (11, 4)},
    ]
    turned = [posts[2], posts[0]]
    assert (
        await alone(database, [pay(f"{post.key}again", *post.legs[0][:1], post.legs[0][2]) for post in turned]) is None
    )


async def test_a_batch_that_was_overtaken_is_posted_when_the_last_of_those_was(
    database: Database, plain_wallet: str
) -> None:
    """All of it at one instant: nobody's entries go back in time, and nothing of one batch comes before the rest."""
    other, (soon, later) = new_wallet(), (NOON + timedelta(seconds=seconds) for seconds in (2, 3))
    async with database.begin(SYSTEM) as tx:
        await ledger.lock_many(tx, [(other, "COIN")], now=NOON)
    for at, wallet in ((soon, plain_wallet), (NOON, other)):
        assert await alone(database, [pay(f"{wallet}:early", wallet, 1)], at)

    posts = [pay(f"{wallet}:late", wallet, 1) for wallet in (plain_wallet, other)]
    told = await alone(database, posts) or ()
    assert [posted.posted_at for posted in told if isinstance(posted, Posted)] == [soon, soon]
    assert await alone(database, [pay(f"{other}:later", other, 1)], later)
    async with database.begin(SYSTEM) as tx:
        found = await tx.execute(LAST, [[plain_wallet, other]])
        assert await found.fetchall() == [(soon, soon), (later, later)]


async def test_a_transaction_of_somebody_does_not_become_one_of_the_system(
    database: Database, plain_wallet: str
) -> None:
    with pytest.raises(psycopg.errors.ActiveSqlTransaction):
        async with database.begin(Actor("player", owner_of(plain_wallet), RequestId(new_id()))) as tx:
            await posting.post_alone_many(tx, [pay(f"{plain_wallet}1", plain_wallet, 1)], now=NOON)


async def test_numbers_above_two_thousand_million_are_found(
    database: Database, superuser: Superuser, plain_wallet: str
) -> None:
    """Known wallets beside new ones: a number is never taken for a place in the list of the others."""
    superuser.run("select setval('ledger.account_numbers', 3_000_000_000)")
    houses = [f"house:{new_id()}" for _ in range(2)]
    async with database.begin(SYSTEM) as tx:
        await ledger.lock_many(tx, [(house, "COIN") for house in houses], now=NOON)
    for house in houses * 2:
        assert await alone(
            database, [Post(f"{new_id()}", "ledger.transfer", ((plain_wallet, "COIN", 1), (house, "COIN", -1)))]
        )


ENTRIES: LiteralString = """
select array_position(%s::text[], a.address), e.seq, e.amount, e.balance_after
  from ledger.entries e join ledger.accounts a on a.id = e.account_id where a.address = any (%s) order by 1, 2
"""
LAST: LiteralString = """
select b.last_posted_at, (select max(e.posted_at) from ledger.entries e where e.account_id = a.id)
  from ledger.accounts a join ledger.balances b on b.account_id = a.id where a.address = any (%s) order by 1
"""
WAYS: Mapping[str, tuple[LiteralString, int]] = {
    "more than there is": ("select 1", -101),
    "held": ("update ledger.balances set held = 90 where owner_id = %s", -11),
    "frozen": ("update ledger.balances set status = 'frozen' where owner_id = %s", 1),
    "no debit": ("update ledger.balances set status = 'no_debit' where owner_id = %s", -1),
    "a ceiling": ("update ledger.balances set ceiling = 100 where owner_id = %s", 1),
    "a much later entry": (
        "update ledger.balances set last_posted_at = '2026-03-20 12:00:11+00' where owner_id = %s",
        1,
    ),
    "lots": ("update ledger.balances set lots = balance where owner_id = %s", 1),
}


@pytest.mark.parametrize("way", WAYS)
async def test_whatever_is_in_the_way_leaves_everything_as_it_was(
    database: Database, superuser: Superuser, plain_wallet: str, way: str
) -> None:
    """Its neighbour is not posted either: then somebody looks closer at both."""
    statement, amount = WAYS[way]
    owner = UUID(plain_wallet.split(":")[1])
    superuser.tamper(statement, *([owner] if "%s" in statement else []))
    neighbour, keys = new_wallet(), [f"{plain_wallet}{n}" for n in range(2)]
    async with database.begin(SYSTEM) as tx:
        await ledger.lock_many(tx, [(neighbour, "COIN")], now=NOON)

    assert await alone(database, [pay(keys[0], neighbour, 1), pay(keys[1], plain_wallet, amount)]) is None

    async with database.begin(SYSTEM) as tx:
        found = await tx.execute("select count(*) from ledger.keys where key = any (%s)", [keys])
        assert await found.fetchone() == (0,)
        assert await ledger.balance(tx, address=neighbour, asset="COIN") == 0


async def test_a_closed_house_takes_nothing(database: Database, superuser: Superuser, plain_wallet: str) -> None:
    house = f"house:{new_id()}"
    async with database.begin(SYSTEM) as tx:
        await ledger.lock_many(tx, [(house, "COIN")], now=NOON)
    superuser.tamper("update ledger.accounts set status = 'closed' where address = %s", house)
    assert (
        await alone(
            database, [Post(f"{new_id()}", "ledger.transfer", ((plain_wallet, "COIN", 1), (house, "COIN", -1)))]
        )
        is None
    )


async def test_a_key_that_was_used_answers_as_it_did(database: Database, wallet: str) -> None:
    teller, item = Teller(database), pay(f"{wallet}1", wallet, 5)
    [first], [again], [other] = [await teller.post([one]) for one in (item, item, pay(item.key, wallet, 6))]
    assert isinstance(first, Posted)
    assert again == first._replace(replayed=True)
    assert codes([other]) == ["ledger.key_mismatch"]


async def test_both_ways_come_to_the_same(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two towns alike, one asked in the ordinary way only: outcomes, balances and numbers of entries never differ.

    The other one is also asked by a process that does not know its wallets yet.
    """
    chance = Random(7)  # noqa: S311 - the same moves each time
    towns = [[new_wallet() for _ in range(4)] for _ in range(2)]
    for turn in range(60):
        moves = [(chance.randrange(4), chance.randrange(-30, 40) or 1) for _ in range(chance.randrange(1, 9))]
        told = []
        if turn % 3 == 0:
            database.remembered(Book).places.clear()
        for town, is_ordinary in zip(towns, (False, True), strict=True):
            items = [pay(f"{town[0]}{turn}:{n}", town[to], amount) for n, (to, amount) in enumerate(moves)]
            with monkeypatch.context() as patched:
                if is_ordinary:
                    patched.setattr(plain, "read", lambda *_, **__: None)
                async with database.begin(SYSTEM) as tx:
                    outcomes = await ledger.post_many(tx, items, now=NOON)
            told.append([spelled(outcome, town) for outcome in outcomes])
        assert told[0] == told[1]
    async with database.begin(SYSTEM) as tx:
        assert await ledger.total(tx) == 0
        entries = await tx.execute(ENTRIES, [towns[0], towns[0]]), await tx.execute(ENTRIES, [towns[1], towns[1]])
        found = [await each.fetchall() for each in entries]
    assert found[0] == found[1] and len(found[0]) > 100


def spelled(outcome: object, town: Sequence[str]) -> object:
    """An outcome without what differs from town to town."""
    if isinstance(outcome, Posted):
        return {town.index(wallet): state for wallet, state in outcome.balances.items()}, outcome.posted_at
    return outcome


async def test_the_same_key_at_once_is_posted_once(database: Database, wallet: str) -> None:
    """Two processes; the loser finds out after the winner's commit."""
    await asyncio.gather(*[Teller(database).post([pay(f"{wallet}0", wallet, 1)])])
    tellers, item = [Teller(database) for _ in range(8)], pay(f"{wallet}1", wallet, 5)
    answers = await asyncio.gather(*[teller.post([item]) for teller in tellers])
    assert sorted(codes([answer for [answer] in answers])) == ["posted"] + ["replayed"] * 7
    async with database.begin(SYSTEM) as tx:
        assert await ledger.balance(tx, address=wallet, asset="COIN") == 6
