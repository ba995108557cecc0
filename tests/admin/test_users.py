"""Accounts in the console: found by what is sealed, read without it, corrected and suspended by who may."""

import re
from typing import Any
from uuid import UUID

import pytest

from palio import identity
from palio.identity import personal, sql
from palio.identity.service import avatars, phones, sessions
from palio.identity.types import EmailId, Visitor
from palio.infra import crypto, db
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from tests.admin.house import Console, acts_of, form_of

CALL = "/api/v1/console/identity/users"
WHY = "several accounts of one person"
ALL = (
    "admin.card.read identity.user.read identity.user.edit identity.user.suspend identity.user.reveal"
    " identity.user.note identity.user.impersonate"
)


async def somebody(console: Console, *, email: str | None = None, ip: str | None = None) -> UserId:
    """An account, with an address that is not proven, and once signed in from somewhere."""
    async with console.begin() as tx:
        user = await identity.create(tx, username=f"u{new_id().hex[-12:]}", now=clock.now())
        if email:
            email_id = EmailId(new_id())
            sealed = await crypto.seal(tx, email, personal.place_of_email(email_id, user.id))
            index, normal = personal.email_index(tx, email), personal.normal_index(tx, email)
            await sql.contacts.insert_email(
                tx, email_id, user.id, address=sealed, index=index, normal=normal, now=clock.now()
            )
        if ip:
            await sessions.note_network(tx, user_id=user.id, visitor=Visitor(ip), kind="login", now=clock.now())
    return user.id


async def stands(console: Console, user_id: UserId) -> tuple[str, str, str | None]:
    user = await console.named(user_id)
    return user.status, user.display_name, user.country


async def test_people_are_found_by_a_name_an_id_and_by_sealed_addresses_as_a_whole(console: Console) -> None:
    user = await somebody(console, email="Pia.Lund@example.com".lower(), ip="203.0.113.77")
    name = (await console.named(user)).username
    async with console.talk(console.staff(console.noor, permissions=ALL)) as noor:

        async def found(text: str) -> list[str]:
            answer = await noor.get(CALL, params={"q": text})
            assert answer.status_code == 200, answer.text
            return [one["id"] for one in answer.json()["items"]]

        for text in (name[:8], str(user), "Pia.Lund@Example.com", "203.0.113.77"):
            assert str(user) in await found(text), text
        for text in ("pia.lund@example.co", "203.0.113.7", "@example.com", "lund@", "%%"):
            assert await found(text) == [], text
        page = (await noor.get("/console/people", params={"q": "pia.lund@example.com"})).text
        read = await noor.get(f"{CALL}/{user}")
        shown = (await noor.get(f"/console/identity/users/{user}")).text
        card = (await noor.get(f"/console/people/{user}")).text

    assert name in page
    assert (read.status_code, len(read.json()["emails"]), len(read.json()["seen_from"])) == (200, 1, 1)
    for text in (read.text, shown, card):
        assert "pia.lund" not in text
        assert "203.0.113" not in text
    assert f"/console/identity/users/{user}" in card


async def test_without_a_word_everybody_is_listed_who_came_last_first(console: Console) -> None:
    """Page by page, forward and back, each of them once, also while others come."""
    last = [await somebody(console) for _ in range(3)][::-1]
    async with console.talk(console.staff(console.noor, permissions=ALL)) as noor:

        async def page(cursor: str | None) -> dict[str, Any]:
            answer = await noor.get(CALL, params={"limit": 2, **({"cursor": cursor} if cursor else {})})
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        first = await page(None)
        await somebody(console)
        pages = [first]
        while pages[-1]["next"]:
            pages.append(await page(pages[-1]["next"]))
        back = await page(pages[1]["prev"])
        shown = (await noor.get("/console/people", params={"limit": 2})).text
        older = re.search(r'rel="next" href="([^"]+)"', shown)
        more = (await noor.get(f"/console/people{older[1] if older else ''}")).text

    seen = [UUID(one["id"]) for each in pages for one in each["items"]]
    assert (seen[:3], len(set(seen))) == (last, len(seen))
    assert {console.noor, console.sana} <= {*seen}
    assert (first["prev"] is not None, back["items"]) == (False, first["items"])
    assert (f"/console/people/{last[0]}" in shown, f"/console/people/{last[1]}" in more) == (True, True)


