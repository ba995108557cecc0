"""Somebody tries a call out in the viewer of the API, by a token of his own."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Locator, Page, Response, expect

from palio.infra import embedded
from tests.journeys.browser.conftest import looking
from tests.journeys.browser.house import Place, opened, sign_in

pytestmark = pytest.mark.browser
READY_MS_MAX = 60_000  # the description of a whole product is made when it is first asked for; the viewer then reads it
WRONG = "palio_00000000_" + "x" * 49


@pytest.fixture(scope="module")
async def place(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    async with opened(cluster, f"palio_viewer_{worker_id}", tmp_path_factory.mktemp("data")) as place:
        yield place


async def test_a_player_tries_a_call_out_by_a_token_of_his_own(browser: Browser, place: Place) -> None:
    await place.person("wanda")
    async with looking(browser, place.base) as (page, seen):
        secret = await token_of(page, place, "wanda")
        await page.goto(f"{place.base}/api/docs")
        await page.get_by_role("button", name="Authorize").click(timeout=READY_MS_MAX)
        await expect(page.locator(".modal-ux input")).to_have_count(1)  # no cookie can be typed
        await expect(page.get_by_text("A signed-in browser sends it by itself")).to_be_visible()
        await authorise(page, WRONG)
        await page.locator("#operations-tag-identity").click()
        call = page.locator("#operations-identity-identity_get_me")
        await call.get_by_role("button", name="Read one's own account").click()
        await call.get_by_role("button", name="Try it out").click(timeout=READY_MS_MAX)

        refused = await tried(page, call, by=WRONG)
        assert (refused.status, refused.headers["content-type"]) == (401, "application/problem+json")
        await expect(answer_of(call)).to_contain_text("unauthenticated")  # though he is signed in

        await page.get_by_role("button", name="Authorize").click()
        await page.get_by_role("button", name="Remove authorization").click()
        await authorise(page, secret)
        told = await tried(page, call, by=secret)
        assert told.status == 200
        await expect(answer_of(call)).to_contain_text('"username": "wanda"')
        assert [one for one in await seen.faults() if "401" not in one] == []


async def token_of(page: Page, place: Place, username: str) -> str:
    """Sign in and make a token that may read the account."""
    await sign_in(page, place.base, username, to="/account/tokens")
    await page.get_by_label("What it is for").fill("to look around")
    await page.get_by_role("checkbox", name="identity:read").check()
    await page.get_by_role("button", name="Make the token").click()
    return (await page.get_by_role("group", name="Token").locator("code").text_content() or "").strip()


async def authorise(page: Page, token: str) -> None:
    """Type a token into the open dialogue, and close it."""
    await page.get_by_label("auth-bearer-value").fill(token)
    await page.get_by_role("button", name="Apply credentials").click()
    await page.locator(".close-modal").click()


async def tried(page: Page, call: Locator, *, by: str) -> Response:
    """Send the call; the answer to what was sent with this token."""
    async with page.expect_response("**/api/v1/me") as heard:
        await call.get_by_role("button", name="Execute").click()
    response = await heard.value
    assert response.request.headers["authorization"] == f"Bearer {by}"
    return response


def answer_of(call: Locator) -> Locator:
    """What the viewer shows of the last answer."""
    return call.locator(".live-responses-table")
