"""Embeds in a browser: in the page of somebody else, over a picture, and without script."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from playwright.async_api import Browser, expect
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from palio.infra import embedded
from palio.infra.realtime import Hub
from tests.journeys.browser.conftest import looking, serve
from tests.ui import preview, race_views
from tests.ui.house import House, housed

pytestmark = pytest.mark.browser

EMBED = f"/embed/races/{race_views.LIVE.number}"
TOPIC = f"race:{race_views.LIVE.competition_id}"
AROUND = '<!doctype html><html lang="en"><title>News</title><body><iframe src="{}" title="Race"></iframe></body></html>'


@pytest.fixture(scope="module")
async def house(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[House]:
    def app(hub: Hub) -> ASGIApp:
        return preview.app(hub=hub)

    async with housed(cluster.dsn("palio_app", database_name), app) as house:
        yield house


@asynccontextmanager
async def elsewhere(address: str) -> AsyncIterator[str]:
    """The page of somebody else, with the frame in it."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await HTMLResponse(AROUND.format(address))(scope, receive, send)

    async with serve(page) as base:
        yield base


@pytest.mark.parametrize("path", [EMBED, f"{EMBED}?theme=night&accent=plum", f"{EMBED}/countdown", "/embed/races/33"])
@pytest.mark.parametrize("size", ["desktop", "small"])
async def test_nothing_is_wrong_with_an_embed(browser: Browser, house: House, path: str, size: str) -> None:
    """And it leaves nothing behind: no cookie, no storage."""
    async with looking(browser, house.base, size=size) as (page, seen):
        await page.context.clear_cookies()
        await page.goto(house.base + path, wait_until="load")
        await expect(page.locator("html")).to_have_attribute("data-stream", "live")

        assert [*await seen.barriers(), *await seen.faults()] == []
        assert await page.context.cookies() == []
        assert await page.evaluate("localStorage.length + sessionStorage.length") == 0


async def test_a_stranger_cannot_frame_us(browser: Browser, house: House) -> None:
    async with elsewhere(house.base + EMBED) as other, looking(browser, house.base) as (page, seen):
        await page.goto(other)

        assert "frame-ancestors" in " ".join(seen.complaints)
        assert await page.frame_locator("iframe").locator(".embed").count() == 0


async def test_a_frame_of_ours_is_live_and_says_how_high_it_would_be(browser: Browser, house: House) -> None:
    async with looking(browser, house.base) as (page, seen):
        await page.add_init_script("""
          if (parent === window) addEventListener("message", (event) => { window.told = event.data; });
        """)
        await page.goto(f"{house.base}/races/38/share")
        frame = page.frame_locator("iframe")
        await frame.locator("h1").scroll_into_view_if_needed()
        await expect(frame.locator("tbody tr")).to_have_count(10)
        await page.wait_for_function("window.told?.palio === 'height'")
        height = await frame.locator("body").evaluate("(body) => Math.ceil(body.getBoundingClientRect().height)")

        assert await page.evaluate("window.told") == {"palio": "height", "address": EMBED, "height": height}
        await expect(frame.locator("html")).to_have_attribute("data-stream", "live")
        ahead = replace(race_views.ROWS[0], total_micro=300_000_000)
        race_views.BY_NUMBER[38] = replace(race_views.LIVE, rows=(ahead, *race_views.ROWS[1:]))
        await house.tell(TOPIC)
        await expect(frame.locator("tbody tr").first).to_contain_text("$300.00")
        race_views.BY_NUMBER[38] = race_views.LIVE
        assert await seen.faults() == []


async def test_an_overlay_lets_the_picture_through_and_keeps_to_the_safe_area(browser: Browser, house: House) -> None:
    """Large, in the inner nine tenths of 1920 x 1080, nothing to press, and it moves when the race does."""
    async with looking(browser, house.base) as (page, seen):
        await page.set_viewport_size({"width": 1920, "height": 1080})
        await page.goto(f"{house.base}{EMBED}?overlay=1")
        await expect(page.locator("html")).to_have_attribute("data-stream", "live")
        box = await page.locator("main").bounding_box()
        assert box
        backgrounds = await page.evaluate(
            "[document.documentElement, document.body].map((e) => getComputedStyle(e).backgroundColor)"
        )

        assert backgrounds == ["rgba(0, 0, 0, 0)"] * 2
        assert (box["x"], round(box["y"] + box["height"])) == (96, 1080 - 54)
        assert box["x"] + box["width"] <= 1920 - 96
        assert float(await page.evaluate("parseFloat(getComputedStyle(document.querySelector('td')).fontSize)")) >= 28
        assert await page.locator("a, button, input").count() == 0
        assert await seen.faults() == []


async def test_an_overlay_comes_back_by_itself(browser: Browser, house: House) -> None:
    async with looking(browser, house.base) as (page, _):
        await page.clock.install()
        await page.route("**/api/v1/stream**", lambda route: route.fulfill(status=503, body="away"))
        await page.goto(f"{house.base}{EMBED}?overlay=1")
        await expect(page.locator("html")).to_have_attribute("data-stream", "reconnecting")
        await page.unroute("**/api/v1/stream**")
        await page.clock.fast_forward(15_000)

        await expect(page.locator("html")).to_have_attribute("data-stream", "live")


async def test_an_embed_reads_whole_without_script(browser: Browser, house: House) -> None:
    async with looking(browser, house.base, script=False) as (page, _):
        await page.goto(house.base + EMBED)

        await expect(page.locator("tbody tr")).to_have_count(10)
        await expect(page.get_by_text("2 d 09:54:38")).to_be_visible()
        await expect(page.get_by_text("your time")).to_be_hidden()
        await expect(page.get_by_role("link", name="All 13 players")).to_be_visible()
