"""Second factors: an authenticator, and ten recovery codes for the day it is lost. Each code is good once."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from palio.identity import personal, sql
from palio.identity.errors import FactorExists, FactorMissing, SecondFactorWrong
from palio.identity.service import credentials, sessions
from palio.identity.sql.factors import RecoveryCode
from palio.identity.types import Account, Enrolment, FactorKind, SessionId
from palio.infra import crypto, totp
from palio.infra.db import Tx
from palio.kernel.ids import UserId, new_id

ISSUER = "Palio"


async def begin_totp(tx: Tx, *, user_id: UserId, now: datetime) -> Enrolment:
    """Give a user the secret of an authenticator, which counts once he has entered its first code.

    Refuses with FactorExists.
    """
    secret, account = totp.new_secret(), await credentials.get_account(tx, user_id=user_id)
    sealed = await crypto.seal(tx, secret, personal.place_of_totp(user_id))
    if not await sql.factors.upsert_totp(tx, user_id, sealed, now=now):
        raise FactorExists
    return _enrolment(secret, account)


async def pending_totp(tx: Tx, *, user_id: UserId) -> Enrolment | None:
    """The authenticator that waits for its first code, as it was given; None if there is none."""
    found, account = await sql.factors.find_totp(tx, user_id), await credentials.get_account(tx, user_id=user_id)
    if found is None or found.confirmed_at is not None:
        return None
    return _enrolment(await _secret(tx, user_id, found.secret), account)


def _enrolment(secret: str, account: Account) -> Enrolment:
    return Enrolment(secret, totp.address_of(secret, name=account.username, issuer=ISSUER))


async def confirm_totp(tx: Tx, *, session_id: SessionId, user_id: UserId, code: str, now: datetime) -> str | None:
    """Make the authenticator count, by its first code; that code is used up, and the session is proven by it.

    Returns the new cookie of the session. Of two at once one is refused. Refuses with FactorMissing, FactorExists,
    SecondFactorWrong.
    """
    await sql.credentials.lock_user(tx, user_id)
    found = await sql.factors.find_totp(tx, user_id)
    if found is None:
        raise FactorMissing
    if found.confirmed_at is not None:
        raise FactorExists
    step = totp.step_matching(await _secret(tx, user_id, found.secret), code, now)
    if step is None:
        raise SecondFactorWrong
    await sql.factors.update_confirmed(tx, user_id, step, now=now)
    await credentials.tell_of_change(tx, user_id=user_id, what="totp_added")
    return await sessions.renew_proof(tx, session_id=session_id, with_factor=True, now=now)


async def use_totp(tx: Tx, *, user_id: UserId, code: str, now: datetime) -> bool:
    """Use the code of this moment up; False if it is wrong, or this one or a later one was used before."""
    found = await sql.factors.find_totp(tx, user_id)
    if found is None or found.confirmed_at is None:
        return False
    step = totp.step_matching(await _secret(tx, user_id, found.secret), code, now)
    return step is not None and await sql.factors.update_step(tx, user_id, step)


async def find_recovery_code(tx: Tx, *, user_id: UserId, number: int) -> RecoveryCode | None:
    """The unused code of this number, whose hash is compared outside."""
    return await sql.factors.find_code(tx, user_id, number)


async def use_recovery_code(tx: Tx, *, code_id: UUID, now: datetime) -> bool:
    """Use a recovery code up whose hash was compared; False if somebody was quicker."""
    return await sql.factors.update_code_used(tx, code_id, now=now)


async def replace_recovery_codes(tx: Tx, *, user_id: UserId, hashes: Sequence[str], now: datetime) -> None:
    """Put ten new codes in the place of the old ones. Refuses with FactorMissing."""
    await sql.credentials.lock_user(tx, user_id)
    if not await factors_of(tx, user_id=user_id):
        raise FactorMissing
    await sql.factors.replace_codes(tx, user_id, [new_id() for _ in hashes], hashes, now=now)
    await credentials.tell_of_change(tx, user_id=user_id, what="recovery_codes_renewed")


async def remove_totp(tx: Tx, *, user_id: UserId) -> None:
    """Remove the authenticator of a user who has proven himself, and codes that stood for it alone.

    Refuses with FactorMissing.
    """
    if not await sql.factors.delete_totp(tx, user_id):
        raise FactorMissing
    await sql.factors.delete_spare_codes(tx, user_id)
    await credentials.tell_of_change(tx, user_id=user_id, what="totp_removed")


async def factors_of(tx: Tx, *, user_id: UserId) -> tuple[FactorKind, ...]:
    """What a user may show after his password."""
    return tuple(await sql.factors.list_kinds(tx, user_id))


async def _secret(tx: Tx, user_id: UserId, sealed: bytes) -> str:
    return await crypto.open_sealed(tx, sealed, personal.place_of_totp(user_id))
