"""The other ways in over HTTP: what calls answer, what pages show, which cookies bind a browser to its way."""

import json
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from starlette.types import ASGIApp

from palio import identity
from palio.identity import doors
from palio.identity.service.sessions import Recognised
from palio.infra import db, totp
from palio.infra.ratelimit import Limiter
from palio.sim import World as Outside
from tests.conftest import PATIENCE_S
from tests.factories.identity import PASSWORD, World
from tests.factories.ways import ADA_NUMBER, METHODS, house_of, opened, outside_at, visitor
from tests.identity.test_phones import Phones
from tests.identity.test_web import application, browser, code_of

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}  # as browsers say it
ADA = {"id": 7_000_000_001, "first_name": "Ada"}


class Site:
    """The application of a house with every way in, and the outside."""

    def __init__(self, world: World, outside: Outside, now: datetime) -> None:
        self.outside, self.now = outside, now
        house = house_of(world, outside)
        world.database.equipment = replace(world.database.equipment, site="https://palio.test")
        self.world = world
        self.house = house
        self.phones = Phones(world, outside, house, now)

    def app(self, limiter: Limiter | None = None) -> ASGIApp:
        plain = self.world.house
        self.world.house = self.house
        try:
            return application(self.world, limiter)
        finally:
            self.world.house = plain

    async def code(self, number: str = ADA_NUMBER) -> str:
        await self.phones.send()
        found = self.outside.otp.newest(number)
        assert found
        return found.code


@pytest.fixture
async def site(world: World, noon: datetime) -> AsyncIterator[Site]:
    async with outside_at(noon) as outside:
        await opened(world, *METHODS)
        yield Site(world, outside, noon)
        await opened(world)


