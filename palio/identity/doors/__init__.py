"""What every edge does to let people in: pages, calls and commands alike.

What must survive a refusal commits by itself, and no transaction is open while a password is hashed.
"""

from palio.identity.doors.account import (
    ask_for_letter,
    begin_totp,
    cancel_reset,
    confirm_totp,
    pending_totp,
    remove_totp,
    revoke_leaked,
    sign_out,
    update_profile,
)
from palio.identity.doors.contacts import (
    add_email,
    change_zone,
    confirm_email,
    make_email_primary,
    remove_email,
    rename,
    send_email_again,
)
from palio.identity.doors.friends import befriend
from palio.identity.doors.house import Doorman, House
from palio.identity.doors.looking import note_page
from palio.identity.doors.passkeys import (
    add_passkey,
    new_passkey_options,
    passkey_options,
    remove_passkey,
    second_factor_by_passkey,
    sign_in_by_passkey,
    step_up_by_passkey,
)
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
    "add_email",
    "add_passkey",
    "ask_for_erasure",
    "ask_for_export",
    "ask_for_letter",
    "ask_to_return",
    "befriend",
    "begin_totp",
    "cancel_erasure",
    "cancel_reset",
    "change_password",
    "change_zone",
    "confirm_email",
    "confirm_erasure",
    "confirm_totp",
    "fetch_export",
    "give_consent",
    "judge_application",
    "make_email_primary",
    "new_passkey_options",
    "new_recovery_codes",
    "note_page",
    "passkey_options",
    "pending_totp",
    "refresh",
    "register",
    "remove_email",
    "remove_passkey",
    "remove_totp",
    "rename",
    "reset_password",
    "revoke_leaked",
    "second_factor",
    "second_factor_by_passkey",
    "send_email_again",
    "sign_in",
    "sign_in_by_passkey",
    "sign_out",
    "step_up",
    "step_up_by_passkey",
    "take_break",
    "update_profile",
    "verify_email",
    "withdraw_consent",
]
