"""Addresses of somebody with an account, and his user name: added, proven, replaced, and never a way to take over."""

from collections.abc import AsyncIterator
from datetime import datetime

import httpx2
import pytest
from starlette.types import ASGIApp

from palio import identity
from palio.identity import doors, errors, service
from palio.identity.types import Email, EmailId
from tests.factories.identity import HOME, PASSWORD, World, later, secret_in, subjects
from tests.identity.test_web import application, browser, code_of, log_in

SECOND = "second@example.com"


@pytest.fixture
async def alice(world: World, noon: datetime) -> identity.User:
    return await world.player("alice", noon)


async def emails(world: World, user: identity.User) -> list[Email]:
    async with world.database.begin_system("a test") as tx:
        return await service.contacts.emails_of(tx, user_id=user.id)


async def added(world: World, user: identity.User, now: datetime, text: str = SECOND) -> EmailId:
    return await doors.add_email(world.house, user_id=user.id, text=text, now=now)


async def proven(world: World, user: identity.User, now: datetime, text: str = SECOND) -> EmailId:
    email_id = await added(world, user, now, text)
    (letter,) = await world.deliver()
    await doors.confirm_email(world.house, user_id=user.id, secret=secret_in(letter), now=now)
    return email_id


async def refused(world: World, name: str, now: datetime) -> str:
    with pytest.raises(identity.BadCredentials) as failure:
        await world.signed_in(name, now)
    return failure.value.code


async def test_an_address_is_added_proven_made_primary_and_the_old_one_told_and_removed(
    world: World, noon: datetime, alice: identity.User
) -> None:
    email_id = await added(world, alice, noon, " Second@EXAMPLE.com ")
    (letter,) = await world.deliver()
    assert (letter.to, letter.subject) == (SECOND, "Confirm your new address")
    assert "/account/emails/confirm/" in letter.text
    with pytest.raises(errors.EmailUnverified):
        await doors.make_email_primary(world.house, user_id=alice.id, email_id=email_id)
    assert await refused(world, SECOND, noon)  # it opens nothing yet
    await doors.confirm_email(world.house, user_id=alice.id, secret=secret_in(letter), now=noon)
    with pytest.raises(identity.TokenInvalid):
        await doors.confirm_email(world.house, user_id=alice.id, secret=secret_in(letter), now=noon)
    assert await world.signed_in(SECOND, noon)

    first = (await emails(world, alice))[0]
    with pytest.raises(errors.EmailIsPrimary):
        await doors.remove_email(world.house, user_id=alice.id, email_id=first.id, now=noon)
    await doors.make_email_primary(world.house, user_id=alice.id, email_id=email_id)
    (told,) = await world.deliver()
    assert (told.to, told.subject) == ("alice@example.com", "An address of your account was changed")
    await doors.make_email_primary(world.house, user_id=alice.id, email_id=email_id)  # again: nothing
    await doors.remove_email(world.house, user_id=alice.id, email_id=first.id, now=noon)
    (told,) = await world.deliver()
    assert told.to == "alice@example.com"
    assert [(one.address, one.is_primary) for one in await emails(world, alice)] == [(SECOND, True)]
    assert await refused(world, "alice@example.com", noon)
    assert SECOND not in world.everything()


async def test_three_addresses_are_enough_and_none_twice(world: World, noon: datetime, alice: identity.User) -> None:
    with pytest.raises(errors.EmailKnown):
        await added(world, alice, noon, "ALICE@example.com")
    await added(world, alice, noon, "b@example.com")
    await added(world, alice, noon, "c@example.com")
    with pytest.raises(errors.TooManyEmails):
        await added(world, alice, noon, "d@example.com")
    with pytest.raises(identity.EmailInvalid):
        await added(world, alice, noon, "no address")


async def test_an_address_of_another_is_told_to_him_alone(world: World, noon: datetime, alice: identity.User) -> None:
    await world.player("bob", noon)
    await added(world, alice, noon, "bob@example.com")
    (letter,) = await world.deliver()
    assert (letter.to, letter.subject) == ("bob@example.com", "This address has an account already")
    assert await world.signed_in("bob@example.com", noon)
    async with world.database.begin_system("a test") as tx:
        await identity.ask_for_letter(tx, letter="password_reset", email="bob@example.com")
    (letter,) = await world.deliver()
    assert "bob" in letter.text
    assert "alice" not in letter.text


async def test_whoever_reads_an_address_that_was_only_said_takes_over_nothing(
    world: World, noon: datetime, alice: identity.User
) -> None:
    """Alice mistypes her address: its owner gets neither a reset of hers, nor does she keep it from him."""
    await added(world, alice, noon, "typo@example.com")
    await world.deliver()
    async with world.database.begin_system("a test") as tx:
        await identity.ask_for_letter(tx, letter="password_reset", email="typo@example.com")
    assert await world.deliver() == []
    made = await identity.register(
        world.house,
        application=identity.Application("carol", "typo@example.com", PASSWORD),
        visitor=HOME,
        now=noon,
    )
    (letter,) = await world.deliver()
    await identity.verify_email(world.house, secret=secret_in(letter), registration=made.told, visitor=HOME, now=noon)
    assert [one.address for one in await emails(world, alice)] == ["alice@example.com"]


async def test_a_first_address_that_is_added_later_is_only_said_too(world: World, noon: datetime) -> None:
    """Who came by a telephone has none: the one he adds is the primary one, and names him once it is proven."""
    async with world.database.begin_system("a test") as tx:
        user_id = await service.phones.arrive(tx, number="+4915112345689", locale="en", visitor=HOME, now=noon)
    await doors.add_email(world.house, user_id=user_id, text="typo@example.com", now=noon)
    (letter,) = await world.deliver()
    async with world.database.begin_system("a test") as tx:
        await identity.ask_for_letter(tx, letter="password_reset", email="typo@example.com")
    assert await world.deliver() == []
    await doors.confirm_email(world.house, user_id=user_id, secret=secret_in(letter), now=noon)
    async with world.database.begin_system("a test") as tx:
        await identity.ask_for_letter(tx, letter="password_reset", email="typo@example.com")
    assert len(await world.deliver()) == 1


