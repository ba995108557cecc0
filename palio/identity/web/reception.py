"""Who asks, and the cookies by which a browser is known again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Depends, Request, Response

from palio.identity import doors, personal, rules
from palio.identity.doors import Doorman, House
from palio.identity.doors.house import Remembered
from palio.identity.errors import AccountSuspended, PasswordChangeNeeded
from palio.identity.types import Found, Presented, SessionId, SignedIn, Visitor
from palio.infra.tickets import Holder
from palio.kernel import clock
from palio.kernel.batches import Sharer
from palio.kernel.errors import Refusal, Unauthenticated
from palio.kernel.ids import RequestId, UserId
from palio.ui.actor import Asking, Viewing, nobody
from palio.ui.edge import SAFE_METHODS, request_id_of
from palio.ui.limits import Limit

SESSION, CONSOLE, DEVICE, REGISTRATION = "palio_session", "palio_console", "palio_device", "palio_registration"
VIEWER = "palio_viewer"  # of staff who look as a player: as long as there is one, it is that player who asks
CONSOLE_PATHS = ("/console", "/api/v1/console")
DEVICE_HEADER, TOKEN_HEADER = "palio-device", "x-api-token"
TOKENS_AT_ONCE_MAX = 10_000
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
        """The context of a request. Refuses with Unauthenticated, TokenRevoked, TokenExpired, TokenElsewhere."""
        presented = presented_by(request)
        if presented is None:
            return await nobody(request)
        now = clock.now()
        is_token = presented.kind == "bearer"
        found = await (self.doorman.admit if is_token else self.doorman.recognise)(presented, now=now)
        if found is None:
            return await nobody(request)
        may_act = request.method not in SAFE_METHODS
        ask = asking_of(found, request_id_of(request.scope), may_act=may_act)
        if ask.viewing and not may_act:
            await doors.note_page(
                self.doorman.database, actor=ask.actor, path=request.url.path, reason=ask.viewing.reason
            )
        return ask


@dataclass(frozen=True, slots=True)
class Recollection:
    """Says who is behind a ticket, as long as the session or token that he got it with is good."""

    doorman: Doorman

    async def __call__(self, request: Request, holder: Holder) -> Asking:
        """The context of a stream. Refuses with Unauthenticated."""
        ip = request.client.host if request.client else None
        kind: Literal["session", "api_token"] = "session" if holder.session_id else "api_token"
        presented = Presented(kind, str(holder.session_id or holder.token_id), ip=ip)
        found = await self.doorman.recognise(presented, now=clock.now())
        if found is None:
            raise Unauthenticated
        return asking_of(found, request_id_of(request.scope))


class Turnstile:
    """Says whose a token is that comes on the short way.

    Many who show one at the same moment share a look-up. Within the second for which it is remembered all requests by
    a token from an address share a context too, that of the first of them.
    """

    def __init__(self, doorman: Doorman) -> None:
        self._doorman = doorman
        self._sharer = Sharer(self._look)
        self._seen: dict[tuple[bytes, str | None], tuple[Asking, Remembered]] = {}

    async def __call__(self, authorization: bytes, ip: str | None, request_id: str) -> Asking | None:
        """The context of a request by this token, from this address; None if it is not good here and now."""
        ask, remembered = self._seen.get((authorization, ip), (None, None))
        if remembered and self._doorman.still_remembers(remembered):
            return ask
        self._seen.pop((authorization, ip), None)
        _, _, token = authorization.decode("latin-1").partition(" ")
        presented = Presented("bearer", token.strip(), ip=ip)
        found = await self._sharer.ask(presented)
        if found is None:
            return None
        ask = asking_of(found, RequestId(UUID(request_id)))
        if remembered := self._doorman.remembered_of(presented, found):
            if len(self._seen) >= TOKENS_AT_ONCE_MAX:
                self._seen.clear()
            self._seen[authorization, ip] = ask, remembered
        return ask

    async def _look(self, presented: Presented) -> Found | None:
        return await self._doorman.recognise(presented, now=clock.now())


def presented_by(request: Request) -> Presented | None:
    """What a request shows of who it is; with a token its cookies are ignored."""
    ip = request.client.host if request.client else None
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if token or TOKEN_HEADER in request.headers:
        bearer = request.headers.get(TOKEN_HEADER) or (token.strip() if scheme.lower() == "bearer" else "")
        return Presented("bearer", bearer, ip=ip)
    is_console = is_of_console(request)
    is_viewer = not is_console and cookie_name(request, VIEWER) in request.cookies
    name = CONSOLE if is_console else VIEWER if is_viewer else SESSION
    cookie = request.cookies.get(cookie_name(request, name))
    return Presented("cookie", cookie, is_console, ip) if cookie else None


def is_of_console(request: Request) -> bool:
    """Is this asked where the console's own cookie counts?"""
    return request.url.path.startswith(CONSOLE_PATHS)


def asking_of(found: Found, request_id: RequestId, *, may_act: bool = False) -> Asking:
    """The context of a request by somebody who was recognised. Of a suspended one `may_act` says that the request is no
    mere reading: whether it is among the few acts left to him, its route says.
    """
    return Asking(
        rules.sessions.actor_of(found, request_id, may_act=may_act),
        clock.now(),
        permissions=frozenset(found.permissions),
        lent=frozenset(tuple(one.split(" ", 1)) for one in found.lent),
        scopes=None if found.scopes is None else frozenset(found.scopes),
        session_id=found.session_id,
        token_id=found.token_id,
        mfa_at=found.mfa_at,
        step_up_at=found.proved_at,
        is_service=found.is_service,
        restricted=_restricted(found),
        viewing=_viewing_of(found),
    )


