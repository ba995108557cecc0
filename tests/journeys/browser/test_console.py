"""The pages of the console as a browser shows them: in both lights, on every screen, by keyboard, without script."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from palio.entry.wiring import SCHEDULES
from palio.infra import embedded, pruning, schedules, settings
from palio.infra.settings import Change
from palio.kernel import clock
from tests.admin.house import Console, manned
from tests.journeys.browser.conftest import Seen, looking

pytestmark = pytest.mark.browser

PAGES = {
    "today": "/console",
    "approvals": "/console/approvals",
    "approval": "/console/approvals/{approval}",
    "own-approval": "/console/approvals/{own}",
    "people": "/console/people?q=sana",
    "person": "/console/people/{sana}",
    "settings": "/console/settings",
    "setting": "/console/settings/jobs.retention_days",
    "setting-diff": "/console/settings/jobs.retention_days?value=45",
    "setting-wrong": "/console/settings/jobs.retention_days?value=100000",
    "jobs": "/console/jobs",
    "job": "/console/jobs/{job}",
    "schedule": "/console/jobs/schedules/{schedule}",
    "audit": "/console/audit",
    "nothing": "/console/audit?action=nothing.done",
    "health": "/console/health",
}
SCREENS = [("desktop", "day"), ("phone", "night"), ("small", "day"), ("desktop", "night")]


@pytest.fixture(scope="module")
async def console(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    async with manned(cluster, f"palio_desk_{worker_id}", tmp_path_factory.mktemp("data")) as console:
        async with console.begin() as tx:
            await schedules.declare(tx, {one.name: one for one in SCHEDULES}, now=clock.now())
        async with console.begin(console.noor) as tx:
            change = Change(pruning.RETENTION_DAYS, 60)
            await settings.change(tx, tx.actor, [change], "the history is read by the auditors")
        yield console


@asynccontextmanager
async def working(
    browser: Browser, console: Console, *, size: str = "desktop", theme: str = "day", script: bool = True
) -> AsyncIterator[tuple[Page, Seen]]:
    """A page of Noor's."""
    async with looking(browser, console.base, size=size, theme=theme, script=script) as (page, seen):
        await page.set_extra_http_headers(console.staff(console.noor))
        yield page, seen


@pytest.mark.parametrize(("size", "theme"), SCREENS)
async def test_nothing_is_wrong_with_a_page(browser: Browser, console: Console, size: str, theme: str) -> None:
    parts = {
        "approval": await console.propose(console.sana),
        "own": await console.propose(console.noor),
        "sana": console.sana,
        "job": await console.queue(),
        "schedule": SCHEDULES[0].name,
    }
    wrong = {}
    async with working(browser, console, size=size, theme=theme) as (page, seen):
        for name, path in PAGES.items():
            await page.goto(console.base + path.format(**parts), wait_until="load")
            await expect(page.locator("h1")).to_be_visible()
            if folder := os.environ.get("PALIO_PICTURES"):
                await page.screenshot(path=Path(folder) / f"{name}.{size}.{theme}.png", full_page=size != "desktop")
            found = [*await seen.barriers(), *await seen.faults()]
            if found := [one for one in found if "422 (Unprocessable" not in one or name != "setting-wrong"]:
                wrong[name] = found
            seen.complaints.clear()
    assert wrong == {}


async def test_keys_lead_through_the_console_and_can_be_switched_off(browser: Browser, console: Console) -> None:
    await console.propose(console.sana)
    async with working(browser, console) as (page, seen):
        await page.goto(f"{console.base}/console")
        await page.keyboard.press("/")
        await expect(page.get_by_role("searchbox")).to_be_focused()
        await page.keyboard.type("sana")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("link", name="Sana Vik")).to_be_visible()
        await page.keyboard.press("j")
        await expect(page.get_by_role("link", name="Sana Vik")).to_be_focused()
        await page.keyboard.press("g")
        await page.keyboard.press("e")
        await expect(page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()

        await page.keyboard.press("?")
        await expect(page.get_by_role("heading", name="Keys")).to_be_visible()
        await page.get_by_label("Keys are on in this browser").uncheck()
        await page.keyboard.press("Escape")
        await page.keyboard.press("/")
        await expect(page.get_by_role("searchbox").first).not_to_be_focused()
        assert await seen.faults() == []


async def test_a_proposal_is_approved_by_one_key(browser: Browser, console: Console) -> None:
    proposed = await console.propose(console.sana)
    async with working(browser, console) as (page, seen):
        await page.goto(f"{console.base}/console/approvals/{proposed}")
        await page.keyboard.press("a")
        await expect(page.get_by_text("It is decided.")).to_be_visible()
        await expect(page.get_by_text("Noor Haddad,")).to_be_visible()
        assert await seen.faults() == []


async def test_the_rail_opens_on_a_phone_and_a_setting_is_changed_without_script(
    browser: Browser, console: Console
) -> None:
    async with working(browser, console, size="phone", script=False) as (page, _):
        await page.goto(f"{console.base}/console")
        await expect(page.get_by_role("link", name="System")).to_be_hidden()
        await page.get_by_role("button", name="Menu").click()
        await page.get_by_role("link", name="System").click()
        await page.get_by_role("link", name="retention_days", exact=True).click()
        await page.get_by_label("New value").fill("77")
        await page.get_by_role("button", name="Show the change").click()
        await expect(page.locator(".diff ins")).to_have_text("77")
        await page.get_by_label("Why").fill("a phone is enough for it")
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator(".fact-list").first).to_contain_text("77 days")
        await expect(page.locator("tbody span", has_text="a phone is enough for it")).to_be_visible()
