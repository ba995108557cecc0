"""Staff have a file made of the audit, follow it live; and look at the pages for developers."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from palio import identity
from palio.infra import audit, db, embedded, operations, relay
from palio.kernel import clock
from palio.kernel.ids import Actor, RequestId, new_id
from tests.admin.house import Console, manned
from tests.journeys.browser.conftest import Seen, looking

pytestmark = pytest.mark.browser
PICTURES = os.environ.get("PALIO_PICTURES")
WHY = "the auditor asked for it"


@pytest.fixture(scope="module")
async def console(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    async with manned(cluster, f"palio_exports_{worker_id}", tmp_path_factory.mktemp("data")) as console:
        numbering = asyncio.create_task(relay.run(console.wiring.database, console.wiring.hub))
        pia = await console.player()
        async with console.wiring.database.begin(Actor("player", pia, RequestId(new_id()))) as tx:
            await identity.create_token(
                tx, user_id=pia, name="my bot", scopes=["identity:read", "ledger:read"], now=clock.now()
            )
        async with console.begin(console.noor) as tx:
            for n in range(30):
                await audit.record(
                    tx,
                    actor=tx.actor,
                    action="setting.change",
                    entity_type="setting",
                    entity_id="affiliates.stale_after_s",
                    changes={"value": (2_700 + n, 1_800)},
                    reason="the provider is slower at night",
                )
        yield console
        numbering.cancel()
        await asyncio.gather(numbering, return_exceptions=True)


async def test_a_file_is_asked_for_and_followed(browser: Browser, console: Console) -> None:
    """From the list with its filters; the page says by itself when it is there."""
    async with looking(browser, console.base, size="desktop", theme="day") as (page, seen):
        await page.set_extra_http_headers(console.staff(console.noor))
        await page.goto(f"{console.base}/console/exports")
        await expect(page.get_by_text("Nothing exported yet")).to_be_visible()
        await page.goto(f"{console.base}/console/audit?entity_type=setting")
        await page.get_by_role("link", name="Export", exact=True).click()
        await expect(page.get_by_text("what kind of thing setting")).to_be_visible()
        wrong = await looked_at(page, seen, "export-new.desktop.day", page.url)
        await page.get_by_role("textbox", name="Fields").fill("id, at, action, changes")
        await page.get_by_label("Why").fill(WHY)
        await page.get_by_role("button", name="Make the file").click()
        await expect(page.get_by_text("waiting", exact=True)).to_be_visible()
        await expect(page.locator("html[data-stream=live]")).to_be_attached(timeout=30_000)
        async with console.begin() as tx:
            operation_id = await db.value(tx, "select id from infra.operations")
        await operations.carry_out(console.wiring.database, operation_id)
        await expect(page.get_by_text("ready", exact=True)).to_be_visible(timeout=14_000)  # told, not asked
        await expect(page.get_by_role("button", name="Download")).to_be_visible()
        wrong |= await tour(page, seen, console, "desktop.day")
    for size, theme in (
        (("phone", "night"), ("small", "day"), ("desktop", "night")) if PICTURES else (("phone", "night"),)
    ):
        async with looking(browser, console.base, size=size, theme=theme) as (page, seen):
            await page.set_extra_http_headers(console.staff(console.noor))
            wrong |= await tour(page, seen, console, f"{size}.{theme}")

    assert wrong == {}


async def tour(page: Page, seen: Seen, console: Console, way: str) -> dict[str, list[str]]:
    """What is wrong with the pages, as axe and the browser see it."""
    new = "/console/exports/new?resource=audit&since=2026-03-01T00:00:00Z&until=2026-04-01T00:00:00Z"
    paths = {
        "exports": "/console/exports",
        "export-new": new,
        "audit": "/console/audit",
        "developers": "/console/developers",
        "stream": "/console/developers/stream?topics=races,me:operations,nonsense:1",
    }
    wrong = {}
    for name, path in paths.items():
        wrong |= await looked_at(page, seen, f"{name}.{way}", console.base + path)
    return wrong


async def looked_at(page: Page, seen: Seen, name: str, address: str) -> dict[str, list[str]]:
    await page.goto(address, wait_until="load")
    await expect(page.locator("h1")).to_be_visible()
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)
    found = [*await seen.barriers(), *await seen.faults()]
    seen.complaints.clear()
    return {name: found} if found else {}
