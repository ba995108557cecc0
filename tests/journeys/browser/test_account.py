"""From a stranger to somebody with an account: sign-up, letter, proof, sign-in, and what one does with an account."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect

from palio import identity
from palio.identity.service.sessions import Recognised
from palio.infra import db, embedded, totp
from palio.kernel import clock
from tests.factories.identity import PASSWORD
from tests.journeys.browser.conftest import Seen, looking
from tests.journeys.browser.house import FOCUS_SECONDS_MAX, Place, focused, opened, sign_in

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
async def place(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    async with opened(cluster, f"palio_account_{worker_id}", tmp_path_factory.mktemp("data")) as place:
        yield place


async def clean(seen: Seen) -> list[str]:
    return [*await seen.barriers(), *await seen.faults()]


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
async def test_a_stranger_signs_up_proves_the_address_signs_in_and_leaves(
    browser: Browser, place: Place, script: bool
) -> None:
    name = "mara_l" if script else "nils.b"
    async with looking(browser, place.base, size="phone", script=script) as (page, seen):
        await page.goto(f"{place.base}/")
        await page.get_by_role("navigation", name="Places").get_by_role("link", name="Sign in").click()
        await page.get_by_role("link", name="Create an account").click()
        await page.get_by_label("User name").fill(name)
        await page.get_by_label("E-mail").fill(f"{name}@example.com")
        await page.get_by_label("Password").fill("a banner in the wind")
        await page.get_by_role("button", name="Create the account").click()

        await expect(page.get_by_role("heading", name="We have sent you a letter")).to_be_visible()
        await place.deliver()
        await page.get_by_role("link", name="Read them here").click()
        await page.get_by_role("link", name="Confirm your e-mail address").first.click()
        await page.get_by_role("link", name="verify-email").click()
        await page.get_by_role("button", name="Confirm the address").click()

        await expect(page.get_by_role("status")).to_contain_text("The address is confirmed.")
        await page.get_by_label("User name or e-mail").fill(name)
        await page.get_by_label("Password", exact=True).fill("a banner in the wind")
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("navigation", name="Places").get_by_role("link", name="Account").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(name)
        await expect(page.locator("#facts")).to_contain_text(f"{name}@example.com")
        assert seen.complaints == []

        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("status")).to_contain_text("You are signed out.")
        await page.goto(f"{place.base}/account/security")
        await expect(page).to_have_url(re.compile(r"/sign-in\?next=%2Faccount%2Fsecurity$"))


async def test_a_session_that_is_ended_elsewhere_is_out_with_its_next_click(browser: Browser, place: Place) -> None:
    await place.person("olga")
    async with looking(browser, place.base) as (here, _), looking(browser, place.base) as (there, _seen):
        await sign_in(here, place.base, "olga", to="/account/security")
        await sign_in(there, place.base, "olga")
        await expect(there.get_by_role("heading", level=1)).to_have_text("olga")

        await here.reload()
        await here.get_by_role("button", name=re.compile("^End the session on")).click()
        await expect(here.get_by_role("status")).to_contain_text("Ended:")

        await there.get_by_role("link", name="Privacy").click()
        await expect(there.get_by_role("heading", level=1)).to_have_text("Sign in to Palio")
        await here.get_by_role("link", name="Privacy").click()
        await expect(here.get_by_role("heading", level=1)).to_have_text("Privacy")


async def test_a_second_factor_is_set_up_asked_for_and_replaced_by_a_recovery_code(
    browser: Browser, place: Place
) -> None:
    await place.person("pavel")
    async with looking(browser, place.base, size="small", theme="night") as (page, seen):
        await sign_in(page, place.base, "pavel", to="/account/authenticator")
        await page.get_by_role("button", name="Begin").click()
        picture = page.get_by_role("img", name="The key of the authenticator as a picture")
        assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
        assert await clean(seen) == []
        secret = (await page.get_by_role("group", name="Key").locator("code").text_content() or "").strip()
        await page.get_by_label("First code").fill("000000")
        await page.get_by_role("button", name="Switch it on").click()
        await expect(page.get_by_role("alert")).to_contain_text("That is not the code of this moment")
        await page.get_by_label("First code").fill(totp.code_at(secret, totp.step_of(clock.now())))
        await page.get_by_role("button", name="Switch it on").click()
        codes = await page.locator("#codes li code").all_text_contents()
        assert len({*codes}) == 10
        assert [one for one in await clean(seen) if "401" not in one] == []

        await page.goto(f"{place.base}/account/security")
        await expect(page.locator("#factor")).to_contain_text("10 recovery codes are left.")
        await page.get_by_role("button", name="Sign out").click()
        await sign_in(page, place.base, "pavel", to="/account/security")
        await expect(page.get_by_role("heading", level=1)).to_have_text("And the second factor")
        assert [one for one in await clean(seen) if "401" not in one] == []
        await page.get_by_label("Code").fill(codes[3])
        await page.get_by_role("button", name="Go on").click()
        await expect(page.locator("#factor")).to_contain_text("9 recovery codes are left.")
        await page.get_by_role("button", name="Sign out").click()
        await sign_in(page, place.base, "pavel")
        await page.get_by_label("Code").fill(codes[3])
        await page.get_by_role("button", name="Go on").click()
        await expect(page.get_by_role("alert")).to_contain_text("it was used already")


async def test_a_passkey_is_made_named_and_opens_the_account_the_console_and_what_is_dangerous(
    browser: Browser, place: Place
) -> None:
    """By Chromium's virtual authenticator; passkeys are for a name, so the machine is called by its own."""
    petra = await place.person("petra")
    async with place.product.wiring.database.begin_system("a test") as tx:
        await identity.grant_role(tx, user_id=petra.id, role="support", reason="a test", now=clock.now())
    base = place.base.replace("127.0.0.1", "localhost")
    async with looking(browser, base, size="phone") as (page, seen):
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
        options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
        await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        await sign_in(page, base, "petra", to="/account/security")
        await page.get_by_role("link", name="Make a passkey").click()
        await expect(page.locator("#passkeys")).to_contain_text("No passkey yet")
        assert await clean(seen) == []
        await page.get_by_label("What it is called").fill("my telephone")
        await page.get_by_role("button", name="Make it").click()
        await expect(page.get_by_role("status")).to_contain_text("The passkey is kept.")
        await expect(page.locator("#passkeys")).to_contain_text("my telephone")
        await expect(page.locator("main")).to_contain_text("You have no recovery codes")
        assert await clean(seen) == []

        await page.get_by_role("button", name="Sign out").click()
        await page.goto(f"{base}/sign-in?next=/account/passkeys")
        await page.get_by_role("button", name="Use a passkey").click()
        await expect(page.locator("#passkeys")).to_contain_text("last used")
        await forget_proof(place, "petra")
        await page.reload()
        await page.get_by_role("button", name="Prove it by a passkey").click()
        await expect(page.get_by_role("button", name="Remove my telephone")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await sign_in(page, base, "petra", to="/account/passkeys")
        await page.get_by_role("button", name="Go on by a passkey").click()
        await expect(page.locator("#passkeys")).to_contain_text("my telephone")

        await page.goto(f"{base}/console/sign-in")
        await page.get_by_role("button", name="Use a passkey").click()
        await expect(page).to_have_url(re.compile(r"/console$"))
        await page.goto(f"{base}/account/passkeys")
        await page.get_by_role("button", name="Remove my telephone").click()
        await expect(page.get_by_role("status")).to_contain_text("The passkey is gone.")
        assert seen.complaints == []


async def test_a_token_takes_a_fresh_proof_is_shown_once_and_can_be_revoked(browser: Browser, place: Place) -> None:
    await place.person("quinn")
    async with looking(browser, place.base) as (page, seen):
        await sign_in(page, place.base, "quinn", to="/account/tokens")
        await forget_proof(place, "quinn")
        await page.reload()
        await page.get_by_label("Password").fill("not the password")
        await page.get_by_role("button", name="Prove it").click()
        await expect(page.locator("#secret-help")).to_contain_text("not the password of this account")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Prove it").click()
        await page.get_by_label("What it is for").fill("my bot")
        await page.get_by_role("button", name="Make the token").click()
        await expect(page.locator("#scopes-help")).to_contain_text("Choose at least one.")
        await expect(page.get_by_label("What it is for")).to_have_value("my bot")
        await expect(page.get_by_role("checkbox", name="admin:read")).to_have_count(0)  # good for nothing to a player
        await page.get_by_role("checkbox", name="identity:read").check()
        await page.get_by_role("button", name="Make the token").click()

        secret = (await page.get_by_role("group", name="Token").locator("code").text_content() or "").strip()
        assert re.fullmatch(r"palio_\w{8}_[\w-]{49}", secret)
        answer = await page.request.get(f"{place.base}/api/v1/me", headers={"x-api-token": secret})
        assert (await answer.json())["username"] == "quinn"
        await page.get_by_role("link", name="I have kept it").click()
        await expect(page.locator("#tokens")).to_contain_text("identity:read")
        assert secret not in await page.content()
        await page.get_by_role("button", name="Revoke my bot").click()
        await expect(page.locator("#tokens")).to_contain_text("No token yet")
        answer = await page.request.get(f"{place.base}/api/v1/me", headers={"x-api-token": secret})
        assert answer.status == 401
        assert [one for one in seen.complaints if "401" not in one and "422" not in one] == []


async def forget_proof(place: Place, username: str) -> None:
    """As if the last proof were old."""
    async with place.product.wiring.database.begin_system("a test") as tx:
        user = await identity.get(tx, name_or_id=username)
        await db.run(
            tx,
            "update identity.sessions set created_at = created_at - interval '1 h', step_up_at = null, mfa_at = null"
            " where user_id = %s",
            user.id,
        )
    place.product.wiring.database.remembered(Recognised).forget()


async def test_the_name_on_boards_is_chosen_and_previewed(browser: Browser, place: Place) -> None:
    user = await place.person("ramona")
    async with looking(browser, place.base) as (page, _):
        await sign_in(page, place.base, "ramona")
        await page.get_by_label("Shown name").fill("Ramona of the Hill")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Ramona of the Hill")
        await page.get_by_role("link", name="Privacy").click()
        await expect(page.locator("#boards")).to_contain_text("Boards show: Ram***")
        await page.get_by_label("Not at all").check()
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("status")).to_contain_text("Saved.")
        async with place.product.wiring.database.begin_system("a test") as tx:
            shown = await identity.names(tx, ids=[user.id])
        assert shown[user.id] == f"Player {user.id.int % 10_000:04}"