@pytest.fixture
async def http(site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    async with browser(site.app()) as client:
        yield client


async def agreed(location: str, who: str = "ada") -> dict[str, str]:
    """What the provider's page says once somebody has said who he is."""
    asked = dict(parse_qsl(urlsplit(location).query))
    async with httpx2.AsyncClient(timeout=PATIENCE_S) as client:
        answer = await client.get(location, params={**asked, "as": who})
    if answer.status_code == 302:
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    return dict(re.findall(r'name="(\w+)" value="([^"]*)"', answer.text))


async def test_a_browser_goes_to_google_and_comes_back_signed_in(http: httpx2.AsyncClient) -> None:
    shown = await http.get("/auth/google/start", params={"next": "/races"}, headers=HTML)
    assert shown.status_code == 303
    assert "palio_flow" in shown.headers["set-cookie"]
    assert "SameSite=lax" in shown.headers["set-cookie"]
    asked = dict(parse_qsl(urlsplit(shown.headers["location"]).query))
    assert asked["redirect_uri"] == "https://palio.test/api/v1/auth/google/callback"
    assert (asked["code_challenge_method"], asked["response_type"]) == ("S256", "code")
    assert {"state", "nonce", "code_challenge"} <= asked.keys()

    said = await agreed(shown.headers["location"])
    back = await http.get("/auth/google/callback", params={**said, "scope": "email", "authuser": "0"}, headers=HTML)
    assert (back.status_code, back.headers["location"]) == (303, "/races")
    me = (await http.get("/me")).json()
    assert (me["email"], me["auth_methods"], me["telegram_verified"]) == (
        *("ada@example.com", ["email_link", "google"]),
        False,
    )
    again = await http.get("/auth/google/callback", params=said)
    assert code_of(again) == (401, "identity.flow_invalid")


async def test_apple_posts_from_its_own_page_and_the_flow_alone_binds_the_browser(http: httpx2.AsyncClient) -> None:
    shown = await http.get("/auth/apple/start", headers=HTML)
    assert "SameSite=none" in shown.headers["set-cookie"]
    assert "Secure" in shown.headers["set-cookie"]
    said = await agreed(shown.headers["location"])
    foreign = {"sec-fetch-site": "cross-site", "origin": "https://appleid.apple.com", **HTML}
    stranger = httpx2.AsyncClient(transport=http._transport, base_url=http.base_url)
    refused = await stranger.post("/auth/apple/callback", data=said, headers={**foreign, "accept": "*/*"})
    assert code_of(refused) == (401, "identity.flow_invalid")
    back = await http.post("/auth/apple/callback", data={**said, "user": '{"name":{}}'}, headers=foreign)
    assert (back.status_code, back.headers["location"]) == (303, "/")
    assert (await http.get("/me")).json()["email"] == "ada@example.com"
    other = await http.post("/auth/logout", headers=foreign)
    assert code_of(other) == (403, "csrf_rejected")  # nothing else may be posted from there


@pytest.mark.parametrize(("flaw", "status", "code"), [("wrong_aud", 401, "identity.provider_proof_invalid")])
async def test_what_a_program_and_a_person_are_told_of_a_refusal(
    site: Site, http: httpx2.AsyncClient, flaw: str, status: int, code: str
) -> None:
    for headers in ({"accept": "application/json"}, HTML):
        shown = await http.get("/auth/google/start", headers={"accept": "application/json"})
        assert shown.status_code == 200
        said = await agreed(shown.json()["location"])
        site.outside.oidc.control("flaw", {"name": "google", "flaw": flaw})
        answer = await http.get("/auth/google/callback", params=said, headers=headers)
        assert answer.status_code == status
        if headers is HTML:
            assert "What came back does not prove who you are" in answer.text
            assert "set-cookie" not in answer.headers
        else:
            assert answer.json()["code"] == code


async def test_a_provider_that_is_down_is_a_bad_gateway(site: Site, http: httpx2.AsyncClient) -> None:
    from palio.sim import fault_of  # noqa: PLC0415

    site.outside.faults.add(fault_of({"sim": "oidc", "effect": {"name": "reset"}, "times": 2}))
    assert code_of(await http.get("/auth/google/start")) == (502, "provider_unavailable")
    shown = await http.get("/auth/google/start", headers=HTML)
    assert (shown.status_code, "text/html" in shown.headers["content-type"]) == (502, True)


async def test_a_local_account_is_linked_by_who_is_signed_in_with_a_fresh_proof(
    site: Site, http: httpx2.AsyncClient
) -> None:
    await site.world.player("adam", site.now)
    assert code_of(await http.get("/auth/google/start", params={"link": "true"})) == (401, "unauthenticated")
    login = {"identifier": "adam", "password": PASSWORD}
    assert (await http.post("/auth/login", json=login)).status_code == 200
    shown = await http.get("/auth/google/start", params={"link": "true"}, headers=HTML)
    said = await agreed(shown.headers["location"])
    back = await http.get("/auth/google/callback", params=said, headers=HTML)
    assert back.headers["location"] == "/account/identities?told=linked"
    (linked,) = (await http.get("/me/identities")).json()["items"]
    assert (linked["provider"], linked["name"]) == ("google", "")

    page = await http.get("https://palio.test/account/identities", headers=HTML)
    assert "Google" in page.text
    assert ">Unlink<" in page.text
    gone = await http.delete(f"/me/identities/{linked['id']}")
    assert gone.status_code == 200
    assert (await http.get("/me/identities")).json()["items"] == []
    assert code_of(await http.delete(f"/me/identities/{linked['id']}")) == (404, "identity.no_such_identity")


async def test_the_last_way_in_stays(site: Site, http: httpx2.AsyncClient) -> None:
    await http.post("/auth/phone/request", json={"number": ADA_NUMBER})
    entered = await http.post("/auth/phone/verify", json={"number": ADA_NUMBER, "code": await site.code()})
    assert entered.status_code == 200, entered.text
    (phone,) = (await http.get("/me/identities")).json()["items"]
    assert (phone["provider"], phone["name"]) == ("phone", "+49•••89")
    assert code_of(await http.delete(f"/me/identities/{phone['id']}")) == (409, "identity.last_login_method")

    nonce = "n-17"
    token = site.outside.oidc.id_token(
        "google", site.outside.issuer_url("google"), site.outside.oidc.people["dora"], nonce=nonce, now=site.now
    )
    linked = await http.post("/me/identities", json={"provider": "google", "id_token": token, "nonce": nonce})
    assert linked.status_code == 200, linked.text
    await opened(site.world, "phone_otp")  # a way that is closed is no way that is left
    assert code_of(await http.delete(f"/me/identities/{phone['id']}")) == (409, "identity.last_login_method")
    await opened(site.world, *METHODS)
    assert (await http.delete(f"/me/identities/{phone['id']}")).status_code == 200


async def test_what_opens_an_account_is_changed_with_a_fresh_proof_only(site: Site) -> None:
    async with browser(site.app()) as http:
        await http.post("/auth/phone/request", json={"number": ADA_NUMBER})
        await http.post("/auth/phone/verify", json={"number": ADA_NUMBER, "code": await site.code()})
        site.outside.clock.advance(timedelta(minutes=6))
        site.world.database.remembered(Recognised).forget()
        identity_id = (await http.get("/me/identities")).json()["items"][0]["id"]
        asked = [
            http.delete(f"/me/identities/{identity_id}"),
            http.delete("/me/telegram"),
            http.post("/me/telegram/link"),
            http.post("/me/telegram/code", json={"code": "ABCDEFGH"}),
            http.post("/me/phone/request", json={"number": ADA_NUMBER}),
            http.post("/me/phone/verify", json={"number": ADA_NUMBER, "code": "123456"}),
            http.post("/me/identities", json={"provider": "google", "id_token": "a.b.c", "nonce": "n"}),
            http.get("/auth/google/start", params={"link": "true"}),
        ]
        for call in asked:
            assert code_of(await call) == (403, "step_up_required")
        led = await http.get("/auth/google/start", params={"link": "true"}, headers=HTML)
        assert led.headers["location"] == "/account/prove?next=/account/identities"
        page = await http.get("https://palio.test/account/identities", headers=HTML)
        assert "sign out and in again" in page.text


async def test_codes_are_asked_for_alike_by_everybody_and_five_times_an_hour_from_an_address(site: Site) -> None:
    await site.phones.enter(await site.phones.code())
    async with browser(site.app(Limiter(site.world.database, bytes(32)))) as http:
        known = await http.post("/auth/phone/request", json={"number": ADA_NUMBER})
        unknown = await http.post("/auth/phone/request", json={"number": "+12025550143"})
        assert (
            (known.status_code, known.json()) == (unknown.status_code, unknown.json()) == (202, {"status": "accepted"})
        )
        assert {*known.headers} == {*unknown.headers}
        for n in range(3):
            assert (await http.post("/auth/phone/request", json={"number": f"+4915110000{n:03}"})).status_code == 202
        refused = await http.post("/auth/phone/request", json={"number": "+4915110000999"})
        assert (refused.status_code, "retry-after" in refused.headers) == (429, True)


async def test_the_link_of_a_letter_opens_the_account_once_and_not_by_looking(
    site: Site, http: httpx2.AsyncClient
) -> None:
    await site.world.player("adam", site.now)
    known = await http.post("/auth/link/request", json={"email": "ADAM@example.com"})
    unknown = await http.post("/auth/link/request", json={"email": "nobody@example.com"})
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    (letter,) = await site.world.deliver()
    assert letter.to == "adam@example.com"
    found = re.search(r"https://palio.test(/sign-in/link/([\w-]{43}))\s", letter.text)
    assert found
    for _ in range(2):
        page = await http.get(f"https://palio.test{found[1]}", headers=HTML)
        assert ">Sign in<" in page.text
    used = await http.post("/auth/link/use", json={"token": found[2]})
    assert (used.status_code, used.json()["kind"]) == (200, "browser")
    assert (await http.get("/me")).json()["username"] == "adam"
    assert code_of(await http.post("/auth/link/use", json={"token": found[2]})) == (410, "identity.token_invalid")
    async with browser(site.app()) as other:
        page = await other.post(f"https://palio.test{found[1]}", data={"idempotency_key": "k"}, headers=HTML)
    assert (page.status_code, "was used" in page.text) == (410, True)

    await http.post("/auth/link/request", json={"email": "adam@example.com"})
    (late,) = await site.world.deliver()
    secret = re.search(r"/sign-in/link/([\w-]{43})\s", late.text)
    site.outside.clock.advance(timedelta(minutes=15))
    assert secret
    assert code_of(await http.post("/auth/link/use", json={"token": secret[1]})) == (410, "identity.token_invalid")


async def test_who_never_proved_his_address_gets_no_link_that_lets_him_in(site: Site, http: httpx2.AsyncClient) -> None:
    application = identity.Application("squatter", "eve@example.com", PASSWORD)
    await identity.register(site.world.house, application=application, visitor=visitor(9), now=site.now)
    await site.world.deliver()
    await http.post("/auth/link/request", json={"email": "eve@example.com"})
    (letter,) = await site.world.deliver()
    assert "/verify-email/" in letter.text
    assert "/sign-in/link/" not in letter.text


async def test_a_second_factor_stands_behind_every_door(site: Site, http: httpx2.AsyncClient) -> None:
    session = await site.phones.enter(await site.phones.code())
    assert isinstance(session, identity.SignedIn)
    secret = await site.world.with_factor(session, site.now)
    await http.post("/auth/phone/request", json={"number": ADA_NUMBER})
    due = await http.post("/auth/phone/verify", json={"number": ADA_NUMBER, "code": await site.code()})
    assert code_of(due) == (401, "identity.second_factor_required")
    code = totp.code_at(secret, totp.step_of(site.now) + 1)
    ticket = due.json()["facts"]["ticket"]
    forged = ticket.replace("phone_otp", "password")
    assert code_of(await http.post("/auth/mfa", json={"ticket": forged, "code": code})) == (
        *(401, "identity.ticket_expired"),
    )
    entered = await http.post("/auth/mfa", json={"ticket": ticket, "code": code})
    assert entered.status_code == 200
    (mine,) = [one for one in (await http.get("/me/sessions")).json()["items"] if one["is_current"]]
    assert mine["method"] == "phone_otp"


async def test_telegram_opens_accounts_by_its_app_and_its_page(site: Site, http: httpx2.AsyncClient) -> None:
    data = site.outside.telegram.init_data(ADA, at=site.now)
    entered = await http.post("/auth/telegram/mini-app", json={"init_data": data})
    assert (entered.status_code, entered.json()["kind"]) == (200, "mini_app")
    tokens = entered.json()["tokens"]
    me = await http.get("/me", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert (me.json()["telegram_verified"], me.json()["telegram_id"]) == (True, "7000000001")
    assert code_of(await http.post("/auth/telegram/mini-app", json={"init_data": data})) == (
        *(401, "identity.telegram_proof_invalid"),
    )
    fields = site.outside.telegram.widget(ADA, at=site.now)
    assert (await http.post("/auth/telegram/widget", json={"fields": fields})).status_code == 200
    fields = site.outside.telegram.widget({**ADA, "last_name": "L"}, at=site.now)
    result = urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")
    async with browser(site.app()) as other:
        page = await other.get("https://palio.test/sign-in/telegram", headers=HTML)
        assert "<handed-in>" in page.text
        form = {"result": result, "next": "/races"}
        back = await other.post("https://palio.test/sign-in/telegram", data=form, headers=HTML)
        assert (back.status_code, back.headers["location"]) == (303, "/races")
        again = await other.post("https://palio.test/sign-in/telegram", data=form, headers=HTML)
        assert again.status_code in {401, 403}
        odd = {"result": "!", "next": "/"}
        async with browser(site.app()) as third:
            assert (await third.post("https://palio.test/sign-in/telegram", data=odd, headers=HTML)).status_code == 401


async def test_pages_show_the_ways_that_are_open_and_no_others(site: Site, http: httpx2.AsyncClient) -> None:
    here = "https://palio.test"
    for path in ("/sign-in", "/sign-up"):
        page = (await http.get(f"{here}{path}", headers=HTML)).text
        for words in ("Go on with Google", "Go on with Apple", "Go on with Club", "Go on with Telegram", "your phone"):
            assert words in page
        assert 'name="password"' in page
    assert "oauth.telegram.org/auth?bot_id=7000000001" in page
    assert "sent to your mailbox" not in page  # nobody signs up by it
    await opened(site.world, "google")
    for path in ("/sign-in", "/sign-up"):
        page = (await http.get(f"{here}{path}", headers=HTML)).text
        assert "Go on with Google" in page
        for words in ("Apple", "Club", "Telegram", "your phone", "mailbox", 'name="password"'):
            assert words not in page
    console = (await http.get(f"{here}/console/sign-in", headers=HTML)).text
    assert "Google" not in console
    assert 'name="password"' in console
    await opened(site.world)
    page = (await http.get(f"{here}/sign-in", headers=HTML)).text
    assert "Google" not in page
    assert 'name="password"' in page
    assert "Go on with Telegram" in page
    refused = await http.post("/auth/phone/request", json={"number": ADA_NUMBER})
    assert code_of(refused) == (403, "identity.method_closed")


async def test_the_forms_of_the_telephone_lead_through(site: Site, http: httpx2.AsyncClient) -> None:
    here = "https://palio.test/sign-in/phone"
    odd = await http.post(here, data={"number": "12", "next": "/races"}, headers=HTML)
    assert (odd.status_code, "This is no telephone number" in odd.text) == (422, True)
    asked = await http.post(here, data={"number": ADA_NUMBER, "next": "/races"}, headers=HTML)
    assert (asked.status_code, "Enter the code" in asked.text) == (200, True)
    wrong = await http.post(f"{here}/code", data={"number": ADA_NUMBER, "code": "1", "next": "/races"}, headers=HTML)
    assert (wrong.status_code, ADA_NUMBER in wrong.text) == (401, True)
    form = {"number": ADA_NUMBER, "code": await site.code(), "next": "/races"}
    done = await http.post(f"{here}/code", data=form, headers=HTML)
    assert (done.status_code, done.headers["location"]) == (303, "/races")


# documents that must be accepted


TERMS = {"en": "# Terms of play\n\nBe fair."}
ACCEPTED = [{"document": "terms", "version": 1}]


async def bound(site: Site) -> None:
    """A house where whoever is new must accept its terms."""
    async with site.world.database.begin_system("a test") as tx:
        await identity.publish_document(tx, key="terms", texts=TERMS, acceptance_required=True, now=site.now)


async def told(site: Site) -> tuple[int, list[tuple[str, int]], list[str]]:
    """How many accounts there are, what was accepted, and how the attempts to come in ended."""
    async with site.world.database.begin_system("a test") as tx:
        users = await db.value(tx, "select count(*) from identity.users")
        consents = await (await tx.execute("select document_key, version from identity.consents")).fetchall()
        outcomes = await db.column(tx, "select outcome::text from identity.login_events order by at, id")
    return users, consents, outcomes


@pytest.mark.parametrize("way", ["phone", "mini-app", "widget", "token"])
async def test_whoever_is_new_accepts_the_documents_first_and_comes_again_with_the_same_proof(
    site: Site, http: httpx2.AsyncClient, way: str
) -> None:
    await bound(site)
    ada = site.outside.oidc.people["ada"]
    id_token = site.outside.oidc.id_token("google", site.outside.issuer_url("google"), ada, nonce="n", now=site.now)
    if way == "phone":
        await http.post("/auth/phone/request", json={"number": ADA_NUMBER})
    path, proof = {
        "phone": ("/auth/phone/verify", {"number": ADA_NUMBER, "code": await site.code() if way == "phone" else ""}),
        "mini-app": ("/auth/telegram/mini-app", {"init_data": site.outside.telegram.init_data(ADA, at=site.now)}),
        "widget": ("/auth/telegram/widget", {"fields": site.outside.telegram.widget(ADA, at=site.now)}),
        "token": ("/auth/google/token", {"id_token": id_token, "nonce": "n"}),
    }[way]
    refused = await http.post(path, json=proof)
    older = await http.post(path, json={**proof, "consents": [{"document": "other", "version": 1}]})
    assert [code_of(one) for one in (refused, older)] == [(403, "identity.consent_required")] * 2
    assert refused.json()["facts"] == {"documents": ["terms"]}
    assert await told(site) == (0, [], ["not_allowed", "not_allowed"])

    entered = await http.post(path, json={**proof, "consents": ACCEPTED})
    assert entered.status_code == 200, entered.text
    assert await told(site) == (1, [("terms", 1)], ["not_allowed", "not_allowed", "success"])
    again = await http.post(path, json={**proof, "consents": ACCEPTED})
    assert again.status_code == 401  # it was used


async def test_who_has_an_account_comes_in_whatever_is_to_be_accepted_since(site: Site) -> None:
    await site.phones.enter(await site.phones.code())
    await bound(site)
    assert isinstance(await site.phones.enter(await site.phones.code()), identity.SignedIn)


async def test_pages_ask_whoever_is_new_to_accept_and_go_on(site: Site) -> None:
    """By a button: with the same code, with what Telegram said, or once more by the provider."""
    await bound(site)
    here = "https://palio.test"
    async with browser(site.app()) as http:
        await http.post(f"{here}/sign-in/phone", data={"number": ADA_NUMBER, "next": "/races"}, headers=HTML)
        form = {"number": ADA_NUMBER, "code": await site.code(), "next": "/races"}
        page = await http.post(f"{here}/sign-in/phone/code", data=form, headers=HTML)
        assert (page.status_code, "Terms of play" in page.text) == (403, True)
        hidden = dict(re.findall(r'name="(number|code|next|accept)" value="([^"]*)"', page.text))
        assert hidden == {**form, "accept": "terms:1"}
        done = await http.post(f"{here}/sign-in/phone/code", data=hidden, headers=HTML)
        assert (done.status_code, done.headers["location"]) == (303, "/races")
    async with browser(site.app()) as http:
        fields = site.outside.telegram.widget(ADA, at=site.now)
        result = urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")
        page = await http.post(f"{here}/sign-in/telegram", data={"result": result, "next": "/races"}, headers=HTML)
        hidden = dict(re.findall(r'name="(result|next|accept)" value="([^"]*)"', page.text))
        assert (page.status_code, hidden) == (403, {"result": result, "next": "/races", "accept": "terms:1"})
        done = await http.post(f"{here}/sign-in/telegram", data=hidden, headers=HTML)
        assert (done.status_code, done.headers["location"]) == (303, "/races")
    async with browser(site.app()) as http:
        shown = await http.get("/auth/google/start", headers=HTML)
        said = await agreed(shown.headers["location"])
        page = await http.get("/auth/google/callback", params=said, headers=HTML)
        link = re.search(r'href="(/api/v1/auth/google/start[^"]*)"', page.text)
        assert (page.status_code, link and link[1]) == (403, "/api/v1/auth/google/start?accept=terms%3A1")
        assert code_of(await http.get("/me")) == (401, "unauthenticated")
        shown = await http.get(f"{here}/api/v1/auth/google/start?accept=terms%3A1", headers=HTML)
        back = await http.get("/auth/google/callback", params=await agreed(shown.headers["location"]), headers=HTML)
        assert back.status_code == 303
        assert (await http.get("/me")).json()["email"] == "ada@example.com"
    assert (await told(site))[:2] == (3, [("terms", 1)] * 3)


async def test_the_way_back_never_leads_to_another_site(http: httpx2.AsyncClient) -> None:
    for wanted in ("https://evil.example/", "//evil.example", "/\\evil.example"):
        shown = await http.get("/auth/google/start", params={"next": wanted})
        said = await agreed(shown.json()["location"], "ben")
        back = await http.get("/auth/google/callback", params=said)
        assert back.json()["wanted"] == "/"


async def test_doors_are_what_the_environment_says(site: Site) -> None:
    assert site.house.opened() == frozenset(METHODS)
    bare = doors.House(site.world.database)
    assert bare.opened() == {"password", "email_link"}
