"""Three hours with a feed that fails in every way and lies, beside one that does not: nothing invented, nothing lost.

The connector, the jobs, the pages and a live race are the product's own; the hours are the world's, so that they pass
in seconds. Both feeds have the same players, who wager the same.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx2
import pytest

from palio import affiliates, races
from palio.affiliates import jobs as affiliate_jobs
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.infra import db, embedded, outbox
from palio.infra import jobs as queue
from palio.infra.db import Database, Tx
from palio.infra.outbox import shape_of
from palio.kernel import clock
from palio.kernel.messages import handles
from palio.races import jobs as race_jobs
from palio.races.types import NewRace
from palio.sim import REPLAY, Clock, Effect, Fault, World
from tests.conftest import PATIENCE_S
from tests.journeys.product import Product, running
from tests.ui.house import SYSTEM

NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
MINUTE, CYCLE = timedelta(minutes=1), timedelta(minutes=5)
FIRST, SECOND = "jOY9iXNML6GmbhGX7zgO", "5XLJobqamfk6lZCvYKGR"  # player0001 and player0018
DUE = (affiliate_jobs.TICK_SCHEDULE, affiliate_jobs.STALE_SCHEDULE, race_jobs.SCHEDULE)
NUMBERS = """
    select uid, name, today_micro, week_micro, month_micro, all_time_micro, stale_since is null as is_listed
    from affiliates.players where programme_id = %s order by uid"""
GAINED = """
    select p.uid, sum(s.delta_micro)::bigint from affiliates.stats s join affiliates.players p on p.id = s.player_id
    where p.programme_id = %s group by p.uid having sum(s.delta_micro) <> 0 order by p.uid"""


@dataclass
class Heard:
    """What was told, by programme."""

    told: Counter[tuple[str, object]] = field(default_factory=Counter)


HEARD = Heard()


@handles(affiliates.FeedStale)
async def hear_stale(tx: Tx, event: affiliates.FeedStale) -> None:
    HEARD.told["stale", event.programme_id] += 1


@handles(affiliates.FeedRecovered)
async def hear_recovered(tx: Tx, event: affiliates.FeedRecovered) -> None:
    HEARD.told["recovered", event.programme_id] += 1


@handles(affiliates.FeedAuthFailed)
async def hear_refused(tx: Tx, event: affiliates.FeedAuthFailed) -> None:
    HEARD.told["refused", event.programme_id] += 1


async def _at_once(_seconds: float) -> None:
    """Retries do not wait for real time, which nothing here needs."""


@handles(affiliates.FetchFeed, queue="outgoing")
async def fetch(database: Database, job: affiliates.FetchFeed) -> None:
    await affiliates.fetch(database, feed_id=job.feed_id, due_at=job.due_at, trigger=job.trigger, pause=_at_once)


ROUTES = {
    **SUBSCRIPTIONS,
    affiliates.FetchFeed: (fetch,),
    affiliates.FeedStale: (hear_stale,),
    affiliates.FeedRecovered: (hear_recovered,),
    affiliates.FeedAuthFailed: (hear_refused,),
}
HANDLERS = {queue.task_name(handler): (kind, handler) for kind, known in ROUTES.items() for handler in known}
TAKE = """
    with taken as (delete from jobs.procrastinate_jobs where status = 'todo' returning id, task_name, args)
    select task_name, args -> 'message' as message from taken order by id"""


@dataclass
class Side:
    """One of the two: a programme with a feed of its own, and a race over it that runs until half past three."""

    world: World
    programme: affiliates.types.Programme
    feed_id: affiliates.types.FeedId
    number: int = 0


@dataclass
class Hours:
    """The product on the world's clock."""

    product: Product
    clock: Clock
    troubled: Side
    calm: Side

    @property
    def database(self) -> Database:
        return self.product.wiring.database

    async def rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        async with self.database.begin(SYSTEM) as tx:
            return await (await tx.execute(statement, values)).fetchall()  # type: ignore[arg-type]  # written here

    async def until(self, wall: str) -> None:
        """Cycle by cycle what the schedules bring, two minutes after a feed is due, and all jobs that follow."""
        end = datetime.fromisoformat(f"{NOON:%Y-%m-%d}T{wall}:00+00:00")
        while self.clock.now() < end:
            self.clock.advance(CYCLE)
            async with self.database.begin(SYSTEM) as tx:
                for schedule in DUE:
                    await outbox.send(tx, schedule.job, key=schedule.name)
            await self.work()

    async def work(self) -> None:
        """Carry out jobs until there is none."""
        while taken := await self.rows(TAKE):
            for name, message in taken:
                kind, handler = HANDLERS[str(name)]
                job = shape_of(kind).validate_python(message)
                if "tx" not in handler.__annotations__:
                    await handler(self.database, job)
                    continue
                async with self.database.begin(SYSTEM) as tx:
                    await handler(tx, job)

    def play(self, uid: str, amount: str) -> None:
        """A wager that both feeds report."""
        for side in (self.troubled, self.calm):
            side.world.feed.play(uid, amount)

    def spoil(self, *effects: Effect) -> None:
        """From now on the troubled feed goes wrong: each effect for one cycle of two attempts, the last for ever."""
        self.troubled.world.faults.clear()
        for effect in effects[:-1]:
            is_repeated = effect.name not in {"huge", "redirect", "expired_credentials"}
            self.troubled.world.faults.add(Fault("feed", effect, times=2 if is_repeated else 1))
        self.troubled.world.faults.add(Fault("feed", effects[-1]))

    async def numbers(self, side: Side) -> list[tuple[object, ...]]:
        return await self.rows(NUMBERS, side.programme.id)

    async def cycles(self, side: Side, last: int) -> list[str]:
        """How the last cycles ended."""
        statement = "select coalesce(error_code, state) from affiliates.cycles where feed_id = %s order by due_at desc"
        return [str(code) for (code,) in (await self.rows(statement, side.feed_id))[:last]][::-1]

    def told(self, kind: str) -> tuple[int, int]:
        """How often it was told of the troubled and of the calm feed."""
        return HEARD.told[kind, self.troubled.programme.id], HEARD.told[kind, self.calm.programme.id]


