"""Sign-in and one's own account as calls."""

from dataclasses import replace
from datetime import date
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from palio.identity import doors, service
from palio.identity import schemas as say
from palio.identity.doors import House
from palio.identity.errors import (
    AccountSuspended,
    BadCredentials,
    BirthDateInvalid,
    CharacterNotAllowed,
    ConsentRequired,
    ContactUnverified,
    CountryInvalid,
    DisplayNameInvalid,
    EmailInvalid,
    EmailNotAllowed,
    FactorExists,
    FactorMissing,
    FullNameInvalid,
    InvitationNeeded,
    LifetimeInvalid,
    LocaleInvalid,
    MethodClosed,
    MixedScripts,
    NameImitates,
    NetworkInvalid,
    NoSuchSession,
    NoSuchToken,
    NotStaff,
    OwnerExists,
    PasskeyInvalid,
    PasswordTooWeak,
    ProofRequired,
    RefreshReused,
    RegistrationClosed,
    RegistrationRefused,
    SaidAlready,
    ScopeUnknown,
    SecondFactorRequired,
    SecondFactorWrong,
    TicketExpired,
    TimeZoneInvalid,
    TokenExpired,
    TokenInvalid,
    TokenNameInvalid,
    TokenRevoked,
    TooManyAttempts,
    TooManyTokens,
    UsernameInvalid,
    UsernameReserved,
    UsernameTaken,
)
from palio.identity.types import (
    LetterKind,
    SessionId,
    TokenId,
)
from palio.identity.web.coming import DONE, OPEN, OWN, Arrival, Arriving
from palio.identity.web.reception import (
    DAY_S,
    GUESSES,
    LETTERS,
    REGISTRATION,
    SIGN_UP,
    From,
    InHouse,
    cookie_name,
    keep,
    keep_device,
    keep_session,
    leave,
    me_of,
    prove,
    session_of,
)
from palio.infra.db import Tx
from palio.infra.passwords import HashingBusy
from palio.kernel.errors import Unauthenticated
from palio.ui import including, limits, versions
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.refusals import ScopeMissing
from palio.ui.routes import Routes
from palio.ui.versions import Seen

routes = Routes("identity")


# letting in


BEGUN = say.SessionBegun(say.EXAMPLE_ID, "browser", say.MOMENT, None)
APPLICATION = (RegistrationClosed, InvitationNeeded, RegistrationRefused, EmailInvalid, EmailNotAllowed)
NAMES = (DisplayNameInvalid, CharacterNotAllowed, MixedScripts, NameImitates, LocaleInvalid)
PERSON = (
    *(UsernameInvalid, UsernameReserved, UsernameTaken, ConsentRequired, FullNameInvalid, TimeZoneInvalid),
    *(CountryInvalid, *NAMES),
)
ONCE = (SaidAlready, BirthDateInvalid, CountryInvalid)
GUESSING = (BadCredentials, TooManyAttempts, HashingBusy)


@routes.post(
    "/auth/register",
    **OPEN,
    example=say.Registered("accepted", None),
    refuses=[*APPLICATION, *PERSON, PasswordTooWeak, HashingBusy, TooManyAttempts],
    rate=GUESSES,
    status=202,
    also={201: say.Registered("accepted", None, BEGUN)},
)
async def register_user(form: say.Register, arriving: Arriving) -> say.Registered:
    """Apply for an account; its address is written to, and the link in the letter makes it active.

    Where the proof of the address may wait, the answer is 201 with a session. What is refused does not count as one of
    the few that an address and a device may send.
    """
    application = form.application()
    await doors.judge_application(arriving.house, application=application, now=arriving.now)
    await limits.take(arriving.request, arriving.ask, SIGN_UP)
    made = await doors.register(
        arriving.house, application=application, kind=form.client, visitor=arriving.visitor, now=arriving.now
    )
    session = arriving.begin(made.session) if made.session else None
    arriving.response.status_code = 201 if session else 202
    if form.client == "app":
        return say.Registered("accepted", made.told, session)
    keep(arriving.request, arriving.response, REGISTRATION, made.told, DAY_S)
    keep_device(arriving.request, arriving.response, arriving.visitor)
    return say.Registered("accepted", None, session)


