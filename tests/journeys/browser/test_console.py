"""The pages of the console as a browser shows them: in both lights, on every screen, by keyboard, without script."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from palio.infra import embedded
from tests.admin.house import Console, manned
from tests.journeys.browser.conftest import Seen, looking

pytestmark = pytest.mark.browser

PAGES = {"today": "/console"}
SCREENS = [("desktop", "day"), ("phone", "night"), ("small", "day"), ("desktop", "night")]


@pytest.fixture(scope="module")
async def console(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    async with manned(cluster, f"palio_desk_{worker_id}", tmp_path_factory.mktemp("data")) as console:
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
    async with working(browser, console, size=size, theme=theme) as (page, seen):
        for name, path in PAGES.items():
            await page.goto(console.base + path, wait_until="load")
            await expect(page.locator("h1")).to_be_visible()
            if folder := os.environ.get("PALIO_PICTURES"):
                await page.screenshot(path=Path(folder) / f"{name}.{size}.{theme}.png", full_page=size != "desktop")
            assert (name, [*await seen.barriers(), *await seen.faults()]) == (name, [])
