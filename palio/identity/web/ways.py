"""The calls of people who come in by other ways than a password, and what opens their accounts from outside."""

from typing import Annotated, TypeAlias, TypeVar, cast
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Query, Request, Response
from starlette.datastructures import UploadFile

from palio.identity import doors, rules, service
from palio.identity import schemas as say
from palio.identity.errors import (
    CodeWrong,
    ConsentRequired,
    ContactUnverified,
    EmailInvalid,
    EmailNotAllowed,
    FlowInvalid,
    IdentityTaken,
    InvitationNeeded,
    LastLoginMethod,
    LinkRequired,
    MethodClosed,
    NoSuchIdentity,
    NoSuchProvider,
    PhoneCountryBlocked,
    PhoneInvalid,
    PhoneTaken,
    ProviderProofInvalid,
    RegistrationClosed,
    RegistrationRefused,
    SecondFactorRequired,
    TelegramAlreadyLinked,
    TelegramProofInvalid,
    TokenInvalid,
    TooManyAttempts,
)
from palio.identity.types import Arrived
from palio.identity.web.calls import BEGUN
from palio.identity.web.coming import DONE, OPEN, OWN, Arrival, Arriving
from palio.identity.web.entering import ask_to_accept, come_in, refuse_on_page
from palio.identity.web.reception import GUESSES, LETTERS, InHouse, cookie_name, me_of
from palio.identity.web.showing import go
from palio.infra.passwords import HashingBusy
from palio.kernel.errors import Refusal, Unauthenticated, Upstream
from palio.kernel.ids import UserId
from palio.ui import access as accesses
from palio.ui.access import NO_TOKEN
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.leading import PROVE, ours
from palio.ui.limits import Limit
from palio.ui.pages import language_of
from palio.ui.refusals import StepUpRequired
from palio.ui.routes import Routes

routes = Routes("identity")

Told = TypeVar("Told")

FLOW, FLOW_S = "palio_flow", 600
CODES = (Limit("codes", 5, 3_600, by="address"),)
IDENTITIES = "/account/identities"
Wanted: TypeAlias = Annotated[
    str, Query(alias="next", max_length=300, description="The page of ours that a browser goes on to")
]
Accepting: TypeAlias = Annotated[
    say.Accepted,
    Query(
        alias="accept",
        default_factory=list,
        description="`document:version` that is accepted by whoever has no account yet",
    ),
]
Link: TypeAlias = Annotated[bool, Query(description="Link the account there to one's own")]

NEW = (RegistrationClosed, InvitationNeeded, ConsentRequired, RegistrationRefused, TooManyAttempts)
COMING = (MethodClosed, ContactUnverified, SecondFactorRequired, TooManyAttempts)
PROVIDED = (NoSuchProvider, ProviderProofInvalid, LinkRequired, EmailNotAllowed, Upstream, *NEW)
NUMBER = (PhoneInvalid, PhoneCountryBlocked)
AN_IDENTITY = say.IdentityAnswer(say.EXAMPLE_ID, "google", "", say.MOMENT, say.MOMENT)


# a telephone


@routes.post(
    "/auth/phone/request",
    **OPEN,
    example=say.Done(),
    refuses=[MethodClosed, *NUMBER, TooManyAttempts, HashingBusy],
    rate=CODES,
    status=202,
)
async def request_code(form: say.PhoneNumber, request: Request, house: InHouse, ask: Ask) -> say.Done:
    """Have a code sent to a number; whether anybody has the number is not said."""
    await doors.ask_for_code(house, number=form.number, locale=language_of(request).tag, now=ask.now)
    return say.Done()


@routes.post(
    "/auth/phone/verify",
    **OPEN,
    example=BEGUN,
    refuses=[*NUMBER, CodeWrong, HashingBusy, *COMING, *NEW],
    rate=GUESSES,
)
async def enter_by_phone(form: say.PhoneSignIn, arriving: Arriving) -> say.SessionBegun:
    """Begin a session by the code that came to a number; the first time it makes an account."""
    found = await doors.enter_by_phone(
        arriving.house,
        number=form.number,
        code=form.code,
        kind=form.client,
        consents=form.given,
        locale=arriving.locale,
        visitor=arriving.visitor,
        now=arriving.now,
    )
    return arriving.begin(found)


