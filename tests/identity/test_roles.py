"""Roles: who may give which, and that somebody always owns the house."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from psycopg import sql

from palio import identity
from palio.entry import operators, wiring
from palio.identity.service import avatars, friends, uploads
from palio.identity.types import PERMISSIONS
from palio.identity.web.reception import asking_of
from palio.infra import db, totp
from palio.kernel.errors import Forbidden
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from palio.kernel.permissions import Object
from tests.factories.identity import HOME, PASSWORD, World, cookie, later

WHY = "for the test"
EVERYTHING = frozenset(permission.name for permission in PERMISSIONS)
NAMES = [("a@example.com", "owner"), ("support@example.com", "support2"), ("x.y+z@example.com", "x.yz")]


def staff(user_id: UserId) -> Actor:
    return Actor("staff", user_id, RequestId(new_id()))


async def grant(world: World, user_id: UserId, role: str, now: datetime) -> None:
    async with world.database.begin_system("a test") as tx:
        await identity.grant_role(tx, user_id=user_id, role=role, reason=WHY, now=now)


async def held(world: World, user_id: UserId, now: datetime) -> list[str]:
    async with world.database.begin_system("a test") as tx:
        return [one.role for one in await identity.grants_of(tx, user_id=user_id, now=now)]


async def test_owners_may_everything_and_administrators_all_but_making_owners(world: World) -> None:
    async with world.database.begin_system("a test") as tx:
        roles = {role.name: role for role in await identity.list_roles(tx)}

    everything = {permission.name for permission in PERMISSIONS}
    assert {*roles["owner"].permissions} == everything
    assert {*roles["admin"].permissions} == everything - {"identity.role.grant_owner"}
    assert roles["auditor"].permissions == ["identity.session.prove", "identity.user.read"]
    assert roles["races"].permissions == ["identity.session.prove"]
    assert all(role.mfa_required for role in roles.values())


async def test_a_role_ends_the_sessions_and_is_written_down(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    session = await world.signed_in("alice", noon)
    await grant(world, alice.id, "support", noon)

    assert not await world.recognised(cookie(session), noon)
    async with world.database.begin_system("a test") as tx:
        rows = await db.value(
            tx, "select changes from infra.audit_rows where action = 'role.grant' and subject_user_id = %s", alice.id
        )
        assert await identity.staff_with(tx, permission="identity.session.end", now=noon) == [alice.id]
    assert rows == {"role": [None, "support"]}


async def test_nobody_gives_what_he_lacks_nor_to_himself(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    all_but_owners = frozenset(permission.name for permission in PERMISSIONS if not permission.owner_only)

    async def give(role: str, to: UserId, holding: frozenset[str], reason: str = WHY) -> None:
        async with world.database.begin(staff(alice.id)) as tx:
            await identity.grant_role(tx, user_id=to, role=role, reason=reason, now=noon, held=holding)

    for role, to, holding, reason, refusal in (
        ("support", bob.id, frozenset[str](), WHY, Forbidden),
        ("owner", bob.id, all_but_owners, WHY, Forbidden),
        ("finance", bob.id, all_but_owners, WHY, Forbidden),
        ("support", alice.id, all_but_owners, WHY, identity.SelfGrant),
        ("support", bob.id, all_but_owners, "so", identity.ReasonTooShort),
        ("emperor", bob.id, all_but_owners, WHY, identity.NoSuchRole),
        ("support", UserId(new_id()), all_but_owners, WHY, identity.NoSuchUser),
    ):
        with pytest.raises(refusal):
            await give(role, to, holding, reason)
    assert await held(world, bob.id, noon) == []

    await give("support", bob.id, all_but_owners)
    with pytest.raises(identity.AlreadyGranted):
        await give("support", bob.id, all_but_owners)
    assert await held(world, bob.id, noon) == ["support"]


async def test_a_role_for_a_while_ends_by_itself_and_can_be_given_again(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    async with world.database.begin_system("a test") as tx:
        with pytest.raises(identity.GrantExpired):
            await identity.grant_role(tx, user_id=alice.id, role="races", reason=WHY, now=noon, expires_at=noon)
        until = later(noon, days=1)
        await identity.grant_role(tx, user_id=alice.id, role="races", reason=WHY, now=noon, expires_at=until)

    assert await held(world, alice.id, later(noon, days=0.9)) == ["races"]
    assert await held(world, alice.id, until) == []
    await grant(world, alice.id, "races", until)
    assert await held(world, alice.id, until) == ["races"]


async def test_the_last_owner_stays(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    await grant(world, alice.id, "owner", noon)

    async def take(user_id: UserId) -> None:
        async with world.database.begin_system("a test") as tx:
            await identity.revoke_role(tx, user_id=user_id, role="owner", reason=WHY, now=noon)

    with pytest.raises(identity.LastOwner):
        await take(alice.id)
    with pytest.raises(identity.NotGranted):
        await take(bob.id)
    await grant(world, bob.id, "owner", noon)
    await take(alice.id)
    with pytest.raises(identity.LastOwner):
        await take(bob.id)


async def test_an_owner_whose_grant_runs_out_is_not_the_one_who_stays(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    await grant(world, alice.id, "owner", noon)
    async with world.database.begin_system("a test") as tx:
        await identity.grant_role(
            tx, user_id=bob.id, role="owner", reason=WHY, now=noon, expires_at=later(noon, days=365)
        )
    for leave in (
        lambda tx, user_id: identity.revoke_role(tx, user_id=user_id, role="owner", reason=WHY, now=noon),
        lambda tx, user_id: identity.suspend(tx, user_id=user_id, reason=WHY, now=noon, held=EVERYTHING),
        lambda tx, user_id: identity.ask_for_erasure(tx, user_id=user_id, now=noon),
    ):
        with pytest.raises(identity.LastOwner):
            async with world.database.begin_system("a test") as tx:
                await leave(tx, alice.id)
        async with operators.acting(world.database, dry_run=True) as tx:
            await leave(tx, bob.id)
    assert (await held(world, alice.id, noon), await held(world, bob.id, noon)) == (["owner"], ["owner"])
    with pytest.raises(identity.OwnerExists):
        await first_owner(world, noon, "other@example.com")


async def first_owner(world: World, now: datetime, email: str = "Chief@Example.com") -> str:
    async with world.database.begin_system("a test") as tx:
        return await identity.invite_first_owner(tx, email=email, now=now, reason=WHY)


async def test_the_first_owner_comes_by_a_printed_link_once(world: World, noon: datetime) -> None:
    older, secret = await first_owner(world, noon), await first_owner(world, noon)
    with pytest.raises(identity.TokenInvalid):
        await identity.accept_first_owner(world.house, secret=older, new=PASSWORD, now=noon)
    with pytest.raises(identity.TokenInvalid):
        await identity.accept_first_owner(world.house, secret=secret, new=PASSWORD, now=later(noon, minutes=60))
    with pytest.raises(identity.PasswordTooWeak):
        await identity.accept_first_owner(world.house, secret=secret, new="chief chief", now=noon)
    user_id = await identity.accept_first_owner(world.house, secret=secret, new=PASSWORD, now=later(noon, minutes=59.9))

    async with world.database.begin_system("a test") as tx:
        owner = await identity.get(tx, name_or_id=user_id)
    assert (owner.username, owner.status) == ("Chief".lower(), "active")
    assert await held(world, user_id, noon) == ["owner"]
    assert (await world.signed_in("chief@example.com", noon)).user_id == user_id
    with pytest.raises(identity.TokenInvalid):
        await identity.accept_first_owner(world.house, secret=secret, new=PASSWORD, now=noon)
    with pytest.raises(identity.OwnerExists):
        await first_owner(world, noon, "other@example.com")


async def test_a_player_may_become_the_first_owner_with_the_account_he_has(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    secret = await first_owner(world, noon, "ALICE@example.com")

    assert await identity.accept_first_owner(world.house, secret=secret, new="a new good secret", now=noon) == alice.id
    assert await held(world, alice.id, noon) == ["owner"]


@pytest.mark.parametrize(("email", "name"), NAMES)
async def test_an_account_that_waits_for_its_owner_has_a_name_like_his_address(
    world: World, noon: datetime, email: str, name: str
) -> None:
    await first_owner(world, noon, email)

    assert (
        await world.count("select count(*) from identity.users where username = %s and status = 'pending'", name) == 1
    )


async def test_row_security_shows_nobody_the_proofs_of_another(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    await world.with_factor(await world.signed_in("alice", noon), noon)
    async with world.database.begin_system("a test") as tx:
        await identity.create_token(tx, user_id=alice.id, name="bot", scopes=["mcp:read"], now=noon)
        await identity.grant_role(tx, user_id=alice.id, role="support", reason=WHY, now=noon)
        await identity.take_break(tx, user_id=alice.id, length="24h", now=noon)
        version = await identity.publish_document(
            tx, key="terms", texts={"en": "Be fair."}, acceptance_required=False, now=noon
        )
        await identity.give_consent(tx, user_id=alice.id, key="terms", version=version, now=noon)
        await avatars.announce(tx, user_id=alice.id, now=noon)
        await friends.act(tx, user_id=alice.id, friend_id=bob.id, what="ask", now=noon)
        await identity.ask_for_export(tx, user_id=alice.id, now=noon)
        await uploads.take(tx, user_id=alice.id, sent=1, now=noon)
        await identity.note_legacy(tx, source="shop", ids=[("17", alice.id)], now=noon)
    with world.superuser() as server:
        owned = [
            name
            for (name,) in server.execute(
                """select distinct c.relname from pg_attribute a join pg_class c on c.oid = a.attrelid
                where c.relnamespace = 'identity'::regnamespace and a.attname = 'user_id' and c.relkind in ('r', 'p')
                  and not c.relispartition order by 1"""
            ).fetchall()
        ]

    async def seen(actor: Actor) -> dict[str, int]:
        async with world.database.begin(actor) as tx:
            return {
                name: await db.value(
                    tx,
                    sql.SQL("select count(*) from {} where user_id = %s").format(sql.Identifier("identity", name)),  # type: ignore[arg-type]  # a name of the catalogue
                    alice.id,
                )
                for name in owned
            }

    request = RequestId(new_id())
    assert {*(await seen(Actor("none", None, request))).values()} == {0}
    assert {*(await seen(Actor("player", bob.id, request))).values()} == {0}  # not even that she asks him
    mine = await seen(Actor("player", alice.id, request))
    of_staff = {"reveals", "reveal_permits", "staff_notes"}  # their subject does not see them
    unused = {"passkeys", "privacy_steps", "recovery_codes", "refresh_tokens", "user_pii", "factor_resets"}
    unused |= {"time_zone_changes"}
    elsewhere = {"phones", "external_identities", "telegram_accounts", "telegram_link_events", "otp_challenges"}
    empty = {name for name, count in mine.items() if not count}
    assert empty == {*of_staff, *unused, *elsewhere, "auth_flows"}
    assert HOME.ip not in str(mine)


CUP, LEAGUE = (Object("competition", UUID(int=number)) for number in (1, 2))


@pytest.fixture
async def everything(world: World, noon: datetime) -> None:
    """The roles as the whole product declares them."""
    async with world.database.begin_system("a test") as tx:
        await identity.declare_roles(tx, permissions=wiring.PERMISSIONS, now=noon)


async def of_one(world: World, user_id: UserId, role: str, of: Object | None, now: datetime) -> None:
    async with world.database.begin_system("a test") as tx:
        await identity.grant_role(tx, user_id=user_id, role=role, reason=WHY, now=now, of=of)


@pytest.mark.usefixtures("everything")
async def test_a_role_of_one_thing_counts_for_it_alone(world: World, noon: datetime) -> None:
    """His session says what he may everywhere, and what of which thing; it takes the second factor as ever."""
    alice = await world.player("alice", noon)
    session = await world.signed_in("alice", noon)
    secret = await world.with_factor(session, noon)
    await of_one(world, alice.id, "races", CUP, noon)
    await of_one(world, alice.id, "moderator", LEAGUE, noon)
    at = noon + timedelta(minutes=1)
    due = await identity.sign_in(
        world.house, identifier="alice", password=PASSWORD, kind="console", visitor=HOME, now=at
    )
    code = totp.code_at(secret, totp.step_of(at))
    opened = await identity.second_factor(world.house, ticket=due.ticket, code=code, visitor=HOME, now=at)

    found = await world.doorman.recognise(cookie(opened, console=True), now=at)
    assert found.permissions == []
    ask = asking_of(found, RequestId(new_id()))
    adjust, out = "competitions.score.adjust", "competitions.entrant.disqualify"
    assert {adjust, out} <= ask.before("competitions", [str(CUP)]).permissions
    assert {adjust, out} & ask.before("competitions", [str(LEAGUE)]).permissions == {out}
    assert adjust not in ask.before("races", [str(CUP)]).permissions, "a module asks about its own"
    assert ask.before("competitions", [str(Object("competition", UUID(int=3)))]).permissions == frozenset()
    async with world.database.begin_system("a test") as tx:
        assert await identity.staff_with(tx, permission=adjust, now=noon) == []


@pytest.mark.usefixtures("everything")
async def test_roles_of_things_are_given_and_taken_one_by_one(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)

    async def standing() -> list[tuple[str, str]]:
        async with world.database.begin_system("a test") as tx:
            grants = await identity.grants_of(tx, user_id=alice.id, now=noon)
        return [(one.role, str(one.of or "")) for one in grants]

    async def take(of: Object | None) -> None:
        async with world.database.begin_system("a test") as tx:
            await identity.revoke_role(tx, user_id=alice.id, role="races", reason=WHY, now=noon, of=of)

    for of in (CUP, LEAGUE, None):
        await of_one(world, alice.id, "races", of, noon)
        with pytest.raises(identity.AlreadyGranted):
            await of_one(world, alice.id, "races", of, noon)
    assert await standing() == [("races", ""), ("races", str(CUP)), ("races", str(LEAGUE))]
    await take(None)
    await take(CUP)
    assert await standing() == [("races", str(LEAGUE))]
    for of in (None, CUP):
        with pytest.raises(identity.NotGranted):
            await take(of)
    async with world.database.begin_system("a test") as tx:
        changes = await db.column(tx, "select changes->'role'->>1 from infra.audit_rows where action = 'role.grant'")
    assert f"races of {CUP}" in changes


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize("role", ["owner", "admin", "finance", "store"])
async def test_a_role_that_says_nothing_or_too_much_of_one_thing_is_held_everywhere(
    world: World, noon: datetime, role: str
) -> None:
    alice = await world.player("alice", noon)
    with pytest.raises(identity.RoleIndivisible):
        await of_one(world, alice.id, role, CUP, noon)
    assert await held(world, alice.id, noon) == []


@pytest.mark.usefixtures("everything")
async def test_nobody_gives_of_one_thing_what_he_lacks(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    holds = frozenset({"competitions.score.adjust"})
    with pytest.raises(Forbidden):
        async with world.database.begin(staff(alice.id)) as tx:
            await identity.grant_role(tx, user_id=bob.id, role="races", reason=WHY, now=noon, held=holds, of=CUP)
    assert await held(world, bob.id, noon) == []
