"""Lost second factors: removed a day after two people agree, unless their owner shows that he has them."""

from datetime import datetime

import pytest

from palio import identity
from palio.identity import doors
from palio.identity.service import contacts, resets, sessions
from palio.infra import totp
from palio.infra.approvals import Approved
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.identity import HOME, PASSWORD, World, cookie, later
from tests.factories.passkeys import Authenticator
from tests.identity.test_looks import desk, employed
from tests.identity.test_web import application, browser


async def agreed(world: World, user_id: UserId, now: datetime) -> None:
    """What two people have agreed on is planned; a second run of the job changes nothing."""
    key, maker = f"approval:{new_id()}", Actor("staff", UserId(new_id()), RequestId(new_id()))
    for _ in range(2):
        async with world.database.begin_system("a test") as tx:
            approved = Approved({"user_id": str(user_id)}, maker, UserId(new_id()), "he called", key, now)
            await resets.carry_out_reset(tx, approved=approved)


async def due(world: World, now: datetime) -> int:
    async with world.database.begin_system("a test") as tx:
        return await resets.carry_out_due(tx, now=now)


async def factors_of(world: World, user_id: UserId) -> tuple[str, ...]:
    async with world.database.begin_system("a test") as tx:
        return await identity.factors_of(tx, user_id=user_id)


async def test_factors_go_a_day_after_it_was_agreed_and_once(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    session = await world.signed_in("alice", noon)
    await world.with_factor(session, noon)
    await agreed(world, alice.id, noon)
    early = await due(world, later(noon, days=1, seconds=-1))
    kept = await factors_of(world, alice.id)
    done = [await due(world, later(noon, days=1)) for _ in range(2)]

    assert (early, kept, done, await factors_of(world, alice.id)) == (0, ("totp",), [1, 0], ())
    assert not await world.recognised(cookie(session), later(noon, days=1))
    assert isinstance(
        await identity.sign_in(
            world.house, identifier="alice", password=PASSWORD, kind="browser", visitor=HOME, now=later(noon, days=1)
        ),
        identity.SignedIn,
    )


async def test_who_uses_his_factor_keeps_it(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    secret = await world.with_factor(await world.signed_in("alice", noon), noon)
    await agreed(world, alice.id, noon)
    now = later(noon, minutes=5)
    entered = await identity.sign_in(
        world.house, identifier="alice", password=PASSWORD, kind="browser", visitor=HOME, now=now
    )
    assert isinstance(entered, identity.SecondFactorDue)
    code = totp.code_at(secret, totp.step_of(now))
    await doors.second_factor(world.house, ticket=entered.ticket, code=code, visitor=HOME, now=now)

    assert (await due(world, later(noon, days=2)), await factors_of(world, alice.id)) == (0, ("totp",))


async def test_each_address_he_has_proven_is_written_to_and_none_once_it_is_taken_back(
    world: World, noon: datetime
) -> None:
    alice, bela = await world.player("alice", noon), await world.player("bela", noon)
    for name in ("alice", "bela"):
        await world.with_factor(await world.signed_in(name, noon), noon)
    await world.deliver()
    async with world.database.begin_system("a test") as tx:
        await contacts.add_email(tx, user_id=alice.id, text="unproven@example.com", now=noon)
    await world.deliver()
    await agreed(world, alice.id, noon)
    letters = await world.deliver()
    await agreed(world, bela.id, noon)
    async with world.database.begin_system("a test") as tx:
        await resets.cancel_reset(tx, user_id=bela.id, now=noon)
    late = await world.deliver()

    assert [(one.to, one.subject) for one in letters] == [
        ("alice@example.com", "Your second factors are about to be removed")
    ]
    assert "/account/security" in letters[0].text and "/account/security" in letters[0].html
    assert late == []


async def test_a_passkey_is_a_factor_that_was_not_lost(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    session = await world.signed_in("alice", noon)
    key = Authenticator()
    options = await doors.new_passkey_options(world.house, user_id=alice.id, now=noon)
    await doors.add_passkey(
        world.house,
        user_id=alice.id,
        session_id=session.session_id,
        credential=key.make(options),
        name="my key",
        now=noon,
    )
    await agreed(world, alice.id, noon)
    answer = key.sign(await doors.passkey_options(world.house, now=noon))
    await doors.sign_in_by_passkey(world.house, credential=answer, kind="browser", visitor=HOME, now=noon)

    assert (await due(world, later(noon, days=2)), await factors_of(world, alice.id)) == (0, ("passkey",))


async def test_he_reads_of_it_and_keeps_them_by_a_button(world: World) -> None:
    now = clock.now()
    alice = await world.player("alice", now)
    session = await world.signed_in("alice", now)
    await world.with_factor(session, now)
    await agreed(world, alice.id, now)
    world.doorman.forget()
    async with browser(application(world)) as client:
        async with world.database.begin_system("a test") as tx:
            fresh = await sessions.begin_session(
                tx, user_id=alice.id, kind="browser", method="password", visitor=HOME, with_factor=True, now=now
            )
        client.cookies.set("__Host-palio_session", cookie(fresh).token, domain="palio.test")
        told = await client.get("/me/mfa/reset")
        page = (await client.get("https://palio.test/account/security")).text
        kept = await client.post("/me/mfa/reset/cancel")
        again = await client.post("/me/mfa/reset/cancel")

    assert told.json()["due_at"] is not None
    assert "Your second factors are about to be removed" in page
    assert (kept.status_code, again.status_code, again.json()["code"]) == (200, 404, "identity.no_reset")
    assert (await due(world, later(now, days=2)), await factors_of(world, alice.id)) == (0, ("totp",))


async def test_staff_propose_it_for_somebody_who_has_one(world: World) -> None:
    now = clock.now()
    alice, bob = await world.player("alice", now), await world.player("bob", now)
    await world.with_factor(await world.signed_in("alice", now), now)
    staff = await employed(world, "stella", "support", now)
    said = {"reason": "he called, and knew it all"}
    async with desk(world, staff) as client:
        asked = [await client.post(f"/console/identity/users/{alice.id}/mfa-reset", json=said) for _ in range(2)]
        none = await client.post(f"/console/identity/users/{bob.id}/mfa-reset", json=said)
        own = await client.post(f"/console/identity/users/{staff.user_id}/mfa-reset", json=said)

    assert [one.status_code for one in asked] == [202, 202]
    assert len({one.json()["approval_id"] for one in asked}) == 1
    assert (none.json()["code"], own.json()["code"]) == ("identity.factor_missing", "identity.own_account")
    assert await factors_of(world, alice.id) == ("totp",)
    with pytest.raises(identity.FactorMissing):
        await agreed(world, bob.id, now)
