"""A machine outside is connected, tried, found failing and told again, by hand and in both lights."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from playwright.async_api import Browser, Page, expect

from palio.infra import embedded, webhooks
from palio.infra.messages import DeliverWebhooks, TellWebhooks
from palio.kernel import clock
from palio.sim import World
from tests.admin.house import Console, manned
from tests.factories.webhooks import events
from tests.journeys.browser.conftest import Seen, looking

pytestmark = pytest.mark.browser
HERE = "/console/webhooks"
WHY = "the bot of the club listens"


@pytest.fixture(scope="module")
async def console(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    async with manned(cluster, f"palio_hooks_{worker_id}", tmp_path_factory.mktemp("data")) as console:
        equipment = console.wiring.database.equipment
        console.wiring.database.equipment = replace(equipment, is_simulated=True)
        yield console


async def connect(page: Page, console: Console, world: World) -> str:
    """Make an endpoint by its form; answers its address in the console, its secret is known to the receiver."""
    await page.goto(f"{console.base}{HERE}/new")
    await page.get_by_label("Address").fill(world.hook_url("club"))
    await page.get_by_label("Hears").fill("race.*\nreward.paid")
    await page.get_by_label("What it is for").fill("The bot of our club")
    await page.get_by_label("Why").fill(WHY)
    await page.get_by_role("button", name="Make it").click()
    await expect(page.get_by_text("Copy it now")).to_be_visible()
    world.hooks.control("secret", {"name": "club", "secret": await page.locator("code.hash").inner_text()})
    await page.get_by_role("link", name="I have kept it").click()
    await expect(page.get_by_text("Copy it now")).to_be_hidden()
    return page.url


async def deliver(console: Console, endpoint_id: str) -> None:
    await webhooks.deliver(console.wiring.database, DeliverWebhooks(UUID(endpoint_id)))


async def test_a_machine_is_connected_tried_and_told_again(browser: Browser, console: Console) -> None:
    async with World().serving() as world:
        async with looking(browser, console.base, size="desktop", theme="day") as (page, seen):
            await page.set_extra_http_headers(console.staff(console.noor))
            one = await connect(page, console, world)
            endpoint_id = one.rpartition("/")[2]

            await page.get_by_role("link", name="Send a test").click()
            await page.get_by_label("Why").fill(WHY)
            await page.get_by_role("button", name="Send a test").click()
            await expect(page.get_by_text("It was not sent yet.")).to_be_visible()
            await deliver(console, endpoint_id)
            await expect(page.get_by_text("webhook-signature: v1,")).to_be_visible()  # the page looks by itself

            world.hooks.control("script", {"name": "club", "statuses": [500, 410]})
            async with console.begin() as tx:
                await webhooks.tell(tx, TellWebhooks(tuple(events(6, now=clock.now()))))
            await deliver(console, endpoint_id)
            await page.goto(one)
            await expect(page.get_by_text("It is told nothing any more")).to_be_visible()
            wrong = await looked_at(page, seen, console, one, "desktop.day")
        async with looking(browser, console.base, size="phone", theme="night") as (page, seen):
            await page.set_extra_http_headers(console.staff(console.noor))
            wrong |= await looked_at(page, seen, console, one, "phone.night")
            await page.goto(one)
            await page.get_by_role("link", name="Resume").click()
            await page.get_by_label("Why").fill(WHY)
            await page.get_by_role("button", name="Resume the endpoint").click()
            await page.get_by_role("link", name="Send again").click()
            await page.get_by_label("Since (UTC)").fill("2026-01-01T00:00")
            await page.get_by_label("Why").fill(WHY)
            await page.get_by_role("button", name="Send again").click()
            await expect(page.get_by_role("heading", name="Deliveries", exact=True)).to_be_visible()
            await deliver(console, endpoint_id)
    genuine = [heard.is_genuine for heard in world.hooks.heard]
    assert wrong == {}
    assert all(genuine) and len({heard.webhook_id for heard in world.hooks.heard}) == 7


async def looked_at(page: Page, seen: Seen, console: Console, one: str, way: str) -> dict[str, list[str]]:
    """What is wrong with the pages, as axe and the browser see it."""
    wrong = {}
    await page.goto(f"{one}?state=failed")
    delivery = await page.locator("#deliveries tbody a").first.get_attribute("href") or ""
    paths = {
        "webhooks": HERE,
        "webhook": one.removeprefix(console.base),
        "webhook-delivery": delivery,
        "webhook-new": f"{HERE}/new",
        "webhook-replay": f"{one.removeprefix(console.base)}/replay",
        "webhook-verify": f"{one.removeprefix(console.base)}/verify",
        "today": "/console",
    }
    for name, path in paths.items():
        await page.goto(console.base + path, wait_until="load")
        await expect(page.locator("h1")).to_be_visible()
        if folder := os.environ.get("PALIO_PICTURES"):
            await page.screenshot(path=Path(folder) / f"{name}.{way}.png", full_page=True)
        if found := [*await seen.barriers(), *await seen.faults()]:
            wrong[f"{name}.{way}"] = found
        seen.complaints.clear()
    return wrong
