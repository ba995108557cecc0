"""The demo: filled in the order of time through the product's own doors, whole or not to be seen, then played on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import psycopg
import pytest
from psycopg import sql

from palio import affiliates, identity, ledger, races
from palio.entry import demo, first_start, moving, web, wiring
from palio.entry.wiring import Wiring
from palio.infra import clock as virtual
from palio.infra import embedded, marks, settings
from palio.infra.addresses import Addresses
from palio.infra.db import Database
from palio.infra.settings import Environment
from palio.kernel import clock
from palio.races.types import NewRace
from palio.sim import World
from tests.journeys.browser.conftest import serve

CREATED_AT = datetime(2026, 3, 20, 12, 30, tzinfo=UTC)  # a Friday
MARKS = marks.Demo(CREATED_AT, 1, is_whole=False)
FIRST = datetime(2026, 2, 23, tzinfo=UTC)
UNTIL = FIRST + timedelta(days=9, hours=14)  # the first race is paid, the second one on, and people have been linked
PATIENCE_SECONDS = 120
OURS = {"sec-fetch-site": "same-origin"}


@dataclass(frozen=True, slots=True)
class Place:
    """A database of its own."""

    name: str
    addresses: Addresses
    data: Path

    def opened(self, **changes: object) -> AbstractAsyncContextManager[Wiring]:
        """A process over it."""
        return wiring.opened(Environment(data=self.data, **changes), self.addresses)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def places(cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    made: list[str] = []

    def make() -> Place:
        name = f"palio_demo_{worker_id}_{len(made)}"
        made.append(name)
        with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
            admin.execute(sql.SQL("create database {} template palio").format(sql.Identifier(name)))
        dsn = cluster.dsn("palio_app", name)
        return Place(name, Addresses(app=dsn, direct=dsn, migrate=dsn), tmp_path_factory.mktemp("demo"))

    yield make
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        for name in made:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(autouse=True)
async def settings_are_those_of_the_suite_again(database: Database) -> AsyncIterator[None]:
    yield
    async with database.begin_system("no demo") as tx:
        await settings.snapshot.load(tx)


async def begin(wired: Wiring) -> None:
    async with wired.database.begin_system("a demo is begun") as tx:
        await marks.begin(tx, at=CREATED_AT, seed=1)
    await wiring.simulate(wired.database)


@asynccontextmanager
async def filling(wired: Wiring) -> AsyncIterator[asyncio.Task[demo.Filled]]:
    """The fill of a short demo, which goes on in the block."""
    async with demo.playing(wired) as world:
        task = asyncio.create_task(demo.fill(wired, world, until=UNTIL))
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def reaching(wired: Wiring, task: asyncio.Task[demo.Filled], done: int) -> None:
    """Wait until the fill is so far."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while wired.stage.done < done and not task.done():  # noqa: ASYNC110 - rows of the database ring no bell
            await asyncio.sleep(0.01)


@asynccontextmanager
async def asked(place: Place) -> AsyncIterator[tuple[Wiring, httpx2.AsyncClient]]:
    """The application of one process, and who asks it."""
    async with (
        place.opened() as wired,
        serve(web.make(wired)) as base,
        httpx2.AsyncClient(base_url=base, timeout=20) as client,
    ):
        yield wired, client


async def digest(wired: Wiring) -> list[object]:
    """What a demo says, without ids and passwords."""
    said: list[object] = []
    async with wired.database.begin_system("what a demo says") as tx:
        for line in sorted(await races.recent(tx), key=lambda race: race.number):
            rows = [] if line.status == "upcoming" else await races.lines(tx, number=line.number)
            said.append((line.number, line.title, line.status, line.starts_at, line.ends_at, line.entrants, rows))
        for name in demo.PEOPLE:
            user = await identity.get(tx, name_or_id=name)
            said.append((name, [(one.asset, one.balance) for one in await ledger.wallets(tx, owner_id=user.id)]))
        said.append(await ledger.total(tx))
    return said


@pytest.fixture(scope="module")
async def whole(places) -> tuple[Place, list[object]]:  # type: ignore[no-untyped-def]
    """A demo that nothing interrupted."""
    place = places()
    async with place.opened() as wired:
        await begin(wired)
        async with filling(wired) as task:
            await task
        said = await digest(wired)
    return place, said


def test_the_plan_hits_every_bound_exactly_and_ends_now() -> None:
    plan = demo.plan(MARKS, CREATED_AT)
    mondays = [FIRST + timedelta(weeks=week) for week in range(4)]

    assert plan[0] == datetime(2026, 2, 20, 12, tzinfo=UTC)
    assert plan[-1] == CREATED_AT and plan == sorted(set(plan))
    assert demo.first_race(MARKS) == FIRST
    final, paid = timedelta(minutes=15), timedelta(hours=1, minutes=15)
    assert {monday + later for monday in mondays for later in (timedelta(), final, paid)} <= {*plan}
    assert FIRST + demo.LINKED_AFTER in plan
    assert len(plan) < 160, "each costs about a tenth of a second"


