"""Devices: listed, forgotten, trusted for the second factor; and from where somebody came."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from palio import identity
from palio.identity import rules, service, types
from palio.identity.doors import arrival
from palio.infra import db, totp
from palio.kernel.ids import Actor, RequestId, new_id
from palio.kernel.parts import Part
from tests.factories.identity import ELSEWHERE, HOME, PASSWORD, World, cookie, later

MINUTE = timedelta(minutes=1)


async def devices(world: World, user_id: object, now: datetime, current: object = None) -> list[types.Device]:
    async with world.database.begin_system("a test") as tx:
        return await service.devices.devices_of(tx, user_id=user_id, current=current, now=now)  # type: ignore[arg-type]  # ids of a test


async def test_a_device_is_listed_with_its_sessions_and_forgotten_with_them(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    here = await world.signed_in("alice", noon)
    there = await world.signed_in("alice", later(noon, minutes=1), visitor=ELSEWHERE)
    again = replace(ELSEWHERE, device_key=there.device_key)
    await world.signed_in("alice", later(noon, minutes=2), visitor=again)

    known = await devices(world, alice.id, noon, here.session_id)
    assert [(one.label, one.platform, one.sessions, one.is_current) for one in known] == [
        ("curl", None, 2, False),
        ("Firefox on Linux", "linux", 1, True),
    ]
    player = Actor("player", alice.id, RequestId(new_id()))
    async with world.database.begin(player) as tx:
        await service.devices.forget(tx, user_id=alice.id, device_id=known[0].id, now=noon)
    assert [one.label for one in await devices(world, alice.id, noon)] == ["Firefox on Linux"]
    assert not await world.recognised(cookie(there), noon)
    assert await world.recognised(cookie(here), noon)

    with pytest.raises(identity.NoSuchDevice):
        async with world.database.begin(player) as tx:
            await service.devices.forget(tx, user_id=alice.id, device_id=known[0].id, now=noon)
    await world.signed_in("alice", later(noon, minutes=3), visitor=again)
    assert len(await devices(world, alice.id, noon)) == 2  # it is a new one


@pytest.mark.parametrize(
    ("program", "platform"),
    [
        ("Mozilla/5.0 (Linux; Android 15; Pixel 9) Chrome/140.0", "android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1", "ios"),
        ("Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) Safari/604.1", "ios"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Safari/605.1", "macos"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Edg/140.0", "windows"),
        ("curl/8.5", None),
    ],
)
def test_a_program_says_on_what_it_runs(program: str, platform: str | None) -> None:
    assert rules.sessions.platform_of(program) == platform


async def test_a_device_keeps_its_platform_when_it_says_none(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    here = await world.signed_in("alice", noon)
    silent = replace(HOME, device_key=here.device_key, user_agent="")
    await world.signed_in("alice", later(noon, minutes=1), visitor=silent)
    assert [one.platform for one in await devices(world, alice.id, noon)] == ["linux"]


async def test_nobody_forgets_the_device_of_another(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    session = await world.signed_in("alice", noon)
    with pytest.raises(identity.NoSuchDevice):
        async with world.database.begin(Actor("player", bob.id, RequestId(new_id()))) as tx:
            await service.devices.forget(tx, user_id=bob.id, device_id=session.device_id, now=noon)
    assert await world.recognised(cookie(session), noon)
    assert len(await devices(world, alice.id, noon)) == 1


async def trusting(world: World, now: datetime, *, device_key: str | None = None) -> tuple[str, identity.SignedIn]:
    """Alice, who shows her second factor and says that this device is hers."""
    session = await world.signed_in("alice", now)
    secret = await world.with_factor(session, now)
    at = now + MINUTE
    visitor = replace(HOME, device_key=session.device_key)
    due = await identity.sign_in(
        world.house, identifier="alice", password=PASSWORD, kind="browser", visitor=visitor, now=at
    )
    assert isinstance(due, identity.SecondFactorDue)
    code = totp.code_at(secret, totp.step_of(at))
    opened = await identity.second_factor(
        world.house, ticket=due.ticket, code=code, trusts_device=True, visitor=visitor, now=at
    )
    return secret, opened


async def entered(world: World, now: datetime, visitor: identity.Visitor, kind: str = "browser") -> object:
    return await identity.sign_in(
        world.house, identifier="alice", password=PASSWORD, kind=kind, visitor=visitor, now=now
    )


async def test_a_trusted_device_stands_for_the_second_factor_for_a_while(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    _, opened = await trusting(world, noon)
    mine = replace(HOME, device_key=opened.device_key)

    found = await entered(world, later(noon, days=29), mine)
    assert isinstance(found, identity.SignedIn)
    known = await world.doorman.recognise(cookie(found), now=later(noon, days=29))
    assert known
    assert (known.mfa_at, known.proved_at) == (None, None)  # what is dangerous still takes the code
    assert isinstance(await entered(world, later(noon, days=29), HOME), identity.SecondFactorDue)
    assert isinstance(await entered(world, later(noon, days=31), mine), identity.SecondFactorDue)


@pytest.mark.parametrize("method", ["phone_otp", "telegram", "google", "email_link"])
async def test_a_trusted_device_stands_for_it_whichever_way_somebody_comes(
    world: World, noon: datetime, method: types.AuthMethod
) -> None:
    alice = await world.player("alice", noon)
    _, opened = await trusting(world, noon)
    mine = replace(HOME, device_key=opened.device_key)

    async def come(visitor: identity.Visitor, now: datetime, kind: types.SessionKind = "browser") -> object:
        async with world.database.begin_system("a test") as tx:
            attempt = await service.attempts.knock_by(tx, method=method, visitor=visitor, now=now)
            return await arrival.enter(tx, attempt, alice.id, method=method, kind=kind, visitor=visitor, now=now)

    found = await come(mine, later(noon, days=29))
    assert isinstance(found, identity.SignedIn)
    known = await world.doorman.recognise(cookie(found), now=later(noon, days=29))
    assert known
    assert (known.mfa_at, known.proved_at) == (None, None)  # what is dangerous still takes the code
    for visitor, days in ((HOME, 29), (mine, 31)):
        assert isinstance(await come(visitor, later(noon, days=days)), identity.SecondFactorDue)
    async with world.database.begin_system("a test") as tx:
        await identity.grant_role(tx, user_id=alice.id, role="races", reason="for the test", now=noon)
    assert isinstance(await come(mine, later(noon, days=29)), identity.SecondFactorDue), "never for staff"


async def test_trust_ends_with_a_new_password_and_is_never_for_staff(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    _, opened = await trusting(world, noon)
    mine = replace(HOME, device_key=opened.device_key)
    async with world.database.begin_system("a test") as tx:
        await identity.grant_role(tx, user_id=alice.id, role="support", reason="a test", now=noon)
    assert isinstance(await entered(world, later(noon, days=1), mine), identity.SecondFactorDue)
    assert isinstance(await entered(world, later(noon, days=1), mine, "console"), identity.SecondFactorDue)

    async with world.database.begin_system("a test") as tx:
        await identity.revoke_role(tx, user_id=alice.id, role="support", reason="a test", now=noon)
    assert isinstance(await entered(world, later(noon, days=1), mine), identity.SignedIn)
    password = await world.house.hashed(PASSWORD)
    async with world.database.begin_system("a test") as tx:
        await service.credentials.change_password(tx, user_id=alice.id, password=password, current=None, now=noon)
    assert isinstance(await entered(world, later(noon, days=1), mine), identity.SecondFactorDue)


async def test_addresses_and_places_are_counted_and_sealed(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    assert (alice.country, alice.country_source, alice.city) == ("DE", "geo", "Berlin")
    await world.signed_in("alice", later(noon, minutes=1))
    session = await world.signed_in("alice", later(noon, minutes=2), visitor=ELSEWHERE)
    async with world.database.begin_system("a test") as tx:
        made = await identity.create_token(tx, user_id=alice.id, name="bot", scopes=["games:read"], now=noon)
    shown = identity.Presented("bearer", made.secret, ip="192.0.2.1")
    assert await world.recognised(shown, later(noon, minutes=3))

    async with world.database.begin(Actor("player", alice.id, RequestId(new_id()))) as tx:
        seen = await service.attempts.addresses_of(tx, user_id=alice.id)
        rest = await service.attempts.addresses_of(
            tx, user_id=alice.id, part=Part(50, older_than=(seen[0].last_seen_at, seen[0].id))
        )
        log_ins = await identity.log_ins(tx, user_id=alice.id)
        sessions = await identity.sessions_of(tx, user_id=alice.id, current=session.session_id, now=noon)
    assert [(one.ip, one.country, one.city, one.first_kind, one.seen_count) for one in seen] == [
        ("192.0.2.1", None, None, "api", 1),
        (ELSEWHERE.ip, "JP", "Osaka", "login", 1),
        (HOME.ip, "DE", "Berlin", "registration", 2),
    ]
    assert rest == seen[1:]
    assert [(one.country, one.city) for one in log_ins] == [("JP", "Osaka"), ("DE", "Berlin")]
    assert {(one.country, one.is_current) for one in sessions} == {("JP", True), ("DE", False)}
    stored = world.everything()
    assert not [ip for ip in (HOME.ip, ELSEWHERE.ip, "192.0.2.1") if ip in stored]


async def test_a_country_that_was_guessed_is_corrected_once(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    async with world.database.begin_system("a test") as tx:
        await service.accounts.say_once(tx, user_id=alice.id, country="FR", now=noon)
        said = await identity.get(tx, name_or_id=alice.id)
        with pytest.raises(service.accounts.rules.names.SaidAlready):
            await service.accounts.say_once(tx, user_id=alice.id, country="DE", now=noon)
    assert (said.country, said.country_source, said.city) == ("FR", "user", None)


async def test_activity_is_written_at_most_every_five_minutes(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    session = await world.signed_in("alice", noon)
    seen = []
    for minutes in (1, 2, 4, 5, 6, 10):
        world.doorman.forget()
        assert await world.recognised(cookie(session), later(noon, minutes=minutes))
        async with world.database.begin_system("a test") as tx:
            at = await db.value(tx, "select last_active_at from identity.user_activity where user_id = %s", alice.id)
        seen.append((at - noon) / MINUTE)
    assert seen == [0, 0, 0, 5, 5, 10]
