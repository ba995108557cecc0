"""Roles given and taken by staff: over HTTP and on the card, with who may, and owners by a second person alone."""

from datetime import UTC, datetime

import httpx2
import pytest

from palio import identity
from palio.infra import approvals
from palio.kernel import clock
from palio.kernel.ids import UserId, new_id
from tests.admin.house import Console, acts_of, form_of
from tests.factories.competitions import HOUR, live
from tests.ui import people

CALL = "/api/v1/console/identity/role-grants"


async def somebody(console: Console) -> UserId:
    async with console.begin() as tx:
        return (await identity.create(tx, username=f"u{new_id().hex[-12:]}", now=clock.now())).id


async def roles_of(console: Console, user_id: UserId) -> list[str]:
    async with console.begin() as tx:
        return [one.role for one in await identity.grants_of(tx, user_id=user_id, now=clock.now())]


async def grants_of(console: Console, user_id: UserId) -> list[tuple[str, datetime | None]]:
    async with console.begin() as tx:
        found = await identity.grants_of(tx, user_id=user_id, now=clock.now())
    return [(one.role, one.expires_at) for one in found]


async def granter(console: Console, role: str) -> str:
    """The permissions of somebody who gives roles and holds all that a role holds."""
    async with console.begin() as tx:
        found = next(one for one in await identity.list_roles(tx) if one.name == role)
    return " ".join(
        {
            *found.permissions,
            "identity.role.grant",
            "identity.role.grant_owner",
            "identity.user.read",
            "admin.card.read",
        }
    )


async def test_a_role_is_given_and_taken_with_a_reason(console: Console) -> None:
    user = await somebody(console)
    said = {"user": str(user), "role": "support", "reason": "joins the desk"}
    async with console.talk(console.staff(console.noor, permissions=await granter(console, "support"))) as noor:
        given = await noor.post(CALL, json=said)
        again = await noor.post(CALL, json=said)
        listed = (await noor.get(CALL, params={"user": str(user)})).json()["items"]
        names = [one["name"] for one in (await noor.get("/api/v1/console/identity/roles")).json()["items"]]
        taken = await noor.post(f"{CALL}/revoke", json={**said, "reason": "leaves the desk"})
        gone = await noor.post(f"{CALL}/revoke", json={**said, "reason": "leaves the desk"})

    assert (given.status_code, given.json()["grant"]["role"], given.json()["approval_id"]) == (201, "support", None)
    assert (again.status_code, again.json()["code"]) == (409, "identity.already_granted")
    assert [(one["role"], one["granted_by"], one["reason"]) for one in listed] == [
        ("support", str(console.noor), "joins the desk")
    ]
    assert {"owner", "finance", "support"} <= {*names}
    assert (taken.json()["items"], gone.status_code, gone.json()["code"]) == ([], 409, "identity.not_granted")
    acts = [act for act in await acts_of(console, "role.revoke") if act.entity_id == str(user)]
    assert [(act.actor_id, act.reason) for act in acts] == [(console.noor, "leaves the desk")]


@pytest.mark.parametrize(
    ("change", "permissions", "step_up", "refusal"),
    [
        ({}, "identity.role.grant", True, (403, "permission_missing")),
        ({}, "identity.user.read", True, (403, "permission_missing")),
        ({}, "support", False, (403, "step_up_required")),
        ({"user": "noor"}, "support", True, (403, "identity.self_grant")),
        ({"role": "king"}, "support", True, (404, "identity.no_such_role")),
        ({"user": "nobody-of-that-name"}, "support", True, (404, "identity.no_such_user")),
        ({"reason": "why"}, "support", True, (422, "identity.reason_too_short")),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "support", True, (422, "identity.grant_expired")),
        ({"role": "owner"}, "identity.role.grant", True, (403, "permission_missing")),
    ],
)
async def test_who_may_not_gives_nothing(
    console: Console, change: dict[str, str], permissions: str, step_up: bool, refusal: tuple[int, str]
) -> None:
    user = await somebody(console)
    held = await granter(console, "support") if permissions == "support" else permissions
    async with console.talk(console.staff(console.noor, permissions=held, step_up=step_up)) as noor:
        refused = await noor.post(
            CALL, json={"user": str(user), "role": "support", "reason": "joins the desk", **change}
        )

    assert (refused.status_code, refused.json()["code"]) == refusal
    assert (await roles_of(console, user), await roles_of(console, console.noor)) == ([], [])


async def test_an_owner_is_made_by_two_and_the_last_one_stays(console: Console) -> None:
    first, user = await somebody(console), await somebody(console)
    async with console.begin() as tx:
        await identity.grant_role(tx, user_id=first, role="owner", reason="the first one", now=clock.now())
    said = {"user": str(user), "role": "owner", "reason": "runs the house with me"}
    held, commands = await granter(console, "owner"), console.app_state("desk").commands
    async with console.talk(console.staff(first, permissions=held)) as maker:
        waits = await maker.post(CALL, json=said)
        approval = waits.json()["approval_id"]
        before = await roles_of(console, user)
    async with console.talk(console.staff(console.noor, permissions=held)) as noor:
        last = await noor.post(f"{CALL}/revoke", json={"user": str(first), "role": "owner", "reason": "he is away"})
    async with console.talk(console.staff(console.sana)) as sana:
        seen = (await sana.get(f"/api/v1/console/approvals/{approval}")).json()
        await sana.post(f"/api/v1/console/approvals/{approval}/approve", json={})
    async with console.begin() as tx:
        (waiting,) = [one for one in await approvals.listed(tx, states=["approved"]) if str(one.id) == approval]
        done = await approvals.execute(tx, approval_id=waiting.id, commands=commands, now=clock.now())
        (grant,) = await identity.grants_of(tx, user_id=user, now=clock.now())

    assert (waits.status_code, waits.json()["grant"], before) == (202, None, [])
    assert (last.status_code, last.json()["code"]) == (409, "identity.last_owner")
    roles = seen["changes"][0]
    assert (roles["what"], roles["before"], roles["after"], roles["asset"]) == ("roles", None, "owner", None)
    assert (done.state, grant.role, grant.granted_by) == ("executed", "owner", first)


