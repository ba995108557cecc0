"""Sign-in and one's own account over HTTP: cookies, tokens, and who is let through to what."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

import httpx2
import pytest
from starlette.types import ASGIApp

from palio import identity
from palio.entry.sections import SECTIONS
from palio.identity import web
from palio.identity.web.calls import SECTIONS as DESCRIBED
from palio.infra import totp
from palio.infra.ratelimit import Limiter
from palio.kernel import clock
from palio.ui.languages import Languages
from palio.ui.pages import Pages
from palio.ui.paging import Cursors
from palio.ui.site import assemble
from tests.factories.identity import PASSWORD, World, secret_in
from tests.factories.passkeys import Authenticator

OURS = {"sec-fetch-site": "same-origin"}
SIGN_UP = {"username": "alice", "email": "alice@example.com", "password": PASSWORD, "full_name": "Alice Liddell"}


def application(world: World, limiter: Limiter | None = None) -> ASGIApp:
    return assemble(
        [web.routes],
        state={
            "database": world.database,
            "house": world.house,
            "pages": Pages(Languages()),
            "cursors": Cursors(bytes(32)),
            "sections": SECTIONS,
        },
        served=lambda served: None,
        identify=web.Reception(world.doorman),
        limiter=limiter,
    )


def browser(app: ASGIApp, scheme: str = "https") -> AbstractAsyncContextManager[httpx2.AsyncClient]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[httpx2.AsyncClient]:
        transport = httpx2.ASGITransport(app, client=("198.51.100.7", 4711))
        address = f"{scheme}://palio.test/api/v1"
        async with httpx2.AsyncClient(transport=transport, base_url=address, headers=OURS) as client:
            yield client

    return opened()


@pytest.fixture
def app(world: World) -> ASGIApp:
    return application(world)


@pytest.fixture
async def alice(app: ASGIApp, world: World) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser in which Alice registered, proved her address and signed in."""
    async with browser(app) as client:
        assert (await client.post("/auth/register", json=SIGN_UP)).status_code == 202
        (letter,) = await world.deliver()
        proven = await client.post("/auth/verify-email", json={"token": secret_in(letter)})
        assert proven.status_code == 200
        await log_in(client)
        yield client


async def log_in(http: httpx2.AsyncClient, **more: object) -> httpx2.Response:
    answer = await http.post("/auth/login", json={"identifier": "alice", "password": PASSWORD, **more})
    assert answer.status_code == 200, answer.text
    return answer


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_browser_registers_proves_signs_in_and_leaves(alice: httpx2.AsyncClient) -> None:
    me = await alice.get("/me")
    assert me.status_code == 200
    assert me.headers["cache-control"] == "no-store"
    told = me.json()
    assert {
        name: told[name] for name in ("username", "email", "full_name", "status", "email_verified", "is_admin")
    } == {
        "username": "alice",
        "email": "alice@example.com",
        "full_name": "Alice Liddell",
        "status": "active",
        "email_verified": True,
        "is_admin": False,
    }
    left = await alice.post("/auth/logout")
    assert left.headers["clear-site-data"] == '"cache", "storage"'
    assert code_of(await alice.get("/me")) == (401, "unauthenticated")


async def test_cookies_are_out_of_reach_of_scripts_and_other_sites(app: ASGIApp, alice: httpx2.AsyncClient) -> None:
    answer = await log_in(alice)
    cookies = {line.partition("=")[0]: line.partition(";")[2].strip() for line in answer.headers.get_list("set-cookie")}

    assert {*cookies} == {"__Host-palio_session", "__Host-palio_device"}
    for attributes in cookies.values():
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= {*attributes.split("; ")}
    async with browser(app, "http") as plain:
        answer = await log_in(plain)
        assert {line.partition("=")[0] for line in answer.headers.get_list("set-cookie")} == {
            "palio_session",
            "palio_device",
        }


async def test_a_registration_of_a_known_address_reads_the_same(app: ASGIApp, alice: httpx2.AsyncClient) -> None:
    async with browser(app) as stranger:
        fresh = await stranger.post("/auth/register", json={**SIGN_UP, "username": "bob", "email": "b@example.com"})
        known = await stranger.post("/auth/register", json={**SIGN_UP, "username": "carol"})
        mine = await stranger.post("/auth/register", json={**SIGN_UP, "username": "dave", "client": "app"})

    def shape(answer: httpx2.Response) -> object:
        given = [line.partition("=")[0] for line in answer.headers.get_list("set-cookie")]
        return answer.status_code, answer.json(), given

    cookies = ["__Host-palio_registration", "__Host-palio_device"]
    assert shape(fresh) == shape(known) == (202, {"status": "accepted", "registration": None, "session": None}, cookies)
    assert len(mine.json()["registration"]) == 43


