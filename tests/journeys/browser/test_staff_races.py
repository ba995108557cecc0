"""Pages of staff over races: a race from draft to release in a browser, by keyboard's forms alone, and axe on each."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from palio.infra import db, embedded
from palio.kernel import clock
from tests.admin.house import Console, manned
from tests.factories.races import Feed
from tests.journeys.browser.conftest import Seen, looking
from tests.races.desk import live, prepared, under_review

pytestmark = pytest.mark.browser

SCREENS = [("desktop", "day"), ("phone", "night"), ("small", "day"), ("desktop", "night")]
PERMISSIONS = (
    "races.race.read races.race.edit races.race.money races.race.backdate "
    "admin.home.read affiliates.read affiliates.feeds.edit affiliates.snapshots.decide"
)


@dataclass
class Stage:
    """The console with a programme, a race that is on, and two that are to be paid."""

    console: Console
    source: Feed
    live: int
    review: int
    large: int


@pytest.fixture(scope="module")
async def stage(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    async with manned(cluster, f"palio_staff_{worker_id}", tmp_path_factory.mktemp("data")) as console:
        now, database = clock.now(), console.wiring.database
        source = await prepared(database, now)
        review = await under_review(database, source, now)
        other = await prepared(database, now)
        large = await under_review(database, other, now, pool=250_000)
        third = await prepared(database, now)
        yield Stage(console, third, await live(database, third, now), review, large)


@asynccontextmanager
async def working(
    browser: Browser, stage: Stage, *, size: str = "desktop", theme: str = "day", script: bool = True
) -> AsyncIterator[tuple[Page, Seen]]:
    """A page of Noor's."""
    async with looking(browser, stage.console.base, size=size, theme=theme, script=script) as (page, seen):
        await page.set_extra_http_headers(stage.console.staff(stage.console.noor, permissions=PERMISSIONS))
        yield page, seen


def pages(stage: Stage) -> dict[str, str]:
    code = stage.source.code
    return {
        "races": "/console/races",
        "new": f"/console/races/new?title=Spring+race&programme={code}",
        "new-wrong": "/console/races/new?title=Spring+race&prizes=50+30",
        "rehearsal": f"/console/races/rehearsal?programme={code}&cadence=daily&count=2",
        "series": "/console/races/series",
        "live": f"/console/races/{stage.live}",
        "review": f"/console/races/{stage.review}",
        "adjust": f"/console/races/{stage.live}/adjust?player=cid&amount=15",
        "exclude": f"/console/races/{stage.live}/exclude?player=ann",
        "release": f"/console/races/{stage.large}/release",
        "cancel": f"/console/races/{stage.live}/cancel",
        "extend": f"/console/races/{stage.live}/extend",
        "start-picture": f"/console/races/{stage.live}/start-picture",
    }


@pytest.mark.parametrize(("size", "theme"), SCREENS)
async def test_nothing_is_wrong_with_a_page(browser: Browser, stage: Stage, size: str, theme: str) -> None:
    async with working(browser, stage, size=size, theme=theme) as (page, seen):
        for name, path in pages(stage).items():
            answer = await page.goto(stage.console.base + path, wait_until="load")
            assert answer and answer.status == 200, f"{name}: {answer and answer.status}"
            await expect(page.locator("h1")).to_be_visible()
            if folder := os.environ.get("PALIO_PICTURES"):
                await page.screenshot(path=Path(folder) / f"{name}.{size}.{theme}.png", full_page=True)
            assert (name, [*await seen.barriers(), *await seen.faults()]) == (name, [])


async def test_the_meter_follows_what_is_typed_and_only_a_whole_pool_can_be_made(
    browser: Browser, stage: Stage
) -> None:
    async with working(browser, stage) as (page, _):
        await page.goto(stage.console.base + "/console/races/new")
        await page.get_by_label("Title").fill("Spring race")
        await page.get_by_label("Prizes by place").fill("50 30")
        await expect(page.locator("#meter")).to_contain_text("80.00 %")
        await expect(page.locator("#meter")).to_contain_text("20% of the pool are missing.")
        await expect(page.get_by_role("button", name="Make a draft")).to_have_count(0)
        await page.get_by_label("Prizes by place").fill("50 30 20")
        await expect(page.locator("#meter")).to_contain_text("100.00 %")
        await expect(page.locator("#meter")).to_contain_text("$250.00")
        await expect(page.get_by_role("button", name="Make a draft")).to_be_visible()


