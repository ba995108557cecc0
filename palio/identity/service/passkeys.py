"""Passkeys: made, shown instead of a password and a second factor, and removed but for the last way in."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from palio.identity import personal, rules, sql
from palio.identity.errors import (
    NoSuchPasskey,
    PasskeyInvalid,
    PasskeyKnown,
    PasskeyNameInvalid,
    TooManyPasskeys,
)
from palio.identity.service import accounts, credentials, resets, sessions
from palio.identity.types import Account, AuthMethod, Passkey, PasskeyId, SessionId
from palio.infra import passkeys
from palio.infra.db import Tx
from palio.infra.passkeys import NotProvenError, Site
from palio.kernel.ids import UserId, new_id

PASSKEYS_MAX = 10
NAME_CHARACTERS_MAX = 60
TRANSPORTS = frozenset({"usb", "nfc", "ble", "internal", "hybrid", "smart-card", "cable"})
LIFE = timedelta(minutes=5)
SITE = "Palio"
KIND = "passkey"
ANYBODY = ""


async def options_for_new(tx: Tx, *, user_id: UserId, now: datetime) -> dict[str, Any]:
    """What the authenticator of a user is asked to make. Refuses with TooManyPasskeys."""
    known = await passkeys_of(tx, user_id=user_id)
    if len(known) >= PASSKEYS_MAX:
        raise TooManyPasskeys(limit=PASSKEYS_MAX)
    user = await accounts.get(tx, name_or_id=user_id)
    return passkeys.creation_options(
        _site(tx),
        user_id=user_id,
        username=user.username,
        shown=user.display_name,
        challenge=personal.new_challenge(tx, user_id.hex, now),
        known=[one.credential_id for one in known],
    )


async def add(
    tx: Tx, *, user_id: UserId, session_id: SessionId, credential: Mapping[str, Any], name: str, now: datetime
) -> str | None:
    """Store the passkey that an authenticator has made; the session is proven by it.

    Returns the new cookie of the session. Audited. Refuses with PasskeyNameInvalid, PasskeyInvalid, TooManyPasskeys,
    PasskeyKnown.
    """
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable() or name.isspace():
        raise PasskeyNameInvalid(longest=NAME_CHARACTERS_MAX)
    await sql.credentials.lock_user(tx, user_id)
    if len(await sql.passkeys.list_passkeys(tx, user_id)) >= PASSKEYS_MAX:
        raise TooManyPasskeys(limit=PASSKEYS_MAX)
    try:
        challenge = passkeys.challenge_in(credential)
        made = passkeys.verify_made(_site(tx), credential, challenge=challenge)
    except NotProvenError:
        raise PasskeyInvalid from None
    await _use_challenge(tx, challenge, user_id.hex, now)
    told = credential["response"].get("transports") or []
    transports = sorted(TRANSPORTS.intersection(told))
    passkey_id = PasskeyId(new_id())
    if not await sql.passkeys.insert_passkey(tx, passkey_id, user_id, made, transports=transports, name=name, now=now):
        raise PasskeyKnown
    await credentials.tell_of_change(tx, user_id=user_id, what="passkey_added")
    return await sessions.renew_proof(tx, session_id=session_id, with_factor=True, now=now)


async def passkeys_of(tx: Tx, *, user_id: UserId) -> list[Passkey]:
    """The passkeys of a user in the order in which they were made."""
    return await sql.passkeys.list_passkeys(tx, user_id)


async def remove(tx: Tx, *, user_id: UserId, passkey_id: UUID, opened: Collection[AuthMethod]) -> None:
    """Remove a passkey of a user who has proven himself, if another way in is left that is `opened`.

    Of two at once one is the last.

    Audited. Refuses with NoSuchPasskey, LastLoginMethod.
    """
    await sql.credentials.lock_user(tx, user_id)
    if not await sql.passkeys.delete_passkey(tx, user_id, PasskeyId(passkey_id)):
        raise NoSuchPasskey
    rules.methods.require_another(await sql.methods.list_ways(tx, user_id), opened)
    await sql.factors.delete_spare_codes(tx, user_id)
    await credentials.tell_of_change(tx, user_id=user_id, what="passkey_removed")


def options_for_anybody(tx: Tx, *, now: datetime) -> dict[str, Any]:
    """What an authenticator is asked to sign, whoever has it."""
    return passkeys.request_options(_site(tx), challenge=personal.new_challenge(tx, ANYBODY, now))


async def account_of(tx: Tx, *, credential: Mapping[str, Any]) -> Account | None:
    """Whose passkey an answer names, which proves nothing yet."""
    try:
        user_id = await sql.passkeys.find_owner(tx, passkeys.id_in(credential))
    except NotProvenError:
        return None
    return await credentials.find_account(tx, user_id=user_id) if user_id else None


async def use(tx: Tx, *, user_id: UserId, credential: Mapping[str, Any], now: datetime) -> None:
    """Accept what a passkey of this user has signed, once: he has not lost it. Refuses with PasskeyInvalid."""
    await resets.stop(tx, user_id=user_id, now=now)  # before the passkey is locked, as its removal does
    try:
        found = await sql.passkeys.lock_passkey(tx, passkeys.id_in(credential))
        owner = passkeys.owner_in(credential)
        if found is None or found.user_id != user_id or (owner is not None and owner != user_id.bytes):
            raise PasskeyInvalid
        challenge = passkeys.challenge_in(credential)
        signed = passkeys.verify_signed(
            _site(tx), credential, challenge=challenge, public_key=found.public_key, sign_count=found.sign_count
        )
    except NotProvenError:
        raise PasskeyInvalid from None
    await _use_challenge(tx, challenge, ANYBODY, now)
    await sql.passkeys.update_signed(
        tx, found.id, sign_count=signed.sign_count, is_backed_up=signed.is_backed_up, now=now
    )


async def _use_challenge(tx: Tx, challenge: bytes, who: str, now: datetime) -> None:
    """A question of ours is answered once, within five minutes. Refuses with PasskeyInvalid."""
    asked_at = personal.challenge_of(tx, challenge, who)
    if asked_at is None or not timedelta(0) <= now - asked_at <= LIFE:
        raise PasskeyInvalid
    proof = personal.digest_of(challenge)
    if not await sql.methods.insert_proof(tx, KIND, proof, now=now, expires_at=asked_at + LIFE):
        raise PasskeyInvalid


def _site(tx: Tx) -> Site:
    return passkeys.site_of(tx.equipment.site, SITE)