async def test_a_link_is_good_for_whom_it_was_made_until_the_address_goes(
    world: World, noon: datetime, alice: identity.User
) -> None:
    bob = await world.player("bob", noon)
    email_id = await added(world, alice, noon)
    (letter,) = await world.deliver()
    with pytest.raises(identity.TokenInvalid):
        await doors.confirm_email(world.house, user_id=bob.id, secret=secret_in(letter), now=noon)
    with pytest.raises(errors.NoSuchEmail):
        await doors.remove_email(world.house, user_id=bob.id, email_id=email_id, now=noon)
    await doors.remove_email(world.house, user_id=alice.id, email_id=email_id, now=noon)
    assert subjects(await world.deliver()) == []  # it was never proven: nobody to tell
    with pytest.raises(identity.TokenInvalid):
        await doors.confirm_email(world.house, user_id=alice.id, secret=secret_in(letter), now=noon)


async def test_the_last_way_in_is_not_removed(world: World, noon: datetime, alice: identity.User) -> None:
    email_id = await proven(world, alice, noon)
    with world.superuser() as server:
        server.execute("update identity.emails set verified_at = null where is_primary")
    for opened, refuses in (({"email_link"}, True), ({"password"}, False)):
        async with world.database.begin_system("a test") as tx:
            try:
                await service.contacts.remove_email(tx, user_id=alice.id, email_id=email_id, opened=opened, now=noon)
                assert not refuses
            except errors.LastLoginMethod:
                assert refuses
    assert await world.count("select count(*) from identity.emails") == 1


async def test_a_change_is_audited_and_told(world: World, noon: datetime, alice: identity.User) -> None:
    await proven(world, alice, noon)
    told = await world.count(
        "select count(*) from infra.audit_rows where subject_user_id = %s and action = 'account.secure'", alice.id
    )
    assert told == 1


async def test_a_user_name_changes_once_a_month_and_the_old_one_is_kept(
    world: World, noon: datetime, alice: identity.User
) -> None:
    await world.player("bob", noon)
    for name, refusal in (("BOB", identity.UsernameTaken), ("admin", identity.UsernameReserved)):
        with pytest.raises(refusal):
            await doors.rename(world.house, user_id=alice.id, username=name, now=noon)
    renamed = await doors.rename(world.house, user_id=alice.id, username="alicia", now=noon)
    assert renamed.username == "alicia"
    assert (await doors.rename(world.house, user_id=alice.id, username="alicia", now=noon)).version == renamed.version
    assert await refused(world, "alice", noon)
    assert await world.signed_in("alicia", noon)
    with pytest.raises(errors.UsernameChangeTooSoon):
        await doors.rename(world.house, user_id=alice.id, username="alison", now=later(noon, days=29.9))
    stranger = identity.Application("alice", "new@example.com", PASSWORD)
    for days, is_free in ((89, False), (91, True)):
        try:
            await doors.judge_application(world.house, application=stranger, now=later(noon, days=days))
        except identity.UsernameTaken:
            assert not is_free
        else:
            assert is_free
    await doors.rename(world.house, user_id=alice.id, username="alison", now=later(noon, days=30))


@pytest.fixture
def app(world: World) -> ASGIApp:
    return application(world)


@pytest.fixture
async def here(app: ASGIApp, world: World, noon: datetime) -> AsyncIterator[httpx2.AsyncClient]:
    await world.player("alice", noon)
    async with browser(app) as client:
        await log_in(client)
        yield client


async def test_addresses_and_name_over_http(world: World, here: httpx2.AsyncClient) -> None:
    made = await here.post("/me/emails", json={"email": SECOND})
    assert made.status_code == 201, made.text
    second = made.json()["items"][1]
    assert (second["email"], second["is_primary"], second["verified_at"]) == (SECOND, False, None)
    assert code_of(await here.post("/me/emails", json={"email": SECOND})) == (409, "identity.email_known")
    assert code_of(await here.post(f"/me/emails/{second['id']}/primary")) == (409, "identity.email_unverified")
    assert (await here.post(f"/me/emails/{second['id']}/letter")).status_code == 202
    letters = await world.deliver()
    secret = secret_in(letters[-1])
    confirmed = await here.post("/me/emails/confirm", json={"token": secret})
    assert confirmed.status_code == 200
    assert code_of(await here.post("/me/emails/confirm", json={"token": secret})) == (410, "identity.token_invalid")
    assert (await here.post(f"/me/emails/{second['id']}/primary")).json()["items"][0]["email"] == SECOND
    assert (await here.get("/me")).json()["email"] == SECOND
    assert code_of(await here.delete(f"/me/emails/{second['id']}")) == (409, "identity.email_is_primary")
    assert (await here.put("/me/username", json={"username": "alicia"})).status_code == 200
    again = await here.put("/me/username", json={"username": "alison"})
    assert code_of(again) == (409, "identity.username_change_too_soon")


async def test_pages_of_addresses_and_of_a_new_name(world: World, here: httpx2.AsyncClient) -> None:
    site = "https://palio.test"
    page = (await here.get(f"{site}/account/emails")).text
    assert "alice@example.com" in page
    assert 'name="email"' in page
    assert "New user name" in (await here.get(f"{site}/account")).text
    assert "Confirm it" in (await here.get(f"{site}/account/emails/confirm/{'x' * 43}")).text
