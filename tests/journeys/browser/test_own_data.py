"""Somebody takes a copy of his data, takes a break, asks to be erased and stays; staff see it. By day and by night."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from palio import identity
from palio.infra import embedded
from palio.kernel import clock
from tests.admin.house import Console, manned
from tests.journeys.browser.conftest import Seen, looking
from tests.journeys.browser.house import Place, opened, sign_in

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
async def place(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    async with opened(cluster, f"palio_own_data_{worker_id}", tmp_path_factory.mktemp("data")) as place:
        yield place


async def right(page: Page, seen: Seen, name: str) -> None:
    assert (name, [*await seen.barriers(), *await seen.faults()]) == (name, [])


@pytest.fixture(scope="module")
async def console(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    async with manned(cluster, f"palio_own_desk_{worker_id}", tmp_path_factory.mktemp("desk")) as console:
        yield console


@pytest.mark.parametrize(("size", "theme"), [("phone", "day"), ("desktop", "night")])
async def test_staff_see_what_people_ask_for_and_keep_somebody_from_playing(
    browser: Browser, console: Console, size: str, theme: str
) -> None:
    player = await console.player()
    name = (await console.named(player)).username
    async with console.begin() as tx:
        asked = await identity.ask_for_export(tx, user_id=player, now=clock.now())
        await tx.execute(
            "update identity.privacy_steps set attempts = 3, error_code = 'OSError' where request_id = %s"
            " and section = 'ledger'",
            (asked.id,),
        )
    async with looking(browser, console.base, size=size, theme=theme) as (page, seen):
        await page.set_extra_http_headers(console.staff(console.noor))
        await page.goto(f"{console.base}/console/identity/privacy-requests")
        row = page.locator("#requests li").first
        await expect(row).to_contain_text("ledger: OSError")
        await right(page, seen, f"requests-{size}-{theme}")
        await row.get_by_label("Why").fill("the disk was full")
        await row.get_by_role("button", name="Try again now").click()
        await expect(page.get_by_role("status")).to_contain_text("It is tried again.")

        await page.goto(f"{console.base}/console/identity/play-exclusions")
        await page.locator("#set").get_by_label("User name or id").fill(name)
        await page.get_by_label("For how many days").fill("30")
        await page.locator("#set").get_by_label("Why").fill("asked by his family")
        await page.get_by_role("button", name="Keep him from playing").click()
        await expect(page.locator("#breaks li").first).to_contain_text("set by the house")
        await right(page, seen, f"breaks-{size}-{theme}")
        await page.locator("#breaks li").first.get_by_label("Why it was a mistake").fill("the wrong person")
        await page.locator("#breaks li").first.get_by_role("button", name="Propose to undo it").click()
        await expect(page.get_by_role("status")).to_contain_text("a second person decides")


@pytest.mark.parametrize(("size", "theme"), [("phone", "night"), ("desktop", "day")])
async def test_somebody_takes_his_data_a_break_and_his_leave(
    browser: Browser, place: Place, tmp_path: Path, size: str, theme: str
) -> None:
    name = f"ida-{size}"
    await place.person(name)
    async with looking(browser, place.base, size=size, theme=theme) as (page, seen):
        await sign_in(page, place.base, name, to="/account/limits")
        await expect(page.locator("#breaks")).to_contain_text("No break")
        await page.get_by_label("7 days").check()
        await right(page, seen, f"limits-{size}-{theme}")
        await page.get_by_role("button", name="Take the break").click()
        await expect(page.get_by_role("status")).to_contain_text("It holds from this moment on.")
        await expect(page.locator("#breaks")).to_contain_text("set by you")
        await right(page, seen, f"break-{size}-{theme}")

        await page.goto(f"{place.base}/account/privacy")
        await page.get_by_role("button", name="Ask for a copy").click()
        await expect(page.locator("#export")).to_contain_text("parts are written")
        await right(page, seen, f"copying-{size}-{theme}")
        await place.deliver()
        await page.reload()
        async with page.expect_download() as coming:
            await page.get_by_role("link", name="Fetch it").click()
        assert (await (await coming.value).path()).stat().st_size > 500

        await page.get_by_role("button", name="Erase my account").click()
        await expect(page.locator("#erase")).to_contain_text("We have written to you")
        await place.deliver()
        await page.goto(f"{place.base}/erase/{place.link('erase', f'{name}@example.com')}")
        await right(page, seen, f"erase-{size}-{theme}")
        await page.get_by_role("button", name="Erase my account").click()
        await expect(page.get_by_role("status")).to_contain_text("Until then you can sign in and stay")
        await page.get_by_role("link", name="Look at it").click()
        await right(page, seen, f"privacy-{size}-{theme}")
        await page.get_by_role("button", name="Stay after all").click()
        await expect(page.locator("#erase")).to_contain_text("nobody can bring them back")