async def test_a_race_is_made_of_what_was_typed_last_and_not_of_what_was_worked_out(
    browser: Browser, stage: Stage
) -> None:
    async with working(browser, stage, script=False) as (page, _):
        await page.goto(stage.console.base + "/console/races/new")
        await page.get_by_label("Title").fill("Summer race")
        await page.get_by_label("Programme").select_option(stage.source.code)
        await page.get_by_role("button", name="Work it out").click()
        await page.get_by_label("Pool", exact=True).fill("50.00")
        await page.get_by_role("button", name="Make a draft").click()
        await expect(page.locator("#terms")).to_contain_text("$50.00")


async def test_a_race_is_made_announced_extended_and_cancelled_without_script(browser: Browser, stage: Stage) -> None:
    """Draft, then announced with its effect shown, then a later end, then called off: each with its reason."""
    async with working(browser, stage, script=False) as (page, _):
        await page.goto(stage.console.base + "/console/races/new")
        await page.get_by_label("Title").fill("Autumn race")
        await page.get_by_label("Programme").select_option(stage.source.code)
        await page.get_by_role("button", name="Work it out").click()
        await page.get_by_role("button", name="Make a draft").click()
        await expect(page.locator("h1")).to_have_text("Autumn race")
        await expect(page.get_by_text("Draft")).to_be_visible()
        await page.get_by_role("link", name="Announce").click()
        await expect(page.locator("#effect")).to_contain_text("$500.00")
        await page.get_by_role("button", name="Announce").click()
        await expect(page.get_by_text("Announced")).to_be_visible()
        await page.get_by_role("link", name="Move the end").click()
        await page.get_by_label("New end, in UTC").fill("2020-01-01T00:00")
        await page.get_by_label("Why").fill("the provider asked for it")
        await page.get_by_role("button", name="Move the end").click()
        await expect(page.get_by_role("alert")).to_contain_text("can only be moved to a later time")
        await expect(page.get_by_label("Why")).to_have_value("the provider asked for it")
        await page.goto(page.url.removesuffix("/extend") + "/cancel")
        await page.get_by_label("Why").fill("the provider has withdrawn")
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_text("Cancelled")).to_be_visible()


async def test_a_large_payment_says_that_it_waits_and_a_small_one_is_released(browser: Browser, stage: Stage) -> None:
    async with working(browser, stage) as (page, _):
        await page.goto(stage.console.base + f"/console/races/{stage.large}/release")
        await expect(page.get_by_text("this waits for a second person")).to_be_visible()
        await page.get_by_label("Why").fill("compared with the provider")
        await page.get_by_role("button", name="Release the payment").click()
        await expect(page.get_by_text("It waits for a second person")).to_be_visible()
        await expect(page.get_by_text("In review")).to_be_visible()

        await page.goto(stage.console.base + f"/console/races/{stage.review}")
        await expect(page.locator("#settlement")).to_contain_text("agrees with what was submitted")
        await page.get_by_role("link", name="Release the payment").click()
        await page.get_by_label("Why").fill("compared with the provider")
        await page.get_by_role("button", name="Release the payment").click()
        await expect(page.get_by_text("Being settled")).to_be_visible()


async def test_an_adjustment_shows_whom_it_moves_and_a_hold_is_decided(browser: Browser, stage: Stage) -> None:
    async with working(browser, stage) as (page, _):
        await page.goto(stage.console.base + f"/console/races/{stage.live}/adjust?player=cid&amount=15")
        await expect(page.locator("#effect")).to_contain_text("name-bob")
        await page.get_by_label("Why").fill("booked twice, ticket 4711")
        await page.get_by_label("Public note").fill("booked twice by the provider")
        await page.get_by_role("button", name="Adjust a total").click()
        await expect(page.locator("#corrections")).to_contain_text("adjusted by staff by $15.00")

        await page.get_by_role("link", name="Take a player out").click()
        await page.get_by_label("Player, by uid or id").last.fill("ann")
        await page.get_by_label("Why").fill("an account of the provider")
        await page.get_by_label("Public note").fill("an account of the provider")
        await page.get_by_role("button", name="Take a player out").click()
        await expect(page.locator("#held")).to_contain_text("taken out")
        await page.get_by_role("link", name="Let back in").click()
        await page.get_by_label("Why").fill("it was another account")
        await page.get_by_label("Public note").fill("it was another account")
        await page.get_by_role("button", name="Let a player back in").click()
        await expect(page.locator("#board")).to_contain_text("name-ann")
    async with stage.console.begin() as tx:
        actions = await db.column(tx, "select action from infra.audit_rows where actor_id = %s", stage.console.noor)
    assert {"race.adjust", "race.decide"} <= set(actions)
