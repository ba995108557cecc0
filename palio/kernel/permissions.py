"""What a role of staff may do, as modules declare it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

Builtin: TypeAlias = Literal[
    "finance", "races", "quests", "store", "support", "moderator", "marketing", "analyst", "auditor"
]


@dataclass(frozen=True, slots=True)
class Permission:
    """One thing staff may do: `races.race.publish`. Owners and administrators may do everything.

    `roles` are the other built-in roles that may. `owner_only` keeps it from administrators too.
    """

    name: str
    description: str
    roles: tuple[Builtin, ...] = ()
    owner_only: bool = False


ObjectKind: TypeAlias = Literal["competition"]
OBJECTS: Mapping[str, ObjectKind] = {"competition_id": "competition"}  # the parameters of addresses that name one
MODULES: Mapping[ObjectKind, str] = {"competition": "competitions"}  # whose permissions count for one alone


@dataclass(frozen=True, slots=True)
class Object:
    """The one thing that somebody holds a role for: what he may do by it he may do there alone."""

    kind: ObjectKind
    id: UUID

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


def object_named(text: str) -> Object | None:
    """The thing that is written `competition:<id>`, or None: there is nothing of the kind."""
    name, _, number = text.partition(":")
    kind = next((kind for kind in MODULES if kind == name), None)
    try:
        return Object(kind, UUID(number)) if kind else None
    except ValueError:
        return None