async def test_a_cookie_of_another_site_changes_nothing(alice: httpx2.AsyncClient) -> None:
    for headers in ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "none", "origin": "https://evil.example"}):
        assert code_of(await alice.delete("/me/sessions", headers=headers)) == (403, "csrf_rejected")
    assert (await alice.get("/me")).status_code == 200


async def test_an_app_gets_tokens_and_renews_them(app: ASGIApp, alice: httpx2.AsyncClient) -> None:
    async with browser(app) as phone:
        phone.headers["palio-device"] = "a-random-id-of-the-app-0123456789"
        begun = (await log_in(phone, client="app")).json()
        tokens = begun["tokens"]
        assert (begun["kind"], [*phone.cookies]) == ("app", [])
        bearer = {"authorization": f"Bearer {tokens['access_token']}"}
        assert (await phone.get("/me", headers=bearer)).json()["username"] == "alice"

        renewed = await phone.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        again = await phone.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert renewed.json() == again.json()
        del phone.headers["palio-device"]
        stolen = await phone.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert code_of(stolen) == (401, "identity.refresh_reused")
        bearer = {"authorization": f"Bearer {renewed.json()['access_token']}"}
        assert code_of(await phone.get("/me", headers=bearer)) == (401, "token_revoked")


async def test_a_second_session_that_is_ended_is_out_on_its_next_click(app: ASGIApp, alice: httpx2.AsyncClient) -> None:
    async with browser(app) as other:
        await log_in(other)
        assert (await other.get("/me")).status_code == 200
        sessions = (await alice.get("/me/sessions")).json()["items"]
        (theirs,) = [one["id"] for one in sessions if not one["is_current"]]
        assert (await alice.delete(f"/me/sessions/{theirs}")).json() == {"ended": 1}
        assert code_of(await other.get("/me")) == (401, "unauthenticated")
        assert code_of(await alice.delete(f"/me/sessions/{theirs}")) == (404, "identity.no_such_session")

        await log_in(other)
        assert (await alice.delete("/me/sessions?except=current")).json() == {"ended": 1}
    assert (await alice.get("/me")).status_code == 200
    assert [one["outcome"] for one in (await alice.get("/me/logins")).json()["items"]] == ["success"] * 3


async def test_a_token_reads_what_its_scope_says_and_no_credentials(app: ASGIApp, alice: httpx2.AsyncClient) -> None:
    made = await alice.post("/me/api-tokens", json={"name": "bot", "scopes": ["identity:read"]})
    assert made.status_code == 201
    secret = made.json()["secret"]
    async with browser(app) as bot:
        bot.headers["x-api-token"] = secret
        assert (await bot.get("/me")).json()["username"] == "alice"
        asked = [
            await bot.patch("/me", json={"board_name": "hidden"}, headers={"if-match": '"2"'}),
            await bot.put("/me/password", json={"current": PASSWORD, "password": "another good secret"}),
            await bot.get("/me/sessions"),
            await bot.post("/me/api-tokens", json={"name": "more", "scopes": ["identity:write"]}),
            await bot.post("/me/mfa/totp"),
        ]
        assert [code_of(answer) for answer in asked] == [(403, "scope_missing"), *[(403, "session_required")] * 4]
        assert (await bot.post("/tokens/revoke-leaked", json={"token": secret})).status_code == 202
        assert code_of(await bot.get("/me")) == (401, "token_revoked")


async def test_a_stale_profile_is_not_written_over(alice: httpx2.AsyncClient) -> None:
    tag = (await alice.get("/me")).headers["etag"]
    hidden = await alice.patch("/me", json={"board_name": "hidden", "locale": "de"}, headers={"if-match": tag})

    assert (hidden.json()["board_name"], hidden.json()["locale"]) == ("hidden", "de")
    stale = await alice.patch("/me", json={"board_name": "full"}, headers={"if-match": tag})
    assert code_of(stale) == (412, "version_mismatch")
    assert code_of(await alice.patch("/me", json={"board_name": "full"})) == (428, "if_match_required")
    assert (await alice.get("/me")).json()["board_name"] == "hidden"


