"""Sign-in and one's own account over HTTP, and who asks: a cookie of a browser, or the token of a program."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Query, Request, Response

from palio.identity import doors, rules, service
from palio.identity import schemas as say
from palio.identity.doors import Doorman, House
from palio.identity.errors import (
    BadCredentials,
    CharacterNotAllowed,
    ContactUnverified,
    DisplayNameInvalid,
    EmailInvalid,
    EmailNotAllowed,
    FactorExists,
    FactorMissing,
    FullNameInvalid,
    LifetimeInvalid,
    LocaleInvalid,
    MixedScripts,
    NameImitates,
    NetworkInvalid,
    NoSuchSession,
    NoSuchToken,
    NotStaff,
    OwnerExists,
    PasswordTooWeak,
    ProofRequired,
    RefreshReused,
    RegistrationClosed,
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
    Found,
    LetterKind,
    Presented,
    SecondFactorDue,
    SessionId,
    SignedIn,
    TokenId,
    Visitor,
)
from palio.infra.passwords import HashingBusy
from palio.kernel import clock
from palio.kernel.errors import Unauthenticated
from palio.kernel.ids import UserId
from palio.ui import versions
from palio.ui.access import NO_SCOPE, NO_TOKEN
from palio.ui.actor import Ask, Asking, InTx, nobody
from palio.ui.edge import request_id_of
from palio.ui.limits import Limit
from palio.ui.routes import Routes
from palio.ui.versions import Seen

routes = Routes("identity")

SESSION, CONSOLE, DEVICE, REGISTRATION = "palio_session", "palio_console", "palio_device", "palio_registration"
CONSOLE_PATHS = ("/console", "/api/v1/console")
DEVICE_HEADER, TOKEN_HEADER = "palio-device", "x-api-token"
YEAR_S, DAY_S = 31_536_000, 86_400
FORGET = '"cache", "storage"'  # "cookies" would take the device and the other surface's session too
SIGN_UP = (Limit("sign-up", 3, 3_600, by="address"), Limit("sign-up-day", 10, DAY_S, by="address"))
LETTERS = (Limit("letters", 10, 3_600, by="address"),)
GUESSES = (Limit("proofs", 60, 300, by="address"),)  # what is judged has limits of its own: these spare the hashing


@dataclass(frozen=True, slots=True)
class Reception:
    """Says who asks. A cookie that is no longer good is nobody's; a token that is not is refused."""

    doorman: Doorman

    async def __call__(self, request: Request) -> Asking:
        """The context of a request. Refuses with TokenRevoked."""
        presented = presented_by(request)
        if presented is None:
            return await nobody(request)
        now = clock.now()
        found = await self.doorman.recognise(presented, now=now)
        if found is None:
            if presented.kind == "bearer":
                raise TokenRevoked
            return await nobody(request)
        return _asking(request, found)


def presented_by(request: Request) -> Presented | None:
    """What a request shows of who it is; with a token its cookies are ignored."""
    ip = request.client.host if request.client else None
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if token or TOKEN_HEADER in request.headers:
        bearer = request.headers.get(TOKEN_HEADER) or (token.strip() if scheme.lower() == "bearer" else "")
        return Presented("bearer", bearer, ip=ip)
    is_console = request.url.path.startswith(CONSOLE_PATHS)
    cookie = request.cookies.get(_name(request, CONSOLE if is_console else SESSION))
    return Presented("cookie", cookie, is_console, ip) if cookie else None


def _asking(request: Request, found: Found) -> Asking:
    return Asking(
        rules.sessions.actor_of(found, request_id_of(request.scope)),
        clock.now(),
        permissions=frozenset(found.permissions),
        scopes=None if found.scopes is None else frozenset(found.scopes),
        session_id=found.session_id,
        mfa_at=found.mfa_at,
        step_up_at=found.proved_at,
    )


async def visitor_of(request: Request) -> Visitor:
    """From where somebody comes; apps name their device in a header, browsers keep a cookie."""
    device = request.headers.get(DEVICE_HEADER) or request.cookies.get(_name(request, DEVICE))
    is_device = device is not None and rules.sessions.DEVICE_KEY.fullmatch(device) is not None
    ip = request.client.host if request.client else ""
    return Visitor(ip, request.headers.get("user-agent", ""), device if is_device else None)


async def house_of(request: Request) -> House:
    """What lets people in, as the application has it."""
    house: House = request.app.state.house
    return house


