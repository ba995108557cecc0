"""The pages around a race, from the product itself: lists, archive and entrants, with and without script."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from playwright.async_api import Browser, expect

from palio import races
from palio.infra import embedded
from palio.infra.db import Tx
from palio.kernel import clock
from tests.factories.races import Feed, at, feed, race, run, setup_r
from tests.journeys.browser.conftest import looking
from tests.journeys.product import Product, running
from tests.ui.house import SYSTEM

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Shown:
    """The product, and the feed of the race that is on."""

    product: Product
    source: Feed

    @property
    def base(self) -> str:
        return self.product.base

    def begin(self) -> AbstractAsyncContextManager[Tx]:
        return self.product.wiring.database.begin(SYSTEM)


@pytest.fixture(scope="module")
async def shown(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shown]:
    """A race that is over, one that is on, in which 120 wager and one was corrected, and one that comes."""
    async with running(cluster, f"palio_lists_{worker_id}", tmp_path_factory.mktemp("data")) as product:
        now = clock.now()
        async with product.wiring.database.begin(SYSTEM) as tx:
            await setup_r(tx)
            await run(tx, at("20:30:00"))
            source = await feed(tx)
            await source.show(tx, now - timedelta(minutes=70), {f"u{n}": "1.00" for n in range(120)})
            on = {
                "starts_at": now - timedelta(hours=1),
                "ends_at": now + timedelta(hours=2),
                "title": "The one that is on",
            }
            await race(tx, source, now, **on)
            await run(tx, now)
            for minutes, more in ((40, 400), (25, 380), (10, 420)):
                totals = {f"u{n}": f"{more if n == 7 else 200 + n}.50" for n in range(120)}
                await source.show(tx, now - timedelta(minutes=minutes), totals)
            await races.on_snapshot_many(tx, await races.open_of(tx, programme_id=source.programme_id), now=now)
            soon = {"starts_at": now + timedelta(hours=5), "ends_at": now + timedelta(days=2), "backdated_reason": None}
            await race(tx, source, now, title="The one that comes", **soon)
        yield Shown(product, source)


PAGES = {
    "home": "/",
    "races": "/races",
    "history": "/races/history?year=2025",
    "nothing": "/races/history?year=2025&month=4",
    "entrant": "/races/2/entrants/{}",
    "board": "/races/2",
}


async def leader(shown: Shown) -> int:
    async with shown.begin() as tx:
        return (await races.view(tx, number=2, now=clock.now(), rows_max=1)).rows[0].entrant_id


@pytest.mark.parametrize(("size", "theme"), [("desktop", "day"), ("phone", "night"), ("small", "day")])
async def test_nothing_is_wrong_with_the_pages_around_a_race(
    browser: Browser, shown: Shown, size: str, theme: str
) -> None:
    entrant_id = await leader(shown)
    async with looking(browser, shown.base, size=size, theme=theme) as (page, seen):
        for name, path in PAGES.items():
            await page.goto(shown.base + path.format(entrant_id), wait_until="load")
            await expect(page.locator("h1")).to_be_visible()
            if name == "entrant":
                await expect(page.locator("data-chart canvas")).to_be_visible()

            assert (name, [*await seen.barriers(), *await seen.faults()]) == (name, [])


async def test_the_board_goes_on_and_leads_to_whoever_stands_there_without_script(
    browser: Browser, shown: Shown
) -> None:
    async with looking(browser, shown.base, script=False) as (page, _):
        await page.goto(shown.base + "/races/2")
        await page.get_by_role("link", name="Places below").click()
        await expect(page.locator("tbody tr").first).to_contain_text("101")
        await expect(page.locator(".podium")).to_have_count(0)
        await page.get_by_role("link", name="Places above").click()
        await page.locator(".podium-1 a").click()

        await expect(page.locator("h1")).to_have_text("nam***")
        await page.get_by_text("3 changes").click()
        await expect(page.get_by_role("row", name="corrected")).to_contain_text("$20.00")
        await page.locator("#entrant").get_by_role("link", name="The one that is on").click()
        await expect(page.locator(".podium-1")).to_contain_text("$419.50")


async def test_the_archive_is_narrowed_by_its_address_without_script(browser: Browser, shown: Shown) -> None:
    async with looking(browser, shown.base, script=False) as (page, _):
        await page.goto(shown.base + "/races")
        await page.get_by_role("link", name="The archive").click()
        await page.get_by_label("Year").fill("2025")
        await page.get_by_label("Month").select_option("March")
        await page.get_by_role("button", name="Show").click()

        assert page.url == f"{shown.base}/races/history?year=2025&month=3"
        await expect(page.get_by_role("row", name="Spring race")).to_contain_text("pla***")
        await expect(page.get_by_role("row", name="Spring race")).to_contain_text("$500.00")


async def test_an_entrants_page_follows_without_reload(browser: Browser, shown: Shown) -> None:
    entrant_id = await leader(shown)
    async with looking(browser, shown.base) as (page, seen):
        await page.goto(f"{shown.base}/races/2/entrants/{entrant_id}")
        await expect(page.locator("html")).to_have_attribute("data-stream", "live")
        await expect(page.locator("data-chart canvas")).to_be_visible()
        await page.evaluate("window.stays = true")

        async with shown.begin() as tx:
            await shown.source.show(tx, clock.now(), {f"u{n}": f"{450 if n == 7 else 200 + n}.50" for n in range(120)})
            await races.on_snapshot_many(
                tx, await races.open_of(tx, programme_id=shown.source.programme_id), now=clock.now()
            )
        await expect(page.locator("#entrant")).to_contain_text("$449.50")

        await expect(page.locator("data-chart canvas")).to_be_visible()
        assert await page.evaluate("window.stays") is True
        assert await seen.faults() == []