async def test_a_forgotten_password_is_replaced_by_the_letter_and_ends_all_sessions(
    browser: Browser, place: Place
) -> None:
    await place.person("selma")
    async with looking(browser, place.base) as (page, _), looking(browser, place.base) as (other, _seen):
        await sign_in(other, place.base, "selma")
        await page.goto(f"{place.base}/forgot-password")
        await page.get_by_label("E-mail").fill("selma@example.com")
        await page.get_by_role("button", name="Send the letter").click()
        await place.deliver()
        await page.get_by_role("link", name="Read them here").click()
        await page.locator("#letters a").first.click()
        await page.get_by_role("link", name="reset-password").click()
        link = page.url
        await page.get_by_label("New password").fill("password")
        await page.get_by_role("button", name="Set the password").click()
        await expect(page.locator("#password-help")).to_contain_text("a sentence is harder to guess")
        await page.get_by_label("New password").fill("another banner entirely")
        await page.get_by_role("button", name="Set the password").click()
        await expect(page.get_by_role("status")).to_contain_text("The new password holds.")

        await other.get_by_role("link", name="Security").click()
        await expect(other.get_by_role("heading", level=1)).to_have_text("Sign in to Palio")
        await sign_in(page, place.base, "selma")
        await expect(page.get_by_role("alert")).to_contain_text("There is no account of this name or address")
        await expect(page.get_by_label("User name or e-mail")).to_have_value("selma")
        await sign_in(page, place.base, "selma", "another banner entirely")
        await expect(page.get_by_role("heading", level=1)).to_have_text("selma")
        await page.goto(link)
        await page.get_by_label("New password").fill("a third one of them")
        await page.get_by_role("button", name="Set the password").click()
        await expect(page.get_by_role("alert")).to_contain_text("This link was used")


