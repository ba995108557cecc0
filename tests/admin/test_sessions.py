"""Sessions of others: staff see them without addresses, end one or all with a reason, and nobody else does."""

from collections.abc import Sequence

import pytest

from palio import identity
from palio.identity.service import sessions
from palio.identity.types import Visitor
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from tests.admin.house import Console, acts_of, form_of

LOOKS = "admin.card.read identity.user.read"
ENDS = f"{LOOKS} identity.session.end"
SOMEWHERE = Visitor("198.51.100.7", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")


async def signed_in(console: Console, times: int) -> tuple[UserId, list[str]]:
    """Somebody who is signed in so often, and the cookies of it."""
    async with console.begin() as tx:
        user = await identity.create(tx, username=f"u{new_id().hex[-12:]}", now=clock.now())
        begun = [
            await sessions.begin_session(
                tx,
                user_id=user.id,
                kind="browser",
                method="password",
                visitor=SOMEWHERE,
                with_factor=False,
                now=clock.now(),
            )
            for _ in range(times)
        ]
    return user.id, [one.cookie or "" for one in begun]


async def recognised(console: Console, cookies: Sequence[str]) -> list[bool]:
    async with console.begin() as tx:
        found = [
            await sessions.authenticate(tx, presented=identity.Presented("cookie", cookie), now=clock.now())
            for cookie in cookies
        ]
    return [one is not None and one.ended_at is None for one in found]


async def test_staff_see_sessions_without_addresses_and_end_one_or_all_of_them(console: Console) -> None:
    """The audit says who did it, to whom, and why."""
    user, cookies = await signed_in(console, 3)
    path = f"/api/v1/console/identity/users/{user}/sessions"
    async with console.talk(console.staff(console.noor, permissions=ENDS)) as noor:
        listed = (await noor.get(path)).json()["items"]
        last = listed[0]["id"]
        wordless = await noor.post(f"{path}/end", json={"session_id": last, "reason": "why"})
        before = await recognised(console, cookies)
        one = await noor.post(f"{path}/end", json={"session_id": last, "reason": "a phone that was lost"})
        again = await noor.post(f"{path}/end", json={"session_id": last, "reason": "a phone that was lost"})
        rest = await noor.post(f"{path}/end", json={"reason": "the password was told"})
    async with console.talk(console.staff(console.noor, permissions=LOOKS)) as reader:
        denied = await reader.post(f"{path}/end", json={"reason": "the password was told"})

    assert {(each["device"], each["ip"], each["is_current"]) for each in listed} == {("Firefox on Linux", None, False)}
    assert (wordless.status_code, wordless.json()["code"], before) == (422, "approval.reason_missing", [True] * 3)
    assert (one.json(), again.status_code, again.json()["code"]) == ({"ended": 1}, 404, "identity.no_such_session")
    assert (rest.json(), denied.status_code, await recognised(console, cookies)) == ({"ended": 2}, 403, [False] * 3)
    acts = [act for act in await acts_of(console, "session.end") if act.subject_user_id == user]
    assert [(act.actor_id, act.changes, act.reason) for act in acts] == [
        (console.noor, {"sessions": [2, 0]}, "the password was told"),
        (console.noor, {"session": [last, None]}, "a phone that was lost"),
    ]


async def test_the_card_ends_sessions_by_its_forms(console: Console) -> None:
    user, cookies = await signed_in(console, 2)
    page, action = f"/console/people/{user}", f"/console/people/{user}/sessions/end"
    async with console.talk(console.staff(console.noor, permissions=ENDS)) as noor:
        fields = form_of((await noor.get(page)).text, action)
        short = await noor.post(action, data={**fields, "reason": "why"})
        before = await recognised(console, cookies)
        fields = form_of(short.text, action)
        done = await noor.post(action, data={**fields, "reason": "a phone that was lost"})
        twice = await noor.post(action, data={**fields, "reason": "a phone that was lost"})
    async with console.talk(console.staff(console.noor, permissions=LOOKS)) as reader:
        bare = (await reader.get(page)).text

    assert (short.status_code, 'role="alert"' in short.text, before) == (422, True, [True, True])
    assert (done.status_code, twice.status_code, sorted(await recognised(console, cookies))) == (
        303,
        303,
        [False, True],
    )
    assert ("Firefox on Linux" in bare, action in bare, SOMEWHERE.ip in bare) == (True, False, False)


@pytest.mark.parametrize("permissions", ["admin.card.read", "identity.session.end"])
async def test_who_may_not_look_people_up_sees_no_sessions(console: Console, permissions: str) -> None:
    user, _ = await signed_in(console, 1)
    async with console.talk(console.staff(console.noor, permissions=permissions)) as noor:
        listed = await noor.get(f"/api/v1/console/identity/users/{user}/sessions")
        page = (await noor.get(f"/console/people/{user}")).text

    assert (listed.status_code, 'id="sessions"' in page) == (403, False)
