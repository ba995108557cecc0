"""What every edge does to let people in: pages, calls and commands alike.

What must survive a refusal commits by itself, and no transaction is open while a password is hashed.
"""

from palio.identity.doors.house import Doorman, House
from palio.identity.doors.recovery import (
    accept_first_owner,
    change_password,
    new_recovery_codes,
    reset_password,
)
from palio.identity.doors.registration import register, verify_email
from palio.identity.doors.sign_in import refresh, second_factor, sign_in, step_up

__all__ = [
    "Doorman",
    "House",
    "accept_first_owner",
    "change_password",
    "new_recovery_codes",
    "refresh",
    "register",
    "reset_password",
    "second_factor",
    "sign_in",
    "step_up",
    "verify_email",
]
