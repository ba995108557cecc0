"""Random batches against a plain model: every coin is somewhere, every number follows from the one before."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palio import ledger
from palio.infra.db import Database, Tx
from palio.kernel.ids import Actor, RequestId, new_id
from palio.ledger import Outcome, Post
from tests.factories.ledger import Payment, codes, fan_out, owner_of

SYSTEM = Actor("system", None, RequestId(new_id()))
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
WALLETS = [f"user:019acb1e-0000-7000-8000-00000000000{n}:main" for n in range(4)]
HOUSES = ["house:a", "house:b", "issuance:c"]
PLACES = [*WALLETS, *HOUSES]


@dataclass
class Model:
    """What anybody would write: one item after the other, no batches, no locks."""

    balances: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PLACES, 0))
    seqs: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WALLETS, 0))
    kept: dict[str, frozenset[tuple[str, str, int]]] = field(default_factory=dict)

    def post_batch(self, items: Sequence[Post]) -> list[str]:
        decided: dict[str, tuple[frozenset[tuple[str, str, int]], str]] = {}
        return [self.answer(item, decided) for item in items]

    def answer(self, item: Post, decided: dict[str, tuple[frozenset[tuple[str, str, int]], str]]) -> str:
        if any(amount == 0 for _, _, amount in item.legs) or len({leg[0] for leg in item.legs}) < len(item.legs):
            return "ledger.invalid"
        request = frozenset(item.legs)
        if item.key in decided:
            first, word = decided[item.key]
            if request != first:
                return "ledger.key_mismatch"
            return "replayed" if word == "posted" else word
        word = self.decide(item.key, request)
        decided[item.key] = request, word
        return word

    def decide(self, key: str, request: frozenset[tuple[str, str, int]]) -> str:
        if key in self.kept:
            return "replayed" if self.kept[key] == request else "ledger.key_mismatch"
        if any(place in self.seqs and amount < 0 and self.balances[place] + amount < 0 for place, _, amount in request):
            return "ledger.insufficient_funds"
        self.kept[key] = request
        for place, _, amount in request:
            self.balances[place] += amount
            if place in self.seqs:
                self.seqs[place] += 1
        return "posted"


@st.composite
def items(draw: st.DrawFn) -> Post:
    """Two or three legs over few accounts and few keys, so that everything collides."""
    first, second, third = draw(st.permutations(PLACES))[:3]
    amount = draw(st.integers(-12, 12))
    part = draw(st.integers(-3, 3))
    legs = [(first, "COIN", amount), (second, "COIN", -amount - part)] + ([(third, "COIN", part)] if part else [])
    return Post(draw(st.sampled_from("abcdefghij")), "ledger.transfer", legs)


batches = st.lists(st.lists(items(), max_size=8), max_size=6)


class UndoError(Exception):
    """Ends an example."""


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(batches=batches, opening=st.lists(st.integers(0, 30), min_size=4, max_size=4))
async def test_batches_do_what_the_plain_model_does(
    database: Database, batches: list[list[Post]], opening: list[int]
) -> None:
    """Outcomes, balances, seqs, keys and totals; instants that run backwards now and then."""
    model = Model()
    start = [
        Post(f"open:{wallet}", "ledger.opening", [(wallet, "COIN", amount), ("house:a", "COIN", -amount)])
        for wallet, amount in zip(WALLETS, opening, strict=True)
    ]
    async with database.begin(SYSTEM) as tx, tx.transaction(force_rollback=True):
        before = await numbers(tx)
        for n, batch in enumerate([start, *batches]):
            outcomes = await ledger.post_many(tx, batch, now=NOON + timedelta(seconds=n % 3))
            assert codes(outcomes) == model.post_batch(batch)
        await agree(tx, model, before)


async def agree(tx: Tx, model: Model, before: tuple[int, int]) -> None:
    for place, balance in model.balances.items():
        assert await ledger.balance(tx, address=place, asset="COIN") == balance
    for wallet, seq in model.seqs.items():
        lines = (await ledger.statement(tx, owner_id=owner_of(wallet), asset="COIN", limit=200)).lines
        assert [line.seq for line in lines] == list(range(seq, 0, -1))
        assert [line.posted_at for line in lines] == sorted([line.posted_at for line in lines], reverse=True)
    keys, transfers = await numbers(tx)
    assert keys - before[0] == transfers - before[1] == len(model.kept)
    assert await ledger.total(tx) == 0


async def numbers(tx: Tx) -> tuple[int, int]:
    found = await tx.execute("select (select count(*) from ledger.keys), (select count(*) from ledger.transfers)")
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