async def test_an_account_is_corrected_and_the_same_again_changes_nothing(console: Console) -> None:
    user = await somebody(console)
    said = {"display_name": "Pia Lund", "country": "SE", "reason": "she asked for it"}
    async with console.talk(console.staff(console.noor, permissions=ALL)) as noor:
        tag = (await noor.get(f"{CALL}/{user}")).headers["etag"]
        done = await noor.patch(f"{CALL}/{user}", json=said, headers={"If-Match": tag})
        stale = await noor.patch(f"{CALL}/{user}", json={**said, "country": "DE"}, headers={"If-Match": tag})
        tag = done.headers["etag"]
        again = await noor.patch(f"{CALL}/{user}", json=said, headers={"If-Match": tag})

    assert (done.status_code, done.json()["display_name"], done.json()["country"]) == (200, "Pia Lund", "SE")
    assert (stale.status_code, stale.json()["code"]) == (412, "version_mismatch")
    assert (again.status_code, again.headers["etag"]) == (200, tag)
    acts = [act for act in await acts_of(console, "user.correct") if act.entity_id == str(user)]
    assert [(act.changes["country"], act.reason) for act in acts] == [([None, "SE"], "she asked for it")]


async def test_an_account_is_suspended_and_let_in_again_over_http_and_by_forms(console: Console) -> None:
    user = await somebody(console)
    page = f"/console/identity/users/{user}"
    async with console.talk(console.staff(console.noor, permissions=ALL)) as noor:
        done = await noor.post(f"{CALL}/{user}/suspend", json={"reason": WHY, "until": "2031-05-01T12:00:00Z"})
        longer = await noor.post(f"{CALL}/{user}/suspend", json={"reason": WHY})
        shown = (await noor.get(page)).text
        back = await noor.post(f"{CALL}/{user}/reinstate", json={"reason": "he was right"})
        twice = await noor.post(f"{CALL}/{user}/reinstate", json={"reason": "he was right"})
        form = await noor.get(f"{page}/suspend")
        short = await noor.post(f"{page}/suspend", data={**form_of(form.text, f"{page}/suspend"), "reason": "no"})
        sent = {**form_of(short.text, f"{page}/suspend"), "reason": WHY, "until": "2031-05-01T12:00"}
        formed = await noor.post(f"{page}/suspend", data=sent)
        between = await stands(console, user)
        form = await noor.get(f"{page}/reinstate")
        let_in = await noor.post(f"{page}/reinstate", data={**form_of(form.text, f"{page}/reinstate"), "reason": WHY})

    assert (done.status_code, done.json()["until"]) == (200, "2031-05-01T12:00:00.000000Z")
    assert (longer.json()["until"], WHY in shown) == (None, True)
    assert (back.json()["status"], twice.status_code, twice.json()["code"]) == (
        "active",
        409,
        "identity.not_suspendable",
    )
    assert (short.status_code, 'role="alert"' in short.text, formed.status_code, between[0]) == (
        422,
        True,
        303,
        "suspended",
    )
    assert (let_in.status_code, (await stands(console, user))[0]) == (303, "active")


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("PATCH", "", {"display_name": "Somebody Else", "reason": WHY}),
        ("POST", "/suspend", {"reason": WHY}),
        ("POST", "/reinstate", {"reason": WHY}),
        ("POST", "/reveal", {"name": "full_name", "reason": WHY}),
        ("POST", "/impersonate", {"reason": WHY}),
    ],
)
async def test_who_may_not_changes_nothing(console: Console, method: str, path: str, said: dict[str, Any]) -> None:
    """Without the permission, the second factor, a fresh proof, or as oneself."""
    user = await somebody(console)
    before = await stands(console, user)
    address = f"{CALL}/{user}{path}"
    codes = []
    for permissions, more, whom in (
        ("identity.user.read", {}, user),
        (ALL, {"mfa": False}, user),
        (ALL, {"step_up": False}, user),
        (ALL, {}, console.noor),
    ):
        headers = {**console.staff(console.noor, permissions=permissions), "If-Match": '"1"'}
        if more.get("mfa") is False:
            headers.pop("test-mfa")
        if more.get("step_up") is False:
            headers.pop("test-step-up")
        async with console.talk(headers) as noor:
            answer = await noor.request(method, address.replace(str(user), str(whom)), json=said)
        codes.append(answer.json()["code"])

    assert codes == ["permission_missing", "mfa_required", "step_up_required", "identity.own_account"]
    assert await stands(console, user) == before