@routes.post(
    "/auth/verify-email",
    **OPEN,
    example=DONE,
    refuses=[TokenInvalid, ProofRequired, *GUESSING],
    rate=GUESSES,
)
async def verify_email(form: say.VerifyEmail, request: Request, visitor: From, house: InHouse, ask: Ask) -> say.Done:
    """Prove an address by the mailed link, as whoever registered with it."""
    await doors.verify_email(
        house,
        secret=form.token,
        registration=form.registration or request.cookies.get(cookie_name(request, REGISTRATION)),
        password=form.password,
        visitor=visitor,
        now=ask.now,
    )
    return DONE


@routes.post(
    "/auth/resend-verification",
    **OPEN,
    example=say.Done(),
    refuses=[EmailInvalid],
    rate=LETTERS,
    status=202,
)
async def resend_verification(form: say.Address, house: InHouse) -> say.Done:
    """Ask for another link to prove an address; whether anybody has it is not said."""
    return await _ask_for_letter(house, "email_verification", form)


@routes.post(
    "/auth/password/forgot",
    **OPEN,
    example=say.Done(),
    refuses=[EmailInvalid],
    rate=LETTERS,
    status=202,
)
async def forget_password(form: say.Address, house: InHouse) -> say.Done:
    """Ask for a link to choose a new password; whether anybody has the address is not said."""
    return await _ask_for_letter(house, "password_reset", form)


async def _ask_for_letter(house: House, letter: LetterKind, form: say.Address) -> say.Done:
    await doors.ask_for_letter(house, letter=letter, email=form.email)
    return say.Done()


@routes.post(
    "/auth/password/reset",
    **OPEN,
    example=DONE,
    refuses=[TokenInvalid, PasswordTooWeak, HashingBusy],
    rate=GUESSES,
)
async def reset_password(form: say.NewPassword, house: InHouse, ask: Ask) -> say.Done:
    """Choose a new password by the mailed link; every session and API token ends."""
    await doors.reset_password(house, secret=form.token, new=form.password, now=ask.now)
    return DONE


@routes.post(
    "/auth/first-owner",
    **OPEN,
    example=DONE,
    refuses=[TokenInvalid, OwnerExists, PasswordTooWeak, HashingBusy],
    rate=GUESSES,
)
async def accept_first_owner(form: say.NewPassword, house: InHouse, ask: Ask) -> say.Done:
    """Become the first owner by the link that the operator printed."""
    await doors.accept_first_owner(house, secret=form.token, new=form.password, now=ask.now)
    return DONE


@routes.post(
    "/auth/invitation",
    **OPEN,
    example=DONE,
    refuses=[TokenInvalid, MethodClosed, *PERSON, RegistrationRefused, PasswordTooWeak, HashingBusy],
    rate=GUESSES,
)
async def accept_invitation(form: say.AcceptInvitation, visitor: From, house: InHouse, ask: Ask) -> say.Done:
    """Make the account that one was invited to, by the mailed link; the address of the letter is proven by that."""
    await doors.accept_invitation(
        house, secret=form.token, application=form.application(), visitor=visitor, now=ask.now
    )
    return DONE


@routes.post(
    "/auth/login",
    **OPEN,
    example=BEGUN,
    refuses=[*GUESSING, SecondFactorRequired, ContactUnverified, NotStaff, AccountSuspended, FactorMissing],
    rate=GUESSES,
)
async def log_in(form: say.LogInBy, arriving: Arriving) -> say.SessionBegun:
    """Begin a session by name or address and password; with a second factor set up, get a ticket for it."""
    found = await doors.sign_in(
        arriving.house,
        identifier=form.identifier,
        password=form.password,
        kind=form.kind,
        visitor=arriving.visitor,
        now=arriving.now,
    )
    return arriving.begin(found)


