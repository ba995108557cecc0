"""Signing in: one answer for the unknown and the wrong, waits that grow, sessions that end."""

import statistics
import time
from dataclasses import replace
from datetime import datetime
from hashlib import sha1
from pathlib import Path

import pytest

from palio import identity
from palio.identity import rules, types
from palio.identity.service import sessions as sessions_service
from palio.infra.passwords import Hasher, HashingBusy, Leaked
from palio.kernel.ids import Actor, RequestId, new_id
from tests.factories.identity import ELSEWHERE, HOME, PASSWORD, World, cookie, later, secret_in, subjects

WRONG = "a wrong password"
FRESH = identity.Visitor("203.0.113.77", "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36")


async def attempt(
    world: World,
    now: datetime,
    *,
    name: str = "alice",
    password: str = WRONG,
    visitor: identity.Visitor = ELSEWHERE,
) -> str:
    """The code of the refusal, or `ok`."""
    try:
        await identity.sign_in(
            world.house, identifier=name, password=password, kind="browser", visitor=visitor, now=now
        )
    except (identity.BadCredentials, identity.TooManyAttempts) as refused:
        return refused.code
    return "ok"


@pytest.mark.parametrize("name", ["alice", "ALICE", " alice ", "alice@example.com", " ALICE@EXAMPLE.COM"])
async def test_a_player_signs_in_by_his_name_or_address(world: World, noon: datetime, name: str) -> None:
    alice = await world.player("alice", noon)
    session = await world.signed_in(name, noon)

    found = await world.doorman.recognise(cookie(session), now=noon)
    assert found
    assert (found.user_id, found.kind, found.status) == (alice.id, "browser", "active")


