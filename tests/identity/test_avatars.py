"""Pictures of players: drawn anew, shown to others unless the name is hidden, gone with their bearer."""

import asyncio
import io
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from PIL import Image

from palio import identity
from palio.identity import doors, jobs, rules, service
from palio.identity.messages import Purge, RemovePictures
from palio.infra import db, files
from palio.infra.approvals import ReasonMissing
from palio.infra.storage import Storage
from palio.kernel import clock
from tests.factories.identity import World, later
from tests.identity.test_looks import actor, desk, employed
from tests.identity.test_web import application, browser, code_of

CORPUS = Path("tests/corpora/upload")
PLACED = CORPUS / "inert-exif-place.jpg"


@pytest.fixture(autouse=True)
def stored(world: World, tmp_path: Path) -> Storage:
    """Where the files of this test lie."""
    storage = Storage(tmp_path / "files")
    world.database.equipment = replace(world.equipment, storage=storage)
    return storage


@pytest.fixture
async def alice(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    await world.player("alice", clock.now())
    async with browser(application(world)) as client:
        answer = await client.post("/auth/login", json={"identifier": "alice", "password": "correct horse battery"})
        assert answer.status_code == 200
        yield client


def sent(path: Path) -> dict[str, str]:
    return {"picture": b64encode(path.read_bytes()).decode()}


async def keys(world: World) -> list[tuple[str, bool]]:
    async with world.database.begin_system("a test") as tx:
        found = await tx.execute("select key, dropped_at is not null from identity.avatar_files order by created_at")
        return [(key, dropped) for key, dropped in await found.fetchall()]


async def test_a_picture_is_sent_shown_to_everybody_and_removed(alice: httpx2.AsyncClient, world: World) -> None:
    put = await alice.put("/me/avatar", json=sent(PLACED))
    me = (await alice.get("/me")).json()
    shown = await alice.get(f"https://palio.test{put.json()['avatar_url']}")
    async with browser(application(world)) as stranger:
        seen = await stranger.get(f"https://palio.test{put.json()['avatar_url']}")
    page = await alice.get("https://palio.test/account")
    removed = await alice.delete("/me/avatar")
    again = await alice.delete("/me/avatar")
    gone = await alice.get(f"https://palio.test{put.json()['avatar_url']}")

    assert (put.status_code, me["avatar_url"]) == (200, put.json()["avatar_url"])
    assert (shown.status_code, seen.content, b"PLANTED" in seen.content) == (200, shown.content, False)
    assert shown.headers["content-type"] == "image/webp"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "sandbox; default-src 'none'" in shown.headers.get_list("content-security-policy")
    assert shown.headers["content-disposition"].startswith("inline")
    with Image.open(io.BytesIO(shown.content)) as image:
        assert (image.format, image.size, dict(image.getexif())) == ("WEBP", (512, 512), {})
    assert f'src="{put.json()["avatar_url"]}"' in page.text
    assert (removed.json(), again.json()) == ({"avatar_url": None}, {"avatar_url": None})
    assert gone.status_code == 404
    assert (await alice.get("/me")).json()["avatar_url"] is None


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("refused-svg.svg", (422, "file.not_a_picture")),
        ("refused-html.jpg", (422, "file.not_a_picture")),
        ("refused-truncated.png", (422, "file.not_a_picture")),
        ("refused-empty.png", (422, "file.not_a_picture")),
        ("too_large-bomb-50000.png", (413, "file.too_large")),
    ],
)
async def test_what_is_refused_leaves_the_picture_there_was(
    alice: httpx2.AsyncClient, world: World, name: str, refusal: tuple[int, str]
) -> None:
    before = (await alice.put("/me/avatar", json=sent(PLACED))).json()
    answer = await alice.put("/me/avatar", json=sent(CORPUS / name))
    assert code_of(answer) == refusal
    assert (await alice.get("/me")).json()["avatar_url"] == before["avatar_url"]
    assert len(await keys(world)) == 1


