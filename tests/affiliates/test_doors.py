"""The doors of the feeds: what is refused leaves its bytes and its cycle, what is killed can be sent again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest

from palio import affiliates
from palio.affiliates import service, types
from palio.infra.db import Busy, Database, Tx
from palio.infra.embedded import Cluster
from palio.infra.storage import Storage
from palio.kernel.errors import Refusal
from palio.kernel.ids import Actor, RequestId, new_id
from tests.factories.affiliates import QUARTER, T1, T2, body, fixture, row

SYSTEM = Actor("system", None, RequestId(new_id()))
CAPTURE_1, CAPTURE_2 = fixture("affiliate_snapshot_T1"), fixture("affiliate_snapshot_T2")


@pytest.fixture
async def door(database: Database, code: str) -> types.Programme:
    """A programme that is really there, so that several transactions see it."""
    async with database.begin(SYSTEM) as tx:
        return await affiliates.ensure_programme(tx, code=code)


async def take_in(
    database: Database, storage: Storage, door: types.Programme, content: bytes, at=T1, content_type="application/json"
) -> types.Snapshot:
    return await affiliates.take_in(
        database,
        storage,
        actor=SYSTEM,
        feed_id=door.upload_feed_id,
        body=content,
        content_type=content_type,
        fetched_at=at,
        trigger="upload",
        now=at,
    )


async def rows_of(database: Database, statement: str, *values: object) -> list[tuple[object, ...]]:
    async with database.begin(SYSTEM) as tx:
        return await (await tx.execute(statement, values)).fetchall()  # type: ignore[arg-type]  # tests write their own


CYCLES = "select state, error_code, attempts from affiliates.cycles where feed_id = %s order by due_at"
SNAPSHOTS = "select status, reason, seq from affiliates.snapshots where feed_id = %s order by id"
PAYLOADS = "select count(*) from affiliates.payloads where feed_id = %s"
PLAYERS = """
    select no, uid, name, today_micro, week_micro, month_micro, all_time_micro, value_at, all_time_at, first_seen_at,
      stale_since, flags
    from affiliates.players where programme_id = %s order by no"""
STATS = """
    select p.no, s.at, s.kind, s.today_micro, s.week_micro, s.month_micro, s.all_time_micro, s.delta_micro
    from affiliates.stats s join affiliates.players p on p.id = s.player_id where p.programme_id = %s
    order by p.no, s.at"""


@pytest.mark.parametrize(
    ("content", "content_type", "code_of_refusal", "state", "snapshots"),
    [
        (b"<html>", "text/html", "affiliates.bad_content_type", "failed", []),
        (b'"\xff"', "application/json", "affiliates.bad_encoding", "failed", []),
        (b'{"success": false}', "application/json", "affiliates.upstream_refused", "failed", []),
        (b"[NaN]", "application/json", "affiliates.bad_json", "invalid", [("invalid", "bad_json", None)]),
        (b"{}", "application/json", "affiliates.shape_unknown", "invalid", [("invalid", "shape_unknown", None)]),
    ],
)
async def test_a_refused_payload_leaves_its_bytes_and_its_cycle(
    database: Database,
    storage: Storage,
    door: types.Programme,
    content: bytes,
    content_type: str,
    code_of_refusal: str,
    state: str,
    snapshots: list[tuple[str, str, None]],
) -> None:
    """Acceptance 6: no player changes; the refusal says what to do."""
    with pytest.raises(Refusal) as refused:
        await take_in(database, storage, door, content, content_type=content_type)
    assert refused.value.code == code_of_refusal
    reason = code_of_refusal.removeprefix("affiliates.")
    assert await rows_of(database, CYCLES, door.upload_feed_id) == [(state, reason, 1)]
    assert await rows_of(database, SNAPSHOTS, door.upload_feed_id) == snapshots
    assert await rows_of(database, PAYLOADS, door.upload_feed_id) == [(1,)]
    assert await rows_of(database, PLAYERS, door.id) == []
    assert (await take_in(database, storage, door, CAPTURE_1)).seq == 1
    assert await rows_of(database, CYCLES, door.upload_feed_id) == [("applied", None, 2)]


async def test_what_comes_too_late_leaves_only_its_bytes(
    database: Database, storage: Storage, door: types.Programme
) -> None:
    await take_in(database, storage, door, CAPTURE_2, T2)
    with pytest.raises(affiliates.OutOfOrder):
        await take_in(database, storage, door, CAPTURE_1, T1)
    assert await rows_of(database, PAYLOADS, door.upload_feed_id) == [(2,)]
    assert await rows_of(database, CYCLES, door.upload_feed_id) == [("applied", None, 1)]
    assert await rows_of(database, SNAPSHOTS, door.upload_feed_id) == [("applied", None, 1)]


async def test_a_database_that_is_busy_leaves_nothing_to_the_feed(
    database: Database, storage: Storage, door: types.Programme, cluster: Cluster, database_name: str
) -> None:
    """It says nothing of the payload, so that no cycle has failed: the same again is the first."""
    dsn = cluster.dsn(database=database_name)
    waits = "select pg_cancel_backend(pid) from pg_stat_activity where %s = any (pg_blocking_pids(pid))"
    async with (
        await psycopg.AsyncConnection.connect(dsn) as holder,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as admin,
    ):
        await holder.execute("lock table affiliates.snapshots in share mode")
        refused = asyncio.create_task(take_in(database, storage, door, CAPTURE_1))
        while not await (await admin.execute(waits, [holder.info.backend_pid])).fetchall():  # as a timeout would
            assert not refused.done()
        with pytest.raises(Busy):
            await refused
    assert await rows_of(database, CYCLES, door.upload_feed_id) == []
    assert await rows_of(database, PAYLOADS, door.upload_feed_id) == [(0,)]
    await take_in(database, storage, door, CAPTURE_1)
    assert await rows_of(database, CYCLES, door.upload_feed_id) == [("applied", None, 1)]


async def test_a_body_that_is_too_large_is_not_even_stored(
    database: Database, storage: Storage, door: types.Programme
) -> None:
    with pytest.raises(affiliates.BodyTooLarge):
        await take_in(database, storage, door, b" " * (types.MAX_BYTES.default + 1))
    assert await rows_of(database, PAYLOADS, door.upload_feed_id) == [(0,)]


async def test_ten_at_once_are_one(database: Database, storage: Storage, door: types.Programme) -> None:
    """Acceptance 14: one set of rows, seq 1."""
    payload = await affiliates.archive(storage, body=CAPTURE_1, received_at=T1)
    chosen = types.SnapshotId(new_id())

    async def apply() -> types.Snapshot:
        async with database.begin(SYSTEM) as tx:
            return await affiliates.ingest(
                tx, feed_id=door.upload_feed_id, payload=payload, fetched_at=T1, snapshot_id=chosen
            )

    outcomes = await asyncio.gather(*(apply() for _ in range(10)))
    assert {(snapshot.id, snapshot.seq) for snapshot in outcomes} == {(chosen, 1)}
    assert len(await rows_of(database, STATS, door.id)) == 127


async def test_ten_uploads_at_once_are_one(database: Database, storage: Storage, door: types.Programme) -> None:
    calls = (take_in(database, storage, door, CAPTURE_1) for _ in range(10))
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(outcome, types.Snapshot) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, affiliates.OutOfOrder) for outcome in outcomes) == 9
    assert await rows_of(database, SNAPSHOTS, door.upload_feed_id) == [("applied", None, 1)]


class KilledError(Exception):
    """The process dies here."""


async def _interrupted_apply(database: Database, storage: Storage, door: types.Programme, cluster: Cluster) -> None:
    """Apply T2 twice in vain: once the process gives up at the end, once the server's process is killed."""
    payload = await affiliates.archive(storage, body=CAPTURE_2, received_at=T2)

    async def apply(then: Callable[[Tx], Awaitable[None]]) -> None:
        async with database.begin(SYSTEM) as tx:
            await affiliates.ingest(tx, feed_id=door.upload_feed_id, payload=payload, fetched_at=T2)
            await then(tx)

    async def die(_: Tx) -> None:
        raise KilledError

    async def kill_server_process(tx: Tx) -> None:
        async with await psycopg.AsyncConnection.connect(cluster.dsn(), autocommit=True) as admin:
            await admin.execute("select pg_terminate_backend(%s, 5000)", [tx.info.backend_pid])
        await tx.execute("select 1")

    with pytest.raises(KilledError):
        await apply(die)
    with pytest.raises((psycopg.Error, Refusal)):
        await apply(kill_server_process)


