"""Pages of staff over links in a browser: for every eye and thumb, by keys, without script, and what they decide."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from palio import affiliates, identity
from palio.affiliates.types import LinkRequest
from palio.infra import embedded
from palio.kernel import clock
from palio.kernel.ids import new_id
from tests.admin.house import manned
from tests.affiliates.link_desk import READ, REVIEW, UIDS, LinkDesk, furnished
from tests.journeys.browser.conftest import Seen, looking

pytestmark = pytest.mark.browser

SCREENS = [("desktop", "day"), ("phone", "night"), ("small", "day"), ("desktop", "night"), ("phone", "day")]
PERMISSIONS = (
    f"{REVIEW} admin.card.read admin.home.read identity.user.read admin.approval.read admin.approval.decide "
    "races.race.read identity.role.grant"
)


@dataclass
class Shown:
    """The console with requests in each state, and links that hold and that have ended."""

    desk: LinkDesk
    contested: LinkRequest
    decided: LinkRequest
    link: str
    move: str

    @property
    def base(self) -> str:
        return self.desk.console.base


@pytest.fixture(scope="module")
async def shown(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shown]:
    async with manned(cluster, f"palio_link_shots_{worker_id}", tmp_path_factory.mktemp("data")) as console:
        desk = await furnished(console, "harbour-club")
        heron, gull, tern = await desk.somebody("heron"), await desk.somebody("gull"), await desk.somebody("tern")
        contested = await desk.ask(heron, UIDS[0], note="My account since 2023, the picture is of today.")
        await desk.prove(contested, "NightHeron")
        rival = await desk.ask(gull, UIDS[0], note="It is mine.", proof="name_code")
        await desk.prove(rival, "NightHeron_2")
        link = await desk.link(tern, "dora")
        old = await desk.ask(await desk.somebody("plover"), "cleo", proof="email")
        await decide(desk, old, "reject", "The address is another one.")
        async with console.begin() as tx:
            joins = "joins the desk of support, as agreed with everybody"
            await identity.grant_role(tx, user_id=console.sana, role="support", reason=joins, now=clock.now())
        async with console.begin(console.sana) as tx:
            moved = await affiliates.propose_transfer(
                tx,
                programme_id=desk.programme.id,
                uid="dora",
                to_user=gull,
                actor=tx.actor,
                reason="the account was sold, ticket 4711",
                now=clock.now(),
            )
        yield Shown(desk, contested, old, str(link.id), str(moved.id))


async def decide(desk: LinkDesk, one: LinkRequest, decision: str, note: str = "") -> None:
    """A decision of Sana's."""
    async with desk.console.talk(desk.console.staff(desk.console.sana)) as sana:
        address = f"/api/v1/console/affiliates/link-requests/{one.id}/{decision}"
        assert (await sana.post(address, json={"note": note})).status_code == 200


@asynccontextmanager
async def working(
    browser: Browser,
    shown: Shown,
    *,
    size: str = "desktop",
    theme: str = "day",
    script: bool = True,
    permissions: str = PERMISSIONS,
    step_up: bool = True,
) -> AsyncIterator[tuple[Page, Seen]]:
    """A page of Noor's."""
    console = shown.desk.console
    async with looking(browser, shown.base, size=size, theme=theme, script=script) as (page, seen):
        await page.set_extra_http_headers(console.staff(console.noor, permissions=permissions, step_up=step_up))
        yield page, seen


def pages(shown: Shown) -> dict[str, str]:
    requests, links = "/console/affiliates/link-requests", "/console/affiliates/links"
    return {
        "today": "/console",
        "requests": requests,
        "contested": f"{requests}?state=contested",
        "mine": f"{requests}?state=mine",
        "closed": f"{requests}?state=closed",
        "nothing": f"{requests}?q=nobody",
        "request": f"{requests}/{shown.contested.id}",
        "decided": f"{requests}/{shown.decided.id}?done={shown.decided.id}",
        "links": links,
        "link": f"{links}/{shown.link}",
        "move": f"{links}/move?programme=harbour-club&uid=dora",
        "import": f"{links}/import",
        "approval": f"/console/approvals/{shown.move}",
        "person": f"/console/people/{shown.desk.console.sana}",
    }


@pytest.mark.parametrize(("size", "theme"), SCREENS)
async def test_nothing_is_wrong_with_a_page(browser: Browser, shown: Shown, size: str, theme: str) -> None:
    async with working(browser, shown, size=size, theme=theme) as (page, seen):
        for name, path in pages(shown).items():
            answer = await page.goto(shown.base + path, wait_until="load")
            assert answer and answer.status == 200, f"{name}: {answer and answer.status}"
            await expect(page.locator("h1")).to_be_visible()
            if folder := os.environ.get("PALIO_PICTURES"):
                await page.screenshot(path=Path(folder) / f"{name}.{size}.{theme}.png", full_page=True)
            assert (name, [*await seen.barriers(), *await seen.faults()]) == (name, [])


