"""Which role may do what, and who may give one."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime

from palio.identity.errors import (
    GrantExpired,
    LastOwner,
    PermissionUnknown,
    ReasonTooShort,
    RoleBuiltIn,
    RoleIndivisible,
    RoleNameInvalid,
    SelfGrant,
)
from palio.identity.types import PERMISSION_GRANT_OWNER, Owner, Role
from palio.kernel.errors import Forbidden
from palio.kernel.ids import UserId
from palio.kernel.permissions import MODULES, Object, Permission

OWNER = "owner"
REASON_CHARACTERS_MIN = 5
NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")
WEIGHTY = frozenset({OWNER, "finance"})  # who may give these may give himself everything
TITLES = {
    OWNER: "Owner",
    "admin": "Administrator",
    "finance": "Finance",
    "races": "Races",
    "quests": "Quests",
    "store": "Store",
    "support": "Support",
    "moderator": "Moderator",
    "marketing": "Marketing",
    "analyst": "Analyst",
    "auditor": "Auditor",
}


def builtin_roles(permissions: Sequence[Permission]) -> list[Role]:
    """The roles every house has, with what the modules let them do; all of them take a second factor."""
    return [
        Role(name, title, permissions=_held(name, permissions), mfa_required=True) for name, title in TITLES.items()
    ]


def _held(role: str, permissions: Sequence[Permission]) -> list[str]:
    names = {each.name for each in permissions if role == OWNER or role in each.roles}
    if role == "admin":
        names |= {each.name for each in permissions if not each.owner_only}
    return sorted(names)


def require_grant(role: Role, *, user_id: UserId, granter: UserId | None, held: Collection[str], reason: str) -> None:
    """Let the granter give this role to the user, or take it: he holds all it holds, and it is not himself.

    Without a granter it is the house. Refuses with SelfGrant, Forbidden, ReasonTooShort.
    """
    require_reason(reason)
    if granter is None:
        return
    if granter == user_id:
        raise SelfGrant
    lacking = set(role.permissions) - set(held)
    if role.name in WEIGHTY and PERMISSION_GRANT_OWNER.name not in held:
        lacking.add(PERMISSION_GRANT_OWNER.name)
    if lacking:
        raise Forbidden(permission=min(lacking))


def require_divisible(role: Role, of: Object | None) -> None:
    """Let a role be held of one thing alone that says anything there. Refuses with RoleIndivisible."""
    if of is None:
        return
    counts = any(name.startswith(f"{MODULES[of.kind]}.") for name in role.permissions)
    if role.name in {*WEIGHTY, "admin"} or not counts:
        raise RoleIndivisible(role=role.name, object_kind=of.kind)


def require_reason(reason: str) -> None:
    """Let an act stand for which somebody says why. Refuses with ReasonTooShort."""
    if len(reason.strip()) < REASON_CHARACTERS_MIN:
        raise ReasonTooShort(shortest=REASON_CHARACTERS_MIN)


def require_later(expires_at: datetime | None, now: datetime) -> None:
    """Refuse a grant that has ended before it begins: GrantExpired."""
    if expires_at is not None and expires_at <= now:
        raise GrantExpired(expires_at=expires_at)


def require_owner_left(owners: Collection[Owner], leaving: UserId) -> None:
    """Let an owner go who leaves another one behind; one whose grant runs out is none. Refuses with LastOwner."""
    is_owner = any(one.user_id == leaving for one in owners)
    if is_owner and not any(one.is_lasting and one.user_id != leaving for one in owners):
        raise LastOwner


def require_name(name: str) -> None:
    """Let a role be named so. Refuses with RoleNameInvalid."""
    if not NAME.fullmatch(name) or name == "new":  # which is where one is made
        raise RoleNameInvalid


def require_own(role: Role) -> None:
    """Let a role of the house be changed. Refuses with RoleBuiltIn."""
    if role.builtin:
        raise RoleBuiltIn(role=role.name)


def require_holdable(wanted: Collection[str], *, known: Collection[str], held: Collection[str]) -> None:
    """Let a role hold these permissions: they exist, and whoever decides holds them. Refuses with PermissionUnknown,
    Forbidden.
    """
    if unknown := set(wanted) - set(known):
        raise PermissionUnknown(permission=min(unknown))
    if lacking := set(wanted) - set(held):
        raise Forbidden(permission=min(lacking))
