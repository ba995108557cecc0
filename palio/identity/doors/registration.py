"""Registration, and the link that proves the address."""

from datetime import datetime

from palio.identity import personal, service
from palio.identity.doors.house import House, require_match
from palio.identity.errors import ProofRequired
from palio.identity.types import Application, Registration, SessionKind, Visitor
from palio.kernel.ids import UserId


async def judge_application(house: House, *, application: Application, now: datetime) -> None:
    """Let an application pass that could become an account.

    Refuses as the use case does, and with MethodClosed, PasswordTooWeak.
    """
    house.require_open("password")
    async with house.database.begin_system("registration") as tx:
        await service.registration.judge_application(tx, application=application, now=now)
    local = application.email.partition("@")[0].strip()
    house.require_password(application.password, [application.username, local])


async def register(
    house: House, *, application: Application, kind: SessionKind = "browser", visitor: Visitor, now: datetime
) -> Registration:
    """Take an application; its address is written to, whatever is known of it.

    Returns what only this applicant is told, with a session where the proof may wait.
    Refuses as `judge_application` and `register` do, and with
    PasswordTooWeak, HashingBusy, TooManyAttempts.
    """
    await judge_application(house, application=application, now=now)
    password = await house.hashed(application.password)
    async with house.database.begin_system("registration") as tx:
        told, user_id = await service.registration.register(
            tx, application=application, password=password, visitor=visitor, now=now
        )
        if user_id is None:
            return Registration(told)
        session = await service.sessions.begin_session(
            tx, user_id=user_id, kind=kind, method="password", visitor=visitor, with_factor=False, now=now
        )
        return Registration(told, session)


async def accept_invitation(
    house: House, *, secret: str, application: Application, visitor: Visitor, now: datetime
) -> UserId:
    """Make the account that somebody was invited to, by the mailed link, once; its address is that of the letter.

    Refuses with MethodClosed, TokenInvalid, PasswordTooWeak, HashingBusy, and as `judge_person` does.
    """
    house.require_open("password")
    async with house.database.begin_system("an invitation") as tx:
        token = await service.credentials.open_link(tx, secret=secret, purpose="invite", now=now)
        await service.registration.judge_person(tx, application=application, bearer=token.user_id, now=now)
        own_words = await service.credentials.own_words(tx, user_id=token.user_id)
    house.require_password(application.password, [application.username, *own_words])
    password = await house.hashed(application.password)
    async with house.database.begin_system("an invitation") as tx:
        return await service.invitations.accept(
            tx, token=token, application=application, password=password, visitor=visitor, now=now
        )


async def verify_email(
    house: House,
    *,
    secret: str,
    visitor: Visitor,
    now: datetime,
    registration: str | None = None,
    password: str | None = None,
) -> UserId:
    """Prove an address by the mailed link, and be the applicant: by what he was told, or by the password.

    A stranger who receives the letter cannot make the account of another active. Of two at once one is refused.
    Refuses with TokenInvalid, ProofRequired, BadCredentials, TooManyAttempts, HashingBusy.
    """
    async with house.database.begin_system("an e-mail link") as tx:
        token = await service.credentials.open_link(tx, secret=secret, purpose="email_verification", now=now)
        is_applicant = registration is not None and personal.is_derived(tx, registration, "registration", token.user_id)
        account = await service.credentials.get_account(tx, user_id=token.user_id)
        attempt = None
        if password is not None and not is_applicant:
            attempt = await service.attempts.knock(tx, identifier=account.username, visitor=visitor, now=now)
    if attempt is not None and password is not None:
        require_match(await house.compare(attempt, password), blames="password")
    elif not is_applicant:
        raise ProofRequired
    async with house.database.begin_system("an e-mail link") as tx:
        if attempt is not None:
            await service.attempts.take_back(tx, attempt=attempt)
        return await service.registration.verify_email(tx, token=token, now=now)
