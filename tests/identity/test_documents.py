"""What players are asked to accept: published by staff, accepted at registration, read as it was accepted."""

import asyncio
from datetime import datetime

import pytest

from palio import identity
from palio.identity import rules, service
from palio.identity.types import Needed
from palio.infra import db
from palio.kernel import clock
from tests.factories.identity import HOME, PASSWORD, World
from tests.identity.test_looks import desk, employed
from tests.identity.test_web import SIGN_UP, application, browser, code_of

HERE = "/console/identity/documents"
TEXTS = {"en": "# Terms of play\n\nBe fair.", "de": "# Regeln\n\nSeid anständig."}
WANTED = {"key": "terms", "texts": TEXTS, "acceptance_required": True, "reason": "the first version"}
NEEDED = [Needed("privacy", 2, 1, "Privacy"), Needed("terms", 4, 3, "Terms")]


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, ["privacy", "terms"]),
        ({"privacy": 1, "terms": 2}, ["terms"]),
        ({"privacy": 2, "terms": 5}, ["terms"]),
        ({"privacy": 0, "terms": 3}, ["privacy"]),
        ({"privacy": 1, "terms": 3}, None),
        ({"privacy": 2, "terms": 4, "more": 1}, None),
    ],
)
def test_a_consent_counts_from_the_version_that_binds_to_the_newest(
    given: dict[str, int], missing: list[str] | None
) -> None:
    if missing is None:
        rules.documents.require_consents(NEEDED, given)
        return
    with pytest.raises(identity.ConsentRequired) as refused:
        rules.documents.require_consents(NEEDED, given)
    assert refused.value.facts == {"documents": missing}


@pytest.mark.parametrize("locales", [[], ["no such"], ["en", ""]])
def test_a_document_has_a_text_and_each_a_language(locales: list[str]) -> None:
    with pytest.raises(identity.TextLanguageInvalid):
        rules.documents.require_languages(locales)
    rules.documents.require_languages(["en", "pt-BR"])


async def test_staff_publish_a_version_and_the_same_again_publishes_nothing(world: World) -> None:
    staff = await employed(world, "olga", "admin", clock.now())
    async with desk(world, staff) as client:
        first = await client.post(HERE, json=WANTED)
        again = await client.post(HERE, json=WANTED)
        corrected = {**WANTED, "texts": {**TEXTS, "en": "# Terms of play\n\nBe very fair."}}
        second = await client.post(HERE, json={**corrected, "acceptance_required": False})
        listed = (await client.get(HERE)).json()["items"]
        old = await client.get("https://palio.test/documents/terms", params={"version": 1})
    async with world.database.begin_system("a test") as tx:
        audited = await db.value(tx, "select count(*) from infra.audit_rows where action = 'document.publish'")

    assert [(one.status_code, one.json()["version"]) for one in (first, again, second)] == [
        (201, 1),
        (201, 1),
        (201, 2),
    ]
    assert [(one["version"], one["locales"], one["acceptance_required"]) for one in listed] == [
        (2, ["de", "en"], False),
        (1, ["de", "en"], True),
    ]
    assert "<h2>Terms of play</h2>" in old.text and "Be fair." in old.text
    assert audited == 2


async def test_nobody_without_the_permission_publishes(world: World) -> None:
    staff = await employed(world, "stella", "support", clock.now())
    async with desk(world, staff) as client:
        answers = [await client.get(HERE), await client.post(HERE, json=WANTED)]
    assert [code_of(one) for one in answers] == [(403, "permission_missing")] * 2
    assert await world.count("select count(*) from identity.documents") == 0


async def test_whoever_registers_accepts_what_binds_before_his_address_is_judged(world: World, noon: datetime) -> None:
    async with world.database.begin_system("a test") as tx:
        for key, required in (("terms", True), ("hints", False)):
            await identity.publish_document(tx, key=key, texts=TEXTS, acceptance_required=required, now=noon)
    async with browser(application(world)) as stranger:
        page = await stranger.get("https://palio.test/sign-up")
        without = await stranger.post("/auth/register", json={**SIGN_UP, "email": "no address"})
        later = {"document": "terms", "version": 2}
        unknown = await stranger.post("/auth/register", json={**SIGN_UP, "consents": [later]})
        accepted = [{"document": "terms", "version": 1}, {"document": "hints", "version": 1}]
        taken = await stranger.post("/auth/register", json={**SIGN_UP, "consents": accepted})

    assert 'value="terms:1" required' in page.text and "Terms of play" in page.text and "hints" not in page.text
    assert [(one.json()["code"], one.json()["facts"]["documents"]) for one in (without, unknown)] == [
        ("identity.consent_required", ["terms"])
    ] * 2
    assert taken.status_code == 202
    async with world.database.begin_system("a test") as tx:
        user = await identity.get(tx, name_or_id="alice")
        found = await service.documents.consents_of(tx, user_id=user.id)
    assert [(one.document_key, one.version, one.withdrawn_at) for one in found] == [("terms", 1, None)]


async def test_the_page_of_registration_sends_what_was_ticked(world: World, noon: datetime) -> None:
    async with world.database.begin_system("a test") as tx:
        await identity.publish_document(tx, key="terms", texts=TEXTS, acceptance_required=True, now=noon)
    async with browser(application(world)) as stranger:
        address = "https://palio.test/sign-up"
        form = (await stranger.get(address)).text
        token = form.partition('name="csrf_token" value="')[2].partition('"')[0]
        typed = {"csrf_token": token, "username": "alice", "email": "alice@example.com", "password": PASSWORD}
        unticked = await stranger.post(address, data=typed)
        ticked = await stranger.post(address, data={**typed, "accept": "terms:1"})
    assert (unticked.status_code, "Without these nobody gets an account" in unticked.text) == (403, True)
    assert (ticked.status_code, ticked.headers["location"]) == (303, "/sign-up/sent")
    assert await world.count("select count(*) from identity.consents") == 1


async def test_two_who_publish_at_once_make_two_versions_or_one(world: World, noon: datetime) -> None:
    """Different texts are two versions with numbers of their own; the same text is one."""

    async def publish(words: str) -> int:
        async with world.database.begin_system("a test") as tx:
            texts = {"en": words}
            return await identity.publish_document(tx, key="terms", texts=texts, acceptance_required=True, now=noon)

    assert sorted(await asyncio.gather(*(publish(f"text {n}") for n in range(8)))) == list(range(1, 9))
    assert len(set(await asyncio.gather(*(publish("the same") for _ in range(8))))) == 1


async def test_an_application_of_a_known_address_leaves_no_consent(world: World, noon: datetime) -> None:
    await world.player("alice", noon)
    async with world.database.begin_system("a test") as tx:
        await identity.publish_document(tx, key="terms", texts=TEXTS, acceptance_required=True, now=noon)
    known = identity.Application("mallory", "alice@example.com", PASSWORD, consents=(("terms", 1),))
    await identity.register(world.house, application=known, visitor=HOME, now=noon)
    assert await world.count("select count(*) from identity.consents") == 0
