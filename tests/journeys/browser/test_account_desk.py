"""Staff find somebody, read his address, suspend him and let him in again; roles, policy and sign-ins beside it."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from palio.infra import embedded
from palio.kernel.ids import UserId
from tests.admin.house import Console, manned
from tests.admin.test_users import somebody
from tests.journeys.browser.conftest import Seen, looking

pytestmark = pytest.mark.browser
WHY = "several accounts of one person"


@pytest.fixture(scope="module")
async def console(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Console]:
    async with manned(cluster, f"palio_accounts_{worker_id}", tmp_path_factory.mktemp("data")) as console:
        yield console


async def test_somebody_is_found_read_suspended_and_let_in_again(browser: Browser, console: Console) -> None:
    user = await somebody(console, email="olga@example.com", ip="203.0.113.9")
    async with looking(browser, console.base, size="desktop", theme="day") as (page, seen):
        await page.set_extra_http_headers(console.staff(console.noor))
        await page.goto(f"{console.base}/console/people")
        await page.get_by_label("User name, id, e-mail, telephone, network address or Telegram id").fill(
            "olga@example.com"
        )
        await page.get_by_role("button", name="Find", exact=True).click()
        await page.locator("#found li a").click()
        await page.get_by_role("link", name="Open the account").click()
        await page.get_by_role("link", name="Read it").first.click()
        await page.get_by_label("Why").fill("she cannot get in")
        await page.get_by_role("button", name="Read a sealed value").click()
        await expect(page.get_by_text("olga@example.com")).to_be_visible()

        await page.get_by_role("link", name="Write a note").click()
        await page.get_by_label("Note", exact=True).fill("answers politely")
        await page.get_by_role("button", name="Write a note").click()
        await expect(page.get_by_text("answers politely")).to_be_visible()

        await page.get_by_role("link", name="Suspend", exact=True).click()
        await page.get_by_label("Why").fill(WHY)
        await page.get_by_role("button", name="Suspend the account").click()
        await expect(page.get_by_text(WHY)).to_be_visible()
        wrong = await looked_at(page, seen, console, user, "desktop.day")
        await page.goto(f"{console.base}/console/identity/users/{user}")
        await page.get_by_role("link", name="Let in again").click()
        await page.get_by_label("Why").fill("he was right")
        await page.get_by_role("button", name="Let the account in again").click()
        await expect(page.get_by_role("link", name="Suspend", exact=True)).to_be_visible()

        await page.goto(f"{console.base}/console/identity/email-rules")
        await page.get_by_label("One a line, at most 50").fill("pia@example.com\nnobody")
        await expect(page.locator("#samples li")).to_have_count(2)  # by itself, while one types
    for size, theme in (("desktop", "night"), ("phone", "day"), ("phone", "night")):
        async with looking(browser, console.base, size=size, theme=theme) as (page, seen):
            await page.set_extra_http_headers(console.staff(console.noor))
            wrong |= await looked_at(page, seen, console, user, f"{size}.{theme}")
    assert wrong == {}


async def looked_at(page: Page, seen: Seen, console: Console, user: UserId, way: str) -> dict[str, list[str]]:
    """What is wrong with the pages, as axe and the browser see it."""
    wrong = {}
    account = f"/console/identity/users/{user}"
    paths = {
        "account": account,
        "account-suspend": f"{account}/suspend",
        "account-correct": f"{account}/correct",
        "roles": "/console/identity/roles",
        "documents": "/console/identity/documents",
        "role-new": "/console/identity/roles/new",
        "policy": "/console/identity/email-rules?try=pia@example.com",
        "logins": "/console/identity/logins",
        "invitations": "/console/identity/invitations",
        "people": "/console/people",
        "audit": "/console/audit",
    }
    for name, path in paths.items():
        await page.goto(console.base + path, wait_until="load")
        await expect(page.locator("h1")).to_be_visible()
        if folder := os.environ.get("PALIO_PICTURES"):
            await page.screenshot(path=Path(folder) / f"{name}.{way}.png", full_page=True)
        if found := [*await seen.barriers(), *await seen.faults()]:
            wrong[f"{name}.{way}"] = found
        seen.complaints.clear()
    return wrong
