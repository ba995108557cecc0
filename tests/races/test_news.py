"""What races tell: each event once, when it is news, and every change of state to whoever looks on."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from palio import competitions, races
from palio.entry.subscriptions import SUBSCRIPTIONS
from palio.infra import db, embedded
from palio.infra import jobs as queue
from palio.infra.db import Address, Database, Equipment, Tx
from palio.kernel import schedules
from palio.kernel.messages import Event
from palio.races import jobs
from palio.races.types import Race
from tests.conftest import UndoError
from tests.factories.races import STAFF, SYSTEM, Feed, at, feed, player, race, run

BEFORE, START, FINAL = at("08:25:00"), at("08:30:00"), at("20:20:00")
WORDS = {"actor": STAFF, "reason": "ticket of the provider", "public_note": "booked twice by the provider"}
TOLD: tuple[type[Event], ...] = (
    races.RaceStartPictureChosen,
    races.RaceStandingsChanged,
    races.RaceLeaderChanged,
    races.RaceHeld,
    races.RaceCompleted,
)
LISTENER = "tests:"


@dataclass
class Listening:
    """A database on which somebody listens to all events of races, and what pages have heard of each topic."""

    database: Database
    frames: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def heard(self, topic: str, number: int) -> list[tuple[str, object]]:
        """The notices of a topic that tell of a race: kind, and its status or the snapshot."""
        return [
            (kind, data.get("status") or data["seq"])
            for found, kind, data in self.frames
            if found == topic and data.get("number", number) == number
        ]


@pytest.fixture
async def listening(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[Listening]:
    frames: list[tuple[str, str, dict[str, object]]] = []

    def tell(topic: str, event: str) -> None:
        frame = json.loads(event)
        frames.append((topic, frame["type"], frame["data"]))

    listeners = {kind: (Address(LISTENER + kind.__name__, "default", 0),) for kind in TOLD}
    equipment = Equipment({**queue.addresses(SUBSCRIPTIONS), **listeners}, tell=tell)
    database = Database(cluster.dsn("palio_app", database_name), equipment=equipment)
    await database.pool.open(wait=True)
    yield Listening(database, frames)
    await database.pool.close()


@pytest.fixture
async def tx(listening: Listening) -> AsyncIterator[Tx]:
    """A transaction of that database, which is undone."""
    with suppress(UndoError):
        async with listening.database.begin(SYSTEM) as tx:
            yield tx
            raise UndoError


async def sent(tx: Tx, kind: type[Event], made: Race) -> list[dict[str, object]]:
    """The events of a kind that tell of a race, without its id, in the order in which they were sent."""
    statement = """
        select (args -> 'message') - 'race' from jobs.procrastinate_jobs
        where task_name = %s and args -> 'message' ->> 'race' = %s order by id"""
    return await db.column(tx, statement, LISTENER + kind.__name__, str(made.competition_id))


async def leaders(tx: Tx, made: Race) -> list[str]:
    """The uids of those of whom it was told that they lead."""
    statement = """
        select p.uid from jobs.procrastinate_jobs j
        join competitions.entrants e on e.id = (j.args -> 'message' ->> 'entrant')::bigint
        join affiliates.players p on p.id::text = e.ref
        where j.task_name = %s and j.args -> 'message' ->> 'race' = %s order by j.id"""
    return await db.column(tx, statement, LISTENER + "RaceLeaderChanged", str(made.competition_id))


async def look(tx: Tx, source: Feed, now: datetime, *totals: int) -> None:
    """A snapshot with so much for ann, bob and cid, counted."""
    await source.show(tx, now, dict(zip(("ann", "bob", "cid"), map(str, totals), strict=True)))
    await run(tx, now)


async def begun(tx: Tx) -> tuple[Feed, Race]:
    source = await feed(tx)
    await look(tx, source, BEFORE, 100, 100, 100)
    made = await race(tx, source, BEFORE)
    await run(tx, START)
    return source, made


async def test_a_new_leader_is_told_and_one_who_follows_too_soon_when_he_lasts(tx: Tx) -> None:
    """09:00 ann; 09:15 bob and 09:20 ann again: nothing; 09:25 bob, who still leads at 09:30: bob; then cid."""
    source, made = await begun(tx)
    assert await leaders(tx, made) == []  # the start picture has no leader
    await look(tx, source, at("09:00:00"), 110, 105, 100)
    await look(tx, source, at("09:15:00"), 110, 115, 100)
    await look(tx, source, at("09:20:00"), 120, 115, 100)
    await look(tx, source, at("09:25:00"), 120, 125, 100)
    assert await leaders(tx, made) == ["ann"]
    await look(tx, source, at("09:30:00"), 121, 126, 100)
    assert await leaders(tx, made) == ["ann", "bob"]
    await look(tx, source, at("09:59:59"), 121, 126, 130)
    assert await leaders(tx, made) == ["ann", "bob"]
    await look(tx, source, at("10:00:00"), 121, 126, 131)
    await look(tx, source, at("11:00:00"), 122, 127, 132)
    assert await leaders(tx, made) == ["ann", "bob", "cid"]
    told_at = "select leader_told_at from races.races where competition_id = %s"
    assert await db.value(tx, told_at, made.competition_id) == at("10:00:00")


async def test_what_a_backdated_race_makes_up_for_is_no_news(tx: Tx) -> None:
    """Announced at 12:00: ann, who led until then, is known to lead; bob, who overtakes her at 12:15, is news."""
    source = await feed(tx)
    await look(tx, source, BEFORE, 100, 100, 100)
    await look(tx, source, at("11:45:00"), 150, 140, 100)
    made = await race(tx, source, at("12:00:00"))
    await run(tx, at("12:00:00"))
    await look(tx, source, at("12:05:00"), 151, 140, 100)
    assert await leaders(tx, made) == []
    await look(tx, source, at("12:15:00"), 151, 160, 100)
    assert await leaders(tx, made) == ["bob"]


async def test_nothing_is_told_of_a_lead_after_the_end(tx: Tx) -> None:
    """Neither of play that the provider books late, nor by a worker that comes late to what was fetched in time."""
    source, made = await begun(tx)
    await look(tx, source, at("19:00:00"), 110, 100, 100)
    await source.show(tx, at("19:59:00"), {"ann": "110", "bob": "115", "cid": "100"})
    await run(tx, at("20:00:30"))
    await look(tx, source, FINAL, 110, 115, 130)
    assert await leaders(tx, made) == ["ann"]
    assert (await competitions.get(tx, competition_id=made.competition_id)).status == "completed"


async def test_staff_can_make_a_leader_and_unmake_him(tx: Tx) -> None:
    source, made = await begun(tx)
    await look(tx, source, at("09:00:00"), 110, 105, 100)
    cid = await player(tx, source, "cid")
    await races.adjust(
        tx,
        adjustment_id=made.competition_id,
        number=made.number,
        player_id=cid,
        amount_micro=50_000_000,
        now=at("10:00:00"),
        **WORDS,  # type: ignore[arg-type]  # who, why, and the note
    )
    assert await leaders(tx, made) == ["ann", "cid"]
    await races.exclude(tx, number=made.number, player_id=cid, now=at("11:00:00"), **WORDS)  # type: ignore[arg-type]  # as above
    assert await leaders(tx, made) == ["ann", "cid", "ann"]
    await races.reinstate(tx, number=made.number, player_id=cid, now=at("12:00:00"), **WORDS)  # type: ignore[arg-type]  # as above
    assert await leaders(tx, made) == ["ann", "cid", "ann", "cid"]


async def test_each_step_of_a_race_is_told_once(listening: Listening) -> None:
    """Each step in a transaction of its own, as workers do it: every event and every notice, in order."""
    async with listening.database.begin(SYSTEM) as tx:
        source, made = await begun(tx)
    for now in (at("09:00:00"), FINAL):
        async with listening.database.begin(SYSTEM) as tx:
            await source.show(tx, now, {"ann": "110", "bob": "100", "cid": "100", "whale": "50000"})
            await races.on_snapshot_many(tx, [made.competition_id], now=now)
    async with listening.database.begin(SYSTEM) as tx:
        await races.advance(tx, number=made.number, now=FINAL)
    async with listening.database.begin(SYSTEM) as tx:
        await races.release(tx, number=made.number, actor=STAFF, reason="looked at him", now=FINAL)
    for _ in range(2):
        async with listening.database.begin(SYSTEM) as tx:
            await races.advance(tx, number=made.number, now=FINAL)

    async with listening.database.begin(SYSTEM) as tx:
        whale = await player(tx, source, "whale")
        assert await sent(tx, races.RaceStartPictureChosen, made) == [{"seq": 1}]
        assert await sent(tx, races.RaceStandingsChanged, made) == [{"seq": 2}]  # the third changes nothing
        assert await leaders(tx, made) == ["whale"]
        assert await sent(tx, races.RaceHeld, made) == [{"player": str(whale), "reason": "first_seen_jump"}]
        assert await sent(tx, races.RaceCompleted, made) == [{"period_key": None}]
    assert listening.heard(f"race:{made.competition_id}", made.number) == [
        ("race.status_changed", "live"),
        ("race.updated", 2),
        ("race.updated", 3),
        ("race.status_changed", "settling"),  # it ended
        ("race.status_changed", "settling"),  # its totals are frozen
        ("race.completed", "completed"),
    ]
    assert listening.heard("races", made.number)[-1] == ("race.completed", "completed")


async def test_a_race_is_live_a_minute_after_its_start_at_the_latest_and_that_is_told_once(
    listening: Listening,
) -> None:
    """The clock of the worker ticks once a minute, whenever it began."""
    assert schedules.interval_of(jobs.SCHEDULE.when) == timedelta(seconds=60)
    async with listening.database.begin(SYSTEM) as tx:
        source = await feed(tx)
        await source.show(tx, BEFORE, {"ann": "100"})
        made = await race(tx, source, BEFORE)
    statuses = {}
    for offset in range(-59, 300, 60):
        now = START + timedelta(seconds=offset)
        async with listening.database.begin(SYSTEM) as tx:
            if made.number in await races.due(tx, now=now):
                await races.advance(tx, number=made.number, now=now)
            statuses[offset] = (await races.view(tx, number=made.number, now=now)).status
    assert list(statuses.values()) == ["upcoming", *["live"] * 5] and statuses[1] == "live"
    for topic, before in (("races", ["upcoming"]), (f"race:{made.competition_id}", [])):
        told = [status for kind, status in listening.heard(topic, made.number) if kind == "race.status_changed"]
        assert told == [*before, "live"]

    async with listening.database.begin(SYSTEM) as tx:  # it is left settled to the other tests
        await source.show(tx, FINAL, {"ann": "100"})
        assert (await races.advance(tx, number=made.number, now=FINAL)).stage == "done"
