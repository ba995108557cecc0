"""What identity tells: ids and codes, never personal data."""

from dataclasses import dataclass

from palio.identity.types import AuthMethod
from palio.kernel.ids import UserId
from palio.kernel.messages import Event


@dataclass(frozen=True, slots=True)
class UserRegistered(Event):
    """There is a new user. `method` is None when an operator made the account."""

    user_id: UserId
    method: AuthMethod | None
    referral_code: str | None = None