async def _side(database: Database, world: World, code: str) -> Side:
    """A programme that is read every five minutes; what takes long is given up after a second."""
    async with database.begin(SYSTEM) as tx:
        feed_id = await affiliates.add_feed(
            tx, code=code, new=affiliates.NewFeed(world.feed_url, interval_s=300), now=clock.now(), reason="a rehearsal"
        )
        limits = "update affiliates.feeds set timeout_s = 1, max_attempts = 2, max_bytes = 1000000 where id = %s"
        await db.run(tx, limits, feed_id)
        return Side(world, await affiliates.programme(tx, code=code), feed_id)


async def _race(database: Database, side: Side) -> int:
    new = NewRace(
        title=f"Race of {side.programme.code}",
        programme=side.programme.code,
        starts_at=NOON,
        ends_at=NOON + timedelta(hours=3, minutes=30),
        pool_asset="USD",
        pool=50_000,
        prize_rule=races.by_place((5000, 3000, 2000)),
        min_wager_micro=0,
    )
    async with database.begin(SYSTEM) as tx:
        return (await races.create_race(tx, new=new, actor=SYSTEM, now=clock.now())).number


@pytest.fixture
async def hours(cluster: embedded.Cluster, worker_id: str, tmp_path: Path) -> AsyncIterator[Hours]:
    standing = Clock(NOON - timedelta(minutes=18), is_frozen=True)
    begin = partial(World, start=NOON - REPLAY - timedelta(hours=6), clock=standing)
    async with (
        begin().serving() as bad,
        begin().serving() as good,
        running(cluster, f"palio_faults_{worker_id}", tmp_path, routes=ROUTES, sim="on") as product,
    ):
        clock.use(standing.now)  # not that of the deployment, which its world follows
        database = product.wiring.database
        HEARD.told.clear()
        hours = Hours(product, standing, await _side(database, bad, "troubled"), await _side(database, good, "calm"))
        await hours.until("11:57")
        for side in (hours.troubled, hours.calm):
            side.number = await _race(database, side)
        yield hours


