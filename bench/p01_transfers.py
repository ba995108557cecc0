"""P1, P2, P3, R5: transfers that programs post over HTTP, one by one, against one open account, in bulk, and calmly."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from statistics import median
from uuid import UUID

from bench import children, echo, tpcb
from bench.figures import Figure, Goal, growth, ratios
from bench.ground import SYSTEM, Ground
from bench.posters import WALLETS_FROM, Order, bodies
from bench.report import Findings, Ratio, growth_line, number
from bench.rounds import Arm, Plan, Work, interleave
from bench.serving import serving
from palio import identity, ledger
from palio.kernel import clock
from palio.kernel.ids import UserId

SINGLE = Goal("P1", "x TPCB", target=2.4, floor=1.4)
HOT = Goal("P2", "x P1", target=0.9, floor=0.8)
BULK = Goal("P3", "x TPCB", target=8, floor=4)
CALM = Goal("R5", "ms p95 at half load", target=50, floor=50, less_is_better=True)
WALLETS, WALLETS_MIN = 1_000_000, 100
HOUSES = 1_000
CONNECTIONS, BULK_CONNECTIONS = 32, 4
ITEMS = 5_000  # at any size: shorter lists would run into the number of batches that a program may send in a minute
FUND_AT_ONCE = 100_000
FUND_SECONDS_MAX = 60
RATE_MAX = 12_000  # transfers a second for which single requests are written down before
BULK_RATE_MAX = 40_000
STORED = """
select (select count(*) from ledger.transfers t where t.key like %s) as transfers,
       (select count(*) from ledger.keys k where k.key like %s) as keys