From = Annotated[Visitor, Depends(visitor_of)]
InHouse = Annotated[House, Depends(house_of)]


def _name(request: Request, cookie: str) -> str:
    """The name of a cookie; without encryption, on this machine, browsers refuse the prefix."""
    return f"__Host-{cookie}" if request.url.scheme == "https" else cookie


def _keep(request: Request, response: Response, cookie: str, value: str, seconds: int | None = None) -> None:
    """Give a browser a cookie that no script reads and no other site sends along."""
    response.set_cookie(
        _name(request, cookie),
        value,
        max_age=seconds,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict" if cookie == CONSOLE else "lax",
    )


def _begin(request: Request, response: Response, session: SignedIn) -> say.SessionBegun:
    if session.cookie:
        _keep_session(request, response, session.cookie, is_console=session.kind == "console")
        _keep(request, response, DEVICE, session.device_key, YEAR_S)
    return say.SessionBegun.of(session)


def _keep_session(request: Request, response: Response, value: str, *, is_console: bool) -> None:
    seconds = rules.sessions.CONSOLE_ABSOLUTE if is_console else rules.sessions.ABSOLUTE
    _keep(request, response, CONSOLE if is_console else SESSION, value, int(seconds / timedelta(seconds=1)))


def _me(ask: Asking) -> UserId:
    if ask.actor.user_id is None:
        raise Unauthenticated
    return ask.actor.user_id


def _session(ask: Asking) -> SessionId:
    if ask.session_id is None:
        raise Unauthenticated
    return SessionId(ask.session_id)


# letting in

BEGUN = say.SessionBegun(say.EXAMPLE_ID, "browser", say.MOMENT, None)
APPLICATION = (RegistrationClosed, EmailInvalid, EmailNotAllowed, UsernameInvalid, UsernameReserved, UsernameTaken)
NAMES = (DisplayNameInvalid, CharacterNotAllowed, MixedScripts, NameImitates, FullNameInvalid, LocaleInvalid)
GUESSING = (BadCredentials, TooManyAttempts, HashingBusy)


@routes.post(
    "/auth/register",
    access="public",
    scope=NO_SCOPE,
    example=say.Registered("accepted", None),
    refuses=[*APPLICATION, *NAMES, TimeZoneInvalid, PasswordTooWeak, HashingBusy],
    rate=SIGN_UP,
    idempotency="none",
    status=202,
)
async def register_user(
    form: say.Register, request: Request, response: Response, visitor: From, house: InHouse, ask: Ask
) -> say.Registered:
    """Apply for an account; its address is written to, and the link in the letter makes it active."""
    told = await doors.register(house, application=form.application(), visitor=visitor, now=ask.now)
    if form.client == "app":
        return say.Registered("accepted", told)
    _keep(request, response, REGISTRATION, told, DAY_S)
    return say.Registered("accepted", None)


@routes.post(
    "/auth/verify-email",
    access="public",
    scope=NO_SCOPE,
    example=say.Done("done"),
    refuses=[TokenInvalid, ProofRequired, *GUESSING],
    rate=GUESSES,
    idempotency="none",
)
async def verify_email(form: say.VerifyEmail, request: Request, visitor: From, house: InHouse, ask: Ask) -> say.Done:
    """Prove an address by the mailed link, as whoever registered with it."""
    await doors.verify_email(
        house,
        secret=form.token,
        registration=form.registration or request.cookies.get(_name(request, REGISTRATION)),
        password=form.password,
        visitor=visitor,
        now=ask.now,
    )
    return say.Done("done")


@routes.post(
    "/auth/resend-verification",
    access="public",
    scope=NO_SCOPE,
    example=say.Done(),
    refuses=[EmailInvalid],
    rate=LETTERS,
    idempotency="none",
    status=202,
)
async def resend_verification(form: say.Address, house: InHouse) -> say.Done:
    """Ask for another link to prove an address; whether anybody has it is not said."""
    return await _ask_for_letter(house, "email_verification", form)


@routes.post(
    "/auth/password/forgot",
    access="public",
    scope=NO_SCOPE,
    example=say.Done(),
    refuses=[EmailInvalid],
    rate=LETTERS,
    idempotency="none",
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
    access="public",
    scope=NO_SCOPE,
    example=say.Done("done"),
    refuses=[TokenInvalid, PasswordTooWeak, HashingBusy],
    rate=GUESSES,
    idempotency="none",
)
async def reset_password(form: say.NewPassword, house: InHouse, ask: Ask) -> say.Done:
    """Choose a new password by the mailed link; every session and API token ends."""
    await doors.reset_password(house, secret=form.token, new=form.password, now=ask.now)
    return say.Done("done")


