"""The pages of people who come in by a telephone, a mailed link or Telegram, and of what opens one's account."""

import json
from base64 import urlsafe_b64decode
from typing import Annotated

from fastapi import Form, Query, Request
from starlette.responses import Response

from palio.identity import doors, service
from palio.identity import schemas as say
from palio.identity.errors import ConsentRequired, TelegramProofInvalid
from palio.identity.types import Identity
from palio.identity.web.entering import Next, ask_to_accept, come_in, refuse_on_page
from palio.identity.web.offering import Way, providers_of, telegram_of, ways_of
from palio.identity.web.reception import GUESSES, LETTERS, From, InHouse, me_of
from palio.identity.web.showing import go, is_proven, mailbox_of, show
from palio.identity.web.ways import CODES, IDENTITIES
from palio.infra.db import Tx
from palio.kernel.errors import Refusal
from palio.ui.actor import Ask, Asking, InTx
from palio.ui.leading import SIGN_IN, ours
from palio.ui.pages import language_of
from palio.ui.routes import Filled, Routes

routes = Routes("identity")

BY_PHONE, BY_LINK, BY_TELEGRAM = f"{SIGN_IN}/phone", f"{SIGN_IN}/link", f"{SIGN_IN}/telegram"
Told = Annotated[str, Query(max_length=20)]


# a telephone


@routes.page(BY_PHONE, access="public")
async def phone(request: Request, wanted: Next = "/") -> Response:
    """Where the number is asked for that a code goes to."""
    return show(request, "phone", {"wanted": ours(wanted)})


async def _phone_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return show(request, "phone", {"wanted": ours(filled.values.get("next", "/"))}, filled)


@routes.form(BY_PHONE, access="public", again=_phone_again, rate=CODES, idempotency="none")
async def send_code(request: Request, form: Annotated[say.PhoneForm, Form()], house: InHouse, ask: Ask) -> Response:
    """Send a code, and ask for it."""
    await doors.ask_for_code(house, number=form.number, locale=language_of(request).tag, now=ask.now)
    return _code(request, form.number, form.wanted)


def _code(request: Request, number: str, wanted: str, filled: Filled | None = None) -> Response:
    return show(request, "phone_code", {"number": number, "wanted": ours(wanted), "path": f"{BY_PHONE}/code"}, filled)


async def _code_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    if filled.problem.code == ConsentRequired.code:
        needed = await service.documents.needed(tx, locale=language_of(request).tag, now=ask.now)
        again = {name: filled.values.get(name, "") for name in ("number", "code", "next")}
        return ask_to_accept(request, needed, address=f"{BY_PHONE}/code", again=again)
    return _code(request, filled.values.get("number", ""), filled.values.get("next", "/"), filled)


@routes.form(f"{BY_PHONE}/code", access="public", again=_code_again, rate=GUESSES, idempotency="none")
async def enter_by_phone(
    request: Request, form: Annotated[say.PhoneCodeForm, Form()], visitor: From, house: InHouse, ask: Ask
) -> Response:
    """Begin a session by the code that came."""
    found = await doors.enter_by_phone(
        house,
        number=form.number,
        code=form.code,
        kind="browser",
        consents=say.given_by(form.accept),
        locale=language_of(request).tag,
        visitor=visitor,
        now=ask.now,
    )
    return come_in(request, found, form.wanted)


# a mailed link: to look at it changes nothing, because programs open links too


@routes.page(BY_LINK, access="public")
async def link(request: Request, wanted: Next = "/") -> Response:
    """Where the address is asked for that a link goes to."""
    return show(request, "link", {"wanted": ours(wanted)})


async def _link_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return show(request, "link", {"wanted": ours(filled.values.get("next", "/"))}, filled)


@routes.form(BY_LINK, access="public", again=_link_again, rate=LETTERS, idempotency="none")
async def send_link(form: Annotated[say.LinkForm, Form()], house: InHouse) -> Response:
    """Send a link that opens the account of an address, if anybody has it."""
    await doors.ask_for_login_link(house, email=form.email)
    return go(f"{BY_LINK}/sent")


@routes.page(f"{BY_LINK}/sent", access="public")
async def link_sent(request: Request) -> Response:
    """That a letter is on its way, whatever is known of the address."""
    return show(request, "sent", {"letter": "login", "is_again": False, "mailbox": mailbox_of(request)})


@routes.page(f"{BY_LINK}/{{token}}", access="public")
async def open_link(request: Request, token: str) -> Response:
    """The button that opens the account."""
    return show(request, "link_open", {"token": token})


async def _open_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return show(request, "link_open", {"token": request.path_params["token"]}, filled)


@routes.form(f"{BY_LINK}/{{token}}", access="public", again=_open_again, rate=GUESSES, idempotency="none")
async def enter_by_link(request: Request, token: str, visitor: From, house: InHouse, ask: Ask) -> Response:
    """Begin a session by the mailed link, once."""
    found = await doors.enter_by_link(house, secret=token, kind="browser", visitor=visitor, now=ask.now)
    return come_in(request, found, "/")


# Telegram, whose page leads back to one of ours with what it says behind the address


@routes.page(BY_TELEGRAM, access="public")
async def back_from_telegram(request: Request) -> Response:
    """Where Telegram leads back to: the page hands in what it said."""
    return show(request, "telegram", {"path": BY_TELEGRAM})


