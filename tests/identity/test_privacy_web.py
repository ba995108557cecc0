"""One's own data over HTTP and on pages: who may ask, what it takes, and what staff see of it."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from starlette.types import ASGIApp

from palio import identity
from palio.entry import wiring
from palio.identity import jobs, service
from palio.identity.messages import RunPrivacy, TickPrivacy
from palio.infra.storage import Storage
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, new_id
from tests.factories.identity import PASSWORD, World
from tests.identity.test_web import SIGN_UP, application, browser, log_in
from tests.identity.test_web import secret_in as link_in

STEP_UP = {"secret": PASSWORD}


@pytest.fixture
def app(world: World, tmp_path: Path) -> Iterator[ASGIApp]:
    world.database.equipment = replace(
        world.equipment, storage=Storage(tmp_path), personal=wiring.PERSONAL, sealed=wiring.SEALED_COLUMNS
    )
    yield application(world)
    world.database.equipment = world.equipment


@pytest.fixture
async def alice(app: ASGIApp, world: World) -> AsyncIterator[httpx2.AsyncClient]:
    async with browser(app) as client:
        await client.post("/auth/register", json=SIGN_UP)
        (letter,) = await world.deliver()
        await client.post("/auth/verify-email", json={"token": link_in(letter)})
        await log_in(client)
        yield client


async def run_all(world: World, request_id: str) -> None:
    for _ in range(len(wiring.PERSONAL) + 1):
        await jobs.run_privacy(world.database, RunPrivacy(request_id))  # type: ignore[arg-type]  # its text


async def test_a_copy_takes_a_fresh_proof_shows_how_far_it_is_and_is_fetched_by_its_owner_alone(
    alice: httpx2.AsyncClient, app: ASGIApp, world: World
) -> None:
    asked = await alice.post("/me/privacy/exports")
    if asked.status_code == 403:
        assert asked.json()["code"] == "step_up_required"
        assert (await alice.post("/auth/step-up", json=STEP_UP)).is_success
        asked = await alice.post("/me/privacy/exports")
    assert asked.status_code == 202 and asked.json()["state"] == "running"
    request_id = asked.json()["id"]
    assert (await alice.get(f"https://palio.test/account/privacy/export/{request_id}")).status_code == 404
    await jobs.run_privacy(world.database, RunPrivacy(request_id))
    (half,) = (await alice.get("/me/privacy/exports")).json()["items"]
    assert [step["is_done"] for step in half["steps"]] == [True, False, False, False, False]
    page = await alice.get("https://palio.test/account/privacy")
    assert "1 of 5 parts are written" in page.text
    await run_all(world, request_id)
    (done,) = (await alice.get("/me/privacy/exports")).json()["items"]
    fetched = await alice.get(f"https://palio.test{done['path']}")
    assert (fetched.status_code, fetched.headers["content-type"]) == (200, "application/zip")
    assert fetched.headers["cache-control"] == "no-store" and len(fetched.content) == done["bytes"]
    again = await alice.post("/me/privacy/exports")
    assert (again.status_code, again.json()["code"]) == (409, "identity.export_too_soon")
    async with browser(app) as stranger:
        refused = await stranger.get(f"https://palio.test{done['path']}", headers={"accept": "application/json"})
        assert refused.status_code == 401


FORM = {"content-type": "application/x-www-form-urlencoded"}


async def press(app: ASGIApp, secret: str) -> httpx2.Response:
    """The button of the page that the mailed link opens, in a browser in which nobody is signed in."""
    async with browser(app) as elsewhere:
        return await elsewhere.post(f"https://palio.test/erase/{secret}", content="", headers=FORM)


async def test_somebody_asks_confirms_by_the_mailed_page_changes_his_mind_and_is_erased_at_last(
    alice: httpx2.AsyncClient, app: ASGIApp, world: World
) -> None:
    await alice.post("/auth/step-up", json=STEP_UP)
    asked = await alice.post("/me/privacy/erasure")
    assert (asked.status_code, asked.json()["state"]) == (202, "requested")
    (letter,) = await world.deliver()
    secret = letter.text.split("/erase/")[1].split()[0]
    shown = await alice.get(f"https://palio.test/erase/{secret}")
    assert shown.status_code == 200 and "Erase my account" in shown.text
    assert (await alice.get("/me")).json()["status"] == "active", "looking confirms nothing"
    done = await press(app, secret)
    assert done.status_code == 200 and "Until then you can sign in and stay" in done.text
    assert (await alice.get("/me")).json()["status"] == "closing"
    assert "change your mind" in (await alice.get("https://palio.test/account/privacy")).text
    stays = await alice.delete("/me/privacy/erasure")
    assert (stays.status_code, stays.json()["state"]) == (200, "cancelled")
    assert (await alice.get("/me")).json()["status"] == "active"
    assert (await press(app, secret)).status_code == 410

    request_id = (await alice.post("/me/privacy/erasure")).json()["id"]
    (letter,) = await world.deliver()
    assert (await press(app, letter.text.split("/erase/")[1].split()[0])).status_code == 200
    later = clock.real() + timedelta(days=7, seconds=1)
    clock.use(lambda: later)
    await jobs.tick_privacy(world.database, TickPrivacy())
    await run_all(world, request_id)
    clock.use(clock.real)
    assert (await alice.get("/me")).status_code == 401


async def test_documents_are_read_accepted_and_taken_back(alice: httpx2.AsyncClient, world: World) -> None:
    texts = {"en": "Be fair.", "de": "Seid anständig."}
    async with world.database.begin_system("a test") as tx:
        await identity.publish_document(tx, key="terms", texts=texts, acceptance_required=True, now=clock.now())
    read = await alice.get("/documents/terms", headers={"accept-language": "de"})
    assert (read.json()["version"], read.json()["body"]) == (1, "Seid anständig.")
    assert (await alice.get("/documents/nothing")).status_code == 404
    before = (await alice.get("/me/consents")).json()
    assert before["asked"] == [{"document": "terms", "newest": 1, "accepted": None, "is_missing": True}]
    assert "Until you do, you cannot play" in (await alice.get("https://palio.test/account/privacy")).text
    given = (await alice.post("/me/consents", json={"document": "terms", "version": 1})).json()
    assert given["asked"][0]["is_missing"] is False and given["items"][0]["withdrawn_at"] is None
    again = (await alice.post("/me/consents", json={"document": "terms", "version": 1})).json()
    assert len(again["items"]) == 1
    back = (await alice.post("/me/consents", json={"document": "terms", "version": 1, "accept": False})).json()
    assert back["asked"][0]["is_missing"] is True and back["items"][0]["withdrawn_at"]
    assert (await alice.post("/me/consents", json={"document": "terms", "version": 9})).status_code == 404
    assert "Be fair." in (await alice.get("https://palio.test/documents/terms?version=1")).text


async def test_a_break_is_taken_on_its_page_and_asked_back_from_once_it_is_over(
    alice: httpx2.AsyncClient, world: World
) -> None:
    page = await alice.get("https://palio.test/account/limits")
    assert page.status_code == 200 and "You have not kept yourself from playing" in page.text
    await alice.post("/auth/step-up", json=STEP_UP)
    assert (await alice.post("/me/play-exclusions", json={"length": "6mo"})).status_code == 201
    page = await alice.get("https://palio.test/account/limits")
    assert "Self-exclusion" in page.text and "set by you" in page.text and "Ask to return" not in page.text
    shorter = await alice.post("/me/play-exclusions", json={"length": "6mo"})
    assert shorter.status_code == 201, "never shorter, always longer"


async def test_staff_exclude_others_with_a_sealed_reason_and_never_themselves(world: World, noon) -> None:  # type: ignore[no-untyped-def]
    alice, bob = await world.player("alice", noon), await world.player("bob", noon)
    staff = Actor("staff", bob.id, RequestId(new_id()))
    async with world.database.begin(staff) as tx:
        made = await service.play.exclude_for_house(
            tx, user_id=alice.id, days=3, by=bob.id, reason="asked by a relative", now=noon
        )
        assert (made.kind, made.ends_at, made.created_by) == ("operator_exclusion", noon + timedelta(days=3), bob.id)
        with pytest.raises(identity.OwnExclusion):
            await service.play.exclude_for_house(tx, user_id=bob.id, days=3, by=bob.id, reason="rest a while", now=noon)
        with pytest.raises(identity.ReasonTooShort):
            await service.play.exclude_for_house(tx, user_id=alice.id, days=30, by=bob.id, reason="no", now=noon)
    assert "relative" not in world.everything()
