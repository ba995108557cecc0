"""The e-mail policy in the console: rules added, changed by their version, tried and replaced by a preset."""

from collections.abc import AsyncIterator

import pytest

from palio import identity
from palio.identity.types import EMAIL_DEFAULT
from palio.infra import db, settings
from palio.kernel import clock
from tests.admin.house import Console, acts_of, form_of

CALL, PAGE = "/api/v1/console/identity/email-rules", "/console/identity/email-rules"
HELD = "identity.user.read identity.email_rule.edit admin.setting.read"
RULE = {"action": "deny", "kind": "domain", "pattern": ".example.org", "note": "throwaway", "reason": "spam from there"}


@pytest.fixture(autouse=True)
async def no_rules(console: Console) -> AsyncIterator[None]:
    yield
    async with console.begin() as tx:
        await db.run(tx, "delete from identity.email_rules")
        await settings.change(tx, tx.actor, [settings.Change(EMAIL_DEFAULT, "allow")], "the test is over")
    async with console.begin() as tx:
        await settings.snapshot.load(tx)


async def rules_of(console: Console) -> list[tuple[str, bool]]:
    async with console.begin() as tx:
        return [(one.pattern, one.enabled) for one in await identity.list_rules(tx)]


async def test_rules_are_added_tried_changed_and_removed(console: Console) -> None:
    async with console.talk(console.staff(console.noor, permissions=HELD)) as noor:
        made = await noor.post(CALL, json=RULE)
        one = f"{CALL}/{made.json()['id']}"
        wanted = {"addresses": ["pia@mail.example.org", "Pia@Example.com", "nobody"]}
        tried = [each["verdict"] for each in (await noor.post(f"{CALL}/test", json=wanted)).json()["items"]]
        off = await noor.put(one, json={**RULE, "enabled": False}, headers={"If-Match": made.headers["etag"]})
        again = [each["verdict"] for each in (await noor.post(f"{CALL}/test", json=wanted)).json()["items"]]
        stale = await noor.put(one, json=RULE, headers={"If-Match": made.headers["etag"]})
        unsafe = await noor.post(CALL, json={**RULE, "kind": "regex", "pattern": "(a+)+@x.org"})
        listed = await rules_of(console)
        gone = await noor.delete(one, params={"reason": "not needed"}, headers={"If-Match": off.headers["etag"]})

    assert (made.status_code, tried) == (201, ["identity.email_not_allowed", "allowed", "identity.email_invalid"])
    assert (off.json()["enabled"], again[0]) == (False, "allowed")
    assert (stale.status_code, stale.json()["code"]) == (412, "version_mismatch")
    assert (unsafe.status_code, unsafe.json()["code"]) == (422, "identity.pattern_unsafe")
    assert (listed, gone.json()["items"], await rules_of(console)) == ([(".example.org", False)], [], [])
    acts = [act.reason for act in await acts_of(console, "email_rule.change")]
    assert acts[0] == "spam from there"


async def test_a_rule_of_a_list_names_one_that_an_operator_has_loaded(console: Console) -> None:
    rule = {**RULE, "kind": "domain_file", "pattern": "throwaway"}
    async with console.talk(console.staff(console.noor, permissions=HELD)) as noor:
        unknown = await noor.post(CALL, json=rule)
        async with console.begin() as tx:
            lines = ["mailinator.com"]
            await identity.load_domains(tx, name="throwaway", lines=lines, now=clock.now(), reason="a test")
        made = await noor.post(CALL, json=rule)
        tried = await noor.post(f"{CALL}/test", json={"addresses": ["pia@mailinator.com"]})
        page = (await noor.get(PAGE)).text

    assert (unknown.status_code, unknown.json()["code"]) == (422, "identity.pattern_invalid")
    assert (made.status_code, made.json()["kind"]) == (201, "domain_file")
    assert tried.json()["items"][0]["verdict"] == "identity.email_not_allowed"
    assert "list of domains" in page


async def test_the_preset_admits_students_alone(console: Console) -> None:
    students = ["21f1006194@ds.study.iitm.ac.in", "21F1006194@DS.study.iitm.ac.in"]
    others = [
        *("21f100619@ds.study.iitm.ac.in", "21g1006194@ds.study.iitm.ac.in", "21f1006194@gmail.com"),
        "x21f1006194@ds.study.iitm.ac.in",
    ]
    async with console.talk(console.staff(console.noor, permissions=HELD)) as noor:
        used = await noor.post(f"{CALL}/preset", json={"preset": "iitm", "reason": "students only"})
        async with console.begin() as tx:
            await settings.snapshot.load(tx)
        tried = (await noor.post(f"{CALL}/test", json={"addresses": [*students, *others]})).json()["items"]

    assert (used.status_code, used.json()["default"]) == (200, "deny")
    assert [one["verdict"] for one in tried] == ["allowed"] * 2 + ["identity.email_not_allowed"] * 4


async def test_the_page_adds_tries_and_removes(console: Console) -> None:
    async with console.talk(console.staff(console.noor, permissions=HELD)) as noor:
        form = form_of((await noor.get(PAGE)).text, f"{PAGE}/add")
        wrong = await noor.post(f"{PAGE}/add", data={**form, **RULE, "kind": "domain", "pattern": "no domain"})
        form = form_of(wrong.text, f"{PAGE}/add")
        added = await noor.post(f"{PAGE}/add", data={**form, **RULE})
        tried = (await noor.get(PAGE, params={"try": "pia@mail.example.org\nada@example.com"})).text
        block = (await noor.get(PAGE, params={"try": "ada@example.com"}, headers={"HX-Request": "true"})).text
        async with console.begin() as tx:
            (rule,) = await identity.list_rules(tx)
        form = form_of(tried, f"{PAGE}/{rule.id}")
        off = await noor.post(f"{PAGE}/{rule.id}", data={**form, "act": "off", "reason": "not now"})
        between = await rules_of(console)
        form = form_of((await noor.get(PAGE)).text, f"{PAGE}/{rule.id}")
        gone = await noor.post(f"{PAGE}/{rule.id}", data={**form, "act": "remove", "reason": "not needed"})

    assert (wrong.status_code, 'role="alert"' in wrong.text, added.status_code) == (422, True, 303)
    assert ("refused" in tried, "admitted" in tried) == (True, True)
    assert ("<html" in block, "admitted" in block) == (False, True)
    assert (off.status_code, between, gone.status_code, await rules_of(console)) == (
        303,
        [(".example.org", False)],
        303,
        [],
    )


async def test_who_may_not_changes_no_rule(console: Console) -> None:
    codes = []
    for permissions, less in (("identity.user.read", ""), (HELD, "test-mfa"), (HELD, "test-step-up")):
        headers = {
            key: value for key, value in console.staff(console.noor, permissions=permissions).items() if key != less
        }
        async with console.talk(headers) as noor:
            codes.append((await noor.post(CALL, json=RULE)).json()["code"])

    assert (codes, await rules_of(console)) == (["permission_missing", "mfa_required", "step_up_required"], [])