async def test_the_card_gives_and_takes_roles_by_its_forms(console: Console) -> None:
    user = await somebody(console)
    page = f"/console/people/{user}"
    async with console.talk(console.staff(console.noor, permissions=await granter(console, "support"))) as noor:
        fields = form_of((await noor.get(page)).text, f"{page}/roles")
        short = await noor.post(f"{page}/roles", data={**fields, "role": "support", "reason": "why"})
        fields = form_of(short.text, f"{page}/roles")
        said = {**fields, "role": "support", "reason": "joins the desk"}
        over = await noor.post(f"{page}/roles", data={**said, "expires_at": "2020-01-01T00:00"})
        fields = form_of(over.text, f"{page}/roles")
        given = await noor.post(f"{page}/roles", data={**said, **fields, "expires_at": "2031-05-01T12:00"})
        held = await grants_of(console, user)
        fields = form_of((await noor.get(page)).text, f"{page}/roles/revoke")
        taken = await noor.post(f"{page}/roles/revoke", data={**fields, "reason": "leaves the desk"})
        own = (await noor.get(f"/console/people/{console.noor}")).text
    async with console.talk(console.staff(console.noor, permissions="admin.card.read")) as reader:
        bare = (await reader.get(page)).text

    assert (short.status_code, 'role="alert"' in short.text) == (422, True)
    assert (over.status_code, 'value="2020-01-01T00:00"' in over.text) == (422, True)
    until = datetime(2031, 5, 1, 12, tzinfo=UTC)
    assert (given.status_code, held, taken.status_code) == (303, [("support", until)], 303)
    assert await roles_of(console, user) == []
    assert ("somebody else does" in own, 'id="roles"' in bare) == (True, False)


async def test_a_role_of_one_competition_is_given_shown_and_taken_on_the_card_and_over_http(console: Console) -> None:
    user, cup, league = await somebody(console), new_id(), new_id()
    said = {"user": str(user), "role": "races", "reason": "runs the cup"}
    one = {"object_kind": "competition", "object_id": str(cup)}
    card = f"/console/people/{user}"
    async with console.talk(console.staff(console.noor, permissions=await granter(console, "races"))) as noor:
        given = await noor.post(CALL, json={**said, **one})
        again = await noor.post(CALL, json={**said, **one})
        half = await noor.post(CALL, json={**said, "object_id": str(cup)})
        weighty = await noor.post(CALL, json={**said, **one, "role": "admin"})
        form = {"role": "races", "of": f"competition:{league}", "reason": "runs the league"}

        async def send(where: str, **more: str) -> httpx2.Response:
            """Send one of the forms of the card, as its page wrote it."""
            return await noor.post(where, data={**form_of((await noor.get(card)).text, where), **form, **more})

        by_form = await send(f"{card}/roles")
        odd = await send(f"{card}/roles", of="race:7")
        shown = (await noor.get(card)).text
        back = await send(f"{card}/roles/revoke")
        left = (await noor.get(CALL, params={"user": str(user)})).json()["items"]
        everywhere = await noor.post(f"{CALL}/revoke", json=said)
        taken = await noor.post(f"{CALL}/revoke", json={**said, **one})

    assert (given.status_code, given.json()["grant"]["object_id"]) == (201, str(cup))
    assert (again.status_code, again.json()["code"]) == (409, "identity.already_granted")
    assert (half.status_code, weighty.status_code) == (422, 403)
    assert (by_form.status_code, odd.status_code, back.status_code) == (303, 422, 303)
    assert f'href="/console/competitions/{league}"' in shown and f'value="competition:{league}"' in shown
    assert [(one["role"], one["object_id"]) for one in left] == [("races", str(cup))]
    assert (everywhere.status_code, everywhere.json()["code"]) == (409, "identity.not_granted")
    assert (taken.status_code, taken.json()["items"]) == (200, [])


async def test_who_holds_a_role_of_one_competition_sees_its_page_and_no_way_to_the_others(console: Console) -> None:
    async with console.begin() as tx:
        ours, other = await live(tx, clock.now() - HOUR), await live(tx, clock.now() - HOUR)
    lent = f"competition:{ours} competitions.competition.read,competition:{ours} competitions.score.adjust"
    async with console.talk(people.caller("staff", console.noor, lent=lent, step_up=True)) as noor:
        page = await noor.get(f"/console/competitions/{ours}")
        acts = await noor.get(f"/console/competitions/{ours}/adjust")
        closed = [(await noor.get(f"/console/competitions{path}")).status_code for path in ("", f"/{other}")]

    assert (page.status_code, acts.status_code, closed) == (200, 200, [403, 403])
    rail = page.text.partition("<nav")[2].partition("</nav>")[0]
    assert (f"/console/competitions/{ours}/adjust" in page.text, 'href="/console/competitions"' in rail) == (
        True,
        False,
    )
