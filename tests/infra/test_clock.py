"""The simulated clock: a row that runs, stands, is moved forward only, and is what every process reads."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from palio.infra import clock as virtual
from palio.infra import embedded, outbox
from palio.infra.clock import Face
from palio.infra.db import Tx
from palio.infra.jobs import Queue
from palio.infra.realtime import Hub
from palio.kernel import clock
from palio.kernel.errors import Refusal
from palio.kernel.messages import handles
from palio.kernel.schedules import Schedule
from tests.conftest import PATIENCE_S
from tests.infra.test_jobs import QUICK, Ledger, Ring, opened, running

START = datetime(2026, 3, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DRIFT = timedelta(seconds=5)  # how long a statement takes at most on a busy machine


BELL = UUID(int=7)


@pytest.fixture(scope="module")
def dsn(cluster: embedded.Cluster, worker_id: str) -> str:
    """A database of its own with a clock, which others must not find in theirs."""
    name = f"palio_clock_{worker_id}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template palio").format(sql.Identifier(name)))
    with psycopg.connect(cluster.dsn("postgres", name), autocommit=True) as admin:
        admin.execute("insert into infra.clock (base_real, base_virtual) values (now(), now())")
    return cluster.dsn("palio_app", name)


@pytest.fixture(autouse=True)
async def time_is_real_again() -> AsyncIterator[None]:
    yield
    virtual.virtual.face = None


@pytest.fixture
async def at_noon(tx: Tx) -> Tx:
    await virtual.ensure(tx)
    await virtual.reset(tx, at=START)
    return tx


async def face_of(tx: Tx) -> Face:
    face = await virtual.find(tx)
    assert face
    return face


async def shown(tx: Tx) -> datetime:
    return (await face_of(tx)).at(clock.real())


async def ring_the_bell(tx: Tx) -> None:
    await outbox.send(tx, Ring(BELL))


def test_a_face_runs_as_fast_as_it_says_and_stands_when_frozen_or_being_moved() -> None:
    face = Face(START, START - 10 * HOUR, speed=60)

    assert face.at(START + timedelta(seconds=30)) == START - 10 * HOUR + timedelta(minutes=30)
    assert face.at(START - HOUR) == START - 10 * HOUR, "a machine whose own clock is behind sees no earlier time"
    assert replace(face, frozen=True).at(START + HOUR) == START - 10 * HOUR
    assert replace(face, heading_to=START).at(START + HOUR) == START - 10 * HOUR


async def test_without_a_row_time_is_real_and_nobody_can_move_it(tx: Tx) -> None:
    await virtual.virtual.look(tx)

    assert abs(virtual.virtual.now() - clock.real()) < DRIFT
    with pytest.raises(virtual.NoClock):
        await virtual.advance(tx, by=HOUR)


async def test_a_new_clock_shows_real_time_and_a_second_start_leaves_it_alone(tx: Tx) -> None:
    await virtual.ensure(tx)
    assert abs(await shown(tx) - clock.real()) < DRIFT
    await virtual.reset(tx, at=START)

    await virtual.ensure(tx)

    assert abs(await shown(tx) - START) < DRIFT


async def test_it_goes_forward_at_once_and_never_back_but_by_a_reset(at_noon: Tx) -> None:
    await virtual.freeze(at_noon)
    before = await shown(at_noon)
    await virtual.advance(at_noon, by=HOUR)
    with pytest.raises(virtual.Backwards) as refused:
        await virtual.set_to(at_noon, at=START)
    with pytest.raises(virtual.Backwards):
        await virtual.advance(at_noon, by=-HOUR)

    later = await shown(at_noon)
    assert before + HOUR <= later < before + HOUR + DRIFT
    assert refused.value.facts["asked"] == START
    await virtual.reset(at_noon, at=START - HOUR)
    assert abs(await shown(at_noon) - (START - HOUR)) < DRIFT


async def test_a_frozen_clock_stands_and_a_speed_makes_it_go_on(at_noon: Tx) -> None:
    await virtual.freeze(at_noon)
    assert await shown(at_noon) == await shown(at_noon)

    await virtual.set_speed(at_noon, speed=3_600)
    first = await shown(at_noon)
    await asyncio.to_thread(lambda: None)

    assert await shown(at_noon) > first
    for speed in (0, 3_601):
        with pytest.raises(virtual.SpeedInvalid):
            await virtual.set_speed(at_noon, speed=speed)


async def test_while_it_is_moved_on_step_by_step_nobody_else_may_turn_it(at_noon: Tx) -> None:
    await virtual.set_speed(at_noon, speed=60)
    await virtual.step(at_noon, at=START + HOUR, heading_to=START + 3 * HOUR)

    assert await shown(at_noon) == START + HOUR
    for refused in (virtual.freeze(at_noon), virtual.advance(at_noon, by=HOUR)):
        with pytest.raises(virtual.OnTheMove):
            await refused
    await virtual.arrive(at_noon)
    face = await face_of(at_noon)
    assert (face.base_virtual, face.speed, face.stands) == (START + HOUR, 60, False)


async def test_one_moves_it_at_a_time_and_who_dies_at_it_is_let_go(dsn: str) -> None:
    """A look of whatever process sees whether somebody still holds it."""
    lasting = virtual.Virtual()
    async with opened(dsn, {}) as database:
        async with virtual.moving(dsn):
            with pytest.raises(virtual.OnTheMove):
                async with virtual.moving(dsn):
                    raise AssertionError
            async with database.begin_system("a step") as tx:
                await virtual.step(tx, at=START, heading_to=START + HOUR)
            async with running(lasting.run(database)):
                async with asyncio.timeout(PATIENCE_S):
                    while lasting.face is None:  # noqa: ASYNC110 - rows of the database ring no bell
                        await asyncio.sleep(0.01)
                assert lasting.now() == START, "its holder lives"

        async with running(lasting.run(database)), asyncio.timeout(PATIENCE_S):
            while lasting.now() == START:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)


async def test_another_process_hears_of_a_change(dsn: str) -> None:
    hub = Hub(dsn)
    mine = virtual.Virtual()
    hub.on(virtual.CHANNEL, mine.look_soon)
    async with opened(dsn, {}) as database, running(hub.run()), running(mine.run(database)):
        async with asyncio.timeout(PATIENCE_S):
            while not (hub.is_listening and mine.face):  # noqa: ASYNC110 - rows of the database ring no bell
                await asyncio.sleep(0.01)
        async with database.begin_system("a change") as tx:
            await virtual.set_speed(tx, speed=1)
            await virtual.reset(tx, at=START)
        async with database.begin_system("another") as tx:
            await virtual.freeze(tx)
        async with asyncio.timeout(PATIENCE_S):
            while not (mine.face and mine.face.frozen):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.002)
        assert START <= mine.now() < START + DRIFT


async def test_a_job_works_in_the_time_that_is_committed(dsn: str) -> None:
    """Even where the notice has not come yet; in real time nobody looks."""
    ledger = Ledger()

    @handles(Ring)
    async def ring(tx: Tx, job: Ring) -> None:
        ledger.note("at", virtual.virtual.now())

    routes = {Ring: (ring,)}
    async with opened(dsn, routes) as database:
        queue = Queue(dsn, database, routes, pace=QUICK, schedules=[Schedule("infra.ring", "every 1h", Ring(BELL))])
        async with queue.working_off() as work_off:
            for is_simulated in (False, True):
                database.equipment = replace(database.equipment, is_simulated=is_simulated)
                async with database.begin_system("a job") as tx:
                    await virtual.reset(tx, at=START)
                    await virtual.freeze(tx)
                    await ring_the_bell(tx)
                await work_off()
    real, simulated = [at for _, at in ledger.seen]
    assert abs(real - clock.real()) < timedelta(minutes=1)
    assert simulated == START


async def test_working_off_ends_when_what_jobs_have_caused_is_done_too(dsn: str) -> None:
    """And leaves alone what failed and rests: that is for real time."""
    ledger, failing = Ledger(), []

    @handles(Ring)
    async def ring(tx: Tx, job: Ring) -> None:
        ledger.note("rung", job.bell)
        if len(ledger.seen) < 5:
            await ring_the_bell(tx)
        elif not failing:
            failing.append(True)
            await ring_the_bell(tx)
            raise Refusal

    routes = {Ring: (ring,)}
    async with opened(dsn, routes) as database:
        async with database.begin_system("a job") as tx:
            await ring_the_bell(tx)
        queue = Queue(dsn, database, routes, pace=replace(QUICK, look=0.001))
        async with queue.working_off() as work_off:
            await work_off()
            assert len(ledger.seen) >= 5
            before = len(ledger.seen)
            async with asyncio.timeout(2):
                await work_off()
            assert len(ledger.seen) - before <= 1, "the one that failed, if its rest is over"