async def test_unknown_names_and_wrong_passwords_read_the_same(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    answers = []
    strange = ("@", "", "\x00", "no such name", "ä@ö.test")
    for name in ("alice", "alice@example.com", "nobody", "nobody@example.com", *strange):
        with pytest.raises(identity.BadCredentials) as refused:
            await identity.sign_in(
                world.house, identifier=name, password="a wrong password", kind="browser", visitor=HOME, now=noon
            )
        answers.append((refused.value.code, refused.value.facts, refused.value.detail))

    assert len({str(answer) for answer in answers}) == 1
    assert await world.count("select count(*) from identity.login_events where outcome = 'bad_credentials'") == 9


@pytest.mark.parametrize("turns", [40, pytest.param(200, marks=pytest.mark.nightly)])
async def test_unknown_names_cost_the_same_time(world: World, noon: datetime, turns: int) -> None:
    house = replace(world.house, hasher=Hasher(threads=2))
    await world.player("alice", noon, house=house)
    times: dict[str, list[float]] = {"alice": [], "nobody": []}
    for turn in range(turns):
        for name, taken in times.items():
            began = time.perf_counter()
            with pytest.raises(identity.BadCredentials):
                await identity.sign_in(
                    house,
                    identifier=name,
                    password="a wrong password",
                    kind="browser",
                    visitor=identity.Visitor(f"10.{turn}.0.1"),
                    now=later(noon, days=turn),
                )
            taken.append(time.perf_counter() - began)

    medians = {name: statistics.median(taken) for name, taken in times.items()}
    assert abs(medians["alice"] - medians["nobody"]) < max(0.005, 0.1 * medians["nobody"])  # a busy machine is slower


@pytest.mark.parametrize("name", ["alice", "nobody"])
async def test_the_sixth_wrong_password_waits_and_the_owner_does_not(world: World, noon: datetime, name: str) -> None:
    await world.player("alice", noon)
    device = (await world.signed_in("alice", noon)).device_key

    assert [await attempt(world, noon, name=name) for _ in range(5)] == ["identity.bad_credentials"] * 5
    with pytest.raises(identity.TooManyAttempts) as refused:
        await identity.sign_in(
            world.house, identifier=name, password=PASSWORD, kind="browser", visitor=ELSEWHERE, now=noon
        )
    assert refused.value.facts == {"retry_after_s": 30}
    assert await attempt(world, noon, password=PASSWORD, visitor=replace(HOME, device_key=device)) == "ok"
    assert await attempt(world, later(noon, seconds=29), name=name) == "identity.too_many_attempts"
    assert await attempt(world, later(noon, seconds=30), name=name) == "identity.bad_credentials"
    with pytest.raises(identity.TooManyAttempts) as refused:
        await identity.sign_in(
            world.house,
            identifier=name,
            password="x" * 9,
            kind="browser",
            visitor=ELSEWHERE,
            now=later(noon, seconds=30),
        )
    assert refused.value.facts == {"retry_after_s": 60}


async def test_all_spellings_of_an_address_are_counted_together(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    spellings = ["alice@example.com", "ALICE@example.com", " alice@EXAMPLE.com ", "alice@\uff45xample.com"]
    spellings.append("alice@exa\uff4dple.com")  # letters of full width

    assert [await attempt(world, noon, name=name) for name in spellings] == ["identity.bad_credentials"] * 5
    assert await attempt(world, noon, name="alice@example.\uff43om") == "identity.too_many_attempts"


async def test_a_network_that_tries_many_names_waits(world: World, noon: datetime) -> None:
    neighbours = [identity.Visitor(f"203.0.113.{number}") for number in range(10)]
    for number, visitor in enumerate(neighbours):
        assert await attempt(world, noon, name=f"name{number}", visitor=visitor) == "identity.bad_credentials"

    assert await attempt(world, noon, name="other", visitor=ELSEWHERE) == "identity.too_many_attempts"
    assert await attempt(world, noon, name="other", visitor=HOME) == "identity.bad_credentials"


def test_waits_grow_to_a_quarter_of_an_hour_and_end(noon: datetime) -> None:
    def wait(failures: int) -> float | None:
        found = rules.throttles.wait_after(types.Failures(failures, noon), rules.throttles.STRANGER, noon)
        return found and found.total_seconds()

    crowd = rules.throttles.wait_after(types.Failures(5_000, noon), rules.throttles.HOUSE, noon)
    assert crowd
    assert crowd.total_seconds() == 30
    assert [wait(failures) for failures in (4, 5, 6, 7, 8, 9, 10, 99)] == [None, 30, 60, 120, 240, 480, 900, 900]


async def test_a_full_pool_of_hashes_counts_no_attempt(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    house = replace(world.house, hasher=Hasher(memory_kib=8, passes=1, threads=1, waiting=-1))

    with pytest.raises(HashingBusy) as refused:
        await identity.sign_in(house, identifier="alice", password=PASSWORD, kind="browser", visitor=HOME, now=noon)
    assert refused.value.facts == {"retry_after_s": 1}
    assert await world.count("select count(*) from identity.login_events") == 0


async def test_a_hash_of_weaker_parameters_is_renewed_at_sign_in(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    house = replace(world.house, hasher=Hasher(memory_kib=16, passes=1, threads=1))
    await identity.sign_in(house, identifier="alice", password=PASSWORD, kind="browser", visitor=HOME, now=noon)

    assert (
        await world.count("select count(*) from identity.passwords where hash like '$argon2id$v=19$m=16,t=1,p=1$%%'")
        == 1
    )
    await world.signed_in("alice", noon)


async def test_who_has_not_proven_his_address_is_told_so_with_the_right_password(world: World, noon: datetime) -> None:
    application = identity.Application("alice", "alice@example.com", PASSWORD)
    await identity.register(world.house, application=application, visitor=HOME, now=noon)

    assert await attempt(world, noon) == "identity.bad_credentials"
    with pytest.raises(identity.ContactUnverified):
        await world.signed_in("alice", noon)


async def test_a_suspended_player_only_looks(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    with world.superuser() as server:
        server.execute("update identity.users set status = 'suspended', suspension_reason = 'under review'")
    session = await world.signed_in("alice", noon)

    found = await world.doorman.recognise(cookie(session), now=noon)
    assert found
    request = RequestId(new_id())
    assert rules.sessions.actor_of(found, request) == Actor("viewer", alice.id, request)


async def test_a_session_that_ends_is_refused_at_once(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    first, second = await world.signed_in("alice", noon), await world.signed_in("alice", noon, visitor=FRESH)
    assert await world.recognised(cookie(first), noon)

    async with world.database.begin_system("a test") as tx:
        await identity.end_session(tx, user_id=alice.id, session_id=first.session_id, reason="logout", now=noon)
    assert not await world.recognised(cookie(first), noon)
    assert await world.recognised(cookie(second), noon)

    async with world.database.begin_system("a test") as tx:
        with pytest.raises(identity.NoSuchSession):
            await identity.end_session(tx, user_id=alice.id, session_id=first.session_id, reason="logout", now=noon)
        assert await identity.end_sessions(tx, user_id=alice.id, reason="revoked_by_user", now=noon) == 1
    assert not await world.recognised(cookie(second), noon)


async def test_nobody_ends_the_session_of_another(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    bob = await world.player("bob", noon)
    session = await world.signed_in("alice", noon)

    async with world.database.begin(Actor("player", bob.id, RequestId(new_id()))) as tx:
        with pytest.raises(identity.NoSuchSession):
            await identity.end_session(tx, user_id=bob.id, session_id=session.session_id, reason="logout", now=noon)
        assert await identity.sessions_of(tx, user_id=session.user_id, current=None, now=noon) == []
    assert await world.recognised(cookie(session), noon)


async def test_another_process_hears_of_an_end_within_a_second(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    session = await world.signed_in("alice", noon)
    assert await world.recognised(cookie(session), noon)
    with world.superuser() as server:  # as another process would
        server.execute("update identity.sessions set ended_at = now(), end_reason = 'logout'")

    memory = world.database.remembered(sessions_service.Recognised)
    remembered, until = next(iter(memory.found.values()))
    assert remembered.user_id == alice.id
    assert until - sessions_service._real_time() <= 1.0
    memory.found.clear()  # what the second does
    assert not await world.recognised(cookie(session), noon)


async def test_a_session_rests_for_two_weeks_and_lives_for_ninety_days(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    session = await world.signed_in("alice", noon)
    memory = world.database.remembered(sessions_service.Recognised)

    async def is_known(days: float) -> bool:
        memory.found.clear()
        return await world.recognised(cookie(session), later(noon, days=days))

    assert [await is_known(days) for days in (13.9, 27.8, 41.7, 55.6, 69.5, 83.4, 89.9, 90)] == [True] * 7 + [False]
    again = await world.signed_in("alice", noon)
    memory.found.clear()
    assert not await world.recognised(cookie(again), later(noon, days=14))


async def test_cookies_of_players_and_of_the_console_do_not_stand_for_each_other(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    session = await world.signed_in("alice", noon)

    assert not await world.recognised(cookie(session, console=True), noon)
    assert not await world.recognised(identity.Presented("bearer", session.cookie or ""), noon)


async def test_a_new_device_is_told_of_but_not_the_first(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    first = await world.signed_in("alice", noon)
    await world.signed_in("alice", noon, visitor=replace(HOME, device_key=first.device_key))
    assert await world.count("select count(*) from identity.devices") == 1

    await world.signed_in("alice", noon, visitor=FRESH)
    async with world.database.begin_system("a test") as tx:
        listed = await identity.sessions_of(tx, user_id=first.user_id, current=first.session_id, now=noon)
        log_ins = await identity.log_ins(tx, user_id=first.user_id)

    assert sorted((one.device, one.ip, one.is_current) for one in listed) == [
        ("Chrome on Windows", FRESH.ip, False),
        ("Firefox on Linux", HOME.ip, False),
        ("Firefox on Linux", HOME.ip, True),
    ]
    assert [(one.outcome, one.device, one.ip) for one in log_ins] == [
        ("success", "Chrome on Windows", FRESH.ip),
        ("success", "Firefox on Linux", HOME.ip),
        ("success", "Firefox on Linux", HOME.ip),
    ]


async def reset_link(world: World, email: str = "alice@example.com") -> str | None:
    async with world.database.begin_system("a test") as tx:
        await identity.ask_for_letter(tx, letter="password_reset", email=email)
    letters = await world.deliver()
    return secret_in(letters[0]) if letters else None


async def test_a_reset_ends_every_session_and_token_and_the_old_password(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    sessions = [await world.signed_in("alice", noon) for _ in range(3)]
    app = await world.signed_in("alice", noon, kind="app", visitor=replace(FRESH, device_key="app-" + "x" * 40))
    assert app.tokens
    async with world.database.begin_system("a test") as tx:
        made = await identity.create_token(tx, user_id=alice.id, name="bot", scopes=["games:read"], now=noon)
    shown = [
        *map(cookie, sessions),
        identity.Presented("bearer", app.tokens.access_token),
        identity.Presented("bearer", made.secret),
    ]
    assert all([await world.recognised(one, noon) for one in shown])

    link = await reset_link(world)
    assert link
    await identity.reset_password(world.house, secret=link, new="another good secret", now=noon)

    assert not any([await world.recognised(one, noon) for one in shown])
    assert await attempt(world, noon, password=PASSWORD) == "identity.bad_credentials"
    assert await attempt(world, noon, password="another good secret") == "ok"
    with pytest.raises(identity.TokenInvalid):
        await identity.reset_password(world.house, secret=link, new="a third good secret", now=noon)


async def test_a_reset_is_mailed_to_the_stored_address_or_to_nobody(world: World, noon: datetime) -> None:
    await world.player("quack", noon)
    before = len(world.mail.letters)

    assert await reset_link(world, "nobody@example.com") is None
    assert await reset_link(world, "quac\u212a@Example.com")
    assert [letter.to for letter in list(world.mail.letters)[before:]] == ["quack@example.com"]
    assert await reset_link(world, "quack@example.com")
    assert await reset_link(world, "quack@example.com") is None  # the third within an hour


async def test_a_weak_password_does_not_use_the_link_up(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    link = await reset_link(world)
    assert link
    for weak in ("short", "alice-alice-alice", "password1"):
        with pytest.raises(identity.PasswordTooWeak):
            await identity.reset_password(world.house, secret=link, new=weak, now=noon)

    await identity.reset_password(world.house, secret=link, new="another good secret", now=noon)
    assert await attempt(world, noon, password="another good secret") == "ok"


async def test_a_reset_of_an_unproven_address_takes_it_and_what_a_stranger_set_up(world: World, noon: datetime) -> None:
    """Somebody registered with the address of another: the owner of the address gets the account, and it alone."""
    application = identity.Application("alice", "alice@example.com", PASSWORD)
    registration = await identity.register(world.house, application=application, visitor=ELSEWHERE, now=noon)
    (letter,) = await world.deliver()
    link = await reset_link(world)
    assert link
    await identity.reset_password(world.house, secret=link, new="another good secret", now=noon)

    assert await attempt(world, noon, password="another good secret", visitor=HOME) == "ok"
    with pytest.raises(identity.TokenInvalid):
        await identity.verify_email(
            world.house, secret=secret_in(letter), registration=registration.told, visitor=ELSEWHERE, now=noon
        )


async def test_a_new_password_ends_the_other_sessions(world: World, noon: datetime) -> None:
    alice = await world.player("alice", noon)
    mine, other = await world.signed_in("alice", noon), await world.signed_in("alice", noon)

    async def change(current: str, new: str) -> None:
        await identity.change_password(
            world.house,
            user_id=alice.id,
            session_id=mine.session_id,
            current=current,
            new=new,
            visitor=HOME,
            now=noon,
        )

    with pytest.raises(identity.BadCredentials):
        await change("not this one", "another good secret")
    with pytest.raises(identity.PasswordTooWeak):
        await change(PASSWORD, "alice likes it")
    assert await world.recognised(cookie(other), noon)
    await change(PASSWORD, "another good secret")

    assert await world.recognised(cookie(mine), noon)
    assert not await world.recognised(cookie(other), noon)
    assert subjects(await world.deliver()) == []


def sum_of(word: str) -> str:
    return sha1(word.encode(), usedforsecurity=False).hexdigest()


async def test_a_leaked_password_is_refused_by_the_operators_list(world: World, noon: datetime, tmp_path: Path) -> None:
    words = [PASSWORD, *(f"word number {number}" for number in range(50))]
    lines = sorted(f"{sum_of(word).upper()}:{number}" for number, word in enumerate(words))
    file = tmp_path / "leaked.txt"
    file.write_text("\r\n".join(lines) + "\r\n")
    leaked = Leaked(file)

    assert all(leaked.has(sum_of(word)) for word in words)
    assert not any(leaked.has(sum_of(f"other {number}")) for number in range(200))
    assert not any(leaked.has(digit * 40) for digit in "0f")
    house, application = replace(world.house, leaked=leaked), identity.Application("alice", "a@example.com", PASSWORD)
    with pytest.raises(identity.PasswordTooWeak) as refused:
        await identity.register(house, application=application, visitor=HOME, now=noon)
    assert refused.value.facts["reasons"] == ["leaked"]


async def test_a_crowd_of_strangers_slows_the_house_and_not_its_known_devices(world: World, noon: datetime) -> None:
    """A thousand wrong passwords within five minutes, each for another name and from another network."""
    await world.player("alice", noon)
    device = (await world.signed_in("alice", noon)).device_key
    with world.superuser() as server:
        server.execute(
            """insert into identity.login_events (at, id, account_bidx, outcome, method, ip_bidx, net_bidx, user_agent)
            select %s, gen_random_uuid(), sha256(n::text::bytea), 'bad_credentials', 'password', sha256(n::text::bytea),
              sha256(n::text::bytea), '' from generate_series(1, 999) n""",
            (noon,),
        )
    assert await attempt(world, noon, name="somebody", visitor=FRESH) == "identity.bad_credentials"
    assert await attempt(world, noon, name="anybody", visitor=ELSEWHERE) == "identity.too_many_attempts"
    assert await attempt(world, noon, password=PASSWORD, visitor=replace(HOME, device_key=device)) == "ok"
    assert await attempt(world, later(noon, seconds=31), name="anybody") == "identity.bad_credentials"


async def test_a_known_device_waits_for_itself_alone_after_ten(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    mine = replace(HOME, device_key=(await world.signed_in("alice", noon)).device_key)
    codes = [await attempt(world, noon, visitor=mine) for _ in range(11)]
    assert codes == ["identity.bad_credentials"] * 10 + ["identity.too_many_attempts"]
    assert await attempt(world, noon, password=PASSWORD, visitor=FRESH) == "ok"
