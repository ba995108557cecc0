"""What the people of a demo do with their wallets: programs give and sell, players allow, give and hide, staff correct.

Each deed is a transaction of whoever does it, by the functions that pages and programs use. It has a key or looks at
what is there first, so that an instant can be lived through twice.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, TypeAlias

from palio import identity, ledger
from palio.infra import audit, settings
from palio.infra.approvals import Decision
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.ledger.types import GIFTS_ENABLED, AdjustmentLine, Capture, Gift, HoldId, LimitGroup, Lot, Period

DAY = timedelta(days=1)
NOON = timedelta(hours=12)
REASON = "the demo shows what wallets can do"
STEPS = (8432, 10_260, 6118, 12_904, 4377, 9051, 7745, 11_380, 3902, 8866, 9640, 5213, 10_027, 7191, 8008, 6650)
STEPS_PER_COIN, COINS_PER_DAY_MAX = 100, 100
STEPS_LAST, BONUS_LASTS = 30 * DAY, 5 * DAY
CORRECTIONS_MAX = 100
Deed: TypeAlias = Callable[[Database, datetime], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reserve:
    """So many coins of somebody that are set aside for something."""

    who: str
    subject: str
    kind: str
    amount: int
    lasts: timedelta


SOCKS = Reserve("bela", "order:PL-20391", "store.order", 300, 4 * DAY)
CAP = Reserve("bela", "order:PL-20402", "store.order", 150, 4 * DAY)
BET = Reserve("bela", "market:who-wins-the-cup", "games.bet", 200, 12 * DAY)
BOTTLE = Reserve("bela", "order:PL-20418", "store.order", 600, 7 * DAY)


class NotHeldError(Exception):
    """A wallet of the demo has less than its story says."""


def script(began: datetime, now: datetime) -> Mapping[datetime, tuple[Deed, ...]]:
    """What is done when, from the first instant of a demo to its last: the first, the last, and noons between.

    Noons are counted from the end, at most seventeen, so that the shortest demo has room for them.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    walked = {n: (partial(_award_steps, who="bela", steps=steps),) for n, steps in enumerate(reversed(STEPS), 1)}
    done = _done()
    noons = {today - n * DAY + NOON: (*walked.get(n, ()), *done.get(n, ())) for n in walked | done}
    return noons | {began: _begun(), now: _done_today()}


def _begun() -> tuple[Deed, ...]:
    return (
        _let_coins_be_given_and_expire,
        partial(
            _move,
            who="bela",
            name="opening",
            kind="ledger.opening",
            amount=1_500,
            beside="external:opening",
            what="Points of the programme before this one",
        ),
    )


def _done() -> dict[int, tuple[Deed, ...]]:
    """By days before the end: orders and a bet from what was held, gifts, a reward too many, corrections."""
    sell, give = partial(_move, kind="store.order", beside="house:store"), partial(_move, beside="issuance:codes")
    return {
        13: (partial(_hold, reserve=SOCKS),),
        12: (
            partial(_capture, reserve=SOCKS, amount=250, beside="house:store", is_final=True, what="Sports Socks Pack"),
        ),
        11: (partial(_hold, reserve=CAP),),
        10: (
            partial(_let_go, reserve=CAP),
            partial(
                _move,
                who="ada",
                name="reward",
                kind="achievements.reward",
                amount=500,
                beside="issuance:achievements",
                what="Ten races in a row",
            ),
        ),
        9: (
            partial(
                _take_back,
                who="bela",
                cause="store.order",
                amount=80,
                by="fiona",
                reason="One pair was missing in the parcel",
            ),
        ),
        8: (
            partial(_allow, who="bela", group="stake", period="day", amount=500),
            partial(_allow, who="bela", group="spend", period="week", amount=1_500),
            partial(_hold, reserve=BET),
        ),
        7: (
            partial(_capture, reserve=BET, amount=80, beside="house:games", what="Who wins the cup?"),
            partial(sell, who="ada", name="bottle", amount=-480, what="Water Bottle 1L"),
        ),
        6: (
            partial(give, who="bela", name="code", kind="bonuses.code", amount=25, what="Code SPRING"),
            partial(_hide, who="bela", cause="bonuses.code"),
            partial(
                _adjust,
                who="chen",
                cents=1_250,
                by="fiona",
                reason="A prize was paid short by a rounding fault",
                ticket="T-1041",
            ),
        ),
        5: (partial(_give, who="bela", to="ada", amount=120),),
        4: (
            partial(
                _adjust, who="chen", cents=25_000, by="fiona", reason="He says that his wagers of Monday are missing"
            ),
        ),
        3: (
            partial(
                _decide,
                reason="He says that his wagers of Monday are missing",
                by="olga",
                decision="reject",
                note="The feed shows none on Monday",
            ),
            partial(_adjust, who="chen", cents=12_000, by="fiona", reason="The provider booked a wager of his late"),
            partial(_hold, reserve=BOTTLE),
        ),
        2: (
            partial(_decide, reason="The provider booked a wager of his late", by="olga", decision="approve"),
            partial(
                _take_back,
                who="ada",
                cause="achievements.reward",
                by="fiona",
                reason="It was given for a race she was not in",
            ),
            partial(
                _move,
                who="bela",
                name="daily",
                kind="bonuses.daily",
                amount=50,
                beside="issuance:daily",
                what="Day 2 in a row",
                lasts=BONUS_LASTS,
            ),
        ),
    }