@routes.post(
    "/me/phone/request",
    **OWN,
    step_up=True,
    example=say.Done(),
    refuses=[MethodClosed, *NUMBER, TooManyAttempts, HashingBusy],
    rate=CODES,
    status=202,
)
async def request_code_to_link(form: say.PhoneNumber, request: Request, house: InHouse, ask: Ask) -> say.Done:
    """Have a code sent to a number that is to open one's account."""
    await doors.ask_for_code(
        house, number=form.number, user_id=me_of(ask), locale=language_of(request).tag, now=ask.now
    )
    return say.Done()


@routes.post(
    "/me/phone/verify",
    **OWN,
    step_up=True,
    example=DONE,
    refuses=[MethodClosed, *NUMBER, CodeWrong, HashingBusy, PhoneTaken],
    rate=GUESSES,
)
async def link_phone(form: say.PhoneCode, house: InHouse, ask: Ask) -> say.Done:
    """Add a number to one's account by the code that came to it."""
    await doors.link_phone(house, user_id=me_of(ask), number=form.number, code=form.code, now=ask.now)
    return DONE


# a mailed link


@routes.post(
    "/auth/link/request",
    **OPEN,
    example=say.Done(),
    refuses=[MethodClosed, EmailInvalid],
    rate=LETTERS,
    status=202,
)
async def request_login_link(form: say.Address, house: InHouse) -> say.Done:
    """Ask for a link that opens the account of an address; whether anybody has it is not said."""
    await doors.ask_for_login_link(house, email=form.email)
    return say.Done()


@routes.post(
    "/auth/link/use",
    **OPEN,
    example=BEGUN,
    refuses=[TokenInvalid, *COMING],
    rate=GUESSES,
)
async def enter_by_link(form: say.LoginLink, arriving: Arriving) -> say.SessionBegun:
    """Begin a session by the mailed link, once."""
    found = await doors.enter_by_link(
        arriving.house, secret=form.token, kind=form.client, visitor=arriving.visitor, now=arriving.now
    )
    return arriving.begin(found)


# Telegram


@routes.post(
    "/auth/telegram/mini-app",
    **OPEN,
    example=BEGUN,
    refuses=[TelegramProofInvalid, *COMING, *NEW],
    rate=GUESSES,
)
async def enter_by_mini_app(form: say.MiniApp, arriving: Arriving) -> say.SessionBegun:
    """Begin a session by what Telegram told its Mini App (`initData`), once; the first time it makes an account."""
    found = await doors.enter_by_mini_app(
        arriving.house,
        init_data=form.init_data,
        client=form.client,
        consents=form.given,
        locale=arriving.locale,
        visitor=arriving.visitor,
        now=arriving.now,
    )
    return arriving.begin(found)


@routes.post(
    "/auth/telegram/widget",
    **OPEN,
    example=BEGUN,
    refuses=[TelegramProofInvalid, *COMING, *NEW],
    rate=GUESSES,
)
async def enter_by_widget(form: say.Widget, arriving: Arriving) -> say.SessionBegun:
    """Begin a session by what the Login Widget of Telegram told a page, once; the first time it makes an account."""
    found = await doors.enter_by_widget(
        arriving.house,
        fields=form.fields,
        kind=form.client,
        consents=form.given,
        locale=arriving.locale,
        visitor=arriving.visitor,
        now=arriving.now,
    )
    return arriving.begin(found)


@routes.post(
    "/me/telegram/link",
    **OWN,
    step_up=True,
    example=say.LinkOfferAnswer("https://t.me/palio_bot?start=link_…", say.MOMENT),
    refuses=[MethodClosed],
)
async def offer_telegram_link(house: InHouse, ask: Ask) -> say.LinkOfferAnswer:
    """Get the address at which one's Telegram account is linked, by a button of the bot; good once, for ten minutes."""
    offer = await doors.offer_telegram_link(house, user_id=me_of(ask), now=ask.now)
    return say.LinkOfferAnswer(offer.url, offer.expires_at)


@routes.post(
    "/me/telegram/code",
    **OWN,
    step_up=True,
    example=DONE,
    refuses=[MethodClosed, CodeWrong, TelegramAlreadyLinked, HashingBusy],
    rate=GUESSES,
)
async def link_telegram_by_code(form: say.Code, house: InHouse, ask: Ask) -> say.Done:
    """Link one's Telegram account by the code that the bot told it."""
    await doors.link_by_code(house, user_id=me_of(ask), code=form.code, now=ask.now)
    return DONE