async def test_a_race_is_settled_and_paid_another_is_on_and_the_next_is_there(whole) -> None:  # type: ignore[no-untyped-def]
    _, said = whole
    statuses = [(line[0], line[2]) for line in said if isinstance(line, tuple) and isinstance(line[0], int)]
    first = said[0]

    assert statuses == [(1, "completed"), (2, "live"), (3, "upcoming")]
    by_rank = {row.rank: row for row in first[6]}
    assert (by_rank[1].reward_status, by_rank[2].reward_status) == ("paid", "unclaimed")
    assert sum(row.prize for row in first[6]) == demo.POOL
    balances = {line[0]: dict(line[1]) for line in said if isinstance(line, tuple) and line[0] in demo.PEOPLE}
    assert balances["chen"]["USD"] == by_rank[1].prize
    assert balances["emil"]["USD"] == 0
    assert said[-1] == 0, "the ledger sums to zero"


async def test_a_fill_that_was_killed_twice_ends_as_one_that_was_not(places, whole) -> None:  # type: ignore[no-untyped-def]
    """Each time in another process, in the middle of whatever it was doing."""
    place = places()
    async with place.opened() as wired:
        await begin(wired)
        async with filling(wired) as task:
            await reaching(wired, task, 7)
    async with place.opened() as wired:
        assert await first_start.begin_demo(wired, asked=None), "it goes on by itself"
        async with filling(wired) as task:
            await reaching(wired, task, 30)
    async with place.opened() as wired:
        assert marks.state() == "begun"
        async with filling(wired) as task:
            await task
        assert marks.state() == "whole" and not await first_start.begin_demo(wired, asked=None)
        assert await digest(wired) == whole[1]


async def test_half_a_demo_is_never_shown(places) -> None:  # type: ignore[no-untyped-def]
    """The home page says how far it is, programs are told to come later, and it changes by itself."""
    async with asked(places()) as (wired, client):
        await begin(wired)
        async with filling(wired) as task:
            await reaching(wired, task, 3)
            page = await client.get("/", headers={"accept": "text/html"})
            block = await client.get("/preparing", headers={"hx-request": "true"})
            others = await client.get("/races", headers={"accept": "text/html"})
            call = await client.get("/api/v1/races")
            ready = await client.get("/readyz")
        assert "Preparing the demo" in page.text and page.status_code == 200
        assert "<progress" in block.text and "<html" not in block.text
        assert (others.status_code, others.headers["location"]) == (307, "/")
        assert (call.status_code, call.json()["code"]) == (503, "entry.demo_preparing")
        assert call.headers["retry-after"] == "2"
        assert ready.status_code == 200

        async with wired.database.begin_system("pretend") as tx:
            await marks.complete(tx)
        done = await client.get("/preparing", headers={"hx-request": "true"})
        assert done.headers["hx-redirect"] == "/"
        assert "Preparing" not in (await client.get("/")).text


async def test_every_page_of_a_demo_wears_a_ribbon(whole) -> None:  # type: ignore[no-untyped-def]
    """With the tick of its feed, and the speed of its clock when that is not real."""
    async with asked(whole[0]) as (wired, client):
        watching = asyncio.create_task(first_start.watch(wired))
        async with asyncio.timeout(10):
            while wired.stage.feed_interval_s is None:  # noqa: ASYNC110 - rows of the database ring no bell
                await asyncio.sleep(0.01)
        watching.cancel()
        for path in ("/", "/races", "/races/1", "/nowhere", "/sim"):
            text = (await client.get(path, headers={"accept": "text/html"})).text
            assert 'aria-label="Demo"' in text and "The feed ticks every 20 s." in text, path
            assert "The clock runs" not in text
        await client.post("/sim/speed", headers=OURS, data={"speed": "60"})
        assert "The clock runs 60 times as fast." in (await client.get("/races")).text
        await client.post("/sim/speed", headers=OURS, data={"speed": "1"})