def _restricted(found: Found) -> type[Refusal] | None:
    """What somebody is refused with who only reads: his account is suspended, or he must choose another password."""
    if found.impersonator_id:
        return None
    if found.status == "suspended":
        return AccountSuspended
    return PasswordChangeNeeded if found.must_change else None


def _viewing_of(found: Found) -> Viewing | None:
    if found.impersonator_id is None:
        return None
    reason, until = found.impersonation_reason or "", found.absolute_expires_at
    return Viewing(found.user_id, found.display_name, reason, until)


async def visitor_of(request: Request) -> Visitor:
    """From where somebody comes; apps name their device in a header, browsers keep a cookie.

    Whoever comes without one is on a new device: what is begun or asked for there is kept under a new key.
    """
    device = request.headers.get(DEVICE_HEADER) or request.cookies.get(cookie_name(request, DEVICE))
    is_device = device is not None and rules.sessions.DEVICE_KEY.fullmatch(device) is not None
    ip = request.client.host if request.client else ""
    return Visitor(ip, request.headers.get("user-agent", ""), device if is_device else personal.new_secret())


async def house_of(request: Request) -> House:
    """What lets people in, as the application has it."""
    house: House = request.app.state.house
    return house


From = Annotated[Visitor, Depends(visitor_of)]
InHouse = Annotated[House, Depends(house_of)]


def admit(request: Request, response: Response, session: SignedIn) -> None:
    """Give a browser the cookies of a new session; an app gets none."""
    if session.cookie:
        keep_session(request, response, session.cookie, is_console=session.kind == "console")
        keep(request, response, DEVICE, session.device_key, YEAR_S)


def keep_device(request: Request, response: Response, visitor: Visitor) -> None:
    """Have a browser know its device again, before there is a session."""
    if visitor.device_key:
        keep(request, response, DEVICE, visitor.device_key, YEAR_S)


async def prove(
    request: Request,
    response: Response,
    visitor: Visitor,
    house: House,
    ask: Asking,
    secret: str,
    passkey: Mapping[str, Any] | None = None,
) -> None:
    """Judge a fresh proof, and give the browser the new cookie of its session.

    Refuses as `doors.step_up` and `step_up_by_passkey` do.
    """
    me, session_id = me_of(ask), session_of(ask)
    if passkey is None:
        cookie = await doors.step_up(
            house, user_id=me, session_id=session_id, secret=secret, visitor=visitor, now=ask.now
        )
    else:
        cookie = await doors.step_up_by_passkey(
            house, user_id=me, session_id=session_id, credential=passkey, visitor=visitor, now=ask.now
        )
    if cookie:
        keep_session(request, response, cookie, is_console=is_of_console(request))


async def prove_in_form(request: Request, response: Response, ask: Asking, code: str) -> None:
    """The same for the code that came with the form of a dangerous act."""
    await prove(request, response, await visitor_of(request), await house_of(request), ask, code)


async def leave(request: Request, response: Response, house: House, ask: Asking) -> None:
    """End the session of whoever asks, and have the browser forget it; without one nothing happens."""
    if ask.actor.user_id and ask.session_id:
        await doors.sign_out(house, user_id=ask.actor.user_id, session_id=SessionId(ask.session_id), now=ask.now)
    cookie = CONSOLE if is_of_console(request) else VIEWER if ask.viewing else SESSION
    response.delete_cookie(cookie_name(request, cookie), path="/", secure=request.url.scheme == "https", httponly=True)
    response.headers["Clear-Site-Data"] = FORGET


def cookie_name(request: Request, cookie: str) -> str:
    """The name of a cookie; without encryption, on this machine, browsers refuse the prefix."""
    return f"__Host-{cookie}" if request.url.scheme == "https" else cookie


def keep(request: Request, response: Response, cookie: str, value: str, seconds: int | None = None) -> None:
    """Give a browser a cookie that no script reads and no other site sends along."""
    response.set_cookie(
        cookie_name(request, cookie),
        value,
        max_age=seconds,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict" if cookie in {CONSOLE, VIEWER} else "lax",
    )


def keep_viewer(request: Request, response: Response, session: SignedIn) -> None:
    """Give the browser of somebody of the staff the cookie by which he looks as a player, while he may."""
    if session.cookie:
        keep(request, response, VIEWER, session.cookie, int(rules.sessions.IMPERSONATION / timedelta(seconds=1)))


def keep_session(request: Request, response: Response, value: str, *, is_console: bool) -> None:
    """Give a browser the cookie of its session."""
    seconds = rules.sessions.CONSOLE_ABSOLUTE if is_console else rules.sessions.ABSOLUTE
    keep(request, response, CONSOLE if is_console else SESSION, value, int(seconds / timedelta(seconds=1)))


def me_of(ask: Asking) -> UserId:
    """Whoever is signed in. Refuses with Unauthenticated."""
    if ask.actor.user_id is None:
        raise Unauthenticated
    return ask.actor.user_id


def session_of(ask: Asking) -> SessionId:
    """The session somebody acts in. Refuses with Unauthenticated."""
    if ask.session_id is None:
        raise Unauthenticated
    return SessionId(ask.session_id)