@routes.delete(
    "/me/telegram",
    **OWN,
    step_up=True,
    example=DONE,
    refuses=[NoSuchIdentity, LastLoginMethod],
)
async def unlink_telegram(house: InHouse, ask: Ask) -> say.Done:
    """Unlink one's Telegram account, if there is another way in."""
    await doors.unlink_telegram(house, user_id=me_of(ask), now=ask.now)
    return DONE


# what opens one's account from outside


@routes.get("/me/identities", access="owner", scope=NO_TOKEN, example=say.Identities([AN_IDENTITY]))
async def list_identities(ask: Ask, tx: InTx) -> say.Identities:
    """List what opens one's account from outside: accounts at providers, Telegram, a telephone (masked)."""
    found = await service.identities.identities_of(tx, user_id=me_of(ask))
    return say.Identities([say.IdentityAnswer.of(one) for one in found])


@routes.post(
    "/me/identities",
    **OWN,
    step_up=True,
    example=DONE,
    refuses=[NoSuchProvider, MethodClosed, ProviderProofInvalid, IdentityTaken, Upstream],
    rate=GUESSES,
)
async def link_identity(form: say.LinkIdToken, house: InHouse, ask: Ask) -> say.Done:
    """Link an account at a provider by the ID token that an app got; a browser goes to `/auth/{provider}/start`."""
    await doors.link_by_token(
        house,
        user_id=me_of(ask),
        provider=form.provider,
        id_token=form.id_token,
        nonce=form.nonce,
        now=ask.now,
    )
    return DONE


@routes.delete(
    "/me/identities/{identity_id:uuid}",
    **OWN,
    step_up=True,
    example=DONE,
    refuses=[NoSuchIdentity, LastLoginMethod],
)
async def unlink_identity(identity_id: UUID, house: InHouse, ask: Ask) -> say.Done:
    """Unlink something that opens one's account, if there is another way in."""
    await doors.unlink(house, user_id=me_of(ask), identity_id=identity_id, now=ask.now)
    return DONE


# providers


@routes.get(
    "/auth/{provider}/start",
    access="public",
    example=say.Leave("https://accounts.google.com/o/oauth2/v2/auth?client_id=…"),
    refuses=[NoSuchProvider, MethodClosed, Unauthenticated, StepUpRequired, Upstream],
    rate=GUESSES,
    also={303: None},
)
async def start_at_provider(
    provider: str,
    request: Request,
    response: Response,
    house: InHouse,
    ask: Ask,
    accept: Accepting,
    wanted: Wanted = "/",
    link: Link = False,
) -> say.Leave:
    """Go to a provider to be vouched for: a browser is sent there at once, a program is told where to.

    Whoever comes back must hold the cookie that is set here.
    """
    try:
        departure = await doors.leave_for(
            house,
            provider=provider,
            browser_key=_flow_key(request),
            wanted=ours(wanted),
            user_id=_who_links(ask) if link else None,
            consents=say.given_by(accept),
            now=ask.now,
        )
    except Refusal as refusal:
        if not _is_page(request):
            raise
        is_stale = isinstance(refusal, StepUpRequired)
        page = go(f"{PROVE}?next={IDENTITIES}") if is_stale else refuse_on_page(request, refusal, ours(wanted))
        return _shown_as(say.Leave, page)
    if not _is_page(request):
        _keep_flow(request, response, departure.browser_key, posts_back=house.provider(provider).posts_back)
        return say.Leave(departure.address)
    away = go(departure.address)
    _keep_flow(request, away, departure.browser_key, posts_back=house.provider(provider).posts_back)
    return _shown_as(say.Leave, away)


@routes.get(
    "/auth/{provider}/callback",
    access="public",
    example=say.CameBack(BEGUN, "/"),
    refuses=[FlowInvalid, IdentityTaken, *PROVIDED, *COMING],
    rate=GUESSES,
    is_open_ended=True,
    also={303: None},
)
async def come_back(
    provider: str,
    arriving: Arriving,
    state: Annotated[str, Query(max_length=300)] = "",
    code: Annotated[str | None, Query(max_length=4_096)] = None,
) -> say.CameBack:
    """Come back from a provider, in the browser that left: with a session, or with the account linked."""
    return await _come_back(provider, arriving, state, code)


