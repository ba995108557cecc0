"""Signing in, the second factor, a fresh proof, and the next pair of tokens of an app."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import get_args
from uuid import UUID

from palio.identity import personal, rules, service
from palio.identity.doors.house import House, require_match
from palio.identity.errors import (
    AccountSuspended,
    BadCredentials,
    ContactUnverified,
    FactorMissing,
    NotStaff,
    PasswordChangeNeeded,
    SecondFactorWrong,
    TicketExpired,
    TooManyAttempts,
)
from palio.identity.types import (
    Account,
    Attempt,
    AuthMethod,
    Client,
    PasswordHash,
    SecondFactorDue,
    SessionId,
    SessionKind,
    SignedIn,
    Tokens,
    Visitor,
)
from palio.infra.db import Tx
from palio.infra.passwords import HashingBusy
from palio.kernel.errors import Refusal
from palio.kernel.ids import UserId

TICKET_LIFE = timedelta(minutes=5)
MAY_ENTER = {"active", "suspended", "closing"}
METHOD: dict[str, AuthMethod] = {one: one for one in get_args(AuthMethod)}
KINDS: dict[str, SessionKind] = {one: one for one in get_args(SessionKind) if one != "impersonation"}
CLIENTS: dict[str, Client] = {one: one for one in get_args(Client)}


async def sign_in(
    house: House, *, identifier: str, password: str, kind: SessionKind, visitor: Visitor, now: datetime
) -> SignedIn | SecondFactorDue:
    """Begin a session by name or address and password, or say that a second factor is due.

    The console opens for staff with a second factor, which they set up as players. Whether nobody has the name, or the
    password is another: the answer is the same, and so is the work.
    Refuses with MethodClosed, BadCredentials, TooManyAttempts, HashingBusy, ContactUnverified, NotStaff,
    AccountSuspended, PasswordChangeNeeded, FactorMissing.
    """
    if kind != "console":
        house.require_open("password")
    async with house.database.begin_system("sign-in") as tx:
        attempt = await service.attempts.knock(tx, identifier=identifier, visitor=visitor, now=now)
    verdict = await house.compare(attempt, password)
    if attempt.account is None or not verdict.matches:
        raise BadCredentials
    renewed = await house.renewed(attempt.account, verdict, password)
    async with house.database.begin_system("sign-in") as tx:
        entered = await _enter(tx, attempt, attempt.account, renewed, kind, visitor, now)
    if isinstance(entered, Refusal):
        raise entered
    return entered


async def second_factor(
    house: House, *, ticket: str, code: str, trusts_device: bool = False, visitor: Visitor, now: datetime
) -> SignedIn:
    """Begin the session whose password was right, by a code of the authenticator or a recovery code, each good once.

    With `trusts_device` the device stands for the second factor from now on, for a while, unless staff sign in.
    Refuses with TicketExpired, SecondFactorWrong, TooManyAttempts, HashingBusy.
    """
    async with house.database.begin_system("second factor") as tx:
        account, kind, client, method = await read_ticket(tx, ticket, now)
    proof = await _judge_code(house, account, code, visitor, now)
    async with house.database.begin_system("second factor") as tx:
        await _use_code(tx, account.user_id, proof, now)
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
        await service.attempts.conclude(tx, attempt=proof.attempt, outcome="success", device_id=opened.device_id)
        if trusts_device and opened.device_id and not account.is_staff:
            await service.devices.trust(tx, device_id=opened.device_id, now=now)
    return opened


async def step_up(
    house: House, *, user_id: UserId, session_id: SessionId, secret: str, visitor: Visitor, now: datetime
) -> str | None:
    """Prove anew who acts in a session: by a code where there is a second factor, else by the password.

    Returns the new cookie of the session; an app has none. Refuses with BadCredentials, SecondFactorWrong,
    TooManyAttempts, HashingBusy, NoSuchSession.
    """
    async with house.database.begin_system("a fresh proof") as tx:
        account = await service.credentials.get_account(tx, user_id=user_id)
    if account.has_second_factor:
        proof = await _judge_code(house, account, secret, visitor, now)
        async with house.database.begin_system("a fresh proof") as tx:
            await _use_code(tx, user_id, proof, now)
            await service.attempts.take_back(tx, attempt=proof.attempt)
            return await service.sessions.renew_proof(tx, session_id=session_id, with_factor=True, now=now)
    attempt = await prove_by_password(house, account, secret, visitor, now, blames="secret")
    async with house.database.begin_system("a fresh proof") as tx:
        await service.attempts.take_back(tx, attempt=attempt)
        return await service.sessions.renew_proof(tx, session_id=session_id, with_factor=False, now=now)


async def refresh(house: House, *, token: str, device_key: str | None, now: datetime) -> Tokens:
    """The next pair of tokens of an app. A repeat within ten seconds gets the same pair, any other ends the session.

    Refuses with Unauthenticated, TokenRevoked, TokenExpired, RefreshReused.
    """
    async with house.database.begin_system("refresh") as tx:
        found = await service.sessions.refresh(tx, token=token, device_key=device_key, now=now)
    if found.tokens is None:
        raise found.refusal
    return found.tokens


async def prove_by_password(
    house: House, account: Account, password: str, visitor: Visitor, now: datetime, *, blames: str
) -> Attempt:
    """Judge the password of somebody who is signed in, as an attempt like any other; `blames` is what held it.

    Refuses with BadCredentials, TooManyAttempts, HashingBusy.
    """
    async with house.database.begin_system("a password") as tx:
        attempt = await service.attempts.knock(tx, identifier=account.username, visitor=visitor, now=now)
    require_match(await house.compare(attempt, password), blames=blames)
    return attempt


@dataclass(frozen=True, slots=True)
class _Proof:
    """A code that was judged and is not used up yet; the digits are compared when they are."""

    attempt: Attempt
    digits: str | None
    code_id: UUID | None


async def _judge_code(house: House, account: Account, code: str, visitor: Visitor, now: datetime) -> _Proof:
    digits, recovery = rules.factors.read_totp(code), rules.factors.read_code(code)
    async with house.database.begin_system("second factor") as tx:
        attempt = await service.attempts.knock_with_factor(tx, account=account, visitor=visitor, now=now)
        number = recovery[0] if recovery else 0
        found = await service.factors.find_recovery_code(tx, user_id=account.user_id, number=number)
    if attempt.wait_s:
        raise TooManyAttempts(retry_after_s=attempt.wait_s)
    if recovery:
        try:
            verdict = await house.hasher.verify(recovery[1], found.code_hash if found else None)
        except HashingBusy:
            async with house.database.begin_system("an attempt that was not judged") as tx:
                await service.attempts.take_back(tx, attempt=attempt)
            raise
        if not verdict.matches:
            raise SecondFactorWrong
    elif digits is None:
        raise SecondFactorWrong
    return _Proof(attempt, digits, found.id if found else None)


async def _use_code(tx: Tx, user_id: UserId, proof: _Proof, now: datetime) -> None:
    await service.resets.stop(tx, user_id=user_id, now=now)  # who has his factor has not lost it, if it is one
    if proof.code_id is not None:
        is_used = await service.factors.use_recovery_code(tx, code_id=proof.code_id, now=now)
    else:
        is_used = await service.factors.use_totp(tx, user_id=user_id, code=proof.digits or "", now=now)
    if not is_used:
        raise SecondFactorWrong


async def _enter(
    tx: Tx,
    attempt: Attempt,
    account: Account,
    renewed: PasswordHash | None,
    kind: SessionKind,
    visitor: Visitor,
    now: datetime,
) -> SignedIn | SecondFactorDue | Refusal:
    """What becomes of a right password. A refusal is returned, so that what is written here stays."""
    user_id = account.user_id
    if renewed and account.hash:
        await service.credentials.renew_hash(tx, user_id=user_id, password=renewed, was=account.hash)
    today = await service.credentials.get_account(tx, user_id=user_id)
    if today.changed_at != account.changed_at:
        return BadCredentials()  # it was changed while we compared it
    if kind == "console" and today.status == "suspended":
        await service.attempts.conclude(tx, attempt=attempt, outcome="suspended")
        return AccountSuspended()
    if today.status not in MAY_ENTER or (kind == "console" and not today.is_staff):
        await service.attempts.conclude(tx, attempt=attempt, outcome="not_allowed")
        return NotStaff() if today.status in MAY_ENTER else ContactUnverified()
    if kind == "console" and today.must_change:
        await service.attempts.conclude(tx, attempt=attempt, outcome="not_allowed")
        return PasswordChangeNeeded()
    is_trusted = today.has_second_factor and await service.devices.stands_for_factor(
        tx, account=today, device_id=attempt.device_id, kind=kind, now=now
    )
    if today.has_second_factor and not is_trusted:
        await service.attempts.conclude(tx, attempt=attempt, outcome="second_factor_required")
        factors = await service.factors.factors_of(tx, user_id=user_id)
        return SecondFactorDue(ticket_of(tx, today, kind, "password", now), factors)
    if kind == "console":
        await service.attempts.conclude(tx, attempt=attempt, outcome="not_allowed")
        return FactorMissing()
    opened = await service.sessions.begin_session(
        tx,
        user_id=user_id,
        kind=kind,
        method="password",
        visitor=visitor,
        with_factor=False,
        is_fresh=not is_trusted,
        now=now,
    )
    await service.attempts.conclude(tx, attempt=attempt, outcome="success", device_id=opened.device_id)
    return opened


def ticket_of(
    tx: Tx, account: Account, kind: SessionKind, method: AuthMethod, now: datetime, client: Client | None = None
) -> str:
    """What stands for the first proof until the second factor is there; a new password makes it worthless."""
    issued, holder = int(now.timestamp()), client or rules.sessions.client_of(kind)
    seal = personal.derived(tx, "second_factor", account.user_id, kind, holder, method, issued, account.changed_at)
    return f"{account.user_id.hex}.{kind}.{holder}.{method}.{issued}.{seal}"


async def read_ticket(tx: Tx, ticket: str, now: datetime) -> tuple[Account, SessionKind, Client, AuthMethod]:
    """Whose first proof a ticket stands for, what it opens, for whom, and what was proven.

    Refuses with TicketExpired.
    """
    try:
        user_text, kind_text, client_text, method_text, issued_text, seal = ticket.split(".")
        user_id, kind, issued = UserId(UUID(user_text)), KINDS[kind_text], int(issued_text)
        client, method = CLIENTS[client_text], METHOD[method_text]
    except (ValueError, KeyError):
        raise TicketExpired from None
    account = await service.credentials.find_account(tx, user_id=user_id)
    if account is None or account.status not in MAY_ENTER or not account.has_second_factor:
        raise TicketExpired
    if not personal.is_derived(tx, seal, "second_factor", user_id, kind, client, method, issued, account.changed_at):
        raise TicketExpired
    if not timedelta(0) <= timedelta(seconds=now.timestamp() - issued) <= TICKET_LIFE:
        raise TicketExpired
    return account, kind, client, method
