"""The leaderboard from the product itself: by period, live, with and without script, and what its calls answer."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Browser, expect

from palio import affiliates
from palio.affiliates import types
from palio.infra import embedded, partitions
from palio.infra.db import Tx
from palio.kernel import clock
from tests.conftest import PATIENCE_S
from tests.factories.affiliates import body, ingest, row
from tests.journeys.browser.conftest import looking
from tests.journeys.product import Product, running
from tests.ui.house import SYSTEM

pytestmark = pytest.mark.browser

PLAYERS = 120


@dataclass(frozen=True)
class Shown:
    """The product, and the programme whose feed is played here."""

    product: Product
    programme: types.Programme

    @property
    def base(self) -> str:
        return self.product.base

    def begin(self) -> AbstractAsyncContextManager[Tx]:
        return self.product.wiring.database.begin(SYSTEM)

    async def show(self, at: datetime, totals: Mapping[int, str]) -> None:
        """What the feed lists at an instant."""
        rows = [row(f"u{n}", float(total), name=f"player number {n}") for n, total in totals.items()]
        async with self.begin() as tx:
            await partitions.ensure(tx, "affiliates.stats", at)
        async with self.begin() as tx:
            await ingest(tx, self.programme, body(*rows), at, self.product.wiring.storage)


def totals(more: int = 0) -> dict[int, str]:
    """The seventh leads, the others follow by their number."""
    return {n: f"{(4_000 if n == 7 else 200 + n) + more * (n + 1)}.50" for n in range(PLAYERS)}


@pytest.fixture(scope="module")
async def shown(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shown]:
    """A programme that is read for two weeks, and whose days of before are closed."""
    async with running(cluster, f"palio_boards_{worker_id}", tmp_path_factory.mktemp("data")) as product:
        now = clock.now()
        async with product.wiring.database.begin(SYSTEM) as tx:
            programme = await affiliates.ensure_programme(tx, code="harbour-club")
        shown = Shown(product, programme)
        for more, days in enumerate((14, 9, 8, 7, 2, 1)):
            await shown.show(now - timedelta(days=days), totals(more))
        await shown.show(now - timedelta(minutes=12), totals(7))
        closed = True
        while closed:
            async with shown.begin() as tx:
                closed = await affiliates.close_next(tx, programme_id=programme.id, now=now) is not None
        yield shown


def last_week(now: datetime) -> str:
    year, week, _ = (now - timedelta(days=7)).isocalendar()
    return f"W:{year}-W{week:02}"


PAGES = {
    "week": "/leaderboard",
    "day": "/leaderboard?period=D",
    "ever": "/leaderboard?period=ALL",
    "past": "/leaderboard?key={}",
    "found": "/leaderboard?period=ALL&name=player+number+33",
    "nobody": "/leaderboard?period=ALL&name=nobody+at+all",
}


@pytest.mark.parametrize(
    ("size", "theme", "locale"),
    [("desktop", "day", "en"), ("phone", "night", "en"), ("small", "day", "en"), ("phone", "day", "ar")],
)
async def test_nothing_is_wrong_with_the_leaderboard(
    browser: Browser, shown: Shown, size: str, theme: str, locale: str
) -> None:
    async with looking(browser, shown.base, size=size, theme=theme, locale=locale) as (page, seen):
        for name, path in PAGES.items():
            await page.goto(shown.base + path.format(last_week(clock.now())), wait_until="load")
            await expect(page.locator("h1")).to_be_visible()
            if locale == "ar":
                await page.evaluate("document.documentElement.dir = 'rtl'")
            if folder := os.environ.get("PALIO_PICTURES"):
                await page.screenshot(path=Path(folder) / f"board-{name}.{size}.{theme}.{locale}.png", full_page=True)

            assert (name, [*await seen.barriers(), *await seen.faults()]) == (name, [])


async def test_periods_places_and_players_are_found_without_script(browser: Browser, shown: Shown) -> None:
    async with looking(browser, shown.base, script=False) as (page, _):
        await page.goto(shown.base + "/")
        await page.get_by_role("link", name="Leaderboard").click()
        await page.get_by_role("link", name="All time").click()
        await expect(page.locator(".podium-1")).to_contain_text("$4,056.50")
        await page.get_by_role("link", name="Places below").click()
        await expect(page.locator("tbody tr").first).to_contain_text("101")
        await expect(page.locator(".podium")).to_have_count(0)

        await page.get_by_label("Name at the provider").fill("Player number 33")
        await page.get_by_role("button", name="Find").click()
        await page.get_by_role("link", name="Place 88").click()
        await expect(page.locator("tbody tr").nth(3)).to_contain_text("88")
        await expect(page.locator("tbody tr").nth(3)).to_contain_text("$471.50")

        await page.get_by_role("link", name="Week", exact=True).click()
        await page.locator("a[rel=prev]").last.click()
        assert "key=W" in page.url
        await expect(page.get_by_text("Final")).to_be_visible()


async def test_the_board_follows_the_feed_without_reload(browser: Browser, shown: Shown) -> None:
    async with looking(browser, shown.base) as (page, seen):
        await page.goto(f"{shown.base}/leaderboard?period=ALL")
        await expect(page.locator("html")).to_have_attribute("data-stream", "live")
        await page.evaluate("window.stays = true")

        await shown.show(clock.now() - timedelta(minutes=1), totals(7) | {12: "9999.25"})
        await expect(page.locator(".podium-1")).to_contain_text("$9,999.25")

        assert await page.evaluate("window.stays") is True
        assert await seen.faults() == []


async def answer(shown: Shown, path: str, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=shown.base, timeout=PATIENCE_S) as client:
        return await client.get(f"/api/v1/affiliates{path}", headers=headers)


async def test_a_list_goes_on_by_cursor_is_known_by_its_tag_and_is_a_table(shown: Shown) -> None:
    first = await answer(shown, "/leaderboard?period=ALL&limit=70")
    found = first.json()
    rest = (await answer(shown, f"/leaderboard?period=ALL&limit=70&cursor={found['next']}")).json()
    again = await answer(shown, "/leaderboard?period=ALL&limit=70", **{"if-none-match": first.headers["etag"]})
    table = await answer(shown, "/leaderboard.csv?period=ALL")

    assert [one["place"] for one in found["items"] + rest["items"]] == [*range(1, PLAYERS + 1)]
    assert (found["source"], found["stale"], found["warming"], found["of"], rest["next"]) == (
        "reported",
        False,
        False,
        PLAYERS,
        None,
    )
    assert (again.status_code, again.content) == (304, b"")
    assert table.text.splitlines()[0] == "rank,place,ties,name,wagered_micro,growth_bps,share_bps"
    assert len(table.text.splitlines()) == PLAYERS + 1


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/leaderboard?key=D:2025-02-30", 422, "affiliates.bad_period_key"),
        ("/leaderboard?key=D:2020-01-01", 404, "affiliates.period_unknown"),
        ("/leaderboard?programme=nowhere", 404, "affiliates.programme_unknown"),
        ("/leaderboard?period=X", 422, "validation_failed"),
        ("/leaderboard?limit=201", 422, "validation_failed"),
        ("/leaderboard?cursor=AAAA", 400, "cursor_invalid"),
        ("/players?name=ab", 422, "validation_failed"),
        ("/totals?programme=nowhere", 404, "affiliates.programme_unknown"),
    ],
)
async def test_what_cannot_be_answered_is_refused(shown: Shown, path: str, status: int, code: str) -> None:
    refused = await answer(shown, path)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_programmes_totals_and_players_are_told(shown: Shown) -> None:
    (programme,) = (await answer(shown, "/programmes")).json()["items"]
    totals_ = (await answer(shown, "/totals")).json()
    (player,) = (await answer(shown, "/players?name=player%20number%205")).json()["items"]

    assert (programme["code"], programme["name"], programme["stale"]) == ("harbour-club", "Harbour Club", False)
    assert (totals_["players"], [one["period"] for one in totals_["boards"]][-1]) == (PLAYERS, "ALL")
    assert totals_["boards"][-1]["total_micro"] == totals_["reported"]["all_time_micro"]
    assert (player["name"], player["rank"], player["wagered_micro"]) == ("pla***", 115, 247_500_000)


async def test_a_board_without_numbers_is_empty_and_one_with_old_ones_says_so(
    browser: Browser, cluster: embedded.Cluster, worker_id: str, tmp_path: Path
) -> None:
    async with running(cluster, f"palio_empty_{worker_id}", tmp_path) as product:
        async with looking(browser, product.base) as (page, seen):
            await page.goto(product.base + "/leaderboard")
            await expect(page.get_by_text("No numbers yet")).to_be_visible()
            assert [*await seen.barriers(), *await seen.faults()] == []
        async with httpx2.AsyncClient(base_url=product.base, timeout=PATIENCE_S) as client:
            found = json.loads((await client.get("/api/v1/affiliates/leaderboard?period=D")).content)
        assert (found["items"], found["as_of"], found["stale"], found["programme"]) == ([], None, True, None)
        assert found["period"] == f"D:{clock.now().astimezone(UTC).date()}"

        async with product.wiring.database.begin(SYSTEM) as tx:
            programme = await affiliates.ensure_programme(tx, code="harbour-club")
        await Shown(product, programme).show(clock.now() - timedelta(minutes=47), totals())
        for size, theme in (("desktop", "night"), ("small", "day")):
            async with looking(browser, product.base, size=size, theme=theme) as (page, seen):
                await page.goto(product.base + "/leaderboard?period=ALL")
                await expect(page.get_by_text("The numbers are old")).to_be_visible()
                await expect(page.get_by_text("47 minutes ago")).to_be_visible()
                await expect(page.locator(".tag-warning")).to_contain_text("Stale, as of")
                if folder := os.environ.get("PALIO_PICTURES"):
                    await page.screenshot(path=Path(folder) / f"board-stale.{size}.{theme}.png")
                assert [*await seen.barriers(), *await seen.faults()] == []