async def test_a_second_factor_is_set_up_and_asked_for(app: ASGIApp, alice: httpx2.AsyncClient) -> None:
    enrolment = (await alice.post("/me/mfa/totp")).json()
    now = clock.now()
    step = totp.step_of(now)
    assert code_of(await alice.post("/me/mfa/totp/confirm", json={"code": "nonsense"})) == (
        401,
        "identity.second_factor_wrong",
    )
    code = totp.code_at(enrolment["secret"], step)
    assert (await alice.post("/me/mfa/totp/confirm", json={"code": code})).status_code == 200
    codes = (await alice.post("/me/recovery-codes")).json()["codes"]

    async with browser(app) as other:
        due = await other.post("/auth/login", json={"identifier": "alice", "password": PASSWORD})
        assert code_of(due) == (401, "identity.second_factor_required")
        facts = due.json()["facts"]
        assert facts["factors"] == ["totp", "recovery_code"]
        reused = await other.post("/auth/mfa", json={"ticket": facts["ticket"], "code": code})
        assert code_of(reused) == (401, "identity.second_factor_wrong")
        begun = await other.post("/auth/mfa", json={"ticket": facts["ticket"], "code": codes[0]})
        assert begun.status_code == 200
        assert (await other.get("/me")).json()["recovery_codes_left"] == 9


async def test_a_passkey_is_made_opens_the_account_and_goes(app: ASGIApp, alice: httpx2.AsyncClient) -> None:
    key = Authenticator()
    asked = await alice.post("/me/passkeys/options")
    assert asked.status_code == 200, asked.text
    made = {"credential": key.make(asked.json()["public_key"]), "name": "my key"}
    (known,) = (await alice.post("/me/passkeys", json=made)).json()["items"]
    assert (known["name"], known["last_used_at"]) == ("my key", None)
    assert code_of(await alice.post("/me/passkeys", json=made)) == (401, "identity.passkey_invalid")
    assert (await alice.get("/me")).json()["auth_methods"] == ["passkey", "password"]

    async with browser(app) as phone:
        options = (await phone.post("/auth/passkey/options")).json()["public_key"]
        shown = {**key.sign(options), "authenticatorAttachment": "platform", "clientExtensionResults": {}}
        entered = await phone.post("/auth/passkey/verify", json={"credential": shown, "client": "app"})
        assert entered.status_code == 200, entered.text
        bearer = {"authorization": f"Bearer {entered.json()['tokens']['access_token']}"}
        assert (await phone.get("/me", headers=bearer)).json()["username"] == "alice"
        again = await phone.post("/auth/passkey/verify", json={"credential": shown})
        assert code_of(again) == (401, "identity.passkey_invalid")

        due = await phone.post("/auth/login", json={"identifier": "alice", "password": PASSWORD})
        assert due.json()["facts"]["factors"] == ["passkey"]
        options = (await phone.post("/auth/passkey/options")).json()["public_key"]
        proof = {"ticket": due.json()["facts"]["ticket"], "passkey": key.sign(options), "trust_device": True}
        assert (await phone.post("/auth/mfa", json=proof)).status_code == 200
        await log_in(phone)  # on a device that is trusted
        assert code_of(await phone.post("/me/passkeys/options")) == (403, "step_up_required")
        options = (await phone.post("/auth/passkey/options")).json()["public_key"]
        assert (await phone.post("/auth/step-up", json={"passkey": key.sign(options)})).status_code == 200
        assert (await phone.post("/me/passkeys/options")).status_code == 200
    assert (await alice.delete(f"/me/passkeys/{known['id']}")).status_code == 200
    gone = await alice.delete(f"/me/passkeys/{known['id']}")
    assert code_of(gone) == (404, "identity.no_such_passkey")


async def test_devices_addresses_and_history_are_listed_and_a_device_is_forgotten(
    app: ASGIApp, alice: httpx2.AsyncClient
) -> None:
    async with browser(app) as other:
        await log_in(other)
        devices = (await alice.get("/me/devices")).json()["items"]
        assert [(one["sessions"], one["is_current"]) for one in devices] == [(1, False), (1, True)]
        first = (await alice.get("/me/logins?limit=1")).json()
        rest = (await alice.get(f"/me/logins?limit=1&cursor={first['next']}")).json()
        assert [one["city"] for one in (*first["items"], *rest["items"])] == ["Berlin", "Berlin"]
        assert (first["items"] != rest["items"], rest["next"]) == (True, None)
        (address,) = (await alice.get("/me/ips")).json()["items"]
        told = (address["ip"], address["country"], address["seen_count"], address["first_kind"])
        assert told == ("198.51.100.7", "DE", 3, "registration")
        strange = await other.delete(f"/me/devices/{'0' * 8}-0000-0000-0000-{'0' * 12}")
        assert code_of(strange) == (404, "identity.no_such_device")
        assert (await alice.delete(f"/me/devices/{devices[0]['id']}")).status_code == 200
        assert code_of(await other.get("/me")) == (401, "unauthenticated")
        assert (await alice.get("/me")).status_code == 200


