"""Words of identity: a user, and what others may see of him."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from palio.kernel.ids import UserId
from palio.kernel.settings import Setting

UserKind: TypeAlias = Literal["person", "service"]
UserStatus: TypeAlias = Literal["pending", "active", "suspended", "closing", "erased"]
AuthMethod: TypeAlias = Literal["password", "google", "apple", "oidc", "telegram", "phone_otp", "email_link", "passkey"]
BoardName: TypeAlias = Literal["full", "masked", "hidden"]

USERNAME_MAX = Setting(
    "identity.username_max", "int", 32, "The longest user name that may be chosen.", "characters", low=8, high=80
)


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user who is about to exist, everything judged. `registered_with` is None when an operator made the account."""

    id: UserId
    username: str
    display_name: str
    kind: UserKind
    status: UserStatus
    registered_with: AuthMethod | None
    locale: str
    time_zone: str
    board_name: BoardName
    created_at: datetime
    activated_at: datetime | None


@dataclass(frozen=True, slots=True)
class User:
    """A user as he and the operators see him."""

    id: UserId
    username: str
    display_name: str
    kind: UserKind
    status: UserStatus
    registered_with: AuthMethod | None
    locale: str
    time_zone: str
    country: str | None
    board_name: BoardName
    created_at: datetime
    activated_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class Card:
    """What everybody may know of a user; `board_name` says how much of the name a board shows."""

    id: UserId
    username: str
    display_name: str
    board_name: BoardName
    status: UserStatus
    created_at: datetime
