"""Roles of the house: the matrix of who may do what, and roles of its own, as calls and pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated

from fastapi import Form, Query, Request, Response
from pydantic import Field, StringConstraints
from starlette.responses import HTMLResponse, RedirectResponse

from palio.identity.console.answers import Typed, Why, WhyForm
from palio.identity.errors import (
    NoSuchRole,
    PermissionUnknown,
    RoleBuiltIn,
    RoleExists,
    RoleInUse,
    RoleNameInvalid,
)
from palio.identity.service import own_roles, roles
from palio.identity.types import Role
from palio.infra.approvals import ReasonMissing
from palio.infra.db import Tx
from palio.ui import console, versions
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.problems import Problem
from palio.ui.routes import Filled, Routes
from palio.ui.versions import Seen

PATH, HERE = "/console/identity/roles", "/console/identity/roles"
READ, EDIT = "identity.user.read", "identity.role.edit"
PERMISSIONS_MAX = 1_000
routes = Routes("identity")
Name = Annotated[str, StringConstraints(strict=True, max_length=60)]
Title = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=60)]
Permissions = Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=PERMISSIONS_MAX)]


class ChangeRole(Why):
    """What a role lets its bearers do, and why it is to."""

    title: Title
    permissions: Permissions
    mfa_required: bool = True

    def role(self, name: str) -> Role:
        """The role as it is to be."""
        return Role(name, self.title, sorted({*self.permissions}), self.mfa_required, builtin=False)


class MakeRole(ChangeRole):
    """The same of a new role."""

    name: Name


class RoleForm(WhyForm):
    """A role from a page, with the version that it showed (0: a new one)."""

    name: Typed
    title: Annotated[str, Field(min_length=1, max_length=60)]
    permissions: Permissions = Field(default_factory=list)
    mfa_required: bool = False
    version: int = 0

    def role(self) -> Role:
        """The role as it is to be."""
        return Role(self.name, self.title, sorted({*self.permissions}), self.mfa_required, builtin=False)


class RemovalForm(WhyForm):
    """Which version is removed, and why."""

    version: int


@dataclass(frozen=True, slots=True)
class OwnRole:
    """A role, and what it lets its bearers do."""

    name: str
    title: str
    permissions: tuple[str, ...]
    mfa_required: bool
    builtin: bool
    version: int

    @classmethod
    def of(cls, one: Role) -> "OwnRole":
        return cls(one.name, one.title, tuple(one.permissions), one.mfa_required, one.builtin, one.version)


@dataclass(frozen=True, slots=True)
class Removed:
    """What is no longer there."""

    name: str


A_ROLE = OwnRole("night_shift", "Night shift", ("identity.user.read",), mfa_required=True, builtin=False, version=2)


@routes.get(f"{PATH}/{{name}}", access=READ, scope=NO_TOKEN, example=A_ROLE, refuses=[NoSuchRole])
async def get_role(name: str, tx: InTx, response: Response) -> OwnRole:
    """Read a role."""
    found = await roles.named(tx, name=name)
    versions.tell(response, found.version)
    return OwnRole.of(found)


@routes.post(
    PATH,
    access=EDIT,
    scope=NO_TOKEN,
    step_up=True,
    example=A_ROLE,
    refuses=[RoleNameInvalid, RoleExists, PermissionUnknown, ReasonMissing],
    status=201,
)
async def make_role(said: MakeRole, ask: Ask, tx: InTx, response: Response) -> OwnRole:
    """Make a role that holds nothing you do not hold yourself."""
    made = await own_roles.make_role(
        tx, role=said.role(said.name), reason=said.reason, held=ask.permissions, now=ask.now
    )
    versions.tell(response, made.version)
    return OwnRole.of(made)


@routes.put(
    f"{PATH}/{{name}}",
    access=EDIT,
    scope=NO_TOKEN,
    step_up=True,
    example=A_ROLE,
    refuses=[NoSuchRole, RoleBuiltIn, PermissionUnknown, ReasonMissing],
)
async def change_role(name: str, said: ChangeRole, seen: Seen, ask: Ask, tx: InTx, response: Response) -> OwnRole:
    """Say anew what a role of the house lets its bearers do; it acts on their next request."""
    changed = await own_roles.change_role(
        tx, role=said.role(name), version=seen, reason=said.reason, held=ask.permissions
    )
    tx.is_audited = tx.is_audited or changed.version == seen
    versions.tell(response, changed.version)
    return OwnRole.of(changed)


@routes.delete(
    f"{PATH}/{{name}}",
    access=EDIT,
    scope=NO_TOKEN,
    step_up=True,
    example=Removed("night_shift"),
    refuses=[NoSuchRole, RoleBuiltIn, RoleInUse, ReasonMissing],
)
async def remove_role(
    name: str, reason: Annotated[str, Query(max_length=500)], seen: Seen, ask: Ask, tx: InTx
) -> Removed:
    """Remove a role of the house that nobody has or had."""
    await own_roles.remove_role(tx, name=name, version=seen, reason=reason, held=ask.permissions)
    return Removed(name)


# pages


@routes.page(HERE, access=READ)
async def roles_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """Which role may do what: a matrix, by module."""
    found = await roles.list_roles(tx)
    values = {
        "roles": [one for one in found if one.name != "owner"],  # who may everything
        "held_by": {one.name: {*one.permissions} for one in found},
        "groups": _by_module(await own_roles.permissions(tx)),
        "may_edit": EDIT in ask.permissions,
    }
    return await console.render(request, ask, tx, "identity/console/roles.html", values, present=HERE)


def _by_module(names: list[str]) -> list[tuple[str, list[str]]]:
    return [(module, list(group)) for module, group in groupby(names, key=lambda name: name.partition(".")[0])]


async def _edit(
    request: Request,
    ask: Asking,
    tx: Tx,
    role: Role | None,
    typed: Mapping[str, object],
    problem: Problem | None = None,
) -> HTMLResponse:
    known = await own_roles.permissions(tx)
    values = {
        "role": role,
        "typed": typed,
        "groups": _by_module([name for name in known if name in ask.permissions]),
        "beyond": [name for name in role.permissions if name not in ask.permissions] if role else [],
        "may_edit": EDIT in ask.permissions,
    }
    return await console.render(request, ask, tx, "identity/console/role.html", values, present=HERE, problem=problem)


@routes.page(f"{HERE}/new", access=EDIT)
async def new_role_page(request: Request, ask: Ask, tx: InTx) -> HTMLResponse:
    """A role to be made."""
    return await _edit(request, ask, tx, None, {"mfa_required": True, "permissions": ()})


@routes.page(f"{HERE}/{{name}}", access=READ)
async def role_page(request: Request, name: str, ask: Ask, tx: InTx) -> HTMLResponse:
    """What one role holds, and the form to change it. Refuses with NoSuchRole."""
    found = await roles.named(tx, name=name)
    typed = {"title": found.title, "mfa_required": found.mfa_required, "permissions": found.permissions}
    return await _edit(request, ask, tx, found, typed)


async def _again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    """The form with what was typed, and what is wrong."""
    name = request.path_params.get("name")
    found = await roles.named(tx, name=name) if name else None
    chosen = [str(one) for one in (await request.form()).getlist("permissions")]
    typed = {**filled.values, "permissions": chosen or (found.permissions if found else ())}
    return await _edit(request, ask, tx, found, typed, filled.problem)


@routes.form(f"{HERE}/new", access=EDIT, step_up=True, asks_code=True, again=_again)
async def make_role_by_form(form: Annotated[RoleForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Make a role."""
    made = await own_roles.make_role(tx, role=form.role(), reason=form.reason, held=ask.permissions, now=ask.now)
    return RedirectResponse(f"{HERE}/{made.name}", 303)


@routes.form(f"{HERE}/{{name}}", access=EDIT, step_up=True, asks_code=True, again=_again)
async def change_role_by_form(name: str, form: Annotated[RoleForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Change a role of the house."""
    changed = await own_roles.change_role(
        tx,
        role=ChangeRole(
            title=form.title, permissions=form.permissions, mfa_required=form.mfa_required, reason=form.reason
        ).role(name),
        version=form.version,
        reason=form.reason,
        held=ask.permissions,
    )
    tx.is_audited = tx.is_audited or changed.version == form.version
    return RedirectResponse(f"{HERE}/{name}", 303)


@routes.form(f"{HERE}/{{name}}/remove", access=EDIT, step_up=True, asks_code=True, again=_again)
async def remove_role_by_form(name: str, form: Annotated[RemovalForm, Form()], ask: Ask, tx: InTx) -> RedirectResponse:
    """Remove a role that nobody has or had."""
    await own_roles.remove_role(tx, name=name, version=form.version, reason=form.reason, held=ask.permissions)
    return RedirectResponse(HERE, 303)