@routes.post(
    "/auth/first-owner",
    access="public",
    scope=NO_SCOPE,
    example=say.Done("done"),
    refuses=[TokenInvalid, OwnerExists, PasswordTooWeak, HashingBusy],
    rate=GUESSES,
    idempotency="none",
)
async def accept_first_owner(form: say.NewPassword, house: InHouse, ask: Ask) -> say.Done:
    """Become the first owner by the link that the operator printed."""
    await doors.accept_first_owner(house, secret=form.token, new=form.password, now=ask.now)
    return say.Done("done")


@routes.post(
    "/auth/login",
    access="public",
    scope=NO_SCOPE,
    example=BEGUN,
    refuses=[*GUESSING, SecondFactorRequired, ContactUnverified, NotStaff, FactorMissing],
    rate=GUESSES,
    idempotency="none",
)
async def log_in(
    form: say.LogInBy, request: Request, response: Response, visitor: From, house: InHouse, ask: Ask
) -> say.SessionBegun:
    """Begin a session by name or address and password; with a second factor set up, get a ticket for it."""
    found = await doors.sign_in(
        house,
        identifier=form.identifier,
        password=form.password,
        kind=form.kind,
        visitor=visitor,
        now=ask.now,
    )
    if isinstance(found, SecondFactorDue):
        raise SecondFactorRequired(ticket=found.ticket, factors=list(found.factors))
    return _begin(request, response, found)


@routes.post(
    "/auth/mfa",
    access="public",
    scope=NO_SCOPE,
    example=BEGUN,
    refuses=[TicketExpired, SecondFactorWrong, TooManyAttempts, HashingBusy],
    rate=GUESSES,
    idempotency="none",
)
async def enter_second_factor(
    form: say.SecondFactor, request: Request, response: Response, visitor: From, house: InHouse, ask: Ask
) -> say.SessionBegun:
    """Begin the session whose password was right, by a code."""
    found = await doors.second_factor(house, ticket=form.ticket, code=form.code, visitor=visitor, now=ask.now)
    return _begin(request, response, found)


@routes.post(
    "/auth/refresh",
    access="public",
    scope=NO_SCOPE,
    example=say.TokensAnswer("kR9…", "vQ2…", say.MOMENT),
    refuses=[TokenRevoked, TokenExpired, RefreshReused],
    idempotency="none",
)
async def refresh_tokens(form: say.Refresh, visitor: From, house: InHouse, ask: Ask) -> say.TokensAnswer:
    """Exchange a refresh token for the next pair; the same again within ten seconds gets the same pair."""
    found = await doors.refresh(house, token=form.refresh_token, device_key=visitor.device_key, now=ask.now)
    return say.TokensAnswer.of(found)


@routes.post("/auth/logout", access="public", scope=NO_TOKEN, example=say.Done("done"), idempotency="none")
async def log_out(request: Request, response: Response, ask: Ask, house: InHouse) -> say.Done:
    """End this session; without one nothing happens."""
    return await _log_out(request, response, house, ask)


async def _log_out(request: Request, response: Response, house: House, ask: Asking) -> say.Done:
    if ask.actor.user_id and ask.session_id:
        await doors.sign_out(house, user_id=ask.actor.user_id, session_id=SessionId(ask.session_id), now=ask.now)
    cookie = CONSOLE if ask.actor.kind == "staff" else SESSION
    response.delete_cookie(_name(request, cookie), path="/", secure=request.url.scheme == "https", httponly=True)
    response.headers["Clear-Site-Data"] = FORGET
    return say.Done("done")


@routes.post(
    "/auth/step-up",
    access="player",
    scope=NO_TOKEN,
    example=say.Done("done"),
    refuses=[*GUESSING, SecondFactorWrong, NoSuchSession],
    rate=GUESSES,
    idempotency="none",
)
async def step_up(
    form: say.Proof, request: Request, response: Response, visitor: From, house: InHouse, ask: Ask
) -> say.Done:
    """Prove anew who acts in this session, for what needs a fresh proof."""
    return await _step_up(form, request, response, visitor, house, ask)


