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
from palio.identity.doors.arrival import to_accept
from palio.identity.doors.avatars import put_avatar, read_avatar, remove_avatar
from palio.identity.doors.contacts import (
    add_email,
    change_zone,
    confirm_email,
    make_email_primary,
    remove_email,
    rename,
    send_email_again,
)
from palio.identity.doors.external import come_back, enter_by_token, leave_for, link_by_token
from palio.identity.doors.friends import befriend
from palio.identity.doors.house import Doorman, House, TelegramBot
from palio.identity.doors.identities import unlink, unlink_telegram
from palio.identity.doors.links import ask_for_login_link, enter_by_link
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
from palio.identity.doors.phones import ask_for_code, enter_by_phone, link_phone
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
from palio.identity.doors.registration import accept_invitation, judge_application, register, verify_email
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
    "accept_invitation",
    "add_email",
    "add_passkey",
    "ask_for_code",
    "ask_for_erasure",
    "ask_for_export",
    "ask_for_letter",
    "ask_for_login_link",
    "ask_to_return",
    "befriend",
    "begin_totp",
    "cancel_erasure",
    "cancel_reset",
    "change_password",
    "change_zone",
    "come_back",
    "confirm_email",
    "confirm_erasure",
    "confirm_totp",
    "enter_by_link",
    "enter_by_mini_app",
    "enter_by_phone",
    "enter_by_token",
    "enter_by_widget",
    "fetch_export",
    "give_consent",
    "judge_application",
    "leave_for",
    "link_by_code",
    "link_by_token",
    "link_by_widget",
    "link_phone",
    "make_email_primary",
    "new_passkey_options",
    "new_recovery_codes",
    "note_page",
    "offer_telegram_code",
    "offer_telegram_link",
    "passkey_options",
    "pending_totp",
    "put_avatar",
    "read_avatar",
    "refresh",
    "register",
    "remove_avatar",
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
    "to_accept",
    "unlink",
    "unlink_telegram",
    "update_profile",
    "verify_email",
    "withdraw_consent",
]