async def _status(client: httpx2.AsyncClient) -> dict[str, object]:
    """What everybody may know of the instance: how it is, and which programme is stale."""
    told = (await client.get("/api/v1/status")).json()
    return {"status": told["status"], **{feed["programme"]: feed["stale"] for feed in told["feeds"]}}


async def _figures(client: httpx2.AsyncClient) -> dict[str, float]:
    """How old the numbers of each programme are, in seconds, as Prometheus reads it."""
    lines = [line for line in (await client.get("/metrics")).text.splitlines() if line.startswith("palio_feed_age")]
    return {line.split('"')[1]: float(line.split()[1]) for line in lines}


async def _shown(client: httpx2.AsyncClient, number: int) -> dict[str, object]:
    """The board as the API tells it: whether it is stale, as of when, and every total."""
    told = (await client.get(f"/api/v1/races/{number}/standings?limit=100")).json()
    lines = [*told["items"], *told["below_line"]]
    totals = [(line["name"], line["total_micro"]) for line in lines]
    return {"stale": told["stale"], "as_of": told["as_of"], "totals": totals}


async def test_three_hours_of_faults_and_lies_invent_nothing_and_lose_nothing(hours: Hours) -> None:
    async with httpx2.AsyncClient(base_url=hours.product.base, timeout=PATIENCE_S) as client:
        await _outage_of_every_kind(hours, client)
        await _lies(hours, client)
        await _outage_with_a_refused_key(hours, client)
        await _late_and_odd(hours)

        await hours.until("15:02")
        assert hours.told("stale") == hours.told("recovered") == (2, 0)
        assert await hours.numbers(hours.troubled) == await hours.numbers(hours.calm)
        assert await hours.rows(GAINED, hours.troubled.programme.id) == await hours.rows(
            GAINED, hours.calm.programme.id
        )
        troubled, calm = [await _shown(client, side.number) for side in (hours.troubled, hours.calm)]
        assert await _status(client) == {"status": "ok", "troubled": False, "calm": False}
        assert troubled["totals"] == calm["totals"] and troubled["stale"] is False
        assert ("pla***", 1_507_770_000) in calm["totals"]  # type: ignore[operator]


async def _outage_of_every_kind(hours: Hours, client: httpx2.AsyncClient) -> None:
    """Five cycles fail, each in another way; the feed is left alone, stale, and one probe catches up."""
    await hours.until("12:02")
    hours.play(FIRST, "1500")
    await hours.until("12:07")
    before, shown = await hours.numbers(hours.troubled), await _shown(client, hours.troubled.number)
    assert ("pla***", 1_500_000_000) in shown["totals"]  # type: ignore[operator]
    hours.spoil(
        Effect("status", code=500),
        Effect("reset"),
        Effect("truncate", at=300),
        Effect("garbage"),
        Effect("wrong_type"),
        Effect("status", code=503),
    )
    hours.play(SECOND, "20.5")
    await hours.until("12:32")
    assert hours.told("stale") == (0, 0)
    await hours.until("12:42")
    failed = ["http_5xx", "network", "cut_short", "bad_json", "bad_content_type", "skipped_open", "skipped_open"]
    assert await hours.cycles(hours.troubled, 7) == failed
    assert hours.told("stale") == (1, 0)
    stale = await _shown(client, hours.troubled.number)
    assert stale == {**shown, "stale": True}
    assert await hours.numbers(hours.troubled) == before
    assert await _status(client) == {"status": "degraded", "troubled": True, "calm": False}
    assert await _figures(client) == {"troubled": 35 * 60, "calm": 0}
    page = (await client.get(f"/races/{hours.troubled.number}")).text
    assert "Stale, as of" in page
    assert "Stale, as of" not in (await client.get(f"/races/{hours.calm.number}")).text
    hours.troubled.world.faults.clear()
    await hours.until("13:07")
    assert (hours.told("stale"), hours.told("recovered")) == ((1, 0), (1, 0))
    assert await hours.numbers(hours.troubled) == await hours.numbers(hours.calm)
    assert "Stale, as of" not in (await client.get(f"/races/{hours.troubled.number}")).text


