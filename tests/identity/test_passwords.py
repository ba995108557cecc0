"""Passwords that are mixed with a pepper before they are hashed, and those that must be changed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import httpx2
import pytest

from palio import identity
from palio.identity import doors, service
from palio.infra import db
from palio.infra.db import Tx
from palio.infra.keyring import Keyring, KeyringError
from palio.kernel import clock
from tests.factories.identity import HOME, PASSWORD, RING, World, quick_hasher
from tests.factories.ways import opened
from tests.identity.test_looks import desk, employed
from tests.identity.test_web import application, browser, code_of

PEPPERS = {1: bytes(range(64, 96)), 2: bytes(range(96, 128))}
ANOTHER = "another good secret"


def peppered(world: World, *numbers: int) -> doors.House:
    """The house with these peppers in its keyring."""
    ring = Keyring(RING.wrapping, RING.index, pepper={number: PEPPERS[number] for number in numbers})
    world.database.equipment = replace(world.database.equipment, keyring=ring)
    return doors.House(world.database, quick_hasher())


async def stored(world: World) -> tuple[str, int | None]:
    async with world.database.begin_system("a test") as tx:
        (row,) = await (await tx.execute("select hash, pepper_id from identity.passwords")).fetchall()
    return row


async def came_in(house: doors.House, now: datetime, password: str = PASSWORD) -> bool:
    try:
        found = await identity.sign_in(
            house, identifier="alice", password=password, kind="browser", visitor=HOME, now=now
        )
    except identity.BadCredentials:
        return False
    return isinstance(found, identity.SignedIn)


async def test_a_pepper_is_mixed_in_as_people_sign_in_and_a_hash_alone_tells_nothing(
    world: World, noon: datetime
) -> None:
    await world.player("alice", noon)
    plain = await stored(world)
    one = peppered(world, 1)
    assert not await came_in(one, noon, "wrong")
    assert await stored(world) == plain
    assert [await came_in(one, noon) for _ in range(2)] == [True, True]
    first = await stored(world)
    assert (plain[1], first[1], first[0] != plain[0]) == (None, 1, True)
    assert not (await one.hasher.verify(PASSWORD, first[0])).matches

    two = peppered(world, 1, 2)
    assert await came_in(two, noon)
    assert (await stored(world))[1] == 2
    async with world.database.begin_system("a test") as tx:
        assert await identity.peppers_in_use(tx) == [2]
        await identity.require_pepper_unneeded(tx, number=1)
        with pytest.raises(identity.PepperNeeded):
            await identity.require_pepper_unneeded(tx, number=2)
        await identity.require_peppers(tx)


async def test_hashes_are_as_hard_as_the_house_says_and_never_weaker(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    weak = (await stored(world))[0]
    await opened(world, HASH_PASSES=3, HASH_MEMORY_KIB=20_000)
    try:
        house = doors.House(world.database, quick_hasher())
        assert [await came_in(house, noon) for _ in range(2)] == [True, True]
        assert (weak.split("$")[3], (await stored(world))[0].split("$")[3]) == ("m=8,t=1,p=1", "m=20000,t=3,p=1")
    finally:
        await opened(world)
    assert await came_in(house, noon)
    assert (await stored(world))[0].split("$")[3] == "m=20000,t=3,p=1"


async def test_links_are_good_as_long_as_the_house_says_and_the_letter_says_so(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    for minutes, words in ((7, "7 minutes"), (60, "1 hour"), (1_440, "24 hours"), (43_200, "30 days")):
        await opened(world, **{"identity.password_reset_minutes": minutes})
        try:
            await doors.ask_for_letter(world.house, letter="password_reset", email="alice@example.com")
            (letter,) = await world.deliver()
        finally:
            await opened(world)
        assert f"good for {words}" in letter.text
        assert f"good for {words}" in letter.html
        async with world.database.begin_system("a test") as tx:
            life = await db.value(
                tx,
                "select expires_at - created_at from identity.verification_tokens where purpose = 'password_reset'",
            )
            await db.run(tx, "delete from identity.verification_tokens")
        assert life == timedelta(minutes=minutes)


async def test_names_that_the_house_keeps_are_nobodys(world: World, noon: datetime) -> None:
    await opened(world, RESERVED_NAMES=["mascot"])
    try:
        with pytest.raises(identity.UsernameReserved):
            await world.player("Mascot", noon)
        await world.player("mascot2", noon)
    finally:
        await opened(world)


async def test_without_its_pepper_no_password_is_judged_and_no_process_begins(world: World, noon: datetime) -> None:
    await world.player("alice", noon, house=peppered(world, 1))
    bare = peppered(world)
    with pytest.raises(KeyringError, match="lacks pepper 1"):
        await came_in(bare, noon)
    async with world.database.begin_system("a test") as tx:
        with pytest.raises(KeyringError, match="peppers that passwords need: 1"):
            await identity.require_peppers(tx)


@pytest.fixture
async def alice(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    await world.player("alice", clock.now())
    async with browser(application(world)) as client:
        assert (await entered(client)).status_code == 200
        yield client


async def entered(client: httpx2.AsyncClient, password: str = PASSWORD) -> httpx2.Response:
    return await client.post("/auth/login", json={"identifier": "alice", "password": password})


@pytest.fixture
async def stella(world: World) -> identity.SignedIn:
    return await employed(world, "stella", "support", clock.now())


async def require_change(
    world: World, stella: identity.SignedIn, client: httpx2.AsyncClient, *, must: bool = True
) -> httpx2.Response:
    """What staff are answered who have somebody change his password."""
    address = f"/console/identity/users/{(await client.get('/me')).json()['id']}"
    said = {"must_change_password": must, "reason": "it stood in a leak"}
    async with desk(world, stella) as console:
        tag = (await console.get(address)).headers["etag"]
        return await console.patch(address, json=said, headers={"if-match": tag})


async def corrected(tx: Tx) -> list[object]:
    """What the audit says was corrected of alice."""
    return await db.column(
        tx,
        """select a.changes from infra.audit_rows a join identity.users u on u.id = a.subject_user_id
        where a.action = 'user.correct' and u.username = 'alice' order by a.at""",
    )


async def test_whoever_must_change_his_password_reads_and_does_nothing_before(
    alice: httpx2.AsyncClient, world: World, stella: identity.SignedIn
) -> None:
    assert (await require_change(world, stella, alice)).status_code == 200
    async with browser(application(world)) as other:
        assert (await entered(other)).status_code == 200
        for client in (alice, other):
            tag = (await client.get("/me")).headers["etag"]
            refused = await client.patch("/me", json={"board_name": "hidden"}, headers={"if-match": tag})
            assert code_of(refused) == (403, "identity.password_change_needed")
        page = await other.get("https://palio.test/account")
        assert "Whoever runs this house asks for it." in page.text
        assert "suspended" not in page.text

        weak = await other.put("/me/password", json={"current": PASSWORD, "password": "password"})
        assert code_of(weak) == (422, "identity.password_too_weak")
        changed = await other.put("/me/password", json={"current": PASSWORD, "password": ANOTHER})
        assert changed.status_code == 200
        tag = (await other.get("/me")).headers["etag"]
        assert (await other.patch("/me", json={"board_name": "hidden"}, headers={"if-match": tag})).status_code == 200
        assert "Whoever runs this house asks for it." not in (await other.get("https://palio.test/account")).text
    async with world.database.begin_system("a test") as tx:
        assert await corrected(tx) == [{"must_change_password": [False, True]}]


async def test_it_can_be_taken_back_and_the_same_twice_changes_nothing(
    alice: httpx2.AsyncClient, world: World, stella: identity.SignedIn
) -> None:
    answers = [await require_change(world, stella, alice, must=must) for must in (True, True, False)]
    assert [one.status_code for one in answers] == [200] * 3
    tag = (await alice.get("/me")).headers["etag"]
    assert (await alice.patch("/me", json={"board_name": "hidden"}, headers={"if-match": tag})).status_code == 200
    async with world.database.begin_system("a test") as tx:
        assert len(await corrected(tx)) == 2


async def test_staff_change_theirs_before_the_console_opens(
    world: World, noon: datetime, stella: identity.SignedIn
) -> None:
    async with world.database.begin_system("a test") as tx:
        robot = await identity.create(tx, username="robot", now=noon)
        with pytest.raises(identity.NoPassword):
            await service.people.require_new_password(tx, user_id=robot.id, must=True)
        assert await service.people.require_new_password(tx, user_id=stella.user_id, must=True)
    with pytest.raises(identity.PasswordChangeNeeded):
        await identity.sign_in(
            world.house, identifier="stella", password=PASSWORD, kind="console", visitor=HOME, now=noon
        )
