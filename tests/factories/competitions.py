"""Competitions as the product makes them, for tests."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from palio import competitions, identity, ledger
from palio.competitions.types import (
    Admission,
    CompetitionId,
    Contribution,
    Counted,
    EntrantId,
    NewCompetition,
    PrizeRule,
    Submission,
)
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id
from palio.ledger.types import AccountId, Status

HOUR = timedelta(hours=1)
BANDS = [{"from": place, "to": place, "value": value} for place, value in enumerate((5000, 3000, 2000), 1)]
THREE = {"kind": "bps", "split": "places", "bands": BANDS}


def new(starts_at: datetime, **changes: object) -> NewCompetition:
    """Five hours for 100.00 dollars, three places, ties share, empty places are kept for the house."""
    plain = NewCompetition(
        product="custom",
        title="Spring",
        starts_at=starts_at,
        ends_at=starts_at + 5 * HOUR,
        prize_asset="USD",
        guaranteed_pool=10_000,
        prize_rule=competitions.read_prize_rule(THREE),
        empty_rule="keep",
        leftover_to="house",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # the caller names fields


async def live(tx: Tx, starts_at: datetime, **changes: object) -> CompetitionId:
    """Published before its start, and begun."""
    competition_id = await competitions.create(tx, new=new(starts_at, **changes), created_by=None, now=starts_at - HOUR)
    await competitions.publish(tx, competition_id=competition_id, now=starts_at - HOUR)
    await competitions.start(tx, competition_id=competition_id, now=starts_at)
    return competition_id


async def enter(
    tx: Tx, competition_id: CompetitionId, count: int, now: datetime, *, linked: bool = True
) -> list[EntrantId]:
    """Entrants with a user each, or without."""
    users = [UserId(new_id()) for _ in range(count)]
    items = [
        Admission(competition_id, "user", str(user), user)
        if linked
        else Admission(competition_id, "player", str(user), None, "pla***")
        for user in users
    ]
    return await competitions.admit_many(tx, items, now=now)


async def score(
    tx: Tx, competition_id: CompetitionId, entrants: Sequence[EntrantId], scores: Sequence[int], at: datetime
) -> None:
    """One submission per entrant, each a second after the other."""
    items = [
        Submission(competition_id, entrant, value, f"first:{n}", at + n * timedelta(seconds=1))
        for n, (entrant, value) in enumerate(zip(entrants, scores, strict=True))
    ]
    outcomes = await competitions.submit_many(tx, items, now=at + max(HOUR, len(items) * timedelta(seconds=1)))
    assert all(isinstance(outcome, Counted) for outcome in outcomes)


async def settle(tx: Tx, competition_id: CompetitionId, now: datetime) -> int:
    """Every due step; how many there were."""
    steps = 0
    while await competitions.settle(tx, competition_id=competition_id, now=now):
        steps += 1
    return steps


def banded(split: str, *bands: tuple[int, int | None, int], kind: str = "bps") -> PrizeRule:
    """A rule of `(from, to, value)`."""
    rows = [{"from": first, "to": last, "value": value} for first, last, value in bands]
    return competitions.read_prize_rule({"kind": kind, "split": split, "bands": rows})


async def players(tx: Tx, count: int, now: datetime, *, each: int = 0, asset: str = "USD") -> list[UserId]:
    """People with an account, and so much in their wallets."""
    users = [(await identity.create(tx, username=f"player-{new_id().hex[-12:]}", now=now)).id for _ in range(count)]
    if each:
        await wealthy(tx, users, each, now, asset=asset)
    return users


async def wealthy(tx: Tx, users: Sequence[UserId], each: int, now: datetime, *, asset: str = "USD") -> None:
    """So much from outside for each of them."""
    posts = [
        ledger.Post(
            f"test:{new_id()}",
            "ledger.adjustment",
            (("external:manual", asset, -each), (f"user:{user}:main", asset, each)),
        )
        for user in users
    ]
    await ledger.post_many(tx, posts, now=now, mode="all")


def paid_in(competition_id: CompetitionId, payer: UserId, amount: int, /, **changes: object) -> Contribution:
    """What a player pays into a pool from his wallet."""
    plain = Contribution(competition_id, "user_payment", amount, f"user:{payer}:main", f"test:{new_id()}", payer)
    return replace(plain, **changes)  # type: ignore[arg-type]  # the caller names fields


async def balances(tx: Tx, *addresses: str, asset: str = "USD") -> list[int]:
    """What these accounts hold."""
    return [await ledger.balance(tx, address=address, asset=asset) for address in addresses]


async def set_wallet(tx: Tx, user: UserId, status: Status, *, asset: str = "USD") -> None:
    """Have somebody's wallet refuse what comes, or take it again."""
    found = await tx.execute(
        """select a.id from ledger.accounts a join ledger.assets s on s.id = a.asset_id
        where a.address = %s and s.code = %s""",
        [f"user:{user}:main", asset],
    )
    [row] = await found.fetchall()
    await ledger.set_status(tx, account_id=AccountId(row[0]), status=status, reason="a question of who he is")


async def withheld(
    tx: Tx, noon: datetime, scores: Sequence[int] = (9,), **changes: object
) -> tuple[CompetitionId, list[EntrantId], list[UserId]]:
    """A competition that is over, with prizes that the wallets of their winners did not take."""
    competition_id = await live(tx, noon, **changes)
    users = await players(tx, len(scores), noon, each=1)
    items = [Admission(competition_id, "user", str(user), user) for user in users]
    entrants = await competitions.admit_many(tx, items, now=noon)
    await score(tx, competition_id, entrants, scores, noon)
    for user in users:
        await set_wallet(tx, user, "frozen")
    await settle(tx, competition_id, noon + 6 * HOUR)
    return competition_id, entrants, users
