"""The race between the two captures, read from the simulated feed by the product's own connector."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from palio import affiliates, races
from palio.infra import embedded
from palio.kernel import clock
from palio.races.types import NewRace
from palio.sim import REPLAY, Clock, World
from tests.factories.races import EXPECTED, run
from tests.journeys.product import running
from tests.ui.house import SYSTEM

BEGAN = datetime(2026, 3, 18, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


async def test_the_race_over_the_replay_is_the_expected_one_and_a_wager_after_it_counts_exactly(
    cluster: embedded.Cluster, worker_id: str, tmp_path: Path
) -> None:
    """Acceptance 2 and 8 of the simulators: 13 players, 450.299844 in all; then `play` 12.34 in another live race."""
    standing = Clock(BEGAN, is_frozen=True)
    async with (
        World(start=BEGAN, clock=standing).serving() as world,
        running(cluster, f"palio_replay_{worker_id}", tmp_path, sim="on") as product,
    ):
        clock.use(standing.now)  # not that of the deployment, which its world follows
        database = product.wiring.database

        async def fetch() -> None:
            cycle = await affiliates.fetch(database, feed_id=feed_id, due_at=clock.now(), trigger="manual")
            assert cycle is not None and cycle.state in {"applied", "unchanged"}

        async def race(starts_at: datetime, ends_at: datetime) -> int:
            new = NewRace(
                *("Replay", "default", starts_at, ends_at, "USD", 50_000, races.by_place((10_000,))),
                min_wager_micro=0,
                grace_s=0,
                review_h=0,
            )
            async with database.begin(SYSTEM) as tx:
                return (await races.create_race(tx, new=new, actor=SYSTEM, now=clock.now())).number

        async def totals(number: int) -> dict[str, int]:
            async with database.begin(SYSTEM) as tx:
                ids = await races.open_of(tx, programme_id=programme.id)
                await races.on_snapshot_many(tx, ids, now=clock.now())
                await run(tx, clock.now())
                return {line.uid: line.total_micro for line in await races.lines(tx, number=number)}

        async with database.begin(SYSTEM) as tx:
            new = affiliates.NewFeed(world.feed_url)
            feed_id = await affiliates.add_feed(tx, code="default", new=new, now=clock.now(), reason="a replay")
            programme = await affiliates.programme(tx, code="default")
        standing.advance(HOUR)
        await fetch()
        number = await race(clock.now() + 5 * MINUTE, BEGAN + 12 * HOUR)
        standing.set(BEGAN + 12 * HOUR + 10 * MINUTE)
        await fetch()
        shown = {row["uid"]: int(row["delta_all_time"].replace(".", "")) for row in EXPECTED["ranking"]}
        assert await totals(number) == shown
        assert (len(shown), sum(shown.values())) == (13, 450_299_844)

        standing.set(BEGAN + REPLAY + MINUTE)
        await fetch()
        later = await race(clock.now() + MINUTE, clock.now() + HOUR)
        standing.advance(2 * MINUTE)
        first = next(iter(shown))
        before = (await totals(later)).get(first, 0)
        world.feed.play(first, "12.34")
        standing.advance(15 * MINUTE)
        await fetch()
        assert (await totals(later))[first] - before == 12_340_000