@routes.post(
    "/auth/{provider}/callback",
    **OPEN,
    example=say.CameBack(BEGUN, "/"),
    refuses=[FlowInvalid, IdentityTaken, *PROVIDED, *COMING],
    rate=GUESSES,
    also={303: None},
)
async def come_back_by_form(provider: str, arriving: Arriving) -> say.CameBack:
    """The same for providers that send people back by a form of their own page, as Apple does."""
    form = await arriving.request.form(max_files=0, max_fields=20)
    said = {name: value for name, value in form.items() if not isinstance(value, UploadFile)}
    return await _come_back(provider, arriving, said.get("state", ""), said.get("code"))


@routes.post(
    "/auth/{provider}/token",
    **OPEN,
    example=BEGUN,
    refuses=[*PROVIDED, *COMING],
    rate=GUESSES,
)
async def enter_by_token(provider: str, form: say.IdToken, arriving: Arriving) -> say.SessionBegun:
    """Begin a session by the ID token that an app got from a provider, once; the first time it makes an account."""
    found = await doors.enter_by_token(
        arriving.house,
        provider=provider,
        id_token=form.id_token,
        nonce=form.nonce,
        kind=form.client,
        consents=form.given,
        locale=arriving.locale,
        visitor=arriving.visitor,
        now=arriving.now,
    )
    return arriving.begin(found)


async def _come_back(provider: str, arriving: Arrival, state: str, code: str | None) -> say.CameBack:
    request = arriving.request
    try:
        found = await doors.come_back(
            arriving.house,
            provider=provider,
            state=state,
            code=code,
            browser_key=_flow_key(request) or "",
            locale=arriving.locale,
            visitor=arriving.visitor,
            now=arriving.now,
        )
    except Refusal as refusal:
        if not _is_page(request):
            raise
        return _shown_as(say.CameBack, await _turned_away(arriving, provider, refusal))
    if _is_page(request):
        return _shown_as(say.CameBack, _page_of(request, found))
    return say.CameBack(arriving.begin(found.entered) if found.entered else None, found.return_path)


async def _turned_away(arriving: Arrival, provider: str, refusal: Refusal) -> Response:
    """The page that says why somebody who came back is not let in, and what he can do."""
    if isinstance(refusal, IdentityTaken):
        return go(f"{IDENTITIES}?told=taken")
    if not isinstance(refusal, ConsentRequired):
        return refuse_on_page(arriving.request, refusal, "/")
    needed = await doors.to_accept(arriving.house, locale=arriving.locale, now=arriving.now)
    accepted = urlencode([("accept", f"{one.key}:{one.version}") for one in needed])
    return ask_to_accept(arriving.request, needed, address=f"/api/v1/auth/{provider}/start?{accepted}")


def _page_of(request: Request, found: Arrived) -> Response:
    if found.entered is None:
        return go(f"{IDENTITIES}?told=linked")
    return come_in(request, found.entered, found.return_path)


def _shown_as(kind: type[Told], page: Response) -> Told:
    """A page in the place of an answer, which is sent as it is."""
    return cast("Told", page)


def _who_links(ask: Asking) -> UserId:
    """Whoever wants an account elsewhere linked has proven himself anew.

    Refuses with Unauthenticated, StepUpRequired.
    """
    if ask.actor.kind != "player" or ask.session_id is None:
        raise Unauthenticated
    if not accesses.is_fresh(ask):
        raise accesses.step_up_needed()
    return me_of(ask)


def _is_page(request: Request) -> bool:
    """Does a person look at the answer?"""
    return "text/html" in request.headers.get("accept", "")


def _flow_key(request: Request) -> str | None:
    key = request.cookies.get(cookie_name(request, FLOW), "")
    return key if rules.sessions.DEVICE_KEY.fullmatch(key) else None


def _keep_flow(request: Request, response: Response, key: str, *, posts_back: bool) -> None:
    """What binds a browser to its way there and back; it comes along from another site's form only where it must."""
    is_secure = request.url.scheme == "https"
    response.set_cookie(
        cookie_name(request, FLOW),
        key,
        max_age=FLOW_S,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="none" if posts_back and is_secure else "lax",
    )