async def test_the_console_takes_a_role_a_factor_and_its_own_cookie(
    app: ASGIApp, alice: httpx2.AsyncClient, world: World
) -> None:
    now = clock.now()
    refused = await alice.post("/auth/login", json={"identifier": "alice", "password": PASSWORD, "console": True})
    assert code_of(refused) == (403, "identity.not_staff")
    enrolment = (await alice.post("/me/mfa/totp")).json()
    at = clock.now() - timedelta(seconds=totp.STEP_SECONDS)
    await alice.post("/me/mfa/totp/confirm", json={"code": totp.code_at(enrolment["secret"], totp.step_of(at))})
    async with world.database.begin_system("a test") as tx:
        user = await identity.get(tx, name_or_id="alice")
        await identity.grant_role(tx, user_id=user.id, role="support", reason="helps players", now=now)
    assert code_of(await alice.get("/me")) == (401, "unauthenticated")

    due = await alice.post("/auth/login", json={"identifier": "alice", "password": PASSWORD, "console": True})
    code = totp.code_at(enrolment["secret"], totp.step_of(clock.now()) + 1)
    begun = await alice.post("/auth/mfa", json={"ticket": due.json()["facts"]["ticket"], "code": code})
    console = next(line for line in begun.headers.get_list("set-cookie") if "console" in line)
    assert console.startswith("__Host-palio_console=")
    assert "SameSite=strict" in console
    assert code_of(await alice.get("/me")) == (401, "unauthenticated")
    wrong = await alice.post("/console/identity/step-up", json={"secret": PASSWORD})
    assert code_of(wrong) == (401, "identity.second_factor_wrong")
    assert (await alice.post("/console/identity/log-out")).status_code == 200
    assert code_of(await alice.post("/console/identity/log-out")) == (401, "unauthenticated")


BODIES = {
    "/auth/register": SIGN_UP,
    "/auth/login": {"identifier": "alice", "password": PASSWORD},
    "/auth/password/forgot": {"email": "alice@example.com"},
    "/auth/password/reset": {"token": "x", "password": "y"},
    "/auth/mfa": {"ticket": "x", "code": "1"},
    "/auth/refresh": {"refresh_token": "x"},
    "/auth/verify-email": {"token": "x"},
}


@pytest.mark.parametrize("path", BODIES)
async def test_no_call_takes_a_field_that_it_does_not_know(app: ASGIApp, world: World, path: str) -> None:
    async with browser(app) as client:
        for name in ("is_admin", "status", "role", "user_id", "verified_at", "kind", "id"):
            answer = await client.post(path, json={**BODIES[path], name: "owner"})
            assert answer.status_code == 422, answer.text
            assert [place["code"] for place in answer.json()["errors"]] == ["unknown_field"]
        for body in ({}, [], "x", dict.fromkeys(BODIES[path], 5), dict.fromkeys(BODIES[path])):
            assert (await client.post(path, json=body)).status_code == 422
    assert await world.count("select count(*) from identity.users") == 0
    assert await world.count("select count(*) from identity.login_events") == 0


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("email", "mallory", "email_invalid"),
        ("username", "al ice", "username_invalid"),
        ("password", "password", "password_too_weak"),
        ("time_zone", "Mars/Olympus", "time_zone_invalid"),
        ("locale", "english", "locale_invalid"),
        ("display_name", "\u202eecila", "character_not_allowed"),
        ("full_name", "\u202eecila", "character_not_allowed"),
    ],
)
async def test_a_refusal_points_to_the_member_that_it_blames(
    alice: httpx2.AsyncClient, member: str, value: str, code: str
) -> None:
    application = {"username": "mallory", "email": "mallory@example.com", "password": PASSWORD, member: value}
    answer = await alice.post("/auth/register", json=application)

    assert (answer.status_code, answer.json()["code"]) == (422, f"identity.{code}")
    assert [(place["pointer"], place["code"]) for place in answer.json()["errors"]] == [
        (f"/{member}", f"identity.{code}")
    ]


