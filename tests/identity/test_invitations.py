"""Invitations: who may send them, what their letter makes, and that nobody else gets in where they are needed."""

import re
from dataclasses import replace
from datetime import datetime

import pytest

from palio import identity
from palio.identity import doors, service
from palio.infra import db
from palio.kernel import clock
from tests.factories.identity import ELSEWHERE, PASSWORD, World, later
from tests.factories.ways import opened
from tests.identity.test_looks import desk, employed
from tests.identity.test_web import application, browser, code_of

WHY = "a guest of the house"
HERE = "/console/identity/invitations"
GUEST = identity.Application("guest", "", PASSWORD)


async def invited(world: World, email: str, now: datetime, *, held: frozenset[str] = frozenset()) -> str:
    """The secret of the letter."""
    async with world.database.begin_system("a test") as tx:
        await service.invitations.invite(tx, email=email, reason=WHY, held=held, now=now)
    (letter,) = await world.deliver()
    found = re.search(r"/invitation/([\w-]{43})\s", letter.text)
    assert (letter.to, letter.subject, bool(found)) == (email.lower(), "You are invited", True)
    return found[1] if found else ""


async def accepted(world: World, secret: str, now: datetime, **said: object) -> identity.User:
    form = replace(GUEST, **said)  # type: ignore[arg-type]  # fields of an application
    user_id = await doors.accept_invitation(world.house, secret=secret, application=form, visitor=ELSEWHERE, now=now)
    async with world.database.begin_system("a test") as tx:
        return await identity.get(tx, name_or_id=user_id)


async def test_whoever_opens_the_letter_has_the_account_once_and_its_address_is_proven(
    world: World, noon: datetime
) -> None:
    secret = await invited(world, "Guest@Example.com", noon)
    assert "guest" not in world.everything()
    with pytest.raises(identity.PasswordTooWeak):
        await accepted(world, secret, noon, password="guest guest")
    with pytest.raises(identity.UsernameReserved):
        await accepted(world, secret, noon, username="admin")
    user = await accepted(world, secret, later(noon, days=6.99), time_zone="Asia/Tokyo", display_name="A Guest")

    assert (user.username, user.display_name, user.status, user.time_zone) == (
        "guest",
        "A Guest",
        "active",
        "Asia/Tokyo",
    )
    assert (await world.signed_in("guest@example.com", noon)).user_id == user.id
    with pytest.raises(identity.TokenInvalid):
        await accepted(world, secret, noon, username="another")
    async with world.database.begin_system("a test") as tx:
        assert (await identity.contacts_many(tx, ids=[user.id]))[user.id].emails == ("guest@example.com",)
        kinds = await db.column(tx, "select first_kind from identity.ip_addresses where user_id = %s", user.id)
        assert "registration" in kinds
        assert await service.invitations.waiting(tx) == []


async def test_a_letter_is_good_for_a_week_and_the_last_one_alone_leaves_an_account(world: World) -> None:
    noon = clock.now()  # by which letters are written
    first, second = await invited(world, "guest@example.com", noon), await invited(world, "guest@example.com", noon)
    with pytest.raises(identity.TokenInvalid):
        await accepted(world, first, later(noon, days=7.01))
    await accepted(world, second, noon)
    with pytest.raises(identity.TokenInvalid):
        await accepted(world, first, noon, username="another")
    assert await world.count("select count(*) from identity.users") == 1
    with pytest.raises(identity.EmailTaken):
        await invited(world, "GUEST@example.com", noon)


async def test_where_an_invitation_is_needed_nobody_makes_an_account_without_one(world: World, noon: datetime) -> None:
    await opened(world, REGISTRATION="invite")
    try:
        with pytest.raises(identity.InvitationNeeded):
            await world.player("alice", noon)
        secret = await invited(world, "guest@example.com", noon)
        assert (await accepted(world, secret, noon)).status == "active"
        await opened(world, REGISTRATION="closed")
        with pytest.raises(identity.RegistrationClosed):
            await world.player("alice", noon)
    finally:
        await opened(world)


async def test_rules_for_addresses_bind_who_invites_unless_he_may_pass_them_over(world: World, noon: datetime) -> None:
    async with world.database.begin_system("a test") as tx:
        await identity.add_rule(tx, action="deny", kind="domain", pattern="example.com", now=noon)
    with pytest.raises(identity.EmailNotAllowed):
        await invited(world, "guest@example.com", noon)
    secret = await invited(world, "guest@example.com", noon, held=frozenset({"identity.email_rule.bypass"}))
    assert (await accepted(world, secret, noon)).status == "active"
    async with world.database.begin_system("a test") as tx:
        changes = await db.column(
            tx,
            """select a.changes from infra.audit_rows a join identity.users u on u.id = a.subject_user_id
            where a.action = 'user.invite'""",
        )
    assert changes == [{"email": [None, "•"], "email_rules": [None, "passed over"]}]


async def test_documents_are_accepted_with_the_letter(world: World, noon: datetime) -> None:
    async with world.database.begin_system("a test") as tx:
        await identity.publish_document(tx, key="terms", texts={"en": "Be fair."}, acceptance_required=True, now=noon)
    secret = await invited(world, "guest@example.com", noon)
    with pytest.raises(identity.ConsentRequired):
        await accepted(world, secret, noon)
    user = await accepted(world, secret, noon, consents=(("terms", 1),))
    async with world.database.begin_system("a test") as tx:
        found = await identity.consents_many(tx, ids=[user.id], document_keys=["terms"])
    assert [one and one.source for one in found.values()] == ["registration"]


async def test_staff_invite_from_calls_and_pages_and_guests_come_by_both(world: World) -> None:
    stella = await employed(world, "stella", "support", clock.now())
    async with desk(world, stella) as console:
        made = await console.post(HERE, json={"email": "guest@example.com", "reason": WHY})
        assert (made.status_code, made.json()["username"].startswith("player-")) == (201, True)
        page = await console.get(f"https://palio.test{HERE}")
        token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        form = {"csrf_token": token, "email": "other@example.com", "reason": WHY}
        sent = await console.post(f"https://palio.test{HERE}", data=form)
        odd = await console.post(f"https://palio.test{HERE}", data={**form, "email": "nobody"})
        letters = {one.to: re.search(r"/invitation/([\w-]{43})\s", one.text) for one in await world.deliver()}
        listed = (await console.get(HERE)).json()["items"]
        assert (sent.status_code, sent.headers["location"], odd.status_code) == (303, f"{HERE}?told=invited", 422)
        assert len(listed) == 2
    secrets = {to: found[1] for to, found in letters.items() if found}
    async with browser(application(world)) as guest:
        said = {"token": secrets["guest@example.com"], "username": "guest", "password": PASSWORD}
        assert (await guest.post("/auth/invitation", json=said)).status_code == 200
        assert code_of(await guest.post("/auth/invitation", json=said)) == (410, "identity.token_invalid")
        address = f"https://palio.test/invitation/{secrets['other@example.com']}"
        assert "Choose the name" in (await guest.get(address)).text
        weak = await guest.post(address, data={"username": "other", "password": "password"})
        assert (weak.status_code, 'value="other"' in weak.text) == (422, True)
        done = await guest.post(address, data={"username": "other", "password": PASSWORD})
        assert (done.status_code, done.headers["location"]) == (303, "/sign-in?told=verified")
        login = await guest.post("/auth/login", json={"identifier": "other", "password": PASSWORD})
        assert login.status_code == 200
