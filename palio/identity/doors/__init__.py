"""What every edge does to let people in: pages, calls and commands alike.

What must survive a refusal commits by itself, and no transaction is open while a password is hashed.
"""

from palio.identity.doors.account import (
    ask_for_letter,
    begin_totp,
    confirm_totp,
    pending_totp,
    remove_totp,
    revoke_leaked,
    sign_out,
    update_profile,
)
from palio.identity.doors.friends import befriend
from palio.identity.doors.house import Doorman, House
from palio.identity.doors.play import ask_to_return, take_break
from palio.identity.doors.privacy import (
    ask_for_erasure,
    ask_for_export,
    cancel_erasure,
    confirm_erasure,
    fetch_export,
    give_consent,
    withdraw_consent,
)
from palio.identity.doors.recovery import (
    accept_first_owner,
    change_password,
    new_recovery_codes,
    reset_password,
)
from palio.identity.doors.registration import judge_application, register, verify_email
from palio.identity.doors.sign_in import refresh, second_factor, sign_in, step_up

__all__ = [
    "Doorman",
    "House",
    "accept_first_owner",
    "ask_for_erasure",
    "ask_for_export",
    "ask_for_letter",
    "ask_to_return",
    "befriend",
    "begin_totp",
    "cancel_erasure",
    "change_password",
    "confirm_erasure",
    "confirm_totp",
    "fetch_export",
    "give_consent",
    "judge_application",
    "new_recovery_codes",
    "pending_totp",
    "refresh",
    "register",
    "remove_totp",
    "reset_password",
    "revoke_leaked",
    "second_factor",
    "sign_in",
    "sign_out",
    "step_up",
    "take_break",
    "update_profile",
    "verify_email",
    "withdraw_consent",
]
