"""The pictures of README, of the demo as it is filled by a first start:

`PALIO_PICTURES=docs/images python3 run.py test tests/journeys/browser/test_pictures.py -n 0`
"""

import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from PIL import Image
from playwright.async_api import Browser, Page, expect

from palio import races
from palio.entry import cast, demo, moving, wiring
from palio.infra import embedded, marks
from palio.kernel import clock
from tests.conftest import PATIENCE_S
from tests.journeys.browser.conftest import looking
from tests.journeys.product import Product, running

FOLDER = os.environ.get("PALIO_PICTURES")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not FOLDER, reason="PALIO_PICTURES names no folder")]

STATES = ("live", "completed")
FRIDAY = datetime(2026, 3, 20, 12, 30, tzinfo=UTC)  # the same demo each time, so that pictures differ where pages do
COLOURS = 200
STILL_MS = 1_500  # a chart moves in


@dataclass(frozen=True, slots=True)
class Shown:
    """A demo that goes on, and the numbers of its weekly races: the one that is on, and the one before."""

    product: Product
    live: int
    over: int

    async def opened(self, page: Page, path: str) -> None:
        """Go to a page, named with the numbers of the races."""
        await page.goto(self.product.base + path.format(live=self.live, over=self.over), wait_until="load")
        await expect(page.locator("h1")).to_be_visible()
        await page.evaluate("document.fonts.ready")


@pytest.fixture(scope="module")
async def shown(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shown]:
    with pytest.MonkeyPatch.context() as environment:
        environment.delenv("PALIO_PICTURES")  # no setting of Palio's: the console would say so
        async with filled(cluster, f"palio_pictures_{worker_id}", tmp_path_factory.mktemp("data")) as found:
            yield found


@asynccontextmanager
async def filled(cluster: embedded.Cluster, name: str, data: Path) -> AsyncIterator[Shown]:
    """The demo, two hours after it was filled: by then schedules have told trends, and closed periods."""
    async with running(cluster, name, data) as product:
        wired = product.wiring
        async with wired.database.begin_system("a demo is begun") as tx:
            await marks.begin(tx, marks.Demo(FRIDAY, 1, is_whole=False, has_own_time=True))
        await wiring.simulate(wired.database)
        async with demo.playing(wired) as world:
            await demo.fill(wired, world)
            await moving.advance(wired, by=timedelta(hours=2))
            async with wired.database.begin_system("which races") as tx:
                weekly = [line for line in await races.recent(tx) if line.title.startswith("Weekly")]
            numbers = {status: max(one.number for one in weekly if one.status == status) for status in STATES}
            yield Shown(product, numbers["live"], numbers["completed"])


@pytest.mark.parametrize(
    ("name", "path", "size", "theme"),
    [
        ("race", "/races/{live}", "desktop", "day"),
        ("race-night", "/races/{live}", "phone", "night"),
        ("home", "/", "phone", "day"),
        ("home-wide", "/", "desktop", "day"),
        ("leaderboard", "/leaderboard?period=W", "desktop", "day"),
        ("archive", "/races/history", "desktop", "day"),
        ("result", "/races/{over}", "phone", "day"),
        ("overlay", "/embed/races/{live}?overlay=1", "desktop", "night"),
        ("share", "/races/{live}/share", "desktop", "day"),
    ],
)
async def test_a_page_has_its_picture(
    browser: Browser, shown: Shown, name: str, path: str, size: str, theme: str
) -> None:
    """What is seen without scrolling."""
    async with looking(browser, shown.product.base, size=size, theme=theme) as (page, seen):
        await shown.opened(page, path)
        keep(name, await page.screenshot(scale="css"))

        assert await seen.faults() == []


async def test_staff_and_a_player_have_their_pictures(browser: Browser, shown: Shown) -> None:
    told = {one.username: one for one in cast.kept(shown.product.wiring.environment.data)}
    async with looking(browser, shown.product.base) as (page, seen):
        await sign_in(shown, page, told["adam"])
        await shown.opened(page, "/console")
        keep("console", await page.screenshot(scale="css"))
        assert await seen.faults() == []
    async with looking(browser, shown.product.base, size="phone") as (page, seen):
        await sign_in(shown, page, told["bela"])
        await shown.opened(page, "/races/{live}")
        await page.get_by_text("Your place").first.scroll_into_view_if_needed()
        keep("mine", await page.screenshot(scale="css"))
        assert await seen.faults() == []


async def test_a_wallet_and_its_books_have_their_pictures(browser: Browser, shown: Shown) -> None:
    told = {one.username: one for one in cast.kept(shown.product.wiring.environment.data)}
    async with looking(browser, shown.product.base) as (page, seen):
        await sign_in(shown, page, told["bela"])
        await shown.opened(page, "/wallet/COIN")
        await drawn(page, "wallet")
        assert await seen.faults() == []
    async with looking(browser, shown.product.base, size="phone", theme="night") as (page, seen):
        await sign_in(shown, page, told["bela"])
        await shown.opened(page, "/wallet/COIN?category=steps")
        await page.get_by_role("link", name="Steps", exact=True).first.click()
        await expect(page.get_by_role("heading", name="The rule that set the amount")).to_be_visible()
        keep("receipt", await page.screenshot(scale="css"))
        assert await seen.faults() == []
    async with looking(browser, shown.product.base) as (page, seen):
        await sign_in(shown, page, told["olga"])
        await shown.opened(page, "/console/ledger/adjustments?status=pending")
        await page.get_by_role("link", name="The prize of the weekend was paid short").click()
        await expect(page.get_by_role("heading", name="What it would do now")).to_be_visible()
        keep("correction", await page.screenshot(scale="css"))
        await shown.opened(page, "/console/ledger/conservation")
        keep("conservation", await page.screenshot(scale="css"))
        assert await seen.faults() == []


async def drawn(page: Page, name: str) -> None:
    """Keep a page when its chart is there, and stands still."""
    await expect(page.locator("data-chart canvas").first).to_be_visible()
    await page.wait_for_timeout(STILL_MS)
    keep(name, await page.screenshot(scale="css"))


async def sign_in(shown: Shown, page: Page, who: cast.SignIn) -> None:
    """As somebody of the cast: staff with what the authenticator shows."""
    await shown.opened(page, "/console/sign-in" if who.role else "/sign-in")
    await page.locator("input[name=identifier]").fill(who.username)
    await page.locator("input[name=password]").fill(who.password)
    await page.locator("input[name=password]").press("Enter")
    if who.role:
        data = shown.product.wiring.environment.data
        await page.locator("input[name=code]").fill(cast.code_of(data, who.username, clock.now()))
        await page.locator("input[name=code]").press("Enter")
    await expect(page.locator("input[name=password], input[name=code]")).to_have_count(0)


async def test_the_picture_of_a_link_is_kept_too(shown: Shown) -> None:
    async with httpx2.AsyncClient(base_url=shown.product.base, timeout=PATIENCE_S) as client:
        card = await client.get(f"/embed/races/{shown.live}/card.png")

    assert card.status_code == 200
    file_of("card").write_bytes(card.content)


def keep(name: str, screenshot: bytes) -> None:
    """As a file small enough for a repository."""
    picture = Image.open(io.BytesIO(screenshot)).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file_of(name), optimize=True)


def file_of(name: str) -> Path:
    """Where a picture is kept; the folder is made."""
    folder = Path(FOLDER or "")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.png"