@routes.form(BY_TELEGRAM, access="public", rate=GUESSES, idempotency="none")
async def enter_by_telegram(
    request: Request, form: Annotated[say.WidgetForm, Form()], visitor: From, house: InHouse, ask: Ask
) -> Response:
    """Begin a session by what Telegram said."""
    try:
        found = await doors.enter_by_widget(
            house,
            fields=_said(form.result),
            kind="browser",
            consents=say.given_by(form.accept),
            locale=language_of(request).tag,
            visitor=visitor,
            now=ask.now,
        )
    except ConsentRequired:
        needed = await doors.to_accept(house, locale=language_of(request).tag, now=ask.now)
        return ask_to_accept(
            request, needed, address=BY_TELEGRAM, again={"result": form.result, "next": ours(form.wanted)}
        )
    except Refusal as refusal:
        return refuse_on_page(request, refusal, "/")
    return come_in(request, found, form.wanted)


def _said(result: str) -> dict[str, str | int]:
    """What Telegram said, as its page packs it. Refuses with TelegramProofInvalid."""
    try:
        found = json.loads(urlsafe_b64decode(result.encode() + b"=" * (-len(result) % 4)))
    except (ValueError, RecursionError):
        raise TelegramProofInvalid from None
    if not isinstance(found, dict) or not all(isinstance(one, str | int) for one in found.values()):
        raise TelegramProofInvalid
    return found


# what opens one's account


@routes.page(IDENTITIES, access="owner")
async def identities(request: Request, ask: Ask, tx: InTx, told: Told = "") -> Response:
    """By what one comes in, and what else could open the account."""
    return await _identities(request, ask, tx, told=told)


async def _identities(
    request: Request,
    ask: Asking,
    tx: Tx,
    filled: Filled | None = None,
    *,
    told: str = "",
    number: str = "",
) -> Response:
    house, user_id = request.app.state.house, me_of(ask)
    linked = await service.identities.identities_of(tx, user_id=user_id)
    has = {one.provider for one in linked}
    ways = ways_of(request)
    others = [way for way in providers_of(house, IDENTITIES, to_link=True) if way.key not in has]
    values = {
        "present": "identities",
        "me": await service.accounts.me(tx, user_id=user_id, now=ask.now),
        "factors": await service.factors.factors_of(tx, user_id=user_id),
        "linked": [(one, _title(house.providers, one)) for one in linked],
        "others": others,
        "telegram": _telegram(house) if "telegram" not in has else (),
        "has_phone": ways.has_phone and "phone" not in has,
        "is_proven": is_proven(ask),
        "told": told,
        "number": number,
        "now": ask.now,
    }
    return show(request, "identities", values, filled)


def _telegram(house: doors.House) -> tuple[Way, ...]:
    return telegram_of(house, f"{IDENTITIES}/telegram")


def _title(providers: dict[str, object], one: Identity) -> str:
    known = providers.get(one.provider)
    return str(getattr(known, "title", "")) or {"telegram": "Telegram"}.get(one.provider, one.provider)


@routes.form(f"{IDENTITIES}/unlink", access="owner", again=_identities, step_up=True, idempotency="none")
async def unlink(form: Annotated[say.UnlinkForm, Form()], house: InHouse, ask: Ask) -> Response:
    """Take away what opens the account, if there is another way in."""
    await doors.unlink(house, user_id=me_of(ask), identity_id=form.identity_id, now=ask.now)
    return go(f"{IDENTITIES}?told=unlinked")


@routes.form(f"{IDENTITIES}/phone", access="owner", again=_identities, step_up=True, rate=CODES, idempotency="none")
async def send_code_to_link(
    request: Request, form: Annotated[say.PhoneNumber, Form()], house: InHouse, ask: Ask, tx: InTx
) -> Response:
    """Send a code to a number that is to open the account, and ask for it."""
    await doors.ask_for_code(
        house, number=form.number, user_id=me_of(ask), locale=language_of(request).tag, now=ask.now
    )
    return await _identities(request, ask, tx, number=form.number)


async def _link_phone_again(request: Request, ask: Asking, tx: Tx, filled: Filled) -> Response:
    return await _identities(request, ask, tx, filled, number=filled.values.get("number", ""))


@routes.form(
    f"{IDENTITIES}/phone/code",
    access="owner",
    again=_link_phone_again,
    step_up=True,
    rate=GUESSES,
    idempotency="none",
)
async def link_phone(form: Annotated[say.PhoneCode, Form()], house: InHouse, ask: Ask) -> Response:
    """Add a number by the code that came to it."""
    await doors.link_phone(house, user_id=me_of(ask), number=form.number, code=form.code, now=ask.now)
    return go(f"{IDENTITIES}?told=linked")


@routes.page(f"{IDENTITIES}/telegram", access="owner")
async def back_from_telegram_to_link(request: Request) -> Response:
    """Where Telegram leads back to whoever is signed in: the page hands in what it said."""
    return show(request, "telegram", {"path": f"{IDENTITIES}/telegram"})


@routes.form(
    f"{IDENTITIES}/telegram", access="owner", again=_identities, step_up=True, rate=GUESSES, idempotency="none"
)
async def link_telegram(form: Annotated[say.WidgetForm, Form()], house: InHouse, ask: Ask) -> Response:
    """Link the Telegram account that its page spoke of."""
    await doors.link_by_widget(house, user_id=me_of(ask), fields=_said(form.result), now=ask.now)
    return go(f"{IDENTITIES}?told=linked")
