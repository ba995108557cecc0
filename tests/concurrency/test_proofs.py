"""Many use one link, one code or one token at the same moment. Each race is also run naively, and lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from palio import identity
from palio.identity import doors, service, sql
from palio.identity.types import TokenRow
from palio.infra import db, embedded, totp
from palio.infra.db import Tx
from palio.kernel.errors import Refusal, Unavailable
from palio.kernel.ids import Actor, RequestId, UserId, new_id
from tests.factories.identity import HOME, PASSWORD, World, secret_in
from tests.factories.passkeys import Authenticator

RUNNERS = 30
SYSTEM = Actor("system", None, RequestId(new_id()))
Act = Callable[[Tx, asyncio.Barrier], Awaitable[bool]]


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[World]:
    world = World(cluster, f"palio_proofs_{worker_id}", connections_max=RUNNERS)
    await world.open()
    yield world
    await world.close()


@pytest.fixture
async def world(crowd: World, noon: datetime) -> World:
    await crowd.empty(noon)
    return crowd


async def race(world: World, act: Act, actor: Actor = SYSTEM) -> int:
    """How many of thirty succeed who hold a transaction each and start together."""
    ready = asyncio.Barrier(RUNNERS)

    async def run() -> bool:
        try:
            async with world.database.begin(actor) as tx:
                return await act(tx, ready)
        except Unavailable:
            raise  # they were in each other's way, which is no answer
        except Refusal:
            return False

    async with asyncio.timeout(60):
        return sum(await asyncio.gather(*(run() for _ in range(RUNNERS))))


async def looked(tx: Tx, token: TokenRow) -> bool:
    """What a naive check asks before it acts."""
    return bool(
        await db.value(tx, "select true from identity.verification_tokens where id = %s and used_at is null", token.id)
    )


async def link(world: World, now: datetime, purpose: str) -> TokenRow:
    letter = list(await world.deliver())[-1]
    async with world.database.begin_system("a test") as tx:
        return await service.credentials.open_link(tx, secret=secret_in(letter), purpose=purpose, now=now)  # type: ignore[arg-type]  # one of the purposes


async def test_a_verification_link_is_used_once(world: World, noon: datetime) -> None:
    application = identity.Application("alice", "alice@example.com", PASSWORD)
    await identity.register(world.house, application=application, visitor=HOME, now=noon)
    token = await link(world, noon, "email_verification")

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        is_unused = await looked(tx, token)
        await ready.wait()
        return is_unused

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        await service.registration.verify_email(tx, token=token, now=noon)
        return True

    assert await race(world, naive) == RUNNERS
    assert await race(world, careful) == 1


async def test_a_reset_link_is_used_once(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    async with world.database.begin_system("a test") as tx:
        await identity.ask_for_letter(tx, letter="password_reset", email="alice@example.com")
    token = await link(world, noon, "password_reset")
    password = await world.house.hashed("another good secret")

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        is_unused = await looked(tx, token)
        await ready.wait()
        return is_unused

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        await service.credentials.reset_password(tx, token=token, password=password, now=noon)
        return True

    assert await race(world, naive) == RUNNERS
    assert await race(world, careful) == 1


async def enrolled(world: World, now: datetime) -> tuple[UserId, str]:
    await world.player("alice", now)
    session = await world.signed_in("alice", now)
    return session.user_id, await world.with_factor(session, now)


async def test_a_code_of_the_authenticator_is_used_once(world: World, noon: datetime) -> None:
    user_id, secret = await enrolled(world, noon)
    at = noon + timedelta(minutes=1)
    step = totp.step_of(at)
    code = totp.code_at(secret, step)

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        found = await sql.factors.find_totp(tx, user_id)
        await ready.wait()
        return found is not None and found.last_step < step

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        return await service.factors.use_totp(tx, user_id=user_id, code=code, now=at)

    assert await race(world, naive) == RUNNERS
    assert await race(world, careful) == 1


async def test_a_recovery_code_is_used_once(world: World, noon: datetime) -> None:
    user_id, _ = await enrolled(world, noon)
    await identity.new_recovery_codes(world.house, user_id=user_id, now=noon)
    async with world.database.begin_system("a test") as tx:
        code = await service.factors.find_recovery_code(tx, user_id=user_id, number=1)
    assert code

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        found = await service.factors.find_recovery_code(tx, user_id=user_id, number=1)
        await ready.wait()
        return found is not None

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        return await service.factors.use_recovery_code(tx, code_id=code.id, now=noon)

    assert await race(world, naive) == RUNNERS
    assert await race(world, careful) == 1


async def test_an_answer_of_a_passkey_opens_one_session(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    session = await world.signed_in("alice", noon)
    key = Authenticator()
    options = await doors.new_passkey_options(world.house, user_id=session.user_id, now=noon)
    await doors.add_passkey(
        world.house,
        user_id=session.user_id,
        session_id=session.session_id,
        credential=key.make(options),
        name="my key",
        now=noon,
    )
    answer = key.sign(await doors.passkey_options(world.house, now=noon))

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        used = await db.value(tx, "select true from identity.used_proofs where used_at > %s", noon)
        await ready.wait()
        return not used

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        await service.passkeys.use(tx, user_id=session.user_id, credential=answer, now=noon)
        return True

    assert await race(world, naive) == RUNNERS
    assert await race(world, careful) == 1


async def test_the_last_of_two_passkeys_stays(world: World, noon: datetime) -> None:
    """Somebody without a password removes both at once."""
    await world.player("alice", noon)
    session = await world.signed_in("alice", noon)
    for _ in range(2):
        options = await doors.new_passkey_options(world.house, user_id=session.user_id, now=noon)
        await doors.add_passkey(
            world.house,
            user_id=session.user_id,
            session_id=session.session_id,
            credential=Authenticator().make(options),
            name="my key",
            now=noon,
        )
    with world.superuser() as server:
        server.execute("delete from identity.passwords")
    async with world.database.begin_system("a test") as tx:
        both = [one.id for one in await service.passkeys.passkeys_of(tx, user_id=session.user_id)]
    shares = [both[number % 2] for number in range(RUNNERS)]

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        ways = await sql.methods.list_ways(tx, session.user_id, but=shares[0])
        await ready.wait()
        return bool(ways)

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        mine = shares.pop()
        await ready.wait()
        await service.passkeys.remove(tx, user_id=session.user_id, passkey_id=mine, opened={"passkey"})
        return True

    assert await race(world, naive) == RUNNERS
    assert await race(world, careful) == 1
    assert await world.count("select count(*) from identity.passkeys") == 1


async def test_an_address_is_proven_by_one_of_two_accounts(world: World, noon: datetime) -> None:
    """Thirty accounts wait for the same address, and all of them hold a good link."""
    tokens = []
    for number in range(RUNNERS):
        application = identity.Application(f"alice{number}", "alice@example.com", PASSWORD)
        await identity.register(world.house, application=application, visitor=HOME, now=noon)
    async with world.database.begin_system("a test") as tx:
        for number in range(RUNNERS):
            user = await identity.get(tx, name_or_id=f"alice{number}")
            contact = await sql.contacts.find_primary(tx, user.id)
            assert contact
            row = TokenRow(
                contact.id, user.id, "email_verification", contact.bidx, noon + timedelta(days=1), None, None
            )
            await sql.credentials.insert_token(tx, row, contact.id.bytes * 2, now=noon)
            tokens.append(row)

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        token = tokens.pop()
        await ready.wait()
        await service.registration.verify_email(tx, token=token, now=noon)
        return True

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        taken = await db.value(tx, "select true from identity.emails where verified_at is not null")
        await ready.wait()
        return not taken

    assert await race(world, naive) == RUNNERS
    assert await race(world, careful) == 1
    assert await world.count("select count(*) from identity.users where status = 'active'") == 1


async def test_twenty_refreshes_of_one_token_make_one_successor(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    visitor = identity.Visitor(HOME.ip, HOME.user_agent, "a-random-id-of-the-app-0123456789")
    session = await world.signed_in("alice", noon, kind="app", visitor=visitor)
    assert session.tokens
    token = session.tokens.refresh_token
    ready = asyncio.Barrier(20)

    async def refresh() -> str:
        await ready.wait()
        found = await identity.refresh(world.house, token=token, device_key=visitor.device_key, now=noon)
        return found.access_token + found.refresh_token

    async with asyncio.timeout(60):
        pairs = await asyncio.gather(*(refresh() for _ in range(20)))
    assert len({*pairs}) == 1
    assert await world.count("select count(*) from identity.refresh_tokens") == 2

    asked = asyncio.Barrier(20)

    async def naive() -> bool:
        async with world.database.begin_system("a race") as tx:
            used = await db.value(
                tx, "select true from identity.refresh_tokens where generation = 2 and used_at is not null"
            )
            await asked.wait()
            return not used

    async with asyncio.timeout(60):
        assert sum(await asyncio.gather(*(naive() for _ in range(20)))) == 20  # each would have made a successor

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        used = await db.value(
            tx, "select true from identity.refresh_tokens where generation = 2 and used_at is not null"
        )
        await ready.wait()
        return not used

    assert await race(world, naive) == RUNNERS


async def test_of_two_owners_who_dismiss_each_other_one_stays(world: World, noon: datetime) -> None:
    owners = [await world.player(name, noon) for name in ("alice", "bob")]
    async with world.database.begin_system("a test") as tx:
        for owner in owners:
            await identity.grant_role(tx, user_id=owner.id, role="owner", reason="for the test", now=noon)
    ready = asyncio.Barrier(2)

    async def dismiss(owner: identity.User) -> bool:
        try:
            async with world.database.begin_system("a race") as tx:
                await ready.wait()
                await identity.revoke_role(tx, user_id=owner.id, role="owner", reason="for the test", now=noon)
        except identity.LastOwner:
            return False
        return True

    async def look() -> bool:
        async with world.database.begin_system("a race") as tx:
            count: int = await db.value(tx, "select count(*) from identity.role_grants where revoked_at is null")
            await ready.wait()
            return count > 1

    async with asyncio.timeout(60):
        assert sum(await asyncio.gather(look(), look())) == 2
        assert sum(await asyncio.gather(*map(dismiss, owners))) == 1


async def test_thirty_wrong_passwords_at_once_are_thirty_attempts(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    judged: list[str] = []

    async def guess(number: int) -> None:
        try:
            await identity.sign_in(
                world.house,
                identifier="alice",
                password=f"guess number {number}",
                kind="browser",
                visitor=identity.Visitor("203.0.113.9"),
                now=noon,
            )
        except Refusal as refused:
            judged.append(refused.code)

    async with asyncio.timeout(60):
        await asyncio.gather(*(guess(number) for number in range(RUNNERS)))
    assert judged.count("identity.bad_credentials") == 5
    assert judged.count("identity.too_many_attempts") == RUNNERS - 5

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        count: int = await db.value(tx, "select count(*) from identity.login_events where outcome = 'mfa_failed'")
        await ready.wait()
        return count < 5

    assert await race(world, naive) == RUNNERS
