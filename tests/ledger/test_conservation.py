"""Random batches against a plain model: every coin is somewhere, every number follows from the one before."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palio import ledger
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, new_id
from palio.ledger import (
    AnyOutcome,
    Capture,
    Held,
    Hold,
    HoldId,
    Item,
    Outcome,
    Post,
    Posted,
    Reverse,
    TransferId,
    Void,
)
from palio.ledger.types import Leg
from tests.factories.ledger import Payment, codes, fan_out, owner_of

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WALLETS = [f"user:019acb1e-0000-7000-8000-00000000000{n}:main" for n in range(4)]
HOUSES = ["house:a", "house:b", "issuance:c"]
PLACES = [*WALLETS, *HOUSES]
DEBTS = [wallet.replace(":main", ":debt") for wallet in WALLETS]
NOTHING = new_id()


@dataclass
class Reserved:
    """What the model knows of a hold."""

    wallet: str
    left: int
    expires_at: datetime
    is_open: bool = True


@dataclass
class Moved:
    """What the model knows of a transfer: the legs as they were posted, and how much was taken back of each."""

    legs: Sequence[Leg]
    is_reversal: bool
    taken_back: int = 0

    @property
    def left(self) -> int:
        return max(abs(amount) for _, _, amount in self.legs) - self.taken_back


@dataclass
class Model:
    """What anybody would write: one item after the other, no batches, no locks."""

    balances: dict[str, int] = field(default_factory=lambda: dict.fromkeys([*PLACES, *DEBTS], 0))
    seqs: dict[str, int] = field(default_factory=lambda: dict.fromkeys([*WALLETS, *DEBTS], 0))
    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WALLETS, 0))
    kept: dict[str, object] = field(default_factory=dict)
    holds: dict[HoldId, Reserved] = field(default_factory=dict)
    moved: dict[TransferId, Moved] = field(default_factory=dict)
    posted: dict[str, Moved] = field(default_factory=dict)

    def run(self, items: Sequence[Item], now: datetime) -> list[str]:
        """What becomes of each."""
        decided: dict[str, tuple[object, str]] = {}
        return [self.answer(item, now, decided) for item in items]

    def answer(self, item: Item, now: datetime, decided: dict[str, tuple[object, str]]) -> str:
        if is_invalid(item):
            return "ledger.invalid"
        request = request_of(item)
        if item.key in decided:
            first, word = decided[item.key]
            if request != first:
                return "ledger.key_mismatch"
            return word if is_refusal(word) else "replayed"
        word = self.decide(item, request, now)
        decided[item.key] = request, word
        return word

    def decide(self, item: Item, request: object, now: datetime) -> str:
        if item.key in self.kept:
            return "replayed" if self.kept[item.key] == request else "ledger.key_mismatch"
        word = self.carry_out(item, now)
        if not is_refusal(word):
            self.kept[item.key] = request
        return word

    def carry_out(self, item: Item, now: datetime) -> str:
        if isinstance(item, Post):
            return self.capture(item, item.capture, now) if item.capture else self.post(item, item.legs)
        if isinstance(item, Hold):
            return self.place(item)
        return self.release(item, now) if isinstance(item, Void) else self.take_back(item)

    def available(self, place: str) -> int:
        return self.balances[place] - self.held.get(place, 0) + (10**9 if place in DEBTS else 0)

    def post(self, item: Post | Reverse, legs: Sequence[Leg], *, is_reversal: bool = False) -> str:
        if item.to_debt:
            legs = [part for leg in legs for part in self.split(leg)]
        for place, _, amount in legs:
            if place in self.seqs and amount < 0 and self.available(place) + amount < 0:
                return "ledger.insufficient_funds"
            if place in DEBTS and self.balances[place] + amount > 0:
                return "ledger.balance_limit"
        for place, _, amount in legs:
            self.balances[place] += amount
            if place in self.seqs:
                self.seqs[place] += 1
        self.posted[item.key] = Moved(legs, is_reversal)
        return "posted"

    def split(self, leg: Leg) -> list[Leg]:
        """What the wallet has, and what is owed."""
        place, asset, amount = leg
        if place not in WALLETS or amount >= 0:
            return [leg]
        has = min(self.available(place), -amount)
        parts = [(place, asset, -has), (DEBTS[WALLETS.index(place)], asset, amount + has)]
        return [part for part in parts if part[2]]

    def capture(self, item: Post, capture: Capture, now: datetime) -> str:
        reserved = self.holds.get(capture.hold_id)
        if reserved is None:
            return "ledger.no_such_hold"
        if not reserved.is_open:
            return "ledger.hold_not_open"
        if now >= reserved.expires_at:
            return "ledger.hold_expired"
        needed = -sum(amount for place, _, amount in item.legs if place == reserved.wallet)
        if needed <= 0:
            return "ledger.hold_mismatch"
        if needed > reserved.left:
            return "ledger.hold_exceeded"
        freed = reserved.left if capture.is_final else needed
        self.held[reserved.wallet] -= freed
        word = self.post(item, item.legs)
        if is_refusal(word):
            self.held[reserved.wallet] += freed
        else:
            reserved.left -= freed
            reserved.is_open = reserved.left > 0
        return word

    def place(self, item: Hold) -> str:
        if item.amount > self.available(item.address):
            return "ledger.insufficient_funds"
        self.held[item.address] += item.amount
        return "held"

    def release(self, item: Void, now: datetime) -> str:
        reserved = self.holds.get(item.hold_id)
        if reserved is None:
            return "ledger.no_such_hold"
        if not reserved.is_open:
            return "ledger.hold_not_open"
        if item.expired and now < reserved.expires_at:
            return "ledger.hold_not_due"
        self.held[reserved.wallet] -= reserved.left
        reserved.left, reserved.is_open = 0, False
        return "voided"

    def take_back(self, item: Reverse) -> str:
        moved = self.moved.get(item.original_id)
        if moved is None:
            return "ledger.no_such_transfer"
        if moved.is_reversal:
            return "ledger.reversal_of_reversal"
        if not moved.left:
            return "ledger.already_reversed"
        if item.amount and len(moved.legs) > 2:
            return "ledger.invalid"
        if item.amount and item.amount > moved.left:
            return "ledger.reversal_exceeds"
        part = item.amount or moved.left
        opposite = [
            (place, asset, -amount if len(moved.legs) > 2 else -part if amount > 0 else part)
            for place, asset, amount in moved.legs
        ]
        word = self.post(item, opposite, is_reversal=True)
        if not is_refusal(word):
            moved.taken_back += part
        return word

    def learn(self, items: Iterable[Item], outcomes: Iterable[AnyOutcome]) -> None:
        """The numbers of what was placed and posted."""
        for item, outcome in zip(items, outcomes, strict=True):
            if isinstance(outcome, Held) and isinstance(item, Hold) and not outcome.replayed:
                self.holds[outcome.hold_id] = Reserved(item.address, item.amount, item.expires_at)
            if isinstance(outcome, Posted) and not outcome.replayed:
                self.moved[outcome.transfer_id] = self.posted[item.key]


def is_refusal(word: str) -> bool:
    return word.startswith("ledger.")


def is_invalid(item: Item) -> bool:
    if isinstance(item, Post):
        return any(amount == 0 for _, _, amount in item.legs) or len({leg[0] for leg in item.legs}) < len(item.legs)
    return isinstance(item, Hold) and item.amount <= 0


def request_of(item: Item) -> object:
    """What makes it this request."""
    if isinstance(item, Post):
        return frozenset(item.legs), item.capture
    if isinstance(item, Hold):
        return item.address, item.amount
    return (item.hold_id, item.expired) if isinstance(item, Void) else (item.original_id, item.amount, "reverse")


class Act(NamedTuple):
    """An item that may name what was done before: the n-th hold or transfer from the first."""

    what: Literal["post", "owe", "hold", "capture", "void", "expire", "reverse", "reverse to debt"]
    key: str
    places: Sequence[str]
    amount: int
    part: int
    nth: int
    is_final: bool

    def item(self, model: Model, now: datetime) -> Item:
        first, second, third = self.places
        hold_id = [*model.holds, NOTHING][self.nth % (len(model.holds) + 1)]
        if self.what == "hold":
            return Hold(self.key, WALLETS[self.nth % 4], "COIN", self.amount, "s", "store.order", now + MINUTE)
        if self.what in {"void", "expire"}:
            return Void(self.key, HoldId(hold_id), expired=self.what == "expire")
        if self.what.startswith("reverse"):
            original = TransferId([*model.moved, NOTHING][self.nth * 3 % (len(model.moved) + 1)])
            amount = None if self.is_final else abs(self.amount) or 1
            return Reverse(self.key, original, "a test", amount, to_debt=self.what.endswith("debt"))
        capture = None
        if self.what == "capture":
            capture = Capture(HoldId(hold_id), self.is_final)
            if hold_id in model.holds and self.part:  # else it mostly misses the account
                first = model.holds[HoldId(hold_id)].wallet
        amount, part = (-abs(self.amount), 0) if capture else (self.amount, self.part)
        legs = [(first, "COIN", amount), (second, "COIN", -amount - part)] + ([(third, "COIN", part)] if part else [])
        return Post(self.key, "ledger.transfer", legs, capture=capture, to_debt=self.what == "owe")


acts = st.builds(
    Act,
    what=st.sampled_from(
        [
            *("post", "post", "post", "owe", "hold", "hold", "capture", "capture", "void", "expire"),
            *("reverse", "reverse", "reverse to debt"),
        ]
    ),
    key=st.sampled_from("abcdefghijklmnopqrst"),
    places=st.permutations(PLACES).map(lambda places: places[:3]),
    amount=st.integers(-12, 12),
    part=st.integers(-3, 3),
    nth=st.integers(0, 7),
    is_final=st.booleans(),
)
batches = st.lists(st.tuples(st.lists(acts, max_size=8), st.integers(-20, 40)), max_size=8)
openings = st.lists(st.integers(0, 30), min_size=4, max_size=4)
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


class UndoError(Exception):
    """Ends an example."""


@settings(max_examples=60, deadline=None, suppress_health_check=QUIET)
@given(batches=batches, opening=openings)
async def test_batches_do_what_the_plain_model_does(
    database: Database, batches: list[tuple[list[Act], int]], opening: list[int]
) -> None:
    """Outcomes, balances, what is held, seqs, keys and totals; instants that run backwards now and then."""
    await compare(database, batches, opening)


@pytest.mark.nightly
@settings(max_examples=1_000, deadline=None, suppress_health_check=QUIET)
@given(batches=st.lists(st.tuples(st.lists(acts, max_size=8), st.integers(-20, 40)), max_size=50), opening=openings)
async def test_many_batches_do_what_the_plain_model_does(
    database: Database, batches: list[tuple[list[Act], int]], opening: list[int]
) -> None:
    """The same for longer."""
    await compare(database, batches, opening)


async def compare(database: Database, batches: Sequence[tuple[Sequence[Act], int]], opening: Sequence[int]) -> None:
    model, now = Model(), NOON
    start: list[Item] = [
        Post(f"open:{wallet}", "ledger.opening", [(wallet, "COIN", amount), ("house:a", "COIN", -amount)])
        for wallet, amount in zip(WALLETS, opening, strict=True)
    ]
    async with database.begin(SYSTEM) as tx, tx.transaction(force_rollback=True):
        before = await numbers(tx)
        await both(tx, model, start, now)
        for batch, seconds in batches:
            now += timedelta(seconds=seconds)
            await both(tx, model, [act.item(model, now) for act in batch], now)
        await agree(tx, model, before)


async def both(tx: Tx, model: Model, items: Sequence[Item], now: datetime) -> None:
    outcomes = await ledger.post_many(tx, items, now=now)
    assert codes(outcomes) == model.run(items, now)
    model.learn(items, outcomes)


async def agree(tx: Tx, model: Model, before: tuple[int, int]) -> None:
    for place, balance in model.balances.items():
        assert await ledger.balance(tx, address=place, asset="COIN") == balance
    for wallet in WALLETS:
        seq = model.seqs[wallet]
        [purse] = [one for one in await ledger.wallets(tx, owner_id=owner_of(wallet)) if one.asset == "COIN"]
        assert (purse.held, purse.debt) == (model.held[wallet], model.balances[DEBTS[WALLETS.index(wallet)]])
        lines = (await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN", limit=10_000)).lines
        assert [line.seq for line in lines] == list(range(seq, 0, -1))
        assert [line.posted_at for line in lines] == sorted([line.posted_at for line in lines], reverse=True)
    keys, rows = await numbers(tx)
    assert keys - before[0] == len(model.kept)
    voids = sum(1 for request in model.kept.values() if isinstance(request, tuple) and isinstance(request[1], bool))
    assert rows - before[1] == len(model.kept) - voids
    assert (await ledger.verify(tx)).findings == []


async def numbers(tx: Tx) -> tuple[int, int]:
    """How many keys there are, and how many transfers and holds."""
    found = await tx.execute(
        """select (select count(*) from ledger.keys),
          (select count(*) from ledger.transfers) + (select count(*) from ledger.holds)"""
    )
    row = await found.fetchone()
    assert row is not None
    return row[0], row[1]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 3), st.integers(0, 5)), max_size=12),
    again=st.integers(0, 12),
)
async def test_a_fan_out_does_what_posts_do(database: Database, rows: list[tuple[str, int, int]], again: int) -> None:
    """The same outcomes and balances, also for the part that is repeated."""
    payments = [Payment(key, owner_of(WALLETS[n]), amount) for key, n, amount in rows]
    parts = payments[:again], payments
    assert await seen(database, parts, at_once) == await seen(database, parts, posts)


Pay = Callable[[Tx, Sequence[Payment]], Awaitable[list[Outcome]]]


async def seen(database: Database, parts: Sequence[Sequence[Payment]], pay: Pay) -> list[object]:
    """Everything that can be told apart from outside, but ids."""
    async with database.begin(SYSTEM) as tx, tx.transaction(force_rollback=True):
        outcomes = [outcome for part in parts for outcome in await pay(tx, part)]
        balances = [outcome.balances for outcome in outcomes if isinstance(outcome, ledger.Posted)]
        left = [await ledger.balance(tx, address=place, asset="COIN") for place in (*WALLETS, "pool:p")]
        return [codes(outcomes), balances, left]


async def at_once(tx: Tx, payments: Sequence[Payment]) -> list[Outcome]:
    return await fan_out(tx, payments, source="pool:p", kind="steps.award", now=NOON)


async def posts(tx: Tx, payments: Sequence[Payment]) -> list[Outcome]:
    return await ledger.post_many(tx, [as_post(payment) for payment in payments], now=NOON)


def as_post(payment: Payment) -> Post:
    wallet = f"user:{payment.owner}:main"
    return Post(payment.key, "steps.award", (("pool:p", "COIN", -payment.amount), (wallet, "COIN", payment.amount)))
