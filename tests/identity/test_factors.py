"""Second factors: each code once, the console only with one, a fresh proof when it matters."""

from datetime import datetime, timedelta

import pytest

from palio import identity
from palio.identity import rules
from palio.infra import totp
from tests.factories.identity import HOME, PASSWORD, World, cookie, later

STEP = timedelta(seconds=30)


def code_of(secret: str, at: datetime) -> str:
    return totp.code_at(secret, totp.step_of(at))


async def ticket_of(world: World, now: datetime, *, kind: str = "browser") -> str:
    found = await identity.sign_in(world.house, identifier="alice", password=PASSWORD, kind=kind, visitor=HOME, now=now)
    assert isinstance(found, identity.SecondFactorDue)
    return found.ticket


async def enter(world: World, now: datetime, code: str, *, ticket: str | None = None) -> identity.SignedIn:
    ticket = ticket or await ticket_of(world, now)
    return await identity.second_factor(world.house, ticket=ticket, code=code, visitor=HOME, now=now)


@pytest.fixture
async def secret(world: World, noon: datetime) -> str:
    """Alice set an authenticator up at noon."""
    await world.player("alice", noon)
    return await world.with_factor(await world.signed_in("alice", noon), noon)


async def test_a_password_alone_is_not_enough_any_more(world: World, noon: datetime, secret: str) -> None:
    found = await identity.sign_in(
        world.house, identifier="alice", password=PASSWORD, kind="browser", visitor=HOME, now=noon
    )

    assert isinstance(found, identity.SecondFactorDue)
    assert found.factors == ("totp",)
    session = await enter(world, noon + STEP, code_of(secret, noon + STEP), ticket=found.ticket)
    seen = await world.doorman.recognise(cookie(session), now=noon + STEP)
    assert seen
    assert seen.mfa_at == seen.proved_at == noon + STEP


async def test_the_code_that_set_it_up_does_not_sign_in(world: World, noon: datetime, secret: str) -> None:
    with pytest.raises(identity.SecondFactorWrong):
        await enter(world, later(noon, seconds=5), code_of(secret, noon))


async def test_a_code_is_good_once_and_never_an_earlier_one(world: World, noon: datetime, secret: str) -> None:
    at = noon + 4 * STEP
    await enter(world, at, code_of(secret, at))

    for code in (code_of(secret, at), code_of(secret, at - STEP)):
        with pytest.raises(identity.SecondFactorWrong):
            await enter(world, later(at, seconds=5), code)
    await enter(world, later(at, seconds=5), code_of(secret, at + STEP))