async def test_an_apply_that_is_killed_can_be_done_again(
    database: Database, storage: Storage, door: types.Programme, cluster: Cluster
) -> None:
    """Acceptance 13, inside the apply: the rows are those of an undisturbed run."""
    async with database.begin(SYSTEM) as tx:
        undisturbed = await affiliates.ensure_programme(tx, code=f"{door.code}-calm")
    for programme in (undisturbed, door):
        await take_in(database, storage, programme, CAPTURE_1)
    await _interrupted_apply(database, storage, door, cluster)
    for programme in (undisturbed, door):
        await take_in(database, storage, programme, CAPTURE_2, T2)
        await take_in(database, storage, programme, CAPTURE_2 + b" ", T2 + QUARTER)
    for statement in (PLAYERS, STATS):
        assert await rows_of(database, statement, door.id) == await rows_of(database, statement, undisturbed.id)


@pytest.fixture
async def other_process(database: Database, cluster: Cluster, database_name: str) -> AsyncIterator[Database]:
    """Another process on the same database: it remembers nothing of what this one saw."""
    other = Database(cluster.dsn("palio_app", database_name), connections_max=2)
    await other.pool.open(wait=True)
    yield other
    await other.pool.close()


async def test_processes_that_take_turns_agree(
    database: Database, other_process: Database, storage: Storage, door: types.Programme
) -> None:
    """Whoever applied the last snapshot, the next one finds the players as it left them."""
    bodies = [
        body(row("a", 1), row("b", 1), row("c", 1)),
        body(row("a", 2), row("b", 1), row("d", 7)),
        body(row("a", 2), row("b", 3), row("c", 1), row("d", 7, name="Dora")),
        body(row("a", 2), row("b", 3), row("c", 5), row("d", "?")),
        body(row("a", 1), row("b", 3), row("c", 5), row("d", 8)),
    ]
    async with database.begin(SYSTEM) as tx:
        alone = await affiliates.ensure_programme(tx, code=f"{door.code}-alone")
    for place, content in enumerate(bodies):
        at = T1 + place * QUARTER
        shared = await take_in((database, other_process)[place % 2], storage, door, content, at)
        single = await take_in(database, storage, alone, content, at)
        assert (shared.changed, shared.vanished, shared.delta_micro, shared.anomaly_counts) == (
            *(single.changed, single.vanished, single.delta_micro, single.anomaly_counts),
        )
    for statement in (PLAYERS, STATS):
        assert await rows_of(database, statement, door.id) == await rows_of(database, statement, alone.id)
    (newest,) = await _newest(database, alone)
    remembered, stored = [await _readings(process, alone, newest) for process in (database, other_process)]
    assert remembered == stored


