"""The demo: a past of races between invented players, filled in the order of time, then played on.

Everything goes through the doors that real feeds, people and schedules use, so that the demo is refused what they would
be. Each instant of the plan can be lived through twice: a fill that was killed goes on where it was.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from palio import affiliates, competitions, identity, ledger, races
from palio.affiliates.types import DEFAULT_PROGRAMME, PLACEHOLDER_NAMES, FeedId, NewFeed, ProgrammeChange
from palio.entry import calendar, cast, contests, purses, story
from palio.entry.moving import Mover, moving
from palio.entry.printing import plain
from palio.entry.wiring import Say, Wiring
from palio.infra import approvals, marks, partitions, settings, tasks
from palio.infra import clock as virtual
from palio.infra.db import Tx
from palio.infra.mail import Smtp
from palio.infra.settings import Change
from palio.kernel import clock
from palio.kernel.errors import Refusal, Unavailable
from palio.races.types import RaceLine
from palio.sim import CAST, REPLAY, Clock, Plant, Pulse, SimRefusal, World, nicknames

PULSE_S = 10
LOOK_SECONDS, STAFF_SECONDS = 2, 20
FEED_S, FEED_S_MAX = 20, 900  # the feed is read every 20 s of real time, but at least as often as a real one
STATES: tuple[approvals.State, ...] = ("open", "approved", "rejected", "withdrawn", "expired", "executed", "failed")
ALL = 1_000
DAY = timedelta(days=1)
HIDDEN_TOO = ledger.Filter(with_hidden=True)
REASON = "the demo"
PROGRAMME = "Northwind"


@dataclass(frozen=True, slots=True)
class Filled:
    """What a demo holds."""

    seed: int
    created_at: datetime
    snapshots: int
    races: int
    users: int
    ledger_sum: int
    digest: str
    plants: list[Plant]
    sign_in_file: Path
    people: list[cast.SignIn] = field(default_factory=list)  # told by whoever filled it, once


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


@asynccontextmanager
async def playing(wired: Wiring) -> AsyncIterator[World]:
    """The outside of the demo, for the length of the block; the feed points to it once it is filled."""
    demo = marks.demo()
    if demo is None:
        raise LookupError("this database holds no demo")
    odd = (order for plant in calendar.planted(demo) for order in plant.orders)
    began = calendar.began(demo)
    orders = sorted([*nicknames(began + REPLAY), *odd], key=lambda order: order.at)
    world = World(
        demo.seed,
        start=began,
        clock=_Followed(),
        players=demo.players,
        pulse=Pulse(demo.created_at, PULSE_S),
        plants=orders,
    )
    async with world.serving(smtp_port=0):
        yield world


async def play_on(wired: Wiring, *, say: Say) -> None:
    """Fill what is missing of the demo; then do jobs while the outside is played, until cancelled."""
    async with playing(wired) as world:
        _deliver_to(wired, world)
        if marks.state() == "begun":
            say("Preparing the demo: races between invented players …")
            done = await _fill_or_wait(wired, world)
            say(f"The demo is ready: {done.races} races of {done.snapshots} pictures of its feed.")
            for line in cast.lines(done.people) if done.people else []:
                say(f"  {line}")
        if cast.kept(wired.environment.data):
            say(f"  Who can sign in, and with what: {cast.path_of(wired.environment.data)}")
        say(f"  To act in its feed: palio sim play|faults|journal|rehearse … --port {world.port}")
        async with asyncio.TaskGroup() as group:
            group.create_task(_keep_reading(wired, world))
            group.create_task(_stand_in_for_staff(wired))
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


async def _stand_in_for_staff(wired: Wiring) -> None:
    """Have staff of the demo release what waits for them, which nobody else does, until cancelled."""
    while True:
        with suppress(Refusal):  # somebody else was quicker, or the database is away
            async with wired.database.begin_system("staff of the demo") as tx:
                await story.release_overdue(tx, after=calendar.SETTLED_AFTER, now=clock.now())
                await contests.live_on(tx, at=clock.now())
        tasks.heed_cancellation()
        await asyncio.sleep(STAFF_SECONDS)


async def _point_to(tx: Tx, url: str, interval_s: int) -> FeedId:
    new = NewFeed(url, interval_s=interval_s)
    return await affiliates.add_feed(
        tx, code=DEFAULT_PROGRAMME, new=new, now=clock.now(), reason=REASON, may_replace=True, via="job"
    )


def _interval(face: virtual.Face | None) -> int:
    """So many seconds of the clock that the feed is read about three times in a minute of real time."""
    return min(FEED_S_MAX, FEED_S * (face.speed if face else 1))


async def fill(wired: Wiring, world: World, *, until: datetime | None = None) -> Filled:
    """Fill the demo that was begun, or what is missing of it, until an instant or the one at which it was begun.

    Then its clock shows real time, or goes on from that instant if it was begun for another one. Who can sign in is
    told this once. Refuses with clock.OnTheMove while another process does it.
    """
    demo = marks.demo()
    if demo is None:
        raise LookupError("no demo was begun")
    until = until or demo.created_at
    instants = calendar.readings(demo, until)
    wired.stage.steps = len(instants)
    await partitions.ensure_span(wired.database, since=instants[0], until=until)
    async with moving(wired) as mover, _delivering_to(wired, world):
        filler = _Filler(wired, demo, mover, until)
        for done, at in enumerate(instants):
            wired.stage.done = done
            await filler.live(at, world)
    async with wired.database.begin_system("the demo is whole") as tx:
        await virtual.reset(tx, at=until if demo.has_own_time else clock.real())
        await virtual.virtual.look(tx)
        await _point_to(tx, world.feed_url, _interval(virtual.virtual.face))
        await marks.complete(tx)
    wired.stage.done = len(instants)
    return replace(await filled(wired), people=cast.kept(wired.environment.data))


@asynccontextmanager
async def _delivering_to(wired: Wiring, world: World) -> AsyncIterator[None]:
    """Have letters of the block end in the mailbox of this world: its people have addresses that exist nowhere."""
    usual = wired.database.equipment.mail
    mail = Smtp(world.smtp_url, wired.environment.mail_from)
    wired.database.equipment = replace(wired.database.equipment, mail=mail)
    try:
        yield
    finally:
        wired.database.equipment = replace(wired.database.equipment, mail=usual)


async def filled(wired: Wiring) -> Filled:
    """What the demo holds. Raises LookupError where there is none."""
    demo = marks.demo()
    if demo is None:
        raise LookupError("this database holds no demo")
    async with wired.database.begin_system("what a demo holds") as tx:
        programme = await affiliates.programme(tx, code=DEFAULT_PROGRAMME)
        status = await affiliates.programme_status(tx, programme_id=programme.id)
        lines = await races.recent(tx)
        people = [one for one in CAST if await identity.find(tx, name_or_id=one.username)]
        return Filled(
            demo.seed,
            demo.created_at,
            status.seq,
            len(lines),
            len(people),
            await ledger.total(tx),
            await digest(tx),
            calendar.planted(demo),
            cast.path_of(wired.environment.data),
        )


async def digest(tx: Tx) -> str:
    """SHA-256 over what a demo says, without ids, secrets and what chance alone has made."""
    text = json.dumps(plain(await said(tx)), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


async def said(tx: Tx) -> dict[str, object]:
    """Everything of a demo that its seed and its end decide."""
    programme = await affiliates.programme(tx, code=DEFAULT_PROGRAMME)
    pictures = await affiliates.snapshots(tx, programme_id=programme.id, limit=ALL)
    lines = sorted(await races.recent(tx), key=lambda line: line.number)
    return {
        "pictures": [(one.fetched_at, one.status, one.reason, one.sha256, one.delta_micro) for one in pictures],
        "races": [await _race_said(tx, line) for line in lines],
        "people": [await _person_said(tx, one.username) for one in CAST],
        "approvals": sorted(
            (one.made_at, one.command, one.summary, one.reason, one.state, one.executed_at or one.expires_at)
            for one in await approvals.listed(tx, states=STATES)
        ),
        "corrections": sorted(
            (one.created_at, one.reason, one.status, one.total_abs, one.note)
            for one in await ledger.list_adjustments(tx, limit=ALL)
        ),
        "ledger": await ledger.total(tx),
    }


async def _race_said(tx: Tx, line: RaceLine) -> object:
    rows = [] if line.status == "upcoming" else await races.lines(tx, number=line.number)
    return (line.number, line.title, line.status, line.starts_at, line.ends_at, line.entrants, line.pool, rows)


async def _person_said(tx: Tx, username: str) -> object:
    user = await identity.get(tx, name_or_id=username)
    wallets = await ledger.wallets(tx, owner_id=user.id)
    moves = [
        (one.asset, line.posted_at, line.kind, line.amount, line.balance_after, line.hidden_at is not None)
        for one in wallets
        for line in (await ledger.statement(tx, owner_id=user.id, asset=one.asset, wanted=HIDDEN_TOO, limit=ALL)).lines
    ]
    steps = [
        (one.at, one.uid, one.from_state, one.to_state, "" if one.link_id else one.note)
        for one in await affiliates.history_of(tx, user_id=user.id)
    ]
    roles = sorted(grant.role for grant in await identity.grants_of(tx, user_id=user.id, now=clock.now()))
    about = (user.username, user.display_name, user.status, user.board_name, user.created_at)
    has = [(one.asset, one.balance, one.held, one.debt) for one in wallets if one.last_posted_at]
    limits = [
        (one.asset, one.group, one.period, one.amount, one.pending)
        for one in await ledger.player_limits(tx, owner_id=user.id, now=clock.now())
    ]
    return {
        "about": about,
        "roles": roles,
        "moves": sorted(moves),
        "has": has,
        "limits": limits,
        "steps": sorted(steps, key=str),
    }


class _Filler:
    """Lives through the plan of one demo."""

    def __init__(self, wired: Wiring, demo: marks.Demo, mover: Mover, until: datetime) -> None:
        self._wired, self._demo, self._mover, self._until = wired, demo, mover, until
        self._script = story.script(calendar.first_race(demo), demo.created_at)
        self._deeds = purses.script(calendar.began(demo), demo.created_at)
        self._contests = contests.script(demo.created_at)
        self._turns = calendar.turns(demo, until)
        self._starts = calendar.first_starts(demo, until)
        self._feed: FeedId | None = None
        self._last: datetime | None = None

    async def live(self, at: datetime, world: World) -> None:
        """Live through one instant; of those that an earlier fill has read only the last is completed."""
        if self._feed is None:
            await self._mover.stand_at(at, heading_to=self._until)
            self._feed = await self._furnish(world)
            if self._last is None:  # else everybody is in, and what waits in the queue belongs to a later instant
                await cast.admit(self._wired, world, work_off=self._mover.work_off, now=at)
        if self._last and at < self._last:
            return
        await self._mover.stand_at(at, heading_to=self._until)
        if self._last is None or at > self._last:
            await affiliates.fetch(
                self._wired.database, feed_id=self._feed, due_at=at, trigger="schedule", pause=_at_once
            )
        if at not in self._turns:  # what a list has brought is counted at the next one: each change by its own list
            return
        await self._mover.work_off()
        async with self._wired.database.begin_system("an instant of the demo") as tx:
            await self._follow(tx, at)
        for deed in (*self._deeds.get(at, ()), *self._contests.get(at, ())):
            await deed(self._wired.database, at)
        await self._mover.work_off()

    async def _furnish(self, world: World) -> FeedId:
        """The programme; what is there already stays."""
        async with self._wired.database.begin_system("a demo is furnished") as tx:
            change = Change(PLACEHOLDER_NAMES, "full")
            await settings.change(tx, tx.actor, [change], REASON)
            feed_id = await _point_to(tx, world.feed_url, FEED_S)
            await _name(tx)
            programme = await affiliates.programme(tx, code=DEFAULT_PROGRAMME)
            self._last = (await affiliates.programme_status(tx, programme_id=programme.id)).last_fetched_at
            return feed_id

    async def _follow(self, tx: Tx, at: datetime) -> None:
        """What people and schedules do at an instant."""
        begun = [span for span in self._starts if span.starts_at == at]
        known = {line.code for line in await races.list_series(tx)} if begun else set()
        for span in begun:
            if (new := span.rhythm.series(span.starts_at, span.ends_at)).code not in known:
                await races.create_series(tx, new=new, actor=tx.actor, now=at)
        await competitions.ensure_series(tx, now=at)
        await races.repair(tx, now=at)
        await races.tick(tx, now=at)
        if at > self._until - DAY:  # the boards of its last day move, and say how
            await contests.live_on(tx, at=at)
            await competitions.take_snapshots(tx, now=at)
        await story.release_overdue(tx, after=calendar.SETTLED_AFTER, now=at)
        await affiliates.expire(tx, now=at)
        await approvals.expire(tx, now=at)
        for act in self._script.get(at, ()):
            await act(tx, at)


async def _name(tx: Tx) -> None:
    """Call the programme as an operator would."""
    card = next(card for card in await affiliates.programme_cards(tx) if card.code == DEFAULT_PROGRAMME)
    if card.name != PROGRAMME:
        change = ProgrammeChange(name=PROGRAMME)
        await affiliates.change_programme(tx, code=card.code, change=change, version=card.version, reason=REASON)


async def _at_once(seconds: float) -> None:
    """Nobody rests between the attempts of an hour that is over."""
