"""Feeds that are read by themselves, over a real wire and with the clock of a world: what is asked, kept and told."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
from psycopg import sql

from palio import affiliates
from palio.affiliates import jobs, service, types
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.infra import http
from palio.infra import jobs as queue
from palio.infra.db import Database, Equipment
from palio.infra.embedded import Cluster
from palio.infra.keyring import Keyring
from palio.infra.outbox import shape_of
from palio.infra.storage import Storage
from palio.infra.targets import UrlRefused
from palio.kernel import clock
from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.messages import Message
from palio.sim import REPLAY, Clock, Effect, Fault, Match, World
from tests.factories.affiliates import fixture

Heard = TypeVar("Heard", bound=Message)

SYSTEM = Actor("system", None, RequestId(new_id()))
RING = Keyring({1: bytes(range(32))}, {1: bytes(range(32, 64))})
SECRET = "s3cr3t-XYZ"
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
QUARTER, MINUTE = timedelta(minutes=15), timedelta(minutes=1)
FIRST = "jOY9iXNML6GmbhGX7zgO"  # player0001


@pytest.fixture(scope="module")
def dsn(cluster: Cluster, worker_id: str) -> Iterator[str]:
    """A database of its own: what is due in it is due to these tests."""
    name = f"palio_feeds_{worker_id}"
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(sql.SQL("create database {} template palio").format(sql.Identifier(name)))
    yield cluster.dsn("palio_app", name)
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """The outside at noon, past the captures; the product's clock is the world's."""
    standing = Clock(NOON, is_frozen=True)
    clock.use(standing.now)
    async with World(start=NOON - REPLAY, token=SECRET, clock=standing).serving() as world:
        yield world
    clock.use(lambda: datetime.now(UTC))


@dataclass
class House:
    """The product around one programme with one feed."""

    database: Database
    world: World
    code: str
    feed_id: types.FeedId
    programme: types.Programme
    rests: list[float] = field(default_factory=list)

    async def rows(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        async with self.database.begin(SYSTEM) as tx:
            done = await tx.execute(statement, values)  # type: ignore[arg-type]  # tests write their own
            return await done.fetchall() if done.description else []

    async def fetch(self, trigger: types.Trigger = "schedule") -> types.Cycle | None:
        """Read the feed once, without waiting where it would wait."""
        return await affiliates.fetch(
            self.database, feed_id=self.feed_id, due_at=clock.now(), trigger=trigger, pause=self._rest, chance=_highest
        )

    async def _rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.world.clock.advance(timedelta(seconds=seconds))

    async def tick(self) -> list[types.Cycle | None]:
        """What the schedule does, and then the worker."""
        async with self.database.begin(SYSTEM) as tx:
            await service.queue_due(tx, now=clock.now())
            await service.watch_staleness(tx, now=clock.now())
        return [
            await affiliates.fetch(
                *(self.database,),
                feed_id=job.feed_id,
                due_at=job.due_at,
                trigger=job.trigger,
                pause=self._rest,
                chance=_highest,
            )
            for job in await self.taken(jobs.fetch_feed, affiliates.FetchFeed)
        ]

    async def taken(self, handler: queue.Handler, kind: type[Heard]) -> list[Heard]:
        """Messages that wait for a handler; they wait no longer."""
        found = await self.rows(
            "delete from jobs.procrastinate_jobs where task_name = %s returning args", queue.task_name(handler)
        )
        return [shape_of(kind).validate_python(args["message"]) for (args,) in found]  # type: ignore[index]

    async def run_until(self, end: datetime, step: timedelta = MINUTE) -> None:
        while clock.now() < end:
            self.world.clock.advance(step)
            await self.tick()

    async def breaker(self) -> tuple[object, ...]:
        statement = "select breaker, failed_cycles, probe_at - opened_at from affiliates.feeds where id = %s"
        return (await self.rows(statement, self.feed_id))[0]

    async def cycles(self) -> list[tuple[object, ...]]:
        statement = (
            "select trigger, state, attempts, error_code from affiliates.cycles where feed_id = %s order by due_at"
        )
        return await self.rows(statement, self.feed_id)

    async def totals(self) -> dict[object, object]:
        statement = "select uid, all_time_micro from affiliates.players where programme_id = %s"
        return dict(await self.rows(statement, self.programme.id))  # type: ignore[arg-type]


def _highest() -> float:
    return 0.999_999


async def hear_stale(tx: object, event: affiliates.FeedStale) -> None:
    """Nobody listens to these yet; the tests read in the queue what would be heard."""


async def hear_recovered(tx: object, event: affiliates.FeedRecovered) -> None:
    """As above."""


async def hear_refused(tx: object, event: affiliates.FeedAuthFailed) -> None:
    """As above."""


@asynccontextmanager
async def house(dsn: str, world: World, folder: Path, **more: object) -> AsyncIterator[House]:
    routes = {
        **SUBSCRIPTIONS,
        affiliates.FeedStale: (hear_stale,),
        affiliates.FeedRecovered: (hear_recovered,),
        affiliates.FeedAuthFailed: (hear_refused,),
    }
    equipment = Equipment(queue.addresses(routes), keyring=RING, storage=Storage(folder), is_simulated=True)
    database = Database(dsn, equipment=replace(equipment, **more), connections_max=4)  # type: ignore[arg-type]
    await database.pool.open(wait=True)
    code = f"p{new_id().hex[-12:]}"
    new = affiliates.NewFeed(world.feed_url, "bearer", SECRET)
    async with database.begin(SYSTEM) as tx:
        feed_id = await affiliates.add_feed(tx, code=code, new=new, now=clock.now(), reason="a test")
        programme = await affiliates.programme(tx, code=code)
    made = House(database, world, code, feed_id, programme)
    yield made
    await made.rows("delete from jobs.procrastinate_jobs")
    await made.rows("update affiliates.feeds set enabled = false where id = %s", feed_id)
    await database.pool.close()


@pytest.fixture
async def ours(dsn: str, world: World, tmp_path: Path) -> AsyncIterator[House]:
    async with house(dsn, world, tmp_path) as ours:
        yield ours


def goes_wrong(world: World, effect: Effect, **rule: int) -> None:
    world.faults.add(Fault("feed", effect, Match(), **rule))


async def test_a_feed_is_read_with_its_key_and_applied(ours: House) -> None:
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, cycle.attempts, cycle.snapshot_id is not None) == ("applied", 1, True)
    assert len(await ours.totals()) == 127
    assert [(one.is_known, one.headers["accept"]) for one in ours.world.journal] == [(True, "application/json")]
    (attempt,) = await ours.rows(
        "select n, http_status, outcome, bytes, payload_id is not null, at from affiliates.attempts"
        " where cycle_id = %s",
        cycle.id,
    )
    assert attempt[:3] == (1, 200, "ok")
    assert attempt[3] > 20_000  # type: ignore[operator]
    assert attempt[4:] == (True, NOON)


async def test_503_503_200_is_one_cycle_of_three_attempts(ours: House) -> None:
    """Acceptance 11: rests of at most 2 and 4 s, then applied."""
    goes_wrong(ours.world, Effect("status", code=503), times=2)
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, cycle.attempts) == ("applied", 3)
    assert ours.rests == pytest.approx([2, 4], rel=1e-3)
    waited = await ours.rows(
        "select waited_ms, outcome from affiliates.attempts where cycle_id = %s order by n", cycle.id
    )
    assert waited == [(0, "http_5xx"), (2_000, "http_5xx"), (4_000, "ok")]


async def test_401_is_one_attempt_and_staff_are_told(ours: House) -> None:
    """Acceptance 11."""
    goes_wrong(ours.world, Effect("status", code=401))
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, cycle.attempts, cycle.error_code) == ("failed", 1, "auth_failed")
    assert await ours.taken(hear_refused, affiliates.FeedAuthFailed) == [
        affiliates.FeedAuthFailed(ours.programme.id, ours.feed_id, 401)
    ]
    assert await ours.totals() == {}


async def test_the_wait_that_a_feed_asks_for_is_kept(ours: House) -> None:
    """Acceptance 11: `Retry-After: 3`; one of ten minutes ends the cycle and moves the next one."""
    goes_wrong(ours.world, Effect("status", code=429, headers={"Retry-After": "3"}), times=1)
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, ours.rests) == ("applied", [3])
    goes_wrong(ours.world, Effect("status", code=429, headers={"Retry-After": "1200"}), times=1)
    ours.world.clock.advance(MINUTE)
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, cycle.attempts, cycle.error_code) == ("failed", 1, "throttled")
    next_due = await ours.rows("select next_due from affiliates.feeds where id = %s", ours.feed_id)
    assert next_due == [(clock.now() + timedelta(seconds=1_200),)]


async def test_five_failed_cycles_open_the_breaker_and_a_probe_closes_it(ours: House) -> None:
    """Acceptance 11: the sixth is skipped; the probe half an hour later closes it."""
    goes_wrong(ours.world, Effect("status", code=404))
    await ours.run_until(NOON + timedelta(minutes=80))
    assert await ours.breaker() == ("open", 5, timedelta(minutes=30))
    assert [cycle[1] for cycle in await ours.cycles() if cycle[1] != "missed"] == ["failed"] * 5 + ["skipped_open"]
    ours.world.faults.clear()
    await ours.run_until(NOON + timedelta(minutes=100))
    assert [cycle[:2] for cycle in await ours.cycles()][-2:] == [("schedule", "skipped_open"), ("probe", "applied")]
    assert await ours.breaker() == ("closed", 0, None)


async def test_a_probe_by_hand_closes_the_breaker_at_once_and_one_that_fails_doubles_the_pause(ours: House) -> None:
    goes_wrong(ours.world, Effect("status", code=404))
    for _ in range(5):
        await ours.fetch()
        ours.world.clock.advance(QUARTER)
    await ours.fetch("probe")
    assert await ours.breaker() == ("open", 6, timedelta(hours=1))
    ours.world.faults.clear()
    ours.world.clock.advance(MINUTE)
    await ours.fetch("probe")
    assert await ours.breaker() == ("closed", 0, None)


@pytest.mark.parametrize(
    ("effect", "state", "attempts", "code", "outcome"),
    [
        (Effect("wrong_type"), "failed", 4, "bad_content_type", "bad_content_type"),
        (Effect("garbage"), "invalid", 4, "bad_json", "ok"),
        (Effect("truncate", at=50), "failed", 4, "cut_short", "network"),
        (Effect("reset"), "failed", 4, "network", "network"),
        (Effect("huge", mb=68), "failed", 1, "too_large", "too_large"),
        (Effect("redirect"), "failed", 1, "redirected", "http_4xx"),
        (Effect("status", code=410), "failed", 1, "http_4xx", "http_4xx"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
async def test_a_cycle_that_fails_changes_no_player_and_says_why(
    ours: House, effect: Effect, state: str, attempts: int, code: str, outcome: str
) -> None:
    await ours.fetch()
    before = await ours.totals()
    goes_wrong(ours.world, effect)
    ours.world.clock.advance(QUARTER)
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, cycle.attempts, cycle.error_code) == (state, attempts, code)
    statement = "select distinct outcome from affiliates.attempts where cycle_id = %s"
    assert await ours.rows(statement, cycle.id) == [(outcome,)]
    assert await ours.totals() == before
    assert (await ours.breaker())[:2] == ("closed", 1)


async def test_an_answer_that_says_it_failed_is_not_asked_again(ours: House) -> None:
    ours.world.feed.variant("success_false_200")
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, cycle.attempts, cycle.error_code) == ("failed", 1, "upstream_refused")


async def test_a_body_that_came_broken_twice_and_then_whole_makes_no_invalid_snapshot(ours: House) -> None:
    goes_wrong(ours.world, Effect("garbage"), times=2)
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, cycle.attempts, cycle.error_code) == ("applied", 3, None)
    statement = "select status from affiliates.snapshots where feed_id = %s"
    assert await ours.rows(statement, ours.feed_id) == [("applied",)]


async def test_instants_that_were_missed_are_written_down_and_only_the_newest_is_read(ours: House) -> None:
    await ours.run_until(NOON + MINUTE)
    ours.world.clock.advance(timedelta(hours=1))
    await ours.tick()
    assert [cycle[1] for cycle in await ours.cycles()][-5:] == ["applied", "missed", "missed", "missed", "applied"]


@pytest.mark.parametrize(("is_simulated", "missed"), [(False, {59, 60}), (True, {4})])
async def test_every_missed_instant_is_written_down_where_time_is_real(
    ours: House, is_simulated: bool, missed: set[int]
) -> None:
    """Where it is played one in a quarter of an hour is enough: weeks pass in minutes there."""
    usual = ours.database.equipment
    ours.database.equipment = replace(usual, is_simulated=is_simulated)
    async with ours.database.begin(SYSTEM) as tx:
        await tx.execute(
            "update affiliates.feeds set next_due = %s, interval_s = 60 where id = %s", (NOON, ours.feed_id)
        )
        await service.queue_due(tx, now=NOON + 60 * MINUTE - timedelta(seconds=1))
    ours.database.equipment = usual
    states = [cycle[1] for cycle in await ours.cycles()]
    assert {*states} == {"missed"} and len(states) in missed


async def test_one_waiting_job_and_one_cycle_at_a_time_are_enough(ours: House) -> None:
    """Acceptance of section 8: two workers leave one cycle."""
    async with ours.database.begin(SYSTEM) as tx:
        for _ in range(2):
            await tx.execute("update affiliates.feeds set next_due = %s where id = %s", (NOON, ours.feed_id))
            await service.queue_due(tx, now=clock.now())
    (job,) = await ours.taken(jobs.fetch_feed, affiliates.FetchFeed)
    async with ours.database.begin(SYSTEM) as tx:
        turn = await service.open_cycle(tx, feed_id=ours.feed_id, due_at=NOON, trigger="schedule", now=NOON)
        assert turn is not None
    ours.world.clock.advance(MINUTE)
    assert await ours.fetch("manual") is None
    assert [cycle[:2] for cycle in await ours.cycles()] == [("schedule", "running"), ("manual", "missed")]
    ours.world.clock.advance(timedelta(minutes=11))
    assert (await ours.fetch("manual")) is not None
    assert (await ours.cycles())[0] == ("schedule", "failed", 0, "abandoned")
    assert job == affiliates.FetchFeed(ours.feed_id, NOON, "schedule")


async def test_stale_is_told_once_and_so_is_that_it_is_over(ours: House) -> None:
    """Acceptance 12, and the scenario feed-outage: three hours of 500, then normal: nothing invented, caught up."""
    await ours.run_until(NOON + timedelta(minutes=1))
    before = await ours.totals()
    fetched = await _as_of(ours)
    ours.world.feed.outage(NOON + timedelta(hours=3))
    ours.world.feed.play(FIRST, "12.34")
    await ours.run_until(fetched + timedelta(minutes=29))
    assert not await _is_stale(ours)
    assert await ours.taken(hear_stale, affiliates.FeedStale) == []
    await ours.run_until(fetched + timedelta(minutes=31))
    assert await _is_stale(ours)
    await ours.run_until(NOON + timedelta(hours=2, minutes=59))
    assert await ours.taken(hear_stale, affiliates.FeedStale) == [affiliates.FeedStale(ours.programme.id, fetched)]
    assert await ours.totals() == before
    await ours.run_until(NOON + timedelta(hours=7, minutes=30), 5 * MINUTE)
    assert not await _is_stale(ours)
    assert len(await ours.taken(hear_recovered, affiliates.FeedRecovered)) == 1
    assert await ours.taken(hear_stale, affiliates.FeedStale) == []
    grown = {row.uid for row in ours.world.feed._rows()}
    assert (await ours.totals()).keys() == grown
    assert (await ours.totals())[FIRST] == before[FIRST] + 12_340_000  # type: ignore[operator]


async def _as_of(ours: House) -> datetime:
    async with ours.database.begin(SYSTEM) as tx:
        as_of = (await affiliates.programme_status(tx, programme_id=ours.programme.id)).as_of
    assert as_of is not None
    return as_of


async def _is_stale(ours: House) -> bool:
    async with ours.database.begin(SYSTEM) as tx:
        return (await affiliates.programme_status(tx, programme_id=ours.programme.id)).is_stale(clock.now())


async def test_a_feed_that_lies_is_doubted_corrected_or_ignored_but_nothing_is_invented(ours: House) -> None:
    """The scenario feed-liar: a shrunken list, a falling counter, a page of HTML with 200."""
    await ours.run_until(NOON + MINUTE)
    before = await ours.totals()
    ours.world.feed.shrink(0.4)
    await ours.run_until(NOON + MINUTE + QUARTER)
    assert (await ours.cycles())[-1][1] == "suspicious"
    assert await ours.totals() == before
    ours.world.feed.shrink(1)
    ours.world.feed.correct(FIRST, "250")
    await ours.run_until(NOON + MINUTE + 2 * QUARTER)
    assert (await ours.totals())[FIRST] == before[FIRST] - 250_000_000  # type: ignore[operator]
    statement = """select a.code from affiliates.anomalies a join affiliates.players p on p.id = a.player_id
      where p.programme_id = %s and p.uid = %s"""
    assert ("correction",) in await ours.rows(statement, ours.programme.id, FIRST)
    after = await ours.totals()
    goes_wrong(ours.world, Effect("wrong_type"))
    await ours.run_until(NOON + MINUTE + 3 * QUARTER)
    assert (await ours.cycles())[-1][1:] == ("failed", 4, "bad_content_type")
    assert await ours.totals() == after


async def test_the_scenario_of_an_outage_is_seen_as_its_file_says(ours: House) -> None:
    await ours.run_until(NOON + MINUTE)
    before = await ours.totals()
    begun = ours.world.rehearse("feed-outage")
    stale, left_alone, fresh = [begun.began_at + timedelta(seconds=one.after_s) for one in begun.scenario.shows]
    await ours.run_until(stale, 5 * MINUTE)
    assert await _is_stale(ours)
    assert len(await ours.taken(hear_stale, affiliates.FeedStale)) == 1
    await ours.run_until(left_alone, 5 * MINUTE)
    assert (await ours.breaker())[0] == "open"
    assert await ours.totals() == before
    await ours.run_until(fresh, 5 * MINUTE)
    assert not await _is_stale(ours)
    assert len(await ours.taken(hear_recovered, affiliates.FeedRecovered)) == 1
    assert (await ours.totals())[FIRST] == before[FIRST] + 12_340_000  # type: ignore[operator]


async def test_the_scenario_of_a_liar_is_seen_as_its_file_says(ours: House) -> None:
    await ours.run_until(NOON + MINUTE)
    before = await ours.totals()
    begun = ours.world.rehearse("feed-liar")
    ends = []
    for sight in begun.scenario.shows:
        await ours.run_until(begun.began_at + timedelta(seconds=sight.after_s), 5 * MINUTE)
        ends.append(((await ours.cycles())[-1][1], (await ours.totals())[FIRST] - before[FIRST]))  # type: ignore[operator]
    fallen = -250_000_000
    assert ends == [("suspicious", 0), ("applied", fallen), ("failed", fallen), ("applied", fallen)]


@pytest.mark.parametrize(
    ("name", "state", "error", "accepted", "held"),
    [
        *((name, "applied", None, 2, 0) for name in ("canonical", "unsorted_zero_first", "bare_array")),
        *(
            (name, "applied", None, 1, 0)
            for name in (
                *("int_zero_float_nonzero", "today_gt_week", "wrapped_results", "single_object", "grouped_seed2"),
                *("missing_column", "missing_name", "renamed_user", "dup_uid_same", "all_time_decrease"),
                "root_totals_mismatch",
            )
        ),
        ("string_numbers", "unchanged", None, 0, 1),
        ("missing_uid", "unchanged", None, 0, 1),
        ("empty_data", "unchanged", None, 0, 0),
        ("nan_like", "invalid", "bad_json", 0, 0),
        ("success_false_200", "failed", "upstream_refused", 0, 0),
        ("html_200", "failed", "bad_content_type", 0, 0),
    ],
)
async def test_every_odd_body_that_is_served_ends_as_it_should(
    ours: House, name: str, state: str, error: str | None, accepted: int, held: int
) -> None:
    """Acceptance 9 of the simulators, on a fresh programme; what the rows then hold is a matter of the parser."""
    ours.world.feed.variant(name)
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, cycle.error_code) == (state, error)
    assert len(await ours.totals()) == accepted
    statement = "select count(*) from affiliates.quarantine where feed_id = %s"
    assert await ours.rows(statement, ours.feed_id) == [(held,)]


def test_every_odd_body_is_among_these() -> None:
    (mark,) = test_every_odd_body_that_is_served_ends_as_it_should.pytestmark  # type: ignore[attr-defined]
    variants = json.loads(fixture("affiliate_payload_variants"))["variants"]
    assert {row[0] for row in mark.args[1]} == {one["id"] for one in variants}


@pytest.mark.parametrize(("players", "seconds_max"), [(2_000, 5), pytest.param(100_000, 60, marks=pytest.mark.nightly)])
async def test_a_crowd_over_the_wire_leaves_rows_for_those_who_moved_alone(
    dsn: str, tmp_path: Path, players: int, seconds_max: int
) -> None:
    """Acceptance 16, as far as the simulator is concerned: whoever did not play costs no row."""
    standing = Clock(NOON, is_frozen=True)
    clock.use(standing.now)
    async with (
        World(start=NOON - REPLAY, token=SECRET, clock=standing, players=players).serving() as world,
        house(dsn, world, tmp_path) as ours,
    ):
        begun = time.process_time()
        first = await ours.fetch()
        before = await ours.totals()
        standing.advance(QUARTER)
        second = await ours.fetch()
        assert first is not None and second is not None and (first.state, second.state) == ("applied", "applied")
        after = await ours.totals()
        moved = {uid for uid, total in after.items() if total != before.get(uid)}
        statement = "select count(*) from affiliates.stats s where s.snapshot_id = %s and s.kind <> 'columns_only'"
        assert await ours.rows(statement, second.snapshot_id) == [(len(moved),)]
        assert len(after) >= players and 0 < len(moved) < players // 10
        assert time.process_time() - begun < seconds_max
    clock.use(lambda: datetime.now(UTC))


async def test_an_exact_wager_arrives_exactly(ours: House) -> None:
    """Acceptance 8 of the simulators, up to the totals."""
    await ours.run_until(NOON + MINUTE)
    before = (await ours.totals())[FIRST]
    ours.world.feed.play(FIRST, "12.34")
    await ours.run_until(NOON + MINUTE + QUARTER)
    assert (await ours.totals())[FIRST] == before + 12_340_000  # type: ignore[operator]


class KilledError(BaseException):
    """The process dies here."""


class DyingStorage(Storage):
    """Archives, and dies: the answer is there, its bytes lie in the archive, nobody knows."""

    async def put(self, key: str, content: bytes) -> None:
        await super().put(key, content)
        raise KilledError


async def test_a_worker_killed_before_the_exchange_is_written_down_asks_again(
    ours: House, dsn: str, tmp_path: Path
) -> None:
    """Acceptance 13, after the response and after the archive."""
    dying = Database(dsn, equipment=replace(ours.database.equipment, storage=DyingStorage(tmp_path)), connections_max=2)
    await dying.pool.open(wait=True)
    with pytest.raises(KilledError):
        await affiliates.fetch(dying, feed_id=ours.feed_id, due_at=NOON, trigger="schedule")
    await dying.pool.close()
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, cycle.attempts, len(ours.world.journal)) == ("applied", 1, 2)
    assert len(await ours.totals()) == 127


async def test_a_worker_killed_before_or_inside_the_apply_does_not_ask_again(ours: House) -> None:
    """Acceptance 13: what lies in the archive is applied as of when it was fetched."""
    async with ours.database.begin(SYSTEM) as tx:
        turn = await service.open_cycle(tx, feed_id=ours.feed_id, due_at=NOON, trigger="schedule", now=NOON)
    assert turn is not None
    answer = await ours.database.equipment.http.call(
        turn.asking.url, profile=http.Profile(may_be_inside=True), headers=turn.asking.headers
    )
    assert isinstance(answer, http.Answer)
    storage = ours.database.equipment.storage
    assert storage is not None
    payload = await affiliates.archive(storage, body=answer.body, received_at=NOON)
    attempt = types.Attempt(NOON, 0, 5, 200, "ok", payload.size, payload=payload)
    async with ours.database.begin(SYSTEM) as tx:
        await service.note_attempt(tx, cycle_id=turn.cycle.id, n=1, attempt=attempt)
    with suppress(KilledError):
        async with ours.database.begin(SYSTEM) as tx:
            await affiliates.ingest(
                tx, feed_id=ours.feed_id, payload=payload, fetched_at=NOON, trigger="schedule", due_at=NOON
            )
            raise KilledError
    ours.world.clock.advance(MINUTE)
    cycle = await affiliates.fetch(ours.database, feed_id=ours.feed_id, due_at=NOON, trigger="schedule")
    assert cycle is not None
    assert (cycle.state, cycle.attempts, len(ours.world.journal)) == ("applied", 1, 1)
    assert await _as_of(ours) == NOON
    assert len(await ours.totals()) == 127
    assert await affiliates.fetch(ours.database, feed_id=ours.feed_id, due_at=NOON, trigger="schedule") is None


async def test_the_key_is_found_nowhere_in_clear(ours: House, caplog: pytest.LogCaptureFixture) -> None:
    """Acceptance 25: no column of any table, no log line, no answer."""
    caplog.set_level("DEBUG")
    goes_wrong(ours.world, Effect("status", code=503), times=1)
    await ours.fetch()
    ours.world.clock.advance(QUARTER)
    goes_wrong(ours.world, Effect("status", code=401))
    await ours.fetch()
    tables = await ours.rows(
        """select format('%%I.%%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
          and has_table_privilege(c.oid, 'select')"""
    )
    assert len(tables) > 30
    for (table,) in tables:
        found = await ours.rows(f"select count(*) from {table} t where t::text like %s", f"%{SECRET}%")  # noqa: S608 - names of the catalogue
        assert found == [(0,)], table
    hexed = SECRET.encode().hex()
    assert await ours.rows("select 1 from affiliates.feeds f where f::text like %s", f"%{hexed}%") == []
    assert SECRET not in caplog.text
    async with ours.database.begin(SYSTEM) as tx:
        (state,) = [one for one in await affiliates.feeds(tx) if one.id == ours.feed_id]
        asking = await service.asking(tx, feed=await affiliates.pull_feed(tx, code=ours.code))
    assert (state.secret_hint, state.last_error) == ("-XYZ", "auth_failed")
    assert SECRET not in f"{state!r}{asking!r}{affiliates.NewFeed(ours.world.feed_url, 'bearer', SECRET)!r}"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.5", "::ffff:169.254.169.254"])
async def test_outside_the_demo_a_feed_that_points_inside_is_refused_without_a_connection(
    dsn: str, world: World, tmp_path: Path, address: str
) -> None:
    """Acceptance 26: written as an address, and as a name that resolves to one."""

    async def resolve(_host: str, _port: int) -> list[str]:
        return [address]

    async with house(dsn, world, tmp_path) as ours:
        real = replace(ours.database.equipment, is_simulated=False, http=http.Client(resolve=resolve))
        ours.database.equipment = real
        literal = f"[{address}]" if ":" in address else address
        for url in (f"https://{literal}/list", world.feed_url, "http://feed.example.com/list"):
            async with ours.database.begin(SYSTEM) as tx:
                with pytest.raises(UrlRefused):
                    await affiliates.add_feed(
                        tx, code=ours.code, new=affiliates.NewFeed(url), now=NOON, reason="", may_replace=True
                    )
        named = affiliates.NewFeed("https://feed.example.com/list", "bearer", SECRET)
        async with ours.database.begin(SYSTEM) as tx:
            await affiliates.add_feed(tx, code=ours.code, new=named, now=NOON, reason="", may_replace=True)
        cycle = await ours.fetch()
        assert cycle is not None
        assert (cycle.state, cycle.attempts, cycle.error_code) == ("failed", 1, "url_refused")
        assert len(world.journal) == 0


async def test_a_programme_has_one_feed_which_can_be_replaced(ours: House) -> None:
    new = affiliates.NewFeed("https://other.example.com/list")
    with pytest.raises(affiliates.FeedExists) as refused:
        async with ours.database.begin(SYSTEM) as tx:
            await affiliates.add_feed(tx, code=ours.code, new=new, now=NOON, reason="")
    assert refused.value.facts == {"programme": ours.code, "host": "127.0.0.1"}
    async with ours.database.begin(SYSTEM) as tx:
        assert (
            await affiliates.add_feed(tx, code=ours.code, new=new, now=NOON, reason="", may_replace=True)
            == ours.feed_id
        )
        feed = await affiliates.pull_feed(tx, code=ours.code)
    assert (feed.url, feed.auth_kind, feed.secret, feed.interval_s) == (new.url, "none", None, 900)


async def test_the_feed_of_the_environment_is_made_once_and_follows_it(ours: House) -> None:
    code = f"p{new_id().hex[-12:]}"
    new = affiliates.NewFeed("https://feed.example.com/list", "bearer", SECRET)
    for wanted in (new, new, replace(new, secret="another-key"), replace(new, url="https://b.example.com/")):
        async with ours.database.begin(SYSTEM) as tx:
            feed_id = await affiliates.ensure_feed(tx, code=code, new=wanted, now=NOON)
            feed = await affiliates.pull_feed(tx, code=code)
            assert (feed.id, feed.url) == (feed_id, wanted.url)
            assert (await service.asking(tx, feed=feed)).secret == wanted.secret
    acts = "select action, via from infra.audit_rows where entity_id = %s order by id"
    assert await ours.rows(acts, str(feed_id)) == [("feed.add", "job"), *[("feed.replace", "job")] * 2]
    await ours.rows("update affiliates.feeds set enabled = false where id = %s", feed_id)


async def test_a_trial_shows_what_would_come_and_writes_nothing(ours: House) -> None:
    trial = await affiliates.try_feed(ours.database, code=ours.code)
    assert (trial.outcome, trial.shape, trial.accepted, len(trial.rows)) == ("ok", "flat", 127, 20)
    ours.world.feed.variant("string_numbers")
    trial = await affiliates.try_feed(ours.database, code=ours.code)
    assert {held.reason for held in trial.held} == {"bad_number"}
    ours.world.feed.variant("html_200")
    with pytest.raises(Refusal):
        await affiliates.try_feed(ours.database, code=ours.code)
    goes_wrong(ours.world, Effect("status", code=500))
    trial = await affiliates.try_feed(ours.database, code=ours.code)
    assert (trial.outcome, trial.http_status, trial.accepted) == ("http_5xx", 500, 0)
    assert await ours.cycles() == []
    assert await ours.totals() == {}


@pytest.mark.parametrize("shape", ["array", "results", "users", "string", "grouped"])
async def test_every_shape_of_the_list_is_read(ours: House, shape: str) -> None:
    ours.world.feed.shape(shape)
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, len(await ours.totals())) == ("applied", 127)


async def _read_in_pages(ours: House) -> None:
    ours.world.feed.shape("paged")
    async with ours.database.begin(SYSTEM) as tx:
        await affiliates.set_mapping(tx, code=ours.code, document={"page": "page"}, reason="it comes in pages")


async def test_a_list_in_pages_is_read_whole_and_archived_as_it_came(ours: House) -> None:
    """127 players on two pages of a hundred: the same numbers as on one, from one payload that can be read again."""
    await ours.fetch()
    whole = await ours.totals()
    await _read_in_pages(ours)
    ours.world.clock.advance(MINUTE)
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, cycle.attempts, len(ours.world.journal)) == ("unchanged", 1, 3)
    assert await ours.totals() == whole
    (shown,) = await ours.rows(
        "select rows_total, complete, anomaly_counts ? 'page_skew' from affiliates.snapshots where id = %s",
        cycle.snapshot_id,
    )
    assert shown == (127, True, False)
    trial = await affiliates.try_feed(ours.database, code=ours.code)
    assert (trial.outcome, trial.accepted) == ("ok", 127)
    acts = await ours.rows("select action, changes from infra.audit_rows where entity_id = %s", str(ours.feed_id))
    assert ("feed.mapping", {"mapping_version": [0, 1]}) in acts


async def test_a_page_that_fails_is_no_page_and_all_are_asked_again(ours: House) -> None:
    await _read_in_pages(ours)
    ours.world.faults.add(Fault("feed", Effect("status", code=503), Match(nth=2)))
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, cycle.attempts, len(ours.world.journal)) == ("applied", 2, 4)
    assert len(await ours.totals()) == 127


async def test_pages_that_are_too_many_bytes_together_are_not_taken(ours: House) -> None:
    await _read_in_pages(ours)
    await ours.rows("update affiliates.feeds set max_bytes = 20000 where id = %s", ours.feed_id)
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, cycle.attempts, cycle.error_code) == ("failed", 1, "too_large")
    assert await ours.totals() == {}


async def test_without_a_mapping_that_knows_of_pages_one_of_several_is_doubted(ours: House) -> None:
    """A first page must not pass for the whole."""
    ours.world.feed.appear("fresh")
    ours.world.feed.shape("paged")
    cycle = await ours.fetch()
    assert cycle is not None
    assert (cycle.state, cycle.error_code) == ("suspicious", "incomplete")


def test_the_jobs_run_in_the_queue_that_waits_for_others() -> None:
    assert queue.addresses(SUBSCRIPTIONS)[affiliates.FetchFeed][0].queue == "outgoing"
    assert [jobs.TICK_SCHEDULE.when, jobs.STALE_SCHEDULE.when] == ["every 10s", "every 1m"]
    assert json.dumps(shape_of(affiliates.TickFeeds).dump_python(affiliates.TickFeeds())) == "{}"