def _done_today() -> tuple[Deed, ...]:
    return (
        partial(_adjust, who="chen", cents=15_000, by="fiona", reason="The prize of the weekend was paid short"),
        partial(_allow, who="bela", group="stake", period="day", amount=1_000),
    )


# who does it


@asynccontextmanager
async def _by(database: Database, username: str, kind: Literal["player", "staff"]) -> AsyncIterator[tuple[Tx, UserId]]:
    """The transaction of somebody of the demo, and his id."""
    owner = await _who(database, username)
    async with database.begin(Actor(kind, owner, RequestId(new_id()))) as tx:
        yield tx, owner


async def _who(database: Database, username: str) -> UserId:
    async with database.begin_system("who somebody of the demo is") as tx:
        return (await identity.get(tx, name_or_id=username)).id


# the house and its programs


async def _let_coins_be_given_and_expire(database: Database, at: datetime) -> None:
    async with _by(database, "fiona", "staff") as (tx, _):
        terms = replace(await ledger.asset_terms(tx, asset="COIN"), giftable=True, lots=True)
        await ledger.change_asset(tx, asset="COIN", terms=terms, reason=REASON, now=at)
    async with _by(database, "olga", "staff") as (tx, _):
        await settings.change(tx, tx.actor, [settings.Change(GIFTS_ENABLED, True)], REASON)


async def _move(
    database: Database,
    at: datetime,
    *,
    who: str,
    name: str,
    kind: str,
    amount: int,
    beside: str,
    what: str,
    why: Mapping[str, object] | None = None,
    lasts: timedelta | None = None,
) -> None:
    """Coins come or go, as programs of the house have them."""
    owner = await _who(database, who)
    legs = ((f"user:{owner}:main", "COIN", amount), (beside, "COIN", -amount))
    lot = Lot("bonus" if kind.startswith("bonuses.") else "earned", at + lasts) if lasts else None
    metadata = {"why": why} if why else {}
    async with database.begin_system("a program of the demo moves coins") as tx:
        await ledger.post(tx, ledger.Post(f"demo:{who}:{name}", kind, legs, what, metadata, lot=lot), now=at)


