"""Many come with one code, state, number or proof at the same moment. Each race is also run naively, and lost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

import pytest

from palio import identity
from palio.identity import doors, personal, service, sql
from palio.identity.rules.telegram import Proof
from palio.identity.types import Flow, TelegramUser, Vouching
from palio.infra import db, embedded, settings
from palio.infra.db import Database, Tx
from palio.kernel.ids import UserId, new_id
from tests.concurrency.test_proofs import RUNNERS, Act, race
from tests.factories.identity import World, quick_hasher
from tests.factories.ways import ADA_NUMBER, METHODS, opened, visitor


@pytest.fixture(scope="module")
async def crowd(cluster: embedded.Cluster, worker_id: str) -> AsyncIterator[World]:
    world = World(cluster, f"palio_ways_{worker_id}", connections_max=RUNNERS)
    await world.open()
    yield world
    await world.close()


@pytest.fixture
async def world(crowd: World, noon: datetime) -> AsyncIterator[World]:
    await crowd.empty(noon)
    await opened(crowd, *METHODS)
    yield crowd
    settings.snapshot.forget()


async def succeed(world: World, naive: Act, careful: Act) -> tuple[int, int]:
    """How many get through naively, and how many as it is done."""
    return await race(world, naive), await race(world, careful)


async def asked(world: World, now: datetime, database: Database | None = None) -> str:
    """A code that waits for Ada's number, asked for in the process of this database."""
    house = doors.House(database or world.database, quick_hasher(), has_otp=True)
    await doors.ask_for_code(house, number=ADA_NUMBER, locale="en", now=now)
    async with world.database.begin_system("a test") as tx:
        newest = await db.value(tx, "select id from identity.otp_challenges order by created_at desc, id desc limit 1")
        return personal.code_for(tx, newest)


async def test_a_code_is_used_once(world: World, noon: datetime) -> None:
    await asked(world, noon)
    async with world.database.begin_system("a test") as tx:
        challenge = await service.phones.take_try(tx, number=ADA_NUMBER, purpose="sign_in", user_id=None, now=noon)
    assert challenge

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        statement = "select true from identity.otp_challenges where id = %s and used_at is null"
        is_unused = bool(await db.value(tx, statement, challenge.id))
        await ready.wait()
        return is_unused

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        return await service.phones.use_code(tx, challenge=challenge, now=noon)

    assert await succeed(world, naive, careful) == (RUNNERS, 1)


async def test_thirty_tries_at_once_are_five(world: World, noon: datetime) -> None:
    await asked(world, noon)

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        statement = "select attempts < 5 from identity.otp_challenges"
        may_try = bool(await db.value(tx, statement))
        await ready.wait()
        await db.run(tx, "update identity.otp_challenges set attempts = 1")
        return may_try

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        found = await service.phones.take_try(tx, number=ADA_NUMBER, purpose="sign_in", user_id=None, now=noon)
        return found is not None

    assert await race(world, naive) == RUNNERS
    async with world.database.begin_system("a test") as tx:
        await db.run(tx, "update identity.otp_challenges set attempts = 0")
    assert await race(world, careful) == 5


async def test_a_number_that_thirty_prove_at_once_in_two_processes_is_one_account(world: World, noon: datetime) -> None:
    other = Database(world.dsn, equipment=world.equipment, connections_max=RUNNERS)
    await other.pool.open(wait=True)
    ready = asyncio.Barrier(RUNNERS)

    async def arrive(n: int) -> UserId:
        async with (other if n % 2 else world.database).begin_system("a race") as tx:
            await ready.wait()
            return await service.phones.arrive(tx, number=ADA_NUMBER, locale="en", visitor=visitor(n), now=noon)

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        owner = await sql.phones.find_owner_of(tx, personal.phone_index(tx, "+491511"))
        await ready.wait()
        return owner is None

    try:
        async with asyncio.timeout(60):
            found = await asyncio.gather(*(arrive(n) for n in range(RUNNERS)))
    finally:
        await other.close()
    assert len({*found}) == 1
    assert await world.count("select count(*) from identity.users") == 1
    assert await race(world, naive) == RUNNERS


