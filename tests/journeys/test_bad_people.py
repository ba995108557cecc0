"""What people get wrong about themselves and what is theirs, against the whole product: each a refusal with a code.

They come over a socket with the cookies of a real sign-in; after each of them every row is what it was.
"""

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import httpx2
import pytest

from palio import affiliates, identity
from palio.infra import embedded
from palio.kernel import clock
from palio.kernel.ids import new_id
from tests.conftest import PATIENCE_S
from tests.factories import races as made_races
from tests.factories.identity import PASSWORD
from tests.journeys.browser.house import Authenticator, Books, Place, opened
from tests.ui.people import OURS

OTHER = "another good secret"
UNKNOWN = "a" * 43
ALICE = {"username": "mallory", "email": "mallory@example.com", "password": PASSWORD}
PICTURE = "/affiliates/link-requests/{request}/pictures"
OTHER_SITE = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass
class House:
    """A product, whoever asks it (a stranger, alice, staff), and what stands in a table for ids and secrets."""

    place: Place
    callers: dict[str, httpx2.AsyncClient]
    words: dict[str, str]
    before: Books


@pytest.fixture(scope="module")
async def house(
    cluster: embedded.Cluster, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    async with opened(cluster, f"palio_bad_people_{worker_id}", tmp_path_factory.mktemp("data")) as place:
        callers = {
            name: httpx2.AsyncClient(base_url=f"{place.base}", headers=OURS, timeout=PATIENCE_S)
            for name in ("stranger", "alice", "staff")
        }
        words = {"request": "", "race": "", "verified": "", "reset": "", "newer": ""}
        await people(place, callers, words)
        async with place.product.wiring.database.begin_system("a programme and a race") as tx:
            source = await made_races.feed(tx)
            await source.show(tx, clock.now(), {"ann": "100", "bob": "100"})
            alice = await identity.get(tx, name_or_id="alice")
            wish = affiliates.LinkWish(alice.id, "screenshot", source.code, uid="ann")
            words["request"] = str((await affiliates.request_link(tx, wish=wish, now=clock.now())).id)
            race = await made_races.race(
                *(tx, source, clock.now()),
                starts_at=clock.now() + timedelta(days=1),
                ends_at=clock.now() + timedelta(days=2),
                backdated_reason=None,
            )
            words |= {"race": str(race.number), "programme": source.code}
            await identity.add_rule(tx, action="deny", kind="domain", pattern=".refused.example", now=clock.now())
        await place.deliver()
        yield House(place, callers, words, place.books())
        for client in callers.values():
            await client.aclose()


async def people(place: Place, callers: dict[str, httpx2.AsyncClient], words: dict[str, str]) -> None:
    """Alice is signed in, an owner is in the console, bob waits for his letter; their used links are kept."""
    await place.person("alice")
    await place.person("olivia")
    words["verified"] = place.link("verify-email", "alice@example.com")
    for letter in ("reset", "newer"):
        answer = await callers["stranger"].post("/api/v1/auth/password/forgot", json={"email": "alice@example.com"})
        assert answer.status_code == 202
        await place.deliver()
        words[letter] = place.link("reset-password", "alice@example.com")
    reset = {"token": words["newer"], "password": PASSWORD + "!"}
    assert (await callers["stranger"].post("/api/v1/auth/password/reset", json=reset)).status_code == 200
    waiting = {"username": "bob", "email": "bob@example.com", "password": PASSWORD}
    assert (await callers["stranger"].post("/api/v1/auth/register", json=waiting)).status_code == 202
    await place.deliver()
    words["waiting"] = place.link("verify-email", "bob@example.com")
    callers["stranger"].cookies.clear()
    assert (await log_in(callers["alice"], "alice", PASSWORD + "!")).status_code == 200

    staff = callers["staff"]
    async with place.product.wiring.database.begin_system("a test") as tx:
        olivia = await identity.get(tx, name_or_id="olivia")
        await identity.grant_role(tx, user_id=olivia.id, role="owner", reason="for the test", now=clock.now())
    assert (await log_in(staff, "olivia", PASSWORD)).status_code == 200
    phone = Authenticator((await staff.post("/api/v1/me/mfa/totp")).json()["secret"])
    confirmed = await staff.post("/api/v1/me/mfa/totp/confirm", json={"code": await phone.code(place)})
    assert confirmed.status_code == 200, confirmed.text
    asked = (await log_in(staff, "olivia", PASSWORD, console=True)).json()
    proof = {"ticket": asked["facts"]["ticket"], "code": await phone.code(place)}
    assert (await staff.post("/api/v1/auth/mfa", json=proof)).status_code == 200


async def log_in(client: httpx2.AsyncClient, name: str, password: str, **more: object) -> httpx2.Response:
    return await client.post("/api/v1/auth/login", json={"identifier": name, "password": password, **more})


def applying(**change: str) -> tuple[str, str, str, dict[str, object]]:
    return "stranger", "POST", "/auth/register", {"json": {**ALICE, **change}}


def proving(token: str, **more: str) -> tuple[str, str, str, dict[str, object]]:
    return "stranger", "POST", "/auth/verify-email", {"json": {"token": token, **more}}


def resetting(token: str, password: str = OTHER) -> tuple[str, str, str, dict[str, object]]:
    return "stranger", "POST", "/auth/password/reset", {"json": {"token": token, "password": password}}


def picturing(content: bytes | str) -> tuple[str, str, str, dict[str, object]]:
    said = content if isinstance(content, str) else b64encode(content).decode()
    return "alice", "POST", PICTURE, {"json": {"picture": said}}


def acting(path: str, body: dict[str, object], seen: str | None) -> tuple[str, str, str, dict[str, object]]:
    headers = {"idempotency-key": str(new_id())} | ({"if-match": seen} if seen else {})
    return "staff", "POST", f"/console/races/{{race}}{path}", {"json": body, "headers": headers}


WHY = {"reason": "withdrawn by the provider"}
PROFILE = {"display_name": "Ally"}
REFUSED: dict[str, tuple[tuple[str, str, str, dict[str, object]], int, str]] = {
    "a link that nobody sent": (proving(UNKNOWN, password=PASSWORD), 410, "identity.token_invalid"),
    "a link that was used": (proving("{verified}", password=PASSWORD), 410, "identity.token_invalid"),
    "a link for something else": (proving("{reset}", password=PASSWORD), 410, "identity.token_invalid"),
    "the link of somebody else": (proving("{waiting}"), 403, "identity.proof_required"),
    "it with a wrong password": (proving("{waiting}", password=OTHER), 401, "identity.bad_credentials"),
    "a reset that nobody sent": (resetting(UNKNOWN), 410, "identity.token_invalid"),
    "a reset that was used": (resetting("{newer}"), 410, "identity.token_invalid"),
    "a reset that a newer one took the place of": (resetting("{reset}"), 410, "identity.token_invalid"),
    "a reset by a link to prove an address": (resetting("{waiting}"), 410, "identity.token_invalid"),
    "a first owner of a house that has one": (
        ("stranger", "POST", "/auth/first-owner", {"json": {"token": UNKNOWN, "password": OTHER}}),
        *(410, "identity.token_invalid"),
    ),
    "a token of nobody": (("stranger", "GET", "/me", {"headers": {"x-api-token": "palio_x"}}), 401, "unauthenticated"),
    "a short password": (applying(password="1x3y5z7"), 422, "identity.password_too_weak"),
    "a common password": (applying(password="Password123!"), 422, "identity.password_too_weak"),
    "keys in a row": (applying(password="qwertyuiop"), 422, "identity.password_too_weak"),
    "one's own name as a password": (applying(password="xx-MALLORY-1"), 422, "identity.password_too_weak"),
    "a new password that is weak": (
        ("alice", "PUT", "/me/password", {"json": {"current": PASSWORD + "!", "password": "password"}}),
        *(422, "identity.password_too_weak"),
    ),
    "a new password by a wrong one": (
        ("alice", "PUT", "/me/password", {"json": {"current": OTHER, "password": "a banner in the wind"}}),
        *(401, "identity.bad_credentials"),
    ),
    "a taken name": (applying(username="alice"), 409, "identity.username_taken"),
    "a taken name in capitals": (applying(username="ALICE"), 409, "identity.username_taken"),
    "a taken name of somebody who waits": (applying(username="Bob"), 409, "identity.username_taken"),
    "a name in another script": (applying(username="\u0430lice"), 422, "identity.username_invalid"),
    "a name in wide letters": (applying(username="\uff41lice"), 422, "identity.username_invalid"),
    "a shown name that imitates": (
        applying(display_name="\u0430\u04cf\u0456\u0441\u0435"),
        *(409, "identity.name_imitates"),
    ),
    "a shown name of two scripts": (applying(display_name="Al\u0456ce"), 422, "identity.mixed_scripts"),
    "a name with a zero-width space": (applying(username="al\u200bice"), 422, "identity.username_invalid"),
    "a shown name that cannot be seen": (applying(display_name="\u200b" * 5), 422, "identity.character_not_allowed"),
    "a shown name turned round": (applying(display_name="\u202eecila"), 422, "identity.character_not_allowed"),
    "a shown name with a joiner": (applying(display_name="Al\u200dice"), 422, "identity.character_not_allowed"),
    "a name of the house": (applying(username="support"), 422, "identity.username_reserved"),
    "an address that the policy refuses": (
        applying(email="mallory@mail.refused.example"),
        *(422, "identity.email_not_allowed"),
    ),
    "it in capitals": (applying(email="MALLORY@Mail.Refused.Example"), 422, "identity.email_not_allowed"),
    "an address that is none": (applying(email="mallory"), 422, "identity.email_invalid"),
    "an address with a zero-width space": (applying(email="mal\u200blory@example.com"), 422, "identity.email_invalid"),
    "a profile that another site sends": (
        ("alice", "PATCH", "/me", {"json": PROFILE, "headers": {**OTHER_SITE, "if-match": '"2"'}}),
        *(403, "csrf_rejected"),
    ),
    "a form without a token": (
        ("alice", "POST", "//account/privacy", {"content": "board_name=hidden&version=2", "headers": FORM}),
        *(403, "csrf_rejected"),
    ),
    "a form with a wrong token": (
        (
            *("alice", "POST", "//account/privacy"),
            {"content": f"board_name=hidden&version=2&csrf_token={'00' * 64}", "headers": FORM},
        ),
        *(403, "csrf_rejected"),
    ),
    "an act of staff that another site sends": (
        ("staff", "POST", "/console/races/{race}/cancel", {"json": WHY, "headers": {**OTHER_SITE, "if-match": '"1"'}}),
        *(403, "csrf_rejected"),
    ),
    "a profile that nobody looked at": (("alice", "PATCH", "/me", {"json": PROFILE}), 428, "if_match_required"),
    "a profile as it was": (
        ("alice", "PATCH", "/me", {"json": PROFILE, "headers": {"if-match": '"1"'}}),
        *(412, "version_mismatch"),
    ),
    "a race as it was": (acting("/cancel", {**WHY}, '"77"'), 412, "version_mismatch"),
    "a race that nobody looked at": (acting("/cancel", {**WHY}, None), 428, "if_match_required"),
    "a version that is none": (acting("/cancel", {**WHY}, "yesterday"), 412, "version_mismatch"),
    "a picture that is a page": (picturing(b"<svg onload='x'/>"), 422, "file.not_a_picture"),
    "a picture of half its bytes": (picturing(b"\x89PNG\r\n\x1a\n" + bytes(40)), 422, "file.not_a_picture"),
    "a picture of nothing": (picturing(b""), 422, "file.not_a_picture"),
    "a picture that is no base64": (picturing("not base64!"), 422, "validation_failed"),
    "a link to a player nobody knows": (
        (
            *("alice", "POST", "/affiliates/link-requests"),
            {"json": {"programme": "{programme}", "uid": "nobody", "proof": "other"}},
        ),
        *(422, "affiliates.player_unknown"),
    ),
    "a second request": (
        (
            *("alice", "POST", "/affiliates/link-requests"),
            {"json": {"programme": "{programme}", "uid": "bob", "proof": "other"}},
        ),
        *(409, "affiliates.request_open"),
    ),
}


@pytest.mark.parametrize(("asked", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_wrong_is_refused_by_name_and_changes_nothing(
    house: House, asked: tuple[str, str, str, dict[str, object]], status: int, code: str
) -> None:
    who, method, path, more = asked
    address = filled(path, house.words)
    address = address[1:] if address.startswith("//") else f"/api/v1{address}"

    answer = await house.callers[who].request(method, address, **filled(more, house.words))

    assert answer.status_code == status, answer.text
    if answer.headers["content-type"].startswith("text/html"):
        assert code.replace("_", " ").lower() in answer.text.lower()
    else:
        assert answer.json()["code"] == code, answer.text
        assert answer.json()["detail"]
    assert changed(house) == []


def filled(value, words: dict[str, str]):  # type: ignore[no-untyped-def]  # whatever a request is made of
    """The same with the words of this house in the place of their names."""
    if isinstance(value, dict):
        return {name: filled(part, words) for name, part in value.items()}
    if isinstance(value, str):
        for name, word in words.items():
            value = value.replace(f"{{{name}}}", word)
    return value


def changed(house: House) -> list[str]:
    """The tables that are not what they were."""
    after = house.place.books()
    return [name for name in after if after[name] != house.before[name]]
