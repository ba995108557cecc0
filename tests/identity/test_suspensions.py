"""Suspended accounts: their bearers read and do little else, staff give a reason, and the clock lets in again."""

from datetime import datetime

import pytest

from palio import identity
from palio.identity import jobs
from palio.identity.service import suspensions
from palio.identity.types import PERMISSIONS
from palio.infra import db
from palio.kernel import clock
from palio.kernel.errors import Forbidden
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.identity import PASSWORD, World, cookie, later
from tests.identity.test_web import application, browser

WHY = "several accounts of one person"


def staff(user_id: UserId) -> Actor:
    return Actor("staff", user_id, RequestId(new_id()))


async def suspend(world: World, user_id: UserId, now: datetime, until: datetime | None = None) -> None:
    async with world.database.begin_system("a test") as tx:
        await identity.suspend(tx, user_id=user_id, reason=WHY, until=until, now=now)


async def status_of(world: World, user_id: UserId) -> tuple[str, str | None]:
    async with world.database.begin_system("a test") as tx:
        found = await identity.suspension_of(tx, user_id=user_id)
    return found.status, found.reason


async def test_a_suspension_ends_the_sessions_and_the_clock_lifts_it(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    session = await world.signed_in("alice", noon)
    until = later(noon, days=2)
    await suspend(world, alice.id, noon, until)

    assert not await world.recognised(cookie(session), noon)
    assert await status_of(world, alice.id) == ("suspended", WHY)
    async with world.database.begin_system("a test") as tx:
        early = await suspensions.lift_due(tx, now=later(until, seconds=-1))
    async with world.database.begin_system("a test") as tx:
        due = await suspensions.lift_due(tx, now=until)
    async with world.database.begin_system("a test") as tx:
        again = await suspensions.lift_due(tx, now=until)
        acts = await db.column(
            tx, "select action from infra.audit_rows where subject_user_id = %s order by id", alice.id
        )
    assert (early, due, again) == (0, 1, 0)
    assert await status_of(world, alice.id) == ("active", None)
    assert acts == ["user.suspend", "user.reinstate"]


async def test_the_job_lifts_by_the_clock_and_a_second_run_changes_nothing(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    await suspend(world, alice.id, noon, later(noon, minutes=1))
    await suspend(world, bob.id, noon)
    clock.use(lambda: later(noon, minutes=1))
    for _ in range(2):
        async with world.database.begin_system("a test") as tx:
            await jobs.lift_suspensions(tx, identity.LiftSuspensions())

    assert [(await status_of(world, one))[0] for one in (alice.id, bob.id)] == ["active", "suspended"]
    async with world.database.begin_system("a test") as tx:
        count = "select count(*) from infra.audit_rows where action = 'user.reinstate' and subject_user_id = %s"
        assert await db.value(tx, count, alice.id) == 1


async def test_who_may_not_suspends_nobody(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    async with world.database.begin_system("a test") as tx:
        await identity.grant_role(tx, user_id=bob.id, role="owner", reason="for the test", now=noon)
    everything = frozenset(permission.name for permission in PERMISSIONS)
    for by, whom, held, until, refusal in (
        (alice.id, alice.id, everything, None, identity.OwnAccount),
        (alice.id, bob.id, frozenset({"identity.user.suspend"}), None, Forbidden),
        (alice.id, bob.id, everything, None, identity.LastOwner),
        (alice.id, UserId(new_id()), everything, None, identity.NoSuchUser),
        (bob.id, alice.id, everything, noon, identity.EndsInPast),
    ):
        with pytest.raises(refusal):
            async with world.database.begin(staff(by)) as tx:
                await identity.suspend(tx, user_id=whom, reason=WHY, until=until, now=noon, held=held)
    with pytest.raises(identity.NotSuspendable):
        async with world.database.begin(staff(bob.id)) as tx:
            await identity.reinstate(tx, user_id=alice.id, reason=WHY)
    assert [(await status_of(world, one))[0] for one in (alice.id, bob.id)] == ["active", "active"]


async def test_who_is_suspended_reads_what_is_his_and_does_little(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    await suspend(world, alice.id, noon, later(noon, days=1))
    async with browser(application(world)) as client:
        begun = await client.post("/auth/login", json={"identifier": "alice", "password": PASSWORD})
        me = await client.get("/me")
        told = (await client.get("/me/suspension")).json()
        page = (await client.get("https://palio.test/account/suspension")).text
        changed = await client.patch("/me", json={"display_name": "Somebody"}, headers={"If-Match": me.headers["etag"]})
        friend = await client.post("/me/friends", json={"user_id": str(new_id())})
        proven = await client.post("/auth/step-up", json={"secret": PASSWORD})
        new = {"current": PASSWORD, "password": "another horse battery"}
        password = await client.put("/me/password", json=new)
        ended = await client.delete("/me/sessions?except=current")
        again = await client.post("/auth/login", json={"identifier": "alice", "password": new["password"]})
        left = await client.post("/auth/logout")

    assert (begun.status_code, me.status_code, me.json()["display_name"]) == (200, 200, alice.display_name)
    assert (told["status"], told["reason"], told["until"]) == ("suspended", WHY, "2026-03-21T12:00:00.000000Z")
    assert WHY in page
    for refused in (changed, friend):
        assert (refused.status_code, refused.json()["code"]) == (403, "identity.account_suspended")
    assert [answer.status_code for answer in (proven, password, ended, again, left)] == [200] * 5
    async with world.database.begin_system("a test") as tx:
        assert (await identity.get(tx, name_or_id=alice.id)).display_name == alice.display_name


async def test_a_suspended_member_of_staff_does_not_get_into_the_console(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    async with world.database.begin_system("a test") as tx:
        await identity.grant_role(tx, user_id=alice.id, role="support", reason="for the test", now=noon)
    await suspend(world, alice.id, noon)
    with pytest.raises(identity.AccountSuspended):
        await world.signed_in("alice", noon, kind="console")
