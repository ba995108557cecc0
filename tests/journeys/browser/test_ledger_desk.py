"""The ledger as staff see it in a browser: on every screen, in both lights; a correction that two people make."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from palio import ledger
from palio.infra import embedded, seals
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from palio.ledger import AdjustmentLine, Hold, Post
from palio.ledger.service import sealing
from palio.ledger.sql import reconciling
from palio.ledger.types import Finding
from tests.admin.house import Console, manned
from tests.factories.ledger import settled
from tests.journeys.browser.conftest import Seen, looking

pytestmark = pytest.mark.browser

WHY = "The bet of race 36 was counted twice"
PAGES = {
    "accounts": "/console/ledger",
    "accounts-found": "/console/ledger?q={username}",
    "accounts-none": "/console/ledger?address=nobody",
    "account": "/console/ledger/accounts/{wallet}",
    "account-house": "/console/ledger/accounts/{house}",
    "account-lots": "/console/ledger/accounts/{wallet}/lots",
    "account-status": "/console/ledger/accounts/{wallet}/status",
    "transfer": "/console/ledger/transfers/{transfer}",
    "reverse": "/console/ledger/transfers/{transfer}/reverse",
    "adjust": "/console/ledger/adjust?player={username}",
    "adjustments": "/console/ledger/adjustments",
    "adjustments-none": "/console/ledger/adjustments?status=expired",
    "adjustment-waits": "/console/ledger/adjustments/{waiting}",
    "adjustment-posted": "/console/ledger/adjustments/{posted}",
    "holds": "/console/ledger/holds",
    "holds-none": "/console/ledger/holds?state=expired",
    "hold": "/console/ledger/holds/{hold}",
    "assets": "/console/ledger/assets",
    "asset": "/console/ledger/assets/COIN",
    "treasury": "/console/ledger/treasury",
    "treasury-empty": "/console/ledger/treasury?asset=XTR",
    "conservation": "/console/ledger/conservation",
    "findings": "/console/ledger/findings",
    "findings-none": "/console/ledger/findings?all=true",
    "seals": "/console/ledger/seals",
    "card": "/console/people/{player}",
    "inbox": "/console/approvals",
    "inbox-one": "/console/approvals/{waiting}",
}
SCREENS = [("desktop", "day"), ("phone", "night"), ("small", "day"), ("desktop", "night")]


@pytest.fixture(scope="module")
async def console(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    async with manned(cluster, f"palio_ledger_desk_{worker_id}", tmp_path_factory.mktemp("data")) as console:
        yield console


@asynccontextmanager
async def working(
    browser: Browser,
    console: Console,
    user_id: UserId,
    *,
    size: str = "desktop",
    theme: str = "day",
    script: bool = True,
) -> AsyncIterator[tuple[Page, Seen]]:
    """A page of somebody of the staff."""
    async with looking(browser, console.base, size=size, theme=theme, script=script) as (page, seen):
        await page.set_extra_http_headers(console.staff(user_id))
        yield page, seen


async def filled(console: Console) -> dict[str, object]:
    """Some of everything: a wallet of thirty lines, a reversal, a hold, a seal, corrections that wait or are posted."""
    player, now = await console.player(), clock.now()
    wallet = f"user:{player}:main"
    async with console.begin() as tx:
        name = (await console.named(player)).username
        begin = now - timedelta(days=20)
        posts = [
            Post(
                f"desk:{new_id()}",
                "competitions.prize",
                ((wallet, "USD", 1_250 + n), ("house:prizes", "USD", -1_250 - n)),
                description=f"Race {n + 7}, place {n % 5 + 1}",
            )
            for n in range(30)
        ]
        for n, post in enumerate(posts):
            made = await ledger.post(tx, post, now=begin + timedelta(hours=15 * n))
        keep = (
            ("treasury:main", "USD", 40_000),
            (f"pool:{new_id()}", "USD", 90_000),
            ("external:opening", "USD", -130_000),
        )
        await ledger.post(tx, Post(f"desk:{new_id()}", "ledger.opening", keep), now=begin)
        hold = Hold(f"desk:{new_id()}", wallet, "USD", 2_000, "A bet on race 41", "games.bet", now + timedelta(days=1))
        [held] = await ledger.hold_many(tx, [hold], now=now)
        await ledger.reverse(
            tx, ledger.Reverse(f"desk:{new_id()}", made.transfer_id, "the race was cancelled", amount=500), now=now
        )
        await ledger.roll_up(tx, now=now)
        finding = Finding("R1", f"user:{new_id()}:main USD", None, "5000", "5001")
        await reconciling.report(tx, [new_id()], [finding], now)
    await settled(console.wiring.database)
    await seals.keep(console.wiring.database, sealing.CHAIN)
    async with console.begin(console.sana) as tx:
        lines = [AdjustmentLine(player, "USD", 25_000), AdjustmentLine(player, "COIN", -5)]
        waiting = await ledger.adjust(tx, lines=lines, reason=WHY, maker=console.sana, now=now, ticket="T-1042")
        lines = [AdjustmentLine(player, "USD", 500)]
        posted = await ledger.adjust(tx, lines=lines, reason="A goodwill after the outage", maker=console.sana, now=now)
        numbers = await tx.execute(
            """select a.address, a.id from ledger.accounts a join ledger.assets s on s.id = a.asset_id
            where s.code = 'USD' and a.address in (%s, 'house:prizes')""",
            [wallet],
        )
        accounts = dict(await numbers.fetchall())
    assert isinstance(held, ledger.Held)
    return {
        "player": player,
        "username": name,
        "wallet": accounts[wallet],
        "house": accounts["house:prizes"],
        "transfer": made.transfer_id,
        "hold": held.hold_id,
        "waiting": waiting.id,
        "posted": posted.id,
    }


@pytest.mark.parametrize(("size", "theme"), SCREENS)
async def test_nothing_is_wrong_with_a_page(browser: Browser, console: Console, size: str, theme: str) -> None:
    parts, wrong = await filled(console), {}
    async with working(browser, console, console.noor, size=size, theme=theme) as (page, seen):
        for name, path in PAGES.items():
            await page.goto(console.base + path.format(**parts), wait_until="load")
            await expect(page.locator("h1")).to_be_visible()
            if await page.locator("data-chart").count():
                await expect(page.locator("data-chart canvas").first).to_be_visible()
            if folder := os.environ.get("PALIO_PICTURES"):
                await page.screenshot(path=Path(folder) / f"{name}.{size}.{theme}.png", full_page=size != "desktop")
            if found := [*await seen.barriers(), *await seen.faults()]:
                wrong[name] = found
            seen.complaints.clear()
    assert wrong == {}


async def test_an_asset_is_changed_after_its_effect_was_seen(browser: Browser, console: Console) -> None:
    for n, (size, theme) in enumerate([("desktop", "day"), ("phone", "night")]):
        async with working(browser, console, console.noor, size=size, theme=theme) as (page, seen):
            await page.goto(f"{console.base}/console/ledger/assets")
            await page.get_by_role("link", name="XTR", exact=True).click()
            await page.get_by_label("Name").fill(f"Stars {n}")
            await page.get_by_label("Expires by lots").click()
            await page.get_by_label("Why").fill("Stars are from now on given for a year only")
            await page.get_by_role("button", name="See the effect").click()
            await expect(page.get_by_role("region", name="What changes")).to_contain_text("stand still meanwhile")
            if folder := os.environ.get("PALIO_PICTURES"):
                await page.screenshot(path=Path(folder) / f"asset-effect.{size}.{theme}.png", full_page=True)
            assert [*await seen.barriers(), *await seen.faults()] == []
            await page.get_by_role("button", name="Change it").click()
            await expect(page.get_by_role("row", name="XTR")).to_contain_text(f"Stars {n}")


async def test_a_correction_is_made_by_one_approved_by_another_and_seen_in_the_wallet(
    browser: Browser, console: Console
) -> None:
    """Noor types it, sees what it does and proposes it; Sana approves it with one key; the player reads why."""
    player = await console.player()
    name = (await console.named(player)).username
    async with working(browser, console, console.noor) as (page, seen):
        await page.goto(f"{console.base}/console/people/{player}")
        await page.get_by_role("link", name="Adjust", exact=True).click()
        await page.get_by_label("Player").fill(name)
        await page.get_by_label("Amount").fill("100.01")
        await page.get_by_role("button", name="See the effect").click()
        effect = page.get_by_role("region", name="Balances before and after")
        await expect(effect.get_by_role("row", name="Pia Lund")).to_contain_text("$100.01")
        await page.get_by_role("button", name="Propose it").click()
        await expect(page.get_by_role("alert")).to_contain_text("10 to 500 characters")
        assert await page.get_by_label("Amount").input_value() == "100.01"
        await page.get_by_label("Why").fill(WHY)
        if folder := os.environ.get("PALIO_PICTURES"):
            await page.screenshot(path=Path(folder) / "adjust-effect.desktop.day.png", full_page=True)
        await page.get_by_role("button", name="Propose it").click()
        await expect(page.get_by_text("You have made this: somebody else decides.")).to_be_visible()
        number = page.url.rsplit("/", 1)[1]
        assert [one for one in await seen.faults() if "422 (Unprocessable" not in one] == []
    async with console.begin() as tx:
        assert await ledger.balance(tx, address=f"user:{player}:main", asset="USD") == 0
    async with working(browser, console, console.sana, size="phone", theme="night") as (page, seen):
        await page.goto(f"{console.base}/console/approvals")
        await page.get_by_role("link", name=WHY).first.click()
        await expect(page.get_by_text("Pia Lund").first).to_be_visible()
        await page.keyboard.press("a")
        await expect(page.get_by_text("It is decided.")).to_be_visible()
        await page.goto(f"{console.base}/console/ledger/adjustments/{number}")
        await page.get_by_role("link", name="posted", exact=True).click()
        await expect(page.get_by_role("heading", name="Adjustment")).to_be_visible()
        assert await seen.faults() == []
    async with looking(browser, console.base, size="phone") as (page, seen):
        await page.set_extra_http_headers(console.player_headers(player))
        await page.goto(f"{console.base}/wallet/USD")
        await expect(page.get_by_text(WHY)).to_be_visible()
        await expect(page.get_by_role("cell").get_by_text("+$100.01")).to_be_visible()
        assert await seen.faults() == []


async def test_a_finding_is_resolved_with_what_was_found_out(browser: Browser, console: Console) -> None:
    """Too few words are refused beside the field, which keeps them; then it is told what came of it."""
    subject = f"user:{new_id()}:main USD"
    async with console.begin() as tx:
        await reconciling.report(tx, [new_id()], [Finding("R1", subject, None, "50", "51")], clock.now())
    async with working(browser, console, console.noor, size="phone") as (page, seen):
        await page.goto(f"{console.base}/console/ledger/findings")
        finding = page.get_by_role("listitem").filter(has_text=subject)
        await finding.get_by_text("Resolve it").first.click()
        await finding.get_by_label("What was found out").fill("a disk")
        await finding.get_by_role("button", name="Resolve it").click()
        await expect(finding.get_by_role("alert")).to_be_visible()
        assert await finding.get_by_label("What was found out").input_value() == "a disk"
        if folder := os.environ.get("PALIO_PICTURES"):
            await page.screenshot(path=Path(folder) / "finding-refused.phone.day.png", full_page=True)
        await finding.get_by_label("What was found out").fill("A disk had lied: the entry was restored")
        await finding.get_by_role("button", name="Resolve it").click()
        await expect(finding).to_contain_text("A disk had lied: the entry was restored")
        if folder:
            await page.screenshot(path=Path(folder) / "finding-resolved.phone.day.png", full_page=True)
        await page.get_by_role("link", name="Open", exact=True).click()
        await expect(finding).to_have_count(0)
        assert [one for one in await seen.faults() if "422 (Unprocessable" not in one] == []


async def test_without_script_lines_are_pasted_seen_and_posted(browser: Browser, console: Console) -> None:
    first, second = await console.player(), await console.player()
    async with working(browser, console, console.noor, script=False) as (page, _):
        await page.goto(f"{console.base}/console/ledger/adjust")
        await page.get_by_label("More lines").fill(f"{first}, COIN, 7\n{second};coin;11")
        await page.get_by_label("Why").fill(WHY)
        await page.get_by_role("button", name="See the effect").click()
        await page.get_by_label("More lines").fill(f"{first}, COIN, 70\n{second};coin;11")
        await page.get_by_role("button", name="Post it").click()
        await expect(page.get_by_role("alert")).to_contain_text("look at it")
        await page.get_by_role("button", name="Post it").click()
        await expect(page.get_by_role("link", name="posted", exact=True)).to_have_count(2)
    async with console.begin() as tx:
        found = await ledger.balances_many(tx, owner_ids=[first, second], asset="COIN")
    assert found == {first: 70, second: 11}