async def _newest(database: Database, programme: types.Programme) -> list[types.Snapshot]:
    async with database.begin(SYSTEM) as tx:
        return await affiliates.snapshots(tx, programme_id=programme.id, limit=1)


async def _readings(
    database: Database, programme: types.Programme, snapshot: types.Snapshot
) -> list[tuple[str, int | None, str]]:
    async with database.begin(SYSTEM) as tx:
        found = await affiliates.readings_at(tx, programme_id=programme.id, snapshot_id=snapshot.id)
    return [(reading.uid, reading.all_time_micro, reading.kind) for reading in found.values()]


async def test_equal_bytes_lie_in_the_archive_once_and_come_back(tx: Tx, storage: Storage) -> None:
    first = await affiliates.archive(storage, body=CAPTURE_1, received_at=T1)
    second = await service.archive(storage, body=CAPTURE_1, received_at=T2)
    assert first.storage_key == second.storage_key
    stored = types.StoredPayload(new_id(), types.FeedId(new_id()), first.sha256, first.size, "", first.storage_key)
    assert await affiliates.restore(storage, payload=stored) == CAPTURE_1
    await storage.put(first.storage_key, b"something else")
    with pytest.raises(ValueError):  # noqa: PT011 - any of the ways to notice
        await affiliates.restore(storage, payload=stored)