async def test_wrong_links_and_tokens_are_refused_with_one_answer(app: ASGIApp, world: World) -> None:
    async with browser(app) as client:
        for token in ("", "x", "\u0000", "a" * 300, "../../etc", "' or 1=1 --"):
            answers = [
                await client.post("/auth/verify-email", json={"token": token, "password": PASSWORD}),
                await client.post("/auth/password/reset", json={"token": token, "password": "another good secret"}),
            ]
            assert {answer.status_code for answer in answers} <= {410, 422}
        for header in ("Bearer nonsense", "Bearer palio_nonsense", "Basic YTpi", "Bearer \x7f"):
            answer = await client.get("/me", headers={"authorization": header})
            assert code_of(answer) == (401, "unauthenticated")


async def test_the_fourth_registration_from_an_address_within_an_hour_waits(world: World) -> None:
    async with browser(application(world, Limiter(world.database, bytes(32)))) as client:
        for _ in range(4):  # what is refused is none
            assert code_of(await client.post("/auth/register", json={**SIGN_UP, "password": "password"}))[0] == 422
        answers = [
            await client.post("/auth/register", json={**SIGN_UP, "username": f"name{n}", "email": f"n{n}@example.com"})
            for n in range(4)
        ]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert answers[-1].json()["facts"]["policy"] == "sign-up"
    assert await world.count("select count(*) from identity.users") == 3


async def test_an_account_tells_besides_what_was_named(alice: httpx2.AsyncClient) -> None:
    """Sections of other modules, each once; without them it says its version, and a strange one is refused."""
    plain, more = await alice.get("/me"), await alice.get("/me?include=roles,wallets,links,roles")
    odd = await alice.get("/me?include=wallets,secrets")

    told = more.json()
    assert (plain.json()["included"], plain.headers["etag"]) == ({}, f'"{told["version"]}"')
    assert told["included"] == {"roles": [], "wallets": told["included"]["wallets"], "links": []}
    assert {one["asset"]: one["available"]["amount"] for one in told["included"]["wallets"]} == {
        one["asset"]: 0 for one in told["included"]["wallets"]
    }
    assert more.headers["etag"].startswith("W/")
    assert {**told, "included": {}} == plain.json()
    assert (odd.status_code, odd.json()["errors"][0]["pointer"]) == (422, "/include")


async def test_a_token_is_told_no_section_beyond_its_scopes(
    alice: httpx2.AsyncClient, app: ASGIApp, world: World
) -> None:
    async with world.database.begin_system("a test") as tx:
        user = await identity.get(tx, name_or_id="alice")
        made = await identity.create_token(tx, user_id=user.id, name="game", scopes=["identity:read"], now=clock.now())
    async with browser(app) as program:
        headers = {"authorization": f"Bearer {made.secret}"}
        allowed = await program.get("/me?include=roles", headers=headers)
        refused = await program.get("/me?include=roles,wallets", headers=headers)

    assert allowed.json()["included"] == {"roles": []}
    assert (code_of(refused), refused.json()["facts"]["scope"]) == ((403, "scope_missing"), "ledger:read")


async def test_sections_are_those_that_are_described() -> None:
    assert set(SECTIONS) == set(DESCRIBED)


async def test_own_history_is_narrowed_by_time_and_outcome(alice: httpx2.AsyncClient) -> None:
    whole = (await alice.get("/me/logins?count=exact")).json()
    at = whole["items"][0]["at"]
    counts = [
        (await alice.get("/me/logins", params={"count": "exact", **query})).json()["count"]
        for query in ({"at.gte": at}, {"at.gt": at}, {"at.lte": at}, {"outcome": "success"}, {"outcome.ne": "success"})
    ]
    ips = [
        (await alice.get("/me/ips", params={"count": "exact", **query})).json()["count"]
        for query in ({}, {"last_seen_at.lt": "2020-01-01T00:00:00Z"})
    ]

    assert whole["count"] == len(whole["items"]) > 0
    assert (counts[0] >= 1, counts[1], counts[2]) == (True, counts[1], whole["count"] - counts[1])
    assert counts[3] + counts[4] == whole["count"] and counts[3] >= 1
    assert (ips[0] >= 1, ips[1]) == (True, 0)
