"""Pages of staff over feeds and snapshots in a browser: axe on each, by keyboard alone, and without script."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from palio.infra import embedded
from tests.admin.house import acts_of
from tests.affiliates.feed_desk import ALL, Stage, stocked
from tests.journeys.browser.conftest import Seen, looking

pytestmark = pytest.mark.browser

SCREENS = [("desktop", "day"), ("phone", "night"), ("small", "day"), ("desktop", "night"), ("phone", "day")]
WHY = "the provider has told us so"


@pytest.fixture(scope="module")
async def stage(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    async with stocked(cluster, f"palio_feedpages_{worker_id}", tmp_path_factory.mktemp("data")) as stage:
        yield stage


@asynccontextmanager
async def working(
    browser: Browser, stage: Stage, *, size: str = "desktop", theme: str = "day", script: bool = True
) -> AsyncIterator[tuple[Page, Seen]]:
    """A page of Noor's."""
    async with looking(browser, stage.console.base, size=size, theme=theme, script=script) as (page, seen):
        headers = stage.console.staff(stage.console.noor, permissions=f"{ALL} admin.home.read")
        await page.set_extra_http_headers(headers)
        yield page, seen


async def pages(stage: Stage) -> dict[str, str]:
    feed, failing = f"/console/affiliates/feeds/{stage.feed}", f"/console/affiliates/feeds/{stage.failing}"
    return {
        "today": "/console",
        "feeds": "/console/affiliates/feeds",
        "feed-new": "/console/affiliates/feeds/new",
        "feed": feed,
        "feed-alone": failing,
        "feed-fetch": f"{failing}/fetch",
        "feed-reset": f"{failing}/reset",
        "feed-remove": f"{feed}/remove",
        "feed-edit": f"{feed}/edit",
        "feed-test": f"{feed}/test",
        "mapping": f"{feed}/mapping",
        "mapping-shown": f"{feed}/mapping?mapping=%7B%22total_users%22%3A+%22m.players%22%2C+%22units%22%3A+-2%7D",
        "snapshots": "/console/affiliates/snapshots",
        "snapshot": f"/console/affiliates/snapshots/{stage.second.id}",
        "compare": f"/console/affiliates/snapshots/{stage.second.id}/compare?with={stage.first.id}",
        "decide": f"/console/affiliates/snapshots/{stage.doubted.id}/decide",
        "quarantine": "/console/affiliates/quarantine",
        "held-row": f"/console/affiliates/quarantine/{await stage.held('jump')}",
        "anomalies": "/console/affiliates/anomalies",
    }


@pytest.mark.parametrize(("size", "theme"), SCREENS)
async def test_nothing_is_wrong_with_a_page(browser: Browser, stage: Stage, size: str, theme: str) -> None:
    async with working(browser, stage, size=size, theme=theme) as (page, seen):
        for name, path in (await pages(stage)).items():
            answer = await page.goto(stage.console.base + path, wait_until="load")
            assert answer and answer.status == 200, f"{name}: {answer and answer.status}"
            await expect(page.locator("h1")).to_be_visible()
            if folder := os.environ.get("PALIO_PICTURES"):
                await page.screenshot(path=Path(folder) / f"{name}.{size}.{theme}.png", full_page=True)
            assert (name, [*await seen.barriers(), *await seen.faults()]) == (name, [])


async def test_a_test_fetch_and_a_mapping_are_read_without_script(browser: Browser, stage: Stage) -> None:
    async with working(browser, stage, script=False) as (page, seen):
        await page.goto(f"{stage.console.base}/console/affiliates/feeds")
        await page.get_by_role("link", name="read by itself").last.click()
        await page.get_by_role("link", name="Test fetch").click()
        await page.get_by_role("button", name="Test fetch").click()
        await expect(page.locator("#answer")).to_contain_text("a list of players")
        if folder := os.environ.get("PALIO_PICTURES"):
            await page.screenshot(path=Path(folder) / "feed-tested.desktop.day.png", full_page=True)
        assert await seen.faults() == []
        await page.get_by_role("link", name="Back to the feed").click()
        await page.get_by_role("link", name="Mapping", exact=True).click()
        await page.get_by_label("As JSON").fill('{"units": "many"}')
        await page.get_by_role("button", name="Show what it changes").click()
        await expect(page.get_by_label("As JSON")).to_have_attribute("aria-invalid", "true")
        await page.get_by_label("As JSON").fill('{"total_users": "m.players"}')
        await page.get_by_role("button", name="Show what it changes").click()
        await expect(page.locator("#effect")).to_contain_text('"total_users": "m.players"')
        await page.get_by_label("Why").fill(WHY)
        await page.get_by_role("button", name="Save it").click()
        await expect(page.get_by_text("version 1 holds")).to_be_visible()
        await page.get_by_role("link", name="Compare with what holds").last.click()
        await page.get_by_label("Why").fill("it was a mistake")
        await page.get_by_role("button", name="Go back to it").click()
        await expect(page.get_by_text("version 2 holds")).to_be_visible()


async def test_a_jump_and_a_doubted_snapshot_are_decided_by_keyboard_alone(browser: Browser, stage: Stage) -> None:
    """From today's queues to the row, its reason and its button: `Tab`, letters and Enter."""
    async with working(browser, stage) as (page, _):
        await page.goto(f"{stage.console.base}/console")
        await _press(page, page.locator("#queues").get_by_role("link", name="Quarantined rows"))
        await _press(page, page.get_by_role("link", name="Basalt"))
        await _write(page, page.get_by_label("Why"))
        await _press(page, page.get_by_role("button", name="Release it"))
        await expect(page.locator("h1")).to_have_text("Quarantined rows")
        await expect(page.get_by_role("link", name="Basalt")).to_have_count(0)

        await page.goto(f"{stage.console.base}/console/affiliates/snapshots")
        await _press(page, page.locator("#waiting").get_by_role("link", name="Decide"))
        await expect(page.locator("#effect")).to_contain_text("Vanish")
        await _write(page, page.get_by_label("Why"))
        await _press(page, page.get_by_role("button", name="Discard it"))
        await expect(page.locator("main").get_by_text("discarded").first).to_be_visible()
    assert [act.reason for act in await acts_of(stage.console, "held_row.release")] == [WHY]
    assert [act.reason for act in await acts_of(stage.console, "snapshot.discard")] == [WHY]


async def _reach(page: Page, wanted: Locator) -> None:
    """Go on with Tab until the focus is there."""
    for _ in range(80):
        if await wanted.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError("the keyboard does not get there")


async def _press(page: Page, wanted: Locator) -> None:
    await _reach(page, wanted)
    await page.keyboard.press("Enter")


async def _write(page: Page, wanted: Locator) -> None:
    await _reach(page, wanted)
    await page.keyboard.type(WHY)
