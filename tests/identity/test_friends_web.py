"""Friends, breaks and what is said once, over HTTP and on the page."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta

import httpx2
import pytest
from starlette.types import ASGIApp

from palio import identity
from palio.identity import types
from palio.infra import settings
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from palio.kernel.settings import Catalogue
from tests.factories.identity import PASSWORD, World
from tests.identity.test_pages import application as pages
from tests.identity.test_pages import browser as page_browser
from tests.identity.test_pages import enter, sent
from tests.identity.test_web import application, browser, code_of

Client = httpx2.AsyncClient


@pytest.fixture
def app(world: World) -> ASGIApp:
    return application(world)


@pytest.fixture
async def people(app: ASGIApp, world: World) -> AsyncIterator[dict[str, tuple[Client, UserId]]]:
    """Alice, Bob and Carol, each signed in in a browser of his own."""
    async with AsyncExitStack() as stack:
        found = {}
        for name in ("alice", "bob", "carol"):
            user = await world.player(name, clock.now())
            client = await stack.enter_async_context(browser(app))
            answer = await client.post("/auth/login", json={"identifier": name, "password": PASSWORD})
            assert answer.status_code == 200
            found[name] = (client, user.id)
        yield found


async def listed(client: Client, state: str = "accepted") -> list[str]:
    answer = await client.get("/me/friends", params={"state": state})
    assert answer.status_code == 200
    return [one["display_name"] for one in answer.json()["items"]]


async def test_asked_accepted_and_parted_over_http(people: dict[str, tuple[Client, UserId]]) -> None:
    (alice, alice_id), (bob, bob_id), _ = people.values()
    found = (await alice.get("/users", params={"username.prefix": "BO"})).json()
    assert found["code"] == "validation_failed"
    found = (await alice.get("/users", params={"username.prefix": "Bob"})).json()["items"]
    assert [(one["id"], one["display_name"]) for one in found] == [(str(bob_id), "bob")]
    assert set(found[0]) == {"id", "display_name", "member_since", "avatar_url"}
    assert (await alice.get(f"/users/{bob_id}")).json() == found[0]
    assert code_of(await alice.get(f"/users/{new_id()}")) == (404, "identity.no_such_user")

    for _ in range(2):  # the same again changes nothing
        asked = await alice.post("/me/friends", json={"user_id": str(bob_id)})
        assert (asked.status_code, asked.json()["state"]) == (201, "asking")
    assert (await listed(alice, "asking"), await listed(bob, "asked"), await listed(bob)) == (["bob"], ["alice"], [])
    for _ in range(2):
        accepted = await bob.post(f"/me/friends/{alice_id}/accept")
        assert (accepted.status_code, accepted.json()["state"]) == (200, "accepted")
    assert (await listed(alice), await listed(bob)) == (["bob"], ["alice"])
    for _ in range(2):
        assert (await bob.delete(f"/me/friends/{alice_id}")).json() == {"status": "done"}
    assert (await listed(alice), await listed(bob)) == ([], [])
    assert code_of(await bob.post(f"/me/friends/{alice_id}/accept")) == (404, "identity.not_asked")


async def test_whoever_is_blocked_reads_what_everybody_reads(people: dict[str, tuple[Client, UserId]]) -> None:
    (alice, alice_id), (bob, bob_id), (carol, _) = people.values()
    assert (await alice.post(f"/me/friends/{bob_id}/block")).json()["state"] == "blocked"
    answers = [await client.post("/me/friends", json={"user_id": str(alice_id)}) for client in (bob, carol)]
    shapes = [{**answer.json(), "since": None} for answer in answers]
    assert shapes[0] == shapes[1]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert await listed(alice, "asked") == ["carol"]
    assert (await bob.get(f"/users/{alice_id}")).json() == (await carol.get(f"/users/{alice_id}")).json()
    assert code_of(await alice.post("/me/friends", json={"user_id": str(bob_id)})) == (409, "identity.friend_blocked")
    assert code_of(await alice.post("/me/friends", json={"user_id": str(alice_id)})) == (422, "identity.not_yourself")


async def test_a_long_list_is_read_in_parts(world: World, people: dict[str, tuple[Client, UserId]]) -> None:
    (alice, alice_id), (bob, _), (carol, _) = people.values()
    for client in (bob, carol):
        await client.post("/me/friends", json={"user_id": str(alice_id)})
    first = (await alice.get("/me/friends", params={"state": "asked", "limit": 1})).json()
    second = (await alice.get("/me/friends", params={"state": "asked", "limit": 1, "cursor": first["next"]})).json()
    assert [one["display_name"] for part in (first, second) for one in part["items"]] == ["carol", "bob"]
    assert (first["prev"], second["next"]) == (None, None)
    back = (await alice.get("/me/friends", params={"state": "asked", "limit": 1, "cursor": second["prev"]})).json()
    assert back == first
    turned = {"state": "asked", "limit": 1, "sort": "since"}
    oldest = (await alice.get("/me/friends", params=turned)).json()
    newest = (await alice.get("/me/friends", params={**turned, "cursor": oldest["next"]})).json()
    assert [oldest["items"], newest["items"]] == [second["items"], first["items"]]
    assert (oldest["prev"], newest["next"]) == (None, None)
    unknown = await alice.get("/me/friends", params={"sort": "-user_id"})
    assert (code_of(unknown), unknown.json()["errors"][0]["pointer"]) == ((422, "validation_failed"), "/sort")
    foreign = await bob.get("/me/friends", params={"state": "asked", "limit": 1, "cursor": first["next"]})
    assert code_of(foreign) == (422, "cursor_mismatch")


async def test_a_break_is_taken_at_once_and_never_shorter(
    world: World, people: dict[str, tuple[Client, UserId]]
) -> None:
    alice, alice_id = people["alice"]
    assert (await alice.get("/me/play-exclusions")).json() == {"items": []}
    taken = await alice.post("/me/play-exclusions", json={"length": "1y"})
    assert (taken.status_code, taken.json()["kind"], taken.json()["is_on"]) == (201, "self_exclusion", True)
    assert code_of(await alice.post("/me/play-exclusions", json={"length": "6mo"})) == (
        409,
        "identity.exclusion_shorter",
    )
    assert code_of(await alice.post("/me/play-exclusions", json={"length": "1h"})) == (422, "validation_failed")
    back = await alice.post(f"/me/play-exclusions/{taken.json()['id']}/return")
    assert code_of(back) == (409, "identity.exclusion_runs")
    assert code_of(await people["bob"][0].post(f"/me/play-exclusions/{taken.json()['id']}/return")) == (
        404,
        "identity.no_such_exclusion",
    )
    async with world.database.begin_system("a test") as tx:
        found = await identity.require_play_many(
            tx, [(alice_id, "compete"), (alice_id, "withdraw")], now=clock.now() + timedelta(seconds=1)
        )
    assert [refusal and refusal.code for refusal in found] == ["identity.self_excluded", None]


@pytest.fixture
def asking_nothing_afterwards() -> Iterator[None]:
    yield
    settings.snapshot.forget()


async def asked_for(world: World, min_age: int, countries: list[str]) -> None:
    """The house asks players how old they are, and does not let those of some countries play."""
    changes = [settings.Change(types.MIN_AGE, min_age), settings.Change(types.BLOCKED_COUNTRIES, countries)]
    async with world.database.begin_system("a test") as tx:
        await settings.declare(tx, Catalogue(types.SETTINGS))
        await settings.change(tx, tx.actor, changes, "a test")
        await settings.snapshot.load(tx)


@pytest.mark.usefixtures("asking_nothing_afterwards")
async def test_a_birthday_and_a_country_are_said_once_and_asked_for_by_the_house(
    world: World, people: dict[str, tuple[Client, UserId]]
) -> None:
    alice, alice_id = people["alice"]
    await asked_for(world, 18, ["US"])

    async def refused() -> str | None:
        async with world.database.begin_system("a test") as tx:
            (refusal,) = await identity.require_play_many(tx, [(alice_id, "compete")], now=clock.now())
        return refusal.code if refusal else None

    async def say(**said: str) -> httpx2.Response:
        seen = (await alice.get("/me")).headers["etag"]
        return await alice.patch("/me", json=said, headers={"if-match": seen})

    assert await refused() == "identity.underage"
    assert code_of(await say(birth_date="2190-01-01")) == (422, "identity.birth_date_invalid")
    told = await say(birth_date="2003-12-31")
    assert (told.status_code, told.json()["birth_date"]) == (200, "2003-12-31")
    assert await refused() is None  # the place of the address he came from counts until he says another
    assert code_of(await say(country="Germany")) == (422, "identity.country_invalid")
    assert (await say(country="DE")).json()["country"] == "DE"
    assert await refused() is None
    assert (await say(country="DE", birth_date="2003-12-31")).status_code == 200
    for other in ({"country": "US"}, {"birth_date": "2003-12-30"}):
        assert code_of(await say(**other)) == (409, "identity.said_already")
    assert "2003-12-31" not in world.everything()
    await asked_for(world, 25, ["US"])
    assert await refused() == "identity.underage"


# the page


async def test_a_page_without_script_asks_accepts_and_says_what_was_done(world: World) -> None:
    app = pages(world)
    alice_id = (await world.player("alice", clock.now())).id
    bob_id = (await world.player("bobby", clock.now())).id
    async with page_browser(app) as alice, page_browser(app) as bob:
        await enter(alice)
        await enter(bob, "bobby")
        assert "No friends yet" in (await alice.get("/account/friends")).text
        assert "Type three characters or more." in (await alice.get("/account/friends?q=bo")).text
        assert "Nobody of that name can be found." in (await alice.get("/account/friends?q=nobody")).text
        found = (await alice.get("/account/friends?q=bob")).text
        assert "Ask bobby to be your friend" in found

        path = "/account/friends"
        asked = await sent(alice, f"{path}?q=bob", f"{path}/ask", user_id=str(bob_id), q="bob")
        assert asked.headers["location"] == "/account/friends?told=asking&q=bob"
        assert "You are friends as soon as the answer is yes." in (await alice.get(asked.headers["location"])).text
        assert "They ask you" in (await bob.get(path)).text
        done = await sent(bob, path, f"{path}/accept", user_id=str(alice_id))
        assert "You are friends now." in (await bob.get(done.headers["location"])).text
        again = await sent(bob, path, f"{path}/accept", user_id=str(new_id()))
        assert (again.status_code, "has not asked to be your friend" in again.text) == (404, True)
        blocked = await sent(bob, path, f"{path}/block", user_id=str(alice_id))
        shown = (await bob.get(blocked.headers["location"])).text
        assert "Unblock alice" in shown and "No friends yet" in shown
        assert re.search("No friends yet", (await alice.get(path)).text)
