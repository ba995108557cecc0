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
from palio.identity.doors.external import come_back, enter_by_token, leave_for, link_by_token
from palio.identity.doors.friends import befriend
from palio.identity.doors.house import Doorman, House, TelegramBot
from palio.identity.doors.identities import unlink, unlink_telegram
from palio.identity.doors.links import ask_for_login_link, enter_by_link
from palio.identity.doors.phones import ask_for_code, enter_by_phone, link_phone
from palio.identity.doors.play import ask_to_return, take_break
from palio.identity.doors.recovery import (
    accept_first_owner,
    change_password,
    new_recovery_codes,
    reset_password,
)
from palio.identity.doors.registration import judge_application, register, verify_email
from palio.identity.doors.sign_in import refresh, second_factor, sign_in, step_up
from palio.identity.doors.telegram import (
    enter_by_mini_app,
    enter_by_widget,
    link_by_code,
    link_by_widget,
    offer_telegram_code,
    offer_telegram_link,
)

__all__ = [
    "Doorman",
    "House",
    "TelegramBot",
    "accept_first_owner",
    "ask_for_code",
    "ask_for_letter",
    "ask_for_login_link",
    "ask_to_return",
    "befriend",
    "begin_totp",
    "change_password",
    "come_back",
    "confirm_totp",
    "enter_by_link",
    "enter_by_mini_app",
    "enter_by_phone",
    "enter_by_token",
    "enter_by_widget",
    "judge_application",
    "leave_for",
    "link_by_code",
    "link_by_token",
    "link_by_widget",
    "link_phone",
    "new_recovery_codes",
    "offer_telegram_code",
    "offer_telegram_link",
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
    "unlink",
    "unlink_telegram",
    "update_profile",
    "verify_email",
]