@routes.post(
    "/console/identity/step-up",
    access="identity.session.prove",
    scope=NO_TOKEN,
    example=say.Done("done"),
    refuses=[*GUESSING, SecondFactorWrong, NoSuchSession],
    rate=GUESSES,
    idempotency="none",
    unaudited="it changes the session of whoever asks, and nothing else",
)
async def step_up_in_console(
    form: say.Proof, request: Request, response: Response, visitor: From, house: InHouse, ask: Ask
) -> say.Done:
    """Prove anew who acts in this session of the console."""
    return await _step_up(form, request, response, visitor, house, ask)


@routes.post(
    "/console/identity/log-out",
    access="identity.session.prove",
    scope=NO_TOKEN,
    example=say.Done("done"),
    idempotency="none",
    unaudited="the session tells when and why it ended",
)
async def log_out_of_console(request: Request, response: Response, ask: Ask, house: InHouse) -> say.Done:
    """End this session of the console."""
    return await _log_out(request, response, house, ask)


async def _step_up(
    form: say.Proof, request: Request, response: Response, visitor: Visitor, house: House, ask: Asking
) -> say.Done:
    cookie = await doors.step_up(
        house, user_id=_me(ask), session_id=_session(ask), secret=form.secret, visitor=visitor, now=ask.now
    )
    if cookie:
        _keep_session(request, response, cookie, is_console=ask.actor.kind == "staff")
    return say.Done("done")


# one's own account

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
    "DE",
    ["password"],
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
    say.MOMENT,
    say.MOMENT,
    say.MOMENT,
    is_current=True,
)
A_LOG_IN = say.LogInAnswer(
    say.EXAMPLE_ID, say.MOMENT, "success", "password", "Firefox on Linux", "198.51.100.7", is_known_device=True
)
A_TOKEN = say.ApiTokenAnswer(
    say.EXAMPLE_ID, "my bot", "palio_8fK2pQ1z", "x9Wq", ["games:read"], [], say.MOMENT, say.MOMENT, None
)


@routes.get("/me", access="owner", example=ME)
async def get_me(ask: Ask, tx: InTx, response: Response) -> say.MeAnswer:
    """Read one's own account."""
    me = await service.accounts.me(tx, user_id=_me(ask), now=ask.now)
    versions.tell(response, me.user.version)
    return say.MeAnswer.of(me)


@routes.patch("/me", access="owner", example=ME, refuses=NAMES, idempotency="none")
async def update_me(
    form: say.Profile, seen: Seen, ask: Ask, house: InHouse, tx: InTx, response: Response
) -> say.MeAnswer:
    """Change what one says of oneself: the shown name, how much of it boards show, the language."""
    await doors.update_profile(
        house,
        user_id=_me(ask),
        display_name=form.display_name,
        board_name=form.board_name,
        locale=form.locale,
        version=seen,
    )
    return await get_me(ask, tx, response)


@routes.put(
    "/me/password",
    access="owner",
    scope=NO_TOKEN,
    example=say.Done("done"),
    refuses=[*GUESSING, PasswordTooWeak],
    rate=GUESSES,
    idempotency="none",
)
async def change_password(form: say.ChangePassword, visitor: From, house: InHouse, ask: Ask) -> say.Done:
    """Set a new password by the present one; all other sessions end."""
    await doors.change_password(
        house,
        user_id=_me(ask),
        session_id=_session(ask),
        current=form.current,
        new=form.new,
        visitor=visitor,
        now=ask.now,
    )
    return say.Done("done")


@routes.get("/me/sessions", access="owner", scope=NO_TOKEN, example=say.Sessions([A_SESSION]))
async def list_sessions(ask: Ask, tx: InTx) -> say.Sessions:
    """List one's open sessions."""
    found = await service.sessions.sessions_of(tx, user_id=_me(ask), current=_session(ask), now=ask.now)
    return say.Sessions([say.SessionAnswer.of(one) for one in found])


@routes.delete(
    "/me/sessions/{session_id:uuid}",
    access="owner",
    scope=NO_TOKEN,
    example=say.Ended(1),
    refuses=[NoSuchSession],
)
async def end_session(session_id: UUID, ask: Ask, tx: InTx) -> say.Ended:
    """End one of one's sessions; it is refused from the next request on."""
    await service.sessions.end_session(
        tx, user_id=_me(ask), session_id=SessionId(session_id), reason="revoked_by_user", now=ask.now
    )
    return say.Ended(1)


