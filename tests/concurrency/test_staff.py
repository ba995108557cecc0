"""What staff do at one moment: reveals, looks, roles, the policy, lost factors. Each race is also run naively."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

import pytest

from palio import identity
from palio.identity import doors, personal, rules, service, sql
from palio.identity.errors import RoleInUse
from palio.identity.types import FactorReset, Grant, Revealed, Role, Sealed, SessionId
from palio.infra import db, embedded, totp
from palio.infra.approvals import Approval, Approved
from palio.infra.db import Tx
from palio.kernel.errors import Unavailable
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.concurrency.test_proofs import RUNNERS, SYSTEM, race
from tests.conftest import PATIENCE_S
from tests.factories.identity import HOME, PASSWORD, PERMISSIONS, World, later

WHY = "he says that his wallet is empty"
HELD = [permission.name for permission in PERMISSIONS]


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[World]:
    world = World(cluster, f"palio_staff_{worker_id}", connections_max=RUNNERS + 2)
    await world.open()
    yield world
    await world.close()


@pytest.fixture
async def world(crowd: World, noon: datetime) -> World:
    await crowd.empty(noon)
    return crowd


async def somebody(world: World, name: str, now: datetime) -> UserId:
    async with world.database.begin(SYSTEM) as tx:
        return (await identity.create(tx, username=name, now=now)).id


async def staff(world: World, name: str, role: str, now: datetime) -> Actor:
    user_id = await somebody(world, name, now)
    async with world.database.begin(SYSTEM) as tx:
        await identity.grant_role(tx, user_id=user_id, role=role, reason="for the test", now=now)
    return Actor("staff", user_id, RequestId(new_id()))


async def waiting(world: World) -> None:
    """Until somebody waits for a lock."""
    while True:
        async with world.database.begin(SYSTEM) as tx:
            if await db.value(
                tx,
                """select count(*) from pg_stat_activity
                where datname = current_database() and wait_event_type = 'Lock'""",
            ):
                return


async def second(
    world: World, first: Callable[[Tx], Awaitable[object]], then: Callable[[], Awaitable[object]]
) -> object:
    """What comes of what begins while the first has acted and not committed; it has to wait for that."""
    async with asyncio.timeout(PATIENCE_S):
        async with world.database.begin(SYSTEM) as tx:
            await first(tx)
            follower = asyncio.ensure_future(then())
            await waiting(world)
            assert not follower.done()
        return (await asyncio.gather(follower, return_exceptions=True))[0]


# sealed values


async def test_an_hour_has_thirty_reveals_however_many_are_asked_for_at_once(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    by = await staff(world, "stella", "support", noon)
    async with world.database.begin(SYSTEM) as tx:
        row_id = await db.value(tx, "select id from identity.emails where user_id = %s", alice.id)
    sealed = Sealed(alice.id, "email", row_id)

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        return isinstance(await service.looks.reveal(tx, sealed=sealed, reason=WHY, now=noon), Revealed)

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        count = await sql.looks.count_reveals(tx, by.user_id or alice.id, since=noon - rules.looks.HOUR)
        await ready.wait()
        return count < rules.looks.REVEALS_AN_HOUR_MAX

    for _ in range(25):
        async with world.database.begin(by) as tx:
            await service.looks.reveal(tx, sealed=sealed, reason=WHY, now=noon)
    assert await race(world, naive, by) == RUNNERS
    assert await race(world, careful, by) == 5
    assert await world.count("select count(*) from identity.reveals") == 30
    assert await world.count("select count(*) from infra.approvals where made_by = %s", by.user_id) == 1


async def test_what_two_agreed_to_read_is_read_once(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    by = await staff(world, "stella", "support", noon)
    async with world.database.begin(SYSTEM) as tx:
        row_id = await db.value(tx, "select id from identity.emails where user_id = %s", alice.id)
    sealed = Sealed(alice.id, "email", row_id)
    for _ in range(rules.looks.REVEALS_AN_HOUR_MAX):
        async with world.database.begin(by) as tx:
            await service.looks.reveal(tx, sealed=sealed, reason=WHY, now=noon)
    async with world.database.begin(by) as tx:
        asked = await service.looks.reveal(tx, sealed=sealed, reason=WHY, now=noon)
    assert isinstance(asked, Approval)
    approved = Approved(asked.payload, by, UserId(new_id()), "agreed", f"approval:{asked.id}", noon)
    async with world.database.begin(SYSTEM) as tx:
        await service.looks.carry_out_reveal(tx, approved=approved)

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        return isinstance(await service.looks.reveal(tx, sealed=sealed, reason=WHY, now=noon), Revealed)

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        is_permitted = await db.value(tx, "select true from identity.reveal_permits where expires_at > %s", noon)
        await ready.wait()
        return bool(is_permitted)

    assert await race(world, naive, by) == RUNNERS
    assert await race(world, careful, by) == 1


# as a player


async def test_whoever_looks_as_thirty_at_once_looks_as_one(world: World, noon: datetime) -> None:
    players = [await somebody(world, f"player{number}", noon) for number in range(RUNNERS)]
    by = await staff(world, "stella", "support", noon)
    looking = "select count(*) from identity.sessions where kind = 'impersonation' and ended_at is null"
    lives = rules.sessions.lives_of("impersonation", noon, idle_days=1, refresh_days=1)

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        me, player = by.user_id or players[0], naively.pop()
        await sql.looks.update_impersonations_ended(tx, me, now=noon)
        await ready.wait()
        session_id, token = SessionId(new_id()), personal.hash_of(personal.new_secret())
        await sql.looks.insert_impersonation(
            tx, session_id, player, by=me, reason=WHY, token_hash=token, lives=lives, now=noon
        )
        return True

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        player = carefully.pop()
        await ready.wait()
        await service.looks.impersonate(tx, user_id=player, reason=WHY, now=noon)
        return True

    naively, carefully = [*players], [*players]
    assert await race(world, naive, by) == RUNNERS
    assert await world.count(looking) == RUNNERS
    assert await race(world, careful, by) == RUNNERS
    assert await world.count(looking) == 1


async def test_nobody_looks_as_somebody_who_becomes_staff_at_that_moment(world: World, noon: datetime) -> None:
    alice, bob = await somebody(world, "alice", noon), await somebody(world, "bob", noon)
    by = await staff(world, "stella", "support", noon)
    naively: list[bool] = []

    def hire(user_id: UserId) -> Callable[[Tx], Awaitable[object]]:
        async def act(tx: Tx) -> object:
            return await identity.grant_role(tx, user_id=user_id, role="support", reason="for the test", now=noon)

        return act

    async def look(user_id: UserId) -> object:
        async with world.database.begin(by) as tx:
            known = await sql.suspensions.find(tx, user_id)
            naively.append(known is not None and known.is_staff)
            return await service.looks.impersonate(tx, user_id=user_id, reason=WHY, now=noon)

    assert isinstance(await second(world, hire(alice), lambda: look(alice)), identity.NotAPlayer)
    assert naively == [False], "whoever does not wait sees a player"

    async def looks(tx: Tx) -> object:
        tx.actor = by
        return await service.looks.impersonate(tx, user_id=bob, reason=WHY, now=noon)

    async def hired() -> object:
        async with world.database.begin(SYSTEM) as tx:
            return await hire(bob)(tx)

    assert isinstance(await second(world, looks, hired), Grant)
    ended = "select count(*) from identity.sessions where kind = 'impersonation' and end_reason = 'role_changed'"
    assert await world.count(ended) == 1


# roles


async def test_a_role_is_given_made_and_changed_once(world: World, noon: datetime) -> None:
    alice = await somebody(world, "alice", noon)

    async def give(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        await identity.grant_role(tx, user_id=alice, role="support", reason="for the test", now=noon)
        return True

    async def give_naively(tx: Tx, ready: asyncio.Barrier) -> bool:
        held = await identity.grants_of(tx, user_id=alice, now=noon)
        await ready.wait()
        return not held

    assert await race(world, give_naively) == RUNNERS
    assert await race(world, give) == 1
    assert await world.count("select count(*) from identity.role_grants") == 1

    role = Role("night", "Night desk", ["identity.user.read"], True, builtin=False)

    async def make(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        await service.own_roles.make_role(tx, role=role, reason="for the test", held=HELD, now=noon)
        return True

    async def make_naively(tx: Tx, ready: asyncio.Barrier) -> bool:
        found = await sql.roles.find_role(tx, role.name)
        await ready.wait()
        return found is None

    assert await race(world, make_naively) == RUNNERS
    assert await race(world, make) == 1

    titles = [f"Desk {number}" for number in range(RUNNERS)]

    async def change(tx: Tx, ready: asyncio.Barrier) -> bool:
        changed = Role("night", titles.pop(), role.permissions, True, builtin=False)
        await ready.wait()
        await service.own_roles.change_role(tx, role=changed, version=1, reason="for the test", held=HELD)
        return True

    async def change_naively(tx: Tx, ready: asyncio.Barrier) -> bool:
        found = await sql.roles.find_role(tx, role.name)
        await ready.wait()
        return found is not None and found.version == 1

    assert await race(world, change_naively) == RUNNERS
    assert await race(world, change) == 1
    assert await world.count("select version from identity.roles where name = 'night'") == 2


async def test_a_role_is_not_given_while_it_is_removed_nor_removed_while_it_is_given(
    world: World, noon: datetime
) -> None:
    alice = await somebody(world, "alice", noon)
    role = Role("night", "Night desk", ["identity.user.read"], True, builtin=False)

    async def make(tx: Tx) -> object:
        return await service.own_roles.make_role(tx, role=role, reason="for the test", held=HELD, now=noon)

    async def remove(tx: Tx) -> object:
        return await service.own_roles.remove_role(tx, name="night", version=1, reason="for the test", held=HELD)

    async def give(tx: Tx) -> object:
        return await identity.grant_role(tx, user_id=alice, role="night", reason="for the test", now=noon)

    async def alone(act: Callable[[Tx], Awaitable[object]]) -> object:
        async with world.database.begin(SYSTEM) as tx:
            return await act(tx)

    await alone(make)
    assert isinstance(await second(world, remove, lambda: alone(give)), identity.NoSuchRole)
    await alone(make)
    assert isinstance(await second(world, give, lambda: alone(remove)), RoleInUse)
    assert await world.count("select count(*) from identity.role_grants where role = 'night'") == 1


async def test_of_two_owners_who_go_at_once_by_whatever_way_one_stays(world: World, noon: datetime) -> None:
    """Dismissed, suspended, or erased by his own wish."""
    house = "select count(*) from identity.role_grants g join identity.users u on u.id = g.user_id"
    owning = f"{house} where g.role = 'owner' and g.revoked_at is null and u.status = 'active'"

    async def dismiss(tx: Tx, user_id: UserId) -> object:
        return await identity.revoke_role(tx, user_id=user_id, role="owner", reason="for the test", now=noon)

    async def suspend(tx: Tx, user_id: UserId) -> object:
        return await identity.suspend(tx, user_id=user_id, reason="for the test", now=noon)

    async def erase(tx: Tx, user_id: UserId) -> object:
        return await service.privacy.ask_for_erasure(tx, user_id=user_id, now=noon)

    for one, other in ((dismiss, suspend), (erase, dismiss), (suspend, erase), (erase, erase)):
        await world.empty(noon)
        owners = [(await staff(world, name, "owner", noon)).user_id or UserId(new_id()) for name in ("anna", "bela")]
        ready = asyncio.Barrier(2)

        async def go(way: Callable[[Tx, UserId], Awaitable[object]], user_id: UserId, ready=ready) -> bool:  # type: ignore[no-untyped-def]
            try:
                async with world.database.begin(SYSTEM) as tx:
                    await tx.execute("select 1")
                    await ready.wait()
                    await way(tx, user_id)
            except identity.LastOwner:
                return False
            return True

        async def look(ready=ready) -> bool:  # type: ignore[no-untyped-def]
            async with world.database.begin(SYSTEM) as tx:
                count = await db.value(tx, owning)  # type: ignore[arg-type]  # put together above
                await ready.wait()
                return bool(count > 1)

        async with asyncio.timeout(60):
            assert sum(await asyncio.gather(look(), look())) == 2
            assert sum(await asyncio.gather(go(one, owners[0]), go(other, owners[1]))) == 1
        assert await world.count(owning) == 1


# the e-mail policy


async def test_thirty_rules_at_once_have_thirty_places_and_one_of_thirty_changes_wins(
    world: World, noon: datetime
) -> None:
    patterns = [f"domain{number}.example" for number in range(RUNNERS)]

    async def add(tx: Tx, ready: asyncio.Barrier) -> bool:
        pattern = patterns.pop()
        await ready.wait()
        await service.policy.add_rule(tx, action="allow", kind="domain", pattern=pattern, now=noon, reason="a test")
        return True

    async def add_naively(tx: Tx, ready: asyncio.Barrier) -> bool:
        last = len(await sql.roles.list_rules(tx))
        await ready.wait()
        return last == 0

    assert await race(world, add_naively) == RUNNERS, "everybody would take the first place"
    assert await race(world, add) == RUNNERS
    async with world.database.begin(SYSTEM) as tx:
        made = await sql.roles.list_rules(tx)
    assert [rule.position for rule in made] == list(range(1, RUNNERS + 1))

    async def switch(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        await service.policy.switch_rule(tx, rule_id=made[0].id, is_on=False, version=1, reason="for the test")
        return True

    async def drop(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        await service.policy.drop_rule(tx, rule_id=made[1].id, version=1, reason="for the test")
        return True

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        found = (await sql.roles.list_rules(tx))[:2]
        await ready.wait()
        return [rule.version for rule in found] == [1, 1]

    assert await race(world, naive) == RUNNERS
    assert await race(world, switch) == 1
    assert await race(world, drop) == 1
    async with world.database.begin(SYSTEM) as tx:
        left = await sql.roles.list_rules(tx)
    assert [rule.position for rule in left] == list(range(1, RUNNERS))


# lost factors


async def test_a_reset_is_planned_once_and_carried_out_once(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    await world.with_factor(await world.signed_in("alice", noon), noon)
    planned: set[FactorReset] = set()

    async def plan(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        planned.add(await service.resets.plan_reset(tx, user_id=alice.id, reason=WHY, now=noon))
        return True

    async def plan_naively(tx: Tx, ready: asyncio.Barrier) -> bool:
        found = await sql.resets.find(tx, alice.id)
        await ready.wait()
        return found is None

    assert await race(world, plan_naively) == RUNNERS
    assert await race(world, plan) == RUNNERS
    assert len(planned) == 1, "whoever comes later hears what is planned"
    told = "select count(*) from infra.audit_rows where action = 'mfa_reset.{}' and subject_user_id = %s"
    assert await world.count(told.format("plan"), alice.id) == 1

    at = later(noon, days=1)

    async def carry_out(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        return bool(await service.resets.carry_out_due(tx, now=at))

    async def carry_out_naively(tx: Tx, ready: asyncio.Barrier) -> bool:
        found = await sql.resets.find(tx, alice.id)
        await ready.wait()
        return found is not None and found.due_at <= at

    assert await race(world, carry_out_naively) == RUNNERS
    assert await race(world, carry_out) == 1
    assert await world.count(told.format("done"), alice.id) == 1


async def test_who_shows_his_factor_as_it_is_removed_has_it_or_has_it_not(world: World, noon: datetime) -> None:
    """Both take the plan first and the factor then. In two orders, as the control, they are in each other's way."""
    at, users = later(noon, days=1), 6
    secrets: dict[str, str] = {}
    people: list[UserId] = []
    for number in range(users):
        name = f"player{number}"
        user = await world.player(name, noon)
        secrets[name] = await world.with_factor(await world.signed_in(name, noon), noon)
        people.append(user.id)
    async with world.database.begin(SYSTEM) as tx:
        for user_id in people:
            await service.resets.plan_reset(tx, user_id=user_id, reason=WHY, now=noon)

    async def show(name: str) -> bool:
        entered = await identity.sign_in(
            world.house, identifier=name, password=PASSWORD, kind="browser", visitor=HOME, now=at
        )
        if isinstance(entered, identity.SignedIn):
            return False  # there is nothing to show any more
        code = totp.code_at(secrets[name], totp.step_of(at))
        try:
            await doors.second_factor(world.house, ticket=entered.ticket, code=code, visitor=HOME, now=at)
        except (identity.SecondFactorWrong, identity.TicketExpired):
            return False
        return True

    async def remove() -> int:
        await asyncio.sleep(0.02)
        async with world.database.begin(SYSTEM) as tx:
            return await service.resets.carry_out_due(tx, now=at)

    async with asyncio.timeout(60):
        removed, *shown = await asyncio.gather(remove(), *map(show, secrets))
        removed += await remove()  # what was being cancelled is passed over
    assert removed + sum(shown) == users
    assert await world.count("select count(*) from identity.totp_secrets") == sum(shown)

    control = await somebody(world, "control", noon)
    async with world.database.begin(SYSTEM) as tx:
        await sql.factors.upsert_totp(tx, control, b"a secret", now=noon)
        await sql.resets.insert(tx, FactorReset(new_id(), control, noon, at))
    ready = asyncio.Barrier(2)

    async def show_naively() -> None:
        async with world.database.begin(SYSTEM) as tx:
            await db.run(tx, "select from identity.totp_secrets where user_id = %s for update", control)
            await ready.wait()
            await sql.resets.update_cancelled(tx, control, now=at)

    async def remove_naively() -> None:
        async with world.database.begin(SYSTEM) as tx:
            await sql.resets.update_done(tx, now=at, limit=1)
            await ready.wait()
            await sql.resets.delete_factors(tx, [control])

    async with asyncio.timeout(60):
        ends = await asyncio.gather(show_naively(), remove_naively(), return_exceptions=True)
    assert sum(isinstance(one, Unavailable) for one in ends) >= 1
