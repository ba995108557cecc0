"""Somebody without a password: by a provider and back, by a code to the telephone, and what opens the account then."""

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from palio.identity import types
from palio.infra import embedded, settings
from palio.kernel import clock
from palio.sim import Clock, World
from tests.factories.ways import ADA_NUMBER, METHODS, words_of
from tests.journeys.browser.conftest import Seen, looking
from tests.journeys.product import Product, running

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Place:
    """A product that is pointed at the outside, by its environment alone."""

    product: Product
    outside: World

    @property
    def base(self) -> str:
        return self.product.base

    async def code(self) -> str:
        """What came to Ada's telephone last."""
        async with self.product.wiring.queue.working_off() as work_off:
            await work_off()
        found = self.outside.otp.newest(ADA_NUMBER)
        assert found
        return found.code


@pytest.fixture(scope="module")
async def place(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    async with World(clock=Clock()).serving() as outside:
        data: Path = tmp_path_factory.mktemp("data")
        async with running(cluster, f"palio_ways_in_{worker_id}", data, sim="on", **words_of(outside)) as product:
            database = product.wiring.database
            database.equipment = replace(database.equipment, site=product.base)
            async with database.begin_system("a test") as tx:
                change = settings.Change(types.METHODS, list(METHODS))
                await settings.change(tx, tx.actor, [change], "every way in")
                await settings.snapshot.load(tx)
            yield Place(product, outside)
    clock.use(clock.real)


async def ours(seen: Seen) -> list[str]:
    return [*await seen.barriers()]


async def test_somebody_comes_in_by_a_provider_adds_a_telephone_and_comes_in_by_that(
    browser: Browser, place: Place
) -> None:
    async with looking(browser, place.base, size="phone") as (page, seen):
        await page.goto(f"{place.base}/sign-in?next=/account/identities")
        assert await ours(seen) == []
        await page.get_by_role("link", name="Go on with Google").click()
        await page.get_by_role("link", name="ada").click()
        await page.wait_for_url(f"{place.base}/account/identities")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Ways in")
        linked = page.get_by_role("region", name="What opens your account")
        await expect(linked).to_contain_text("Google")
        assert await ours(seen) == []

        await page.get_by_label("Telephone number").fill(ADA_NUMBER)
        await page.get_by_role("button", name="Send the code").click()
        await page.get_by_label("Code", exact=True).fill(await place.code())
        await page.get_by_role("button", name="Add the number").click()
        await expect(linked).to_contain_text("+49•••89")
        await page.get_by_role("button", name="Unlink Google").click()
        await expect(page.get_by_role("status")).to_contain_text("It no longer opens your account.")

    async with looking(browser, place.base, size="phone", script=False) as (page, _):
        await page.goto(f"{place.base}/sign-in")
        await page.get_by_role("link", name="Go on with a code to your phone").click()
        await page.get_by_label("Telephone number").fill("+49 151 23456789")
        await page.get_by_role("button", name="Send the code").click()
        await page.get_by_label("Code", exact=True).fill(await place.code())
        await page.get_by_role("button", name="Go on").click()
        await page.goto(f"{place.base}/account")
        await expect(page.locator("#facts")).to_contain_text("ada@example.com")


async def test_apple_posts_somebody_back_and_telegram_hands_him_in(browser: Browser, place: Place) -> None:
    async with looking(browser, place.base) as (page, seen):
        await page.goto(f"{place.base}/sign-up")
        assert await ours(seen) == []
        await page.get_by_role("link", name="Go on with Apple").click()
        await page.get_by_role("link", name="ben").click()
        await page.wait_for_url(f"{place.base}/")
        await page.goto(f"{place.base}/account/identities")
        await expect(page.get_by_role("region", name="What opens your account")).to_contain_text("Apple")

    fields = place.outside.telegram.widget({"id": 7_000_000_001, "first_name": "Ada"}, at=clock.now())
    async with looking(browser, place.base) as (page, seen):
        await page.goto(f"{place.base}/sign-in/telegram")
        assert await ours(seen) == []
        await page.goto(f"{place.base}/sign-in/telegram#tgAuthResult={packed(fields)}")
        await page.reload()
        await page.wait_for_url(f"{place.base}/")
        await page.goto(f"{place.base}/account/identities")
        await expect(page.get_by_role("region", name="What opens your account")).to_contain_text("7000000001")


def packed(fields: dict[str, str | int]) -> str:
    """What Telegram's page writes behind the address of ours."""
    return urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")