async def test_a_contested_request_is_decided_without_script(browser: Browser, shown: Shown) -> None:
    """Refused without a note, asked for more, taken, approved: each as the page says it."""
    desk = shown.desk
    ben, other = await desk.ask(await desk.somebody(), "ben"), await desk.ask(await desk.somebody(), "ben")
    async with working(browser, shown, script=False) as (page, _):
        await page.goto(f"{shown.base}/console/affiliates/link-requests?q={ben.ref}")
        await page.locator("tbody th a").click()
        await expect(page.get_by_text("An approval ends that request.")).to_be_visible()
        await page.get_by_role("button", name="Reject").click()
        await expect(page.get_by_role("alert")).to_contain_text("Say why, in 3 to 500 characters")
        await page.get_by_label("What the user reads").fill("Which name is on the picture?")
        await page.get_by_role("button", name="Ask for more").click()
        await expect(page.locator("#proof")).to_contain_text("Which name is on the picture?")
        await page.get_by_role("button", name="Take it").click()
        await expect(page.get_by_text("Being looked at").first).to_be_visible()
        await page.get_by_label("Note among staff").fill("compared with the provider")
        await page.get_by_role("button", name="Approve and link").click()
        await expect(page.get_by_role("status")).to_contain_text("is approved")
        await page.get_by_role("link", name=ben.ref).click()
        await expect(page.locator("#decision")).to_contain_text("noor")
        await expect(page.locator("#history")).to_contain_text("asked for more")
    assert (await desk.seen(other))[0].request.state == "superseded"
    assert ben.user_id in await desk.holders()


async def test_keys_lead_from_the_queue_to_the_decision(browser: Browser, shown: Shown) -> None:
    desk = shown.desk
    one = await desk.ask(await desk.somebody(), "cleo")
    async with working(browser, shown) as (page, _):
        await page.goto(f"{shown.base}/console/affiliates/link-requests?q={one.ref}")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(page.locator("#decision")).to_be_visible()
        await page.keyboard.press("r")
        await expect(page.get_by_role("alert")).to_be_visible()
        await page.get_by_label("What the user reads").fill("The picture is of somebody else.")
        await page.get_by_label("What the user reads").press("Tab")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("button", name="Reject")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("is rejected")
    assert (await desk.seen(one))[0].request.player_note == "The picture is of somebody else."


async def test_a_link_is_moved_listed_and_ended_without_script(browser: Browser, shown: Shown) -> None:
    desk = shown.desk
    name = f"u{new_id().hex[-12:]}"
    await desk.somebody(name)
    async with working(browser, shown, script=False, step_up=False) as (page, _):
        await page.goto(f"{shown.base}/console/affiliates/links/move?programme=harbour-club&uid=dora")
        await expect(page.get_by_role("link", name="Enter a code")).to_be_visible()
    async with working(browser, shown, script=False) as (page, _):
        await page.goto(f"{shown.base}/console/affiliates/links/{shown.link}")
        await page.get_by_role("link", name="Move the player").click()
        await page.get_by_label("To whom").fill(name)
        await page.get_by_label("Why").fill("the account was sold")
        await page.get_by_role("button", name="Propose the move").click()
        await expect(page.get_by_text("It waits for a second person")).to_be_visible()
        await page.get_by_role("link", name="Import a list").click()
        await page.get_by_label("Or its lines").fill(f"uid,user\ncleo,{name}\ndora,{name}\n")
        await page.get_by_label("Why").fill("from the old site")
        await page.get_by_role("button", name="Try it").click()
        await expect(page.locator("#lines")).to_contain_text("would be linked")
        await expect(page.locator("#lines")).to_contain_text("affiliates.player_taken")
        await expect(page.get_by_text("Nothing was written")).to_be_visible()
    async with working(browser, shown, script=False, permissions=READ) as (page, _):
        await page.goto(f"{shown.base}/console/affiliates/links/{shown.link}")
        await expect(page.get_by_role("button", name="End the link")).to_have_count(0)


async def test_the_head_says_who_is_signed_in_and_lets_him_leave(browser: Browser, shown: Shown) -> None:
    async with working(browser, shown) as (page, _):
        await page.goto(f"{shown.base}/console/affiliates/links")
        await expect(page.get_by_role("banner")).to_contain_text("Noor Haddad")
        await expect(
            page.locator('form[action="/console/sign-out"]').get_by_role("button", name="Sign out")
        ).to_be_visible()
    async with working(browser, shown, size="phone") as (page, _):
        await page.goto(f"{shown.base}/console/affiliates/links")
        await page.get_by_role("button", name="Menu").click()
        await expect(page.locator("#rail")).to_contain_text("Noor Haddad")
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
