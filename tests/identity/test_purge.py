"""What has served its time goes, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from palio import identity
from palio.identity import jobs, service, sql
from palio.infra.db import Tx
from palio.kernel import clock
from palio.kernel.ids import UserId
from palio.kernel.providers import Obstacle
from tests.factories.identity import HOME, PASSWORD, World, cookie, later


async def test_pending_people_old_sessions_links_and_addresses_go(world: World, noon: datetime) -> None:
    now = clock.now()
    await world.player("alice", now)
    await world.signed_in("alice", now)
    for name in ("waits", "gave-up"):
        application = identity.Application(name, f"{name}@example.com", PASSWORD)
        await identity.register(world.house, application=application, visitor=HOME, now=now)
    await world.signed_in("alice", now)
    with world.superuser() as server:
        server.execute("alter table identity.users disable trigger refuse_transition")
        server.execute("update identity.users set created_at = now() - interval '8 days' where username = 'gave-up'")
        server.execute("alter table identity.users enable trigger refuse_transition")
    async with world.database.begin_system("a test") as tx:
        await jobs.purge(tx, identity.Purge())
        assert (await identity.get(tx, name_or_id="waits")).status == "pending"
        assert await identity.find(tx, name_or_id="gave-up") is None
    assert await world.count("select count(*) from identity.sessions") == 2

    with world.superuser() as server:
        server.execute(
            "update identity.sessions set absolute_expires_at = now() - interval '91 days' where ended_at is null"
        )
        server.execute("update identity.login_events set at = %s", (later(now, days=-91),))
        server.execute(
            "update identity.verification_tokens set created_at = %s, expires_at = %s",
            (later(now, days=-33), later(now, days=-31)),
        )
    async with world.database.begin_system("a test") as tx:
        await jobs.purge(tx, identity.Purge())
        await jobs.keep_no_longer(tx, identity.KeepNoLonger())
    assert await world.count("select count(*) from identity.sessions") == 0
    assert await world.count("select count(*) from identity.verification_tokens") == 0
    assert await world.count("select count(*) from identity.login_events where ip is not null or user_agent <> ''") == 0
    assert await world.count("select count(*) from identity.login_events") == 2

    with world.superuser() as server:
        server.execute("update identity.login_events set at = at - interval '350 days'")
    async with world.database.begin_system("a test") as tx:
        await jobs.keep_no_longer(tx, identity.KeepNoLonger())
    assert await world.count("select count(*) from identity.login_events") == 0


async def test_somebody_of_whom_a_module_holds_something_open_is_not_removed(world: World) -> None:
    for name in ("holds", "gave-up"):
        application = identity.Application(name, f"{name}@example.com", PASSWORD)
        await identity.register(world.house, application=application, visitor=HOME, now=later(clock.now(), days=-8))

    async def blocks(tx: Tx, user_id: UserId, since: datetime) -> Sequence[Obstacle]:
        user = await identity.get(tx, name_or_id=user_id)
        return [Obstacle("store", "orders", 1)] if user.username == "holds" else []

    section = replace(service.privacy.PRIVACY, module="store", blocks=blocks)
    world.database.equipment = replace(world.database.equipment, personal=(section,))
    async with world.database.begin_system("a test") as tx:
        await jobs.purge(tx, identity.Purge())
        assert (await identity.get(tx, name_or_id="holds")).status == "pending"
        assert await identity.find(tx, name_or_id="gave-up") is None


async def test_addresses_are_forgotten_and_kept_again_when_somebody_returns(world: World, noon: datetime) -> None:
    now = clock.now()
    alice = await world.player("alice", now)
    session = await world.signed_in("alice", now)
    with world.superuser() as server:
        server.execute("update identity.ip_addresses set last_seen_at = %s", (later(now, days=-91),))
        server.execute("update identity.sessions set created_at = %s", (later(now, days=-91),))
    async with world.database.begin_system("a test") as tx:
        await jobs.keep_no_longer(tx, identity.KeepNoLonger())
        (forgotten,) = await service.attempts.addresses_of(tx, user_id=alice.id)
        (kept,) = await identity.sessions_of(tx, user_id=alice.id, current=session.session_id, now=now)
    assert (forgotten.ip, forgotten.country, forgotten.city, forgotten.seen_count) == (None, "DE", "Berlin", 2)
    assert (kept.ip, kept.country) == (None, "DE")

    await world.signed_in("alice", now)
    async with world.database.begin_system("a test") as tx:
        (known,) = await service.attempts.addresses_of(tx, user_id=alice.id)
    assert (known.ip, known.seen_count, known.first_kind) == (HOME.ip, 3, "registration")


ENDED = "select kind::text, ended_at, end_reason::text from identity.sessions order by ended_at nulls last"


async def test_sessions_that_ran_out_are_in_the_history_with_when_and_why(world: World, noon: datetime) -> None:
    """Two weeks unused, or ninety days old; what ended before keeps its reason, and a second look changes nothing."""
    alice = await world.player("alice", noon)
    idle, old, left, open_ = [await world.signed_in("alice", noon) for _ in range(4)]
    service_end = later(noon, minutes=1)
    async with world.database.begin_system("a test") as tx:
        await identity.end_session(tx, user_id=alice.id, session_id=left.session_id, reason="logout", now=service_end)
    with world.superuser() as server:
        for one, days in ((old, 90), (open_, 100)):
            server.execute(
                "update identity.sessions set idle_expires_at = %s, absolute_expires_at = %s where id = %s",
                (later(noon, days=days), later(noon, days=days), one.session_id),
            )
    clock.use(lambda: later(noon, days=90))
    try:
        for _ in range(2):
            await jobs.end_sessions(world.database, identity.EndSessions())
            with world.superuser() as server:
                assert server.execute(ENDED).fetchall() == [
                    ("browser", service_end, "logout"),
                    ("browser", later(noon, days=14), "idle"),
                    ("browser", later(noon, days=90), "absolute"),
                    ("browser", None, None),
                ]
    finally:
        clock.use(clock.real)
    for one in (idle, old):
        with pytest.raises(identity.TokenExpired):
            await world.doorman.admit(cookie(one), now=later(noon, days=90))
    with pytest.raises(identity.TokenRevoked):
        await world.doorman.admit(cookie(left), now=later(noon, days=90))


async def test_an_app_whose_session_ran_out_is_told_so_before_and_after_it_is_written_down(
    world: World, noon: datetime
) -> None:
    await world.player("alice", noon)
    session = await world.signed_in("alice", noon, kind="app")
    assert session.tokens
    token, now = session.tokens.refresh_token, later(noon, days=7)
    clock.use(lambda: now)
    try:
        for _ in range(2):
            with pytest.raises(identity.TokenExpired):
                await identity.refresh(world.house, token=token, device_key=None, now=now)
            await jobs.end_sessions(world.database, identity.EndSessions())
    finally:
        clock.use(clock.real)
    assert await world.count("select count(*) from identity.sessions where end_reason = 'idle'") == 1


async def test_all_open_sessions_are_looked_at_some_at_a_time(world: World, noon: datetime) -> None:
    """Each once, whatever the size of a turn: turns end where there are no more."""
    for name in ("alice", "bob"):
        await world.player(name, noon)
        for _ in range(3):
            await world.signed_in(name, noon)
    now, turns, after = later(noon, days=14), 0, sql.sessions.FIRST
    while True:
        async with world.database.begin_system("a test") as tx:
            found = await sql.sessions.update_run_out(tx, after, now=now, limit=2)
        if found is None:
            break
        after, turns = found, turns + 1
        assert await world.count("select count(*) from identity.sessions where end_reason = 'idle'") == 2 * turns
    assert turns == 3
