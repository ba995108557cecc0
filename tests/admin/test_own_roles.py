"""Roles of the house: made, changed and removed by who holds all of them; and the matrix."""

import pytest

from palio import identity
from palio.kernel import clock
from palio.kernel.ids import new_id
from tests.admin.house import Console, acts_of, form_of

CALL, PAGE = "/api/v1/console/identity/roles", "/console/identity/roles"
HELD = "identity.user.read identity.role.edit identity.session.end"
WHY = "the night shift"


def a_role(**more: object) -> dict[str, object]:
    return {"title": "Night shift", "permissions": ["identity.user.read"], "reason": WHY, **more}


async def roles_of(console: Console) -> dict[str, list[str]]:
    async with console.begin() as tx:
        return {one.name: one.permissions for one in await identity.list_roles(tx)}


async def test_a_role_is_made_changed_by_its_version_and_removed_while_nobody_had_it(console: Console) -> None:
    name = f"night_{new_id().hex[-8:]}"
    async with console.talk(console.staff(console.noor, permissions=HELD)) as noor:
        made = await noor.post(CALL, json=a_role(name=name))
        twice = await noor.post(CALL, json=a_role(name=name))
        tag = (await noor.get(f"{CALL}/{name}")).headers["etag"]
        more = a_role(permissions=["identity.user.read", "identity.session.end"])
        changed = await noor.put(f"{CALL}/{name}", json=more, headers={"If-Match": tag})
        stale = await noor.put(f"{CALL}/{name}", json=a_role(), headers={"If-Match": tag})
        tag = changed.headers["etag"]
        same = await noor.put(f"{CALL}/{name}", json=more, headers={"If-Match": tag})
        matrix = (await noor.get(PAGE)).text
        async with console.begin() as tx:
            user = await identity.create(tx, username=f"u{new_id().hex[-12:]}", now=clock.now())
            await identity.grant_role(tx, user_id=user.id, role=name, reason=WHY, now=clock.now())
        used = await noor.delete(f"{CALL}/{name}", params={"reason": WHY}, headers={"If-Match": tag})
        other = f"{name}_b"
        tag = (await noor.post(CALL, json=a_role(name=other))).headers["etag"]
        gone = await noor.delete(f"{CALL}/{other}", params={"reason": WHY}, headers={"If-Match": tag})

    assert (made.status_code, made.json()["permissions"], made.json()["builtin"]) == (
        201,
        ["identity.user.read"],
        False,
    )
    assert [(one.status_code, one.json()["code"]) for one in (twice, stale, used)] == [
        (409, "identity.role_exists"),
        (412, "version_mismatch"),
        (409, "identity.role_in_use"),
    ]
    assert (changed.json()["permissions"], same.headers["etag"]) == (
        ["identity.session.end", "identity.user.read"],
        changed.headers["etag"],
    )
    assert ("Night shift" in matrix, gone.status_code, other in await roles_of(console)) == (True, 200, False)
    acts = [act for act in await acts_of(console, "role.change") if act.entity_id == name]
    assert [(act.actor_id, act.reason) for act in acts] == [(console.noor, WHY)]


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"permissions": ["identity.role.grant_owner"]}, (403, "permission_missing")),
        ({"permissions": ["races.race.levitate"]}, (422, "identity.permission_unknown")),
        ({"name": "Night Shift"}, (422, "identity.role_name_invalid")),
        ({"name": "new"}, (422, "identity.role_name_invalid")),
        ({"reason": "so"}, (422, "approval.reason_missing")),
    ],
)
async def test_nobody_makes_a_role_that_holds_more_than_he_does(
    console: Console, change: dict[str, object], refusal: tuple[int, str]
) -> None:
    before = await roles_of(console)
    async with console.talk(console.staff(console.noor, permissions=HELD)) as noor:
        refused = await noor.post(CALL, json={**a_role(name=f"r{new_id().hex[-8:]}"), **change})

    assert ((refused.status_code, refused.json()["code"]), await roles_of(console)) == (refusal, before)


async def test_who_may_not_and_what_comes_with_the_program_stays(console: Console) -> None:
    before = await roles_of(console)
    codes = []
    for permissions, less, name in (
        ("identity.user.read", "", "support"),
        (HELD, "test-mfa", "support"),
        (HELD, "test-step-up", "support"),
        (HELD, "", "support"),
        (HELD, "", "nobody"),
    ):
        headers = {
            key: value for key, value in console.staff(console.noor, permissions=permissions).items() if key != less
        }
        async with console.talk({**headers, "If-Match": '"1"'}) as noor:
            codes.append((await noor.put(f"{CALL}/{name}", json=a_role())).json()["code"])

    assert codes == [
        "permission_missing",
        "mfa_required",
        "step_up_required",
        "identity.role_built_in",
        "identity.no_such_role",
    ]
    assert await roles_of(console) == before


async def test_pages_make_change_and_remove_a_role(console: Console) -> None:
    name = f"desk_{new_id().hex[-8:]}"
    async with console.talk(console.staff(console.noor, permissions=HELD)) as noor:
        form = form_of((await noor.get(f"{PAGE}/new")).text, f"{PAGE}/new")
        said = {"name": name, "title": "Desk", "mfa_required": "true", "permissions": ["identity.user.read"]}
        short = await noor.post(f"{PAGE}/new", data={**form, **said, "reason": "no"})
        form = form_of(short.text, f"{PAGE}/new")
        made = await noor.post(f"{PAGE}/new", data={**form, **said, "reason": WHY})
        page = (await noor.get(f"{PAGE}/{name}")).text
        form = form_of(page, f"{PAGE}/{name}")
        changed = await noor.post(f"{PAGE}/{name}", data={**form, "title": "Front desk", "reason": WHY})
        page = (await noor.get(f"{PAGE}/{name}")).text
        form = form_of(page, f"{PAGE}/{name}/remove")
        removed = await noor.post(f"{PAGE}/{name}/remove", data={**form, "reason": WHY})
        builtin = (await noor.get(f"{PAGE}/support")).text

    assert (short.status_code, 'role="alert"' in short.text) == (422, True)
    assert [one.status_code for one in (made, changed, removed)] == [303, 303, 303]
    assert ("Front desk" in page, name in await roles_of(console)) == (True, False)
    assert "comes with the program" in builtin