@routes.delete("/me/sessions", access="owner", scope=NO_TOKEN, example=say.Ended(2))
async def end_sessions(
    ask: Ask, tx: InTx, but: Annotated[Literal["current"] | None, Query(alias="except")] = None
) -> say.Ended:
    """End all one's sessions, or all but this one."""
    kept = _session(ask) if but else None
    ended = await service.sessions.end_sessions(tx, user_id=_me(ask), but=kept, reason="revoked_by_user", now=ask.now)
    return say.Ended(ended)


@routes.get("/me/logins", access="owner", scope=NO_TOKEN, example=say.LogIns([A_LOG_IN]))
async def list_log_ins(ask: Ask, tx: InTx) -> say.LogIns:
    """List the last fifty attempts to sign in as oneself."""
    found = await service.attempts.log_ins(tx, user_id=_me(ask), before=ask.now)
    return say.LogIns([say.LogInAnswer.of(one) for one in found])


@routes.get("/me/api-tokens", access="owner", scope=NO_TOKEN, example=say.ApiTokens([A_TOKEN]))
async def list_api_tokens(ask: Ask, tx: InTx) -> say.ApiTokens:
    """List one's API tokens, never their secrets."""
    found = await service.tokens.tokens_of(tx, user_id=_me(ask), now=ask.now)
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
        user_id=_me(ask),
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
    example=say.Done("done"),
    refuses=[NoSuchToken],
)
async def revoke_api_token(key_id: UUID, ask: Ask, tx: InTx) -> say.Done:
    """End one of one's API tokens."""
    await service.tokens.revoke_token(tx, user_id=_me(ask), token_id=TokenId(key_id), now=ask.now)
    return say.Done("done")


@routes.post(
    "/tokens/revoke-leaked",
    access="public",
    scope=NO_SCOPE,
    example=say.Done(),
    rate=LETTERS,
    idempotency="none",
    status=202,
)
async def revoke_leaked_token(form: say.LeakedToken, house: InHouse, ask: Ask) -> say.Done:
    """End an API token that somebody found, by the token itself."""
    await doors.revoke_leaked(house, secret=form.token, now=ask.now)
    return say.Done()


@routes.post(
    "/me/mfa/totp",
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=say.EnrolmentAnswer("JBSWY3DPEHPK3PXP", "otpauth://totp/…"),
    refuses=[FactorExists],
    idempotency="none",
)
async def begin_totp(house: InHouse, ask: Ask) -> say.EnrolmentAnswer:
    """Get the secret for an authenticator; it counts after its first code."""
    return say.EnrolmentAnswer.of(await doors.begin_totp(house, user_id=_me(ask), now=ask.now))


@routes.post(
    "/me/mfa/totp/confirm",
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=say.Done("done"),
    refuses=[FactorExists, FactorMissing, SecondFactorWrong, TooManyAttempts],
    idempotency="none",
)
async def confirm_totp(
    form: say.Code, request: Request, response: Response, visitor: From, house: InHouse, ask: Ask
) -> say.Done:
    """Make the authenticator count, by its first code."""
    cookie = await doors.confirm_totp(
        house, user_id=_me(ask), session_id=_session(ask), code=form.code, visitor=visitor, now=ask.now
    )
    if cookie:
        _keep_session(request, response, cookie, is_console=False)
    return say.Done("done")


@routes.delete(
    "/me/mfa/totp",
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=say.Done("done"),
    refuses=[FactorMissing],
    idempotency="none",
)
async def remove_totp(house: InHouse, ask: Ask) -> say.Done:
    """Remove the authenticator and the recovery codes; staff are then no longer let into the console."""
    await doors.remove_totp(house, user_id=_me(ask))
    return say.Done("done")


@routes.post(
    "/me/recovery-codes",
    access="owner",
    scope=NO_TOKEN,
    step_up=True,
    example=say.RecoveryCodes(["1-abcd-efgh-jkm"]),
    refuses=[FactorMissing, HashingBusy],
    idempotency="none",
)
async def new_recovery_codes(house: InHouse, ask: Ask) -> say.RecoveryCodes:
    """Get ten recovery codes in the place of all earlier ones; they are shown this once."""
    return say.RecoveryCodes(await doors.new_recovery_codes(house, user_id=_me(ask), now=ask.now))
