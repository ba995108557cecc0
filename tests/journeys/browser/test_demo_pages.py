"""What a demo shows of itself: how far it is, its ribbon and its clock, to everybody and in every light."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from palio.entry import wiring
from palio.infra import clock as virtual
from palio.infra import embedded, marks
from palio.kernel import clock
from tests.journeys.browser.conftest import looking
from tests.journeys.product import Product, running

pytestmark = pytest.mark.browser


@asynccontextmanager
async def begun(cluster: embedded.Cluster, name: str, data: Path) -> AsyncIterator[Product]:
    """A process whose demo was begun, and is not filled by anybody."""
    async with running(cluster, name, data) as product:
        database = product.wiring.database
        async with database.begin_system("a demo is begun") as tx:
            await marks.begin(tx, marks.Demo(clock.now(), 1, is_whole=False))
        await wiring.simulate(database)
        product.wiring.stage.steps, product.wiring.stage.feed_interval_s = 145, 20
        yield product
        async with database.begin_system("the suite knows of no demo") as tx:
            await marks.decline(tx)


async def complete(product: Product) -> None:
    async with product.wiring.database.begin_system("a demo is whole") as tx:
        await marks.complete(tx)


async def test_whoever_waits_for_a_demo_sees_how_far_it_is_and_then_the_demo(
    browser: Browser, cluster: embedded.Cluster, worker_id: str, tmp_path: Path
) -> None:
    async with begun(cluster, f"palio_waiting_{worker_id}", tmp_path) as product:
        looked = looking(browser, product.base, size="small", theme="night")
        async with looked as (page, seen):
            await page.goto(f"{product.base}/races")
            await expect(page.get_by_role("heading", name="Preparing the demo")).to_be_visible()
            product.wiring.stage.done = 40
            await expect(page.get_by_text("40 of 145 pictures of the feed")).to_be_visible()
            assert await seen.barriers() == [] and await seen.faults() == []

            await complete(product)

            await expect(page.get_by_role("heading", name="What people do, ranked and rewarded")).to_be_visible()
            await expect(page.get_by_label("Demo", exact=True)).to_contain_text("The feed ticks every 20 s.")
            assert await seen.faults() == []


@pytest.mark.parametrize("theme", ["day", "night"])
@pytest.mark.parametrize("size", ["desktop", "small"])
async def test_ribbon_and_clock_are_for_everybody(
    browser: Browser, cluster: embedded.Cluster, worker_id: str, tmp_path: Path, size: str, theme: str
) -> None:
    async with begun(cluster, f"palio_ribbon_{worker_id}", tmp_path) as product:
        await complete(product)
        async with looking(browser, product.base, size=size, theme=theme) as (page, seen):
            await page.goto(f"{product.base}/")
            assert await seen.barriers() == [] and await seen.faults() == []
            await page.get_by_role("link", name="Turn the clock").click()
            await page.get_by_role("button", name=re.compile(" 60$")).click()
            await expect(page.get_by_text("It runs 60 times as fast as real time.")).to_be_visible()
            await expect(page.get_by_label("Demo", exact=True)).to_contain_text("The clock runs 60 times as fast.")
            assert virtual.virtual.face and virtual.virtual.face.speed == 60
            assert await seen.barriers() == [] and await seen.faults() == []


async def test_without_script_the_clock_is_turned_too(
    browser: Browser, cluster: embedded.Cluster, worker_id: str, tmp_path: Path
) -> None:
    async with begun(cluster, f"palio_plain_{worker_id}", tmp_path) as product:
        await complete(product)
        async with looking(browser, product.base, script=False) as (page, _):
            await page.goto(f"{product.base}/sim")
            before = clock.now()
            await page.get_by_role("button", name="+15 min").click()
            await expect(page.get_by_role("heading", name="The clock of this simulation")).to_be_visible()
            if product.wiring.stage.moving:
                await product.wiring.stage.moving
            assert (clock.now() - before).total_seconds() >= 900
