"""The demo: four weeks of races between invented players, filled in the order of time, then played on.

Everything goes through the doors that real feeds, operators and schedules use, so that the demo is refused what they
would be. Each instant of the plan can be lived through twice: a fill that was killed goes on where it was.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from palio import affiliates, competitions, identity, races
from palio.affiliates.types import DEFAULT_PROGRAMME, PLACEHOLDER_NAMES, FeedId, NewFeed
from palio.entry.moving import Mover, moving
from palio.entry.wiring import Say, Wiring
from palio.infra import clock as virtual
from palio.infra import marks, partitions, settings, tasks
from palio.infra.db import Tx
from palio.infra.mail import Smtp
from palio.infra.settings import Change
from palio.kernel import clock
from palio.kernel.errors import Unavailable
from palio.races.types import NewRace, NewRaceSeries
from palio.sim import Clock, Pulse, SimRefusal, World

MINUTE, HOUR, DAY, WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
HISTORY, SETTLED_WEEKS = 4 * WEEK, 3
PULSE_S = 10
LOOK_SECONDS = 2
FEED_S, FEED_S_MAX = 20, 900  # the feed is read every 20 s of real time, but at least as often as a real one
SERIES = "weekly"
POOL = 50_000
PRIZES_BPS = (5000, 1500, 1000, 500, 500, 375, 375, 250, 250, 250)
GRACE_S, REVIEW_H, LEAD_H = 900, 1, 168  # prizes come while people look on; the next race is always there
PEOPLE = {"ada": "Ada", "bela": "Béla", "chen": "Chen", "dara": "Dara", "emil": "Emil"}
LINKED = {"chen": 1, "bela": 3}  # who turns out to be the player on which rank of the first race
LINKED_AFTER = WEEK + 2 * DAY + 12 * HOUR  # the start of the first race
REASON = "the demo"


@dataclass(frozen=True, slots=True)
class Filled:
    """What a demo holds."""

    seed: int
    created_at: datetime
    snapshots: int
    races: int
    users: int


class _Followed(Clock):
    """The clock of the product, which a world only follows."""

    def set(self, at: datetime) -> None:  # noqa: ARG002 - whatever it is
        """Refuses: the product has its own hand on it."""
        raise SimRefusal("this world lives in the time of the product: palio sim clock turns it")

    def advance(self, by: timedelta) -> None:
        """Refuses, as `set`."""
        self.set(self.now() + by)

    def speed(self, times: float) -> None:  # noqa: ARG002 - whatever it is
        """Refuses, as `set`."""
        self.set(self.now())


def began(demo: marks.Demo) -> datetime:
    """The first instant of a demo's history."""
    return (demo.created_at - HISTORY).replace(minute=0, second=0)


def first_race(demo: marks.Demo) -> datetime:
    """When the first of its races starts: three whole weeks before the one that is on."""
    today = demo.created_at.replace(hour=0, minute=0, second=0)
    return today - timedelta(days=today.weekday()) - SETTLED_WEEKS * WEEK


