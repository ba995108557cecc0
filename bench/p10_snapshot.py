"""P10: one affiliate snapshot archived, compared, stored and ranked, when one player in twenty has wagered."""

import gc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import NamedTuple

from bench import load
from bench.feed import Network
from bench.figures import Figure, Goal, growth, ratios
from bench.ground import SYSTEM, Ground
from bench.report import Findings, Ratio, growth_line, number
from bench.rounds import Arm, Plan, Work, interleave
from palio import affiliates
from palio.affiliates import doors
from palio.affiliates.types import BoardView, Programme, Snapshot, Wanted

CHANGED = Goal("P10", "s CPU", target=0.2, floor=0.5, less_is_better=True)
UNCHANGED = Goal("P10", "ms CPU for an unchanged body", target=20, floor=50, less_is_better=True)
PLAYERS, PLAYERS_MIN = 100_000, 20
SHARE_CHANGED = 0.05
BEGIN, INTERVAL = datetime(2026, 3, 20, tzinfo=UTC), timedelta(minutes=15)
STORED = """
select (select count(*) from affiliates.stats) as readings,
       (select coalesce(sum(delta_micro), 0) from affiliates.stats where snapshot_id = %s) as wagered,
       (select count(*) from affiliates.players where programme_id = %s and value_snapshot_id = %s) as moved,
       (select sum(all_time_micro) from affiliates.players where programme_id = %s) as total
"""


class Stored(NamedTuple):
    """What the tables say: readings of all snapshots; wagers and players that came with one; everybody's wagers."""

    readings: int
    wagered: int
    moved: int
    total: int


class Feed:
    """One programme, and the network of players whose bodies it is given every quarter of an hour."""

    def __init__(self, ground: Ground, programme: Programme, network: Network) -> None:
        self._ground = ground
        self.programme, self.network = programme, network
        self._fetched_at = BEGIN

    async def ingest(self, body: bytes) -> Snapshot:
        """Through the door of every upload."""
        self._fetched_at += INTERVAL
        return await doors.take_in(
            self._ground.database,
            self._ground.wiring.storage,
            actor=SYSTEM,
            feed_id=self.programme.upload_feed_id,
            body=body,
            content_type="application/json",
            fetched_at=self._fetched_at,
            trigger="upload",
            now=self._fetched_at,
        )

    async def leader(self) -> BoardView:
        """The first place of all time, and what everybody wagered; a board that was read stays in order."""
        wanted = Wanted(self.programme.code)
        async with self._ground.database.begin(SYSTEM) as tx:
            return await affiliates.leaderboard(tx, wanted=wanted, now=self._fetched_at, limit=1)

    async def stored(self, snapshot: Snapshot | None) -> Stored:
        """What the tables say, of this snapshot where it matters."""
        snapshot_id, programme_id = snapshot.id if snapshot else None, self.programme.id
        async with self._ground.database.begin(SYSTEM) as tx:
            row = await (await tx.execute(STORED, [snapshot_id, programme_id, snapshot_id, programme_id])).fetchone()
        return Stored(*map(int, row or (0, 0, 0, 0)))


class Ingest(Arm):
    """A snapshot in which a share of the players have wagered since the one before; with none it is the same bytes."""

    unit = "rows written"

    def __init__(self, ground: Ground, feed: Feed, *, share: float) -> None:
        self.players = feed.network.players
        self.name = f"{self.players:,} players, {share:.0%} changed"
        self._ground, self._feed, self._share = ground, feed, share
        self._body = b""
        self._moved = 0
        self._before = Stored(0, 0, 0, 0)
        self._snapshot: Snapshot | None = None

    async def prepare(self) -> None:
        """Make the next body. A quarter of an hour has a checkpoint in it, so the writes begin after one."""
        self._moved = self._feed.network.advance(self._share) if self._share else 0
        self._body = self._feed.network.body()
        self._before = await self._feed.stored(None)
        await self._ground.rest()
        gc.collect()

    async def act(self) -> Work:
        self._snapshot = await self._feed.ingest(self._body)
        return Work(2 * self._moved)  # for each a player and a reading

    async def check(self) -> list[str]:
        """Readings and players gain exactly the changed rows, nobody's wager is lost, and the board says the same."""
        now, total = await self._feed.stored(self._snapshot), sum(self._feed.network.all_time_micro)
        board = await self._feed.leader()
        pairs = {
            "snapshot": (self._snapshot and (self._snapshot.status, self._snapshot.changed), ("applied", self._moved)),
            "readings": (now.readings - self._before.readings, self._moved),
            "players": (now.moved, self._moved),
            "wagered": (now.wagered, total - self._before.total),
            "total": (now.total, total),
            "ranked": (
                (board.total_micro, board.rows[0].wagered_micro, board.as_of),
                (total, max(self._feed.network.all_time_micro), self._snapshot and self._snapshot.as_of),
            ),
        }
        return [
            f"{self.name}: {what}: {found}, not {right}" for what, (found, right) in pairs.items() if found != right
        ]


async def measure(ground: Ground, plan: Plan, tell: Callable[[str], None]) -> Findings:
    """The stated size, and two smaller ones to see how the cost grows."""
    players = plan.size_of(PLAYERS)
    feeds, first_seconds = [], 0.0
    for size in sorted({max(PLAYERS_MIN, players // part) for part in (100, 10, 1)}):
        tell(f"P10: the first snapshot of {size:,} players")
        feed, first_seconds = await begun(ground, size)
        feeds.append(feed)
    changed = [Ingest(ground, feed, share=SHARE_CHANGED) for feed in feeds]
    unchanged = Ingest(ground, feeds[-1], share=0)
    async with load.ready(ground, share=plan.share_of(PLAYERS)) as yardstick:
        arms = [yardstick, *changed, unchanged]
        found = await interleave(arms, rounds=plan.rounds, meter=ground.meter(), tell=tell)
    largest, same = found[changed[-1].name], found[unchanged.name]
    costs = [(arm.players, found[arm.name].cpu_seconds) for arm in changed]
    return Findings(
        "P10",
        f"affiliate snapshot of {players:,} players, {SHARE_CHANGED:.0%} changed: archive, compare, store, rank",
        list(found.values()),
        [
            Figure(CHANGED, tuple(largest.cpu_seconds), correct=not largest.faults),
            Figure(UNCHANGED, tuple(1_000 * used for used in same.cpu_seconds), correct=not same.faults),
        ],
        [
            Ratio("rows written ÷ LOAD", ratios(largest.rates, found[yardstick.name].rates)),
            Ratio("the same by processor time", ratios(largest.rates_of_core, found[yardstick.name].rates_of_core)),
        ],
        [growth_line(growth(costs)), f"first snapshot of {players:,}: {number(first_seconds)} s"],
    )


async def begun(ground: Ground, players: int, *, name: str = "bench") -> tuple[Feed, float]:
    """A programme of this name with its first snapshot, and how many seconds that took."""
    async with ground.database.begin(SYSTEM) as tx:
        programme = await affiliates.ensure_programme(tx, code=f"{name}-{players}")
    feed = Feed(ground, programme, Network(players))
    begin = perf_counter()
    await feed.ingest(feed.network.body())
    await feed.leader()
    return feed, perf_counter() - begin
