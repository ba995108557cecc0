"""What a role of staff may do, as modules declare it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

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
