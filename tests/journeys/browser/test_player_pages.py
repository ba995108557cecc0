"""Wallet, own place, receipts and the first page of a player in a browser, on every screen and in both lights."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product as every
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from playwright.async_api import Browser, Page, expect

from palio import affiliates, competitions, ledger, races
from palio.competitions.types import Claim
from palio.infra import embedded
from palio.infra.db import Database
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from palio.ledger import Post
from palio.ui.languages import Languages
from tests.conftest import SYSTEM
from tests.factories.ledger import HOUSE
from tests.factories.races import T1, T2, at, feed, race, run
from tests.journeys.browser.conftest import looking
from tests.ui.house import House, housed
from tests.ui.people import caller
from tests.ui.product import product

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Place:
    """A house with a player in a live race and a settled one, who won and has a wallet."""

    house: House
    player: UserId
    live: int
    over: int
    prize: int

    def paths(self) -> dict[str, str]:
        return {
            "home": "/",
            "race": f"/races/{self.live}",
            "receipt-live": f"/races/{self.live}/me/receipt",
            "receipt-over": f"/races/{self.over}/me/receipt",
            "wallet": "/wallet",
            "usd": "/wallet/USD",
            "nothing": "/wallet/USD?category=bet",
            "prize": f"/wallet/USD/entries/{self.prize}",
        }


@pytest.fixture(scope="module")
async def place(
    cluster: embedded.Cluster, database_name: str, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    folder: Path = tmp_path_factory.mktemp("locale")
    (folder / "ar/LC_MESSAGES").mkdir(parents=True)
    with (folder / "ar/LC_MESSAGES/messages.mo").open("wb") as file:
        write_mo(file, Catalog(locale="ar"))
    player = UserId(new_id())
    async with database.begin(SYSTEM) as tx:
        source = await feed(tx)
        await source.take(tx, T1, at("08:21:15"))
        over = await race(tx, source, at("12:00:00"), title="Spring race of the captures")
        await source.take(tx, T2, at("20:28:00"))
        await run(tx, at("20:30:00"))
        _, second, *_ = await races.lines(tx, number=over.number)
        await let_in(tx, source.programme_id, second.uid, player)

        now = clock.now().replace(microsecond=0)
        start = now - timedelta(hours=6)
        other = await feed(tx)
        uids = [f"p{n:02}" for n in range(16)]
        await other.show(tx, start - timedelta(minutes=5), dict.fromkeys(uids, "1000"))
        live = await race(
            *(tx, other, start - timedelta(minutes=1)),
            title="Weekly wager race",
            starts_at=start,
            ends_at=now + timedelta(hours=30),
            backdated_reason=None,
            review_h=24,
        )
        await let_in(tx, other.programme_id, "p06", player)
        await run(tx, start + timedelta(minutes=1))
        for hour in (1, 3, 5):
            totals = {uid: f"{1000 + hour * (16 - n) * 12.345678:.6f}" for n, uid in enumerate(uids)}
            await other.show(tx, start + timedelta(hours=hour), totals)
            await run(tx, start + timedelta(hours=hour, minutes=1))
        for n, amount in enumerate((1_250, -300, 4_000)):
            legs = ((f"user:{player}:main", "COIN", amount), (HOUSE, "COIN", -amount))
            await ledger.post(tx, Post(f"{player}:{n}", "bonuses.daily", legs, "Day in a row"), now=now)
        prize = (await ledger.statement(tx, owner_id=player, asset="USD")).lines[0].seq

    def app(hub):  # type: ignore[no-untyped-def]
        return product(database, hub, languages=Languages(folder), streams_max=100)

    async with housed(cluster.dsn("palio_app", database_name), app) as house:
        yield Place(house, player, live.number, over.number, prize)


async def let_in(tx, programme_id, uid: str, user_id: UserId) -> None:  # type: ignore[no-untyped-def]
    link = await affiliates.link(
        tx, programme_id=programme_id, uid=uid, user_id=user_id, reason="known", now=datetime(2025, 3, 26, tzinfo=UTC)
    )
    await competitions.claim_many(tx, [Claim("player", str(link.player_id), user_id)], now=at("20:31:00"))


NAMES = ["home", "race", "receipt-live", "receipt-over", "wallet", "usd", "nothing", "prize"]


async def as_player(page: Page, place: Place) -> None:
    await page.context.set_extra_http_headers(caller("player", place.player))


@pytest.mark.parametrize(("name", "size", "theme"), [*every(NAMES, ["desktop", "phone"], ["day", "night"])])
async def test_pages_of_a_player_keep_nobody_out(
    browser: Browser, place: Place, name: str, size: str, theme: str
) -> None:
    async with looking(browser, place.house.base, size=size, theme=theme) as (page, seen):
        await as_player(page, place)
        answer = await page.goto(f"{place.house.base}{place.paths()[name]}", wait_until="load")
        assert answer and answer.status == 200
        assert (await seen.barriers(), await seen.faults()) == ([], [])


@pytest.mark.parametrize(("name", "locale"), [*every(NAMES, ["en", "ar"])])
async def test_nothing_scrolls_sideways_on_the_smallest_screen(
    browser: Browser, place: Place, name: str, locale: str
) -> None:
    async with looking(browser, place.house.base, size="small", locale=locale) as (page, seen):
        await as_player(page, place)
        await page.goto(f"{place.house.base}{place.paths()[name]}", wait_until="load")
        assert await page.locator("html").get_attribute("dir") == ("rtl" if locale == "ar" else "ltr")
        assert await seen.faults() == []


@pytest.mark.parametrize("name", NAMES)
async def test_everything_is_there_without_script(browser: Browser, place: Place, name: str) -> None:
    async with looking(browser, place.house.base, script=False) as (page, _):
        await as_player(page, place)
        await page.goto(f"{place.house.base}{place.paths()[name]}")
        words = {
            "home": "Where you stand",
            "race": "Your place",
            "receipt-live": "Where it began",
            "receipt-over": "The line in your wallet",
            "wallet": "Coins",
            "usd": "Prize for place 2",
            "nothing": "Nothing moved then",
            "prize": "How the amount came about",
        }
        await expect(page.get_by_text(words[name]).first).to_be_visible()


async def test_filters_are_in_the_address_and_the_receipt_leads_to_the_race_and_back(
    browser: Browser, place: Place
) -> None:
    async with looking(browser, place.house.base) as (page, seen):
        await as_player(page, place)
        await page.goto(f"{place.house.base}/wallet/USD")
        await page.get_by_label("Kind").select_option("prize")
        await page.get_by_role("button", name="Show").click()
        await expect(page).to_have_url(re.compile(r"/wallet/USD\?.*category=prize&"))
        await page.get_by_role("link", name="Prize for place 2").click()
        await page.get_by_role("link", name="How the amount came about").click()
        await expect(page).to_have_url(f"{place.house.base}/races/{place.over}/me/receipt")
        await page.get_by_role("link", name="The line in your wallet").click()
        await expect(page).to_have_url(f"{place.house.base}/wallet/USD/entries/{place.prize}")
        assert await seen.faults() == []


async def test_a_payment_appears_without_reloading(browser: Browser, place: Place) -> None:
    async with looking(browser, place.house.base) as (page, seen):
        await as_player(page, place)
        await page.goto(f"{place.house.base}/wallet/COIN")
        await expect(page.locator("html[data-stream=live]")).to_be_attached()
        legs = ((f"user:{place.player}:main", "COIN", 77), (HOUSE, "COIN", -77))
        async with place.house.database.begin(SYSTEM) as tx:
            await ledger.post(tx, Post(f"{new_id()}", "bonuses.daily", legs), now=clock.now())
        await expect(page.get_by_role("cell").get_by_text("+77 coins")).to_be_visible(timeout=8_000)
        assert await seen.faults() == []
