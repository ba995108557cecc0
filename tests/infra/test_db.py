"""Transactions: whose they are, what becomes of failures of the driver, and what happens after the commit."""

import asyncio
from contextlib import suppress
from functools import partial

import psycopg
import pytest
from psycopg import errors

from palio.infra import db
from palio.infra.db import Busy, Database, ReadOnly
from palio.kernel.errors import Unavailable
from palio.kernel.ids import Actor, RequestId, UserId, new_id


def player(user_id: UserId) -> Actor:
    return Actor("player", user_id, RequestId(new_id()))


HIRE = """insert into infra.instances (id, role, host, pid, version, schema_version, started_at, seen_at)
    values (%s, 'cli', %s, 1, '', 1, now(), now())"""
HIRED = "select host from infra.instances where host like 'test-%%'"
SETTINGS = """select array[infra.actor_kind(), coalesce(infra.actor_id()::text, ''),
    current_setting('palio.request_id'), current_setting('search_path'),
    current_setting('statement_timeout'), current_setting('plan_cache_mode')]"""


async def test_a_transaction_states_its_actor_and_leaves_nothing_behind(database):
    user = UserId(new_id())
    actor = player(user)
    async with database.begin(actor, seconds_max=7, generic_plans=True) as tx:
        expected = ["player", str(user), actor.request_id.hex, "jobs", "7s", "force_generic_plan"]
        assert await db.value(tx, SETTINGS) == expected
    async with database.pool.connection() as connection:
        found = await (await connection.execute("select infra.actor_kind(), infra.actor_id()")).fetchone()
        assert found == ("none", None)


async def test_whoever_may_run_long_statements_may_compute_long_between_them(database):
    idle = "select current_setting('idle_in_transaction_session_timeout')"
    for seconds_max, expected in ((None, "10s"), (10, "10s"), (60, "1min"), (None, "10s")):
        async with database.begin(player(UserId(new_id())), seconds_max=seconds_max) as tx:
            assert await db.value(tx, idle) == expected


async def test_a_viewer_only_reads(database):
    with pytest.raises(errors.ReadOnlySqlTransaction):
        async with database.begin(Actor("viewer", UserId(new_id()), RequestId(new_id()))) as tx:
            await db.run(tx, HIRE, new_id(), "test-viewer")


async def test_a_kind_of_actor_that_does_not_exist_is_a_bug(database):
    with pytest.raises(ValueError, match="root"):
        async with database.begin(Actor("root", None, RequestId(new_id()))):
            raise AssertionError


async def test_leaving_commits_and_any_exception_undoes_and_forgets_what_was_promised(database):
    done = []
    async with database.begin_system("a test") as tx:
        await db.run(tx, HIRE, new_id(), "test-kept")
        db.after_commit(tx, partial(done.append, "kept"))
        db.after_commit(tx, done.clear)
        db.after_commit(tx, done.clear)
        assert done == []
        assert len(tx.committed) == 2
    for failure in (ZeroDivisionError, asyncio.CancelledError):
        with suppress(failure):
            async with database.begin_system("a test") as tx:
                await db.run(tx, HIRE, new_id(), "test-undone")
                db.after_commit(tx, partial(done.append, "undone"))
                raise failure
    async with database.begin_system("a test") as tx:
        assert await db.column(tx, HIRED) == ["test-kept"]
        await db.run(tx, "delete from infra.instances where host like 'test-%%'")
    assert done == []


async def test_a_promise_that_fails_does_not_fail_what_is_committed(database):
    done = []

    def fail() -> None:
        raise ZeroDivisionError

    async with database.begin_system("a test") as tx:
        db.after_commit(tx, fail)
        db.after_commit(tx, partial(done.append, "told"))
    assert done == ["told"]


@pytest.fixture
async def small(cluster, database_name):
    """One connection, and little patience."""
    database = Database(cluster.dsn("palio_app", database_name), connections_max=1)
    database.pool.timeout = 0.1
    await database.pool.open(wait=True)
    yield database
    await database.pool.close()


async def test_a_full_pool_is_busy_and_says_when_to_come_back(small):
    async with small.begin_system("a test"):
        with pytest.raises(Busy) as refused:
            async with small.begin_system("another"):
                raise AssertionError
    assert (refused.value.code, refused.value.facts) == ("db.busy", {"retry_after_s": 1})


async def cut(cluster, database_name) -> None:
    async with await psycopg.AsyncConnection.connect(cluster.dsn(), autocommit=True) as admin:
        statement = (
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s and usename = 'palio_app'"
        )
        await admin.execute(statement, [database_name])


async def test_a_connection_lost_in_the_middle_is_unavailable_and_the_next_call_works(small, cluster, database_name):
    async def work(tx):
        await cut(cluster, database_name)
        await db.value(tx, "select 1")

    with pytest.raises(Unavailable) as refused:
        await db.retrying(partial(small.begin_system, "a test"), work)
    assert (refused.value.code, refused.value.facts) == ("db.unavailable", {"retry_after_s": 2})
    async with small.begin_system("a test") as tx:
        assert await db.value(tx, "select 1") == 1


async def test_a_connection_that_died_in_the_pool_is_replaced_without_a_word(small, cluster, database_name):
    async with small.begin_system("a test") as tx:
        assert await db.value(tx, "select 1") == 1
    await cut(cluster, database_name)
    async with small.begin_system("a test") as tx:
        assert await db.value(tx, "select 1") == 1


async def test_a_server_that_is_away_is_unavailable(tmp_path):
    database = Database(f"host={tmp_path} user=palio_app dbname=palio")
    database.pool.timeout = 0.1
    await database.pool.open()
    with pytest.raises(Unavailable) as refused:
        async with database.begin_system("a test"):
            raise AssertionError
    await database.pool.close()
    assert refused.value.code == "db.unavailable"


RAISE = "do $$ begin raise exception 'no' using errcode = '{}'; end $$"


@pytest.mark.parametrize(
    ("state", "refusal"),
    [("55P03", Busy), ("40P01", Busy), ("40001", Busy), ("57014", Busy), ("53100", ReadOnly), ("57P01", Unavailable)],
)
async def test_what_others_cause_is_refused_and_not_a_bug(database, state, refusal):
    with pytest.raises(refusal) as refused:
        async with database.begin_system("a test") as tx:
            await tx.execute(RAISE.format(state))
    assert type(refused.value) is refusal
    assert refused.value.facts["retry_after_s"] > 0


async def test_a_bug_stays_a_bug(database):
    with pytest.raises(errors.DivisionByZero):
        async with database.begin_system("a test") as tx:
            await tx.execute("select 1 / 0")


@pytest.mark.parametrize(("failures", "tries"), [(0, 1), (4, 5)])
async def test_work_is_tried_again_while_others_stand_in_its_way(database, failures, tries):
    made = []

    async def work(tx):
        made.append(1)
        if len(made) <= failures:
            await tx.execute(RAISE.format("40001"))
        return "done"

    assert await db.retrying(partial(database.begin_system, "a test"), work) == "done"
    assert len(made) == tries


@pytest.mark.parametrize(("state", "tries"), [("40P01", 5), ("57014", 1), ("53100", 1)])
async def test_it_is_tried_five_times_and_only_for_what_passes(database, state, tries):
    made = []

    async def work(tx):
        made.append(1)
        await tx.execute(RAISE.format(state))

    with pytest.raises(Unavailable):
        await db.retrying(partial(database.begin_system, "a test"), work)
    assert len(made) == tries