@routes.post(
    "/auth/mfa",
    **OPEN,
    example=BEGUN,
    refuses=[TicketExpired, SecondFactorWrong, PasskeyInvalid, TooManyAttempts, HashingBusy],
    rate=GUESSES,
)
async def enter_second_factor(form: say.SecondFactor, arriving: Arriving) -> say.SessionBegun:
    """Begin the session whose password was right, by a code or a passkey."""
    if form.passkey:
        found = await doors.second_factor_by_passkey(
            arriving.house,
            ticket=form.ticket,
            credential=form.passkey.model_dump(),
            trusts_device=form.trust_device,
            visitor=arriving.visitor,
            now=arriving.now,
        )
    else:
        found = await doors.second_factor(
            arriving.house,
            ticket=form.ticket,
            code=form.code,
            trusts_device=form.trust_device,
            visitor=arriving.visitor,
            now=arriving.now,
        )
    return arriving.begin(found)


@routes.post(
    "/auth/refresh",
    **OPEN,
    example=say.TokensAnswer("kR9…", "vQ2…", say.MOMENT),
    refuses=[Unauthenticated, TokenRevoked, TokenExpired, RefreshReused],
)
async def refresh_tokens(form: say.Refresh, visitor: From, house: InHouse, ask: Ask) -> say.TokensAnswer:
    """Exchange a refresh token for the next pair; the same again within ten seconds gets the same pair."""
    found = await doors.refresh(house, token=form.refresh_token, device_key=visitor.device_key, now=ask.now)
    return say.TokensAnswer.of(found)


@routes.post("/auth/logout", access="public", scope=NO_TOKEN, example=DONE, idempotency="none", for_viewers=True)
async def log_out(request: Request, response: Response, ask: Ask, house: InHouse) -> say.Done:
    """End this session; without one nothing happens."""
    await leave(request, response, house, ask)
    return DONE


@routes.post(
    "/auth/step-up",
    access="player",
    scope=NO_TOKEN,
    example=DONE,
    refuses=[*GUESSING, SecondFactorWrong, PasskeyInvalid, NoSuchSession],
    rate=GUESSES,
    for_restricted=True,
    idempotency="none",
)
async def step_up(form: say.Proof, arriving: Arriving) -> say.Done:
    """Prove anew who acts in this session, for what needs a fresh proof."""
    return await _prove(form, arriving)


async def _prove(form: say.Proof, at: Arrival) -> say.Done:
    passkey = form.passkey.model_dump() if form.passkey else None
    await prove(at.request, at.response, at.visitor, at.house, at.ask, form.secret, passkey)
    return DONE


@routes.post(
    "/console/identity/step-up",
    access="identity.session.prove",
    scope=NO_TOKEN,
    example=DONE,
    refuses=[*GUESSING, SecondFactorWrong, PasskeyInvalid, NoSuchSession],
    rate=GUESSES,
    idempotency="none",
    unaudited="it changes the session of whoever asks, and nothing else",
)
async def step_up_in_console(form: say.Proof, arriving: Arriving) -> say.Done:
    """Prove anew who acts in this session of the console."""
    return await _prove(form, arriving)


@routes.post(
    "/console/identity/log-out",
    access="identity.session.prove",
    scope=NO_TOKEN,
    example=DONE,
    idempotency="none",
    unaudited="the session tells when and why it ended",
)
async def log_out_of_console(request: Request, response: Response, ask: Ask, house: InHouse) -> say.Done:
    """End this session of the console."""
    await leave(request, response, house, ask)
    return DONE


# one's own account

SECTIONS = ("wallets", "links", "roles")
Included: TypeAlias = Annotated[list[str], Depends(including.of_names(SECTIONS))]
ME = say.MeAnswer(
    say.EXAMPLE_ID,
    "alice",
    "Alice",
    None,
    "alice@example.com",
    True,
    "active",
    True,
    False,
    "masked",
    "en",
    "Europe/Berlin",
    date(2026, 3, 18),
    "DE",
    "Berlin",
    date(1990, 12, 31),
    ["password", "telegram"],
    True,
    "7000000001",
    True,
    10,
    say.MOMENT,
    say.MOMENT,
    3,
)
A_SESSION = say.SessionAnswer(
    say.EXAMPLE_ID,
    "browser",
    "Firefox on Linux",
    "password",
    "198.51.100.7",
    "DE",
    "Berlin",
    say.MOMENT,
    say.MOMENT,
    say.MOMENT,
    is_current=True,
)
A_TOKEN = say.ApiTokenAnswer(
    say.EXAMPLE_ID, "my bot", "palio_8fK2pQ1z", "x9Wq", ["games:read"], [], say.MOMENT, say.MOMENT, None
)


