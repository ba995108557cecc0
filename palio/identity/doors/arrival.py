"""What becomes of somebody who has proven who he is by another way than a password."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from palio.identity import service
from palio.identity.doors.house import House
from palio.identity.doors.sign_in import MAY_ENTER, ticket_of
from palio.identity.errors import ConsentRequired, ContactUnverified, TooManyAttempts
from palio.identity.types import Attempt, AuthMethod, Client, Needed, SecondFactorDue, SessionKind, SignedIn, Visitor
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.kernel.ids import UserId


async def knock(house: House, *, method: AuthMethod, visitor: Visitor, now: datetime) -> Attempt:
    """Write down that somebody comes. Refuses with MethodClosed, and with TooManyAttempts, written down too."""
    house.require_open(method)
    async with house.database.begin_system("sign-in") as tx:
        attempt = await service.attempts.knock_by(tx, method=method, visitor=visitor, now=now)
    if attempt.wait_s:
        raise TooManyAttempts(retry_after_s=attempt.wait_s)
    return attempt


async def to_accept(house: House, *, locale: str, now: datetime) -> list[Needed]:
    """What whoever is new must accept, with titles in a language or one that there is."""
    async with house.database.begin_system("what is to be accepted") as tx:
        return await service.documents.needed(tx, locale=locale, now=now)


async def take_back(house: House, attempt: Attempt) -> None:
    """Forget an attempt that could not be judged."""
    async with house.database.begin_system("an attempt that was not judged") as tx:
        await service.attempts.take_back(tx, attempt=attempt)


@asynccontextmanager
async def beginning(house: House, attempt: Attempt, reason: str) -> AsyncIterator[Tx]:
    """The transaction in which a proof is used up, and its bearer let in.

    Whoever has yet to accept something has not guessed wrong, and his proof is as good as before: he comes again with
    it.
    """
    try:
        async with house.database.begin_system(reason) as tx:
            yield tx
    except ConsentRequired:
        async with house.database.begin_system("something is to be accepted first") as tx:
            await service.attempts.conclude(tx, attempt=attempt, outcome="not_allowed")
        raise


async def enter(
    tx: Tx,
    attempt: Attempt,
    user_id: UserId,
    *,
    method: AuthMethod,
    kind: SessionKind,
    client: Client | None = None,
    visitor: Visitor,
    now: datetime,
) -> SignedIn | SecondFactorDue | Refusal:
    """Begin his session, or ask for his second factor. A refusal is returned, so that what is written here stays."""
    account = await service.credentials.get_account(tx, user_id=user_id)
    await service.attempts.take_back(tx, attempt=attempt)  # it becomes his, now that he is known
    if account.status not in MAY_ENTER:
        await service.attempts.note(tx, account=account, method=method, outcome="not_allowed", visitor=visitor, now=now)
        return ContactUnverified()
    device_id = await service.attempts.device_of(tx, account=account, visitor=visitor)
    is_trusted = account.has_second_factor and await service.devices.stands_for_factor(
        tx, account=account, device_id=device_id, kind=kind, now=now
    )
    if account.has_second_factor and not is_trusted:
        await service.attempts.note(
            tx, account=account, method=method, outcome="second_factor_required", visitor=visitor, now=now
        )
        factors = await service.factors.factors_of(tx, user_id=user_id)
        return SecondFactorDue(ticket_of(tx, account, kind, method, now, client), factors)
    opened = await service.sessions.begin_session(
        tx,
        user_id=user_id,
        kind=kind,
        method=method,
        visitor=visitor,
        with_factor=False,
        is_fresh=not is_trusted,
        client=client,
        now=now,
    )
    await service.attempts.note(
        tx,
        account=account,
        method=method,
        outcome="success",
        visitor=visitor,
        now=now,
        device_id=opened.device_id,
    )
    return opened


def required(entered: SignedIn | SecondFactorDue | Refusal) -> SignedIn | SecondFactorDue:
    """The same, once what was written is committed: a refusal is raised."""
    if isinstance(entered, Refusal):
        raise entered
    return entered
