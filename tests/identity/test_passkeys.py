"""Passkeys: made, shown for a session, a second factor or a fresh proof, and never twice."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from palio import identity
from palio.identity import doors, errors, service
from palio.infra.passkeys import site_of
from tests.factories.identity import HOME, PASSWORD, World, cookie, later
from tests.factories.passkeys import PRESENT, Authenticator, decoded, encoded


async def enrolled(
    world: World, session: identity.SignedIn, now: datetime, *, name: str = "my key", key: Authenticator | None = None
) -> Authenticator:
    key = key or Authenticator()
    options = await doors.new_passkey_options(world.house, user_id=session.user_id, now=now)
    await doors.add_passkey(
        world.house,
        user_id=session.user_id,
        session_id=session.session_id,
        credential=key.make(options),
        name=name,
        now=now,
    )
    return key


async def entered(world: World, key: Authenticator, now: datetime, *, kind: str = "browser") -> identity.SignedIn:
    options = await doors.passkey_options(world.house, now=now)
    return await doors.sign_in_by_passkey(
        world.house,
        credential=key.sign(options),
        kind=kind,
        visitor=HOME,
        now=now,  # type: ignore[arg-type]  # one of the kinds
    )


@pytest.fixture
async def alice(world: World, noon: datetime) -> identity.SignedIn:
    await world.player("alice", noon)
    return await world.signed_in("alice", noon)


async def test_a_passkey_alone_opens_a_session_that_counts_as_two_factors(
    world: World, noon: datetime, alice: identity.SignedIn
) -> None:
    key = await enrolled(world, alice, noon)
    key.count = 1
    opened = await entered(world, key, later(noon, minutes=1))

    found = await world.doorman.recognise(cookie(opened), now=later(noon, minutes=1))
    assert found
    assert (found.user_id, found.mfa_at, found.proved_at) == (alice.user_id, *[later(noon, minutes=1)] * 2)
    async with world.database.begin_system("a test") as tx:
        log_ins = await identity.log_ins(tx, user_id=alice.user_id)
        (known,) = await service.passkeys.passkeys_of(tx, user_id=alice.user_id)
        me = await service.accounts.me(tx, user_id=alice.user_id, now=noon)
    assert [(one.outcome, one.method) for one in log_ins] == [("success", "passkey"), ("success", "password")]
    assert (known.name, known.last_used_at) == ("my key", later(noon, minutes=1))
    assert me.ways == ("email_link", "passkey", "password")


async def test_with_a_passkey_a_password_is_not_enough(world: World, noon: datetime, alice: identity.SignedIn) -> None:
    key = await enrolled(world, alice, noon)
    due = await identity.sign_in(
        world.house, identifier="alice", password=PASSWORD, kind="browser", visitor=HOME, now=noon
    )
    assert isinstance(due, identity.SecondFactorDue)
    assert due.factors == ("passkey",)
    options = await doors.passkey_options(world.house, now=noon)
    opened = await doors.second_factor_by_passkey(
        world.house, ticket=due.ticket, credential=key.sign(options), visitor=HOME, now=noon
    )
    assert await world.recognised(cookie(opened), noon)
    with pytest.raises(errors.PasskeyInvalid):  # the answer was used
        await doors.second_factor_by_passkey(
            world.house, ticket=due.ticket, credential=key.sign(options), visitor=HOME, now=noon
        )

    codes = await identity.new_recovery_codes(world.house, user_id=alice.user_id, now=noon)
    assert await identity.second_factor(world.house, ticket=due.ticket, code=codes[0], visitor=HOME, now=noon)


async def test_a_passkey_of_another_is_no_second_factor_and_no_fresh_proof(
    world: World, noon: datetime, alice: identity.SignedIn
) -> None:
    await world.player("bob", noon)
    bob = await world.signed_in("bob", noon)
    hers, his = await enrolled(world, alice, noon), await enrolled(world, bob, noon)
    due = await identity.sign_in(
        world.house, identifier="alice", password=PASSWORD, kind="browser", visitor=HOME, now=noon
    )
    assert isinstance(due, identity.SecondFactorDue)
    options = await doors.passkey_options(world.house, now=noon)
    with pytest.raises(errors.PasskeyInvalid):
        await doors.second_factor_by_passkey(
            world.house, ticket=due.ticket, credential=his.sign(options), visitor=HOME, now=noon
        )
    with pytest.raises(errors.PasskeyInvalid):
        await doors.step_up_by_passkey(
            world.house,
            user_id=alice.user_id,
            session_id=alice.session_id,
            credential=his.sign(options),
            visitor=HOME,
            now=noon,
        )
    at = later(noon, minutes=30)
    options = await doors.passkey_options(world.house, now=at)
    renewed = await doors.step_up_by_passkey(
        world.house,
        user_id=alice.user_id,
        session_id=alice.session_id,
        credential=hers.sign(options),
        visitor=HOME,
        now=at,
    )
    assert renewed
    found = await world.doorman.recognise(identity.Presented("cookie", renewed), now=at)
    assert found
    assert found.proved_at == found.mfa_at == at


def spoilt(where: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The same answer with one bit of a member turned."""

    def spoil(credential: dict[str, Any]) -> dict[str, Any]:
        content = bytearray(decoded(credential["response"][where]))
        content[len(content) // 2] ^= 1
        return {**credential, "response": {**credential["response"], where: encoded(bytes(content))}}

    return spoil


def unchanged(credential: dict[str, Any]) -> dict[str, Any]:
    return credential


@pytest.mark.parametrize(
    ("change", "spoil"),
    [
        ({"origin": "https://evil.example"}, unchanged),
        ({"host": "evil.example"}, unchanged),
        ({"flags": PRESENT}, unchanged),  # nobody was verified
        ({"flags": 0}, unchanged),
        ({"count": 4}, unchanged),  # the counter has fallen
        ({"count": 5}, unchanged),  # or stands still
        ({"key": Authenticator().key}, unchanged),
        ({"owner": bytes(16)}, unchanged),
        ({"credential_id": bytes(16)}, unchanged),
        ({}, spoilt("clientDataJSON")),
        ({}, spoilt("authenticatorData")),
        ({}, spoilt("signature")),
        ({}, lambda credential: {**credential, "id": "*", "rawId": "*"}),
        ({}, lambda credential: {**credential, "response": {}}),
    ],
    ids=[*"abcdefghijklmn"],
)
async def test_what_proves_nothing_opens_nothing_and_is_written_down(
    world: World,
    noon: datetime,
    alice: identity.SignedIn,
    change: dict[str, Any],
    spoil: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    key = await enrolled(world, alice, noon)
    key.count = 5
    await entered(world, key, noon)
    sessions = await world.count("select count(*) from identity.sessions")

    wrong = replace(key, **{"count": 6, **change})
    options = await doors.passkey_options(world.house, now=noon)
    with pytest.raises(errors.PasskeyInvalid):
        await doors.sign_in_by_passkey(
            world.house, credential=spoil(wrong.sign(options)), kind="browser", visitor=HOME, now=noon
        )
    assert await world.count("select count(*) from identity.sessions") == sessions
    assert await world.count("select count(*) from identity.login_events where outcome = 'bad_credentials'") == 1
    assert await world.count("select sign_count from identity.passkeys") == 5


@pytest.mark.parametrize(("seconds", "is_good"), [(299, True), (301, False)])
async def test_a_question_is_good_for_five_minutes(
    world: World, noon: datetime, alice: identity.SignedIn, seconds: float, is_good: bool
) -> None:
    key = await enrolled(world, alice, noon)
    options = await doors.passkey_options(world.house, now=noon)
    at = later(noon, seconds=seconds)

    async def enter() -> object:
        return await doors.sign_in_by_passkey(
            world.house, credential=key.sign(options), kind="browser", visitor=HOME, now=at
        )

    if is_good:
        assert await enter()
    else:
        with pytest.raises(errors.PasskeyInvalid):
            await enter()


async def test_a_question_of_ours_is_for_whom_it_was_asked(
    world: World, noon: datetime, alice: identity.SignedIn
) -> None:
    await world.player("bob", noon)
    bob = await world.signed_in("bob", noon)
    options = await doors.new_passkey_options(world.house, user_id=bob.user_id, now=noon)
    anybody = await doors.passkey_options(world.house, now=noon)
    for asked in (
        options,
        {**options, "challenge": anybody["challenge"]},
        {**options, "challenge": encoded(b"x" * 56)},
    ):
        with pytest.raises(errors.PasskeyInvalid):
            await doors.add_passkey(
                world.house,
                user_id=alice.user_id,
                session_id=alice.session_id,
                credential=Authenticator().make(asked),
                name="not mine",
                now=noon,
            )
    assert await world.count("select count(*) from identity.passkeys") == 0


async def test_ten_passkeys_are_enough_and_each_has_a_name_and_one_owner(
    world: World, noon: datetime, alice: identity.SignedIn
) -> None:
    keys = [await enrolled(world, alice, noon, name=f"key {number}") for number in range(10)]
    with pytest.raises(errors.TooManyPasskeys):
        await enrolled(world, alice, noon)
    await world.player("bob", noon)
    bob = await world.signed_in("bob", noon)
    with pytest.raises(errors.PasskeyKnown):
        await enrolled(world, bob, noon, key=keys[0])
    for name in ("", " ", "x" * 61, "a\nb", "a\u200bb"):
        with pytest.raises(errors.PasskeyNameInvalid):
            await enrolled(world, bob, noon, name=name)


async def test_the_last_way_in_stays_and_codes_go_with_the_last_factor(
    world: World, noon: datetime, alice: identity.SignedIn
) -> None:
    await enrolled(world, alice, noon, name="first")
    await enrolled(world, alice, noon, name="second")
    await identity.new_recovery_codes(world.house, user_id=alice.user_id, now=noon)
    async with world.database.begin_system("a test") as tx:
        first, second = await service.passkeys.passkeys_of(tx, user_id=alice.user_id)
    await doors.remove_passkey(world.house, user_id=alice.user_id, passkey_id=first.id)
    with pytest.raises(errors.NoSuchPasskey):
        await doors.remove_passkey(world.house, user_id=alice.user_id, passkey_id=first.id)
    with world.superuser() as server:
        server.execute("delete from identity.passwords")
    with pytest.raises(errors.LastLoginMethod):
        await doors.remove_passkey(world.house, user_id=alice.user_id, passkey_id=second.id)
    assert await world.count("select count(*) from identity.passkeys") == 1
    assert await world.count("select count(*) from identity.recovery_codes") == 10

    password = await world.house.hashed(PASSWORD)
    async with world.database.begin_system("a test") as tx:
        await service.credentials.change_password(tx, user_id=alice.user_id, password=password, current=None, now=noon)
    await doors.remove_passkey(world.house, user_id=alice.user_id, passkey_id=second.id)
    assert await world.count("select count(*) from identity.recovery_codes") == 0


async def test_the_console_opens_by_a_passkey_for_staff_alone(
    world: World, noon: datetime, alice: identity.SignedIn
) -> None:
    key = await enrolled(world, alice, noon)
    with pytest.raises(identity.NotStaff):
        await entered(world, key, noon, kind="console")
    async with world.database.begin_system("a test") as tx:
        await identity.grant_role(tx, user_id=alice.user_id, role="finance", reason="a test", now=noon)
    opened = await entered(world, key, noon, kind="console")
    found = await world.doorman.recognise(cookie(opened, console=True), now=noon)
    assert found
    assert found.permissions


@pytest.mark.parametrize(
    ("address", "host", "origin"),
    [
        ("https://palio.example", "palio.example", "https://palio.example"),
        ("https://palio.example:8443/", "palio.example", "https://palio.example:8443"),
        ("http://127.0.0.1:8000", "localhost", "http://localhost:8000"),
        ("http://[::1]:8000", "localhost", "http://localhost:8000"),
    ],
)
def test_a_passkey_is_for_the_name_of_the_host(address: str, host: str, origin: str) -> None:
    site = site_of(address, "Palio")
    assert (site.host, site.origin) == (host, origin)