async def test_a_form_of_the_page_shows_a_picture_says_what_is_wrong_and_removes_it(alice: httpx2.AsyncClient) -> None:
    async def fields() -> dict[str, str]:
        page = (await alice.get("https://palio.test/account")).text
        token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
        return {"csrf_token": token}

    address = "https://palio.test/account/avatar"
    done = await alice.post(address, data=await fields(), files={"picture": ("me.jpg", PLACED.read_bytes())})
    svg = (CORPUS / "refused-svg.svg").read_bytes()
    wrong = await alice.post(address, data=await fields(), files={"picture": ("me.png", svg, "image/png")})
    shown = (await alice.get("/me")).json()["avatar_url"]
    gone = await alice.post(f"{address}/remove", data=await fields())

    assert (done.status_code, done.headers["location"]) == (303, "/account?saved=true")
    assert (wrong.status_code, "no picture that can be read" in wrong.text) == (422, True)
    assert shown
    assert (gone.status_code, (await alice.get("/me")).json()["avatar_url"]) == (303, None)


async def test_others_see_it_unless_the_name_is_hidden(alice: httpx2.AsyncClient, world: World) -> None:
    picture = (await alice.put("/me/avatar", json=sent(PLACED))).json()["avatar_url"]
    me = (await alice.get("/me")).json()
    await world.player("bob", clock.now())
    async with browser(application(world)) as bob:
        await bob.post("/auth/login", json={"identifier": "bob", "password": "correct horse battery"})
        told = {}
        for choice in ("full", "masked", "hidden"):
            tag = (await alice.get("/me")).headers["etag"]
            await alice.patch("/me", json={"board_name": choice}, headers={"If-Match": tag})
            told[choice] = (await bob.get(f"/users/{me['id']}")).json()["avatar_url"]
        found = (await bob.get("/users", params={"username.prefix": "alice"})).json()
    assert told == {"full": picture, "masked": picture, "hidden": None}
    assert [one["avatar_url"] for one in found["items"]] == [None]


async def test_staff_remove_it_with_a_reason_and_it_is_audited(alice: httpx2.AsyncClient, world: World) -> None:
    now = clock.now()
    picture = (await alice.put("/me/avatar", json=sent(PLACED))).json()["avatar_url"]
    me = (await alice.get("/me")).json()
    staff = await employed(world, "stella", "support", now)
    address = f"/console/identity/users/{me['id']}"
    async with desk(world, staff) as client:
        seen = (await client.get(address)).json()["avatar_url"]
        removed = await client.post(f"{address}/avatar/remove", json={"reason": "a picture of somebody else"})
        again = await client.post(f"{address}/avatar/remove", json={"reason": "a picture of somebody else"})
    async with world.database.begin_system("a test") as tx:
        rows = await db.column(tx, "select reason from infra.audit_rows where action = 'user.remove_avatar'")

    assert seen == picture
    assert (removed.status_code, removed.json()) == (200, {"avatar_url": None})
    assert code_of(again) == (404, "identity.no_such_avatar")
    assert rows == ["a picture of somebody else"]
    assert (await alice.get(f"https://palio.test{picture}")).status_code == 404


async def test_staff_say_why_and_do_not_act_on_themselves(world: World, noon: datetime) -> None:
    user = await world.player("alice", noon)
    staff = await employed(world, "stella", "support", noon)
    await doors.put_avatar(world.house, user_id=user.id, content=PLACED.read_bytes(), now=noon)
    await doors.put_avatar(world.house, user_id=staff.user_id, content=PLACED.read_bytes(), now=noon)
    for whom, reason, refusal in (
        (user.id, "why", ReasonMissing),
        (staff.user_id, "a good reason", identity.OwnAccount),
    ):
        with pytest.raises(refusal):
            async with world.database.begin(actor("staff", staff.user_id)) as tx:
                await service.avatars.remove_by_staff(tx, user_id=whom, reason=reason, now=noon)
    assert [dropped for _, dropped in await keys(world)] == [False, False]