async def test_codes_for_one_number_are_three_however_many_ask_at_once(world: World, noon: datetime) -> None:
    code_hash = await world.house.hasher.hash("000000")

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        await service.phones.ask_for_code(
            tx,
            challenge_id=new_id(),
            number=ADA_NUMBER,
            purpose="sign_in",
            user_id=None,
            code_hash=code_hash,
            locale="en",
            now=noon,
        )
        return True

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        index = personal.phone_index(tx, "+491511")
        sent = await sql.phones.list_sent(tx, index.digest, since=noon)
        await ready.wait()
        return len(sent) < 3

    assert await succeed(world, naive, careful) == (RUNNERS, 3)


async def test_whoever_comes_back_with_one_state_comes_once(world: World, noon: datetime) -> None:
    flow = Flow(new_id(), "google", "nonce", b"", personal.hash_of("browser"), "/", "login", None)
    async with world.database.begin_system("a test") as tx:
        await service.external.begin_flow(
            tx, flow=flow, verifier="v", state="state", now=noon, expires_at=noon.replace(hour=13)
        )

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        is_there = bool(await db.value(tx, "select true from identity.auth_flows where used_at is null"))
        await ready.wait()
        return is_there

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        await service.external.take_flow(tx, provider="google", state="state", browser_key="browser", now=noon)
        return True

    assert await succeed(world, naive, careful) == (RUNNERS, 1)