@routes.get("/me", access="owner", example=ME, refuses=[ScopeMissing])
async def get_me(
    request: Request, ask: Ask, tx: InTx, response: Response, house: InHouse, include: Included
) -> say.MeAnswer:
    """Read one's own account; `auth_methods` are the ways in that work now. `include` adds what others know of one.

    Only without it does the answer say which version of the account it is.
    """
    if include:
        sections = await including.read(request.app.state.sections, ask, tx, include)
        return replace(await _me(ask, tx, house), included=sections)
    return await _versioned(ask, tx, response, house)


async def _me(ask: Asking, tx: Tx, house: House) -> say.MeAnswer:
    return say.MeAnswer.of(await service.accounts.me(tx, user_id=me_of(ask), now=ask.now), house.opened())


async def _versioned(ask: Asking, tx: Tx, response: Response, house: House) -> say.MeAnswer:
    found = await _me(ask, tx, house)
    versions.tell(response, found.version)
    return found


@routes.patch("/me", access="owner", example=ME, refuses=[*NAMES, *ONCE], idempotency="none")
async def update_me(
    form: say.Profile, seen: Seen, ask: Ask, house: InHouse, tx: InTx, response: Response
) -> say.MeAnswer:
    """Change what one says of oneself: the shown name, how much of it boards show, the language.

    When one was born and where one lives is said once.
    """
    await doors.update_profile(
        house,
        user_id=me_of(ask),
        display_name=form.display_name,
        board_name=form.board_name,
        locale=form.locale,
        version=seen,
        born=form.birth_date,
        country=form.country,
        now=ask.now,
    )
    return await _versioned(ask, tx, response, house)


@routes.put(
    "/me/password",
    **OWN,
    example=DONE,
    refuses=[*GUESSING, PasswordTooWeak],
    rate=GUESSES,
    for_restricted=True,
)
async def change_password(form: say.ChangePassword, visitor: From, house: InHouse, ask: Ask) -> say.Done:
    """Set a new password by the present one; all other sessions end."""
    await doors.change_password(
        house,
        user_id=me_of(ask),
        session_id=session_of(ask),
        current=form.current,
        new=form.password,
        visitor=visitor,
        now=ask.now,
    )
    return DONE


@routes.get("/me/sessions", access="owner", scope=NO_TOKEN, example=say.Sessions([A_SESSION]))
async def list_sessions(ask: Ask, tx: InTx) -> say.Sessions:
    """List one's open sessions."""
    found = await service.sessions.sessions_of(tx, user_id=me_of(ask), current=session_of(ask), now=ask.now)
    return say.Sessions([say.SessionAnswer.of(one) for one in found])


@routes.delete(
    "/me/sessions/{session_id:uuid}",
    access="owner",
    scope=NO_TOKEN,
    example=say.Ended(1),
    for_restricted=True,
    refuses=[NoSuchSession],
)
async def end_session(session_id: UUID, ask: Ask, tx: InTx) -> say.Ended:
    """End one of one's sessions; it is refused from the next request on."""
    await service.sessions.end_session(
        tx, user_id=me_of(ask), session_id=SessionId(session_id), reason="revoked_by_user", now=ask.now
    )
    return say.Ended(1)


@routes.delete("/me/sessions", access="owner", scope=NO_TOKEN, example=say.Ended(2), for_restricted=True)
async def end_sessions(
    ask: Ask, tx: InTx, but: Annotated[Literal["current"] | None, Query(alias="except")] = None
) -> say.Ended:
    """End all one's sessions, or all but this one."""
    kept = session_of(ask) if but else None
    ended = await service.sessions.end_sessions(tx, user_id=me_of(ask), but=kept, reason="revoked_by_user", now=ask.now)
    return say.Ended(ended)