"""
SOUND = """
select (select coalesce(sum(amount), 0) from ledger.entries)::bigint as total,
       (select count(*) from ledger.balances b join (
          select account_id, sum(amount) as amount, count(*) as n, max(seq) as seq from ledger.entries
          where seq is not null group by account_id) e using (account_id)
        where b.balance <> e.amount or b.seq <> e.n or b.seq <> e.seq) as uneven,
       (select count(*) from ledger.balances b where b.balance <> 0 and not exists (
          select from ledger.entries e where e.account_id = b.account_id and e.seq is not null)) as baseless
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What the load program says of a turn."""

    answers: int
    failed: int
    said: str
    seconds: float
    p50_ms: float
    p95_ms: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Shape:
    """How an arm posts."""

    name: str
    wallets: int
    houses: int = HOUSES
    connections: int = CONNECTIONS
    items: int = 1
    rate: float | None = None  # requests a second


class Posting(Arm):
    """Programs that post as fast as they are answered; each request has a key of its own."""

    unit = "transfers"

    def __init__(self, ground: Ground, port: int, tokens: Sequence[tuple[UserId, str]], shape: Shape, plan: Plan):
        self.name = shape.name
        self.shape = shape
        self.told: list[Told] = []
        self._ground, self._port, self._tokens, self._seconds = ground, port, tokens, plan.seconds
        self._turn = 0

    def order(self) -> Order:
        """What the load program is to do in the present turn."""
        shape, rate_max = self.shape, RATE_MAX if self.shape.items == 1 else BULK_RATE_MAX
        return Order(
            port=self._port,
            seconds=self._seconds,
            tokens=[secret for _, secret in self._tokens],
            connections=shape.connections,
            wallets=shape.wallets,
            counterparts=shape.houses,
            items=shape.items,
            name=f"{shape.name.replace(' ', '-').replace(',', '')}-{self._turn}",
            requests_max=max(shape.connections, round(self._seconds * rate_max / shape.items)),
            rate=shape.rate,
        )

    async def prepare(self) -> None:
        self._turn += 1
        await self._ground.rest()

    async def act(self) -> Work:
        words = (sys.executable, "-m", "bench.posters")
        told = Told(**json.loads(await children.answer(*words, stdin=json.dumps(asdict(self.order())).encode())))
        self.told.append(told)
        return Work(told.answers * self.shape.items, told.seconds)

    async def check(self) -> list[str]:
        """What was acknowledged is stored once, under its key."""
        told, wanted = self.told[-1], self.told[-1].answers * self.shape.items
        likes = [f"api:{user_id}:{self.order().name}-%" for user_id, _ in self._tokens]
        stored = 0
        async with self._ground.database.begin(SYSTEM, seconds_max=FUND_SECONDS_MAX) as tx:
            for like in likes:
                row = await (await tx.execute(STORED, [like, like])).fetchone()
                transfers, keys = row or (0, 0)
                stored += int(transfers)
                if transfers != keys:
                    return [f"{self.name}: {transfers} transfers under {keys} keys"]
        faults = [f"{self.name}: {told.failed} requests failed: {told.said}"] if told.failed else []
        return faults if stored == wanted else [*faults, f"{self.name}: {wanted} acknowledged, {stored} stored"]


async def fund(ground: Ground, wallets: int) -> None:
    """Let so many players have a coin."""
    now = clock.now()
    for first in range(0, wallets, FUND_AT_ONCE):
        numbers = range(first, min(wallets, first + FUND_AT_ONCE))
        payments = ledger.Payments(
            [f"bench:{number}" for number in numbers],
            [UserId(UUID(int=WALLETS_FROM + number)) for number in numbers],
            [1] * len(numbers),
        )
        async with ground.database.begin(SYSTEM, seconds_max=FUND_SECONDS_MAX) as tx:
            await ledger.fan_out(
                tx, source="issuance:bench", asset="COIN", kind="ledger.transfer", payments=payments, now=now
            )


async def programs(
    ground: Ground, count: int, *, role: str = "finance", scope: str = "ledger:write"
) -> list[tuple[UserId, str]]:
    """Service users with the role and a token."""
    now, why = clock.now(), "posts for a bench"
    made = []
    async with ground.database.begin(SYSTEM) as tx:
        for number in range(count):
            user = await identity.create(
                tx,
                username=f"bench-{role}-{int(now.timestamp())}-{number}",
                display_name=None,
                kind="service",
                now=now,
                reason=why,
            )
            await identity.grant_role(tx, user_id=user.id, role=role, reason=why, now=now)
            token = await identity.create_token(tx, user_id=user.id, name="bench", scopes=[scope], now=now)
            made.append((user.id, token.secret))
    return made


async def sound(ground: Ground) -> list[str]:
    """What is wrong with the books as a whole."""
    async with ground.database.begin(SYSTEM, seconds_max=10 * FUND_SECONDS_MAX) as tx:
        row = await (await tx.execute(SOUND)).fetchone()
    total, uneven, baseless = row or (0, 0, 0)
    faults = [f"all entries sum to {total}"] if total else []
    faults += [f"{uneven} wallets are not what their entries say"] if uneven else []
    return faults + ([f"{baseless} wallets hold something out of nothing"] if baseless else [])


async def measure(ground: Ground, plan: Plan, tell: Callable[[str], None]) -> Findings:
    """All three beside both yard-sticks; single transfers at three sizes to see how the cost grows."""
    wallets = max(WALLETS_MIN, plan.size_of(WALLETS))
    tell(f"P1: a coin for {wallets:,} players")
    await fund(ground, wallets)
    tokens = await programs(ground, BULK_CONNECTIONS)
    async with AsyncExitStack() as stack:
        port, pid = await stack.enter_async_context(serving(ground))
        tell("TPCB: filling and ageing the tables")
        share = plan.share_of(WALLETS)
        yardstick = await stack.enter_async_context(tpcb.ready(ground, seconds=plan.seconds, share=share))
        sizes = sorted({max(WALLETS_MIN, wallets // part) for part in (100, 10, 1)})
        singles = [Posting(ground, port, tokens[:1], Shape(f"P1 {size:,} wallets", size), plan) for size in sizes]
        hot = Posting(ground, port, tokens[:1], Shape("P2 one hot account", wallets, houses=1), plan)
        bulk_shape = Shape("P3 bulk", wallets, connections=BULK_CONNECTIONS, items=ITEMS)
        bulk = Posting(ground, port, tokens, bulk_shape, plan)
        _, body = next(bodies(singles[-1].order()))
        bare = await stack.enter_async_context(echo.ready(ground.home, body, seconds=plan.seconds))
        arms: list[Arm] = [yardstick, *singles, hot, bulk, bare]
        found = await interleave(arms, rounds=plan.rounds, meter=ground.meter(pid, bare.pid), tell=tell)
        half = Shape("P2 at half load", wallets, houses=1, rate=median(found[hot.name].rates) / 2)
        calm = Posting(ground, port, tokens[:1], half, plan)
        found |= await interleave([calm], rounds=plan.rounds, meter=ground.meter(pid), tell=tell)
    single = found[singles[-1].name]
    single.faults += [f"P1-P3: {fault}" for fault in await sound(ground)]
    rates = found[yardstick.name].rates
    costs = [(arm.shape.wallets, [1 / rate for rate in found[arm.name].rates_of_core]) for arm in singles]
    is_sound = not any(series.faults for series in found.values())
    return Findings(
        "P1",
        f"transfers posted over HTTP, {CONNECTIONS} connections, {wallets:,} wallets",
        list(found.values()),
        [
            Figure(SINGLE, ratios(single.rates, rates), correct=is_sound),
            Figure(HOT, ratios(found[hot.name].rates, single.rates), correct=is_sound),
            Figure(BULK, ratios(found[bulk.name].rates, rates), correct=is_sound),
            Figure(CALM, tuple(told.p95_ms for told in calm.told), correct=is_sound),
        ],
        [Ratio("P1 ÷ ECHO (requests)", ratios(single.rates, found[bare.name].rates))],
        [
            growth_line(growth(costs)),
            *[_line(arm, found[arm.name].rates_of_core) for arm in (*singles, hot, bulk, calm)],
            *tpcb.caveats(share),
        ],
    )


def _line(arm: Posting, rates_of_core: Sequence[float]) -> str:
    """What an arm says beside its rate."""
    p95, spent = median(told.p95_ms for told in arm.told), median(told.cpu_seconds / told.seconds for told in arm.told)
    each = 1e6 / median(rates_of_core)
    return (
        f"{arm.name}: {number(each)} µs of processor a transfer, p95 {number(p95)} ms, load program {spent:.2f} cores"
    )
