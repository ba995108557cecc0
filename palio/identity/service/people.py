"""People as staff find and see them: sealed values are found by what they are looked for, and never shown."""

import ipaddress
import re
from datetime import datetime

from palio.identity import personal, rules, sql
from palio.identity.errors import EmailInvalid, NoPassword, OwnAccount, PhoneInvalid
from palio.identity.messages import ProfileChanged
from palio.identity.service import accounts, credentials, sessions
from palio.identity.service.suspensions import suspension_of
from palio.identity.types import Born, Correction, Record, Sought, User
from palio.infra import approvals, audit, outbox
from palio.infra.db import Tx
from palio.kernel.ids import UserId
from palio.kernel.parts import Cut, Part

FOUND_MAX = 20
TEXT_CHARACTERS_MAX = 300
CORRECTED = ("display_name", "country", "locale", "board_name")
PREFIX = re.compile(r"[A-Za-z0-9_.-]{2,80}")
TELEGRAM_ID = re.compile(r"[1-9][0-9]{3,17}")


def _sought_by(text: str) -> Sought:
    """What somebody is looked for by: an id, a whole address or number, or how his name begins."""
    if rules.names.id_of(text):
        return "id"
    if "@" in text:
        return "email"
    if _is_address(text):
        return "ip"
    return "phone" if text.startswith("+") else "name"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


async def search(tx: Tx, *, text: str, limit: int = FOUND_MAX) -> list[User]:
    """For staff: at most 20 users whose name begins so (two signs are needed), or whose id, whole e-mail address,
    number (with its +), network address or Telegram id it is. What is none of these finds nobody.
    """
    text, limit = text.strip()[:TEXT_CHARACTERS_MAX], min(limit, FOUND_MAX)
    sought = _sought_by(text)
    if sought == "id":
        found = await accounts.find(tx, name_or_id=text)
        return [found] if found else []
    if sought == "email":
        return await _by_email(tx, text, limit)
    if sought == "ip":
        return await sql.people.list_by_network(tx, personal.network_of(tx, text), limit)
    if sought == "phone":
        return await _by_phone(tx, text, limit)
    if not PREFIX.fullmatch(text):
        return []
    linked = await sql.people.list_by_telegram(tx, int(text)) if TELEGRAM_ID.fullmatch(text) else []
    prefix = text.lower().replace("_", r"\_")  # which `like` would read as any sign
    named = await sql.users.list_named(tx, prefix, limit)
    return [*linked, *(one for one in named if one not in linked)][:limit]


async def newest(tx: Tx, *, part: Part[Born]) -> Cut[User]:
    """For staff: a part of all accounts, those that were made last first."""
    return part.cut(await sql.people.list_newest(tx, part.and_one))


async def _by_phone(tx: Tx, text: str, limit: int) -> list[User]:
    try:
        number = rules.phones.require_number(text, countries=())
    except PhoneInvalid:
        return []
    return await sql.people.list_by_phone(tx, personal.phone_index(tx, number), limit)


async def _by_email(tx: Tx, text: str, limit: int) -> list[User]:
    try:
        index = personal.email_index(tx, personal.canonical_email(text))
    except EmailInvalid:
        return []
    return await sql.people.list_by_email(tx, index, limit)


async def record_of(tx: Tx, *, user_id: UserId, now: datetime) -> Record:
    """An account as staff see it; sealed values stay sealed. Refuses with NoSuchUser."""
    user = await accounts.get(tx, name_or_id=user_id)
    standing = await sql.users.get_standing(tx, user_id, now=now)
    return Record(
        user,
        await suspension_of(tx, user_id=user_id),
        tuple(await sql.people.list_contacts(tx, user_id)),
        tuple(await sql.people.list_phones(tx, user_id)),
        tuple(await sql.people.list_seen_from(tx, user_id)),
        has_full_name=standing.full_name is not None,
        has_birth_date=standing.birth_date is not None,
        has_password=standing.has_password,
        must_change_password=standing.must_change_password,
        has_second_factor=standing.has_totp or standing.has_passkey,
        recovery_codes_left=standing.recovery_codes_left,
        last_login_at=standing.last_login_at,
        avatar_key=standing.avatar_key,
    )


async def correct(tx: Tx, *, user_id: UserId, to: Correction, reason: str, version: int) -> User:
    """Correct what an account says of its bearer, as staff, who have seen `version`. What is None stays. Audited.

    Refuses with NoSuchUser, Stale, OwnAccount, DisplayNameInvalid, CharacterNotAllowed, MixedScripts, NameImitates,
    LocaleInvalid, CountryInvalid, NoPassword, and with approvals.ReasonMissing.
    """
    why = approvals.checked_reason(reason)
    if user_id == tx.actor.user_id:
        raise OwnAccount
    before = await accounts.get(tx, name_or_id=user_id)
    after = await accounts.update_profile(
        tx,
        user_id=user_id,
        display_name=to.display_name,
        board_name=to.board_name,
        locale=to.locale,
        version=version,
    )
    if to.country is not None and to.country != before.country:
        await sql.users.update_country(tx, user_id, rules.names.require_country(to.country), by_staff=True)
        await outbox.send(tx, ProfileChanged(user_id, ("country",)))
        after = await accounts.get(tx, name_or_id=user_id)
    changes: dict[str, tuple[object, object]] = {
        field: (getattr(before, field), getattr(after, field))
        for field in CORRECTED
        if getattr(before, field) != getattr(after, field)
    }
    if to.must_change_password is not None and await require_new_password(
        tx, user_id=user_id, must=to.must_change_password
    ):
        changes["must_change_password"] = (not to.must_change_password, to.must_change_password)
    if changes:
        await audit.record(
            tx,
            actor=tx.actor,
            action="user.correct",
            entity_type="user",
            entity_id=str(user_id),
            changes=changes,
            reason=why,
            subject=user_id,
        )
    return after


async def require_new_password(tx: Tx, *, user_id: UserId, must: bool) -> bool:
    """Have somebody choose another password before he does anything, or not; False if it is so already.

    Refuses with NoPassword.
    """
    account = await credentials.get_account(tx, user_id=user_id)
    if account.hash is None:
        raise NoPassword
    if not await sql.credentials.update_must_change(tx, user_id, must_change=must):
        return False
    sessions.forget_after_commit(tx, user_id)
    return True