async def _doubted(hours: Hours, wall: str, tell: Callable[[], object], reason: str) -> None:
    """A lie is told for one cycle: it is kept for staff to see, and no number is another."""
    before = await hours.numbers(hours.troubled)
    tell()
    await hours.until(wall)
    assert await hours.cycles(hours.troubled, 1) == [reason]
    assert await hours.numbers(hours.troubled) == before


async def _lies(hours: Hours, client: httpx2.AsyncClient) -> None:
    """Lists that cannot be are doubted; a counter that falls is told as the correction that it is."""
    liar, honest = hours.troubled.world.feed, hours.calm.world.feed
    await _doubted(hours, "13:12", lambda: liar.shrink(0.4), "shrink")
    await _doubted(hours, "13:17", lambda: (liar.shrink(1), liar.variant("empty_data")), "empty")
    liar.variant()
    liar.correct(FIRST, "250")
    await hours.until("13:22")
    assert ("pla***", 1_250_000_000) in (await _shown(client, hours.troubled.number))["totals"]  # type: ignore[operator]
    for feed in (liar, honest):
        feed.play(FIRST, "250")
    honest.correct(FIRST, "250")
    liar.shape("grouped")
    await hours.until("13:27")
    assert await hours.numbers(hours.troubled) == await hours.numbers(hours.calm)
    skewed = Fault("feed", Effect("clock_skew", s=-3_600))
    await _doubted(hours, "13:32", lambda: hours.troubled.world.faults.add(skewed), "upstream_regress")
    hours.troubled.world.faults.clear()
    liar.shape("flat")
    await hours.until("13:37")
    assert (await hours.cycles(hours.troubled, 1))[0] in {"applied", "unchanged"}
    assert hours.told("stale") == (1, 0)


async def _outage_with_a_refused_key(hours: Hours, client: httpx2.AsyncClient) -> None:
    """The other five ways, then a probe whose key is refused; staff ask by hand, and all of it is there."""
    before, shown = await hours.numbers(hours.troubled), await _shown(client, hours.troubled.number)
    hours.spoil(
        Effect("redirect"),
        Effect("huge", mb=2),
        Effect("slow", bytes_per_s=50),
        Effect("bad_tls"),
        Effect("reset_after"),
        Effect("expired_credentials"),
    )
    hours.play(FIRST, "7.77")
    await hours.until("14:32")
    failed = ["redirected", "too_large", "timeout", "network", "network"]
    assert (await hours.cycles(hours.troubled, 11))[:5] == failed
    assert hours.told("refused") == (1, 0)
    assert hours.told("stale") == (2, 0)
    assert await hours.numbers(hours.troubled) == before
    assert await _shown(client, hours.troubled.number) == {**shown, "stale": True}
    hours.troubled.world.faults.clear()
    hours.clock.advance(MINUTE)
    await affiliates.fetch(
        hours.database, feed_id=hours.troubled.feed_id, due_at=clock.now(), trigger="probe", pause=_at_once
    )
    hours.clock.advance(4 * MINUTE)
    await hours.until("14:42")
    assert (hours.told("stale"), hours.told("recovered")) == ((2, 0), (2, 0))
    assert await hours.numbers(hours.troubled) == await hours.numbers(hours.calm)


async def _late_and_odd(hours: Hours) -> None:
    """What only comes late is taken; what says itself that it failed is not."""
    hours.spoil(Effect("delay", ms=100))
    hours.play(SECOND, "3.000001")
    await hours.until("14:47")
    assert await hours.cycles(hours.troubled, 1) == ["applied"]
    hours.troubled.world.faults.clear()
    hours.troubled.world.feed.variant("success_false_200")
    await hours.until("14:52")
    assert await hours.cycles(hours.troubled, 1) == ["upstream_refused"]
    hours.troubled.world.feed.variant()