async def _award_steps(database: Database, at: datetime, *, who: str, steps: int) -> None:
    """The coins for what was walked on the day before."""
    day = at - DAY
    coins = min(steps // STEPS_PER_COIN, COINS_PER_DAY_MAX)
    why = {"steps": steps, "rate": f"1/{STEPS_PER_COIN}", "cap": COINS_PER_DAY_MAX, "award": coins}
    await _move(
        database,
        at,
        who=who,
        name=f"steps:{day:%Y-%m-%d}",
        kind="steps.award",
        amount=coins,
        beside="issuance:steps",
        what=f"Steps of {day.day} {day:%B}",
        why=why,
        lasts=STEPS_LAST,
    )


async def _held(tx: Tx, reserve: Reserve, owner: UserId, at: datetime) -> HoldId:
    """The hold, which is placed if it is not there yet. Raises NotHeldError."""
    key = f"demo:{reserve.who}:{reserve.subject}"
    wanted = ledger.Hold(
        *(key, f"user:{owner}:main", "COIN", reserve.amount, reserve.subject, reserve.kind, at + reserve.lasts)
    )
    [outcome] = await ledger.hold_many(tx, [wanted], now=at)
    if isinstance(outcome, ledger.Refused):
        raise NotHeldError(outcome.code)
    return outcome.hold_id


async def _hold(database: Database, at: datetime, *, reserve: Reserve) -> None:
    owner = await _who(database, reserve.who)
    async with database.begin_system("a program of the demo sets coins aside") as tx:
        await _held(tx, reserve, owner, at)


async def _capture(
    database: Database, at: datetime, *, reserve: Reserve, amount: int, beside: str, what: str, is_final: bool = False
) -> None:
    owner = await _who(database, reserve.who)
    legs = ((f"user:{owner}:main", "COIN", -amount), (beside, "COIN", amount))
    async with database.begin_system("a program of the demo takes what was set aside") as tx:
        capture = Capture(await _held(tx, reserve, owner, at), is_final)
        key = f"demo:{reserve.who}:{reserve.subject}:{amount}"
        await ledger.post(tx, ledger.Post(key, reserve.kind, legs, what, capture=capture), now=at)


async def _let_go(database: Database, at: datetime, *, reserve: Reserve) -> None:
    owner = await _who(database, reserve.who)
    async with database.begin_system("a program of the demo lets go of what was set aside") as tx:
        hold_id = await _held(tx, reserve, owner, at)
        await ledger.void_many(tx, [ledger.Void(f"demo:{reserve.who}:{reserve.subject}:void", hold_id)], now=at)


# players


async def _allow(database: Database, at: datetime, *, who: str, group: LimitGroup, period: Period, amount: int) -> None:
    async with _by(database, who, "player") as (tx, owner):
        await ledger.set_limit(tx, owner_id=owner, asset="COIN", group=group, period=period, amount=amount, now=at)


async def _give(database: Database, at: datetime, *, who: str, to: str, amount: int) -> None:
    receiver = await _who(database, to)
    async with _by(database, who, "player") as (tx, owner):
        await ledger.gift(tx, gift=Gift(f"demo:{to}", owner, receiver, "COIN", amount), now=at)


async def _hide(database: Database, at: datetime, *, who: str, cause: str) -> None:
    async with _by(database, who, "player") as (tx, owner):
        line = await _line(tx, owner, cause)
        await ledger.hide(tx, owner_id=owner, asset="COIN", seq=line.seq, now=at)


async def _line(tx: Tx, owner: UserId, cause: str) -> ledger.Line:
    """The movement of a kind that there is one of in somebody's coins, hidden or not."""
    wanted = ledger.Filter(kinds=[cause], with_hidden=True)
    [line] = (await ledger.statement(tx, owner_id=owner, asset="COIN", wanted=wanted)).lines
    return line


# staff


async def _take_back(
    database: Database, at: datetime, *, who: str, cause: str, by: str, reason: str, amount: int | None = None
) -> None:
    """Take something back whole, owed where it is gone, or a part of it."""
    owner = await _who(database, who)
    async with _by(database, by, "staff") as (tx, _):
        original = (await _line(tx, owner, cause)).transfer_id
        item = ledger.Reverse(f"demo:{who}:{cause}:back", original, reason, amount, to_debt=amount is None)
        done = await ledger.reverse(tx, item, now=at)
        if not done.replayed:
            await audit.record(
                tx,
                actor=tx.actor,
                action="transfer.reverse",
                entity_type="ledger.transfer",
                entity_id=str(original),
                changes={"reversed_by": (None, done.transfer_id), "amount": (None, amount)},
                reason=reason,
                subject=owner,
            )


async def _adjust(
    database: Database, at: datetime, *, who: str, cents: int, by: str, reason: str, ticket: str = ""
) -> None:
    """Correct what somebody has of USD: much of it waits for a second person."""
    owner = await _who(database, who)
    async with _by(database, by, "staff") as (tx, maker):
        if not await _corrections(tx, reason):
            lines = [AdjustmentLine(owner, "USD", cents)]
            await ledger.adjust(tx, lines=lines, reason=reason, ticket=ticket, maker=maker, now=at)


async def _decide(
    database: Database, at: datetime, *, reason: str, by: str, decision: Decision, note: str = ""
) -> None:
    async with _by(database, by, "staff") as (tx, checker):
        for waiting in await _corrections(tx, reason):
            if waiting.status == "pending":
                await ledger.decide_adjustment(
                    tx, adjustment_id=waiting.id, decision=decision, checker=checker, reason=note, now=at
                )


async def _corrections(tx: Tx, reason: str) -> list[ledger.Adjustment]:
    return [one for one in await ledger.list_adjustments(tx, limit=CORRECTIONS_MAX) if one.reason == reason]
