"""The race page in a browser: on every screen, in both lights and both directions, without script too."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from playwright.async_api import Browser, expect
from starlette.types import ASGIApp

from palio.infra import embedded
from palio.infra.realtime import Hub
from palio.ui.languages import Languages
from tests.journeys.browser.conftest import looking
from tests.ui import preview, race_views
from tests.ui.house import House, housed
from tests.ui.shop import shop

pytestmark = pytest.mark.browser

LIVE = f"/races/{race_views.LIVE.number}"
COMPETING = ("Compete", "Races", "Leaderboard", "Boards")


@pytest.fixture(scope="module")
async def house(
    cluster: embedded.Cluster, database_name: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """Races made by hand, in English and in an Arabic without words, over a hub that listens."""
    folder: Path = tmp_path_factory.mktemp("locale")
    (folder / "ar/LC_MESSAGES").mkdir(parents=True)
    with (folder / "ar/LC_MESSAGES/messages.mo").open("wb") as file:
        write_mo(file, Catalog(locale="ar"))

    def app(hub: Hub) -> ASGIApp:
        return preview.app(shop, languages=Languages(folder), hub=hub)

    async with housed(cluster.dsn("palio_app", database_name), app) as house:
        yield house


@pytest.fixture(scope="module")
def base(house: House) -> str:
    return house.base


@pytest.mark.parametrize(
    ("path", "size", "theme"),
    [
        *product(["/", LIVE, "/races/33"], ["desktop", "phone"], ["day", "night"]),
        ("/races/32", "phone", "day"),
        ("/races/36", "desktop", "night"),
        ("/?empty", "phone", "night"),
        ("/problems", "desktop", "day"),
        ("/problems/not_found", "phone", "night"),
        ("/api/docs/topics", "phone", "night"),
        ("/api/docs", "desktop", "day"),
        ("/api/docs", "phone", "night"),
    ],
)
async def test_nothing_is_wrong_with_a_page(browser: Browser, base: str, path: str, size: str, theme: str) -> None:
    async with looking(browser, base, size=size, theme=theme) as (page, seen):
        await page.goto(base + path, wait_until="load")
        await expect(page.locator("h1")).to_be_visible()
        if path == "/api/docs":
            await page.get_by_role("button", name="Expand operation").first.click()
            await expect(page.get_by_text("/api/v1/items")).to_be_visible()

        assert [*await seen.barriers(), *await seen.faults()] == []


@pytest.mark.parametrize("locale", ["en", "ar"])
async def test_every_state_fits_the_smallest_screen_in_both_directions(
    browser: Browser, base: str, locale: str
) -> None:
    async with looking(browser, base, size="small", locale=locale) as (page, seen):
        for state, view in race_views.VIEWS.items():
            await page.goto(f"{base}/races/{view.number}", wait_until="load")
            await expect(page.locator("html")).to_have_attribute("dir", "rtl" if locale == "ar" else "ltr")

            assert (state, await seen.faults()) == (state, [])


async def test_the_page_reads_whole_without_script(browser: Browser, base: str) -> None:
    """Times are in UTC, the fingerprints open, and nothing stands there that only a script could serve."""
    async with looking(browser, base, script=False) as (page, _):
        await page.goto(base + LIVE)

        await expect(page.get_by_role("heading", level=1)).to_have_text(race_views.LIVE.title)
        await expect(page.get_by_text("As of 14:02 UTC")).to_be_visible()
        await expect(page.get_by_text("2 d 09:54:38")).to_be_visible()
        await expect(page.get_by_text("your time")).to_be_hidden()
        await expect(page.get_by_role("button", name="Day or night")).to_be_hidden()
        await page.locator("#start-picture-digest summary").click()
        await expect(page.locator("#start-picture-digest .hash")).to_have_text(race_views.SHA)
        await expect(page.get_by_role("button", name="Copy")).to_be_hidden()


async def test_times_are_those_of_the_reader_and_utc_is_kept(browser: Browser, base: str) -> None:
    async with looking(browser, base) as (page, _):
        await page.goto(base + LIVE)

        await expect(page.get_by_text("As of 15:02")).to_be_visible()
        await expect(page.get_by_text("Mon, Mar 23, 01:00 your time")).to_be_visible()
        await expect(page.get_by_text("Mon, Mar 23, 00:00 UTC")).to_be_visible()


async def test_the_keyboard_reaches_everything_in_order(browser: Browser, base: str) -> None:
    """Skip link first; a fingerprint opens with Enter, and its button copies it."""
    async with looking(browser, base) as (page, _):
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await page.goto(base + LIVE)
        names = []
        for _ in range(7):
            await page.keyboard.press("Tab")
            names.append(
                await page.evaluate("document.activeElement.textContent.trim() || document.activeElement.ariaLabel")
            )
        assert names == ["Skip to content", "Palio", *COMPETING, "Day or night"]

        await page.locator("#start-picture-digest summary").focus()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator(":focus")).to_have_text("Copied")
        assert await page.evaluate("navigator.clipboard.readText()") == race_views.SHA


async def test_day_and_night_are_chosen_and_kept(browser: Browser, base: str) -> None:
    async with looking(browser, base) as (page, _):
        await page.goto(base + LIVE)
        await page.get_by_role("button", name="Day or night").click()
        await expect(page.locator("html")).to_have_attribute("data-theme", "night")
        await page.reload()

        await expect(page.locator("html")).to_have_attribute("data-theme", "night")


async def test_a_missing_race_says_so_and_leads_on(browser: Browser, base: str) -> None:
    async with looking(browser, base, size="phone") as (page, seen):
        answer = await page.goto(f"{base}/races/999")
        await expect(page.get_by_role("link", name="To the start")).to_be_visible()

        assert answer and answer.status == 404
        assert [*await seen.barriers(), *(one for one in await seen.faults() if "404" not in one)] == []


async def test_the_board_follows_without_reload(browser: Browser, house: House) -> None:
    """Focus and what is open stay, the row that changed is marked, and the new leader is said once."""
    number, first, second = 42, *race_views.ROWS[:2]
    race = race_views.BY_NUMBER[number] = replace(race_views.LIVE, number=number)
    topic = f"race:{race.competition_id}"
    async with looking(browser, house.base) as (page, seen):
        await page.goto(f"{house.base}/races/{number}")
        await expect(page.locator("html")).to_have_attribute("data-stream", "live")
        await page.evaluate("window.stays = true")
        await page.locator("#start-picture-digest summary").click()

        ahead = replace(second, place=1, rank=1, total_micro=200_000_000, prize=25_000, name="newcomer")
        race_views.BY_NUMBER[number] = replace(
            race, rows=(ahead, replace(first, place=2, rank=2), *race_views.ROWS[2:])
        )
        await house.tell(topic)
        await expect(page.locator(".podium-1")).to_contain_text("newcomer")
        await expect(page.locator(".podium-1")).to_contain_text("$200.00")
        await expect(page.locator("[data-news]")).to_have_text("newcomer leads with $200.00.")
        await expect(page.locator("#start-picture-digest .hash")).to_be_visible()
        await expect(page.locator("#start-picture-digest summary")).to_be_focused()

        race_views.BY_NUMBER[number] = replace(race_views.VIEWS["completed"], number=number)
        await house.tell(topic)
        await expect(page.get_by_text("Completed")).to_be_visible()
        await expect(page.get_by_text("Frozen standings")).to_be_visible()
        assert await page.evaluate("window.stays") is True
        assert await seen.faults() == []
    del race_views.BY_NUMBER[number]


async def test_a_failed_refresh_leaves_the_board_standing(browser: Browser, house: House) -> None:
    async with looking(browser, house.base) as (page, _):
        await page.goto(house.base + LIVE)
        await expect(page.locator("html")).to_have_attribute("data-stream", "live")
        await page.route(f"**{LIVE}", lambda route: route.fulfill(status=503, body="away"))
        async with page.expect_response(lambda answer: answer.status == 503):
            await house.tell(f"race:{race_views.LIVE.competition_id}")

        await expect(page.locator(".podium-1")).to_contain_text("$155.53")