@pytest.mark.parametrize(("off", "is_good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_clock_may_be_one_step_off(world: World, noon: datetime, secret: str, off: int, is_good: bool) -> None:
    at = noon + 10 * STEP
    if is_good:
        await enter(world, at, code_of(secret, at + off * STEP))
    else:
        with pytest.raises(identity.SecondFactorWrong):
            await enter(world, at, code_of(secret, at + off * STEP))


@pytest.mark.parametrize(
    "code",
    [
        "",
        "12345",
        "1234567",
        "abcdef",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "0-abcd",
        "1-abcd-efgh-jkm",
        "\x00" * 6,
        "9" * 5000,
    ],
)
async def test_what_is_no_code_is_refused(world: World, noon: datetime, secret: str, code: str) -> None:
    with pytest.raises(identity.SecondFactorWrong):
        await enter(world, noon + STEP, code)


async def test_the_sixth_wrong_code_waits_even_if_it_is_right(world: World, noon: datetime, secret: str) -> None:
    at = noon + STEP
    right = code_of(secret, at)
    wrong = f"{(int(right) + 1) % 10**6:06}"
    for _ in range(5):
        with pytest.raises(identity.SecondFactorWrong):
            await enter(world, at, wrong)

    with pytest.raises(identity.TooManyAttempts) as refused:
        await enter(world, at, right)
    assert refused.value.facts == {"retry_after_s": 30}


async def test_a_ticket_lives_five_minutes_and_belongs_to_one_password(
    world: World, noon: datetime, secret: str
) -> None:
    at = noon + timedelta(minutes=5)
    ticket = await ticket_of(world, noon)
    forged = [
        ticket[:-1] + ("A" if ticket[-1] != "A" else "B"),
        ticket.replace("browser", "console"),
        "",
        "a.b.c.d",
        "\x00",
    ]
    for each in forged:
        with pytest.raises(identity.TicketExpired):
            await enter(world, noon + STEP, code_of(secret, noon + STEP), ticket=each or "x")
    with pytest.raises(identity.TicketExpired):
        await enter(world, later(at, seconds=1), code_of(secret, at), ticket=ticket)
    with world.superuser() as server:
        server.execute("update identity.passwords set changed_at = changed_at + interval '1 second'")
    with pytest.raises(identity.TicketExpired):
        await enter(world, at, code_of(secret, at), ticket=ticket)


async def test_recovery_codes_are_ten_and_each_is_good_once(world: World, noon: datetime, secret: str) -> None:
    async with world.database.begin_system("a test") as tx:
        alice = await identity.get(tx, name_or_id="alice")
    codes = await identity.new_recovery_codes(world.house, user_id=alice.id, now=noon)
    assert len({*codes}) == 10

    await enter(world, noon, codes[0])
    with pytest.raises(identity.SecondFactorWrong):
        await enter(world, noon, codes[0])
    await enter(world, noon, codes[9].upper().replace("-", " "))
    await identity.new_recovery_codes(world.house, user_id=alice.id, now=noon)
    with pytest.raises(identity.SecondFactorWrong):
        await enter(world, noon, codes[1])


def test_a_recovery_code_is_read_however_it_is_spaced() -> None:
    written = rules.factors.written(10, "abcdefghjkm")

    assert written == "10-abcd-efgh-jkm"
    assert rules.factors.read_code(" 10 ABCD EFGH JKM ") == (10, "abcdefghjkm")
    assert [rules.factors.read_code(text) for text in ("11-abcd-efgh-jkm", "1-abcd-efgh-jk", "1-abcd-efgh-jkl")] == [
        None
    ] * 3


async def test_the_console_opens_for_staff_with_a_second_factor_only(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    with pytest.raises(identity.NotStaff):
        await world.signed_in("alice", noon, kind="console")
    async with world.database.begin_system("a test") as tx:
        await identity.grant_role(tx, user_id=alice.id, role="races", reason="she runs them", now=noon)
    with pytest.raises(identity.FactorMissing):
        await world.signed_in("alice", noon, kind="console")

    secret = await world.with_factor(await world.signed_in("alice", noon), noon)
    ticket = await ticket_of(world, noon, kind="console")
    session = await enter(world, noon + STEP, code_of(secret, noon + STEP), ticket=ticket)

    mine = "select count(*) from infra.audit_rows where action = 'session.begin' and entity_id = %s"
    begun = await world.count(mine, str(session.session_id))
    assert begun == 1
    assert not await world.recognised(cookie(session), noon + STEP)
    seen = await world.doorman.recognise(cookie(session, console=True), now=noon + STEP)
    assert seen
    assert (seen.kind, seen.permissions) == ("console", ["identity.session.prove"])
    assert not await world.recognised(cookie(session, console=True), later(noon + STEP, minutes=30))


async def test_a_fresh_proof_takes_the_factor_and_changes_the_cookie(world: World, noon: datetime, secret: str) -> None:
    session = await enter(world, noon + STEP, code_of(secret, noon + STEP))
    at = later(noon, minutes=20)

    async def prove(word: str) -> str | None:
        return await identity.step_up(
            world.house, user_id=session.user_id, session_id=session.session_id, secret=word, visitor=HOME, now=at
        )

    with pytest.raises(identity.SecondFactorWrong):
        await prove(PASSWORD)
    renewed = await prove(code_of(secret, at))
    assert renewed
    assert not await world.recognised(cookie(session), at)
    seen = await world.doorman.recognise(identity.Presented("cookie", renewed), now=at)
    assert seen
    assert (seen.session_id, seen.proved_at) == (session.session_id, at)


async def test_without_a_factor_a_fresh_proof_is_the_password(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    session = await world.signed_in("alice", noon)
    at = later(noon, minutes=20)
    with pytest.raises(identity.BadCredentials):
        await identity.step_up(
            world.house, user_id=session.user_id, session_id=session.session_id, secret="wrong", visitor=HOME, now=at
        )
    renewed = await identity.step_up(
        world.house, user_id=session.user_id, session_id=session.session_id, secret=PASSWORD, visitor=HOME, now=at
    )

    assert renewed
    seen = await world.doorman.recognise(identity.Presented("cookie", renewed), now=at)
    assert seen
    assert (seen.mfa_at, seen.proved_at) == (None, at)


async def test_an_authenticator_counts_only_once_its_first_code_was_entered(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    session = await world.signed_in("alice", noon)
    async with world.database.begin_system("a test") as tx:
        first = await identity.begin_totp(tx, user_id=session.user_id, now=noon)
        second = await identity.begin_totp(tx, user_id=session.user_id, now=noon)
        assert second.secret != first.secret
        assert second.address == f"otpauth://totp/Palio:alice?secret={second.secret}&issuer=Palio"
        with pytest.raises(identity.SecondFactorWrong):
            await identity.confirm_totp(
                tx, session_id=session.session_id, user_id=session.user_id, code=code_of(first.secret, noon), now=noon
            )
    assert (await world.signed_in("alice", noon)).cookie

    await world.with_factor(session, noon)
    async with world.database.begin_system("a test") as tx:
        with pytest.raises(identity.FactorExists):
            await identity.begin_totp(tx, user_id=session.user_id, now=noon)
        await identity.remove_totp(tx, user_id=session.user_id)
        with pytest.raises(identity.FactorMissing):
            await identity.remove_totp(tx, user_id=session.user_id)
    assert (await world.signed_in("alice", noon)).cookie