@routes.get("/me/api-tokens", access="owner", scope=NO_TOKEN, example=say.ApiTokens([A_TOKEN]))
async def list_api_tokens(ask: Ask, tx: InTx) -> say.ApiTokens:
    """List one's API tokens, never their secrets."""
    found = await service.tokens.tokens_of(tx, user_id=me_of(ask), now=ask.now)
    return say.ApiTokens([say.ApiTokenAnswer.of(one) for one in found])


@routes.post(
    "/me/api-tokens",
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=say.NewApiTokenAnswer(A_TOKEN, None),
    refuses=[TokenNameInvalid, ScopeUnknown, LifetimeInvalid, TooManyTokens, NetworkInvalid],
    secrets=["secret"],
    status=201,
)
async def create_api_token(form: say.MakeToken, ask: Ask, tx: InTx) -> say.NewApiTokenAnswer:
    """Make an API token; its secret is shown this once."""
    made = await service.tokens.create_token(
        tx,
        user_id=me_of(ask),
        name=form.name,
        scopes=form.scopes,
        days=form.days,
        ip_allow=form.networks,
        now=ask.now,
    )
    return say.NewApiTokenAnswer.of(made)


@routes.delete(
    "/me/api-tokens/{key_id:uuid}",
    access="owner",
    scope=NO_TOKEN,
    example=DONE,
    refuses=[NoSuchToken],
)
async def revoke_api_token(key_id: UUID, ask: Ask, tx: InTx) -> say.Done:
    """End one of one's API tokens."""
    await service.tokens.revoke_token(tx, user_id=me_of(ask), token_id=TokenId(key_id), now=ask.now)
    return DONE


@routes.post(
    "/tokens/revoke-leaked",
    **OPEN,
    example=say.Done(),
    rate=LETTERS,
    status=202,
)
async def revoke_leaked_token(form: say.LeakedToken, house: InHouse, ask: Ask) -> say.Done:
    """End an API token that somebody found, by the token itself."""
    await doors.revoke_leaked(house, secret=form.token, now=ask.now)
    return say.Done()


@routes.post(
    "/me/mfa/totp",
    **OWN,
    step_up=True,
    example=say.EnrolmentAnswer("JBSWY3DPEHPK3PXP", "otpauth://totp/…"),
    refuses=[FactorExists],
)
async def begin_totp(house: InHouse, ask: Ask) -> say.EnrolmentAnswer:
    """Get the secret for an authenticator; it counts after its first code."""
    return say.EnrolmentAnswer.of(await doors.begin_totp(house, user_id=me_of(ask), now=ask.now))


@routes.post(
    "/me/mfa/totp/confirm",
    **OWN,
    step_up=True,
    example=DONE,
    refuses=[FactorExists, FactorMissing, SecondFactorWrong, TooManyAttempts],
)
async def confirm_totp(form: say.Code, arriving: Arriving) -> say.Done:
    """Make the authenticator count, by its first code."""
    cookie = await doors.confirm_totp(
        arriving.house,
        user_id=me_of(arriving.ask),
        session_id=session_of(arriving.ask),
        code=form.code,
        visitor=arriving.visitor,
        now=arriving.now,
    )
    if cookie:
        keep_session(arriving.request, arriving.response, cookie, is_console=False)
    return DONE


@routes.delete(
    "/me/mfa/totp",
    **OWN,
    step_up=True,
    example=DONE,
    refuses=[FactorMissing],
)
async def remove_totp(house: InHouse, ask: Ask) -> say.Done:
    """Remove the authenticator and the recovery codes; staff are then no longer let into the console."""
    await doors.remove_totp(house, user_id=me_of(ask))
    return DONE


@routes.post(
    "/me/recovery-codes",
    **OWN,
    step_up=True,
    example=say.RecoveryCodes(["1-abcd-efgh-jkm"]),
    refuses=[FactorMissing, HashingBusy],
)
async def new_recovery_codes(house: InHouse, ask: Ask) -> say.RecoveryCodes:
    """Get ten recovery codes in the place of all earlier ones; they are shown this once."""
    return say.RecoveryCodes(await doors.new_recovery_codes(house, user_id=me_of(ask), now=ask.now))
