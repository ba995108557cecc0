"""Attempts to sign in, looked through by staff: by account, address and end, in parts, with addresses sealed."""

from datetime import timedelta

from palio import identity
from palio.identity.service import attempts
from palio.identity.types import Visitor
from palio.kernel import clock
from palio.kernel.ids import new_id
from tests.admin.house import Console

CALL, PAGE = "/api/v1/console/identity/logins", "/console/identity/logins"


async def test_attempts_are_found_by_account_address_and_end_in_parts(console: Console) -> None:
    now, name = clock.now(), f"u{new_id().hex[-12:]}"
    async with console.begin() as tx:
        await identity.create(tx, username=name, now=now)
        for number, ip in enumerate(("203.0.113.201", "203.0.113.202", "203.0.113.201")):
            await attempts.knock(
                tx, identifier=name, visitor=Visitor(ip, "curl/8"), now=now - timedelta(minutes=number)
            )
    window = {"since": (now - timedelta(days=1)).isoformat(), "until": (now + timedelta(days=1)).isoformat()}
    async with console.talk(console.staff(console.noor, permissions="identity.user.read")) as noor:

        async def found(**more: object) -> tuple[list[str], str | None]:
            answer = await noor.get(CALL, params={**window, **more})
            assert "203.0.113" not in answer.text
            return [one["username"] for one in answer.json()["items"]], answer.json()["next"]

        first, following = await found(user=name, limit=2)
        rest, nothing = await found(user=name, limit=2, cursor=following)
        there = await found(ip="203.0.113.201", user=name)
        wrong = await found(user=name, outcome="bad_credentials")
        right = await found(user=name, outcome="success")
        unknown = await noor.get(CALL, params={**window, "user": "nobody-here"})
        wide = await noor.get(CALL, params={"since": "2020-01-01T00:00:00Z", "until": window["until"]})
        page = (await noor.get(PAGE, params={"user": name})).text
        lost = await noor.get(PAGE, params={"user": "nobody-here"})
    async with console.talk(console.staff(console.noor, permissions="admin.card.read")) as other:
        denied = await other.get(CALL, params=window)

    assert (first, rest, nothing) == ([name] * 2, [name], None)
    assert ([len(one) for one, _ in (there, wrong, right)], page.count(f">{name}<")) == ([2, 3, 0], 3)
    assert [(one.status_code, one.json()["code"]) for one in (unknown, wide, denied)] == [
        (404, "identity.no_such_user"),
        (422, "identity.window_too_wide"),
        (403, "permission_missing"),
    ]
    assert (lost.status_code, 'role="alert"' in lost.text) == (404, True)
