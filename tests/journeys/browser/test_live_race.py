"""A race that is on: a snapshot arrives through the product itself, and an open page follows."""

from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from palio import races
from palio.infra import embedded
from palio.infra.db import Tx
from palio.kernel import clock
from tests.factories.races import Feed, feed, race, run
from tests.journeys.browser.conftest import looking
from tests.journeys.product import running
from tests.ui.house import SYSTEM

pytestmark = pytest.mark.browser


async def show(tx: Tx, source: Feed, minutes: int, **totals: str) -> None:
    """A snapshot of so many minutes ago, and every race brought up to it."""
    await source.show(tx, clock.now() - timedelta(minutes=minutes), totals)
    ids = await races.open_of(tx, programme_id=source.programme_id)
    await races.on_snapshot_many(tx, ids, now=clock.now())


async def test_an_open_page_follows_a_snapshot(
    browser: Browser, cluster: embedded.Cluster, worker_id: str, tmp_path: Path
) -> None:
    """From the commit of the apply to the board on the screen, without a reload; the stream is the product's own."""
    async with running(cluster, f"palio_live_{worker_id}", tmp_path) as product:
        database, now = product.wiring.database, clock.now()
        async with database.begin(SYSTEM) as tx:
            source = await feed(tx)
            await show(tx, source, 70, anna="100.00", bert="50.00")
            made = await race(tx, source, now, starts_at=now - timedelta(hours=1), ends_at=now + timedelta(hours=2))
            await run(tx, now)
            await show(tx, source, 20, anna="112.50", bert="50.00")

        async with looking(browser, product.base, size="phone") as (page, seen):
            await page.goto(f"{product.base}/races/{made.number}")
            await expect(page.locator(".podium-1")).to_contain_text("$12.50")
            await expect(page.locator("html")).to_have_attribute("data-stream", "live")
            await page.evaluate("window.stays = true")

            async with database.begin(SYSTEM) as tx:
                await show(tx, source, 1, anna="112.50", bert="80.25")
            await expect(page.locator(".podium-1")).to_contain_text("$30.25")
            await expect(page.locator(".podium-2")).to_contain_text("$12.50")

            assert await page.evaluate("window.stays") is True
            assert [*await seen.barriers(), *await seen.faults()] == []
