"""New passwords: by the old one, by a mailed link, by the first owner. Recovery codes."""

import asyncio
import secrets
from datetime import datetime

from palio.identity import rules, service
from palio.identity.doors.house import House
from palio.identity.doors.sign_in import prove_by_password
from palio.identity.types import PasswordHash, SessionId, TokenPurpose, TokenRow, Visitor
from palio.kernel.ids import UserId


async def change_password(
    house: House, *, user_id: UserId, session_id: SessionId, current: str, new: str, visitor: Visitor, now: datetime
) -> None:
    """Set a new password by the present one; all other sessions end.

    Refuses with BadCredentials, PasswordTooWeak, TooManyAttempts, HashingBusy.
    """
    async with house.database.begin_system("a new password") as tx:
        account = await service.credentials.get_account(tx, user_id=user_id)
        own_words = await service.credentials.own_words(tx, user_id=user_id)
    attempt = await prove_by_password(house, account, current, visitor, now, blames="current")
    house.require_password(new, own_words)
    password = await house.hashed(new)
    async with house.database.begin_system("a new password") as tx:
        await service.attempts.take_back(tx, attempt=attempt)
        await service.credentials.change_password(tx, user_id=user_id, password=password, current=session_id, now=now)


async def reset_password(house: House, *, secret: str, new: str, now: datetime) -> UserId:
    """Set a new password by the mailed link, once; all sessions and API tokens end.

    Refuses with TokenInvalid, PasswordTooWeak, HashingBusy.
    """
    token, password = await _hash_for_link(house, secret, "password_reset", new, now)
    async with house.database.begin_system("a password is reset") as tx:
        return await service.credentials.reset_password(tx, token=token, password=password, now=now)


async def accept_first_owner(house: House, *, secret: str, new: str, now: datetime) -> UserId:
    """Become the first owner by the printed link, with a password of one's own.

    Refuses with TokenInvalid, OwnerExists, PasswordTooWeak, HashingBusy.
    """
    token, password = await _hash_for_link(house, secret, "first_owner", new, now)
    async with house.database.begin_system("the first owner") as tx:
        return await service.roles.become_first_owner(tx, token=token, password=password, now=now)


async def new_recovery_codes(house: House, *, user_id: UserId, now: datetime) -> list[str]:
    """Ten recovery codes in the place of all earlier ones; they are shown this once.

    Refuses with FactorMissing, HashingBusy.
    """
    words = [
        "".join(secrets.choice(rules.factors.ALPHABET) for _ in range(rules.factors.CHARACTERS))
        for _ in range(rules.factors.CODES)
    ]
    hashes = await asyncio.gather(*(house.hasher.hash(word) for word in words))
    async with house.database.begin_system("recovery codes") as tx:
        await service.factors.replace_recovery_codes(tx, user_id=user_id, hashes=hashes, now=now)
    return [rules.factors.written(number, word) for number, word in enumerate(words, start=1)]


async def _hash_for_link(
    house: House, secret: str, purpose: TokenPurpose, new: str, now: datetime
) -> tuple[TokenRow, PasswordHash]:
    """The link, if it is good, and the hash of the password it is to set."""
    async with house.database.begin_system("a link") as tx:
        token = await service.credentials.open_link(tx, secret=secret, purpose=purpose, now=now)
        own_words = await service.credentials.own_words(tx, user_id=token.user_id)
    house.require_password(new, own_words)
    return token, await house.hashed(new)
