"""Competitions and boards in a browser: nothing is wrong with any page, one joins without script, and boards move."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from playwright.async_api import Browser, expect

from palio import competitions
from palio.competitions.types import Admission, CompetitionId, EntrantId, NewEntrant, Submission
from palio.infra import embedded, partitions
from palio.infra.db import Database
from palio.kernel import clock
from palio.kernel.ids import UserId
from tests.factories.competitions import HOUR, enter, live, new, score, settle, wealthy
from tests.journeys.browser.conftest import looking
from tests.journeys.browser.house import Place, opened, sign_in
from tests.ui.house import SYSTEM

pytestmark = pytest.mark.browser

CROWD = 30


@dataclass
class Ground:
    """A house with one of each: on, under review, to come, by invitation, over; and ann, who is in all of them."""

    place: Place
    ann: UserId
    on: CompetitionId
    reviewed: CompetitionId
    coming: CompetitionId
    over: CompetitionId
    climbers: list[EntrantId]

    @property
    def database(self) -> Database:
        return self.place.product.wiring.database

    async def walk(self, steps: int, key: str) -> None:
        """Ann walks so far on the board of everybody, and gains as much in what is on."""
        now = clock.now()
        async with self.database.begin(SYSTEM) as tx:
            [walker] = await competitions.enter_many(tx, [NewEntrant("user", str(self.ann), self.ann)])
            items = [
                Submission(None, walker, steps, key, now, board="steps"),
                Submission(self.on, walker, steps, key, now),
            ]
            await competitions.submit_many(tx, items, now=now)


async def _ended(database: Database, ann: UserId, **terms: object) -> CompetitionId:
    """One that has ended an hour ago."""
    starts_at = clock.now() - 6 * HOUR
    async with database.begin(SYSTEM) as tx:
        found = await live(tx, starts_at, **terms)
        crowd = await enter(tx, found, 4, starts_at)
        [walker] = await competitions.admit_many(tx, [Admission(found, "user", str(ann), ann)], now=starts_at)
        await score(tx, found, [*crowd, walker], [40, 30, 30, 5, 30], starts_at + HOUR)
        await settle(tx, found, clock.now())
    return found


@pytest.fixture(scope="module")
async def ground(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ground]:
    async with opened(cluster, f"palio_contests_{worker_id}", tmp_path_factory.mktemp("data")) as place:
        database, now = place.product.wiring.database, clock.now()
        ann = (await place.person("ann")).id
        async with database.begin(SYSTEM) as tx:
            await partitions.ensure(tx, "competitions.receipts", now - 7 * HOUR)
            await wealthy(tx, [ann], 5_000, now)
            on = await live(
                tx, now - 2 * HOUR, ends_at=now + timedelta(days=2), min_score=20, title="Stairs of the old tower"
            )
            climbers = await enter(tx, on, CROWD, now - 2 * HOUR)
            [walker] = await competitions.admit_many(tx, [Admission(on, "user", str(ann), ann)], now=now - 2 * HOUR)
            await score(tx, on, [*climbers, walker], [*range(10, 10 + CROWD), 25], now - 1.5 * HOUR)
            coming = await competitions.create(
                tx,
                new=new(now + HOUR, title="Weekend duel", join_mode="open", entry_fee=99, max_participants=12),
                created_by=None,
                now=now,
            )
            await competitions.publish(tx, competition_id=coming, now=now)
            few = await competitions.create(
                tx, new=new(now + HOUR, title="For the few", join_mode="invite"), created_by=None, now=now
            )
            await competitions.publish(tx, competition_id=few, now=now)
            await competitions.invite_many(tx, competition_id=few, user_ids=[ann], actor=SYSTEM, now=now)
        reviewed = await _ended(database, ann, title="Letters to the keeper", review_h=24)
        over = await _ended(database, ann, title="Trivia night")
        ground = Ground(place, ann, on, reviewed, coming, over, climbers)
        await ground.walk(1_234, "first")
        yield ground


@pytest.mark.parametrize(("size", "theme"), [("phone", "night"), ("desktop", "day"), ("small", "night")])
async def test_nothing_is_wrong_with_any_page(browser: Browser, ground: Ground, size: str, theme: str) -> None:
    base = ground.place.base
    async with looking(browser, base, size=size, theme=theme) as (page, seen):
        await sign_in(page, base, "ann", to="/competitions")
        await expect(page.locator("#invited")).to_be_visible()
        for path in (
            "/competitions",
            f"/competitions/{ground.on}",
            f"/competitions/{ground.coming}",
            f"/competitions/{ground.reviewed}/me/receipt",
            f"/competitions/{ground.over}",
            "/competitions/archive",
            "/boards/steps?period=all",
        ):
            await page.goto(base + path, wait_until="load")
            await expect(page.locator("h1")).to_be_visible()
            assert (path, [*await seen.barriers(), *await seen.faults()]) == (path, [])


async def test_one_joins_without_script_and_boards_move_with_and_without_a_stream(
    browser: Browser, ground: Ground
) -> None:
    """A fee is paid and given back by plain forms; a score arrives by the stream, and without one within 15 s."""
    base, here = ground.place.base, f"/competitions/{ground.coming}"
    async with looking(browser, base, script=False) as (page, _):
        await sign_in(page, base, "ann", to=here)
        await page.get_by_role("button", name="Join for $0.99").click()
        await expect(page.locator("#way-in")).to_contain_text("You take part")
        await page.get_by_role("button", name="Leave, and have $0.99 back").click()
        await expect(page.get_by_role("button", name="Join for $0.99")).to_be_visible()
    async with looking(browser, base) as (page, _):
        await page.goto(f"{base}/competitions/{ground.on}")
        await expect(page.locator("html")).to_have_attribute("data-stream", "live")
        await ground.walk(5_000, "up")
        await expect(page.locator(".podium-1")).to_contain_text("6,259")
    async with looking(browser, base) as (page, _):
        await page.clock.install()
        await page.route("**/api/v1/stream**", lambda route: route.fulfill(status=503, body="away"))
        await page.goto(f"{base}/boards/steps?period=all")
        await expect(page.get_by_text("Reconnecting").first).to_be_visible()
        await ground.walk(1_000, "on")
        await page.clock.fast_forward(15_000)
        await page.clock.run_for(2_000)
        await expect(page.locator("#board")).to_contain_text("7,234")
