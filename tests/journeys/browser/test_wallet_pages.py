"""The wallet in a browser: what is held and owed, months, filters, hidden lines, on every screen and in both lights."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import product as every
from pathlib import Path

import psycopg
import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from playwright.async_api import Browser, Page, expect

from palio import identity, ledger
from palio.infra import embedded, settings
from palio.infra.db import Database, Tx
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from palio.kernel.settings import Catalogue
from palio.ledger import Capture, Held, Hold, HoldId, Post, Reverse, TransferId
from palio.ledger.types import GIFTS_ENABLED
from palio.ledger.types import SETTINGS as OF_LEDGER
from palio.ui.languages import Languages
from tests.conftest import SYSTEM
from tests.factories.ledger import HOUSE
from tests.journeys.browser.conftest import looking
from tests.ui.house import House, housed
from tests.ui.people import NOW, caller
from tests.ui.product import product

pytestmark = pytest.mark.browser

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WHY = {"steps": 8432, "rate": "1/100", "cap": 100, "already": 60, "award": 24}


@dataclass(frozen=True)
class Place:
    """A house with somebody who has a bit of everything, and somebody who has nothing."""

    house: House
    player: UserId
    nobody: UserId
    friend: str

    def paths(self) -> dict[str, str]:
        month = (NOW - 30 * DAY).strftime("%Y-%m")
        return {
            "wallet": "/wallet",
            "coins": "/wallet/COIN?include_hidden=true",
            "narrowed": "/wallet/COIN?type=debit&min=5&max=500&on=2026-03-05&from=2026-01-20",
            "hid": "/wallet/COIN?hid=2",
            "cash": "/wallet/USD",
            "month": f"/wallet/COIN/statement?month={month}",
            "steps": "/wallet/COIN/entries/3",
            "captured": "/wallet/COIN/entries/4",
            "reversed": "/wallet/COIN/entries/5",
            "reversal": "/wallet/COIN/entries/6",
            "gift": f"/wallet/COIN/gift?to={self.friend}&amount=12",
            "gift-short": f"/wallet/COIN/gift?to={self.friend}&amount=900",
        }


async def fill(tx: Tx, player: UserId) -> None:
    """Coins with steps, a bet from a hold, an order taken back in part, hidden lines; cash that is owed."""
    now = NOW - HOUR
    wallet = f"user:{player}:main"

    async def move(n: int, kind: str, amount: int, days_ago: int, asset: str = "COIN", **more: object) -> TransferId:
        legs = ((wallet, asset, amount), (HOUSE, asset, -amount))
        post = Post(f"{player}:{n}", kind, legs, **more)  # type: ignore[arg-type]  # the caller names fields
        return (await ledger.post(tx, post, now=now - days_ago * DAY)).transfer_id

    await move(1, "ledger.opening", 2_000, 45)
    await move(2, "bonuses.daily", 50, 40, description="Day in a row")
    await move(3, "steps.award", 24, 20, metadata={"why": WHY, "title": "Steps of 19 March"})
    until = now + 2 * DAY
    bet = Hold(f"{player}:bet", wallet, "COIN", 300, "market:who-wins-the-cup", "games.bet", until)
    order = Hold(f"{player}:order", wallet, "COIN", 1_000, f"order:{new_id()}", "store.order", until)
    held = await ledger.hold_many(tx, [bet, order], now=now - 10 * DAY)
    [bet_id, _] = [one.hold_id for one in held if isinstance(one, Held)]
    await move(4, "games.bet", -120, 9, capture=Capture(HoldId(bet_id)))
    spent = await move(5, "store.order", -200, 5, description="Sports Socks Pack")
    back = Reverse(f"{player}:back", spent, "One pair was missing in the parcel", amount=80)
    await ledger.reverse(tx, back, now=now - 4 * DAY)
    await ledger.hide(tx, owner_id=player, asset="COIN", seq=2, now=now, reason="a test of hidden lines")
    won = await move(6, "affiliates.milestone", 1_250, 3, "USD", description="Milestone of March")
    await move(7, "payments.withdrawal", -1_000, 2, "USD")
    taken = Reverse(f"{player}:taken", won, "The milestone was reached by a mistake of ours", to_debt=True)
    await ledger.reverse(tx, taken, now=now - DAY)


async def allow(tx: Tx, *, is_on: bool) -> None:
    """Let players give to each other, or no longer."""
    await settings.declare(tx, Catalogue(OF_LEDGER))
    await settings.change(tx, SYSTEM, [settings.Change(GIFTS_ENABLED, is_on or None)], "a test of gifts")
    await settings.snapshot.load(tx)


@pytest.fixture(scope="module")
async def place(
    cluster: embedded.Cluster, database_name: str, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    folder: Path = tmp_path_factory.mktemp("locale")
    (folder / "ar/LC_MESSAGES").mkdir(parents=True)
    with (folder / "ar/LC_MESSAGES/messages.mo").open("wb") as file:
        write_mo(file, Catalog(locale="ar"))
    player = UserId(new_id())
    friend = f"margot{new_id().hex[-12:]}"
    with psycopg.connect(cluster.dsn(database=database_name), autocommit=True) as superuser:
        superuser.execute("update ledger.assets set giftable = code = 'COIN'")
        async with database.begin(SYSTEM) as tx:
            await fill(tx, player)
            await identity.create(tx, username=friend, display_name="Margot of the Hill", now=NOW)
            await allow(tx, is_on=True)

    def app(hub):  # type: ignore[no-untyped-def]
        return product(database, hub, languages=Languages(folder), streams_max=100)

    async with housed(cluster.dsn("palio_app", database_name), app) as house:
        yield Place(house, player, UserId(new_id()), friend)
    async with database.begin(SYSTEM) as tx:
        await allow(tx, is_on=False)


async def as_player(page: Page, user_id: UserId) -> None:
    await page.context.set_extra_http_headers(caller("player", user_id))


NAMES = [
    "wallet",
    "coins",
    "narrowed",
    "hid",
    "cash",
    "month",
    "steps",
    "captured",
    "reversed",
    "reversal",
    "gift",
    "gift-short",
]


@pytest.mark.parametrize(("name", "size", "theme"), [*every(NAMES, ["desktop", "phone"], ["day", "night"])])
async def test_pages_of_a_wallet_keep_nobody_out(
    browser: Browser, place: Place, name: str, size: str, theme: str
) -> None:
    async with looking(browser, place.house.base, size=size, theme=theme) as (page, seen):
        await as_player(page, place.player)
        answer = await page.goto(f"{place.house.base}{place.paths()[name]}", wait_until="load")
        assert answer and answer.status == 200
        assert (await seen.barriers(), await seen.faults()) == ([], [])


@pytest.mark.parametrize(("name", "locale"), [*every(NAMES, ["en", "ar"])])
async def test_nothing_scrolls_sideways_on_the_smallest_screen(
    browser: Browser, place: Place, name: str, locale: str
) -> None:
    async with looking(browser, place.house.base, size="small", locale=locale) as (page, seen):
        await as_player(page, place.player)
        await page.goto(f"{place.house.base}{place.paths()[name]}", wait_until="load")
        assert await seen.faults() == []


@pytest.mark.parametrize("name", ["wallet", "coins", "month"])
async def test_who_has_nothing_reads_what_will_come(browser: Browser, place: Place, name: str) -> None:
    async with looking(browser, place.house.base, size="phone") as (page, seen):
        await as_player(page, place.nobody)
        await page.goto(f"{place.house.base}{place.paths()[name].partition('?')[0]}", wait_until="load")
        words = {"wallet": "Nothing in your wallet yet", "coins": "Nothing has moved yet", "month": "0 coins"}
        await expect(page.get_by_text(words[name]).first).to_be_visible()
        assert (await seen.barriers(), await seen.faults()) == ([], [])


@pytest.mark.parametrize("script", [True, False])
async def test_a_line_is_hidden_found_again_and_shown(browser: Browser, place: Place, script: bool) -> None:
    """With what the list was narrowed to kept in the address, with script or without."""
    async with looking(browser, place.house.base, script=script) as (page, seen):
        await as_player(page, place.player)
        await page.goto(f"{place.house.base}/wallet/COIN?type=debit")
        row = page.get_by_role("link", name="Bet")
        await page.get_by_role("button", name="Hide line 4 from the list").click()
        await expect(page).to_have_url(f"{place.house.base}/wallet/COIN?type=debit&hid=4#lines")
        await expect(row).to_have_count(0)
        await page.get_by_role("button", name="Undo").click()
        await expect(page).to_have_url(f"{place.house.base}/wallet/COIN?type=debit#lines")
        await expect(row).to_have_count(1)

        await page.get_by_role("button", name="Hide line 4 from the list").click()
        await page.goto(f"{place.house.base}/wallet/COIN?type=debit")
        await expect(row).to_have_count(0)
        await page.get_by_label("Show what I have hidden").check()
        await page.get_by_role("button", name="Show", exact=True).click()
        await expect(row).to_have_count(1)
        await page.get_by_role("button", name="Show line 4 in the list again").click()
        await page.goto(f"{place.house.base}/wallet/COIN?type=debit")
        await expect(row).to_have_count(1)
        assert await seen.faults() == []


async def test_what_is_held_appears_without_reloading(browser: Browser, place: Place) -> None:
    player = UserId(new_id())
    wallet = f"user:{player}:main"
    async with place.house.database.begin(SYSTEM) as tx:
        legs = ((wallet, "COIN", 500), (HOUSE, "COIN", -500))
        await ledger.post(tx, Post(f"{player}:1", "bonuses.daily", legs), now=clock.now())
    async with looking(browser, place.house.base) as (page, seen):
        await as_player(page, player)
        await page.goto(f"{place.house.base}/wallet/COIN")
        await expect(page.locator("html[data-stream=live]")).to_be_attached()
        await expect(page.get_by_text("Held for you")).to_have_count(0)
        hold = Hold(f"{player}:h", wallet, "COIN", 125, "order:17", "store.order", clock.now() + DAY)
        async with place.house.database.begin(SYSTEM) as tx:
            [held] = await ledger.hold_many(tx, [hold], now=clock.now())
        assert isinstance(held, Held)
        await expect(page.get_by_role("region", name="Held for you")).to_contain_text("Order 17", timeout=8_000)
        await expect(page.get_by_role("region", name="What you can spend")).to_contain_text("375 coins")
        async with place.house.database.begin(SYSTEM) as tx:
            await ledger.void_many(tx, [ledger.Void(f"{player}:v", held.hold_id)], now=clock.now())
        await expect(page.get_by_text("Held for you")).to_have_count(0, timeout=8_000)
        assert await seen.faults() == []


async def test_a_month_is_chosen_and_adds_up(browser: Browser, place: Place) -> None:
    async with looking(browser, place.house.base) as (page, seen):
        await as_player(page, place.player)
        await page.goto(f"{place.house.base}/wallet/COIN")
        await page.get_by_role("link", name="Statement").click()
        await expect(page.get_by_text("the month is not over yet")).to_be_visible()
        months = page.get_by_label("Month")
        first = await months.locator("option").last.get_attribute("value")
        await months.select_option(first)
        await page.get_by_role("button", name="Show").click()
        await expect(page).to_have_url(f"{place.house.base}/wallet/COIN/statement?month={first}")
        await expect(page.get_by_role("region", name="What came and went")).to_contain_text("+2,000 coins")
        assert await seen.faults() == []


async def test_the_balance_on_a_day_keeps_what_the_list_is_narrowed_to(browser: Browser, place: Place) -> None:
    async with looking(browser, place.house.base) as (page, seen):
        await as_player(page, place.player)
        await page.goto(f"{place.house.base}/wallet/COIN?type=credit")
        day = (NOW - 30 * DAY).date().isoformat()
        await page.get_by_label("Day (UTC)", exact=True).fill(day)
        await page.get_by_role("button", name="Look").click()
        await expect(page).to_have_url(f"{place.house.base}/wallet/COIN?type=credit&on={day}#on-a-day")
        await expect(page.locator("#on-a-day").get_by_role("status")).to_contain_text("2,050 coins")
        assert await seen.faults() == []


async def test_a_gift_is_confirmed_by_name_before_it_is_given(browser: Browser, place: Place) -> None:
    async with looking(browser, place.house.base, size="phone") as (page, seen):
        giver = UserId(new_id())
        async with place.house.database.begin(SYSTEM) as tx:
            legs = ((f"user:{giver}:main", "COIN", 100), (HOUSE, "COIN", -100))
            await ledger.post(tx, Post(f"{giver}:1", "bonuses.daily", legs), now=NOW - HOUR)
        await as_player(page, giver)
        await page.goto(f"{place.house.base}/wallet/COIN")
        await page.get_by_label("User name of the other player").fill(place.friend)
        await page.get_by_label("Amount", exact=True).fill("40")
        await page.get_by_role("button", name="Go on").click()
        await expect(page.get_by_text("Margot of the Hill")).to_be_visible()
        await page.get_by_role("button", name=f"Give 40 coins to {place.friend}").click()
        await expect(page.get_by_role("heading", name="Gift")).to_be_visible()
        await expect(page.get_by_role("region", name="What it did")).to_contain_text("60 coins")
        assert await seen.faults() == []
