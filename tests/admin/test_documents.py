"""What players are asked to accept, on its page: published, prefilled for the next version, refused by name."""

import pytest

from palio.infra import db
from palio.kernel.ids import new_id
from tests.admin.house import Console, acts_of, form_of

PAGE = "/console/identity/documents"
HELD = "identity.document.publish"


@pytest.fixture
def key() -> str:
    """A name that no other test uses: what is published stays."""
    return f"d{new_id().hex[-12:]}"


async def test_the_page_publishes_versions_and_says_what_is_wrong(console: Console, key: str) -> None:
    async with console.talk(console.staff(console.noor, permissions=HELD)) as noor:

        async def send(**fields: object) -> tuple[int, str]:
            form = form_of((await noor.get(PAGE)).text, PAGE)
            answer = await noor.post(PAGE, data={**form, **fields})
            return answer.status_code, answer.text

        whole = {"key": key, "locale": ["en", "de"], "body": ["# House rules\n\nBe fair.", ""]}
        unsaid = await send(**whole, reason="")
        strange = await send(**{**whole, "locale": ["no such", "de"]}, reason="the first version")
        nameless = await send(**{**whole, "key": "No Such Name"}, reason="the first version")
        done = await send(**whole, reason="the first version")
        again = await send(**whole, reason="the first version")
        page = (await noor.get(PAGE, params={"key": key})).text
        public = (await noor.get(f"/documents/{key}", params={"version": 1})).text

    assert [status for status, _ in (unsaid, strange, nameless, done, again)] == [422, 422, 422, 303, 303]
    assert "Be fair." in unsaid[1] and 'role="alert"' in unsaid[1]
    assert f"Next version of {key}" in page and "# House rules" in page
    assert "<h2>House rules</h2>" in public and "<p>Be fair.</p>" in public
    acts = [act for act in await acts_of(console, "document.publish") if act.entity_id == key]
    assert [(act.reason, act.changes["version"]) for act in acts] == [("the first version", [None, 1])]


async def test_nobody_without_the_permission_sees_the_page(console: Console, key: str) -> None:
    async with console.talk(console.staff(console.noor, permissions="identity.user.read")) as noor:
        answers = [await noor.get(PAGE), await noor.post(PAGE, data={"key": key})]
    assert [one.status_code for one in answers] == [403, 403]
    async with console.begin() as tx:
        assert await db.value(tx, "select count(*) from identity.documents where key = %s", key) == 0