async def test_a_sealed_value_stands_open_on_the_page_of_whoever_read_it(console: Console) -> None:
    user = await somebody(console, email="olga@example.com")
    page = f"/console/identity/users/{user}"
    async with console.talk(console.staff(console.noor, permissions=ALL)) as noor:
        email_id = (await noor.get(f"{CALL}/{user}")).json()["emails"][0]["id"]
        address = f"{page}/reveal?name=email&id={email_id}"
        assert address.replace("&", "&amp;") in (await noor.get(page)).text
        form = form_of((await noor.get(address)).text, f"{page}/reveal")
        short = await noor.post(f"{page}/reveal", data={**form, "reason": "why"})
        form = form_of(short.text, f"{page}/reveal")
        done = await noor.post(f"{page}/reveal", data={**form, "reason": "she cannot get in"})
        shown = (await noor.get(page)).text
        called = await noor.post(f"{CALL}/{user}/reveal", json={"name": "email", "id": email_id, "reason": WHY})
        missing = await noor.post(f"{CALL}/{user}/reveal", json={"name": "full_name", "reason": WHY})
    async with console.talk(console.staff(console.sana, permissions=ALL)) as sana:
        others = (await sana.get(page)).text

    assert (short.status_code, 'role="alert"' in short.text) == (422, True)
    assert (done.status_code, done.headers["location"], "olga@example.com" in shown) == (303, f"{page}#sealed", True)
    assert (called.json()["value"], missing.json()["code"]) == ("olga@example.com", "identity.nothing_sealed")
    assert "olga@example.com" not in others
    acts = [act for act in await acts_of(console, "user.reveal") if act.entity_id == str(user)]
    assert [(act.changes, act.reason) for act in acts] == [
        ({"email": ["•", "•"]}, WHY),
        ({"email": ["•", "•"]}, "she cannot get in"),
    ]


async def test_notes_are_written_and_read_by_the_staff(console: Console) -> None:
    user = await somebody(console)
    page = f"/console/identity/users/{user}"
    async with console.talk(console.staff(console.noor, permissions=ALL)) as noor:
        said = await noor.post(f"{CALL}/{user}/notes", json={"body": "plays from two phones"})
        empty = await noor.post(f"{CALL}/{user}/notes", json={"body": " "})
        form = form_of((await noor.get(f"{page}/note")).text, f"{page}/note")
        formed = await noor.post(f"{page}/note", data={**form, "body": "answers politely"})
        listed = (await noor.get(f"{CALL}/{user}/notes")).json()["items"]
        shown = (await noor.get(page)).text
    async with console.talk(console.staff(console.noor, permissions="identity.user.read")) as reader:
        denied = await reader.post(f"{CALL}/{user}/notes", json={"body": "mine"})

    assert (said.status_code, empty.status_code, empty.json()["code"]) == (201, 422, "identity.note_invalid")
    assert (formed.status_code, denied.json()["code"]) == (303, "permission_missing")
    assert [one["body"] for one in listed] == ["answers politely", "plays from two phones"]
    assert "answers politely" in shown


async def test_a_telephone_number_is_read_on_the_page_like_every_sealed_value(console: Console) -> None:
    user = await somebody(console)
    page, number = f"/console/identity/users/{user}", "+4915199887766"
    async with console.begin() as tx:
        await phones.link(tx, user_id=user, number=number, now=clock.now())
    async with console.talk(console.staff(console.noor, permissions=ALL)) as noor:
        phone_id = (await noor.get(f"{CALL}/{user}")).json()["phones"][0]["id"]
        before = (await noor.get(page)).text
        address = f"{page}/reveal?name=phone&id={phone_id}"
        asked = (await noor.get(address)).text
        form = form_of(asked, f"{page}/reveal")
        done = await noor.post(f"{page}/reveal", data={**form, "reason": "she cannot get in"})
        shown = (await noor.get(page)).text

    assert address.replace("&", "&amp;") in before and number not in before
    assert "Telephone number" in asked
    assert (done.status_code, number in shown) == (303, True)


async def test_a_picture_is_seen_and_removed_on_its_page(console: Console) -> None:
    user = await somebody(console)
    page, key = f"/console/identity/users/{user}", new_id().hex
    async with console.begin() as tx:
        await db.run(tx, "insert into identity.avatar_files values (%s, %s, now())", key, user)
        await avatars.show(tx, user_id=user, key=key, now=clock.now())
    async with console.talk(console.staff(console.noor, permissions=ALL)) as noor:
        before = (await noor.get(page)).text
        form = form_of((await noor.get(f"{page}/avatar")).text, f"{page}/avatar")
        short = await noor.post(f"{page}/avatar", data={**form, "reason": "why"})
        form = form_of(short.text, f"{page}/avatar")
        done = await noor.post(f"{page}/avatar", data={**form, "reason": "a picture of somebody else"})
        after = (await noor.get(page)).text
    async with console.talk(console.staff(console.noor, permissions="identity.user.read")) as reader:
        denied = await reader.get(f"{page}/avatar")

    assert f'src="/media/{key}"' in before and f"{page}/avatar" in before
    assert (short.status_code, done.status_code, f"/media/{key}" in after, denied.status_code) == (422, 303, False, 403)
