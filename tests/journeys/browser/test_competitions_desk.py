"""Competitions as staff see them in a browser: every page on a screen and a phone, in both lights, and a draft that is
worked out while it is typed.
"""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from palio import competitions
from palio.competitions.types import CompetitionId
from palio.infra import embedded
from palio.kernel import clock
from palio.kernel.ids import new_id
from tests.admin.house import Console, manned
from tests.factories.competitions import HOUR, enter, live, score, withheld
from tests.journeys.browser.conftest import looking

pytestmark = pytest.mark.browser

HERE = "/console/competitions"
PAGES = {
    "list": HERE,
    "new": f"{HERE}/new",
    "calendar": f"{HERE}/calendar",
    "calendar-none": f"{HERE}/calendar?month=2031-02",
    "appeals": f"{HERE}/appeals",
    "series": f"{HERE}/series",
    "series-new": f"{HERE}/series/new",
    "live": f"{HERE}/{{live}}",
    "review": f"{HERE}/{{review}}",
    "prizes": f"{HERE}/{{review}}/prizes",
    "prizes-tried": f"{HERE}/{{live}}/prizes?prizes=1:60+2-3:40&pool=1000",
    "pool": f"{HERE}/{{review}}/pool",
    "take-backs": f"{HERE}/{{review}}/take-backs",
    "monitor": f"{HERE}/{{live}}/monitor",
    "edit": f"{HERE}/{{live}}/edit",
    "fund": f"{HERE}/{{live}}/fund",
    "cancel": f"{HERE}/{{live}}/cancel",
    "adjust": f"{HERE}/{{review}}/adjust",
    "take-back": f"{HERE}/{{review}}/adjust?entrant_id={{adjusted}}&undoes={{adjustment}}",
    "participants": f"{HERE}/{{review}}/participants",
    "participants-none": f"{HERE}/{{live}}/participants?has_score=false",
    "over": f"{HERE}/{{over}}",
    "withheld": f"{HERE}/withheld",
    "withheld-none": f"{HERE}/withheld?competition_id={{live}}",
    "pay-withheld": f"{HERE}/{{over}}/pay-withheld?entrant_id={{winner}}",
    "forfeit": f"{HERE}/{{over}}/forfeit?entrant_id={{winner}}",
}


@pytest.fixture(scope="module")
async def console(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    async with manned(cluster, f"palio_competitions_desk_{worker_id}", tmp_path_factory.mktemp("data")) as console:
        yield console


async def filled(console: Console) -> dict[str, object]:
    """One that runs, one in review whose result is doubted and was adjusted, and one whose winner cannot be paid."""
    now = clock.now()
    found: dict[str, CompetitionId] = {}
    async with console.begin(console.noor) as tx:
        over, [winner, *_], _ = await withheld(tx, now - 7 * HOUR, (9, 7), title="A competition: over")
        for name, begin in (("live", now - HOUR), ("review", now - 6 * HOUR)):
            found[name] = await live(tx, begin, title=f"A competition: {name}", review_h=24)
            entrants = await enter(tx, found[name], 12, now)
            await score(tx, found[name], entrants, range(120, 0, -10), begin)
        for _ in range(2):
            await competitions.settle(tx, competition_id=found["review"], now=now)
        [last] = (await competitions.top(tx, competition_id=found["review"], limit=1)).rows
        assert last.standing.user_id
        await competitions.open_appeal(
            tx,
            appeal_id=new_id(),
            competition_id=found["review"],
            user_id=last.standing.user_id,
            text="My last game is missing.",
            now=now,
        )
        adjusted, adjustment = last.standing.entrant_id, new_id()
        await competitions.adjust_score(
            tx,
            adjustment_id=adjustment,
            competition_id=found["review"],
            entrant_id=adjusted,
            delta=5,
            actor=tx.actor,
            reason="a game was counted for somebody else",
            now=now,
        )
    return {**found, "over": over, "winner": winner, "adjusted": adjusted, "adjustment": adjustment}


@pytest.mark.parametrize(("size", "theme"), [("desktop", "day"), ("phone", "night")])
async def test_nothing_is_wrong_with_a_page(browser: Browser, console: Console, size: str, theme: str) -> None:
    parts, wrong = await filled(console), {}
    async with looking(browser, console.base, size=size, theme=theme) as (page, seen):
        await page.set_extra_http_headers(console.staff(console.noor))
        for name, path in PAGES.items():
            await page.goto(console.base + path.format(**parts), wait_until="load")
            await expect(page.locator("h1")).to_be_visible()
            if await page.locator("data-chart").count():
                await expect(page.locator("data-chart canvas").first).to_be_visible()
            if folder := os.environ.get("PALIO_PICTURES"):
                await page.screenshot(path=Path(folder) / f"competitions-{name}.{size}.{theme}.png", full_page=True)
            if found := [*await seen.barriers(), *await seen.faults()]:
                wrong[name] = found
            seen.complaints.clear()
    assert wrong == {}


async def test_a_draft_is_worked_out_while_it_is_typed_and_comes_back_when_it_is_refused(
    browser: Browser, console: Console
) -> None:
    begin = clock.now() + timedelta(days=1)
    async with looking(browser, console.base) as (page, seen):
        await page.set_extra_http_headers(console.staff(console.noor))
        await page.goto(f"{console.base}{HERE}/new")
        await page.get_by_label("Title").fill("Winter league")
        await page.get_by_label("Prizes by place").fill("1:50 2-5:30")
        await expect(page.locator("#meter")).to_contain_text("80.00 %")
        await page.get_by_label("Prizes by place").fill("1:50 2-5:50")
        await page.get_by_label("Ties").fill("2:3")
        await expect(page.locator("#places")).to_contain_text("3 share")
        await page.get_by_label("Ends, in UTC").fill(f"{begin - timedelta(days=9):%Y-%m-%dT%H:%M}")
        await page.get_by_role("button", name="Make a draft").click()
        await expect(page.get_by_role("alert")).to_contain_text("not after its start")
        await expect(page.get_by_label("Prizes by place")).to_have_value("1:50 2-5:50")
        await page.get_by_label("Ends, in UTC").fill(f"{begin + timedelta(days=9):%Y-%m-%dT%H:%M}")
        await page.get_by_role("button", name="Make a draft").click()
        await expect(page.locator("h1")).to_have_text("Winter league")
        await page.get_by_role("link", name="Change").click()
        await page.get_by_label("Title").fill("Winter league, first")
        await expect(page.locator("#changes")).to_contain_text("Winter league, first")
        await page.get_by_role("button", name="Change it").click()
        await expect(page.locator("h1")).to_have_text("Winter league, first")
        seen.complaints = [one for one in seen.complaints if "422" not in one]
        assert await seen.faults() == []
