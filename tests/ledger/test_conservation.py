"""Random batches against a plain model: every coin is somewhere, every number follows from the one before."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeAlias

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
    LimitGroup,
    Lot,
    Outcome,
    Post,
    Posted,
    Reverse,
    TransferId,
    Void,
)
from palio.ledger.service import lots
from palio.ledger.types import Leg
from tests.factories.ledger import Payment, codes, fan_out, owner_of

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WALLETS = [f"user:019acb1e-0000-7000-8000-00000000000{n}:main" for n in range(4)]
HOUSES = ["house:a", "house:b", "issuance:c"]
PLACES = [*WALLETS, *HOUSES]
DEBTS = [wallet.replace(":main", ":debt") for wallet in WALLETS]
BREAKAGE = "breakage:expired"
NOTHING = new_id()
LIMITS: dict[tuple[str, LimitGroup], int] = {  # a day
    (wallet, group): amount for wallet in WALLETS[:3] for group, amount in (("stake", 12), ("loss", 8))
}
COUNTED: dict[str, dict[int, list[tuple[LimitGroup, int]]]] = {  # what each unit of a debit or a credit counts
    "games.bet": {-1: [("stake", 1), ("loss", 1)], 1: []},
    "games.win": {-1: [], 1: [("loss", -1)]},
}


@dataclass(eq=False)
class Portion:
    """What the model knows of a lot."""

    end: datetime | None
    left: int
    held: int = 0

    def is_over(self, now: datetime) -> bool:
        return self.end is not None and self.end <= now


@dataclass
class Reserved:
    """What the model knows of a hold."""

    wallet: str
    left: int
    expires_at: datetime
    kind: str
    parts: list[tuple[Portion, int]] = field(default_factory=list)
    is_open: bool = True


@dataclass
class Moved:
    """What the model knows of a transfer: the legs as they were posted, and how much was taken back of each."""

    legs: Sequence[Leg]
    is_reversal: bool
    kind: str = ""
    hold: Reserved | None = None
    brought: list[Portion] = field(default_factory=list)
    spent: list[list[Any]] = field(default_factory=list)  # wallet, portion, what was not given back
    taken_back: int = 0

    @property
    def left(self) -> int:
        return max(abs(amount) for _, _, amount in self.legs) - self.taken_back


@dataclass
class Model:
    """What anybody would write: one item after the other, no batches, no locks."""

    has_lots: bool = False
    now: datetime = NOON
    portions: dict[str, list[Portion]] = field(default_factory=lambda: {wallet: [] for wallet in WALLETS})
    parts: dict[str, list[tuple[Portion, int]]] = field(default_factory=dict)  # by the key of a hold
    used: Counter[tuple[str, LimitGroup]] = field(default_factory=Counter)
    balances: dict[str, int] = field(default_factory=lambda: dict.fromkeys([*PLACES, *DEBTS, BREAKAGE], 0))
    seqs: dict[str, int] = field(default_factory=lambda: dict.fromkeys([*WALLETS, *DEBTS], 0))
    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WALLETS, 0))
    kept: dict[str, object] = field(default_factory=dict)
    holds: dict[HoldId, Reserved] = field(default_factory=dict)
    moved: dict[TransferId, Moved] = field(default_factory=dict)
    posted: dict[str, Moved] = field(default_factory=dict)

    def run(self, items: Sequence[Item], now: datetime) -> list[str]:
        """What becomes of each."""
        decided: dict[str, tuple[object, str]] = {}
        self.now = now
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
        counts = self.counts(item)
        if any(is_new and n > 0 and self.used[at] + n > LIMITS.get(at, 10**9) for at, n, is_new in counts):
            return "ledger.limit_reached"
        word = self.carry_out(item, now)
        if not is_refusal(word):
            self.kept[item.key] = request
            for at, n, _ in counts:
                self.used[at] += n
        return word

    def counts(self, item: Item) -> list[tuple[tuple[str, LimitGroup], int, bool]]:
        """What would count for whom, and whether it is new."""
        if isinstance(item, Hold):
            return self.counted([(item.address, "COIN", -item.amount)], item.kind)
        if isinstance(item, Void):
            reserved = self.holds.get(item.hold_id)
            return self.given_back(reserved, reserved.left) if reserved else []
        if isinstance(item, Reverse):
            moved = self.moved.get(item.original_id)
            if moved is None:
                return []
            part = item.amount or moved.left
            legs = [
                (place, asset, amount if len(moved.legs) > 2 else part if amount > 0 else -part)
                for place, asset, amount in moved.legs
                if moved.left
            ]
            counts = []
            for leg in legs:
                own = self.counted([leg], moved.kind)
                if moved.hold and leg[0] == moved.hold.wallet:  # it counted when it was set aside
                    already = {name for name, _ in COUNTED.get(moved.hold.kind, {}).get(-1, [])}
                    own = [one for one in own if one[0][1] not in already] + self.counted([leg], moved.hold.kind)
                counts += own
            return [(at, -n, False) for at, n, _ in counts]
        return self.counts_of_post(item) if isinstance(item, Post) else []

    def counts_of_post(self, item: Post) -> list[tuple[tuple[str, LimitGroup], int, bool]]:
        counts = self.counted(item.legs, item.kind)
        reserved = self.holds.get(item.capture.hold_id) if item.capture else None
        if reserved is None or item.capture is None:
            return counts
        already = {name for name, _ in COUNTED.get(reserved.kind, {}).get(-1, [])}
        counts = [one for one in counts if one[0][0] != reserved.wallet or one[0][1] not in already]
        needed = -sum(amount for place, _, amount in item.legs if place == reserved.wallet)
        return counts + self.given_back(reserved, reserved.left - needed if item.capture.is_final else 0)

    def counted(self, legs: Sequence[Leg], kind: str) -> list[tuple[tuple[str, LimitGroup], int, bool]]:
        return [
            ((place, name), n * abs(amount), True)
            for place, _, amount in legs
            if place in WALLETS and amount
            for name, n in COUNTED.get(kind, {}).get(1 if amount > 0 else -1, [])
        ]

    def given_back(self, reserved: Reserved, amount: int) -> list[tuple[tuple[str, LimitGroup], int, bool]]:
        legs = [(reserved.wallet, "COIN", -amount)] if amount > 0 else []
        return [(at, -n, False) for at, n, _ in self.counted(legs, reserved.kind)]

    def carry_out(self, item: Item, now: datetime) -> str:
        if isinstance(item, Post):
            if item.capture:
                return self.capture(item, item.capture, now)
            word = self.post(item, item.legs)
            if not is_refusal(word):
                self.follow(item.key, item.lot.expires_at if item.lot else None)
            return word
        if isinstance(item, Hold):
            return self.place(item)
        return self.release(item, now) if isinstance(item, Void) else self.take_back(item)

    def available(self, place: str) -> int:
        over = sum(one.left - one.held for one in self.portions.get(place, []) if one.is_over(self.now))
        return self.balances[place] - self.held.get(place, 0) - over + (10**9 if place in DEBTS else 0)

    def post(self, item: Post | Reverse, legs: Sequence[Leg], *, is_reversal: bool = False) -> str:
        legs = self.merged(legs) if is_reversal else legs
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
        self.posted[item.key] = Moved(legs, is_reversal, "" if is_reversal or isinstance(item, Reverse) else item.kind)
        return "posted"

    def merged(self, legs: Sequence[Leg]) -> list[Leg]:
        """What is no longer owed goes to the wallet."""
        found: dict[str, int] = {}
        for place, _, amount in legs:
            excess = max(0, self.balances[place] + amount) if place in DEBTS and amount > 0 else 0
            found[place] = found.get(place, 0) + amount - excess
            if excess:
                wallet = WALLETS[DEBTS.index(place)]
                found[wallet] = found.get(wallet, 0) + excess
        return [(place, "COIN", amount) for place, amount in found.items() if amount]

    def follow(
        self, key: str, until: datetime | None, *, of: Reserved | None = None, original: Moved | None = None
    ) -> None:
        """What a transfer does to lots: of a hold that it captures, or of a transfer that it takes back."""
        if not self.has_lots:
            return
        moved = self.posted[key]
        for place, _, amount in moved.legs:
            if place in WALLETS and amount > 0:
                rest = amount
                for use in reversed(original.spent if original else []):
                    part = min(use[2], rest) if use[0] == place else 0
                    use[1].left += part
                    use[2] -= part
                    rest -= part
                if rest:
                    moved.brought.append(Portion(until, rest))
                    self.portions[place].append(moved.brought[-1])
                    self.portions[place].sort(key=lambda one: one.end or NOON + 999 * MINUTE)
            elif place in WALLETS and of and place == of.wallet:
                for portion, part in self.let_go(of, -amount):
                    portion.left -= part
                    moved.spent.append([place, portion, part])
            elif place in WALLETS:
                own = [one for one in self.portions[place] if original and one in original.brought]
                for portion, part in self.free([*own, *self.portions[place]], -amount):
                    portion.left -= part
                    moved.spent.append([place, portion, part])

    def free(self, among: Sequence[Portion], amount: int) -> Iterator[tuple[Portion, int]]:
        for portion in among:
            part = 0 if portion.is_over(self.now) else min(portion.left - portion.held, amount)
            if part:
                amount -= part
                yield portion, part

    def let_go(self, reserved: Reserved, amount: int) -> list[tuple[Portion, int]]:
        taken, kept = [], []
        for portion, protected in reserved.parts:
            part = min(protected, amount)
            amount -= part
            portion.held -= part
            taken += [(portion, part)] if part else []
            kept += [(portion, protected - part)] if protected > part else []
        reserved.parts = kept
        return taken

    def lapse(self) -> None:
        """What the job does."""
        for wallet in WALLETS:
            for portion in self.portions[wallet]:
                gone = portion.left - portion.held if portion.is_over(self.now) else 0
                if gone:
                    portion.left -= gone
                    self.balances[wallet] -= gone
                    self.balances[BREAKAGE] += gone
                    self.seqs[wallet] += 1
                    self.kept[f"lapse {len(self.kept)}"] = frozenset()

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
            self.follow(item.key, item.lot.expires_at if item.lot else None, of=reserved)
            self.let_go(reserved, freed - needed)
            self.posted[item.key].hold = reserved
            reserved.left -= freed
            reserved.is_open = reserved.left > 0
        return word

    def place(self, item: Hold) -> str:
        if item.amount > self.available(item.address):
            return "ledger.insufficient_funds"
        self.held[item.address] += item.amount
        self.parts[item.key] = list(self.free(self.portions[item.address], item.amount))
        for portion, part in self.parts[item.key]:
            portion.held += part
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
        self.let_go(reserved, reserved.left)
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
            self.follow(item.key, None, original=moved)
            moved.taken_back += part
        return word

    def learn(self, items: Iterable[Item], outcomes: Iterable[AnyOutcome]) -> None:
        """The numbers of what was placed and posted."""
        for item, outcome in zip(items, outcomes, strict=True):
            if isinstance(outcome, Held) and isinstance(item, Hold) and not outcome.replayed:
                parts, end = self.parts[item.key], outcome.expires_at
                self.holds[outcome.hold_id] = Reserved(item.address, item.amount, end, item.kind, parts)
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
        return frozenset(item.legs), item.capture, item.kind
    if isinstance(item, Hold):
        return item.address, item.amount, item.kind
    return (item.hold_id, item.expired) if isinstance(item, Void) else (item.original_id, item.amount, "reverse")


class Act(NamedTuple):
    """An item that may name what was done before: one of the latest holds or transfers."""

    what: Literal["post", "owe", "hold", "capture", "void", "expire", "reverse", "reverse to debt"]
    key: str
    places: Sequence[str]
    amount: int
    part: int
    nth: int
    is_final: bool
    kind: str
    lasts: int | None  # seconds

    def item(self, model: Model, now: datetime) -> Item:
        first, second, third = self.places
        recent = [*list(model.holds)[-6:], NOTHING]
        hold_id = recent[self.nth % len(recent)]
        if self.what == "hold":
            return Hold(self.key, WALLETS[self.nth % 4], "COIN", self.amount, "s", self.kind, now + MINUTE)
        if self.what in {"void", "expire"}:
            return Void(self.key, HoldId(hold_id), expired=self.what == "expire")
        if self.what.startswith("reverse"):
            posted = [*list(model.moved)[-15:], NOTHING]
            original = TransferId(posted[self.nth * 3 % len(posted)])
            amount = None if self.is_final else abs(self.amount) or 1
            return Reverse(self.key, original, "a test", amount, to_debt=self.what.endswith("debt"))
        capture = None
        if self.what == "capture":
            capture = Capture(HoldId(hold_id), self.is_final)
            if hold_id in model.holds and self.part:  # else it mostly misses the account
                first = model.holds[HoldId(hold_id)].wallet
        amount, part = (-abs(self.amount), 0) if capture else (self.amount, self.part)
        legs = [(first, "COIN", amount), (second, "COIN", -amount - part)] + ([(third, "COIN", part)] if part else [])
        lot = None if self.lasts is None else Lot("bonus", now + timedelta(seconds=self.lasts))
        if self.what == "owe":
            return Post(self.key, "ledger.clawback", legs, to_debt=True, lot=lot)
        return Post(self.key, self.kind, legs, capture=capture, lot=lot)


acts = st.builds(
    Act,
    what=st.sampled_from(
        [
            *("post", "post", "post", "owe", "hold", "hold", "capture", "capture", "void", "expire"),
            *("reverse", "reverse", "reverse to debt"),
        ]
    ),
    key=st.one_of(st.sampled_from("abcdefgh"), *[st.integers(0, 10**6).map(str)] * 4),
    places=st.permutations(PLACES).map(lambda places: places[:3]),
    amount=st.integers(-12, 12),
    part=st.integers(-3, 3),
    nth=st.integers(0, 20),
    is_final=st.booleans(),
    kind=st.sampled_from(["ledger.transfer", "ledger.transfer", "games.bet", "games.win"]),
    lasts=st.sampled_from([None, None, 0, 20, 50, 100]),
)
turns = st.tuples(
    st.lists(acts, min_size=1, max_size=8), st.integers(-20, 40), st.booleans()
)  # how much later, and whether the job runs
openings = st.lists(st.integers(0, 200), min_size=4, max_size=4)
Turn: TypeAlias = tuple[list[Act], int, bool]
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")  # it would hide what failed
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


class UndoError(Exception):
    """Ends an example."""


@settings(max_examples=30, deadline=None, suppress_health_check=QUIET)
@given(batches=st.lists(turns, min_size=30, max_size=30), opening=openings, has_lots=st.booleans())
async def test_batches_do_what_the_plain_model_does(
    database: Database, batches: Sequence[Turn], opening: Sequence[int], *, has_lots: bool
) -> None:
    """Thirty batches: outcomes, balances, holds, lots, limits, seqs, keys and totals; now and then time runs back."""
    await compare(database, batches, opening, has_lots=has_lots)


@pytest.mark.nightly
@settings(max_examples=1_000, deadline=None, suppress_health_check=QUIET)
@given(batches=st.lists(turns, min_size=50, max_size=50), opening=openings, has_lots=st.booleans())
async def test_many_batches_do_what_the_plain_model_does(
    database: Database, batches: Sequence[Turn], opening: Sequence[int], *, has_lots: bool
) -> None:
    """The same for longer: fifty batches each."""
    await compare(database, batches, opening, has_lots=has_lots)


async def compare(database: Database, batches: Sequence[Turn], opening: Sequence[int], *, has_lots: bool) -> None:
    model, now = Model(has_lots), NOON
    start: list[Item] = [
        Post(f"open:{wallet}", "ledger.opening", [(wallet, "COIN", amount), ("house:a", "COIN", -amount)])
        for wallet, amount in zip(WALLETS, opening, strict=True)
    ]
    async with database.begin(SYSTEM) as tx, tx.transaction(force_rollback=True):
        before = await numbers(tx)
        await prepare(tx, has_lots=has_lots)
        await both(tx, model, start, now)
        for batch, seconds, lapses in batches:
            now += timedelta(seconds=seconds)
            await both(tx, model, [act.item(model, now) for act in batch], now)
            if lapses:
                await lots.expire(tx, now=now)
                model.lapse()
        await agree(tx, model, before)


async def prepare(tx: Tx, *, has_lots: bool) -> None:
    """What the model takes for granted."""
    terms = replace(await ledger.asset_terms(tx, asset="COIN"), lots=has_lots)
    await ledger.change_asset(tx, asset="COIN", terms=terms, reason="a test", now=NOON)
    for (wallet, group), amount in LIMITS.items():
        about = {"owner_id": owner_of(wallet), "asset": "COIN", "period": "day", "now": NOON, "reason": "a test"}
        await ledger.set_limit(tx, group=group, amount=amount, **about)  # type: ignore[arg-type]


async def both(tx: Tx, model: Model, items: Sequence[Item], now: datetime) -> None:
    outcomes = await ledger.post_many(tx, items, now=now)
    assert codes(outcomes) == model.run(items, now)
    model.learn(items, outcomes)


async def agree(tx: Tx, model: Model, before: tuple[int, int]) -> None:
    for place, balance in model.balances.items():
        assert await ledger.balance(tx, address=place, asset="COIN") == balance
    for wallet in WALLETS:
        seq = model.seqs[wallet]
        purses = await ledger.wallets(tx, owner_id=owner_of(wallet), now=model.now)
        [purse] = [one for one in purses if one.asset == "COIN"]
        assert purse.available == model.available(wallet)
        assert await left(tx, wallet) == [one.left for one in model.portions[wallet] if one.left]
        for group in ("stake", "loss"):
            assert await used(tx, wallet, group) == model.used[wallet, group]
        assert (purse.held, purse.debt) == (model.held[wallet], model.balances[DEBTS[WALLETS.index(wallet)]])
        lines = (await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN", limit=10_000)).lines
        assert [line.seq for line in lines] == list(range(seq, 0, -1))
        assert [line.posted_at for line in lines] == sorted([line.posted_at for line in lines], reverse=True)
    keys, rows = await numbers(tx)
    assert keys - before[0] == len(model.kept)
    voids = sum(1 for request in model.kept.values() if isinstance(request, tuple) and isinstance(request[1], bool))
    assert rows - before[1] == len(model.kept) - voids
    assert (await ledger.verify(tx)).findings == []


async def left(tx: Tx, wallet: str) -> list[int]:
    """What is left of each lot, the earliest end first."""
    found = await tx.execute(
        """select remaining from ledger.lots where owner_id = %s and remaining > 0
        order by expires_at nulls last, id""",
        [owner_of(wallet)],
    )
    return [row[0] for row in await found.fetchall()]


async def used(tx: Tx, wallet: str, group: str) -> int:
    """What counts today."""
    found = await tx.execute(
        """select used from ledger.limit_usage
        where owner_id = %s and limit_group = %s and period_key = 'D:2026-03-20'""",
        [owner_of(wallet), group],
    )
    row = await found.fetchone()
    return row[0] if row else 0


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
