"""From a stranger to a paid prize: letter, sign-in, link, the decision of staff, wallet and receipt. Nobody is played.

Everything goes through the pages of the product and its console; the owner comes in by the link that a command prints.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, Page, expect

from palio import races
from palio.infra import embedded
from tests.journeys.browser.conftest import looking
from tests.journeys.browser.house import Place, become_owner, enter_console, opened, press, type_into, until

pytestmark = pytest.mark.browser

SECRET = "a banner in the wind"


@dataclass
class Prizes:
    """A product with an owner and a race that is over: ann, bob and cid have won, and nobody is linked to them."""

    place: Place
    number: int


@pytest.fixture(scope="module")
async def prizes(
    browser: Browser, cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Prizes]:
    async with opened(cluster, f"palio_prize_{worker_id}", tmp_path_factory.mktemp("data")) as place:
        await become_owner(browser, place, "olivia")
        yield Prizes(place, await settled(place))


async def settled(place: Place) -> int:
    """A race that is over and paid to nobody: its winners are not linked yet."""
    source = await place.feed(ann="100", bob="100", cid="100")
    totals = {"ann": "130.50", "bob": "120", "cid": "110"}
    return await place.race_over(source, totals, prize_rule=races.by_place((5000, 3000, 2000)))


async def owed(place: Place, number: int) -> dict[str, tuple[int, str]]:
    """What each player has won in a race, in cents, and whether it was paid; by uid."""
    async with place.product.wiring.database.begin_system("a test") as tx:
        lines = await races.lines(tx, number=number)
    return {line.uid: (line.prize, line.reward_status or "") for line in lines}


async def approve(staff: Page, place: Place, who: str, note: str) -> None:
    """Staff find the request in the queue of their console, and approve it with a word to the user."""
    await staff.goto(f"{place.base}/console")
    await staff.get_by_role("link", name="Link requests").first.click()
    await staff.get_by_role("link", name=who, exact=True).click()
    await staff.get_by_label("What the user reads").fill(note)
    await staff.get_by_role("button", name="Approve and link").click()
    await expect(staff.get_by_role("status").first).to_be_visible()
    await place.deliver()


async def test_a_stranger_signs_up_links_a_player_and_finds_the_prize_that_waited(
    browser: Browser, prizes: Prizes
) -> None:
    place, number = prizes.place, prizes.number
    assert (await owed(place, number))["ann"] == (25_000, "unclaimed")
    async with (
        looking(browser, place.base, size="phone") as (player, seen),
        looking(browser, place.base) as (staff, _seen),
    ):
        await enter_console(staff, place, "olivia")

        await player.goto(f"{place.base}/sign-up")
        await player.get_by_label("User name").fill("mara")
        await player.get_by_label("E-mail").fill("mara@example.com")
        await player.get_by_label("Password").fill(SECRET)
        await player.get_by_role("button", name="Create the account").click()
        await expect(player.get_by_role("heading", name="We have sent you a letter")).to_be_visible()
        await place.deliver()
        await player.goto(f"{place.base}/verify-email/{place.link('verify-email', 'mara@example.com')}")
        await player.get_by_role("button", name="Confirm the address").click()
        await player.get_by_label("User name or e-mail").fill("mara")
        await player.get_by_label("Password", exact=True).fill(SECRET)
        await player.get_by_role("button", name="Sign in").click()
        await player.wait_for_url(f"{place.base}/")

        await player.goto(f"{place.base}/wallet")
        await expect(player.get_by_text("Nothing in your wallet yet")).to_be_visible()
        await player.goto(f"{place.base}/account/link")
        await player.get_by_label("Your name or uid there").fill("NAME-ANN")
        await player.get_by_label("A picture of my account page").check()
        await player.get_by_role("button", name="Ask to be linked").click()
        await expect(player.locator("#request")).to_be_visible()

        await approve(staff, place, "mara", "The picture shows it.")
        await player.reload()
        await expect(player.locator("#mine")).to_contain_text("name-ann")
        await player.get_by_text("Approved").first.click()
        await expect(player.get_by_text("The picture shows it.")).to_be_visible()

        await player.goto(f"{place.base}/wallet/USD")
        await expect(player.get_by_role("cell").get_by_text("+$250.00")).to_be_visible()
        await player.get_by_role("link", name="Prize for place 1").click()
        await player.get_by_role("link", name="How the amount came about").click()
        await expect(player).to_have_url(f"{place.base}/races/{number}/me/receipt")
        await expect(player.locator("#total")).to_contain_text("30.50")
        await expect(player.locator("#prize")).to_contain_text("$500.00")
        assert seen.complaints == []
    assert (await owed(place, number))["ann"] == (25_000, "paid")
    assert (await owed(place, number))["cid"] == (10_000, "unclaimed")


async def test_the_keyboard_alone_leads_from_the_sign_up_to_the_wallet(browser: Browser, prizes: Prizes) -> None:
    """Only the letter is opened by its address; everything else is reached with Tab and Enter."""
    place = prizes.place
    async with (
        looking(browser, place.base) as (player, seen),
        looking(browser, place.base) as (staff, _seen),
    ):
        await player.goto(f"{place.base}/sign-up")
        await expect(player.get_by_label("User name")).to_be_focused()
        await player.keyboard.type("nils")
        await type_into(player, "E-mail", "nils@example.com")
        await type_into(player, "Password", SECRET)
        await player.keyboard.press("Enter")
        await expect(player.get_by_role("heading", name="We have sent you a letter")).to_be_visible()
        await place.deliver()
        await player.goto(f"{place.base}/verify-email/{place.link('verify-email', 'nils@example.com')}")
        await press(player, "Confirm the address")
        await player.wait_for_url(f"{place.base}/sign-in?told=verified")
        await expect(player.get_by_label("User name or e-mail")).to_be_focused()
        await player.keyboard.type("nils")
        await player.keyboard.press("Tab")
        await player.keyboard.type(SECRET)
        await player.keyboard.press("Enter")
        await player.wait_for_url(f"{place.base}/")

        await press(player, "Link your account")
        await player.wait_for_url(f"{place.base}/account/link**")
        await type_into(player, "Your name or uid there", "bob")
        await until(player, "document.activeElement.name === 'proof'", "Tab")
        await player.keyboard.press("ArrowDown")
        await press(player, "Ask to be linked")
        await expect(player.locator("#request")).to_contain_text("A picture of my account page")
        await enter_console(staff, place, "olivia")
        await approve(staff, place, "nils", "The picture shows it.")
        await player.reload()
        await press(player, "Wallet")
        await player.wait_for_url(f"{place.base}/wallet")
        await press(player, "Cash")
        await player.wait_for_url(f"{place.base}/wallet/USD")
        await press(player, "Prize for place 2")
        await expect(player.get_by_role("link", name="How the amount came about")).to_be_visible()
        assert await seen.faults() == []
