"""Coming in by a passkey, as the only proof or after a password, and a fresh proof by one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from palio.identity import service
from palio.identity.doors.house import House
from palio.identity.doors.sign_in import MAY_ENTER, read_ticket
from palio.identity.errors import ContactUnverified, NotStaff, PasskeyInvalid, TooManyAttempts
from palio.identity.types import Account, Attempt, PasskeyId, SessionId, SessionKind, SignedIn, Visitor
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.kernel.ids import UserId


async def passkey_options(house: House, *, now: datetime) -> dict[str, Any]:
    """What an authenticator is asked to sign, whoever has it."""
    async with house.database.begin_system("a passkey") as tx:
        return service.passkeys.options_for_anybody(tx, now=now)


async def sign_in_by_passkey(
    house: House, *, credential: Mapping[str, Any], kind: SessionKind, visitor: Visitor, now: datetime
) -> SignedIn:
    """Begin a session by a passkey alone: it is two factors, something one has, and a finger or a PIN.

    The console takes it whatever the house opens to players. Refuses with MethodClosed, PasskeyInvalid,
    TooManyAttempts, ContactUnverified, NotStaff.
    """
    if kind != "console":
        house.require_open("passkey")
    attempt, account = await _knock(house, credential, visitor, now)
    async with house.database.begin_system("sign-in") as tx:
        entered = await _enter(tx, attempt, account, credential, kind, visitor, now)
    if isinstance(entered, Refusal):
        raise entered
    return entered


async def second_factor_by_passkey(
    house: House,
    *,
    ticket: str,
    credential: Mapping[str, Any],
    trusts_device: bool = False,
    visitor: Visitor,
    now: datetime,
) -> SignedIn:
    """Begin the session whose password was right, by a passkey of the same user.

    Refuses with TicketExpired, PasskeyInvalid, TooManyAttempts.
    """
    async with house.database.begin_system("second factor") as tx:
        account, kind, client, method = await read_ticket(tx, ticket, now)
    attempt, owner = await _knock(house, credential, visitor, now)
    if owner.user_id != account.user_id:
        raise PasskeyInvalid
    async with house.database.begin_system("second factor") as tx:
        await service.passkeys.use(tx, user_id=account.user_id, credential=credential, now=now)
        opened = await service.sessions.begin_session(
            tx,
            user_id=account.user_id,
            kind=kind,
            method=method,
            visitor=visitor,
            with_factor=True,
            client=client,
            now=now,
        )
        await service.attempts.conclude(tx, attempt=attempt, outcome="success", device_id=opened.device_id)
        if trusts_device and opened.device_id and not account.is_staff:
            await service.devices.trust(tx, device_id=opened.device_id, now=now)
    return opened


async def step_up_by_passkey(
    house: House,
    *,
    user_id: UserId,
    session_id: SessionId,
    credential: Mapping[str, Any],
    visitor: Visitor,
    now: datetime,
) -> str | None:
    """Prove anew who acts in a session, by a passkey of his. Returns the new cookie of the session; an app has none.

    Refuses with PasskeyInvalid, TooManyAttempts, NoSuchSession.
    """
    attempt, owner = await _knock(house, credential, visitor, now)
    if owner.user_id != user_id:
        raise PasskeyInvalid
    async with house.database.begin_system("a fresh proof") as tx:
        await service.passkeys.use(tx, user_id=user_id, credential=credential, now=now)
        await service.attempts.take_back(tx, attempt=attempt)
        return await service.sessions.renew_proof(tx, session_id=session_id, with_factor=True, now=now)


async def new_passkey_options(house: House, *, user_id: UserId, now: datetime) -> dict[str, Any]:
    """What the authenticator of somebody is asked to make. Refuses with TooManyPasskeys."""
    async with house.database.begin_system("a new passkey") as tx:
        return await service.passkeys.options_for_new(tx, user_id=user_id, now=now)


async def add_passkey(
    house: House, *, user_id: UserId, session_id: SessionId, credential: Mapping[str, Any], name: str, now: datetime
) -> str | None:
    """Store the passkey that somebody's authenticator has made. Returns the new cookie of the session.

    Refuses with PasskeyNameInvalid, PasskeyInvalid, TooManyPasskeys, PasskeyKnown.
    """
    async with house.database.begin_system("a new passkey") as tx:
        return await service.passkeys.add(
            tx, user_id=user_id, session_id=session_id, credential=credential, name=name, now=now
        )


async def remove_passkey(house: House, *, user_id: UserId, passkey_id: PasskeyId) -> None:
    """Remove a passkey of somebody. Refuses with NoSuchPasskey, LastLoginMethod."""
    async with house.database.begin_system("a passkey") as tx:
        await service.passkeys.remove(tx, user_id=user_id, passkey_id=passkey_id, opened=house.opened())


async def _knock(
    house: House, credential: Mapping[str, Any], visitor: Visitor, now: datetime
) -> tuple[Attempt, Account]:
    """Write down that somebody shows a passkey, whoever's it is. Refuses with TooManyAttempts, PasskeyInvalid."""
    async with house.database.begin_system("a passkey") as tx:
        account = await service.passkeys.account_of(tx, credential=credential)
        attempt = await service.attempts.knock_by(tx, method="passkey", visitor=visitor, now=now, account=account)
    if attempt.wait_s:
        raise TooManyAttempts(retry_after_s=attempt.wait_s)
    if account is None:
        raise PasskeyInvalid
    return attempt, account


async def _enter(
    tx: Tx,
    attempt: Attempt,
    account: Account,
    credential: Mapping[str, Any],
    kind: SessionKind,
    visitor: Visitor,
    now: datetime,
) -> SignedIn | Refusal:
    """What becomes of somebody who shows a passkey. A refusal is returned, so that what is written here stays."""
    user_id = account.user_id
    await service.passkeys.use(tx, user_id=user_id, credential=credential, now=now)
    today = await service.credentials.get_account(tx, user_id=user_id)
    if today.status not in MAY_ENTER or (kind == "console" and not today.is_staff):
        await service.attempts.conclude(tx, attempt=attempt, outcome="not_allowed")
        return NotStaff() if today.status in MAY_ENTER else ContactUnverified()
    opened = await service.sessions.begin_session(
        tx, user_id=user_id, kind=kind, method="passkey", visitor=visitor, with_factor=True, now=now
    )
    await service.attempts.conclude(tx, attempt=attempt, outcome="success", device_id=opened.device_id)
    return opened
