"""Roles of staff over HTTP: who holds which, given and taken with a reason."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import Query, Response
from pydantic import AwareDatetime, Field, model_validator

from palio.identity import schemas as say
from palio.identity.errors import (
    AlreadyGranted,
    GrantExpired,
    LastOwner,
    NoSuchRole,
    NoSuchUser,
    NotGranted,
    ReasonTooShort,
    RoleIndivisible,
    SelfGrant,
)
from palio.identity.service import accounts, granting, roles
from palio.identity.types import Grant, Role
from palio.infra.approvals import Approval, ReasonMissing
from palio.kernel.permissions import Object, ObjectKind
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, InTx
from palio.ui.bodies import Body
from palio.ui.routes import Routes
from palio.ui.values import Instant

routes = Routes("identity")

READ, GRANT = "identity.user.read", "identity.role.grant"
WHO = (NoSuchUser, NoSuchRole, SelfGrant, ReasonTooShort)
User = Annotated[str, Field(min_length=1, max_length=80, description="User name or id")]
RoleName = Annotated[str, Field(min_length=1, max_length=40)]
Reason = Annotated[str, Field(max_length=500)]


class TakeRole(Body):
    """Whose role is taken, and why: one that counts everywhere, or that of one thing."""

    user: User
    role: RoleName
    reason: Reason
    object_kind: ObjectKind | None = None
    object_id: UUID | None = None

    @property
    def of(self) -> Object | None:
        """The one thing that the role is held of; None is everywhere."""
        return Object(self.object_kind, self.object_id) if self.object_kind and self.object_id else None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.object_kind is None) != (self.object_id is None):
            raise ValueError("Kind and id of an object go together")
        return self


class GiveRole(TakeRole):
    """Who is given which role, until when, and why."""

    expires_at: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class RoleAnswer:
    """A role, and what it lets its bearers do."""

    name: str
    title: str
    mfa_required: bool
    permissions: tuple[str, ...]
    builtin: bool = True
    version: int = 1

    @classmethod
    def of(cls, one: Role) -> "RoleAnswer":
        return cls(one.name, one.title, one.mfa_required, tuple(one.permissions), one.builtin, one.version)


@dataclass(frozen=True, slots=True)
class RolesAnswer:
    """Every role, by name."""

    items: tuple[RoleAnswer, ...]


@dataclass(frozen=True, slots=True)
class GrantAnswer:
    """A role that somebody holds: everywhere, or of one thing alone."""

    id: UUID
    user_id: UUID
    role: str
    granted_by: UUID | None
    reason: str
    granted_at: Instant
    expires_at: Instant | None
    object_kind: ObjectKind | None = None
    object_id: UUID | None = None

    @classmethod
    def of(cls, one: Grant) -> "GrantAnswer":
        who = one.id, one.user_id, one.role, one.granted_by, one.reason, one.granted_at, one.expires_at
        return cls(*who, one.object_kind, one.object_id)


@dataclass(frozen=True, slots=True)
class GrantsAnswer:
    """The roles somebody holds now."""

    items: tuple[GrantAnswer, ...]


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """The role that was given; or, with status 202, the approval that waits for a second person."""

    grant: GrantAnswer | None
    approval_id: UUID | None


_ID = say.EXAMPLE_ID
_GRANT = GrantAnswer(_ID, _ID, "support", _ID, "joins the desk", datetime.fromisoformat("2026-03-18T14:05:09Z"), None)


@routes.get(
    "/console/identity/roles",
    access=READ,
    example=RolesAnswer((RoleAnswer("support", "Support", mfa_required=True, permissions=(READ,)),)),
)
async def list_roles(ask: Ask, tx: InTx) -> RolesAnswer:
    """List the roles there are."""
    return RolesAnswer(tuple(map(RoleAnswer.of, await roles.list_roles(tx))))


@routes.get("/console/identity/role-grants", access=READ, example=GrantsAnswer((_GRANT,)), refuses=[NoSuchUser])
async def list_role_grants(user: Annotated[User, Query()], ask: Ask, tx: InTx) -> GrantsAnswer:
    """List the roles somebody holds now."""
    found = await accounts.get(tx, name_or_id=user)
    return GrantsAnswer(tuple(map(GrantAnswer.of, await roles.grants_of(tx, user_id=found.id, now=ask.now))))


@routes.post(
    "/console/identity/role-grants",
    access=GRANT,
    example=GivenAnswer(_GRANT, None),
    refuses=[*WHO, GrantExpired, RoleIndivisible, AlreadyGranted, ReasonMissing],
    scope=NO_TOKEN,
    step_up=True,
    status=201,
    also={202: GivenAnswer(None, _ID)},
)
async def give_role(said: GiveRole, ask: Ask, tx: InTx, response: Response) -> GivenAnswer:
    """Give somebody a role; owner and finance wait for a second person."""
    found = await accounts.get(tx, name_or_id=said.user)
    given = await granting.grant_or_propose(
        tx,
        user_id=found.id,
        role=said.role,
        reason=said.reason,
        now=ask.now,
        held=ask.permissions,
        expires_at=said.expires_at,
        of=said.of,
    )
    if isinstance(given, Approval):
        response.status_code = 202
        return GivenAnswer(None, given.id)
    return GivenAnswer(GrantAnswer.of(given), None)


@routes.post(
    "/console/identity/role-grants/revoke",
    access=GRANT,
    example=GrantsAnswer((_GRANT,)),
    refuses=[*WHO, LastOwner, NotGranted],
    scope=NO_TOKEN,
    step_up=True,
)
async def take_role(said: TakeRole, ask: Ask, tx: InTx) -> GrantsAnswer:
    """Take a role from somebody now; his sessions end. Answers what he still holds."""
    found = await accounts.get(tx, name_or_id=said.user)
    await roles.revoke_role(
        tx, user_id=found.id, role=said.role, reason=said.reason, now=ask.now, held=ask.permissions, of=said.of
    )
    return GrantsAnswer(tuple(map(GrantAnswer.of, await roles.grants_of(tx, user_id=found.id, now=ask.now))))
