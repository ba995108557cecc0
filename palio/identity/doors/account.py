"""What somebody changes of his own proofs, and how he leaves: rows that nobody writes himself, written by the house."""

from datetime import date, datetime

from palio.identity import rules, service
from palio.identity.doors.house import House
from palio.identity.errors import SecondFactorWrong, TooManyAttempts
from palio.identity.types import BoardName, Enrolment, LetterKind, SessionId, User, Visitor
from palio.kernel.ids import UserId


async def ask_for_letter(house: House, *, letter: LetterKind, email: str) -> None:
    """Have somebody written to, if the address is anybody's. Refuses with EmailInvalid."""
    async with house.database.begin_system("a letter is asked for") as tx:
        await service.credentials.ask_for_letter(tx, letter=letter, email=email)


async def sign_out(house: House, *, user_id: UserId, session_id: SessionId, now: datetime) -> None:
    """End the session somebody acts in; it may have ended already."""
    async with house.database.begin_system("sign-out") as tx:
        await service.sessions.end_sessions(tx, user_id=user_id, session_id=session_id, reason="logout", now=now)


async def revoke_leaked(house: House, *, secret: str, now: datetime) -> None:
    """End an API token that somebody found, if it is one."""
    async with house.database.begin_system("a token was found") as tx:
        await service.tokens.revoke_leaked(tx, secret=secret, now=now)


async def update_profile(
    house: House,
    *,
    user_id: UserId,
    display_name: str | None,
    board_name: BoardName | None,
    locale: str | None,
    version: int,
    born: date | None = None,
    country: str | None = None,
    now: datetime,
) -> User:
    """Change what somebody says of himself, as `service.accounts.update_profile` and `say_once` do.

    Only the house sees whom a new name would imitate.
    """
    async with house.database.begin_system("a profile") as tx:
        changed = await service.accounts.update_profile(
            tx, user_id=user_id, display_name=display_name, board_name=board_name, locale=locale, version=version
        )
        if born or country:
            await service.accounts.say_once(tx, user_id=user_id, born=born, country=country, now=now)
        return changed


async def begin_totp(house: House, *, user_id: UserId, now: datetime) -> Enrolment:
    """Give somebody the secret of an authenticator. Refuses with FactorExists."""
    async with house.database.begin_system("an authenticator") as tx:
        return await service.factors.begin_totp(tx, user_id=user_id, now=now)


async def pending_totp(house: House, *, user_id: UserId) -> Enrolment | None:
    """The authenticator of somebody that waits for its first code, if there is one."""
    async with house.database.begin_system("an authenticator") as tx:
        return await service.factors.pending_totp(tx, user_id=user_id)


async def confirm_totp(
    house: House, *, user_id: UserId, session_id: SessionId, code: str, visitor: Visitor, now: datetime
) -> str | None:
    """Make an authenticator count by its first code; guesses are counted. Returns the new cookie of the session.

    Refuses with FactorMissing, FactorExists, SecondFactorWrong, TooManyAttempts.
    """
    async with house.database.begin_system("an authenticator") as tx:
        account = await service.credentials.get_account(tx, user_id=user_id)
        attempt = await service.attempts.knock_with_factor(tx, account=account, visitor=visitor, now=now)
    if attempt.wait_s:
        raise TooManyAttempts(retry_after_s=attempt.wait_s)
    digits = rules.factors.read_totp(code)
    if digits is None:
        raise SecondFactorWrong
    async with house.database.begin_system("an authenticator") as tx:
        await service.attempts.take_back(tx, attempt=attempt)
        return await service.factors.confirm_totp(tx, session_id=session_id, user_id=user_id, code=digits, now=now)


async def remove_totp(house: House, *, user_id: UserId) -> None:
    """Remove an authenticator and its recovery codes. Refuses with FactorMissing."""
    async with house.database.begin_system("an authenticator") as tx:
        await service.factors.remove_totp(tx, user_id=user_id)


async def cancel_reset(house: House, *, user_id: UserId, now: datetime) -> None:
    """Take back that somebody's second factors are to be removed. Refuses with NoReset."""
    async with house.database.begin_system("an authenticator") as tx:
        await service.resets.cancel_reset(tx, user_id=user_id, now=now)
