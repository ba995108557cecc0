"""A race from the wizard to the archive by two people of the staff, who have really signed in, with what they leave.

Every act goes through the pages of the console; time passes as in a demo, with everything that is due in it.
"""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import Browser, Page, expect

from palio import identity
from palio.infra import audit, db, embedded
from palio.kernel import clock
from palio.kernel.ids import UserId
from tests.factories.identity import PASSWORD
from tests.journeys.browser.conftest import looking
from tests.journeys.browser.house import (
    Place,
    become_owner,
    become_staff,
    enter_console,
    opened,
    press,
    prove,
    type_into,
)

pytestmark = pytest.mark.browser

WHY = "compared with the provider"


@pytest.fixture(scope="module")
async def place(
    browser: Browser, cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    async with opened(cluster, f"palio_settles_{worker_id}", tmp_path_factory.mktemp("data")) as place:
        await become_owner(browser, place, "olivia")
        await become_staff(browser, place, "sana", "admin")
        yield place


def in_minutes(minutes: int) -> str:
    """A time as a field of the wizard holds it."""
    return (clock.now() + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M")


async def reload(page: Page, state: str) -> None:
    await page.reload()
    await expect(page.locator("#staff-race")).to_contain_text(state)


async def acts(place: Place, number: int) -> dict[str, audit.Row]:
    """What was written down of the acts of staff on a race, by their names."""
    now = clock.now()
    async with place.product.wiring.database.begin_system("a test") as tx:
        race = await db.value(tx, "select competition_id::text from races.races where number = %s", number)
        wanted = audit.Wanted(now - timedelta(days=1), now + timedelta(days=1), entity_id=race)
        return {one.action: one for one in await audit.search(tx, wanted=wanted, part=audit.Part(50))}


async def user_id(place: Place, name: str) -> UserId:
    async with place.product.wiring.database.begin_system("a test") as tx:
        return (await identity.get(tx, name_or_id=name)).id


async def uid_of(place: Place, player_id: str) -> str:
    async with place.product.wiring.database.begin_system("a test") as tx:
        return str(await db.value(tx, "select uid from affiliates.players where id = %s", player_id))


async def test_a_race_is_made_announced_corrected_and_paid_by_two_people(browser: Browser, place: Place) -> None:
    source = await place.feed(ann="100", bob="100", cid="100")
    async with looking(browser, place.base) as (owner, seen), looking(browser, place.base) as (second, _seen):
        await enter_console(owner, place, "olivia", to="/console/races/new")
        await enter_console(second, place, "sana")
        await owner.get_by_label("Title").fill("Spring race")
        await owner.get_by_label("Programme").select_option(source.code)
        await owner.get_by_label("Starts, in UTC").fill(in_minutes(2))
        await owner.get_by_label("Ends, in UTC").fill(in_minutes(14))
        await owner.get_by_label("Pool", exact=True).fill("2500.00")
        await owner.get_by_label("Prizes by place").fill("50 30 20")
        await owner.get_by_label("Grace").fill("0")
        await expect(owner.locator("#meter")).to_contain_text("$1,250.00")
        await owner.get_by_role("button", name="Make a draft").click()
        await expect(owner.locator("h1")).to_have_text("Spring race")
        number = int(owner.url.rpartition("/")[2])
        await owner.get_by_role("link", name="Announce").click()
        await owner.get_by_role("button", name="Announce").click()
        await expect(owner.get_by_text("Announced")).to_be_visible()
        await place.live(minutes=3)
        await place.show(source, ann="1130", bob="120", cid="110")
        await reload(owner, "Live")
        await expect(owner.locator("#board")).to_contain_text("name-ann")

        await owner.get_by_role("link", name="Adjust a total").click()
        await owner.get_by_label("Player, by uid or id").last.fill("cid")
        await owner.get_by_label("Amount", exact=True).fill("15.25")
        await owner.get_by_label("Why").fill("booked twice, ticket 4711")
        await owner.get_by_label("Public note").fill("booked twice by the provider")
        await owner.get_by_role("button", name="Adjust a total").click()
        await expect(owner.locator("#corrections")).to_contain_text("adjusted by staff by $15.25")
        await place.live(minutes=12)
        await place.show(source, ann="1130", bob="120", cid="110")
        await place.live(minutes=1)
        await reload(owner, "In review")

        before = place.books()
        await owner.get_by_role("link", name="Release the payment").click()
        await owner.get_by_label("Why").fill(WHY)
        await owner.get_by_role("button", name="Release the payment").click()
        await expect(owner.get_by_text("It waits for a second person")).to_be_visible()
        after = place.books()
        assert {name for name in after if after[name] != before[name]} == {
            *("infra.approvals", "infra.audit_rows", "infra.idempotency_keys")
        }
        await owner.get_by_role("link", name="Open the approval").click()
        await expect(owner.get_by_text("You have proposed this: somebody else decides.")).to_be_visible()

        await second.goto(f"{place.base}/console/approvals")
        await second.get_by_role("link", name=re.compile("Pay race")).click()
        await second.get_by_role("link", name="Enter a code").click()
        await prove(second, place, "sana")
        await second.get_by_role("button", name="Approve").click()
        await expect(second.get_by_text("It is decided.")).to_be_visible()
        await place.deliver()
        await place.live(minutes=1)
        await owner.goto(f"{place.base}/console/races/{number}")
        await reload(owner, "Completed")
        await owner.goto(f"{place.base}/races/history")
        await expect(owner.get_by_role("row", name="Spring race")).to_contain_text("Won by")
        assert [*await seen.barriers(), *await seen.faults()] == []

        written = await acts(place, number)
        owner_id, second_id = await user_id(place, "olivia"), await user_id(place, "sana")
        made = {name: (row.actor_id, row.changes, row.reason) for name, row in written.items()}
        _, adjusted = made["race.adjust"][1].pop("player")
        assert await uid_of(place, adjusted) == "cid"
        assert made["race.publish"] == (owner_id, {"status": ["draft", "upcoming"], "pool": [0, "250000 USD"]}, "")
        assert made["race.adjust"] == (
            owner_id,
            {"adjusted_micro": [0, 15_250_000], "note": [None, "booked twice by the provider"]},
            "booked twice, ticket 4711",
        )
        assert made["competition.release"] == (
            owner_id,
            {"phase": ["review", "paying"], "approved_by": [None, str(second_id)]},
            WHY,
        )
        await second.goto(f"{place.base}/console/audit?action=race")
        await expect(second.locator("#acts")).to_contain_text("booked twice, ticket 4711")


async def test_the_keyboard_alone_leads_from_the_console_to_a_settled_race(browser: Browser, place: Place) -> None:
    """A race under review is found by its key, opened and released; no mouse, no address typed."""
    number = await reviewed(place)
    async with looking(browser, place.base) as (page, seen):
        await page.goto(f"{place.base}/console/sign-in")
        await expect(page.get_by_label("User name or e-mail")).to_be_focused()
        await page.keyboard.type("olivia")
        await page.keyboard.press("Tab")
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Code")).to_be_focused()
        await page.keyboard.type(await place.phones["olivia"].code(place))
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{place.base}/console")
        await press(page, "Compete")
        await page.wait_for_url(f"{place.base}/console/races")
        await press(page, "Small race")
        await page.wait_for_url(f"{place.base}/console/races/{number}")
        await press(page, "Release the payment")
        await page.wait_for_url(f"{place.base}/console/races/{number}/release")
        await type_into(page, "Why", WHY)
        await press(page, "Release the payment")
        await expect(page.get_by_text("Being settled")).to_be_visible()
        await place.live(minutes=1)
        await expect(page.get_by_text("Completed")).to_be_visible()
        assert await seen.faults() == []


async def reviewed(place: Place) -> int:
    """A race of 50 dollars whose time is over and which waits to be released."""
    source = await place.feed(ann="100", bob="100")
    return await place.race_over(source, {"ann": "150", "bob": "120"}, title="Small race", review_h=24, pool=5_000)
