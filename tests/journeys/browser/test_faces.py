"""A player shows a picture, others see it beside his name, and a newcomer reads and accepts the terms."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from palio import identity
from palio.infra import embedded
from palio.kernel import clock
from tests.factories.identity import quick_hasher
from tests.journeys.browser.conftest import Seen, looking
from tests.journeys.browser.house import Place, opened, sign_in

pytestmark = pytest.mark.browser
PICTURE = Path("tests/corpora/upload/inert-on-its-side.jpg")
TERMS = """# Terms of play

Be **fair**. What you win is yours.

## Prizes

1. Places are paid as the rules of a race say.
2. Ties share.

| Place | Share |
|---|---|
| 1 | half |
| 2 | a quarter |
"""


@pytest.fixture(scope="module")
async def place(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    async with opened(cluster, f"palio_faces_{worker_id}", tmp_path_factory.mktemp("data")) as place:
        yield place


async def looked_at(page: Page, seen: Seen, place: Place, paths: dict[str, str], way: str) -> dict[str, list[str]]:
    """What is wrong with the pages, as axe and the browser see it; with PALIO_PICTURES they are kept."""
    wrong = {}
    for name, path in paths.items():
        await page.goto(f"{place.base}{path}")
        if found := [*await seen.barriers(), *await seen.faults()]:
            wrong[f"{name}.{way}"] = found
        if folder := os.environ.get("PALIO_PICTURES"):
            await page.screenshot(path=Path(folder) / f"{name}.{way}.png", full_page=True)
    return wrong


async def test_a_picture_is_sent_on_the_profile_and_seen_by_friends(browser: Browser, place: Place) -> None:
    ada, bela = await place.person("ada"), await place.person("bela")
    house = identity.House(place.product.wiring.database, quick_hasher())
    for one, other in ((ada, bela), (bela, ada)):
        await identity.befriend(house, user_id=one.id, friend_id=other.id, what="ask", now=clock.now())
    wrong: dict[str, list[str]] = {}
    async with looking(browser, place.base, size="phone", theme="day") as (page, seen):
        await sign_in(page, place.base, "ada")
        await page.get_by_label("A picture of you").set_input_files(PICTURE)
        await page.get_by_role("button", name="Show this picture").click()
        await expect(page.get_by_role("status")).to_contain_text("Saved.")
        await expect(page.get_by_role("img", name="Your picture")).to_have_js_property("naturalWidth", 512)
        await page.get_by_label("A picture of you").set_input_files("tests/corpora/upload/refused-svg.svg")
        await page.get_by_role("button", name="Show this picture").click()
        await expect(page.get_by_role("alert")).to_contain_text("no picture that can be read")
        seen.complaints.clear()  # that it was refused
        wrong |= await looked_at(page, seen, place, {"profile": "/account"}, "phone.day")
    for size, theme in (("desktop", "day"), ("desktop", "night"), ("phone", "night")):
        async with looking(browser, place.base, size=size, theme=theme) as (page, seen):
            await sign_in(page, place.base, "ada")
            wrong |= await looked_at(page, seen, place, {"profile": "/account"}, f"{size}.{theme}")
            await page.get_by_role("button", name="Sign out").click()
            await sign_in(page, place.base, "bela")
            wrong |= await looked_at(page, seen, place, {"friends": "/account/friends"}, f"{size}.{theme}")
            await expect(page.locator("#accepted img.face")).to_have_count(1)
    assert wrong == {}


async def test_a_newcomer_reads_and_accepts_the_terms(browser: Browser, place: Place) -> None:
    async with place.product.wiring.database.begin_system("a test") as tx:
        await identity.publish_document(
            tx, key="terms", texts={"en": TERMS}, acceptance_required=True, now=clock.now(), reason="first"
        )
    wrong: dict[str, list[str]] = {}
    paths = {"sign-up": "/sign-up", "terms": "/documents/terms?version=1"}
    for size, theme in (("desktop", "day"), ("desktop", "night"), ("phone", "day"), ("phone", "night")):
        async with looking(browser, place.base, size=size, theme=theme) as (page, seen):
            wrong |= await looked_at(page, seen, place, paths, f"{size}.{theme}")
    async with looking(browser, place.base, size="phone") as (page, _):
        await page.goto(f"{place.base}/sign-up")
        await page.get_by_label("User name").fill("newcomer")
        await page.get_by_label("E-mail").fill("newcomer@example.com")
        await page.get_by_label("Password").fill("a banner in the wind")
        await page.get_by_role("button", name="Create the account").click()
        await expect(page.get_by_role("heading", name="Create an account")).to_be_visible()  # the box is asked for
        await page.get_by_role("checkbox").check()
        await page.get_by_role("button", name="Create the account").click()
        await expect(page.get_by_role("heading", name="We have sent you a letter")).to_be_visible()
    assert wrong == {}