STRANGERS: tuple[str, ...] = (
    "/sign-up",
    "/sign-up/sent",
    "/verify-email/x",
    "/sign-in",
    "/console/sign-in",
    "/forgot-password",
)
STRANGERS += ("/forgot-password/sent", "/reset-password/x", "/first-owner/x", "/invitation/x", "/mail", "/mail/1")
OWN = (
    *("/account", "/account/security", "/account/privacy", "/account/tokens", "/account/authenticator"),
    *("/account/friends", "/account/friends?q=tilda"),
)


@pytest.mark.parametrize(
    ("size", "theme", "direction"),
    [("desktop", "day", "ltr"), ("phone", "night", "rtl"), ("small", "day", "ltr"), ("small", "night", "rtl")],
)
async def test_nothing_is_wrong_with_the_pages_of_an_account(
    browser: Browser, place: Place, size: str, theme: str, direction: str
) -> None:
    name = f"tilda-{size}-{direction}"
    await place.person(name)
    async with looking(browser, place.base, size=size, theme=theme) as (page, seen):
        for path in (*STRANGERS, None, *OWN, "/account/prove"):
            if path is None:
                await sign_in(page, place.base, name)
                await expect(page.get_by_role("heading", level=1)).to_have_text(name)
                continue
            await page.goto(place.base + path)
            await page.evaluate(f"document.documentElement.dir = '{direction}'")
            assert (path, await clean(seen)) == (path, [])