async def test_files_that_have_served_go_and_the_shown_one_stays(world: World, stored: Storage, noon: datetime) -> None:
    user = await world.player("alice", noon)
    first, second, third = [
        await doors.put_avatar(world.house, user_id=user.id, content=PLACED.read_bytes(), now=later(noon, seconds=n))
        for n in range(3)
    ]
    async with world.database.begin_system("a test") as tx:  # a process was killed before it showed what it stored
        fresh = await service.avatars.announce(tx, user_id=user.id, now=clock.now())
        lost = await service.avatars.announce(tx, user_id=user.id, now=clock.now() - timedelta(hours=25))
    for key in (fresh, lost):
        await stored.put(rules.names.file_of_avatar(key), b"RIFF")
    assert [dropped for _, dropped in await keys(world)].count(True) == 2

    for _ in range(2):  # a second run finds nothing
        await jobs.remove_pictures(world.database, RemovePictures())
        there = {key: await stored.has(rules.names.file_of_avatar(key)) for key in (first, second, third, fresh, lost)}
        assert there == {first: False, second: False, third: True, fresh: True, lost: False}
    assert {key for key, _ in await keys(world)} == {third, fresh}


async def test_two_pictures_at_once_leave_one_shown_and_its_file_stays(
    world: World, stored: Storage, noon: datetime
) -> None:
    user = await world.player("alice", noon)
    content = PLACED.read_bytes()
    sending = [doors.put_avatar(world.house, user_id=user.id, content=content, now=noon) for _ in range(6)]
    made = await asyncio.gather(*sending)
    async with world.database.begin_system("a test") as tx:
        shown = await db.value(tx, "select avatar_key from identity.users where id = %s", user.id)
    await jobs.remove_pictures(world.database, RemovePictures())

    assert shown in made
    assert [key for key, _ in await keys(world)] == [shown]
    assert await stored.has(rules.names.file_of_avatar(shown))


async def test_a_day_takes_fifty_mebibytes_of_whatever_is_sent(world: World, noon: datetime) -> None:
    """Also of what is no picture; the next day begins at midnight of UTC, and what was counted is forgotten."""
    user = await world.player("alice", noon)
    for _ in range(24):
        with pytest.raises(files.PictureTooLarge):
            await doors.put_avatar(world.house, user_id=user.id, content=bytes((2 << 20) + 1), now=noon)
    left = (50 << 20) - 24 * ((2 << 20) + 1)
    with pytest.raises(files.SentEnough) as refused:
        await doors.put_avatar(world.house, user_id=user.id, content=bytes(left + 1), now=noon)
    assert refused.value.facts == {"bytes_max": 50 << 20, "retry_after_s": 12 * 3_600 + 1}
    with pytest.raises(files.NotAPicture):
        await doors.put_avatar(world.house, user_id=user.id, content=bytes(left), now=noon)
    with pytest.raises(files.SentEnough):
        await doors.put_avatar(world.house, user_id=user.id, content=PLACED.read_bytes(), now=later(noon, days=0.49))
    assert await keys(world) == []

    await doors.put_avatar(world.house, user_id=user.id, content=PLACED.read_bytes(), now=later(noon, days=0.5))
    assert await world.count("select count(*) from identity.upload_days") == 2
    async with world.database.begin_system("a test") as tx:
        await jobs.purge(tx, Purge())  # by the clock of this machine, which is later
    assert await world.count("select count(*) from identity.upload_days") == 0


async def test_who_is_erased_takes_his_pictures_along(world: World, stored: Storage, noon: datetime) -> None:
    user = await world.player("alice", noon)
    key = await doors.put_avatar(world.house, user_id=user.id, content=PLACED.read_bytes(), now=noon)
    async with world.database.begin_system("a test") as tx:
        listed = await service.privacy.PRIVACY.files(tx, user.id)
        await db.run(tx, "update identity.users set status = 'closing' where id = %s", user.id)
        await service.privacy.PRIVACY.erase(tx, user.id, noon)
    assert rules.names.file_of_avatar(key) in listed
    assert await keys(world) == []
    with pytest.raises(identity.NoSuchAvatar):
        await doors.read_avatar(world.house, key=key)


async def test_nobody_else_sees_which_files_there_are(world: World, noon: datetime) -> None:
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    await doors.put_avatar(world.house, user_id=alice.id, content=PLACED.read_bytes(), now=noon)
    counted = {}
    for user in (alice, bob):
        async with world.database.begin(actor("player", user.id)) as tx:
            counted[user.username] = await db.value(tx, "select count(*) from identity.avatar_files")
    assert counted == {"alice": 1, "bob": 0}