async def test_the_clock_is_turned_by_our_own_page_only_and_is_nowhere_else(places, whole) -> None:  # type: ignore[no-untyped-def]
    async with asked(places()) as (_, client):
        assert (await client.get("/sim")).status_code == 404, "time is real there"
        for path, data in (("/sim/advance", {"by": "900"}), ("/sim/speed", {"speed": "60"})):
            assert (await client.post(path, headers=OURS, data=data)).status_code == 404
        assert "Demo" not in (await client.get("/")).text

    async with asked(whole[0]) as (wired, client):
        before = clock.now()
        for headers in ({}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
            answer = await client.post("/sim/advance", headers=headers, data={"by": "900"})
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf_rejected")
        odd = await client.post("/sim/advance", headers=OURS, data={"by": "77"})
        assert (odd.status_code, odd.json()["code"]) == (422, "entry.turn_invalid")
        assert clock.now() - before < timedelta(seconds=20)

        done = await client.post("/sim/advance", headers=OURS, data={"by": "900"})
        assert (done.status_code, done.headers["location"]) == (303, "/sim")
        assert wired.stage.moving
        await wired.stage.moving
        assert timedelta(minutes=15) <= clock.now() - before < timedelta(minutes=16)


async def test_an_advance_lives_through_each_tick_and_every_end(whole) -> None:  # type: ignore[no-untyped-def]
    """The race that ends in between closes by a picture of its own, and its prizes are paid, as by the clock."""
    async with whole[0].opened() as wired, demo.playing(wired) as world:
        async with wired.database.begin_system("not months later, as a fill leaves it here") as tx:
            await virtual.reset(tx, at=UNTIL + timedelta(hours=1))
            await virtual.virtual.look(tx)
        await read_from(wired, world)
        async with wired.database.begin_system("a race between two ticks") as tx:
            now = clock.now().replace(second=0, microsecond=0)
            starts_at, ends_at = now + timedelta(minutes=11), now + timedelta(minutes=47)
            made = await races.create_race(
                tx,
                new=NewRace(
                    title="Between ticks",
                    programme="default",
                    starts_at=starts_at,
                    ends_at=ends_at,
                    pool_asset="USD",
                    pool=1_000,
                    prize_rule=races.by_place([10_000]),
                    min_wager_micro=0,
                    grace_s=0,
                    review_h=0,
                ),
                actor=tx.actor,
                now=clock.now(),
            )
        moved = await moving.advance(wired, by=timedelta(hours=2), tick=timedelta(hours=1))

        async with wired.database.begin_system("how it ended") as tx:
            view = await races.view(tx, number=made.number, now=clock.now(), rows_max=5)
        assert moved.until - moved.since == timedelta(hours=2)
        assert moved.instants in {5, 6}, "whole hours, the start, the end, and where it goes on"
        assert view.status == "completed"
        assert (view.start_state, view.start and view.start.fetched_at) == ("exact", starts_at)
        assert view.final and view.final.fetched_at == ends_at
        with pytest.raises(ValueError, match="forward"):
            await moving.advance(wired, by=timedelta())


async def read_from(wired: Wiring, world: World) -> None:
    """Point the feed to a world that lives in this test."""
    reading = asyncio.create_task(demo._keep_reading(wired, world))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with wired.database.begin_system("where does it read") as tx:
                if (await affiliates.pull_feed(tx, code="default")).url == world.feed_url:
                    break
            await asyncio.sleep(0.01)
    reading.cancel()


async def test_where_there_must_be_no_demo_it_is_refused_and_nothing_is_written(places) -> None:  # type: ignore[no-untyped-def]
    place = places()
    for changes, words in (
        ({"public_url": "https://play.example.com"}, "from outside"),
        ({"sim": "off"}, "PALIO_SIM"),
    ):
        async with place.opened(**changes) as wired:
            with pytest.raises(first_start.DemoRefusedError, match=words):
                await first_start.begin_demo(wired, asked=True)
            assert not await first_start.begin_demo(wired, asked=None)
    async with place.opened() as wired:
        async with wired.database.begin_system("somebody real") as tx:
            await identity.create(tx, username="anna", now=clock.now())
        with pytest.raises(first_start.DemoRefusedError, match="not empty"):
            await first_start.begin_demo(wired, asked=True)
        assert not await first_start.begin_demo(wired, asked=None)
        assert marks.state() == "none" and not wired.is_simulated
        with pytest.raises(virtual.NoClock):
            await moving.advance(wired, by=timedelta(hours=1))


async def test_who_left_it_out_once_is_not_given_it_later(places) -> None:  # type: ignore[no-untyped-def]
    """Without being asked only the start of an empty place that nothing else is planned for fills one."""
    place = places()
    async with place.opened() as wired:
        assert not await first_start.begin_demo(wired, asked=False)
    async with place.opened() as wired:
        assert marks.state() == "declined"
        assert not await first_start.begin_demo(wired, asked=None)
        assert await first_start.begin_demo(wired, asked=True, seed=7)
        with pytest.raises(first_start.DemoRefusedError, match="seed 7"):
            await first_start.begin_demo(wired, asked=True, seed=8)
        with pytest.raises(first_start.DemoRefusedError, match="PALIO_DATA"):
            await first_start.begin_demo(wired, asked=False)
    with pytest.raises(Exception, match="from outside"):
        async with place.opened(public_url="https://play.example.com"):
            raise AssertionError
    async with places().opened(feed_url="https://feed.example.com/list") as wired:
        assert not await first_start.begin_demo(wired, asked=None)