async def test_a_nonce_is_used_once_and_one_subject_is_one_account(world: World, noon: datetime) -> None:
    def vouching(nonce: str) -> Vouching:
        return Vouching("google", "1001", "ada@example.com", True, nonce, noon.replace(hour=13))

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        is_unused = not await db.value(tx, "select true from identity.used_proofs where kind = 'oidc_nonce'")
        await ready.wait()
        return is_unused

    async def same(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        await service.external.arrive(tx, who=vouching("n"), locale="en", visitor=visitor(1), now=noon)
        return True

    assert await succeed(world, naive, same) == (RUNNERS, 1)

    async def another(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        await service.external.arrive(tx, who=vouching(str(new_id())), locale="en", visitor=visitor(2), now=noon)
        return True

    assert await race(world, another) == RUNNERS
    assert await world.count("select count(*) from identity.users") == 1


async def test_two_providers_that_name_one_address_at_once_make_one_account(world: World, noon: datetime) -> None:
    async def arrive(tx: Tx, ready: asyncio.Barrier) -> bool:
        provider = "google" if await asyncio.wait_for(ready.wait(), 30) % 2 else "apple"
        who = Vouching(provider, "1001", "ada@example.com", True, str(new_id()), noon.replace(hour=13))
        await service.external.arrive(tx, who=who, locale="en", visitor=visitor(3), now=noon)
        return True

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        owner = await sql.contacts.find_owner_of(tx, personal.email_index(tx, "ada@example.com"))
        await ready.wait()
        return owner is None

    assert await race(world, naive) == RUNNERS
    assert await race(world, arrive) == RUNNERS // 2  # the other half is told to link
    assert await world.count("select count(*) from identity.users") == 1


async def test_a_telegram_account_is_linked_to_one_of_thirty_and_opens_one_account(
    world: World, noon: datetime
) -> None:
    with world.superuser() as server:
        server.execute("truncate identity.telegram_accounts, identity.used_proofs")
    people: list[UserId] = []
    for n in range(RUNNERS):
        async with world.database.begin_system("a test") as tx:
            people.append((await identity.create(tx, username=f"user{n:02}", now=noon)).id)
    user = TelegramUser(7_000_000_001, "ada")

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        row = await db.value(tx, "select true from identity.telegram_accounts where user_id is not null")
        await ready.wait()
        return not row

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        place = await ready.wait()
        await service.telegram.link(tx, user_id=people[place], user=user, now=noon)
        return True

    assert await succeed(world, naive, careful) == (RUNNERS, 1)

    before = await world.count("select count(*) from identity.users")

    async def open_app(tx: Tx, ready: asyncio.Barrier) -> bool:
        proof = Proof(TelegramUser(5), f"{await ready.wait():064x}")
        await service.telegram.arrive(tx, proof=proof, locale="en", visitor=visitor(4), now=noon)
        return True

    assert await race(world, open_app) == RUNNERS
    assert await world.count("select count(*) from identity.users") == before + 1

    async def same_proof(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        await service.telegram.use_proof(tx, proof=Proof(user, "ab" * 32), now=noon)
        return True

    assert await race(world, same_proof) == 1


async def test_of_two_ways_in_that_are_taken_away_at_once_one_stays(world: World, noon: datetime) -> None:
    async with world.database.begin_system("a test") as tx:
        user = await identity.create(tx, username="ada", now=noon)
        for provider in ("google", "apple"):
            who = Vouching(provider, "1001", None, False, str(new_id()), noon.replace(hour=13))
            await service.external.link(tx, user_id=user.id, who=who, now=noon)
        linked = await service.identities.identities_of(tx, user_id=user.id)

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        ways = await sql.methods.list_ways(tx, user.id, but=linked[0].id)
        return bool(ways)

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        place = await ready.wait()
        await service.identities.unlink(tx, user_id=user.id, identity_id=linked[place % 2].id, opened=METHODS, now=noon)
        return True

    assert await succeed(world, naive, careful) == (RUNNERS, 1)
    async with world.database.begin_system("a test") as tx:
        assert len(await service.identities.identities_of(tx, user_id=user.id)) == 1


async def test_a_mailed_link_is_used_once(world: World, noon: datetime) -> None:
    user = await world.player("ada", noon)
    async with world.database.begin_system("a test") as tx:
        email = await sql.contacts.find_primary(tx, user.id)
        assert email
        secret = await service.credentials.make_link(tx, token_id=new_id(), purpose="login_link", to=email, now=noon)
    async with world.database.begin_system("a test") as tx:
        token = await service.credentials.open_link(tx, secret=secret, purpose="login_link", now=noon)

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        statement = "select true from identity.verification_tokens where id = %s and used_at is null"
        is_unused = bool(await db.value(tx, statement, token.id))
        await ready.wait()
        return is_unused

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        await ready.wait()
        return await service.credentials.use_link(tx, token=token, now=noon)

    assert await succeed(world, naive, careful) == (RUNNERS, 1)


async def test_sign_ups_of_one_device_are_three_in_an_hour_however_many_come_at_once(
    world: World, noon: datetime
) -> None:
    """Each from a network of his own, by any way in."""

    def same(n: int) -> identity.Visitor:
        return replace(visitor(n), device_key="the-device-of-a-crowd")

    async def naive(tx: Tx, ready: asyncio.Barrier) -> bool:
        device_hash = personal.hash_of("another-device")
        count = await sql.sign_ups.count_sign_ups(tx, device_hash, since=noon)
        await ready.wait()
        await sql.sign_ups.insert_sign_up(tx, new_id(), device_hash, now=noon)
        return count < 3

    async def careful(tx: Tx, ready: asyncio.Barrier) -> bool:
        n = await ready.wait()
        proof = Proof(TelegramUser(100 + n), f"{n:064x}")
        await service.telegram.arrive(tx, proof=proof, locale="en", visitor=same(n), now=noon)
        return True

    before = await world.count("select count(*) from identity.users")
    assert await succeed(world, naive, careful) == (RUNNERS, 3)
    assert await world.count("select count(*) from identity.users") == before + 3