async def test_back_and_reload_send_no_refused_form_again(browser: Browser, place: Place) -> None:
    """A page that answers a form stands in the history as the page with the form."""
    user = await place.person("vroni")
    async with looking(browser, place.base) as (page, _), looking(browser, place.base) as (lost, _seen):
        await sign_in(page, place.base, "vroni", to="/account/security")
        await page.get_by_label("Present password").fill("wrong")
        await page.get_by_label("New password").fill("a banner in the wind")
        await page.get_by_role("button", name="Change the password").click()
        await expect(page.locator("#current-help")).to_contain_text("not the password of this account")
        await expect(page).to_have_url(f"{place.base}/account/security")
        await page.get_by_role("link", name="Privacy").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Privacy")
        await page.go_back()
        await page.reload()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Security")
        await expect(page.locator("#current-help")).to_have_count(0)

        await sign_in(lost, place.base, "vroni", to="/account")
        await expect(lost.get_by_role("heading", level=1)).to_have_text("vroni")
        await page.reload()
        await page.get_by_role("button", name="End all others").click()
        await expect(page.get_by_text("whoever sat there is out")).to_be_visible()
        await lost.get_by_label("Shown name").fill("Vroni")
        await lost.get_by_role("button", name="Save").click()
        await expect(lost.get_by_role("status")).to_contain_text("You are not signed in any more")
    async with place.product.wiring.database.begin_system("a test") as tx:
        tries = "select count(*) from identity.login_events where user_id = %s and outcome = 'bad_credentials'"
        assert await db.value(tx, tries, user.id) == 1


async def test_the_keyboard_is_enough_to_sign_in_and_to_choose(browser: Browser, place: Place) -> None:
    await place.person("ursula")
    async with looking(browser, place.base) as (page, _):
        await page.goto(f"{place.base}/sign-in?next=/account/privacy")
        await focused(page, "identifier")
        await page.keyboard.type("ursula")
        await page.keyboard.press("Tab")
        await page.keyboard.type("wrong")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("alert")).to_be_visible()
        await focused(page, "password")  # the name is still there
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Privacy")

        async with asyncio.timeout(FOCUS_SECONDS_MAX):
            while not await page.evaluate("document.activeElement.name == 'board_name'"):
                await page.keyboard.press("Tab")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("Saved.")
        await expect(page.get_by_label("Only its beginning")).to_be_checked()
