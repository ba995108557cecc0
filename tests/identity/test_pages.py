"""The pages of identity over HTTP: what is refused is told kindly at its field, and nothing has changed."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.types import ASGIApp

from palio import identity
from palio.identity import web
from palio.identity.service.sessions import Recognised
from palio.infra.ratelimit import Limiter
from palio.kernel import clock
from palio.ui.languages import Languages
from palio.ui.pages import Pages
from palio.ui.paging import Cursors
from palio.ui.site import assemble
from tests.factories.identity import PASSWORD, World, cookie, secret_in

OURS = {"sec-fetch-site": "same-origin", "accept": "text/html"}
SIGN_UP = {"username": "alice", "email": "alice@example.com", "password": PASSWORD}


@pytest.fixture
def app(world: World) -> ASGIApp:
    return application(world)


def application(world: World, limiter: Limiter | None = None) -> ASGIApp:
    return assemble(
        [web.routes],
        state={
            "database": world.database,
            "house": world.house,
            "pages": Pages(Languages()),
            "cursors": Cursors(bytes(32)),
        },
        served=lambda served: None,
        identify=web.Reception(world.doorman),
        limiter=limiter,
        key=bytes(32),
    )


@asynccontextmanager
async def browser(app: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app, client=("198.51.100.7", 4711))
    async with httpx2.AsyncClient(transport=transport, base_url="https://palio.test", headers=OURS) as client:
        yield client


async def sent(client: httpx2.AsyncClient, page: str, path: str, **fields: str) -> httpx2.Response:
    """What a form of a page is answered, sent with the hidden fields that the page has drawn."""
    shown = (await client.get(page)).text
    hidden = dict(re.findall(r'name="(csrf_token|idempotency_key)" value="([^"]*)"', shown))
    return await client.post(path, data={**hidden, **fields})


async def enter(client: httpx2.AsyncClient, username: str = "alice", password: str = PASSWORD) -> httpx2.Response:
    return await sent(client, "/sign-in", "/sign-in", identifier=username, password=password)


BAD = {
    "a weak password": ({"password": "password"}, 422, "password", "a sentence is harder to guess"),
    "the own name as password": ({"username": "alexandra", "password": "alexandra1"}, 422, "password", "leave it out"),
    "a short password": ({"password": "x7!"}, 422, "password", "fewer than 8 characters"),
    "a taken name in capitals": ({"username": "BOB"}, 409, "username", "Somebody has this name already"),
    "a name in another script": ({"username": "b\u043eb"}, 422, "username", "A user name is 3 to"),
    "a zero-width name": ({"username": "bo\u200bb"}, 422, "username", "A user name is 3 to"),
    "a right-to-left name": ({"username": "\u202ebob"}, 422, "username", "A user name is 3 to"),
    "a name of the house": ({"username": "admin"}, 422, "username", "pass for the house itself"),
    "no address": ({"email": "nobody at all"}, 422, "email", "This is no e-mail address."),
    "a refused address": ({"email": "alice@example.org"}, 422, "email", "This address may not be used here"),
    "nothing typed": ({"username": ""}, 422, "username", "Fill this in."),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_application_is_shown_again_with_what_was_typed_but_the_password(
    app: ASGIApp, world: World, case: str
) -> None:
    await world.player("bob", clock.now())
    async with world.database.begin_system("a test") as tx:
        await identity.add_rule(tx, action="deny", kind="domain", pattern="example.org", now=clock.now())
    changed, status, field, words = BAD[case]
    async with browser(app) as client:
        answer = await sent(client, "/sign-up", "/sign-up", **{**SIGN_UP, **changed})

    assert answer.status_code == status
    told = re.search(rf'id="{field}-help".*?</div>', answer.text, re.DOTALL)
    assert told and words in told[0]
    assert re.search(rf'id="{field}"[^>]*aria-invalid="true"', answer.text)
    assert PASSWORD not in answer.text
    typed = {**SIGN_UP, **changed}
    assert f'value="{typed["email"]}"' in answer.text
    assert await world.count("select count(*) from identity.users") == 1


async def test_a_wrong_password_of_ones_own_is_told_at_its_field(app: ASGIApp, world: World) -> None:
    await world.player("alice", clock.now())
    async with browser(app) as client:
        await enter(client)
        changed = await sent(
            *(client, "/account/security", "/account/password"),
            current="another one",
            password="a banner in the wind",
        )
        proven = await sent(client, "/account/prove", "/account/prove", secret="another one", next="/account")

    for answer, field in ((changed, "current"), (proven, "secret")):
        assert answer.status_code == 401
        assert re.search(rf'id="{field}"[^>]*aria-invalid="true"', answer.text)
        assert "That is not the password of this account." in answer.text
        assert "There is no account" not in answer.text


async def test_whoever_must_wait_is_told_how_long(world: World) -> None:
    app = application(world, limiter=Limiter(world.database, bytes(32)))
    async with browser(app) as client:
        for name in ("alice", "bobby", "carol", "david"):
            answer = await sent(
                client, "/sign-up", "/sign-up", username=name, email=f"{name}@example.com", password=PASSWORD
            )

    assert (answer.status_code, "Wait 20 minutes, then try again." in answer.text) == (429, True)
    assert "window" not in answer.text and 'value="david"' in answer.text


BAD_NAMES = {
    "zero width": ("Al\u200bice", 422, "invisible"),
    "right to left": ("\u202eecila", 422, "invisible"),
    "two scripts": ("Al\u0456ce", 422, "look alike"),
    "another's in another script": ("\u0412\u041e\u0412", 409, "looks like that of the user bob"),
    "nothing to see": ("   ", 422, "something to see"),
}


@pytest.mark.parametrize("case", BAD_NAMES)
async def test_a_bad_shown_name_is_refused_at_its_field_and_the_old_one_stays(
    app: ASGIApp, world: World, case: str
) -> None:
    await world.player("bob", clock.now())
    await world.player("alice", clock.now())
    name, status, words = BAD_NAMES[case]
    async with browser(app) as client:
        await enter(client)
        answer = await sent(client, "/account", "/account", display_name=name, locale="en", version="2")

    assert (answer.status_code, words in answer.text) == (status, True)
    assert await world.count("select count(*) from identity.users where display_name = 'alice'") == 1


async def test_wrong_and_used_links_lead_on_to_a_new_letter(app: ASGIApp, world: World) -> None:
    async with browser(app) as client, browser(app) as stranger:
        await sent(client, "/sign-up", "/sign-up", **SIGN_UP)
        (letter,) = await world.deliver()
        path = f"/verify-email/{secret_in(letter)}"
        assert "Password of the account" in (await stranger.get(path)).text
        refused = await sent(stranger, path, path)
        assert (refused.status_code, "Open the link in the browser that you registered with" in refused.text) == (
            403,
            True,
        )
        assert await world.count("select count(*) from identity.users where status = 'active'") == 0

        assert (await client.get(path)).status_code == 200  # to look at it, as mail programs do, changes nothing
        done = await sent(client, path, path)
        assert (done.status_code, done.headers["location"]) == (303, "/sign-in?told=verified")
        for again in (path, "/verify-email/x", "/verify-email/" + "a" * 43):
            answer = await sent(client, again, again, password=PASSWORD)
            assert (answer.status_code, "Send it again" in answer.text) == (410, True)


async def test_known_and_unknown_addresses_read_the_same(app: ASGIApp, world: World) -> None:
    await world.player("alice", clock.now())

    def shape(answer: httpx2.Response) -> object:
        return answer.status_code, answer.headers["location"], answer.text, sorted(answer.cookies)

    async with browser(app) as client:
        known = await sent(client, "/sign-up", "/sign-up", **{**SIGN_UP, "username": "carol"})
        fresh = await sent(client, "/sign-up", "/sign-up", username="dora", email="d@example.com", password=PASSWORD)
        assert shape(known) == shape(fresh)
        for page, path in (("/forgot-password", "/forgot-password"), ("/sign-up/sent", "/sign-up/letter")):
            answers = [
                shape(await sent(client, page, path, email=email)) for email in ("alice@example.com", "x@example.com")
            ]
            assert answers[0] == answers[1]
        wrong = [(await enter(client, name, "wrong")).text for name in ("alice", "nobody")]
        assert len({re.sub(r'Request [\w-]+|value="[^"]*"', "", text) for text in wrong}) == 1


async def test_a_form_without_the_token_of_its_session_changes_nothing(app: ASGIApp, world: World) -> None:
    user = await world.player("alice", clock.now())
    forms = {
        "/account": {"display_name": "Mallory", "locale": "en", "version": "2"},
        "/account/privacy": {"board_name": "hidden", "version": "2"},
        "/account/password": {"current": PASSWORD, "password": "another good secret"},
        "/account/sessions/end-others": {},
        "/sign-out": {},
    }
    async with browser(app) as client:
        await enter(client)
        for path, fields in forms.items():
            for token in ({}, {"csrf_token": "00" * 64}, {"csrf_token": "nonsense"}):
                answer = await client.post(path, data={"idempotency_key": "k", **fields, **token})
                assert (answer.status_code, "CSRF rejected" in answer.text) == (403, True)
        foreign = await client.post("/sign-out", headers={"sec-fetch-site": "cross-site"})
        assert foreign.status_code == 403
        assert (await client.get("/account")).status_code == 200
    async with world.database.begin_system("a test") as tx:
        now = await identity.get(tx, name_or_id=user.id)
    assert (now.display_name, now.board_name, now.version) == (user.display_name, user.board_name, user.version)


async def test_a_stale_profile_is_not_written_over(app: ASGIApp, world: World) -> None:
    await world.player("alice", clock.now())
    async with browser(app) as client:
        await enter(client)
        shown = (await client.get("/account")).text
        version = re.search(r'name="version" value="(\d+)"', shown)
        assert version
        fields = {"locale": "en", "version": version[1]}
        assert (await sent(client, "/account", "/account", display_name="Ally", **fields)).status_code == 303
        answer = await sent(client, "/account", "/account", display_name="Lissy", **fields)
        assert (answer.status_code, "It changed since you looked" in answer.text) == (412, True)
    assert await world.count("select count(*) from identity.users where display_name = 'Ally'") == 1


@pytest.mark.parametrize(
    "address", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", "/a b"]
)
async def test_sign_in_leads_on_within_the_house_only(app: ASGIApp, world: World, address: str) -> None:
    await world.player("alice", clock.now())
    async with browser(app) as client:
        fields = {"identifier": "alice", "password": PASSWORD}
        answer = await sent(client, "/sign-in", "/sign-in", **fields, next=address)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert (await client.get("/sign-in", params={"next": address})).headers["location"] == "/"


async def test_whoever_is_not_signed_in_is_led_to_the_sign_in_and_back(app: ASGIApp) -> None:
    async with browser(app) as client:
        answer = await client.get("/account/privacy?saved=true")
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            "/sign-in?next=%2Faccount%2Fprivacy%3Fsaved%3Dtrue",
        )
        part = await client.get(
            "/account/security",
            headers={"hx-request": "true", "hx-current-url": "https://palio.test/account/security"},
        )
        assert part.headers["hx-redirect"] == "/sign-in?next=%2Faccount%2Fsecurity"
        sent = await client.post(
            "/account", data={"display_name": "Al"}, headers={"referer": "https://palio.test/account"}
        )
        assert sent.headers["location"] == "/sign-in?next=%2Faccount&told=unsent"
        assert "What you have just sent changed nothing." in (await client.get(sent.headers["location"])).text
        program = await client.get("/account", headers={"accept": "application/json"})
        assert (program.status_code, program.json()["code"]) == (401, "unauthenticated")


async def test_a_suspended_player_looks_and_leaves_and_nothing_else(app: ASGIApp, world: World) -> None:
    await world.player("alice", clock.now())
    async with browser(app) as client:
        await enter(client)
        with world.superuser() as server:
            server.execute("update identity.users set status = 'suspended', suspension_reason = 'under review'")
        world.database.remembered(Recognised).forget()
        shown = await client.get("/account/privacy")
        assert "This account is suspended" in shown.text
        kept = await sent(client, "/account/privacy", "/account/privacy", board_name="hidden", version="3")
        assert (kept.status_code, "Account suspended" in kept.text) == (403, True)
        left = await sent(client, "/account", "/sign-out")
        assert (left.status_code, left.headers["location"]) == (303, "/sign-in?told=left")
        assert (await client.get("/account")).status_code == 303
    assert await world.count("select count(*) from identity.sessions where ended_at is null") == 0


async def test_what_is_dangerous_takes_a_fresh_proof_and_leads_back(app: ASGIApp, world: World) -> None:
    await world.player("alice", clock.now())
    session = await world.signed_in("alice", clock.now())
    with world.superuser() as server:
        server.execute("update identity.sessions set step_up_at = null, mfa_at = null")
    world.database.remembered(Recognised).forget()
    async with browser(app) as client:
        client.cookies.set("__Host-palio_session", cookie(session).token, domain="palio.test")
        client.headers["referer"] = "https://palio.test/account/tokens"
        answer = await sent(client, "/account/tokens", "/account/tokens", name="bot", days="30", scopes="identity:read")
        assert (answer.status_code, answer.headers["location"]) == (303, "/account/prove?next=%2Faccount%2Ftokens")
        assert (await client.get("/account/authenticator/picture.svg")).status_code in {303, 403}
        proven = await sent(client, "/account/prove", "/account/prove", secret=PASSWORD, next="/account/tokens")
        assert (proven.status_code, proven.headers["location"]) == (303, "/account/tokens")
        made = await sent(client, "/account/tokens", "/account/tokens", name="bot", days="30", scopes="identity:read")
        assert made.status_code == 200
        assert made.headers["cache-control"] == "no-store"
    assert await world.count("select count(*) from identity.api_tokens") == 1


async def test_the_first_owner_comes_in_by_the_printed_link_once(app: ASGIApp, world: World) -> None:
    async with world.database.begin_system("a test") as tx:
        invited = await identity.invite_first_owner(tx, email="owner@example.com", now=clock.now(), reason="a test")
    path = f"/first-owner/{invited}"
    async with browser(app) as client:
        assert "Become the first owner" in (await client.get(path)).text
        weak = await sent(client, path, path, password="password")
        assert (weak.status_code, "a sentence is harder to guess" in weak.text) == (422, True)
        done = await sent(client, path, path, password=PASSWORD)
        assert done.headers["location"] == "/sign-in?told=owner&next=/account/authenticator"
        again = await sent(client, path, path, password="another good secret")
        assert (again.status_code, "This link was used" in again.text) == (410, True)
        refused = await sent(
            client, "/console/sign-in", "/console/sign-in", identifier="owner@example.com", password=PASSWORD
        )
        assert (refused.status_code, "Set up a second factor as a player" in refused.text) == (409, True)


def test_a_password_is_hidden_while_it_is_typed() -> None:
    """On every page there is, and a program that keeps passwords knows which it is."""
    written = re.compile(r'{{ field\([^}]*type="password"[^}]*}}|<input[^>]*type="password"[^>]*>')
    named = re.compile(r'{{ field\("(?:password|current)"[^}]*}}|<input[^>]*name="(?:password|current)"[^>]*>')
    found, meant = [], []
    for path in (Path(__file__).parents[2] / "palio").rglob("templates/**/*.html"):
        found += written.findall(path.read_text())
        meant += [one for one in named.findall(path.read_text()) if "hidden" not in one]
    assert len(found) >= 6 and {*meant} <= {*found}
    assert [one for one in found if "-password" not in one] == []
