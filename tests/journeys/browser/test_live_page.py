"""How an open page keeps up: streams that break, hide and come back, what it says aloud, and what moves on it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from playwright.async_api import Browser, Page, Request, expect
from starlette.types import ASGIApp

from palio.infra import embedded
from palio.infra.realtime import Hub
from tests.journeys.browser.conftest import looking
from tests.ui import preview, race_views
from tests.ui.house import House, housed

pytestmark = pytest.mark.browser

NUMBER = 47
PATH = f"/races/{NUMBER}"
TOPIC = f"race:{race_views.LIVE.competition_id}"
FIRST, SECOND, *OTHERS = race_views.ROWS
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
async def house(cluster: embedded.Cluster, database_name: str) -> AsyncIterator[House]:
    def app(hub: Hub) -> ASGIApp:
        return preview.app(hub=hub)

    async with housed(cluster.dsn("palio_app", database_name), app) as house:
        yield house


@pytest.fixture(autouse=True)
def race() -> object:
    """A race of our own, as it stands before anything happens."""
    race_views.BY_NUMBER[NUMBER] = replace(race_views.LIVE, number=NUMBER)
    yield
    del race_views.BY_NUMBER[NUMBER]


def lead(micro: int, name: str = "newcomer") -> None:
    """The second one has overtaken the first."""
    ahead = replace(SECOND, place=1, rank=1, total_micro=micro, name=name)
    rows = (ahead, replace(FIRST, place=2, rank=2), *OTHERS)
    race_views.BY_NUMBER[NUMBER] = replace(race_views.LIVE, number=NUMBER, rows=rows)


async def live(page: Page) -> None:
    await expect(page.locator("html")).to_have_attribute("data-stream", "live")


async def test_without_a_stream_the_page_says_so_and_asks_every_15_seconds(browser: Browser, house: House) -> None:
    """Nothing but the badge tells; the board is up to date all the same, and live again when the stream is."""
    async with looking(browser, house.base) as (page, _):
        await page.clock.install()
        await page.route("**/api/v1/stream**", lambda route: route.fulfill(status=503, body="away"))
        await page.goto(house.base + PATH)
        await expect(page.get_by_text("Reconnecting")).to_be_visible()
        await expect(page.locator(".stream-on").first).to_be_hidden()

        lead(200_000_000)
        await page.clock.fast_forward(15_000)
        await page.clock.run_for(2_000)
        await expect(page.locator(".podium-1")).to_contain_text("newcomer")

        await page.unroute("**/api/v1/stream**")
        await page.clock.fast_forward(15_000)
        await live(page)
        await expect(page.get_by_text("Reconnecting")).to_be_hidden()


async def test_a_page_out_of_sight_lets_its_stream_go_and_catches_up(browser: Browser, house: House) -> None:
    """After 30 seconds and not before; what happened meanwhile is there at once when it is seen again."""
    async with looking(browser, house.base) as (page, _):
        await page.clock.install()
        await page.goto(house.base + PATH)
        await live(page)
        await page.evaluate(HIDE, True)
        await page.clock.fast_forward(29_000)
        opened: list[str] = []
        page.on("request", lambda request: opened.append(request.url) if "/stream" in request.url else None)
        await page.clock.fast_forward(2_000)
        lead(200_000_000)
        await house.tell(TOPIC)
        await page.clock.run_for(2_000)
        await expect(page.locator(".podium-1")).to_contain_text("$155.53")
        assert opened == []

        await page.evaluate(HIDE, False)
        await page.clock.run_for(2_000)
        await expect(page.locator(".podium-1")).to_contain_text("newcomer")
        assert len(opened) == 1


async def test_a_page_hidden_for_a_moment_keeps_its_stream(browser: Browser, house: House) -> None:
    async with looking(browser, house.base) as (page, _):
        await page.clock.install()
        await page.goto(house.base + PATH)
        await live(page)
        opened: list[str] = []
        page.on("request", lambda request: opened.append(request.url) if "/stream" in request.url else None)
        await page.evaluate(HIDE, True)
        await page.clock.fast_forward(20_000)
        await page.evaluate(HIDE, False)
        await page.clock.fast_forward(20_000)
        lead(200_000_000)
        await house.tell(TOPIC)
        await page.clock.run_for(2_000)

        await expect(page.locator(".podium-1")).to_contain_text("newcomer")
        assert opened == []


async def test_who_listens_hears_one_sentence_in_30_seconds(browser: Browser, house: House) -> None:
    """What was overtaken meanwhile is never said, the newest is."""
    async with looking(browser, house.base) as (page, _):
        await page.clock.install()
        await page.goto(house.base + PATH)
        await live(page)
        news = page.locator("[data-news]")
        assert await news.get_attribute("role") == "status"

        async def move(total: int, name: str) -> None:
            lead(total, name)
            await house.tell(TOPIC)
            await expect(page.locator(".podium-1")).to_contain_text(name)

        await page.clock.resume()
        await move(200_000_000, "first")
        await expect(news).to_have_text("first leads with $200.00.")
        await move(210_000_000, "second")
        await move(220_000_000, "third")
        await expect(news).to_have_text("first leads with $200.00.")
        await page.clock.fast_forward(30_000)
        await expect(news).to_have_text("third leads with $220.00.")


async def test_a_row_that_overtakes_is_marked_once_and_slides(browser: Browser, house: House) -> None:
    """Those that stay where they are keep still."""
    async with looking(browser, house.base) as (page, _):
        await page.add_init_script("""
          window.slides = [];
          const animate = Element.prototype.animate;
          Element.prototype.animate = function (...args) {
            window.slides.push(this.dataset.row);
            return animate.apply(this, args);
          };
        """)
        await page.goto(house.base + PATH)
        await live(page)
        await expect(page.locator(".moved")).to_have_count(0)
        lead(200_000_000)
        await house.tell(TOPIC)

        await expect(page.locator(".moved")).to_have_count(2)
        assert sorted(await page.evaluate("window.slides")) == [str(FIRST.entrant_id), str(SECOND.entrant_id)]
        await expect(page.locator(".moved")).to_have_count(0)


async def test_who_wants_no_motion_gets_none(browser: Browser, house: House) -> None:
    async with looking(browser, house.base) as (page, _):
        await page.emulate_media(reduced_motion="reduce")
        await page.add_init_script(
            "window.slides = 0; Element.prototype.animate = () => { window.slides += 1; throw new Error('moved'); };"
        )
        await page.goto(house.base + PATH)
        await live(page)
        lead(200_000_000)
        await house.tell(TOPIC)
        await expect(page.locator(".podium-1")).to_contain_text("newcomer")

        await expect(page.locator(".moved")).to_have_count(0)
        assert await page.evaluate("window.slides") == 0


async def test_a_long_board_refreshes_the_part_that_is_looked_at(browser: Browser, house: House) -> None:
    """A burst of events is fewer requests, and they ask for the places on the screen alone."""
    rows = tuple(race_views.row(place, 400_000_000 - place) for place in range(101, 201))
    race_views.BY_NUMBER[NUMBER] = replace(
        race_views.LIVE, number=NUMBER, rows=rows, after=100, entrants=250, qualified=250, above_micro=400_000_000
    )
    async with looking(browser, house.base) as (page, _):
        await page.goto(f"{house.base}{PATH}?from=101")
        await live(page)
        asked: list[Request] = []
        page.on("request", lambda request: asked.append(request) if PATH in request.url else None)
        async with page.expect_response(f"{house.base}{PATH}?from=101") as answer:
            for _ in range(5):
                await house.tell(TOPIC)
        text = await (await answer.value).text()

        assert text.count("data-row=") == 100 and "<html" not in text
        assert {request.url for request in asked} == {f"{house.base}{PATH}?from=101"}
        assert len(asked) < 5


async def test_the_first_page_follows_the_race_that_is_on(browser: Browser, house: House) -> None:
    """One stream for the list and for the race; a new race that is on is heard without a reload."""
    async with looking(browser, house.base, size="phone") as (page, seen):
        await page.goto(house.base + "/")
        await live(page)
        await expect(page.locator(".podium-1")).to_contain_text("$155.53")
        original = dict(race_views.BY_NUMBER)
        number = race_views.LIVE.number
        race_views.BY_NUMBER[number] = replace(
            race_views.LIVE, rows=(replace(FIRST, total_micro=300_000_000), SECOND, *OTHERS)
        )
        await house.tell(TOPIC)
        await expect(page.locator(".podium-1")).to_contain_text("$300.00")
        race_views.BY_NUMBER.update(original)

        assert await seen.faults() == []