def plan(demo: marks.Demo, until: datetime) -> list[datetime]:
    """The instants at which the feed of the past is read: seldom at first, more often towards its end.

    Starts and ends of races are hit exactly, and so are their final pictures and the ends of their reviews.
    """
    start, first = began(demo), first_race(demo)
    instants = {start, until}
    for every, since in ((6 * HOUR, start), (HOUR, until - DAY), (15 * MINUTE, until - HOUR)):
        midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
        turns = (midnight + number * every for number in range((until - midnight) // every + 1))
        instants |= {at for at in turns if at >= since}
    for week in range((until - first) // WEEK + 1):
        monday = first + week * WEEK
        final = monday + timedelta(seconds=GRACE_S)
        instants |= {monday, final, final + timedelta(hours=REVIEW_H)}
    return sorted(at for at in instants if start <= at <= until)


@asynccontextmanager
async def playing(wired: Wiring) -> AsyncIterator[World]:
    """The outside of the demo, for the length of the block; the feed points to it once it is filled."""
    demo = marks.demo()
    if demo is None:
        raise LookupError("this database holds no demo")
    world = World(demo.seed, start=began(demo), clock=_Followed(), pulse=Pulse(demo.created_at, PULSE_S))
    async with world.serving(smtp_port=0):
        yield world


async def play_on(wired: Wiring, *, say: Say) -> None:
    """Fill what is missing of the demo; then do jobs while the outside is played, until cancelled."""
    async with playing(wired) as world:
        _deliver_to(wired, world)
        if marks.state() == "begun":
            say("Preparing the demo: four weeks of races between invented players …")
            done = await _fill_or_wait(wired, world)
            say(f"The demo is ready: {done.races} races of {done.snapshots} pictures of its feed.")
        async with asyncio.TaskGroup() as group:
            group.create_task(_keep_reading(wired, world))
            group.create_task(wired.queue.work())


def _deliver_to(wired: Wiring, world: World) -> None:
    """Have letters end in the mailbox of this world, which our pages show; unless the operator named a mail server."""
    if wired.environment.smtp_url is None:
        mail = Smtp(world.smtp_url, wired.environment.mail_from)
        wired.database.equipment = replace(wired.database.equipment, mail=mail)
        wired.stage.mailbox = world.mailbox


async def _fill_or_wait(wired: Wiring, world: World) -> Filled:
    """Fill the demo, or wait until another process has; if that one dies at it, its work is taken up."""
    while marks.state() == "begun":
        try:
            return await fill(wired, world)
        except virtual.OnTheMove:
            await asyncio.sleep(LOOK_SECONDS)
            async with wired.database.begin_system("is the demo whole") as tx:
                await marks.look(tx)
    return await filled(wired)


async def _keep_reading(wired: Wiring, world: World) -> None:
    """Have the programme read from this world, as often as suits the speed of the clock, whoever turns it."""
    known = None
    while True:
        interval_s = _interval(virtual.virtual.face)
        if interval_s != known:
            with suppress(Unavailable):  # the next look may find the database again
                async with wired.database.begin_system("the feed of the demo") as tx:
                    await _point_to(tx, world.feed_url, interval_s)
                known = interval_s
        tasks.heed_cancellation()
        await asyncio.sleep(LOOK_SECONDS)


async def _point_to(tx: Tx, url: str, interval_s: int) -> FeedId:
    new = NewFeed(url, interval_s=interval_s)
    return await affiliates.add_feed(
        tx, code=DEFAULT_PROGRAMME, new=new, now=clock.now(), reason=REASON, may_replace=True, via="job"
    )


def _interval(face: virtual.Face | None) -> int:
    """So many seconds of the clock that the feed is read about three times in a minute of real time."""
    return min(FEED_S_MAX, FEED_S * (face.speed if face else 1))


async def fill(wired: Wiring, world: World, *, until: datetime | None = None) -> Filled:
    """Fill the demo that was begun, or what is missing of it, until an instant or now; then its clock shows real time.

    Refuses with clock.OnTheMove while another process does.
    """
    demo = marks.demo()
    if demo is None:
        raise LookupError("no demo was begun")
    until = until or clock.real().replace(microsecond=0)
    instants = plan(demo, until)
    wired.stage.steps = len(instants)
    await partitions.ensure_span(wired.database, since=instants[0], until=until)
    async with moving(wired) as mover:
        filler = _Filler(wired, demo, mover, until)
        for done, at in enumerate(instants):
            wired.stage.done = done
            await filler.live(at, world)
    async with wired.database.begin_system("the demo is whole") as tx:
        await virtual.reset(tx, at=clock.real())
        await virtual.virtual.look(tx)
        await _point_to(tx, world.feed_url, _interval(virtual.virtual.face))
        await marks.complete(tx)
    wired.stage.done = len(instants)
    return await filled(wired)


async def filled(wired: Wiring) -> Filled:
    """What the demo holds. Raises LookupError where there is none."""
    demo = marks.demo()
    if demo is None:
        raise LookupError("this database holds no demo")
    async with wired.database.begin_system("what a demo holds") as tx:
        programme = await affiliates.programme(tx, code=DEFAULT_PROGRAMME)
        status = await affiliates.programme_status(tx, programme_id=programme.id)
        lines = await races.recent(tx)
    return Filled(demo.seed, demo.created_at, status.seq, len(lines), len(PEOPLE))


class _Filler:
    """Lives through the plan of one demo."""

    def __init__(self, wired: Wiring, demo: marks.Demo, mover: Mover, until: datetime) -> None:
        self._wired, self._demo, self._mover, self._until = wired, demo, mover, until
        self._feed: FeedId | None = None
        self._last: datetime | None = None

    async def live(self, at: datetime, world: World) -> None:
        """Live through one instant; of those that an earlier fill has read only the last is completed."""
        if self._feed is None:
            await self._mover.stand_at(at, heading_to=self._until)
            self._feed = await self._furnish(world)
        if self._last and at < self._last:
            return
        await self._mover.stand_at(at, heading_to=self._until)
        if self._last is None or at > self._last:
            await affiliates.fetch(self._wired.database, feed_id=self._feed, due_at=at, trigger="schedule")
        await self._mover.work_off()
        async with self._wired.database.begin_system("an instant of the demo") as tx:
            await self._follow(tx, at)
        await self._mover.work_off()

    async def _furnish(self, world: World) -> FeedId:
        """The people and the programme; what is there already stays."""
        async with self._wired.database.begin_system("a demo is furnished") as tx:
            change = Change(PLACEHOLDER_NAMES, "full")
            await settings.change(tx, tx.actor, [change], REASON)
            for username, shown in PEOPLE.items():
                if await identity.find(tx, name_or_id=username) is None:
                    await identity.create(
                        tx, username=username, display_name=shown, now=clock.now(), reason=REASON, via="job"
                    )
            feed_id = await _point_to(tx, world.feed_url, FEED_S)
            programme = await affiliates.programme(tx, code=DEFAULT_PROGRAMME)
            self._last = (await affiliates.programme_status(tx, programme_id=programme.id)).last_fetched_at
            return feed_id

    async def _follow(self, tx: Tx, at: datetime) -> None:
        """What people and schedules do at an instant."""
        first = first_race(self._demo)
        if at == first and not await races.list_series(tx):
            await races.create_series(tx, new=_series(at), actor=tx.actor, now=at)
        await competitions.ensure_series(tx, now=at)
        await races.repair(tx, now=at)
        await races.tick(tx, now=at)
        if at == first + LINKED_AFTER:
            await self._link(tx, at)

    async def _link(self, tx: Tx, at: datetime) -> None:
        """Some say which player they are, and claim what waits for them."""
        number = min(line.number for line in await races.recent(tx))
        by_rank = {line.rank: line.uid for line in await races.lines(tx, number=number)}
        programme = await affiliates.programme(tx, code=DEFAULT_PROGRAMME)
        for username, rank in LINKED.items():
            user = await identity.get(tx, name_or_id=username)
            if rank in by_rank:
                await affiliates.link(
                    tx,
                    programme_id=programme.id,
                    uid=by_rank[rank],
                    user_id=user.id,
                    reason=REASON,
                    now=at,
                    via="job",
                )


def _series(starts_at: datetime) -> NewRaceSeries:
    race = NewRace(
        title="Weekly race",
        programme=DEFAULT_PROGRAMME,
        starts_at=starts_at,
        ends_at=starts_at + WEEK,
        pool_asset="USD",
        pool=POOL,
        prize_rule=races.by_place(PRIZES_BPS),
        cadence="weekly",
        description="Who wagers most from Monday to Monday. Players and figures of this demo are invented.",
        min_wager_micro=0,
        grace_s=GRACE_S,
        review_h=REVIEW_H,
    )
    return NewRaceSeries(code=SERIES, cadence="weekly", tz="UTC", race=race, create_lead_h=LEAD_H)
