"""Two players become friends in two browsers, on a telephone and at a desk, by day and by night."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from palio.infra import embedded
from tests.journeys.browser.conftest import Seen, looking
from tests.journeys.browser.house import Place, opened, sign_in

pytestmark = pytest.mark.browser

PAGE = "/account/friends"


@pytest.fixture(scope="module")
async def place(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    async with opened(cluster, f"palio_friends_{worker_id}", tmp_path_factory.mktemp("data")) as place:
        yield place


async def right(page: Page, seen: Seen, name: str, *, script: bool) -> None:
    """Nothing is wrong with what is shown; without script nothing can look."""
    if script:
        assert (name, [*await seen.barriers(), *await seen.faults()]) == (name, [])
    await expect(page.get_by_role("link", name="Sign in")).to_have_count(0)


async def find(page: Page, name: str) -> None:
    await page.get_by_label("User name").fill(name)
    await page.get_by_role("button", name="Find").click()


@pytest.mark.parametrize(
    ("size", "theme", "script"), [("phone", "night", True), ("desktop", "day", True), ("small", "day", False)]
)
async def test_two_find_ask_and_accept_each_other_and_part(
    browser: Browser, place: Place, size: str, theme: str, script: bool
) -> None:
    ann, ben = f"ann-{size}", f"ben-{size}"
    for name in (ann, ben):
        await place.person(name)
    async with (
        looking(browser, place.base, size=size, theme=theme, script=script) as (hers, seen),
        looking(browser, place.base, size=size, theme=theme, script=script) as (his, noticed),
    ):
        await sign_in(hers, place.base, ann, to=PAGE)
        await expect(hers.locator("#accepted")).to_contain_text("No friends yet")
        await right(hers, seen, f"empty-{size}-{theme}", script=script)
        await find(hers, ben[:5])
        await hers.get_by_role("button", name=f"Ask {ben} to be your friend").click()
        await expect(hers.get_by_role("status")).to_contain_text("You are friends as soon as the answer is yes.")
        await expect(hers.locator("#asking")).to_contain_text(ben)
        await right(hers, seen, f"asking-{size}-{theme}", script=script)

        await sign_in(his, place.base, ben, to=PAGE)
        await expect(his.locator("#asked")).to_contain_text(ann)
        await right(his, noticed, f"asked-{size}-{theme}", script=script)
        await his.get_by_role("button", name=f"Be friends with {ann}").click()
        await expect(his.get_by_role("status")).to_contain_text("You are friends now.")
        await expect(his.locator("#accepted")).to_contain_text(ann)
        await right(his, noticed, f"friends-{size}-{theme}", script=script)

        await his.get_by_role("button", name=f"Block {ann}").click()
        await expect(his.locator("#blocked")).to_contain_text(ann)
        await right(his, noticed, f"blocked-{size}-{theme}", script=script)
        await hers.goto(f"{place.base}{PAGE}")
        await expect(hers.locator("#accepted")).to_contain_text("No friends yet")
        await find(hers, ben)
        await hers.get_by_role("button", name=f"Ask {ben} to be your friend").click()
        await expect(hers.locator("#asking")).to_contain_text(ben)  # as if nobody answered
        await his.goto(f"{place.base}{PAGE}")
        await expect(his.locator("#asked")).to_have_count(0)
        await his.get_by_role("button", name=f"Unblock {ann}").click()
        await expect(his.get_by_role("status")).to_contain_text("Done.")
        await expect(his.locator("#blocked")).to_have_count(0)
