"""The whole story on real processes: a first start, a race that moves, its end by the clock, prizes, a wallet."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.journeys.browser.conftest import looking
from tests.operations.processes import OURSELVES, Deployment, Process, deployed, until

pytestmark = pytest.mark.browser

FILL_SECONDS_MAX, TICK_MS_MAX, PAGE_MS_MAX = 300, 60_000, 30_000  # three times what a quiet machine needs
HOUR = timedelta(hours=1)
PLAYER = "ada"  # one of the people of the demo, who has not said yet which player she is
TOTALS = "() => [...document.querySelectorAll('[data-row]')].map((row) => [row.dataset.row, row.dataset.total])"


@pytest.fixture
async def palio() -> AsyncIterator[Process]:
    """`palio up` on an empty directory, as soon as its demo is filled."""
    with deployed(OURSELVES) as place:
        process = place.start("up")
        await asyncio.to_thread(until, lambda: "The demo is ready" in process.output, seconds_max=FILL_SECONDS_MAX)
        yield process


async def told(place: Deployment, *words: str) -> Any:
    """What a command of this deployment answers."""
    done = await asyncio.to_thread(place.run, *words, "--json")
    assert done.wait() == 0, done.output + done.errors
    return json.loads(done.output)


async def asked(process: Process, path: str) -> Any:
    """What anybody is told over HTTP."""
    status, _, body = await asyncio.to_thread(process.get, path)
    assert status == 200, body
    return json.loads(body)


async def pass_the_end(place: Deployment, ends_at: datetime) -> None:
    """Let the clock jump to an hour before an end, and live through the hours around it."""
    now = datetime.fromisoformat((await told(place, "sim", "clock", "show"))["now"])
    if now < ends_at - HOUR:
        now = ends_at - HOUR
        await told(place, "sim", "clock", "set", now.isoformat())
    hours = (ends_at - now) // HOUR + 4
    await told(place, "sim", "clock", "advance", "--by", f"{hours}h", "--tick", "1h")


async def waiting_for(place: Deployment, numbers: list[int]) -> dict[str, int]:
    """What waits in all of these races for each player that nobody is linked to, in cents by uid."""
    found: dict[str, int] = {}
    for number in numbers:
        for line in (await told(place, "races", "standings", str(number)))["items"]:
            if line["reward_status"] == "unclaimed":
                found[line["uid"]] = found.get(line["uid"], 0) + int(line["prize"].replace(".", ""))
    return found


async def dollars(place: Deployment) -> int:
    wallets = (await told(place, "ledger", "balance", PLAYER))["wallets"]
    return next(int(wallet["balance"]) for wallet in wallets if wallet["asset"] == "USD")


async def follow_a_tick(page: Page) -> None:
    """The board changes under the eyes of whoever looks, and one sentence says it to whoever listens."""
    await expect(page.locator("html")).to_have_attribute("data-stream", "live")
    await page.evaluate("window.stays = true")
    before = await page.evaluate(TOTALS)
    assert len(before) > 3
    await page.wait_for_function(
        f"(before) => JSON.stringify(({TOTALS})()) !== before", arg=compact(before), timeout=TICK_MS_MAX
    )
    await expect(page.locator("[data-news]")).to_have_text(
        re.compile(r"^\S+ leads with \$[\d,.]+\.$"), timeout=TICK_MS_MAX
    )


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


async def test_from_an_empty_directory_to_a_prize_in_a_wallet(browser: Browser, palio: Process) -> None:
    """Nothing is reloaded until the race is over, and settling it once more changes nothing."""
    place = palio.deployment
    races = (await asked(palio, "/api/v1/races"))["items"]
    live = next(race for race in races if race["status"] == "live" and race["title"].startswith("Weekly"))
    number, path = live["number"], f"/api/v1/races/{live['number']}"

    async with looking(browser, palio.url, size="phone") as (page, seen):
        await page.goto(f"{palio.url}/races/{number}")
        await follow_a_tick(page)

        await pass_the_end(place, datetime.fromisoformat(live["ends_at"]))
        await expect(page.get_by_text("Completed").first).to_be_visible(timeout=PAGE_MS_MAX)
        await expect(page.locator("[data-row]").first).to_contain_text(re.compile("paid|prize waiting"))
        assert await page.evaluate("window.stays") is True

        await page.goto(f"{palio.url}/races/history")
        await expect(page.get_by_role("row", name=live["title"])).to_contain_text("Won by")
        found = (await asked(palio, "/api/v1/races"))["items"]
        later = [one["status"] for one in found if one["title"].startswith("Weekly") and one["number"] >= number]
        assert later == ["upcoming", "live", "completed"]

        waiting = await waiting_for(place, [one["number"] for one in found if one["status"] == "completed"])
        last = await told(place, "races", "standings", str(number))
        uid = next(line["uid"] for line in last["items"] if line["reward_status"] == "unclaimed")
        assert await dollars(place) == 0
        await told(place, "affiliates", "link", uid, "--user", PLAYER, "--reason", "she showed us her account")
        assert await dollars(place) == waiting[uid] > 0

        await page.goto(f"{palio.url}/races/{number}")
        row = page.locator("[data-row]", has_text="Ada")
        await expect(row).to_contain_text("paid")
        assert [*await seen.barriers(), *await seen.faults()] == []

    before = [await asked(palio, path), await asked(palio, "/api/v1/races/history"), await dollars(place)]
    assert before[0]["standings_sha256"]
    again = await told(place, "races", "settle", str(number))
    assert (again["status"], again["steps"]) == ("completed", [])
    assert [await asked(palio, path), await asked(palio, "/api/v1/races/history"), await dollars(place)] == before
